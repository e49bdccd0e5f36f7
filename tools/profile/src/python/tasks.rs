//! Tasks of asyncio in place of the event loop that runs them.
//!
//! The stack of a thread that runs a task becomes: the outermost task that waits, then where it waits, then the task
//! that it waits for, and so on to the running task and its own frames. The event loop's frames in between are left
//! out. A task's name is a node of its own, above its coroutines. Where a thread's stack does not show the task that
//! it is said to run, because it has gone on meanwhile, the stack stays as it is.

use naja_cpython::asyncio::{CHAIN_MAX, Standing, Task, TaskReader, TaskThread};
use naja_cpython::locate::Located;
use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::Frame;
use naja_recording::{Function, FunctionId, FunctionKind, NodeId};
use naja_system::timer;
use rustc_hash::{FxHashMap, FxHashSet};

use super::Python;
use crate::stacks::Stacks;
use crate::target::Shared;
use crate::task_lanes::{TaskLanes, Tasks, WaitingTask};
use crate::task_tree;
use crate::thread::TargetThread;

/// Of all time, reading the tasks that wait takes at most one part in so many: between two readings they are where they
/// were.
const SCAN_SHARE: u64 = 20;

/// Names of tasks that get a node of their own, and how many of them may be numbers that asyncio gave (`Task-7`): a
/// server has another for each request, and what they do belongs together.
const NAMES_MAX: usize = 1000;
const NUMBERS_MAX: usize = 64;

/// The nodes of the tasks beyond that.
const OTHER_TASKS: &str = "<other tasks>";
const OTHER_NUMBERS: &str = "Task-*";

/// What is known of a process's tasks.
#[derive(Debug)]
pub(super) struct TaskView {
    all: bool,
    reader: TaskReader,
    names: FxHashMap<String, FunctionId>,
    /// How many of the names are numbers.
    numbers: usize,
    generation: u32,
    next_scan_ns: u64,
}

impl TaskView {
    /// `None` where tasks are not asked for, or where this version's are not known.
    pub(super) fn new(located: &Located, tasks: Tasks) -> Option<TaskView> {
        if tasks == Tasks::None {
            return None;
        }
        Some(TaskView {
            all: tasks == Tasks::All,
            reader: TaskReader::new(located)?,
            names: FxHashMap::default(),
            numbers: 0,
            generation: 0,
            next_scan_ns: 0,
        })
    }

    /// The function that stands for tasks of a name.
    fn function(&mut self, name: &str, shared: &mut Shared<'_>) -> FunctionId {
        if let Some(function) = self.names.get(name) {
            return *function;
        }
        let is_number =
            name.strip_prefix("Task-").is_some_and(|rest| rest.bytes().all(|c| c.is_ascii_digit()));
        let name = match name {
            _ if is_number && self.numbers >= NUMBERS_MAX => OTHER_NUMBERS,
            "" => OTHER_TASKS,
            _ if self.names.len() >= NAMES_MAX => OTHER_TASKS,
            name => name,
        };
        self.numbers += usize::from(is_number && name != OTHER_NUMBERS);
        if let Some(function) = self.names.get(name) {
            return *function;
        }
        let function = shared.stacks.function_like(Function {
            id: 0,
            name: name.to_owned(),
            qualified_name: name.to_owned(),
            file: String::new(),
            first_line: 0,
            kind: FunctionKind::Task,
        });
        self.names.insert(name.to_owned(), function);
        function
    }
}

impl Python {
    /// Puts tasks in place of the event loops that run them; with all tasks, also those that wait into `lanes`.
    pub(crate) fn sample_tasks(
        &mut self,
        memory: &LiveProcess,
        threads: &mut [TargetThread],
        lanes: &mut TaskLanes,
        shared: &mut Shared<'_>,
    ) {
        let Some(mut view) = self.tasks.take() else { return };
        if view.generation != shared.stacks.generation() {
            view.generation = shared.stacks.generation();
            view.names.clear();
            view.numbers = 0;
            view.next_scan_ns = 0;
        }
        let known: Vec<TaskThread> = self
            .reader
            .threads()
            .iter()
            .filter_map(|read| {
                let interpreter = self.reader.interpreters().get(read.interpreter)?.address;
                Some(TaskThread { state: read.state, interpreter })
            })
            .collect();
        let mut running = Vec::new();
        for one in view.reader.running(memory, &known) {
            let index = self.reader.threads().iter().position(|read| read.state == one.thread);
            if let Some(index) = index.filter(|_| one.task != 0) {
                running.push(one.task);
                let chain = view.reader.chain(memory, one.task);
                self.show_chain(memory, &mut view, index, &chain, threads, shared);
            }
        }
        if view.all {
            if shared.now_ns >= view.next_scan_ns {
                let before_ns = timer::now_ns();
                let waiting = self.waiting_tasks(memory, &mut view, &known, threads, shared);
                lanes.place(&waiting, shared);
                let took_ns = timer::now_ns().saturating_sub(before_ns);
                view.next_scan_ns = shared.now_ns + took_ns * SCAN_SHARE;
            }
            lanes.set_running(&running);
        }
        self.tasks = Some(view);
    }

