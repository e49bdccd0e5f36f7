//! Counts of samples per stack, and from them per function and line, over all time and over the last moments.
//!
//! The invariant: memory is bounded however long the program runs. Stacks are forgotten with the generation that they
//! are of; what was counted for them stays, per thread and function, for those that have most. Start at
//! [`Counts::totals`].

use std::collections::VecDeque;

use naja_recording::{Batch, Function, FunctionId, FunctionKind, NodeId, State, ThreadId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Number of a function in [`Counts`]: valid until [`Counts::epoch`] changes.
pub(crate) type FunctionIndex = u32;

/// Functions and lines of forgotten stacks that are kept, of each.
const EARLIER_MAX: usize = 50_000;

/// Pairs of thread and stack that are counted apart; beyond it, what was counted is kept per function only.
const PAIRS_MAX: usize = 1_000_000;

/// Samples by what the thread was doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// On a processor.
    pub(crate) running: u64,
    /// Blocked.
    pub(crate) waiting: u64,
    /// Holding the GIL.
    pub(crate) gil: u64,
}

/// Which samples are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Those on a processor.
    #[default]
    Cpu,
    /// All, waiting ones too.
    Wall,
    /// Those that held the GIL.
    Gil,
}

impl Count {
    /// So many ticks of one kind.
    pub(crate) fn new(state: State, gil: bool, ticks: u64) -> Count {
        let running = matches!(state, State::Python | State::Native);
        let nothing = matches!(state, State::Lost | State::Stopped);
        Count {
            running: if running { ticks } else { 0 },
            waiting: if running || nothing { 0 } else { ticks },
            gil: if gil && !nothing { ticks } else { 0 },
        }
    }

    pub(crate) fn add(&mut self, other: Count) {
        self.running += other.running;
        self.waiting += other.waiting;
        self.gil += other.gil;
    }

    /// The samples that count in a mode.
    pub(crate) fn of(self, mode: Mode) -> u64 {
        match mode {
            Mode::Cpu => self.running,
            Mode::Wall => self.running + self.waiting,
            Mode::Gil => self.gil,
        }
    }

    fn is_nothing(self) -> bool {
        self == Count::default()
    }
}

/// Over which time is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// The last moments.
    Now,
    /// Since the start, or since counts were last set to zero.
    All,
}

/// Samples in something itself, and with what it called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OwnTotal {
    pub(crate) own: u64,
    pub(crate) total: u64,
}

/// Samples per function and per line of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    pub(crate) functions: FxHashMap<FunctionIndex, OwnTotal>,
    pub(crate) lines: FxHashMap<(FunctionIndex, u32), OwnTotal>,
}

/// Who called a function, and whom it called, with the samples of each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Relations {
    pub(crate) callers: FxHashMap<FunctionIndex, u64>,
    pub(crate) callees: FxHashMap<FunctionIndex, u64>,
}

/// What makes a function the same over generations.
type FunctionKey = (FunctionKind, String, String, u32);

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The caller's place in the list of nodes.
    parent: Option<u32>,
    function: FunctionIndex,
    line: u32,
    /// The function stands further out on this stack already, and so does the line.
    again: bool,
    line_again: bool,
}

/// A batch's worth of samples, for as long as it is part of "now".
#[derive(Clone, Debug, Default)]
struct Slice {
    ticks: u64,
    counts: FxHashMap<(ThreadId, u32), Count>,
}

/// (own, total) by thread and something else.
type Earlier<K> = FxHashMap<(ThreadId, K), (Count, Count)>;

/// All that was counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    generation: u32,
    epoch: u32,
    functions: Vec<Function>,
    by_key: FxHashMap<FunctionKey, FunctionIndex>,
    /// The sampler's numbers of this generation.
    function_ids: FxHashMap<FunctionId, FunctionIndex>,
    node_ids: FxHashMap<NodeId, u32>,
    nodes: Vec<Node>,
    all: FxHashMap<(ThreadId, u32), Count>,
    window: VecDeque<Slice>,
    earlier_functions: Earlier<FunctionIndex>,
    earlier_lines: Earlier<(FunctionIndex, u32)>,
}

