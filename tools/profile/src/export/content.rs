//! What of a recording is exported: its tables, and the samples that the options leave.

use naja_recording::{
    Function, Header, Metric, NodeId, Process, ProcessId, Reader, Run, StackNode, State, Thread, ThreadId,
    Tick,
};
use naja_system::Failure;
use rustc_hash::FxHashMap;

use super::options::{ExportOptions, Mode};

/// A recording through the eyes of the options.
pub(crate) struct Content<'r> {
    reader: &'r Reader<'r>,
    pub(crate) options: &'r ExportOptions,
    pub(crate) processes: Vec<Process>,
    /// Those that are exported, by number.
    threads: FxHashMap<ThreadId, Thread>,
    pub(crate) functions: Vec<Function>,
    nodes: Vec<StackNode>,
    first_node: NodeId,
    /// The ticks that are exported.
    pub(crate) from: Tick,
    /// See `from`: the tick after the last.
    pub(crate) until: Tick,
}

/// A stretch of one thread in which nothing changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    pub(crate) first_tick: Tick,
    pub(crate) run: Run,
}

impl<'r> Content<'r> {
    /// Reads the tables.
    ///
    /// Errors: those of the recording; `nothing-to-export` when no process, thread or time fits the options.
    pub(crate) fn new(reader: &'r Reader<'r>, options: &'r ExportOptions) -> Result<Content<'r>, Failure> {
        let part = &options.part;
        let mut processes = reader.processes()?;
        let pids: Vec<String> = processes.iter().map(|process| process.pid.to_string()).collect();
        processes.retain(|process| part.process.is_empty() || part.process.contains(&process.pid));
        if processes.is_empty() && !part.process.is_empty() {
            return Err(Failure::new("nothing-to-export", "the recording has no such process")
                .hint(format!("it has {}", listed(&pids))));
        }
        let exported = |id: ProcessId| processes.iter().any(|process| process.id == id);
        let named = |thread: &Thread| {
            let is = |wanted: &String| *wanted == thread.name || wanted.parse() == Ok(thread.os_tid);
            part.thread.is_empty() || part.thread.iter().any(is)
        };
        let all = reader.threads()?;
        let names: Vec<String> = all.iter().map(|thread| format!("`{}`", thread.name)).collect();
        let threads: FxHashMap<ThreadId, Thread> = all
            .into_iter()
            .filter(|thread| exported(thread.process) && named(thread))
            .map(|thread| (thread.id, thread))
            .collect();
        if threads.is_empty() && !part.thread.is_empty() {
            return Err(Failure::new("nothing-to-export", "the recording has no such thread")
                .hint(format!("it has {}", listed(&names))));
        }
        let nodes = reader.nodes()?;
        let content = Content {
            reader,
            options,
            processes,
            threads,
            functions: reader.functions()?,
            first_node: nodes.first().map_or(1, |node| node.id),
            nodes,
            from: part.from.map_or(0, |second| tick_at(reader, second)).max(reader.dropped().until_tick),
            until: part
                .until
                .map_or(reader.until_tick(), |second| tick_at(reader, second))
                .min(reader.until_tick()),
        };
        if content.from >= content.until && (part.from.is_some() || part.until.is_some()) {
            let seconds = content.seconds(reader.until_tick());
            return Err(Failure::new("nothing-to-export", "the recording holds nothing of that time")
                .hint(format!("it is {seconds:.3} seconds long")));
        }
        Ok(content)
    }

    pub(crate) fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Memory and CPU in the exported time.
    pub(crate) fn metrics(&self) -> Result<Vec<Metric>, Failure> {
        let mut metrics = self.reader.metrics()?;
        metrics.retain(|metric| (self.from..self.until).contains(&metric.tick));
        Ok(metrics)
    }

    pub(crate) fn thread(&self, id: ThreadId) -> Option<&Thread> {
        self.threads.get(&id)
    }

    /// The seconds in so many ticks.
    pub(crate) fn seconds(&self, ticks: Tick) -> f64 {
        // Divided at the end: a tick of 0.001 s is then written as such.
        (ticks as f64 * self.header().interval_ns as f64) / 1e9
    }

    /// A node of the tree of stacks; `None` for 0.
    pub(crate) fn node(&self, id: NodeId) -> Option<&StackNode> {
        self.nodes.get(id.checked_sub(self.first_node)? as usize)
    }

    /// All of them, callers before what they call.
    pub(crate) fn nodes(&self) -> &[StackNode] {
        &self.nodes
    }

    /// A function.
    pub(crate) fn function(&self, id: u32) -> Option<&Function> {
        let first = self.functions.first()?.id;
        self.functions.get(id.checked_sub(first)? as usize)
    }

    pub(crate) fn process(&self, id: ProcessId) -> Option<&Process> {
        self.processes.iter().find(|process| process.id == id)
    }

    /// `process 4211 "python app.py"`.
    pub(crate) fn process_name(&self, id: ProcessId) -> String {
        match self.process(id) {
            None => "process unknown".to_owned(),
            Some(process) => {
                format!("process {} \"{}\"", process.pid, on_one_line(&process.command.join(" ")))
            }
        }
    }

    /// Whether a sample counts, by mode and state.
    ///
    /// A thread without a Python stack that waits is a library's own (a pool of workers): it never counts.
    pub(crate) fn counts(&self, run: &Run) -> bool {
        let stacks = &self.options.stacks;
        let runs = matches!(run.state, State::Python | State::Native);
        match stacks.mode() {
            _ if run.state == State::Lost => false,
            Mode::Gil => run.gil,
            Mode::Cpu => runs,
            Mode::Wall => runs || (stacks.idle && run.node != 0),
        }
    }

    /// Gives every stretch of the exported threads and time, those that do not count too, in order of thread, then
    /// time. The first error of `each` ends it.
    pub(crate) fn stretches(
        &self,
        each: &mut dyn FnMut(&Thread, Stretch) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut done = Ok(());
        self.reader.runs(&mut |runs| {
            let Some(thread) = self.threads.get(&runs.thread) else { return };
            let mut tick = runs.first_tick;
            for run in &runs.runs {
                let end = tick + Tick::from(run.ticks);
                let (from, until) = (tick.max(self.from), end.min(self.until));
                if from < until && done.is_ok() {
                    // Not longer than the run itself.
                    let ticks = (until - from) as u32;
                    done = each(thread, Stretch { first_tick: from, run: Run { ticks, ..*run } });
                }
                tick = end;
            }
        })?;
        done
    }

    /// As [`Content::stretches`], but only those that count.
    pub(crate) fn counted(
        &self,
        each: &mut dyn FnMut(&Thread, Stretch) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        self.stretches(&mut |thread, stretch| match self.counts(&stretch.run) {
            true => each(thread, stretch),
            false => Ok(()),
        })
    }
}

/// The first tick that does not begin before a second.
fn tick_at(reader: &Reader<'_>, second: f64) -> Tick {
    // A number too large for a tick becomes the largest.
    (second * 1e9 / reader.header().interval_ns as f64).ceil() as Tick
}

/// The first few of some words.
fn listed(words: &[String]) -> String {
    const SHOWN: usize = 10;
    let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
    words.sort_unstable();
    words.dedup();
    match words.len() {
        0 => "none".to_owned(),
        count if count > SHOWN => format!("{} and {} more", words[..SHOWN].join(", "), count - SHOWN),
        _ => words.join(", "),
    }
}

/// Text on one line: a name that holds line breaks must not break a format of lines.
pub(crate) fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
