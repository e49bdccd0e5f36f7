//! The tree of all stacks seen, and how often each was seen.
//!
//! A stack is a path of (function, line) from its outermost call; a node of the tree stands for one. What
//! is new since the last batch is handed to the recording; counts stay here, so that the report does not
//! depend on what a full disk left of the recording.

use naja_recording::{Function, FunctionId, FunctionKind, NodeId, StackNode, State};
use rustc_hash::FxHashMap;

use crate::native;

/// Nodes after which the tree is begun anew: some 100 MB of bookkeeping would come at ten times as many.
const NODES_MAX: usize = 400_000;

/// Lines of which counts are kept over the generations; of more than these, the least seen are forgotten.
const LINES_MAX: usize = 200_000;

/// How often something was seen, on a processor and not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Samples on a processor.
    pub(crate) running: u64,
    /// Samples blocked: GIL, I/O, locks, sleep, children.
    pub(crate) waiting: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.running += other.running;
        self.waiting += other.waiting;
    }

    /// All samples.
    pub(crate) fn all(self) -> u64 {
        self.running + self.waiting
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: NodeId,
    function: FunctionId,
    line: u32,
    own: Count,
}

/// Identifies a function: its file, qualified name and first line.
pub(crate) type FunctionKey = (String, String, u32);

/// The tree of stacks of a whole recording.
#[derive(Debug)]
pub(crate) struct Stacks {
    nodes_max: usize,
    generation: u32,
    functions: Vec<Function>,
    function_ids: FxHashMap<FunctionKey, FunctionId>,
    nodes: Vec<Node>,
    node_ids: FxHashMap<(NodeId, FunctionId, u32), NodeId>,
    /// Numbers before those of this generation.
    functions_before: u32,
    nodes_before: u32,
    /// How many of `functions` and `nodes` the recording has.
    functions_given: usize,
    nodes_given: usize,
    /// What earlier generations counted.
    earlier: Totals,
}

/// Counts per function and per line of a function.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// (own, total) of each function.
    pub(crate) functions: FxHashMap<FunctionKey, (Count, Count)>,
    /// (own, total) of each line, by function and line.
    pub(crate) lines: FxHashMap<(FunctionKey, u32), (Count, Count)>,
    /// Totals of installed packages and of the modules right below them: `dateutil`, `dateutil.parser`.
    pub(crate) modules: FxHashMap<String, Count>,
}

impl Totals {
    /// Forgets the least seen functions and lines, if there are more than `most` of either.
    fn keep_most_seen(&mut self, most: usize) {
        keep_most_seen(&mut self.functions, most);
        keep_most_seen(&mut self.lines, most);
    }
}

fn keep_most_seen<K: Clone + Eq + std::hash::Hash>(counts: &mut FxHashMap<K, (Count, Count)>, most: usize) {
    let Some(surplus) = counts.len().checked_sub(most).filter(|surplus| *surplus > 0) else { return };
    let mut by_count: Vec<(u64, K)> =
        counts.iter().map(|(key, (_, total))| (total.all(), key.clone())).collect();
    by_count.select_nth_unstable_by_key(surplus - 1, |(samples, _)| *samples);
    for (_, key) in &by_count[..surplus] {
        counts.remove(key);
    }
}

impl Default for Stacks {
    fn default() -> Stacks {
        Stacks::with_nodes_max(NODES_MAX)
    }
}

impl Stacks {
    /// An empty tree that is begun anew when it has this many nodes.
    pub(crate) fn with_nodes_max(nodes_max: usize) -> Stacks {
        Stacks {
            nodes_max,
            generation: 0,
            functions: Vec::new(),
            function_ids: FxHashMap::default(),
            nodes: Vec::new(),
            node_ids: FxHashMap::default(),
            functions_before: 0,
            nodes_before: 0,
            functions_given: 0,
            nodes_given: 0,
            earlier: Totals::default(),
        }
    }

