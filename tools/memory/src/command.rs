//! `naja memory`: records a program's allocations, and shows what they came to.

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

use naja_recording::Reader;
use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use crate::report::{Allocations, Shown};
use crate::report_text;

/// Record every allocation of a program, and show where its memory goes
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:

  naja memory run app.py                     run it, and show what was in use at the peak
  naja memory run -o app.naja app.py 100     keep the recording there
  naja memory tree app.naja                  who called what was given memory
  naja memory summary --leaks app.naja       what was never given back")]
pub struct MemoryArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// The commands of `naja memory`.
#[derive(Debug, clap::Subcommand)]
pub enum Action {
    /// Run a program and record its allocations
    Run(RunMemoryArguments),
    /// Show the lines with most memory
    Summary(SummaryArguments),
    /// Show the callers of what was given memory, as a tree
    Tree(TreeArguments),
    /// Show the figures of a recording: sums, functions, sizes
    Stats(StatsArguments),
}

/// Run a program and record its allocations
#[derive(Debug, clap::Args)]
pub struct RunMemoryArguments {
    /// Where to write the recording; without it, it is kept in the cache
    #[arg(short, long, value_name = "FILE.naja")]
    pub output: Option<PathBuf>,
    /// Record Python's own allocators too: every object, not only what they ask the system for
    #[arg(long)]
    pub python_allocators: bool,
    /// Keep what each place came to, and not each allocation: small files, no times
    #[arg(long)]
    pub aggregate: bool,
    /// Record this process alone, and none of its children
    #[arg(long)]
    pub no_follow: bool,
    /// Print what was recorded as JSON on standard error
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// The program and its arguments: what `naja run` would take
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

/// Which memory is shown; without any of these, what was in use at the peak.
#[derive(Clone, Debug, clap::Args)]
pub struct ShownOptions {
    /// What was in use at the end
    #[arg(long, conflicts_with_all = ["temporary", "all"])]
    pub leaks: bool,
    /// What was given and soon taken back
    #[arg(long, conflicts_with = "all")]
    pub temporary: bool,
    /// Temporary is what was taken back before its thread was given so many other blocks
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub temporary_within: u64,
    /// All that was ever given
    #[arg(long)]
    pub all: bool,
}

impl ShownOptions {
    fn shown(&self) -> Shown {
        match self {
            ShownOptions { leaks: true, .. } => Shown::Leaks,
            ShownOptions { temporary: true, .. } => Shown::Temporary,
            ShownOptions { all: true, .. } => Shown::Given,
            _ => Shown::Peak,
        }
    }
}

/// Show the lines with most memory
#[derive(Debug, clap::Args)]
pub struct SummaryArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 25)]
    pub rows: usize,
    /// Sort by what a line itself was given, and not by what it called was given as well
    #[arg(long)]
    pub own: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Show the callers of what was given memory, as a tree
#[derive(Debug, clap::Args)]
pub struct TreeArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Show the figures of a recording: sums, functions, sizes
#[derive(Debug, clap::Args)]
pub struct StatsArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// How many lines of each kind
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Shows a recording: every command but `run`.
///
/// Errors: those of the recording; `no-allocations`, `only-sums`, `cannot-write`
pub fn show(action: &Action, screen: &mut dyn Write, style: Style) -> Result<(), Failure> {
    let text = match action {
        Action::Run(_) => return Ok(()),
        Action::Summary(arguments) => {
            let shown = arguments.shown.shown();
            let reader = Reader::open(&arguments.file)?;
            let allocations = Allocations::read(&reader, arguments.shown.temporary_within)?;
            if arguments.json {
                let mut locations = allocations.locations(shown);
                if arguments.own {
                    locations.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
                }
                locations.truncate(arguments.rows);
                as_line(&json!({ "shown": shown, "sum": allocations.sum(shown), "lines": locations }))
            } else {
                report_text::summary(&allocations, shown, arguments.rows, arguments.own, style)
            }
        }
        Action::Tree(arguments) => {
            let shown = arguments.shown.shown();
            let reader = Reader::open(&arguments.file)?;
            let allocations = Allocations::read(&reader, arguments.shown.temporary_within)?;
            if arguments.json {
                as_line(
                    &json!({ "shown": shown, "sum": allocations.sum(shown), "branches": allocations.tree(shown) }),
                )
            } else {
                report_text::tree(&allocations, shown, style)
            }
        }
        Action::Stats(arguments) => {
            let reader = Reader::open(&arguments.file)?;
            let allocations = Allocations::read(&reader, 1)?;
            let figures = allocations.statistics(&reader, arguments.top)?;
            if arguments.json { as_line(&json!(figures)) } else { report_text::statistics(&figures, style) }
        }
    };
    match screen.write_all(text.as_bytes()).and_then(|()| screen.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot-write", "cannot write to standard output").caused_by(&error))
        }
        _ => Ok(()),
    }
}

fn as_line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}
