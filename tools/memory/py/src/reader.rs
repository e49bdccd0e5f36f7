//! The reader of a recording: what stands behind `FileReader` and `compute_statistics`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use naja_memory::capture::{Capture, Record, Records, Snapshot};
use naja_memory::lifetimes;
use naja_memory::report::Shown;
use naja_recording::{AllocationPlace, Amount};
use naja_system::Failure;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use rustc_hash::FxHashMap;

use crate::numbers;
use crate::record::{AllocationRecord, Call, Calls, MERGED, Shared};
use crate::temporal::{self, TemporalAllocationRecord};

fn error(failure: &Failure) -> PyErr {
    PyOSError::new_err(failure.one_line())
}

/// A recording, open.
#[pyclass(name = "Capture", module = "naja.memray._memray", frozen)]
pub(crate) struct OpenCapture {
    shared: Arc<Shared>,
    /// Those that time is told by.
    snapshots: Vec<Snapshot>,
}

/// An amount of a thread, a stack and a function.
type Summed = FxHashMap<(i64, u32, u8), (bool, Amount)>;

#[pymethods]
impl OpenCapture {
    /// `pid`: whose memory; without it, that of the first process. `snapshots_max`: no more snapshots than that, evenly left
    /// out. They are as far apart as was asked for when it was recorded.
    #[new]
    #[pyo3(signature = (path, pid=None, snapshots_max=10_000))]
    fn new(py: Python<'_>, path: PathBuf, pid: Option<u32>, snapshots_max: usize) -> PyResult<OpenCapture> {
        py.detach(|| {
            let capture = Capture::open(&path, pid)?;
            let apart_ms = capture.notes.get("interval_ms").and_then(serde_number).unwrap_or(0);
            let mut snapshots = capture.snapshots(apart_ms)?;
            let every = snapshots.len().div_ceil(snapshots_max.max(1)).max(1);
            if every > 1 {
                snapshots = snapshots.into_iter().step_by(every).collect();
            }
            Ok(OpenCapture { shared: Arc::new(share(capture)), snapshots })
        })
        .map_err(|failure: Failure| error(&failure))
    }

