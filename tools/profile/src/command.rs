//! The commands of this tool: `naja view`, `naja sql`, `naja convert` and `naja top`. `naja run` and `naja record` are
//! composed in the program itself.

pub mod convert;
pub mod query;
pub mod top;
pub mod view;
