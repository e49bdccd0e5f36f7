//! Tasks of asyncio: which there are, which runs, where each waits, and who waits for whom.
//!
//! Everything is read while the program goes on, so that one task's answer may be some microseconds younger than
//! another's; a task that ends meanwhile is left out. Covered are tasks of `_asyncio` (also those that run on another
//! loop, such as uvloop's) and tasks written in Python. Who waits is known for `await task`, `gather`, `TaskGroup`,
//! `wait`, `wait_for`, `shield` and `as_completed`. Coroutines compiled by Cython have no frames.
//! Start at [`TaskReader`].

mod awaiters;
mod kinds;
mod layout;
mod places;
mod scattered;
mod stacks;
mod stated;
mod tables;

use rustc_hash::{FxHashMap, FxHashSet};

use self::kinds::{Kind, Kinds};
use self::layout::{Layout, layout};
use self::places::{Places, running_loop, set_members};
use self::scattered::Scattered;
use crate::locate::Located;
use crate::memory::Memory;
use crate::objects::{Copy, Objects, ReadError, read_string};
use crate::offsets::ABSENT;
use crate::reader::Frame;

/// More tasks of one process are not read.
pub const TASKS_MAX: usize = 100_000;

/// Tasks that wait for one another in one chain.
pub const CHAIN_MAX: usize = 64;

/// An interpreter's thread, as far as finding its tasks needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskThread {
    /// Address of its `PyThreadState`.
    pub state: u64,
    /// Address of its `PyInterpreterState`.
    pub interpreter: u64,
}

/// An event loop that runs in a thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunningLoop {
    /// Address of the thread's `PyThreadState`.
    pub thread: u64,
    /// Address of the loop.
    pub event_loop: u64,
    /// Address of the task that runs in it now; 0 when none does.
    pub task: u64,
}

/// What a task is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It runs: its frames are on its thread's stack.
    Running,
    /// It waits for its loop to run it.
    Ready,
    /// It waits for something.
    Waiting,
}

/// A task that has not ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its address.
    pub address: u64,
    /// `get_name()`; empty when it could not be read.
    pub name: String,
    /// Address of its event loop.
    pub event_loop: u64,
    /// What it is doing.
    pub standing: Standing,
    /// Its coroutine's code object; 0 where it has none.
    pub code: u64,
    /// Where it waits, outermost frame first; empty when it runs.
    pub frames: Vec<Frame>,
    /// Addresses of the tasks that wait for it.
    pub awaiters: Vec<u64>,
}

/// Loops and tasks of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tasks {
    /// Loops that run.
    pub loops: Vec<RunningLoop>,
    /// Tasks that have not ended, of all loops, also those that do not run; in the order of their names' numbers and
    /// then of their names, so that two readings compare.
    pub tasks: Vec<Task>,
    /// Whether there are more than [`TASKS_MAX`].
    pub more: bool,
}

/// What a task or a future says of itself.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    is_task: bool,
    pending: bool,
    event_loop: u64,
    coroutine: u64,
    name: u64,
    fut_waiter: u64,
    callback: u64,
    callbacks: u64,
    awaited_by: u64,
    awaited_by_many: bool,
}

/// A running task's chain, to be given again while nothing about it has changed.
#[derive(Debug)]
struct LastChain {
    links: [u64; 5],
    chain: Vec<Task>,
    given: u32,
}

/// How often a remembered answer is given before it is read anew.
const GIVEN_MAX: u32 = 64;

