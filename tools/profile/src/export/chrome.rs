//! Chrome's trace events, for `chrome://tracing` and Perfetto: a slice for each call, as far as samples show it.
//!
//! Slices are of functions, not of lines: a function whose line changes goes on. On top of them lies what a thread
//! that does not run waits for, and the collector. Every slice that begins ends.

use std::io::{self, Write};

use naja_recording::{FunctionKind, Thread, Tick};
use naja_system::Failure;
use serde_json::{Value, json};

use super::cannot_write;
use super::content::{Content, on_one_line};
use super::stacks::{Frame, FrameId, FrameKind, Shape, Stacks};
use super::time_line::{self, Segment};

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut trace = Trace { content, out, stacks: Stacks::new(content, Shape::Calls), any: false };
    trace.begin().map_err(cannot_write)?;
    time_line::threads(content, &mut |thread, segments| {
        trace.thread(thread, &time_line::bridged(segments)).map_err(cannot_write)
    })?;
    trace.memory()?;
    trace.end().map_err(cannot_write)
}

struct Trace<'c> {
    content: &'c Content<'c>,
    out: &'c mut dyn Write,
    stacks: Stacks<'c>,
    any: bool,
}

/// A slice that is open: a frame, or what is waited for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slice {
    Frame(FrameId),
    Waiting(&'static str),
}

impl Trace<'_> {
    fn begin(&mut self) -> io::Result<()> {
        write!(self.out, "{{\"displayTimeUnit\":\"ms\",\"traceEvents\":[")?;
        for process in &self.content.processes {
            let name = on_one_line(&process.command.join(" "));
            let name = json!({"ph": "M", "name": "process_name", "pid": process.pid, "tid": 0, "args": {"name": name}});
            self.event(&name)?;
        }
        Ok(())
    }

    fn thread(&mut self, thread: &Thread, segments: &[Segment]) -> io::Result<()> {
        let pid = self.content.process(thread.process).map_or(0, |process| process.pid);
        let tid = thread.os_tid;
        let name = on_one_line(&thread.name);
        self.event(
            &json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}}),
        )?;
        let mut open: Vec<Slice> = Vec::new();
        let mut now: Tick = 0;
        for segment in segments {
            let stack = self.stacks.of(thread, &segment.run);
            let mut wanted: Vec<Slice> = self.stacks.path(stack).into_iter().map(Slice::Frame).collect();
            wanted.extend(time_line::waiting(segment.run.state).map(Slice::Waiting));
            // After a hole, nothing goes on.
            let common = match segment.from == now {
                true => open.iter().zip(&wanted).take_while(|(one, other)| one == other).count(),
                false => 0,
            };
            self.close(&mut open, common, pid, tid, now)?;
            for slice in &wanted[common..] {
                self.border("B", *slice, pid, tid, segment.from)?;
            }
            open = wanted;
            now = segment.until;
        }
        self.close(&mut open, 0, pid, tid, now)
    }

    /// Ends the innermost slices until only `left` are open.
    fn close(
        &mut self,
        open: &mut Vec<Slice>,
        left: usize,
        pid: u32,
        tid: u32,
        tick: Tick,
    ) -> io::Result<()> {
        while open.len() > left {
            if let Some(slice) = open.pop() {
                self.border("E", slice, pid, tid, tick)?;
            }
        }
        Ok(())
    }

    /// A slice begins (`B`) or ends (`E`). Its end says again which one it is: speedscope matches ends by that.
    fn border(&mut self, phase: &str, slice: Slice, pid: u32, tid: u32, tick: Tick) -> io::Result<()> {
        let ts = self.micros(tick);
        let mut event = match slice {
            Slice::Waiting(name) => json!({"ph": phase, "name": name, "cat": "waiting"}),
            Slice::Frame(frame) => {
                let frame = &self.stacks.frames[frame as usize];
                let mut event = json!({"ph": phase, "name": frame.name, "cat": category(frame)});
                if !frame.file.is_empty() {
                    event["args"] = match frame.line {
                        0 => json!({"file": frame.file}),
                        line => json!({"file": frame.file, "line": line}),
                    };
                }
                event
            }
        };
        event["pid"] = pid.into();
        event["tid"] = tid.into();
        event["ts"] = ts.into();
        self.event(&event)
    }

    /// A counter of memory for each process.
    fn memory(&mut self) -> Result<(), Failure> {
        for metric in self.content.metrics()? {
            let Some(process) = self.content.process(metric.process) else { continue };
            let (pid, ts) = (process.pid, self.micros(metric.tick));
            let args = json!({"resident MB": metric.rss_bytes as f64 / 1e6});
            self.event(&json!({"ph": "C", "name": "memory", "pid": pid, "tid": 0, "ts": ts, "args": args}))
                .map_err(cannot_write)?;
        }
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        let header = self.content.header();
        let other = json!({"command": header.command.join(" "), "recorded by": format!("naja {}", header.naja_version)});
        writeln!(self.out, "],\"otherData\":{other}}}")
    }

    fn event(&mut self, event: &Value) -> io::Result<()> {
        write!(self.out, "{}{event}", if self.any { ",\n" } else { "\n" })?;
        self.any = true;
        Ok(())
    }

    fn micros(&self, tick: Tick) -> f64 {
        tick as f64 * self.content.header().interval_ns as f64 / 1e3
    }
}

fn category(frame: &Frame) -> &'static str {
    match frame.kind {
        FrameKind::Root => "root",
        FrameKind::Collector => "gc",
        FrameKind::NoPython | FrameKind::Function(FunctionKind::Native) => "native",
        FrameKind::Function(FunctionKind::Task) => "task",
        FrameKind::Function(FunctionKind::Python) => "python",
    }
}
