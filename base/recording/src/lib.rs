//! The `.naja` recording: one SQLite file, written while the program runs, readable after a kill.
//!
//! Identifiers (processes, threads, functions, stack nodes) are dense numbers from 1 on, given by the
//! writer's caller; 0 means "none". Time is counted in ticks of [`Header::interval_ns`] since the start.
//! Start at [`model`] for what a recording holds, then [`Writer::write`] and [`Reader::open`].
//! SQLite and its crate stay inside of this crate.

pub mod allocations;
pub mod blocks;
pub mod cache;
mod error;
pub mod joined;
pub mod model;
mod reader;
mod schema;
pub mod sql;
mod virtual_tables;
mod writer;

pub use error::RecordingError;
pub use model::*;
pub use reader::Reader;
pub use schema::TEST_HISTORY_ID;
pub use writer::{DEFAULT_SIZE_LIMIT, Writer};
