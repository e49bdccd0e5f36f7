//! What a recording says of memory at one moment.

use std::collections::BTreeMap;

use naja_recording::{
    AllocationPlace, AllocationTally, Amount, Function, Process, ProcessId, Reader, StackNode, Thread,
    ThreadId,
};
use naja_system::Failure;
use rustc_hash::{FxHashMap, FxHashSet};

/// Which memory is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// What is in use.
    #[default]
    Now,
    /// What was in use when most was.
    Peak,
    /// All that was ever given.
    Given,
}

/// All that is known at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The program's command line.
    pub command: Vec<String>,
    /// Whether the recording was finished.
    pub is_complete: bool,
    /// Whether somebody writes it.
    pub is_live: bool,
    pub(super) processes: Vec<Process>,
    pub(super) threads: Vec<Thread>,
    pub(super) elapsed_ns: u64,
    /// Resident memory of all processes, as it was seen last.
    pub(super) resident_bytes: u64,
    functions: Vec<Function>,
    nodes: Vec<StackNode>,
    places: Vec<AllocationPlace>,
    tallies: Vec<AllocationTally>,
}

/// What a line, or a call, was given: itself, and with all that it called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnTotal {
    pub(super) own: Amount,
    pub(super) total: Amount,
}

/// A line of a function; nothing is known of what lies outside of Python.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct LineKey {
    /// 0 where threads are taken together.
    pub(super) thread: ThreadId,
    /// Its number, 0 outside of Python.
    pub(super) function: u32,
    pub(super) line: u32,
}

impl Snapshot {
    /// Reads a recording, which may be written meanwhile.
    ///
    /// Errors: those of the recording; `no-allocations` where it holds none and will hold none
    pub fn read(reader: &Reader<'_>) -> Result<Snapshot, Failure> {
        if !reader.is_live() && !reader.has_allocations()? {
            return Err(Failure::new("no-allocations", "the recording holds no allocations")
                .hint("`naja memory run app.py` records them"));
        }
        let header = reader.header();
        let mut resident: BTreeMap<ProcessId, u64> = BTreeMap::new();
        for metric in reader.metrics()? {
            resident.insert(metric.process, metric.rss_bytes);
        }
        Ok(Snapshot {
            command: header.command.clone(),
            is_complete: reader.is_complete(),
            is_live: reader.is_live(),
            processes: reader.processes()?,
            threads: reader.threads()?,
            elapsed_ns: reader.until_tick().saturating_mul(header.interval_ns),
            resident_bytes: resident.into_values().sum(),
            functions: reader.functions()?,
            nodes: reader.nodes()?,
            places: reader.allocation_places()?,
            tallies: reader.allocation_tallies()?,
        })
    }

    /// Whether a process of this number is in it.
    pub fn has_process(&self, pid: u32) -> bool {
        self.processes.iter().any(|process| process.pid == pid)
    }

    /// The number of the program's process; 0 before it was heard.
    pub fn pid(&self) -> u32 {
        self.processes.first().map_or(0, |process| process.pid)
    }

    fn amounts(
        &self,
        kind: Kind,
        thread: Option<ThreadId>,
    ) -> impl Iterator<Item = (&AllocationPlace, Amount)> {
        let amounts = self.tallies.iter().filter_map(move |tally| {
            let place = self.places.get((tally.place as usize).checked_sub(1)?)?;
            let amount = match kind {
                Kind::Now => tally.now,
                Kind::Peak => tally.at_peak,
                Kind::Given => tally.given,
            };
            Some((place, amount))
        });
        amounts.filter(move |(place, amount)| {
            amount.blocks > 0 && thread.is_none_or(|thread| place.thread == thread)
        })
    }

    /// The sum, of one thread or of all.
    pub(super) fn sum(&self, kind: Kind, thread: Option<ThreadId>) -> Amount {
        self.amounts(kind, thread).fold(Amount::default(), |sum, (_, amount)| plus(sum, amount))
    }

