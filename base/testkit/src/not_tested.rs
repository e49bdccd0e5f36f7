//! What a test could not look at on this machine, told at the end of `make test`.

use std::fs::OpenOptions;
use std::io::Write as _;

/// Notes that something was not tested because this machine lacks what it needs.
///
/// `what` is one line that reads after "not tested: ", such as `CPython 3.9: not installed`. The test that calls
/// this then passes. Under `make test` each line is told once, at the end; elsewhere it goes to stderr.
#[allow(clippy::print_stderr, reason = "a test's note to whoever runs it")]
pub fn not_tested(what: &str) {
    eprintln!("not tested: {what}");
    let Some(file) = std::env::var_os("NAJA_NOT_TESTED") else { return };
    // One short write to a file opened for appending: lines of tests that run at once do not mix.
    let written = OpenOptions::new()
        .create(true)
        .append(true)
        .open(&file)
        .and_then(|mut file| file.write_all(format!("{what}\n").as_bytes()));
    written.expect("the file that `make test` has named can be written");
}
