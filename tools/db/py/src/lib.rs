//! Databases for Python: what `naja.dataset` and its kin are made of.
//!
//! Everything here converts, calls the core and raises the original's exceptions. Each module has a `register` that
//! adds its names to `naja._native.db`. Start at [`register`].

use pyo3::prelude::*;

mod databases;
mod files;
mod objects;
mod orm;
mod sqlite;
mod tables;
mod tls;
mod validation;

/// Adds the submodule `db` to the extension module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let db = PyModule::new(module.py(), "db")?;
    databases::register(&db)?;
    files::register(&db)?;
    orm::register(&db)?;
    tables::register(&db)?;
    validation::register(&db)?;
    module.add_submodule(&db)
}
