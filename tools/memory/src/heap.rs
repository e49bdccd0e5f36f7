//! `naja memory heap`: what CPython's allocator of small objects has, how much of it is in use, and why the rest is not given
//! back.
//!
//! Figures are made of what `base/cpython` reads; nothing here reads a process but for what the kernel says of its pages.
//! Start at [`HeapReport::new`].

mod advice;
pub mod page;
mod resident;
pub mod text;

use std::path::Path;
use std::time::{Duration, Instant};

use naja_cpython::core_file::CoreFile;
use naja_cpython::heap::{self, Arena, CLASSES, Heap, Layout, Pool, State};
use naja_cpython::locate::{Located, Locator};
use naja_cpython::memory::{LiveProcess, Memory};
use naja_system::{Failure, Result};
use serde::Serialize;

pub use resident::Resident;

/// An arena is sparse with less than this share of its bytes in use.
pub const SPARSE_SHARE: f64 = 0.1;
/// Pools whose blocks are looked at.
const LOOKED_AT_MAX: usize = 4_000;

/// Whose heap it is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HeapOwner {
    /// The process's number.
    pub pid: u32,
    /// Its command line.
    pub command: String,
    /// Its Python's version.
    pub version: String,
    /// What `PYTHONMALLOC` is in its environment.
    pub python_malloc: Option<String>,
    /// Whether it stood still while it was read: it was stopped, or is a core file.
    pub stood_still: bool,
}

/// A process that has been opened.
#[derive(Clone, Copy, Debug)]
pub struct LiveHeap<'a> {
    /// Its memory.
    pub memory: &'a LiveProcess,
    /// Its interpreter.
    pub located: &'a Located,
    /// Its command line.
    pub command: &'a str,
    /// Whether it is stopped.
    pub is_stopped: bool,
}

/// All figures.
#[derive(Clone, Debug, Serialize)]
pub struct HeapReport {
    /// Whose they are.
    pub process: HeapOwner,
    /// How long reading took, in seconds.
    pub read_s: f64,
    /// All arenas together.
    pub total: Figures,
    /// By interpreter, where there are several with arenas of their own.
    pub interpreters: Vec<Figures>,
    /// What is in the blocks that are in use, by type.
    pub objects: Objects,
    /// The same of sparse arenas.
    pub objects_of_sparse_arenas: Objects,
    /// All memory of the process that is resident; not of a core file.
    pub resident: Option<Resident>,
    /// What follows.
    pub advice: Vec<Advice>,
    /// Every arena, in order of address.
    #[serde(skip)]
    pub arenas: Vec<ArenaFigures>,
    #[serde(skip)]
    pools: Vec<Vec<Pool>>,
}

/// What follows from the figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// A stable name.
    pub name: &'static str,
    /// The sentence.
    pub text: String,
}

/// Figures of arenas.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Number of the interpreter; `None` of all together.
    pub interpreter: Option<u64>,
    /// What led to them: `symbols`, `table`, `scan`.
    pub found_by: &'static str,
    /// Bytes of an arena, and of a pool.
    pub arena_bytes: u64,
    /// Bytes of a pool.
    pub pool_bytes: u64,
    /// How many arenas there are.
    pub arenas: u64,
    /// The most there were at once, where it is known.
    pub arenas_highest: Option<u64>,
    /// How many were ever asked of the system, where it is known.
    pub arenas_allocated: Option<u64>,
    /// Arenas that changed while they were read.
    pub arenas_changed: u64,
    /// Arenas and pools that could not be read.
    pub unreadable: u64,
    /// Pools with blocks in use.
    pub pools_used: u64,
    /// Pools that were used and have no block in use.
    pub pools_free: u64,
    /// Pools that were never used.
    pub pools_untouched: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Their bytes.
    pub used_bytes: u64,
    /// Bytes of the blocks without use in pools that have some in use.
    pub free_block_bytes: u64,
    /// Bytes of pools without blocks in use, whether they were ever used or not.
    pub free_pool_bytes: u64,
    /// What pools need for themselves, and what of an arena fits no pool.
    pub overhead_bytes: u64,
    /// Arenas that would do if all blocks of a size lay side by side.
    pub arenas_needed: u64,
    /// What could then be given back.
    pub could_be_given_back_bytes: u64,
    /// Arenas with less than a tenth of their bytes in use.
    pub sparse: Sparse,
    /// By size, those that have pools.
    pub classes: Vec<ClassFigures>,
}

