//! One observed process: finds its interpreter and its threads, and samples them tick by tick.
//!
//! Nothing here stops or changes the process. Every failure to read it is taken for a moment's state: it is
//! tried again, and what stays unreadable is told by name.

use std::fs::File;
use std::os::unix::fs::FileExt;

use naja_cpython::locate::{LocateError, Locator};
use naja_cpython::memory::{LiveProcess, MemoryError};
use naja_cpython::reader::SampleError;
use naja_recording::{Batch, Ending, Metric, Process, ProcessId, State, Thread, ThreadId, Tick};
use naja_system::{Failure, timer};

use crate::native::NativeShared;
use crate::os_thread::{Activity, OsThread};
use crate::process_status::{command_line, read_line};
use crate::python::Python;
use crate::stacks::Stacks;
use crate::task_lanes::{TaskLanes, Tasks};
use crate::thread::TargetThread;

/// After so many failed samples in a row the interpreter is looked for anew: the process may have become
/// another program.
const FAILURES_MAX: u32 = 20;

/// The shortest and the longest time between two attempts to find an interpreter in a process that has none.
const ATTEMPT_GAP_MIN_NS: u64 = 500_000;
const ATTEMPT_GAP_MAX_NS: u64 = 1_000_000_000;

/// Why a process is not read on that was a Python and has become another program.
pub(crate) const NO_LONGER_PYTHON: &str = "the process runs Python no more";

/// How many threads of a process that seems to do nothing are asked in one sample whether they have run. Cost: some
/// 0.8 µs each.
const ASKED_MAX: usize = 32;

/// The clock of a process that is running is read this often: the kernel itself brings it up to date no more often.
const CLOCK_NS: u64 = 4_000_000;

/// The shortest and the longest time between two looks at which program a process executes.
const PROGRAM_GAP_MIN_NS: u64 = 4_000_000;
const PROGRAM_GAP_MAX_NS: u64 = 250_000_000;

/// A child that was seen for fewer ticks before it became another program is not called a Python.
const PYTHON_TICKS_MIN: u64 = 50;

/// Samples of the whole recording, by what came of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SampleCounts {
    /// Stacks read.
    pub taken: u64,
    /// Stacks that needed more than one copy.
    pub retried: u64,
    /// Stacks whose innermost calls returned while they were copied, and that were completed from what is
    /// known of their callers.
    pub mended: u64,
    /// Stacks that no try could read.
    pub lost: u64,
    /// Ticks of tasks that waited and had no lane, since there were too many.
    pub tasks_without_lane: u64,
}

/// What a process is said to be doing when its threads do different things: work before waiting, and of
/// the waits the one that most likely holds up the work.
const BY_WEIGHT: [State; State::ALL.len()] = [
    State::Python,
    State::Native,
    State::GilWait,
    State::IoWait,
    State::ChildWait,
    State::Sleep,
    State::LockWait,
    State::Stopped,
    State::Lost,
];

/// Threads of one process that have ended: those that ran most, and a sum of the rest, so that a server that
/// makes a thread for each request is observed in bounded space.
#[derive(Debug, Default)]
pub(crate) struct EndedThreads {
    pub(crate) kept: Vec<TargetThread>,
    /// How many are not kept, and their ticks by state.
    pub(crate) unlisted: u64,
    pub(crate) unlisted_ticks: [u64; State::ALL.len()],
}

/// Ended threads that are kept, of each process; there may be twice as many for a while.
const ENDED_THREADS_MAX: usize = 200;

impl EndedThreads {
    fn add(&mut self, mut thread: TargetThread) {
        thread.forget_stack();
        thread.os.close();
        self.kept.push(thread);
        if self.kept.len() < 2 * ENDED_THREADS_MAX {
            return;
        }
        let busy = |thread: &TargetThread| {
            thread.ticks[State::Python as usize] + thread.ticks[State::Native as usize]
        };
        self.kept.sort_by_key(|thread| std::cmp::Reverse(busy(thread)));
        for thread in self.kept.drain(ENDED_THREADS_MAX..) {
            self.unlisted += 1;
            add_ticks(&mut self.unlisted_ticks, &thread.ticks);
        }
    }
}

/// Adds ticks by state.
pub(crate) fn add_ticks(sum: &mut [u64; State::ALL.len()], ticks: &[u64; State::ALL.len()]) {
    sum.iter_mut().zip(ticks).for_each(|(sum, ticks)| *sum += ticks);
}

