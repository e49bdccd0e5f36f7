//! Databases for lazy people: what `naja.dataset` and its kin do, without Python.
//!
//! Nothing here opens a connection or prints: the SQL of a table's life is made here, and the values are the caller's.
