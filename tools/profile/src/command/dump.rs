//! `naja dump`: the stacks of all threads of a process, now.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, ValueEnum};
use naja_cpython::core_file::CoreFile;
use naja_cpython::values::Limits;
use naja_system::Failure;

use crate::attach;
use crate::dump::text::TextOptions;
use crate::dump::{self, DumpOptions, ProcessDump};

/// Characters of a value that `--locals` shows, given once.
const VALUE_CHARACTERS: usize = 160;

/// Show what all threads of a running process are doing now
#[derive(Clone, Debug, clap::Args)]
#[command(
    override_usage = "naja dump [OPTIONS] -p PID\n       naja dump [OPTIONS] --core FILE",
    before_long_help = "Examples:

  naja dump -p 4211               the stack and the state of every thread
  naja dump -p 4211 -s --locals   the whole process tree, with local variables
  naja dump --core core.4211      the same of a process that has crashed",
    group = ArgGroup::new("target").required(true).args(["pid", "process", "core"])
)]
pub struct DumpArguments {
    /// The process
    #[arg(short, long, value_name = "PID")]
    pub pid: Option<u32>,
    /// The same, as in `naja dump 4211`
    #[arg(value_name = "PID", hide = true)]
    pub process: Option<u32>,
    /// Read a core file instead of a process
    #[arg(short, long, value_name = "FILE", conflicts_with = "subprocesses")]
    pub core: Option<PathBuf>,
    /// Show local variables; twice (`-ll`) for longer and deeper values
    #[arg(short, long, action = ArgAction::Count)]
    pub locals: u8,
    /// Show all processes that the process has started, too
    #[arg(short, long)]
    pub subprocesses: bool,
    /// Show asyncio's tasks too, as a tree by who waits for whom
    #[arg(long = "async")]
    pub tasks: bool,
    /// Show the functions of C, C++ and Rust between those of Python
    ///
    /// Each thread that runs is paused for that, one at a time, for as long as its stack is copied.
    #[arg(short, long, conflicts_with = "core")]
    pub native: bool,
    /// What naja does always unless --native is asked for; here for those who know it from elsewhere
    #[arg(long, hide = true, conflicts_with = "native")]
    pub nonblocking: bool,
    /// Show whole paths of files
    #[arg(long)]
    pub full_filenames: bool,
    /// How to print it
    #[arg(long, value_enum, default_value_t = DumpFormat::Text, value_name = "FORMAT")]
    pub format: DumpFormat,
    /// The same as `--format json`
    #[arg(short, long, conflicts_with = "format")]
    pub json: bool,
}

/// The forms of a dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DumpFormat {
    /// For a person
    Text,
    /// For a program
    Json,
}

/// Runs `naja dump`: prints the dump on `screen`, and on `remarks` what of a process tree could not be read.
pub fn dump(
    arguments: &DumpArguments,
    screen: &mut dyn Write,
    remarks: &mut dyn Write,
) -> Result<(), Failure> {
    let options = DumpOptions {
        locals: match arguments.locals {
            0 => None,
            1 => Some(Limits::SHORT),
            _ => Some(Limits::LONG),
        },
        tasks: arguments.tasks,
        native: arguments.native,
    };
    let (dumps, failures) = read(arguments, &options)?;
    let shown = TextOptions {
        full_filenames: arguments.full_filenames,
        value_characters: (arguments.locals < 2).then_some(VALUE_CHARACTERS),
    };
    let text = match arguments.json || arguments.format == DumpFormat::Json {
        true => format!("{:#}\n", dump::json::value(&dumps)),
        false => dump::text::text(&dumps, shown),
    };
    for failure in failures {
        // Where standard error is closed, nothing is left that could be told.
        let _ = writeln!(remarks, "warning: {}", failure.one_line());
    }
    match screen.write_all(text.as_bytes()).and_then(|()| screen.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot-write", "failed to write to stdout").caused_by(&error))
        }
        _ => Ok(()),
    }
}

fn read(
    arguments: &DumpArguments,
    options: &DumpOptions,
) -> Result<(Vec<ProcessDump>, Vec<Failure>), Failure> {
    if let Some(path) = &arguments.core {
        return Ok((vec![dump::of_core(&CoreFile::open(path)?, options)?], Vec::new()));
    }
    let pid = arguments.pid.or(arguments.process);
    match pid {
        Some(pid) if arguments.subprocesses => dump::of_tree(pid, options),
        Some(pid) => Ok((vec![dump::of_process(&attach::open(pid)?, options)?], Vec::new())),
        None => Err(Failure::new("usage", "give a process or a core file")),
    }
}