impl Counts {
    /// Takes over the functions, stacks and samples of a batch, which reaches over so many ticks. "Now" is the last
    /// `window_ticks`.
    pub(crate) fn take(&mut self, batch: &Batch, ticks: u64, window_ticks: u64) {
        if batch.generation != self.generation {
            self.begin_generation(batch.generation);
        }
        batch.functions.iter().for_each(|function| self.take_function(function));
        for node in &batch.nodes {
            let Some(function) = self.function_ids.get(&node.function).copied() else { continue };
            let parent = self.node_ids.get(&node.parent).copied();
            let (again, line_again) = self.seen_above(parent, function, node.line);
            self.node_ids.insert(node.id, self.nodes.len() as u32);
            self.nodes.push(Node { parent, function, line: node.line, again, line_again });
        }
        let mut slice = Slice { ticks, counts: FxHashMap::default() };
        for runs in &batch.runs {
            for run in &runs.runs {
                let Some(node) = self.node_ids.get(&run.node).copied() else { continue };
                let count = Count::new(run.state, run.gil, u64::from(run.ticks));
                if !count.is_nothing() {
                    slice.counts.entry((runs.thread, node)).or_default().add(count);
                }
            }
        }
        for (key, count) in &slice.counts {
            self.all.entry(*key).or_default().add(*count);
        }
        self.window.push_back(slice);
        let mut kept: u64 = self.window.iter().map(|slice| slice.ticks).sum();
        while let Some(first) = self.window.front()
            && kept - first.ticks >= window_ticks
        {
            kept -= first.ticks;
            self.window.pop_front();
        }
        if self.all.len() > PAIRS_MAX {
            self.fold();
        }
    }

    fn take_function(&mut self, function: &Function) {
        let key = (function.kind, function.file.clone(), name(function).to_owned(), function.first_line);
        let index = *self.by_key.entry(key).or_insert_with(|| {
            self.functions.push(function.clone());
            self.functions.len() as u32 - 1
        });
        self.function_ids.insert(function.id, index);
    }

    /// Whether a function, and a line of it, stand on the stack that ends with `above`.
    fn seen_above(&self, mut above: Option<u32>, function: FunctionIndex, line: u32) -> (bool, bool) {
        let mut same_function = false;
        while let Some(node) = above.and_then(|above| self.nodes.get(above as usize)) {
            if node.function == function {
                if node.line == line {
                    return (true, true);
                }
                same_function = true;
            }
            above = node.parent;
        }
        (same_function, false)
    }

    /// The sampler has forgotten its stacks: what they have counted is kept per function and line. "Now" begins anew.
    fn begin_generation(&mut self, generation: u32) {
        self.fold();
        self.generation = generation;
        self.window.clear();
        self.nodes.clear();
        self.node_ids.clear();
        self.function_ids.clear();
        // Numbers of functions that nothing is kept of are given anew.
        let kept: FxHashSet<FunctionIndex> =
            self.earlier_functions.keys().map(|(_, function)| *function).collect();
        let old = std::mem::take(&mut self.functions);
        let mut renamed: FxHashMap<FunctionIndex, FunctionIndex> = FxHashMap::default();
        for (index, function) in
            old.into_iter().enumerate().filter(|(index, _)| kept.contains(&(*index as u32)))
        {
            renamed.insert(index as u32, self.functions.len() as u32);
            self.functions.push(function);
        }
        self.by_key.retain(|_, index| renamed.get(index).map(|new| *index = *new).is_some());
        let functions = std::mem::take(&mut self.earlier_functions);
        self.earlier_functions = functions
            .into_iter()
            .filter_map(|((thread, function), counts)| Some(((thread, *renamed.get(&function)?), counts)))
            .collect();
        let lines = std::mem::take(&mut self.earlier_lines);
        self.earlier_lines = lines
            .into_iter()
            .filter_map(|((thread, (function, line)), counts)| {
                Some(((thread, (*renamed.get(&function)?, line)), counts))
            })
            .collect();
        self.epoch += 1;
    }