/// Reads the tasks of one process again and again, and remembers where they are.
#[derive(Debug)]
pub struct TaskReader {
    located: Located,
    layout: Layout,
    source: Source,
    kinds: Kinds,
    /// By interpreter; `Err` counts the calls until the next look, and how many it was.
    places: FxHashMap<u64, Result<Places, (u32, u32)>>,
    /// The loop of each thread, and for how many more calls that holds. Up to 3.12, where it is not read at once.
    loops: (Vec<RunningLoop>, u32),
    /// Tasks and futures read in this call.
    heads: FxHashMap<u64, Option<Head>>,
    /// Names by task: the address of the name's object, and its text.
    names: FxHashMap<u64, (u64, String)>,
    /// Whether a place in a code object is an `await`. Up to 3.12.
    awaits: FxHashMap<Frame, bool>,
    /// Tasks of the last call, in the order of their rings. From 3.14 on.
    ring: Vec<u64>,
    /// Reads left in this call for who waits for whom.
    steps_left: u32,
    last_chains: FxHashMap<u64, LastChain>,
}

/// What says where a task's fields lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// The version's table.
    Table,
    /// The process itself.
    Stated,
    /// The table, until the process has imported `asyncio` and can be asked.
    TableYet,
    /// Nothing until then: there is no table of this version.
    NothingYet,
    /// Nothing: the process does not say, and there is no table.
    Nothing,
}

/// From this minor version on a process states where tasks have their fields.
const STATES_SINCE: u8 = 14;

/// Single reads that one call spends on who waits for whom, some 1.2 µs each.
const STEPS_MAX: u32 = 200_000;

/// Reads for the attributes of a task that is written in Python.
const PYTHON_HEAD_STEPS: u32 = 40;

/// Calls between two looks for `asyncio` in an interpreter that has not imported it.
const LOOK_GAP_MAX: u32 = 256;

impl TaskReader {
    /// A reader that has read nothing yet; `None` for a version whose tasks naja does not know. Of a version after the
    /// last known one, tasks are read as soon as the process has stated where their fields lie.
    pub fn new(located: &Located) -> Option<TaskReader> {
        let (layout, known) = layout(located)?;
        Some(TaskReader {
            layout,
            source: match (located.version.minor >= STATES_SINCE, known) {
                (false, _) => Source::Table,
                (true, true) => Source::TableYet,
                (true, false) => Source::NothingYet,
            },
            located: located.clone(),
            kinds: Kinds::default(),
            places: FxHashMap::default(),
            loops: (Vec::new(), 0),
            heads: FxHashMap::default(),
            names: FxHashMap::default(),
            awaits: FxHashMap::default(),
            ring: Vec::new(),
            steps_left: 0,
            last_chains: FxHashMap::default(),
        })
    }

    /// The loops that run in these threads, and the task that each runs now.
    ///
    /// Cost: from 3.14 on one system call, before that some five; more once in a while.
    pub fn running(&mut self, memory: &dyn Memory, threads: &[TaskThread]) -> Vec<RunningLoop> {
        self.kinds.begin();
        if !self.knows_layout(memory, threads) {
            return Vec::new();
        }
        let mut loops = self.running_loops(memory, threads);
        if self.layout.thread_running_task != ABSENT {
            return loops;
        }
        let interpreters: FxHashSet<u64> = threads.iter().map(|thread| thread.interpreter).collect();
        for interpreter in interpreters {
            let Some(current) = self.places(memory, interpreter).and_then(|places| places.current) else {
                continue;
            };
            let objects = Objects::new(memory, &self.located);
            let Ok(entries) = objects.dict(current) else { continue };
            let running: Vec<(u64, u64)> = entries.items().collect();
            if running.iter().any(|(of, _)| !loops.iter().any(|known| known.event_loop == *of)) {
                // A loop that has only just begun to run.
                self.loops.1 = 0;
                loops = self.running_loops(memory, threads);
            }
            for (event_loop, task) in running {
                if let Some(known) = loops.iter_mut().find(|known| known.event_loop == event_loop) {
                    known.task = task;
                }
            }
        }
        loops
    }

