//! What every part of naja needs from the machine: errors with hints, paths, processes, the clock.
//!
//! This crate knows no Python and no tool. Start at [`Failure`] for errors.

mod failure;
mod package;

pub use failure::{Failure, Result};
pub use package::python_package;
