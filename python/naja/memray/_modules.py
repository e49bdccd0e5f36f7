"""Which module a file belongs to, by the folders from which the recorded interpreter imported."""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable
from typing import Any


def folders() -> dict[str, Any]:
    """Those of this interpreter, for the notes of a recording."""
    packages = list(site.getsitepackages())
    own = site.getusersitepackages()
    if os.path.isdir(own):
        packages.append(own)
    return {
        "stdlib": sysconfig.get_config_var("LIBDEST") or "",
        "site_packages": [os.path.abspath(one) for one in packages],
        "sys_path": [os.path.abspath(one) for one in sys.path if one],
    }


class ModuleNames:
    """Names the outermost package of the code that a stack's memory is for."""

    def __init__(self, notes: dict[str, Any]) -> None:
        folders = notes.get("folders") or {}
        self._packages = folders.get("site_packages", [])
        self._stdlib = folders.get("stdlib", "")
        self._path = folders.get("sys_path", [])
        self._known: dict[str, str | None] = {}

    def of_stack(self, calls: Iterable[tuple[str, str, int]]) -> str:
        """That of the innermost call outside of the standard library; `<root>` where there is none."""
        for _, file, _ in calls:
            if file not in self._known:
                self._known[file] = self._of_file(file)
            name = self._known[file]
            if name is not None:
                return "<root>" if name in ("memray", "naja") else name
        return "<root>"

    def _of_file(self, file: str) -> str | None:
        if not file:
            return "unknown"
        if file.startswith("<frozen "):
            return None
        for folder in self._packages:
            if _lies_in(file, folder):
                return _first(os.path.relpath(file, folder))
        if self._stdlib and _lies_in(file, self._stdlib):
            return None
        for folder in self._path:
            if _lies_in(file, folder):
                return _first(os.path.relpath(file, folder))
        return _first(os.path.basename(file))


def _lies_in(file: str, folder: str) -> bool:
    return file.startswith(folder.rstrip(os.sep) + os.sep)


def _first(path: str) -> str:
    first = path.split(os.sep)[0]
    return first.removesuffix(".py")