    /// A running task and those that wait for it, one for the other, from the task itself to the outermost. Of several
    /// that wait for one task, the first is given.
    ///
    /// Cost: one read while nothing has changed; some ten for each task of the chain when it has.
    pub fn chain(&mut self, memory: &dyn Memory, task: u64) -> Vec<Task> {
        self.begin();
        let Some(head) = self.head(memory, task).filter(|head| head.is_task) else { return Vec::new() };
        let links = [head.coroutine, head.name, head.callback, head.callbacks, head.awaited_by];
        if let Some(last) = self.last_chains.get_mut(&task)
            && last.links == links
            && last.given < GIVEN_MAX
        {
            last.given += 1;
            return last.chain.clone();
        }
        let mut chain = vec![self.task(memory, task, &head, true)];
        while let Some(last) = chain.last_mut().filter(|_| self.steps_left > 0) {
            let address = last.address;
            last.awaiters = self.awaiters(memory, address);
            let next = last.awaiters.first().copied();
            let fresh = next.filter(|next| !chain.iter().any(|task| task.address == *next));
            let Some(next) = fresh.filter(|_| chain.len() < CHAIN_MAX) else { break };
            let Some(head) = self.head(memory, next) else { break };
            chain.push(self.task(memory, next, &head, false));
        }
        self.read_stacks(memory, &mut chain);
        if self.last_chains.len() >= 256 {
            self.last_chains.clear();
        }
        self.last_chains.insert(task, LastChain { links, chain: chain.clone(), given: 0 });
        chain
    }

    /// All loops that run in these threads, and all tasks of their interpreters.
    ///
    /// Cost: some 0.2 µs for each task and each frame that it waits in, in a dozen system calls.
    pub fn all(&mut self, memory: &dyn Memory, threads: &[TaskThread]) -> Tasks {
        self.begin();
        if !self.knows_layout(memory, threads) {
            return Tasks::default();
        }
        let loops = self.running(memory, threads);
        let mut addresses = self.addresses(memory, threads);
        addresses.extend(loops.iter().map(|one| one.task).filter(|task| *task != 0));
        addresses.sort_unstable();
        addresses.dedup();
        let more = addresses.len() > TASKS_MAX;
        addresses.truncate(TASKS_MAX);
        self.read_heads(memory, &addresses);
        let mut tasks = Vec::new();
        for address in &addresses {
            let Some(head) = self.head(memory, *address).filter(|head| head.is_task && head.pending) else {
                continue;
            };
            let running = loops.iter().any(|one| one.task == *address);
            tasks.push(self.task(memory, *address, &head, running));
        }
        self.read_stacks(memory, &mut tasks);
        let callbacks = self.first_callbacks(memory, &tasks);
        for (index, task) in tasks.iter_mut().enumerate() {
            task.awaiters = self.awaiters_from(memory, task.address, Some((&callbacks, index)));
        }
        tasks.sort_by(|one, other| order(&one.name).cmp(&order(&other.name)));
        if self.names.len() > 2 * tasks.len() + 1024 {
            let living: FxHashSet<u64> = tasks.iter().map(|task| task.address).collect();
            self.names.retain(|address, _| living.contains(address));
        }
        Tasks { loops, tasks, more }
    }

    /// Whether the fields' places are those that the process itself has stated, not a table's.
    pub fn is_stated(&self) -> bool {
        self.source == Source::Stated
    }

    /// Asks the process where its tasks have their fields, as soon as it can say so. Whether anything can be read.
    fn knows_layout(&mut self, memory: &dyn Memory, threads: &[TaskThread]) -> bool {
        let otherwise = match self.source {
            Source::Table | Source::Stated => return true,
            Source::Nothing => return false,
            Source::TableYet => Source::Table,
            Source::NothingYet => Source::Nothing,
        };
        if threads.iter().any(|thread| self.places(memory, thread.interpreter).is_some()) {
            self.source = otherwise;
            if let Some(layout) = stated::read(memory, &self.located, &self.layout, threads) {
                self.layout = layout;
                self.source = Source::Stated;
            }
        }
        matches!(self.source, Source::Table | Source::TableYet | Source::Stated)
    }

