//! What a recording says of memory: places with their stacks, summed in several ways.

use naja_recording::{
    AllocationEvent, AllocationPlace, AllocationTally, Amount, Function, Process, Reader, RecordingError,
    StackNode, Thread, Tick,
};
use naja_system::Failure;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use crate::events::{Events, each_event};
pub use crate::resident::{Part, Resident};
use crate::tally::Tallies;
use crate::wire::Allocator;

/// Which memory is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shown {
    /// What was in use when most was.
    #[default]
    Peak,
    /// What was in use at the end.
    Leaks,
    /// What was given and soon taken back.
    Temporary,
    /// All that was ever given.
    Given,
}

impl Shown {
    /// What a tally has of it.
    pub(crate) fn of(self, tally: &AllocationTally) -> Amount {
        match self {
            Shown::Peak => tally.at_peak,
            Shown::Leaks => tally.now,
            Shown::Temporary => tally.temporary,
            Shown::Given => tally.given,
        }
    }
}

/// The allocations of a recording.
pub struct Allocations {
    /// The processes.
    pub processes: Vec<Process>,
    /// Their threads.
    pub threads: Vec<Thread>,
    pub(crate) functions: Vec<Function>,
    pub(crate) nodes: Vec<StackNode>,
    pub(crate) places: Vec<AllocationPlace>,
    pub(crate) tallies: Vec<AllocationTally>,
    /// Whether every allocation is there, and not only what places came to.
    pub is_exact: bool,
    /// The most resident memory that was seen of all processes together, in bytes; 0 where it was not looked at.
    pub resident_peak_bytes: u64,
    /// What is known of it: at the look of the most resident memory of one process.
    pub resident: Option<Resident>,
}

/// A line of a function, with the memory that was given to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Location {
    /// The function's qualified name; empty outside of Python.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line; 0 where it is not known.
    pub line: u32,
    /// What the line itself was given.
    pub own: Amount,
    /// What it and all that it called were given.
    pub total: Amount,
}

/// A call in the tree of callers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// How many calls it lies within; 0 for the outermost.
    pub depth: usize,
    /// The function's qualified name; empty for memory outside of Python.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line.
    pub line: u32,
    /// What it and all that it called were given.
    pub total: Amount,
    /// How many of the branches behind this one lie within it.
    pub within: usize,
}

/// The tree of callers: each branch before those within it, of those side by side the largest first. Calls may be as deep as
/// a program's, so that it is a list.
pub type Tree = Vec<Branch>;

/// A row of the table: what a line was given through a function of the C library or Python.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How much.
    pub amount: Amount,
    /// The allocator, `malloc`.
    pub allocator: &'static str,
    /// The thread's process in the system, where rows are of one thread.
    pub pid: Option<u32>,
    /// The thread's number in the system, where rows are of one thread.
    pub os_tid: Option<u32>,
    /// The function's qualified name; empty outside of Python.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line; 0 where it is not known.
    pub line: u32,
}

/// A call on a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The function's qualified name.
    pub function: String,
    /// Its file.
    pub file: String,
    /// The line.
    pub line: u32,
}

/// A line with memory in use at the end, and who called it when it was given most of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The line; `own` is what was in use.
    #[serde(flatten)]
    pub location: Location,
    /// Its callers on the stack that most of it was given to, the nearest first.
    pub callers: Vec<Call>,
    /// What was given to that stack.
    pub of_stack: Amount,
}

/// Figures of a whole recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// All that was given.
    pub given: Amount,
    /// The most that was in use at once.
    pub peak: Amount,
    /// What was in use at the end.
    pub left: Amount,
    /// What was soon taken back.
    pub temporary: Amount,
    /// The most resident memory, in bytes.
    pub resident_peak_bytes: u64,
    /// What is known of resident memory; nothing where nobody looked.
    pub resident: Option<Resident>,
    /// What came from which function, the most blocks first.
    pub allocators: Vec<(String, Amount)>,
    /// How many blocks were given of each size: from this many bytes on, the count. Powers of two; empty where only sums
    /// were recorded.
    pub sizes: Vec<(u64, u64)>,
    /// The lines that were given most bytes.
    pub largest: Vec<Location>,
    /// The lines that were given most blocks.
    pub most_frequent: Vec<Location>,
}

