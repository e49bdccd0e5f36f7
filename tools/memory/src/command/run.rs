//! The arguments of `naja memory run`; what it does is in the program, which starts it.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::conditions::Condition;

/// Run a program and record its allocations
#[derive(Debug, clap::Args)]
pub struct RunMemoryArguments {
    /// Where to write the recording; without it, it is kept in the cache
    #[arg(short, long, value_name = "FILE.naja")]
    pub output: Option<PathBuf>,
    /// Record Python's own allocators too: every object, not only what they ask the system for
    #[arg(long)]
    pub python_allocators: bool,
    /// Keep what each place came to, and not each allocation: small files, no times
    #[arg(long)]
    pub aggregate: bool,
    /// Record this process alone, and none of its children
    #[arg(long)]
    pub no_follow: bool,
    /// Where the program ended well, end with code 1 if this is so; may be given several times, as in 'peak > 1GB' or
    /// 'leaked > 1MB'
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Condition>,
    /// Print what was recorded as JSON on standard error
    #[arg(long)]
    pub json: bool,
    /// Print nothing but errors
    #[arg(short, long)]
    pub quiet: bool,
    /// The program and its arguments: what `naja run` would take
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    pub program: Vec<OsString>,
}
