//! What `naja.datefinder` is made of.
//!
//! A text comes in as UTF-8 and its places go out in code points, as Python counts them ([`Places`]).

use naja_dates::find::{self, First, Found, Moment, Options, Value, older};
use naja_dates::parser;
use pyo3::exceptions::{PyException, PyOverflowError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDateTime, PyDelta, PyDict, PyList, PyString, PyTuple, PyTzInfo};

use crate::parse::{Request, parse_by_default};

/// Turns offsets in bytes into offsets in code points; they must be asked for in rising order.
struct Places<'a> {
    text: &'a str,
    bytes: usize,
    characters: usize,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, bytes: 0, characters: 0 }
    }

    fn of(&mut self, place: usize) -> usize {
        self.characters += self.text[self.bytes..place].chars().count();
        self.bytes = place;
        self.characters
    }
}

/// A moment of the core as Python's `datetime`: with the offset's zone, or else with `zone`.
fn datetime<'py>(
    py: Python<'py>,
    at: &Moment,
    offset: Option<i32>,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyDateTime>> {
    let written = match offset {
        Some(0) => Some(PyTzInfo::utc(py)?.to_owned()),
        Some(seconds) => Some(PyTzInfo::fixed_offset(py, PyDelta::new(py, 0, seconds, 0, true)?)?),
        None => None,
    };
    let zone = written.as_ref().or(zone);
    PyDateTime::new(py, at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, zone)
}

/// Everything that `extract` and the strict `find_dates` can be told.
#[derive(FromPyObject)]
struct Settings {
    #[pyo3(item)]
    reference: (i32, u8, u8, u8, u8, u8, u32),
    #[pyo3(item)]
    locales: Vec<String>,
    #[pyo3(item)]
    strict: bool,
    #[pyo3(item)]
    first: String,
    #[pyo3(item)]
    pivot: u8,
    #[pyo3(item)]
    month_only: bool,
    #[pyo3(item)]
    compact: bool,
    #[pyo3(item)]
    multiline: bool,
}

impl Settings {
    fn options(&self) -> Options {
        let (year, month, day, hour, minute, second, microsecond) = self.reference;
        let reference = Moment::on(year, month, day)
            .and_then(|day| day.at(hour, minute, second, microsecond))
            .expect("Python's datetime has no other days and times");
        let mut options = Options::new(reference).in_languages(self.locales.iter().map(String::as_str));
        options.strict = self.strict;
        options.first = first(&self.first);
        options.pivot = self.pivot;
        options.month_only = self.month_only;
        options.compact = self.compact;
        options.multiline = self.multiline;
        options
    }
}

fn first(name: &str) -> First {
    match name {
        "day" => First::Day,
        "year" => First::Year,
        _ => First::Month,
    }
}

/// Every date of a text, as `(kind, text, start, end, locale, grain, value, alternate, confidence, warnings)`.
///
/// `value` is a tuple of all that the kind's class holds. Moments without a zone of their own get `zone`.
#[pyfunction]
fn extract<'py>(
    py: Python<'py>,
    text: &str,
    settings: Settings,
    zone: &Bound<'py, PyTzInfo>,
) -> PyResult<Bound<'py, PyList>> {
    let options = settings.options();
    let found = py.detach(|| find::find(text, &options));
    let rows = PyList::empty(py);
    for one in &found {
        let warnings = PyTuple::new(py, one.warnings.iter().map(|warning| warning.name()))?;
        let alternate = one.alternate.as_ref().map(|other| value(py, other, zone)).transpose()?;
        rows.append((
            one.value.kind(),
            &text[one.start..one.end],
            one.start_char,
            one.end_char,
            one.language,
            one.grain.name(),
            value(py, &one.value, zone)?,
            alternate,
            one.confidence,
            warnings,
        ))?;
    }
    Ok(rows)
}

