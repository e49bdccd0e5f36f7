//! `rrulebase`: everything that can be asked of a rule which yields its dates in order from `_iter`, with or without
//! keeping them.

use std::sync::{Mutex, MutexGuard};

use pyo3::PyTypeInfo;
use pyo3::exceptions::{PyIndexError, PyStopIteration};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PySlice, PyString, PyTuple, PyType};
use pyo3::{PyTraverseError, PyVisit};

use super::rule::RecurrenceRule;

/// Dates that are fetched each time the kept ones are used up.
const FETCHED_AT_ONCE: usize = 10;

/// The base of all rules. A subclass yields its dates in order from `_iter`.
#[pyclass(name = "rrulebase", module = "naja.dateutil.rrule", subclass, frozen, dict, weakref)]
pub(crate) struct RuleBase {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// The dates so far; `None` where nothing is kept.
    dates: Option<Py<PyList>>,
    /// Where the next ones come from; `None` when they are complete.
    source: Option<Py<PyAny>>,
    complete: bool,
    length: Option<Py<PyAny>>,
    lock: Option<Py<PyAny>>,
}

/// A rule's way of being asked: `_iter` if it does not keep its dates.
pub(super) fn dates<'py>(rule: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyIterator>> {
    rule.try_iter()
}

impl RuleBase {
    pub(super) fn empty() -> Self {
        Self { kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Nothing panics while it is locked: every use is a field read or written.
        self.kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn keeps(&self) -> bool {
        self.kept().dates.is_some()
    }

    pub(super) fn set_length(&self, py: Python<'_>, length: i64) -> PyResult<()> {
        let length = length.into_pyobject(py)?.into_any().unbind();
        self.kept().length = Some(length);
        Ok(())
    }

    fn complete_dates<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyList>> {
        let kept = self.kept();
        kept.dates.as_ref().filter(|_| kept.complete).map(|dates| dates.bind(py).clone())
    }

    /// Begins to keep dates, or not to.
    pub(super) fn start(slf: &Bound<'_, Self>, cache: bool) -> PyResult<()> {
        let mut fresh = Kept::default();
        if cache {
            fresh.dates = Some(PyList::empty(slf.py()).unbind());
            fresh.lock = Some(slf.py().import("_thread")?.getattr("allocate_lock")?.call0()?.unbind());
            fresh.source = Some(slf.call_method0("_iter")?.unbind());
        }
        let old = std::mem::replace(&mut *slf.get().kept(), fresh);
        // What is dropped may run Python code, so not before the lock is free.
        drop(old);
        Ok(())
    }

    /// Forgets the dates that were kept, because the rule has changed.
    pub(super) fn forget(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::start(slf, slf.get().keeps())
    }

    /// Keeps up to ten more dates.
    fn fetch(slf: &Bound<'_, Self>) -> PyResult<()> {
        let py = slf.py();
        let source = slf.get().kept().source.as_ref().map(|source| source.bind(py).clone());
        let Some(source) = source else { return Ok(()) };
        let dates = slf.get().kept().dates.as_ref().map(|dates| dates.bind(py).clone());
        let Some(dates) = dates else { return Ok(()) };
        for _ in 0..FETCHED_AT_ONCE {
            match source.call_method0("__next__") {
                Ok(date) => dates.append(date)?,
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => {
                    let mut kept = slf.get().kept();
                    let finished = kept.source.take();
                    kept.complete = true;
                    drop(kept);
                    drop(finished);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[pymethods]
impl RuleBase {
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Self {
        Self::empty()
    }

    #[pyo3(signature = (cache=false))]
    fn __init__(slf: &Bound<'_, Self>, cache: bool) -> PyResult<()> {
        Self::start(slf, cache)
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        if let Some(dates) = slf.get().complete_dates(slf.py()) {
            return Ok(dates.try_iter()?.into_any());
        }
        if slf.get().keeps() {
            return slf.call_method0("_iter_cached");
        }
        slf.call_method0("_iter")
    }

    fn _iter_cached(slf: Bound<'_, Self>) -> KeptDates {
        KeptDates { rule: slf.unbind(), next: Mutex::new(0) }
    }

    fn _invalidate_cache(slf: &Bound<'_, Self>) -> PyResult<()> {
        Self::forget(slf)
    }

    fn __getitem__<'py>(slf: &Bound<'py, Self>, item: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        if let Some(dates) = slf.get().complete_dates(py) {
            return dates.as_any().get_item(item);
        }
        let all = || PyList::type_object(py).call1((slf,));
        if let Ok(slice) = item.cast::<PySlice>() {
            let (start, stop, step) =
                (slice.getattr("start")?, slice.getattr("stop")?, slice.getattr("step")?);
            if !step.is_none() && step.lt(0)? {
                return all()?.get_item(item);
            }
            let islice = py.import("itertools")?.getattr("islice")?;
            return PyList::type_object(py).call1((islice.call1((slf, start, stop, step))?,));
        }
        if item.lt(0)? {
            return all()?.get_item(item);
        }
        let mut left: u64 = item.extract()?;
        for date in dates(slf.as_any())? {
            let date = date?;
            if left == 0 {
                return Ok(date);
            }
            left -= 1;
        }
        Err(PyIndexError::new_err("rule index out of range"))
    }

    fn __contains__(slf: &Bound<'_, Self>, item: &Bound<'_, PyAny>) -> PyResult<bool> {
        if let Some(dates) = slf.get().complete_dates(slf.py()) {
            return dates.contains(item);
        }
        if let Some(rule) = RecurrenceRule::alone(slf) {
            return rule.has(item);
        }
        for date in dates(slf.as_any())? {
            let date = date?;
            if date.eq(item)? {
                return Ok(true);
            }
            if date.gt(item)? {
                return Ok(false);
            }
        }
        Ok(false)
    }

    /// How many dates there are. Goes through all of them the first time.
    fn count<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let known = || slf.get().kept().length.as_ref().map(|length| length.bind(slf.py()).clone());
        if let Some(length) = known() {
            return Ok(length);
        }
        match RecurrenceRule::alone(slf) {
            Some(rule) => rule.count_all()?,
            None => {
                for date in dates(slf.as_any())? {
                    date?;
                }
            }
        }
        // A subclass may have said it in its own attribute.
        match known() {
            Some(length) => Ok(length),
            None => slf.getattr("_len"),
        }
    }

    /// The last date before `dt`, or at it with `inc`.
    #[pyo3(signature = (dt, inc=false))]
    fn before<'py>(
        slf: &Bound<'py, Self>,
        dt: &Bound<'py, PyAny>,
        inc: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(rule) = RecurrenceRule::alone(slf) {
            return rule.before(dt, inc);
        }
        let mut last = None;
        for date in dates(slf.as_any())? {
            let date = date?;
            if if inc { date.gt(dt)? } else { date.ge(dt)? } {
                break;
            }
            last = Some(date);
        }
        Ok(last)
    }

    /// The first date after `dt`, or at it with `inc`.
    #[pyo3(signature = (dt, inc=false))]
    fn after<'py>(
        slf: &Bound<'py, Self>,
        dt: &Bound<'py, PyAny>,
        inc: bool,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        if let Some(rule) = RecurrenceRule::alone(slf) {
            return rule.after(dt, inc);
        }
        for date in dates(slf.as_any())? {
            let date = date?;
            if if inc { date.ge(dt)? } else { date.gt(dt)? } {
                return Ok(Some(date));
            }
        }
        Ok(None)
    }

    /// The dates after `dt`, or from it with `inc`; at most `count`.
    #[pyo3(signature = (dt, count=None, inc=false))]
    fn xafter<'py>(
        slf: &Bound<'py, Self>,
        dt: &Bound<'py, PyAny>,
        count: Option<i64>,
        inc: bool,
    ) -> PyResult<DatesAfter> {
        let source = match RecurrenceRule::alone(slf) {
            Some(rule) => rule.from(dt)?,
            None => dates(slf.as_any())?.into_any(),
        };
        let state = DatesAfterState { left: count, begun: false };
        Ok(DatesAfter { source: source.unbind(), limit: dt.clone().unbind(), inc, state: Mutex::new(state) })
    }

    /// The dates between two; with `inc`, also the two themselves. `count` has no effect, as in the original.
    #[pyo3(signature = (after, before, inc=false, count=1))]
    fn between<'py>(
        slf: &Bound<'py, Self>,
        after: &Bound<'py, PyAny>,
        before: &Bound<'py, PyAny>,
        inc: bool,
        #[expect(unused_variables, reason = "callers of the original may pass it")] count: i64,
    ) -> PyResult<Bound<'py, PyList>> {
        if let Some(rule) = RecurrenceRule::alone(slf) {
            return rule.between(after, before, inc);
        }
        let found = PyList::empty(slf.py());
        for date in dates(slf.as_any())? {
            let date = date?;
            if if inc { date.gt(before)? } else { date.ge(before)? } {
                break;
            }
            if !found.is_empty() || if inc { date.ge(after)? } else { date.gt(after)? } {
                found.append(date)?;
            }
        }
        Ok(found)
    }

