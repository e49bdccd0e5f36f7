//! `tzrangebase`: a zone whose daylight saving time a method `transitions(year)` gives.
//!
//! Offsets and names are attributes, as subclasses of the original set them. What `transitions` said is kept for the
//! years asked last, unless a subclass has its own.

use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::{PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyTimeAccess, PyTuple};

use super::base::ZoneBase;
use super::{enfold, in_zone};
use crate::rrule::wall_us;

/// Years whose transitions are kept: those near the present, for most programs.
const YEARS_KEPT: usize = 16;

/// The base of zones with one rule for all years.
#[pyclass(name = "tzrangebase", module = "naja.dateutil.tz._common", extends = ZoneBase, subclass, frozen)]
pub(super) struct RangeBase {
    kept: Mutex<Vec<(i32, Transitions)>>,
}

/// The wall clocks, in microseconds, at which daylight saving time begins and ends, the latter on the clock of
/// standard time.
#[derive(Clone, Copy)]
struct Transitions {
    on_us: i64,
    off_us: i64,
}

impl Transitions {
    fn hold(self, wall_us: i64) -> bool {
        if self.on_us < self.off_us {
            (self.on_us..self.off_us).contains(&wall_us)
        } else {
            !(self.off_us..self.on_us).contains(&wall_us)
        }
    }

    fn earlier(self, us: i64) -> Self {
        Self { on_us: self.on_us - us, off_us: self.off_us - us }
    }
}

fn delta_us(delta: &Bound<'_, PyAny>) -> PyResult<i64> {
    let delta = delta.cast::<PyDelta>()?;
    let seconds = i64::from(delta.get_days()) * 86_400 + i64::from(delta.get_seconds());
    Ok(seconds * 1_000_000 + i64::from(delta.get_microseconds()))
}

fn attribute_us(slf: &Bound<'_, RangeBase>, name: &str) -> PyResult<i64> {
    delta_us(&slf.getattr(name)?)
}

fn has_dst(slf: &Bound<'_, RangeBase>) -> PyResult<bool> {
    slf.getattr(pyo3::intern!(slf.py(), "hasdst"))?.is_truthy()
}

/// A year's transitions; `None` where the zone has none.
fn transitions(slf: &Bound<'_, RangeBase>, year: i32) -> PyResult<Option<Transitions>> {
    let lock = || slf.get().kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some((_, known)) = lock().iter().find(|(known, _)| *known == year) {
        return Ok(Some(*known));
    }
    let given = slf.call_method1("transitions", (year,))?;
    if given.is_none() {
        return Ok(None);
    }
    let (on, off): (Bound<'_, PyAny>, Bound<'_, PyAny>) = given.extract()?;
    let transitions = Transitions { on_us: wall_us(on.cast()?), off_us: wall_us(off.cast()?) };
    if slf.get_type().getattr("_same_every_time")?.is_truthy()? {
        let mut kept = lock();
        if kept.len() == YEARS_KEPT {
            kept.remove(0);
        }
        kept.push((year, transitions));
    }
    Ok(Some(transitions))
}

/// Whether `dt` is daylight saving time; `None` for no `dt` in a zone that has it.
fn is_dst(slf: &Bound<'_, RangeBase>, dt: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
    if !has_dst(slf)? {
        return Ok(Some(false));
    }
    if dt.is_none() {
        return Ok(None);
    }
    let datetime = dt.cast::<PyDateTime>()?;
    let Some(transitions) = transitions(slf, datetime.get_year())? else { return Ok(Some(false)) };
    let wall = wall_us(datetime);
    if transitions.hold(wall) {
        return Ok(Some(true));
    }
    let again = ambiguous(slf, transitions, wall)?;
    Ok(Some(again && !datetime.get_fold()))
}

/// Whether the hour after the end of daylight saving time holds `wall_us`.
fn ambiguous(slf: &Bound<'_, RangeBase>, transitions: Transitions, wall_us: i64) -> PyResult<bool> {
    let back_us = attribute_us(slf, "_dst_base_offset")?;
    Ok((transitions.off_us..transitions.off_us + back_us).contains(&wall_us))
}

fn chosen<'py>(
    slf: &Bound<'py, RangeBase>,
    dt: &Bound<'py, PyAny>,
    daylight: &str,
    standard: &str,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match slf.call_method1("_isdst", (dt,))? {
        none if none.is_none() => Ok(None),
        dst if dst.is_truthy()? => slf.getattr(daylight).map(Some),
        _ => slf.getattr(standard).map(Some),
    }
}

#[pymethods]
impl RangeBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(ZoneBase).add_subclass(Self { kept: Mutex::default() })
    }

    /// Whether `transitions` may be asked once a year. A class that overrides it says so itself.
    #[classattr]
    #[pyo3(name = "_same_every_time")]
    const SAME_EVERY_TIME: bool = false;

    fn utcoffset<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        chosen(slf, dt, "_dst_offset", "_std_offset")
    }

    fn dst<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match slf.call_method1("_isdst", (dt,))? {
            none if none.is_none() => Ok(None),
            dst if dst.is_truthy()? => slf.getattr("_dst_base_offset").map(Some),
            _ => Ok(Some(PyDelta::new(slf.py(), 0, 0, 0, false)?.into_any())),
        }
    }

    fn tzname<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        match slf.call_method1("_isdst", (dt,))?.is_truthy()? {
            true => slf.getattr("_dst_abbr").map(Some),
            false => slf.getattr("_std_abbr").map(Some),
        }
    }

    fn fromutc<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let datetime = in_zone(slf.as_any(), dt)?;
        let Some(transitions) = transitions(slf, datetime.get_year())? else {
            return dt.add(slf.call_method1("utcoffset", (dt,))?);
        };
        let standard_us = attribute_us(slf, "_std_offset")?;
        let dst = transitions.earlier(standard_us).hold(wall_us(datetime));
        let wall = dt.add(slf.getattr(if dst { "_dst_offset" } else { "_std_offset" })?)?;
        let fold = !dst && slf.call_method1("is_ambiguous", (&wall,))?.is_truthy()?;
        enfold(&wall, fold.into())
    }

    /// Whether a wall clock shows `dt` twice.
    fn is_ambiguous(slf: &Bound<'_, Self>, dt: &Bound<'_, PyAny>) -> PyResult<bool> {
        if !has_dst(slf)? {
            return Ok(false);
        }
        let datetime = dt.cast::<PyDateTime>()?;
        match transitions(slf, datetime.get_year())? {
            Some(transitions) => ambiguous(slf, transitions, wall_us(datetime)),
            None => Ok(false),
        }
    }

    fn _isdst(slf: &Bound<'_, Self>, dt: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        is_dst(slf, dt)
    }

    #[getter]
    fn _dst_base_offset<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.getattr("_dst_offset")?.sub(slf.getattr("_std_offset")?)
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("{}(...)", slf.get_type().name()?))
    }
}
