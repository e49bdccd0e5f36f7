//! SQLite, by a copy of the library that is already loaded into the process.
//!
//! Two copies on one file lose data silently, since each drops the other's locks when it closes (measured in
//! `docs/design/databases.md`). So this crate brings none and links none: [`Library`] finds the functions of the copy
//! that somebody else has loaded, and everything goes through it.
//!
//! A statement is not a value of its own but a place in its [`Connection`]: whoever may use the statement may use the
//! connection, so that SQLite's own locks are not needed. Start at [`Library::of_module`] and [`Connection::open`].

mod connection;
mod driver;
mod error;
mod extension;
mod functions;
mod library;
mod program;
mod rows;
mod value;

pub use connection::{Connection, How, StatementId};
pub use error::{Category, Error, Result};
pub use functions::{Aggregate, Answer, Body, Collation, Definition, Refusal, Running, Scalar};
pub use library::{Library, NotFound};
pub use rows::{Cell, Rows};
pub use value::Value;
