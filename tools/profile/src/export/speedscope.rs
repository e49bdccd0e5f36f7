//! The file format of speedscope: one sampled profile for each thread.
//!
//! Profiles are named and frames are written as py-spy does, for programs that read its files.

use std::io::{self, Write};

use naja_recording::Thread;
use naja_system::Failure;
use serde_json::json;

use super::cannot_write;
use super::content::{Content, on_one_line};
use super::stacks::{Shape, StackId, Stacks};

/// Up to so many ticks of a thread are one sample each, as readers of py-spy's files expect who count samples. Beyond,
/// equal neighbours are one sample with a greater weight.
const SINGLE_TICKS_MAX: u64 = 1_000_000;

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Bare);
    let mut profiles = Profiles { content, out, any: false };
    let mut now: Option<(Thread, Vec<(StackId, u64)>)> = None;
    profiles.begin().map_err(cannot_write)?;
    content.counted(&mut |thread, stretch| {
        if now.as_ref().is_none_or(|(before, _)| before.id != thread.id)
            && let Some((thread, runs)) = now.replace((thread.clone(), Vec::new()))
        {
            profiles.profile(&thread, &runs, &stacks).map_err(cannot_write)?;
        }
        let stack = stacks.of(thread, &stretch.run);
        let ticks = u64::from(stretch.run.ticks);
        let runs = now.as_mut().map(|(_, runs)| runs).expect("it was set two lines up");
        match runs.last_mut() {
            Some((last, count)) if *last == stack => *count += ticks,
            _ => runs.push((stack, ticks)),
        }
        Ok(())
    })?;
    if let Some((thread, runs)) = now {
        profiles.profile(&thread, &runs, &stacks).map_err(cannot_write)?;
    }
    profiles.end(&stacks).map_err(cannot_write)
}

struct Profiles<'c> {
    content: &'c Content<'c>,
    out: &'c mut dyn Write,
    any: bool,
}

impl Profiles<'_> {
    fn begin(&mut self) -> io::Result<()> {
        write!(
            self.out,
            "{{\"$schema\":\"https://www.speedscope.app/file-format-schema.json\",\"exporter\":{},\"name\":{},\
             \"activeProfileIndex\":0,\"profiles\":[",
            json!(format!("naja {}", self.content.header().naja_version)),
            json!(self.content.header().command.join(" ")),
        )
    }

    fn profile(&mut self, thread: &Thread, runs: &[(StackId, u64)], stacks: &Stacks<'_>) -> io::Result<()> {
        let pid = self.content.process(thread.process).map_or(0, |process| process.pid);
        let name = format!("Process {pid} Thread {} \"{}\"", thread.os_tid, on_one_line(&thread.name));
        self.named(&name, runs, stacks)
    }

    fn named(&mut self, name: &str, runs: &[(StackId, u64)], stacks: &Stacks<'_>) -> io::Result<()> {
        let all: u64 = runs.iter().map(|(_, ticks)| ticks).sum();
        let single = all <= SINGLE_TICKS_MAX;
        write!(
            self.out,
            "{}{{\"type\":\"sampled\",\"name\":{},\"unit\":\"seconds\",\"startValue\":0,\"endValue\":{},\"samples\":[",
            if self.any { "," } else { "" },
            json!(name),
            self.content.seconds(all),
        )?;
        self.any = true;
        // How often each run is written, and the ticks of each time.
        let times = |ticks: u64| if single { (ticks, 1) } else { (1, ticks) };
        let mut comma = "";
        for (stack, ticks) in runs {
            let path = format!("{:?}", stacks.path(*stack));
            for _ in 0..times(*ticks).0 {
                write!(self.out, "{comma}{path}")?;
                comma = ",";
            }
        }
        write!(self.out, "],\"weights\":[")?;
        comma = "";
        for (_, ticks) in runs {
            let (count, ticks) = times(*ticks);
            let seconds = self.content.seconds(ticks);
            for _ in 0..count {
                write!(self.out, "{comma}{seconds}")?;
                comma = ",";
            }
        }
        write!(self.out, "]}}")
    }

    fn end(&mut self, stacks: &Stacks<'_>) -> io::Result<()> {
        if !self.any {
            // A file without a profile cannot be opened.
            self.named("no samples", &[], stacks)?;
        }
        write!(self.out, "],\"shared\":{{\"frames\":[")?;
        for (index, frame) in stacks.frames.iter().enumerate() {
            // All four, also where nothing is known: readers of py-spy's files, its own tests among them, ask for each.
            let frame_json = json!({
                "name": frame.name,
                "file": (!frame.file.is_empty()).then_some(&frame.file),
                "line": (frame.line != 0).then_some(frame.line),
                "col": null,
            });
            write!(self.out, "{}{frame_json}", if index == 0 { "" } else { "," })?;
        }
        writeln!(self.out, "]}}}}")
    }
}
