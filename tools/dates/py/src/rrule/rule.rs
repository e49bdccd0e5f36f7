//! `rrule`: one recurrence rule.
//!
//! The rule itself is the core's; here are its arguments, its dates as `datetime` objects in DTSTART's zone, and the
//! attributes by which the original shows what it made of its arguments.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use naja_dates::rrule::{
    Civil, Frequency, Moment, Parts, Progress, Rule, RuleError, Walker, civil, weekday_name,
};
use pyo3::exceptions::{PyAttributeError, PyDeprecationWarning, PyIndexError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{
    PyDate, PyDateAccess, PyDateTime, PyDict, PyInt, PyList, PySet, PyTime, PyTuple, PyType, PyTzInfo,
    PyTzInfoAccess,
};

use pyo3::{PyTraverseError, PyTypeInfo, PyVisit};

use super::base::RuleBase;
use super::limit::{Limit, wall_moment};
use super::values::{integer, integers, weekdays};

/// Dates after which a loop that never leaves Rust looks whether Ctrl-C was pressed.
const DATES_PER_LOOK: u32 = 1 << 12;

/// A recurrence rule of iCalendar.
#[pyclass(name = "rrule", module = "naja.dateutil.rrule", extends = RuleBase, subclass, frozen)]
pub(crate) struct RecurrenceRule {
    made: Mutex<Option<Arc<Made>>>,
}

/// What the constructor made of its arguments.
pub(super) struct Made {
    rule: Arc<Rule>,
    parts: Parts,
    start: Py<PyDateTime>,
    zone: Option<Py<PyTzInfo>>,
    until: Option<Limit>,
    interval: Py<PyAny>,
    count: Option<Py<PyAny>>,
}

/// Goes along a rule up to its UNTIL.
struct Path {
    walker: Walker,
    made: Arc<Made>,
    /// Dates until the next look for Ctrl-C.
    unseen: u32,
    /// How many dates were given.
    given: i64,
    ended: bool,
}

fn python_error(error: RuleError) -> PyErr {
    match error {
        RuleError::EasterOffset(_) => PyIndexError::new_err(error.to_string()),
        _ => PyValueError::new_err(error.to_string()),
    }
}

impl Made {
    fn zone<'py>(&self, py: Python<'py>) -> Option<&Bound<'py, PyTzInfo>> {
        self.zone.as_ref().map(|zone| zone.bind(py))
    }

    /// A moment in the rule's zone.
    pub(super) fn datetime<'py>(&self, py: Python<'py>, moment: Moment) -> PyResult<Bound<'py, PyAny>> {
        let Civil { year, month, day, hour, minute, second } = civil(moment);
        PyDateTime::new(py, year as i32, month, day, hour, minute, second, 0, self.zone(py))
            .map(Bound::into_any)
    }

    fn limit(&self, object: &Bound<'_, PyAny>) -> PyResult<Limit> {
        Limit::new(object, self.zone(object.py()).map(|zone| zone.as_any()))
    }
}

impl Path {
    fn new(made: &Arc<Made>) -> PyResult<Self> {
        let walker = Walker::new(Arc::clone(&made.rule)).map_err(python_error)?;
        Ok(Self { walker, made: Arc::clone(made), unseen: DATES_PER_LOOK, given: 0, ended: false })
    }

    /// Begins at the first date that does not surely lie before `limit`.
    fn seek(made: &Arc<Made>, limit: &Limit) -> PyResult<Self> {
        let mut path = Self::new(made)?;
        if let Some(floor) = limit.floor() {
            path.walker.seek(floor).map_err(python_error)?;
        }
        Ok(path)
    }

    fn next(&mut self, py: Python<'_>) -> PyResult<Option<Moment>> {
        while !self.ended {
            match self.walker.advance().map_err(python_error)? {
                Progress::Working => py.check_signals()?,
                Progress::Ended => self.ended = true,
                Progress::Found(moment) => {
                    self.unseen -= 1;
                    if self.unseen == 0 {
                        self.unseen = DATES_PER_LOOK;
                        py.check_signals()?;
                    }
                    let until = self.made.until.as_ref();
                    if until.map_or(Ok(Ordering::Less), |until| until.compare(py, moment, &self.made))?
                        == Ordering::Greater
                    {
                        self.ended = true;
                    } else {
                        self.given += 1;
                        return Ok(Some(moment));
                    }
                }
            }
        }
        Ok(None)
    }
}

