//! What an object is, by its type.

use rustc_hash::FxHashMap;

use super::layout::Layout;
use crate::locate::Located;
use crate::memory::Memory;

/// What tasks, and the chains between them, are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A coroutine, a generator or an asynchronous generator: all have a frame at the same place.
    Generator,
    /// Stands for a coroutine or another awaitable, to which its first field points.
    Wrapper,
    /// `_asyncio.Task` or a subclass.
    Task,
    /// `_asyncio.Future` or a subclass, which a task is too.
    Future,
    /// A task or a future written in Python.
    PythonTask,
    PythonFuture,
    /// The callback that wakes a task up. Up to 3.9 it is a type of its own.
    Wakeup,
    /// A function, a bound method, a built-in method, a `functools.partial`: other callbacks.
    Function,
    Method,
    BuiltinMethod,
    Partial,
    /// `asyncio.TaskGroup`.
    TaskGroup,
    /// `asyncio.Queue`; a queue for threads is called so too.
    Queue,
    /// What `as_completed` gives from 3.13 on.
    AsCompleted,
    Int,
    None,
    Other,
}

/// Types that have been met.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    known: FxHashMap<u64, Kind>,
    /// Types that may still be asked in this call.
    asks_left: u32,
}

/// Types remembered; a program that makes more starts again.
const KNOWN_MAX: usize = 4096;

/// Types asked in one call; more than a program has in use as tasks and awaitables.
const ASKS_MAX: u32 = 2000;

/// Classes between one and its oldest ancestor.
const BASES_MAX: usize = 32;

impl Kinds {
    /// A new call begins.
    pub(super) fn begin(&mut self) {
        self.asks_left = ASKS_MAX;
    }

    /// What objects of the type at `class` are. A type's name is read once.
    pub(super) fn of(&mut self, memory: &dyn Memory, located: &Located, layout: &Layout, class: u64) -> Kind {
        if let Some(kind) = self.known.get(&class) {
            return *kind;
        }
        if self.known.len() >= KNOWN_MAX {
            self.known.clear();
        }
        let Some(left) = self.asks_left.checked_sub(1) else { return Kind::Other };
        self.asks_left = left;
        let kind = ask(memory, located, layout, class);
        self.known.insert(class, kind);
        kind
    }
}

/// By the names of a class and its ancestors, as far as they can be read.
fn ask(memory: &dyn Memory, located: &Located, layout: &Layout, class: u64) -> Kind {
    let mut class = class;
    for _ in 0..BASES_MAX {
        let Some(name) = type_name(memory, located, class) else { return Kind::Other };
        if let Some(kind) = named(&name) {
            return kind;
        }
        match memory.read_u64(class.wrapping_add(u64::from(layout.type_base))) {
            Ok(base) if base != 0 => class = base,
            _ => return Kind::Other,
        }
    }
    Kind::Other
}

fn named(name: &str) -> Option<Kind> {
    Some(match name {
        "coroutine" | "generator" | "async_generator" => Kind::Generator,
        "coroutine_wrapper" | "async_generator_asend" | "async_generator_athrow" | "anext_awaitable" => {
            Kind::Wrapper
        }
        "_asyncio.Task" => Kind::Task,
        "_asyncio.Future" => Kind::Future,
        // Classes of Python have their bare names.
        "Task" => Kind::PythonTask,
        "Future" => Kind::PythonFuture,
        "TaskWakeupMethWrapper" => Kind::Wakeup,
        "function" => Kind::Function,
        "method" => Kind::Method,
        "builtin_function_or_method" => Kind::BuiltinMethod,
        "functools.partial" => Kind::Partial,
        "TaskGroup" => Kind::TaskGroup,
        "Queue" => Kind::Queue,
        "_AsCompletedIterator" => Kind::AsCompleted,
        "int" => Kind::Int,
        "NoneType" => Kind::None,
        _ => return None,
    })
}

/// `tp_name`, a C string; of a class of Python the name alone.
pub(super) fn type_name(memory: &dyn Memory, located: &Located, class: u64) -> Option<String> {
    let place = class.wrapping_add(u64::from(located.offsets.object.type_name));
    let address = memory.read_u64(place).ok().filter(|address| *address != 0)?;
    let mut text = [0; 64];
    // Close to the end of a mapping a short name is still a name.
    let read = [64, 16, 8].into_iter().find(|len| memory.read(address, &mut text[..*len]).is_ok())?;
    let end = text[..read].iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&text[..end]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_types_that_matter_have_a_kind() {
        assert_eq!(named("_asyncio.Task"), Some(Kind::Task));
        assert_eq!(named("MyTask"), None);
    }
}
