//! What goes wrong, as Python's exceptions.

use naja_db::tables::NameError;
use naja_sql::sqlite::{Category, Error};
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

use crate::sqlite::errors::class_of;

/// SQLite's error as an exception that `make`, `_errors.make` of the package, gives: it knows whether the program
/// uses SQLAlchemy and expects its classes.
pub(super) fn raised(py: Python<'_>, make: &Py<PyAny>, error: &Error, statement: Option<&str>) -> PyErr {
    if error.category() == Category::Memory {
        return PyMemoryError::new_err(error.message.clone());
    }
    made(py, make, class_of(error), &error.message, statement)
}

/// An exception of a class by its name.
pub(super) fn made(
    py: Python<'_>,
    make: &Py<PyAny>,
    class: &str,
    message: &str,
    statement: Option<&str>,
) -> PyErr {
    match make.bind(py).call1((class, message, statement)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// A name that cannot be used is a `ValueError`, as in the original.
pub(super) fn bad_name(error: &NameError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
