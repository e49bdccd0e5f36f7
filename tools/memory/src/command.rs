//! `naja memory`: records a program's allocations, and shows what they came to.
//!
//! Each command has its arguments in a file of its own; those that run or touch a program are run by the program `naja`.

mod attach;
mod receive;
mod run;
mod shown;
mod stats;
mod summary;
mod tree;

use std::io::Write;

use naja_report::text::Style;
use naja_system::Failure;

pub use attach::{AttachArguments, DetachArguments};
pub use receive::ReceiveArguments;
pub use run::RunMemoryArguments;
pub use shown::ShownOptions;
pub use stats::StatsArguments;
pub use summary::SummaryArguments;
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
    /// Show the lines with most memory
    Summary(SummaryArguments),
    /// Show the callers of what was given memory, as a tree
    Tree(TreeArguments),
    /// Show the figures of a recording: sums, functions, sizes
    Stats(StatsArguments),
    /// Record what an agent in a running program tells
    #[command(hide = true)]
    Receive(ReceiveArguments),
}

/// Shows a recording: every command but those that run or touch a program, of which it shows nothing.
///
/// Errors: those of the recording; `no-allocations`, `only-sums`, `cannot-write`
pub fn show(action: &Action, screen: &mut dyn Write, style: Style) -> Result<(), Failure> {
    let text = match action {
        Action::Run(_) | Action::Attach(_) | Action::Detach(_) | Action::Receive(_) => return Ok(()),
        Action::Summary(arguments) => arguments.show(style)?,
        Action::Tree(arguments) => arguments.show(style)?,
        Action::Stats(arguments) => arguments.show(style)?,
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
