//! The processed format of the Firefox Profiler, as version 55 of it documents: every later front end upgrades it.
//!
//! A thread has its own tables. Form: a table is an object of columns of equal length; a column refers to another
//! table by index. What a thread does is the category of the frame on top of its stack. Start at [`write`].

use std::io::Write;

use naja_recording::{FunctionKind, Process, Run, State, Thread, Tick};
use naja_system::Failure;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde_json::{Value, json};

use super::cannot_write;
use super::content::{Content, on_one_line};
use super::stacks::{FrameId, FrameKind, Shape, StackId, Stacks};
use super::time_line::{self, Segment, is_running};

const VERSION: u32 = 55;

/// Up to so many ticks of a thread are one sample each, which gives exact selections; beyond, a stretch in which
/// nothing changed is one sample with a greater weight.
const SINGLE_TICKS_MAX: u64 = 1_000_000;

/// What a frame's category says, in the order of [`categories`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Category {
    Other,
    Python,
    Native,
    Waiting,
    GilWait,
    Collector,
    Task,
}

fn categories() -> Value {
    let category = |name: &str, color: &str, below: &[&str]| {
        let below: Vec<&str> = ["Other"].into_iter().chain(below.iter().copied()).collect();
        json!({"name": name, "color": color, "subcategories": below})
    };
    json!([
        category("Other", "grey", &[]),
        category("Python", "yellow", &[]),
        category("Native", "blue", &[]),
        category(
            "Waiting",
            "transparent",
            &["For input or output", "For a lock", "Asleep", "For a child process", "Stopped"]
        ),
        category("Waiting for the GIL", "orange", &[]),
        category("GC", "purple", &[]),
        category("Task", "green", &[]),
    ])
}

/// What a thread in this state does: a category and one of its subcategories.
fn doing(run: &Run) -> (Category, u32) {
    match run.state {
        _ if run.gc => (Category::Collector, 0),
        State::Lost => (Category::Other, 0),
        State::Python => (Category::Python, 0),
        State::Native => (Category::Native, 0),
        State::GilWait => (Category::GilWait, 0),
        State::IoWait => (Category::Waiting, 1),
        State::LockWait => (Category::Waiting, 2),
        State::Sleep => (Category::Waiting, 3),
        State::ChildWait => (Category::Waiting, 4),
        State::Stopped => (Category::Waiting, 5),
    }
}

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Bare);
    let meta = meta(content);
    write!(out, "{{\"meta\":{meta},\"libs\":[],\"pages\":[],\"profilerOverhead\":[],\"threads\":[")
        .map_err(cannot_write)?;
    // The first thread of each process, which its counters refer to.
    let mut first_of: FxHashMap<u32, usize> = FxHashMap::default();
    let mut count = 0;
    time_line::threads(content, &mut |thread, segments| {
        let value = ThreadTables::new(content, thread).fill(&mut stacks, thread, segments);
        if count > 0 {
            write!(out, ",").map_err(cannot_write)?;
        }
        serde_json::to_writer(&mut *out, &value).map_err(|error| cannot_write(error.into()))?;
        first_of.entry(thread.process).or_insert(count);
        count += 1;
        Ok(())
    })?;
    write!(out, "],\"counters\":[").map_err(cannot_write)?;
    for (index, counter) in counters(content, &first_of)?.iter().enumerate() {
        write!(out, "{}{counter}", if index == 0 { "" } else { "," }).map_err(cannot_write)?;
    }
    writeln!(out, "]}}").map_err(cannot_write)
}

