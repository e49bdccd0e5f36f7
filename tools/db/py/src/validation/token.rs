//! Values with their places in a text: what `typesystem.tokenize` makes of JSON and YAML.

use pyo3::exceptions::PyNotImplementedError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString};
use rustc_hash::FxHashMap;

use super::depth::Level;
use super::document::place_in;

static POSITION: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

/// A value and where it stands. Its subclasses say what the value is.
#[pyclass(subclass, frozen, name = "Token", module = "naja.typesystem.tokenize.tokens")]
pub(crate) struct Token {
    value: Py<PyAny>,
    start: isize,
    end: isize,
    content: Py<PyString>,
}

/// A token whose value is one scalar.
#[pyclass(extends = Token, subclass, frozen, name = "ScalarToken", module = "naja.typesystem.tokenize.tokens")]
pub(crate) struct ScalarToken;

/// A token of an object: a dictionary from tokens to tokens.
#[pyclass(extends = Token, subclass, frozen, name = "DictToken", module = "naja.typesystem.tokenize.tokens")]
pub(crate) struct DictToken {
    /// The tokens of keys and of values, by key; made when one is looked up.
    tables: PyOnceLock<(Py<PyDict>, Py<PyDict>)>,
}

/// A token of a list of tokens.
#[pyclass(extends = Token, subclass, frozen, name = "ListToken", module = "naja.typesystem.tokenize.tokens")]
pub(crate) struct ListToken;

impl Token {
    pub(super) fn new(
        value: Bound<'_, PyAny>,
        start: usize,
        end: usize,
        content: &Bound<'_, PyString>,
    ) -> Self {
        let content = content.clone().unbind();
        Self { value: value.unbind(), start: start as isize, end: end as isize, content }
    }

    fn position<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        let (line, column) = place_in(self.content.bind(py), index.max(-1))?;
        let position = POSITION.get_or_try_init(py, || {
            py.import("naja.typesystem.base")?.getattr("Position").map(Bound::unbind)
        })?;
        position.bind(py).call1((line, column, index))
    }
}

pub(super) fn scalar<'py>(token: Token, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, PyClassInitializer::from(token).add_subclass(ScalarToken))?.into_any())
}

pub(super) fn list<'py>(token: Token, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    Ok(Bound::new(py, PyClassInitializer::from(token).add_subclass(ListToken))?.into_any())
}

pub(super) fn dict<'py>(token: Token, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
    let tables = DictToken { tables: PyOnceLock::new() };
    Ok(Bound::new(py, PyClassInitializer::from(token).add_subclass(tables))?.into_any())
}

/// The plain values of tokens. A token that several places share, as aliases of YAML do, has one value.
#[derive(Default)]
struct Plain<'py> {
    known: FxHashMap<usize, Bound<'py, PyAny>>,
}

impl<'py> Plain<'py> {
    fn of(&mut self, token: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = token.py();
        if token.is_exact_instance_of::<ScalarToken>() {
            return Ok(token.cast::<Token>()?.get().value.bind(py).clone());
        }
        let is_list = token.is_exact_instance_of::<ListToken>();
        if !is_list && !token.is_exact_instance_of::<DictToken>() {
            return token.call_method0("_get_value");
        }
        if let Some(known) = self.known.get(&(token.as_ptr() as usize)) {
            return Ok(known.clone());
        }
        let _level = Level::enter(py)?;
        let held = token.cast::<Token>()?.get().value.bind(py);
        let plain = if is_list {
            let plain = PyList::empty(py);
            for item in held.try_iter()? {
                plain.append(self.of(&item?)?)?;
            }
            plain.into_any()
        } else {
            let plain = PyDict::new(py);
            for entry in held.call_method0("items")?.try_iter()? {
                let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = entry?.extract()?;
                plain.set_item(self.of(&key)?, self.of(&value)?)?;
            }
            plain.into_any()
        };
        self.known.insert(token.as_ptr() as usize, plain.clone());
        Ok(plain)
    }
}

#[pymethods]
impl Token {
    #[new]
    #[pyo3(signature = (value, start_index, end_index, content=None))]
    fn py_new(
        value: Py<PyAny>,
        start_index: isize,
        end_index: isize,
        content: Option<Bound<'_, PyString>>,
        py: Python<'_>,
    ) -> Self {
        let content = content.unwrap_or_else(|| PyString::intern(py, ""));
        Self { value, start: start_index, end: end_index, content: content.unbind() }
    }

