//! The arguments of `naja memory receive`, which parts of naja inside of a program start beside it; nobody types it.

use std::path::PathBuf;

/// Record what an agent in a running program tells, until standard input ends or has a line
#[derive(Debug, clap::Args)]
pub struct ReceiveArguments {
    /// Where agents find this process: a path that does not exist yet
    #[arg(value_name = "PLACE")]
    pub place: PathBuf,
    /// Where to write the recording; without it, it is not kept
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Record Python's own allocators too
    #[arg(long)]
    pub python_allocators: bool,
    /// Record the functions of machine code too
    #[arg(long)]
    pub native: bool,
    /// Record children too
    #[arg(long)]
    pub follow: bool,
    /// Keep what each place came to, and not each allocation
    #[arg(long)]
    pub aggregate: bool,
    /// Write often: somebody looks at the recording while it is made
    #[arg(long)]
    pub live: bool,
    /// Milliseconds between two looks at resident memory
    #[arg(long, value_name = "MS", default_value_t = 10)]
    pub interval: u64,
    /// What is written beside the allocations, as a JSON object. A line on standard input adds to it
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub notes: String,
    /// The words with which the program was started, for the recording
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}
