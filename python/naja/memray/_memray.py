"""The names of memray's own extension module, put together."""

from __future__ import annotations

import enum

from naja._native import memory

from ._destination import Destination, FileDestination, SocketDestination
from ._kinds import AllocatorType, FileFormat, MemorySnapshot
from ._reader import FileReader, compute_statistics, dump_all_records, size_fmt
from ._socket import SocketReader
from ._stats import Stats
from ._tracker import Tracker, set_log_level, start_thread_trace

AllocationRecord = memory.AllocationRecord
Interval = memory.Interval
TemporalAllocationRecord = memory.TemporalAllocationRecord

__all__ = [
    "AllocationRecord",
    "AllocatorType",
    "Destination",
    "FileDestination",
    "FileFormat",
    "FileReader",
    "Interval",
    "MemorySnapshot",
    "PymallocDomain",
    "SocketDestination",
    "SocketReader",
    "Stats",
    "TemporalAllocationRecord",
    "Tracker",
    "compute_statistics",
    "dump_all_records",
    "set_log_level",
    "size_fmt",
    "start_thread_trace",
]


class PymallocDomain(enum.IntEnum):
    PYMALLOC_RAW = 1
    PYMALLOC_MEM = 2
    PYMALLOC_OBJECT = 3
