//! Samples running Python programs, without stopping them; their report and their page.

pub mod page;
pub mod view;
