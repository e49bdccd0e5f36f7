//! Runs a project's own pytest, with its plugins and fixtures, in parallel: `naja test`.
//!
//! What happens inside pytest is the Python package `python/naja/testing`, carried in this program and laid into its
//! cache. This crate starts pytest with it, hears what it tells (`event.rs`), and shows it. Start at
//! [`command::test`].

pub mod affected;
pub mod bundle;
pub mod command;
pub mod command_choose;
pub mod command_line;
pub mod command_watch;
pub mod event;
pub mod history;
pub mod progress;
pub mod pytest;
pub mod view;
pub mod watch;