    /// The generation of the numbers that are given now; see [`naja_recording::Batch::generation`].
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Whether the tree has grown so large that [`begin_anew`](Self::begin_anew) is due.
    pub(crate) fn is_large(&self) -> bool {
        self.nodes.len() >= self.nodes_max
    }

    /// The number of a function of Python.
    pub(crate) fn function(
        &mut self,
        name: &str,
        qualified_name: &str,
        file: &str,
        first_line: u32,
    ) -> FunctionId {
        let (name, qualified_name, file) = (name.to_owned(), qualified_name.to_owned(), file.to_owned());
        let kind = FunctionKind::Python;
        self.function_like(Function { id: 0, name, qualified_name, file, first_line, kind })
    }

    /// The number of a function that is described but for its number.
    pub(crate) fn function_like(&mut self, function: Function) -> FunctionId {
        let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
        if let Some(id) = self.function_ids.get(&key) {
            return *id;
        }
        let id = self.functions_before + self.functions.len() as u32 + 1;
        self.functions.push(Function { id, ..function });
        self.function_ids.insert(key, id);
        id
    }

    /// The number of the stack that `function` at `line` makes on top of `parent`.
    pub(crate) fn node(&mut self, parent: NodeId, function: FunctionId, line: u32) -> NodeId {
        let next = self.nodes_before + self.nodes.len() as u32 + 1;
        let id = *self.node_ids.entry((parent, function, line)).or_insert(next);
        if id == next {
            self.nodes.push(Node { parent, function, line, own: Count::default() });
        }
        id
    }

    /// The function of a node of this generation.
    pub(crate) fn function_of(&self, node: NodeId) -> Option<&Function> {
        let node = &self.nodes[self.index(node)?];
        self.functions.get((node.function - self.functions_before) as usize - 1)
    }

    /// Puts the calls that `path` stands for, outermost first, on top of another stack.
    pub(crate) fn replant(&mut self, path: &[NodeId], parent: NodeId) -> NodeId {
        let (mut parent, mut last) = (parent, 0);
        for &node in path {
            // A step of the interpreter's own has no node: the one before stands twice.
            if node != last
                && let Some(index) = self.index(node)
            {
                let Node { function, line, .. } = self.nodes[index];
                parent = self.node(parent, function, line);
            }
            last = node;
        }
        parent
    }

    /// Counts one sample of a stack.
    pub(crate) fn count(&mut self, node: NodeId, state: State) {
        let index = (node as usize).checked_sub(self.nodes_before as usize + 1);
        let Some(node) = index.and_then(|index| self.nodes.get_mut(index)) else {
            return;
        };
        match state {
            State::Python | State::Native => node.own.running += 1,
            State::Lost | State::Stopped => {}
            _ => node.own.waiting += 1,
        }
    }

    /// What the recording does not have yet.
    pub(crate) fn take_new(&mut self) -> (Vec<Function>, Vec<StackNode>) {
        let functions = self.functions[self.functions_given..].to_vec();
        let first = self.nodes_before + self.nodes_given as u32 + 1;
        let numbered = (first..).zip(&self.nodes[self.nodes_given..]);
        let nodes = numbered
            .map(|(id, node)| StackNode { id, parent: node.parent, function: node.function, line: node.line })
            .collect();
        self.functions_given = self.functions.len();
        self.nodes_given = self.nodes.len();
        (functions, nodes)
    }

    /// Forgets all stacks but their counts. Numbers given before are not valid any more; new ones go on
    /// from there. To be called right after [`take_new`](Self::take_new).
    pub(crate) fn begin_anew(&mut self) {
        self.earlier = self.totals();
        self.earlier.keep_most_seen(LINES_MAX);
        self.generation += 1;
        self.functions_before += self.functions.len() as u32;
        self.nodes_before += self.nodes.len() as u32;
        self.functions.clear();
        self.function_ids.clear();
        self.nodes.clear();
        self.node_ids.clear();
        self.functions_given = 0;
        self.nodes_given = 0;
    }