fn meta(content: &Content<'_>) -> Value {
    let header = content.header();
    let marker = |name: &str, description: &str| {
        json!({
            "name": name, "description": description, "tableLabel": "{marker.name}", "fields": [],
            "display": ["marker-chart", "marker-table", "timeline-overview"],
        })
    };
    json!({
        "version": 24,
        "preprocessedProfileVersion": VERSION,
        "interval": millis(content, 1),
        "startTime": header.start_unix_ns as f64 / 1e6,
        "product": header.command.join(" "),
        "oscpu": header.system,
        "importedFrom": format!("naja {}", header.naja_version),
        "processType": 0,
        "stackwalk": 0,
        "debug": false,
        "symbolicated": true,
        "usesOnlyOneStackType": true,
        "sourceCodeIsNotOnSearchfox": true,
        "extensions": {"length": 0, "baseURL": [], "id": [], "name": []},
        "pausedRanges": [],
        "sampleUnits": {"time": "ms", "eventDelay": "ms", "threadCPUDelta": "µs"},
        "categories": categories(),
        "markerSchema": [
            marker("GIL held", "The thread held the global interpreter lock"),
            marker("GIL wait", "The thread waited for the global interpreter lock"),
            marker("GC", "The garbage collector ran in the thread's interpreter"),
        ],
    })
}

fn counters(content: &Content<'_>, first_of: &FxHashMap<u32, usize>) -> Result<Vec<Value>, Failure> {
    let metrics = content.metrics()?;
    let mut counters = Vec::new();
    for process in &content.processes {
        let Some(&thread) = first_of.get(&process.id) else { continue };
        let of_process: Vec<_> = metrics.iter().filter(|metric| metric.process == process.id).collect();
        let times: Vec<f64> = of_process.iter().map(|metric| millis(content, metric.tick)).collect();
        let mut counter = |name: &str, category: &str, description: &str, values: Vec<f64>| {
            counters.push(json!({
                "name": name, "category": category, "description": description,
                "pid": process.pid.to_string(), "mainThreadIndex": thread,
                "samples": {"length": values.len(), "time": times, "count": values},
            }));
        };
        let rss = of_process.iter().map(|metric| metric.rss_bytes as f64).collect();
        counter("Resident memory", "Memory", "Memory of the process that is in use", deltas(rss));
        let mut cpu = deltas(of_process.iter().map(|metric| metric.cpu_ns as f64 / 1e3).collect());
        // What was used before the first point is not of this time.
        if let Some(first) = cpu.first_mut() {
            *first = 0.0;
        }
        counter("processCPU", "CPU", "Processor time of the process in microseconds", cpu);
    }
    Ok(counters)
}

fn deltas(values: Vec<f64>) -> Vec<f64> {
    let before = [0.0].into_iter().chain(values.iter().copied());
    values.iter().zip(before).map(|(value, before)| value - before).collect()
}

fn millis(content: &Content<'_>, tick: Tick) -> f64 {
    tick as f64 * content.header().interval_ns as f64 / 1e6
}

