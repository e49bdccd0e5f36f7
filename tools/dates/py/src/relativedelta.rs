//! `dateutil.relativedelta`.
//!
//! Where all numbers are whole and the date is an ordinary one, the core computes; everything else takes the steps
//! that the original takes, by the object's own `replace` and `timedelta`, and so raises what the original raises.

use naja_dates::relative::{Delta, Moment};
use pyo3::basic::CompareOp;
use pyo3::exceptions::{PyAssertionError, PyDeprecationWarning, PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDelta, PyDeltaAccess, PyDict, PyInt, PyTimeAccess, PyTuple, PyTzInfo,
    PyTzInfoAccess,
};

use crate::number::Number;

/// `MO` to `SU`, as the package has made them.
static WEEKDAYS: PyOnceLock<Py<PyTuple>> = PyOnceLock::new();

/// The last day of each month of a year without a leap day; the last month takes day 366 too.
const YEAR_DAYS: [i64; 12] = [31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 366];

/// A distance in years, months and smaller parts (plural names), and parts to be set (singular names).
///
/// `relativedelta(later, earlier)` is the distance between two dates or datetimes; `relativedelta(months=+1, day=1)`
/// is one of its own. Added to a date, the parts with singular names are set first, then years and months are added,
/// then the rest; last comes `weekday`.
#[pyclass(name = "relativedelta", module = "naja.dateutil.relativedelta", subclass, dict, weakref)]
struct RelativeDelta {
    #[pyo3(get, set)]
    years: Number,
    #[pyo3(get, set)]
    months: Number,
    #[pyo3(get, set)]
    days: Number,
    #[pyo3(get, set)]
    leapdays: Number,
    #[pyo3(get, set)]
    hours: Number,
    #[pyo3(get, set)]
    minutes: Number,
    #[pyo3(get, set)]
    seconds: Number,
    #[pyo3(get, set)]
    microseconds: Number,
    #[pyo3(get, set)]
    year: Option<Number>,
    #[pyo3(get, set)]
    month: Option<Number>,
    #[pyo3(get, set)]
    day: Option<Number>,
    #[pyo3(get, set)]
    weekday: Option<Py<PyAny>>,
    #[pyo3(get, set)]
    hour: Option<Number>,
    #[pyo3(get, set)]
    minute: Option<Number>,
    #[pyo3(get, set)]
    second: Option<Number>,
    #[pyo3(get, set)]
    microsecond: Option<Number>,
    #[pyo3(get, set, name = "_has_time")]
    has_time: i64,
}

/// The names under which the original keeps its state, in the order of its own pickles.
const STATE: [&str; 17] = [
    "years",
    "months",
    "days",
    "leapdays",
    "hours",
    "minutes",
    "seconds",
    "microseconds",
    "year",
    "month",
    "day",
    "hour",
    "minute",
    "second",
    "microsecond",
    "weekday",
    "_has_time",
];

#[pymethods]
impl RelativeDelta {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> RelativeDelta {
        RelativeDelta::nothing()
    }

