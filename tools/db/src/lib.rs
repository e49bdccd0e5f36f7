//! Databases for lazy people: what `naja.dataset` and its kin do, without Python.
//!
//! Nothing here opens a connection or prints: names, types and the SQL of a table's life are made here, and the values
//! are the caller's. Start at [`tables`].

pub mod tables;
