//! `naja.dataset`: tables that make themselves.
//!
//! Values are taken out of Python's objects while the interpreter is held, statements run while it is not, and objects
//! are made of the rows afterwards; so no statement ever holds up another thread. Start at [`engine::Engine`], a database,
//! and [`table::Table`]; what an engine has to be able to is [`links::Link`].

mod changes;
mod definition;
mod engine;
mod errors;
mod layout;
mod links;
mod result;
mod rows;
mod selection;
mod sessions;
mod table;
mod taking;
mod values;

use naja_db::tables::names;
use pyo3::prelude::*;

/// The name of a column as it is stored: without blanks around it, and cut to 63 bytes.
///
/// Errors: `ValueError` where nothing is left, or it holds a `.` or a `-`
#[pyfunction]
fn normalize_column_name<'a>(name: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    names::column_name(layout::text_of(name)?).map_err(|error| errors::bad_name(&error))
}

/// What two names have in common that mean the same column; `None` for what is no text.
#[pyfunction]
fn normalize_column_key(name: &Bound<'_, PyAny>) -> Option<String> {
    layout::text_of(name).ok().map(names::column_key)
}

/// The name of a table as it is stored: without blanks around it, and cut to 63 characters.
///
/// Errors: `ValueError` where nothing is left
#[pyfunction]
fn normalize_table_name(name: &Bound<'_, PyAny>) -> PyResult<String> {
    let text: &str = name
        .extract()
        .map_err(|_| pyo3::exceptions::PyValueError::new_err(format!("Invalid table name: {name:?}")))?;
    names::table_name(text).map(str::to_owned).map_err(|error| errors::bad_name(&error))
}

/// The version of the SQLite that Python's `sqlite3` uses, as `3.40.1`.
#[pyfunction]
fn sqlite_version(py: Python<'_>) -> PyResult<&'static str> {
    Ok(crate::sqlite::library::own(py)?.version())
}

/// Adds the classes to `naja._native.db`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add_class::<result::ResultIter>()?;
    module.add_class::<table::Table>()?;
    module.add_function(wrap_pyfunction!(normalize_column_name, module)?)?;
    module.add_function(wrap_pyfunction!(normalize_column_key, module)?)?;
    module.add_function(wrap_pyfunction!(normalize_table_name, module)?)?;
    module.add_function(wrap_pyfunction!(sqlite_version, module)?)
}
