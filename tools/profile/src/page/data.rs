//! The recording as the page's script reads it: one JSON text, then columns of numbers.
//!
//! Form:  length of the JSON (4 bytes, little endian) · JSON · columns, one after the other
//!        a column is LEB128 numbers; `columns` in the JSON names them in order, with count and bytes
//!
//! Invariant: nodes come in preorder (a parent before its children, a subtree without a hole), which lets the
//! page find totals and outermost calls in one pass; nodes that carry no sample are left out. `decode.js` is the
//! other half: change both together. Start at [`encode`].

use std::collections::HashMap;

use naja_recording::{
    Dropped, Function, FunctionId, Header, Metric, NodeId, Process, Source, StackNode, State, Thread,
    ThreadId, Tick,
};
use serde_json::{Value, json};

use super::fold::fold;
use super::samples::{ROWS_MAX, Row, Samples};
use super::sources::{self, Text};

/// Version of the form; the page refuses another.
const FORMAT: u32 = 1;
/// Names are cut here: a generated name of megabytes helps nobody.
const NAME_CHARS_MAX: usize = 400;
/// The page's node of samples without a Python stack; 0 is its root.
const OUTSIDE: u32 = 1;

/// All that a page shows, as plain data.
#[derive(Clone, Debug)]
pub struct PageInput {
    /// The recording's header.
    pub header: Header,
    /// Whether the recording was finished in good order.
    pub complete: bool,
    /// What the size limit made the recording forget: time on the page begins after it.
    pub dropped: Dropped,
    /// Tick up to which there are samples.
    pub until_tick: Tick,
    /// Every process.
    pub processes: Vec<Process>,
    /// Every thread.
    pub threads: Vec<Thread>,
    /// Every function.
    pub functions: Vec<Function>,
    /// Every stack node.
    pub nodes: Vec<StackNode>,
    /// Memory and CPU, in any order.
    pub metrics: Vec<Metric>,
    /// Kept source files.
    pub sources: Vec<Source>,
    /// The report as JSON; `null` when there is none.
    pub report: Value,
    /// The samples.
    pub samples: Samples,
    /// What the page opens with.
    pub start: PageStart,
}

/// What a page opens with and offers, where that is not what it would choose itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageStart {
    /// The flame graph has a part for each thread.
    pub by_thread: bool,
    /// States that are counted; empty for the page's own choice.
    pub states: Vec<State>,
    /// Samples tell the lines of a function apart; where they do not, the page offers nothing that needs it.
    pub lines: bool,
    /// Files have their whole paths.
    pub whole_paths: bool,
}

impl Default for PageStart {
    fn default() -> PageStart {
        PageStart { by_thread: false, states: Vec::new(), lines: true, whole_paths: false }
    }
}

/// The page's data, not yet compressed.
///
/// Cost: O(rows log rows + nodes); memory a few times the result.
pub fn encode(mut input: PageInput) -> Vec<u8> {
    let empty = Samples::new(0, 0);
    let (mut rows, bucket_ticks) = std::mem::replace(&mut input.samples, empty).finish();
    let input = merge_generations(input, &mut rows);
    let PageInput { header, threads, functions, nodes, metrics, .. } = &input;
    let folded_below_ticks = fold(&mut rows, nodes, ROWS_MAX);
    let first_tick = input.dropped.until_tick.min(input.until_tick);
    let threads = threads_by_process(&input.processes, threads, &rows);
    let thread_index = index_of(threads.iter().map(|thread| thread.id));
    rows.retain(|row| thread_index.contains_key(&row.thread));
    // A process's threads lie side by side, so that grouping by process is one pass as well.
    rows.sort_by_key(|row| thread_index[&row.thread]);

    let tree = Tree::of_weighted(nodes, &rows);
    let names = Names::of_used(functions, &tree.nodes);
    let texts = chosen_texts(&input, &names, &tree, &rows);

    let mut columns = Columns::default();
    write_nodes(&mut columns, &tree, &names);
    write_rows(&mut columns, &rows, &thread_index, &tree);
    write_metrics(&mut columns, metrics, &input.processes, first_tick, bucket_ticks);

    let taken: u64 = rows.iter().map(|row| u64::from(row.ticks)).sum();
    let lost: u64 =
        rows.iter().filter(|row| row.state() == State::Lost).map(|row| u64::from(row.ticks)).sum();
    let bucket_count = (input.until_tick - first_tick).div_ceil(bucket_ticks).max(1);
    let json = json!({
        "format": FORMAT,
        "header": header,
        "complete": input.complete,
        "dropped": input.dropped.samples,
        "first_tick": first_tick,
        "until_tick": input.until_tick,
        "bucket_ticks": bucket_ticks,
        "bucket_count": bucket_count,
        "folded_below_ticks": folded_below_ticks,
        "samples": { "taken": taken - lost, "lost": lost },
        "states": State::ALL.map(State::word),
        "processes": input.processes,
        "threads": threads,
        "files": names.files,
        "functions": {
            "name": names.functions.iter().map(|function| short(label(function))).collect::<Vec<_>>(),
            "file": names.file_of,
            "line": names.functions.iter().map(|function| function.first_line).collect::<Vec<_>>(),
            "kind": names.functions.iter().map(|function| function.kind.word()).collect::<Vec<_>>(),
        },
        "sources": texts,
        "report": input.report,
        "start": {
            "by_thread": input.start.by_thread,
            "lines": input.start.lines,
            "whole_paths": input.start.whole_paths,
            "states": input.start.states.iter().map(|state| state.word()).collect::<Vec<_>>(),
        },
        "columns": columns.directory,
    });
    assemble(&json, &columns.bytes)
}

