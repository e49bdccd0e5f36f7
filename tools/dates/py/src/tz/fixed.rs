//! `tzutc` and `tzoffset`: always the same offset.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDelta, PyDeltaAccess, PyDict, PyInt, PyString, PyTuple, PyTzInfo};

use super::in_zone;

static ZERO: PyOnceLock<Py<PyDelta>> = PyOnceLock::new();
static UTC_NAME: PyOnceLock<Py<PyString>> = PyOnceLock::new();

fn zero(py: Python<'_>) -> PyResult<Py<PyDelta>> {
    let zero = ZERO.get_or_try_init(py, || PyDelta::new(py, 0, 0, 0, true).map(Bound::unbind))?;
    Ok(zero.clone_ref(py))
}

/// Coordinated universal time.
#[pyclass(name = "tzutc", module = "naja.dateutil.tz.tz", extends = PyTzInfo, subclass, frozen, dict, weakref)]
pub(super) struct Utc;

#[pymethods]
impl Utc {
    #[new]
    fn new() -> Self {
        Self
    }

    fn utcoffset(&self, dt: &Bound<'_, PyAny>) -> PyResult<Py<PyDelta>> {
        zero(dt.py())
    }

    fn dst(&self, dt: &Bound<'_, PyAny>) -> PyResult<Py<PyDelta>> {
        zero(dt.py())
    }

    fn tzname(&self, dt: &Bound<'_, PyAny>) -> Py<PyString> {
        let py = dt.py();
        UTC_NAME.get_or_init(py, || PyString::new(py, "UTC").unbind()).clone_ref(py)
    }

    fn is_ambiguous(&self, #[expect(unused_variables, reason = "no time is")] dt: &Bound<'_, PyAny>) -> bool {
        false
    }

    fn fromutc<'py>(slf: &Bound<'py, Self>, dt: Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        in_zone(slf.as_any(), &dt)?;
        Ok(dt)
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> Bound<'py, PyAny> {
        let py = slf.py();
        if other.is_instance_of::<Self>() {
            return truth(py, true);
        }
        match other.cast::<FixedOffset>() {
            Ok(fixed) => truth(py, fixed.get().set.get(py).is_some_and(|set| is_zero(set.offset.bind(py)))),
            Err(_) => py.NotImplemented().into_bound(py),
        }
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        Ok(format!("{}()", slf.get_type().name()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> (Bound<'py, PyAny>, Bound<'py, PyTuple>) {
        (slf.get_type().into_any(), PyTuple::empty(slf.py()))
    }
}

fn truth(py: Python<'_>, value: bool) -> Bound<'_, PyAny> {
    pyo3::types::PyBool::new(py, value).to_owned().into_any()
}

fn is_zero(delta: &Bound<'_, PyDelta>) -> bool {
    delta.get_days() == 0 && delta.get_seconds() == 0 && delta.get_microseconds() == 0
}

/// A fixed distance from UTC.
#[pyclass(name = "tzoffset", module = "naja.dateutil.tz.tz", extends = PyTzInfo, subclass, frozen, dict, weakref)]
pub(super) struct FixedOffset {
    set: PyOnceLock<Set>,
}

struct Set {
    name: Py<PyAny>,
    offset: Py<PyDelta>,
}

impl FixedOffset {
    fn set(&self, py: Python<'_>) -> PyResult<&Set> {
        self.set.get(py).ok_or_else(|| PyTypeError::new_err("tzoffset.__init__ was not called"))
    }
}

/// Seconds as a number, or a `timedelta`, as a `timedelta`.
pub(super) fn delta<'py>(offset: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDelta>> {
    let py = offset.py();
    if let Ok(delta) = offset.cast::<PyDelta>() {
        return Ok(delta.clone());
    }
    let seconds = match offset.call_method0("total_seconds") {
        Ok(seconds) => seconds,
        Err(_) => offset.clone(),
    };
    let arguments = PyDict::new(py);
    arguments.set_item("seconds", seconds)?;
    Ok(py.get_type::<PyDelta>().call((), Some(&arguments))?.cast_into()?)
}

#[pymethods]
impl FixedOffset {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self { set: PyOnceLock::new() }
    }

    fn __init__(&self, py: Python<'_>, name: &Bound<'_, PyAny>, offset: &Bound<'_, PyAny>) -> PyResult<()> {
        let set = Set { name: name.clone().unbind(), offset: delta(offset)?.unbind() };
        // The second of two calls changes nothing: a zone never changes.
        let _ = self.set.set(py, set);
        Ok(())
    }

    fn utcoffset(&self, dt: &Bound<'_, PyAny>) -> PyResult<Py<PyDelta>> {
        Ok(self.set(dt.py())?.offset.clone_ref(dt.py()))
    }

    fn dst(&self, dt: &Bound<'_, PyAny>) -> PyResult<Py<PyDelta>> {
        zero(dt.py())
    }

    fn tzname(&self, dt: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        Ok(self.set(dt.py())?.name.clone_ref(dt.py()))
    }

    fn is_ambiguous(&self, #[expect(unused_variables, reason = "no time is")] dt: &Bound<'_, PyAny>) -> bool {
        false
    }

    fn fromutc<'py>(slf: &Bound<'py, Self>, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        in_zone(slf.as_any(), dt)?;
        dt.add(slf.get().set(slf.py())?.offset.bind(slf.py()))
    }

    fn __eq__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<Self>() else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        Ok(truth(py, slf.get().set(py)?.offset.bind(py).eq(other.get().set(py)?.offset.bind(py))?))
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let py = slf.py();
        let set = slf.get().set(py)?;
        let seconds = py.get_type::<PyInt>().call1((set.offset.bind(py).call_method0("total_seconds")?,))?;
        Ok(format!("{}({}, {seconds})", slf.get_type().name()?, set.name.bind(py).repr()?))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, (Py<PyAny>, Py<PyDelta>))> {
        let py = slf.py();
        let set = slf.get().set(py)?;
        Ok((slf.get_type().into_any(), (set.name.clone_ref(py), set.offset.clone_ref(py))))
    }

    #[getter(_name)]
    fn name(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.set(py)?.name.clone_ref(py))
    }

    #[getter(_offset)]
    fn offset(&self, py: Python<'_>) -> PyResult<Py<PyDelta>> {
        Ok(self.set(py)?.offset.clone_ref(py))
    }
}
