//! Reads real interpreters: every CPython that is installed on this machine.
#![allow(clippy::unwrap_used)] // a test that finds nothing where something must be has failed

mod asyncio;
mod core_file;
mod finding;
mod hostile;
mod layout;
mod lines;
mod names;
mod stacks;
mod values;

use naja_cpython::locate::{Located, locate};
use naja_cpython::memory::LiveProcess;
use naja_testkit::target::Target;

/// The interpreter in a target.
fn find(target: &Target) -> (LiveProcess, Located) {
    let memory = LiveProcess::new(target.pid());
    let located = locate(target.pid(), &memory).unwrap_or_else(|error| panic!("{error}"));
    (memory, located)
}

/// Says why a test, or a part of one, is not run here.
#[allow(clippy::print_stderr)] // it is the test's report
fn skip(why: &str) {
    naja_testkit::not_tested(why);
}
