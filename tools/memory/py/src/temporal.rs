//! `TemporalAllocationRecord` and `Interval`: who had how much from when until when.

use std::collections::BTreeMap;
use std::sync::Arc;

use naja_memory::lifetimes::{Lifetime, Lifetimes};
use naja_recording::Amount;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::numbers;
use crate::record::{Call, Calls, MERGED, Shared, calls_of};

/// A stretch of snapshots over which blocks were in use.
#[pyclass(name = "Interval", module = "naja.memray._memray", eq, get_all, set_all)]
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Interval {
    allocated_before_snapshot: usize,
    deallocated_before_snapshot: Option<usize>,
    n_allocations: u64,
    n_bytes: u64,
}

#[pymethods]
impl Interval {
    #[new]
    fn new(
        allocated_before_snapshot: usize,
        deallocated_before_snapshot: Option<usize>,
        n_allocations: u64,
        n_bytes: u64,
    ) -> Interval {
        Interval { allocated_before_snapshot, deallocated_before_snapshot, n_allocations, n_bytes }
    }

    fn __repr__(&self) -> String {
        let until = self.deallocated_before_snapshot.map_or("None".to_owned(), |until| until.to_string());
        format!(
            "Interval(allocated_before_snapshot={}, deallocated_before_snapshot={until}, n_allocations={}, n_bytes={})",
            self.allocated_before_snapshot, self.n_allocations, self.n_bytes
        )
    }
}

/// What a place had, and when.
#[pyclass(name = "TemporalAllocationRecord", module = "naja.memray._memray", frozen)]
pub(crate) struct TemporalAllocationRecord {
    tid: i64,
    allocator: i64,
    stack_id: u64,
    is_main: bool,
    intervals: Vec<Interval>,
    shared: Option<Arc<Shared>>,
}

/// A thread, a stack, a function.
type Key = (i64, u32, i64);

/// The records of lifetimes, in the order of thread, stack and function.
pub(crate) fn records(
    shared: &Arc<Shared>,
    lifetimes: Lifetimes,
    merges_threads: bool,
) -> Vec<TemporalAllocationRecord> {
    let mut merged: BTreeMap<Key, (bool, BTreeMap<Lifetime, Amount>)> = BTreeMap::new();
    for (place, amounts) in lifetimes {
        let Some(place) = shared.capture.place(place) else { continue };
        let tid = if merges_threads { MERGED } else { i64::from(place.thread) };
        let key = (tid, place.node, numbers::of_recorded(place.allocator));
        let (is_main, known) = merged.entry(key).or_default();
        *is_main |= i64::from(place.thread) == shared.main_thread;
        for (lifetime, amount) in amounts {
            let sum = known.entry(lifetime).or_default();
            sum.blocks += amount.blocks;
            sum.bytes += amount.bytes;
        }
    }
    let one = |((tid, node, allocator), (is_main, amounts)): (Key, (bool, BTreeMap<Lifetime, Amount>))| {
        let interval = |(lifetime, amount): (Lifetime, Amount)| Interval {
            allocated_before_snapshot: lifetime.from,
            deallocated_before_snapshot: lifetime.until,
            n_allocations: amount.blocks,
            n_bytes: amount.bytes,
        };
        let intervals = amounts.into_iter().map(interval).collect();
        let shared = Some(Arc::clone(shared));
        TemporalAllocationRecord { tid, allocator, stack_id: u64::from(node), is_main, intervals, shared }
    };
    merged.into_iter().map(one).collect()
}

#[pymethods]
impl TemporalAllocationRecord {
    #[getter]
    fn tid(&self) -> i64 {
        self.tid
    }

    #[getter]
    fn allocator(&self) -> i64 {
        self.allocator
    }

    #[getter]
    fn stack_id(&self) -> u64 {
        self.stack_id
    }

    #[getter]
    fn native_stack_id(&self) -> u64 {
        0
    }

    #[getter]
    fn native_segment_generation(&self) -> u64 {
        0
    }

    #[getter]
    fn intervals(&self) -> Vec<Interval> {
        self.intervals.clone()
    }

    #[getter]
    fn thread_name(&self) -> PyResult<String> {
        let none = || PyValueError::new_err("this record is of no file: its thread has no name");
        Ok(self.shared.as_ref().ok_or_else(none)?.thread_name(self.tid))
    }

    #[pyo3(signature = (max_stacks=None))]
    fn stack_trace(&self, max_stacks: Option<usize>) -> PyResult<Vec<Call>> {
        self.calls(Calls::Python, max_stacks)
    }

    #[pyo3(signature = (max_stacks=None))]
    fn native_stack_trace(&self, max_stacks: Option<usize>) -> PyResult<Vec<Call>> {
        self.calls(Calls::Native, max_stacks)
    }

    #[pyo3(signature = (max_stacks=None))]
    fn hybrid_stack_trace(&self, max_stacks: Option<usize>) -> PyResult<Vec<Call>> {
        self.calls(Calls::Both, max_stacks)
    }

    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<Option<bool>> {
        let key = |one: &TemporalAllocationRecord| (one.tid, one.allocator, one.stack_id);
        Ok(other.cast::<TemporalAllocationRecord>().ok().map(|other| {
            let other = other.get();
            key(self) == key(other) && self.intervals == other.intervals
        }))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        (self.tid, self.allocator, self.stack_id).into_pyobject(py)?.hash()
    }
}

impl TemporalAllocationRecord {
    fn calls(&self, which: Calls, max: Option<usize>) -> PyResult<Vec<Call>> {
        calls_of(self.shared.as_ref(), self.allocator, which, self.is_main, self.stack_id, max)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Interval>()?;
    module.add_class::<TemporalAllocationRecord>()
}
