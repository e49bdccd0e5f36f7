//! Finds the variables of pymalloc: by their names where the file has kept them, in the interpreter's state, or by what
//! they look like.
//!
//! Whatever led to them, they are believed only where the lists that they begin hold pools of the right size class, in arenas
//! that they name. Start at [`roots`].

use super::layout::{
    ALIGNMENT, CLASSES, HEAD_BEFORE, Layout, StatePlace, USED_WORDS, arena, layouts, management, pool,
};
use super::{FoundStateBy, quad, word};
use crate::locate::{Located, Variables};
use crate::memory::{Memory, Range};

/// How often what was not found is looked for again.
const TRIES: usize = 4;
/// Interpreters of one process that are looked at.
const INTERPRETERS_MAX: usize = 256;
/// Interpreters whose state is looked through, the oldest first.
const SEARCHED_MAX: usize = 2;
/// An interpreter's state is not longer.
const INTERPRETER_BYTES_MAX: usize = 512 << 10;
/// Variables of a file beyond this are not looked through.
const VARIABLES_BYTES_MAX: usize = 64 << 20;
/// Pools of a list that are asked whether they belong there.
const ASKED_MAX: usize = 4;
/// Candidates that are read in one call.
const BATCH: usize = 512;
/// The first vector of arenas has so many places; each further one twice as many.
const FIRST_ARENAS: u32 = 16;
/// More arenas than this are none.
pub(super) const ARENAS_MAX: u32 = 1 << 20;

/// The names that the variables have in the file.
pub(super) const NAMES: [&str; 5] =
    ["usedpools", "arenas", "maxarenas", "narenas_highwater", "ntimes_arena_allocated"];

/// Where one interpreter, or all of them together, keep their arenas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Root {
    pub(super) layout: Layout,
    /// Number of the interpreter, where each has its own.
    pub(super) interpreter: Option<u64>,
    /// Address of the variable that holds the vector's address.
    pub(super) arenas_at: u64,
    /// Address of the number of its places; 0 where it is not known and follows from what is there.
    pub(super) count_at: u64,
    pub(super) highest: Option<u64>,
    pub(super) times_allocated: Option<u64>,
    pub(super) found_by: FoundStateBy,
}

/// All of a process's; empty where nothing looks like them. What changes while it is looked at is looked at again.
pub(super) fn roots(memory: &dyn Memory, located: &Located, variables: &Variables) -> Vec<Root> {
    let mut tries = (0..TRIES).map(|_| roots_now(memory, located, variables));
    tries.find(|roots| !roots.is_empty()).unwrap_or_default()
}

fn roots_now(memory: &dyn Memory, located: &Located, variables: &Variables) -> Vec<Root> {
    for layout in layouts(located.version) {
        let found = match layout.place {
            StatePlace::File => in_file(memory, layout, variables),
            _ => in_interpreters(memory, located, layout),
        };
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

// ---------------------------------------------------------------------------------------------- 3.12 and later

/// The state of each interpreter that has one of its own.
fn in_interpreters(memory: &dyn Memory, located: &Located, layout: Layout) -> Vec<Root> {
    let offsets = &located.offsets;
    let interpreters = interpreters(memory, located);
    let is_true = |place: &StatePlace| {
        interpreters.iter().any(|interpreter| state_at(memory, layout, *place, *interpreter).is_some())
    };
    let table = Some(layout.place).filter(is_true).map(|place| (place, FoundStateBy::Table));
    let scanned = || {
        let asked = interpreters.iter().rev().take(SEARCHED_MAX);
        let place = asked.filter_map(|interpreter| looked_for(memory, layout, *interpreter)).next()?;
        Some((place, FoundStateBy::Scan))
    };
    let Some((place, found_by)) = table.or_else(scanned) else { return Vec::new() };
    let mut roots: Vec<Root> = Vec::new();
    for interpreter in interpreters {
        let id = memory.read_u64(interpreter.wrapping_add(u64::from(offsets.interpreter.id))).unwrap_or(0);
        if let Some(state) = state_at(memory, layout, place, interpreter)
            && let Some(root) = root_of_state(memory, layout, state, id, found_by)
        {
            roots.push(root);
        }
    }
    // Interpreters may share the first one's.
    roots.sort_by_key(|root| (root.arenas_at, root.interpreter));
    roots.dedup_by_key(|root| root.arenas_at);
    roots.sort_by_key(|root| root.interpreter);
    roots
}

/// The addresses of all interpreters, the newest first.
fn interpreters(memory: &dyn Memory, located: &Located) -> Vec<u64> {
    let offsets = &located.offsets;
    let read =
        |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset))).unwrap_or(0);
    let mut found: Vec<u64> = Vec::new();
    let mut interpreter = read(located.runtime, offsets.runtime.interpreters_head);
    while interpreter != 0 && found.len() < INTERPRETERS_MAX && !found.contains(&interpreter) {
        found.push(interpreter);
        interpreter = read(interpreter, offsets.interpreter.next);
    }
    found
}

