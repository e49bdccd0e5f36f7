"""What functions give memory, and how much of it is recorded."""

from __future__ import annotations

import enum
from typing import NamedTuple


class AllocatorType(enum.IntEnum):
    # The numbers stand in `tools/memory/py/src/numbers.rs` too.
    PYMALLOC_FREE = 1
    PYMALLOC_MALLOC = 2
    PYMALLOC_CALLOC = 3
    PYMALLOC_REALLOC = 4
    FREE = 5
    MALLOC = 6
    REALLOC = 7
    CALLOC = 8
    POSIX_MEMALIGN = 9
    ALIGNED_ALLOC = 10
    MEMALIGN = 11
    VALLOC = 12
    PVALLOC = 13
    MMAP = 14
    MUNMAP = 15


class FileFormat(enum.IntEnum):
    ALL_ALLOCATIONS = 1
    AGGREGATED_ALLOCATIONS = 2


class MemorySnapshot(NamedTuple):
    """Milliseconds since 1970, and bytes."""

    time: int
    rss: int
    heap: int
