//! The commands of this tool, each in a file of its own.

pub mod rule;
pub mod zones;
