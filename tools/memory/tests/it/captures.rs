//! Recordings read block by block: records, lifetimes, and amounts of one process.

use std::path::Path;

use naja_memory::capture::{Capture, Snapshot};
use naja_memory::lifetimes::{self, Lifetimes};
use naja_memory::report::Shown;
use naja_memory::wire::Allocator;
use naja_recording::AllocationEvent::{Given, Rest, Taken};
use naja_recording::allocations::AllocationBlock;
use naja_recording::{
    AllocationEvent, AllocationPlace, AllocationStretch, Batch, Header, Process, Thread, Tick, Writer,
};

/// A recording of two processes, of a thread each, in which this happens at these ticks. Place 1 is of the first's `malloc`,
/// 2 of its `mmap`, 3 of the second's `malloc`.
fn recording(path: &Path, events: &[(Tick, AllocationEvent, u64)]) {
    let header = Header { interval_ns: 1_000_000, ..Header::default() };
    let mut writer = Writer::create(path, &header).expect("created");
    let mut block = AllocationBlock::new(0);
    for (tick, event, address) in events {
        block.pass(*tick);
        block.push(*event);
        if !matches!(event, Taken { .. }) {
            block.push_address(*address);
        }
    }
    let process = |id, pid| Process { id, pid, ..Process::default() };
    let thread = |id, process| Thread { id, process, os_tid: 70 + id, ..Thread::default() };
    let place = |id, process, allocator: Allocator| AllocationPlace {
        id,
        process,
        thread: process,
        node: 0,
        allocator: allocator as u8,
    };
    let batch = Batch {
        processes: vec![process(1, 71), process(2, 72)],
        threads: vec![thread(1, 1), thread(2, 2)],
        allocation_places: vec![
            place(1, 1, Allocator::Malloc),
            place(2, 1, Allocator::Mmap),
            place(3, 2, Allocator::Malloc),
        ],
        allocation_stretches: vec![AllocationStretch {
            events: block.count(),
            end_tick: block.tick(),
            data: block.to_bytes(),
            addresses: block.addresses_to_bytes(),
            ..AllocationStretch::default()
        }],
        until_tick: block.tick() + 1,
        ..Batch::default()
    };
    writer.write(&batch).expect("written");
    writer.complete().expect("complete");
}

/// The records of a process, in words.
fn check(events: &[(Tick, AllocationEvent, u64)], pid: Option<u32>, expected: &[&str]) {
    with(events, pid, |capture| {
        let mut records = capture.records().expect("opened");
        let mut found = Vec::new();
        while let Some(stretch) = records.next_stretch(capture).expect("read") {
            found.extend(stretch.iter().map(|one| {
                format!("{} {} at {:#x}, {}", one.tick, one.allocator.word(), one.address, one.size)
            }));
        }
        assert_eq!(found, expected);
    });
}

fn with(events: &[(Tick, AllocationEvent, u64)], pid: Option<u32>, look: impl FnOnce(&Capture)) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("one.naja");
    recording(&path, events);
    look(&Capture::open(&path, pid).expect("a recording"));
}

fn given(slot: u32, place: u32, size: u64) -> AllocationEvent {
    Given { slot, place, size }
}

#[test]
fn a_block_is_freed_where_it_was_given() {
    let events = [(1, given(0, 1, 100), 0x7000), (2, given(1, 1, 50), 0x10), (3, Taken { slot: 0 }, 0)];
    check(&events, None, &["1 malloc at 0x7000, 100", "2 malloc at 0x10, 50", "3 free at 0x7000, 0"]);
}

#[test]
fn only_the_part_that_is_gone_of_a_mapping_is_unmapped() {
    let gone_in_the_middle = [
        (1, given(0, 2, 0x4000), 0x1000),
        (2, Taken { slot: 0 }, 0),
        (2, Rest { slot: 0, place: 2, size: 0x1000 }, 0x1000),
        (2, Rest { slot: 1, place: 2, size: 0x2000 }, 0x3000),
    ];
    check(&gone_in_the_middle, None, &["1 mmap at 0x1000, 16384", "2 munmap at 0x2000, 4096"]);
}

