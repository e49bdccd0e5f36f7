#!/usr/bin/env python3
"""Derives `src/offsets/v3_N.rs` and `src/opcodes/v3_N.rs` from the headers of a CPython.

    python3 derive.py ~/.pyenv/versions/3.12.1/bin/python3.12 [--free-threaded] [--include DIR] [--check]

For each interpreter given, one small C program is compiled against its include folder with Py_BUILD_CORE
defined; it prints what `offsetof` and `sizeof` say, and this script writes them as one Rust constant.
Nothing is written by hand, and nothing but the numbers that naja reads is kept. From 3.13 on a process says
most of them itself, in `_Py_DebugOffsets`; for those versions the script also writes where in that structure
each number is. `--check` compares instead of writing and exits with 1 where a file differs.
"""

import argparse
import json
import pathlib
import re
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
        "libc_tid": ABSENT,  # libc's, not Python's: found on the live process
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
        "copies": f("co_tlbc") if ft and v >= 14 else ABSENT,
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


def local(v, ft):
    f = lambda member: f"offsetof(PyCodeObject, {member})"
    slots = "offsetof(PyFrameObject, f_localsplus)" if v <= 10 else "offsetof(_PyInterpreterFrame, localsplus)"
    older = lambda member: f(member) if v <= 10 else ABSENT
    return {
        "slots": slots,
        "argument_count": f("co_argcount"),
        "keyword_only_count": f("co_kwonlyargcount"),
        "flags": f("co_flags"),
        "names": f("co_varnames" if v <= 10 else "co_localsplusnames"),
        "kinds": f("co_localspluskinds") if v >= 11 else ABSENT,
        "cell_names": older("co_cellvars"),
        "free_names": older("co_freevars"),
        "cell_value": "offsetof(PyCellObject, ob_ref)",
    }


def value(v, ft):
    t = lambda member: f"offsetof(PyTypeObject, {member})"
    return {
        "type_base": t("tp_base"),
        "type_mro": t("tp_mro"),
        "type_dict": t("tp_dict"),
        "type_item_size": t("tp_itemsize"),
        "type_qualname": "offsetof(PyHeapTypeObject, ht_qualname)",
        "list_items": "offsetof(PyListObject, ob_item)",
        "float_value": "offsetof(PyFloatObject, ob_fval)",
        "complex_value": "offsetof(PyComplexObject, cval)",
        "bytearray_start": "offsetof(PyByteArrayObject, ob_start)",
        "set_used": "offsetof(PySetObject, used)",
        "set_mask": "offsetof(PySetObject, mask)",
        "set_table": "offsetof(PySetObject, table)",
        "dict_used": "offsetof(PyDictObject, ma_used)",
        "function_qualname": "offsetof(PyFunctionObject, func_qualname)",
        "method_function": "offsetof(PyMethodObject, im_func)",
        "c_function_definition": "offsetof(PyCFunctionObject, m_ml)",
        "descriptor_name": "offsetof(PyMemberDescrObject, d_common.d_name)",
        "descriptor_member": "offsetof(PyMemberDescrObject, d_member)",
        "member_offset": "offsetof(PyMemberDef, offset)",
        "exception_args": "offsetof(PyBaseExceptionObject, args)",
        "generator_qualname": "offsetof(PyGenObject, gi_qualname)",
    }