/// What all targets share while one tick is sampled.
pub(crate) struct Shared<'a> {
    pub(crate) tick: Tick,
    pub(crate) now_ns: u64,
    pub(crate) stacks: &'a mut Stacks,
    pub(crate) threads_given: &'a mut ThreadId,
    pub(crate) counts: &'a mut SampleCounts,
    pub(crate) locator: &'a mut Locator,
    /// What native stacks need, where they are asked for.
    pub(crate) native: Option<&'a mut NativeShared>,
    pub(crate) tasks: Tasks,
}

/// One observed process.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) process: Process,
    /// `process` has changed since it was last written.
    pub(crate) changed: bool,
    memory: LiveProcess,
    python: Option<Python>,
    /// When to look for an interpreter next, and how long to wait after that.
    attempt_at_ns: u64,
    attempt_gap_ns: u64,
    failures: u32,
    threads: Vec<TargetThread>,
    ended_threads: EndedThreads,
    /// Tasks of asyncio that wait, where they are told apart.
    lanes: TaskLanes,
    /// Ticks by what the process as a whole was doing: the first of [`BY_WEIGHT`] that a thread was doing.
    ticks: [u64; State::ALL.len()],
    /// The tick after the last one that `ticks` holds.
    next_tick: Tick,
    statm: Option<File>,
    page_bytes: u64,
    cpu_ns: u64,
    cpu_ns_at_start: u64,
    /// When to read the clock next, if nothing depends on it before.
    clock_due_ns: u64,
    /// It had run before the recording began, and its threads were not listed yet: what they used until then is not
    /// the recording's.
    has_older_threads: bool,
    /// Time in user and system mode, nanoseconds, up to when it was first seen, where it is older.
    times_at_start: (u64, u64),
    /// The thread that is asked next whether it has run.
    ask_next: usize,
    /// Which program it executes, as far as `/proc` tells, and when to look again and how long after that.
    program: Program,
    program_due_ns: u64,
    program_gap_ns: u64,
    /// How it has ended, where the system tells, before its end is certain.
    ending: Ending,
    ended: bool,
}

impl Target {
    pub(crate) fn new(id: ProcessId, pid: u32, parent: ProcessId, tick: Tick) -> Target {
        let process = Process {
            id,
            pid,
            parent,
            command: command_line(pid),
            first_tick: tick,
            last_tick: tick,
            ..Process::default()
        };
        let cpu_ns = timer::process_cpu_ns(pid).unwrap_or(0);
        Target {
            process,
            changed: true,
            memory: LiveProcess::new(pid),
            python: None,
            attempt_at_ns: 0,
            attempt_gap_ns: ATTEMPT_GAP_MIN_NS,
            failures: 0,
            threads: Vec::new(),
            ended_threads: EndedThreads::default(),
            lanes: TaskLanes::default(),
            ticks: [0; State::ALL.len()],
            next_tick: tick,
            statm: File::open(format!("/proc/{pid}/statm")).ok(),
            page_bytes: naja_system::machine::page_bytes(),
            cpu_ns,
            cpu_ns_at_start: cpu_ns,
            clock_due_ns: 0,
            has_older_threads: false,
            times_at_start: (0, 0),
            ask_next: 0,
            program: Program::of(pid),
            program_due_ns: 0,
            program_gap_ns: PROGRAM_GAP_MIN_NS,
            ending: Ending::Gone,
            ended: false,
        }
    }

