"""Measures `naja memory` beside memray; writes `results.md` and `results.json`.

    against.py [--short] [WORD...]     `cargo dev bench memory` builds first and then starts this

WORD: a part of a case's name; cases that are not named keep the results that they have. With --short: three rounds instead of
seven, and nothing is written. The sides run in turn. Processor time counts: of the program alone, of the program under naja, and of
naja beside it; memray works within the program, and what it does at its end is counted with it. That both saw the same
program is checked first: the blocks that they count may differ by no more than a hundredth (see `Case.check`).
"""

import argparse
import json
import os
import pathlib
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[2]
FOLDER = CHECKOUT / ".cache" / "bench" / "memory"
PROGRAMS = HERE / "programs"
MEMRAY = "memray==1.20.0"

PYTHON = "--python-allocators"
# Its name, the program, options of naja's and of memray's, and how many times as long the program may take.
CASES = [
    ("calls, no allocations", ["calls.py", "30"], [], [], 1.05),
    ("allocations", ["alloc.py", "150", "20"], [], [], 1.4),
    ("Python's allocators, 25 frames", ["alloc.py", "60", "20"], [PYTHON], ["--trace-python-allocators"], 3.0),
    ("Python's allocators, 200 frames", ["alloc.py", "60", "200"], [PYTHON], ["--trace-python-allocators"], None),
    ("native stacks, Python's allocators", ["alloc.py", "60", "20"], [PYTHON, "--native"], ["--trace-python-allocators", "--native"], 5.0),
    ("samples", ["alloc.py", "150", "20"], ["--sample"], [], 1.03),
    ("four threads", ["threads.py", "15000"], [], [], 1.3),
    ("start and end", ["nothing.py"], [], [], None),
]


def interpreter():
    """The Python that is measured: 3.12, as in the facts, or the one that runs this."""
    places = sorted(pathlib.Path.home().glob(".pyenv/versions/3.12.*/bin/python3.12"))
    # The name on PATH may be pyenv's own, which asks which version is meant.
    return str(places[-1]) if places else shutil.which("python3.12") or sys.executable


def install(python):
    """An environment with memray."""
    version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    folder = FOLDER / f"memray-{version}"
    own = folder / "bin" / "python"
    if not (folder / "bin" / "memray").is_file():
        subprocess.run([python, "-m", "venv", folder], check=True)
        subprocess.run([own, "-m", "pip", "install", "--quiet", MEMRAY], check=True)
    return own, version


def run(words):
    """What a command took: processor time of it and its children, of the program as it says itself, and by the clock."""
    start = time.perf_counter()
    with subprocess.Popen([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=PROGRAMS) as process:
        text = process.stdout.read()
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words} failed: {errors.decode()}")
    in_all = usage.ru_utime + usage.ru_stime
    return {"program": float(text), "all": in_all, "wall": time.perf_counter() - start}


class Case:
    def __init__(self, case, python, folder):
        self.name, program, ours, theirs, self.target = case
        naja = CHECKOUT / ".venv" / "bin" / "naja"
        self.recording, self.capture = folder / "naja.naja", folder / "memray.bin"
        self.sides = {
            "alone": [python, *program],
            "naja": [naja, "memory", "run", "-q", "-o", self.recording, *ours, python, *program],
            "memray": [python, "-m", "memray", "run", "-q", "-f", "-o", self.capture, *theirs, *program],
        }
        self.naja, self.python = naja, python

    def check(self):
        """Whether both saw the same."""
        stats = [self.naja, "memory", "stats", "--json", self.recording]
        ours = json.loads(subprocess.run(stats, capture_output=True, check=True).stdout)
        file = self.capture.with_suffix(".json")
        words = [self.python, "-m", "memray", "stats", "--json", "-f", "-o", file, self.capture]
        subprocess.run(words, capture_output=True, check=True)
        theirs = json.loads(file.read_text())
        compared = ours["given"]["blocks"], theirs["total_num_allocations"]
        if PYTHON in self.sides["naja"]:
            # What memray calls at each of Python's calls makes objects of its own (on CPython 3.12 an int for each), and it
            # counts them; these it does not make.
            names = ("PYMALLOC_CALLOC", "PYMALLOC_REALLOC")
            compared = (
                sum(amount["blocks"] for name, amount in ours["allocators"] if name.upper() in names),
                sum(theirs["allocator_type_distribution"].get(name, 0) for name in names),
            )
        # naja sees the interpreter start and end, which memray is not there for. Samples are as many as they are.
        if self.name != "samples" and not 0.99 * compared[1] <= compared[0] <= 1.01 * compared[1] + 60_000:
            raise SystemExit(f"WRONG: {self.name}: naja counts {compared[0]} blocks, memray {compared[1]}")
        ours, theirs = ours["given"]["blocks"], theirs["total_num_allocations"]
        return ours, theirs

    def measure(self, rounds):
        runs = {name: [] for name in self.sides}
        for number in range(rounds + 1):
            for name in sorted(self.sides, reverse=bool(number % 2)):
                took = run(self.sides[name])
                # The first round is for warming up.
                if number:
                    runs[name].append(took)
        blocks = self.check()
        median = lambda side, what: statistics.median(one[what] for one in runs[side])  # noqa: E731
        alone = median("alone", "program" if self.name != "start and end" else "all")
        of_naja = median("naja", "program") if self.name != "start and end" else median("naja", "all")
        of_memray = median("memray", "all") - (median("alone", "all") - median("alone", "program"))
        spread = [min(one["program"] for one in runs["naja"]), max(one["program"] for one in runs["naja"])]
        return {
            "case": self.name,
            "unit": "s",
            "alone": alone,
            "naja": of_naja,
            "beside": median("naja", "all") - median("naja", "program"),
            "peer": of_memray if self.name != "start and end" else median("memray", "all"),
            "ratio": (of_memray if self.name != "start and end" else median("memray", "all")) / of_naja,
            "spread": spread,
            "wall": {name: median(name, "wall") for name in runs},
            "target": self.target,
            "blocks": blocks,
            "bytes": [self.recording.stat().st_size, self.capture.stat().st_size],
        }


