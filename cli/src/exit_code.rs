//! What `naja` tells its caller: the one list of exit codes.

use std::process;

/// The exit code of a command. A command that runs another program ends with that program's own code instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The command did what it was asked for.
    Done,
    /// The command ran, and the answer is no.
    No,
    /// The command could not run: usage, settings or input; standard error names the reason.
    CouldNotRun,
    /// What the program ended with that the command ran, as a shell shows it.
    OfProgram(u8),
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        process::ExitCode::from(match code {
            ExitCode::Done => 0,
            ExitCode::No => 1,
            ExitCode::CouldNotRun => 2,
            ExitCode::OfProgram(code) => code,
        })
    }
}