/// Arenas that few blocks keep.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Sparse {
    /// How many.
    pub arenas: u64,
    /// Their blocks in use.
    pub blocks: u64,
    /// The bytes of those.
    pub used_bytes: u64,
    /// How many of these blocks are of which size, the most first.
    pub by_size: Vec<SizeBlocks>,
}

/// Blocks of a size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SizeBlocks {
    /// Bytes of each.
    pub size_bytes: u64,
    /// How many.
    pub blocks: u64,
    /// In how many of the arenas there are some.
    pub arenas: u64,
}

/// Blocks of a size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClassFigures {
    /// Bytes of each.
    pub size_bytes: u64,
    /// Pools of it.
    pub pools: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Blocks without use in these pools.
    pub free_blocks: u64,
}

/// Objects in blocks, of a sample of the pools.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Objects {
    /// How many pools with blocks in use there are, and how many were looked at.
    pub pools: u64,
    /// How many were looked at, spread evenly.
    pub pools_looked_at: u64,
    /// In these, the most blocks first.
    pub types: Vec<TypeFigures>,
}

/// Blocks that hold objects of one type.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TypeFigures {
    /// The type's name; none for what is no object: tables of dictionaries, items of lists, buffers.
    pub name: Option<String>,
    /// How many blocks.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// An arena.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ArenaFigures {
    /// First address.
    pub address: u64,
    /// Blocks in use.
    pub blocks: u64,
    /// Their bytes.
    pub used_bytes: u64,
    /// Pools with blocks in use.
    pub pools_used: u64,
    /// Which share of its bytes is in use.
    pub share: f64,
}

impl HeapReport {
    /// Reads a living process, which is not stopped.
    ///
    /// Errors: `other-allocator`, `heap-not-found`, `heap-unsteady`
    pub fn of_process(live: &LiveHeap<'_>) -> Result<HeapReport> {
        let pid = live.memory.pid();
        let start = Instant::now();
        let heap = heap::of_process(live.memory, live.located)
            .map_err(|error| Failure::from(error).context(&format!("process {pid}")))?;
        // Before blocks are looked at: pages that are read are then there, though they hold nothing.
        let resident = resident::read(pid, &heap);
        let objects = Seen::of(live.memory, live.located, &heap);
        let read = start.elapsed();
        let owner = HeapOwner {
            pid,
            command: plain(live.command),
            version: live.located.version.to_string(),
            python_malloc: python_malloc(pid),
            stood_still: live.is_stopped,
        };
        Ok(HeapReport::new(owner, &heap, objects, resident, read))
    }

    /// Reads a core file.
    ///
    /// Errors: those of core files and of finding an interpreter; `other-allocator`, `heap-not-found`, `heap-unsteady`
    pub fn of_core(path: &Path) -> Result<HeapReport> {
        let core = CoreFile::open(path)?;
        let in_core = |failure: Failure| failure.context(&format!("core file `{}`", path.display()));
        let located =
            Locator::default().locate_in_core(&core).map_err(|error| in_core(Failure::from(&error)))?;
        let start = Instant::now();
        let heap = heap::of_core(&core, &located).map_err(|error| in_core(Failure::from(error)))?;
        let owner = HeapOwner {
            pid: core.pid(),
            command: plain(core.command()),
            version: located.version.to_string(),
            python_malloc: None,
            stood_still: true,
        };
        let objects = Seen::of(&core, &located, &heap);
        Ok(HeapReport::new(owner, &heap, objects, None, start.elapsed()))
    }

