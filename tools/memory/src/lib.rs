//! Every allocation of a program, and what they come to.
//!
//! An agent in the program tells of each ([`wire`]), a [`Receiver`] beside it hears, a [`Recorder`] writes, and
//! [`Tallies`] count, while it happens or out of the recording.

mod addresses;
#[cfg(target_arch = "x86_64")]
pub mod attach;
pub mod capture;
pub mod command;
mod decode;
pub mod lifetimes;
mod receive;
mod recorder;
pub mod report;
pub mod report_text;
mod stacks;
mod tally;
pub mod wire;

pub use receive::{Event, Heard, Receiver, Settings, What};
pub use recorder::{Detail, Recorder};
pub use stacks::Stacks;
pub use tally::Tallies;
