//! `naja run`: starts a program as Python would, observes it, reports, and ends as the program ended.
//!
//! The invariant: what naja fails at never changes what the program sees or how it ends; only what is found out
//! before the start (no such file, no such interpreter) is an error of naja's own. Start at [`run`].

pub mod arguments;
pub(crate) mod command_line;
pub mod interpreter;
mod missing_module;
pub(crate) mod observer;
pub(crate) mod report;
pub mod settings;
mod swap;
pub mod target;

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;

use naja_profile::SamplerOptions;
use naja_system::{Failure, Launch, Result, Session, Status};

use crate::memory::beside::MemoryBeside;
use crate::print;
use arguments::{Format, ReportTarget, RunArguments};
use observer::SamplingObserver;
use settings::RunOptions;
use swap::Swap;
use target::{Target, Words};

/// Runs a program; returns only when it could not be started.
///
/// Errors: those of [`Target::resolve`], [`interpreter::find`] and [`Swap::prepare`], and `cannot-start`.
pub fn run(
    arguments: RunArguments,
    interpreter_options: Vec<OsString>,
    program: Vec<OsString>,
) -> Result<Infallible> {
    let options = RunOptions::new(&arguments)?;
    let mut words = Words { module: arguments.module, code: arguments.code, rest: program };
    let interpreter = interpreter::find(options.python.as_deref());
    if options.python_is_from_command_line {
        // What was asked for in so many words must exist, even where the target would not need it.
        interpreter.as_ref().map_err(Failure::clone)?;
    }
    let target = Target::resolve(&mut words, interpreter.as_ref().ok(), options.python_is_from_command_line)?;
    let asked_module = match &target {
        Target::Module(name) => interpreter.as_ref().ok().map(|one| (one.clone(), name.clone())),
        _ => None,
    };
    let program_name = target.name();
    let mut launch = target.launch(interpreter, interpreter_options.clone(), words.rest)?;
    let swap = options.swap.as_deref().map(Swap::prepare).transpose()?;
    launch.environment = swap.as_ref().map_or_else(Swap::environment_without, Swap::environment);

    let memory = options.memory.then(MemoryBeside::prepare).transpose()?;
    let memory = memory.map(|(memory, environment)| {
        launch.environment.extend(environment);
        memory
    });

    let descriptor = match &options.report {
        Some(ReportTarget::Descriptor(number)) => Some(take_descriptor(*number)?),
        _ => None,
    };
    let command: Vec<String> =
        launch.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let interval_ns = 1_000_000_000 / u64::from(options.rate_hz);
    let header = report::header(&command, interval_ns);
    let open =
        report::opener(options.output.as_deref(), options.recordings.as_deref(), &program_name, header);

    let session = Session::prepare().map_err(|error| cannot_start(&launch, &error))?;
    let mut observer = SamplingObserver::new(open, move |child| {
        SamplerOptions::of_program(child.pid, child.started_ns, interval_ns)
    })
    .with_memory(memory);
    let ended = session.run(&launch, &mut observer).map_err(|error| cannot_start(&launch, &error))?;

    if let (Some((interpreter, module)), Status::Exited(1)) = (&asked_module, ended.status)
        && !options.quiet
        && let Some(failure) = missing_module::explain(interpreter, &interpreter_options, module)
    {
        print::failure(&failure, options.format == Format::Json);
    }
    let swapped = swap.map(|swap| swap.report(&interpreter_options));
    report::tell(observer.into_observation(), &ended, command, swapped, &options, descriptor);
    ended.end_alike()
}

fn take_descriptor(number: i32) -> Result<OwnedFd> {
    naja_system::take_descriptor(number).map_err(|error| {
        Failure::new("no-such-descriptor", format!("cannot write the report to descriptor {number}"))
            .caused_by(&error)
            .hint(format!(
                "open it for naja, as in `naja run --report fd:{number} app.py {number}>report.json`"
            ))
    })
}

/// Columns of the terminal that the report goes to.
pub(crate) fn terminal_columns() -> Option<usize> {
    terminal_size::terminal_size_of(io::stderr()).map(|(width, _)| usize::from(width.0))
}

pub(crate) fn cannot_start(launch: &Launch, error: &io::Error) -> Failure {
    let failure = Failure::new("cannot-start", format!("cannot start `{}`", launch.executable.display()))
        .caused_by(error);
    match error.kind() {
        // The file was seen a moment ago, so that it is what its first line names that is missing.
        io::ErrorKind::NotFound => {
            failure.hint("the interpreter that its first line (`#!`) names may be gone")
        }
        io::ErrorKind::ArgumentListTooLong => failure.hint("the arguments or the environment are too long"),
        _ => failure,
    }
}