    /// Counts times from now on alone: the process had run before the recording began.
    pub(crate) fn count_from_now(&mut self) {
        self.has_older_threads = true;
        self.times_at_start = user_and_system_ns(self.process.pid).unwrap_or_default();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// The process, its ticks by state, and its threads, to be counted up.
    pub(crate) fn into_parts(self) -> (Process, [u64; State::ALL.len()], EndedThreads) {
        let mut threads = self.ended_threads;
        threads.kept.extend(self.threads);
        threads.kept.extend(self.lanes.into_threads());
        (self.process, self.ticks, threads)
    }

    /// The tree of stacks was begun anew.
    pub(crate) fn forget_stacks(&mut self) {
        self.threads.iter_mut().for_each(TargetThread::forget_stack);
        self.lanes.forget_stacks();
    }

    /// Ticks of all its threads by state.
    pub(crate) fn thread_ticks(&self) -> [u64; State::ALL.len()] {
        let mut ticks = self.ended_threads.unlisted_ticks;
        for thread in self.threads.iter().chain(&self.ended_threads.kept).chain(self.lanes.threads()) {
            add_ticks(&mut ticks, &thread.ticks);
        }
        ticks
    }

    /// Adds what is new of its threads to a batch.
    pub(crate) fn take_new(&mut self, batch: &mut Batch) {
        for thread in &mut self.threads {
            if std::mem::take(&mut thread.changed) {
                batch.threads.push(thread.thread.clone());
            }
            batch.runs.extend(thread.take_runs());
        }
        self.lanes.take_new(batch);
        self.threads.extract_if(.., |thread| thread.ended).for_each(|thread| self.ended_threads.add(thread));
    }

    /// Brings [`cpu_ns`](Self::cpu_ns) up to date; `false` when the process is gone.
    ///
    /// Cost: one system call of some 0.2 µs.
    fn refresh_clock(&mut self) -> bool {
        let cpu_ns = timer::process_cpu_ns(self.process.pid);
        self.cpu_ns = cpu_ns.unwrap_or(self.cpu_ns);
        cpu_ns.is_some()
    }

    /// CPU time used since it was first seen, nanoseconds, as of when the clock was last read.
    pub(crate) fn cpu_ns(&self) -> u64 {
        self.cpu_ns.saturating_sub(self.cpu_ns_at_start)
    }

    /// Samples every thread for one tick.
    pub(crate) fn sample(&mut self, shared: &mut Shared<'_>) {
        if self.ended {
            return;
        }
        // Where a thread was running, the clock saves no work, and the process's memory tells that it is gone.
        let may_rest = self.failures == 0 && self.threads.iter().all(TargetThread::is_blocked);
        let clock_moved = if may_rest || self.python.is_none() || shared.now_ns >= self.clock_due_ns {
            let before = self.cpu_ns;
            self.clock_due_ns = shared.now_ns + CLOCK_NS;
            if !self.refresh_clock() {
                return self.end(shared.tick);
            }
            self.cpu_ns != before
        } else {
            true
        };
        self.process.last_tick = shared.tick;
        if self.python.is_none() {
            self.attempt(shared);
        }
        if may_rest && !clock_moved && self.all_stay_blocked() {
            self.threads.iter_mut().for_each(|thread| thread.repeat(shared));
            self.lanes.repeat(shared);
            self.note(shared.tick, true);
            return;
        }
        self.look_at_threads(shared);
        match self.sample_stacks(shared) {
            Ok(()) => self.failures = 0,
            Err(error) => self.fail(error, shared),
        }
        self.threads.iter_mut().for_each(|thread| thread.note(shared));
        self.lanes.note(shared);
        self.note(shared.tick, false);
    }

    /// Notes what the process as a whole was doing in this tick; when `idle`, also in those missed before.
    fn note(&mut self, tick: Tick, idle: bool) {
        let state = |thread: &TargetThread| (!thread.ended).then_some(thread.now.state);
        let weight = |state: &State| BY_WEIGHT.iter().position(|other| other == state);
        let state = self.threads.iter().filter_map(state).min_by_key(weight).unwrap_or(State::Lost);
        let missed = tick.saturating_sub(self.next_tick);
        self.ticks[if idle { state } else { State::Lost } as usize] += missed;
        self.ticks[state as usize] += 1;
        self.next_tick = tick + 1;
    }

    /// Looks for an interpreter, less often the longer there is none.
    fn attempt(&mut self, shared: &mut Shared<'_>) {
        if shared.now_ns < self.attempt_at_ns {
            return;
        }
        match shared.locator.locate(self.process.pid, &self.memory) {
            Ok(located) => {
                self.process.interpreter = format!("CPython {}", located.version);
                if located.free_threaded {
                    self.process.interpreter.push_str(" free-threaded");
                }
                self.process.unobserved.clear();
                self.refresh_command();
                self.python = Some(Python::new(located, shared.tasks));
                self.attempt_gap_ns = ATTEMPT_GAP_MIN_NS;
                self.find_threads(shared);
            }
            Err(LocateError::Memory(MemoryError::Gone)) => self.check_alive(shared.tick),
            Err(error) => {
                if !matches!(error, LocateError::NotReady) {
                    self.process.unobserved = self.reason(&error);
                }
                // An interpreter that is starting is tried again soon; another program now and then, since
                // it may replace itself by one.
                self.attempt_gap_ns = match error {
                    LocateError::NotReady => 1_000_000,
                    _ => (self.attempt_gap_ns * 2).min(ATTEMPT_GAP_MAX_NS),
                };
                self.attempt_at_ns = shared.now_ns + self.attempt_gap_ns;
            }
        }
        self.changed = true;
    }

    /// Why its stacks are not read, and what works instead.
    fn reason(&self, error: &LocateError) -> String {
        if matches!(error, LocateError::NotPython) && !self.process.interpreter.is_empty() {
            return NO_LONGER_PYTHON.to_owned();
        }
        let Some(hint) = Failure::from(error).hint_text().map(str::to_owned) else {
            return error.to_string();
        };
        format!("{error}: {hint}")
    }

    /// Opens the threads that the system lists and that are not known yet.
    pub(crate) fn find_threads(&mut self, shared: &mut Shared<'_>) {
        if self.python.is_none() || self.ended {
            return;
        }
        let pid = self.process.pid;
        let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
            return;
        };
        let tids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        for tid in tids {
            if self.threads.iter().any(|thread| thread.thread.os_tid == tid && !thread.ended) {
                continue;
            }
            let Some(mut os) = OsThread::open(pid, tid) else { continue };
            if self.has_older_threads {
                os.count_from_now();
            }
            *shared.threads_given += 1;
            let name = read_line(&format!("/proc/{pid}/task/{tid}/comm"));
            self.threads.push(TargetThread::new(
                Thread {
                    id: *shared.threads_given,
                    process: self.process.id,
                    os_tid: tid,
                    name,
                    interpreter: 0,
                },
                os,
                shared.tick,
            ));
            if let Some(python) = &mut self.python {
                python.name_threads_soon();
            }
        }
        self.has_older_threads = false;
    }

