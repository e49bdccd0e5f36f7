//! The commands of this tool: `naja view` and `naja sql`. `naja run` is composed in the program itself.

pub mod query;
pub mod view;
