//! The report of a run, as plain data: what `--report` writes, what the text and the page are made of.
//!
//! Every number has its unit in its name. Shares are of 1.

use naja_recording::{Ending, State};
use serde::{Deserialize, Serialize};

use crate::advice::{self, Advice};
use crate::native::NativeReport;
use crate::observation::{Hot, Observation, ObservedProcess, ObservedThread};
use crate::target::NO_LONGER_PYTHON;
use crate::task_lanes::LANES_MAX;

/// Version of the report's form. It grows when a field changes its meaning or goes; new fields do not count.
pub const REPORT_VERSION: u32 = 1;

/// Functions and lines in a report.
const HOT_ROWS: usize = 20;

/// What only the one who started the program knows.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What was run, as the user typed it.
    pub command: Vec<String>,
    /// The program's exit code; `None` when a signal ended it.
    pub exit_code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// From the program's start to its end, nanoseconds, without the time it was stopped.
    pub wall_ns: u64,
    /// Processor time of the program and the children that it waited for, in user mode.
    pub user_ns: u64,
    /// The same in the kernel.
    pub system_ns: u64,
    /// The largest resident size that the kernel tells of the program, bytes; 0 when it does not.
    pub peak_rss_bytes: u64,
    /// Processor time that naja itself used.
    pub naja_cpu_ns: u64,
    /// Cores online.
    pub cpu_count: u32,
    /// Memory of the machine, or what the container may use of it, bytes; 0 when unknown.
    pub memory_limit_bytes: u64,
    /// Where the recording is, when it is a file.
    pub recording: Option<String>,
    /// Packages of the program that could be replaced by native ones in the next run.
    pub replaceable: Vec<Replaceable>,
    /// What was replaced in this run; `None` where that was not asked for.
    pub swap: Option<SwapReport>,
}

/// A package for which there is a native one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replaceable {
    /// The name it is imported by.
    pub module: String,
    /// What `--swap` takes for it.
    pub swap: String,
}

/// What was replaced in a run with `--swap`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwapReport {
    /// The packages that were to be replaced, by import name.
    pub asked: Vec<String>,
    /// Modules for which the program got naja's, in the order of their first import.
    pub swapped: Vec<String>,
    /// Modules and names below the asked packages that are the installed original's, and why.
    pub fell_back: Vec<SwapNote>,
    /// Packages of which another version is installed than the one that naja's is made after.
    pub other_versions: Vec<SwapNote>,
    /// Packages that were not replaced although asked for, and why.
    pub kept: Vec<SwapNote>,
    /// Why nothing was replaced in some processes, and in how many; empty where all went well.
    pub inactive: Vec<SwapInactive>,
}

/// A module, and why it is what it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwapNote {
    /// Its full name.
    pub name: String,
    /// The reason.
    pub why: String,
}

/// Processes in which nothing was replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SwapInactive {
    /// The reason.
    pub why: String,
    /// How many of them said so.
    pub processes: u64,
}

/// A whole report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// What was run.
    pub command: Vec<String>,
    /// The interpreter of the program itself, as in `CPython 3.12.1`; empty when it is none.
    pub interpreter: String,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended the program.
    pub signal: Option<i32>,
    /// Seconds from start to end.
    pub wall_s: f64,
    /// Processor seconds of the program and its children, in user mode.
    pub user_s: f64,
    /// Processor seconds of the program and its children, in the kernel.
    pub system_s: f64,
    /// Highest resident memory of one process, bytes.
    pub peak_rss_bytes: u64,
    /// Resident memory of all processes together over time, evenly spaced, bytes.
    pub memory_course_bytes: Vec<u64>,
    /// The program first, then its children.
    pub processes: Vec<ProcessReport>,
    /// Children that ended and are not in `processes` since there were more than a thousand: those that used least
    /// processor time. The recording has them.
    pub processes_unlisted: u64,
    /// Children that lived so shortly that they are not in `processes`: always less than 50 ms. Where the system
    /// does not tell of every child, those that were noticed.
    pub children_unnamed: u64,
    /// Hottest functions, by their own time on a processor.
    pub functions: Vec<HotReport>,
    /// Hottest lines, by their own time on a processor.
    pub lines: Vec<HotReport>,
    /// Lines that wait longest.
    pub waits: Vec<HotReport>,
    /// Seconds inside the import system, or in the modules that it ran.
    pub imports_s: f64,
    /// How good the samples are.
    pub samples: SamplesReport,
    /// What native stacks cost, and how well they fit; `None` where none were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native: Option<NativeReport>,
    /// What naja itself cost.
    pub naja: CostReport,
    /// What follows from the figures.
    pub advice: Vec<Advice>,
    /// What was replaced by naja's modules; `None` where that was not asked for.
    pub swap: Option<SwapReport>,
    /// The recording's file.
    pub recording: Option<String>,
    /// What the reader must know to trust the figures.
    pub warnings: Vec<String>,
}

