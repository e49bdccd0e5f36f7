//! The time zones that a parsed text needs, as objects of `naja.dateutil.tz`.

use std::sync::Mutex;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyModule, PyTzInfo};

/// How many offsets without a name are kept, so that texts with the same offset do not ask again.
const KEPT: usize = 16;

/// An offset in seconds and its object.
type Kept = Option<(i32, Py<PyTzInfo>)>;

static OFFSETS: Mutex<[Kept; KEPT]> = Mutex::new([const { None }; KEPT]);

/// `tz.UTC`.
pub(crate) fn utc(py: Python<'_>) -> PyResult<&Bound<'_, PyTzInfo>> {
    static UTC: PyOnceLock<Py<PyTzInfo>> = PyOnceLock::new();
    let utc = UTC.get_or_try_init(py, || {
        module(py)?.getattr("UTC")?.cast_into::<PyTzInfo>().map(Bound::unbind).map_err(PyErr::from)
    })?;
    Ok(utc.bind(py))
}

/// `tz.tzlocal()`.
pub(crate) fn local(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    module(py)?.call_method0(intern!(py, "tzlocal"))
}

/// `tz.tzstr(text)`.
pub(crate) fn from_text<'py>(text: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    module(text.py())?.call_method1(intern!(text.py(), "tzstr"), (text,))
}

/// `tz.tzoffset(None, seconds)`.
pub(crate) fn offset(py: Python<'_>, seconds: i32) -> PyResult<Bound<'_, PyTzInfo>> {
    let slot = usize::try_from(seconds.rem_euclid(900 * 16) / 900).unwrap_or(0);
    let kept = |offsets: &[Kept; KEPT]| match &offsets[slot] {
        Some((known, zone)) if *known == seconds => Some(zone.bind(py).clone()),
        _ => None,
    };
    // Without waiting: who holds the lock may be waiting for the interpreter.
    if let Some(zone) = OFFSETS.try_lock().ok().and_then(|offsets| kept(&offsets)) {
        return Ok(zone);
    }
    let zone = named_offset(None, &seconds.into_pyobject(py)?.into_any())?.cast_into::<PyTzInfo>()?;
    let replaced = match OFFSETS.try_lock() {
        Ok(mut offsets) => offsets[slot].replace((seconds, zone.clone().unbind())),
        Err(_) => None,
    };
    // Only now, without the lock: the end of an object may run any code.
    drop(replaced);
    Ok(zone)
}

/// `tz.tzoffset(name, seconds)`.
pub(crate) fn named_offset<'py>(
    name: Option<&str>,
    seconds: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = seconds.py();
    module(py)?.call_method1(intern!(py, "tzoffset"), (name, seconds))
}

fn module(py: Python<'_>) -> PyResult<&Bound<'_, PyModule>> {
    static MODULE: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    MODULE
        .get_or_try_init(py, || py.import("naja.dateutil.tz").map(Bound::unbind))
        .map(|module| module.bind(py))
}