/// A rule that keeps no dates and whose way of making them is the native one: it can be asked without going through
/// its dates from the start.
pub(super) struct Alone<'py> {
    rule: Bound<'py, RecurrenceRule>,
    made: Arc<Made>,
}

impl<'py> Alone<'py> {
    fn py(&self) -> Python<'py> {
        self.rule.py()
    }

    pub(super) fn has(&self, item: &Bound<'py, PyAny>) -> PyResult<bool> {
        let limit = self.made.limit(item)?;
        let mut path = Path::seek(&self.made, &limit)?;
        while let Some(moment) = path.next(self.py())? {
            match limit.compare(self.py(), moment, &self.made)? {
                Ordering::Less => {}
                Ordering::Equal => return Ok(true),
                Ordering::Greater => return Ok(false),
            }
        }
        Ok(false)
    }

    pub(super) fn count_all(&self) -> PyResult<()> {
        let mut path = Path::new(&self.made)?;
        let mut count = 0;
        while path.next(self.py())?.is_some() {
            count += 1;
        }
        self.rule.as_super().get().set_length(self.py(), count)
    }

    pub(super) fn after(&self, dt: &Bound<'py, PyAny>, inc: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        let limit = self.made.limit(dt)?;
        let mut path = Path::seek(&self.made, &limit)?;
        while let Some(moment) = path.next(self.py())? {
            let order = limit.compare(self.py(), moment, &self.made)?;
            if order == Ordering::Greater || inc && order == Ordering::Equal {
                return self.made.datetime(self.py(), moment).map(Some);
            }
        }
        Ok(None)
    }

    /// An iterator over all dates from one that does not lie after `dt`, or from the rule's first.
    pub(super) fn from(&self, dt: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let limit = self.made.limit(dt)?;
        let path = Path::seek(&self.made, &limit)?;
        Ok(Bound::new(self.py(), RuleDates { path: Some(path), rule: None })?.into_any())
    }

    pub(super) fn before(&self, dt: &Bound<'py, PyAny>, inc: bool) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = self.py();
        let limit = self.made.limit(dt)?;
        let mut path = Path::seek(&self.made, &limit)?;
        let mut last = None;
        while let Some(moment) = path.next(py)? {
            let order = limit.compare(py, moment, &self.made)?;
            if order == Ordering::Greater || !inc && order == Ordering::Equal {
                break;
            }
            last = Some(moment);
        }
        if last.is_none() {
            last = self.last_before_floor(&limit)?;
        }
        last.map(|moment| self.made.datetime(py, moment)).transpose()
    }

    /// The last date of those that the path from `limit`'s floor does not give.
    fn last_before_floor(&self, limit: &Limit) -> PyResult<Option<Moment>> {
        let py = self.py();
        let Some(floor) = limit.floor().filter(|_| self.made.rule.count.is_none()) else {
            // The path began at the rule's first date, so there is none.
            return Ok(None);
        };
        let end = match &self.made.until {
            None => Some(floor),
            Some(until) => until.end(true).map(|end| end.min(floor)),
        };
        let Some(end) = end else {
            // UNTIL stands in another zone: each date must be compared with it.
            let mut path = Path::new(&self.made)?;
            let mut last = None;
            while let Some(moment) = path.next(py)?.filter(|&moment| moment < floor) {
                last = Some(moment);
            }
            return Ok(last);
        };
        Walker::last_before(&self.made.rule, end, || py.check_signals().map_err(Stop::Signal))
            .map_err(PyErr::from)
    }

    pub(super) fn between(
        &self,
        after: &Bound<'py, PyAny>,
        before: &Bound<'py, PyAny>,
        inc: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let py = self.py();
        let (low, high) = (self.made.limit(after)?, self.made.limit(before)?);
        let mut path = Path::seek(&self.made, &low)?;
        let found = PyList::empty(py);
        while let Some(moment) = path.next(py)? {
            let to_high = high.compare(py, moment, &self.made)?;
            if to_high == Ordering::Greater || !inc && to_high == Ordering::Equal {
                break;
            }
            let reached = !found.is_empty() || {
                let to_low = low.compare(py, moment, &self.made)?;
                to_low == Ordering::Greater || inc && to_low == Ordering::Equal
            };
            if reached {
                found.append(self.made.datetime(py, moment)?)?;
            }
        }
        Ok(found)
    }
}

