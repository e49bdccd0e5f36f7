//! The entries of a dictionary that may change while they are read.

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::dict::BoundDictIterator;
use pyo3::types::{PyDict, PyDictMethods};

/// Goes through a dictionary; where it grows or shrinks on the way there is Python's own error.
pub(super) struct Entries<'py> {
    dict: Bound<'py, PyDict>,
    entries: BoundDictIterator<'py>,
    count: usize,
    left: usize,
}

impl<'py> Entries<'py> {
    pub(super) fn of(dict: &Bound<'py, PyDict>) -> Self {
        let count = dict.len();
        Self { dict: dict.clone(), entries: dict.iter(), count, left: count }
    }

    /// The next key and its value.
    pub(super) fn next(&mut self) -> PyResult<Option<(Bound<'py, PyAny>, Bound<'py, PyAny>)>> {
        if self.dict.len() != self.count {
            return Err(PyRuntimeError::new_err("dictionary changed size during iteration"));
        }
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(self.entries.next())
    }
}

/// A dictionary of any mapping: itself, or a copy of what stands in it now.
pub(super) fn as_dict<'py>(mapping: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    match mapping.cast_exact::<PyDict>() {
        Ok(dict) => Ok(dict.clone()),
        Err(_) => {
            let copy = PyDict::new(mapping.py());
            for entry in mapping.call_method0("items")?.try_iter()? {
                let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = entry?.extract()?;
                copy.set_item(key, value)?;
            }
            Ok(copy)
        }
    }
}
