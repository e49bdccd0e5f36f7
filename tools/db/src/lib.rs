//! Databases for lazy people: what `naja.dataset` and its kin do, without Python.
//!
//! Names, types and the SQL of a table's life are made in [`tables`], the rows of files are read in [`files`];
//! [`database`] brings both to an engine, and [`command`] alone prints. Start at [`tables`].

pub mod command;
pub mod database;
pub mod files;
#[doc(hidden)]
pub mod hostile;
pub mod orm;
pub mod tables;
pub mod validation;
