//! Values as Python's objects.

use naja_db::tables::Kind;
use naja_sql::sqlite::Cell;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyBytes, PyDate, PyDateTime, PyFloat, PyInt, PyString, PyTime};

/// A value as an object of the kind that its column has.
pub(crate) fn object<'py>(py: Python<'py>, cell: Cell<'_>, kind: Kind) -> PyResult<Bound<'py, PyAny>> {
    match (kind, cell) {
        (_, Cell::Null) => Ok(py.None().into_bound(py)),
        (Kind::Boolean, Cell::Integer(value)) => Ok(PyBool::new(py, value != 0).to_owned().into_any()),
        (Kind::Decimal(scale), Cell::Integer(_) | Cell::Real(_)) => decimal(py, cell, scale),
        (Kind::DateTime, Cell::Text(text)) => moment(py, text),
        (Kind::Date, Cell::Text(text)) => day(py, text),
        (Kind::Time, Cell::Text(text)) => time(py, text),
        (Kind::Json, Cell::Text(_) | Cell::Integer(_) | Cell::Real(_)) => {
            // A document that is a number comes back as one, since the column keeps numbers as such.
            let text = match cell {
                Cell::Text(text) => PyString::from_bytes(py, text)?.into_any(),
                number => plain(py, number)?.str()?.into_any(),
            };
            json_loads(py)?.call1((text,))
        }
        (_, cell) => plain(py, cell),
    }
}

fn plain<'py>(py: Python<'py>, cell: Cell<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match cell {
        Cell::Null => py.None().into_bound(py),
        Cell::Integer(value) => PyInt::new(py, value).into_any(),
        Cell::Real(value) => PyFloat::new(py, value).into_any(),
        Cell::Text(text) => PyString::from_bytes(py, text)?.into_any(),
        Cell::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
    })
}

fn decimal<'py>(py: Python<'py>, cell: Cell<'_>, scale: Option<u8>) -> PyResult<Bound<'py, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS
        .get_or_try_init(py, || PyResult::Ok(py.import("decimal")?.getattr("Decimal")?.unbind()))?
        .bind(py);
    let text = match (cell, scale.map(usize::from)) {
        (Cell::Integer(value), None | Some(0)) => value.to_string(),
        (Cell::Integer(value), Some(scale)) => format!("{value}.{}", "0".repeat(scale)),
        // The shortest digits that mean this number. SQLAlchemy gives ten digits after the point, whatever is there.
        (Cell::Real(value), None) => value.to_string(),
        (Cell::Real(value), Some(scale)) => format!("{value:.scale$}"),
        _ => return plain(py, cell),
    };
    class.call1((text,))
}

fn moment<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let parsed =
        date_of(text).zip(text.get(11..).and_then(time_of)).filter(|_| matches!(text[10], b' ' | b'T'));
    if let Some(((year, month, day), (hour, minute, second, microsecond))) = parsed {
        let made = PyDateTime::new(py, year, month, day, hour, minute, second, microsecond, None);
        return Ok(made?.into_any());
    }
    by_python(py, "datetime", text)
}

fn day<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match date_of(text).filter(|_| text.len() == 10) {
        Some((year, month, day)) => Ok(PyDate::new(py, year, month, day)?.into_any()),
        None => by_python(py, "date", text),
    }
}

fn time<'py>(py: Python<'py>, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    match time_of(text) {
        Some((hour, minute, second, microsecond)) => {
            Ok(PyTime::new(py, hour, minute, second, microsecond, None)?.into_any())
        }
        None => by_python(py, "time", text),
    }
}

/// Other forms than the one that is written here, as whatever else filled the table may have them.
fn by_python<'py>(py: Python<'py>, class: &str, text: &[u8]) -> PyResult<Bound<'py, PyAny>> {
    let text = PyString::from_bytes(py, text)?;
    py.import(intern!(py, "datetime"))?.getattr(class)?.call_method1(intern!(py, "fromisoformat"), (text,))
}

/// `2011-01-02` at the start.
fn date_of(text: &[u8]) -> Option<(i32, u8, u8)> {
    let text = text.get(..10)?;
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    let year = i32::from(two(&text[0..2])?) * 100 + i32::from(two(&text[2..4])?);
    Some((year, two(&text[5..7])?, two(&text[8..10])?))
}

/// `12:34:56`, or with `.123456`.
fn time_of(text: &[u8]) -> Option<(u8, u8, u8, u32)> {
    let is_whole = text.len() == 8;
    if !(is_whole || text.len() == 15 && text[8] == b'.') || text[2] != b':' || text[5] != b':' {
        return None;
    }
    let mut fraction = 0;
    if !is_whole {
        for pair in text[9..].chunks(2) {
            fraction = fraction * 100 + u32::from(two(pair)?);
        }
    }
    Some((two(&text[0..2])?, two(&text[3..5])?, two(&text[6..8])?, fraction))
}

fn two(digits: &[u8]) -> Option<u8> {
    match digits {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some((a - b'0') * 10 + (b - b'0')),
        _ => None,
    }
}

fn json_loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.get_or_try_init(py, || PyResult::Ok(py.import("json")?.getattr("loads")?.unbind()))?;
    Ok(loads.bind(py))
}
