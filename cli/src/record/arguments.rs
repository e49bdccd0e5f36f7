//! The options of `naja record`.

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use clap::{ArgGroup, Args};
use naja_profile::Tasks;
use naja_profile::export::{ExportFormat, StackOptions};

/// Samples per second, unless something else is asked for.
const DEFAULT_RATE_HZ: u32 = 1000;

/// Record where a running process, or a program started here, spends its time
#[derive(Debug, Args)]
#[command(
    override_usage = "naja record [OPTIONS] PID\n       naja record [OPTIONS] [--] PROGRAM [ARGUMENTS]...",
    before_long_help = "    naja record 4211 -o hot.html                attach to a process, until Ctrl-C\n    \
        naja record 4211 -d 10 -o hot.naja          for ten seconds; `naja view hot.naja` shows it\n    \
        naja record -o hot.speedscope.json -- python app.py",
    long_about = "Record where a running process, or a program started here, spends its time.\n\n\
        The process is neither stopped nor changed. Recording ends with the process, after --duration, or with \
        Ctrl-C; whatever ends it, what was seen until then is written.",
    after_help = "Settings of `naja run` in [tool.naja.run] of pyproject.toml (rate, python, recordings) count here too.",
    group = ArgGroup::new("target").required(true).args(["pid", "program"])
)]
pub struct RecordArguments {
    /// The process to attach to
    #[arg(short, long, value_name = "PID")]
    pub pid: Option<u32>,

    /// Where to write; the format follows from the name unless --format says it
    ///
    /// Without it, the recording is kept in the cache and a report is printed. `-` is standard output.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// The format of the output
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub format: Option<ExportFormat>,

    /// Samples per second [default: 1000]
    ///
    /// Each sample is taken at a random moment of its share of the second, so that no program runs in step with them.
    #[arg(short, long, value_name = "HZ", value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub rate: Option<u32>,

    /// End after so many seconds; a program that was started here is ended then too
    #[arg(short, long, value_name = "SECONDS", value_parser = duration_ns, allow_negative_numbers = true)]
    pub duration: Option<u64>,

    /// Sample child processes too, those that live and those to come, in one recording
    #[arg(short, long)]
    pub subprocesses: bool,

    /// Show the functions of C, C++ and Rust between those of Python
    ///
    /// Each thread is paused for that when it is sampled, for some 10 to 40 microseconds, unless it is blocked.
    #[arg(short, long)]
    pub native: bool,
    /// Record every allocation too, and show where memory goes
    ///
    /// It is in the same recording, on the same clock; `naja memory` shows more of it.
    #[arg(long)]
    pub memory: bool,
    /// Tell asyncio's tasks apart, in place of the event loop that runs them
    ///
    /// A stack begins with the tasks that wait for the running one, by name, each with where it waits. `all` shows those
    /// that wait too, each in a row of its own.
    #[arg(long = "async", value_enum, value_name = "TASKS")]
    pub tasks: Option<Tasks>,

    /// What the output shows of the samples.
    #[command(flatten)]
    pub stacks: StackOptions,

    /// What naja does always unless --native is asked for; here for those who know it from elsewhere
    #[arg(long, hide = true, conflicts_with = "native")]
    pub nonblocking: bool,

    /// Print what was recorded as JSON on standard error
    #[arg(long)]
    pub json: bool,

    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,

    /// Write a byte to this descriptor when the first sample was taken
    #[arg(long, value_name = "N", hide = true, requires = "pid")]
    pub ready_fd: Option<RawFd>,

    /// The number of the process, or the program to start and its arguments: what `naja run` would take
    #[arg(trailing_var_arg = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}

impl RecordArguments {
    /// The process to attach to; `None` for a program to start.
    pub(crate) fn process(&self) -> Option<u32> {
        self.pid.or_else(|| if self.program.len() == 1 { self.number_first() } else { None })
    }

    /// The words of the command line, with the process as an option, where it comes before options, as in
    /// `naja record 4211 -d 10`: what follows a program is the program's own, what follows a process is naja's.
    ///
    /// `None` where that is not so, or a `--` says that a program follows.
    pub(crate) fn with_process_as_option(&self, words: &[OsString]) -> Option<Vec<OsString>> {
        let process = self.number_first()?;
        let at = words.len().checked_sub(self.program.len())?;
        let (before, rest) = (&words[..at], &words[at + 1..]);
        let is_program = before.last().is_some_and(|word| word == "--") || words[at] != self.program[0];
        if is_program || rest.is_empty() {
            return None;
        }
        let option = [OsString::from("--pid"), OsString::from(process.to_string())];
        Some([before, &option, rest].concat())
    }

    /// The first word of the program where it is a number, and no file is called so.
    fn number_first(&self) -> Option<u32> {
        let word = self.program.first()?;
        let number = word.to_str().and_then(|word| word.parse().ok());
        number.filter(|_| self.pid.is_none() && !std::path::Path::new(word).exists())
    }

    /// Samples per second: the option, else the setting, else the default.
    pub(crate) fn rate_hz(&self, setting: Option<u32>) -> u32 {
        self.rate.or(setting).unwrap_or(DEFAULT_RATE_HZ)
    }
}

/// Reads a number of seconds as nanoseconds.
fn duration_ns(text: &str) -> Result<u64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok((seconds * 1e9) as u64),
        // py-spy's word for no end.
        _ if text == "unlimited" => Ok(u64::MAX >> 1),
        _ => Err("not a number of seconds above 0".to_owned()),
    }
}
