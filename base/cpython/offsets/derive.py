#!/usr/bin/env python3
"""Derives `src/offsets/v3_N.rs` from the headers of a CPython.

    python3 offsets/derive.py ~/.pyenv/versions/3.12.1/bin/python3.12 [--free-threaded] [--include DIR] [--check]

For each interpreter given, one small C program is compiled against its include folder with Py_BUILD_CORE
defined; it prints what `offsetof` and `sizeof` say, and this script writes them as one Rust constant.
Nothing is written by hand, and nothing but the numbers that naja reads is kept. `--check` compares instead
of writing and exits with 1 where the file differs.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ABSENT = "ABSENT"


def runtime(v, ft):
    f = lambda member: f"offsetof(_PyRuntimeState, {member})"
    return {
        "interpreters_head": f("interpreters.head"),
        "gil_holder": f("gilstate.tstate_current") if v < 12 else ABSENT,
        "gil": f("ceval.gil") if v < 12 else ABSENT,
        "gc_collecting": f("gc.collecting") if v < 9 else ABSENT,
    }


def interpreter(v, ft):
    f = lambda member: f"offsetof(PyInterpreterState, {member})"
    return {
        "next": f("next"),
        "id": f("id"),
        "threads_head": f("threads.head" if v >= 11 else "tstate_head"),
        "gc_collecting": f("gc.collecting") if v >= 9 else ABSENT,
        "gil_pointer": f("ceval.gil") if v >= 12 else ABSENT,
        "modules": f("imports.modules" if v >= 12 else "modules"),
    }


def thread(v, ft):
    f = lambda member: f"offsetof(PyThreadState, {member})"
    cframe = v in (11, 12)
    return {
        "next": f("next"),
        "interpreter": f("interp"),
        "frame": ABSENT if cframe else f("frame" if v <= 10 else "current_frame"),
        "cframe": f("cframe") if cframe else ABSENT,
        "cframe_frame": "offsetof(_PyCFrame, current_frame)" if cframe else ABSENT,
        "ident": f("thread_id"),
        "native_id": f("native_thread_id") if v >= 11 else ABSENT,
        "datastack_chunk": f("datastack_chunk") if v >= 11 else ABSENT,
        "datastack_top": f("datastack_top") if v >= 11 else ABSENT,
        "size": "sizeof(PyThreadState)",
    }


def frame(v, ft):
    if v <= 10:
        f = lambda member: f"offsetof(PyFrameObject, {member})"
        return {
            "previous": f("f_back"),
            "code": f("f_code"),
            "instruction": f("f_lasti"),
            "owner": ABSENT,
            "head_size": f("f_lasti") + " + sizeof(int)",
        }
    f = lambda member: f"offsetof(_PyInterpreterFrame, {member})"
    return {
        "previous": f("previous"),
        "code": f("f_code" if v <= 12 else "f_executable"),
        "instruction": f("prev_instr" if v <= 12 else "instr_ptr"),
        "owner": f("owner"),
        "head_size": f("localsplus"),
    }


def chunk(v, ft):
    f = lambda member: f"offsetof(_PyStackChunk, {member})" if v >= 11 else ABSENT
    return {"previous": f("previous"), "size": f("size"), "data": f("data")}


def gil(v, ft):
    f = lambda member: f"offsetof(struct _gil_runtime_state, {member})"
    return {"last_holder": f("last_holder"), "locked": f("locked"), "size": "sizeof(struct _gil_runtime_state)"}


def code(v, ft):
    f = lambda member: f"offsetof(PyCodeObject, {member})"
    instructions = "co_code_adaptive" if v >= 11 else "co_code"
    return {
        "size": f("co_code_adaptive") if v >= 11 else "sizeof(PyCodeObject)",
        "filename": f("co_filename"),
        "name": f("co_name"),
        "qualname": f("co_qualname") if v >= 11 else ABSENT,
        "first_line": f("co_firstlineno"),
        "line_table": f("co_linetable" if v >= 10 else "co_lnotab"),
        "instructions": f(instructions),
    }


def object_(v, ft):
    t = lambda member: f"offsetof(PyTypeObject, {member})"
    if v >= 11:
        keys = lambda member: f"offsetof(struct _dictkeysobject, {member})"
    else:  # the structure is private to dictobject.c; DICT_KEYS below repeats its fields
        keys = lambda member: f"offsetof(struct naja_dict_keys, {member})"
    return {
        "ob_type": "offsetof(PyObject, ob_type)",
        "type_name": t("tp_name"),
        "type_flags": t("tp_flags"),
        "type_dict_offset": t("tp_dictoffset"),
        "type_basic_size": t("tp_basicsize"),
        "type_cached_keys": "offsetof(PyHeapTypeObject, ht_cached_keys)",
        "ob_size": "offsetof(PyVarObject, ob_size)",
        "bytes_data": "offsetof(PyBytesObject, ob_sval)",
        "unicode_length": "offsetof(PyASCIIObject, length)",
        "unicode_state": "offsetof(PyASCIIObject, state)",
        "unicode_kind_shift": "kind_shift()",
        "unicode_ascii_data": "sizeof(PyASCIIObject)",
        "unicode_compact_data": "sizeof(PyCompactUnicodeObject)",
        "long_tag": "offsetof(PyLongObject, long_value.lv_tag)" if v >= 12 else "offsetof(PyVarObject, ob_size)",
        "long_digits": "offsetof(PyLongObject, long_value.ob_digit)" if v >= 12 else "offsetof(PyLongObject, ob_digit)",
        "dict_keys": "offsetof(PyDictObject, ma_keys)",
        "dict_values": "offsetof(PyDictObject, ma_values)",
        "keys_size": keys("dk_log2_size" if v >= 11 else "dk_size"),
        "keys_index_bytes": keys("dk_log2_index_bytes") if v >= 11 else ABSENT,
        "keys_kind": keys("dk_kind") if v >= 11 else ABSENT,
        "keys_entries": keys("dk_nentries"),
        "keys_indices": keys("dk_indices"),
        "managed_dict": ABSENT if v < 11 else "-MANAGED_DICT_OFFSET" if v >= 13 else "3 * sizeof(PyObject *)",
        "managed_values": "4 * sizeof(PyObject *)" if v == 11 else ABSENT,
        "values_valid": "offsetof(struct _dictvalues, valid)" if v >= 13 else ABSENT,
        "values_data": "offsetof(struct _dictvalues, values)" if v >= 11 else "0",
        "module_dict": "sizeof(PyObject)",  # the first field after the head
        "tuple_items": "offsetof(PyTupleObject, ob_item)",
    }


GROUPS = {
    "runtime": ("Runtime", runtime),
    "interpreter": ("Interpreter", interpreter),
    "thread": ("Thread", thread),
    "frame": ("Frame", frame),
    "chunk": ("Chunk", chunk),
    "gil": ("Gil", gil),
    "code": ("Code", code),
    "object": ("Object", object_),
}

HEADERS = {
    8: "pycore_pystate.h pycore_gil.h pycore_ceval.h",
    9: "pycore_interp.h pycore_runtime.h pycore_gil.h",
    10: "pycore_interp.h pycore_runtime.h pycore_gil.h",
    11: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h",
    12: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h",
    13: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h pycore_object.h",
}
LATER = "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_interpframe.h pycore_dict.h pycore_object.h"

DICT_KEYS = """
struct naja_dict_keys {
    Py_ssize_t dk_refcnt; Py_ssize_t dk_size; void *dk_lookup; Py_ssize_t dk_usable; Py_ssize_t dk_nentries;
    char dk_indices[];
};
"""


def program(v, ft):
    lines = ["#define Py_BUILD_CORE 1"]
    if ft:
        lines.append("#define Py_GIL_DISABLED 1")
    lines += ["#include <Python.h>", "#include <frameobject.h>", "#include <stddef.h>", "#include <stdio.h>"]
    lines += [f'#include "internal/{name}"' for name in HEADERS.get(v, LATER).split()]
    lines.append(DICT_KEYS)
    lines.append(
        "static int kind_shift(void) {\n"
        "    union { unsigned int word; __typeof__(((PyASCIIObject *)0)->state) state; } u = { 0 };\n"
        "    u.state.kind = 1;\n"
        "    return __builtin_ctz(u.word);\n}"
    )
    lines.append("int main(void) {")
    lines.append('    printf("version %d %d %d\\n", PY_MAJOR_VERSION, PY_MINOR_VERSION, PY_MICRO_VERSION);')
    for group, (_, fields) in GROUPS.items():
        for field, expression in fields(v, ft).items():
            if expression != ABSENT:
                lines.append(f'    printf("{group}.{field} %ld\\n", (long)({expression}));')
    lines.append("    return 0;\n}")
    return "\n".join(lines) + "\n"


def measure(include, v, ft):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "offsets.c")
        source.write_text(program(v, ft))
        binary = pathlib.Path(folder, "offsets")
        subprocess.run(
            ["cc", "-w", "-I", str(include), "-I", str(include / "internal"), "-o", str(binary), str(source)],
            check=True,
        )
        out = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def render(v, ft, numbers):
    version = numbers["version"].replace(" ", ".")
    kind = ", free-threaded build" if ft else ""
    lines = [
        f"//! CPython 3.{v}{kind}. Written by `offsets/derive.py` from the headers of {version}; do not edit.",
        "",
        "use super::{ABSENT, Chunk, Code, Frame, Gil, Interpreter, Object, Offsets, Runtime, Thread};",
        "",
        "/// What the headers say.",
        "pub(super) const TABLE: Offsets = Offsets {",
    ]
    for group, (name, fields) in GROUPS.items():
        lines.append(f"    {group}: {name} {{")
        for field, expression in fields(v, ft).items():
            number = ABSENT if expression == ABSENT else numbers[f"{group}.{field}"]
            lines.append(f"        {field}: {number},")
        lines.append("    },")
    lines.append("};")
    text = "\n".join(lines) + "\n"
    return text if ABSENT in text.split("TABLE")[1] else text.replace("ABSENT, ", "", 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("interpreters", nargs="*", help="python executables whose headers are installed")
    parser.add_argument("--include", action="append", default=[], help="an include folder, without an interpreter")
    parser.add_argument("--free-threaded", action="store_true", help="as a build with Py_GIL_DISABLED")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    options = parser.parse_args()

    folders = [pathlib.Path(folder) for folder in options.include]
    for interpreter_path in options.interpreters:
        ask = "import sysconfig; print(sysconfig.get_paths()['include'])"
        out = subprocess.run([interpreter_path, "-c", ask], check=True, capture_output=True, text=True).stdout
        folders.append(pathlib.Path(out.strip()))

    differs = False
    for include in folders:
        header = (include / "patchlevel.h").read_text()
        v = int(header.split("#define PY_MINOR_VERSION")[1].split()[0])
        text = render(v, options.free_threaded, measure(include, v, options.free_threaded))
        target = HERE.parent / "src" / "offsets" / f"v3_{v}{'t' if options.free_threaded else ''}.rs"
        if options.check:
            same = target.exists() and body(target.read_text()) == body(text)
            print(f"{target.name}: {'as in the headers' if same else 'DIFFERS from the headers'} of {include}")
            differs |= not same
        else:
            target.write_text(text)
            print(f"wrote {target.name} from {include}")
    sys.exit(1 if differs else 0)


def body(text):
    """The numbers alone, without the line that names the release."""
    return text.split("TABLE", 1)[1]


if __name__ == "__main__":
    main()
