//! The arguments of `naja memory heap`; reading the process is the program's.

use std::path::PathBuf;

use clap::ArgGroup;

/// Show how Python's allocator of small objects uses its memory
#[derive(Clone, Debug, clap::Args)]
#[command(
    before_long_help = "Examples:

  naja memory heap 4211                  arenas, sizes, what is resident, and what follows
  naja memory heap 4211 -o heap.html     the same as a page, with a picture of every pool
  naja memory heap --core core.4211      of a process that has crashed",
    group = ArgGroup::new("target").required(true).args(["pid", "pid_option", "core"])
)]
pub struct HeapArguments {
    /// The process
    #[arg(value_name = "PID")]
    pub pid: Option<u32>,
    /// The same, as an option
    #[arg(short = 'p', long = "pid", value_name = "PID")]
    pub pid_option: Option<u32>,
    /// Read a core file instead of a process
    #[arg(short, long, value_name = "FILE")]
    pub core: Option<PathBuf>,
    /// Write a page for the browser
    #[arg(short, long, value_name = "FILE.html")]
    pub output: Option<PathBuf>,
    /// Print the figures as JSON
    #[arg(short, long)]
    pub json: bool,
}
