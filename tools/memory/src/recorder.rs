//! Writes what a receiver hears into a recording.

use std::fs;

use naja_recording::allocations::AllocationBlock;
use naja_recording::{
    AllocationEvent, AllocationPlace, AllocationStretch, Amount, Batch, Metric, Process, RecordingError,
    ResidentParts, Thread, Tick, Writer,
};
use naja_system::{clock, machine};
use rustc_hash::FxHashMap;

use crate::addresses::Addresses;
use crate::receive::{Event, Receiver, What};
use crate::resident::Looks;
use crate::stacks::Stacks;
use crate::tally::Tallies;
use crate::wire::Allocator;

/// A stretch of events ends after so much time, though it may not be full.
const STRETCH_NS: u64 = 250_000_000;

/// How much is kept of a program's allocations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// Each of them, in their order.
    #[default]
    Exact,
    /// The same, and where each block lies: for who asks for single blocks. Twice as large.
    Addressed,
    /// What each place has come to.
    Aggregated,
}

/// Makes batches of events.
pub struct Recorder {
    detail: Detail,
    addresses: Addresses,
    tallies: Tallies,
    places: FxHashMap<(u32, u32, u32, Allocator), u32>,
    block: AllocationBlock,
    block_start: Amount,
    block_peak: u64,
    time: Time,
    batch: Batch,
    peaks_told: u64,
    functions_told: usize,
    nodes_told: usize,
    processes_told: usize,
    threads_told: usize,
    looks: Looks,
}

/// What ticks of the processor's clock are in those of the recording.
#[derive(Clone, Copy, Debug)]
struct Time {
    start_ticks: u64,
    start_ns: u64,
    interval_ns: u64,
    ns_per_tick: f64,
}

impl Time {
    fn begin(interval_ns: u64) -> Time {
        let (start_ticks, start_ns) = (clock::ticks(), clock::monotonic_ns());
        Time { start_ticks, start_ns, interval_ns: interval_ns.max(1), ns_per_tick: 0.5 }
    }

    /// The longer it runs the better it knows how fast the other runs.
    fn compare(&mut self) {
        let (ticks, ns) = (clock::ticks(), clock::monotonic_ns());
        let (ticks, ns) = (ticks.saturating_sub(self.start_ticks), ns.saturating_sub(self.start_ns));
        if ticks > 0 && ns > 0 {
            self.ns_per_tick = ns as f64 / ticks as f64;
        }
    }

    fn tick(&self, ticks: u64) -> Tick {
        (ticks.saturating_sub(self.start_ticks) as f64 * self.ns_per_tick) as u64 / self.interval_ns
    }

    fn now(&self) -> Tick {
        clock::monotonic_ns().saturating_sub(self.start_ns) / self.interval_ns
    }
}

impl Recorder {
    /// From this moment on; `interval_ns` is the recording's.
    pub fn begin(detail: Detail, interval_ns: u64) -> Recorder {
        Recorder {
            detail,
            addresses: Addresses::default(),
            tallies: Tallies::default(),
            places: FxHashMap::default(),
            block: AllocationBlock::default(),
            block_start: Amount::default(),
            block_peak: 0,
            time: Time::begin(interval_ns),
            batch: Batch::default(),
            peaks_told: 0,
            functions_told: 0,
            nodes_told: 0,
            processes_told: 0,
            threads_told: 0,
            looks: Looks::default(),
        }
    }

    /// What everything has come to.
    pub fn tallies(&self) -> &Tallies {
        &self.tallies
    }

    /// Takes an event.
    pub fn take(&mut self, event: Event) {
        let Event { process, thread, time, what } = event;
        if self.detail != Detail::Aggregated {
            self.block.pass(self.time.tick(time).max(self.block.tick()));
        }
        let place = match what {
            What::Given { allocator, node, .. } => self.place(process, thread, node, allocator),
            _ => 0,
        };
        let Recorder { addresses, tallies, block, block_peak, detail, .. } = self;
        let mut tell = |event: AllocationEvent, address: u64| {
            tallies.take(event);
            if *detail != Detail::Aggregated {
                block.push(event);
                if *detail == Detail::Addressed && !matches!(event, AllocationEvent::Taken { .. }) {
                    block.push_address(address);
                }
                *block_peak = (*block_peak).max(tallies.now().bytes);
            }
        };
        match what {
            What::Given { allocator, address, size, .. } => {
                addresses.given(process, place, allocator, address, size, &mut tell);
            }
            What::Taken { allocator, address, size } => {
                addresses.taken(process, thread, allocator, address, size, &mut tell);
            }
            What::NotTaken => addresses.not_taken(process, thread, &mut tell),
        }
        if self.block.is_full() {
            self.close_block();
        }
    }

    fn place(&mut self, process: u32, thread: u32, node: u32, allocator: Allocator) -> u32 {
        let next = self.places.len() as u32 + 1;
        let id = *self.places.entry((process, thread, node, allocator)).or_insert(next);
        if id == next {
            let place = AllocationPlace { id, process, thread, node, allocator: allocator as u8 };
            self.tallies.know(&place);
            self.batch.allocation_places.push(place);
        }
        id
    }