    /// Adds what stacks have counted to what is kept per thread and function, and forgets it.
    fn fold(&mut self) {
        let mut by_thread: FxHashMap<ThreadId, Vec<(u32, Count)>> = FxHashMap::default();
        for ((thread, node), count) in self.all.drain() {
            by_thread.entry(thread).or_default().push((node, count));
        }
        for (thread, counts) in by_thread {
            for (index, own, inclusive) in inclusive(&self.nodes, counts.into_iter()) {
                let node = &self.nodes[index];
                let total = |again: bool| if again { Count::default() } else { inclusive };
                let function = self.earlier_functions.entry((thread, node.function)).or_default();
                function.0.add(own);
                function.1.add(total(node.again));
                let line = self.earlier_lines.entry((thread, (node.function, node.line))).or_default();
                line.0.add(own);
                line.1.add(total(node.line_again));
            }
        }
        keep_most_seen(&mut self.earlier_functions);
        keep_most_seen(&mut self.earlier_lines);
    }

    /// Sets every count to zero.
    pub(crate) fn reset(&mut self) {
        self.all.clear();
        self.window.clear();
        self.earlier_functions.clear();
        self.earlier_lines.clear();
    }

    /// Counts up when numbers of functions have changed their meaning.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A function by its number.
    pub(crate) fn function(&self, index: FunctionIndex) -> Option<&Function> {
        self.functions.get(index as usize)
    }

    /// The function that a stack ends in, and the line.
    pub(crate) fn innermost(&self, node: NodeId) -> Option<(FunctionIndex, u32)> {
        let node = self.nodes.get(*self.node_ids.get(&node)? as usize)?;
        Some((node.function, node.line))
    }

    /// For each thread the function and line with most samples of their own in the last moments.
    pub(crate) fn hottest_of_threads(&self) -> FxHashMap<ThreadId, (FunctionIndex, u32)> {
        let mut own: FxHashMap<(ThreadId, FunctionIndex, u32), u64> = FxHashMap::default();
        for ((thread, node), count) in self.window.iter().flat_map(|slice| &slice.counts) {
            if let Some(node) = self.nodes.get(*node as usize) {
                *own.entry((*thread, node.function, node.line)).or_default() += count.of(Mode::Cpu);
            }
        }
        let mut most: FxHashMap<ThreadId, (u64, FunctionIndex, u32)> = FxHashMap::default();
        for ((thread, function, line), samples) in own.into_iter().filter(|(_, samples)| *samples > 0) {
            let best = most.entry(thread).or_default();
            *best = (*best).max((samples, function, line));
        }
        most.into_iter().map(|(thread, (_, function, line))| (thread, (function, line))).collect()
    }

    /// Ticks that "now" reaches over.
    pub(crate) fn window_ticks(&self) -> u64 {
        self.window.iter().map(|slice| slice.ticks).sum()
    }

    /// Samples per function and line of the threads that `shown` names. A function that calls itself counts once.
    ///
    /// Cost: O(nodes), a few milliseconds for a large program.
    pub(crate) fn totals(&self, span: Span, mode: Mode, shown: &dyn Fn(ThreadId) -> bool) -> Totals {
        let mut totals = Totals::default();
        for (index, own, inclusive) in inclusive(&self.nodes, self.samples(span, shown)) {
            let node = &self.nodes[index];
            let (own, inclusive) = (own.of(mode), inclusive.of(mode));
            if inclusive == 0 {
                continue;
            }
            let function = totals.functions.entry(node.function).or_default();
            function.own += own;
            function.total += if node.again { 0 } else { inclusive };
            let line = totals.lines.entry((node.function, node.line)).or_default();
            line.own += own;
            line.total += if node.line_again { 0 } else { inclusive };
        }
        if span == Span::All {
            add_earlier(&mut totals.functions, &self.earlier_functions, mode, shown);
            add_earlier(&mut totals.lines, &self.earlier_lines, mode, shown);
        }
        totals
    }

    /// Callers and callees of a function, as far as stacks are still known.
    ///
    /// Cost: as [`Counts::totals`].
    pub(crate) fn relations(
        &self,
        function: FunctionIndex,
        span: Span,
        mode: Mode,
        shown: &dyn Fn(ThreadId) -> bool,
    ) -> Relations {
        let mut relations = Relations::default();
        for (index, _, inclusive) in inclusive(&self.nodes, self.samples(span, shown)) {
            let samples = inclusive.of(mode);
            let node = &self.nodes[index];
            let parent = node.parent.and_then(|parent| self.nodes.get(parent as usize));
            if samples == 0 {
                continue;
            }
            if node.function == function
                && !node.again
                && let Some(parent) = parent
            {
                *relations.callers.entry(parent.function).or_default() += samples;
            }
            if parent.is_some_and(|parent| parent.function == function) && !self.called_above(node) {
                *relations.callees.entry(node.function).or_default() += samples;
            }
        }
        relations
    }

