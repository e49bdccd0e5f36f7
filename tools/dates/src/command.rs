//! The commands of this tool: `naja dates find`.

pub mod find;

use std::io::Write;

use naja_system::Failure;

/// Find dates in texts
#[derive(Debug, clap::Args)]
#[command(before_long_help = "Example:

  naja dates find minutes.txt")]
pub struct DatesArguments {
    /// What to do
    #[command(subcommand)]
    pub command: DatesCommand,
}

/// The commands of `naja dates`.
#[derive(Debug, clap::Subcommand)]
pub enum DatesCommand {
    /// Find the dates in a text
    Find(find::FindArguments),
}

/// Runs `naja dates`.
///
/// Errors: those of the command that is run.
pub fn dates(arguments: &DatesArguments, out: &mut dyn Write) -> Result<(), Failure> {
    match &arguments.command {
        DatesCommand::Find(arguments) => find::find(arguments, out),
    }
}
