"""Memory of each kind, made on purpose: for tests of what a `Tracker` sees.

What is asked for here is asked of the C library by naja's extension, as any extension would.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from naja._native import memory

from ._memray import PymallocDomain

MmapAllocator = memory.MmapAllocator
PymallocMemoryAllocator = memory.PymallocMemoryAllocator
_cython_allocate_in_two_places = memory.allocate_in_two_places
_cython_nested_allocation = memory.nested_allocation
allocate_cpp_vector = memory.allocate_cpp_vector
allocate_without_gil_held = memory.allocate_without_gil_held
fill_cpp_vector = memory.fill_cpp_vector
function_caller = memory.function_caller
set_thread_name = memory.set_thread_name


class MemoryAllocator:
    """A block at a time from a function of the C library."""

    def __init__(self) -> None:
        self.allocator = memory.MemoryAllocator()

    def free(self) -> None:
        self.allocator.free()

    def malloc(self, size: int) -> bool:
        return self.allocator.take("malloc", size)

    def calloc(self, size: int) -> bool:
        return self.allocator.take("calloc", size)

    def realloc(self, size: int) -> bool:
        return self.allocator.take("realloc", size)

    # memray's own tests name the line of the next call: it is the fiftieth there too.



    def valloc(self, size: int) -> bool:
        return self.allocator.take("valloc", size)

    def posix_memalign(self, size: int) -> bool:
        return self.allocator.take("posix_memalign", size)

    def aligned_alloc(self, size: int) -> bool:
        return self.allocator.take("aligned_alloc", size)

    def memalign(self, size: int) -> bool:
        return self.allocator.take("memalign", size)

    def pvalloc(self, size: int) -> bool:
        return self.allocator.take("pvalloc", size)

    def free_sized(self, size: int) -> bool:
        # C libraries that have it are newer than those that naja is built for.
        return False

    def free_aligned_sized(self, size: int) -> bool:
        return False

    def run_in_pthread(self, callback: Callable[[], None]) -> None:
        self.allocator.run_in_pthread(callback)


def exit(py_finalize: bool = False) -> None:
    memory.exit(py_finalize)


class PrimeCaches:
    """Has a profile function while the block runs, so that what an interpreter makes for that is there."""

    def __init__(self, size: int = 0) -> None:
        pass

    def __enter__(self) -> PrimeCaches:
        self._before = sys.getprofile()
        sys.setprofile(lambda *args: None)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(self._before)


def rss_from_proc_status(proc_status: str) -> int:
    """Resident memory in bytes, with huge pages, out of the text of `/proc/PID/status`."""
    found = re.findall(r"^(?:VmRSS|HugetlbPages):\s*(\d+) kB$", proc_status, re.MULTILINE)
    if not found:
        raise ValueError("Failed to parse VmRSS from proc status")
    return sum(map(int, found)) * 1024


__all__ = [
    "MemoryAllocator",
    "MmapAllocator",
    "PrimeCaches",
    "PymallocDomain",
    "PymallocMemoryAllocator",
    "_cython_allocate_in_two_places",
    "_cython_nested_allocation",
    "allocate_cpp_vector",
    "allocate_without_gil_held",
    "exit",
    "fill_cpp_vector",
    "function_caller",
    "rss_from_proc_status",
    "set_thread_name",
]
