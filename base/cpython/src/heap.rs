//! How CPython's own allocator of small objects, pymalloc, uses its memory: arenas, the pools in them, and how many blocks
//! of which size each has in use.
//!
//! It is read while the program runs. Each pool's header is of one moment, but not all of them of the same one: a [`Heap`] says
//! how many arenas changed meanwhile. What cannot be true is left out and counted. Start at [`of_process`].

mod find;
mod kinds;
mod layout;

use std::fmt;

use naja_system::Failure;

use self::find::{ARENAS_MAX, NAMES, Root, counted, is_arena, roots};
use self::layout::{arena, pool};
use crate::core_file::CoreFile;
use crate::locate::{self, Located, Place, Variables};
use crate::memory::{LiveProcess, Memory, Range};

pub use kinds::{Kinds, kinds_of};
pub use layout::{ALIGNMENT, CLASSES, Layout};

/// How often reading begins again where the vector of arenas was replaced meanwhile.
const TRIES: u32 = 5;
/// Pool headers that are read in one call.
const BATCH: usize = 1024;
/// Bytes of the vector of arenas that are read at a time.
const PART: usize = 1 << 20;

/// What pymalloc has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heap {
    /// One for each interpreter that has its own; before 3.12 there is one for all.
    pub states: Vec<State>,
}

/// The arenas of one interpreter, or of all of them together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Number of the interpreter; `None` where all share it (before 3.12).
    pub interpreter: Option<u64>,
    /// What led to its variables.
    pub found_by: FoundStateBy,
    /// How large arenas and pools are.
    pub layout: Layout,
    /// In order of address.
    pub arenas: Vec<Arena>,
    /// The most arenas there ever were at once, where it is known.
    pub highest: Option<u64>,
    /// How many were ever asked of the system, where it is known.
    pub times_allocated: Option<u64>,
    /// Arenas that changed while they were read.
    pub changed: usize,
    /// Arenas and pools that could not be read, or held what cannot be.
    pub unreadable: usize,
}

/// An arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// First address.
    pub address: u64,
    /// All its pools, in order of address.
    pub pools: Vec<Pool>,
}

impl Arena {
    /// The addresses of its pools that have blocks in use.
    pub fn used_pools(&self, layout: &Layout) -> impl Iterator<Item = u64> {
        let pool_bytes = layout.pool_bytes;
        let first = self.address.next_multiple_of(pool_bytes);
        let used = self.pools.iter().zip(0_u64..).filter(|(pool, _)| matches!(pool, Pool::Used { .. }));
        used.map(move |(_, place)| first + place * pool_bytes)
    }
}

/// A pool: blocks of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// It was never used.
    Untouched,
    /// It was used, and has no block in use any more.
    Free,
    /// It has blocks in use.
    Used {
        /// Its size class; see [`Layout::block_bytes`].
        class: u8,
        /// How many blocks are in use, at least one.
        blocks: u16,
    },
    /// It could not be read.
    Unreadable,
}

/// What led to the allocator's variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundStateBy {
    /// Their names in the file's table of symbols.
    Symbols,
    /// The version's place for them in the state of an interpreter.
    Table,
    /// What they look like: a file without names, or a version whose place for them is not known.
    Scan,
}

impl FoundStateBy {
    /// In a word or two.
    pub fn word(self) -> &'static str {
        match self {
            FoundStateBy::Symbols => "symbols",
            FoundStateBy::Table => "table",
            FoundStateBy::Scan => "scan",
        }
    }
}

/// Why there is nothing to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeapError {
    /// A build without a GIL, whose objects mimalloc keeps.
    FreeThreaded,
    /// Nothing in the process looks like pymalloc.
    NotFound,
    /// It went on changing while it was read.
    Unsteady,
}

