//! `naja test`: finds the project's interpreter and hands over to the tool.

use std::ffi::OsStr;
use std::time::Duration;

use naja_profile::dump::text::TextOptions;
use naja_profile::dump::{self, DumpOptions};
use naja_system::{Failure, Result, Settings};
use naja_test::command::{Services, TestArguments};

use crate::ExitCode;
use crate::run::interpreter;

/// The settings of the project in `[tool.naja.test]`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TestSettings {
    python: Option<String>,
    /// Seconds, as `--timeout` takes them.
    timeout: Option<f64>,
}

/// Runs the tests; ends as pytest ends.
///
/// Errors: those of [`interpreter::find`] and [`naja_test::command::test`], and `bad-settings`.
pub(crate) fn test(options: &TestArguments) -> Result<ExitCode> {
    let folder = std::env::current_dir().unwrap_or_default();
    let settings: TestSettings = Settings::find(&folder)?.section("test")?;
    let asked = options.python.as_deref().or(settings.python.as_deref().map(OsStr::new));
    let interpreter = interpreter::find(asked)?;
    let mut options = options.clone();
    if options.timeout.is_none() {
        options.timeout = settings.timeout.map(length_of).transpose()?;
    }
    let services = Services { stacks: &stacks };
    naja_test::command::test(&options, &interpreter.path, &services).map(ExitCode::OfProgram)
}

/// The setting `timeout` as a length of time.
fn length_of(seconds: f64) -> Result<Duration> {
    Duration::try_from_secs_f64(seconds).ok().filter(|time| !time.is_zero()).ok_or_else(|| {
        Failure::new("bad-settings", format!("the setting `timeout = {seconds}` is not a length of time"))
            .hint("`timeout` in `[tool.naja.test]` is the longest that a test may take, in seconds")
    })
}

/// What every thread of a process does, as `naja dump` shows it.
fn stacks(pid: u32) -> String {
    match dump::of_tree(pid, &DumpOptions::default()) {
        Ok((processes, _)) => dump::text::text(&processes, TextOptions::default()),
        Err(failure) => failure.to_string(),
    }
}