/// The state of an interpreter, if it is there.
fn state_at(memory: &dyn Memory, layout: Layout, place: StatePlace, interpreter: u64) -> Option<u64> {
    let state = match place {
        StatePlace::Interpreter(offset) => interpreter.wrapping_add(u64::from(offset)),
        StatePlace::Pointer(offset) => memory.read_u64(interpreter.wrapping_add(u64::from(offset))).ok()?,
        StatePlace::File => return None,
    };
    is_used_pools(memory, &layout, state, &read_words(memory, state)?).then_some(state)
}

/// Looks through an interpreter's state for the lists of pools, and behind its pointers.
fn looked_for(memory: &dyn Memory, layout: Layout, interpreter: u64) -> Option<StatePlace> {
    let words = mapped_words(memory, Range { address: interpreter, len: INTERPRETER_BYTES_MAX });
    let own = each_used_pools(&words, interpreter, &layout)
        .find(|(state, lists)| is_used_pools(memory, &layout, *state, lists));
    if let Some((state, _)) = own {
        return Some(StatePlace::Interpreter(u32::try_from(state.wrapping_sub(interpreter)).ok()?));
    }
    // An empty list says where it is: a look at the first words tells most candidates.
    let is_it = |state: u64| {
        let first = memory.read_u64(state).unwrap_or(0);
        let may_be = first == empty_list(state, 0) || is_pool_address(&layout, first);
        may_be && read_words(memory, state).is_some_and(|lists| is_used_pools(memory, &layout, state, &lists))
    };
    let is_pointer = |word: u64| word.is_multiple_of(8) && word > 0xffff && word >> 47 == 0;
    let index = words.iter().position(|word| is_pointer(*word) && is_it(*word))?;
    Some(StatePlace::Pointer(u32::try_from(index * 8).ok()?))
}

fn root_of_state(
    memory: &dyn Memory,
    layout: Layout,
    state: u64,
    interpreter: u64,
    found_by: FoundStateBy,
) -> Option<Root> {
    let mut bytes = [0; management::END];
    memory.read(state, &mut bytes).ok()?;
    Some(Root {
        layout,
        interpreter: Some(interpreter),
        arenas_at: state.wrapping_add(management::ARENAS as u64),
        count_at: state.wrapping_add(management::ARENA_COUNT as u64),
        highest: Some(word(&bytes, management::HIGHEST)),
        times_allocated: Some(word(&bytes, management::TIMES_ALLOCATED)),
        found_by,
    })
}

// ------------------------------------------------------------------------------------------------- 3.8 to 3.11

/// The one that all interpreters share.
fn in_file(memory: &dyn Memory, layout: Layout, variables: &Variables) -> Vec<Root> {
    named(memory, layout, variables).or_else(|| recognised(memory, layout, variables)).into_iter().collect()
}

