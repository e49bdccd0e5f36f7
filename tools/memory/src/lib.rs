//! Every allocation of a program, and what they come to.
//!
//! An agent in the program tells of each ([`wire`]), a [`Receiver`] beside it hears, a [`Recorder`] writes, and
//! [`Tallies`] count, while it happens or out of the recording.

mod addresses;
#[cfg_attr(not(target_arch = "x86_64"), path = "attach_elsewhere.rs")]
pub mod attach;
pub mod capture;
pub mod command;
pub mod conditions;
mod decode;
mod events;
pub mod export;
pub mod heap;
#[doc(hidden)]
pub mod hostile;
pub mod lifetimes;
pub mod live;
mod lives;
mod native;
mod page;
mod receive;
mod recorder;
pub mod report;
pub mod report_text;
mod resident;
mod stacks;
mod tally;
pub mod wire;

pub use receive::{Event, Heard, Receiver, Settings, What};
pub use recorder::{Detail, Recorder};
pub use stacks::Stacks;
pub use tally::Tallies;
