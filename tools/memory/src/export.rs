//! Writes what is shown of a recording's memory in the formats of other programs.
//!
//! Every format has the same: the memory of each thread's stack and allocator, in the order of bytes. Start at [`write`].

use std::io::{self, BufWriter, Write};
use std::path::Path;

use clap::ValueEnum;
use naja_recording::{Amount, Header};
use naja_report::pprof::{Label, Pprof, PprofFrame, PprofHead};
use naja_report::short_path;
use naja_report::speedscope::{Samples, Speedscope, SpeedscopeFrame};
use naja_system::Failure;
use rustc_hash::FxHashMap;
use serde_json::json;

use crate::report::{Allocations, Shown};
use crate::wire::Allocator;

/// A format that memory can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemoryFormat {
    /// A row for each thread's stack and allocator
    Csv,
    /// JSON for gprof2dot, to be read with `gprof2dot -f json`
    Gprof2dot,
    /// For speedscope.app
    Speedscope,
    /// For `go tool pprof` and what else reads profile.proto
    Pprof,
    /// One line for each stack, with its bytes
    #[value(alias = "folded")]
    Collapsed,
}

/// Ends of file names. The first that fits decides, so that longer ends come before shorter ones.
const ENDS: [(&str, MemoryFormat); 9] = [
    (".csv", MemoryFormat::Csv),
    (".gprof2dot.json", MemoryFormat::Gprof2dot),
    (".speedscope.json", MemoryFormat::Speedscope),
    (".json", MemoryFormat::Speedscope),
    (".pprof", MemoryFormat::Pprof),
    (".pb.gz", MemoryFormat::Pprof),
    (".collapsed", MemoryFormat::Collapsed),
    (".folded", MemoryFormat::Collapsed),
    (".txt", MemoryFormat::Collapsed),
];

impl MemoryFormat {
    /// The format that a file's name asks for.
    ///
    /// Errors: `unknown-format`
    pub fn of_output(path: &Path) -> Result<MemoryFormat, Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        let found = ENDS.iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| *format);
        found.ok_or_else(|| {
            let ends: Vec<&str> = ENDS.iter().map(|(end, _)| *end).collect();
            Failure::new(
                "unknown-format",
                format!("the name `{}` does not say which format is meant", path.display()),
            )
            .hint(format!("`--format FORMAT` says it, or one of the ends {}", ends.join(", ")))
        })
    }
}

/// A frame of a stack.
#[derive(Clone, Debug)]
struct Frame {
    name: String,
    file: String,
    line: u32,
    first_line: u32,
}

impl Frame {
    /// `name (file:line)`.
    fn label(&self) -> String {
        match (self.file.is_empty(), self.line) {
            (true, _) => self.name.clone(),
            (false, 0) => format!("{} ({})", self.name, self.file),
            (false, line) => format!("{} ({}:{line})", self.name, self.file),
        }
    }
}

/// What a thread's stack was given through an allocator.
#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Index of the thread.
    thread: usize,
    node: u32,
    allocator: u8,
    amount: Amount,
}

/// A thread with its process.
#[derive(Clone, Copy, Debug, Default)]
struct Owner {
    id: u32,
    pid: u32,
    os_tid: u32,
}

/// What is written.
struct Content<'a> {
    allocations: &'a Allocations,
    header: &'a Header,
    frames: Vec<Frame>,
    /// For each function and line its frame.
    frame_of: FxHashMap<(u32, u32), u32>,
    threads: Vec<Owner>,
    entries: Vec<Entry>,
}

/// Writes what is shown.
///
/// Errors: `cannot-write`
pub fn write(
    allocations: &Allocations,
    header: &Header,
    shown: Shown,
    format: MemoryFormat,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let content = Content::of(allocations, header, shown);
    let mut out = BufWriter::new(out);
    let written = match format {
        MemoryFormat::Csv => content.csv(&mut out),
        MemoryFormat::Gprof2dot => content.gprof2dot(&mut out),
        MemoryFormat::Speedscope => content.speedscope(&mut out),
        MemoryFormat::Pprof => content.pprof(&mut out),
        MemoryFormat::Collapsed => content.collapsed(&mut out),
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error| Failure::new("cannot-write", "the output could not be written").caused_by(&error))
}

