//! `rruleset`: the dates of some rules and single dates, without those of others.

use std::cmp::Ordering;

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDict, PyList, PyTuple, PyTzInfo, PyTzInfoAccess};

use super::base::RuleBase;
use super::limit::wall_us;

/// Rules and dates, less other rules and dates.
#[pyclass(name = "rruleset", module = "naja.dateutil.rrule", extends = RuleBase, subclass, frozen)]
pub(crate) struct RuleSet {
    rules: Py<PyList>,
    dates: Py<PyList>,
    without_rules: Py<PyList>,
    without_dates: Py<PyList>,
}

#[pymethods]
impl RuleSet {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyClassInitializer<Self> {
        let empty = || PyList::empty(py).unbind();
        let set = Self { rules: empty(), dates: empty(), without_rules: empty(), without_dates: empty() };
        PyClassInitializer::from(RuleBase::empty()).add_subclass(set)
    }

    #[pyo3(signature = (cache=false))]
    fn __init__(slf: &Bound<'_, Self>, cache: bool) -> PyResult<()> {
        RuleBase::start(slf.as_super(), cache)
    }

    /// Adds a rule's dates.
    fn rrule(slf: &Bound<'_, Self>, rrule: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().rules.bind(slf.py()).append(rrule)?;
        RuleBase::forget(slf.as_super())
    }

    /// Adds a date.
    fn rdate(slf: &Bound<'_, Self>, rdate: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().dates.bind(slf.py()).append(rdate)?;
        RuleBase::forget(slf.as_super())
    }

    /// Takes a rule's dates out.
    fn exrule(slf: &Bound<'_, Self>, exrule: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().without_rules.bind(slf.py()).append(exrule)?;
        RuleBase::forget(slf.as_super())
    }

    /// Takes a date out.
    fn exdate(slf: &Bound<'_, Self>, exdate: &Bound<'_, PyAny>) -> PyResult<()> {
        slf.get().without_dates.bind(slf.py()).append(exdate)?;
        RuleBase::forget(slf.as_super())
    }

    fn _iter(slf: Bound<'_, Self>) -> SetDates {
        SetDates { set: slf.unbind(), streams: None, last: None, given: 0 }
    }

    fn _pickled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let state = RuleBase::_pickled(slf.as_super())?;
        let set = slf.get();
        state.set_item("_rrule", &set.rules)?;
        state.set_item("_rdate", &set.dates)?;
        state.set_item("_exrule", &set.without_rules)?;
        state.set_item("_exdate", &set.without_dates)?;
        Ok(state)
    }

    fn _unpickled<'py>(slf: &Bound<'py, Self>, state: &Bound<'py, PyDict>) -> PyResult<()> {
        let set = slf.get();
        for (name, list) in [
            ("_rrule", &set.rules),
            ("_rdate", &set.dates),
            ("_exrule", &set.without_rules),
            ("_exdate", &set.without_dates),
        ] {
            let list = list.bind(slf.py());
            list.del_slice(0, list.len())?;
            if let Some(items) = state.get_item(name)? {
                list.call_method1("extend", (items,))?;
            }
        }
        Ok(())
    }

    #[getter(_rrule)]
    fn get_rrule(&self, py: Python<'_>) -> Py<PyList> {
        self.rules.clone_ref(py)
    }

    #[getter(_rdate)]
    fn get_rdate(&self, py: Python<'_>) -> Py<PyList> {
        self.dates.clone_ref(py)
    }

    #[getter(_exrule)]
    fn get_exrule(&self, py: Python<'_>) -> Py<PyList> {
        self.without_rules.clone_ref(py)
    }

    #[getter(_exdate)]
    fn get_exdate(&self, py: Python<'_>) -> Py<PyList> {
        self.without_dates.clone_ref(py)
    }
}

/// A date, and what it is compared by as long as all are in one zone.
struct Dated {
    date: Py<PyAny>,
    wall_us: Option<i64>,
    zone: Option<Py<PyTzInfo>>,
}

impl Dated {
    fn new(date: Bound<'_, PyAny>) -> Self {
        let (wall_us, zone) = match date.cast::<PyDateTime>() {
            Ok(datetime) => (Some(wall_us(datetime)), datetime.get_tzinfo().map(Bound::unbind)),
            Err(_) => (None, None),
        };
        Self { date: date.unbind(), wall_us, zone }
    }

