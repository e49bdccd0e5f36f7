//! What the live view knows: takes batches, answers with figures.
//!
//! It knows neither the sampler nor the screen: a [`Batch`] comes in, from wherever. Everything is bounded. Start at
//! [`Model::take`].

use std::collections::{BTreeMap, VecDeque};

use naja_recording::{Batch, Ending, NodeId, Process, ProcessId, State, Thread, ThreadId, Tick};

use super::counts::{Counts, FunctionIndex, Span};

/// Points of the course of memory that are kept, and the time between two.
const MEMORY_POINTS_MAX: usize = 120;
const MEMORY_POINT_NS: u64 = 500_000_000;

/// Ended threads and processes that are kept, of each.
const ENDED_MAX: usize = 200;

/// Ticks of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ticks {
    /// By [`State`]'s number.
    pub(crate) states: [u64; State::ALL.len()],
    /// Holding the GIL.
    pub(crate) gil: u64,
    /// With the collector running.
    pub(crate) gc: u64,
}

impl Ticks {
    fn add(&mut self, other: &Ticks) {
        self.states.iter_mut().zip(other.states).for_each(|(sum, ticks)| *sum += ticks);
        self.gil += other.gil;
        self.gc += other.gc;
    }

    fn all(&self) -> u64 {
        self.states.iter().sum()
    }

    fn of(&self, states: &[State]) -> u64 {
        states.iter().map(|state| self.states[*state as usize]).sum()
    }
}

/// Shares of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Shares {
    /// Running Python.
    pub(crate) python: f64,
    /// Running native code.
    pub(crate) native: f64,
    /// Waiting for the GIL.
    pub(crate) gil_wait: f64,
    /// Blocked otherwise, or stopped.
    pub(crate) waiting: f64,
    /// Holding the GIL.
    pub(crate) gil: f64,
    /// With the collector running.
    pub(crate) gc: f64,
    /// Not seen.
    pub(crate) lost: f64,
}

impl Shares {
    fn of(ticks: &Ticks) -> Shares {
        let seen = (ticks.all() - ticks.of(&[State::Lost])).max(1) as f64;
        let share = |ticks: u64| ticks as f64 / seen;
        let waits = [State::IoWait, State::LockWait, State::Sleep, State::ChildWait, State::Stopped];
        Shares {
            python: share(ticks.of(&[State::Python])),
            native: share(ticks.of(&[State::Native])),
            gil_wait: share(ticks.of(&[State::GilWait])),
            waiting: share(ticks.of(&waits)),
            gil: share(ticks.gil),
            gc: share(ticks.gc),
            lost: ticks.of(&[State::Lost]) as f64 / ticks.all().max(1) as f64,
        }
    }
}

/// A thread as the view has it.
#[derive(Clone, Debug)]
pub(crate) struct ThreadFigures {
    pub(crate) thread: Thread,
    /// What it was last seen doing, and where.
    pub(crate) state: State,
    node: NodeId,
    /// It was part of the last batch.
    pub(crate) lives: bool,
    last_tick: Tick,
    window: VecDeque<(Tick, Ticks)>,
    /// Since the start or since counts were set to zero.
    pub(crate) ticks: Ticks,
}

/// A process as the view has it.
#[derive(Clone, Debug)]
pub(crate) struct ProcessFigures {
    pub(crate) process: Process,
    pub(crate) rss_bytes: u64,
    /// (tick, processor time) of the last moments.
    cpu: VecDeque<(Tick, u64)>,
}

/// Everything that is shown, as figures.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    interval_ns: u64,
    window_ticks: u64,
    pub(crate) counts: Counts,
    processes: BTreeMap<ProcessId, ProcessFigures>,
    threads: BTreeMap<ThreadId, ThreadFigures>,
    /// The tick up to which is counted, and the one from which on.
    until_tick: Tick,
    since_tick: Tick,
    /// Ticks of threads not seen since then, of all.
    total: Ticks,
    memory: VecDeque<u64>,
    memory_tick: Tick,
}

impl Model {
    /// A model of nothing yet. A tick has `interval_ns`; "now" is the last `window_ns`.
    pub(crate) fn new(interval_ns: u64, window_ns: u64) -> Model {
        let interval_ns = interval_ns.max(1);
        Model {
            interval_ns,
            window_ticks: (window_ns / interval_ns).max(1),
            counts: Counts::default(),
            processes: BTreeMap::new(),
            threads: BTreeMap::new(),
            until_tick: 0,
            since_tick: 0,
            total: Ticks::default(),
            memory: VecDeque::new(),
            memory_tick: 0,
        }
    }

