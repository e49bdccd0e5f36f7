"""Measures every drop-in of this tool beside its original: `cargo dev bench db [DROP-IN [WORD…]]`."""

import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = ("dataset", "databases", "typesystem", "orm", "memory")

chosen, words = (sys.argv[1:2], sys.argv[2:]) if sys.argv[1:2] and sys.argv[1] in SCRIPTS else (SCRIPTS, sys.argv[1:])
for name in chosen:
    subprocess.run([sys.executable, HERE / f"{name}.py", *words], check=True)
