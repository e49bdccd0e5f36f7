"""naja.memray: memray's interface over naja's own recorder and recordings.

Change `import memray` to `import naja.memray as memray`. A recording is a `.naja` file, whatever its name: every
`naja memory` command reads it too. What differs is in docs/tools/memory.md.
"""

from ._memray import AllocationRecord
from ._memray import AllocatorType
from ._memray import Destination
from ._memray import FileDestination
from ._memray import FileFormat
from ._memray import FileReader
from ._memray import MemorySnapshot
from ._memray import SocketDestination
from ._memray import SocketReader
from ._memray import Tracker
from ._memray import dump_all_records
from ._memray import set_log_level
from ._memray import start_thread_trace
from ._metadata import Metadata
from ._version import __version__

__all__ = [
    "AllocationRecord",
    "AllocatorType",
    "Destination",
    "FileDestination",
    "FileFormat",
    "FileReader",
    "MemorySnapshot",
    "Metadata",
    "SocketDestination",
    "SocketReader",
    "Tracker",
    "__version__",
    "dump_all_records",
    "set_log_level",
    "start_thread_trace",
]
