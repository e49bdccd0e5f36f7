//! A date and time without its zone: from the parts of a text and from the default for the others.

use naja_dates::calendar::{days_in_month, from_ordinal, ordinal, weekday};
use naja_dates::parser::Parsed;
use pyo3::exceptions::{PyOverflowError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyDateAccess, PyDateTime, PyDelta, PyDict, PyModule, PyTimeAccess, PyTzInfo, PyTzInfoAccess,
};

/// What stands in for the parts that a text does not have.
pub(crate) enum Default<'py> {
    /// An ordinary `datetime`.
    Exact(Bound<'py, PyDateTime>),
    /// Midnight of today, or of any day where the text has the whole date.
    Midnight(i32, u8, u8),
    /// A `datetime` of another class, or whatever has `replace`.
    Other(Bound<'py, PyAny>),
}

impl<'py> Default<'py> {
    /// The default as an object.
    pub(crate) fn object(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Default::Exact(object) => Ok(object.clone().into_any()),
            Default::Midnight(..) => midnight_of_today(py),
            Default::Other(object) => Ok(object.clone()),
        }
    }
}

/// The default that was given, or today at midnight.
pub(crate) fn default<'py>(
    py: Python<'py>,
    given: Option<&Bound<'py, PyAny>>,
    parsed: &Parsed,
) -> PyResult<Default<'py>> {
    if let Some(given) = given {
        return Ok(match given.cast_exact::<PyDateTime>() {
            Ok(given) => Default::Exact(given.clone()),
            Err(_) => Default::Other(given.clone()),
        });
    }
    let class = datetime_class(py)?;
    if !class.is(py.get_type::<PyDateTime>()) {
        // A test has put its own clock in place of `datetime.datetime`.
        return midnight_of_today(py).map(Default::Other);
    }
    if parsed.year.is_some() && parsed.month.is_some() && parsed.day.is_some() {
        return Ok(Default::Midnight(1, 1, 1));
    }
    let now = class.call_method0(intern!(py, "now"))?.cast_into::<PyDateTime>()?;
    Ok(Default::Midnight(now.get_year(), now.get_month(), now.get_day()))
}

/// Whether `datetime.datetime` is another class than usual, as in a test with a clock of its own.
pub(crate) fn is_datetime_replaced(py: Python<'_>) -> PyResult<bool> {
    Ok(!datetime_class(py)?.is(py.get_type::<PyDateTime>()))
}

/// `datetime.datetime` as the module has it now.
fn datetime_class(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = MODULE.get_or_try_init(py, || py.import("datetime").map(Bound::unbind))?;
    module.bind(py).getattr(intern!(py, "datetime"))
}

fn midnight_of_today(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    let now = datetime_class(py)?.call_method0(intern!(py, "now"))?;
    let arguments = PyDict::new(py);
    for part in ["hour", "minute", "second", "microsecond"] {
        arguments.set_item(part, 0)?;
    }
    now.call_method(intern!(py, "replace"), (), Some(&arguments))
}

/// The parts of a `datetime`, small enough for one.
pub(crate) struct Naive {
    year: i32,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    microsecond: u32,
    fold: bool,
}

impl Naive {
    /// The parts, where every number is small enough to be given to `datetime` and the default is an ordinary one.
    pub(crate) fn from_parts(default: &Default<'_>, parsed: &Parsed) -> Option<Naive> {
        let base = match default {
            Default::Exact(object) => Naive {
                year: object.get_year(),
                month: object.get_month(),
                day: object.get_day(),
                hour: object.get_hour(),
                minute: object.get_minute(),
                second: object.get_second(),
                microsecond: object.get_microsecond(),
                fold: object.get_fold(),
            },
            &Default::Midnight(year, month, day) => {
                Naive { year, month, day, hour: 0, minute: 0, second: 0, microsecond: 0, fold: false }
            }
            Default::Other(_) => return None,
        };
        let mut naive = Naive {
            year: part(parsed.year, base.year)?,
            month: part(parsed.month, base.month)?,
            day: part(parsed.day, base.day)?,
            hour: part(parsed.hour, base.hour)?,
            minute: part(parsed.minute, base.minute)?,
            second: part(parsed.second, base.second)?,
            microsecond: part(parsed.microsecond, base.microsecond)?,
            fold: base.fold,
        };
        if parsed.day.is_none() {
            // The default's day may be one that this month does not have.
            if !(1..=12).contains(&naive.month) {
                return None;
            }
            let last = days_in_month(naive.year.into(), naive.month.into());
            naive.day = naive.day.min(u8::try_from(last).expect("at most 31"));
        }
        match parsed.weekday {
            Some(wanted) if parsed.day.is_none() => naive.on_weekday(wanted),
            _ => Some(naive),
        }
    }