def debug(v):
    """Where the words are in `_Py_DebugOffsets` that `src/offsets/debug.rs` uses."""
    f = lambda member: f"offsetof(_Py_DebugOffsets, {member})"
    later = lambda since, member: f(member) if v >= since else ABSENT
    return {
        "version": f("version"),
        "free_threaded": f("free_threaded"),
        "runtime_size": f("runtime_state.size"),
        "runtime_interpreters_head": f("runtime_state.interpreters_head"),
        "interpreter_size": f("interpreter_state.size"),
        "interpreter_id": f("interpreter_state.id"),
        "interpreter_next": f("interpreter_state.next"),
        "interpreter_threads_head": f("interpreter_state.threads_head"),
        "interpreter_gc": f("interpreter_state.gc"),
        "interpreter_modules": f("interpreter_state.imports_modules"),
        "interpreter_gil_pointer": f("interpreter_state.ceval_gil"),
        "interpreter_gil": f("interpreter_state.gil_runtime_state"),
        "interpreter_gil_locked": f("interpreter_state.gil_runtime_state_locked"),
        "interpreter_gil_holder": f("interpreter_state.gil_runtime_state_holder"),
        "thread_size": f("thread_state.size"),
        "thread_next": f("thread_state.next"),
        "thread_interpreter": f("thread_state.interp"),
        "thread_frame": f("thread_state.current_frame"),
        "thread_ident": f("thread_state.thread_id"),
        "thread_native_id": f("thread_state.native_thread_id"),
        "thread_datastack_chunk": f("thread_state.datastack_chunk"),
        "frame_size": f("interpreter_frame.size"),
        "frame_previous": f("interpreter_frame.previous"),
        "frame_code": f("interpreter_frame.executable"),
        "frame_instruction": f("interpreter_frame.instr_ptr"),
        "frame_locals": f("interpreter_frame.localsplus"),
        "frame_owner": f("interpreter_frame.owner"),
        "code_size": f("code_object.size"),
        "code_filename": f("code_object.filename"),
        "code_name": f("code_object.name"),
        "code_qualname": f("code_object.qualname"),
        "code_line_table": f("code_object.linetable"),
        "code_first_line": f("code_object.firstlineno"),
        "code_instructions": f("code_object.co_code_adaptive"),
        "code_copies": later(14, "code_object.co_tlbc"),
        "object_size": f("pyobject.size"),
        "object_type": f("pyobject.ob_type"),
        "type_size": f("type_object.size"),
        "type_name": f("type_object.tp_name"),
        "type_flags": f("type_object.tp_flags"),
        "type_basic_size": later(15, "type_object.tp_basicsize"),
        "type_dict_offset": later(15, "type_object.tp_dictoffset"),
        "type_cached_keys": later(15, "heap_type_object.ht_cached_keys"),
        "tuple_items": f("tuple_object.ob_item"),
        "tuple_size": f("tuple_object.ob_size"),
        "dict_keys": f("dict_object.ma_keys"),
        "dict_values": f("dict_object.ma_values"),
        "long_tag": f("long_object.lv_tag"),
        "long_digits": f("long_object.ob_digit"),
        "bytes_data": f("bytes_object.ob_sval"),
        "unicode_state": f("unicode_object.state"),
        "unicode_length": f("unicode_object.length"),
        "unicode_ascii_size": f("unicode_object.asciiobject_size"),
        "unicode_compact_size": later(15, "unicode_object.compactunicodeobject_size"),
        "gc_collecting": f("gc.collecting"),
        "code_argument_count": f("code_object.argcount"),
        "code_local_names": f("code_object.localsplusnames"),
        "code_local_kinds": f("code_object.localspluskinds"),
        "list_items": f("list_object.ob_item"),
        "float_value": f("float_object.ob_fval"),
        "set_used": later(14, "set_object.used"),
        "set_mask": later(14, "set_object.mask"),
        "set_table": later(14, "set_object.table"),
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
    "local": ("Local", local),
    "value": ("Value", value),
}

HEADERS = {
    8: "pycore_pystate.h pycore_gil.h pycore_ceval.h",
    9: "pycore_interp.h pycore_runtime.h pycore_gil.h",
    10: "pycore_interp.h pycore_runtime.h pycore_gil.h",
    11: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h",
    12: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h",
    13: "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_frame.h pycore_dict.h pycore_object.h",
}
LATER = (
    "pycore_interp.h pycore_runtime.h pycore_gil.h pycore_interpframe.h pycore_dict.h pycore_object.h "
    "pycore_debug_offsets.h"
)

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
    lines += ["#include <Python.h>", "#include <frameobject.h>", "#include <structmember.h>", "#include <stddef.h>", "#include <stdio.h>"]
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
    for field, expression in debug(v).items() if v >= 13 else ():
        if expression != ABSENT:
            lines.append(f'    printf("debug.{field} %ld\\n", (long)({expression}));')
    lines.append("    return 0;\n}")
    return "\n".join(lines) + "\n"


def measure(include, v, ft):
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder, "offsets.c")
        source.write_text(program(v, ft))
        binary = pathlib.Path(folder, "offsets")
        subprocess.run(
            # Debian's headers find their `pyconfig.h` from the folder above.
            ["cc", "-w", "-I", str(include), "-I", str(include / "internal"), "-idirafter", str(include.parent)]
            + ["-o", str(binary), str(source)],
            check=True,
        )
        out = subprocess.run([str(binary)], check=True, capture_output=True, text=True).stdout
    return dict(line.split(" ", 1) for line in out.splitlines())


