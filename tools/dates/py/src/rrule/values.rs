//! Reads the arguments of `rrule`: whole numbers, lists of them, and weekdays.

use naja_dates::rrule::WeekdayPart;
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::PyInt;

/// Far beyond any calendar, and a whole number of days in every unit.
const LARGEST: i64 = 86_400_000_000_000;

/// A whole number; one that no calendar reaches becomes a large one that leaves the same rest in every unit of time.
pub(super) fn integer(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    match value.extract::<i64>() {
        Ok(small) if small.abs() < LARGEST => Ok(small),
        Ok(large) => Ok(clamped(large > 0, large.rem_euclid(86_400))),
        Err(error) if error.is_instance_of::<PyOverflowError>(value.py()) => {
            Ok(clamped(value.gt(0)?, value.rem(86_400)?.extract()?))
        }
        Err(error) => Err(error),
    }
}

fn clamped(positive: bool, rest: i64) -> i64 {
    rest + if positive { LARGEST } else { -LARGEST }
}

/// A whole number, or any number of them. `None` stays `None`.
pub(super) fn integers(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<i64>>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyInt>() {
        return Ok(Some(vec![integer(value)?]));
    }
    value.try_iter()?.map(|item| integer(&item?)).collect::<PyResult<_>>().map(Some)
}

/// A weekday, as a number or as `MO(-1)`, or any number of them.
pub(super) fn weekdays(value: Option<&Bound<'_, PyAny>>) -> PyResult<Option<Vec<WeekdayPart>>> {
    let Some(value) = value else { return Ok(None) };
    if value.is_instance_of::<PyInt>() || value.hasattr("n")? {
        return Ok(Some(vec![weekday(value)?]));
    }
    value.try_iter()?.map(|item| weekday(&item?)).collect::<PyResult<_>>().map(Some)
}

fn weekday(value: &Bound<'_, PyAny>) -> PyResult<WeekdayPart> {
    if value.is_instance_of::<PyInt>() {
        return Ok(WeekdayPart { weekday: integer(value)?, n: None });
    }
    let n = value.getattr("n")?;
    let n = if n.is_none() { None } else { Some(integer(&n)?) };
    Ok(WeekdayPart { weekday: integer(&value.getattr("weekday")?)?, n })
}
