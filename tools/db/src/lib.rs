//! Databases for lazy people: what `naja.dataset` and its kin do, without Python.
//!
//! Names, types and the SQL of a table's life are made here; only [`command`] opens databases and prints. Start at
//! [`tables`].

pub mod command;
pub mod files;
#[doc(hidden)]
pub mod hostile;
pub mod orm;
pub mod place;
pub mod tables;
pub mod validation;
