//! Where calls into another process are not there yet (anything but x86-64): attaching is refused, and says so.
//!
//! The same names as in `attach.rs`, so that nobody else has to know.

use std::ops::Range;
use std::path::Path;

use naja_native::modules::ModuleFiles;
use naja_system::{Failure, Result};

/// The agent's file.
pub const AGENT: &str = "libnaja_memory_agent.so";

/// What has come of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process is as it was.
    Gone,
    /// It has ended, but has to stay loaded, as something still leads to it.
    Stays,
}

/// The agent is nowhere.
pub fn find(_: u32) -> Option<Range<u64>> {
    None
}

/// Refused.
///
/// Errors: `cannot-attach`
pub fn begin(_: u32, _: &Path, _: &Path, _: &mut ModuleFiles) -> Result<()> {
    Err(refused())
}

/// Refused.
///
/// Errors: `cannot-attach`
pub fn end(_: u32, _: &mut ModuleFiles) -> Result<Ended> {
    Err(refused())
}

fn refused() -> Failure {
    Failure::new("cannot-attach", "on this processor naja cannot attach to a running process for its memory")
        .hint("`naja memory run app.py` starts a program with the agent in it")
}
