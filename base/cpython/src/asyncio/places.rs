//! Where an interpreter keeps its tasks: module variables up to 3.13, rings through the tasks themselves later.

use super::TASKS_MAX;
use super::layout::Layout;
use crate::locate::Located;
use crate::memory::Memory;
use crate::objects::{Objects, ReadError};
use crate::offsets::ABSENT;

/// Objects of the module `asyncio.tasks` of one interpreter. They are made once and never replaced.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    /// `_current_tasks`: the running task of each loop. Up to 3.13.
    pub(super) current: Option<u64>,
    /// The sets that hold tasks, or weak references to them.
    pub(super) sets: Vec<u64>,
}

impl Places {
    /// Looks them up; an error where `asyncio` was not imported.
    ///
    /// Cost: some 20 reads, and one for each 256 modules.
    pub(super) fn find(
        memory: &dyn Memory,
        located: &Located,
        interpreter: u64,
    ) -> Result<Places, ReadError> {
        let objects = Objects::new(memory, located);
        let missing = ReadError::Implausible("`asyncio`");
        let modules = objects.word(interpreter, located.offsets.interpreter.modules)?;
        let module = objects.dict(modules)?.get(&objects, "asyncio.tasks")?.ok_or(missing)?;
        let globals = objects.word(module, located.offsets.object.module_dict)?;
        let variable = |name: &str| objects.dict(globals)?.get(&objects, name);
        let mut places = Places { current: variable("_current_tasks")?, sets: Vec::new() };
        // Up to 3.11 there is one set, later one of tasks that are scheduled and one of those that have begun at once.
        for name in ["_all_tasks", "_scheduled_tasks"] {
            if let Some(weak) = variable(name)?
                && let Some(set) = objects.attribute(weak, "data")?
            {
                places.sets.push(set);
            }
        }
        places.sets.extend(variable("_eager_tasks")?);
        if places.sets.is_empty() { Err(missing) } else { Ok(places) }
    }
}

/// The members of a `set`.
pub(super) fn set_members(
    memory: &dyn Memory,
    located: &Located,
    address: u64,
) -> Result<Vec<u64>, ReadError> {
    // `used`, `mask` and `table` follow `fill`, which follows the head, in every version.
    let head = located.offsets.object.ob_size;
    let objects = Objects::new(memory, located);
    let used = objects.word(address, head + 8)?;
    let mask = objects.word(address, head + 16)?;
    let table = objects.word(address, head + 24)?;
    if used == 0 {
        return Ok(Vec::new());
    }
    // A set grows with its members and keeps its size when they go.
    if mask >= (TASKS_MAX as u64) * 16 {
        return Err(ReadError::Implausible("a set of tasks"));
    }
    let mut entries = vec![0; (mask as usize + 1) * 16];
    memory.read(table, &mut entries)?;
    let entries = entries.chunks_exact(16).map(|entry| {
        let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        (word(&entry[..8]), word(&entry[8..]))
    });
    // What was removed leaves an object behind whose hash is -1, as no other is.
    let members = entries.filter(|(key, hash)| *key != 0 && *hash != u64::MAX).map(|(key, _)| key);
    Ok(members.take(TASKS_MAX).collect())
}

/// The loop that runs in the thread of a `PyThreadState`; 0 when none does.
///
/// Cost: one read from 3.13 on, some six before.
pub(super) fn running_loop(
    memory: &dyn Memory,
    located: &Located,
    layout: &Layout,
    thread: u64,
) -> Result<u64, ReadError> {
    let objects = Objects::new(memory, located);
    if layout.thread_running_loop != ABSENT {
        return objects.word(thread, layout.thread_running_loop);
    }
    let dict = objects.word(thread, layout.thread_dict)?;
    if dict == 0 {
        return Ok(0);
    }
    match objects.dict(dict)?.get(&objects, "__asyncio_running_event_loop__")? {
        Some(event_loop) if located.version.minor >= 12 => Ok(event_loop),
        // An object whose first field is the loop, with the process it was set in.
        Some(holder) => objects.word(holder, located.offsets.object.ob_size),
        None => Ok(0),
    }
}
