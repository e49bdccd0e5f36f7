"""Records a long real program (`mixed.py`) and tells the size of the recording and naja's memory.

    hour.py [MINUTES [RATE]]     an hour at 1,000 Hz unless it is told otherwise

Writes the result beside the others in `results.md`. A run that is not an hour at 1,000 Hz says what the hour
would be at that pace, in a line of its own that is called an estimate.
"""

import sys

import measure
import results
from results import Result

HOUR_SAMPLES = 3_600_000


def results_of(run, seconds, rate):
    report, megabyte = run["report"], 1e6
    samples = report["samples"]
    length = f"{seconds / 60:.3g} min at {rate:,} Hz"
    jobs = sum(run["printed"].values())
    note = (
        f"{samples['taken']:,} stacks of {samples['ticks']:,} ticks, {samples['ticks_missed']:,} missed, "
        f"{samples['lost']:,} lost; {jobs:,} jobs in 4 threads; naja used {100 * run['cpu_s'] / seconds:.1f} % of a core"
    )
    is_hour = seconds * rate >= HOUR_SAMPLES
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
    yield Result.at_most(f"naja's highest memory, {length}", "MB", memory, 100, "resident, naja's process alone")


def results_for(seconds, rate):
    python = measure.environment() / "python"
    run = measure.naja_run(measure.naja_program(), python, [measure.HERE / "mixed.py", seconds], rate)
    yield from results_of(run, seconds, rate)


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    rate = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    load = measure.load()
    measured = list(results_for(minutes * 60, rate))
    for result in measured:
        print(result.line())
    name = "an hour" if minutes * 60 * rate >= HOUR_SAMPLES else f"{minutes:g} minutes at {rate:,} Hz"
    results.store(name, measured, load)


if __name__ == "__main__":
    main()
