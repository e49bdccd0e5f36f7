//! Python's objects as the values of a statement: what each is decides which call of the sink it becomes.

use naja_sql::{Sink, days_of};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyFloat,
    PyInt, PyList, PyMemoryView, PyString, PyTime, PyTimeAccess, PyTuple, PyTzInfo, PyTzInfoAccess,
};

const SECOND_US: i64 = 1_000_000;
const DAY_S: i64 = 86_400;

/// More dimensions than the array of any engine has.
const DIMENSIONS_MAX: usize = 6;

/// Why an object cannot be sent.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No database has such values; a sentence that says what it is.
    Unsupported(String),
    /// What the object itself raised, such as a text with a lone surrogate.
    Raised(PyErr),
}

impl Refused {
    #[allow(dead_code)] // for tables that are made for dictionaries
    /// As the plainest exception, with the place of the value before it: ``parameter `name` ``.
    pub(crate) fn exception(self, place: &str) -> PyErr {
        match self {
            Refused::Unsupported(what) => PyTypeError::new_err(format!("{place}: {what}")),
            Refused::Raised(error) => Python::attach(|py| {
                let shown = PyValueError::new_err(format!("{place}: {}", error.value(py)));
                shown.set_cause(py, Some(error));
                shown
            }),
        }
    }
}

impl From<PyErr> for Refused {
    fn from(error: PyErr) -> Refused {
        Refused::Raised(error)
    }
}

/// Tells `sink` one value: None, numbers, text, bytes, days and times, `timedelta`, Decimal, UUID, addresses of
/// `ipaddress`, and lists or tuples of them, which are arrays.
///
/// Errors: what cannot be sent; of a list, some elements may have been told by then, so that the row is to be dropped.
pub(crate) fn give(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    if let Ok(text) = object.cast::<PyString>() {
        sink.text(text.to_str()?);
    } else if object.is_none() {
        sink.null();
    } else if let Ok(number) = object.cast::<PyInt>() {
        match object.cast::<PyBool>() {
            Ok(value) => sink.boolean(value.is_true()),
            Err(_) => integer(number, sink)?,
        }
    } else if let Ok(number) = object.cast::<PyFloat>() {
        sink.real(number.value());
    } else if let Ok(bytes) = object.cast::<PyBytes>() {
        sink.bytes(bytes.as_bytes());
    } else {
        return rarer(object, sink, 0);
    }
    Ok(())
}

#[allow(dead_code)] // for tables that are made for dictionaries
/// Tells `sink` an object as the JSON document that `json.dumps` makes of it.
///
/// Errors: what `json.dumps` raises.
pub(crate) fn give_json(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    static DUMPS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let py = object.py();
    let dumps = DUMPS.get_or_try_init(py, || PyResult::Ok(py.import("json")?.getattr("dumps")?.unbind()))?;
    let text = dumps.bind(py).call1((object,))?.cast_into::<PyString>().map_err(PyErr::from)?;
    sink.json(text.to_str()?);
    Ok(())
}

fn integer(number: &Bound<'_, PyInt>, sink: &mut dyn Sink) -> Result<(), Refused> {
    match number.extract::<i64>() {
        Ok(value) => sink.integer(value),
        // A `numeric` holds it; for what does not, the server says so.
        Err(_) => sink.decimal(number.str()?.to_str()?),
    }
    Ok(())
}

fn rarer(object: &Bound<'_, PyAny>, sink: &mut dyn Sink, depth: usize) -> Result<(), Refused> {
    // A moment is a day as well.
    if let Ok(value) = object.cast::<PyDateTime>() {
        return moment(value, sink);
    }
    if let Ok(day) = object.cast::<PyDate>() {
        sink.date(day.get_year(), day.get_month(), day.get_day());
    } else if let Ok(value) = object.cast::<PyTime>() {
        let (offset_s, _) = offset(value.get_tzinfo(), value.as_any())?.unzip();
        sink.time(
            value.get_hour(),
            value.get_minute(),
            value.get_second(),
            value.get_microsecond(),
            offset_s,
        );
    } else if let Ok(delta) = object.cast::<PyDelta>() {
        let microseconds = i64::from(delta.get_seconds()) * SECOND_US + i64::from(delta.get_microseconds());
        sink.interval(0, delta.get_days(), microseconds);
    } else if let Ok(list) = object.cast::<PyList>() {
        return array(list.len(), list.iter(), sink, depth);
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        return array(tuple.len(), tuple.iter(), sink, depth);
    } else if let Ok(bytes) = object.cast::<PyByteArray>() {
        sink.bytes(&bytes.to_vec());
    } else if object.is_instance_of::<PyMemoryView>() {
        let bytes = object.call_method0(intern!(object.py(), "tobytes"))?;
        sink.bytes(bytes.cast::<PyBytes>().map_err(PyErr::from)?.as_bytes());
    } else if is_of(object, "decimal", &["Decimal"])? {
        decimal(object, sink)?;
    } else if is_of(object, "uuid", &["UUID"])? {
        let number: u128 = object.getattr(intern!(object.py(), "int"))?.extract()?;
        sink.uuid(number.to_be_bytes());
    } else if is_of(
        object,
        "ipaddress",
        &["IPv4Address", "IPv6Address", "IPv4Network", "IPv6Network", "IPv4Interface", "IPv6Interface"],
    )? {
        sink.text(object.str()?.to_str()?);
    } else if let Ok(number) = object.call_method0(intern!(object.py(), "__index__")) {
        // Whole numbers of numpy and their like.
        integer(number.cast::<PyInt>().map_err(PyErr::from)?, sink)?;
    } else {
        return Err(unsupported(object));
    }
    Ok(())
}

