//! Errors and results as Python sees them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::exceptions::{PyAssertionError, PyException};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};

use super::classes::classes;
use super::failure::{Problem, index_of};

/// What an error says: as this crate found it, and as Python's objects once somebody asks.
#[derive(Default)]
struct Said {
    problems: Vec<Problem>,
    messages: Option<Py<PyList>>,
    by_key: Option<Py<PyDict>>,
}

/// The part of `typesystem.base.BaseError` that makes its messages only when they are read.
#[pyclass(extends = PyException, subclass, frozen, module = "naja._native.db.validation")]
pub(crate) struct ErrorBase {
    said: Mutex<Said>,
}

impl ErrorBase {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was said before ends when the lock is free again: the end of an object may run anything.
    fn replace(&self, said: Said) {
        let old = std::mem::replace(&mut *self.said(), said);
        drop(old);
    }

    pub(super) fn set_problems(&self, problems: Vec<Problem>) {
        self.replace(Said { problems, ..Said::default() });
    }
}

/// Puts a text at the end of a path of nested dictionaries. Where a text is in the way, it becomes the dictionary's own.
fn insert<'py>(
    by_key: &Bound<'py, PyDict>,
    path: &[Bound<'py, PyAny>],
    text: &Bound<'py, PyAny>,
) -> PyResult<()> {
    let itself = PyString::intern(by_key.py(), "");
    let Some((last, outer)) = path.split_last() else { return by_key.set_item(itself, text) };
    let mut place = by_key.clone();
    for key in outer {
        let there = place.get_item(key)?;
        place = match there.as_ref().and_then(|there| there.cast::<PyDict>().ok()) {
            Some(inner) => inner.clone(),
            None => {
                let inner = PyDict::new(by_key.py());
                if let Some(text) = &there {
                    inner.set_item(&itself, text)?;
                }
                place.set_item(key, &inner)?;
                inner
            }
        };
    }
    place.set_item(last, text)
}

/// A message of Python's, with the attributes that its class gives it.
fn message_of<'py>(py: Python<'py>, problem: &Problem) -> PyResult<Bound<'py, PyAny>> {
    let classes = classes(py)?;
    let message = classes.object_new.bind(py).call1(classes.new_message.bind(py))?;
    message.setattr(intern!(py, "text"), &problem.text)?;
    message.setattr(intern!(py, "code"), &problem.code)?;
    message.setattr(intern!(py, "index"), index_of(py, problem)?)?;
    message.setattr(intern!(py, "start_position"), py.None())?;
    message.setattr(intern!(py, "end_position"), py.None())?;
    Ok(message)
}