    /// Whether every thread was blocked at the last look and has not run since.
    ///
    /// The clock of a process that runs on another processor moves with the kernel's tick alone, every 1 to 10 ms: it
    /// tells nothing of this moment. How often a thread was put on a processor is always up to date.
    fn all_stay_blocked(&mut self) -> bool {
        let count = self.threads.len();
        let asked = count.min(ASKED_MAX);
        // Of very many threads some in each sample, all in turn.
        let first = self.ask_next;
        self.ask_next = (first + asked) % count.max(1);
        self.threads.iter().all(TargetThread::is_blocked)
            && (first..first + asked).all(|index| {
                let thread = &mut self.threads[index % count];
                thread.ended || !thread.os.may_have_run()
            })
    }

    /// Finds out which threads have run and what they are doing. Of one that is presumed to run Python the system is
    /// asked after its stack was read, where that does not confirm it.
    fn look_at_threads(&mut self, shared: &Shared<'_>) {
        // What a native stack needs depends on whether the thread is blocked.
        let may_presume = shared.native.is_none();
        let mut any_ended = false;
        for thread in self.threads.iter_mut().filter(|thread| !thread.ended) {
            thread.presumed_running = may_presume && thread.is_trusted(shared.tick);
            if thread.presumed_running {
                thread.ran = true;
                continue;
            }
            thread.ran = thread.os.has_run();
            if thread.ran && thread.os.look() == Activity::Ended {
                thread.ended = true;
                any_ended = true;
            }
        }
        if any_ended && let Some(python) = &mut self.python {
            python.forget_threads();
        }
    }

    fn sample_stacks(&mut self, shared: &mut Shared<'_>) -> Result<(), SampleError> {
        match &mut self.python {
            Some(python) => {
                python.sample(&self.memory, self.process.pid, &mut self.threads, shared)?;
                python.sample_tasks(&self.memory, &mut self.threads, &mut self.lanes, shared);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// A sample failed as a whole: the interpreter starts, ends, or was replaced by another program.
    fn fail(&mut self, error: SampleError, shared: &mut Shared<'_>) {
        self.threads.iter_mut().for_each(TargetThread::lose);
        self.lanes.clear();
        match error {
            SampleError::Memory(MemoryError::Gone) => return self.check_alive(shared.tick),
            // It has given up or gained privileges, and stays the program that it was.
            SampleError::Memory(MemoryError::Forbidden) => {
                self.python = None;
                return self.attempt(shared);
            }
            _ => {}
        }
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.became_another_program();
        }
    }

    /// Looks whether it executes another program by now, less often the longer it does not: for where the system
    /// does not tell. Cost: one read of some 10 µs when it is due.
    pub(crate) fn check_program(&mut self, now_ns: u64) {
        if now_ns < self.program_due_ns {
            return;
        }
        self.program_due_ns = now_ns + self.program_gap_ns;
        self.program_gap_ns = (self.program_gap_ns * 2).min(PROGRAM_GAP_MAX_NS);
        let program = Program::of(self.process.pid);
        if program != self.program && program != Program::default() {
            self.program = program;
            self.became_another_program();
        }
    }

    /// It executes another program, with one thread: whatever was known of the interpreter is void.
    ///
    /// A process that has run Python for a while stays one in the report, whatever it becomes; one that was made
    /// by `fork` to become a command never was.
    pub(crate) fn became_another_program(&mut self) {
        let seen: u64 = self.ticks.iter().sum::<u64>() - self.ticks[State::Lost as usize];
        if seen < PYTHON_TICKS_MIN && self.process.parent != 0 {
            self.process.interpreter.clear();
        }
        self.process.unobserved.clear();
        self.refresh_command();
        self.threads.iter_mut().for_each(|thread| thread.ended = true);
        self.lanes.clear();
        self.python = None;
        self.failures = 0;
        self.attempt_at_ns = 0;
        self.attempt_gap_ns = ATTEMPT_GAP_MIN_NS;
        self.ending = Ending::Gone;
        self.changed = true;
    }

    /// The system says that its first thread has ended in this way.
    pub(crate) fn may_have_ended(&mut self, ending: Ending, tick: Tick) {
        self.ending = ending;
        if self.ended {
            self.process.ending = ending;
            self.changed = true;
        } else {
            self.check_alive(tick);
        }
    }

    /// Reads the command line; that of a process which has ended stays as it was.
    fn refresh_command(&mut self) {
        let command = command_line(self.process.pid);
        if command.first().is_some_and(|program| !program.is_empty()) {
            self.process.command = command;
        }
    }

    /// Tells a process that is gone, or a zombie, from one that could not be read for a moment.
    pub(crate) fn check_alive(&mut self, tick: Tick) {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.pid)).unwrap_or_default();
        // The name before the state is in parentheses and may hold any character.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        // A first thread that has ended is a zombie as long as others live.
        let others_live = || {
            let threads = std::fs::read_dir(format!("/proc/{}/task", self.process.pid));
            threads.is_ok_and(|threads| threads.count() > 1)
        };
        match state {
            None | Some('X') => self.end(tick),
            Some('Z') if !others_live() => self.end(tick),
            _ => {}
        }
    }