    /// Takes over what is new.
    ///
    /// Cost: O(samples of the batch).
    pub(crate) fn take(&mut self, batch: &Batch) {
        let ticks = batch.until_tick.saturating_sub(self.until_tick);
        self.until_tick = self.until_tick.max(batch.until_tick);
        for process in &batch.processes {
            let figures = self.processes.entry(process.id).or_insert_with(|| ProcessFigures {
                process: Process::default(),
                rss_bytes: 0,
                cpu: VecDeque::new(),
            });
            figures.process.clone_from(process);
        }
        for thread in &batch.threads {
            let figures = self.threads.entry(thread.id).or_insert_with(|| ThreadFigures {
                thread: Thread::default(),
                state: State::Lost,
                node: 0,
                lives: true,
                last_tick: 0,
                window: VecDeque::new(),
                ticks: Ticks::default(),
            });
            figures.thread.clone_from(thread);
        }
        if ticks > 0 {
            self.take_runs(batch);
            self.counts.take(batch, ticks, self.window_ticks);
        }
        self.take_metrics(batch);
        self.forget_ended();
    }

    fn take_runs(&mut self, batch: &Batch) {
        for figures in self.threads.values_mut() {
            figures.lives = false;
        }
        let oldest = self.until_tick.saturating_sub(self.window_ticks);
        for runs in &batch.runs {
            let Some(figures) = self.threads.get_mut(&runs.thread) else { continue };
            let mut ticks = Ticks::default();
            for run in &runs.runs {
                let count = u64::from(run.ticks);
                ticks.states[run.state as usize] += count;
                ticks.gil += if run.gil { count } else { 0 };
                ticks.gc += if run.gc { count } else { 0 };
                // A lost sample says nothing of what the thread does.
                if run.state != State::Lost {
                    (figures.state, figures.node) = (run.state, run.node);
                }
            }
            figures.lives = true;
            figures.last_tick = self.until_tick;
            figures.ticks.add(&ticks);
            self.total.add(&ticks);
            figures.window.push_back((self.until_tick, ticks));
        }
        for figures in self.threads.values_mut() {
            while figures.window.front().is_some_and(|(until, _)| *until <= oldest) {
                figures.window.pop_front();
            }
        }
    }

    fn take_metrics(&mut self, batch: &Batch) {
        for metric in &batch.metrics {
            let Some(figures) = self.processes.get_mut(&metric.process) else { continue };
            figures.rss_bytes = metric.rss_bytes;
            figures.cpu.push_back((metric.tick, metric.cpu_ns));
            let oldest = metric.tick.saturating_sub(self.window_ticks);
            while figures.cpu.len() > 2 && figures.cpu[1].0 <= oldest {
                figures.cpu.pop_front();
            }
        }
        let gap = (MEMORY_POINT_NS / self.interval_ns).max(1);
        if self.memory_bytes() > 0 && (self.memory.is_empty() || self.until_tick >= self.memory_tick + gap) {
            self.memory_tick = self.until_tick;
            self.memory.push_back(self.memory_bytes());
            if self.memory.len() > MEMORY_POINTS_MAX {
                self.memory.pop_front();
            }
        }
    }

