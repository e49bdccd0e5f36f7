//! What a recording promises, tested through its public interface.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod ask;
mod blocks;
mod cache;
mod damage;
mod kill;
mod limit;
mod samples;
mod trouble;
mod write_and_read;
