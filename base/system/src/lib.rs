//! What every part of naja needs from the machine: errors with hints, paths, processes, the clock.
//!
//! This crate knows no Python and no tool. Start at [`Failure`] for errors and at [`Session`] for running a
//! program as if naja were not there.
// System calls are made here; each block says why it is sound.
#![allow(unsafe_code)]

mod background;
pub mod byte_lock;
pub mod c_blocks;
pub mod cache;
pub mod clock;
mod config;
mod failure;
mod files;
mod inherited;
mod interrupts;
pub mod loaded_library;
pub mod machine;
mod notes;
mod package;
mod proc_state;
mod process;
pub mod process_events;
mod project;
mod session;
pub mod shared_memory;
mod signals;
pub mod terminal;
pub mod timer;
mod witness;

pub use background::Background;
pub use config::Settings;
pub use failure::{Failure, Result};
pub use files::{Replacement, replace_file};
pub use interrupts::{Interruption, Interrupts};
pub use notes::Notes;
pub use package::{python_package, shipped_library};
pub use process::{Child, Launch, ask_to_end, is_executable, make_end, release_descriptors, take_descriptor};
pub use project::find_upward;
pub use session::{Ended, NoObserver, Observer, Session, Status};