    /// Puts what functions turned out to be in place of them: functions and lines, outermost first, or nothing. For the
    /// end, when nothing more is counted: all numbers change.
    pub(crate) fn translate(&mut self, names: &FxHashMap<FunctionKey, Vec<(Function, u32)>>) {
        if names.is_empty() {
            return;
        }
        let mut translated = Stacks::with_nodes_max(self.nodes_max);
        translated.generation = self.generation;
        let mut ids = vec![0; self.nodes.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            let mut parent = self.index(node.parent).map_or(0, |parent| ids[parent]);
            let function = &self.functions[(node.function - self.functions_before - 1) as usize];
            let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
            let only = [(function.clone(), node.line)];
            for (function, line) in names.get(&key).map_or(&only[..], Vec::as_slice) {
                let is_unnamed = native::is_unnamed(function);
                let function = translated.function_like(function.clone());
                let is_same =
                    |above: usize| translated.nodes.get(above).is_some_and(|node| node.function == function);
                if is_unnamed && translated.index(parent).is_some_and(is_same) {
                    continue;
                }
                parent = translated.node(parent, function, *line);
            }
            if let Some(index) = translated.index(parent) {
                translated.nodes[index].own.add(node.own);
            }
            ids[index] = parent;
        }
        // Of what earlier stacks counted, only sums are left: they go to the innermost function.
        let innermost = |key: FunctionKey| match names.get(&key) {
            None => Some((key, None)),
            Some(chain) => chain.last().map(|(function, line)| {
                let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
                (key, Some(*line))
            }),
        };
        let add = |sum: &mut (Count, Count), (own, total): (Count, Count)| {
            sum.0.add(own);
            sum.1.add(total);
        };
        for (key, counts) in std::mem::take(&mut self.earlier.functions) {
            if let Some((key, _)) = innermost(key) {
                add(translated.earlier.functions.entry(key).or_default(), counts);
            }
        }
        for ((key, line), counts) in std::mem::take(&mut self.earlier.lines) {
            if let Some((key, found)) = innermost(key) {
                add(translated.earlier.lines.entry((key, found.unwrap_or(line))).or_default(), counts);
            }
        }
        translated.earlier.modules = std::mem::take(&mut self.earlier.modules);
        *self = translated;
    }

    /// Counts per function and line over the whole recording. A function that calls itself counts once.
    ///
    /// Cost: O(nodes × depth) in the worst case, a few milliseconds for a usual program.
    pub(crate) fn totals(&self) -> Totals {
        let mut totals = self.earlier.clone();
        let (names, modules) = self.modules();
        for (inclusive, node) in self.inclusive().iter().zip(&self.nodes) {
            if inclusive.all() == 0 {
                continue;
            }
            let Some(function) = self.functions.get((node.function - self.functions_before - 1) as usize)
            else {
                continue;
            };
            let (same_function, same_line) = self.seen_above(node);
            let total = |seen: bool| if seen { Count::default() } else { *inclusive };
            for module in &modules[(node.function - self.functions_before - 1) as usize] {
                if !self.module_is_above(node, *module, &modules) {
                    let name = &names[*module];
                    match totals.modules.get_mut(name) {
                        Some(count) => count.add(*inclusive),
                        None => drop(totals.modules.insert(name.clone(), *inclusive)),
                    }
                }
            }
            let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
            let line = totals.lines.entry((key.clone(), node.line)).or_default();
            line.0.add(node.own);
            line.1.add(total(same_line));
            let function = totals.functions.entry(key).or_default();
            function.0.add(node.own);
            function.1.add(total(same_function));
        }
        totals
    }

    /// For each node, what was counted in it and below it.
    fn inclusive(&self) -> Vec<Count> {
        let mut counts: Vec<Count> = self.nodes.iter().map(|node| node.own).collect();
        // A parent's number is smaller than its children's, so that one pass from the end is enough.
        for index in (0..self.nodes.len()).rev() {
            if let Some(parent) = self.index(self.nodes[index].parent) {
                let count = counts[index];
                counts[parent].add(count);
            }
        }
        counts
    }

