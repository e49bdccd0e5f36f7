//! The recording as the page's script reads it: one JSON text, then columns of numbers.
//!
//! Invariant: nodes that carry no sample are left out. `model.js` is the other half: change both together. Start at
//! [`encode`].

use std::collections::HashMap;

use naja_recording::{
    Dropped, Function, FunctionId, Header, Metric, NodeId, Process, Source, StackNode, State, Thread,
    ThreadId, Tick,
};
use naja_report::Columns;
use naja_report::flame::{PageFunction, PageNode, PageTree, assemble};
use naja_report::sources;
use serde_json::{Value, json};

use super::fold::fold;
use super::samples::{ROWS_MAX, Row, Samples};

/// Version of the form; the page refuses another.
const FORMAT: u32 = 1;

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

    let by_id: HashMap<FunctionId, &Function> =
        functions.iter().map(|function| (function.id, function)).collect();
    let function = |id| by_id.get(&id).map(|function| page_function(function));
    let used = rows.iter().map(|row| row.node);
    let tree = PageTree::of_used(&page_nodes(nodes), used, "(no Python on the stack)", &function);
    let texts = chosen_texts(&input, &tree, &rows);

    let mut columns = Columns::default();
    tree.write(&mut columns);
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
        "files": tree.files(),
        "functions": tree.functions_json(),
        "sources": texts,
        "report": input.report,
        "start": {
            "by_thread": input.start.by_thread,
            "lines": input.start.lines,
            "whole_paths": input.start.whole_paths,
            "states": input.start.states.iter().map(|state| state.word()).collect::<Vec<_>>(),
        },
    });
    assemble(json, columns)
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

fn page_function(function: &Function) -> PageFunction {
    PageFunction {
        name: label(function).to_owned(),
        file: function.file.clone(),
        first_line: function.first_line,
        kind: function.kind.word(),
    }
}

fn page_nodes(nodes: &[StackNode]) -> Vec<PageNode> {
    let page = |node: &StackNode| PageNode {
        id: node.id,
        parent: node.parent,
        function: node.function,
        line: node.line,
    };
    nodes.iter().map(page).collect()
}

/// The source texts as JSON, one entry per file, in the files' order.
fn chosen_texts(input: &PageInput, tree: &PageTree, rows: &[Row]) -> Vec<Value> {
    let mut heat = vec![0_u64; tree.files().len()];
    for row in rows {
        if let Some(file) = tree.file_of(tree.page_id(row.node)) {
            heat[file] += u64::from(row.ticks);
        }
    }
    let header = &input.header;
    let recorded: Vec<(&str, &str)> =
        input.sources.iter().map(|source| (source.file.as_str(), source.text.as_str())).collect();
    sources::json(tree.files(), &heat, &recorded, &header.working_directory, header.start_unix_ns)
}

fn write_rows(columns: &mut Columns, rows: &[Row], thread_index: &HashMap<ThreadId, u32>, tree: &PageTree) {
    columns.write_deltas("row_thread", rows.iter().map(|row| i64::from(thread_index[&row.thread])));
    columns.write_deltas("row_bucket", rows.iter().map(|row| i64::from(row.bucket)));
    columns.write_deltas("row_node", rows.iter().map(|row| i64::from(tree.page_id(row.node))));
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
    columns.write_wide_deltas("metric_tick", points.iter().map(|(_, metric)| signed(metric.tick)));
    columns
        .write_wide_deltas("metric_cpu_us", points.iter().map(|(_, metric)| signed(metric.cpu_ns / 1_000)));
    columns
        .write_wide_deltas("metric_rss_kib", points.iter().map(|(_, metric)| signed(metric.rss_bytes >> 10)));
}
