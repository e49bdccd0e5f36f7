//! `naja memory`: records a program's allocations, and shows what they came to.
//!
//! Each command has its arguments in a file of its own; those that run or touch a program are run by the program `naja`.

mod attach;
mod convert;
mod flamegraph;
mod leaks;
mod receive;
mod run;
mod shown;
mod stats;
mod summary;
mod table;
mod tree;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use naja_recording::Reader;
use naja_report::text::Style;
use naja_system::Failure;

pub use attach::{AttachArguments, DetachArguments};
pub use convert::ConvertMemoryArguments;
pub use flamegraph::FlamegraphArguments;
pub use leaks::LeaksArguments;
pub use receive::ReceiveArguments;
pub use run::RunMemoryArguments;
pub use shown::ShownOptions;
pub use stats::StatsArguments;
pub use summary::SummaryArguments;
pub use table::TableArguments;
pub use tree::TreeArguments;

/// Record every allocation of a program, and show where its memory goes
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Examples:

  naja memory run app.py                     run it, and show what was in use at the peak
  naja memory run -o app.naja app.py 100     keep the recording there
  naja memory attach -d 10 4211              record a process that runs already, for 10 seconds
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
    /// Record a process that runs already
    Attach(AttachArguments),
    /// End the recording of a process that runs
    Detach(DetachArguments),
    /// Write a page with a flame graph and a time line
    Flamegraph(FlamegraphArguments),
    /// Show the lines with most memory
    Summary(SummaryArguments),
    /// Show the callers of what was given memory, as a tree
    Tree(TreeArguments),
    /// Show memory as a table
    Table(TableArguments),
    /// Show what was in use at the end, with its callers
    Leaks(LeaksArguments),
    /// Show the figures of a recording: sums, functions, sizes
    Stats(StatsArguments),
    /// Record what an agent in a running program tells
    #[command(hide = true)]
    Receive(ReceiveArguments),
    /// Write a recording in the format of another program
    Convert(ConvertMemoryArguments),
}

/// Shows a recording: every command but those that run or touch a program, of which it shows nothing. Sentences of
/// conditions (`--fail-if`) that hold are given back.
///
/// Errors: those of the recording; `no-allocations`, `only-sums`, `cannot-write`, `figure-not-known`
pub fn show(action: &Action, screen: &mut dyn Write, style: Style) -> Result<Vec<String>, Failure> {
    let mut met = Vec::new();
    let text = match action {
        Action::Run(_) | Action::Attach(_) | Action::Detach(_) | Action::Receive(_) => return Ok(met),
        Action::Flamegraph(arguments) => arguments.show()?,
        Action::Summary(arguments) => arguments.show(style)?,
        Action::Tree(arguments) => arguments.show(style)?,
        Action::Table(arguments) => arguments.show(style)?,
        Action::Leaks(arguments) => arguments.show(style)?,
        Action::Stats(arguments) => {
            let (text, sentences) = arguments.show(style)?;
            met = sentences;
            text
        }
        Action::Convert(arguments) => {
            arguments.convert(screen)?;
            String::new()
        }
    };
    match screen.write_all(text.as_bytes()).and_then(|()| screen.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::new("cannot-write", "cannot write to standard output").caused_by(&error))
        }
        _ => Ok(met),
    }
}

/// Opens a recording.
///
/// Errors: those of the recording; `memray-capture` where the file is memray's
fn open(path: &Path) -> Result<Reader<'static>, Failure> {
    Reader::open(path).map_err(|error| {
        if is_memrays(path) {
            return Failure::new("memray-capture", format!("`{}` is a capture of memray's", path.display()))
                .hint("memray reads it; `naja memory run` records for naja");
        }
        error.into()
    })
}

/// Whether a file begins as memray's do.
fn is_memrays(path: &Path) -> bool {
    // Compressed ones begin with the mark of LZ4's frames, and have the word a few bytes later.
    let mut start = [0; 64];
    let read = File::open(path).and_then(|mut file| file.read(&mut start)).unwrap_or(0);
    start.get(..read).is_some_and(|start| start.windows(6).any(|word| word == b"memray"))
}

fn as_line(value: &serde_json::Value) -> String {
    format!("{value}\n")
}