    /// Makes figures of what was read.
    fn new(
        process: HeapOwner,
        heap: &Heap,
        objects: Seen,
        resident: Option<Resident>,
        read: Duration,
    ) -> HeapReport {
        let interpreters: Vec<Figures> =
            heap.states.iter().map(|state| figures(std::slice::from_ref(state))).collect();
        let mut arenas: Vec<(ArenaFigures, Vec<Pool>)> = heap
            .states
            .iter()
            .flat_map(|state| {
                state.arenas.iter().map(|arena| (of_arena(&state.layout, arena), arena.pools.clone()))
            })
            .collect();
        arenas.sort_by_key(|(arena, _)| arena.address);
        let (arenas, pools) = arenas.into_iter().unzip();
        let mut report = HeapReport {
            process,
            read_s: read.as_secs_f64(),
            total: figures(&heap.states),
            interpreters: if interpreters.len() > 1 { interpreters } else { Vec::new() },
            objects: objects.all,
            objects_of_sparse_arenas: objects.sparse,
            resident,
            advice: Vec::new(),
            arenas,
            pools,
        };
        report.advice = advice::of(&report);
        report
    }

    /// The figures for programs, with all arenas.
    pub fn json(&self) -> serde_json::Value {
        let mut value = serde_json::to_value(self).expect("figures are plain data");
        value["arenas"] = serde_json::to_value(&self.arenas).expect("figures are plain data");
        value
    }
}

/// What was seen in blocks.
struct Seen {
    all: Objects,
    sparse: Objects,
}

impl Seen {
    fn of(memory: &dyn Memory, located: &Located, heap: &Heap) -> Seen {
        let objects = |is_wanted: &dyn Fn(&Layout, &Arena) -> bool| {
            let pools: Vec<u64> = heap
                .states
                .iter()
                .flat_map(|state| {
                    let wanted = state.arenas.iter().filter(|arena| is_wanted(&state.layout, arena));
                    wanted.flat_map(|arena| arena.used_pools(&state.layout))
                })
                .collect();
            let step = pools.len().div_ceil(LOOKED_AT_MAX).max(1);
            let sample: Vec<u64> = pools.iter().copied().step_by(step).collect();
            let Some(state) = heap.states.first() else { return Objects::default() };
            let kinds = heap::kinds_of(memory, located, &state.layout, &sample);
            let figures = |(name, blocks, bytes)| TypeFigures { name, blocks, bytes };
            Objects {
                pools: pools.len() as u64,
                pools_looked_at: kinds.pools as u64,
                types: kinds.types.into_iter().map(figures).collect(),
            }
        };
        Seen {
            all: objects(&|_, _| true),
            sparse: objects(&|layout, arena| of_arena(layout, arena).share < SPARSE_SHARE),
        }
    }
}

/// A text without what would control a terminal.
fn plain(text: &str) -> String {
    text.replace(|character: char| character.is_control(), " ")
}

/// What `PYTHONMALLOC` was when the process began.
fn python_malloc(pid: u32) -> Option<String> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = environment.split(|byte| *byte == 0).find_map(|one| one.strip_prefix(b"PYTHONMALLOC="))?;
    Some(plain(&String::from_utf8_lossy(value))).filter(|value| !value.is_empty())
}

