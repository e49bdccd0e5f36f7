//! `naja record`: samples a running process, or a program that it starts, and writes what it saw in many formats.
//!
//! Whatever the output's format, samples go to a recording while they are taken; the output is made of it at the end.
//! So a kill, a full disk or an output that cannot be written costs the output alone. Start at [`record`].

pub mod arguments;
mod attached;
mod launched;
mod summary;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use naja_profile::Tasks;
use naja_profile::convert;
use naja_profile::export::{ExportFormat, ExportOptions, Mode};
use naja_profile::report::{Facts, Report};
use naja_profile::{Observation, ObservedProcess, report_text};
use naja_recording::Writer;
use naja_report::text::Style;
use naja_system::{Failure, Replacement, Result};

use crate::memory::recording::describe;
use crate::run::settings::RunSettings;
use crate::{ExitCode, print, run};
use arguments::RecordArguments;

/// Records; returns when what was seen is written. A program that was started here and ended by itself gives its own
/// exit code.
///
/// Errors: those of attaching to a process or starting a program; `cannot-write`, `unknown-format`.
pub fn record(arguments: RecordArguments) -> Result<ExitCode> {
    let plan = Plan::new(&arguments)?;
    match arguments.process() {
        Some(pid) => attached::record(pid, &plan),
        None => launched::record(arguments.program, plan),
    }
}

/// How to record, and what becomes of it.
struct Plan {
    interval_ns: u64,
    /// From the first sample on.
    duration_ns: Option<u64>,
    subprocesses: bool,
    native: bool,
    /// Allocations too.
    memory: bool,
    tasks: Tasks,
    output: Option<Output>,
    /// Where recordings are kept, instead of the cache.
    recordings: Option<PathBuf>,
    python: Option<std::ffi::OsString>,
    quiet: bool,
    json: bool,
    /// Gets a byte when the first sample was taken.
    ready: Option<File>,
}

/// What was asked for.
struct Output {
    /// `-` is standard output.
    path: PathBuf,
    format: ExportFormat,
    options: ExportOptions,
}

impl Plan {
    fn new(arguments: &RecordArguments) -> Result<Plan> {
        let settings = RunSettings::read()?;
        let options = ExportOptions { stacks: arguments.stacks.clone(), ..ExportOptions::default() };
        let output = match (&arguments.output, arguments.format) {
            (Some(path), format) => Some(Output::new(path, format, options)?),
            (None, None | Some(ExportFormat::Naja)) => None,
            (None, Some(format)) => {
                return Err(Failure::new("usage", format!("`--format {}` needs an output", format.word()))
                    .hint("`-o FILE` names it; `-o -` is standard output"));
            }
        };
        let ready = arguments.ready_fd.map(naja_system::take_descriptor).transpose().map_err(|error| {
            Failure::new("no-such-descriptor", "cannot write to the descriptor of `--ready-fd`")
                .caused_by(&error)
        })?;
        Ok(Plan {
            interval_ns: 1_000_000_000 / u64::from(arguments.rate_hz(settings.rate)),
            duration_ns: arguments.duration,
            subprocesses: arguments.subprocesses,
            native: arguments.native,
            memory: arguments.memory,
            tasks: arguments.tasks.unwrap_or_default(),
            output,
            recordings: settings.recordings.clone(),
            python: settings.python(),
            quiet: arguments.quiet,
            json: arguments.json,
            ready: ready.map(File::from),
        })
    }

    /// The recording's own file, where one was asked for.
    fn recording_path(&self) -> Option<&Path> {
        let output = self.output.as_ref()?;
        (output.format == ExportFormat::Naja).then_some(output.path.as_path())
    }
}