/// A thread as the format has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ThreadTables {
    name: String,
    is_main_thread: bool,
    process_name: String,
    process_type: &'static str,
    process_startup_time: f64,
    process_shutdown_time: Option<f64>,
    register_time: f64,
    unregister_time: Option<f64>,
    paused_ranges: [(); 0],
    pid: String,
    tid: u32,
    show_markers_in_timeline: bool,
    samples: Samples,
    markers: Markers,
    stack_table: StackTable,
    frame_table: FrameTable,
    func_table: FuncTable,
    resource_table: Value,
    native_symbols: Value,
    string_array: Vec<String>,
    #[serde(skip)]
    strings: FxHashMap<String, u32>,
    #[serde(skip)]
    ids: Ids,
    #[serde(skip)]
    tick_ms: f64,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Samples {
    length: usize,
    weight_type: &'static str,
    stack: Vec<Option<u32>>,
    time: Vec<f64>,
    weight: Vec<u64>,
    #[serde(rename = "threadCPUDelta")]
    thread_cpu_delta: Vec<f64>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Markers {
    length: usize,
    category: Vec<u32>,
    data: Vec<Value>,
    start_time: Vec<f64>,
    end_time: Vec<f64>,
    name: Vec<u32>,
    phase: Vec<u32>,
}

#[derive(Default, Serialize)]
struct StackTable {
    length: usize,
    prefix: Vec<Option<u32>>,
    frame: Vec<u32>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FrameTable {
    length: usize,
    address: Vec<i32>,
    inline_depth: Vec<u32>,
    category: Vec<u32>,
    subcategory: Vec<u32>,
    func: Vec<u32>,
    native_symbol: Vec<Option<u32>>,
    #[serde(rename = "innerWindowID")]
    inner_window_id: Vec<u32>,
    line: Vec<Option<u32>>,
    column: Vec<Option<u32>>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct FuncTable {
    length: usize,
    name: Vec<u32>,
    #[serde(rename = "isJS")]
    is_js: Vec<bool>,
    #[serde(rename = "relevantForJS")]
    relevant_for_js: Vec<bool>,
    resource: Vec<i32>,
    file_name: Vec<Option<u32>>,
    line_number: Vec<Option<u32>>,
    column_number: Vec<Option<u32>>,
}

/// Which row of a table stands for what.
#[derive(Default)]
struct Ids {
    /// A stack whose top frame has a category of its own, as the thread's state says.
    stacks: FxHashMap<(StackId, Option<(Category, u32)>), u32>,
    frames: FxHashMap<(FrameId, Category, u32), u32>,
    functions: FxHashMap<(u32, Option<u32>), u32>,
}

impl ThreadTables {
    fn new(content: &Content<'_>, thread: &Thread) -> ThreadTables {
        let unknown = Process::default();
        let process = content.process(thread.process).unwrap_or(&unknown);
        ThreadTables {
            name: on_one_line(&thread.name),
            is_main_thread: thread.os_tid == process.pid,
            process_name: on_one_line(&process.command.join(" ")),
            process_type: "default",
            process_startup_time: millis(content, process.first_tick),
            process_shutdown_time: Some(millis(content, process.last_tick + 1)),
            register_time: millis(content, process.first_tick),
            unregister_time: None,
            paused_ranges: [],
            pid: process.pid.to_string(),
            tid: thread.os_tid,
            show_markers_in_timeline: true,
            samples: Samples { weight_type: "samples", ..Samples::default() },
            markers: Markers::default(),
            stack_table: StackTable::default(),
            frame_table: FrameTable::default(),
            func_table: FuncTable::default(),
            resource_table: json!({"length": 0, "lib": [], "name": [], "host": [], "type": []}),
            native_symbols: json!({"length": 0, "address": [], "functionSize": [], "libIndex": [], "name": []}),
            string_array: Vec::new(),
            strings: FxHashMap::default(),
            ids: Ids::default(),
            tick_ms: millis(content, 1),
        }
    }

    fn fill(mut self, stacks: &mut Stacks<'_>, thread: &Thread, segments: &[Segment]) -> ThreadTables {
        if let (Some(first), Some(last)) = (segments.first(), segments.last()) {
            self.register_time = first.from as f64 * self.tick_ms;
            self.unregister_time = Some(last.until as f64 * self.tick_ms);
        }
        let single = segments.iter().map(Segment::ticks).sum::<u64>() <= SINGLE_TICKS_MAX;
        for segment in segments {
            let stack = stacks.of(thread, &segment.run);
            let stack = self.stack(stacks, stack, Some(doing(&segment.run)));
            if single {
                (segment.from..segment.until).for_each(|tick| self.sample(tick, 1, stack, &segment.run));
            } else {
                self.sample(segment.from, segment.ticks(), stack, &segment.run);
            }
        }
        let bridged = time_line::bridged(segments);
        self.marker(&bridged, "GIL held", Category::Python, |run| run.gil);
        self.marker(&bridged, "GIL wait", Category::GilWait, |run| run.state == State::GilWait);
        self.marker(&bridged, "GC", Category::Collector, |run| run.gc);
        self
    }

    fn sample(&mut self, tick: Tick, ticks: Tick, stack: Option<u32>, run: &Run) {
        let samples = &mut self.samples;
        samples.length += 1;
        samples.stack.push(stack);
        samples.time.push(tick as f64 * self.tick_ms);
        samples.weight.push(ticks);
        let used = if is_running(run) { ticks as f64 * self.tick_ms * 1e3 } else { 0.0 };
        samples.thread_cpu_delta.push(used);
    }

    fn marker(&mut self, segments: &[Segment], name: &str, category: Category, holds: impl Fn(&Run) -> bool) {
        const INTERVAL: u32 = 1;
        let name_index = self.string(name);
        for (from, until) in time_line::spans(segments, holds) {
            let markers = &mut self.markers;
            markers.length += 1;
            markers.category.push(category as u32);
            markers.data.push(json!({"type": name}));
            markers.start_time.push(from as f64 * self.tick_ms);
            markers.end_time.push(until as f64 * self.tick_ms);
            markers.name.push(name_index);
            markers.phase.push(INTERVAL);
        }
    }

    /// The row of a stack, and of its callers before it.
    fn stack(&mut self, stacks: &Stacks<'_>, stack: StackId, top: Option<(Category, u32)>) -> Option<u32> {
        let (mut at, mut top) = (stack, top);
        let mut new = Vec::new();
        let mut row = loop {
            let Some((caller, _, frame)) = stacks.top(at) else { break None };
            if let Some(&known) = self.ids.stacks.get(&(at, top)) {
                break Some(known);
            }
            new.push((at, frame, top.take()));
            at = caller;
        };
        for (stack, frame, top) in new.into_iter().rev() {
            let frame = self.frame(stacks, frame, top);
            let table = &mut self.stack_table;
            table.prefix.push(row);
            table.frame.push(frame);
            row = Some(table.length as u32);
            table.length += 1;
            self.ids.stacks.insert((stack, top), table.length as u32 - 1);
        }
        row
    }

    fn frame(&mut self, stacks: &Stacks<'_>, id: FrameId, top: Option<(Category, u32)>) -> u32 {
        let frame = &stacks.frames[id as usize];
        let (category, subcategory) = top.unwrap_or((
            match frame.kind {
                FrameKind::Root => Category::Other,
                FrameKind::Collector => Category::Collector,
                FrameKind::NoPython | FrameKind::Function(FunctionKind::Native) => Category::Native,
                FrameKind::Function(FunctionKind::Python) => Category::Python,
                FrameKind::Function(FunctionKind::Task) => Category::Task,
            },
            0,
        ));
        if let Some(&known) = self.ids.frames.get(&(id, category, subcategory)) {
            return known;
        }
        let func = self.function(&frame.name, &frame.file, stacks.first_line(id));
        let table = &mut self.frame_table;
        table.address.push(-1);
        table.inline_depth.push(0);
        table.category.push(category as u32);
        table.subcategory.push(subcategory);
        table.func.push(func);
        table.native_symbol.push(None);
        table.inner_window_id.push(0);
        table.line.push((frame.line != 0).then_some(frame.line));
        table.column.push(None);
        let row = table.length as u32;
        table.length += 1;
        self.ids.frames.insert((id, category, subcategory), row);
        row
    }

    fn function(&mut self, name: &str, file: &str, line: u32) -> u32 {
        let name = self.string(name);
        let file = (!file.is_empty()).then(|| self.string(file));
        if let Some(&known) = self.ids.functions.get(&(name, file)) {
            return known;
        }
        let table = &mut self.func_table;
        table.name.push(name);
        table.is_js.push(false);
        table.relevant_for_js.push(false);
        table.resource.push(-1);
        table.file_name.push(file);
        table.line_number.push((line != 0).then_some(line));
        table.column_number.push(None);
        let row = table.length as u32;
        table.length += 1;
        self.ids.functions.insert((name, file), row);
        row
    }

    fn string(&mut self, text: &str) -> u32 {
        if let Some(&known) = self.strings.get(text) {
            return known;
        }
        let next = self.string_array.len() as u32;
        self.string_array.push(text.to_owned());
        self.strings.insert(text.to_owned(), next);
        next
    }
}