    /// The sum of each thread.
    pub(super) fn by_thread(&self, kind: Kind) -> FxHashMap<ThreadId, Amount> {
        let mut sums: FxHashMap<ThreadId, Amount> = FxHashMap::default();
        for (place, amount) in self.amounts(kind, None) {
            let sum = sums.entry(place.thread).or_default();
            *sum = plus(*sum, amount);
        }
        sums
    }

    pub(super) fn node(&self, id: u32) -> Option<&StackNode> {
        let first = self.nodes.first()?.id;
        self.nodes.get(id.checked_sub(first)? as usize)
    }

    /// A function's name and file.
    pub(super) fn names(&self, function: u32) -> (&str, &str) {
        let first = self.functions.first().map_or(1, |function| function.id);
        let place = function.checked_sub(first).filter(|_| function > 0);
        let found = place.and_then(|place| self.functions.get(place as usize));
        match found {
            Some(function) => (function.qualified_name.as_str(), function.file.as_str()),
            None => ("outside of Python", ""),
        }
    }

    /// All lines. One that stands in a stack more than once counts once.
    ///
    /// Cost: O(places × depth of their stacks)
    pub(super) fn lines(
        &self,
        kind: Kind,
        thread: Option<ThreadId>,
        is_merged: bool,
    ) -> Vec<(LineKey, OwnTotal)> {
        let mut sums: FxHashMap<LineKey, OwnTotal> = FxHashMap::default();
        let mut seen = FxHashSet::default();
        for (place, amount) in self.amounts(kind, thread) {
            let thread = if is_merged { 0 } else { place.thread };
            let mut at = self.node(place.node);
            let (function, line) = at.map_or((0, 0), |node| (node.function, node.line));
            let own = sums.entry(LineKey { thread, function, line }).or_default();
            own.own = plus(own.own, amount);
            if at.is_none() {
                own.total = plus(own.total, amount);
            }
            seen.clear();
            while let Some(node) = at {
                if seen.insert((node.function, node.line)) {
                    let key = LineKey { thread, function: node.function, line: node.line };
                    let sum = sums.entry(key).or_default();
                    sum.total = plus(sum.total, amount);
                }
                at = self.node(node.parent);
            }
        }
        sums.into_iter().collect()
    }

    /// Each call of the tree with what it was given, by the number of its node; 0 is outside of Python.
    pub(super) fn calls(&self, kind: Kind, thread: Option<ThreadId>) -> FxHashMap<u32, OwnTotal> {
        let mut sums: FxHashMap<u32, OwnTotal> = FxHashMap::default();
        for (place, amount) in self.amounts(kind, thread) {
            let mut at = self.node(place.node);
            let own = sums.entry(at.map_or(0, |node| node.id)).or_default();
            own.own = plus(own.own, amount);
            if at.is_none() {
                own.total = plus(own.total, amount);
            }
            while let Some(node) = at {
                let sum = sums.entry(node.id).or_default();
                sum.total = plus(sum.total, amount);
                at = self.node(node.parent);
            }
        }
        sums
    }

    /// A thread as a person knows it.
    pub(super) fn thread_name(&self, id: ThreadId) -> String {
        let Some(thread) = self.threads.iter().find(|thread| thread.id == id) else {
            return format!("thread {id}");
        };
        let pid = self.processes.iter().find(|process| process.id == thread.process).map_or(0, |one| one.pid);
        match thread.os_tid {
            _ if !thread.name.is_empty() => thread.name.clone(),
            0 => "threads that were over".to_owned(),
            tid if tid == pid => "main thread".to_owned(),
            tid => format!("thread {tid}"),
        }
    }
}

pub(super) fn plus(a: Amount, b: Amount) -> Amount {
    Amount { blocks: a.blocks.saturating_add(b.blocks), bytes: a.bytes.saturating_add(b.bytes) }
}