    fn compare(&self, py: Python<'_>, other: &Self) -> PyResult<Ordering> {
        let same_zone = match (&self.zone, &other.zone) {
            (None, None) => true,
            (Some(own), Some(other)) => own.is(other),
            _ => false,
        };
        if let (true, Some(own), Some(other)) = (same_zone, self.wall_us, other.wall_us) {
            return Ok(own.cmp(&other));
        }
        let (own, other) = (self.date.bind(py), other.date.bind(py));
        if own.lt(other)? {
            return Ok(Ordering::Less);
        }
        Ok(if own.eq(other)? { Ordering::Equal } else { Ordering::Greater })
    }
}

/// One source of dates, standing at its next one.
struct Stream {
    source: Py<PyAny>,
    next: Dated,
}

impl Stream {
    /// `None` where there are no dates.
    fn new(dates: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let source = dates.try_iter()?.into_any();
        Ok(next_date(&source)?.map(|next| Self { source: source.unbind(), next }))
    }
}

fn next_date(source: &Bound<'_, PyAny>) -> PyResult<Option<Dated>> {
    match source.call_method0("__next__") {
        Ok(date) => Ok(Some(Dated::new(date))),
        Err(error) if error.is_instance_of::<PyStopIteration>(source.py()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The few sources of a set, merged: with so few, looking at all of them is quicker than a heap.
struct Streams(Vec<Stream>);

impl Streams {
    fn new(py: Python<'_>, dates: &Py<PyList>, rules: &Py<PyList>) -> PyResult<Self> {
        let dates = dates.bind(py);
        dates.sort()?;
        let mut streams = Vec::new();
        streams.extend(Stream::new(dates.as_any())?);
        for rule in rules.bind(py).iter() {
            streams.extend(Stream::new(&rule)?);
        }
        Ok(Self(streams))
    }

    /// Which source's date is the earliest.
    fn first(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        let mut first = 0;
        for (index, stream) in self.0.iter().enumerate().skip(1) {
            if stream.next.compare(py, &self.0[first].next)? == Ordering::Less {
                first = index;
            }
        }
        Ok((first < self.0.len()).then_some(first))
    }

    /// Takes the date of a source and lets the source go to its next.
    fn take(&mut self, py: Python<'_>, index: usize) -> PyResult<Dated> {
        match next_date(self.0[index].source.bind(py))? {
            Some(next) => Ok(std::mem::replace(&mut self.0[index].next, next)),
            None => Ok(self.0.remove(index).next),
        }
    }
}

/// Goes along a set's dates. Begins at the first question, as a generator does.
#[pyclass(module = "naja.dateutil.rrule")]
pub(super) struct SetDates {
    set: Py<RuleSet>,
    /// With and without; made at the first date, as a generator would.
    streams: Option<(Streams, Streams)>,
    last: Option<Dated>,
    given: i64,
}

#[pymethods]
impl SetDates {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Py<PyAny>>> {
        let set = self.set.bind(py);
        if self.streams.is_none() {
            let parts = set.get();
            let with = Streams::new(py, &parts.dates, &parts.rules)?;
            self.streams = Some((with, Streams::new(py, &parts.without_dates, &parts.without_rules)?));
        }
        let (with, without) = self.streams.as_mut().expect("made just above");
        let mut looked_at: u32 = 0;
        while let Some(index) = with.first(py)? {
            looked_at += 1;
            if looked_at % 1024 == 0 {
                py.check_signals()?;
            }
            let date = with.take(py, index)?;
            if let Some(last) = &self.last
                && last.compare(py, &date)? == Ordering::Equal
            {
                continue;
            }
            let excluded = excluded(py, without, &date)?;
            let object = date.date.clone_ref(py);
            self.last = Some(date);
            if !excluded {
                self.given += 1;
                return Ok(Some(object));
            }
        }
        set.as_super().get().set_length(py, self.given)?;
        Ok(None)
    }
}

fn excluded(py: Python<'_>, without: &mut Streams, date: &Dated) -> PyResult<bool> {
    while let Some(index) = without.first(py)? {
        match without.0[index].next.compare(py, date)? {
            Ordering::Less => drop(without.take(py, index)?),
            order => return Ok(order == Ordering::Equal),
        }
    }
    Ok(false)
}