    /// Whether the node's function, and its line, stand further out on the same stack already.
    fn seen_above(&self, node: &Node) -> (bool, bool) {
        let mut same_function = false;
        let mut above = node.parent;
        while let Some(index) = self.index(above) {
            let outer = &self.nodes[index];
            if outer.function == node.function {
                same_function = true;
                if outer.line == node.line {
                    return (true, true);
                }
            }
            above = outer.parent;
        }
        (same_function, false)
    }

    /// The names of all installed modules, and for each function the numbers of those that it is of.
    fn modules(&self) -> (Vec<String>, Vec<Vec<usize>>) {
        let mut names = Vec::new();
        let mut numbers = FxHashMap::default();
        let of_function = |function: &Function| {
            let number = |name: String| {
                *numbers.entry(name).or_insert_with_key(|name| {
                    names.push(name.clone());
                    names.len() - 1
                })
            };
            installed_modules(&function.file).map(number).collect()
        };
        let modules = self.functions.iter().map(of_function).collect();
        (names, modules)
    }

    /// Whether a function of this module stands further out on the same stack already.
    fn module_is_above(&self, node: &Node, module: usize, modules: &[Vec<usize>]) -> bool {
        let mut above = node.parent;
        while let Some(index) = self.index(above) {
            let outer = &self.nodes[index];
            let function = (outer.function - self.functions_before - 1) as usize;
            if modules.get(function).is_some_and(|own| own.contains(&module)) {
                return true;
            }
            above = outer.parent;
        }
        false
    }

    fn index(&self, node: NodeId) -> Option<usize> {
        let index = (node as usize).checked_sub(self.nodes_before as usize + 1)?;
        (index < self.nodes.len()).then_some(index)
    }
}