    /// Gives a thread the stack of its running task: `chain` begins with that.
    fn show_chain(
        &mut self,
        memory: &LiveProcess,
        view: &mut TaskView,
        index: usize,
        chain: &[Task],
        threads: &mut [TargetThread],
        shared: &mut Shared<'_>,
    ) {
        let Some(task) = chain.first().filter(|task| task.code != 0) else { return };
        let tid = self.tid(&self.reader.threads()[index]);
        let is_it = |thread: &&mut TargetThread| thread.thread.os_tid == tid && !thread.ended;
        let Some(thread) = threads.iter_mut().find(is_it).filter(|thread| thread.stack_is_known) else {
            return;
        };
        let Some(function) = self.codes.get(&task.code).map(|code| code.function) else { return };
        // With native functions in between, these are not the frames of Python alone.
        let behind_loop = thread.path.iter().rposition(|node| runs_callbacks(shared.stacks, *node));
        let behind_loop = behind_loop.map_or(0, |at| at + 1);
        let is_own = |node: &NodeId| shared.stacks.function_of(*node).is_some_and(|one| one.id == function);
        let Some(own) = thread.path[behind_loop..].iter().position(is_own) else { return };
        let path = thread.path[behind_loop + own..].to_vec();
        let node = self.waiting_node(memory, view, &chain[1..], shared);
        let function = view.function(&task.name, shared);
        let node = shared.stacks.node(node, function, 0);
        let node = shared.stacks.replant(&path, node);
        thread.now.node = node;
    }

    /// The node of tasks that wait for one another, the innermost first.
    fn waiting_node(
        &mut self,
        memory: &LiveProcess,
        view: &mut TaskView,
        chain: &[Task],
        shared: &mut Shared<'_>,
    ) -> NodeId {
        let mut node = 0;
        for task in chain.iter().rev() {
            let function = view.function(&task.name, shared);
            node = shared.stacks.node(node, function, 0);
            for frame in &task.frames {
                node = self.frame_node(memory, node, *frame, shared);
            }
        }
        node
    }

    fn frame_node(
        &mut self,
        memory: &LiveProcess,
        parent: NodeId,
        frame: Frame,
        shared: &mut Shared<'_>,
    ) -> NodeId {
        if self.is_due(frame.code, shared.tick) {
            self.check_code(memory, frame.code, shared);
        }
        let key = (parent, frame.code, frame.instruction);
        match self.nodes.get(&key) {
            Some(node) => *node,
            None => {
                let node = self.new_node(parent, frame, shared.stacks);
                self.nodes.insert(key, node);
                node
            }
        }
    }

    /// The tasks that do not run and that no other waiting task stands for: one that waits for another is part of the
    /// other's stack.
    fn waiting_tasks(
        &mut self,
        memory: &LiveProcess,
        view: &mut TaskView,
        known: &[TaskThread],
        threads: &[TargetThread],
        shared: &mut Shared<'_>,
    ) -> Vec<WaitingTask> {
        let read = view.reader.all(memory, known);
        let tasks = read.tasks;
        let index_of: FxHashMap<u64, usize> =
            tasks.iter().enumerate().map(|(index, task)| (task.address, index)).collect();
        let owners: FxHashMap<u64, &TargetThread> = read
            .loops
            .iter()
            .filter_map(|one| {
                let read = self.reader.threads().iter().find(|read| read.state == one.thread)?;
                let tid = self.tid(read);
                let owner = threads.iter().find(|thread| thread.thread.os_tid == tid && !thread.ended)?;
                Some((one.event_loop, owner))
            })
            .collect();
        let awaiting: FxHashSet<u64> =
            tasks.iter().filter_map(|task| task.awaiters.first().copied()).collect();
        let mut waiting = Vec::new();
        for task in &tasks {
            let Some(owner) = owners.get(&task.event_loop) else { continue };
            // One without frames has begun to run since it was listed, or has none that can be read.
            let is_elsewhere = task.standing == Standing::Running || awaiting.contains(&task.address);
            if is_elsewhere || task.frames.is_empty() {
                continue;
            }
            let mut chain = vec![task.clone()];
            while let Some(next) = chain.last().and_then(|last| index_of.get(last.awaiters.first()?))
                && chain.len() < CHAIN_MAX
                && !chain.iter().any(|known| known.address == tasks[*next].address)
            {
                chain.push(tasks[*next].clone());
            }
            let node = self.waiting_node(memory, view, &chain, shared);
            let codes = task.frames.iter().rev().filter_map(|frame| self.codes.get(&frame.code));
            let places = codes.map(|code| (code.info.name.as_str(), code.info.file.as_str()));
            waiting.push(WaitingTask {
                task: task.address,
                process: owner.thread.process,
                os_tid: owner.thread.os_tid,
                node,
                state: task_tree::state(task.standing, places),
            });
        }
        waiting
    }
}

/// Whether a node is the event loop's, running one of its callbacks: what lies above is the task's.
fn runs_callbacks(stacks: &Stacks, node: NodeId) -> bool {
    stacks
        .function_of(node)
        .is_some_and(|function| function.name == "_run" && function.file.ends_with("asyncio/events.py"))
}
