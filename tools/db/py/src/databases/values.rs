//! Values that leave the interpreter with a job: copies, since the worker must not touch Python's objects.

use naja_sql::sqlite::Value;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDelta, PyDeltaAccess, PyDict, PyFloat, PyInt, PyString, PyType};

use super::hub::Hub;
use crate::sqlite::values::{self, Refusal, Taken};

/// A value of a job.
#[derive(Debug)]
pub(super) enum Owned {
    Null,
    Integer(i64),
    Real(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
}

impl Owned {
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Owned::Null => Value::Null,
            Owned::Integer(value) => Value::Integer(*value),
            Owned::Real(value) => Value::Real(*value),
            Owned::Text(text) => Value::Text(text),
            Owned::Bytes(bytes) => Value::Bytes(bytes),
        }
    }
}

impl From<Taken<'_>> for Owned {
    fn from(taken: Taken<'_>) -> Owned {
        match taken {
            Taken::OwnText(text) => Owned::Text(text.into()),
            Taken::OwnBytes(bytes) => Owned::Bytes(bytes.into()),
            other => match other.value() {
                Value::Null => Owned::Null,
                Value::Integer(value) => Owned::Integer(value),
                Value::Real(value) => Owned::Real(value),
                Value::Text(text) => Owned::Text(text.into()),
                Value::Bytes(bytes) => Owned::Bytes(bytes.into()),
            },
        }
    }
}

/// The value of a name in SQL text: as SQLAlchemy writes values whose type it has guessed.
pub(super) fn of_text(hub: &Hub, object: &Bound<'_, PyAny>, number: usize) -> PyResult<Owned> {
    let is_common = object.is_instance_of::<PyString>()
        || object.is_none()
        || object.is_instance_of::<PyInt>()
        || object.is_instance_of::<PyFloat>()
        || object.is_instance_of::<PyBytes>();
    let taken = if is_common { values::as_it_is(object) } else { rarer(object) };
    taken.map(Owned::from).map_err(|refusal| refused(hub, object.py(), refusal, number))
}

/// A value that SQLAlchemy has prepared, or that goes to the driver as it is.
pub(super) fn as_it_is(hub: &Hub, object: &Bound<'_, PyAny>, number: usize) -> PyResult<Owned> {
    values::as_it_is(object).map(Owned::from).map_err(|refusal| refused(hub, object.py(), refusal, number))
}

fn rarer<'py>(object: &Bound<'py, PyAny>) -> Result<Taken<'py>, Refusal> {
    let py = object.py();
    if let Ok(delta) = object.cast::<PyDelta>() {
        return Ok(Taken::OwnText(interval(delta)?));
    }
    if is_of(py, object, intern!(py, "decimal"), intern!(py, "Decimal"))? {
        // Decimal has `__float__`, and SQLite has no decimals.
        return Ok(Taken::Real(object.call_method0(intern!(py, "__float__"))?.extract::<f64>()?));
    }
    if is_of(py, object, intern!(py, "uuid"), intern!(py, "UUID"))? {
        let text = object.getattr(intern!(py, "hex"))?.cast_into::<PyString>().map_err(PyErr::from)?;
        return Ok(Taken::Text(text));
    }
    values::for_filter(object)
}

/// A stretch of time as SQLAlchemy stores it: a moment, counted from 1970.
fn interval(delta: &Bound<'_, PyDelta>) -> PyResult<String> {
    let py = delta.py();
    let epoch = py.import(intern!(py, "datetime"))?.getattr(intern!(py, "datetime"))?.call1((1970, 1, 1))?;
    let moment = epoch.add(delta)?;
    let text = moment.call_method1(intern!(py, "strftime"), ("%m-%d %H:%M:%S",))?;
    let year: i32 = moment.getattr(intern!(py, "year"))?.extract()?;
    Ok(format!("{year:04}-{}.{:06}", text.cast::<PyString>()?.to_str()?, delta.get_microseconds()))
}

/// Whether an object is of a class whose module nobody may have loaded.
fn is_of<'py>(
    py: Python<'py>,
    object: &Bound<'py, PyAny>,
    module: &Bound<'py, PyString>,
    class: &Bound<'py, PyString>,
) -> PyResult<bool> {
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    match modules.cast::<PyDict>()?.get_item(module)? {
        Some(module) => object.is_instance(module.getattr(class)?.cast::<PyType>()?),
        None => Ok(false),
    }
}

fn refused(hub: &Hub, py: Python<'_>, refusal: Refusal, number: usize) -> PyErr {
    match refusal {
        Refusal::Unsupported(text) => {
            hub.error(py, "ProgrammingError", &format!("Error binding parameter {number}: {text}"), 21)
        }
        other => values::plain(other),
    }
}
