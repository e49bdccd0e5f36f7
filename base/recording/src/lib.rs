//! The `.naja` recording: one SQLite file, written while the program runs, readable after a kill.
//!
//! Identifiers (processes, threads, functions, stack nodes) are dense numbers from 1 on, given by the
//! writer's caller; 0 means "none". Time is counted in ticks of [`Header::interval_ns`] since the start.
//! Start at [`model`] for what a recording holds.

pub mod model;

pub use model::*;
