//! The live view of a program's memory: what a recording says so far, choices, and what is drawn of both.
//!
//! Nothing here knows where a [`Snapshot`] comes from or writes to a terminal: snapshots and keys come in, lines come out. Start
//! at [`LiveView`].

mod rows;
mod snapshot;
mod ui;
mod view;

pub use snapshot::Snapshot;
pub use view::{LiveView, Scene};
