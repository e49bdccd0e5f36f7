//! Who waits for a task.
//!
//! From 3.14 on a future knows it. Before that it is found through the future's callbacks: the one that wakes up a
//! task; a function that keeps another future in its closure, as those of `gather`, `wait` and `shield` do; a
//! `partial` of one, as `wait_for` uses up to 3.11; a method of a `TaskGroup`, which knows the task it is of; and the
//! queue from which `as_completed` takes what is done, where those that wait for it have a future each.
//! A task that is found to be woken up by a future counts only if that future is what it says that it waits for.

use super::kinds::Kind;
use super::places::set_members;
use super::scattered::Scattered;
use super::{Head, Task, TaskReader};
use crate::memory::Memory;
use crate::objects::{Copy, Objects, ReadError};

/// Futures between a task and what waits for it.
const FOLLOWED_MAX: usize = 32;

/// Callbacks of one future, and members of one closure, that are looked at.
const CALLBACKS_MAX: u64 = 1024;
const MEMBERS_MAX: u64 = 64;

/// The way from a task to those that wait for it.
#[derive(Default)]
struct Way {
    visited: Vec<u64>,
    waiting: Vec<u64>,
    found: Vec<u64>,
}

impl Way {
    fn found(&mut self, task: u64) {
        if !self.found.contains(&task) {
            self.found.push(task);
        }
    }
}

impl TaskReader {
    /// The tasks that wait for a task.
    pub(super) fn awaiters(&mut self, memory: &dyn Memory, task: u64) -> Vec<u64> {
        self.awaiters_from(memory, task, None)
    }

    /// The first callbacks of all tasks, copied at once.
    pub(super) fn first_callbacks(&mut self, memory: &dyn Memory, tasks: &[Task]) -> Scattered {
        let first =
            |task: &Task| self.heads.get(&task.address).copied().flatten().map_or(0, |head| head.callback);
        let addresses: Vec<u64> = tasks.iter().map(first).collect();
        Scattered::read(memory, &addresses, self.callback_len())
    }

    /// The tasks that wait for a task; `first` has a copy of its first callback.
    pub(super) fn awaiters_from(
        &mut self,
        memory: &dyn Memory,
        task: u64,
        first: Option<(&Scattered, usize)>,
    ) -> Vec<u64> {
        let mut way = Way { waiting: vec![task], ..Way::default() };
        while let Some(future) = way.waiting.pop() {
            if way.visited.len() >= FOLLOWED_MAX || way.visited.contains(&future) {
                continue;
            }
            let first = first.filter(|_| way.visited.is_empty());
            way.visited.push(future);
            let Some(head) = self.head(memory, future) else { continue };
            let known = way.found.len() + way.waiting.len();
            self.follow_awaited_by(memory, &head, &mut way);
            if way.found.len() + way.waiting.len() == known {
                let copied = first.and_then(|(copies, index)| copies.get(index).ok());
                self.follow_callbacks(memory, future, &head, copied.as_ref(), &mut way);
            }
        }
        way.found.retain(|found| *found != task);
        way.found
    }

    fn follow_awaited_by(&mut self, memory: &dyn Memory, head: &Head, way: &mut Way) {
        let members = match (head.awaited_by, head.awaited_by_many) {
            (0, _) => return,
            (one, false) => vec![one],
            (set, true) => set_members(memory, &self.located, set).unwrap_or_default(),
        };
        for member in members.into_iter().take(CALLBACKS_MAX as usize) {
            match self.head(memory, member) {
                Some(head) if head.is_task => way.found(member),
                Some(_) => way.waiting.push(member),
                None => {}
            }
        }
    }

    fn follow_callbacks(
        &mut self,
        memory: &dyn Memory,
        future: u64,
        head: &Head,
        copied: Option<&Copy<'_>>,
        way: &mut Way,
    ) {
        if head.callback != 0 {
            let _ = match copied {
                Some(copy) => self.follow_callback(memory, future, copy, way),
                None => self.follow_callback_at(memory, future, head.callback, way),
            };
        }
        for callback in self.further_callbacks(memory, head.callbacks).unwrap_or_default() {
            // One that has gone meanwhile tells nothing.
            let _ = self.follow_callback_at(memory, future, callback, way);
        }
    }

    /// A list of pairs, of a callback and its context; absent or `None` when there are none.
    fn further_callbacks(&mut self, memory: &dyn Memory, list: u64) -> Result<Vec<u64>, ReadError> {
        if list == 0 {
            return Ok(Vec::new());
        }
        let head = self.located.offsets.object.ob_size;
        let items = self.tuple_items();
        let mut words = [0; 16];
        self.step()?;
        memory.read(list.wrapping_add(u64::from(head)), &mut words)?;
        let words = Copy(&words);
        let (count, items_at) = (words.u64(0)?, words.u64(8)?);
        // Of an object that is not a list, such as `None`, this is anything.
        if count > CALLBACKS_MAX {
            return Err(ReadError::Implausible("a list of callbacks"));
        }
        let mut pairs = vec![0; count as usize * 8];
        memory.read(items_at, &mut pairs)?;
        let pairs: Vec<u64> = (0..count as u32).filter_map(|i| Copy(&pairs).u64(i * 8).ok()).collect();
        let copies = Scattered::read(memory, &pairs, items as usize + 8);
        Ok((0..pairs.len()).filter_map(|index| copies.get(index).ok()?.u64(items).ok()).collect())
    }