/// The installed package that a file belongs to, and the module of it that is or holds the file; none for other
/// files. `…/site-packages/dateutil/parser/_parser.py` is of `dateutil` and of `dateutil.parser`.
fn installed_modules(file: &str) -> impl Iterator<Item = String> + use<> {
    let markers = ["/site-packages/", "/dist-packages/"];
    let inside = markers.iter().find_map(|marker| file.rsplit_once(marker)).map_or("", |(_, inside)| inside);
    let mut parts = inside.split('/').map(|part| part.strip_suffix(".py").unwrap_or(part));
    let package = parts.next().filter(|part| !part.is_empty()).map(str::to_owned);
    let module = parts.next().filter(|part| *part != "__init__");
    let module = package.as_ref().zip(module).map(|(package, module)| format!("{package}.{module}"));
    package.into_iter().chain(module)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts `samples` of stacks written as `a:1 b:2` (outermost first), on a processor.
    fn tree(samples: &[(&str, u64)]) -> Stacks {
        let mut stacks = Stacks::default();
        for (path, times) in samples {
            count(&mut stacks, path, *times);
        }
        stacks
    }

    fn count(stacks: &mut Stacks, path: &str, times: u64) {
        let mut node = 0;
        for frame in path.split(' ') {
            let (name, line) = frame.split_once(':').expect("name:line");
            // `pkg/mod.py` as a name is an installed file too.
            let installed = format!("/e/lib/python3.11/site-packages/{name}");
            let file = if name.contains('/') { installed.as_str() } else { "f.py" };
            let function = stacks.function(name, name, file, 1);
            node = stacks.node(node, function, line.parse().expect("a line"));
        }
        (0..times).for_each(|_| stacks.count(node, State::Python));
    }

    fn own_and_total(totals: &Totals, name: &str) -> (u64, u64) {
        let key = ("f.py".to_owned(), name.to_owned(), 1);
        totals.functions.get(&key).map_or((0, 0), |(own, total)| (own.running, total.running))
    }

    #[test]
    fn a_function_that_calls_itself_counts_once() {
        let stacks = tree(&[("a:1 fib:3 fib:3 fib:4", 5), ("a:1 fib:2", 1), ("a:1", 2)]);
        let totals = stacks.totals();
        assert_eq!(own_and_total(&totals, "fib"), (6, 6));
        assert_eq!(own_and_total(&totals, "a"), (2, 8));
        let line = |line| totals.lines[&(("f.py".to_owned(), "fib".to_owned(), 1), line)];
        assert_eq!((line(3).0.running, line(3).1.running), (0, 5));
        assert_eq!((line(4).0.running, line(4).1.running), (5, 5));
    }

    #[test]
    fn counts_outlive_the_stacks_they_were_counted_for() {
        let mut stacks = tree(&[("a:1 b:2", 3)]);
        assert_eq!(stacks.take_new().1.len(), 2);
        stacks.begin_anew();
        count(&mut stacks, "a:1 c:2", 4);
        let (functions, nodes) = stacks.take_new();
        assert_eq!((functions.len(), nodes[0].id, nodes[0].parent, nodes[1].parent), (2, 3, 0, 3));
        assert_eq!(own_and_total(&stacks.totals(), "a"), (0, 7));
        assert_eq!(own_and_total(&stacks.totals(), "b"), (3, 3));
        assert_eq!(stacks.take_new(), (vec![], vec![]));
    }

    #[test]
    fn what_functions_turn_out_to_be_takes_their_place() {
        let mut stacks = tree(&[("a:1 0x1:0 b:2 0x2:0", 3), ("a:1 0x1:0", 2), ("a:1 0x3:0 b:2", 4)]);
        let named = |name: &str, line| {
            let (name, file) = (name.to_owned(), "f.c".to_owned());
            (Function { qualified_name: name.clone(), name, file, ..Function::default() }, line)
        };
        let key = |name: &str| ("f.py".to_owned(), name.to_owned(), 1);
        let names = FxHashMap::from_iter([
            (key("0x1"), vec![named("outer", 7), named("inlined", 8)]),
            (key("0x2"), Vec::new()),
            (key("0x3"), vec![named("outer", 7), named("inlined", 8)]),
        ]);
        stacks.translate(&names);
        assert_eq!(stacks.nodes.len(), 4);
        let totals = stacks.totals();
        let native = |name: &str| {
            let (own, total) = totals.functions[&("f.c".to_owned(), name.to_owned(), 0)];
            (own.running, total.running)
        };
        assert_eq!((native("outer"), native("inlined")), ((0, 9), (2, 9)));
        assert_eq!((own_and_total(&totals, "a"), own_and_total(&totals, "b")), ((0, 9), (7, 7)));
    }

    #[test]
    fn the_least_seen_are_forgotten_where_there_are_too_many() {
        let mut totals = tree(&[("a:1", 3), ("b:1", 1), ("c:1", 2), ("d:1", 9)]).totals();
        totals.keep_most_seen(2);
        assert_eq!((totals.functions.len(), totals.lines.len()), (2, 2));
        assert_eq!((own_and_total(&totals, "a"), own_and_total(&totals, "d")), ((3, 3), (9, 9)));
    }

    #[test]
    fn time_in_a_package_counts_once_a_stack_and_with_all_that_it_calls() {
        let totals = tree(&[
            ("a:1 pkg/parser/_parser.py:1 f:1 pkg/tz.py:2 pkg/parser/__init__.py:9", 5),
            ("a:1 pkg/__init__.py:1", 2),
            ("a:1 other.py:1", 3),
        ])
        .totals();
        let running = |name: &str| totals.modules.get(name).map(|count| count.running);
        assert_eq!(
            ["pkg", "pkg.parser", "pkg.tz", "a", "other"].map(running),
            [Some(7), Some(5), Some(5), None, None]
        );
    }

    #[test]
    fn waiting_is_counted_apart_and_lost_samples_not_at_all() {
        let mut stacks = tree(&[("a:1", 1)]);
        stacks.count(1, State::IoWait);
        stacks.count(1, State::Lost);
        stacks.count(99, State::Python);
        let key = ("f.py".to_owned(), "a".to_owned(), 1);
        assert_eq!(stacks.totals().functions[&key].0, Count { running: 1, waiting: 1 });
    }
}
