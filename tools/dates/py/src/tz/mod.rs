//! `dateutil.tz`: the classes whose methods `datetime` calls for every aware value.
//!
//! All are frozen, and every `timedelta` and name that they give back was made once (docs/design/dates.md says what
//! that is worth). What is asked seldom, finding files, caching instances, reading iCalendar, is Python, in
//! `python/naja/dateutil/tz`.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyTzInfoAccess};

mod base;
mod file;
mod fixed;
mod range;

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<base::ZoneBase>()?;
    module.add_class::<fixed::Utc>()?;
    module.add_class::<fixed::FixedOffset>()?;
    module.add_class::<file::TtInfo>()?;
    module.add_class::<file::TzStr>()?;
    module.add_class::<file::TzFile>()?;
    module.add_class::<range::RangeBase>()
}

/// What `fromutc` is given, if it is a `datetime` in the zone itself.
#[inline]
fn in_zone<'a, 'py>(
    zone: &Bound<'py, PyAny>,
    dt: &'a Bound<'py, PyAny>,
) -> PyResult<&'a Bound<'py, PyDateTime>> {
    let exact = dt.cast_exact::<PyDateTime>().ok();
    let Some(datetime) = exact.or_else(|| dt.cast::<PyDateTime>().ok()) else {
        return Err(PyTypeError::new_err("fromutc() requires a datetime argument"));
    };
    match datetime.get_tzinfo() {
        Some(own) if own.is(zone) => Ok(datetime),
        _ => Err(PyValueError::new_err("dt.tzinfo is not self")),
    }
}

/// The same date and time with another `fold`.
fn enfold<'py>(dt: &Bound<'py, PyAny>, fold: u8) -> PyResult<Bound<'py, PyAny>> {
    replaced(dt, "fold", fold)
}

/// The same date and time with one attribute changed.
fn replaced<'py>(
    dt: &Bound<'py, PyAny>,
    name: &str,
    value: impl IntoPyObject<'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let arguments = PyDict::new(dt.py());
    arguments.set_item(name, value)?;
    dt.call_method("replace", (), Some(&arguments))
}