    /// Whether the same call (the same caller and the same function) stands further out on the stack already.
    fn called_above(&self, node: &Node) -> bool {
        let get = |index: Option<u32>| index.and_then(|index| self.nodes.get(index as usize));
        let Some(parent) = get(node.parent) else { return false };
        if !node.again {
            return false;
        }
        let mut above = Some(parent);
        while let Some(outer) = above {
            let outer_parent = get(outer.parent);
            if outer.function == node.function
                && outer_parent.is_some_and(|outer| outer.function == parent.function)
            {
                return true;
            }
            above = outer_parent;
        }
        false
    }

    /// Samples of stacks, of the threads that `shown` names.
    fn samples<'a>(
        &'a self,
        span: Span,
        shown: &'a dyn Fn(ThreadId) -> bool,
    ) -> Box<dyn Iterator<Item = (u32, Count)> + 'a> {
        let pairs: Box<dyn Iterator<Item = (&(ThreadId, u32), &Count)>> = match span {
            Span::All => Box::new(self.all.iter()),
            Span::Now => Box::new(self.window.iter().flat_map(|slice| slice.counts.iter())),
        };
        Box::new(pairs.filter(|((thread, _), _)| shown(*thread)).map(|((_, node), count)| (*node, *count)))
    }
}

/// The name that a function is shown by.
pub(crate) fn name(function: &Function) -> &str {
    if function.qualified_name.is_empty() { &function.name } else { &function.qualified_name }
}

/// (place, own, with all that stands above it) of each node that has samples.
fn inclusive(
    nodes: &[Node],
    samples: impl Iterator<Item = (u32, Count)>,
) -> impl Iterator<Item = (usize, Count, Count)> {
    let mut own = vec![Count::default(); nodes.len()];
    for (node, count) in samples {
        if let Some(own) = own.get_mut(node as usize) {
            own.add(count);
        }
    }
    let mut inclusive = own.clone();
    // A caller stands before those that it calls, so that one pass from the end is enough.
    for index in (0..nodes.len()).rev() {
        if let Some(parent) = nodes[index].parent
            && !inclusive[index].is_nothing()
        {
            let count = inclusive[index];
            inclusive[parent as usize].add(count);
        }
    }
    own.into_iter()
        .zip(inclusive)
        .enumerate()
        .filter(|(_, (_, inclusive))| !inclusive.is_nothing())
        .map(|(index, (own, inclusive))| (index, own, inclusive))
}

fn add_earlier<K: Copy + Eq + std::hash::Hash>(
    totals: &mut FxHashMap<K, OwnTotal>,
    earlier: &Earlier<K>,
    mode: Mode,
    shown: &dyn Fn(ThreadId) -> bool,
) {
    for ((_, key), (own, total)) in earlier.iter().filter(|((thread, _), _)| shown(*thread)) {
        let (own, total) = (own.of(mode), total.of(mode));
        if total > 0 || own > 0 {
            let sum = totals.entry(*key).or_default();
            sum.own += own;
            sum.total += total;
        }
    }
}

fn keep_most_seen<K: Copy + Eq + std::hash::Hash>(earlier: &mut Earlier<K>) {
    let Some(surplus) = earlier.len().checked_sub(EARLIER_MAX).filter(|surplus| *surplus > 0) else { return };
    let mut counts: Vec<u64> = earlier.values().map(|(_, total)| total.of(Mode::Wall)).collect();
    let (_, limit, _) = counts.select_nth_unstable(surplus - 1);
    let limit = *limit;
    let mut left = surplus;
    earlier.retain(|_, (_, total)| {
        let goes = left > 0 && total.of(Mode::Wall) <= limit;
        left -= usize::from(goes);
        !goes
    });
}