    #[pyo3(signature = (dt1=None, dt2=None, years=Number::ZERO, months=Number::ZERO, days=Number::ZERO,
        leapdays=Number::ZERO, weeks=Number::ZERO, hours=Number::ZERO, minutes=Number::ZERO, seconds=Number::ZERO,
        microseconds=Number::ZERO, year=None, month=None, day=None, weekday=None, yearday=None, nlyearday=None,
        hour=None, minute=None, second=None, microsecond=None))]
    #[expect(clippy::too_many_arguments, reason = "they are the original's")]
    fn __init__(
        &mut self,
        py: Python<'_>,
        dt1: Option<&Bound<'_, PyAny>>,
        dt2: Option<&Bound<'_, PyAny>>,
        years: Number,
        months: Number,
        days: Number,
        leapdays: Number,
        weeks: Number,
        hours: Number,
        minutes: Number,
        seconds: Number,
        microseconds: Number,
        year: Option<Number>,
        month: Option<Number>,
        day: Option<Number>,
        weekday: Option<Bound<'_, PyAny>>,
        yearday: Option<Number>,
        nlyearday: Option<Number>,
        hour: Option<Number>,
        minute: Option<Number>,
        second: Option<Number>,
        microsecond: Option<Number>,
    ) -> PyResult<()> {
        if let (Some(to), Some(from)) = (dt1, dt2)
            && to.is_truthy()?
            && from.is_truthy()?
        {
            *self = difference(to, from)?;
            self.carry();
            return Ok(());
        }
        let whole = |number: Number| {
            let value = number.truncated().filter(|value| number.equals(Number::Whole(*value)));
            value.map(Number::Whole).ok_or_else(|| {
                PyValueError::new_err(
                    "Non-integer years and months are ambiguous and not currently supported.",
                )
            })
        };
        *self = RelativeDelta {
            years: whole(years)?,
            months: whole(months)?,
            days: days.plus(weeks.times(7)),
            leapdays,
            hours,
            minutes,
            seconds,
            microseconds,
            year,
            month,
            day,
            weekday: weekday.map(|weekday| weekday_object(py, weekday)).transpose()?,
            hour,
            minute,
            second,
            microsecond,
            has_time: 0,
        };
        self.warn_of_fractions(py)?;
        self.set_year_day(yearday, nlyearday)?;
        self.carry();
        Ok(())
    }

    /// The days in whole weeks; setting it keeps the days beside them.
    #[getter]
    fn weeks(&self) -> i64 {
        Number::Float(self.days.as_f64() / 7.0).truncated().unwrap_or(0)
    }

    #[setter]
    fn set_weeks(&mut self, value: Number) {
        let of_weeks = Number::Whole(-7 * self.weeks());
        self.days = self.days.plus(of_weeks).plus(value.times(7));
    }

    /// The same distance with whole numbers only.
    fn normalized<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let delta = slf.try_borrow()?;
        let whole = |value: f64| Number::Float(value).truncated().ok_or_else(too_large);
        let days = delta.days.truncated().ok_or_else(too_large)?;
        let hours_exact = rounded(py, delta.hours.as_f64() + 24.0 * (delta.days.as_f64() - days as f64), 11)?;
        let hours = whole(hours_exact)?;
        let minutes_exact = rounded(py, delta.minutes.as_f64() + 60.0 * (hours_exact - hours as f64), 10)?;
        let minutes = whole(minutes_exact)?;
        let seconds_exact = rounded(py, delta.seconds.as_f64() + 60.0 * (minutes_exact - minutes as f64), 8)?;
        let seconds = whole(seconds_exact)?;
        let microseconds =
            rounded(py, delta.microseconds.as_f64() + 1e6 * (seconds_exact - seconds as f64), 0)?;
        let mut normalized = delta.clone_with(py);
        drop(delta);
        normalized.days = Number::Whole(days);
        normalized.hours = Number::Whole(hours);
        normalized.minutes = Number::Whole(minutes);
        normalized.seconds = Number::Whole(seconds);
        normalized.microseconds = Number::Whole(whole(microseconds)?);
        made_like(slf, normalized)
    }

    fn __add__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some(sum) = slf.try_borrow()?.added_to_exact(other) {
            return sum;
        }
        if let Ok(other) = other.cast::<RelativeDelta>() {
            let sum = combined(py, &*other.try_borrow()?, &*slf.try_borrow()?, Number::plus);
            return made_like(slf, sum);
        }
        if let Ok(other) = other.cast::<PyDelta>() {
            let mut sum = slf.try_borrow()?.clone_with(py);
            sum.days = sum.days.plus(Number::Whole(other.get_days().into()));
            sum.seconds = sum.seconds.plus(Number::Whole(other.get_seconds().into()));
            sum.microseconds = sum.microseconds.plus(Number::Whole(other.get_microseconds().into()));
            return made_like(slf, sum);
        }
        if other.is_instance_of::<PyDate>() {
            let delta = slf.try_borrow()?.clone_with(py);
            return delta.added_slowly(other);
        }
        Ok(py.NotImplemented().into_bound(py))
    }

    fn __radd__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        RelativeDelta::__add__(slf, other)
    }

    fn __sub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let Ok(other) = other.cast::<RelativeDelta>() else { return Ok(py.NotImplemented().into_bound(py)) };
        let minus = |one: Number, other: Number| one.plus(other.negated());
        let difference = combined(py, &*slf.try_borrow()?, &*other.try_borrow()?, minus);
        made_like(slf, difference)
    }

    fn __rsub__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let negated = slf.try_borrow()?.mapped(py, Number::negated);
        if let Some(difference) = negated.added_to_exact(other) {
            return difference;
        }
        let negated = made_like(slf, negated)?;
        RelativeDelta::__add__(negated.cast::<RelativeDelta>()?, other)
    }

    fn __neg__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let negated = slf.try_borrow()?.mapped(slf.py(), Number::negated);
        made_like(slf, negated)
    }

    fn __abs__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let absolute = slf.try_borrow()?.mapped(slf.py(), Number::absolute);
        made_like(slf, absolute)
    }

    fn __mul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match factor(other)? {
            Some(factor) => multiplied(slf, factor),
            None => Ok(slf.py().NotImplemented().into_bound(slf.py())),
        }
    }

    fn __rmul__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        RelativeDelta::__mul__(slf, other)
    }

    fn __truediv__<'py>(slf: &Bound<'py, Self>, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        match factor(other)? {
            Some(0.0) => Err(pyo3::exceptions::PyZeroDivisionError::new_err("float division by zero")),
            Some(divisor) => multiplied(slf, 1.0 / divisor),
            None => Ok(slf.py().NotImplemented().into_bound(slf.py())),
        }
    }

    fn __bool__(&self) -> bool {
        self.relative().iter().any(|number| !number.is_zero())
            || !self.leapdays.is_zero()
            || self.absolute().iter().any(Option::is_some)
            || self.weekday.is_some()
    }

    fn __richcmp__<'py>(
        slf: &Bound<'py, Self>,
        other: &Bound<'py, PyAny>,
        operation: CompareOp,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let (Ok(other), CompareOp::Eq | CompareOp::Ne) = (other.cast::<RelativeDelta>(), operation) else {
            return Ok(py.NotImplemented().into_bound(py));
        };
        let equal = slf.try_borrow()?.equals(py, &*other.try_borrow()?)?;
        Ok((equal == matches!(operation, CompareOp::Eq)).into_pyobject(py)?.to_owned().into_any())
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        let mut parts = vec![self.weekday.clone_ref_or_none(py)];
        let relative = self.relative().into_iter().chain([self.leapdays]);
        for number in relative {
            parts.push(number.into_pyobject(py)?.unbind());
        }
        for number in self.absolute() {
            parts.push(number.into_pyobject(py)?.unbind());
        }
        PyTuple::new(py, parts)?.hash()
    }

    fn __repr__(slf: &Bound<'_, Self>) -> PyResult<String> {
        let mut parts = Vec::new();
        for name in ["years", "months", "days", "leapdays", "hours", "minutes", "seconds", "microseconds"] {
            let value = slf.getattr(name)?;
            if value.is_truthy()? {
                parts.push(format!("{name}={}", value.call_method1("__format__", ("+g",))?));
            }
        }
        for name in ["year", "month", "day", "weekday", "hour", "minute", "second", "microsecond"] {
            let value = slf.getattr(name)?;
            if !value.is_none() {
                parts.push(format!("{name}={}", value.repr()?));
            }
        }
        Ok(format!("{}({})", slf.get_type().name()?, parts.join(", ")))
    }

    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let state = slf.getattr("__dict__")?.cast_into::<PyDict>()?.copy()?;
        for name in STATE {
            state.set_item(name, slf.getattr(name)?)?;
        }
        let maker = py.import("copyreg")?.getattr("__newobj__")?;
        Ok((maker, (slf.get_type(),), state).into_pyobject(py)?.into_any())
    }

    fn __setstate__(slf: &Bound<'_, Self>, state: &Bound<'_, PyDict>) -> PyResult<()> {
        for (name, value) in state {
            slf.setattr(name.cast_into::<pyo3::types::PyString>()?, value)?;
        }
        Ok(())
    }
}

