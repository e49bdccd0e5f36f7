//! How naja speaks to people: terminal width and colour, tables, small graphs, HTML pages.
//!
//! This crate knows no tool and no Python.

pub mod answer;
mod page;
pub mod screen;
pub mod text;

pub use page::{Page, escape};
