//! Compares the moments that a rule names with a `datetime` of the user, making a `datetime` only where it must.
//!
//! In the rule's own zone, wall clocks are compared, as Python does. In another zone Python compares instants; two
//! wall clocks of the same instant differ by less than two days, so only moments that near need Python's answer.

use std::cmp::Ordering;

use naja_dates::rrule::{Moment, moment};
use pyo3::prelude::*;
use pyo3::types::{PyDateAccess, PyDateTime, PyTimeAccess, PyTzInfoAccess};

use super::rule::Made;

const MICROSECONDS: i64 = 1_000_000;
/// Both offsets from UTC are less than a day.
const NEAR_US: i64 = 2 * 86_400 * MICROSECONDS;

/// A `datetime` to compare with.
pub(super) struct Limit {
    object: Py<PyAny>,
    wall: Wall,
}

enum Wall {
    /// Microseconds on the rule's own clock.
    Same(i64),
    /// Microseconds on another zone's clock.
    Other(i64),
    /// Only Python knows, or it will raise.
    Unknown,
}

/// The wall clock of a `datetime` in microseconds, counted as a [`Moment`] is.
pub(crate) fn wall_us(datetime: &Bound<'_, PyDateTime>) -> i64 {
    wall_moment(datetime) * MICROSECONDS + i64::from(datetime.get_microsecond())
}

/// The wall clock of a `datetime` in whole seconds.
#[inline]
pub(crate) fn wall_moment(datetime: &Bound<'_, PyDateTime>) -> Moment {
    let (year, second_of_day) = (i64::from(datetime.get_year()), second_of_day(datetime));
    moment(year, datetime.get_month(), datetime.get_day(), second_of_day)
}

/// The time of day of a `datetime` in whole seconds.
#[inline]
pub(crate) fn second_of_day(datetime: &Bound<'_, PyDateTime>) -> i64 {
    i64::from(datetime.get_hour()) * 3600
        + i64::from(datetime.get_minute()) * 60
        + i64::from(datetime.get_second())
}

impl Limit {
    /// `zone` is the rule's.
    pub(super) fn new(object: &Bound<'_, PyAny>, zone: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        let wall = match object.cast::<PyDateTime>() {
            Err(_) => Wall::Unknown,
            Ok(datetime) => match (datetime.get_tzinfo(), zone) {
                (None, None) => Wall::Same(wall_us(datetime)),
                (Some(own), Some(zone)) if own.is(zone) => Wall::Same(wall_us(datetime)),
                (Some(_), Some(_)) if !object.call_method0("utcoffset")?.is_none() => {
                    Wall::Other(wall_us(datetime))
                }
                _ => Wall::Unknown,
            },
        };
        Ok(Self { object: object.clone().unbind(), wall })
    }

    /// How a moment of the rule compares with this.
    ///
    /// Errors: Python's, where a naive and an aware `datetime` meet, or something that is none.
    pub(super) fn compare(&self, py: Python<'_>, moment: Moment, made: &Made) -> PyResult<Ordering> {
        let here = moment * MICROSECONDS;
        match self.wall {
            Wall::Same(wall) => return Ok(here.cmp(&wall)),
            Wall::Other(wall) if (here - wall).abs() >= NEAR_US => return Ok(here.cmp(&wall)),
            _ => {}
        }
        let here = made.datetime(py, moment)?;
        let limit = self.object.bind(py);
        if here.lt(limit)? {
            return Ok(Ordering::Less);
        }
        Ok(if here.gt(limit)? { Ordering::Greater } else { Ordering::Equal })
    }

    /// A moment before which every moment compares less; `None` where Python must see them all.
    pub(super) fn floor(&self) -> Option<Moment> {
        match self.wall {
            Wall::Same(wall) => Some(wall.div_euclid(MICROSECONDS)),
            Wall::Other(wall) => Some((wall - NEAR_US).div_euclid(MICROSECONDS)),
            Wall::Unknown => None,
        }
    }

    /// The exact limit as whole seconds, for a rule in the same zone: moments before it compare less, and with
    /// `inclusive` so does an equal one.
    pub(super) fn end(&self, inclusive: bool) -> Option<Moment> {
        match self.wall {
            Wall::Same(wall) if inclusive => Some(wall.div_euclid(MICROSECONDS) + 1),
            Wall::Same(wall) => Some(-(-wall).div_euclid(MICROSECONDS)),
            _ => None,
        }
    }

    /// The user's `datetime`.
    pub(super) fn object<'py>(&self, py: Python<'py>) -> &Bound<'py, PyAny> {
        self.object.bind(py)
    }
}
