//! Which number memray's `AllocatorType` has for a function of ours. The Python side of the table is `_memray.py`.

use naja_memory::wire::Allocator;

/// memray's number.
pub(crate) fn memrays(allocator: Allocator) -> i64 {
    match allocator {
        Allocator::PymallocFree => 1,
        Allocator::PymallocMalloc => 2,
        Allocator::PymallocCalloc => 3,
        Allocator::PymallocRealloc => 4,
        Allocator::Free => FREE,
        Allocator::Malloc => 6,
        Allocator::Realloc => 7,
        Allocator::Calloc => 8,
        Allocator::PosixMemalign => 9,
        Allocator::AlignedAlloc => 10,
        Allocator::Memalign => 11,
        Allocator::Valloc => 12,
        Allocator::Pvalloc => 13,
        Allocator::Mmap => 14,
        Allocator::Munmap => MUNMAP,
    }
}

/// That of a number in a recording; 0 of one that is not known.
pub(crate) fn of_recorded(number: u8) -> i64 {
    Allocator::of_number(number).map_or(0, memrays)
}

/// `AllocatorType.FREE`
pub(crate) const FREE: i64 = 5;
/// `AllocatorType.MUNMAP`
pub(crate) const MUNMAP: i64 = 15;
