//! Which values are the same: `True` is not 1, and lists and objects have no hash of their own.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyList, PyString, PyTuple};

use super::depth::Level;

/// Objects that are equal to nothing else.
struct Marks {
    yes: Py<PyAny>,
    no: Py<PyAny>,
    list: Py<PyAny>,
    dict: Py<PyAny>,
    other: Py<PyAny>,
}

static MARKS: PyOnceLock<Marks> = PyOnceLock::new();

fn marks(py: Python<'_>) -> PyResult<&'static Marks> {
    MARKS.get_or_try_init(py, || {
        let object = py.import("builtins")?.getattr("object")?;
        let mark = || object.call0().map(Bound::unbind);
        Ok(Marks { yes: mark()?, no: mark()?, list: mark()?, dict: mark()?, other: mark()? })
    })
}

/// Something with a hash, equal for equal values alone. Objects are equal where their keys come in the same order.
#[pyfunction]
pub(super) fn make_hashable<'py>(element: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = element.py();
    if element.is_exact_instance_of::<PyString>() {
        return Ok(element.clone());
    }
    if let Ok(truth) = element.cast::<PyBool>() {
        let marks = marks(py)?;
        return Ok(if truth.is_true() { &marks.yes } else { &marks.no }.bind(py).clone());
    }
    if let Ok(list) = element.cast::<PyList>() {
        let _level = Level::enter(py)?;
        let mut items = vec![marks(py)?.list.bind(py).clone()];
        for item in list {
            items.push(make_hashable(&item)?);
        }
        return Ok(PyTuple::new(py, items)?.into_any());
    }
    if let Ok(dict) = element.cast::<PyDict>() {
        let _level = Level::enter(py)?;
        let mut items = vec![marks(py)?.dict.bind(py).clone()];
        let mut entries = super::entries::Entries::of(dict);
        while let Some((key, value)) = entries.next()? {
            items.push(make_hashable(&key)?);
            items.push(make_hashable(&value)?);
        }
        return Ok(PyTuple::new(py, items)?.into_any());
    }
    if element.hash().is_err() {
        // Nothing tells what it is equal to: itself.
        return Ok((marks(py)?.other.bind(py), element.as_ptr() as usize).into_pyobject(py)?.into_any());
    }
    Ok(element.clone())
}

/// Whether two values are the same.
pub(super) fn is_same(one: &Bound<'_, PyAny>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    if one.is(other) {
        return Ok(true);
    }
    if one.is_exact_instance_of::<PyString>() && other.is_exact_instance_of::<PyString>() {
        return one.eq(other);
    }
    make_hashable(one)?.eq(make_hashable(other)?)
}