impl RelativeDelta {
    fn nothing() -> RelativeDelta {
        RelativeDelta {
            years: Number::ZERO,
            months: Number::ZERO,
            days: Number::ZERO,
            leapdays: Number::ZERO,
            hours: Number::ZERO,
            minutes: Number::ZERO,
            seconds: Number::ZERO,
            microseconds: Number::ZERO,
            year: None,
            month: None,
            day: None,
            weekday: None,
            hour: None,
            minute: None,
            second: None,
            microsecond: None,
            has_time: 0,
        }
    }

    fn relative(&self) -> [Number; 7] {
        let RelativeDelta { years, months, days, hours, minutes, seconds, microseconds, .. } = *self;
        [years, months, days, hours, minutes, seconds, microseconds]
    }

    fn absolute(&self) -> [Option<Number>; 7] {
        let RelativeDelta { year, month, day, hour, minute, second, microsecond, .. } = *self;
        [year, month, day, hour, minute, second, microsecond]
    }

    fn clone_with(&self, py: Python<'_>) -> RelativeDelta {
        self.mapped(py, |number| number)
    }

    /// The same with every number that is added changed.
    fn mapped(&self, py: Python<'_>, change: impl Fn(Number) -> Number) -> RelativeDelta {
        RelativeDelta {
            years: change(self.years),
            months: change(self.months),
            days: change(self.days),
            leapdays: self.leapdays,
            hours: change(self.hours),
            minutes: change(self.minutes),
            seconds: change(self.seconds),
            microseconds: change(self.microseconds),
            weekday: self.weekday.as_ref().map(|weekday| weekday.clone_ref(py)),
            ..*self
        }
    }

