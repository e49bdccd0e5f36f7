//! `dateutil.parser.isoparser`.

use naja_dates::iso::{self, Zone};
use naja_dates::{Error, calendar};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyDate, PyDateTime, PyString, PyTime, PyTzInfo};

use crate::parse::noted;
use crate::zones;

/// The bytes of a text in ASCII.
enum Ascii<'py> {
    Text(Bound<'py, PyString>),
    Bytes(Bound<'py, PyBytes>),
    Copied(Vec<u8>),
}

impl<'py> Ascii<'py> {
    #[inline]
    fn from_object(object: &Bound<'py, PyAny>) -> PyResult<Ascii<'py>> {
        if let Ok(text) = object.cast_exact::<PyString>() {
            return Ok(Ascii::Text(text.clone()));
        }
        Ascii::from_other(object)
    }

    fn from_other(object: &Bound<'py, PyAny>) -> PyResult<Ascii<'py>> {
        let read = object.getattr_opt(intern!(object.py(), "read"))?;
        let object = read.map_or_else(|| Ok(object.clone()), |read| read.call0())?;
        let object = match object.cast_into::<PyString>() {
            Ok(text) => return Ok(Ascii::Text(text)),
            Err(error) => error.into_inner(),
        };
        let object = match object.cast_into::<PyBytes>() {
            Ok(bytes) => return Ok(Ascii::Bytes(bytes)),
            Err(error) => error.into_inner(),
        };
        match object.cast::<PyByteArray>() {
            Ok(bytes) => Ok(Ascii::Copied(bytes.to_vec())),
            Err(_) => Err(PyTypeError::new_err(format!(
                "ISO-8601 text must be a string, bytes or a stream, not {}",
                object.get_type().name()?
            ))),
        }
    }

    #[inline]
    fn bytes(&self) -> PyResult<&[u8]> {
        match self {
            Ascii::Text(text) => match text.to_str() {
                Ok(text) if text.is_ascii() => Ok(text.as_bytes()),
                _ => Err(not_ascii(text)),
            },
            Ascii::Bytes(bytes) => Ok(bytes.as_bytes()),
            Ascii::Copied(bytes) => Ok(bytes),
        }
    }
}

/// The original's exception: its cause says where the character is.
fn not_ascii(text: &Bound<'_, PyString>) -> PyErr {
    let py = text.py();
    let error = PyValueError::new_err("ISO-8601 strings should contain only ASCII characters");
    error.set_cause(py, text.call_method1(intern!(py, "encode"), ("ascii",)).err());
    error
}

/// The original's exception, and a note that shows where in the text.
#[cold]
fn raised(py: Python<'_>, text: &[u8], error: Error) -> PyErr {
    noted(py, original(py, text, error), iso::shown(text, &error))
}

/// What Python says of a part that the calendar does not have, and a note that shows where in the text.
#[cold]
fn refused(py: Python<'_>, text: &[u8], error: PyErr) -> PyErr {
    let shown = iso::shown_part(text, &error.value(py).to_string());
    noted(py, error, shown)
}

fn original(py: Python<'_>, text: &[u8], error: Error) -> PyErr {
    match error {
        Error::OutOfRange => PyOverflowError::new_err(error.to_string()),
        Error::Digits { expected, at } => {
            let end = text.len().min(at + usize::from(expected));
            let found = text.get(at..end).unwrap_or_default();
            match std::str::from_utf8(found).ok().filter(|found| found.is_ascii()) {
                Some(found) => PyString::new(py, found).repr().map_or_else(
                    |error| error,
                    |found| PyValueError::new_err(format!("Expected {expected} digits, got {found}")),
                ),
                None => PyBytes::new(py, found)
                    .call_method1("decode", ("ascii",))
                    .map_or_else(|error| error, |_| PyValueError::new_err(error.to_string())),
            }
        }
        _ => PyValueError::new_err(error.to_string()),
    }
}

#[inline]
fn zone_object<'py>(py: Python<'py>, zone: Zone) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
    match zone {
        Zone::None => Ok(None),
        Zone::Utc => zones::utc(py).cloned().map(Some),
        Zone::Offset(seconds) => zones::offset(py, seconds).map(Some),
    }
}

#[inline]
fn datetime<'py>(text: &Bound<'py, PyAny>, separator: Option<u8>) -> PyResult<Bound<'py, PyDateTime>> {
    let py = text.py();
    let text = Ascii::from_object(text)?;
    let bytes = text.bytes()?;
    let ((year, month, day), time) =
        iso::datetime(bytes, separator).map_err(|error| raised(py, bytes, error))?;
    let zone = zone_object(py, time.zone)?;
    if time.hour == 24 {
        return next_midnight(py, (year, month, day), zone.as_ref())
            .map_err(|error| refused(py, bytes, error));
    }
    PyDateTime::new(
        py,
        year,
        month,
        day,
        time.hour,
        time.minute,
        time.second,
        time.microsecond,
        zone.as_ref(),
    )
    .map_err(|error| refused(py, bytes, error))
}

