//! What goes wrong, as Python's exceptions.

use naja_db::tables::{Dialect, NameError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// An exception of a class by its name, that `make`, `_errors.make` of the package, gives: it knows whether the program
/// uses SQLAlchemy and expects its classes. `sqlstate` is a server's code.
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

/// The code of an error that a server would have had, where it was noticed before the server was asked.
pub(super) fn code_of(dialect: Dialect, class: &str) -> Option<&'static str> {
    if dialect == Dialect::Sqlite {
        return None;
    }
    match class {
        "DataError" => Some("22000"),
        "IntegrityError" => Some("23000"),
        "ProgrammingError" => Some("42000"),
        "OperationalError" | "InterfaceError" | "DatabaseError" => Some("08000"),
        _ => None,
    }
}

/// A name that cannot be used is a `ValueError`, as in the original.
pub(super) fn bad_name(error: &NameError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