/// Why a search was given up.
enum Stop {
    Rule(RuleError),
    Signal(PyErr),
}

impl From<RuleError> for Stop {
    fn from(error: RuleError) -> Self {
        Self::Rule(error)
    }
}

impl From<Stop> for PyErr {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Rule(error) => python_error(error),
            Stop::Signal(error) => error,
        }
    }
}

impl RecurrenceRule {
    fn made(&self) -> PyResult<Arc<Made>> {
        self.lock().clone().ok_or_else(|| PyAttributeError::new_err("rrule.__init__ was not called"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Arc<Made>>> {
        self.made.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// `base` as a rule that can be asked directly; `None` where it keeps dates or a subclass makes them.
    pub(super) fn alone<'py>(base: &Bound<'py, RuleBase>) -> Option<Alone<'py>> {
        let rule = base.cast::<Self>().ok()?;
        if base.get().keeps() || !Self::makes_its_dates(&rule.get_type()) {
            return None;
        }
        let made = rule.get().made().ok()?;
        Some(Alone { rule: rule.clone(), made })
    }

    fn makes_its_dates(class: &Bound<'_, PyType>) -> bool {
        let native = Self::type_object(class.py());
        let same = |name: &str| match (class.getattr(name), native.getattr(name)) {
            (Ok(own), Ok(native)) => own.is(&native),
            _ => false,
        };
        class.is(&native) || same("_iter") && same("__iter__")
    }

    fn make(py: Python<'_>, arguments: Arguments<'_, '_>) -> PyResult<Made> {
        let given = |value: Option<&Bound<'_, PyAny>>| -> PyResult<bool> {
            value.map_or(Ok(false), |value| value.is_truthy())
        };
        let until = match arguments.until {
            Some(until) if given(Some(until))? => Some(midnight(until)?),
            _ => None,
        };
        let start = match arguments.dtstart {
            Some(start) if given(Some(start))? => {
                let start = midnight(start)?;
                let start = start.cast::<PyDateTime>().map_err(|_| {
                    PyTypeError::new_err(format!("dtstart must be a datetime, not {}", start.get_type()))
                })?;
                without_microseconds(start.as_any())?
            }
            _ => {
                let zone = until.as_ref().map(|until| until.getattr("tzinfo")).transpose()?;
                // Through the module, so that a test which sets the clock is heard.
                let now = py.import("datetime")?.getattr("datetime")?.call_method1("now", (zone,))?;
                without_microseconds(&now)?
            }
        };
        let zone = start.get_tzinfo();
        if let Some(until) = &until
            && until.getattr("tzinfo")?.is_none() != zone.is_none()
        {
            return Err(PyValueError::new_err(
                "UNTIL must be in UTC where DTSTART has a time zone, and have none where DTSTART has none",
            ));
        }
        if arguments.count.is_some() && until.is_some() {
            let category = py.get_type::<PyDeprecationWarning>();
            PyErr::warn(
                py,
                &category,
                c"RFC 5545 allows either COUNT or UNTIL; giving both is deprecated and will become an error",
                1,
            )?;
        }
        let parts = arguments.parts(py)?;
        let rule = Rule::new(wall_moment(&start), &parts).map_err(python_error)?;
        Ok(Made {
            rule: Arc::new(rule),
            parts,
            until: until
                .map(|until| Limit::new(&until, zone.as_ref().map(|zone| zone.as_any())))
                .transpose()?,
            start: start.unbind(),
            zone: zone.map(Bound::unbind),
            interval: match arguments.interval {
                Some(interval) => interval.clone().unbind(),
                None => 1_i64.into_pyobject(py)?.into_any().unbind(),
            },
            count: arguments.count.map(|count| count.clone().unbind()),
        })
    }
}

/// A date as the `datetime` of its midnight.
fn midnight<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    match value.cast::<PyDate>() {
        Ok(date) if !value.is_instance_of::<PyDateTime>() => {
            let py = value.py();
            Ok(PyDateTime::new(py, date.get_year(), date.get_month(), date.get_day(), 0, 0, 0, 0, None)?
                .into_any())
        }
        _ => Ok(value.clone()),
    }
}

