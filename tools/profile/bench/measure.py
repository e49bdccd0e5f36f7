"""Running naja, py-spy and their targets, and the statistics of what comes out.

Nothing here knows a case: start at `against.py`.
"""

import json
import math
import os
import platform
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "bench" / "profile"
WORK = HERE / "work.py"

PY_SPY = "0.4.3"
DATEUTIL = "2.9.0.post0"

# The target and the sampler each have a core of their own, where there are two.
CORES = sorted(os.sched_getaffinity(0))
TARGET_CORE, SAMPLER_CORE = CORES[0], CORES[-1]


class Missing(Exception):
    """Something that a case needs is not on this machine: the case is left out and says why."""


def interpreter(minor):
    """The real executable of CPython 3.`minor`, never a launcher that starts it."""
    name = f"python3.{minor}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = sorted(pyenv.glob(f"versions/3.{minor}.*/bin/{name}"))
    candidates += [Path(found) for found in (shutil.which(name), f"/usr/bin/{name}") if found]
    for candidate in candidates:
        ask = "import sys; print(sys.implementation.name, sys.version_info[1], sys.executable)"
        try:
            answer = subprocess.run([candidate, "-c", ask], capture_output=True, text=True)
        except OSError:
            continue
        words = answer.stdout.split(maxsplit=2)
        if answer.returncode == 0 and words[:2] == ["cpython", str(minor)]:
            return words[2].strip()
    raise Missing(f"no CPython 3.{minor} on this machine")


def environment():
    """An environment with what the cases need beside naja; its folder of programs."""
    python = interpreter(12)
    bin_folder = CACHE / "venv" / "bin"
    stamp = CACHE / "venv.txt"
    wanted = f"{python} {PY_SPY} {DATEUTIL}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        print("bench: installing py-spy and python-dateutil into", CACHE.relative_to(ROOT), file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", CACHE / "venv"], check=True)
        install = [bin_folder / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, f"py-spy=={PY_SPY}", f"python-dateutil=={DATEUTIL}"], check=True)
        stamp.write_text(wanted)
    return bin_folder


def naja_program():
    """The newest naja that this checkout has built, unless NAJA names another."""
    chosen = os.environ.get("NAJA")
    built = [ROOT / "target/release/naja", ROOT / ".venv/bin/naja"]
    found = [path for path in built if path.is_file()]
    if not chosen and not found:
        sys.exit("error: no naja is built here\n  hint: make build")
    return Path(chosen) if chosen else max(found, key=lambda path: path.stat().st_mtime)


def wake(seconds, rate, core):
    """Processor time, in µs, of one wake of a loop that does nothing else, on the core of the samplers."""
    build = ["cargo", "build", "--release", "--quiet", "-p", "naja-profile", "--example", "wakes"]
    subprocess.run(build, cwd=ROOT, check=True)
    words = [ROOT / "target/release/examples/wakes", str(seconds), str(rate)]
    return float(subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=_pin(core)).stdout)


def _pin(core):
    return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None


