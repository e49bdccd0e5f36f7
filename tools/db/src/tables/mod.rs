//! Tables that make themselves: their names, the types of their columns, and the SQL that is run for them.
//!
//! Names come from users and are quoted wherever they stand in SQL; values never stand in it. Start at
//! [`statement`]; [`filter`] says which rows are meant.

pub mod dialect;
mod error;
pub mod filter;
pub mod kind;
pub mod names;
pub mod parameters;
pub mod statement;

pub use dialect::Dialect;
pub use error::NameError;
pub use kind::Kind;
