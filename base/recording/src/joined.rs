//! Two sources of one recording, such as a sampler and what tells of memory: each numbers what it sees in its own way, and
//! the recording has one numbering.
//!
//! A process, a thread, a function or a stack that both have seen is one. Start at [`Joined::join`].

use rustc_hash::FxHashMap;

use crate::model::{
    Batch, Function, FunctionId, FunctionKind, NodeId, Process, ProcessId, StackNode, Thread, ThreadId,
};

/// Which source a batch comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// Its generations, times and descriptions of processes hold; it may forget stacks.
    Main = 0,
    /// It says what it says beside the first.
    Beside = 1,
}

/// The numbers of one source as those of the recording.
#[derive(Debug, Default)]
struct Numbers {
    processes: FxHashMap<ProcessId, ProcessId>,
    threads: FxHashMap<ThreadId, ThreadId>,
    functions: FxHashMap<FunctionId, FunctionId>,
    nodes: FxHashMap<NodeId, NodeId>,
}

/// Something that one or both have seen, and who has.
#[derive(Debug)]
struct Seen<K> {
    key: K,
    by: [bool; 2],
}

/// Joins batches of two sources.
#[derive(Debug, Default)]
pub struct Joined {
    generation: u32,
    numbers: [Numbers; 2],
    /// By their numbers in the system.
    processes: Vec<Seen<u32>>,
    /// By process and number in the system.
    threads: Vec<Seen<(ProcessId, u32)>>,
    functions: FxHashMap<(String, String, u32, FunctionKind), FunctionId>,
    functions_count: FunctionId,
    nodes: FxHashMap<(NodeId, FunctionId, u32), NodeId>,
    nodes_count: NodeId,
}

impl Joined {
    /// A batch in the numbering of the recording; what is known already is not in it any more.
    ///
    /// What is beside the main source is to be given with the main source's next batch: add it by [`add`].
    pub fn join(&mut self, feed: Feed, mut batch: Batch) -> Batch {
        if feed == Feed::Main && batch.generation != self.generation {
            self.generation = batch.generation;
            let own = &mut self.numbers[feed as usize];
            own.functions.clear();
            own.nodes.clear();
            // What is beside goes on with its old numbers, and is not found again under new ones.
            self.functions.clear();
            self.nodes.clear();
        }
        batch.generation = self.generation;
        let processes = std::mem::take(&mut batch.processes);
        batch.processes = processes.into_iter().filter_map(|one| self.process(feed, one)).collect();
        let threads = std::mem::take(&mut batch.threads);
        batch.threads = threads.into_iter().filter_map(|one| self.thread(feed, one)).collect();
        let functions = std::mem::take(&mut batch.functions);
        batch.functions = functions.into_iter().filter_map(|one| self.function(feed, one)).collect();
        let nodes = std::mem::take(&mut batch.nodes);
        batch.nodes = nodes.into_iter().filter_map(|one| self.node(feed, one)).collect();
        let own = &self.numbers[feed as usize];
        for runs in &mut batch.runs {
            runs.thread = own.threads.get(&runs.thread).copied().unwrap_or(0);
            for run in &mut runs.runs {
                run.node = own.nodes.get(&run.node).copied().unwrap_or(0);
            }
        }
        for place in &mut batch.allocation_places {
            place.process = own.processes.get(&place.process).copied().unwrap_or(0);
            place.thread = own.threads.get(&place.thread).copied().unwrap_or(0);
            place.node = own.nodes.get(&place.node).copied().unwrap_or(0);
        }
        for metric in &mut batch.metrics {
            metric.process = own.processes.get(&metric.process).copied().unwrap_or(0);
        }
        for parts in &mut batch.resident_parts {
            parts.process = own.processes.get(&parts.process).copied().unwrap_or(0);
        }
        if feed == Feed::Beside {
            // The main source looks at the processes that it knows itself.
            let is_known = |process: ProcessId| seen(&self.processes, process).is_some_and(|seen| seen.by[0]);
            batch.metrics.retain(|metric| !is_known(metric.process));
        }
        batch
    }

    fn process(&mut self, feed: Feed, process: Process) -> Option<Process> {
        let (id, is_new) = number(
            &mut self.processes,
            process.pid,
            feed,
            self.numbers[feed as usize].processes.get(&process.id),
        );
        self.numbers[feed as usize].processes.insert(process.id, id);
        let parent = self.numbers[feed as usize].processes.get(&process.parent).copied().unwrap_or(0);
        (feed == Feed::Main || is_new).then_some(Process { id, parent, ..process })
    }

    fn thread(&mut self, feed: Feed, thread: Thread) -> Option<Thread> {
        let own = &mut self.numbers[feed as usize];
        let process = own.processes.get(&thread.process).copied().unwrap_or(0);
        let key = (process, thread.os_tid);
        let (id, is_new) = number(&mut self.threads, key, feed, own.threads.get(&thread.id));
        own.threads.insert(thread.id, id);
        (feed == Feed::Main || is_new).then_some(Thread { id, process, ..thread })
    }

    fn function(&mut self, feed: Feed, function: Function) -> Option<Function> {
        let key =
            (function.file.clone(), function.qualified_name.clone(), function.first_line, function.kind);
        let next = self.functions_count + 1;
        let id = *self.functions.entry(key).or_insert(next);
        self.numbers[feed as usize].functions.insert(function.id, id);
        (id == next).then(|| {
            self.functions_count = next;
            Function { id, ..function }
        })
    }

