//! The commands of this tool: `naja dates` itself, and those below it, each in a file of its own.

pub mod parse;

use std::io::Write;

use naja_system::Failure;

/// Write dates in ISO 8601, or do what a command below says
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    before_long_help = "Example:

  naja dates 'March 12 2010'
  cut -f2 log.txt | naja dates -"
)]
pub struct DatesArguments {
    /// The texts to understand
    #[command(flatten)]
    pub parse: parse::ParseArguments,
}

/// Runs `naja dates`.
///
/// Errors: those of the command that is run.
pub fn dates(arguments: &DatesArguments, out: &mut dyn Write) -> Result<(), Failure> {
    parse::parse(&arguments.parse, out)
}
