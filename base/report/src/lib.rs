//! How naja speaks to people: terminal width and colour, tables, flame graphs, HTML pages.
//!
//! This crate knows no tool and no Python.

pub mod answer;
mod columns;
pub mod flame;
mod page;
pub mod pprof;
mod protobuf;
mod short_path;
pub mod sources;
pub mod speedscope;
pub mod text;

pub use columns::Columns;
pub use page::{Page, escape};
pub use short_path::short_path;
