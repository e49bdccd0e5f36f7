//! A recording block by block: what happened to each, who has how much, and when.
//!
//! Reports sum over places and read few blocks; what is here is for who asks for single ones: the drop-in for memray, which
//! has one process at a time. Nothing is kept open between two questions. Start at [`Capture::open`].

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use naja_recording::allocations::{FULL_LEN, Slots, read_addresses, read_allocations};
use naja_recording::blocks::BlockError;
use naja_recording::{
    AllocationEvent, AllocationPlace, AllocationStretch, AllocationTally, Amount, Function, FunctionKind,
    Header, Metric, PlaceId, Process, ProcessId, Reader, RecordingError, StackNode, Thread, Tick,
};
use naja_system::Failure;
use rustc_hash::FxHashMap;
use serde_json::Value;

use crate::report::Shown;
use crate::tally::Tallies;
use crate::wire::Allocator;

/// Nanoseconds in a millisecond.
const MS: u64 = 1_000_000;
/// Packed stretches that are read at once, some 100 KiB each.
const STRETCHES_AT_ONCE: usize = 32;

/// What is known of a recording before its events are read.
pub struct Capture {
    path: PathBuf,
    /// When, where, with which words.
    pub header: Header,
    /// The one whose memory is looked at; 0 where none was heard.
    pub process: ProcessId,
    /// All of them.
    pub processes: Vec<Process>,
    /// All threads.
    pub threads: Vec<Thread>,
    /// Whether every allocation is there, and not only what places came to.
    pub is_exact: bool,
    /// Whether it is there where each block lies.
    pub has_addresses: bool,
    /// The tick up to which it is complete.
    pub until_tick: Tick,
    /// What its maker has written beside it.
    pub notes: Value,
    functions: Vec<Function>,
    nodes: Vec<StackNode>,
    places: Vec<AllocationPlace>,
    tallies: Vec<AllocationTally>,
    metrics: Vec<Metric>,
}

/// Something that has happened to a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub tick: Tick,
    /// Who had it: the number of a place.
    pub place: PlaceId,
    /// By which function.
    pub allocator: Allocator,
    /// Where it lies; 0 where that was not recorded.
    pub address: u64,
    /// How many bytes; of what is taken only those of a mapping are known.
    pub size: u64,
}

/// What was in use, and resident, at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub tick: Tick,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Bytes in use.
    pub heap_bytes: u64,
}

impl Capture {
    /// Reads what is not an event.
    ///
    /// `pid`: the process whose memory is looked at; without it, the first.
    ///
    /// Errors: those of the recording
    pub fn open(path: &Path, pid: Option<u32>) -> Result<Capture, Failure> {
        let reader = Reader::open(path)?;
        let first = reader.next_allocation_stretch(0)?;
        let notes = reader.report()?.and_then(|text| serde_json::from_str::<Value>(&text).ok());
        // The profiler's report stands at the same place.
        let notes = notes.and_then(|mut notes| notes.get_mut("memory").map(Value::take)).unwrap_or_default();
        let processes = reader.processes()?;
        let process = match pid {
            Some(pid) => processes.iter().find(|one| one.pid == pid),
            None => processes.first(),
        };
        let exact = notes.get("is_exact").and_then(Value::as_bool);
        Ok(Capture {
            path: path.to_owned(),
            header: reader.header().clone(),
            process: process.map_or(0, |process| process.id),
            threads: reader.threads()?,
            is_exact: exact.unwrap_or(first.is_some()),
            has_addresses: first.is_some_and(|(_, stretch)| !stretch.addresses.is_empty()),
            until_tick: reader.until_tick(),
            functions: reader.functions()?,
            nodes: reader.nodes()?,
            places: reader.allocation_places()?,
            tallies: reader.allocation_tallies()?,
            metrics: reader.metrics()?,
            notes,
            processes,
        })
    }

    /// The events of the process, in their order.
    ///
    /// Errors: those of the recording
    pub fn records(&self) -> Result<Records, Failure> {
        Ok(Records {
            path: self.path.clone(),
            last: 0,
            waiting: VecDeque::new(),
            slots: Slots::default(),
            used: Vec::new(),
        })
    }

    /// Places of the process with what they have of what is shown; `threshold` says how many others a thread may be given
    /// before what it has taken back is not temporary.
    ///
    /// Errors: those of the recording
    pub fn amounts(&self, shown: Shown, threshold: u64) -> Result<Vec<(AllocationPlace, Amount)>, Failure> {
        let is_stored = self.processes.len() <= 1 || shown != Shown::Peak || !self.is_exact;
        let tallies = match (shown, threshold) {
            (Shown::Temporary, 1..) => self.replayed(threshold + 1)?,
            _ if is_stored => self.tallies.clone(),
            // The peak of one process is at another time than that of all together.
            _ => self.replayed(1)?,
        };
        let amount = |tally: &AllocationTally| match shown {
            Shown::Peak => tally.at_peak,
            Shown::Leaks => tally.now,
            Shown::Temporary => tally.temporary,
            Shown::Given => tally.given,
        };
        let all = tallies.iter().filter_map(|tally| {
            let place = self.place(tally.place)?;
            (place.process == self.process).then(|| (*place, amount(tally)))
        });
        Ok(all.filter(|(_, amount)| amount.blocks > 0).collect())
    }