/// A process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessReport {
    /// Its number in the system.
    pub pid: u32,
    /// The number of the process that started it; 0 for the program itself.
    pub parent_pid: u32,
    /// Its command line.
    pub command: Vec<String>,
    /// Its interpreter; empty when it is none or could not be read.
    pub interpreter: String,
    /// Why its stacks were not read; empty when they were.
    pub unobserved: String,
    /// Seconds for which it was seen.
    pub wall_s: f64,
    /// Processor seconds.
    pub cpu_s: f64,
    /// Highest resident memory, bytes.
    pub peak_rss_bytes: u64,
    /// How it ended.
    pub ending: Ending,
    /// What it was doing as a whole: work before waiting. The shares add up to 1.
    pub shares: Shares,
    /// The function with most processor time of its own in this process. Told of children whose command line is that
    /// of another process too, as of workers made by `fork`, to tell them apart; else empty.
    pub busiest_function: String,
    /// Its threads, busiest first.
    pub threads: Vec<ThreadReport>,
    /// Threads that have ended and are not in `threads` since there were hundreds: those that ran least. The
    /// recording has them.
    pub threads_unlisted: u64,
}

/// A thread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ThreadReport {
    /// Its name.
    pub name: String,
    /// Its number in the system.
    pub tid: u32,
    /// Seconds for which it was seen.
    pub wall_s: f64,
    /// Processor seconds, as the system has them.
    pub cpu_s: f64,
    /// Seconds for which it was ready to run and had no core, as the system has them. In the shares they
    /// count as running.
    pub ready_s: f64,
    /// What it was doing. The shares add up to 1.
    pub shares: Shares,
    /// Share of the time in which it held the GIL.
    pub gil_held: f64,
    /// Share of the time in which the collector ran in it.
    pub gc: f64,
}

/// Shares of time by what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// Running Python bytecode.
    pub python: f64,
    /// Running a C function.
    pub native: f64,
    /// Waiting for the GIL.
    pub gil_wait: f64,
    /// Waiting for I/O.
    pub io_wait: f64,
    /// Waiting for a lock.
    pub lock_wait: f64,
    /// Asleep.
    pub sleep: f64,
    /// Waiting for a child process.
    pub child_wait: f64,
    /// Stopped by a signal.
    pub stopped: f64,
}

impl Shares {
    fn of(ticks: &[u64; State::ALL.len()]) -> Shares {
        let seen: u64 = ticks.iter().sum::<u64>() - ticks[State::Lost as usize];
        let share = |state: State| ticks[state as usize] as f64 / seen.max(1) as f64;
        Shares {
            python: share(State::Python),
            native: share(State::Native),
            gil_wait: share(State::GilWait),
            io_wait: share(State::IoWait),
            lock_wait: share(State::LockWait),
            sleep: share(State::Sleep),
            child_wait: share(State::ChildWait),
            stopped: share(State::Stopped),
        }
    }

    /// On a processor.
    pub fn running(&self) -> f64 {
        self.python + self.native
    }
}

/// A function or a line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HotReport {
    /// The function's qualified name.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line; a function's first line.
    pub line: u32,
    /// Seconds in it, not in what it called: on a processor, or blocked where the list is about waiting.
    pub own_s: f64,
    /// Seconds in it and in what it called.
    pub total_s: f64,
    /// `own_s` as a share of all such seconds.
    pub own_share: f64,
    /// `total_s` as a share of all such seconds.
    pub total_share: f64,
}

