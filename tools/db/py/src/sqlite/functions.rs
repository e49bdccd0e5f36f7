//! Functions in Python that statements call.
//!
//! They are called by the thread that runs the statement, which takes the interpreter for each call. What one raises ends the
//! statement; the exception is kept by the thread until [`cause`] is asked for it.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::sync::Arc;

use naja_db::tables::Kind;
use naja_sql::sqlite::{
    Aggregate, Answer, Body, Cell, Collation, Definition, Refusal, Running, Scalar, Value,
};
use pyo3::exceptions::{PyMemoryError, PyOverflowError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyString, PyTuple};

use super::objects::object;
use super::values::{as_it_is, plain};

thread_local! {
    /// What a function raised in the last statement of this thread.
    static RAISED: RefCell<Option<PyErr>> = const { RefCell::new(None) };
}

/// What a function has raised since this was asked last: why a statement of this thread failed, if it did.
pub(crate) fn cause() -> Option<PyErr> {
    // A thread that is ending runs no statements.
    RAISED.try_with(RefCell::take).ok().flatten()
}

/// A function of the values of a row, as `sqlite3` defines it; `None` takes it away.
///
/// Errors: `TypeError` for what cannot be called
pub(crate) fn scalar(
    name: String,
    arguments: i32,
    function: &Bound<'_, PyAny>,
    is_deterministic: bool,
) -> PyResult<Definition> {
    let body = match called(function)? {
        Some(function) => Body::Scalar(Arc::new(Function(function))),
        None => Body::NoFunction,
    };
    Ok(Definition { name, arguments, is_deterministic, body })
}

/// A function of many rows, by a class with the methods `step` and `finalize`; `None` takes it away.
///
/// Errors: `TypeError` for what cannot be called
pub(crate) fn aggregate(name: String, arguments: i32, class: &Bound<'_, PyAny>) -> PyResult<Definition> {
    let body = match called(class)? {
        Some(class) => Body::Aggregate(Arc::new(Class(class))),
        None => Body::NoFunction,
    };
    Ok(Definition { name, arguments, is_deterministic: false, body })
}

/// An order of texts, by a function of two that gives a number below, at or above zero; `None` takes it away.
///
/// Errors: `TypeError` for what cannot be called
pub(crate) fn collation(name: String, function: &Bound<'_, PyAny>) -> PyResult<Definition> {
    let body = match called(function)? {
        Some(function) => Body::Collation(Arc::new(Order(function))),
        None => Body::NoCollation,
    };
    Ok(Definition { name, arguments: 0, is_deterministic: true, body })
}

fn called(function: &Bound<'_, PyAny>) -> PyResult<Option<Py<PyAny>>> {
    match function.is_callable() {
        true => Ok(Some(function.clone().unbind())),
        false if function.is_none() => Ok(None),
        false => Err(PyTypeError::new_err("parameter must be callable")),
    }
}

struct Function(Py<PyAny>);
struct Class(Py<PyAny>);
struct Instance(Py<PyAny>);
struct Order(Py<PyAny>);

impl Scalar for Function {
    fn call(&self, arguments: &[Cell<'_>]) -> Result<Answer, Refusal> {
        in_python("user-defined function raised exception", |py| {
            let function = self.0.bind(py);
            // Most have one argument or two, for which no tuple has to be made.
            let given = match arguments {
                [one] => function.call1((value(py, one)?,)),
                [one, other] => function.call1((value(py, one)?, value(py, other)?)),
                all => function.call1(tuple(py, all)?),
            };
            answer(&given?)
        })
    }
}

impl Aggregate for Class {
    fn start(&self) -> Result<Box<dyn Running>, Refusal> {
        in_python("user-defined aggregate's '__init__' method raised error", |py| {
            let instance: Box<dyn Running> = Box::new(Instance(self.0.call0(py)?));
            Ok(instance)
        })
    }
}

impl Running for Instance {
    fn step(&mut self, arguments: &[Cell<'_>]) -> Result<(), Refusal> {
        in_python("user-defined aggregate's 'step' method raised error", |py| {
            self.0.bind(py).call_method1(intern!(py, "step"), tuple(py, arguments)?).map(drop)
        })
    }

    fn finish(self: Box<Self>) -> Result<Answer, Refusal> {
        in_python("user-defined aggregate's 'finalize' method raised error", |py| {
            answer(&self.0.bind(py).call_method0(intern!(py, "finalize"))?)
        })
    }
}

impl Collation for Order {
    fn compare(&self, one: &[u8], other: &[u8]) -> Result<Ordering, Refusal> {
        in_python("user-defined collation raised exception", |py| {
            let texts = (PyString::from_bytes(py, one)?, PyString::from_bytes(py, other)?);
            let order = self.0.bind(py).call1(texts)?;
            order.cast::<PyInt>()?.as_any().compare(0)
        })
    }
}

/// Runs something of the program's own with the interpreter; what it raises is kept.
fn in_python<T>(words: &str, work: impl FnOnce(Python<'_>) -> PyResult<T>) -> Result<T, Refusal> {
    let done = Python::try_attach(|py| {
        work(py).map_err(|error| {
            let refusal = if error.is_instance_of::<PyMemoryError>(py) {
                Refusal::NoMemory
            } else if error.is_instance_of::<PyOverflowError>(py) {
                Refusal::TooBig
            } else {
                Refusal::Failed(words.to_owned())
            };
            // What was raised first has ended the statement.
            RAISED.with_borrow_mut(|raised| {
                raised.get_or_insert(error);
            });
            refusal
        })
    });
    done.unwrap_or_else(|| Err(Refusal::Failed("the interpreter is ending".to_owned())))
}

fn tuple<'py>(py: Python<'py>, arguments: &[Cell<'_>]) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, arguments.iter().map(|cell| value(py, cell)).collect::<PyResult<Vec<_>>>()?)
}

fn value<'py>(py: Python<'py>, cell: &Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
    object(py, *cell, Kind::Any)
}

fn answer(value: &Bound<'_, PyAny>) -> PyResult<Answer> {
    Ok(match as_it_is(value).map_err(plain)?.value() {
        Value::Null => Answer::Null,
        Value::Integer(value) => Answer::Integer(value),
        Value::Real(value) => Answer::Real(value),
        Value::Text(text) => Answer::Text(text.to_owned()),
        Value::Bytes(bytes) => Answer::Bytes(bytes.to_vec()),
    })
}
