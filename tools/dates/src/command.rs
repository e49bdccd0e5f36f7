//! The commands of this tool: `naja dates` itself, and those below it, each in a file of its own.

pub mod find;
pub mod parse;
pub mod rule;
pub mod zones;

use std::io::Write;

use naja_system::Failure;

/// Write dates in ISO 8601, or do what a command below says
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    arg_required_else_help = true,
    before_long_help = "Example:

  naja dates 'March 12 2010'
  cut -f2 log.txt | naja dates -
  naja dates find minutes.txt"
)]
pub struct DatesArguments {
    /// The texts to understand
    #[command(flatten)]
    pub parse: parse::ParseArguments,
    /// What else to do
    #[command(subcommand)]
    pub command: Option<DatesCommand>,
}

/// The commands below `naja dates`.
#[derive(Debug, clap::Subcommand)]
pub enum DatesCommand {
    /// Find the dates in a text
    Find(find::FindArguments),
    /// `naja dates rule`.
    Rule(rule::RuleArguments),
    /// `naja dates zones`.
    Zones(zones::ZonesArguments),
}

/// Runs `naja dates`.
///
/// Errors: those of the command that is run.
pub fn dates(arguments: &DatesArguments, out: &mut dyn Write) -> Result<(), Failure> {
    match &arguments.command {
        None => parse::parse(&arguments.parse, out),
        Some(DatesCommand::Find(arguments)) => find::find(arguments, out),
        Some(DatesCommand::Rule(arguments)) => rule::rule(arguments, out),
        Some(DatesCommand::Zones(arguments)) => zones::zones(arguments, out),
    }
}
