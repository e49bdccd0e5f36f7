//! `AllocationRecord`, and the stacks that records share.

use std::sync::Arc;

use naja_memory::capture::Capture;
use naja_recording::{Function, FunctionKind};
use pyo3::exceptions::{PyNotImplementedError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use rustc_hash::FxHashMap;

use crate::numbers::{FREE, MUNMAP};

/// A call: function, file, line.
pub(crate) type Call = (String, String, u32);

/// A thread of all threads together, as memray has it.
pub(crate) const MERGED: i64 = -1;

/// What records need of their recording.
pub(crate) struct Shared {
    pub(crate) capture: Capture,
    /// The thread that began to track, and how many calls lie around the one that did.
    pub(crate) main_thread: i64,
    pub(crate) skipped: usize,
    pub(crate) thread_names: FxHashMap<i64, String>,
}

/// Which calls of a stack are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Calls {
    Python,
    Native,
    Both,
}

impl Shared {
    /// The calls of a stack, the innermost first.
    ///
    /// Of the thread that began to track, the calls around the one that did are left out, but where a number is asked for.
    pub(crate) fn calls(&self, which: Calls, is_main: bool, node: u64, max: Option<usize>) -> Vec<Call> {
        let is_native = |function: &Function| function.kind == FunctionKind::Native;
        let wanted = |function: &Function| match which {
            Calls::Python => !is_native(function),
            Calls::Native => is_native(function),
            Calls::Both => true,
        };
        let node = u32::try_from(node).unwrap_or(0);
        let all = self.capture.stack(node).filter(|(function, _)| wanted(function));
        let call = |(function, line): (&Function, u32)| (function.name.clone(), function.file.clone(), line);
        match max {
            Some(max) => all.take(max).map(call).collect(),
            None if is_main && which != Calls::Native => {
                let mut calls: Vec<Call> = all.map(call).collect();
                calls.truncate(calls.len().saturating_sub(self.skipped));
                calls
            }
            None => all.map(call).collect(),
        }
    }

    pub(crate) fn thread_name(&self, thread: i64) -> String {
        match thread {
            MERGED => "merged thread".to_owned(),
            thread => self.thread_names.get(&thread).cloned().unwrap_or_default(),
        }
    }
}

/// The calls of a record, or why it has none.
pub(crate) fn calls_of(
    shared: Option<&Arc<Shared>>,
    allocator: i64,
    which: Calls,
    is_main: bool,
    node: u64,
    max: Option<usize>,
) -> PyResult<Vec<Call>> {
    if matches!(allocator, FREE | MUNMAP) {
        return Err(PyNotImplementedError::new_err("Stack traces for deallocations aren't captured."));
    }
    let shared = shared.ok_or_else(|| PyValueError::new_err("this record is of no file: it has no stack"))?;
    Ok(shared.calls(which, is_main, node, max))
}

/// What has happened to one block, or what blocks of one place come to.
#[pyclass(name = "AllocationRecord", module = "naja.memray._memray", frozen)]
pub(crate) struct AllocationRecord {
    pub(crate) tid: i64,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) allocator: i64,
    pub(crate) stack_id: u64,
    pub(crate) n_allocations: u64,
    pub(crate) native_stack_id: u64,
    pub(crate) native_segment_generation: u64,
    /// Of the thread that began to track, or of threads of which that is one.
    pub(crate) is_main: bool,
    pub(crate) shared: Option<Arc<Shared>>,
}

type Fields = (i64, u64, u64, i64, u64, u64, u64, u64);

impl AllocationRecord {
    fn fields(&self) -> Fields {
        (
            self.tid,
            self.address,
            self.size,
            self.allocator,
            self.stack_id,
            self.n_allocations,
            self.native_stack_id,
            self.native_segment_generation,
        )
    }
}

#[pymethods]
impl AllocationRecord {
    #[new]
    fn new(record: &Bound<'_, PyTuple>) -> PyResult<AllocationRecord> {
        let (tid, address, size, allocator, stack_id, n_allocations, native_stack_id, generation): Fields =
            record.extract()?;
        Ok(AllocationRecord {
            tid,
            address,
            size,
            allocator,
            stack_id,
            n_allocations,
            native_stack_id,
            native_segment_generation: generation,
            is_main: false,
            shared: None,
        })
    }

    #[getter]
    fn tid(&self) -> i64 {
        self.tid
    }

    #[getter]
    fn address(&self) -> u64 {
        self.address
    }

    #[getter]
    fn size(&self) -> u64 {
        self.size
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
    fn n_allocations(&self) -> u64 {
        self.n_allocations
    }

    #[getter]
    fn native_stack_id(&self) -> u64 {
        self.native_stack_id
    }

    #[getter]
    fn native_segment_generation(&self) -> u64 {
        self.native_segment_generation
    }

    #[getter]
    fn thread_name(&self) -> PyResult<String> {
        let none = || PyValueError::new_err("this record is of no file: its thread has no name");
        match (self.tid, &self.shared) {
            (MERGED, _) => Ok("merged thread".to_owned()),
            (tid, shared) => Ok(shared.as_ref().ok_or_else(none)?.thread_name(tid)),
        }
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
        // None is `NotImplemented` to Python where the other is no record.
        Ok(other.cast::<AllocationRecord>().ok().map(|other| self.fields() == other.get().fields()))
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<isize> {
        self.fields().into_pyobject(py)?.hash()
    }

    fn __repr__(&self) -> String {
        format!(
            "AllocationRecord<tid={:#x}, address={:#x}, size={}, allocator={}, allocations={}>",
            self.tid, self.address, self.size, self.allocator, self.n_allocations
        )
    }
}

impl AllocationRecord {
    fn calls(&self, which: Calls, max: Option<usize>) -> PyResult<Vec<Call>> {
        calls_of(self.shared.as_ref(), self.allocator, which, self.is_main, self.stack_id, max)
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<AllocationRecord>()
}
