import enum
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from types import FrameType, TracebackType
from typing import Any, NamedTuple, overload

__version__: str

_Call = tuple[str, str, int]
_Path = str | os.PathLike[str]

class AllocatorType(enum.IntEnum):
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
    time: int
    rss: int
    heap: int

@dataclass
class Metadata:
    start_time: datetime
    end_time: datetime
    total_allocations: int
    total_frames: int
    peak_memory: int
    command_line: str
    pid: int
    main_thread_id: int
    python_allocator: str
    has_native_traces: bool
    trace_python_allocators: bool
    file_format: FileFormat

class _WithStack:
    @property
    def allocator(self) -> int: ...
    @property
    def stack_id(self) -> int: ...
    @property
    def tid(self) -> int: ...
    @property
    def native_stack_id(self) -> int: ...
    @property
    def native_segment_generation(self) -> int: ...
    @property
    def thread_name(self) -> str: ...
    def stack_trace(self, max_stacks: int | None = None) -> list[_Call]: ...
    def native_stack_trace(self, max_stacks: int | None = None) -> list[_Call]: ...
    def hybrid_stack_trace(self, max_stacks: int | None = None) -> list[_Call]: ...

class AllocationRecord(_WithStack):
    def __init__(self, record: tuple[int, int, int, int, int, int, int, int]) -> None: ...
    @property
    def address(self) -> int: ...
    @property
    def n_allocations(self) -> int: ...
    @property
    def size(self) -> int: ...

class _Interval:
    allocated_before_snapshot: int
    deallocated_before_snapshot: int | None
    n_allocations: int
    n_bytes: int

class _TemporalAllocationRecord(_WithStack):
    @property
    def intervals(self) -> list[_Interval]: ...

@dataclass(frozen=True)
class Destination: ...

@dataclass(frozen=True)
class FileDestination(Destination):
    path: _Path
    overwrite: bool = ...
    compress_on_exit: bool = ...
    buffered: bool = ...

@dataclass(frozen=True)
class SocketDestination(Destination):
    server_port: int
    address: str = ...

class FileReader:
    def __init__(self, file_name: _Path, *, report_progress: bool = ..., max_memory_records: int = ...) -> None: ...
    def __enter__(self) -> FileReader: ...
    def __exit__(self, *exc: object) -> None: ...
    def close(self) -> None: ...
    @property
    def closed(self) -> bool: ...
    @property
    def metadata(self) -> Metadata: ...
    def get_allocation_records(self) -> Iterator[AllocationRecord]: ...
    def get_high_watermark_allocation_records(self, merge_threads: bool = ...) -> Iterator[AllocationRecord]: ...
    def get_leaked_allocation_records(self, merge_threads: bool = ...) -> Iterator[AllocationRecord]: ...
    def get_temporary_allocation_records(
        self, merge_threads: bool = ..., threshold: int = ...
    ) -> Iterator[AllocationRecord]: ...
    def get_temporal_allocation_records(
        self, merge_threads: bool = ...
    ) -> Iterator[_TemporalAllocationRecord]: ...
    def get_temporal_high_water_mark_allocation_records(
        self, merge_threads: bool = ...
    ) -> tuple[list[_TemporalAllocationRecord], list[int]]: ...
    def get_memory_snapshots(self) -> Iterator[MemorySnapshot]: ...
    def get_object_lifetime_events(self, included_objects: Iterable[Any] | None = ...) -> Iterator[Any]: ...
    def get_tracked_objects(self, included_objects: Iterable[Any] | None = ...) -> Iterator[Any]: ...

class SocketReader:
    def __init__(self, port: int) -> None: ...
    def __enter__(self) -> SocketReader: ...
    def __exit__(self, *exc: object) -> None: ...
    def get_current_snapshot(self, *, merge_threads: bool) -> Iterator[AllocationRecord]: ...
    @property
    def command_line(self) -> str | None: ...
    @property
    def is_active(self) -> bool: ...
    @property
    def pid(self) -> int | None: ...
    @property
    def has_native_traces(self) -> bool: ...
    @property
    def recording(self) -> str: ...

class Tracker:
    @overload
    def __init__(
        self,
        file_name: _Path,
        *,
        native_traces: bool = ...,
        memory_interval_ms: int = ...,
        follow_fork: bool = ...,
        trace_python_allocators: bool = ...,
        file_format: FileFormat = ...,
        track_object_lifetimes: bool = ...,
        reference_tracking: bool = ...,
    ) -> None: ...
    @overload
    def __init__(
        self,
        *,
        destination: Destination,
        native_traces: bool = ...,
        memory_interval_ms: int = ...,
        follow_fork: bool = ...,
        trace_python_allocators: bool = ...,
        file_format: FileFormat = ...,
        track_object_lifetimes: bool = ...,
        reference_tracking: bool = ...,
    ) -> None: ...
    def __enter__(self) -> Tracker: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def get_surviving_objects(self) -> tuple[object, ...]: ...

def dump_all_records(file_name: _Path) -> None: ...
def set_log_level(level: int) -> None: ...
def start_thread_trace(frame: FrameType, event: str, arg: Any) -> Any: ...