impl HeapError {
    fn failure(self) -> Failure {
        match self {
            HeapError::FreeThreaded => Failure::new(
                "other-allocator",
                "a build without a GIL keeps its objects in mimalloc, which has no arenas and pools of this kind",
            )
            .hint("`naja memory run --python-allocators` shows where its memory goes"),
            HeapError::NotFound => Failure::new(
                "heap-not-found",
                "nothing in the process looks like pymalloc: its Python was built without it, or keeps it in a way that naja does not know",
            )
            .hint("`naja memory run` shows where its memory goes, whatever allocator it has"),
            HeapError::Unsteady => {
                Failure::new("heap-unsteady", "the arenas were replaced again and again while they were read")
                    .hint("try again; `kill -STOP` and `kill -CONT` make it wait")
            }
        }
    }
}

impl fmt::Display for HeapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl From<HeapError> for Failure {
    fn from(error: HeapError) -> Failure {
        error.failure()
    }
}

/// Reads the arenas of a living process, which is not stopped.
///
/// Errors: [`HeapError`]
/// Cost: the file's table of symbols up to 3.11; some 0.4 µs a pool, so 25 ms for a GiB.
pub fn of_process(memory: &LiveProcess, located: &Located) -> Result<Heap, HeapError> {
    of_place(Place::Process(memory.pid()), memory, located)
}

/// The same of a core file.
///
/// Errors: [`HeapError`]
pub fn of_core(core: &CoreFile, located: &Located) -> Result<Heap, HeapError> {
    of_place(Place::Core(core), core, located)
}

fn of_place(place: Place<'_>, memory: &dyn Memory, located: &Located) -> Result<Heap, HeapError> {
    let has_variables = located.version.minor < 12;
    let variables = match has_variables {
        true => locate::variables(place, memory, located, &NAMES).map_err(|_| HeapError::NotFound)?,
        false => Variables::default(),
    };
    read(memory, located, &variables)
}

/// Reads the arenas with what is known of the file's variables.
pub(crate) fn read(memory: &dyn Memory, located: &Located, variables: &Variables) -> Result<Heap, HeapError> {
    if located.free_threaded {
        return Err(HeapError::FreeThreaded);
    }
    let roots = roots(memory, located, variables);
    if roots.is_empty() {
        return Err(HeapError::NotFound);
    }
    let states = roots.iter().map(|root| state(memory, root)).collect::<Option<Vec<State>>>();
    states.map(|states| Heap { states }).ok_or(HeapError::Unsteady)
}

fn state(memory: &dyn Memory, root: &Root) -> Option<State> {
    for _ in 0..TRIES {
        let (vector, count) = vector(memory, root)?;
        let before = read_vector(memory, vector, count)?;
        let mut state = State {
            interpreter: root.interpreter,
            found_by: root.found_by,
            layout: root.layout,
            arenas: Vec::new(),
            highest: root.highest,
            times_allocated: root.times_allocated,
            changed: 0,
            unreadable: 0,
        };
        let mut good: Vec<&[u8]> = Vec::new();
        let mut objects: Vec<&[u8]> =
            before.chunks_exact(arena::SIZE).filter(|object| word(object, arena::ADDRESS) != 0).collect();
        objects.sort_by_key(|object| word(object, arena::ADDRESS));
        for object in objects {
            let end = good.last().map_or(0, |last| word(last, arena::ADDRESS) + root.layout.arena_bytes);
            match is_arena(&root.layout, object) && word(object, arena::ADDRESS) >= end {
                true => good.push(object),
                false => state.unreadable += 1,
            }
        }
        read_pools(memory, &good, &mut state);
        let after = read_vector(memory, vector, count);
        if self::vector(memory, root) == Some((vector, count))
            && let Some(after) = after
        {
            let both = before.chunks_exact(arena::SIZE).zip(after.chunks_exact(arena::SIZE));
            // The lists that arenas are in change whenever another one does.
            state.changed = both.filter(|(before, after)| before[..24] != after[..24]).count();
            return Some(state);
        }
    }
    None
}

