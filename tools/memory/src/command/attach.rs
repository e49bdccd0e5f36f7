//! The arguments of `naja memory attach` and `naja memory detach`; what they do is in the program.

use std::path::PathBuf;

/// Record the allocations of a process that runs already
#[derive(Debug, clap::Args)]
pub struct AttachArguments {
    /// The process
    #[arg(value_name = "PID")]
    pub pid: u32,
    /// Where to write the recording; without it, it is kept in the cache
    #[arg(short, long, value_name = "FILE.naja")]
    pub output: Option<PathBuf>,
    /// Record Python's own allocators too: every object, not only what they ask the system for
    #[arg(long)]
    pub python_allocators: bool,
    /// Keep what each place came to, and not each allocation: small files, no times
    #[arg(long)]
    pub aggregate: bool,
    /// Record this process alone, and none of the children that it forks
    #[arg(long)]
    pub no_follow: bool,
    /// End after so many seconds, and not at Ctrl-C or when the process ends
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub duration: Option<f64>,
    /// Print what was recorded as JSON on standard error
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
}

/// End the recording of a process that `naja memory attach` has begun
#[derive(Debug, clap::Args)]
pub struct DetachArguments {
    /// The process
    #[arg(value_name = "PID")]
    pub pid: u32,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds <= 1e9 => Ok(seconds),
        _ => Err("give a number of seconds above 0".to_owned()),
    }
}