    fn node(&mut self, feed: Feed, node: StackNode) -> Option<StackNode> {
        let own = &mut self.numbers[feed as usize];
        let parent = own.nodes.get(&node.parent).copied().unwrap_or(0);
        let function = own.functions.get(&node.function).copied().unwrap_or(0);
        let next = self.nodes_count + 1;
        let id = *self.nodes.entry((parent, function, node.line)).or_insert(next);
        own.nodes.insert(node.id, id);
        (id == next).then(|| {
            self.nodes_count = next;
            StackNode { id, parent, function, line: node.line }
        })
    }
}

fn seen<K>(all: &[Seen<K>], number: u32) -> Option<&Seen<K>> {
    all.get((number as usize).checked_sub(1)?)
}

/// The recording's number of something, and whether it is new there. Numbers of the system are used again: of those with
/// one, the source means the last that it has not spoken of.
fn number<K: PartialEq>(all: &mut Vec<Seen<K>>, key: K, feed: Feed, known: Option<&u32>) -> (u32, bool) {
    if let Some(known) = known {
        return (*known, false);
    }
    let place = all.iter().rposition(|seen| seen.key == key && !seen.by[feed as usize]);
    match place {
        Some(place) => {
            if let Some(seen) = all.get_mut(place) {
                seen.by[feed as usize] = true;
            }
            (place as u32 + 1, false)
        }
        None => {
            let mut by = [false; 2];
            by[feed as usize] = true;
            all.push(Seen { key, by });
            (all.len() as u32, true)
        }
    }
}

/// Puts what one source says to what the other says; the times are those of `to`.
pub fn add(to: &mut Batch, from: Batch) {
    to.processes.extend(from.processes);
    to.threads.extend(from.threads);
    to.functions.extend(from.functions);
    to.nodes.extend(from.nodes);
    to.runs.extend(from.runs);
    to.metrics.extend(from.metrics);
    to.resident_parts.extend(from.resident_parts);
    to.sources.extend(from.sources);
    to.allocation_places.extend(from.allocation_places);
    to.allocation_tallies.extend(from.allocation_tallies);
    to.allocation_peaks = from.allocation_peaks.or(to.allocation_peaks);
    to.allocation_sample_bytes = from.allocation_sample_bytes.or(to.allocation_sample_bytes);
    to.earlier_memory = from.earlier_memory.or(to.earlier_memory);
    to.allocation_stretches.extend(from.allocation_stretches);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AllocationPlace, Run, ThreadRuns};

    fn function(id: u32, name: &str) -> Function {
        Function { id, qualified_name: name.to_owned(), ..Function::default() }
    }

    fn node(id: u32, parent: u32, function: u32) -> StackNode {
        StackNode { id, parent, function, line: 1 }
    }

    #[test]
    fn what_both_have_seen_is_one() {
        let mut joined = Joined::default();
        let main = joined.join(
            Feed::Main,
            Batch {
                processes: vec![Process { id: 1, pid: 100, ..Process::default() }],
                threads: vec![Thread { id: 1, process: 1, os_tid: 100, ..Thread::default() }],
                functions: vec![function(1, "a"), function(2, "b")],
                nodes: vec![node(1, 0, 1), node(2, 1, 2)],
                runs: vec![ThreadRuns {
                    thread: 1,
                    first_tick: 0,
                    runs: vec![Run { node: 2, ..Run::default() }],
                }],
                ..Batch::default()
            },
        );
        assert_eq!((main.functions.len(), main.nodes.len(), main.runs[0].runs[0].node), (2, 2, 2));
        let beside = joined.join(
            Feed::Beside,
            Batch {
                processes: vec![
                    Process { id: 1, pid: 200, ..Process::default() },
                    Process { id: 2, pid: 100, ..Process::default() },
                ],
                threads: vec![Thread { id: 1, process: 2, os_tid: 100, ..Thread::default() }],
                functions: vec![function(1, "b"), function(2, "c"), function(3, "a")],
                nodes: vec![node(1, 0, 3), node(2, 1, 1), node(3, 2, 2)],
                allocation_places: vec![
                    AllocationPlace { id: 1, process: 2, thread: 1, node: 2, allocator: 1 },
                    AllocationPlace { id: 2, process: 2, thread: 1, node: 3, allocator: 1 },
                ],
                ..Batch::default()
            },
        );
        let names: Vec<_> =
            beside.functions.iter().map(|one| (one.id, one.qualified_name.as_str())).collect();
        assert_eq!(names, [(3, "c")]);
        assert_eq!(beside.nodes, [StackNode { id: 3, parent: 2, function: 3, line: 1 }]);
        let places: Vec<_> =
            beside.allocation_places.iter().map(|one| (one.process, one.thread, one.node)).collect();
        assert_eq!(places, [(1, 1, 2), (1, 1, 3)]);
        // Only the process that the main source has not seen is told.
        assert_eq!(beside.processes.iter().map(|one| (one.id, one.pid)).collect::<Vec<_>>(), [(2, 200)]);
        assert!(beside.threads.is_empty());
    }

    #[test]
    fn a_generation_that_ends_does_not_end_what_is_beside() {
        let mut joined = Joined::default();
        let first =
            Batch { functions: vec![function(1, "a")], nodes: vec![node(1, 0, 1)], ..Batch::default() };
        joined.join(Feed::Main, first.clone());
        joined.join(Feed::Beside, first.clone());
        let next = Batch {
            generation: 1,
            functions: vec![function(2, "a")],
            nodes: vec![node(2, 0, 2)],
            ..Batch::default()
        };
        let next = joined.join(Feed::Main, next);
        assert_eq!((next.functions[0].id, next.nodes[0].id), (2, 2));
        let place = AllocationPlace { id: 1, process: 0, thread: 0, node: 1, allocator: 1 };
        let beside = joined.join(Feed::Beside, Batch { allocation_places: vec![place], ..Batch::default() });
        assert_eq!((beside.allocation_places[0].node, beside.generation), (1, 1));
    }
}
