//! `rrulestr`: rules and sets from iCalendar's text.

use std::cell::RefCell;
use std::collections::BTreeMap;

use naja_dates::rrule::{Civil, Property, TextError, days_in_month, parse_rule, properties};
use pyo3::PyTypeInfo;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict};

use super::rule::RecurrenceRule;
use super::set::RuleSet;
use crate::zones;

/// How dates in the text are read.
struct Reading<'a, 'py> {
    ignoretz: bool,
    tzids: Option<&'a Bound<'py, PyAny>>,
    tzinfos: Option<&'a Bound<'py, PyAny>>,
    /// The names after `TZID=` in the text's own letters, by their capitals; of several the last.
    names: BTreeMap<String, String>,
    /// Zones that `gettz` was asked for: looking one up goes through files, and a line may be there thousands of times.
    found: RefCell<BTreeMap<String, Bound<'py, PyAny>>>,
}

fn value_error(error: TextError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Reads a rule, or several lines with DTSTART, RRULE, RDATE, EXRULE and EXDATE, which make a set.
#[pyfunction]
#[pyo3(signature = (s, *, dtstart=None, cache=false, unfold=false, forceset=false, compatible=false, ignoretz=false,
    tzids=None, tzinfos=None))]
#[expect(clippy::too_many_arguments, reason = "the original's")]
pub(super) fn rrulestr<'py>(
    py: Python<'py>,
    s: &str,
    dtstart: Option<Bound<'py, PyAny>>,
    cache: bool,
    unfold: bool,
    forceset: bool,
    compatible: bool,
    ignoretz: bool,
    tzids: Option<&Bound<'py, PyAny>>,
    tzinfos: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let (unfold, forceset) = (unfold || compatible, forceset || compatible);
    let reading = Reading { ignoretz, tzids, tzinfos, names: zone_names(s), found: RefCell::default() };
    let text = s.to_uppercase();
    let lines = properties(&text, unfold).map_err(value_error)?;
    if let [line] = &lines[..]
        && !forceset
        && (!text.contains(':') || text.starts_with("RRULE:"))
    {
        return reading.rule(py, line, dtstart.as_ref(), cache);
    }
    let mut dtstart = dtstart;
    let (mut rules, mut dates, mut without_rules, mut without_dates) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        match line.name.as_str() {
            "RRULE" | "EXRULE" => {
                if let Some(parameter) = line.parameters.iter().find(|word| !word.starts_with("X-")) {
                    return Err(unsupported(&format!("{} parm", line.name), parameter));
                }
                if line.name == "RRULE" { rules.push(line) } else { without_rules.push(line) }
            }
            "RDATE" => {
                if let Some(parameter) = line.parameters.iter().find(|word| *word != "VALUE=DATE-TIME") {
                    return Err(unsupported("RDATE parm", parameter));
                }
                for date in line.value.split(',') {
                    dates.push(reading.date(py, date)?);
                }
            }
            "EXDATE" => without_dates.extend(reading.dates(py, &line)?),
            "DTSTART" => match &reading.dates(py, &line)?[..] {
                [date] => dtstart = Some(date.clone()),
                _ => {
                    return Err(PyValueError::new_err(format!(
                        "Multiple DTSTART values specified: {}",
                        line.value
                    )));
                }
            },
            name => return Err(unsupported("property", name)),
        }
    }
    let plain = rules.len() <= 1 && dates.is_empty() && without_rules.is_empty() && without_dates.is_empty();
    if plain && !forceset {
        let Some(rule) = rules.first() else {
            return Err(PyValueError::new_err("no RRULE in the text"));
        };
        return reading.rule(py, rule, dtstart.as_ref(), cache);
    }
    let set = RuleSet::type_object(py).call1((cache,))?;
    for rule in &rules {
        set.call_method1("rrule", (reading.rule(py, rule, dtstart.as_ref(), false)?,))?;
    }
    for date in dates {
        set.call_method1("rdate", (date,))?;
    }
    for rule in &without_rules {
        set.call_method1("exrule", (reading.rule(py, rule, dtstart.as_ref(), false)?,))?;
    }
    for date in without_dates {
        set.call_method1("exdate", (date,))?;
    }
    if let Some(dtstart) = dtstart.filter(|_| compatible) {
        set.call_method1("rdate", (dtstart,))?;
    }
    Ok(set)
}

fn unsupported(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("unsupported {what}: {name}"))
}

/// What follows each `TZID=` up to the next colon, whose letters must not become capitals.
fn zone_names(text: &str) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("TZID=") {
        // Without another colon no name follows: looking for it behind each `TZID=` would take the square of the length.
        let Some((name, behind)) = after.split_once(':') else { break };
        rest = if name.is_empty() { after } else { behind };
        if !name.is_empty() {
            names.insert(name.to_uppercase(), name.to_owned());
        }
    }
    names
}

