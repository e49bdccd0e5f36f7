//! Tells processes of one command line apart by what each mostly does: workers that `fork` has made are otherwise
//! all called as their parent is.
//!
//! What a process ran is read back from the recording, since totals are kept over all processes. Nothing is read
//! where every command line is there once. Start at [`tell_apart`].

use naja_recording::{FunctionId, NodeId, ProcessId, RecordingError, State, ThreadId, Writer};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::observation::ObservedProcess;

/// A process that was seen to run for fewer ticks is not called by what it did.
const TICKS_MIN: u64 = 10;

/// Gives each child its busiest function where its command line is that of another process too.
///
/// Cost: one pass over the recording, some 0.1 s for an hour of it, where there are such processes.
pub(crate) fn tell_apart(processes: &mut [ObservedProcess], writer: &Writer) {
    let mut seen: FxHashMap<&[String], u32> = FxHashMap::default();
    for process in processes.iter().filter(|process| !process.process.interpreter.is_empty()) {
        *seen.entry(&process.process.command).or_default() += 1;
    }
    // The program itself is known from its children without more.
    let alike = |process: &&ObservedProcess| {
        process.process.parent != 0 && seen.get(process.process.command.as_slice()) > Some(&1)
    };
    let alike: FxHashSet<ProcessId> = processes.iter().filter(alike).map(|one| one.process.id).collect();
    if alike.is_empty() {
        return;
    }
    // A recording that cannot be read is told of elsewhere; the processes then go by their numbers alone.
    let busiest = busiest_functions(&alike, writer).unwrap_or_default();
    for process in processes {
        if let Some(name) = busiest.get(&process.process.id) {
            process.busiest_function.clone_from(name);
        }
    }
}

/// The function with most ticks of its own on a processor, by process.
fn busiest_functions(
    processes: &FxHashSet<ProcessId>,
    writer: &Writer,
) -> Result<FxHashMap<ProcessId, String>, RecordingError> {
    let reader = writer.reader()?;
    let threads = reader.threads()?;
    let process_of: FxHashMap<ThreadId, ProcessId> =
        threads.iter().map(|thread| (thread.id, thread.process)).collect();
    let function_of: FxHashMap<NodeId, FunctionId> =
        reader.nodes()?.iter().map(|node| (node.id, node.function)).collect();
    let mut ticks: FxHashMap<(ProcessId, FunctionId), u64> = FxHashMap::default();
    reader.runs(&mut |runs| {
        let Some(process) = process_of.get(&runs.thread).filter(|process| processes.contains(process)) else {
            return;
        };
        for run in runs.runs.iter().filter(|run| matches!(run.state, State::Python | State::Native)) {
            if let Some(function) = function_of.get(&run.node) {
                *ticks.entry((*process, *function)).or_default() += u64::from(run.ticks);
            }
        }
    })?;
    let mut most: FxHashMap<ProcessId, (u64, FunctionId)> = FxHashMap::default();
    for ((process, function), ticks) in ticks {
        let best = most.entry(process).or_default();
        *best = (*best).max((ticks, function));
    }
    let names: FxHashMap<FunctionId, String> =
        reader.functions()?.into_iter().map(|function| (function.id, function.qualified_name)).collect();
    let enough = most.into_iter().filter(|(_, (ticks, _))| *ticks >= TICKS_MIN);
    let named = enough.filter_map(|(process, (_, function))| Some((process, names.get(&function)?.clone())));
    Ok(named.collect())
}