    /// Brings what is too much for one part into the next larger one.
    fn carry(&mut self) {
        carry_one(&mut self.microseconds, &mut self.seconds, 1_000_000);
        carry_one(&mut self.seconds, &mut self.minutes, 60);
        carry_one(&mut self.minutes, &mut self.hours, 60);
        carry_one(&mut self.hours, &mut self.days, 24);
        carry_one(&mut self.months, &mut self.years, 12);
        let relative = [self.hours, self.minutes, self.seconds, self.microseconds];
        let absolute = [self.hour, self.minute, self.second, self.microsecond];
        let has_time =
            relative.iter().any(|number| !number.is_zero()) || absolute.iter().any(Option::is_some);
        self.has_time = i64::from(has_time);
    }

    fn warn_of_fractions(&self, py: Python<'_>) -> PyResult<()> {
        let has_fraction = |number: Number| number.as_f64().fract() != 0.0;
        if self.absolute().into_iter().flatten().any(has_fraction) {
            PyErr::warn(
                py,
                &py.get_type::<PyDeprecationWarning>(),
                c"Non-integer value passed as absolute information. This is not a well-defined condition and will raise errors in future versions.",
                1,
            )?;
        }
        Ok(())
    }

    /// Sets month and day from a day of the year.
    fn set_year_day(&mut self, yearday: Option<Number>, nlyearday: Option<Number>) -> PyResult<()> {
        let given = |number: Option<Number>| number.filter(|number| !number.is_zero());
        let year_day = match (given(nlyearday), given(yearday)) {
            (Some(day), _) => day,
            (None, Some(day)) => {
                // Counted in a year without a leap day; day 366 is cut to 31 December and must not be moved back.
                if day.as_f64() > 59.0 && day.as_f64() < 366.0 {
                    self.leapdays = Number::Whole(-1);
                }
                day
            }
            (None, None) => return Ok(()),
        };
        let month = YEAR_DAYS.iter().position(|last| year_day.as_f64() <= *last as f64).ok_or_else(|| {
            PyValueError::new_err(format!("invalid year day ({})", year_day.truncated().unwrap_or(i64::MAX)))
        })?;
        let before = if month == 0 { 0 } else { YEAR_DAYS[month - 1] };
        self.month = Some(Number::Whole(month as i64 + 1));
        self.day = Some(year_day.plus(Number::Whole(-before)));
        Ok(())
    }