/// 24:00 of a day.
fn next_midnight<'py>(
    py: Python<'py>,
    (year, month, day): iso::Day,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyDateTime>> {
    // Makes the day itself, for the exception where there is no such day.
    PyDate::new(py, year, month, day)?;
    let ordinal = calendar::ordinal(year.into(), month.into(), day.into());
    let (year, month, day) = calendar::from_ordinal(ordinal + 1)
        .ok_or_else(|| PyOverflowError::new_err(Error::OutOfRange.to_string()))?;
    let small = |value: i64| u8::try_from(value).expect("a month or a day");
    let year = i32::try_from(year).expect("at most 9999");
    PyDateTime::new(py, year, small(month), small(day), 0, 0, 0, 0, zone)
}

/// Parse a date and time of ISO 8601, from a string, bytes or a stream.
#[pyfunction]
fn isoparse<'py>(dt_str: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDateTime>> {
    datetime(dt_str, None)
}

/// A parser for ISO 8601; `sep` is the one character that separates date and time, any without it.
#[pyclass(name = "isoparser", module = "naja.dateutil.parser.isoparser", subclass, dict, weakref)]
#[derive(Default)]
struct IsoParser {
    separator: Option<u8>,
}

#[pymethods]
impl IsoParser {
    #[new]
    #[pyo3(signature = (sep=None))]
    fn new(sep: Option<&str>) -> PyResult<IsoParser> {
        let separator = match sep {
            None => None,
            Some(text) => match *text.as_bytes() {
                [byte] if byte.is_ascii() && !byte.is_ascii_digit() => Some(byte),
                _ => {
                    return Err(PyValueError::new_err(
                        "Separator must be a single, non-numeric ASCII character",
                    ));
                }
            },
        };
        Ok(IsoParser { separator })
    }

    /// Parse a date and time.
    fn isoparse<'py>(&self, dt_str: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDateTime>> {
        datetime(dt_str, self.separator)
    }

    /// Parse a date alone.
    fn parse_isodate<'py>(&self, datestr: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDate>> {
        let py = datestr.py();
        let text = Ascii::from_object(datestr)?;
        let bytes = text.bytes()?;
        let ((year, month, day), end) = iso::day(bytes).map_err(|error| raised(py, bytes, error))?;
        if end < bytes.len() {
            let whole = PyBytes::new(py, bytes).call_method1("decode", ("ascii",))?.repr()?;
            return Err(PyValueError::new_err(format!("String contains unknown ISO components: {whole}")));
        }
        PyDate::new(py, year, month, day).map_err(|error| refused(py, bytes, error))
    }

    /// Parse a time of day alone.
    fn parse_isotime<'py>(&self, timestr: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyTime>> {
        let py = timestr.py();
        let text = Ascii::from_object(timestr)?;
        let bytes = text.bytes()?;
        let time = iso::time(bytes).map_err(|error| raised(py, bytes, error))?;
        let zone = zone_object(py, time.zone)?;
        let hour = if time.hour == 24 { 0 } else { time.hour };
        PyTime::new(py, hour, time.minute, time.second, time.microsecond, zone.as_ref())
    }

    /// Parse an offset from UTC alone.
    #[pyo3(signature = (tzstr, zero_as_utc=true))]
    fn parse_tzstr<'py>(
        &self,
        tzstr: &Bound<'py, PyAny>,
        zero_as_utc: bool,
    ) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
        let py = tzstr.py();
        let text = Ascii::from_object(tzstr)?;
        let bytes = text.bytes()?;
        zone_object(py, iso::zone(bytes, zero_as_utc).map_err(|error| raised(py, bytes, error))?)
    }

    #[getter(_sep)]
    fn separator<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.separator.map(|byte| PyBytes::new(py, &[byte]))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Option<char>,))> {
        Ok((slf.get_type().into_any(), (slf.try_borrow()?.separator.map(char::from),)))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<IsoParser>()?;
    module.add_function(wrap_pyfunction!(isoparse, module)?)
}
