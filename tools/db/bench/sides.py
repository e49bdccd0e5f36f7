"""What the measurements of this tool have in common: their arguments, the original in a folder of its own, imports."""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent


def arguments(description):
    """The words of the command line, with `is_chosen`, which says of a case's name whether it is to be measured."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="fewer runs, to see that everything works")
    parser.add_argument("words", nargs="*", metavar="WORD")
    found = parser.parse_args()
    found.is_chosen = lambda name: not found.words or any(word in name for word in found.words)
    return found


def install(folder, package, requirements):
    """Puts the original and what it needs into a folder, once, and lets this process import them."""
    installed = folder / f"{package}.txt"
    if not installed.is_file() or installed.read_text().split() != requirements:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--upgrade", "--target", str(folder)]
        subprocess.run([*command, *requirements], check=True)
        installed.write_text("\n".join(requirements))
    # The script that measures has the original's name, and its folder comes first on the path.
    sys.path[:] = [str(folder), *(path for path in sys.path if pathlib.Path(path or ".").resolve() != HERE)]


def import_costs(ours, theirs, rounds):
    """What each of two imports adds to a bare Python, in milliseconds of the clock: two lists."""
    columns = {code: [] for code in ("pass", ours, theirs)}
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    for _ in range(rounds):
        for code, times in columns.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-S", "-c", code], env=environment, check=True)
            times.append(1000 * (time.perf_counter() - start))
    bare = statistics.median(columns["pass"])
    return [[one - bare for one in columns[code]] for code in (ours, theirs)]