    /// The core's distance, where all numbers are whole.
    #[inline]
    fn delta(&self, py: Python<'_>) -> Option<Delta> {
        let whole = |number: Option<Number>| match number {
            None => Some(None),
            Some(number) => number.whole().map(Some),
        };
        let weekday = match &self.weekday {
            None => None,
            Some(weekday) => Some(weekday_numbers(weekday.bind(py))?),
        };
        Some(Delta {
            years: self.years.whole()?,
            months: self.months.whole()?,
            days: self.days.whole()?,
            leapdays: self.leapdays.whole()?,
            hours: self.hours.whole()?,
            minutes: self.minutes.whole()?,
            seconds: self.seconds.whole()?,
            microseconds: self.microseconds.whole()?,
            year: whole(self.year)?,
            month: whole(self.month)?,
            day: whole(self.day)?,
            hour: whole(self.hour)?,
            minute: whole(self.minute)?,
            second: whole(self.second)?,
            microsecond: whole(self.microsecond)?,
            weekday,
        })
    }

    /// Adds to an ordinary date or datetime; `None` where that is none, or the core cannot.
    #[inline]
    fn added_to_exact<'py>(&self, other: &Bound<'py, PyAny>) -> Option<PyResult<Bound<'py, PyAny>>> {
        let py = other.py();
        if let Ok(other) = other.cast_exact::<PyDateTime>() {
            let moment = self.delta(py)?.apply(moment_of(other))?;
            let zone = other.get_tzinfo();
            return Some(datetime_of(py, moment, zone.as_ref()));
        }
        let other = other.cast_exact::<PyDate>().ok()?;
        let moment = self.delta(py)?.apply(midnight_of(other))?;
        if self.has_time != 0 {
            return Some(datetime_of(py, moment, None));
        }
        // Parts of a day that were set by hand have no say in a date, but for whole days.
        let (year, month, day) = small_date(moment);
        Some(PyDate::new(py, year, month, day).map(Bound::into_any))
    }

    /// The same by the steps of the original, for dates of any class and for numbers that are not whole.
    fn added_slowly<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = other.py();
        let is_datetime = other.is_instance_of::<PyDateTime>();
        let other = if self.has_time != 0 && !is_datetime {
            let ordinal = other.call_method0("toordinal")?;
            py.get_type::<PyDateTime>().call_method1("fromordinal", (ordinal,))?
        } else {
            other.clone()
        };
        let replaced = other.call_method("replace", (), Some(&self.replacement(&other)?))?;
        let arguments = PyDict::new(py);
        let days = self.days_to_add(&replaced)?;
        for (name, number) in [
            ("days", days),
            ("hours", self.hours),
            ("minutes", self.minutes),
            ("seconds", self.seconds),
            ("microseconds", self.microseconds),
        ] {
            arguments.set_item(name, number)?;
        }
        let sum = replaced.add(py.get_type::<PyDelta>().call((), Some(&arguments))?)?;
        let Some(weekday) = &self.weekday else { return Ok(sum) };
        let (wanted, count) = weekday_numbers(weekday.bind(py))
            .ok_or_else(|| PyTypeError::new_err("weekday must be a weekday, such as MO or MO(+2)"))?;
        let today: i64 = sum.call_method0("weekday")?.extract()?;
        let count = if count == 0 { 1 } else { count };
        let weeks = (count.abs() - 1) * 7;
        let days = if count > 0 {
            weeks + (7 - today + wanted).rem_euclid(7)
        } else {
            -(weeks + (today - wanted).rem_euclid(7))
        };
        sum.add(py.get_type::<PyDelta>().call1((days,))?)
    }

    /// The parts to give to `replace`.
    fn replacement<'py>(&self, other: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
        let py = other.py();
        let part = |own: Option<Number>, name: &str| -> PyResult<i64> {
            match own.filter(|number| !number.is_zero()) {
                Some(number) => {
                    number.whole().ok_or_else(|| PyTypeError::new_err("integer argument expected, got float"))
                }
                None => other.getattr(name)?.extract(),
            }
        };
        let months = self.months.truncated().ok_or_else(too_large)?;
        let mut year = part(self.year, "year")?.saturating_add(self.years.truncated().ok_or_else(too_large)?);
        let mut month = part(self.month, "month")?;
        if months != 0 {
            if !(-12..=12).contains(&months) {
                return Err(PyAssertionError::new_err(()));
            }
            month += months;
            if month > 12 {
                year += 1;
                month -= 12;
            } else if month < 1 {
                year -= 1;
                month += 12;
            }
        }
        if !(1..=12).contains(&month) {
            return Err(PyValueError::new_err(format!("bad month number {month}; must be 1-12")));
        }
        let day = part(self.day, "day")?.min(naja_dates::calendar::days_in_month(year, month));
        let arguments = PyDict::new(py);
        arguments.set_item("year", year)?;
        arguments.set_item("month", month)?;
        arguments.set_item("day", day)?;
        for (name, number) in [
            ("hour", self.hour),
            ("minute", self.minute),
            ("second", self.second),
            ("microsecond", self.microsecond),
        ] {
            if let Some(number) = number {
                arguments.set_item(name, number)?;
            }
        }
        Ok(arguments)
    }

    fn days_to_add(&self, replaced: &Bound<'_, PyAny>) -> PyResult<Number> {
        let month: i64 = replaced.getattr("month")?.extract()?;
        let year: i64 = replaced.getattr("year")?.extract()?;
        if month > 2 && naja_dates::calendar::is_leap(year) {
            return Ok(self.days.plus(self.leapdays));
        }
        Ok(self.days)
    }

    fn equals(&self, py: Python<'_>, other: &RelativeDelta) -> PyResult<bool> {
        match (&self.weekday, &other.weekday) {
            (None, None) => {}
            (Some(one), Some(other)) => {
                let (one, other) = (one.bind(py), other.bind(py));
                if !one.getattr("weekday")?.eq(other.getattr("weekday")?)? {
                    return Ok(false);
                }
                // No count is a count of one.
                let first = |count: &Bound<'_, PyAny>| Ok::<_, PyErr>(!count.is_truthy()? || count.eq(1)?);
                let (one, other) = (one.getattr("n")?, other.getattr("n")?);
                let same = one.eq(&other)? || (first(&one)? && first(&other)?);
                if !same {
                    return Ok(false);
                }
            }
            _ => return Ok(false),
        }
        let relative = self.relative().into_iter().zip(other.relative());
        let absolute = self.absolute().into_iter().zip(other.absolute());
        Ok(relative.chain([(self.leapdays, other.leapdays)]).all(|(one, other)| one.equals(other))
            && absolute.into_iter().all(|pair| match pair {
                (Some(one), Some(other)) => one.equals(other),
                (None, None) => true,
                _ => false,
            }))
    }
}