    /// What was read for another call does not hold for this one.
    fn begin(&mut self) {
        self.heads.clear();
        self.kinds.begin();
        self.steps_left = STEPS_MAX;
    }

    /// Which loop runs in which thread; the running tasks are those of 3.14 and later only.
    fn running_loops(&mut self, memory: &dyn Memory, threads: &[TaskThread]) -> Vec<RunningLoop> {
        let layout = self.layout;
        if layout.thread_running_task != ABSENT {
            let span = layout.thread_running_task + 8 - layout.thread_running_loop;
            let addresses: Vec<u64> = threads
                .iter()
                .map(|thread| thread.state.wrapping_add(u64::from(layout.thread_running_loop)))
                .collect();
            let copies = Scattered::read(memory, &addresses, span as usize);
            let read = |index: usize| {
                let copy = copies.get(index).ok()?;
                Some((copy.u64(0).ok()?, copy.u64(span - 8).ok()?))
            };
            return threads
                .iter()
                .enumerate()
                .filter_map(|(index, thread)| Some((thread.state, read(index)?)))
                .filter(|(_, (event_loop, _))| *event_loop != 0)
                .map(|(thread, (event_loop, task))| RunningLoop { thread, event_loop, task })
                .collect();
        }
        let (known, calls_left) = &mut self.loops;
        if *calls_left > 0 {
            *calls_left -= 1;
            return known.clone();
        }
        let mut loops = Vec::new();
        for thread in threads {
            if self.places(memory, thread.interpreter).is_none() {
                continue;
            }
            let Ok(event_loop) = running_loop(memory, &self.located, &layout, thread.state) else { continue };
            if event_loop != 0 && self.kind(memory, event_loop) != Kind::None {
                loops.push(RunningLoop { thread: thread.state, event_loop, task: 0 });
            }
        }
        self.loops = (loops.clone(), if loops.is_empty() { 0 } else { GIVEN_MAX });
        loops
    }

    /// Addresses of what may be a task.
    fn addresses(&mut self, memory: &dyn Memory, threads: &[TaskThread]) -> Vec<u64> {
        let interpreters: FxHashSet<u64> = threads.iter().map(|thread| thread.interpreter).collect();
        let mut addresses = self.ring_members(memory, threads, &interpreters);
        for interpreter in interpreters {
            let Some(places) = self.places(memory, interpreter).cloned() else { continue };
            let mut members = Vec::new();
            for set in places.sets {
                members.extend(set_members(memory, &self.located, set).unwrap_or_default());
            }
            // A weak reference has the object right behind its head; a task that is there itself has its loop.
            let head = self.located.offsets.object.ob_size;
            let copies = Scattered::read(memory, &members, head as usize + 8);
            for (index, member) in members.into_iter().enumerate() {
                let Ok(copy) = copies.get(index) else { continue };
                let (Ok(class), Ok(behind)) = (copy.u64(self.located.offsets.object.ob_type), copy.u64(head))
                else {
                    continue;
                };
                match self.kinds.of(memory, &self.located, &self.layout, class) {
                    Kind::Task | Kind::PythonTask => addresses.push(member),
                    _ => addresses.push(behind),
                }
            }
        }
        addresses
    }