/// By the names in the file.
fn named(memory: &dyn Memory, layout: Layout, variables: &Variables) -> Option<Root> {
    let symbol = |index: usize| variables.symbols.get(index).copied().flatten();
    let (used, arenas_at, count_at) = (symbol(0)?, symbol(1)?, symbol(2)?);
    let value = |index: usize| memory.read_u64(symbol(index)?).ok();
    is_used_pools(memory, &layout, used, &read_words(memory, used)?).then(|| Root {
        layout,
        interpreter: None,
        arenas_at,
        count_at,
        highest: value(3),
        times_allocated: value(4),
        found_by: FoundStateBy::Symbols,
    })
}

/// By what they look like: the lists of pools first; what holds the arenas says which pool is in which.
fn recognised(memory: &dyn Memory, layout: Layout, variables: &Variables) -> Option<Root> {
    let parts: Vec<(u64, Vec<u64>)> = variables
        .ranges
        .iter()
        .filter(|range| range.len <= VARIABLES_BYTES_MAX)
        .map(|range| (range.address, mapped_words(memory, *range)))
        .collect();
    let lists = parts.iter().find_map(|(start, words)| {
        each_used_pools(words, *start, &layout)
            .find(|(address, lists)| is_used_pools(memory, &layout, *address, lists))
            .map(|(address, lists)| pools_of(address, &lists))
    })?;
    let arenas_at = match lists.as_slice() {
        // It is not in use: there is nothing to recognise arenas by, and there are none.
        [] => 0,
        pools => vector_of(memory, layout, &parts, pools)?,
    };
    Some(Root {
        layout,
        interpreter: None,
        arenas_at,
        count_at: 0,
        highest: None,
        times_allocated: None,
        found_by: FoundStateBy::Scan,
    })
}

/// The variable that leads to the vector of arenas: each of the pools says its arena's place in it.
fn vector_of(memory: &dyn Memory, layout: Layout, parts: &[(u64, Vec<u64>)], pools: &[u64]) -> Option<u64> {
    let places: Vec<(u64, u32)> = pools
        .iter()
        .filter_map(|pool| Some((*pool, quad(&header(memory, *pool)?, pool::ARENA))))
        .filter(|(_, place)| *place < ARENAS_MAX)
        .collect();
    let (pool, place) = *places.first()?;
    let offset = arena::SIZE as u64 * u64::from(place);
    let holds_all = |arenas: u64| {
        places.iter().all(|(pool, place)| {
            let at = arenas.wrapping_add(arena::SIZE as u64 * u64::from(*place));
            memory.read_u64(at).is_ok_and(|address| holds(&layout, address, *pool))
        })
    };
    // Other variables lead to an arena too, at that very distance by chance; the vector is one throughout.
    let last = places.iter().map(|(_, place)| *place).max().unwrap_or(0);
    let is_vector = |arenas: u64| holds_all(arenas) && counted(memory, &layout, arenas) > last;
    let is_candidate = |word: &u64| word.is_multiple_of(8) && *word > 0xffff && *word >> 47 == 0;
    for (start, words) in parts {
        let with_addresses = (*start..).step_by(8).zip(words.iter().copied());
        let candidates: Vec<(u64, u64)> = with_addresses.filter(|(_, word)| is_candidate(word)).collect();
        for batch in candidates.chunks(BATCH) {
            let found = batch
                .iter()
                .zip(words_behind(memory, batch, offset))
                .find(|((_, arenas), address)| holds(&layout, *address, pool) && is_vector(*arenas));
            if let Some(((arenas_at, _), _)) = found {
                return Some(*arenas_at);
            }
        }
    }
    None
}

/// The word at `offset` behind each candidate; 0 where there is none.
fn words_behind(memory: &dyn Memory, candidates: &[(u64, u64)], offset: u64) -> Vec<u64> {
    let mut words = vec![0; candidates.len()];
    let mut bytes = vec![0; candidates.len() * 8];
    let mut done = 0;
    while done < candidates.len() {
        let ranges: Vec<Range> = candidates[done..]
            .iter()
            .map(|(_, address)| Range { address: address.wrapping_add(offset), len: 8 })
            .collect();
        let Ok(good) = memory.read_many(&ranges, &mut bytes[..ranges.len() * 8]) else { break };
        let good = good / 8;
        for (index, bytes) in bytes.chunks_exact(8).take(good).enumerate() {
            words[done + index] = word(bytes, 0);
        }
        done += good + 1; // the one that could not be read is left at 0
    }
    words
}

