//! A connection that only keeps a shared database in memory alive.

use std::sync::{Mutex, PoisonError};

use naja_sql::sqlite::{Connection, How};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::sqlite::library;

/// It is open until `close`, and nothing is ever run in it.
#[pyclass(frozen, module = "naja._native.db")]
pub(super) struct Kept(Mutex<Option<Connection>>);

#[pymethods]
impl Kept {
    #[new]
    fn new(py: Python<'_>, name: String, as_uri: bool) -> PyResult<Kept> {
        let library = library::own(py)?;
        let opened = py.detach(|| Connection::open(library, &name, How { as_uri, ..How::default() }));
        match opened {
            Ok(connection) => Ok(Kept(Mutex::new(Some(connection)))),
            Err(error) => Err(PyRuntimeError::new_err(error.message)),
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