/// How good the samples are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SamplesReport {
    /// Ticks per second that were asked for.
    pub rate_hz: f64,
    /// Ticks from start to end.
    pub ticks: u64,
    /// Ticks in which naja did not get to run.
    pub ticks_missed: u64,
    /// Stacks read.
    pub taken: u64,
    /// Stacks that needed more than one copy.
    pub retried: u64,
    /// Stacks whose innermost calls returned while they were copied, and that were completed from what is
    /// known of their callers (CPython up to 3.10).
    pub mended: u64,
    /// Stacks that could not be read.
    pub lost: u64,
    /// Ticks that asyncio's tasks waited without a row of their own, as more waited than a process shows. Divided by
    /// `ticks` it is how many such tasks there were on average.
    pub tasks_without_lane: u64,
}

/// What naja itself cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CostReport {
    /// Its processor seconds.
    pub cpu_s: f64,
    /// The same as a share of the wall time: 0.01 is one hundredth of one core.
    pub share_of_core: f64,
}

impl Report {
    /// Puts together what was seen and what the starter knows.
    pub fn new(observation: &Observation, facts: Facts) -> Report {
        let tick_s = observation.interval_ns as f64 / 1e9;
        let processes: Vec<ProcessReport> = observation
            .processes
            .iter()
            .map(|process| process_report(process, observation, tick_s))
            .collect();
        let running = total(observation, &[State::Python, State::Native]);
        let waiting = total(
            observation,
            &[State::GilWait, State::IoWait, State::LockWait, State::Sleep, State::ChildWait],
        );
        let by_running = |hot: &Hot| hot_report(hot, hot.own_running, hot.total_running, running, tick_s);
        let by_waiting = |hot: &Hot| hot_report(hot, hot.own_waiting, hot.total_waiting, waiting, tick_s);
        let peak =
            observation.processes.iter().map(|process| process.process.peak_rss_bytes).max().unwrap_or(0);
        let mut report = Report {
            version: REPORT_VERSION,
            command: facts.command.clone(),
            interpreter: processes.first().map(|process| process.interpreter.clone()).unwrap_or_default(),
            exit_code: facts.exit_code,
            signal: facts.signal,
            wall_s: facts.wall_ns as f64 / 1e9,
            user_s: facts.user_ns as f64 / 1e9,
            system_s: facts.system_ns as f64 / 1e9,
            peak_rss_bytes: peak.max(facts.peak_rss_bytes),
            memory_course_bytes: observation.memory_course.clone(),
            processes,
            processes_unlisted: observation.processes_unlisted,
            children_unnamed: observation.children_unnamed,
            functions: observation.functions.iter().take(HOT_ROWS).map(by_running).collect(),
            lines: observation.lines.iter().take(HOT_ROWS).map(by_running).collect(),
            waits: observation.waits.iter().take(HOT_ROWS).map(by_waiting).collect(),
            imports_s: observation.import_samples as f64 * tick_s,
            samples: SamplesReport {
                rate_hz: 1.0 / tick_s,
                ticks: observation.ticks,
                ticks_missed: observation.ticks_missed,
                taken: observation.counts.taken,
                retried: observation.counts.retried,
                mended: observation.counts.mended,
                lost: observation.counts.lost,
                tasks_without_lane: observation.counts.tasks_without_lane,
            },
            native: observation.native.as_ref().map(NativeReport::from),
            naja: CostReport {
                cpu_s: facts.naja_cpu_ns as f64 / 1e9,
                share_of_core: facts.naja_cpu_ns as f64 / facts.wall_ns.max(1) as f64,
            },
            advice: Vec::new(),
            swap: facts.swap.clone(),
            recording: facts.recording.clone(),
            warnings: warnings(observation),
        };
        report.advice = advice::advise(&report, observation, &facts);
        report
    }
}

/// Thread ticks in some states, over all threads.
pub(crate) fn total(observation: &Observation, states: &[State]) -> u64 {
    let sum =
        |ticks: &[u64; State::ALL.len()]| states.iter().map(|state| ticks[*state as usize]).sum::<u64>();
    let of_process = |process: &ObservedProcess| {
        process.threads.iter().map(|thread| sum(&thread.ticks)).sum::<u64>() + sum(&process.unlisted_ticks)
    };
    observation.processes.iter().map(of_process).sum::<u64>() + sum(&observation.unlisted_ticks)
}

