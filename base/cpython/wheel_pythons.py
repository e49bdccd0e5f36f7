#!/usr/bin/env python3
"""Makes interpreters that no system package has, out of the wheels of freeze-core: free-threaded builds and musl.

    pip download --no-deps --only-binary :all: --python-version 314 --abi cp314t \\
        --platform musllinux_1_2_x86_64 freeze-core==0.8.1
    python3 wheel_pythons.py freeze_core-0.8.1-cp314-cp314t-musllinux_1_2_x86_64.whl LIB FOLDER
    NAJA_TEST_PYTHONS=FOLDER/bin/python3.14t cargo test -p naja-cpython

Such a wheel holds the whole of CPython in one program, statically linked, whose `main` starts a frozen
application, and the standard library's extension modules. `main` becomes a jump to `Py_BytesMain`, which is all
that `main` of CPython's own program does. LIB is the pure Python part of the standard library of the same minor
version, for example Debian's /usr/lib/python3.14 or the folder Lib of CPython's source: no wheel holds that.
For a musl build the loader is needed too (Debian's package `musl`).
"""

import pathlib
import re
import shutil
import struct
import sys
import zipfile


def dynamic_symbols(program: bytes) -> dict[str, int]:
    """The exported symbols of a 64-bit ELF program: name to virtual address."""
    sections_at, = struct.unpack_from("<Q", program, 0x28)
    size, count = struct.unpack_from("<HH", program, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", program, sections_at + index * size) for index in range(count)]
    table = next(section for section in sections if section[1] == 11)  # SHT_DYNSYM
    names = sections[table[6]]
    symbols = {}
    for at in range(table[4], table[4] + table[5], 24):
        name_at, _, _, section, value, _ = struct.unpack_from("<IBBHQQ", program, at)
        start = names[4] + name_at
        if section:
            symbols[program[start : program.index(b"\0", start)].decode()] = value
    return symbols


def file_offset(program: bytes, address: int) -> int:
    """Where in the file the code at a virtual address is."""
    headers_at, = struct.unpack_from("<Q", program, 0x20)
    size, count = struct.unpack_from("<HH", program, 0x36)
    for index in range(count):
        kind, _, offset, start, _, length, _, _ = struct.unpack_from("<IIQQQQQQ", program, headers_at + index * size)
        if kind == 1 and start <= address < start + length:  # PT_LOAD
            return offset + address - start
    raise SystemExit(f"{address:#x} is in no part of the file")


def with_main_of_python(program: bytes) -> bytes:
    """The program, with its `main` a jump to `Py_BytesMain`."""
    symbols = dynamic_symbols(program)
    for name in ("main", "Py_BytesMain"):
        if name not in symbols:
            raise SystemExit(f"the program does not export {name}")
    jump = b"\xe9" + struct.pack("<i", symbols["Py_BytesMain"] - (symbols["main"] + 5))
    at = file_offset(program, symbols["main"])
    return program[:at] + jump + program[at + len(jump) :]


def main() -> None:
    if len(sys.argv) != 4:
        raise SystemExit(__doc__)
    wheel, library, folder = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    if folder.exists():
        raise SystemExit(f"{folder} exists")
    parts = folder / "wheel"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(parts)
    console = next(parts.glob("freeze_core/bases/console-cpython-*"))
    major, minor, threads = re.search(r"cpython-(\d)(\d+)(t?)-", console.name).groups()
    name = f"python{major}.{minor}{threads}"

    program = folder / "bin" / name
    program.parent.mkdir()
    program.write_bytes(with_main_of_python(console.read_bytes()))
    program.chmod(0o755)

    target = folder / "lib" / name
    # Not what is of another build or of another system: Debian's `sitecustomize.py` is a link to /etc.
    others = ("__pycache__", "lib-dynload", "test", "site-packages", "sitecustomize.py", "_sysconfigdata*")
    shutil.copytree(library, target, ignore=shutil.ignore_patterns(*others))
    shutil.copytree(parts / "freeze_core" / "lib", target / "lib-dynload")
    # Program and modules look for the wheel's libraries two folders above their own, or in `../lib`.
    libraries = parts / "freeze_core.libs"
    shutil.copytree(libraries, folder / "lib" / name / "freeze_core.libs")
    shutil.copytree(libraries, folder / "lib", dirs_exist_ok=True)
    (folder / "freeze_core.libs").symlink_to("lib")
    (folder / "lib" / "freeze_core.libs").symlink_to(".")
    shutil.rmtree(parts)
    print(program)


if __name__ == "__main__":
    main()