impl Allocations {
    /// Reads them.
    ///
    /// `temporary_within`: memory is temporary that was taken back before its thread was given so many other blocks; another
    /// number than 1 needs each allocation.
    ///
    /// Errors: those of the recording; `no-allocations` where it holds none; `only-sums` where it lacks what is asked for
    pub fn read(reader: &Reader<'_>, temporary_within: u64) -> Result<Allocations, Failure> {
        if !reader.has_allocations()? {
            return Err(Failure::new("no-allocations", "the recording holds no allocations")
                .hint("`naja memory run app.py` records them"));
        }
        let places = reader.allocation_places()?;
        let mut is_exact = false;
        reader.allocation_stretches(&mut |_| {
            is_exact = true;
            Ok(())
        })?;
        if temporary_within != 1 && !is_exact {
            return Err(Failure::new(
                "only-sums",
                "the recording holds what places came to, and no single allocations",
            )
            .hint("record without `--aggregate` for other thresholds"));
        }
        let tallies = match temporary_within {
            // A recording that was cut off is as complete as its last sums.
            1 => reader.allocation_tallies()?,
            within => replayed(reader, &places, within)?,
        };
        let mut resident: FxHashMap<u64, u64> = FxHashMap::default();
        for metric in reader.metrics()? {
            *resident.entry(metric.tick).or_default() += metric.rss_bytes;
        }
        Ok(Allocations {
            processes: reader.processes()?,
            threads: reader.threads()?,
            functions: reader.functions()?,
            nodes: reader.nodes()?,
            places,
            tallies,
            is_exact,
            resident_peak_bytes: resident.into_values().max().unwrap_or(0),
            resident: Resident::of(reader)?,
        })
    }

    /// Each place with what is shown of it, where that is anything.
    pub fn amounts(&self, shown: Shown) -> impl Iterator<Item = (&AllocationPlace, Amount)> {
        let amounts = self.tallies.iter().filter_map(move |tally| {
            let place = self.places.get((tally.place as usize).checked_sub(1)?)?;
            Some((place, shown.of(tally)))
        });
        amounts.filter(|(_, amount)| amount.blocks > 0)
    }

    /// The sum of what is shown.
    pub fn sum(&self, shown: Shown) -> Amount {
        self.amounts(shown).fold(Amount::default(), |sum, (_, amount)| plus(sum, amount))
    }

    /// The node of a stack; none for 0.
    pub fn node(&self, id: u32) -> Option<&StackNode> {
        let first = self.nodes.first()?.id;
        self.nodes.get(id.checked_sub(first)? as usize)
    }

    /// A function by its number.
    pub fn function(&self, id: u32) -> Option<&Function> {
        let first = self.functions.first().map_or(1, |function| function.id);
        self.functions.get(id.checked_sub(first)? as usize)
    }

    /// The function and file of a node.
    fn names(&self, node: &StackNode) -> (&str, &str) {
        let function = self.function(node.function);
        function.map_or(("", ""), |function| (function.qualified_name.as_str(), function.file.as_str()))
    }

    /// The lines, those with the largest total first. A line that stands in a stack more than once counts once.
    pub fn locations(&self, shown: Shown) -> Vec<Location> {
        let mut sums: FxHashMap<(u32, u32), (Amount, Amount)> = FxHashMap::default();
        let mut outside = Amount::default();
        let mut seen = FxHashSet::default();
        for (place, amount) in self.amounts(shown) {
            let Some(top) = self.node(place.node) else {
                outside = plus(outside, amount);
                continue;
            };
            let own = sums.entry((top.function, top.line)).or_default();
            own.0 = plus(own.0, amount);
            seen.clear();
            let mut at = Some(top);
            while let Some(node) = at {
                if seen.insert((node.function, node.line)) {
                    let total = sums.entry((node.function, node.line)).or_default();
                    total.1 = plus(total.1, amount);
                }
                at = self.node(node.parent);
            }
        }
        let mut locations: Vec<Location> = sums
            .into_iter()
            .map(|((function, line), (own, total))| {
                let (function, file) = self.names(&StackNode { id: 0, parent: 0, function, line });
                Location { function: function.to_owned(), file: file.to_owned(), line, own, total }
            })
            .collect();
        if outside.blocks > 0 {
            locations.push(Location {
                function: String::new(),
                file: String::new(),
                line: 0,
                own: outside,
                total: outside,
            });
        }
        locations.sort_by(|a, b| {
            let key = |one: &Location| (one.total.bytes, one.own.bytes, one.total.blocks);
            key(b)
                .cmp(&key(a))
                .then_with(|| (&a.file, a.line, &a.function).cmp(&(&b.file, b.line, &b.function)))
        });
        locations
    }