    fn follow_callback_at(
        &mut self,
        memory: &dyn Memory,
        future: u64,
        callback: u64,
        way: &mut Way,
    ) -> Result<(), ReadError> {
        self.step()?;
        let mut bytes = vec![0; self.callback_len()];
        memory.read(callback, &mut bytes)?;
        self.follow_callback(memory, future, &Copy(&bytes), way)
    }

    fn follow_callback(
        &mut self,
        memory: &dyn Memory,
        future: u64,
        callback: &Copy<'_>,
        way: &mut Way,
    ) -> Result<(), ReadError> {
        let head = self.located.offsets.object.ob_size;
        let class = callback.u64(self.located.offsets.object.ob_type)?;
        match self.kinds.of(memory, &self.located, &self.layout, class) {
            Kind::Wakeup => self.waits_for(memory, callback.u64(head)?, future, way),
            Kind::BuiltinMethod => self.waits_for(memory, callback.u64(head + 8)?, future, way),
            Kind::Method => {
                let owner = callback.u64(head + 8)?;
                match self.kind(memory, owner) {
                    Kind::TaskGroup => {
                        if let Some(parent) = self.attribute(memory, owner, "_parent_task")?
                            && self.head(memory, parent).is_some_and(|head| head.is_task)
                        {
                            way.found(parent);
                        }
                    }
                    Kind::AsCompleted => {
                        if let Some(queue) = self.attribute(memory, owner, "_done")? {
                            self.follow_queue(memory, queue, way)?;
                        }
                    }
                    _ => self.waits_for(memory, owner, future, way),
                }
            }
            Kind::Function => {
                let closure = callback.u64(self.layout.function_closure)?;
                for cell in self.members(memory, closure)? {
                    self.step()?;
                    let content = memory.read_u64(cell.wrapping_add(u64::from(head)))?;
                    if self.kind(memory, content) == Kind::Queue {
                        self.follow_queue(memory, content, way)?;
                    } else {
                        self.follow_future(memory, content, way);
                    }
                }
            }
            Kind::Partial => {
                for argument in self.members(memory, callback.u64(head + 8)?)? {
                    self.follow_future(memory, argument, way);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn attribute(&mut self, memory: &dyn Memory, owner: u64, name: &str) -> Result<Option<u64>, ReadError> {
        self.step()?;
        Objects::new(memory, &self.located).attribute(owner, name)
    }

    /// The futures of those that wait for something to come out of an `asyncio.Queue`.
    fn follow_queue(&mut self, memory: &dyn Memory, queue: u64, way: &mut Way) -> Result<(), ReadError> {
        let Some(getters) = self.attribute(memory, queue, "_getters")? else { return Ok(()) };
        self.step()?;
        // A `deque`: its count, its first and last block of 64, and where the first item is. More than what is left
        // of the first block do not wait for one `as_completed`.
        let place = getters.wrapping_add(u64::from(self.located.offsets.object.ob_size));
        let mut words = [0; 32];
        memory.read(place, &mut words)?;
        let words = Copy(&words);
        let (count, block, index) = (words.u64(0)?, words.u64(8)?, words.u64(24)?);
        if index >= MEMBERS_MAX {
            return Err(ReadError::Implausible("a queue"));
        }
        let shown = count.min(MEMBERS_MAX - index);
        let mut items = vec![0; shown as usize * 8];
        memory.read(block.wrapping_add(8 + 8 * index), &mut items)?;
        for item in 0..shown as u32 {
            self.follow_future(memory, Copy(&items).u64(item * 8)?, way);
        }
        Ok(())
    }

    fn waits_for(&mut self, memory: &dyn Memory, task: u64, future: u64, way: &mut Way) {
        if self.head(memory, task).is_some_and(|head| head.is_task && head.fut_waiter == future) {
            way.found(task);
        }
    }

    fn follow_future(&mut self, memory: &dyn Memory, object: u64, way: &mut Way) {
        if object != 0 && self.head(memory, object).is_some_and(|head| !head.is_task) {
            way.waiting.push(object);
        }
    }

    /// The members of a tuple; none where it is null.
    fn members(&mut self, memory: &dyn Memory, tuple: u64) -> Result<Vec<u64>, ReadError> {
        if tuple == 0 {
            return Ok(Vec::new());
        }
        self.step()?;
        let count = memory
            .read_u64(tuple.wrapping_add(u64::from(self.located.offsets.object.ob_size)))?
            .min(MEMBERS_MAX);
        let mut bytes = vec![0; count as usize * 8];
        memory.read(tuple.wrapping_add(u64::from(self.tuple_items())), &mut bytes)?;
        Ok((0..count as u32).filter_map(|index| Copy(&bytes).u64(index * 8).ok()).collect())
    }

    fn tuple_items(&self) -> u32 {
        self.located.offsets.object.tuple_items
    }

    /// As much of a callback as is looked at, whatever kind it is.
    fn callback_len(&self) -> usize {
        let head = self.located.offsets.object.ob_size;
        (head + 16).max(self.layout.function_closure + 8) as usize
    }

    /// Counts one read.
    fn step(&mut self) -> Result<(), ReadError> {
        match self.steps_left.checked_sub(1) {
            Some(left) => {
                self.steps_left = left;
                Ok(())
            }
            None => Err(ReadError::Implausible("a chain of callbacks")),
        }
    }
}