    /// The same day or the first one after it that is this weekday.
    fn on_weekday(mut self, wanted: i64) -> Option<Naive> {
        let in_range =
            (1..=9999).contains(&self.year) && self.hour < 24 && self.minute < 60 && self.second < 60;
        if !in_range || !(0..7).contains(&wanted) {
            return None;
        }
        let day = ordinal(self.year.into(), self.month.into(), self.day.into());
        let (year, month, day) = from_ordinal(day + (wanted - weekday(day)).rem_euclid(7))?;
        self.year = i32::try_from(year).ok()?;
        self.month = u8::try_from(month).ok()?;
        self.day = u8::try_from(day).ok()?;
        self.fold = false;
        Some(self)
    }

    /// The `datetime`, with this zone or the default's.
    pub(crate) fn object<'py>(
        &self,
        py: Python<'py>,
        zone: Option<&Bound<'py, PyTzInfo>>,
        default: &Default<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let of_default = match (zone, default) {
            (None, Default::Exact(object)) => object.get_tzinfo(),
            _ => None,
        };
        let zone = zone.or(of_default.as_ref());
        let &Naive { year, month, day, hour, minute, second, microsecond, fold } = self;
        PyDateTime::new_with_fold(py, year, month, day, hour, minute, second, microsecond, zone, fold)
            .map(Bound::into_any)
    }
}

fn part<T: TryFrom<i64>>(parsed: Option<i64>, default: T) -> Option<T> {
    parsed.map_or(Some(default), |value| T::try_from(value).ok())
}

/// The default with the parts of a text, by its own method `replace`.
pub(crate) fn replaced<'py>(default: Bound<'py, PyAny>, parsed: &Parsed) -> PyResult<Bound<'py, PyAny>> {
    let py = default.py();
    let arguments = PyDict::new(py);
    for (name, value) in [
        ("year", parsed.year),
        ("month", parsed.month),
        ("day", parsed.day),
        ("hour", parsed.hour),
        ("minute", parsed.minute),
        ("second", parsed.second),
        ("microsecond", parsed.microsecond),
    ] {
        match value {
            // A number that did not fit is larger than any that Python takes here.
            Some(i64::MAX) => arguments.set_item(name, u128::MAX)?,
            Some(value) => arguments.set_item(name, value)?,
            None => {}
        }
    }
    if parsed.day.is_none() {
        let of_default = |name: &str| -> PyResult<i64> { default.getattr(name)?.extract() };
        let year = parsed.year.map_or_else(|| of_default("year"), Ok)?;
        let month = parsed.month.map_or_else(|| of_default("month"), Ok)?;
        if !(1..=12).contains(&month) {
            return Err(PyValueError::new_err(format!("bad month number {month}; must be 1-12")));
        }
        let last = days_in_month(year, month);
        if of_default("day")? > last {
            arguments.set_item("day", last)?;
        }
    }
    let naive = default.call_method(intern!(py, "replace"), (), Some(&arguments))?;
    match parsed.weekday {
        Some(wanted) if parsed.day.is_none_or(|day| day == 0) => {
            let today: i64 = naive.call_method0(intern!(py, "weekday"))?.extract()?;
            let days = i32::try_from((wanted - today).rem_euclid(7)).map_err(PyOverflowError::new_err)?;
            naive.add(PyDelta::new(py, days, 0, 0, false)?)
        }
        _ => Ok(naive),
    }
}