/// How many places a vector of arenas has, where no variable is known that says it: it doubles, and each of its places holds
/// an arena, or leads to the next free one; the last free one leads nowhere.
pub(super) fn counted(memory: &dyn Memory, layout: &Layout, vector: u64) -> u32 {
    let end = vector.saturating_add(u64::from(ARENAS_MAX) * arena::SIZE as u64);
    let leads_on =
        |next: u64| (vector..end).contains(&next) && (next - vector).is_multiple_of(arena::SIZE as u64);
    let mut known = 0;
    let mut lasts = 0;
    let mut wanted = FIRST_ARENAS;
    let mut bytes = Vec::new();
    while wanted <= ARENAS_MAX {
        bytes.resize((wanted - known) as usize * arena::SIZE, 0);
        let from = vector.wrapping_add(u64::from(known) * arena::SIZE as u64);
        if memory.read(from, &mut bytes).is_err() {
            break;
        }
        let all_hold = bytes.chunks_exact(arena::SIZE).all(|bytes| {
            match (word(bytes, arena::ADDRESS), word(bytes, arena::NEXT)) {
                (0, 0) => {
                    lasts += 1;
                    lasts == 1
                }
                (0, next) => leads_on(next),
                _ => is_arena(layout, bytes),
            }
        });
        if !all_hold {
            break;
        }
        known = wanted;
        wanted *= 2;
    }
    known
}

/// Whether an `arena_object` that is in use holds what it must.
pub(super) fn is_arena(layout: &Layout, bytes: &[u8]) -> bool {
    let (address, next_pool) = (word(bytes, arena::ADDRESS), word(bytes, arena::NEXT_POOL));
    let (free, all) = (quad(bytes, arena::FREE_POOLS), quad(bytes, arena::ALL_POOLS));
    address.is_multiple_of(ALIGNMENT)
        && address > 0xffff
        && address >> 47 == 0
        && (address..=address + layout.arena_bytes).contains(&next_pool)
        && free <= all
        && u64::from(all) <= layout.pools_per_arena()
        && u64::from(all) + 1 >= layout.pools_per_arena()
}

fn holds(layout: &Layout, arena: u64, pool: u64) -> bool {
    pool.checked_sub(arena).is_some_and(|place| place < layout.arena_bytes) && arena != 0
}

// ------------------------------------------------------------------------------------------- the lists of pools

/// Where in these words there could be `usedpools`, with its words.
fn each_used_pools<'w>(
    words: &'w [u64],
    start: u64,
    layout: &'w Layout,
) -> impl Iterator<Item = (u64, [u64; USED_WORDS])> + 'w {
    words.windows(USED_WORDS).enumerate().filter_map(move |(index, window)| {
        let address = start.wrapping_add(8 * index as u64);
        let lists: [u64; USED_WORDS] = window.try_into().ok()?;
        looks_so(address, &lists, layout).then_some((address, lists))
    })
}

/// Whether each list is empty, and then says where it is, or names pools.
fn looks_so(address: u64, lists: &[u64; USED_WORDS], layout: &Layout) -> bool {
    lists.chunks_exact(2).zip((address..).step_by(16)).all(|(ends, place)| {
        let empty = place.wrapping_sub(HEAD_BEFORE);
        match (ends.first(), ends.get(1)) {
            (Some(first), Some(last)) if *first == empty => *last == empty,
            (Some(first), Some(last)) => is_pool_address(layout, *first) && is_pool_address(layout, *last),
            _ => false,
        }
    })
}

fn is_pool_address(layout: &Layout, address: u64) -> bool {
    address.is_multiple_of(layout.pool_bytes) && address > 0xffff && address >> 47 == 0
}

