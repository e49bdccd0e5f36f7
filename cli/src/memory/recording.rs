//! Writes what a program's agent tells into a recording, and says at the end what it holds.
//!
//! Where the file cannot be written, the rest is kept in memory and the program lives on. Start at [`record`].

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use naja_memory::conditions::{self, Condition};
use naja_memory::report::Allocations;
use naja_memory::{Detail, Receiver, Recorder, report_text};
use naja_recording::Writer;
use naja_report::text::Style;
use naja_system::{Failure, Result};

use super::say_met;
use crate::print;
use crate::run::observer::Open;
use crate::run::terminal_columns;

/// Ticks of a recording of memory alone.
pub(super) const INTERVAL_NS: u64 = 1_000_000;
/// How often what was heard is written.
pub(super) const WRITE_EVERY: Duration = Duration::from_millis(250);

/// What came of a recording.
pub(super) struct Recorded {
    pub(super) writer: Writer,
    pub(super) warnings: Vec<String>,
    /// How many processes were heard of.
    pub(super) heard: usize,
}

/// Hears and writes until `ended`.
pub(super) fn record(receiver: Receiver, open: Open, detail: Detail, ended: &AtomicBool) -> Recorded {
    let mut recording = Recording::begin(receiver, Recorder::begin(detail, INTERVAL_NS), open);
    while !ended.load(Ordering::Acquire) {
        recording.go_on();
    }
    recording.end()
}

/// The same; `show` sees what is written each time that something was, and at the end.
pub(super) fn record_and_show(
    receiver: Receiver,
    open: Open,
    detail: Detail,
    ended: &AtomicBool,
    show: &mut dyn FnMut(&Writer),
) -> Recorded {
    let mut recording = Recording::begin(receiver, Recorder::begin(detail, INTERVAL_NS), open);
    while !ended.load(Ordering::Acquire) {
        if recording.go_on() {
            show(&recording.writer);
        }
    }
    let recorded = recording.end();
    show(&recorded.writer);
    recorded
}

/// A recording that is being made.
pub(super) struct Recording {
    pub(super) receiver: Receiver,
    recorder: Recorder,
    writer: Writer,
    warnings: Vec<String>,
    written: Instant,
}

impl Recording {
    /// Goes on where the recorder is.
    pub(super) fn begin(receiver: Receiver, mut recorder: Recorder, open: Open) -> Recording {
        recorder.set_sample_bytes(receiver.settings().sample_bytes);
        let (mut writer, failure) = open();
        // A recording of memory is asked for as a whole: it has no oldest part that could go.
        writer.set_size_limit(u64::MAX);
        let warnings = failure.iter().map(Failure::one_line).collect();
        Recording { receiver, recorder, writer, warnings, written: Instant::now() }
    }

    /// Hears what there is, and writes now and then; whether it has written.
    pub(super) fn go_on(&mut self) -> bool {
        let recorder = &mut self.recorder;
        self.receiver.hear(&mut |event| recorder.take(event));
        let is_due = self.written.elapsed() >= WRITE_EVERY;
        if is_due {
            self.write();
        }
        is_due
    }

    /// Writes what was heard.
    pub(super) fn write(&mut self) {
        let result = self.recorder.write(&self.receiver, &mut self.writer);
        go_on(result, &mut self.writer, &mut self.warnings);
        self.written = Instant::now();
    }

    /// Notes how much memory is resident at this moment.
    pub(super) fn measure(&mut self) {
        self.recorder.measure(&self.receiver);
    }

    /// Hears and writes what is left.
    pub(super) fn end(mut self) -> Recorded {
        let recorder = &mut self.recorder;
        self.receiver.finish(&mut |event| recorder.take(event));
        let result = self.recorder.finish(&self.receiver, &mut self.writer);
        go_on(result, &mut self.writer, &mut self.warnings);
        let heard = self.receiver.processes().count();
        Recorded { writer: self.writer, warnings: self.warnings, heard }
    }
}

/// Where the file cannot be written any more, the rest is kept in memory.
fn go_on(
    result: std::result::Result<(), naja_recording::RecordingError>,
    writer: &mut Writer,
    warnings: &mut Vec<String>,
) {
    let Err(error) = result else { return };
    warnings
        .push(Failure::from(error).context("the recording ends where it could not be written").one_line());
    if let Err(error) = writer.go_on_in_memory() {
        warnings.push(Failure::from(error).one_line());
    }
}

/// Completes the recording, and says what it holds; whether a condition holds, or cannot be looked at.
pub(super) fn tell(
    recorded: Option<Recorded>,
    as_json: bool,
    is_quiet: bool,
    conditions: &[Condition],
) -> bool {
    let Some(Recorded { mut writer, mut warnings, heard }) = recorded else {
        print::line("warning: the recorder failed; the program ran unobserved");
        return !conditions.is_empty();
    };
    let path = Some(writer.path().to_owned()).filter(|path| path.is_file());
    if heard == 0 {
        warnings.push(
            "the program never answered: it is linked statically, or dropped its environment, so that its memory was not seen"
                .to_owned(),
        );
    }
    if let Err(error) = writer.complete() {
        warnings.push(Failure::from(error).context("the recording is incomplete").one_line());
    }
    let shown = if heard == 0 { Ok(None) } else { describe(&writer, as_json).map(Some) };
    let warn = |warnings: &[String]| {
        warnings.iter().for_each(|warning| print::line(&format!("warning: {warning}")));
    };
    if is_quiet {
        warn(&warnings);
        return check(&writer, conditions);
    }
    match shown {
        Ok(text) => {
            let _ = io::stderr().write_all(text.unwrap_or_default().as_bytes());
        }
        Err(failure) => warnings.push(failure.one_line()),
    }
    warn(&warnings);
    if let (Some(path), false) = (path, as_json) {
        let path = path.display();
        print::line(&format!("recorded in {path}; `naja memory tree {path}` shows who called"));
    }
    check(&writer, conditions)
}

/// Says which conditions hold; whether any does, or cannot be looked at.
fn check(writer: &Writer, conditions: &[Condition]) -> bool {
    if conditions.is_empty() {
        return false;
    }
    let met = || -> Result<Vec<String>> {
        let allocations = Allocations::read(&writer.reader()?, 1)?;
        conditions::failures(conditions, &allocations)
    };
    match met() {
        Ok(met) => say_met(&met),
        Err(failure) => {
            print::failure(&failure, false);
            true
        }
    }
}

/// The figures of a recording, for people or as JSON.
///
/// Errors: those of the recording; `no-allocations`
pub(crate) fn describe(writer: &Writer, as_json: bool) -> Result<String> {
    let reader = writer.reader()?;
    let allocations = Allocations::read(&reader, 1)?;
    if as_json {
        let figures = allocations.statistics(&reader, 10)?;
        return Ok(serde_json::to_string(&figures).expect("figures are plain data") + "\n");
    }
    Ok(report_text::short(&allocations, Style::of_stderr(terminal_columns())))
}
