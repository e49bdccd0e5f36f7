//! Values of a row as Python's objects: a sink that makes them.

use naja_sql::{Sink, day_of};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyBool, PyBytes, PyDate, PyDateTime, PyDelta, PyDict, PyFloat, PyInt, PyList, PyString, PyTime, PyTuple,
    PyTzInfo,
};

use super::columns::{Columns, Nature};

const SECOND_US: i64 = 1_000_000;
const DAY_US: i64 = 86_400 * SECOND_US;

/// What becomes of a JSON document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Documents {
    /// Its text, as asyncpg gives it.
    AsText,
    /// What `json.loads` makes of it, as psycopg gives it.
    Parsed,
}

/// What drivers make of the same value differently.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) documents: Documents,
    /// A float of 32 bits is what its bits are (0.10000000149011612, as asyncpg gives it), and not the number with the
    /// same shortest digits (0.1).
    pub(crate) singles_are_exact: bool,
}

/// Makes the objects of one row after the other.
pub(crate) struct Objects<'a, 'py> {
    py: Python<'py>,
    columns: &'a Columns,
    manner: Manner,
    made: Vec<Bound<'py, PyAny>>,
    /// Arrays whose elements are still coming, the outermost first, each with how many it will have.
    open: Vec<(usize, Vec<Bound<'py, PyAny>>)>,
    failed: Option<PyErr>,
}

impl<'a, 'py> Objects<'a, 'py> {
    /// For rows with these columns.
    pub(crate) fn new(py: Python<'py>, columns: &'a Columns, manner: Manner) -> Objects<'a, 'py> {
        let made = Vec::with_capacity(columns.len());
        Objects { py, columns, manner, made, open: Vec::new(), failed: None }
    }

    /// The row whose values were told, as a tuple; the next one may come.
    ///
    /// Errors: `ValueError` that names the column for a value that Python has no object for, such as a day before
    /// the year 1.
    pub(crate) fn tuple(&mut self) -> PyResult<Bound<'py, PyTuple>> {
        self.checked()?;
        PyTuple::new(self.py, self.made.drain(..))
    }

    #[allow(dead_code)] // for tables that are made for dictionaries
    /// The values of the row that were told, for whoever makes another object of them; the next one may come.
    ///
    /// Errors: as [`Objects::tuple`].
    pub(crate) fn values(&mut self) -> PyResult<std::vec::Drain<'_, Bound<'py, PyAny>>> {
        self.checked()?;
        Ok(self.made.drain(..))
    }

    /// Throws away what was told of a row that does not come to its end.
    pub(crate) fn forget(&mut self) {
        self.made.clear();
        self.open.clear();
        self.failed = None;
    }

    fn checked(&mut self) -> PyResult<()> {
        match self.failed.take() {
            Some(error) => {
                self.forget();
                Err(error)
            }
            None => Ok(()),
        }
    }

    fn nature(&self) -> Nature {
        self.columns.natures.get(self.made.len()).copied().unwrap_or(Nature::Other)
    }

    fn put(&mut self, object: Bound<'py, PyAny>) {
        if self.open.is_empty() {
            self.made.push(object);
        } else {
            self.put_into_array(object);
        }
    }

    #[cold]
    fn put_into_array(&mut self, object: Bound<'py, PyAny>) {
        let mut object = object;
        while let Some((length, mut elements)) = self.open.pop() {
            elements.push(object);
            if elements.len() < length {
                self.open.push((length, elements));
                return;
            }
            match PyList::new(self.py, elements) {
                Ok(list) => object = list.into_any(),
                Err(error) => {
                    self.fail(error);
                    object = self.py.None().into_bound(self.py);
                }
            }
        }
        self.made.push(object);
    }

    fn put_or_fail(&mut self, object: PyResult<Bound<'py, PyAny>>) {
        match object {
            Ok(object) => self.put(object),
            Err(error) => {
                self.fail(error);
                // The row is lost; its other values still count.
                self.put(self.py.None().into_bound(self.py));
            }
        }
    }

    #[cold]
    fn fail(&mut self, error: PyErr) {
        if self.failed.is_some() {
            return;
        }
        let py = self.py;
        let name = self.columns.name(py, self.made.len());
        let shown =
            PyValueError::new_err(format!("column `{name}` has no object in Python: {}", error.value(py)));
        shown.set_cause(py, Some(error));
        self.failed = Some(shown);
    }
}

impl Sink for Objects<'_, '_> {
    fn null(&mut self) {
        self.put(self.py.None().into_bound(self.py));
    }

    fn boolean(&mut self, value: bool) {
        self.put(PyBool::new(self.py, value).to_owned().into_any());
    }

    fn integer(&mut self, value: i64) {
        self.put(PyInt::new(self.py, value).into_any());
    }

    fn unsigned(&mut self, value: u64) {
        self.put(PyInt::new(self.py, value).into_any());
    }