fn carry_one(part: &mut Number, larger: &mut Number, unit: i64) {
    if part.as_f64().abs() > (unit - 1) as f64 {
        let (times, rest) = part.divided(unit);
        *part = rest;
        *larger = larger.plus(times);
    }
}

/// A reference that may be to nothing, as Python has it.
trait OrNone {
    fn clone_ref_or_none(&self, py: Python<'_>) -> Py<PyAny>;
}

impl OrNone for Option<Py<PyAny>> {
    fn clone_ref_or_none(&self, py: Python<'_>) -> Py<PyAny> {
        self.as_ref().map_or_else(|| py.None(), |object| object.clone_ref(py))
    }
}

/// Two distances added or subtracted; what is to be set comes from the first, where it sets it.
fn combined(
    py: Python<'_>,
    first: &RelativeDelta,
    second: &RelativeDelta,
    operation: impl Fn(Number, Number) -> Number,
) -> RelativeDelta {
    let weekday = first.weekday.as_ref().or(second.weekday.as_ref());
    RelativeDelta {
        years: operation(first.years, second.years),
        months: operation(first.months, second.months),
        days: operation(first.days, second.days),
        leapdays: if first.leapdays.is_zero() { second.leapdays } else { first.leapdays },
        hours: operation(first.hours, second.hours),
        minutes: operation(first.minutes, second.minutes),
        seconds: operation(first.seconds, second.seconds),
        microseconds: operation(first.microseconds, second.microseconds),
        year: first.year.or(second.year),
        month: first.month.or(second.month),
        day: first.day.or(second.day),
        weekday: weekday.map(|weekday| weekday.clone_ref(py)),
        hour: first.hour.or(second.hour),
        minute: first.minute.or(second.minute),
        second: first.second.or(second.second),
        microsecond: first.microsecond.or(second.microsecond),
        has_time: 0,
    }
}

/// An object of the same class; a subclass is called with the numbers, as the original calls it.
fn made_like<'py>(like: &Bound<'py, RelativeDelta>, mut delta: RelativeDelta) -> PyResult<Bound<'py, PyAny>> {
    let py = like.py();
    if like.get_type().is(py.get_type::<RelativeDelta>()) {
        delta.carry();
        return Ok(Bound::new(py, delta)?.into_any());
    }
    let arguments = PyDict::new(py);
    let names = ["years", "months", "days", "hours", "minutes", "seconds", "microseconds"];
    for (name, number) in names.into_iter().zip(delta.relative()) {
        arguments.set_item(name, number)?;
    }
    arguments.set_item("leapdays", delta.leapdays)?;
    let names = ["year", "month", "day", "hour", "minute", "second", "microsecond"];
    for (name, number) in names.into_iter().zip(delta.absolute()) {
        arguments.set_item(name, number)?;
    }
    arguments.set_item("weekday", delta.weekday)?;
    like.get_type().call((), Some(&arguments))
}