impl Output {
    /// Errors: `unknown-format`; `cannot-write` where it can be known before anything is recorded.
    fn new(path: &Path, format: Option<ExportFormat>, options: ExportOptions) -> Result<Output> {
        let format = format.map_or_else(|| ExportFormat::of_output(path), Ok)?;
        let output = Output { path: path.to_owned(), format, options };
        if output.is_stdout() {
            if format == ExportFormat::Naja {
                return Err(Failure::new("usage", "a recording cannot be written to standard output")
                    .hint("`-o FILE.naja`, or another format"));
            }
            return Ok(output);
        }
        // Found out now, and not after an hour. What is begun here goes away again.
        Replacement::begin(path).map_err(|error| {
            Failure::new("cannot-write", format!("cannot write to `{}`", path.display()))
                .caused_by(&error)
                .hint("`-o FILE` writes somewhere else; nothing was recorded")
        })?;
        Ok(output)
    }

    fn is_stdout(&self) -> bool {
        self.path == Path::new("-")
    }

    /// Makes the output of a recording.
    fn write(&self, recording: &Writer) -> Result<()> {
        let reader = recording.reader()?;
        if self.is_stdout() {
            let mut content = Vec::new();
            naja_profile::export::write(&reader, self.format, &self.options, &mut content)?;
            print::data(&content);
            return Ok(());
        }
        convert::write_file(&reader, self.format, &self.options, &self.path)
    }
}

/// Whether a free-threaded Python was seen and no thread that held a GIL.
fn has_no_gil(observation: &Observation) -> bool {
    let processes = &observation.processes;
    let is_free = |seen: &ObservedProcess| seen.process.interpreter.ends_with("free-threaded");
    processes.iter().any(is_free)
        && processes.iter().flat_map(|seen| &seen.threads).all(|thread| thread.gil_ticks == 0)
}

/// Completes the recording, makes the output of it, and tells what was seen.
///
/// Errors: that the output could not be written; the recording is kept then, and the hint says where.
fn finish(observation: Option<Observation>, mut facts: Facts, plan: &Plan) -> Result<()> {
    let Some(mut observation) = observation else {
        return Err(Failure::new("sampler-failed", "the sampler failed; nothing was recorded"));
    };
    let mut writer = observation.writer.take();
    let path = writer.as_ref().map(Writer::path).filter(|path| path.is_file()).map(Path::to_owned);
    facts.recording = path.as_ref().map(|path| path.display().to_string());
    let mut report = Report::new(&observation, facts);
    report.warnings.extend(std::mem::take(&mut observation.failures).iter().map(Failure::one_line));
    let mode = plan.output.as_ref().map(|output| output.options.stacks.mode());
    if mode == Some(Mode::Gil) && has_no_gil(&observation) {
        report.warnings.push(
            "a free-threaded Python has no GIL to hold, so `--mode gil` shows nothing; `--mode cpu` shows what ran"
                .to_owned(),
        );
    }
    let memory = writer.as_ref().filter(|_| plan.memory).map(|writer| {
        describe(writer, false).unwrap_or_else(|failure| {
            report.warnings.push(failure.one_line());
            String::new()
        })
    });
    let mut written = Ok(());
    if let Some(writer) = writer.as_mut() {
        let json = serde_json::to_string(&report).expect("a report is plain data");
        if let Err(error) = writer.set_report(&json).and_then(|()| writer.complete()) {
            report.warnings.push(Failure::from(error).context("the recording is incomplete").one_line());
        }
        if let Some(output) = plan.output.as_ref().filter(|output| output.format != ExportFormat::Naja) {
            written = output.write(writer).map_err(|failure| match &path {
                Some(path) => failure.hint(format!(
                    "nothing is lost: `naja convert {} -o FILE` writes it somewhere else",
                    path.display()
                )),
                None => failure,
            });
        }
    }
    // Closing the file belongs to what is waited for: the next command may be `naja view`.
    drop(writer);
    written?;
    if plan.quiet {
        return Ok(());
    }
    if plan.json {
        print::line(&serde_json::to_string(&report).expect("a report is plain data"));
    } else if let Some(output) = &plan.output {
        print::line(&summary::lines(&report, &output.path, path.as_deref()));
    } else {
        let text = report_text(&report, Style::of_stderr(run::terminal_columns()));
        let _ = io::stderr().write_all(text.as_bytes());
    }
    if let Some(memory) = memory.filter(|_| !plan.json) {
        let _ = io::stderr().write_all(memory.as_bytes());
    }
    Ok(())
}