#[test]
fn what_could_not_be_made_larger_was_never_gone() {
    let failed = [
        (1, given(0, 1, 100), 0x7000),
        (2, Taken { slot: 0 }, 0),
        (2, Rest { slot: 0, place: 1, size: 100 }, 0x7000),
    ];
    check(&failed, None, &["1 malloc at 0x7000, 100"]);
}

#[test]
fn each_process_has_its_own_records_and_its_own_peak() {
    let events = [
        (1, given(0, 1, 100), 0x7000),
        (2, Taken { slot: 0 }, 0),
        (3, given(0, 3, 500), 0x7000),
        (4, given(1, 1, 60), 0x9000),
    ];
    check(&events, Some(72), &["3 malloc at 0x7000, 500"]);
    with(&events, Some(71), |capture| {
        assert_eq!(capture.peak_bytes().expect("read"), 100, "all together have most at the end");
        let amounts = capture.amounts(Shown::Peak, 0).expect("read");
        assert_eq!(amounts.iter().map(|(place, _)| place.process).collect::<Vec<_>>(), [1]);
    });
}

fn snapshots(ticks: &[Tick]) -> Vec<Snapshot> {
    ticks.iter().map(|tick| Snapshot { tick: *tick, resident_bytes: 1, heap_bytes: 0 }).collect()
}

fn in_words(lifetimes: &Lifetimes) -> Vec<String> {
    let each = lifetimes.iter().flat_map(|(place, known)| known.iter().map(move |known| (place, known)));
    each.map(|(place, (lifetime, amount))| {
        let until = lifetime.until.map_or("the end".to_owned(), |until| until.to_string());
        format!("{place}: {} to {until}, {} of {}", lifetime.from, amount.blocks, amount.bytes)
    })
    .collect()
}

#[test]
fn what_lives_across_snapshots_is_told_by_them() {
    let events = [
        (1, given(0, 1, 100), 0x10),
        (2, given(1, 1, 7), 0x20),
        (3, Taken { slot: 1 }, 0),
        (12, given(1, 2, 0x3000), 0x1000),
        (22, Taken { slot: 1 }, 0),
        (22, Rest { slot: 1, place: 2, size: 0x1000 }, 0x1000),
        (32, Taken { slot: 0 }, 0),
    ];
    with(&events, None, |capture| {
        let found = lifetimes::across(capture, &snapshots(&[10, 20, 30])).expect("read");
        // What is left of a mapping is as old as the mapping.
        let expected = ["1: 0 to 3, 1 of 100", "2: 1 to 2, 1 of 8192", "2: 1 to the end, 1 of 4096"];
        assert_eq!(in_words(&found), expected);
    });
}

#[test]
fn each_stretch_between_snapshots_has_its_own_peak() {
    let events = [
        (1, given(0, 1, 100), 0x10),
        (2, given(1, 1, 50), 0x20),
        (3, Taken { slot: 1 }, 0),
        // After the peak of its stretch, and there at that of the next.
        (4, given(1, 2, 30), 0x1000),
        (15, Taken { slot: 0 }, 0),
        (16, given(0, 1, 90), 0x10),
        (25, Taken { slot: 0 }, 0),
    ];
    with(&events, None, |capture| {
        let (found, peaks) = lifetimes::at_peaks(capture, &snapshots(&[10, 20])).expect("read");
        assert_eq!(peaks, [150, 130, 120]);
        let expected =
            ["1: 0 to 1, 1 of 50", "1: 0 to 2, 1 of 100", "1: 2 to 3, 1 of 90", "2: 1 to the end, 1 of 30"];
        assert_eq!(in_words(&found), expected);
    });
}