    fn close_block(&mut self) {
        let end = self.block.tick();
        let block = std::mem::replace(&mut self.block, AllocationBlock::new(end));
        if block.count() > 0 {
            self.batch.allocation_stretches.push(AllocationStretch {
                first_tick: block.first_tick(),
                end_tick: end,
                events: block.count(),
                at_start: self.block_start,
                peak_bytes: self.block_peak,
                data: block.to_bytes(),
                addresses: block.addresses_to_bytes(),
            });
        }
        self.block_start = self.tallies.now();
        self.block_peak = self.block_start.bytes;
    }

    /// Writes what has been taken since the last time.
    ///
    /// Errors: as [`Writer::write`]
    pub fn write(&mut self, receiver: &Receiver, writer: &mut Writer) -> Result<(), RecordingError> {
        self.time.compare();
        let now = self.time.now();
        if (now.saturating_sub(self.block.first_tick())) * self.time.interval_ns >= STRETCH_NS {
            self.close_block();
        }
        self.gather(receiver, now);
        writer.write(&std::mem::take(&mut self.batch))
    }

    /// Writes what is left.
    ///
    /// Errors: as [`Writer::write`]
    pub fn finish(&mut self, receiver: &Receiver, writer: &mut Writer) -> Result<(), RecordingError> {
        self.close_block();
        let now = self.time.now();
        self.gather(receiver, now);
        writer.write(&std::mem::take(&mut self.batch))
    }

    /// Notes how much memory is resident at this moment, between two writes.
    pub fn measure(&mut self, receiver: &Receiver) {
        let now = self.time.now();
        for (index, heard) in receiver.processes().enumerate() {
            if let Some(rss_bytes) = resident_bytes(heard.pid) {
                self.batch.metrics.push(Metric {
                    tick: now,
                    process: index as u32 + 1,
                    cpu_ns: 0,
                    rss_bytes,
                });
            }
        }
    }

    fn gather(&mut self, receiver: &Receiver, now: Tick) {
        let stacks: &Stacks = receiver.stacks();
        self.batch
            .functions
            .extend_from_slice(stacks.functions().get(self.functions_told..).unwrap_or_default());
        self.batch.nodes.extend_from_slice(stacks.nodes().get(self.nodes_told..).unwrap_or_default());
        self.functions_told = stacks.functions().len();
        self.nodes_told = stacks.nodes().len();
        for (index, heard) in receiver.processes().enumerate() {
            let id = index as u32 + 1;
            if index >= self.processes_told {
                let parent = receiver.processes().position(|other| other.pid == heard.parent);
                self.batch.processes.push(Process {
                    id,
                    pid: heard.pid,
                    parent: parent.map_or(0, |parent| parent as u32 + 1),
                    command: heard.command.clone(),
                    first_tick: now,
                    last_tick: now,
                    interpreter: heard
                        .interpreter
                        .as_ref()
                        .map(|one| format!("CPython {one}"))
                        .unwrap_or_default(),
                    ..Process::default()
                });
            }
            if let Some(rss_bytes) = resident_bytes(heard.pid) {
                self.batch.metrics.push(Metric { tick: now, process: id, cpu_ns: 0, rss_bytes });
                if let Some(parts) = self.looks.look(heard.pid, id, rss_bytes) {
                    let parts = ResidentParts { tick: now, ..parts };
                    self.batch.resident_parts.push(in_use(parts, &self.places, &self.tallies));
                }
            }
        }
        self.processes_told = receiver.processes().count();
        for (id, process, os_tid) in receiver.threads_from(self.threads_told) {
            self.batch.threads.push(Thread { id, process, os_tid, name: String::new(), interpreter: 0 });
            self.threads_told = id as usize;
        }
        self.batch.allocation_tallies = self.tallies.take_changed();
        if self.peaks_told != self.tallies.peaks() {
            self.peaks_told = self.tallies.peaks();
            self.batch.allocation_peaks = Some(self.peaks_told);
        }
        self.batch.until_tick = now;
    }
}

/// Adds what is in use of a process.
///
/// Cost: O(places); the looks are rare
fn in_use(
    mut parts: ResidentParts,
    places: &FxHashMap<(u32, u32, u32, Allocator), u32>,
    tallies: &Tallies,
) -> ResidentParts {
    for ((process, _, _, allocator), place) in places {
        if *process == parts.process {
            let bytes = tallies.tally(*place).now.bytes;
            match allocator {
                Allocator::Mmap => parts.mapped_bytes += bytes,
                Allocator::PymallocMalloc | Allocator::PymallocCalloc | Allocator::PymallocRealloc => {
                    parts.objects_bytes += bytes;
                }
                _ => parts.blocks_bytes += bytes,
            }
        }
    }
    parts
}

/// Resident memory of a process that lives.
fn resident_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * machine::page_bytes())
}
