"""Records a long real program (`mixed.py`) and tells the size of the recording and naja's memory.

    hour.py [--attached] [MINUTES [RATE]]     an hour at 1,000 Hz unless it is told otherwise

The program runs under `naja run`, or with `--attached` by itself while `naja record -p` looks on.

Writes the result beside the others in `results.md`. A run that is not an hour at 1,000 Hz says what the hour
would be at that pace, in a line of its own that is called an estimate.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import measure
import results
from results import Result

HOUR_SAMPLES = 3_600_000


def attached_run(naja, python, words, rate, seconds):
    """What `measure.naja_run` gives, of `naja record -p` beside a program that runs by itself."""
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder, "recording.naja")
        program = subprocess.Popen([python, *map(str, words)], stdout=subprocess.PIPE)
        command = [naja, "record", "--json", "-p", program.pid, "-r", rate, "-d", seconds, "-o", recording]
        recorder = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        peak = measure.Peak(recorder.pid)
        text = recorder.stdout.read().decode()
        told = json.loads(text[text.index("{") :])
        _, status, usage = os.wait4(recorder.pid, 0)
        recorder.returncode = os.waitstatus_to_exitcode(status)
        printed = program.communicate()[0]
        if recorder.returncode or program.returncode:
            raise RuntimeError(f"naja record ended with {recorder.returncode}, the program with {program.returncode}")
        return {
            "printed": json.loads(printed),
            "report": told,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_bytes": peak.bytes,
            "sources_bytes": measure.sources_bytes(recording),
            "bytes": sum(path.stat().st_size for path in Path(folder).glob("recording.naja*")),
        }


def results_of(run, seconds, rate, attached):
    report, megabyte = run["report"], 1e6
    samples = report["samples"]
    length = f"{seconds / 60:.3g} min at {rate:,} Hz"
    jobs = sum(run["printed"].values())
    note = (
        f"{samples['taken']:,} stacks of {samples['ticks']:,} ticks, {samples['ticks_missed']:,} missed, "
        f"{samples['lost']:,} lost; {jobs:,} jobs in 4 threads; naja used {100 * run['cpu_s'] / seconds:.1f} % of a core"
    )
    is_hour = seconds * rate >= HOUR_SAMPLES
    length = f"attached, {length}" if attached else length
    size, memory = run["bytes"] / megabyte, run["peak_bytes"] / megabyte
    whole = "the recording of a real program"
    if is_hour:
        yield Result.at_most(f"{whole}, {length}", "MB", size, 50, note)
    else:
        yield Result(f"{whole}, {length}", "MB", size, spread="one run", note=note)
        sources = run["sources_bytes"] / megabyte
        estimate = sources + (size - sources) * HOUR_SAMPLES / (seconds * rate)
        name = f"ESTIMATE by proportion from {length}: an hour at 1,000 Hz"
        yield Result(name, "MB", estimate, target="≤ 50 MB", note=f"not a measurement; source texts ({sources:.1f} MB) counted once")
    yield Result.at_most(f"naja's highest memory, {length}", "MB", memory, 50 if attached else 100, "resident, naja's process alone")


def results_for(seconds, rate, attached):
    naja, python = measure.naja_program(), measure.environment() / "python"
    if attached:
        # The program begins a little before naja and ends a little after.
        run = attached_run(naja, python, [measure.HERE / "mixed.py", seconds + 10], rate, seconds)
    else:
        run = measure.naja_run(naja, python, [measure.HERE / "mixed.py", seconds], rate)
    yield from results_of(run, seconds, rate, attached)


def main():
    words = [word for word in sys.argv[1:] if word != "--attached"]
    attached = "--attached" in sys.argv
    minutes = float(words[0]) if words else 60
    rate = int(words[1]) if len(words) > 1 else 1000
    load = measure.load()
    measured = list(results_for(minutes * 60, rate, attached))
    for result in measured:
        print(result.line())
    name = "an hour" if minutes * 60 * rate >= HOUR_SAMPLES else f"{minutes:g} minutes at {rate:,} Hz"
    results.store(f"attached, {name}" if attached else name, measured, load)


if __name__ == "__main__":
    main()
