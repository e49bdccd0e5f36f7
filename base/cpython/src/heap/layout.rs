//! How pymalloc lays out its memory, per version: sizes of arenas and pools, and the fields that are read.
//!
//! The structures have kept their fields from 3.8 on; what changed is how large arenas and pools are, and where the
//! allocator keeps its variables. Start at [`layouts`].

use crate::offsets::Version;

/// How large arenas and pools are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of an arena.
    pub arena_bytes: u64,
    /// Bytes of a pool; pools begin at multiples of it.
    pub pool_bytes: u64,
    /// Where the variables are.
    pub(super) place: StatePlace,
}

/// Where the allocator's variables are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StatePlace {
    /// Variables of the file, for all interpreters together. 3.8 to 3.11.
    File,
    /// In the state of each interpreter, so many bytes from its start. 3.12.0.
    Interpreter(u32),
    /// The state of each interpreter has a pointer to it there. 3.13 and later, and later releases of 3.12.
    Pointer(u32),
}

/// Arenas of 3.8 and 3.9, and of later ones that were built without a radix tree.
const SMALL: (u64, u64) = (256 << 10, 4 << 10);
/// Arenas since there is a radix tree.
const LARGE: (u64, u64) = (1 << 20, 16 << 10);

/// What a version can have, the likely one first.
pub(super) fn layouts(version: Version) -> [Layout; 2] {
    let place = match version.minor {
        ..=11 => StatePlace::File,
        12 => StatePlace::Interpreter(3960),
        // 3.13, and a first guess for what comes later: where it does not hold, it is looked for.
        _ => StatePlace::Pointer(10_800),
    };
    let layout = |(arena_bytes, pool_bytes)| Layout { arena_bytes, pool_bytes, place };
    if version.minor < 10 { [layout(SMALL), layout(LARGE)] } else { [layout(LARGE), layout(SMALL)] }
}

/// Size classes: 16, 32, … 512 bytes.
pub const CLASSES: usize = 32;
/// Bytes by which size classes differ.
pub const ALIGNMENT: u64 = 16;

/// Words of `usedpools`: for each class the first and the last pool that has room.
pub(super) const USED_WORDS: usize = 2 * CLASSES;
/// An empty list's head lies so many bytes before its place in `usedpools`.
pub(super) const HEAD_BEFORE: u64 = 16;

/// `struct _obmalloc_mgmt`, which follows `usedpools` from 3.12 on.
pub(super) mod management {
    pub(crate) const ARENAS: usize = 512;
    pub(crate) const ARENA_COUNT: usize = 520;
    pub(crate) const TIMES_ALLOCATED: usize = 512 + 560;
    pub(crate) const HIGHEST: usize = 512 + 568;
    /// Bytes up to here.
    pub(crate) const END: usize = 512 + 576;
}

/// `struct arena_object`.
pub(super) mod arena {
    pub(crate) const ADDRESS: usize = 0;
    pub(crate) const NEXT_POOL: usize = 8;
    pub(crate) const FREE_POOLS: usize = 16;
    pub(crate) const ALL_POOLS: usize = 20;
    pub(crate) const NEXT: usize = 32;
    pub(crate) const SIZE: usize = 48;
}

/// `struct pool_header`.
pub(super) mod pool {
    pub(crate) const USED: usize = 0;
    pub(crate) const FREE_BLOCK: usize = 8;
    pub(crate) const ARENA: usize = 32;
    pub(crate) const CLASS: usize = 36;
    pub(crate) const NEXT_OFFSET: usize = 40;
    pub(crate) const SIZE: usize = 48;
}

impl Layout {
    /// Bytes of a block of this class.
    pub fn block_bytes(class: u8) -> u64 {
        (u64::from(class) + 1) * ALIGNMENT
    }

    /// How many blocks of this class a pool holds.
    pub fn blocks_per_pool(&self, class: u8) -> u64 {
        (self.pool_bytes - pool::SIZE as u64) / Layout::block_bytes(class)
    }

    /// The most pools that an arena holds.
    pub fn pools_per_arena(&self) -> u64 {
        self.arena_bytes / self.pool_bytes
    }
}