fn without_microseconds<'py>(datetime: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDateTime>> {
    let arguments = PyDict::new(datetime.py());
    arguments.set_item("microsecond", 0)?;
    Ok(datetime.call_method("replace", (), Some(&arguments))?.cast_into()?)
}

/// The arguments of `rrule`.
#[derive(Default)]
struct Arguments<'a, 'py> {
    freq: Option<&'a Bound<'py, PyAny>>,
    dtstart: Option<&'a Bound<'py, PyAny>>,
    interval: Option<&'a Bound<'py, PyAny>>,
    wkst: Option<&'a Bound<'py, PyAny>>,
    count: Option<&'a Bound<'py, PyAny>>,
    until: Option<&'a Bound<'py, PyAny>>,
    bysetpos: Option<&'a Bound<'py, PyAny>>,
    bymonth: Option<&'a Bound<'py, PyAny>>,
    bymonthday: Option<&'a Bound<'py, PyAny>>,
    byyearday: Option<&'a Bound<'py, PyAny>>,
    byeaster: Option<&'a Bound<'py, PyAny>>,
    byweekno: Option<&'a Bound<'py, PyAny>>,
    byweekday: Option<&'a Bound<'py, PyAny>>,
    byhour: Option<&'a Bound<'py, PyAny>>,
    byminute: Option<&'a Bound<'py, PyAny>>,
    bysecond: Option<&'a Bound<'py, PyAny>>,
}

impl Arguments<'_, '_> {
    fn parts(&self, py: Python<'_>) -> PyResult<Parts> {
        let number = |value: Option<&Bound<'_, PyAny>>| value.map(integer).transpose();
        let frequency = match self.freq {
            Some(freq) => {
                let number = integer(freq)?;
                let frequency = usize::try_from(number).ok().and_then(|number| Frequency::ALL.get(number));
                *frequency.ok_or_else(|| {
                    PyValueError::new_err(format!("freq must be 0 (YEARLY) to 6 (SECONDLY), not {number}"))
                })?
            }
            None => return Err(PyTypeError::new_err("rrule needs freq")),
        };
        let week_start = match self.wkst {
            None => integer(&py.import("calendar")?.call_method0("firstweekday")?)?,
            Some(wkst) if wkst.is_instance_of::<PyInt>() => integer(wkst)?,
            Some(wkst) => integer(&wkst.getattr("weekday")?)?,
        };
        Ok(Parts {
            frequency: Some(frequency),
            interval: number(self.interval)?,
            week_start: Some(week_start),
            count: number(self.count)?,
            set_positions: integers(self.bysetpos)?,
            months: integers(self.bymonth)?,
            month_days: integers(self.bymonthday)?,
            year_days: integers(self.byyearday)?,
            easter_offsets: integers(self.byeaster)?,
            week_numbers: integers(self.byweekno)?,
            weekdays: weekdays(self.byweekday)?,
            hours: integers(self.byhour)?,
            minutes: integers(self.byminute)?,
            seconds: integers(self.bysecond)?,
        })
    }
}

#[pymethods]
impl RecurrenceRule {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> PyClassInitializer<Self> {
        PyClassInitializer::from(RuleBase::empty()).add_subclass(Self { made: Mutex::new(None) })
    }

