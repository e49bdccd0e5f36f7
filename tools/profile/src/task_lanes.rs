//! Rows of a recording for tasks of asyncio that wait.
//!
//! A task that runs is on its thread's stack. One that waits is on none, so it gets a lane: a row of its own beside its
//! loop's thread, which another task takes over when it is done. There are at most [`LANES_MAX`] for a process; what
//! waits beyond that is counted.

use naja_recording::{Batch, NodeId, ProcessId, State, Thread};
use rustc_hash::FxHashMap;

use crate::os_thread::OsThread;
use crate::target::Shared;
use crate::thread::{Now, TargetThread};

/// Which tasks of asyncio are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Tasks {
    /// None: a thread's stack is what is on it.
    #[default]
    #[value(skip)]
    None,
    /// Those that run: with the tasks that wait for them in place of the event loop
    Running,
    /// All: those that wait are shown where they wait
    All,
}

/// Lanes of one process.
pub(crate) const LANES_MAX: usize = 256;

/// A task that waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WaitingTask {
    /// Its address.
    pub(crate) task: u64,
    /// The process, and the system's number of its loop's thread.
    pub(crate) process: ProcessId,
    pub(crate) os_tid: u32,
    /// Where it waits.
    pub(crate) node: NodeId,
    /// For what.
    pub(crate) state: State,
}

/// The lanes of one process.
#[derive(Debug, Default)]
pub(crate) struct TaskLanes {
    lanes: Vec<Lane>,
    /// Lanes by their tasks.
    by_task: FxHashMap<u64, usize>,
    /// Tasks that wait now and have no lane.
    without: u64,
}

#[derive(Debug)]
struct Lane {
    row: TargetThread,
    /// The task that it stands for; 0 when none.
    task: u64,
    /// The task runs just now, and is on its thread's stack instead.
    runs: bool,
}

impl TaskLanes {
    /// Takes over which tasks wait, as of now.
    pub(crate) fn place(&mut self, waiting: &[WaitingTask], shared: &mut Shared<'_>) {
        let mut free: Vec<bool> = vec![true; self.lanes.len()];
        let mut new = Vec::new();
        for one in waiting {
            let known = self.by_task.get(&one.task).copied();
            match known.filter(|index| self.lanes[*index].row.thread.os_tid == one.os_tid) {
                Some(index) => {
                    free[index] = false;
                    self.lanes[index].row.now = now(one);
                }
                None => new.push(one),
            }
        }
        for (lane, _) in self.lanes.iter_mut().zip(&free).filter(|(_, free)| **free) {
            self.by_task.remove(&lane.task);
            lane.task = 0;
        }
        self.without = 0;
        for one in new {
            let fits = |lane: &Lane| lane.task == 0 && lane.row.thread.os_tid == one.os_tid;
            let index = match self.lanes.iter().position(fits) {
                Some(index) => index,
                None if self.lanes.len() < LANES_MAX => self.add(one, shared),
                None => {
                    self.without += 1;
                    continue;
                }
            };
            let lane = &mut self.lanes[index];
            lane.task = one.task;
            lane.row.skip_to(shared.tick);
            lane.row.now = now(one);
            self.by_task.insert(one.task, index);
        }
    }

    fn add(&mut self, one: &WaitingTask, shared: &mut Shared<'_>) -> usize {
        *shared.threads_given += 1;
        let number = 1 + self.lanes.iter().filter(|lane| lane.row.thread.os_tid == one.os_tid).count();
        let row = Thread {
            id: *shared.threads_given,
            process: one.process,
            os_tid: one.os_tid,
            name: format!("tasks {number}"),
            interpreter: 0,
        };
        let row = TargetThread::new(row, OsThread::none(), shared.tick);
        self.lanes.push(Lane { row, task: 0, runs: false });
        self.lanes.len() - 1
    }

    /// These tasks run now, and no others.
    pub(crate) fn set_running(&mut self, running: &[u64]) {
        for lane in &mut self.lanes {
            lane.runs = running.contains(&lane.task);
        }
    }

    /// Notes what the sample of this tick showed.
    pub(crate) fn note(&mut self, shared: &mut Shared<'_>) {
        shared.counts.tasks_without_lane += self.without;
        for lane in &mut self.lanes {
            match lane.task {
                0 => {}
                _ if lane.runs => lane.row.skip_to(shared.tick + 1),
                _ => lane.row.note(shared),
            }
        }
    }

    /// Notes that no thread has run since the last tick, so that every task waits on.
    pub(crate) fn repeat(&mut self, shared: &mut Shared<'_>) {
        shared.counts.tasks_without_lane += self.without;
        for lane in self.lanes.iter_mut().filter(|lane| lane.task != 0) {
            lane.row.hold(shared);
        }
    }

    /// Nothing is known of any task now.
    pub(crate) fn clear(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.task = 0);
        self.by_task.clear();
        self.without = 0;
    }

    /// The tree of stacks was begun anew: the numbers of its nodes are void.
    pub(crate) fn forget_stacks(&mut self) {
        self.clear();
        self.lanes.iter_mut().for_each(|lane| lane.row.forget_stack());
    }

    /// Adds what is new to a batch.
    pub(crate) fn take_new(&mut self, batch: &mut Batch) {
        for Lane { row, .. } in &mut self.lanes {
            if std::mem::take(&mut row.changed) {
                batch.threads.push(row.thread.clone());
            }
            batch.runs.extend(row.take_earlier_runs());
            batch.runs.extend(row.take_runs());
        }
    }

    pub(crate) fn threads(&self) -> impl Iterator<Item = &TargetThread> {
        self.lanes.iter().map(|lane| &lane.row)
    }

    pub(crate) fn into_threads(self) -> impl Iterator<Item = TargetThread> {
        self.lanes.into_iter().map(|lane| lane.row)
    }
}

fn now(one: &WaitingTask) -> Now {
    Now { node: one.node, state: one.state, gil: false, gc: false }
}