impl<'py> Reading<'_, 'py> {
    fn rule(
        &self,
        py: Python<'py>,
        line: &Property,
        dtstart: Option<&Bound<'py, PyAny>>,
        cache: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        // A line of its own may still name another property in its value.
        let text = parse_rule(&line.value).map_err(value_error)?;
        let arguments = PyDict::new(py);
        let parts = text.parts;
        if let Some(frequency) = parts.frequency {
            arguments.set_item("freq", frequency as usize)?;
        }
        if let Some(until) = text.until {
            let date = self.date(py, &until).map_err(|error| {
                let invalid = PyValueError::new_err(format!("invalid 'UNTIL': {until}"));
                if error.is_instance_of::<PyValueError>(py) {
                    invalid.set_cause(py, Some(error));
                    invalid
                } else {
                    error
                }
            })?;
            arguments.set_item("until", date)?;
        }
        for (name, value) in
            [("wkst", parts.week_start), ("interval", parts.interval), ("count", parts.count)]
        {
            if let Some(value) = value {
                arguments.set_item(name, value)?;
            }
        }
        for (name, values) in [
            ("bysetpos", parts.set_positions),
            ("bymonth", parts.months),
            ("bymonthday", parts.month_days),
            ("byyearday", parts.year_days),
            ("byeaster", parts.easter_offsets),
            ("byweekno", parts.week_numbers),
            ("byhour", parts.hours),
            ("byminute", parts.minutes),
            ("bysecond", parts.seconds),
        ] {
            if let Some(values) = values {
                arguments.set_item(name, values)?;
            }
        }
        if let Some(weekdays) = parts.weekdays {
            let class = py.import("naja.dateutil.rrule")?.getattr("weekday")?;
            let weekdays: Vec<_> =
                weekdays.iter().map(|day| class.call1((day.weekday, day.n))).collect::<PyResult<_>>()?;
            arguments.set_item("byweekday", weekdays)?;
        }
        arguments.set_item("dtstart", dtstart)?;
        arguments.set_item("cache", cache)?;
        RecurrenceRule::type_object(py).call((), Some(&arguments))
    }

    /// The dates of an EXDATE or DTSTART line, in the zone that its TZID names.
    fn dates(&self, py: Python<'py>, line: &Property) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let mut zone = None;
        let mut typed = false;
        for parameter in &line.parameters {
            if let Some(name) = parameter.strip_prefix("TZID=") {
                if let Some(name) = self.names.get(name) {
                    zone = Some(self.zone(py, name)?);
                }
            } else if !matches!(parameter.as_str(), "VALUE=DATE-TIME" | "VALUE=DATE") {
                return Err(unsupported("parm", parameter));
            } else if std::mem::replace(&mut typed, true) {
                return Err(PyValueError::new_err(format!(
                    "Duplicate value parameter found in: {parameter}"
                )));
            }
        }
        let zone = zone.filter(|zone| !zone.is_none());
        line.value
            .split(',')
            .map(|text| {
                let date = self.date(py, text)?;
                let Some(zone) = &zone else { return Ok(date) };
                if !date.getattr("tzinfo")?.is_none() {
                    return Err(PyValueError::new_err(format!(
                        "DTSTART/EXDATE specifies multiple timezones: TZID and '{text}'"
                    )));
                }
                let tzinfo = PyDict::new(py);
                tzinfo.set_item("tzinfo", zone)?;
                date.call_method("replace", (), Some(&tzinfo))
            })
            .collect()
    }

    fn zone(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.tzids {
            None => self.found_zone(py, name),
            Some(lookup) if lookup.is_callable() => lookup.call1((name,)),
            Some(mapping) => match mapping.getattr_opt("get")? {
                Some(get) => get.call1((name,)),
                None => Err(PyValueError::new_err(format!(
                    "tzids must be a callable, mapping, or None, not {mapping}"
                ))),
            },
        }
    }

    fn found_zone(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some(zone) = self.found.borrow().get(name) {
            return Ok(zone.clone());
        }
        let zone = py.import("naja.dateutil.tz")?.call_method1("gettz", (name,))?;
        self.found.borrow_mut().insert(name.to_owned(), zone.clone());
        Ok(zone)
    }

    /// A date of the text. iCalendar's own forms are read here; the parser reads whatever else may stand there.
    fn date(&self, py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
        if let Some((date, utc)) = basic_date(text)
            && (!utc || self.ignoretz || self.tzinfos.is_none())
        {
            let utc = if utc && !self.ignoretz { Some(zones::utc(py)?) } else { None };
            let Civil { year, month, day, hour, minute, second } = date;
            let date = PyDateTime::new(py, year as i32, month, day, hour, minute, second, 0, utc)?;
            return Ok(date.into_any());
        }
        let arguments = PyDict::new(py);
        arguments.set_item("ignoretz", self.ignoretz)?;
        arguments.set_item("tzinfos", self.tzinfos)?;
        let parse = py.import("naja.dateutil.parser")?.getattr("parse")?;
        parse.call((text,), Some(&arguments))
    }
}

/// Reads `19970902`, `19970902T090000` or `19970902T090000Z`, and whether it ends in Z. `None` for any other form and
/// for what is not on the calendar or the clock.
fn basic_date(text: &str) -> Option<(Civil, bool)> {
    let (text, utc) = match text.strip_suffix('Z') {
        Some(text) if text.len() == 15 => (text, true),
        _ => (text, false),
    };
    let (date, time) = match text.split_once('T') {
        Some((date, time)) if time.len() == 6 => (date, time),
        None => (text, "000000"),
        _ => return None,
    };
    if date.len() != 8 || !date.bytes().chain(time.bytes()).all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number =
        |digits: &str| digits.bytes().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    let civil = Civil {
        year: i64::from(number(&date[..4])),
        month: number(&date[4..6]) as u8,
        day: number(&date[6..]) as u8,
        hour: number(&time[..2]) as u8,
        minute: number(&time[2..4]) as u8,
        second: number(&time[4..]) as u8,
    };
    let exists = civil.year > 0
        && (1..=12).contains(&civil.month)
        && (1..=days_in_month(civil.year, civil.month)).contains(&civil.day)
        && civil.hour < 24
        && civil.minute < 60
        && civil.second < 60;
    exists.then_some((civil, utc))
}