    #[pyo3(signature = (freq, dtstart=None, interval=None, wkst=None, count=None, until=None, bysetpos=None,
        bymonth=None, bymonthday=None, byyearday=None, byeaster=None, byweekno=None, byweekday=None, byhour=None,
        byminute=None, bysecond=None, cache=false))]
    #[expect(clippy::too_many_arguments, reason = "the original's")]
    fn __init__<'py>(
        slf: &Bound<'py, Self>,
        freq: &Bound<'py, PyAny>,
        dtstart: Option<&Bound<'py, PyAny>>,
        interval: Option<&Bound<'py, PyAny>>,
        wkst: Option<&Bound<'py, PyAny>>,
        count: Option<&Bound<'py, PyAny>>,
        until: Option<&Bound<'py, PyAny>>,
        bysetpos: Option<&Bound<'py, PyAny>>,
        bymonth: Option<&Bound<'py, PyAny>>,
        bymonthday: Option<&Bound<'py, PyAny>>,
        byyearday: Option<&Bound<'py, PyAny>>,
        byeaster: Option<&Bound<'py, PyAny>>,
        byweekno: Option<&Bound<'py, PyAny>>,
        byweekday: Option<&Bound<'py, PyAny>>,
        byhour: Option<&Bound<'py, PyAny>>,
        byminute: Option<&Bound<'py, PyAny>>,
        bysecond: Option<&Bound<'py, PyAny>>,
        cache: bool,
    ) -> PyResult<()> {
        let arguments = Arguments {
            freq: Some(freq),
            dtstart,
            interval,
            wkst,
            count,
            until,
            bysetpos,
            bymonth,
            bymonthday,
            byyearday,
            byeaster,
            byweekno,
            byweekday,
            byhour,
            byminute,
            bysecond,
        };
        let made = Self::make(slf.py(), arguments)?;
        *slf.get().lock() = Some(Arc::new(made));
        RuleBase::start(slf.as_super(), cache)
    }

    fn _iter(slf: Bound<'_, Self>) -> RuleDates {
        RuleDates { path: None, rule: Some(slf.unbind()) }
    }

    /// The rule with some arguments changed.
    #[pyo3(signature = (**kwargs))]
    fn replace<'py>(
        slf: &Bound<'py, Self>,
        kwargs: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let arguments = PyDict::new(slf.py());
        for name in ["interval", "count", "dtstart", "freq", "until", "wkst"] {
            arguments.set_item(name, slf.getattr(format!("_{name}"))?)?;
        }
        arguments.set_item("cache", slf.as_super().get().keeps())?;
        arguments.update(slf.getattr("_original_rule")?.cast::<PyDict>()?.as_mapping())?;
        if let Some(kwargs) = kwargs {
            arguments.update(kwargs.as_mapping())?;
        }
        Self::type_object(slf.py()).call((), Some(&arguments))
    }

    /// The rule as iCalendar writes it: a line for DTSTART, a line for RRULE.
    fn __str__(&self, py: Python<'_>) -> PyResult<String> {
        let made = self.made()?;
        let start: String =
            made.start.bind(py).call_method1("strftime", ("DTSTART:%Y%m%dT%H%M%S",))?.extract()?;
        let mut words = vec![format!("FREQ={}", made.rule.frequency.name())];
        if made.interval.bind(py).ne(1)? {
            words.push(format!("INTERVAL={}", made.interval.bind(py)));
        }
        if made.rule.week_start != 0 {
            words.push(format!("WKST={}", weekday_name(made.rule.week_start as usize)));
        }
        if let Some(count) = &made.count {
            words.push(format!("COUNT={}", count.bind(py)));
        }
        if let Some(until) = &made.until {
            words.push(until.object(py).call_method1("strftime", ("UNTIL=%Y%m%dT%H%M%S",))?.extract()?);
        }
        let rule = &made.rule;
        let given = |part: &Option<Vec<i64>>, made: Vec<i64>| if part.is_some() { made } else { Vec::new() };
        let month_days = rule.month_days.iter().chain(&rule.month_days_from_end).copied().collect();
        let parts: [(&str, Vec<i64>); 5] = [
            ("BYSETPOS", rule.set_positions.clone()),
            ("BYMONTH", given(&made.parts.months, rule.months.clone())),
            ("BYMONTHDAY", given(&made.parts.month_days, month_days)),
            ("BYYEARDAY", rule.year_days.clone()),
            ("BYWEEKNO", rule.week_numbers.clone()),
        ];
        let times: [(&str, Vec<i64>); 4] = [
            ("BYHOUR", given(&made.parts.hours, rule.hours.clone().unwrap_or_default())),
            ("BYMINUTE", given(&made.parts.minutes, rule.minutes.clone().unwrap_or_default())),
            ("BYSECOND", given(&made.parts.seconds, rule.seconds.clone().unwrap_or_default())),
            ("BYEASTER", rule.easter_offsets.clone()),
        ];
        let join = |values: &[i64]| values.iter().map(i64::to_string).collect::<Vec<_>>().join(",");
        let word = |(name, values): &(&str, Vec<i64>)| {
            (!values.is_empty()).then(|| format!("{name}={}", join(values)))
        };
        words.extend(parts.iter().filter_map(word));
        let days = self.weekday_words(&made);
        if made.parts.weekdays.is_some() && !days.is_empty() {
            words.push(format!("BYDAY={}", days.join(",")));
        }
        words.extend(times.iter().filter_map(word));
        Ok(format!("{start}\nRRULE:{}", words.join(";")))
    }

    fn _pickled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let state = RuleBase::_pickled(slf.as_super())?;
        for name in PICKLED {
            state.set_item(name, slf.getattr(name)?)?;
        }
        Ok(state)
    }

    fn _unpickled<'py>(slf: &Bound<'py, Self>, state: &Bound<'py, PyDict>) -> PyResult<()> {
        let py = slf.py();
        let original = state.get_item("_original_rule")?;
        let original =
            original.map(Bound::cast_into::<PyDict>).transpose()?.unwrap_or_else(|| PyDict::new(py));
        let part = |name: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
            Ok(original.get_item(name)?.filter(|value| !value.is_none()))
        };
        let own = |name: &str| -> PyResult<Option<Bound<'py, PyAny>>> {
            Ok(state.get_item(name)?.filter(|value| !value.is_none()))
        };
        let made = Self::make(
            py,
            Arguments {
                freq: own("_freq")?.as_ref(),
                dtstart: own("_dtstart")?.as_ref(),
                interval: own("_interval")?.as_ref(),
                wkst: own("_wkst")?.as_ref(),
                count: own("_count")?.as_ref(),
                until: own("_until")?.as_ref(),
                bysetpos: part("bysetpos")?.as_ref(),
                bymonth: part("bymonth")?.as_ref(),
                bymonthday: part("bymonthday")?.as_ref(),
                byyearday: part("byyearday")?.as_ref(),
                byeaster: part("byeaster")?.as_ref(),
                byweekno: part("byweekno")?.as_ref(),
                byweekday: part("byweekday")?.as_ref(),
                byhour: part("byhour")?.as_ref(),
                byminute: part("byminute")?.as_ref(),
                bysecond: part("bysecond")?.as_ref(),
            },
        )?;
        *slf.get().lock() = Some(Arc::new(made));
        Ok(())
    }

    #[getter(_freq)]
    fn get_freq(&self) -> PyResult<usize> {
        Ok(self.made()?.rule.frequency as usize)
    }

    #[getter(_dtstart)]
    fn get_dtstart(&self, py: Python<'_>) -> PyResult<Py<PyDateTime>> {
        Ok(self.made()?.start.clone_ref(py))
    }

    #[getter(_tzinfo)]
    fn get_tzinfo(&self, py: Python<'_>) -> PyResult<Option<Py<PyTzInfo>>> {
        Ok(self.made()?.zone.as_ref().map(|zone| zone.clone_ref(py)))
    }

    #[getter(_interval)]
    fn get_interval(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.made()?.interval.clone_ref(py))
    }

    #[getter(_wkst)]
    fn get_wkst(&self) -> PyResult<i64> {
        Ok(self.made()?.rule.week_start)
    }

    #[getter(_count)]
    fn get_count(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.made()?.count.as_ref().map(|count| count.clone_ref(py)))
    }

    #[getter(_until)]
    fn get_until(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        Ok(self.made()?.until.as_ref().map(|until| until.object(py).clone().unbind()))
    }

    #[getter(_bysetpos)]
    fn get_bysetpos<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        tuple(py, made.parts.set_positions.as_ref().map(|_| &made.rule.set_positions))
    }

    #[getter(_bymonth)]
    fn get_bymonth<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        tuple(py, Some(&made.rule.months).filter(|months| made.parts.months.is_some() || !months.is_empty()))
    }

    #[getter(_bymonthday)]
    fn get_bymonthday<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.made()?.rule.month_days)
    }

    #[getter(_bynmonthday)]
    fn get_bynmonthday<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, &self.made()?.rule.month_days_from_end)
    }

    #[getter(_byyearday)]
    fn get_byyearday<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        tuple(py, made.parts.year_days.as_ref().map(|_| &made.rule.year_days))
    }

    #[getter(_byeaster)]
    fn get_byeaster<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        tuple(py, made.parts.easter_offsets.as_ref().map(|_| &made.rule.easter_offsets))
    }

    #[getter(_byweekno)]
    fn get_byweekno<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        tuple(py, made.parts.week_numbers.as_ref().map(|_| &made.rule.week_numbers))
    }

    #[getter(_byweekday)]
    fn get_byweekday<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        tuple(py, self.made()?.rule.weekdays.as_ref())
    }

    #[getter(_bynweekday)]
    fn get_bynweekday<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        let nth = &made.rule.nth_weekdays;
        if nth.is_empty() { Ok(None) } else { PyTuple::new(py, nth.iter().copied()).map(Some) }
    }

    #[getter(_byhour)]
    fn get_byhour<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let made = self.made()?;
        time_part(py, made.rule.hours.as_ref(), made.parts.hours.is_some())
    }

    #[getter(_byminute)]
    fn get_byminute<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let made = self.made()?;
        time_part(py, made.rule.minutes.as_ref(), made.parts.minutes.is_some())
    }

    #[getter(_bysecond)]
    fn get_bysecond<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        tuple(py, self.made()?.rule.seconds.as_ref())
    }

    #[getter(_timeset)]
    fn get_timeset<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let made = self.made()?;
        let rule = &made.rule;
        if rule.frequency >= Frequency::Hourly {
            return Ok(None);
        }
        let mut times = Vec::new();
        for hour in rule.hours.iter().flatten() {
            for minute in rule.minutes.iter().flatten() {
                for second in rule.seconds.iter().flatten() {
                    times.push(PyTime::new(py, *hour as u8, *minute as u8, *second as u8, 0, made.zone(py))?);
                }
            }
        }
        PyTuple::new(py, times).map(Some)
    }

    /// The BY arguments that make the same rule again; `None` where DTSTART implied one.
    #[getter(_original_rule)]
    fn get_original_rule<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let made = self.made()?;
        let (rule, parts) = (&made.rule, &made.parts);
        let original = PyDict::new(py);
        if !rule.set_positions.is_empty() {
            original.set_item("bysetpos", PyTuple::new(py, &rule.set_positions)?)?;
        }
        if parts.days_follow_start() {
            let implied: &[&str] = match rule.frequency {
                Frequency::Yearly if parts.months.is_some() => &["bymonthday"],
                Frequency::Yearly => &["bymonth", "bymonthday"],
                Frequency::Monthly => &["bymonthday"],
                Frequency::Weekly => &["byweekday"],
                _ => &[],
            };
            for name in implied {
                original.set_item(name, py.None())?;
            }
        }
        let set = |name: &str, given: bool, values: &[i64]| -> PyResult<()> {
            if given && !original.contains(name)? {
                original.set_item(name, PyTuple::new(py, values)?)?;
            }
            Ok(())
        };
        let month_days: Vec<i64> = rule.month_days.iter().chain(&rule.month_days_from_end).copied().collect();
        set("bymonth", parts.months.is_some(), &rule.months)?;
        set("byyearday", parts.year_days.is_some(), &rule.year_days)?;
        set("byeaster", parts.easter_offsets.is_some(), &rule.easter_offsets)?;
        set("bymonthday", parts.month_days.is_some(), &month_days)?;
        set("byweekno", parts.week_numbers.is_some(), &rule.week_numbers)?;
        if parts.weekdays.is_some() {
            let class = py.import("naja.dateutil.rrule")?.getattr("weekday")?;
            let mut days = Vec::new();
            for day in rule.weekdays.iter().flatten() {
                days.push(class.call1((day,))?);
            }
            for (day, n) in &rule.nth_weekdays {
                days.push(class.call1((day, n))?);
            }
            original.set_item("byweekday", PyTuple::new(py, days)?)?;
        }
        set("byhour", parts.hours.is_some(), rule.hours.as_deref().unwrap_or_default())?;
        set("byminute", parts.minutes.is_some(), rule.minutes.as_deref().unwrap_or_default())?;
        set("bysecond", parts.seconds.is_some(), rule.seconds.as_deref().unwrap_or_default())?;
        Ok(original)
    }
}

