//! The interpreter's own SQLite.

use std::path::PathBuf;
use std::sync::OnceLock;

use naja_sql::sqlite::{Library, NotFound};
use pyo3::intern;
use pyo3::prelude::*;

/// The copy that the module `_sqlite3` uses, looked for once.
///
/// Errors: `ImportError` where Python has no `_sqlite3`, or its library keeps its functions to itself
pub(crate) fn own(py: Python<'_>) -> PyResult<&'static Library> {
    static OWN: OnceLock<Result<Library, NotFound>> = OnceLock::new();
    if OWN.get().is_none() {
        let module = py.import(intern!(py, "_sqlite3"))?;
        let file: Option<PathBuf> =
            module.getattr(intern!(py, "__file__")).and_then(|file| file.extract()).ok();
        // A module without a file is built into the interpreter.
        let found = file.as_deref().map_or_else(Library::of_program, Library::of_module);
        let _ = OWN.set(found);
    }
    match OWN.get() {
        Some(Ok(library)) => Ok(library),
        Some(Err(error)) => Err(refused(&error.to_string())),
        None => Err(refused("it was not looked for")),
    }
}

fn refused(why: &str) -> PyErr {
    pyo3::exceptions::PyImportError::new_err(format!(
        "naja cannot use the SQLite of this Python: {why}. It must be the interpreter's own, since two copies in one \
         process lose data."
    ))
}