    fn real(&mut self, value: f64) {
        let is_exact = self.manner.singles_are_exact && self.nature() == Nature::Single;
        let value = if is_exact { f64::from(value as f32) } else { value };
        self.put(PyFloat::new(self.py, value).into_any());
    }

    fn decimal(&mut self, digits: &str) {
        let made = decimal_class(self.py).and_then(|class| class.call1((digits,)));
        self.put_or_fail(made);
    }

    fn text(&mut self, text: &str) {
        self.put(PyString::new(self.py, text).into_any());
    }

    fn json(&mut self, text: &str) {
        match self.manner.documents {
            Documents::AsText => self.text(text),
            Documents::Parsed => {
                let made = json_loads(self.py).and_then(|loads| loads.call1((text,)));
                self.put_or_fail(made);
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.put(PyBytes::new(self.py, bytes).into_any());
    }

    fn date(&mut self, year: i32, month: u8, day: u8) {
        self.put_or_fail(PyDate::new(self.py, year, month, day).map(Bound::into_any));
    }

    fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
        let made = zone(self.py, offset_s).and_then(|zone| {
            PyTime::new(self.py, hour, minute, second, microsecond, zone.as_ref()).map(Bound::into_any)
        });
        self.put_or_fail(made);
    }

    fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
        let (year, month, day) = day_of(microseconds.div_euclid(DAY_US));
        let of_day = microseconds.rem_euclid(DAY_US);
        let seconds = of_day / SECOND_US;
        let made = zone(self.py, offset_s).and_then(|zone| {
            // Each is below 60, or a million, by construction.
            let (hour, minute, second) =
                ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8);
            let microsecond = (of_day % SECOND_US) as u32;
            PyDateTime::new(self.py, year, month, day, hour, minute, second, microsecond, zone.as_ref())
                .map(Bound::into_any)
        });
        self.put_or_fail(made);
    }

    fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        // As drivers count where Python has no months: 365 days a year, 30 a month.
        let days = i64::from(months / 12) * 365
            + i64::from(months % 12) * 30
            + i64::from(days)
            + microseconds.div_euclid(DAY_US);
        let of_day = microseconds.rem_euclid(DAY_US);
        // Seconds and microseconds of one day fit.
        let (seconds, rest) = ((of_day / SECOND_US) as i32, (of_day % SECOND_US) as i32);
        let made = i32::try_from(days)
            .map_err(|_| PyValueError::new_err(format!("{days} days")))
            .and_then(|days| PyDelta::new(self.py, days, seconds, rest, true).map(Bound::into_any));
        self.put_or_fail(made);
    }

    fn uuid(&mut self, bytes: [u8; 16]) {
        let py = self.py;
        let made = uuid_class(py).and_then(|class| {
            let named = PyDict::new(py);
            named.set_item(intern!(py, "int"), u128::from_be_bytes(bytes))?;
            class.call((), Some(&named))
        });
        self.put_or_fail(made);
    }

    fn array(&mut self, length: usize) {
        if length == 0 {
            self.put(PyList::empty(self.py).into_any());
        } else {
            self.open.push((length, Vec::new()));
        }
    }

    fn infinite(&mut self, positive: bool) {
        let made = infinity(self.py, self.nature(), positive);
        self.put_or_fail(made);
    }
}

/// The first or the last of Python's days and moments.
fn infinity<'py>(py: Python<'py>, nature: Nature, positive: bool) -> PyResult<Bound<'py, PyAny>> {
    let end = if positive { intern!(py, "max") } else { intern!(py, "min") };
    match nature {
        Nature::Day => py.get_type::<PyDate>().getattr(end),
        Nature::Moment => py.get_type::<PyDateTime>().getattr(end),
        Nature::ZonedMoment => {
            let named = PyDict::new(py);
            named.set_item(intern!(py, "tzinfo"), PyTzInfo::utc(py)?)?;
            py.get_type::<PyDateTime>().getattr(end)?.call_method(intern!(py, "replace"), (), Some(&named))
        }
        Nature::Single | Nature::Other => Err(PyValueError::new_err("infinity")),
    }
}

fn zone<'py>(py: Python<'py>, offset_s: Option<i32>) -> PyResult<Option<Bound<'py, PyTzInfo>>> {
    match offset_s {
        None => Ok(None),
        Some(0) => Ok(Some(PyTzInfo::utc(py)?.to_owned())),
        Some(offset_s) => Ok(Some(PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, offset_s, 0, true)?)?)),
    }
}

pub(super) fn decimal_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class =
        CLASS.get_or_try_init(py, || PyResult::Ok(py.import("decimal")?.getattr("Decimal")?.unbind()))?;
    Ok(class.bind(py))
}

pub(super) fn uuid_class(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || PyResult::Ok(py.import("uuid")?.getattr("UUID")?.unbind()))?;
    Ok(class.bind(py))
}

fn json_loads(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOADS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let loads = LOADS.get_or_try_init(py, || PyResult::Ok(py.import("json")?.getattr("loads")?.unbind()))?;
    Ok(loads.bind(py))
}
