//! Tests of the profiler against real interpreters, programs and browsers.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are read"
)]

mod attach;
mod export;
mod page;
