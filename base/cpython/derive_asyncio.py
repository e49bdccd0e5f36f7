#!/usr/bin/env python3
"""Derives `src/asyncio/tables.rs`: where asyncio's structures, and what they lead to, have their fields.

    python3 derive_asyncio.py PYTHON... [--check]

Two sources, as for each number there is only one. What CPython's headers declare (generators, frames, the fields
of thread and interpreter states) is printed by a small C program, as in `derive.py`. What is private to
`Modules/_asynciomodule.c` (the fields of `_asyncio.Task`) is found by `src/asyncio/probe.py` in the live
interpreter. Give one interpreter for each minor version, with its headers installed. `--check` compares instead of
writing, and exits with 1 where the file differs.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ABSENT = 0xFFFFFFFF


def fields(v):
    """Name, and the C expression that gives it; `None` where this version has no such field."""
    frame = lambda member: f"offsetof({'PyFrameObject' if v <= 10 else '_PyInterpreterFrame'}, {member})"
    return {
        "thread_dict": "offsetof(PyThreadState, dict)" if v <= 12 else None,
        "thread_running_loop": "offsetof(_PyThreadStateImpl, asyncio_running_loop)" if v >= 13 else None,
        "thread_running_task": "offsetof(_PyThreadStateImpl, asyncio_running_task)" if v >= 14 else None,
        "thread_tasks_head": "offsetof(_PyThreadStateImpl, asyncio_tasks_head)" if v >= 14 else None,
        "interpreter_tasks_head": "offsetof(PyInterpreterState, asyncio_tasks_head)" if v >= 14 else None,
        "generator_frame": "offsetof(PyGenObject, gi_frame)" if v <= 10 else "offsetof(PyGenObject, gi_iframe)",
        "generator_state": "offsetof(PyGenObject, gi_frame_state)" if v >= 11 else None,
        "suspended_in_await": "FRAME_SUSPENDED_YIELD_FROM" if v >= 13 else None,
        "frame_stack_top": frame(
            "f_stacktop" if v <= 9 else "f_stackdepth" if v == 10 else "stacktop" if v <= 13 else "stackpointer"
        ),
        "frame_stack": frame("f_valuestack") if v <= 10 else frame("localsplus"),
        "function_closure": "offsetof(PyFunctionObject, func_closure)",
        "type_base": "offsetof(PyTypeObject, tp_base)",
    }


HEADERS = {
    8: ["pycore_pystate.h"],
    11: ["pycore_interp.h", "pycore_frame.h"],
    12: ["pycore_interp.h", "pycore_frame.h"],
    13: ["pycore_interp.h", "pycore_frame.h", "pycore_tstate.h"],
    14: ["pycore_interp.h", "pycore_frame.h", "pycore_interpframe.h", "pycore_tstate.h", "pycore_genobject.h"],
}
HEADERS[15] = HEADERS[14]


def from_headers(include, v, ft=False):
    lines = ["#define Py_BUILD_CORE 1", *(["#define Py_GIL_DISABLED 1"] if ft else []), "#include <Python.h>", "#include <frameobject.h>"]
    lines += [f'#include "internal/{name}"' for name in HEADERS.get(v, ["pycore_interp.h"])]
    lines += ["#include <stddef.h>", "#include <stdio.h>", "int main(void) {"]
    for name, expression in fields(v).items():
        if expression:
            lines.append(f'    printf("{name} %ld\\n", (long)({expression}));')
    lines.append("    return 0;\n}")
    with tempfile.TemporaryDirectory() as folder:
        source, binary = pathlib.Path(folder, "offsets.c"), pathlib.Path(folder, "offsets")
        source.write_text("\n".join(lines) + "\n")
        includes = ["-I", str(include), "-I", str(include / "internal"), "-idirafter", str(include.parent)]
        subprocess.run(["cc", "-w", *includes, "-o", str(binary), str(source)], check=True)
        out = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    numbers = dict(line.split() for line in out.splitlines())
    # A state is one byte, and may be negative.
    if "suspended_in_await" in numbers:
        numbers["suspended_in_await"] = int(numbers["suspended_in_await"]) & 0xFF
    return {name: numbers.get(name, ABSENT) for name in fields(v)}


def table(python):
    ask = "import sys, sysconfig; print(sysconfig.get_paths()['include']); print('%d.%d.%d' % sys.version_info[:3])"
    include, version = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    v = int(version.split(".")[1])
    probe = subprocess.run([python, str(HERE / "src/asyncio/probe.py")], check=True, capture_output=True, text=True)
    task = {("task_" + name): number for name, number in json.loads(probe.stdout).items()}
    numbers = {**from_headers(pathlib.Path(include), v), **task}
    text = render(f"V3_{v}", f"CPython 3.{v}, from {version}", numbers)
    if v >= 13:
        # Without a free-threaded interpreter at hand: the head of an object is two words longer, and what follows
        # is the same.
        task = {name: number if number == ABSENT else number + 16 for name, number in task.items()}
        if v >= 14:
            task["task_size"] += 8  # the number of the thread that made it, at the end
        numbers = {**from_headers(pathlib.Path(include), v, True), **task}
        what = f"CPython 3.{v}, free-threaded, from the headers of {version}; the task's fields are moved by two words"
        text += "\n" + render(f"V3_{v}T", what, numbers)
    return v, text


def render(name, what, numbers):
    text = f"/// {what}.\npub(super) const {name}: Layout = Layout {{\n"
    for field, number in numbers.items():
        text += f"    {field}: {'ABSENT' if int(number) == ABSENT else number},\n"
    return text + "};\n"


def main():
    check = "--check" in sys.argv
    tables = sorted(table(python) for python in sys.argv[1:] if python != "--check")
    text = "//! Written by `derive_asyncio.py`; do not edit.\n\nuse super::layout::Layout;\nuse crate::offsets::ABSENT;\n"
    text += "".join("\n" + one for _, one in tables)
    target = HERE / "src/asyncio/tables.rs"
    formatter = ["rustfmt", "--edition", "2024", "--config-path", str(HERE.parent.parent)]
    text = subprocess.run(formatter, input=text, check=True, capture_output=True, text=True).stdout
    if check and target.read_text() != text:
        print("tables.rs DIFFERS")
        sys.exit(1)
    target.write_text(text)


if __name__ == "__main__":
    main()
