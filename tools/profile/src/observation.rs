//! What a sampler has seen of a program, in numbers: the material of the report.

use std::collections::BTreeMap;

use naja_recording::{Batch, Process, Source, State, Thread, Tick, Writer};
use naja_system::Failure;

use crate::native::{Names, NativeFigures, NativeShared};
use crate::occupation;
use crate::sink::{Finished, Sink};
use crate::stacks::{Count, Stacks};
use crate::target::{SampleCounts, Target};

/// Source files kept in a recording: the hottest, up to this many bytes in all, none larger than the other.
const SOURCES_BYTES_MAX: usize = 8 << 20;
const SOURCE_BYTES_MAX: u64 = 2 << 20;

/// Functions and lines that are told by name.
const HOT_MAX: usize = 200;

/// Everything that was seen of a program and its children.
pub struct Observation {
    /// Length of a tick in nanoseconds.
    pub interval_ns: u64,
    /// Ticks from the start to the end.
    pub ticks: Tick,
    /// Ticks in which naja did not get to run.
    pub ticks_missed: u64,
    /// Ticks in which the program, and naja with it, was stopped.
    pub ticks_stopped: u64,
    /// Samples of threads, by what came of them.
    pub counts: SampleCounts,
    /// The program first, then its children in the order in which they were seen.
    pub processes: Vec<ObservedProcess>,
    /// Processes that have ended and are not in `processes`, since there were too many: those that used least
    /// processor time. The recording has them.
    pub processes_unlisted: u64,
    /// Ticks by [`State`]'s number of the threads of processes that are not listed.
    pub unlisted_ticks: [u64; State::ALL.len()],
    /// Functions by their own samples on a processor, hottest first.
    pub functions: Vec<Hot>,
    /// Lines by their own samples on a processor, hottest first.
    pub lines: Vec<Hot>,
    /// Lines by their own samples blocked, most first.
    pub waits: Vec<Hot>,
    /// Samples inside the import system, or in what it ran.
    pub import_samples: u64,
    /// Samples on a processor in each installed package, and in each module right below one, with all that they
    /// call: `dateutil`, `dateutil.parser`.
    pub module_samples: BTreeMap<String, u64>,
    /// Resident memory of all processes together over time, evenly spaced, bytes.
    pub memory_course: Vec<u64>,
    /// Children that ended before they had a place in `processes`; where the system does not tell of every
    /// child, those that were noticed.
    pub children_unnamed: u64,
    /// Children beyond the number that is observed.
    pub children_unobserved: u64,
    /// What native stacks cost and how well they fit; `None` where none were asked for.
    pub native: Option<NativeFigures>,
    /// The recording, still open for the report; `None` when its thread failed.
    pub writer: Option<Writer>,
    /// What went wrong with the recording.
    pub failures: Vec<Failure>,
}

/// A process and what its threads did.
#[derive(Debug)]
pub struct ObservedProcess {
    /// The process.
    pub process: Process,
    /// Processor time since it was first seen, nanoseconds.
    pub cpu_ns: u64,
    /// Ticks by [`State`]'s number: what the process as a whole was doing, work before waiting.
    pub ticks: [u64; State::ALL.len()],
    /// Its threads.
    pub threads: Vec<ObservedThread>,
    /// Threads that have ended and are not in `threads`, since there were too many: those that ran least. The
    /// recording has them.
    pub threads_unlisted: u64,
    /// Ticks by [`State`]'s number of the threads that are not listed.
    pub unlisted_ticks: [u64; State::ALL.len()],
    /// Its function with most samples on a processor, where other processes have the same command line; else empty.
    pub busiest_function: String,
}

/// A thread and how often it was seen doing what.
#[derive(Debug)]
pub struct ObservedThread {
    /// The thread.
    pub thread: Thread,
    /// Ticks by [`State`]'s number.
    pub ticks: [u64; State::ALL.len()],
    /// Processor time in nanoseconds, as the system has it.
    pub cpu_ns: u64,
    /// Nanoseconds for which it was ready to run and had no core, as the system has it.
    pub ready_ns: u64,
    /// Ticks in which it held the GIL.
    pub gil_ticks: u64,
    /// Ticks in which the collector ran in it.
    pub gc_ticks: u64,
}

/// A function or a line, and how many samples it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hot {
    /// The function's qualified name.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line; the function's first line where this is about a function.
    pub line: u32,
    /// Samples on a processor in it, not in what it called.
    pub own_running: u64,
    /// Samples on a processor in it and in what it called.
    pub total_running: u64,
    /// Samples blocked in it.
    pub own_waiting: u64,
    /// Samples blocked in it and in what it called.
    pub total_waiting: u64,
}

/// What a sampler hands over at its end.
pub(crate) struct Seen {
    pub(crate) targets: Vec<Target>,
    pub(crate) processes_unlisted: u64,
    pub(crate) unlisted_ticks: [u64; State::ALL.len()],
    pub(crate) stacks: Stacks,
    pub(crate) counts: SampleCounts,
    pub(crate) ticks: Tick,
    pub(crate) ticks_missed: u64,
    pub(crate) ticks_stopped: u64,
    pub(crate) interval_ns: u64,
    pub(crate) memory_course: Vec<u64>,
    pub(crate) sink: Box<dyn Sink>,
    pub(crate) native: Option<(NativeShared, Names)>,
    pub(crate) children_unnamed: u64,
    pub(crate) children_unobserved: u64,
}