fn value<'py>(py: Python<'py>, value: &Value, zone: &Bound<'py, PyTzInfo>) -> PyResult<Bound<'py, PyTuple>> {
    let source = |offset: &Option<i32>| offset.map(|_| "explicit");
    match value {
        Value::Absolute { at, offset } => {
            (datetime(py, at, *offset, Some(zone))?, source(offset)).into_pyobject(py)
        }
        Value::Relative { at, offset, delta_seconds } => {
            (datetime(py, at, *offset, Some(zone))?, *delta_seconds, "reference").into_pyobject(py)
        }
        Value::Duration { amount, unit, seconds } => {
            let components = PyDict::new(py);
            components.set_item(unit.plural(), amount)?;
            (*seconds, components).into_pyobject(py)
        }
        Value::Interval { start, end } => {
            let (start, end) = (datetime(py, start, None, Some(zone))?, datetime(py, end, None, Some(zone))?);
            (start, end, "[)").into_pyobject(py)
        }
    }
}

/// The start of every date of a text, as `(datetime, text, (start, end))`, without zones that the text does not say.
#[pyfunction]
fn find_strict<'py>(py: Python<'py>, text: &str, settings: Settings) -> PyResult<Bound<'py, PyList>> {
    let options = settings.options();
    let found = py.detach(|| find::find(text, &options));
    let rows = PyList::empty(py);
    for one in &found {
        if let Some((at, offset)) = start_of(one) {
            let place = (one.start_char, one.end_char);
            rows.append((datetime(py, &at, offset, None)?, &text[one.start..one.end], place))?;
        }
    }
    Ok(rows)
}

fn start_of(found: &Found) -> Option<(Moment, Option<i32>)> {
    match found.value {
        Value::Absolute { at, offset } | Value::Relative { at, offset, .. } => Some((at, offset)),
        Value::Interval { start, .. } => Some((start, None)),
        Value::Duration { .. } => None,
    }
}

/// What may be a date to the engine before 1.0, as `(text, (start, end), captures)`.
#[pyfunction]
fn candidates<'py>(py: Python<'py>, text: &str, strict: bool) -> PyResult<Bound<'py, PyList>> {
    let found = py.detach(|| older::candidates(text, strict));
    let rows = PyList::empty(py);
    let mut places = Places::new(text);
    for candidate in &found {
        let captures = PyDict::new(py);
        for group in older::Group::CAPTURED {
            let parts = candidate.of(group).map(|capture| &text[capture.start..capture.end]);
            captures.set_item(group.name(), parts.collect::<Vec<_>>())?;
        }
        let place = (places.of(candidate.start), places.of(candidate.end));
        rows.append((candidate.cleaned(text), place, captures))?;
    }
    Ok(rows)
}

/// A candidate of the engine before 1.0 that the date parser may understand.
struct Promising {
    text: String,
    place: (usize, usize),
    /// Whether it is understood as it stands; else its words have to be swept.
    as_it_stands: bool,
    zones: Vec<String>,
}

/// The candidates without those that the date parser refuses both as they stand and swept: most of them.
fn promising(text: &str, strict: bool, day_first: bool, year_first: bool) -> Vec<Promising> {
    let options = parser::Options { day_first, year_first, fuzzy: false };
    // Whether a text is understood does not depend on the century.
    let vocabulary = parser::English { year: 2000 };
    let mut tokens = parser::Tokens::default();
    let mut understood = |text: &str| {
        parser::parse(text, options, &vocabulary, &mut tokens).is_ok_and(|parsed| !parsed.is_empty())
    };
    let mut places = Places::new(text);
    let mut kept = Vec::new();
    for candidate in older::candidates(text, strict) {
        let cleaned = candidate.cleaned(text);
        let place = (places.of(candidate.start), places.of(candidate.end));
        let as_it_stands = understood(&cleaned);
        let zones: Vec<&str> =
            candidate.of(older::Group::Timezones).map(|zone| &text[zone.start..zone.end]).collect();
        if !as_it_stands {
            let swept = older::sweep(&cleaned, &zones);
            let swept = swept.trim_matches(|letter| older::STRIPPED.contains(letter));
            if swept.chars().nth(2).is_none() || !understood(swept) {
                continue;
            }
        }
        let zones = zones.into_iter().map(str::to_owned).collect();
        kept.push(Promising { text: cleaned, place, as_it_stands, zones });
    }
    kept
}