    /// The tree of callers.
    pub fn tree(&self, shown: Shown) -> Tree {
        let mut totals: FxHashMap<u32, Amount> = FxHashMap::default();
        let mut outside = Amount::default();
        for (place, amount) in self.amounts(shown) {
            let mut at = self.node(place.node);
            if at.is_none() {
                outside = plus(outside, amount);
            }
            while let Some(node) = at {
                let total = totals.entry(node.id).or_default();
                *total = plus(*total, amount);
                at = self.node(node.parent);
            }
        }
        let total = |node: &StackNode| totals.get(&node.id).copied().unwrap_or_default();
        let mut callees: FxHashMap<u32, Vec<&StackNode>> = FxHashMap::default();
        for node in self.nodes.iter().filter(|node| totals.contains_key(&node.id)) {
            callees.entry(node.parent).or_default().push(node);
        }
        for side_by_side in callees.values_mut() {
            side_by_side.sort_by_key(|node| (std::cmp::Reverse(total(node).bytes), node.id));
        }
        let mut tree: Tree = Vec::new();
        // Open calls, the next at the end; and the places of those that lie around the next one.
        let mut open: Vec<(usize, &StackNode)> = Vec::new();
        open_calls(&callees, &mut open, 0, 0);
        let mut around: Vec<usize> = Vec::new();
        while let Some((depth, node)) = open.pop() {
            close(&mut tree, around.drain(depth..));
            around.push(tree.len());
            let (function, file) = self.names(node);
            let (function, file) = (function.to_owned(), file.to_owned());
            tree.push(Branch { depth, function, file, line: node.line, total: total(node), within: 0 });
            open_calls(&callees, &mut open, depth + 1, node.id);
        }
        close(&mut tree, around.drain(..));
        if outside.blocks > 0 {
            let place = first_smaller(&tree, outside.bytes);
            let (function, file) = (String::new(), String::new());
            tree.insert(place, Branch { depth: 0, function, file, line: 0, total: outside, within: 0 });
        }
        tree
    }

    /// The rows of the table, those with most bytes first; each is of one thread, or of all.
    pub fn rows(&self, shown: Shown, by_thread: bool) -> Vec<Row> {
        let mut sums: FxHashMap<(u32, u32, u32, u8), Amount> = FxHashMap::default();
        for (place, amount) in self.amounts(shown) {
            let (function, line) = self.node(place.node).map_or((0, 0), |node| (node.function, node.line));
            let thread = if by_thread { place.thread } else { 0 };
            let sum = sums.entry((thread, function, line, place.allocator)).or_default();
            *sum = plus(*sum, amount);
        }
        let threads: FxHashMap<u32, &Thread> =
            self.threads.iter().map(|thread| (thread.id, thread)).collect();
        let pids: FxHashMap<u32, u32> =
            self.processes.iter().map(|process| (process.id, process.pid)).collect();
        let row = |((thread, function, line, allocator), amount)| {
            let thread = threads.get(&thread);
            let node = StackNode { id: 0, parent: 0, function, line };
            let (function, file) = self.names(&node);
            Row {
                amount,
                allocator: Allocator::of_number(allocator).map_or("unknown", Allocator::word),
                pid: thread.and_then(|thread| pids.get(&thread.process).copied()),
                os_tid: thread.map(|thread| thread.os_tid),
                function: function.to_owned(),
                file: file.to_owned(),
                line,
            }
        };
        let mut rows: Vec<Row> = sums.into_iter().map(row).collect();
        rows.sort_by(|a, b| {
            let key = |row: &Row| (row.amount.bytes, row.amount.blocks);
            let rest =
                |row: &Row| (row.file.clone(), row.line, row.function.clone(), row.allocator, row.os_tid);
            key(b).cmp(&key(a)).then_with(|| rest(a).cmp(&rest(b)))
        });
        rows
    }

    /// The lines with most in use at the end, each with its nearest callers.
    pub fn leaks(&self, rows: usize, callers: usize) -> Vec<Leak> {
        let mut locations = self.locations(Shown::Leaks);
        locations.retain(|location| location.own.blocks > 0);
        locations.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
        locations.truncate(rows);
        // Of each line the stack with most of it, whatever its threads and allocators.
        let mut stacks: FxHashMap<u32, Amount> = FxHashMap::default();
        for (place, amount) in self.amounts(Shown::Leaks) {
            let sum = stacks.entry(place.node).or_default();
            *sum = plus(*sum, amount);
        }
        let mut largest: FxHashMap<(&str, &str, u32), (Amount, u32)> = FxHashMap::default();
        for (id, amount) in stacks {
            let Some(node) = self.node(id) else { continue };
            let (function, file) = self.names(node);
            let found = largest.entry((function, file, node.line)).or_default();
            if (amount.bytes, std::cmp::Reverse(id)) > (found.0.bytes, std::cmp::Reverse(found.1)) {
                *found = (amount, id);
            }
        }
        let leak = |location: Location| {
            let key = (location.function.as_str(), location.file.as_str(), location.line);
            let (of_stack, node) = largest.get(&key).copied().unwrap_or((location.own, 0));
            let callers = self.stack(self.node(node).map_or(0, |node| node.parent)).take(callers);
            Leak { callers: callers.collect(), of_stack, location }
        };
        locations.into_iter().map(leak).collect()
    }

    /// The calls of a stack, the innermost first.
    pub fn stack(&self, node: u32) -> impl Iterator<Item = Call> {
        let nodes = std::iter::successors(self.node(node), |node| self.node(node.parent));
        nodes.map(|node| {
            let (function, file) = self.names(node);
            Call { function: function.to_owned(), file: file.to_owned(), line: node.line }
        })
    }