def render(v, ft, numbers):
    version = numbers["version"].replace(" ", ".")
    kind = ", free-threaded build" if ft else ""
    lines = [
        f"//! CPython 3.{v}{kind}. Written by `derive.py` from the headers of {version}; do not edit.",
        "",
        "use super::{ABSENT, Chunk, Code, Frame, Gil, Interpreter, Local, Object, Offsets, Runtime, Thread, Value};",
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
    if v >= 13 and not ft:
        lines[2] = "use super::debug::Layout;\n" + lines[2]
        lines += ["", "/// Where the process itself says so.", "pub(super) const LAYOUT: Layout = Layout {"]
        for field, expression in debug(v).items():
            lines.append(f"    {field}: {ABSENT if expression == ABSENT else numbers['debug.' + field]},")
        lines.append("};")
    return "\n".join(lines) + "\n"


# Instructions that hand over to C code which can take long.
#
# The general form of each is meant. What the interpreter has specialised for short work on built-in types
# (`BINARY_OP_ADD_INT`, `FOR_ITER_RANGE`) or for a Python function, which gets a frame of its own, is not.
NATIVE = [
    r"(INSTRUMENTED_)?CALL(_.*)?",
    r"PRECALL_.+",
    r"(BINARY|INPLACE|UNARY)_(?!OP_|SUBSCR_|NOT$)\w+",
    r"(COMPARE_OP|CONTAINS_OP|STORE_SUBSCR|UNPACK_SEQUENCE)(_ADAPTIVE)?|(BINARY_OP|BINARY_SUBSCR)_ADAPTIVE",
    r"DELETE_SUBSCR|STORE_SLICE|UNPACK_EX",
    r"(INSTRUMENTED_)?FOR_ITER|(INSTRUMENTED_)?SEND|YIELD_FROM",
    r"IMPORT_NAME|IMPORT_STAR",
    r"FORMAT_(VALUE|SIMPLE|WITH_SPEC)|CONVERT_VALUE|BUILD_STRING",
    r"LIST_EXTEND|SET_UPDATE|DICT_UPDATE|DICT_MERGE|LIST_TO_TUPLE|BUILD_(LIST|MAP|TUPLE|SET)_UNPACK(_WITH_CALL)?",
    r"BEFORE_WITH|SETUP_WITH|WITH_EXCEPT_START|WITH_CLEANUP_START",
]
# Calls that give the callee a frame, and calls that are over at once.
NOT_NATIVE = r".*(?<!NON)_(PY|PY_.+)|.*_(PYFUNC|LEN|TYPE_1|LIST_APPEND)|.*BOUND_METHOD.*|PRECALL_ADAPTIVE|CALL_ALLOC_AND_ENTER_INIT" \
    r"|CALL_(FINALLY|INTRINSIC_.)"


# Those that call a function by name: short or long, the time is the C function's. The others are operators.
CALL = r"(INSTRUMENTED_)?CALL(_.*)?|PRECALL_.+|IMPORT_NAME|IMPORT_STAR"


def opcodes(include):
    """Name and number of every instruction, the specialised ones included."""
    header = include / "opcode_ids.h"
    text = (header if header.exists() else include / "opcode.h").read_text()
    found = re.findall(r"^#define\s+([A-Z][A-Z0-9_]+)\s+(\d+)\s*$", text, re.M)
    numbers = {name: int(number) for name, number in found if not re.match(r"NB_|MIN_|MAX_|ENABLE_|HAVE_ARG", name)}
    return {name: number for name, number in numbers.items() if number < 256}


def is_native(name):
    return any(re.fullmatch(form, name) for form in NATIVE) and not re.fullmatch(NOT_NATIVE, name)


def render_opcodes(v, release, include):
    known = opcodes(include)
    lines = [
        f"//! CPython 3.{v}. Written by `derive.py` from the headers of {release}; do not edit.",
        "",
        "/// The prefix that widens the argument of the instruction after it.",
        f"pub(super) const EXTENDED_ARG: u8 = {known['EXTENDED_ARG']};",
        "",
        "/// Instructions in which time goes to C code.",
        "pub(super) const NATIVE_CALLS: &[u8] = &[",
    ]
    native = [(name, number) for name, number in sorted(known.items()) if is_native(name)]
    lines += [f"    {number}, // {name}" for name, number in native]
    lines += [
        "];",
        "",
        "/// Those of them that call a function by name, not through an operator.",
        "pub(super) const CALLS: &[u8] = &[",
    ]
    lines += [f"    {number}, // {name}" for name, number in native if re.fullmatch(CALL, name)]
    return "\n".join(lines + ["];"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("interpreters", nargs="*", help="python executables whose headers are installed")
    parser.add_argument("--include", action="append", default=[], help="an include folder, without an interpreter")
    parser.add_argument("--free-threaded", action="store_true", help="as a build with Py_GIL_DISABLED")
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--json", action="store_true", help="print the numbers instead of writing, one line each")
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
        ft = options.free_threaded
        numbers = measure(include, v, ft)
        if options.json:
            calls = [number for name, number in opcodes(include).items() if is_native(name)]
            print(json.dumps({"offsets": numbers, "native_calls": sorted(calls)}))
            continue
        files = {f"offsets/v3_{v}{'t' if ft else ''}.rs": render(v, ft, numbers)}
        if not ft:
            files[f"opcodes/v3_{v}.rs"] = render_opcodes(v, numbers["version"].replace(" ", "."), include)
        for name, text in files.items():
            formatter = ["rustfmt", "--edition", "2024", "--config-path", str(HERE.parent.parent)]
            text = subprocess.run(formatter, input=text, check=True, capture_output=True, text=True).stdout
            target = HERE / "src" / name
            if options.check:
                same = target.exists() and body(target.read_text()) == body(text)
                print(f"{name}: {'as in the headers' if same else 'DIFFERS from the headers'} of {include}")
                differs |= not same
            else:
                target.write_text(text)
                print(f"wrote {name} from {include}")
    sys.exit(1 if differs else 0)


def body(text):
    """All but the line that names the release."""
    return text.split("\n", 1)[1]


if __name__ == "__main__":
    main()