/// Whether these are the lists: those that are not empty begin with pools of their own class.
fn is_used_pools(memory: &dyn Memory, layout: &Layout, address: u64, lists: &[u64; USED_WORDS]) -> bool {
    if !looks_so(address, lists, layout) {
        return false;
    }
    // The head of an empty list can lie where a pool could.
    let used: Vec<(usize, u64)> = (0..CLASSES)
        .filter_map(|class| Some((class, *lists.get(2 * class)?)))
        .filter(|(class, first)| *first != empty_list(address, *class))
        .collect();
    let is_of = |class: usize, pool: u64| {
        header(memory, pool).is_some_and(|header| quad(&header, pool::CLASS) as usize == class)
    };
    // While the program runs, one list may change between two looks.
    let wrong = used.iter().take(ASKED_MAX * 2).filter(|(class, pool)| !is_of(*class, *pool)).count();
    // A list of nothing but empty ones belongs to an allocator that is not in use; it looks like nothing else.
    wrong * 4 <= used.len().min(ASKED_MAX * 2)
}

/// Some of the pools that have room.
fn pools_of(address: u64, lists: &[u64; USED_WORDS]) -> Vec<u64> {
    (0..CLASSES)
        .filter_map(|class| lists.get(2 * class).filter(|first| **first != empty_list(address, class)))
        .copied()
        .take(ASKED_MAX)
        .collect()
}

/// What an empty list of this class holds.
fn empty_list(address: u64, class: usize) -> u64 {
    address.wrapping_add(16 * class as u64).wrapping_sub(HEAD_BEFORE)
}

fn header(memory: &dyn Memory, pool: u64) -> Option<[u8; pool::SIZE]> {
    let mut header = [0; pool::SIZE];
    memory.read(pool, &mut header).ok().map(|()| header)
}

fn read_words(memory: &dyn Memory, address: u64) -> Option<[u64; USED_WORDS]> {
    let mut bytes = [0; USED_WORDS * 8];
    memory.read(address, &mut bytes).ok()?;
    let mut words = [0; USED_WORDS];
    words.iter_mut().zip(bytes.chunks_exact(8)).for_each(|(to, from)| *to = word(from, 0));
    Some(words)
}

/// The words of a stretch, up to where nothing is mapped.
fn mapped_words(memory: &dyn Memory, range: Range) -> Vec<u64> {
    const PART: usize = 4096;
    let mut bytes = vec![0; range.len.min(VARIABLES_BYTES_MAX)];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let address = range.address.wrapping_add(at as u64);
        let len = (PART - (address % PART as u64) as usize).min(bytes.len() - at);
        ranges.push(Range { address, len });
        at += len;
    }
    let good = memory.read_many(&ranges, &mut bytes).unwrap_or(0);
    bytes.truncate(good);
    bytes.chunks_exact(8).map(|bytes| word(bytes, 0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::Locator;
    use crate::memory::LiveProcess;

    #[test]
    fn a_state_whose_place_is_not_known_is_recognised() {
        for interpreter in naja_testkit::interpreters::interpreters() {
            if interpreter.minor() < 12
                || interpreter.free_threaded
                || interpreter.implementation != "cpython"
            {
                continue;
            }
            let program = "import sys\nkept = list(map(float, range(50_000)))\nprint('{}', flush=True)\nsys.stdin.read()\n";
            let target = naja_testkit::target::Target::start(interpreter, program);
            let memory = LiveProcess::new(target.pid());
            let located = Locator::default().locate(target.pid(), &memory).expect("it is found");
            let [layout, _] = layouts(located.version);
            let known = in_interpreters(&memory, &located, layout);
            assert_eq!(known.len(), 1, "{interpreter}");
            assert_eq!(known[0].found_by, FoundStateBy::Table, "{interpreter}");
            let unknown = Layout { place: StatePlace::Pointer(8), ..layout };
            let found = in_interpreters(&memory, &located, unknown);
            assert_eq!(found.len(), 1, "{interpreter}");
            assert_eq!(
                (found[0].arenas_at, found[0].found_by),
                (known[0].arenas_at, FoundStateBy::Scan),
                "{interpreter}"
            );
        }
    }
}