    /// Forgets threads and processes that ended longest ago, when there are too many. The program itself stays.
    fn forget_ended(&mut self) {
        let ended: Vec<ThreadId> =
            self.threads.values().filter(|figures| !figures.lives).map(|figures| figures.thread.id).collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            self.threads.remove(id);
        }
        let ended: Vec<ProcessId> = self
            .processes
            .values()
            .filter(|figures| figures.process.ending != Ending::Running && figures.process.parent != 0)
            .map(|figures| figures.process.id)
            .collect();
        for id in ended.iter().take(ended.len().saturating_sub(ENDED_MAX)) {
            self.processes.remove(id);
        }
    }

    /// Sets every count to zero: "all" is from now on.
    pub(crate) fn reset(&mut self) {
        self.counts.reset();
        self.since_tick = self.until_tick;
        self.total = Ticks::default();
        for figures in self.threads.values_mut() {
            figures.ticks = Ticks::default();
            figures.window.clear();
        }
    }

    /// Nanoseconds since the view began.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.until_tick * self.interval_ns
    }

    /// Nanoseconds that "all" reaches over.
    pub(crate) fn counted_ns(&self) -> u64 {
        (self.until_tick - self.since_tick) * self.interval_ns
    }

    /// Length of a tick in nanoseconds.
    pub(crate) fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// The program itself; `None` before the first batch.
    pub(crate) fn program(&self) -> Option<&ProcessFigures> {
        self.processes.values().next()
    }

    /// All processes, in the order in which they were seen.
    pub(crate) fn processes(&self) -> impl Iterator<Item = &ProcessFigures> {
        self.processes.values()
    }

    /// Threads that live, or, when all have ended, those that did last.
    pub(crate) fn threads(&self) -> impl Iterator<Item = &ThreadFigures> {
        let any_lives = self.threads.values().any(|figures| figures.lives);
        let last = self.threads.values().map(|figures| figures.last_tick).max().unwrap_or(0);
        self.threads
            .values()
            .filter(move |figures| figures.lives || (!any_lives && figures.last_tick == last))
    }

    /// A thread by its number.
    pub(crate) fn thread(&self, id: ThreadId) -> Option<&ThreadFigures> {
        self.threads.get(&id)
    }

    /// Resident memory of all processes that live, bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        let living = |figures: &&ProcessFigures| figures.process.ending == Ending::Running;
        self.processes.values().filter(living).map(|figures| figures.rss_bytes).sum()
    }

    /// Resident memory over the last minute, evenly spaced, bytes.
    pub(crate) fn memory_course(&self) -> Vec<u64> {
        self.memory.iter().copied().collect()
    }

    /// Processor time of all processes in the last moments, as a share of one core.
    pub(crate) fn cpu(&self) -> f64 {
        self.processes.values().map(|figures| self.process_cpu(figures)).sum()
    }

    /// Processor time of a process in the last moments, as a share of one core; 0 when it has ended.
    pub(crate) fn process_cpu(&self, figures: &ProcessFigures) -> f64 {
        let (Some(first), Some(last)) = (figures.cpu.front(), figures.cpu.back()) else { return 0.0 };
        if figures.process.ending != Ending::Running || last.0 <= first.0 {
            return 0.0;
        }
        last.1.saturating_sub(first.1) as f64 / ((last.0 - first.0) * self.interval_ns) as f64
    }

    /// What all threads did in the last moments, as shares of their time; `gil` and `gc` as shares of the time that
    /// passed, over all processes.
    pub(crate) fn shares(&self) -> Shares {
        let mut sum = Ticks::default();
        for figures in self.threads.values() {
            sum.add(&figures.recent());
        }
        let mut shares = Shares::of(&sum);
        let passed = self.observed_ticks(Span::Now);
        shares.gil = sum.gil as f64 / passed;
        shares.gc = sum.gc as f64 / passed;
        shares
    }

    /// Samples a second that came to something in the last moments.
    pub(crate) fn attained_hz(&self) -> f64 {
        1e9 / self.interval_ns as f64 * (1.0 - self.shares().lost)
    }

    /// Share of the samples that were missed or could not be read, since counting began.
    pub(crate) fn lost_share(&self) -> f64 {
        Shares::of(&self.total).lost
    }

    /// What a share of the time is a share of: the ticks that passed, less the part that was not seen. At least a
    /// little, so that one can divide by it.
    pub(crate) fn observed_ticks(&self, span: Span) -> f64 {
        let (passed, lost) = match span {
            Span::All => (self.until_tick - self.since_tick, self.lost_share()),
            Span::Now => {
                let mut sum = Ticks::default();
                self.threads.values().for_each(|figures| sum.add(&figures.recent()));
                (self.counts.window_ticks(), Shares::of(&sum).lost)
            }
        };
        (passed as f64 * (1.0 - lost)).max(1.0)
    }

    /// Where a thread was last seen.
    pub(crate) fn innermost(&self, figures: &ThreadFigures) -> Option<(FunctionIndex, u32)> {
        self.counts.innermost(figures.node)
    }
}

impl ThreadFigures {
    /// Its ticks in the last moments.
    fn recent(&self) -> Ticks {
        let mut sum = Ticks::default();
        self.window.iter().for_each(|(_, ticks)| sum.add(ticks));
        sum
    }

    /// What it did in the last moments.
    pub(crate) fn shares(&self) -> Shares {
        Shares::of(&self.recent())
    }
}