pub(crate) fn observe(mut seen: Seen) -> Observation {
    let native = seen.native.take().map(|(native, names)| {
        seen.stacks.translate(&names.get());
        native.figures()
    });
    let totals = seen.stacks.totals();
    let functions: Vec<Hot> = totals.functions.iter().map(|(key, counts)| hot(key, key.2, *counts)).collect();
    let lines: Vec<Hot> = totals.lines.iter().map(|((key, line), counts)| hot(key, *line, *counts)).collect();
    // The import system's outermost function, as every version since 3.4 calls it.
    let is_import =
        |hot: &&Hot| hot.function == "_find_and_load" && hot.file == "<frozen importlib._bootstrap>";
    let imports = functions.iter().filter(is_import).map(|hot| hot.total_running + hot.total_waiting).sum();
    let sources = sources(&functions);
    if !sources.is_empty() {
        let generation = seen.stacks.generation();
        seen.sink.give(Batch { generation, sources, until_tick: seen.ticks, ..Batch::default() });
    }
    let Finished { writer, failures } = seen.sink.finish();
    let mut processes: Vec<ObservedProcess> = seen.targets.into_iter().map(process).collect();
    if let Some(writer) = &writer {
        occupation::tell_apart(&mut processes, writer);
    }
    Observation {
        interval_ns: seen.interval_ns,
        ticks: seen.ticks,
        ticks_missed: seen.ticks_missed,
        ticks_stopped: seen.ticks_stopped,
        counts: seen.counts,
        processes,
        processes_unlisted: seen.processes_unlisted,
        unlisted_ticks: seen.unlisted_ticks,
        functions: hottest(functions, |hot| (hot.own_running, hot.total_running)),
        waits: hottest(lines.clone(), |hot| (hot.own_waiting, hot.total_waiting)),
        lines: hottest(lines, |hot| (hot.own_running, hot.total_running)),
        import_samples: imports,
        module_samples: totals.modules.into_iter().map(|(name, count)| (name, count.running)).collect(),
        memory_course: seen.memory_course,
        children_unnamed: seen.children_unnamed,
        children_unobserved: seen.children_unobserved,
        native,
        writer,
        failures,
    }
}

fn process(target: Target) -> ObservedProcess {
    let cpu_ns = target.cpu_ns();
    let (process, ticks, threads) = target.into_parts();
    let listed = threads.kept.into_iter().map(|thread| {
        let (cpu_ns, ready_ns) = thread.os.ran_and_ready_ns();
        ObservedThread {
            thread: thread.thread,
            ticks: thread.ticks,
            cpu_ns,
            ready_ns,
            gil_ticks: thread.gil_ticks,
            gc_ticks: thread.gc_ticks,
        }
    });
    ObservedProcess {
        process,
        cpu_ns,
        ticks,
        threads: listed.collect(),
        threads_unlisted: threads.unlisted,
        unlisted_ticks: threads.unlisted_ticks,
        busiest_function: String::new(),
    }
}

fn hot(key: &(String, String, u32), line: u32, (own, total): (Count, Count)) -> Hot {
    Hot {
        function: key.1.clone(),
        file: key.0.clone(),
        line,
        own_running: own.running,
        total_running: total.running,
        own_waiting: own.waiting,
        total_waiting: total.waiting,
    }
}

/// The first by a measure, without those that have none; ties by name, so that the order is always the same.
fn hottest(mut all: Vec<Hot>, measure: impl Fn(&Hot) -> (u64, u64)) -> Vec<Hot> {
    all.retain(|hot| measure(hot) != (0, 0));
    all.sort_by(|a, b| {
        measure(b)
            .cmp(&measure(a))
            .then_with(|| (&a.file, &a.function, a.line).cmp(&(&b.file, &b.function, b.line)))
    });
    all.truncate(HOT_MAX);
    all
}

/// The texts of the files that have samples, hottest first, as far as they can be read and there is room.
fn sources(functions: &[Hot]) -> Vec<Source> {
    let mut by_file: std::collections::HashMap<&str, u64> = std::collections::HashMap::new();
    for hot in functions {
        *by_file.entry(&hot.file).or_default() += hot.own_running + hot.own_waiting;
    }
    let mut files: Vec<(&str, u64)> = by_file.into_iter().filter(|(_, samples)| *samples > 0).collect();
    files.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut room = SOURCES_BYTES_MAX;
    let mut kept = Vec::new();
    for (file, _) in files {
        // `<frozen importlib>` and the like name no file.
        let is_small =
            std::fs::metadata(file).is_ok_and(|data| data.is_file() && data.len() <= SOURCE_BYTES_MAX);
        let Some(text) = is_small.then(|| std::fs::read(file).ok()).flatten() else { continue };
        // The file of a native function without a source is its library.
        if text.contains(&0) {
            continue;
        }
        let Some(left) = room.checked_sub(text.len()) else { continue };
        room = left;
        kept.push(Source { file: file.to_owned(), text: String::from_utf8_lossy(&text).into_owned() });
    }
    kept
}
