//! `dateutil.easter`.

use naja_dates::easter::{Method, sunday};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDate;

/// The date of Easter in a year, by method 1 (Julian), 2 (Orthodox) or 3 (Western).
#[pyfunction]
#[pyo3(signature = (year, method=3))]
fn easter(py: Python<'_>, year: i64, method: i64) -> PyResult<Bound<'_, PyDate>> {
    let method = match method {
        1 => Method::Julian,
        2 => Method::Orthodox,
        3 => Method::Western,
        _ => return Err(PyValueError::new_err("invalid method")),
    };
    let out_of_range = || PyValueError::new_err(format!("year {year} is out of range"));
    let year = i32::try_from(year).ok().filter(|year| (1..=9999).contains(year)).ok_or_else(out_of_range)?;
    let (month, day) = sunday(year, method);
    PyDate::new(py, year, month, day)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(easter, module)?)
}