fn multiplied<'py>(delta: &Bound<'py, RelativeDelta>, factor: f64) -> PyResult<Bound<'py, PyAny>> {
    let py = delta.py();
    let fits = |number: &Number| Number::Float(number.as_f64() * factor).truncated().is_some();
    let borrowed = delta.try_borrow()?;
    if !borrowed.relative().iter().all(fits) {
        return Err(too_large());
    }
    let product = borrowed
        .mapped(py, |number| Number::Whole(Number::Float(number.as_f64() * factor).truncated().unwrap_or(0)));
    drop(borrowed);
    made_like(delta, product)
}

/// A factor as a float; `None` where the object is no number.
fn factor(object: &Bound<'_, PyAny>) -> PyResult<Option<f64>> {
    match object.py().get_type::<pyo3::types::PyFloat>().call1((object,)) {
        Ok(float) => float.extract().map(Some),
        Err(error) if error.is_instance_of::<PyTypeError>(object.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

fn rounded(py: Python<'_>, value: f64, digits: i32) -> PyResult<f64> {
    py.import("builtins")?.call_method1("round", (value, digits))?.extract()
}

fn too_large() -> PyErr {
    PyOverflowError::new_err("Python int too large to convert to C int")
}

/// A weekday: itself, or the one with this number.
fn weekday_object(py: Python<'_>, weekday: Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    if !weekday.is_instance_of::<PyInt>() {
        return Ok(weekday.unbind());
    }
    let weekdays = WEEKDAYS.get_or_try_init(py, || {
        let weekdays = py.import("naja.dateutil.relativedelta")?.getattr("weekdays")?;
        Ok::<_, PyErr>(weekdays.cast_into::<PyTuple>()?.unbind())
    })?;
    Ok(weekdays.bind(py).as_any().get_item(weekday)?.unbind())
}

fn weekday_numbers(weekday: &Bound<'_, PyAny>) -> Option<(i64, i64)> {
    let py = weekday.py();
    let number = weekday.getattr(intern!(py, "weekday")).ok()?.extract().ok()?;
    let count: Option<i64> = weekday.getattr(intern!(py, "n")).ok()?.extract().ok()?;
    Some((number, count.unwrap_or(1)))
}

#[inline]
fn moment_of(datetime: &Bound<'_, PyDateTime>) -> Moment {
    Moment {
        year: datetime.get_year().into(),
        month: datetime.get_month().into(),
        day: datetime.get_day().into(),
        hour: datetime.get_hour().into(),
        minute: datetime.get_minute().into(),
        second: datetime.get_second().into(),
        microsecond: datetime.get_microsecond().into(),
    }
}

fn midnight_of(date: &Bound<'_, PyDate>) -> Moment {
    Moment {
        year: date.get_year().into(),
        month: date.get_month().into(),
        day: date.get_day().into(),
        hour: 0,
        minute: 0,
        second: 0,
        microsecond: 0,
    }
}

fn small_date(moment: Moment) -> (i32, u8, u8) {
    (moment.year as i32, moment.month as u8, moment.day as u8)
}

#[inline]
fn datetime_of<'py>(
    py: Python<'py>,
    moment: Moment,
    zone: Option<&Bound<'py, PyTzInfo>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (year, month, day) = small_date(moment);
    let Moment { hour, minute, second, microsecond, .. } = moment;
    PyDateTime::new(py, year, month, day, hour as u8, minute as u8, second as u8, microsecond as u32, zone)
        .map(Bound::into_any)
}

/// The distance between two dates; not yet carried.
fn difference(to: &Bound<'_, PyAny>, from: &Bound<'_, PyAny>) -> PyResult<RelativeDelta> {
    let py = to.py();
    if !(to.is_instance_of::<PyDate>() && from.is_instance_of::<PyDate>()) {
        return Err(PyTypeError::new_err("relativedelta only diffs datetime/date"));
    }
    if let (Some(to), Some(from)) = (local_moment(to), local_moment(from))
        && is_same_zone(to.1.as_ref(), from.1.as_ref())
        && let Some(delta) = Delta::between(to.0, from.0)
    {
        return Ok(RelativeDelta {
            years: Number::Whole(delta.years),
            months: Number::Whole(delta.months),
            seconds: Number::Whole(delta.seconds),
            microseconds: Number::Whole(delta.microseconds),
            ..RelativeDelta::nothing()
        });
    }
    let as_datetime = |date: &Bound<'_, PyAny>| -> PyResult<Py<PyAny>> {
        if date.is_instance_of::<PyDateTime>() {
            return Ok(date.clone().unbind());
        }
        let ordinal = date.call_method0("toordinal")?;
        Ok(py.get_type::<PyDateTime>().call_method1("fromordinal", (ordinal,))?.unbind())
    };
    let mixed = to.is_instance_of::<PyDateTime>() != from.is_instance_of::<PyDateTime>();
    let (to, from) = if mixed {
        (as_datetime(to)?.into_bound(py), as_datetime(from)?.into_bound(py))
    } else {
        (to.clone(), from.clone())
    };
    difference_slowly(&to, &from)
}

