//! Where the fields lie that lead to tasks and from task to task.

use super::tables;
use crate::locate::Located;

/// Offsets in bytes from the start of each structure; [`crate::offsets::ABSENT`] where a version has no such field.
/// The tables are written by `derive_asyncio.py`, which says where each number comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// `PyThreadState.dict`, which holds the running loop. Up to 3.12.
    pub(super) thread_dict: u32,
    /// The running loop, in the thread state itself. 3.13 and later.
    pub(super) thread_running_loop: u32,
    /// The running task. 3.14 and later.
    pub(super) thread_running_task: u32,
    /// The ring of the tasks that were made in this thread. 3.14 and later.
    pub(super) thread_tasks_head: u32,
    /// The ring of tasks whose thread has ended. 3.14 and later.
    pub(super) interpreter_tasks_head: u32,
    /// `gi_frame`, a pointer, up to 3.10; the frame itself from 3.11 on.
    pub(super) generator_frame: u32,
    /// `gi_frame_state`, one byte. 3.11 and later.
    pub(super) generator_state: u32,
    /// The state of a generator that waits for another. 3.13 and later.
    pub(super) suspended_in_await: u32,
    /// Up to 3.9 and from 3.14 on a pointer behind the top of the stack; in 3.10 an `int`, counted from the pointer at
    /// `frame_stack`; in 3.11 to 3.13 an `int`, counted from the first local variable.
    pub(super) frame_stack_top: u32,
    /// `f_valuestack`, a pointer, up to 3.10; the first local variable from 3.11 on.
    pub(super) frame_stack: u32,
    /// `func_closure`.
    pub(super) function_closure: u32,
    /// `tp_base`.
    pub(super) type_base: u32,
    /// Size of a task.
    pub(super) task_size: u32,
    pub(super) task_loop: u32,
    pub(super) task_coro: u32,
    pub(super) task_name: u32,
    pub(super) task_fut_waiter: u32,
    /// The first callback of a future, which a task is too; the others are in the list at `task_callbacks`.
    pub(super) task_callback0: u32,
    pub(super) task_callbacks: u32,
    /// An `int`: 0 is pending.
    pub(super) task_state: u32,
    /// What waits for this future: one object, or a set of them. 3.14 and later.
    pub(super) task_awaited_by: u32,
    /// One byte: whether it is a set.
    pub(super) task_awaited_by_is_set: u32,
    /// The node of the ring of tasks. 3.14 and later.
    pub(super) task_node: u32,
}

/// The layout of an interpreter, and whether it is its own version's: of a later one it is that of the last known
/// version, until the process has stated its own. `None` for a version before the first.
pub(super) fn layout(located: &Located) -> Option<(Layout, bool)> {
    let minor = located.version.minor;
    let mut layout = of_version(minor.min(NEWEST), located.free_threaded)?;
    if minor == 13 {
        // The first field behind `PyThreadState`, which has grown by a word since 3.13.0. The process states its size.
        layout.thread_running_loop = located.offsets.thread.size;
    }
    Some((layout, minor <= NEWEST))
}

/// The fields of a task by name, as `probe.py` prints them.
pub(super) fn task_fields(minor: u8, free_threaded: bool) -> Option<[(&'static str, u32); 11]> {
    let l = of_version(minor, free_threaded)?;
    Some([
        ("size", l.task_size),
        ("loop", l.task_loop),
        ("coro", l.task_coro),
        ("name", l.task_name),
        ("fut_waiter", l.task_fut_waiter),
        ("callback0", l.task_callback0),
        ("callbacks", l.task_callbacks),
        ("state", l.task_state),
        ("awaited_by", l.task_awaited_by),
        ("awaited_by_is_set", l.task_awaited_by_is_set),
        ("node", l.task_node),
    ])
}

/// The newest minor version that there are tables of.
const NEWEST: u8 = 15;

pub(super) fn of_version(minor: u8, free_threaded: bool) -> Option<Layout> {
    match (minor, free_threaded) {
        (8, _) => Some(tables::V3_8),
        (9, _) => Some(tables::V3_9),
        (10, _) => Some(tables::V3_10),
        (11, _) => Some(tables::V3_11),
        (12, _) => Some(tables::V3_12),
        (13, false) => Some(tables::V3_13),
        (13, true) => Some(tables::V3_13T),
        (14, false) => Some(tables::V3_14),
        (14, true) => Some(tables::V3_14T),
        (15, false) => Some(tables::V3_15),
        (15, true) => Some(tables::V3_15T),
        _ => None,
    }
}