/// Where the vector of arenas is, and how many places it has.
fn vector(memory: &dyn Memory, root: &Root) -> Option<(u64, u32)> {
    if root.arenas_at == 0 {
        return Some((0, 0));
    }
    let vector = memory.read_u64(root.arenas_at).ok()?;
    if vector == 0 {
        return Some((0, 0));
    }
    let count = match root.count_at {
        0 => counted(memory, &root.layout, vector),
        at => quad(&memory.read_u64(at).ok()?.to_le_bytes(), 0),
    };
    (count <= ARENAS_MAX).then_some((vector, count))
}

fn read_vector(memory: &dyn Memory, vector: u64, count: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let len = count as usize * arena::SIZE;
    // A count that is not true ends at memory that is not there, before much is asked for.
    while bytes.len() < len {
        let start = bytes.len();
        bytes.resize((start + PART).min(len), 0);
        memory.read(vector.wrapping_add(start as u64), &mut bytes[start..]).ok()?;
    }
    Some(bytes)
}

/// Adds these arenas with what their pools' headers say.
fn read_pools(memory: &dyn Memory, objects: &[&[u8]], state: &mut State) {
    let pool_bytes = state.layout.pool_bytes;
    // For each pool that was ever used, its arena, its place there and its header.
    let mut wanted: Vec<(usize, usize, u64)> = Vec::new();
    for object in objects {
        let (address, next_pool) = (word(object, arena::ADDRESS), word(object, arena::NEXT_POOL));
        let first = address.next_multiple_of(pool_bytes);
        let all = quad(object, arena::ALL_POOLS) as usize;
        let touched = (next_pool.saturating_sub(first) / pool_bytes).min(all as u64) as usize;
        let index = state.arenas.len();
        wanted.extend((0..touched).map(|place| (index, place, first + place as u64 * pool_bytes)));
        state.arenas.push(Arena { address, pools: vec![Pool::Untouched; all] });
    }
    let mut bytes = vec![0; BATCH.min(wanted.len()) * pool::SIZE];
    let mut done = 0;
    while let Some(batch) =
        wanted.get(done..(done + BATCH).min(wanted.len())).filter(|batch| !batch.is_empty())
    {
        let ranges: Vec<Range> =
            batch.iter().map(|(_, _, address)| Range { address: *address, len: pool::SIZE }).collect();
        let good =
            memory.read_many(&ranges, &mut bytes[..ranges.len() * pool::SIZE]).unwrap_or(0) / pool::SIZE;
        let known = batch.iter().zip(bytes.chunks_exact(pool::SIZE).map(Some));
        for ((index, place, _), header) in known.take(good) {
            put(state, *index, *place, header);
        }
        done += good;
        // An arena that was given back meanwhile is not there any more.
        if let Some((index, place, _)) = batch.get(good) {
            put(state, *index, *place, None);
            done += 1;
        }
    }
}

fn put(state: &mut State, index: usize, place: usize, header: Option<&[u8]>) {
    let pool = header.map_or(Pool::Unreadable, |header| pool_of(&state.layout, header));
    state.unreadable += usize::from(pool == Pool::Unreadable);
    let arena = state.arenas.get_mut(index);
    if let Some(slot) = arena.and_then(|arena| arena.pools.get_mut(place)) {
        *slot = pool;
    }
}

fn pool_of(layout: &Layout, header: &[u8]) -> Pool {
    let (used, class) = (quad(header, pool::USED), quad(header, pool::CLASS));
    if used == 0 {
        return Pool::Free;
    }
    match (u8::try_from(class), u16::try_from(used)) {
        (Ok(class), Ok(blocks))
            if usize::from(class) < CLASSES && u64::from(blocks) <= layout.blocks_per_pool(class) =>
        {
            Pool::Used { class, blocks }
        }
        _ => Pool::Unreadable,
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes)
}

fn quad(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}
