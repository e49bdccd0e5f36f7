//! The file format of speedscope: one sampled profile for each thread.
//!
//! Profiles are named and frames are written as py-spy does, for programs that read its files.

use std::io::{self, Write};

use naja_recording::Thread;
use naja_report::speedscope::{Samples, Speedscope, SpeedscopeFrame};
use naja_system::Failure;

use super::cannot_write;
use super::content::{Content, on_one_line};
use super::stacks::{Shape, StackId, Stacks};

/// Up to so many ticks of a thread are one sample each, as readers of py-spy's files expect who count samples. Beyond,
/// equal neighbours are one sample with a greater weight.
const SINGLE_TICKS_MAX: u64 = 1_000_000;

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Bare);
    let mut now: Option<(Thread, Vec<(StackId, u64)>)> = None;
    let exporter = format!("naja {}", content.header().naja_version);
    let mut file =
        Speedscope::begin(out, &exporter, &content.header().command.join(" ")).map_err(cannot_write)?;
    content.counted(&mut |thread, stretch| {
        if now.as_ref().is_none_or(|(before, _)| before.id != thread.id)
            && let Some((thread, runs)) = now.replace((thread.clone(), Vec::new()))
        {
            profile(&mut file, content, &thread, &runs, &stacks).map_err(cannot_write)?;
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
        profile(&mut file, content, &thread, &runs, &stacks).map_err(cannot_write)?;
    }
    let frames = stacks.frames.iter().map(|frame| SpeedscopeFrame {
        name: &frame.name,
        file: &frame.file,
        line: frame.line,
    });
    file.end("seconds", frames).map_err(cannot_write)
}

fn profile(
    file: &mut Speedscope<'_>,
    content: &Content<'_>,
    thread: &Thread,
    runs: &[(StackId, u64)],
    stacks: &Stacks<'_>,
) -> io::Result<()> {
    let pid = content.process(thread.process).map_or(0, |process| process.pid);
    let name = format!("Process {pid} Thread {} \"{}\"", thread.os_tid, on_one_line(&thread.name));
    let all: u64 = runs.iter().map(|(_, ticks)| ticks).sum();
    let single = all <= SINGLE_TICKS_MAX;
    // How often each run is written, and the ticks of each time.
    let samples: Vec<Samples<StackId>> = runs
        .iter()
        .map(|&(stack, ticks)| {
            let (count, ticks) = if single { (ticks, 1) } else { (1, ticks) };
            Samples { stack, count, weight: content.seconds(ticks) }
        })
        .collect();
    file.profile(&name, "seconds", content.seconds(all), &samples, &|stack| stacks.path(stack))
}