    /// The figures.
    ///
    /// Errors: those of the recording
    pub fn statistics(&self, reader: &Reader<'_>, top: usize) -> Result<Statistics, Failure> {
        Ok(self.statistics_of(sizes(reader)?, top))
    }

    /// The figures, where it is known how many blocks there were of each size.
    pub(crate) fn statistics_of(&self, sizes: Vec<(u64, u64)>, top: usize) -> Statistics {
        let mut allocators: FxHashMap<u8, Amount> = FxHashMap::default();
        for (place, amount) in self.amounts(Shown::Given) {
            let sum = allocators.entry(place.allocator).or_default();
            *sum = plus(*sum, amount);
        }
        let mut allocators: Vec<(String, Amount)> = allocators
            .into_iter()
            .map(|(number, amount)| {
                (Allocator::of_number(number).map_or("unknown", Allocator::word).to_owned(), amount)
            })
            .collect();
        allocators.sort_by(|a, b| b.1.blocks.cmp(&a.1.blocks).then_with(|| a.0.cmp(&b.0)));
        let mut largest = self.locations(Shown::Given);
        largest.retain(|location| location.own.blocks > 0);
        let mut most_frequent = largest.clone();
        largest.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
        most_frequent.sort_by_key(|location| std::cmp::Reverse(location.own.blocks));
        largest.truncate(top);
        most_frequent.truncate(top);
        Statistics {
            given: self.sum(Shown::Given),
            peak: self.sum(Shown::Peak),
            left: self.sum(Shown::Leaks),
            temporary: self.sum(Shown::Temporary),
            resident_peak_bytes: self.resident_peak_bytes,
            resident: self.resident.clone(),
            allocators,
            sizes,
            largest,
            most_frequent,
        }
    }
}

/// Opens what a call has called, so that the largest comes next.
fn open_calls<'n>(
    callees: &FxHashMap<u32, Vec<&'n StackNode>>,
    open: &mut Vec<(usize, &'n StackNode)>,
    depth: usize,
    caller: u32,
) {
    let side_by_side = callees.get(&caller).into_iter().flatten().rev();
    open.extend(side_by_side.map(|node| (depth, *node)));
}

/// What lies within these branches is complete.
fn close(tree: &mut [Branch], places: impl Iterator<Item = usize>) {
    let len = tree.len();
    for place in places {
        if let Some(branch) = tree.get_mut(place) {
            branch.within = len - 1 - place;
        }
    }
}

/// Where in a tree a branch of so many bytes belongs among the outermost.
fn first_smaller(tree: &[Branch], bytes: u64) -> usize {
    let mut place = 0;
    while let Some(branch) = tree.get(place).filter(|branch| branch.total.bytes >= bytes) {
        place += 1 + branch.within;
    }
    place
}

fn plus(a: Amount, b: Amount) -> Amount {
    Amount { blocks: a.blocks + b.blocks, bytes: a.bytes.saturating_add(b.bytes) }
}

/// Counts again, with another notion of what is temporary.
fn replayed(
    reader: &Reader<'_>,
    places: &[AllocationPlace],
    temporary_within: u64,
) -> Result<Vec<AllocationTally>, RecordingError> {
    let mut tallies = Tallies::new(temporary_within);
    places.iter().for_each(|place| tallies.know(place));
    each_event(reader, &mut tallies)?;
    Ok(tallies.all())
}

/// How many blocks were given of each power of two.
fn sizes(reader: &Reader<'_>) -> Result<Vec<(u64, u64)>, RecordingError> {
    let mut sizes = Sizes::default();
    each_event(reader, &mut sizes)?;
    Ok(sizes.finish())
}

/// Counts blocks by their size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes {
    counts: [u64; 65],
}

impl Default for Sizes {
    fn default() -> Sizes {
        Sizes { counts: [0; 65] }
    }
}

impl Events for Sizes {
    fn time(&mut self, _: Tick) {}

    #[inline]
    fn event(&mut self, event: AllocationEvent) {
        if let AllocationEvent::Given { size, .. } = event
            && let Some(count) = self.counts.get_mut((u64::BITS - size.leading_zeros()) as usize)
        {
            *count += 1;
        }
    }
}

impl Sizes {
    /// From how many bytes on, and how many: powers of two.
    pub(crate) fn finish(self) -> Vec<(u64, u64)> {
        let counts = self.counts;
        let first = counts.iter().position(|count| *count > 0).unwrap_or(counts.len());
        let last = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        let from = |index: usize| if index == 0 { 0 } else { 1 << (index - 1) };
        (first..=last).filter_map(|index| Some((from(index), *counts.get(index)?))).collect()
    }
}