def target(python, *words):
    """Runs a program alone; what it printed, as JSON."""
    done = subprocess.run([python, *map(str, words)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def naja_run(naja, python, words, rate, core=None, environment_extra=None):
    """Runs a program under naja: what it printed, naja's report, naja's own processor seconds and peak
    memory from start to end, and the size of the recording.
    """
    with tempfile.TemporaryDirectory() as folder:
        report, recording = Path(folder, "report.json"), Path(folder, "recording.naja")
        command = [naja, "run", "--python", python, "--rate", rate, "--report", report, "-o", recording]
        process = subprocess.Popen(
            [*map(str, command), *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=_pin(core),
            env={**os.environ, **(environment_extra or {})},
        )
        peak = Peak(process.pid)
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise RuntimeError(f"naja run {words} ended with {process.returncode}")
        told = json.loads(report.read_text())
        # What wait4 says of naja holds what naja's own wait4 said of the program.
        cpu = usage.ru_utime + usage.ru_stime - told["user_s"] - told["system_s"]
        return {
            "printed": json.loads(output) if output.strip() else None,
            "report": told,
            "cpu_s": cpu,
            "peak_bytes": peak.bytes,
            "sources_bytes": sources_bytes(recording),
            "bytes": sum(path.stat().st_size for path in Path(folder).glob("recording.naja*")),
        }


def sources_bytes(recording):
    """What the program's own source texts take of a recording: they do not grow with its length."""
    base = sqlite3.connect(recording)
    try:
        return base.execute("select sum(pgsize) from dbstat where name = 'sources'").fetchone()[0] or 0
    except sqlite3.OperationalError:  # a Python whose SQLite lacks the table
        return 0
    finally:
        base.close()


class Peak(threading.Thread):
    """Watches the highest resident memory of one process, without its children's, until it ends."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.status, self.bytes = Path(f"/proc/{pid}/status"), 0
        self.start()

    def run(self):
        while True:
            try:
                found = re.search(r"VmHWM:\s*(\d+) kB", self.status.read_text())
            except OSError:
                return
            if not found:  # a process that has ended has no memory, only a status
                return
            self.bytes = int(found[1]) * 1024
            time.sleep(0.02)


def py_spy_run(py_spy, python, words, rate, core=None):
    """Runs a program and py-spy beside it: what the program printed, py-spy's processor seconds, samples,
    and samples by innermost function.
    """
    with tempfile.TemporaryDirectory() as folder:
        raw, log = Path(folder, "raw.txt"), Path(folder, "log.txt")
        program = subprocess.Popen([python, *map(str, words)], stdout=subprocess.PIPE)
        command = [py_spy, "record", "-p", program.pid, "-r", rate, "-f", "raw", "-F", "-o", raw]
        with log.open("w") as written:
            spy = subprocess.Popen(
                list(map(str, command)), stdout=written, stderr=subprocess.STDOUT, preexec_fn=_pin(core)
            )
        output = program.stdout.read()
        program.wait()
        _, status, usage = os.wait4(spy.pid, 0)
        spy.returncode = os.waitstatus_to_exitcode(status)
        found = re.search(r"Samples: (\d+)", log.read_text())
        if not found:
            raise RuntimeError(f"py-spy: {log.read_text()[-300:]}")
        leaves = {}
        for line in raw.read_text().splitlines():
            stack, count = line.rsplit(" ", 1)
            leaf = stack.rsplit(";", 1)[-1].split(" (")[0]
            leaves[leaf] = leaves.get(leaf, 0) + int(count)
        return {
            "printed": json.loads(output),
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "samples": int(found[1]),
            "leaves": leaves,
        }


def median_interval(values):
    """The median, and the interval that holds the true median with 95 % by the order statistics."""
    ordered, n = sorted(values), len(values)
    below, rank = 0.0, 0
    while rank < n // 2 and below + math.comb(n, rank) / 2**n <= 0.025:
        below += math.comb(n, rank) / 2**n
        rank += 1
    low = max(rank - 1, 0)
    return statistics.median(ordered), ordered[low], ordered[n - 1 - low]


def spread(values):
    """Smallest to largest, as a share of the median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0


def machine():
    """What the figures were measured on."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    return {
        "cores": len(CORES),
        "cpu": model[1].strip() if model else platform.machine(),
        "memory_gib": round(int(memory[1]) / 2**20) if memory else None,
        "kernel": platform.release(),
        "virtual": "hypervisor" in Path("/proc/cpuinfo").read_text(),
    }


def load():
    """Processes that want a core, the last minute's mean: above 0.3 or so the wall figures are doubtful."""
    return round(os.getloadavg()[0], 2)


def naja_version(naja):
    told = subprocess.run([naja, "--version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(
        ["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=10"], capture_output=True, text=True
    )
    return f"{told} ({commit.stdout.strip()})" if commit.returncode == 0 else told


def today():
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime()) + " UTC"
