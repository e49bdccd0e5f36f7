//! What passes between the agent in a program and naja beside it.
//!
//! The agent's crate compiles this same file: it is the one thing that the two share. A connection begins with
//! [`Hello`], which naja answers with [`Settings`]; then comes a [`Ring`](NewRing) for each thread, with the descriptor
//! of its memory. What stands in a ring is a stream of records, each of which begins with a tag. Numbers are as in
//! LEB128; differences, which may be negative, are folded first ([`folded`]).

/// Both sides are of one build, and say so.
pub const VERSION: u32 = 2;

/// The variable in the environment that says where naja listens.
pub const PLACE: &str = "NAJA_MEMORY_AGENT";

/// Bytes of records that a ring holds; a power of two.
pub const RING_BYTES: usize = 512 << 10;
/// Bytes before them: the ring's [`Head`], a page.
pub const HEAD_BYTES: usize = 4096;
/// No record is longer, but for those of code, which may be cut in two.
pub const RECORD_BYTES_MAX: usize = 4096;

/// What a record says, its tag's lowest three bits; the others hold an [`Allocator`] where there is one.
pub mod tag {
    /// Memory was given: address, size, time.
    pub const GIVEN: u8 = 0;
    /// Memory was taken back: address, time; of a mapping also its size, before the time.
    pub const TAKEN: u8 = 1;
    /// What the last [`TAKEN`] of this thread said has not happened: a `realloc` failed.
    pub const NOT_TAKEN: u8 = 2;
    /// The stack: how many frames are gone at its end, how many are new, and these, the outermost first: each the
    /// number of its code (0 none) with whether the interpreter's loop was entered for it, and where it stands.
    pub const STACK: u8 = 3;
    /// A code object: its number, its address, and copies of memory that say what it is, as many as a count says: each
    /// an address, a length, and the bytes.
    pub const CODE: u8 = 4;
    /// The next records tell new frames of the stack that the last one had no room for.
    pub const STACK_GOES_ON: u8 = 5;
    /// The native stack: how many return addresses are gone at its end, how many are new, and these, the outermost first.
    pub const NATIVE: u8 = 6;
    /// As [`STACK_GOES_ON`], of the native stack.
    pub const NATIVE_GOES_ON: u8 = 7;
}

/// Where memory came from or went to. The numbers are those of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs)] // each is the function of its name
pub enum Allocator {
    Malloc = 1,
    Free = 2,
    Calloc = 3,
    Realloc = 4,
    PosixMemalign = 5,
    AlignedAlloc = 6,
    Memalign = 7,
    Valloc = 8,
    Pvalloc = 9,
    Mmap = 10,
    Munmap = 11,
    PymallocMalloc = 12,
    PymallocCalloc = 13,
    PymallocRealloc = 14,
    PymallocFree = 15,
}

impl Allocator {
    /// Each, in the order of its number.
    pub const ALL: [Allocator; 15] = [
        Allocator::Malloc,
        Allocator::Free,
        Allocator::Calloc,
        Allocator::Realloc,
        Allocator::PosixMemalign,
        Allocator::AlignedAlloc,
        Allocator::Memalign,
        Allocator::Valloc,
        Allocator::Pvalloc,
        Allocator::Mmap,
        Allocator::Munmap,
        Allocator::PymallocMalloc,
        Allocator::PymallocCalloc,
        Allocator::PymallocRealloc,
        Allocator::PymallocFree,
    ];

    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Allocator::Malloc => "malloc",
            Allocator::Free => "free",
            Allocator::Calloc => "calloc",
            Allocator::Realloc => "realloc",
            Allocator::PosixMemalign => "posix_memalign",
            Allocator::AlignedAlloc => "aligned_alloc",
            Allocator::Memalign => "memalign",
            Allocator::Valloc => "valloc",
            Allocator::Pvalloc => "pvalloc",
            Allocator::Mmap => "mmap",
            Allocator::Munmap => "munmap",
            Allocator::PymallocMalloc => "pymalloc_malloc",
            Allocator::PymallocCalloc => "pymalloc_calloc",
            Allocator::PymallocRealloc => "pymalloc_realloc",
            Allocator::PymallocFree => "pymalloc_free",
        }
    }

    /// The function that takes back what this one gives.
    pub fn taken_by(self) -> Allocator {
        match self {
            Allocator::Mmap | Allocator::Munmap => Allocator::Munmap,
            Allocator::PymallocMalloc
            | Allocator::PymallocCalloc
            | Allocator::PymallocRealloc
            | Allocator::PymallocFree => Allocator::PymallocFree,
            _ => Allocator::Free,
        }
    }

    /// That of a number; none that is known.
    pub fn of_number(number: u8) -> Option<Allocator> {
        Allocator::ALL.get(usize::from(number).wrapping_sub(1)).copied()
    }
}