/// Figures of some interpreters' arenas together.
fn figures(states: &[State]) -> Figures {
    let Some(first) = states.first() else { return Figures::default() };
    let layout = first.layout;
    let sum = |of: fn(&State) -> Option<u64>| states.iter().map(of).sum::<Option<u64>>();
    let mut figures = Figures {
        interpreter: first.interpreter.filter(|_| states.len() == 1),
        found_by: first.found_by.word(),
        arena_bytes: layout.arena_bytes,
        pool_bytes: layout.pool_bytes,
        arenas_highest: sum(|state| state.highest),
        arenas_allocated: sum(|state| state.times_allocated),
        arenas_changed: states.iter().map(|state| state.changed as u64).sum(),
        unreadable: states.iter().map(|state| state.unreadable as u64).sum(),
        ..Figures::default()
    };
    let mut classes = [ClassFigures { size_bytes: 0, pools: 0, blocks: 0, free_blocks: 0 }; CLASSES];
    let mut sparse = [(0_u64, 0_u64); CLASSES];
    for arena in states.iter().flat_map(|state| &state.arenas) {
        figures.arenas += 1;
        add_arena(&mut figures, &mut classes, &layout, arena);
        let of_arena = of_arena(&layout, arena);
        if of_arena.share < SPARSE_SHARE {
            figures.sparse.arenas += 1;
            figures.sparse.blocks += of_arena.blocks;
            figures.sparse.used_bytes += of_arena.used_bytes;
            add_sparse(&mut sparse, arena);
        }
    }
    let used_pools_bytes = figures.pools_used * layout.pool_bytes;
    figures.free_block_bytes = classes.iter().map(|class| class.free_blocks * class.size_bytes).sum();
    figures.free_pool_bytes = (figures.pools_free + figures.pools_untouched) * layout.pool_bytes;
    let arenas_bytes = figures.arenas * layout.arena_bytes;
    let blocks_bytes = figures.used_bytes + figures.free_block_bytes;
    figures.overhead_bytes =
        arenas_bytes.saturating_sub(figures.free_pool_bytes).saturating_sub(blocks_bytes);
    debug_assert!(blocks_bytes <= used_pools_bytes, "blocks lie in pools");
    let needed = classes
        .iter()
        .enumerate()
        .map(|(class, figures)| figures.blocks.div_ceil(layout.blocks_per_pool(class as u8).max(1)));
    // An arena begins where the system says, and loses a pool where that is not where a pool begins.
    figures.arenas_needed = needed.sum::<u64>().div_ceil(layout.pools_per_arena() - 1).min(figures.arenas);
    figures.could_be_given_back_bytes = (figures.arenas - figures.arenas_needed) * layout.arena_bytes;
    figures.classes = classes.into_iter().filter(|class| class.pools > 0).collect();
    figures.sparse.by_size = (0..)
        .zip(sparse)
        .filter(|(_, (blocks, _))| *blocks > 0)
        .map(|(class, (blocks, arenas))| SizeBlocks {
            size_bytes: Layout::block_bytes(class),
            blocks,
            arenas,
        })
        .collect();
    figures.sparse.by_size.sort_by_key(|one| (std::cmp::Reverse(one.blocks), one.size_bytes));
    figures
}

fn add_arena(figures: &mut Figures, classes: &mut [ClassFigures; CLASSES], layout: &Layout, arena: &Arena) {
    for pool in &arena.pools {
        match pool {
            Pool::Untouched => figures.pools_untouched += 1,
            Pool::Free => figures.pools_free += 1,
            Pool::Used { class, blocks } => {
                figures.pools_used += 1;
                let blocks = u64::from(*blocks);
                figures.blocks += blocks;
                figures.used_bytes += blocks * Layout::block_bytes(*class);
                if let Some(one) = classes.get_mut(usize::from(*class)) {
                    one.size_bytes = Layout::block_bytes(*class);
                    one.pools += 1;
                    one.blocks += blocks;
                    one.free_blocks += layout.blocks_per_pool(*class) - blocks;
                }
            }
            Pool::Unreadable => {}
        }
    }
}

fn add_sparse(sparse: &mut [(u64, u64); CLASSES], arena: &Arena) {
    let mut seen = [false; CLASSES];
    for pool in &arena.pools {
        if let Pool::Used { class, blocks } = pool
            && let (Some(sum), Some(seen)) =
                (sparse.get_mut(usize::from(*class)), seen.get_mut(usize::from(*class)))
        {
            sum.0 += u64::from(*blocks);
            sum.1 += u64::from(!std::mem::replace(seen, true));
        }
    }
}

fn of_arena(layout: &Layout, arena: &Arena) -> ArenaFigures {
    let mut figures = ArenaFigures { address: arena.address, ..ArenaFigures::default() };
    for pool in &arena.pools {
        if let Pool::Used { class, blocks } = pool {
            figures.pools_used += 1;
            figures.blocks += u64::from(*blocks);
            figures.used_bytes += u64::from(*blocks) * Layout::block_bytes(*class);
        }
    }
    figures.share = figures.used_bytes as f64 / layout.arena_bytes as f64;
    figures
}
