//! The page of `naja view`, opened as the options say.
//!
//! What the part and `--gil` leave out is not in the page. Which states are counted is what the page begins with;
//! its reader can count others.

use std::io::Write;

use naja_recording::{Reader, State, ThreadRuns};
use naja_system::Failure;

use super::cannot_write;
use super::content::Content;
use super::options::Mode;
use crate::page::{self, PageStart, Samples};

/// Writes the page.
pub(super) fn write(reader: &Reader<'_>, content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let stacks = &content.options.stacks;
    let mut samples = Samples::new(content.from, content.until);
    content.stretches(&mut |thread, stretch| {
        if stacks.mode() != Mode::Gil || stretch.run.gil || stretch.run.state == State::Lost {
            samples.add(&ThreadRuns {
                thread: thread.id,
                first_tick: stretch.first_tick,
                runs: vec![stretch.run],
            });
        }
        Ok(())
    })?;
    let mut input = page::input_of(reader, samples)?;
    input.dropped.until_tick = content.from;
    input.until_tick = content.until;
    input.metrics.retain(|metric| (content.from..content.until).contains(&metric.tick));
    input.processes.retain(|process| content.process(process.id).is_some());
    input.threads.retain(|thread| content.thread(thread.id).is_some());
    let all = || State::ALL.into_iter().filter(|state| *state != State::Lost).collect();
    input.start = PageStart {
        by_thread: stacks.threads,
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
