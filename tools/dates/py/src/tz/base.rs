//! `_tzinfo`: what a zone can say about folds when all it has is `utcoffset` and `dst`.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple, PyTzInfo};

use super::{enfold, in_zone, replaced};

/// A `tzinfo` that knows ambiguous times. Subclasses give `utcoffset`, `dst` and `tzname`.
#[pyclass(name = "_tzinfo", module = "naja.dateutil.tz._common", extends = PyTzInfo, subclass, frozen, dict, weakref)]
pub(super) struct ZoneBase;

#[pymethods]
impl ZoneBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self
    }

    /// Whether a wall clock shows `dt` twice.
    fn is_ambiguous(slf: &Bound<'_, Self>, dt: &Bound<'_, PyAny>) -> PyResult<bool> {
        let dt = replaced(dt, "tzinfo", slf)?;
        let (first, second) = (enfold(&dt, 0)?, enfold(&dt, 1)?);
        first.call_method0("utcoffset")?.ne(second.call_method0("utcoffset")?)
    }

    /// 1 where `dt_wall`, which is `dt_utc` in this zone, is the second of two.
    fn _fold_status(
        slf: &Bound<'_, Self>,
        dt_utc: &Bound<'_, PyAny>,
        dt_wall: &Bound<'_, PyAny>,
    ) -> PyResult<u8> {
        if !slf.call_method1("is_ambiguous", (dt_wall,))?.is_truthy()? {
            return Ok(0);
        }
        let shift = dt_wall.sub(dt_utc)?;
        let standard = dt_utc.call_method0("utcoffset")?.sub(dt_utc.call_method0("dst")?)?;
        Ok(u8::from(shift.eq(standard)?))
    }

    fn _fold<'py>(&self, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match dt.getattr_opt("fold")? {
            Some(fold) => Ok(fold),
            None => Ok(0_u8.into_pyobject(dt.py())?.into_any()),
        }
    }

    /// From UTC to this zone's wall clock, without regard to `fold`.
    fn _fromutc<'py>(&self, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let some = |value: Bound<'py, PyAny>, name: &str| match value.is_none() {
            true => Err(PyValueError::new_err(format!("fromutc() requires a non-None {name}() result"))),
            false => Ok(value),
        };
        let offset = some(dt.call_method0("utcoffset")?, "utcoffset")?;
        let daylight = some(dt.call_method0("dst")?, "dst")?;
        let standard = dt.add(offset.sub(daylight)?)?;
        let daylight = enfold(&standard, 1)?.call_method0("dst")?;
        if daylight.is_none() {
            return Err(PyValueError::new_err("fromutc(): dt.dst gave inconsistent results; cannot convert"));
        }
        standard.add(daylight)
    }

    /// From UTC to this zone's wall clock. `dt` bears this zone, but its numbers are UTC's.
    fn fromutc<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        in_zone(slf.as_any(), dt)?;
        let wall = slf.call_method1("_fromutc", (dt,))?;
        let fold: u8 = slf.call_method1("_fold_status", (dt, &wall))?.extract()?;
        enfold(&wall, fold)
    }

    /// As an object whose whole state is its attributes.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let new = py.import("copyreg")?.getattr("__newobj__")?;
        PyTuple::new(py, [new, PyTuple::new(py, [slf.get_type()])?.into_any(), slf.getattr("__dict__")?])
    }

    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, _protocol: i64) -> PyResult<Bound<'py, PyTuple>> {
        Ok(slf.call_method0("__reduce__")?.cast_into()?)
    }
}
