//! The options of `naja run`.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

/// Run a Python program, and see where its time goes
#[derive(Debug, Args)]
#[command(
    override_usage = "naja run [OPTIONS] FILE | DIRECTORY | ZIP | - | -m MODULE | -c CODE | COMMAND \
        [ARGUMENTS]...",
    before_long_help = "    naja run app.py --port 8000     instead of `python app.py --port 8000`\n    \
        naja run -m pytest tests        instead of `python -m pytest tests`\n    \
        naja run pytest tests           the command `pytest` of the virtual environment\n    \
        naja run -o hot.naja app.py     keep the recording; `naja view hot.naja` shows it",
    long_about = "Run a Python program as it is, and see where its time goes.\n\n\
        The program runs under its own interpreter and sees what it would see without naja; naja ends as the \
        program ends, with the same exit code or signal. The report goes to standard error.",
    after_help = "Python's own options are given to the interpreter: -b -B -d -E -i -I -O -OO -P -s -S -u -v -x \
        -W ARG -X OPT\nSettings stand in [tool.naja.run] of pyproject.toml."
)]
pub struct RunArguments {
    /// The interpreter: a path, a version (3.12) or a name (python3.12)
    ///
    /// Without it: the active virtual environment, else the project's `.venv`, else `python3`. Adds nothing to
    /// the program's environment.
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<OsString>,

    /// Samples per second [default: 1000]
    ///
    /// Adds nothing to the program's environment.
    #[arg(long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: Option<u32>,

    /// Record every allocation too, and show where memory goes
    ///
    /// It is in the same recording, on the same clock; `naja memory` shows more of it. The program sees LD_PRELOAD and
    /// NAJA_MEMORY_AGENT in its environment.
    #[arg(long)]
    pub memory: bool,

    /// Keep the recording in this file instead of the cache
    ///
    /// Adds nothing to the program's environment.
    #[arg(short, long, value_name = "FILE.naja")]
    pub output: Option<PathBuf>,

    /// Write the report as JSON to a file or an open descriptor
    ///
    /// The descriptor is naja's then: the program does not inherit it. Adds nothing to the program's
    /// environment.
    #[arg(long, value_name = "FILE|fd:N")]
    pub report: Option<ReportTarget>,

    /// How the report on standard error is written
    ///
    /// Adds nothing to the program's environment.
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_possible_values = false)]
    pub format: Format,

    /// The same as --format json
    #[arg(long, conflicts_with = "format")]
    pub json: bool,

    /// No report on standard error
    ///
    /// Adds nothing to the program's environment.
    #[arg(short, long)]
    pub quiet: bool,

    /// Use naja's modules in place of the packages that they replace
    ///
    /// NAME is a package that `naja swap list` shows; several have commas between them; without NAME, all. Overrides
    /// the variable NAJA_SWAP; `none` swaps nothing. The program sees NAJA_SWAP, NAJA_SWAP_REPORT and a folder of
    /// naja's at the start of PYTHONPATH; its `sys.path` is its own.
    #[arg(
        long,
        value_name = "NAME,…",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "all"
    )]
    pub swap: Option<String>,

    /// Run the module as `python -m` does
    #[arg(short = 'm', value_name = "MODULE", conflicts_with = "code")]
    pub module: Option<OsString>,

    /// Run the code as `python -c` does
    #[arg(short = 'c', value_name = "CODE")]
    pub code: Option<OsString>,
}

/// Where the report goes beside standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportTarget {
    /// A file, written anew.
    File(PathBuf),
    /// A descriptor that naja inherited.
    Descriptor(RawFd),
}

impl FromStr for ReportTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("fd:") {
            None => Ok(ReportTarget::File(PathBuf::from(text))),
            Some(number) => match number.parse() {
                Ok(number) if number >= 0 => Ok(ReportTarget::Descriptor(number)),
                _ => Err(format!("`{number}` is not the number of a file descriptor")),
            },
        }
    }
}

/// How the report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}