/// A recording of days gives functions and nodes again under new numbers; here equal ones become one.
fn merge_generations(input: PageInput, rows: &mut [Row]) -> PageInput {
    let mut function_ids: HashMap<(&str, &str, u32), FunctionId> = HashMap::new();
    let mut function_of: HashMap<FunctionId, FunctionId> = HashMap::new();
    for function in &input.functions {
        let identity = (function.file.as_str(), label(function), function.first_line);
        function_of.insert(function.id, *function_ids.entry(identity).or_insert(function.id));
    }
    let mut node_ids: HashMap<(NodeId, FunctionId, u32), NodeId> = HashMap::new();
    let mut node_of: HashMap<NodeId, NodeId> = HashMap::new();
    let mut nodes = Vec::with_capacity(input.nodes.len());
    for node in &input.nodes {
        let function = function_of.get(&node.function).copied().unwrap_or(node.function);
        let parent = node_of.get(&node.parent).copied().unwrap_or(0);
        let id = *node_ids.entry((parent, function, node.line)).or_insert_with(|| {
            nodes.push(StackNode { parent, function, ..*node });
            node.id
        });
        node_of.insert(node.id, id);
    }
    for row in rows {
        row.node = node_of.get(&row.node).copied().unwrap_or(0);
    }
    PageInput { nodes, ..input }
}

fn assemble(json: &Value, columns: &[u8]) -> Vec<u8> {
    let json = json.to_string();
    let length = u32::try_from(json.len()).expect("sources and names are limited far below 4 GiB");
    let mut bytes = Vec::with_capacity(4 + json.len() + columns.len());
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(json.as_bytes());
    bytes.extend_from_slice(columns);
    bytes
}

/// Threads in the order of their processes. A thread that rows name and the recording does not know (its
/// record was lost with the last batch) is added under its number, so that no sample vanishes.
fn threads_by_process(processes: &[Process], threads: &[Thread], rows: &[Row]) -> Vec<Thread> {
    let known = index_of(threads.iter().map(|thread| thread.id));
    let mut all = threads.to_vec();
    let mut last = 0;
    for row in rows {
        if row.thread != last && !known.contains_key(&row.thread) {
            let process = processes.first().map_or(0, |process| process.id);
            let name = "unknown".to_owned();
            all.push(Thread { id: row.thread, process, name, ..Thread::default() });
        }
        last = row.thread;
    }
    let order = index_of(processes.iter().map(|process| process.id));
    all.sort_by_key(|thread| (order.get(&thread.process).copied(), thread.id));
    all.dedup_by_key(|thread| thread.id);
    all
}

fn index_of(ids: impl Iterator<Item = u32>) -> HashMap<u32, u32> {
    ids.zip(0_u32..).collect()
}

fn label(function: &Function) -> &str {
    if function.qualified_name.is_empty() { &function.name } else { &function.qualified_name }
}