    #[getter]
    fn _value<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.value.bind(py).clone()
    }

    #[getter]
    fn _start_index(&self) -> isize {
        self.start
    }

    #[getter]
    fn _end_index(&self) -> isize {
        self.end
    }

    #[getter]
    fn _content<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.content.bind(py).clone()
    }

    fn _get_value(&self) -> PyResult<Py<PyAny>> {
        Err(PyNotImplementedError::new_err(()))
    }

    fn _get_child_token(&self, _key: Py<PyAny>) -> PyResult<Py<PyAny>> {
        Err(PyNotImplementedError::new_err(()))
    }

    fn _get_key_token(&self, _key: Py<PyAny>) -> PyResult<Py<PyAny>> {
        Err(PyNotImplementedError::new_err(()))
    }

    /// The text of the value.
    #[getter]
    fn string<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let content = self.content.bind(py);
        content.as_any().get_item(pyo3::types::PySlice::new(py, self.start, self.end + 1, 1))
    }

    /// The value as plain Python has it.
    #[getter]
    fn value<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.call_method0("_get_value")
    }

    /// Where its first character stands.
    #[getter]
    fn start<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().position(slf.py(), slf.get().start)
    }

    /// Where its last character stands.
    #[getter]
    fn end<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.get().position(slf.py(), slf.get().end)
    }

    fn _get_position<'py>(&self, py: Python<'py>, index: isize) -> PyResult<Bound<'py, PyAny>> {
        self.position(py, index)
    }

    /// The token to which the keys of an index lead.
    fn lookup<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let mut token = slf.clone().into_any();
        for key in index.try_iter()? {
            token = token.call_method1("_get_child_token", (key?,))?;
        }
        Ok(token)
    }

    /// The token of the last key of an index.
    fn lookup_key<'py>(slf: &Bound<'py, Self>, index: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let keys: Vec<Bound<'py, PyAny>> = index.try_iter()?.collect::<PyResult<_>>()?;
        let Some((last, outer)) = keys.split_last() else { return index.get_item(-1) };
        let mut token = slf.clone().into_any();
        for key in outer {
            token = token.call_method1("_get_child_token", (key,))?;
        }
        token.call_method1("_get_key_token", (last,))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("{}({})", slf.get_type().name()?, slf.get().string(slf.py())?.repr()?))
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        is_equal(slf, other)
    }
}

fn is_equal(token: &Bound<'_, Token>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
    let Ok(other) = other.cast::<Token>() else { return Ok(false) };
    if token.get().start != other.get().start || token.get().end != other.get().end {
        return Ok(false);
    }
    token.call_method0("_get_value")?.eq(other.call_method0("_get_value")?)
}

#[pymethods]
impl ScalarToken {
    #[new]
    #[pyo3(signature = (value, start_index, end_index, content=None))]
    fn py_new(
        value: Py<PyAny>,
        start_index: isize,
        end_index: isize,
        content: Option<Bound<'_, PyString>>,
        py: Python<'_>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Token::py_new(value, start_index, end_index, content, py)).add_subclass(Self)
    }

    fn _get_value<'py>(slf: &Bound<'py, Self>) -> Bound<'py, PyAny> {
        slf.as_super().get().value.bind(slf.py()).clone()
    }

    fn __hash__(slf: &Bound<'_, Self>) -> PyResult<isize> {
        slf.as_super().get().value.bind(slf.py()).hash()
    }

    fn __eq__(slf: &Bound<'_, Self>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        is_equal(slf.as_super(), other)
    }
}

#[pymethods]
impl DictToken {
    #[new]
    #[pyo3(signature = (value, start_index, end_index, content=None))]
    fn py_new(
        value: Py<PyAny>,
        start_index: isize,
        end_index: isize,
        content: Option<Bound<'_, PyString>>,
        py: Python<'_>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Token::py_new(value, start_index, end_index, content, py))
            .add_subclass(Self { tables: PyOnceLock::new() })
    }

    fn _get_value<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Plain::default().of(slf.as_any())
    }

    #[getter]
    fn _child_keys<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        Ok(tables(slf)?.0.bind(slf.py()).clone())
    }

    #[getter]
    fn _child_tokens<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        Ok(tables(slf)?.1.bind(slf.py()).clone())
    }

    fn _get_child_token<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        tables(slf)?.1.bind(slf.py()).as_any().get_item(key)
    }

    fn _get_key_token<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        tables(slf)?.0.bind(slf.py()).as_any().get_item(key)
    }
}

fn tables<'a>(token: &'a Bound<'_, DictToken>) -> PyResult<&'a (Py<PyDict>, Py<PyDict>)> {
    let py = token.py();
    token.get().tables.get_or_try_init(py, || {
        let (keys, values) = (PyDict::new(py), PyDict::new(py));
        let held = token.as_super().get().value.bind(py);
        for entry in held.call_method0("items")?.try_iter()? {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = entry?.extract()?;
            let name = key.getattr("_value")?;
            keys.set_item(&name, key)?;
            values.set_item(name, value)?;
        }
        Ok((keys.unbind(), values.unbind()))
    })
}

#[pymethods]
impl ListToken {
    #[new]
    #[pyo3(signature = (value, start_index, end_index, content=None))]
    fn py_new(
        value: Py<PyAny>,
        start_index: isize,
        end_index: isize,
        content: Option<Bound<'_, PyString>>,
        py: Python<'_>,
    ) -> PyClassInitializer<Self> {
        PyClassInitializer::from(Token::py_new(value, start_index, end_index, content, py)).add_subclass(Self)
    }

    fn _get_value<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        Plain::default().of(slf.as_any())
    }

    fn _get_child_token<'py>(slf: &Bound<'py, Self>, key: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        slf.as_super().get().value.bind(slf.py()).get_item(key)
    }
}
