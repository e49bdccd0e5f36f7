//! The settings of `naja run`, and what they give together with the options.

use std::ffi::OsString;
use std::path::PathBuf;

use naja_system::{Failure, Result, Settings};

use super::arguments::{Format, ReportTarget, RunArguments};
use super::swap::Swap;

/// Samples per second, unless something else is asked for.
const DEFAULT_RATE_HZ: u32 = 1000;

/// `[tool.naja.run]` of `pyproject.toml`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSettings {
    /// Samples per second.
    pub(crate) rate: Option<u32>,
    /// The interpreter, as `--python` takes it; a path counts from the folder of `pyproject.toml`.
    python: Option<String>,
    /// The folder that recordings are kept in, instead of the cache; counts from the folder of the file.
    pub(crate) recordings: Option<PathBuf>,
    /// What `--swap` takes.
    swap: Option<String>,
    /// Record allocations too.
    memory: bool,
}

impl RunSettings {
    /// The settings that hold for the working directory; paths are whole.
    ///
    /// Errors: `bad-settings`.
    pub(crate) fn read() -> Result<RunSettings> {
        let folder = std::env::current_dir().unwrap_or_default();
        let settings = Settings::find(&folder)?;
        let mut own: RunSettings = settings.section("run")?;
        if let Some(rate) = own.rate.filter(|rate| !(1..=20_000).contains(rate)) {
            return Err(Failure::new("bad-settings", format!("the setting `rate = {rate}` is out of range"))
                .hint("`rate` in `[tool.naja.run]` is from 1 to 20000 samples per second"));
        }
        if let Some(text) = own.python.as_mut().filter(|text| text.contains('/')) {
            // A path that is no text cannot stand in a TOML file.
            *text = settings.resolve(text.as_str().as_ref()).to_string_lossy().into_owned();
        }
        own.recordings = own.recordings.map(|path| settings.resolve(&path));
        Ok(own)
    }

    /// The interpreter that the settings choose.
    pub(crate) fn python(&self) -> Option<OsString> {
        self.python.as_ref().map(OsString::from)
    }
}

/// How a program is to be run and observed: the options, else the settings, else the defaults.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Samples per second.
    pub rate_hz: u32,
    /// The file of the recording, where one was named.
    pub output: Option<PathBuf>,
    /// The folder for recordings, where one was set; else the cache.
    pub recordings: Option<PathBuf>,
    /// Where the report goes as JSON, beside standard error.
    pub report: Option<ReportTarget>,
    /// How the report on standard error is written.
    pub format: Format,
    /// No report on standard error.
    pub quiet: bool,
    /// The interpreter, where one was chosen.
    pub python: Option<OsString>,
    /// Whether it was chosen on the command line rather than in the settings.
    pub python_is_from_command_line: bool,
    /// Record allocations too.
    pub memory: bool,
    /// The packages to be swapped, as they were asked for.
    pub swap: Option<String>,
}

impl RunOptions {
    /// Puts options and settings together.
    ///
    /// Errors: `bad-settings`.
    pub(crate) fn new(arguments: &RunArguments) -> Result<RunOptions> {
        let own = RunSettings::read()?;
        Ok(RunOptions {
            rate_hz: arguments.rate.or(own.rate).unwrap_or(DEFAULT_RATE_HZ),
            output: arguments.output.clone(),
            recordings: own.recordings.clone(),
            report: arguments.report.clone(),
            format: if arguments.json { Format::Json } else { arguments.format },
            quiet: arguments.quiet,
            python_is_from_command_line: arguments.python.is_some(),
            python: arguments.python.clone().or_else(|| own.python()),
            memory: arguments.memory || own.memory,
            swap: Swap::asked(arguments.swap.as_deref(), own.swap.as_deref()),
        })
    }
}
