//! The format of pprof.
//!
//! A sample is a stack of a thread in a state, with its count, its time and its time on a processor; thread, process
//! and state are labels, which `pprof -tagfocus` and `-tagroot` select by.

use std::collections::BTreeMap;
use std::io::Write;

use naja_recording::{State, ThreadId};
use naja_report::pprof::{Label, Pprof, PprofFrame, PprofHead};
use naja_system::Failure;

use super::cannot_write;
use super::content::Content;
use super::stacks::{Shape, StackId, Stacks};
use super::time_line::is_running;

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Bare);
    // Ordered, so that the same recording gives the same file.
    let mut ticks: BTreeMap<(ThreadId, StackId, State), u64> = BTreeMap::new();
    content.counted(&mut |thread, stretch| {
        let stack = stacks.of(thread, &stretch.run);
        *ticks.entry((thread.id, stack, stretch.run.state)).or_default() += u64::from(stretch.run.ticks);
        Ok(())
    })?;
    let header = content.header();
    let mut pprof = Pprof::new(&[("samples", "count"), ("wall", "nanoseconds"), ("cpu", "nanoseconds")]);
    for (&(thread, stack, state), &count) in &ticks {
        let wall = count.saturating_mul(header.interval_ns);
        let run = naja_recording::Run { state, ..Default::default() };
        let values = [count, wall, if is_running(&run) { wall } else { 0 }];
        let mut labels = Vec::with_capacity(4);
        if let Some(thread) = content.thread(thread) {
            let pid = content.process(thread.process).map_or(0, |process| process.pid);
            labels.push(Label::Text("thread", &thread.name));
            labels.push(Label::Number("thread_id", u64::from(thread.os_tid)));
            labels.push(Label::Number("process", u64::from(pid)));
        }
        labels.push(Label::Text("state", state.word()));
        pprof.sample(stacks.path(stack).into_iter().rev(), &values, &labels);
    }
    for (index, frame) in (0_u32..).zip(&stacks.frames) {
        let first_line = stacks.first_line(index);
        pprof.frame(index, PprofFrame { name: &frame.name, file: &frame.file, line: frame.line, first_line });
    }
    let head = PprofHead {
        program: header.command.first().map_or("", String::as_str),
        // The program starts at the recording's start; what was cut away shortens the time that is shown.
        start_unix_ns: header.start_unix_ns.saturating_add(content.from.saturating_mul(header.interval_ns)),
        duration_ns: content.until.saturating_sub(content.from).saturating_mul(header.interval_ns),
        period: ("wall", "nanoseconds", header.interval_ns),
        comment: &header.command.join(" "),
        default_value: "wall",
    };
    pprof.finish(&head, out).map_err(cannot_write)
}