    /// What the recording says of itself.
    fn facts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Shared { capture, main_thread, .. } = self.shared.as_ref();
        let process = capture.processes.iter().find(|process| process.id == capture.process);
        let facts = PyDict::new(py);
        facts.set_item("start_ms", capture.unix_ms(0))?;
        facts.set_item("end_ms", capture.unix_ms(capture.until_tick))?;
        facts.set_item("command", capture.header.command.clone())?;
        facts.set_item("pid", process.map_or(0, |process| process.pid))?;
        facts.set_item("pids", capture.processes.iter().map(|process| process.pid).collect::<Vec<_>>())?;
        facts.set_item("main_thread", *main_thread)?;
        facts.set_item("frames", capture.node_count())?;
        facts.set_item("is_exact", capture.is_exact)?;
        facts.set_item("has_addresses", capture.has_addresses)?;
        facts.set_item("has_native_frames", capture.has_native_frames())?;
        facts.set_item("notes", capture.notes.to_string())?;
        Ok(facts)
    }

    fn peak_bytes(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| self.shared.capture.peak_bytes()).map_err(|failure| error(&failure))
    }

    /// How many records `records` gives.
    fn record_count(&self, py: Python<'_>) -> PyResult<u64> {
        py.detach(|| {
            let capture = &self.shared.capture;
            let mut records = capture.records()?;
            let mut count = 0;
            while let Some(stretch) = records.next_stretch(capture)? {
                count += stretch.len() as u64;
            }
            Ok(count)
        })
        .map_err(|failure: Failure| error(&failure))
    }

    /// Time in milliseconds, resident memory and memory in use, of each snapshot.
    fn memory_snapshots(&self) -> Vec<(u64, u64, u64)> {
        let one =
            |one: &Snapshot| (self.shared.capture.unix_ms(one.tick), one.resident_bytes, one.heap_bytes);
        self.snapshots.iter().map(one).collect()
    }

    /// Every record, in the order of time.
    fn records(&self) -> PyResult<RecordIterator> {
        let records = self.shared.capture.records().map_err(|failure| error(&failure))?;
        Ok(RecordIterator {
            shared: Arc::clone(&self.shared),
            state: Mutex::new(State { records, stretch: Vec::new().into_iter() }),
        })
    }

    /// What was in use at the peak ("peak"), at the end ("leaks"), or was soon taken back ("temporary"), by place.
    #[pyo3(signature = (shown, merge_threads, threshold=0))]
    fn amounts(
        &self,
        py: Python<'_>,
        shown: &str,
        merge_threads: bool,
        threshold: u64,
    ) -> PyResult<Vec<AllocationRecord>> {
        let shown = match shown {
            "leaks" => Shown::Leaks,
            "temporary" => Shown::Temporary,
            "given" => Shown::Given,
            _ => Shown::Peak,
        };
        let amounts =
            py.detach(|| self.shared.capture.amounts(shown, threshold)).map_err(|failure| error(&failure))?;
        Ok(self.summed(amounts, merge_threads))
    }

    /// What lived across snapshots.
    fn lifetimes(&self, py: Python<'_>, merge_threads: bool) -> PyResult<Vec<TemporalAllocationRecord>> {
        let found = py.detach(|| lifetimes::across(&self.shared.capture, &self.snapshots));
        Ok(temporal::records(&self.shared, found.map_err(|failure| error(&failure))?, merge_threads))
    }

    /// What was in use at the peak between two snapshots, and how many bytes that was.
    fn lifetimes_at_peaks(
        &self,
        py: Python<'_>,
        merge_threads: bool,
    ) -> PyResult<(Vec<TemporalAllocationRecord>, Vec<u64>)> {
        let found = py.detach(|| lifetimes::at_peaks(&self.shared.capture, &self.snapshots));
        let (found, peaks) = found.map_err(|failure| error(&failure))?;
        Ok((temporal::records(&self.shared, found, merge_threads), peaks))
    }

    /// How many blocks were given of each size, and of each function by memray's number.
    fn counts(&self, py: Python<'_>) -> PyResult<(FxHashMap<u64, u64>, FxHashMap<i64, u64>)> {
        let counts = py.detach(|| self.shared.capture.counts()).map_err(|failure| error(&failure))?;
        let of = |(number, count)| (numbers::of_recorded(number), count);
        Ok((counts.by_size, counts.by_allocator.into_iter().map(of).collect()))
    }

    /// Of every stack that was given memory: its calls, how many blocks, how many bytes.
    fn given(&self, py: Python<'_>) -> PyResult<Vec<(Vec<Call>, u64, u64)>> {
        let amounts =
            py.detach(|| self.shared.capture.amounts(Shown::Given, 0)).map_err(|failure| error(&failure))?;
        let mut sums: FxHashMap<(bool, u32), Amount> = FxHashMap::default();
        for (place, amount) in amounts {
            add(sums.entry((self.is_main(&place), place.node)).or_default(), amount);
        }
        let one = |((is_main, node), amount): ((bool, u32), Amount)| {
            let calls = self.shared.calls(Calls::Python, is_main, u64::from(node), None);
            (calls, amount.blocks, amount.bytes)
        };
        Ok(sums.into_iter().map(one).collect())
    }
}

impl OpenCapture {
    fn is_main(&self, place: &AllocationPlace) -> bool {
        i64::from(place.thread) == self.shared.main_thread
    }

