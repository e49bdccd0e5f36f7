//! What goes wrong, as Python's exceptions.

use naja_db::tables::NameError;
use pyo3::exceptions::{PyMemoryError, PyValueError};
use pyo3::prelude::*;

use super::links::Fault;

/// The database's error as an exception that `make`, `_errors.make` of the package, gives: it knows whether the program
/// uses SQLAlchemy and expects its classes.
pub(super) fn raised(py: Python<'_>, make: &Py<PyAny>, error: &Fault, statement: Option<&str>) -> PyErr {
    if error.is_of_memory() {
        return PyMemoryError::new_err(error.to_string());
    }
    made(py, make, error.class(), &error.to_string(), statement, error.sqlstate())
}

/// An exception of a class by its name; `sqlstate` is a server's code.
pub(super) fn made(
    py: Python<'_>,
    make: &Py<PyAny>,
    class: &str,
    message: &str,
    statement: Option<&str>,
    sqlstate: Option<&str>,
) -> PyErr {
    match make.bind(py).call1((class, message, statement, sqlstate)) {
        Ok(exception) => PyErr::from_value(exception),
        Err(error) => error,
    }
}

/// A name that cannot be used is a `ValueError`, as in the original.
pub(super) fn bad_name(error: &NameError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
