//! The commands of this tool: `naja view`, `naja sql` and `naja convert`. `naja run` is composed in the program itself.

pub mod convert;
pub mod dump;
pub mod query;
pub mod view;
