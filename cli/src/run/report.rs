//! What is told after the program has ended: the report, the recording, and what went wrong with either.
//!
//! The invariant: nothing here changes how naja ends; that is the program's.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use naja_profile::report::{Facts, Report, SwapReport};
use naja_profile::{Observation, report_text};
use naja_recording::cache::Cache;
use naja_recording::{Header, Writer};
use naja_report::text::Style;
use naja_system::{Ended, Failure, Status, machine, timer};

use super::arguments::{Format, ReportTarget};
use super::observer::Open;
use super::settings::RunOptions;
use super::swap;
use crate::memory::recording::describe;
use crate::print;

/// All recordings in the cache together; the oldest go first.
const CACHE_BYTES_MAX: u64 = 1 << 30;

/// What the recording says of how it came to be.
pub(crate) fn header(command: &[String], interval_ns: u64) -> Header {
    Header {
        naja_version: env!("CARGO_PKG_VERSION").to_owned(),
        command: command.to_vec(),
        working_directory: std::env::current_dir().unwrap_or_default().display().to_string(),
        start_unix_ns: timer::unix_ns(),
        interval_ns,
        cpu_count: machine::cpu_count(),
        system: machine::description(),
    }
}

/// How the recording is opened: at the place that the options name, else in the cache, else in memory.
pub(crate) fn opener(output: Option<&Path>, folder: Option<&Path>, program: &str, header: Header) -> Open {
    let output = output.map(Path::to_owned);
    let folder = folder.map(Path::to_owned);
    let program = program.to_owned();
    Box::new(move || match create(output.as_deref(), folder, &program, &header) {
        Ok(writer) => (writer, None),
        Err(failure) => {
            let memory = Writer::in_memory(&header).expect("a database in memory needs nothing but memory");
            (memory, Some(failure.context("nothing is recorded")))
        }
    })
}

fn create(
    output: Option<&Path>,
    folder: Option<PathBuf>,
    program: &str,
    header: &Header,
) -> Result<Writer, Failure> {
    if let Some(path) = output {
        return Ok(Writer::create(path, header)?);
    }
    let cache = match folder {
        Some(folder) => Cache::at(&folder),
        None => Cache::of_user()?,
    };
    let path = cache.new_recording_path(program)?;
    let writer = Writer::create(&path, header)?;
    // Tidying up is for later runs; that it failed is no news for this one.
    let _ = cache.forget_oldest(CACHE_BYTES_MAX);
    Ok(writer)
}

/// Completes the recording and tells what was seen.
pub(crate) fn tell(
    observation: Option<Observation>,
    ended: &Ended,
    command: Vec<String>,
    swapped: Option<SwapReport>,
    options: &RunOptions,
    descriptor: Option<OwnedFd>,
) {
    let Some(mut observation) = observation else {
        return print::line("warning: the sampler failed; the program ran unobserved");
    };
    let mut writer = observation.writer.take();
    let path = writer.as_ref().map(Writer::path).filter(|path| path.is_file());
    let recording = path.map(|path| path.display().to_string());
    let failures = std::mem::take(&mut observation.failures);
    let mut facts = facts(ended, command, recording);
    if swapped.is_none() {
        let interpreter = observation.processes.first().map(|one| one.process.interpreter.as_str());
        facts.replaceable = swap::replaceable(interpreter.unwrap_or_default());
    }
    facts.swap = swapped;
    let mut report = Report::new(&observation, facts);
    report.warnings.extend(failures.iter().map(Failure::one_line));
    let json = serde_json::to_string(&report).expect("a report is plain data");
    let memory = writer.as_ref().filter(|_| options.memory).map(|writer| {
        let described = describe(writer, options.format == Format::Json);
        described.unwrap_or_else(|failure| {
            report.warnings.push(failure.one_line());
            String::new()
        })
    });
    if let Some(writer) = writer.as_mut() {
        let kept = writer.set_report(&json).and_then(|()| writer.complete());
        if let Err(error) = kept {
            report.warnings.push(Failure::from(error).context("the recording is incomplete").one_line());
        }
    }
    // Closing the file belongs to what is waited for: the next command may be `naja view`.
    drop(writer);
    if let Some(failure) = write_report(options.report.as_ref(), descriptor, &json).err() {
        print::failure(&failure, options.format == Format::Json);
    }
    if options.quiet {
        return;
    }
    match options.format {
        Format::Json => print::line(&with_memory(json, memory.as_deref())),
        Format::Text => {
            let text = report_text(&report, Style::of_stderr(super::terminal_columns()));
            // A closed standard error is the program's business, not an error of its run.
            let _ = io::stderr().write_all((text + &memory.unwrap_or_default()).as_bytes());
        }
    }
}

/// A report with the figures of memory in it, under `memory`.
fn with_memory(report: String, memory: Option<&str>) -> String {
    let figures = memory.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    let whole = serde_json::from_str::<serde_json::Value>(&report).ok();
    match (whole, figures) {
        (Some(serde_json::Value::Object(mut whole)), Some(figures)) => {
            whole.insert("memory".to_owned(), figures);
            serde_json::Value::Object(whole).to_string()
        }
        _ => report,
    }
}

pub(crate) fn facts(ended: &Ended, command: Vec<String>, recording: Option<String>) -> Facts {
    let (exit_code, signal) = match ended.status {
        Status::Exited(code) => (Some(i32::from(code)), None),
        Status::Killed { signal, .. } => (None, Some(signal)),
    };
    Facts {
        command,
        exit_code,
        signal,
        wall_ns: ended.wall_ns.saturating_sub(ended.stopped_ns),
        user_ns: ended.user_ns,
        system_ns: ended.system_ns,
        peak_rss_bytes: 0,
        naja_cpu_ns: timer::own_cpu_ns(),
        cpu_count: machine::cpu_count(),
        memory_limit_bytes: machine::memory_limit_bytes(),
        recording,
        ..Facts::default()
    }
}

/// Writes the report as JSON where `--report` says.
fn write_report(
    target: Option<&ReportTarget>,
    descriptor: Option<OwnedFd>,
    json: &str,
) -> Result<(), Failure> {
    let failed = |place: String, error: io::Error| {
        Failure::new("cannot-write-report", format!("cannot write the report to {place}")).caused_by(&error)
    };
    match (target, descriptor) {
        (Some(ReportTarget::Descriptor(number)), Some(descriptor)) => {
            let text = format!("{json}\n");
            File::from(descriptor)
                .write_all(text.as_bytes())
                .map_err(|error| failed(format!("descriptor {number}"), error))
        }
        (Some(ReportTarget::File(path)), _) => {
            naja_system::replace_file(path, format!("{json}\n").as_bytes())
                .map_err(|error| failed(format!("`{}`", path.display()), error))
        }
        _ => Ok(()),
    }
}
