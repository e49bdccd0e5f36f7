//! What the module `_asyncio` states of its own structures, from 3.14 on.
//!
//! The module has a section `.AsyncioDebug` with thirteen words, as `_PyRuntime` has its debug offsets: so a version
//! whose layout naja has no table for can be read. It is in the module's own file, or in the interpreter's where the
//! module is built in. What it states is believed only if it is possible, and if the rings of tasks that it leads to
//! are rings.

use super::TaskThread;
use super::layout::Layout;
use crate::locate::Located;
use crate::memory::Memory;

/// The section's name.
const SECTION: &str = ".AsyncioDebug";

/// Larger structures than this are none of these.
const TASK_BYTES_MAX: u64 = 1 << 12;
const STATE_BYTES_MAX: u64 = 1 << 24;

/// A ring that changes while it is looked at is looked at again.
const TRIES: u32 = 5;

/// The words of the section, in their order. Sizes are those of whole structures, all others are offsets in them.
struct Words {
    task_size: u64,
    task_name: u64,
    task_awaited_by: u64,
    task_is_task: u64,
    task_awaited_by_is_set: u64,
    task_coro: u64,
    task_node: u64,
    interpreter_size: u64,
    interpreter_tasks_head: u64,
    thread_size: u64,
    thread_running_loop: u64,
    thread_running_task: u64,
    thread_tasks_head: u64,
}

/// The layout that the process states; what it does not state is taken from `table`, moved as its neighbours are.
///
/// `None` where there is no such section, or where what it says cannot be true. Cost: the list of mappings, the section
/// headers of one or two files, and two reads for each thread.
pub(super) fn read(
    memory: &dyn Memory,
    located: &Located,
    table: &Layout,
    threads: &[TaskThread],
) -> Option<Layout> {
    let own = located.binary.file_name().unwrap_or_default().to_string_lossy();
    let may_have_it = |file: &str| {
        file.starts_with("_asyncio.")
            || file.starts_with("libpython")
            || file.starts_with("python")
            || own.strip_suffix(" (deleted)").unwrap_or(&own) == file
    };
    let address = memory.section(&may_have_it, SECTION)?;
    let mut bytes = [0; 13 * 8];
    memory.read(address, &mut bytes).ok()?;
    let layout = layout(&Words::new(&bytes), located, table)?;
    threads.iter().all(|thread| leads_to_rings(memory, &layout, *thread)).then_some(layout)
}

impl Words {
    fn new(bytes: &[u8; 13 * 8]) -> Words {
        let word = |index: usize| {
            u64::from_le_bytes(
                bytes[index * 8..index * 8 + 8].try_into().expect("eight bytes of thirteen times eight"),
            )
        };
        Words {
            task_size: word(0),
            task_name: word(1),
            task_awaited_by: word(2),
            task_is_task: word(3),
            task_awaited_by_is_set: word(4),
            task_coro: word(5),
            task_node: word(6),
            interpreter_size: word(7),
            interpreter_tasks_head: word(8),
            thread_size: word(9),
            thread_running_loop: word(10),
            thread_running_task: word(11),
            thread_tasks_head: word(12),
        }
    }
}

