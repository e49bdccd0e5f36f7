//! The commands of this tool: `naja dates` itself, and those below it, each in a file of its own.

pub mod find;
pub mod parse;
pub mod rule;
pub mod zones;

use std::io::{self, Write};

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
    /// Write the dates of a recurrence rule
    Rule(rule::RuleArguments),
    /// Write the names of all time zones of this machine
    Zones(zones::ZonesArguments),
}

/// Runs `naja dates`. A reader of `out` that goes away ends it without an error.
///
/// Errors: those of the command that is run.
pub fn dates(arguments: &DatesArguments, out: &mut dyn Write) -> Result<(), Failure> {
    let mut out = Output { out, is_gone: false };
    let done = match &arguments.command {
        None => parse::parse(&arguments.parse, &mut out),
        Some(DatesCommand::Find(arguments)) => find::find(arguments, &mut out),
        Some(DatesCommand::Rule(arguments)) => rule::rule(arguments, &mut out),
        Some(DatesCommand::Zones(arguments)) => zones::zones(arguments, &mut out),
    };
    if out.is_gone { Ok(()) } else { done }
}

/// Where a command writes, and whether the reader has gone away, as `head` does.
struct Output<'a> {
    out: &'a mut dyn Write,
    is_gone: bool,
}

impl Output<'_> {
    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        self.is_gone |= done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        done
    }
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let done = self.out.write(bytes);
        self.noted(done)
    }

    fn flush(&mut self) -> io::Result<()> {
        let done = self.out.flush();
        self.noted(done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_has_gone_is_no_error() {
        let rule = rule::RuleArguments { rule: "FREQ=DAILY".into(), from: None, count: None };
        let texts = vec!["2024-01-31".into(); 1000];
        let parse = |texts| parse::ParseArguments {
            texts,
            day_first: false,
            year_first: false,
            fuzzy: false,
            json: false,
        };
        for arguments in [
            DatesArguments { parse: parse(texts), command: None },
            DatesArguments { parse: parse(Vec::new()), command: Some(DatesCommand::Rule(rule)) },
        ] {
            dates(&arguments, &mut Gone).expect("its reader has read enough");
        }
    }
}
