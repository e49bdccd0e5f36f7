//! What every part of naja needs from the machine: errors with hints, paths, processes, the clock.
//!
//! This crate knows no Python and no tool. Start at [`Failure`] for errors.

pub mod byte_lock;
pub mod cache;
mod failure;

pub use failure::{Failure, Result};