    /// The tasks in the rings of threads and interpreters; none up to 3.13.
    ///
    /// The ring leads from task to task. Those of the last call are copied at once, and the way through them is read
    /// from the copies.
    fn ring_members(
        &mut self,
        memory: &dyn Memory,
        threads: &[TaskThread],
        interpreters: &FxHashSet<u64>,
    ) -> Vec<u64> {
        let layout = self.layout;
        if layout.task_node == ABSENT {
            return Vec::new();
        }
        let node = u64::from(layout.task_node);
        let of_thread = |thread: &TaskThread| thread.state.wrapping_add(u64::from(layout.thread_tasks_head));
        let of_interpreter = |address: &u64| address.wrapping_add(u64::from(layout.interpreter_tasks_head));
        let heads = threads.iter().map(of_thread).chain(interpreters.iter().map(of_interpreter));
        let known: Vec<u64> = self.ring.iter().map(|task| task.wrapping_add(node)).collect();
        let copies = Scattered::read(memory, &known, 8);
        let next_of_known: FxHashMap<u64, u64> = known
            .iter()
            .enumerate()
            .filter_map(|(index, node)| Some((*node, copies.get(index).ok()?.u64(0).ok()?)))
            .collect();
        let (mut members, mut seen) = (Vec::new(), FxHashSet::default());
        for head in heads {
            let Ok(mut at) = memory.read_u64(head) else { continue };
            // A ring that changes under way may lead round and round.
            while at != head && at != 0 && members.len() < TASKS_MAX && seen.insert(at) {
                members.push(at.wrapping_sub(node));
                let next = next_of_known.get(&at).copied().or_else(|| memory.read_u64(at).ok());
                let Some(next) = next else { break };
                at = next;
            }
        }
        self.ring.clone_from(&members);
        members
    }

    fn task(&mut self, memory: &dyn Memory, address: u64, head: &Head, running: bool) -> Task {
        let standing = match head.fut_waiter {
            _ if running => Standing::Running,
            0 => Standing::Ready,
            _ => Standing::Waiting,
        };
        Task {
            address,
            name: self.name(memory, address, head.name),
            event_loop: head.event_loop,
            standing,
            code: if running { self.coroutine_code(memory, head.coroutine) } else { 0 },
            frames: Vec::new(),
            awaiters: Vec::new(),
        }
    }

    fn name(&mut self, memory: &dyn Memory, task: u64, name: u64) -> String {
        if let Some((known, text)) = self.names.get(&task)
            && *known == name
        {
            return text.clone();
        }
        // From 3.12 on a name that nobody has asked for is a number still.
        let text = match self.kind(memory, name) {
            Kind::Int => Objects::new(memory, &self.located).int(name).map(|number| format!("Task-{number}")),
            _ => read_string(memory, &self.located, name),
        };
        let text = text.unwrap_or_default();
        self.names.insert(task, (name, text.clone()));
        text
    }

    fn kind(&mut self, memory: &dyn Memory, object: u64) -> Kind {
        let place = object.wrapping_add(u64::from(self.located.offsets.object.ob_type));
        match memory.read_u64(place) {
            Ok(class) if object != 0 => self.kinds.of(memory, &self.located, &self.layout, class),
            _ => Kind::Other,
        }
    }

    /// What a task or a future says of itself; `None` of any other object. Read once in a call.
    fn head(&mut self, memory: &dyn Memory, address: u64) -> Option<Head> {
        if !self.heads.contains_key(&address) {
            self.steps_left = self.steps_left.checked_sub(1)?;
            self.read_heads(memory, &[address]);
        }
        self.heads.get(&address).copied().flatten()
    }

    fn read_heads(&mut self, memory: &dyn Memory, addresses: &[u64]) {
        // A future has all that a task has up to its state, and is no longer than that.
        let future_len = self.layout.task_state as usize + 4;
        let futures = Scattered::read(memory, addresses, self.layout.task_size as usize);
        for (index, address) in addresses.iter().enumerate() {
            let head = match futures.get(index) {
                Ok(copy) => self.parse_head(memory, *address, &copy),
                Err(_) => {
                    let mut short = vec![0; future_len];
                    let read = memory.read(*address, &mut short).map_err(ReadError::from);
                    read.and_then(|()| self.parse_head(memory, *address, &Copy(&short)))
                }
            };
            let head = head.ok().flatten();
            self.heads.insert(*address, head);
        }
    }