#[pymethods]
impl ErrorBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { said: Mutex::default() }
    }

    /// The messages, as objects of Python.
    #[getter(_messages)]
    fn messages<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let problems: Vec<Problem> = {
            let said = self.said();
            if let Some(messages) = &said.messages {
                return Ok(messages.bind(py).clone());
            }
            said.problems.iter().map(|problem| problem.clone_ref(py)).collect()
        };
        let messages = PyList::empty(py);
        for problem in &problems {
            messages.append(message_of(py, problem)?)?;
        }
        Ok(self.said().messages.get_or_insert_with(|| messages.unbind()).bind(py).clone())
    }

    /// Takes messages that Python made.
    #[setter(_messages)]
    fn set_messages(&self, messages: Bound<'_, PyAny>) -> PyResult<()> {
        let messages = match messages.cast_exact::<PyList>() {
            Ok(list) => list.clone(),
            Err(_) => PyList::new(messages.py(), messages.try_iter()?.collect::<PyResult<Vec<_>>>()?)?,
        };
        self.replace(Said { messages: Some(messages.unbind()), ..Said::default() });
        Ok(())
    }

    /// The texts by key, nested as the value is.
    #[getter(_message_dict)]
    fn by_key<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (messages, problems) = {
            let said = self.said();
            if let Some(by_key) = &said.by_key {
                return Ok(by_key.bind(py).clone());
            }
            let messages = said.messages.as_ref().map(|messages| messages.bind(py).clone());
            let problems: Vec<Problem> = said.problems.iter().map(|problem| problem.clone_ref(py)).collect();
            (messages, problems)
        };
        let by_key = PyDict::new(py);
        match messages {
            Some(messages) => {
                for message in messages {
                    let path: Vec<Bound<'_, PyAny>> = message.getattr("index")?.extract()?;
                    insert(&by_key, &path, &message.getattr("text")?)?;
                }
            }
            None => {
                for problem in &problems {
                    let path: Vec<Bound<'_, PyAny>> =
                        problem.path.iter().rev().map(|key| key.bind(py).clone()).collect();
                    insert(&by_key, &path, problem.text.bind(py))?;
                }
            }
        }
        Ok(self.said().by_key.get_or_insert_with(|| by_key.unbind()).bind(py).clone())
    }

    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.by_key(py)?.call_method0(intern!(py, "keys"))
    }

    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.by_key(py)?.call_method0(intern!(py, "values"))
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.by_key(py)?.call_method0(intern!(py, "items"))
    }

    #[pyo3(signature = (key, default=None))]
    fn get<'py>(
        &self,
        key: &Bound<'py, PyAny>,
        default: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        Ok(self.by_key(key.py())?.get_item(key)?.or(default))
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(self.by_key(py)?.len())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.by_key(py)?.try_iter()
    }

    fn __getitem__<'py>(&self, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.by_key(key.py())?.as_any().get_item(key)
    }

    fn __contains__(&self, key: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.by_key(key.py())?.contains(key)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Never waits: whoever holds the lock is not collecting garbage.
        let Ok(said) = self.said.try_lock() else { return Ok(()) };
        visit.call(&said.messages)?;
        visit.call(&said.by_key)?;
        for problem in &said.problems {
            visit.call(&problem.text)?;
            visit.call(&problem.code)?;
            for key in &problem.path {
                visit.call(key)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        self.replace(Said::default());
    }
}

/// A value or an error: `value, error = field.validate_or_error(data)`.
#[pyclass(subclass, module = "naja.typesystem.base")]
pub(crate) struct ValidationResult {
    /// The checked value; `None` where there is an error.
    #[pyo3(get, set)]
    value: Py<PyAny>,
    /// Why there is none.
    #[pyo3(get, set)]
    error: Py<PyAny>,
}

impl ValidationResult {
    pub(super) fn of_value(value: Bound<'_, PyAny>) -> Self {
        let error = value.py().None();
        Self { value: value.unbind(), error }
    }

    pub(super) fn of_error(error: Bound<'_, PyAny>) -> Self {
        let value = error.py().None();
        Self { value, error: error.unbind() }
    }
}

#[pymethods]
impl ValidationResult {
    #[new]
    #[pyo3(signature = (*, value=None, error=None))]
    fn new(py: Python<'_>, value: Option<Py<PyAny>>, error: Option<Py<PyAny>>) -> PyResult<Self> {
        if value.is_some() && error.is_some() {
            return Err(PyAssertionError::new_err("a result has a value or an error"));
        }
        Ok(Self { value: value.unwrap_or_else(|| py.None()), error: error.unwrap_or_else(|| py.None()) })
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        PyTuple::new(py, [self.value.bind(py), self.error.bind(py)])?.try_iter()
    }

    fn __bool__(&self, py: Python<'_>) -> bool {
        self.error.is_none(py)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let (this, py) = (slf.borrow(), slf.py());
        let (name, shown) =
            if this.error.is_none(py) { ("value", &this.value) } else { ("error", &this.error) };
        Ok(format!("{}({name}={})", slf.get_type().name()?, shown.bind(py).repr()?))
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>, Bound<'py, PyTuple>)> {
        let (this, py) = (slf.borrow(), slf.py());
        let state = PyTuple::new(py, [this.value.bind(py), this.error.bind(py)])?;
        Ok((slf.get_type().into_any(), PyTuple::empty(py), state))
    }

    fn __setstate__(&mut self, state: (Py<PyAny>, Py<PyAny>)) {
        (self.value, self.error) = state;
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.value)?;
        visit.call(&self.error)
    }
}