/// An ordinary date or datetime, and its zone.
fn local_moment<'py>(date: &Bound<'py, PyAny>) -> Option<(Moment, Option<Bound<'py, PyTzInfo>>)> {
    if let Ok(datetime) = date.cast_exact::<PyDateTime>() {
        return Some((moment_of(datetime), datetime.get_tzinfo()));
    }
    date.cast_exact::<PyDate>().ok().map(|date| (midnight_of(date), None))
}

/// Whether two zones are no zone or the same object, so that the clocks alone are compared.
fn is_same_zone(one: Option<&Bound<'_, PyTzInfo>>, other: Option<&Bound<'_, PyTzInfo>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.is(other),
        _ => false,
    }
}

fn difference_slowly(to: &Bound<'_, PyAny>, from: &Bound<'_, PyAny>) -> PyResult<RelativeDelta> {
    let number = |date: &Bound<'_, PyAny>, name: &str| -> PyResult<i64> { date.getattr(name)?.extract() };
    let years = number(to, "year")? - number(from, "year")?;
    let mut months = years * 12 + number(to, "month")? - number(from, "month")?;
    let of_months = |months: i64| RelativeDelta {
        years: Number::Whole(months / 12),
        months: Number::Whole(months % 12),
        ..RelativeDelta::nothing()
    };
    let is_before = to.lt(from)?;
    let mut delta = of_months(months);
    let mut reached = delta.added_slowly(from)?;
    while if is_before { to.gt(&reached)? } else { to.lt(&reached)? } {
        months += if is_before { 1 } else { -1 };
        delta = of_months(months);
        reached = delta.added_slowly(from)?;
    }
    let rest = to.sub(&reached)?.cast_into::<PyDelta>()?;
    let seconds = i64::from(rest.get_days()) * 86_400 + i64::from(rest.get_seconds());
    delta.seconds = Number::Whole(seconds);
    delta.microseconds = Number::Whole(rest.get_microseconds().into());
    Ok(delta)
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<RelativeDelta>()
}