    fn replayed(&self, temporary_within: u64) -> Result<Vec<AllocationTally>, Failure> {
        let mut tallies = Tallies::new(temporary_within);
        self.places.iter().filter(|place| place.process == self.process).for_each(|one| tallies.know(one));
        self.each_event(&mut |_, event| tallies.take(event))?;
        Ok(tallies.all())
    }

    /// Tells every event of all processes.
    pub(crate) fn each_event(&self, each: &mut dyn FnMut(Tick, AllocationEvent)) -> Result<(), Failure> {
        let mut slots = Slots::default();
        Reader::open(&self.path)?.allocation_stretches(&mut |stretch| {
            read_allocations(&stretch.data, &mut slots, &mut |tick, event| each(tick, event))
        })?;
        Ok(())
    }

    /// The most bytes that the process had in use at once.
    ///
    /// Errors: those of the recording
    pub fn peak_bytes(&self) -> Result<u64, Failure> {
        Ok(self.amounts(Shown::Peak, 0)?.iter().map(|(_, amount)| amount.bytes).sum())
    }

    /// A place by its number.
    pub fn place(&self, id: PlaceId) -> Option<&AllocationPlace> {
        self.places.get((id as usize).checked_sub(1)?)
    }

    fn node(&self, id: u32) -> Option<&StackNode> {
        let first = self.nodes.first()?.id;
        self.nodes.get(id.checked_sub(first)? as usize)
    }

    /// How many stack nodes there are.
    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// The calls of a stack, the innermost first: what function, and at which line of it.
    pub fn stack(&self, node: u32) -> impl Iterator<Item = (&Function, u32)> {
        let first = self.functions.first().map_or(1, |function| function.id);
        let mut at = self.node(node);
        std::iter::from_fn(move || {
            let node = at?;
            at = self.node(node.parent);
            Some((self.functions.get(node.function.wrapping_sub(first) as usize)?, node.line))
        })
    }

    /// Whether a stack of this recording has frames of machine code.
    pub fn has_native_frames(&self) -> bool {
        self.functions.iter().any(|function| function.kind == FunctionKind::Native)
    }

    /// Milliseconds since 1970 of a tick.
    pub fn unix_ms(&self, tick: Tick) -> u64 {
        self.header.start_unix_ns / MS + tick.saturating_mul(self.header.interval_ns) / MS
    }

    /// What the process had in use at the moments when its resident memory was looked at, in their order, one in a stretch of
    /// `apart_ms`.
    ///
    /// Errors: those of the recording
    pub fn snapshots(&self, apart_ms: u64) -> Result<Vec<Snapshot>, Failure> {
        let mut moments: Vec<Snapshot> = Vec::new();
        // A process that has ended has nothing resident, and is no longer looked at.
        let own = self.metrics.iter().filter(|metric| metric.process == self.process && metric.rss_bytes > 0);
        for metric in own {
            let ms = self.unix_ms(metric.tick);
            if moments.last().is_none_or(|last| ms >= self.unix_ms(last.tick) + apart_ms) {
                let resident_bytes = metric.rss_bytes;
                moments.push(Snapshot { tick: metric.tick, resident_bytes, heap_bytes: 0 });
            }
        }
        let mut tallies = Tallies::default();
        self.places.iter().filter(|place| place.process == self.process).for_each(|one| tallies.know(one));
        let mut next = 0;
        self.each_event(&mut |tick, event| {
            while let Some(moment) = moments.get_mut(next).filter(|moment| moment.tick < tick) {
                moment.heap_bytes = tallies.now().bytes;
                next += 1;
            }
            tallies.take(event);
        })?;
        let left = match self.is_exact {
            true => tallies.now().bytes,
            // Only the end is known of what was summed.
            false => self.amounts(Shown::Leaks, 0)?.iter().map(|(_, amount)| amount.bytes).sum(),
        };
        moments.iter_mut().skip(next).for_each(|moment| moment.heap_bytes = left);
        Ok(moments)
    }

    /// How many blocks of each size, and of each function, the process was given.
    ///
    /// Errors: those of the recording
    pub fn counts(&self) -> Result<Counts, Failure> {
        let mut counts = Counts::default();
        self.each_event(&mut |_, event| {
            let AllocationEvent::Given { place, size, .. } = event else { return };
            let Some(place) = self.place(place).filter(|place| place.process == self.process) else { return };
            *counts.by_size.entry(size).or_default() += 1;
            *counts.by_allocator.entry(place.allocator).or_default() += 1;
        })?;
        Ok(counts)
    }
}

