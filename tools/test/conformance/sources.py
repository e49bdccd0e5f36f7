"""What the tests of other projects need: their sdists at a pinned version, and environments to run them in.

Both are made when they are first asked for, in `.cache/conformance/test` of the checkout, and never kept in the repository.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "conformance" / "test"

PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]


class NoIndex(Exception):
    """The package index gives no answer to anything."""


def sdist(name, version, sha256):
    """The folder of the unpacked sdist from the package index, its checksum tested."""
    unpacked = CACHE / "sources" / f"{name}-{version}"
    mark = unpacked / "made-from"
    if not (mark.is_file() and mark.read_text() == sha256):
        print(f"fetching the sources of {name} {version}", file=sys.stderr)
        downloads = CACHE / "download" / f"{name}-{version}"
        shutil.rmtree(downloads, ignore_errors=True)
        _pip("download", "--no-deps", "--no-binary", name, f"{name}=={version}", "--dest", downloads)
        [archive] = downloads.iterdir()
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != sha256:
            sys.exit(f"error: {archive.name} has the checksum {found}, not {sha256}")
        shutil.rmtree(unpacked, ignore_errors=True)
        with tarfile.open(archive) as opened:
            # The limits on what an archive may write came to Python 3.11 with its patch 4.
            opened.extractall(unpacked, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        mark.write_text(sha256)
    [folder] = (path for path in unpacked.iterdir() if path.is_dir())
    return folder


def environment(name, requirements):
    """The interpreter of a virtual environment that has these packages, each pinned, and what they need."""
    folder = CACHE / "environments" / name
    python, mark = folder / "bin" / "python", folder / "made-from"
    made_from = json.dumps([sys.version, requirements])
    if not (mark.is_file() and mark.read_text() == made_from):
        print(f"making an environment with {' '.join(requirements)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
        _pip("--python", python, "install", *requirements)
        mark.write_text(made_from)
    return python


def _pip(*words):
    done = subprocess.run([*PIP, *words], capture_output=True, text=True)
    if done.returncode == 0:
        return
    # Whether it fails for want of the index, or for what it was asked.
    ask = [*PIP, "download", "--no-deps", "--retries", "1", "pip", "--dest", CACHE / "index-answers"]
    if subprocess.run(ask, capture_output=True).returncode != 0:
        raise NoIndex
    sys.exit(f"error: pip {' '.join(map(str, words))}\n{done.stderr.strip()}")