    fn summed(&self, amounts: Vec<(AllocationPlace, Amount)>, merges: bool) -> Vec<AllocationRecord> {
        let mut sums = Summed::default();
        let mut order = Vec::new();
        for (place, amount) in amounts {
            let tid = if merges { MERGED } else { i64::from(place.thread) };
            let key = (tid, place.node, place.allocator);
            let sum = sums.entry(key).or_insert_with(|| {
                order.push(key);
                (false, Amount::default())
            });
            sum.0 |= self.is_main(&place);
            add(&mut sum.1, amount);
        }
        let one = |(tid, node, allocator): (i64, u32, u8)| {
            let (is_main, amount) = sums.get(&(tid, node, allocator)).copied().unwrap_or_default();
            AllocationRecord {
                tid,
                address: 0,
                size: amount.bytes,
                allocator: numbers::of_recorded(allocator),
                stack_id: u64::from(node),
                n_allocations: amount.blocks,
                native_stack_id: 0,
                native_segment_generation: 0,
                is_main,
                shared: Some(Arc::clone(&self.shared)),
            }
        };
        order.into_iter().map(one).collect()
    }
}

fn add(sum: &mut Amount, amount: Amount) {
    sum.blocks += amount.blocks;
    sum.bytes += amount.bytes;
}

fn share(capture: Capture) -> Shared {
    let process = capture.processes.iter().find(|process| process.id == capture.process);
    let pid = process.map_or(0, |process| process.pid);
    let note = |name: &str| capture.notes.get(name).and_then(serde_number);
    let own = |os_tid: u64| {
        let is_own = |one: &&naja_recording::Thread| one.process == capture.process;
        let mut threads = capture.threads.iter().filter(is_own);
        threads.find(|one| u64::from(one.os_tid) == os_tid).map(|one| i64::from(one.id))
    };
    let is_tracker = note("pid").is_none_or(|tracker| tracker == u64::from(pid));
    let begun = note("main_thread").filter(|_| is_tracker).and_then(own);
    let main_thread = begun.or_else(|| own(u64::from(pid))).unwrap_or(1);
    let skipped = note("skipped_frames").filter(|_| is_tracker).unwrap_or(0) as usize;
    let mut thread_names = FxHashMap::default();
    for thread in capture.threads.iter().filter(|thread| thread.process == capture.process) {
        let names = capture.notes.get("thread_names");
        let noted = names.and_then(|names| names.get(thread.os_tid.to_string())).and_then(|one| one.as_str());
        let name = noted.filter(|_| is_tracker).unwrap_or(&thread.name);
        thread_names.insert(i64::from(thread.id), name.to_owned());
    }
    Shared { main_thread, skipped, thread_names, capture }
}

fn serde_number(value: &serde_json::Value) -> Option<u64> {
    value.as_u64()
}

struct State {
    records: Records,
    stretch: std::vec::IntoIter<Record>,
}

/// Records, one after the other.
#[pyclass(name = "RecordIterator", module = "naja.memray._memray", frozen)]
pub(crate) struct RecordIterator {
    shared: Arc<Shared>,
    state: Mutex<State>,
}

#[pymethods]
impl RecordIterator {
    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<AllocationRecord>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { records, stretch } = &mut *state;
        let record = loop {
            if let Some(record) = stretch.next() {
                break record;
            }
            py.check_signals()?;
            let next = records.next_stretch(&self.shared.capture);
            match next.map_err(|failure| error(&failure))? {
                Some(next) => *stretch = next.into_iter(),
                None => return Ok(None),
            }
        };
        let place = self.shared.capture.place(record.place).copied().unwrap_or_default();
        let is_given = record.allocator as u8 == place.allocator;
        Ok(Some(AllocationRecord {
            tid: i64::from(place.thread),
            address: record.address,
            size: record.size,
            allocator: numbers::memrays(record.allocator),
            // Who takes memory back is not recorded.
            stack_id: if is_given { u64::from(place.node) } else { 0 },
            n_allocations: 1,
            native_stack_id: 0,
            native_segment_generation: 0,
            is_main: i64::from(place.thread) == self.shared.main_thread,
            shared: Some(Arc::clone(&self.shared)),
        }))
    }
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<OpenCapture>()?;
    module.add_class::<RecordIterator>()
}
