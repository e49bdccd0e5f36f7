//! What follows from the figures of a heap: why memory is not given back, and what would help.
//!
//! Each piece has a name and says its figures; where nothing is wrong, that is said. Start at [`of`].

use naja_report::text::{bytes, count, percent};

use super::{Advice, Figures, HeapReport, Objects};

/// Sizes that are named.
const SIZES_NAMED: usize = 4;
/// Types that are named.
const TYPES_NAMED: usize = 6;
/// A share of the arenas that is worth a word.
const SHARE: f64 = 0.25;
/// Less memory than this is not.
const WORTH_BYTES: u64 = 4 << 20;

/// All that there is to say, what matters most first.
pub(super) fn of(report: &HeapReport) -> Vec<Advice> {
    let total = &report.total;
    if total.arenas == 0 {
        return vec![no_arenas(report)];
    }
    let mut advice = Vec::new();
    advice.extend(elsewhere(report));
    advice.extend(sparse(report));
    advice.extend(one_size(total));
    advice.extend(free_pools(total));
    advice.extend(given_back(total));
    advice.extend(thread_heaps(report));
    if advice.is_empty() && total.could_be_given_back_bytes < WORTH_BYTES {
        advice.push(Advice {
            name: "little-to-gain",
            text: format!(
                "no more than {} could be given back: there is little to gain here",
                bytes(total.could_be_given_back_bytes)
            ),
        });
    } else if advice.is_empty() {
        let share = percent(total.used_bytes as f64 / (total.arenas * total.arena_bytes) as f64);
        advice.push(Advice {
            name: "well-used",
            text: format!(
                "{share} of the arenas is in use: what they hold is held by objects that are alive. `naja memory run` shows which lines made them"
            ),
        });
    }
    advice
}

fn no_arenas(report: &HeapReport) -> Advice {
    let text = match &report.process.python_malloc {
        Some(name) => format!(
            "there is not one arena: PYTHONMALLOC={name} makes another allocator give the memory of small objects. `naja memory run` shows where it goes"
        ),
        None => "there is not one arena: another allocator gives the memory of small objects (an embedding program may have set one). `naja memory run` shows where it goes".to_owned(),
    };
    Advice { name: "no-arenas", text }
}

/// Most of what is resident is not small objects.
fn elsewhere(report: &HeapReport) -> Option<Advice> {
    let resident = report.resident?;
    let arenas = resident.arenas_bytes?;
    let share = arenas as f64 / resident.total_bytes.max(1) as f64;
    (share < SHARE).then(|| Advice {
        name: "mostly-elsewhere",
        text: format!(
            "small objects are {} of what is resident: the rest is larger blocks and libraries, of which pymalloc knows nothing. `naja memory run` shows who asked for them",
            percent(share)
        ),
    })
}

/// Arenas that few blocks keep.
fn sparse(report: &HeapReport) -> Option<Advice> {
    let total = &report.total;
    let sparse = &total.sparse;
    let held = sparse.arenas * total.arena_bytes;
    if (sparse.arenas as f64) < SHARE * total.arenas as f64 || held < WORTH_BYTES {
        return None;
    }
    let named: Vec<String> = sparse
        .by_size
        .iter()
        .take(SIZES_NAMED)
        .map(|one| {
            format!("{} B ({} blocks in {} arenas)", one.size_bytes, count(one.blocks), count(one.arenas))
        })
        .collect();
    Some(Advice {
        name: "sparse-arenas",
        text: format!(
            "{} of {} arenas ({}) are kept by fewer than 10 % of their bytes: {} blocks of {} in all; the sizes that keep them are {}; the objects, {}. An arena goes back to the system with its last block. What helps is to make what lives long (caches, imports, results) before or after what is made in bulk and soon goes, or to do the bulk in a child process",
            count(sparse.arenas),
            count(total.arenas),
            bytes(held),
            count(sparse.blocks),
            bytes(sparse.used_bytes),
            named.join(", "),
            objects(&report.objects_of_sparse_arenas)
        ),
    })
}

/// The commonest types, by their share of the blocks.
fn objects(objects: &Objects) -> String {
    let all: u64 = objects.types.iter().map(|one| one.blocks).sum();
    let named: Vec<String> = objects
        .types
        .iter()
        .take(TYPES_NAMED)
        .map(|one| {
            let share = percent(one.blocks as f64 / all.max(1) as f64);
            format!("{} {share}", one.name.as_deref().map_or("parts of others", |name| name))
        })
        .collect();
    if named.is_empty() { "unknown".to_owned() } else { named.join(", ") }
}

/// One size has most of the room that only it can use.
fn one_size(total: &Figures) -> Option<Advice> {
    let most = total.classes.iter().max_by_key(|class| class.free_blocks * class.size_bytes)?;
    let free = most.free_blocks * most.size_bytes;
    let of_arenas = free as f64 / (total.arenas * total.arena_bytes) as f64;
    (of_arenas >= SHARE / 2.0 && free >= WORTH_BYTES).then(|| Advice {
        name: "room-of-one-size",
        text: format!(
            "{} is free among blocks of {} B, in {} pools that each have some in use: no other size can use it",
            bytes(free),
            most.size_bytes,
            count(most.pools)
        ),
    })
}

/// Pools without blocks: for whatever comes next.
fn free_pools(total: &Figures) -> Option<Advice> {
    let share = total.free_pool_bytes as f64 / (total.arenas * total.arena_bytes) as f64;
    (share >= SHARE && total.free_pool_bytes >= WORTH_BYTES).then(|| Advice {
        name: "free-pools",
        text: format!(
            "{} lies in pools without any block in use, in arenas that others keep: the next small objects of whatever size go there before more is asked of the system",
            bytes(total.free_pool_bytes)
        ),
    })
}

/// There were more arenas once.
fn given_back(total: &Figures) -> Option<Advice> {
    let highest = total.arenas_highest?;
    let gone = highest.checked_sub(total.arenas)?;
    (gone as f64 >= SHARE * highest as f64 && gone * total.arena_bytes >= WORTH_BYTES).then(|| Advice {
        name: "given-back",
        text: format!(
            "there were {} arenas at once; {} ({}) have been given back to the system since",
            count(highest),
            count(gone),
            bytes(gone * total.arena_bytes)
        ),
    })
}

/// Many threads' heaps of malloc hold much.
fn thread_heaps(report: &HeapReport) -> Option<Advice> {
    let resident = report.resident?;
    let share = resident.thread_heaps_bytes as f64 / resident.total_bytes.max(1) as f64;
    (share >= SHARE / 2.0 && resident.thread_heaps > 1).then(|| Advice {
        name: "thread-heaps",
        text: format!(
            "malloc keeps {} in {} heaps of its own for threads; `MALLOC_ARENA_MAX=2` in the environment makes threads share them",
            bytes(resident.thread_heaps_bytes),
            count(resident.thread_heaps)
        ),
    })
}
