//! Rows as the original's `Record`.

use std::sync::Arc;

use pyo3::exceptions::{PyAttributeError, PyIndexError, PyKeyError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt, PyIterator, PySlice, PyString, PyTuple};

use super::plan::Shape;

/// A row: values by the names, places and columns that they have; iterating gives the names.
#[pyclass(frozen, module = "naja.databases.backends.common.records")]
pub(super) struct Record {
    pub(super) values: Py<PyTuple>,
    pub(super) shape: Arc<Shape>,
}

/// The same row as a mapping; iterating gives the values, as in the original.
#[pyclass(frozen, name = "Row", module = "naja.databases.backends.common.records")]
pub(super) struct RowMapping {
    pub(super) values: Py<PyTuple>,
    pub(super) shape: Arc<Shape>,
}

fn find<'py>(
    py: Python<'py>,
    shape: &Shape,
    values: &Py<PyTuple>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let values = values.bind(py);
    values.get_item(place(shape, values.len(), key)?)
}

/// What is made of a value that is asked for: of numbers and texts what the column's type says.
fn processed<'py>(
    shape: &Shape,
    values: &Py<PyTuple>,
    key: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = key.py();
    let values = values.bind(py);
    let place = place(shape, values.len(), key)?;
    let raw = values.get_item(place)?;
    let Some(processor) = shape.lazy.as_ref().and_then(|lazy| lazy.bind(py).get_item(place).ok()) else {
        return Ok(raw);
    };
    let is_plain =
        raw.is_instance_of::<PyInt>() || raw.is_instance_of::<PyString>() || raw.is_instance_of::<PyFloat>();
    if processor.is_none() || !is_plain { Ok(raw) } else { processor.call1((raw,)) }
}

/// The place of a value by its name, its number or its column.
fn place(shape: &Shape, length: usize, key: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = key.py();
    if key.is_instance_of::<PyString>() {
        return match shape.by_name.bind(py).get_item(key)? {
            Some(place) => place.extract(),
            None => Err(PyKeyError::new_err((key.clone().unbind(),))),
        };
    }
    if key.is_instance_of::<PyInt>() {
        let place: isize = key.extract().unwrap_or(isize::MAX);
        let place = if place < 0 { place.checked_add_unsigned(length).unwrap_or(-1) } else { place };
        return match usize::try_from(place) {
            Ok(place) if place < length => Ok(place),
            _ => Err(PyIndexError::new_err("tuple index out of range")),
        };
    }
    if key.is_instance_of::<PySlice>() {
        return Err(pyo3::exceptions::PyTypeError::new_err(
            "a record has no slices; take one of its `values()`",
        ));
    }
    // A column of SQLAlchemy's, which is called `table.column`.
    if let Some(others) = &shape.others
        && let Some(place) = others.bind(py).get_item(key.str()?)?
    {
        return place.extract();
    }
    Err(PyKeyError::new_err((key.clone().unbind(),)))
}

#[pymethods]
impl Record {
    #[getter]
    fn _mapping(&self, py: Python<'_>) -> RowMapping {
        RowMapping { values: self.values.clone_ref(py), shape: self.shape.clone() }
    }

    #[getter]
    fn _row(&self, py: Python<'_>) -> RowMapping {
        self._mapping(py)
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shape.keys(py)
    }

    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.values.bind(py).clone()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        processed(&self.shape, &self.values, key)
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        let py = name.py();
        processed(&self.shape, &self.values, name.as_any()).map_err(|error| {
            if error.is_instance_of::<PyKeyError>(py) {
                PyAttributeError::new_err((name.clone().unbind(),))
            } else {
                error
            }
        })
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.shape.names.bind(py).try_iter()
    }

    fn __reversed__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import(intern!(py, "builtins"))?.getattr(intern!(py, "reversed"))?.call1((self.values.bind(py),))
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.values.bind(py).len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.shape.names.bind(key.py()).contains(key)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let pairs: Vec<String> = self
            .shape
            .names
            .bind(py)
            .iter()
            .zip(self.values.bind(py).iter())
            .map(|(name, value)| Ok(format!("{}={}", name.str()?, value.repr()?)))
            .collect::<PyResult<_>>()?;
        Ok(format!("<Record {}>", pairs.join(" ")))
    }
}

#[pymethods]
impl RowMapping {
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.shape.keys(py)
    }

    fn values<'py>(&self, py: Python<'py>) -> Bound<'py, PyTuple> {
        self.values.bind(py).clone()
    }

    fn items<'py>(&self, py: Python<'py>) -> Vec<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
        self.shape.names.bind(py).iter().zip(self.values.bind(py).iter()).collect()
    }

    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match find(key.py(), &self.shape, &self.values, key) {
            Err(error) if error.is_instance_of::<PyKeyError>(key.py()) => Ok(default),
            found => found.map(Some),
        }
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        find(key.py(), &self.shape, &self.values, key)
    }

    fn __getattr__<'py>(&self, name: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        find(name.py(), &self.shape, &self.values, name)
            .map_err(|_| PyAttributeError::new_err((name.clone().unbind(),)))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.values.bind(py).try_iter()
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.values.bind(py).len()
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.shape.names.bind(key.py()).contains(key)
    }

    fn __eq__<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<bool> {
        let py = other.py();
        match other.cast::<RowMapping>() {
            Ok(other) => self.values.bind(py).eq(other.get().values.bind(py)),
            Err(_) => self.values.bind(py).eq(other),
        }
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.values.bind(py).hash()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(self.values.bind(py).repr()?.to_str()?.to_owned())
    }
}