fn process_report(process: &ObservedProcess, observation: &Observation, tick_s: f64) -> ProcessReport {
    let parent = observation.processes.iter().find(|other| other.process.id == process.process.parent);
    let seen = &process.process;
    let cpu_ns = process.cpu_ns.max(seen.user_ns + seen.system_ns);
    let mut threads: Vec<ThreadReport> =
        process.threads.iter().map(|thread| thread_report(thread, tick_s)).collect();
    threads.sort_by(|a, b| (b.shares.running() * b.wall_s).total_cmp(&(a.shares.running() * a.wall_s)));
    ProcessReport {
        pid: seen.pid,
        parent_pid: parent.map_or(0, |parent| parent.process.pid),
        command: seen.command.clone(),
        interpreter: seen.interpreter.clone(),
        unobserved: seen.unobserved.clone(),
        wall_s: (seen.last_tick + 1 - seen.first_tick) as f64 * tick_s,
        cpu_s: cpu_ns as f64 / 1e9,
        peak_rss_bytes: seen.peak_rss_bytes,
        ending: seen.ending,
        shares: Shares::of(&process.ticks),
        busiest_function: process.busiest_function.clone(),
        threads,
        threads_unlisted: process.threads_unlisted,
    }
}

fn thread_report(thread: &ObservedThread, tick_s: f64) -> ThreadReport {
    let ticks: u64 = thread.ticks.iter().sum();
    let share = |part: u64| part as f64 / ticks.max(1) as f64;
    ThreadReport {
        name: thread.thread.name.clone(),
        tid: thread.thread.os_tid,
        wall_s: ticks as f64 * tick_s,
        cpu_s: thread.cpu_ns as f64 / 1e9,
        ready_s: thread.ready_ns as f64 / 1e9,
        shares: Shares::of(&thread.ticks),
        gil_held: share(thread.gil_ticks),
        gc: share(thread.gc_ticks),
    }
}

fn hot_report(hot: &Hot, own: u64, total: u64, all: u64, tick_s: f64) -> HotReport {
    HotReport {
        function: hot.function.clone(),
        file: hot.file.clone(),
        line: hot.line,
        own_s: own as f64 * tick_s,
        total_s: total as f64 * tick_s,
        own_share: own as f64 / all.max(1) as f64,
        total_share: total as f64 / all.max(1) as f64,
    }
}

fn warnings(observation: &Observation) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    for process in &observation.processes {
        let seen = &process.process;
        let worth_telling = seen.parent == 0 || !seen.interpreter.is_empty() || looks_like_python(seen);
        if worth_telling && !seen.unobserved.is_empty() && seen.unobserved != NO_LONGER_PYTHON {
            let since =
                if seen.interpreter.is_empty() { "ran unobserved" } else { "could not be read to its end" };
            warnings.push(format!("process {} {since}: {}", seen.pid, seen.unobserved));
        }
    }
    if observation.children_unobserved > 0 {
        warnings.push(format!("{} more child processes were not observed", observation.children_unobserved));
    }
    let missed = observation.ticks_missed as f64 / observation.ticks.max(1) as f64;
    if missed > 0.05 && observation.ticks > 100 && observation.counts.taken > 0 {
        warnings.push(format!(
            "{:.0} % of the moments were missed, as naja did not get a core in time; the shares rest on the others",
            missed * 100.0
        ));
    }
    let read = observation.counts.taken + observation.counts.lost;
    let lost = observation.counts.lost as f64 / read.max(1) as f64;
    if lost > 0.01 && read > 1000 {
        warnings.push(format!("{:.1} % of the stacks could not be read", lost * 100.0));
    }
    if observation.counts.tasks_without_lane > 0 {
        let tasks = observation.counts.tasks_without_lane as f64 / observation.ticks.max(1) as f64;
        warnings.push(format!(
            "asyncio tasks that waited have no rows beyond {LANES_MAX} at a time: {} more on average are not shown",
            if tasks < 1.0 { "less than one".to_owned() } else { format!("{tasks:.0}") }
        ));
    }
    warnings
}

fn looks_like_python(process: &naja_recording::Process) -> bool {
    process.command.first().is_some_and(|program| program.contains("python") || program.contains("pypy"))
}