def page(rows, version):
    processor = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    lines = [
        "# naja memory beside memray",
        "",
        "Written by `against.py` (`cargo dev bench memory`); do not edit. Processor time, medians of runs in turn. *Program* is the program",
        "under naja, *naja* what naja does beside it in a process of its own; memray's is all that it does.",
        "",
        f"{MEMRAY.replace('==', ' ')}, CPython {version}, {processor}, {os.cpu_count()} cores, {platform.system()}.",
        "",
        "| case | alone | program | × | naja | memray | × | blocks | file, of memray's | target | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in rows:
        target, is_met = verdict(one)
        cells = [
            one["case"],
            f"{one['alone']:.3f} s",
            f"{one['naja']:.3f} s ({one['spread'][0]:.3f} to {one['spread'][1]:.3f})",
            f"{one['naja'] / one['alone']:.2f}",
            f"{one['beside']:.3f} s",
            f"{one['peer']:.3f} s",
            f"{one['peer'] / one['alone']:.2f}",
            f"{one['blocks'][0]:,}",
            f"{one['bytes'][0] / one['bytes'][1]:.2f}",
            target,
            {None: "", True: "met", False: "**missed**"}[is_met],
        ]
        lines.append("| " + " | ".join(cells) + " |")
    missed = [f"- {one['case']}: {WHY[one['case']]}" for one in rows if verdict(one)[1] is False and one["case"] in WHY]
    return "\n".join(lines + (["", "Why targets are missed:", ""] + missed if missed else [])) + "\n"


# What is known of cases that may miss their target.
WHY = {
    "Python's allocators, 200 frames": "the frames of the newest piece of the interpreter's data stack, some hundred, are looked at on each allocation, 1.3 ns each",
    "four threads": "four threads and naja beside them share two cores; what the threads write goes from one core's cache to the other's, where naja reads it",
}


def verdict(one):
    """The target in words, and whether it is met; none where there is none."""
    times = one["naja"] / one["alone"]
    if one["case"] == "Python's allocators, 200 frames":
        most = one["peer"] / one["alone"] / 2
        return f"≤ {most:.2f} ×, half of memray's", times <= most
    if one["case"] == "start and end":
        return "≤ 30 ms more", one["naja"] - one["alone"] <= 0.03
    return ("", None) if one["target"] is None else (f"≤ {one['target']} ×", times <= one["target"])


def into_documentation(text):
    """Puts the figures where users read of them."""
    place = CHECKOUT / "docs" / "tools" / "memory.md"
    begin, end = "<!-- side by side: written by tools/memory/bench/against.py -->\n", "<!-- end of side by side -->"
    before, rest = place.read_text().split(begin)
    _, after = rest.split(end)
    lines = text.split("\n\n", 2)[2]
    place.write_text(before + begin + lines + end + after)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--short", action="store_true")
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    python, version = install(interpreter())
    file = HERE / "results.json"
    known = json.loads(file.read_text())["cases"] if file.is_file() else []
    chosen = [case for case in CASES if not options.words or any(word in case[0] for word in options.words)]
    new = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in chosen:
            row = Case(case, python, pathlib.Path(folder)).measure(3 if options.short else 7)
            new[row["case"]] = row
            times = f"{row['naja'] / row['alone']:.2f} × under naja, {row['peer'] / row['alone']:.2f} × under memray"
            print(f"{row['case']}: {times}", file=sys.stderr)
    if options.short:
        return
    rows = [new.pop(one["case"], one) for one in known] + list(new.values())
    file.write_text(json.dumps({"cases": rows}, indent=1, ensure_ascii=False) + "\n")
    text = page(rows, version)
    (HERE / "results.md").write_text(text)
    into_documentation(text)


main()