fn short(name: &str) -> String {
    if name.chars().nth(NAME_CHARS_MAX).is_none() {
        return name.to_owned();
    }
    let kept: String = name.chars().take(NAME_CHARS_MAX).collect();
    format!("{kept}…")
}

/// The nodes that carry samples, with their callers, in preorder.
struct Tree {
    /// The page's nodes from [`OUTSIDE`] + 1 on: the node and its parent's number in the page.
    nodes: Vec<(StackNode, u32)>,
    /// The recording's number to the page's.
    page_id: HashMap<NodeId, u32>,
}

impl Tree {
    fn of_weighted(nodes: &[StackNode], rows: &[Row]) -> Tree {
        let by_id: HashMap<NodeId, &StackNode> = nodes.iter().map(|node| (node.id, node)).collect();
        let mut children: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for row in rows {
            let mut id = row.node;
            while let Some(node) = by_id.get(&id) {
                // Parents come before children, so there is no cycle; what was seen has its callers too.
                if !seen.insert(id) {
                    break;
                }
                let parent = if by_id.contains_key(&node.parent) { node.parent } else { 0 };
                children.entry(parent).or_default().push(id);
                id = parent;
            }
        }
        let mut tree = Tree { nodes: Vec::with_capacity(seen.len()), page_id: HashMap::new() };
        let mut stack: Vec<(NodeId, u32)> = vec![(0, 0)];
        while let Some((id, page_parent)) = stack.pop() {
            let mut page_id = 0;
            if let Some(node) = by_id.get(&id) {
                page_id = OUTSIDE + 1 + u32::try_from(tree.nodes.len()).expect("ids are 32 bits");
                tree.nodes.push((**node, page_parent));
                tree.page_id.insert(id, page_id);
            }
            if let Some(mut below) = children.remove(&id) {
                below.sort_unstable_by(|a, b| b.cmp(a));
                stack.extend(below.into_iter().map(|child| (child, page_id)));
            }
        }
        tree
    }

    /// The page's number of a row's stack.
    fn of_row(&self, row: &Row) -> u32 {
        self.page_id.get(&row.node).copied().unwrap_or(OUTSIDE)
    }
}

/// Functions and files that the page's nodes use.
struct Names {
    functions: Vec<Function>,
    function_index: HashMap<FunctionId, u32>,
    files: Vec<String>,
    file_of: Vec<u32>,
}

impl Names {
    fn of_used(functions: &[Function], nodes: &[(StackNode, u32)]) -> Names {
        let by_id: HashMap<FunctionId, &Function> =
            functions.iter().map(|function| (function.id, function)).collect();
        let outside = Function { name: "(no Python on the stack)".into(), ..Function::default() };
        let mut names =
            Names { functions: vec![], function_index: HashMap::new(), files: vec![], file_of: vec![] };
        let mut file_index = HashMap::new();
        names.push(outside, &mut file_index);
        for (node, _) in nodes {
            if !names.function_index.contains_key(&node.function) {
                let unknown = || Function { name: "(unknown function)".into(), ..Function::default() };
                let function = by_id.get(&node.function).map_or_else(unknown, |found| (*found).clone());
                let index = names.push(function, &mut file_index);
                names.function_index.insert(node.function, index);
            }
        }
        names
    }

    fn push(&mut self, function: Function, file_index: &mut HashMap<String, u32>) -> u32 {
        let next_file = u32::try_from(self.files.len()).expect("ids are 32 bits");
        let file = *file_index.entry(function.file.clone()).or_insert_with(|| {
            self.files.push(function.file.clone());
            next_file
        });
        self.file_of.push(file);
        self.functions.push(function);
        u32::try_from(self.functions.len() - 1).expect("ids are 32 bits")
    }
}