/// What the engine before 1.0 finds, as `(datetime, text, (start, end))`.
///
/// `slowly(text, zones)` decides where the date parser does not take a candidate as it stands.
#[pyfunction]
fn find_older<'py>(
    py: Python<'py>,
    text: &str,
    strict: bool,
    base_date: Option<&Bound<'py, PyAny>>,
    order: (bool, bool),
    slowly: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyList>> {
    let kept = py.detach(|| promising(text, strict, order.0, order.1));
    let rows = PyList::empty(py);
    for Promising { text, place, as_it_stands, zones } in kept {
        let text = PyString::new(py, &text);
        let date = if as_it_stands { parsed(text.as_any(), base_date, order, is_refusal)? } else { None };
        let date = match date {
            Some(date) => date,
            None => slowly.call1((&text, zones))?,
        };
        if !date.is_none() {
            rows.append((date, text, place))?;
        }
    }
    Ok(rows)
}

/// The date of a text, or `None` for whatever is wrong with it: no exception is made of what nobody sees.
#[pyfunction]
fn parse_unseen<'py>(
    text: &Bound<'py, PyAny>,
    base_date: Option<&Bound<'py, PyAny>>,
    order: (bool, bool),
) -> PyResult<Option<Bound<'py, PyAny>>> {
    parsed(text, base_date, order, |py, error| error.is_instance_of::<PyException>(py))
}

/// The date that the parser reads, or `None` where it raises what is passed over.
fn parsed<'py>(
    text: &Bound<'py, PyAny>,
    base_date: Option<&Bound<'py, PyAny>>,
    (day_first, year_first): (bool, bool),
    is_passed_over: impl Fn(Python<'py>, &PyErr) -> bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = text.py();
    let (day_first, year_first) = (PyBool::new(py, day_first), PyBool::new(py, year_first));
    let request = Request {
        default: base_date,
        dayfirst: Some(day_first.as_any()),
        yearfirst: Some(year_first.as_any()),
        unseen: true,
        ..Request::default()
    };
    match parse_by_default(text, &request) {
        Ok(date) => Ok(Some(date)),
        Err(error) if is_passed_over(py, &error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_refusal(py: Python<'_>, error: &PyErr) -> bool {
    error.is_instance_of::<PyValueError>(py) || error.is_instance_of::<PyOverflowError>(py)
}

/// A candidate's text without the words and zones that a date parser does not understand.
#[pyfunction]
fn sweep(text: &str, zones: Vec<String>) -> String {
    let zones: Vec<&str> = zones.iter().map(String::as_str).collect();
    older::sweep(text, &zones)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let find = PyModule::new(py, "find")?;
    find.add_function(wrap_pyfunction!(extract, &find)?)?;
    find.add_function(wrap_pyfunction!(find_strict, &find)?)?;
    find.add_function(wrap_pyfunction!(candidates, &find)?)?;
    find.add_function(wrap_pyfunction!(find_older, &find)?)?;
    find.add_function(wrap_pyfunction!(parse_unseen, &find)?)?;
    find.add_function(wrap_pyfunction!(sweep, &find)?)?;
    find.add("REPLACEMENTS", PyTuple::new(py, older::REPLACEMENTS)?)?;
    find.add("REGIONS", PyTuple::new(py, older::REGIONS)?)?;
    find.add("ZONES", PyTuple::new(py, older::ZONES.split(' ').collect::<Vec<_>>())?)?;
    find.add("GROUPS", PyTuple::new(py, older::Group::ALL.map(older::Group::name))?)?;
    find.add("STRIPPED", older::STRIPPED)?;
    module.add_submodule(&find)
}