/// See [`Capture::counts`].
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// By size in bytes.
    pub by_size: FxHashMap<u64, u64>,
    /// By the number of the function.
    pub by_allocator: FxHashMap<u8, u64>,
}

/// Memory that is in use.
#[derive(Clone, Copy, Debug, Default)]
struct Used {
    place: PlaceId,
    address: u64,
    size: u64,
}

/// What has happened to blocks, a stretch of time after the other.
pub struct Records {
    path: PathBuf,
    last: i64,
    /// Read, and not yet unpacked. A reader belongs to one thread, so that none is kept.
    waiting: VecDeque<AllocationStretch>,
    slots: Slots,
    used: Vec<Used>,
}

impl Records {
    /// Those of the next stretch that belong to the capture's process; nothing at the end.
    ///
    /// Errors: those of the recording
    /// Cost:   one stretch in memory, and some packed
    pub fn next_stretch(&mut self, capture: &Capture) -> Result<Option<Vec<Record>>, Failure> {
        if self.waiting.is_empty() {
            let reader = Reader::open(&self.path)?;
            while let Some((id, stretch)) = reader.next_allocation_stretch(self.last)? {
                self.last = id;
                self.waiting.push_back(stretch);
                if self.waiting.len() == STRETCHES_AT_ONCE {
                    break;
                }
            }
        }
        let Some(stretch) = self.waiting.pop_front() else { return Ok(None) };
        Ok(Some(self.read(capture, &stretch)?))
    }

    fn read(
        &mut self,
        capture: &Capture,
        stretch: &AllocationStretch,
    ) -> Result<Vec<Record>, RecordingError> {
        let path = &self.path;
        let damaged =
            |error: BlockError| RecordingError::Damaged { path: path.clone(), what: error.to_string() };
        let addresses = match stretch.addresses.is_empty() {
            true => Vec::new(),
            false => read_addresses(&stretch.addresses).map_err(damaged)?,
        };
        let mut addresses = addresses.into_iter();
        let mut told = Told { records: Vec::with_capacity(FULL_LEN / 8), gone: None, capture };
        let used = &mut self.used;
        let read = read_allocations(&stretch.data, &mut self.slots, &mut |tick, event| match event {
            AllocationEvent::Given { slot, place, size } => {
                let one = Used { place, size, address: addresses.next().unwrap_or(0) };
                put(used, slot, one);
                told.given(tick, one);
            }
            AllocationEvent::Rest { slot, place, size } => {
                let one = Used { place, size, address: addresses.next().unwrap_or(0) };
                put(used, slot, one);
                told.is_left(tick, one);
            }
            AllocationEvent::Taken { slot } => {
                if let Some(one) = used.get_mut(slot as usize).map(std::mem::take) {
                    told.taken(tick, one);
                }
            }
        });
        told.settle();
        read.map_err(damaged).map(|()| told.records)
    }
}

fn put(used: &mut Vec<Used>, slot: u32, one: Used) {
    let index = slot as usize;
    if used.len() <= index {
        used.resize(index + 1, Used::default());
    }
    used[index] = one;
}

/// Makes records of events. What is taken waits for what is left of it.
struct Told<'c> {
    records: Vec<Record>,
    gone: Option<(Tick, Used, bool)>,
    capture: &'c Capture,
}

impl Told<'_> {
    fn push(&mut self, tick: Tick, used: Used, is_given: bool, size: u64) {
        let Some(place) = self.capture.place(used.place) else { return };
        let Some(allocator) = Allocator::of_number(place.allocator) else { return };
        if place.process == self.capture.process {
            let allocator = if is_given { allocator } else { allocator.taken_by() };
            self.records.push(Record { tick, place: used.place, allocator, address: used.address, size });
        }
    }

    fn given(&mut self, tick: Tick, used: Used) {
        self.settle();
        self.push(tick, used, true, used.size);
    }

    fn taken(&mut self, tick: Tick, used: Used) {
        self.settle();
        self.gone = Some((tick, used, false));
    }

    /// Of what was taken last this is left; else it is as if it were given.
    fn is_left(&mut self, tick: Tick, rest: Used) {
        match &mut self.gone {
            Some((_, gone, is_part)) if gone.place == rest.place && lies_within(rest, *gone) => {
                *is_part = true;
                if rest.address == gone.address {
                    gone.address += rest.size;
                }
                gone.size -= rest.size;
            }
            _ => self.given(tick, rest),
        }
    }

    fn settle(&mut self) {
        let Some((tick, gone, is_part)) = self.gone.take() else { return };
        let is_mapping =
            self.capture.place(gone.place).is_some_and(|place| place.allocator == Allocator::Mmap as u8);
        // Else all of it is left.
        if !is_part || gone.size > 0 {
            self.push(tick, gone, false, if is_mapping { gone.size } else { 0 });
        }
    }
}

fn lies_within(rest: Used, gone: Used) -> bool {
    rest.size <= gone.size && rest.address >= gone.address
}
