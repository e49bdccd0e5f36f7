//! What `naja` tells its caller: the one list of exit codes.

use std::process;

/// The exit code of a command. A command that runs another program ends with that program's own code instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    /// The command did what it was asked for.
    Done = 0,
    /// The command ran, and the answer is no.
    No = 1,
    /// The command could not run: usage, settings or input; standard error names the reason.
    CouldNotRun = 2,
}

impl From<ExitCode> for process::ExitCode {
    fn from(code: ExitCode) -> Self {
        process::ExitCode::from(code as u8)
    }
}