/// The source texts as JSON, one entry per file, in the files' order.
fn chosen_texts(input: &PageInput, names: &Names, tree: &Tree, rows: &[Row]) -> Vec<Value> {
    let mut heat = vec![0_u64; names.files.len()];
    for row in rows {
        if let Some((node, _)) = tree.nodes.get(tree.of_row(row).wrapping_sub(OUTSIDE + 1) as usize) {
            let function = names.function_index[&node.function] as usize;
            heat[names.file_of[function] as usize] += u64::from(row.ticks);
        }
    }
    let mut hottest: Vec<usize> = (0..names.files.len()).collect();
    hottest.sort_by_key(|&file| std::cmp::Reverse(heat[file]));
    let files: Vec<&str> = hottest.iter().map(|&file| names.files[file].as_str()).collect();
    let header = &input.header;
    let texts = sources::choose(&files, &input.sources, &header.working_directory, header.start_unix_ns);
    let mut by_file = vec![Value::Null; files.len()];
    for (file, text) in hottest.into_iter().zip(texts) {
        by_file[file] = match text {
            Text::Recorded(text) => json!({ "text": text, "from": "recording" }),
            Text::Disk(text) => json!({ "text": text, "from": "disk" }),
            Text::Missing(reason) => json!({ "missing": reason }),
        };
    }
    by_file
}

fn write_nodes(columns: &mut Columns, tree: &Tree, names: &Names) {
    let ids = OUTSIDE + 1..;
    columns.write("node_up", ids.zip(&tree.nodes).map(|(id, (_, parent))| u64::from(id - parent)));
    let function = |node: &StackNode| u64::from(names.function_index[&node.function]);
    columns.write("node_function", tree.nodes.iter().map(|(node, _)| function(node)));
    columns.write("node_line", tree.nodes.iter().map(|(node, _)| u64::from(node.line)));
}

fn write_rows(columns: &mut Columns, rows: &[Row], thread_index: &HashMap<ThreadId, u32>, tree: &Tree) {
    columns.write("row_thread", deltas(rows.iter().map(|row| i64::from(thread_index[&row.thread]))));
    columns.write("row_bucket", deltas(rows.iter().map(|row| i64::from(row.bucket))));
    columns.write("row_node", deltas(rows.iter().map(|row| i64::from(tree.of_row(row)))));
    columns.write("row_flags", rows.iter().map(|row| u64::from(row.flags)));
    columns.write("row_ticks", rows.iter().map(|row| u64::from(row.ticks)));
}

/// One point per process and bucket: the last CPU time, the highest memory.
fn write_metrics(
    columns: &mut Columns,
    metrics: &[Metric],
    processes: &[Process],
    first_tick: Tick,
    bucket_ticks: u64,
) {
    let process_index = index_of(processes.iter().map(|process| process.id));
    let mut points: Vec<(u32, Metric)> = metrics
        .iter()
        .filter(|metric| metric.tick >= first_tick)
        .filter_map(|metric| {
            let tick = metric.tick - first_tick;
            Some((*process_index.get(&metric.process)?, Metric { tick, ..*metric }))
        })
        .collect();
    points.sort_by_key(|(process, metric)| (*process, metric.tick));
    points.dedup_by(|(process, metric), (kept_process, kept)| {
        let same = process == kept_process && metric.tick / bucket_ticks == kept.tick / bucket_ticks;
        if same {
            let rss_bytes = kept.rss_bytes.max(metric.rss_bytes);
            *kept = Metric { rss_bytes, ..*metric };
        }
        same
    });
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    columns.write("metric_process", points.iter().map(|(process, _)| u64::from(*process)));
    columns.write("metric_tick", deltas(points.iter().map(|(_, metric)| signed(metric.tick))));
    columns.write("metric_cpu_us", deltas(points.iter().map(|(_, metric)| signed(metric.cpu_ns / 1_000))));
    columns.write("metric_rss_kib", deltas(points.iter().map(|(_, metric)| signed(metric.rss_bytes >> 10))));
}

/// Differences to the value before, zigzag-coded so that small negative ones stay short.
fn deltas(values: impl Iterator<Item = i64>) -> impl Iterator<Item = u64> {
    values.scan(0_i64, |before, value| {
        let delta = value.wrapping_sub(*before);
        *before = value;
        Some(((delta << 1) ^ (delta >> 63)).cast_unsigned())
    })
}

/// Columns of LEB128 numbers, one after the other.
#[derive(Default)]
struct Columns {
    directory: Vec<Value>,
    bytes: Vec<u8>,
}

impl Columns {
    fn write(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        let start = self.bytes.len();
        let mut count = 0_u64;
        for mut value in values {
            count += 1;
            while value >= 128 {
                self.bytes.push((value & 127) as u8 | 128);
                value >>= 7;
            }
            self.bytes.push(value as u8);
        }
        self.directory.push(json!({ "name": name, "count": count, "bytes": self.bytes.len() - start }));
    }
}