impl<'a> Content<'a> {
    fn of(allocations: &'a Allocations, header: &'a Header, shown: Shown) -> Content<'a> {
        // The frame of memory outside of Python has number 0.
        let outside =
            Frame { name: "outside of Python".to_owned(), file: String::new(), line: 0, first_line: 0 };
        let mut content = Content {
            allocations,
            header,
            frames: vec![outside],
            frame_of: FxHashMap::default(),
            threads: Vec::new(),
            entries: Vec::new(),
        };
        let pids: FxHashMap<u32, u32> =
            allocations.processes.iter().map(|process| (process.id, process.pid)).collect();
        let os_tids: FxHashMap<u32, u32> =
            allocations.threads.iter().map(|thread| (thread.id, thread.os_tid)).collect();
        let mut index_of: FxHashMap<u32, usize> = FxHashMap::default();
        for (place, amount) in allocations.amounts(shown) {
            let Content { threads, entries, .. } = &mut content;
            let thread = *index_of.entry(place.thread).or_insert_with(|| {
                threads.push(Owner {
                    id: place.thread,
                    pid: pids.get(&place.process).copied().unwrap_or(0),
                    os_tid: os_tids.get(&place.thread).copied().unwrap_or(0),
                });
                threads.len() - 1
            });
            entries.push(Entry { thread, node: place.node, allocator: place.allocator, amount });
            content.learn(place.node);
        }
        let Content { threads, entries, .. } = &mut content;
        entries.sort_by_key(|entry| {
            let Owner { pid, id, .. } = threads[entry.thread];
            (std::cmp::Reverse(entry.amount.bytes), pid, id, entry.node, entry.allocator)
        });
        content
    }

    /// Makes the frames of a stack known.
    fn learn(&mut self, node: u32) {
        let mut at = self.allocations.node(node).copied();
        while let Some(node) = at {
            let next = self.frames.len() as u32;
            let id = *self.frame_of.entry((node.function, node.line)).or_insert(next);
            if id == next {
                self.frames.push(self.frame(node.function, node.line));
            }
            at = self.allocations.node(node.parent).copied();
        }
    }

    fn frame(&self, function: u32, line: u32) -> Frame {
        let Some(function) = self.allocations.function(function) else {
            return Frame {
                name: "(unknown function)".to_owned(),
                file: String::new(),
                line: 0,
                first_line: 0,
            };
        };
        let name = if function.qualified_name.is_empty() { &function.name } else { &function.qualified_name };
        Frame {
            name: on_one_line(name),
            file: on_one_line(short_path(&function.file, &self.header.working_directory)),
            line,
            first_line: function.first_line,
        }
    }

    /// The frames of a stack, the innermost first.
    fn stack(&self, node: u32) -> Vec<u32> {
        let mut frames = Vec::new();
        let mut at = self.allocations.node(node);
        while let Some(node) = at {
            frames.extend(self.frame_of.get(&(node.function, node.line)));
            at = self.allocations.node(node.parent);
        }
        if frames.is_empty() {
            frames.push(0);
        }
        frames
    }

    fn csv(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "allocator,blocks,bytes,pid,tid,stack")?;
        for entry in &self.entries {
            let Owner { pid, os_tid, .. } = self.threads[entry.thread];
            let frames = self.stack(entry.node).into_iter().map(|frame| {
                let Frame { name, file, line, .. } = &self.frames[frame as usize];
                format!("{name};{file};{line}")
            });
            let stack = quoted(&frames.collect::<Vec<_>>().join("|"));
            let Amount { blocks, bytes } = entry.amount;
            writeln!(out, "{},{blocks},{bytes},{pid},{os_tid},{stack}", word(entry.allocator))?;
        }
        Ok(())
    }

    fn gprof2dot(&self, out: &mut dyn Write) -> io::Result<()> {
        let functions: Vec<_> =
            self.frames.iter().map(|frame| json!({ "name": frame.label(), "module": frame.file })).collect();
        let costs = json!([
            { "description": "memory", "unit": "bytes" },
            { "description": "blocks", "unit": "" },
        ]);
        write!(out, "{{\"version\":0,\"costs\":{costs},\"functions\":{},\"events\":[", json!(functions))?;
        for (index, entry) in self.entries.iter().enumerate() {
            let cost = [entry.amount.bytes, entry.amount.blocks];
            let event = json!({ "callchain": self.stack(entry.node), "cost": cost });
            write!(out, "{}{event}", if index == 0 { "" } else { "," })?;
        }
        writeln!(out, "]}}")
    }

    fn speedscope(&self, out: &mut dyn Write) -> io::Result<()> {
        let exporter = format!("naja {}", self.header.naja_version);
        let mut file = Speedscope::begin(out, &exporter, &self.header.command.join(" "))?;
        for (index, owner) in self.threads.iter().enumerate() {
            let entries = self.entries.iter().filter(|entry| entry.thread == index);
            let samples: Vec<Samples<u32>> = entries
                .map(|entry| Samples { stack: entry.node, count: 1, weight: entry.amount.bytes as f64 })
                .collect();
            let whole = samples.iter().map(|one| one.weight).sum();
            let name = format!("Process {} Thread {}", owner.pid, owner.os_tid);
            let path = |node| {
                let mut path = self.stack(node);
                path.reverse();
                path
            };
            file.profile(&name, "bytes", whole, &samples, &path)?;
        }
        let frames = self.frames.iter();
        let frames =
            frames.map(|frame| SpeedscopeFrame { name: &frame.name, file: &frame.file, line: frame.line });
        file.end("bytes", frames)
    }

    fn pprof(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut pprof = Pprof::new(&[("blocks", "count"), ("memory", "bytes")]);
        for entry in &self.entries {
            let Owner { pid, os_tid, .. } = self.threads[entry.thread];
            let labels = [
                Label::Text("allocator", word(entry.allocator)),
                Label::Number("thread_id", u64::from(os_tid)),
                Label::Number("process", u64::from(pid)),
            ];
            let Amount { blocks, bytes } = entry.amount;
            pprof.sample(self.stack(entry.node).into_iter(), &[blocks, bytes], &labels);
        }
        for (index, frame) in (0..).zip(&self.frames) {
            let Frame { name, file, line, first_line } = frame;
            pprof.frame(index, PprofFrame { name, file, line: *line, first_line: *first_line });
        }
        let head = PprofHead {
            program: self.header.command.first().map_or("", String::as_str),
            start_unix_ns: self.header.start_unix_ns,
            duration_ns: 0,
            period: ("memory", "bytes", 1),
            comment: &self.header.command.join(" "),
            default_value: "memory",
        };
        pprof.finish(&head, out)
    }

    fn collapsed(&self, out: &mut dyn Write) -> io::Result<()> {
        // A `;` within a name would look like another frame.
        let labels: Vec<String> = self.frames.iter().map(|frame| frame.label().replace(';', ":")).collect();
        let has_processes = self.allocations.processes.len() > 1;
        let mut lines: Vec<(String, u64)> = Vec::new();
        for entry in &self.entries {
            let process = has_processes.then(|| format!("process {}", self.threads[entry.thread].pid));
            let stack = self.stack(entry.node).into_iter().rev().map(|frame| labels[frame as usize].clone());
            lines.push((process.into_iter().chain(stack).collect::<Vec<_>>().join(";"), entry.amount.bytes));
        }
        lines.sort_unstable();
        lines.dedup_by(|next, kept| {
            let is_same = next.0 == kept.0;
            if is_same {
                kept.1 += next.1;
            }
            is_same
        });
        lines.iter().try_for_each(|(stack, bytes)| writeln!(out, "{stack} {bytes}"))
    }
}

fn word(allocator: u8) -> &'static str {
    Allocator::of_number(allocator).map_or("unknown", Allocator::word)
}

/// Text on one line: a name that holds line breaks must not break a format of lines.
fn on_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A field of CSV.
fn quoted(text: &str) -> String {
    match text.contains([',', '"']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