#[cold]
fn unsupported(object: &Bound<'_, PyAny>) -> Refused {
    let name = object.get_type().name().map_or_else(|_| "object".to_owned(), |name| name.to_string());
    let hint = if object.is_instance_of::<PyDict>() { "; `json.dumps` makes text of it" } else { "" };
    Refused::Unsupported(format!("a value of type '{name}' cannot be stored{hint}"))
}

fn moment(value: &Bound<'_, PyDateTime>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let days = days_of(value.get_year(), value.get_month(), value.get_day()).unwrap_or_default();
    let seconds = i64::from(value.get_hour()) * 3600
        + i64::from(value.get_minute()) * 60
        + i64::from(value.get_second());
    let clock = (days * DAY_S + seconds) * SECOND_US + i64::from(value.get_microsecond());
    match offset(value.get_tzinfo(), value.as_any())? {
        // Zones with a fraction of a second are allowed to Python alone: the fraction moves into the clock.
        Some((offset_s, rest_us)) => sink.moment(clock - i64::from(rest_us), Some(offset_s)),
        None => sink.moment(clock, None),
    }
    Ok(())
}

/// How far the zone of a moment or a time is ahead of UTC: whole seconds, and microseconds beyond them.
fn offset(
    zone: Option<Bound<'_, PyTzInfo>>,
    object: &Bound<'_, PyAny>,
) -> Result<Option<(i32, i32)>, Refused> {
    let py = object.py();
    let Some(zone) = zone else { return Ok(None) };
    if zone.is(PyTzInfo::utc(py)?) {
        return Ok(Some((0, 0)));
    }
    let offset = object.call_method0(intern!(py, "utcoffset"))?;
    if offset.is_none() {
        return Ok(None);
    }
    let offset = offset.cast::<PyDelta>().map_err(PyErr::from)?;
    // Less than a day either way, as Python sees to.
    Ok(Some((offset.get_days() * 86_400 + offset.get_seconds(), offset.get_microseconds())))
}

fn decimal(object: &Bound<'_, PyAny>, sink: &mut dyn Sink) -> Result<(), Refused> {
    let text = object.str()?;
    let text = text.to_str()?;
    // A signalling NaN and one with a payload are NaN to a database.
    sink.decimal(if text.contains("NaN") { "NaN" } else { text });
    Ok(())
}

fn array<'py>(
    length: usize,
    elements: impl Iterator<Item = Bound<'py, PyAny>>,
    sink: &mut dyn Sink,
    depth: usize,
) -> Result<(), Refused> {
    if depth == DIMENSIONS_MAX {
        return Err(Refused::Unsupported(format!(
            "a list with more than {DIMENSIONS_MAX} dimensions cannot be stored"
        )));
    }
    sink.array(length);
    let mut told = 0;
    for element in elements {
        if element.is_instance_of::<PyList>() || element.is_instance_of::<PyTuple>() {
            rarer(&element, sink, depth + 1)?;
        } else {
            give(&element, sink)?;
        }
        told += 1;
    }
    if told == length {
        Ok(())
    } else {
        Err(Refused::Unsupported("a list that changes while it is read".to_owned()))
    }
}

/// Whether an object is of one of the classes of a module; nobody has one who has not imported the module.
pub(crate) fn is_of(object: &Bound<'_, PyAny>, module: &str, classes: &[&str]) -> PyResult<bool> {
    let py = object.py();
    let modules = py.import(intern!(py, "sys"))?.getattr(intern!(py, "modules"))?;
    let Some(module) = modules.cast::<PyDict>()?.get_item(module)? else { return Ok(false) };
    for class in classes {
        if object.is_instance(&module.getattr(*class)?)? {
            return Ok(true);
        }
    }
    Ok(false)
}