impl RecurrenceRule {
    fn weekday_words(&self, made: &Made) -> Vec<String> {
        let name = |day: i64| weekday_name(day.rem_euclid(7) as usize);
        let plain = made.rule.weekdays.iter().flatten().map(|&day| name(day).to_owned());
        plain.chain(made.rule.nth_weekdays.iter().map(|&(day, n)| format!("{n:+}{}", name(day)))).collect()
    }
}

/// The attributes of `rrule` in the original's pickles.
const PICKLED: [&str; 22] = [
    "_dtstart",
    "_tzinfo",
    "_freq",
    "_interval",
    "_count",
    "_original_rule",
    "_until",
    "_wkst",
    "_bysetpos",
    "_bymonth",
    "_byyearday",
    "_byeaster",
    "_bymonthday",
    "_bynmonthday",
    "_byweekno",
    "_byweekday",
    "_bynweekday",
    "_byhour",
    "_byminute",
    "_bysecond",
    "_timeset",
    "_len",
];

fn tuple<'py>(py: Python<'py>, values: Option<&Vec<i64>>) -> PyResult<Option<Bound<'py, PyTuple>>> {
    values.map(|values| PyTuple::new(py, values)).transpose()
}

/// Hours and minutes that DTSTART implies are a set, those that were given a tuple.
fn time_part<'py>(
    py: Python<'py>,
    values: Option<&Vec<i64>>,
    given: bool,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    match values {
        Some(values) if given => PyTuple::new(py, values).map(|tuple| Some(tuple.into_any())),
        Some(values) => PySet::new(py, values).map(|set| Some(set.into_any())),
        None => Ok(None),
    }
}

/// Goes along a rule's dates. Begins at the first question, as a generator does.
#[pyclass(module = "naja.dateutil.rrule")]
pub(super) struct RuleDates {
    path: Option<Path>,
    /// Told how many dates there were when they end.
    rule: Option<Py<RecurrenceRule>>,
}

#[pymethods]
impl RuleDates {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let path = match (&mut self.path, &self.rule) {
            (Some(path), _) => path,
            (path, Some(rule)) => path.insert(Path::new(&rule.get().made()?)?),
            (None, None) => return Ok(None),
        };
        if let Some(moment) = path.next(py)? {
            return path.made.datetime(py, moment).map(Some);
        }
        let given = path.given;
        if let Some(rule) = self.rule.take() {
            rule.bind(py).as_super().get().set_length(py, given)?;
        }
        Ok(None)
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.rule)
    }

    fn __clear__(&mut self) {
        self.rule = None;
    }
}