    fn parse_head(
        &mut self,
        memory: &dyn Memory,
        address: u64,
        copy: &Copy<'_>,
    ) -> Result<Option<Head>, ReadError> {
        let layout = self.layout;
        let class = copy.u64(self.located.offsets.object.ob_type)?;
        let kind = self.kinds.of(memory, &self.located, &layout, class);
        let mut head = match kind {
            Kind::Task | Kind::Future => Head {
                pending: copy.u32(layout.task_state)? == 0,
                event_loop: copy.u64(layout.task_loop)?,
                callback: copy.u64(layout.task_callback0)?,
                callbacks: copy.u64(layout.task_callbacks)?,
                ..Head::default()
            },
            Kind::PythonTask | Kind::PythonFuture => {
                return self.python_head(memory, address, kind == Kind::PythonTask).map(Some);
            }
            _ => return Ok(None),
        };
        if layout.task_awaited_by != ABSENT {
            head.awaited_by = copy.u64(layout.task_awaited_by)?;
            head.awaited_by_many = copy.u8(layout.task_awaited_by_is_set)? != 0;
        }
        if kind == Kind::Task {
            head.is_task = true;
            head.coroutine = copy.u64(layout.task_coro)?;
            head.name = copy.u64(layout.task_name)?;
            head.fut_waiter = copy.u64(layout.task_fut_waiter)?;
        }
        Ok(Some(head))
    }

    /// A task or a future written in Python keeps the same in attributes.
    fn python_head(&mut self, memory: &dyn Memory, address: u64, is_task: bool) -> Result<Head, ReadError> {
        self.steps_left =
            self.steps_left.checked_sub(PYTHON_HEAD_STEPS).ok_or(ReadError::Implausible("a task"))?;
        let located = self.located.clone();
        let objects = Objects::new(memory, &located);
        let mut value = |name: &str| match objects.attribute(address, name)? {
            Some(value) if self.kind(memory, value) != Kind::None => Ok::<_, ReadError>(value),
            _ => Ok(0),
        };
        let state = value("_state")?;
        let mut head =
            Head { is_task, event_loop: value("_loop")?, callbacks: value("_callbacks")?, ..Head::default() };
        // A set of all that wait for it.
        head.awaited_by = value("_Future__asyncio_awaited_by")?;
        head.awaited_by_many = head.awaited_by != 0;
        if is_task {
            head.coroutine = value("_coro")?;
            head.name = value("_name")?;
            head.fut_waiter = value("_fut_waiter")?;
        }
        head.pending =
            state == 0 || read_string(memory, &located, state).is_ok_and(|state| state == "PENDING");
        Ok(head)
    }

    /// Where an interpreter keeps its tasks; `None` while it has not imported `asyncio`. Looked for again ever more
    /// seldom.
    fn places(&mut self, memory: &dyn Memory, interpreter: u64) -> Option<&Places> {
        let known = self.places.entry(interpreter).or_insert(Err((0, 1)));
        if let Err((left, gap)) = known {
            if *left > 0 {
                *left -= 1;
            } else {
                let gap = (*gap * 2).min(LOOK_GAP_MAX);
                *known = Places::find(memory, &self.located, interpreter).map_err(|_| (gap, gap));
            }
        }
        known.as_ref().ok()
    }
}

/// Where the tables say that a task has its fields, for the test that compares them. Not part of the interface.
#[doc(hidden)]
pub fn task_fields(minor: u8, free_threaded: bool) -> Option<[(&'static str, u32); 11]> {
    layout::task_fields(minor, free_threaded)
}

/// Names in the order in which people count: `Task-2` before `Task-10`.
fn order(name: &str) -> (&str, u64, &str) {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let (text, number) = name.split_at(name.len() - digits);
    (text, number.parse().unwrap_or(u64::MAX), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_in_which_people_count() {
        let mut names = ["Task-10", "worker", "Task-9", "Task-1", "a1", "Task-99999999999999999999999"];
        names.sort_by(|one, other| order(one).cmp(&order(other)));
        assert_eq!(names, ["Task-1", "Task-9", "Task-10", "Task-99999999999999999999999", "a1", "worker"]);
    }
}
