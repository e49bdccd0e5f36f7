//! What of a recording is exported, and how a stack becomes frames.

use clap::ValueEnum;

/// Everything that an export can be told.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct ExportOptions {
    /// Which samples count and how frames look.
    #[command(flatten)]
    pub stacks: StackOptions,
    /// Which part of the recording.
    #[command(flatten)]
    pub part: PartOptions,
}

/// Which samples count, and how their stacks are shown: the options that py-spy's users know.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct StackOptions {
    /// Which samples count: all time, time on a processor, or time with the GIL
    ///
    /// Formats with a time line (chrome, firefox) and the page show the other samples as waiting.
    #[arg(long, value_enum, default_value_t = Mode::Wall)]
    pub mode: Mode,
    /// The same as --mode gil
    #[arg(short, long, conflicts_with = "mode")]
    pub gil: bool,
    /// Count threads that wait, too (with --mode wall)
    #[arg(short, long)]
    pub idle: bool,
    /// Show the thread at the root of each stack
    #[arg(short, long)]
    pub threads: bool,
    /// Show a frame `<GC>` on top of a stack while the garbage collector runs
    #[arg(long)]
    pub gc: bool,
    /// One frame for each function, at its first line, instead of one for each line
    #[arg(short = 'F', long)]
    pub function: bool,
    /// No line numbers: one frame for each function
    #[arg(long)]
    pub nolineno: bool,
    /// Whole paths of files, not shortened
    #[arg(long)]
    pub full_filenames: bool,
}

/// Which part of a recording.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(skip)]
pub struct PartOptions {
    /// Only what happened from this second on
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub from: Option<f64>,
    /// Only what happened before this second
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub until: Option<f64>,
    /// Only this process; may be given several times
    #[arg(long, value_name = "PID")]
    pub process: Vec<u32>,
    /// Only the thread of this name or number; may be given several times
    #[arg(long, value_name = "NAME|TID")]
    pub thread: Vec<String>,
}

/// Which samples count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// All time; threads that wait only with --idle
    #[default]
    Wall,
    /// Time on a processor
    Cpu,
    /// Time in which the thread held the GIL
    Gil,
}

impl StackOptions {
    /// The mode, however it was asked for.
    pub fn mode(&self) -> Mode {
        if self.gil { Mode::Gil } else { self.mode }
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 => Ok(value),
        _ => Err("not a number of seconds from 0 on".to_owned()),
    }
}
