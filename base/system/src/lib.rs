//! What every part of naja needs from the machine: errors with hints, paths, processes, the clock.
//!
//! This crate knows no Python and no tool. Start at [`Failure`] for errors.
#![allow(unsafe_code)] // system calls; each block gives its reason

pub mod byte_lock;
mod failure;
pub mod timer;

pub use failure::{Failure, Result};