/// The layout, if these words can be one: every field lies in its structure, pointers are aligned, and the thread's
/// fields lie behind those that every thread has.
fn layout(words: &Words, located: &Located, table: &Layout) -> Option<Layout> {
    let head = u64::from(located.offsets.object.ob_type) + 8;
    // Whether `len` bytes at `at` are within a structure, behind its first `from` bytes.
    let fits = |at: u64, len: u64, from: u64, size: u64| {
        at >= from && at.checked_add(len).is_some_and(|end| end <= size)
    };
    let pointer = |at: u64, len: u64, from: u64, size: u64| at.is_multiple_of(8) && fits(at, len, from, size);
    let in_task = |at: u64, len: u64| pointer(at, len, head, words.task_size);
    let thread_from = u64::from(located.offsets.thread.size);
    let in_thread = |at: u64, len: u64| pointer(at, len, thread_from, words.thread_size);
    let possible = words.task_size <= TASK_BYTES_MAX
        && words.interpreter_size <= STATE_BYTES_MAX
        && words.thread_size <= STATE_BYTES_MAX
        && in_task(words.task_name, 8)
        && in_task(words.task_awaited_by, 8)
        && in_task(words.task_coro, 8)
        && in_task(words.task_node, 16)
        && fits(words.task_is_task, 1, head, words.task_size)
        && fits(words.task_awaited_by_is_set, 1, head, words.task_size)
        && pointer(words.interpreter_tasks_head, 16, 8, words.interpreter_size)
        && in_thread(words.thread_running_loop, 8)
        && in_thread(words.thread_running_task, 8)
        && in_thread(words.thread_tasks_head, 16)
        && words.thread_running_task > words.thread_running_loop;
    if !possible {
        return None;
    }
    // All are below 2^24 now.
    let number = |word: u64| word as u32;
    let moved = |field: u32, from: u32, to: u32| {
        field
            .checked_sub(from)
            .map_or_else(|| to.checked_sub(from - field), |distance| to.checked_add(distance))
    };
    let (coro, is_set) = (number(words.task_coro), number(words.task_awaited_by_is_set));
    let found = Layout {
        thread_running_loop: number(words.thread_running_loop),
        thread_running_task: number(words.thread_running_task),
        thread_tasks_head: number(words.thread_tasks_head),
        interpreter_tasks_head: number(words.interpreter_tasks_head),
        frame_stack: located.offsets.local.slots,
        task_size: number(words.task_size),
        task_name: number(words.task_name),
        task_coro: coro,
        task_fut_waiter: moved(table.task_fut_waiter, table.task_coro, coro)?,
        task_state: moved(table.task_state, table.task_awaited_by_is_set, is_set)?,
        task_awaited_by: number(words.task_awaited_by),
        task_awaited_by_is_set: is_set,
        task_node: number(words.task_node),
        ..*table
    };
    let unstated = [(found.task_fut_waiter, 8), (found.task_state, 4), (found.task_callbacks, 8)];
    let within = unstated.into_iter().all(|(at, len)| fits(u64::from(at), len, head, words.task_size));
    within.then_some(found)
}

/// Whether what should be the head of a thread's ring of tasks is one: its next node points back to it.
fn leads_to_rings(memory: &dyn Memory, layout: &Layout, thread: TaskThread) -> bool {
    let heads = [
        thread.state.wrapping_add(u64::from(layout.thread_tasks_head)),
        thread.interpreter.wrapping_add(u64::from(layout.interpreter_tasks_head)),
    ];
    let is_ring = |head: u64| {
        let next = memory.read_u64(head)?;
        Ok::<bool, crate::memory::MemoryError>(memory.read_u64(next.wrapping_add(8))? == head)
    };
    heads.into_iter().all(|head| (0..TRIES).any(|_| is_ring(head) == Ok(true)))
}

#[cfg(test)]
mod tests {
    use super::super::layout::of_version;
    use super::*;
    use crate::hostile::located_as;

    /// What 3.14.10 states.
    const WORDS: [u64; 13] = [168, 136, 96, 108, 109, 128, 152, 226_888, 10_880, 936, 864, 872, 880];

    fn parse(words: [u64; 13]) -> Option<Layout> {
        let mut bytes = [0; 13 * 8];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        let table = of_version(14, false).expect("it is known");
        layout(&Words::new(&bytes), &located_as(14, false), &table)
    }

    #[test]
    fn what_a_known_version_states_is_what_its_table_says() {
        assert_eq!(parse(WORDS), of_version(14, false));
    }

    #[test]
    fn what_a_version_has_moved_takes_its_neighbours_along() {
        let mut words = WORDS;
        // A word more in every future, and one before a task's own fields.
        for (index, by) in [(0, 16), (1, 16), (2, 8), (3, 8), (4, 8), (5, 16), (6, 16)] {
            words[index] += by;
        }
        let found = parse(words).expect("it is possible");
        assert_eq!((found.task_state, found.task_fut_waiter, found.task_node), (112, 136, 168));
    }

    #[test]
    fn no_impossible_word_is_believed() {
        for index in 0..WORDS.len() {
            for wrong in [0, 1 << 25, u64::MAX, u64::MAX - 7] {
                let words = std::array::from_fn(|i| if i == index { wrong } else { WORDS[i] });
                assert_eq!(parse(words), None, "word {index} as {wrong}");
            }
        }
    }
}