/// The beginning of a ring's memory.
#[repr(C, align(64))]
pub struct Head {
    /// Bytes that were ever written; the agent's.
    pub written: std::sync::atomic::AtomicU64,
    _apart: [u8; 56],
    /// Bytes that were ever read; naja's.
    pub read: std::sync::atomic::AtomicU64,
    /// naja sleeps, and wants to be woken when there is much to read.
    pub sleeps: std::sync::atomic::AtomicU32,
    _apart_too: [u8; 52],
    /// The thread is over: no more will come.
    pub is_over: std::sync::atomic::AtomicU32,
}

/// A difference as a number that is small where the difference is.
#[inline(always)]
pub fn folded(difference: i64) -> u64 {
    ((difference << 1) ^ (difference >> 63)) as u64
}

/// The other way round.
#[inline(always)]
pub fn unfolded(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// A message on the connection, of a fixed size: which it is, then numbers.
pub const MESSAGE_BYTES: usize = 256;

/// Which message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Message {
    /// From the agent: [`VERSION`], the process, its parent, the interpreter's version (`PY_VERSION_HEX`, 0 where there is
    /// none), whether it is free-threaded, the address of `_PyRuntime`, and what the C library's heap had given before
    /// the agent began, in bytes.
    Hello = 1,
    /// From naja: [`VERSION`], [`settings`], after how many bytes a sample is taken, and whether the layouts of the
    /// interpreter's structures follow.
    Settings = 2,
    /// From the agent, with a descriptor: the thread's number.
    NewRing = 3,
    /// From the agent: there is much to read.
    Wake = 4,
}

/// What the agent is to do, as a sum.
pub mod settings {
    /// Python's own allocators too.
    pub const PYTHON_ALLOCATORS: u64 = 1;
    /// Children too.
    pub const FOLLOW: u64 = 2;
    /// Native stacks too.
    pub const NATIVE: u64 = 4;
    /// Not each allocation but samples of them, by their bytes.
    pub const SAMPLED: u64 = 8;
}

/// What an agent answers that was told to begin or to end in a program that runs already.
pub mod reason {
    /// It is done.
    pub const NONE: i32 = 0;
    /// There is an agent already, which has begun.
    pub const ALREADY: i32 = 1;
    /// Nobody listens at the place, or whoever does is of another build.
    pub const NO_ANSWER: i32 = 2;
    /// The place cannot be one.
    pub const BAD_PLACE: i32 = 3;
    /// The system has no memory or no key left for it.
    pub const NO_RESOURCES: i32 = 4;
    /// It has not begun.
    pub const NOT_BEGUN: i32 = 5;
    /// A thread stays within the agent; the end may be asked for again.
    pub const BUSY: i32 = 6;
    /// It has ended, but somebody has put allocators before Python's that still call the agent's, so that it must stay
    /// loaded.
    pub const REPLACED: i32 = 7;
}

/// What an agent in a program that runs already lets naja read: the symbol `naja_memory_told`.
#[repr(C)]
pub struct Told {
    /// What the last beginning came to; see [`reason`]. -1: not yet called.
    pub began: std::sync::atomic::AtomicI64,
    /// What the last end came to.
    pub ended: std::sync::atomic::AtomicI64,
    /// What the dynamic linker calls the agent, for `dlclose`.
    pub handle: std::sync::atomic::AtomicU64,
    /// Threads that are loading a library.
    pub loading: std::sync::atomic::AtomicU64,
}

impl Told {
    /// Nothing yet.
    #[allow(clippy::new_without_default)] // the agent needs it in a constant
    pub const fn new() -> Told {
        Told {
            began: std::sync::atomic::AtomicI64::new(-1),
            ended: std::sync::atomic::AtomicI64::new(-1),
            handle: std::sync::atomic::AtomicU64::new(0),
            loading: std::sync::atomic::AtomicU64::new(0),
        }
    }
}

/// Numbers of a message, as bytes.
pub fn message(kind: Message, numbers: &[u64]) -> [u8; MESSAGE_BYTES] {
    let mut bytes = [0; MESSAGE_BYTES];
    let words = std::iter::once(kind as u64).chain(numbers.iter().copied());
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Number `index` of a message; 0 is which message it is.
pub fn number(bytes: &[u8; MESSAGE_BYTES], index: usize) -> u64 {
    let word = bytes.get(index * 8..index * 8 + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}