    fn end(&mut self, tick: Tick) {
        self.process.ending = self.ending;
        self.process.last_tick = tick;
        self.threads.iter_mut().for_each(|thread| thread.ended = true);
        self.lanes.clear();
        // What was only for sampling it goes: there may be many that have ended.
        self.python = None;
        self.statm = None;
        self.ended = true;
        self.changed = true;
    }

    /// Memory and processor time now.
    pub(crate) fn metric(&mut self, tick: Tick) -> Option<Metric> {
        let mut text = [0; 128];
        let len = self.statm.as_ref()?.read_at(&mut text, 0).ok()?;
        let pages = std::str::from_utf8(&text[..len]).ok()?.split(' ').nth(1)?.parse::<u64>().ok()?;
        let rss_bytes = pages.saturating_mul(self.page_bytes);
        // A process that has ended has no pages any more.
        (rss_bytes > 0).then_some(Metric { tick, process: self.process.id, cpu_ns: self.cpu_ns(), rss_bytes })
    }

    /// Brings the highest memory and the times up to date: reads two files, so not at every tick.
    pub(crate) fn refresh_totals(&mut self) {
        let pid = self.process.pid;
        self.refresh_clock();
        for thread in &mut self.threads {
            thread.refresh_times();
            thread.refresh_name(|tid| read_line(&format!("/proc/{pid}/task/{tid}/comm")));
        }
        if let Ok(status) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            self.process.peak_rss_bytes = self.process.peak_rss_bytes.max(kib.unwrap_or(0) * 1024);
        }
        if let Some((user_ns, system_ns)) = user_and_system_ns(pid) {
            self.process.user_ns = user_ns.saturating_sub(self.times_at_start.0);
            self.process.system_ns = system_ns.saturating_sub(self.times_at_start.1);
        }
        self.changed = true;
    }
}

/// What tells one execution of a program from the next: where its code lies (which differs even when a program
/// executes itself, since the system chooses the place anew); its name, which it may change, where the system
/// keeps that to itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Program {
    name: String,
    code_at: u64,
}

impl Program {
    /// Of a process; empty when it is gone.
    fn of(pid: u32) -> Program {
        let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&stat);
        let parts = stat.split_once(" (").and_then(|(_, rest)| rest.rsplit_once(") "));
        let Some((name, fields)) = parts else { return Program::default() };
        // Fields are counted from 1, the first of these is the third; the 26th is `startcode`.
        let code_at = fields.split(' ').nth(26 - 3).and_then(|field| field.parse().ok()).unwrap_or(0);
        let name = if code_at > 1 { String::new() } else { name.to_owned() };
        Program { name, code_at }
    }
}

/// Processor time of a process since its start, in user and in system mode.
fn user_and_system_ns(pid: u32) -> Option<(u64, u64)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11).map(|field| field.parse::<u64>().unwrap_or(0));
    let tick_ns = naja_system::machine::clock_tick_ns();
    Some((fields.next()? * tick_ns, fields.next()? * tick_ns))
}
