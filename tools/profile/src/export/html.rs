//! The page of `naja view`, opened as the options say.
//!
//! What the part and `--gil` leave out is not in the page, nor are lines that `--function` and `--nolineno` do not
//! tell apart. Which states are counted is what the page begins with; its reader can count others.

use std::io::Write;

use naja_recording::{Function, FunctionId, FunctionKind, NodeId, Reader, Run, StackNode, State, ThreadRuns};
use naja_system::Failure;
use rustc_hash::FxHashMap;

use super::cannot_write;
use super::content::Content;
use super::options::Mode;
use super::stacks::COLLECTOR;
use crate::page::{self, PageInput, PageStart, Samples};

/// Writes the page.
pub(super) fn write(reader: &Reader<'_>, content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let stacks = &content.options.stacks;
    let mut samples = Samples::new(content.from, content.until);
    let mut collector = Collector::new(content);
    content.stretches(&mut |thread, stretch| {
        if stacks.mode() != Mode::Gil || stretch.run.gil || stretch.run.state == State::Lost {
            let run = if stacks.gc { collector.on_top(stretch.run) } else { stretch.run };
            samples.add(&ThreadRuns { thread: thread.id, first_tick: stretch.first_tick, runs: vec![run] });
        }
        Ok(())
    })?;
    let mut input = page::input_of(reader, samples)?;
    collector.add_to(&mut input);
    if stacks.nolineno {
        input.functions.iter_mut().for_each(|function| function.first_line = 0);
    }
    if stacks.nolineno || stacks.function {
        one_line_for_each_function(&mut input);
    }
    input.dropped.until_tick = content.from;
    input.until_tick = content.until;
    input.metrics.retain(|metric| (content.from..content.until).contains(&metric.tick));
    input.processes.retain(|process| content.process(process.id).is_some());
    input.threads.retain(|thread| content.thread(thread.id).is_some());
    let all = || State::ALL.into_iter().filter(|state| *state != State::Lost).collect();
    input.start = PageStart {
        by_thread: stacks.threads,
        lines: !(stacks.nolineno || stacks.function),
        whole_paths: stacks.full_filenames,
        states: match stacks.mode() {
            Mode::Cpu => vec![State::Python, State::Native],
            Mode::Gil => all(),
            Mode::Wall if stacks.idle => all(),
            // The page then leaves out idle threads where they would hide the rest.
            Mode::Wall => Vec::new(),
        },
    };
    out.write_all(page::html(input).as_bytes()).map_err(cannot_write)
}

/// Puts all of a function's samples on its first line; the page then finds equal frames and makes them one.
fn one_line_for_each_function(input: &mut PageInput) {
    let first_lines: FxHashMap<FunctionId, u32> =
        input.functions.iter().map(|function| (function.id, function.first_line)).collect();
    for node in &mut input.nodes {
        node.line = first_lines.get(&node.function).copied().unwrap_or(0);
    }
}

/// The frame of the collector, which the recording has as a flag of samples.
struct Collector {
    function: FunctionId,
    next_node: NodeId,
    /// The stack with the collector on top, by the stack on which it ran.
    above: FxHashMap<NodeId, NodeId>,
}

impl Collector {
    fn new(content: &Content<'_>) -> Collector {
        Collector {
            function: content.functions.iter().map(|function| function.id).max().unwrap_or(0) + 1,
            next_node: content.nodes().iter().map(|node| node.id).max().unwrap_or(0) + 1,
            above: FxHashMap::default(),
        }
    }

    /// The same samples, where the collector ran on a stack that ends in it.
    fn on_top(&mut self, run: Run) -> Run {
        if !run.gc {
            return run;
        }
        let node = *self.above.entry(run.node).or_insert_with(|| {
            self.next_node += 1;
            self.next_node - 1
        });
        Run { node, ..run }
    }

    /// Adds the function and the nodes that [`Collector::on_top`] has given numbers.
    fn add_to(self, input: &mut PageInput) {
        if self.above.is_empty() {
            return;
        }
        let (function, name) = (self.function, COLLECTOR.to_owned());
        let kind = FunctionKind::Native;
        input.functions.push(Function { id: function, name, kind, ..Function::default() });
        let mut nodes: Vec<StackNode> =
            self.above.into_iter().map(|(parent, id)| StackNode { id, parent, function, line: 0 }).collect();
        nodes.sort_unstable_by_key(|node| node.id);
        input.nodes.extend(nodes);
    }
}
