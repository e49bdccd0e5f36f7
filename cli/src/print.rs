//! The few ways in which this program itself speaks: data on standard output, everything else on standard error.

use std::io::{self, Write};

use naja_system::Failure;
use serde_json::json;

use crate::ExitCode;

/// Writes data to standard output. A reader that has gone away has seen what it wanted.
pub(crate) fn data(bytes: &[u8]) -> ExitCode {
    match io::stdout().write_all(bytes).and_then(|()| io::stdout().flush()) {
        Ok(()) => ExitCode::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::Done,
        Err(error) => {
            failure(
                &Failure::new("cannot-write", "cannot write to standard output").caused_by(&error),
                false,
            );
            ExitCode::CouldNotRun
        }
    }
}

/// Writes a failure to standard error, for a person or as one line of JSON.
pub(crate) fn failure(failure: &Failure, as_json: bool) {
    let text = if as_json {
        let error = json!({
            "name": failure.name(),
            "message": failure.message(),
            "causes": failure.causes(),
            "hint": failure.hint_text(),
        });
        json!({ "error": error }).to_string()
    } else {
        failure.to_string()
    };
    line(&text);
}

/// Writes a line to standard error. Where that fails, nothing is left that could be told.
pub(crate) fn line(text: &str) {
    let _ = io::stderr().write_all(format!("{text}\n").as_bytes());
}

/// Writes to standard error what is no whole line.
pub(crate) fn unfinished_line(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Writes help or version to standard output.
pub(crate) fn help(text: &clap::Error) {
    let _ = text.print();
}

/// Writes what is wrong with the command line, with the failure's stable name as everywhere.
pub(crate) fn usage_error(error: &clap::Error) {
    let text = error.to_string();
    match text.strip_prefix("error: ") {
        Some(text) => line(&format!("error[usage]: {}", text.trim_end())),
        // Without a command, the help itself is what is shown.
        None => line(text.trim_end()),
    }
}