    #[getter(_cache)]
    fn get_cache(&self, py: Python<'_>) -> Option<Py<PyList>> {
        self.kept().dates.as_ref().map(|dates| dates.clone_ref(py))
    }

    #[getter(_cache_complete)]
    fn get_cache_complete(&self) -> bool {
        self.kept().complete
    }

    #[getter(_cache_gen)]
    fn get_cache_gen(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.kept().source.as_ref().map(|source| source.clone_ref(py))
    }

    #[getter(_cache_lock)]
    fn get_cache_lock(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.kept().lock.as_ref().map(|lock| lock.clone_ref(py))
    }

    #[getter(_len)]
    fn get_len(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.kept().length.as_ref().map(|length| length.clone_ref(py))
    }

    #[setter(_len)]
    fn set_len(&self, length: Option<Py<PyAny>>) {
        self.kept().length = length;
    }

    fn __reduce_ex__<'py>(slf: &Bound<'py, Self>, _protocol: i64) -> PyResult<Bound<'py, PyTuple>> {
        let py = slf.py();
        let state = slf.call_method0("_pickled")?;
        state.call_method1("update", (slf.getattr("__dict__")?,))?;
        let copyreg = py.import("copyreg")?;
        let slots = PyDict::new(py);
        for name in copyreg.call_method1("_slotnames", (slf.get_type(),))?.try_iter()? {
            let name = name?.cast_into::<PyString>()?;
            if let Some(value) = slf.getattr_opt(&name)? {
                slots.set_item(name, value)?;
            }
        }
        let state =
            if slots.is_empty() { state } else { PyTuple::new(py, [state, slots.into_any()])?.into_any() };
        PyTuple::new(
            py,
            [copyreg.getattr("__newobj__")?, PyTuple::new(py, [slf.get_type()])?.into_any(), state],
        )
    }

    /// The attributes that the original's pickles hold, without the dates that were kept: those come again on demand.
    pub(super) fn _pickled<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyDict>> {
        let state = PyDict::new(slf.py());
        state.set_item("_cache", slf.get().keeps().then(|| PyList::empty(slf.py())))?;
        state.set_item("_cache_complete", false)?;
        state.set_item("_len", slf.getattr("_len")?)?;
        Ok(state)
    }

    fn __setstate__<'py>(slf: &Bound<'py, Self>, state: &Bound<'py, PyAny>) -> PyResult<()> {
        let (state, slots) = match state.cast::<PyTuple>() {
            Ok(both) => (both.get_item(0)?, Some(both.get_item(1)?)),
            Err(_) => (state.clone(), None),
        };
        let state = state.cast::<PyDict>()?;
        slf.call_method1("_unpickled", (state,))?;
        let cache = state.get_item("_cache")?.is_some_and(|cache| !cache.is_none());
        Self::start(slf, cache)?;
        if !cache {
            let length = state.get_item("_len")?.filter(|length| !length.is_none());
            slf.get().kept().length = length.map(Bound::unbind);
        }
        let own = slf.getattr("__dict__")?;
        let class: Bound<'py, PyType> = slf.get_type();
        for (name, value) in state {
            // What the classes here say through properties is set by them; the rest is the user's.
            let text: String = name.extract()?;
            if !class.hasattr(text.as_str())? && !text.starts_with("_cache") {
                own.set_item(name, value)?;
            }
        }
        if let Some(slots) = slots {
            for (name, value) in slots.cast::<PyDict>()? {
                slf.setattr(name.cast::<PyString>()?, value)?;
            }
        }
        Ok(())
    }

    /// Takes up what a subclass here put into [`RuleBase::_pickled`].
    fn _unpickled(&self, #[expect(unused_variables, reason = "for subclasses")] state: &Bound<'_, PyDict>) {}

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // The collector runs in the thread that holds the lock, if anyone does: then this object is in use.
        if let Ok(kept) = self.kept.try_lock() {
            visit.call(&kept.source)?;
            visit.call(&kept.dates)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let old = self.kept.try_lock().map(|mut kept| std::mem::take(&mut *kept));
        drop(old);
    }
}

/// Goes along kept dates and fetches more when they are used up.
#[pyclass(module = "naja.dateutil.rrule", frozen)]
pub(super) struct KeptDates {
    rule: Py<RuleBase>,
    next: Mutex<usize>,
}

#[pymethods]
impl KeptDates {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let rule = self.rule.bind(py);
        let take = || -> PyResult<Option<Bound<'py, PyAny>>> {
            let dates = rule.get().kept().dates.as_ref().map(|dates| dates.bind(py).clone());
            let mut next = self.next.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match dates {
                Some(dates) if *next < dates.len() => {
                    *next += 1;
                    dates.get_item(*next - 1).map(Some)
                }
                _ => Ok(None),
            }
        };
        if let Some(date) = take()? {
            return Ok(Some(date));
        }
        let lock = rule.get().kept().lock.as_ref().map(|lock| lock.bind(py).clone());
        let Some(lock) = lock else { return Ok(None) };
        lock.call_method0("acquire")?;
        // Another iterator may have fetched while this one waited.
        let date = take().and_then(|date| match date {
            Some(date) => Ok(Some(date)),
            None => RuleBase::fetch(rule).and_then(|()| take()),
        });
        lock.call_method0("release")?;
        date
    }
}

/// What `xafter` gives.
#[pyclass(module = "naja.dateutil.rrule", frozen)]
pub(super) struct DatesAfter {
    source: Py<PyAny>,
    limit: Py<PyAny>,
    inc: bool,
    state: Mutex<DatesAfterState>,
}

struct DatesAfterState {
    left: Option<i64>,
    begun: bool,
}

impl DatesAfter {
    fn state(&self) -> MutexGuard<'_, DatesAfterState> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[pymethods]
impl DatesAfter {
    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.state().left.is_some_and(|left| left <= 0) {
            return Ok(None);
        }
        let (source, limit) = (self.source.bind(py), self.limit.bind(py));
        loop {
            let date = match source.call_method0("__next__") {
                Ok(date) => date,
                Err(error) if error.is_instance_of::<PyStopIteration>(py) => return Ok(None),
                Err(error) => return Err(error),
            };
            let begun = self.state().begun;
            if begun || if self.inc { date.ge(limit)? } else { date.gt(limit)? } {
                let mut state = self.state();
                state.begun = true;
                state.left = state.left.map(|left| left - 1);
                return Ok(Some(date));
            }
        }
    }
}
