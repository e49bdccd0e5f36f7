//! Blocks of bytes: any bytes give a value or an error.

use naja_recording::allocations::{AllocationBlock, Slots, read_allocations};
use naja_recording::blocks::*;
use naja_recording::*;

use crate::samples::{Numbers, busy, idle};

/// What the fuzz target `recording_blocks` does with its input.
fn read(bytes: &[u8]) {
    if let Ok(runs) = read_runs(bytes) {
        let mut block = RunBlock::new(runs.thread, runs.first_tick);
        for run in &runs.runs {
            block.push(*run);
        }
        let again = read_runs(&block.to_bytes(true)).unwrap();
        let ticks = |runs: &ThreadRuns| runs.runs.iter().map(|run| u64::from(run.ticks)).sum::<u64>();
        assert_eq!((again.thread, again.first_tick), (runs.thread, runs.first_tick));
        assert_eq!(ticks(&again), ticks(&runs));
    }
    if let Ok(nodes) = read_nodes(bytes) {
        assert!(nodes.iter().all(|node| node.parent < node.id && node.function > 0));
    }
    // It ends in events or an error.
    let _ = read_allocations(bytes, &mut Slots::default(), &mut |_, _| ());
}

fn run_block() -> Vec<u8> {
    let mut block = RunBlock::new(3, 1_000_000);
    let mut runs = busy(&mut Numbers::new(1), 500, 4_000_000_000);
    runs.extend(idle(1_000_000, 0));
    for run in runs {
        block.push(run);
    }
    block.to_bytes(true)
}

fn node_block() -> Vec<u8> {
    let mut block = NodeBlock::new(7);
    for id in 7..600 {
        assert!(block.push(&StackNode { id, parent: id / 2, function: id * 3, line: id % 90 }));
    }
    block.to_bytes(false)
}

fn allocation_block() -> Vec<u8> {
    let mut block = AllocationBlock::new(5);
    for number in 0..200_u32 {
        block.push(AllocationEvent::Given {
            slot: number,
            place: number % 7 + 1,
            size: u64::from(number) * 999,
        });
        block.pass(u64::from(number));
    }
    block.push(AllocationEvent::Taken { slot: 100 });
    block.push(AllocationEvent::Rest { slot: 100, place: 3, size: 4096 });
    block.to_bytes()
}

#[test]
fn the_corpus_and_what_comes_near_it_never_panic() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/recording_blocks");
    let mut seeds = vec![run_block(), node_block(), allocation_block()];
    for entry in std::fs::read_dir(folder).unwrap() {
        seeds.push(std::fs::read(entry.unwrap().path()).unwrap());
    }
    assert!(seeds.len() > 7, "the corpus is missing");
    let seed = u64::from(std::process::id());
    println!("seed {seed}");
    let mut numbers = Numbers::new(seed);
    for bytes in &seeds {
        read(bytes);
        for _ in 0..400 {
            let mut bytes = bytes.clone();
            for _ in 0..1 + numbers.below(4) {
                let at = numbers.below(bytes.len().max(1) as u64) as usize;
                match numbers.below(3) {
                    0 => bytes.truncate(at),
                    1 => bytes.insert(at.min(bytes.len()), numbers.next() as u8),
                    _ => {
                        if let Some(byte) = bytes.get_mut(at) {
                            *byte = numbers.next() as u8;
                        }
                    }
                }
            }
            read(&bytes);
            // Past the checksum, where the numbers are read.
            read(&pack(bytes.get(5..).unwrap_or_default(), false));
        }
    }
}

#[test]
fn what_lies_about_its_size_or_its_parents_is_refused() {
    let content = |bytes: &[u8]| pack(bytes, false);
    let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(read_runs(&[]), Err(BlockError::Short));
    assert_eq!(read_runs(&[0, 0, 0, 0]), Err(BlockError::Short));
    assert_eq!(read_runs(&[3, 0, 0, 0, 0]), Err(BlockError::Form));
    assert_eq!(read_runs(&[2, 0, 0, 0, 0]), Err(BlockError::Short));
    assert_eq!(read_runs(&[2, 0, 0, 0, 0, 9, 0xf0]), Err(BlockError::Deflate));
    assert_eq!(read_runs(&[0, 1, 2, 3, 4, 5]), Err(BlockError::Checksum));
    assert_eq!(read_runs(&content(&[0xff; 11])), Err(BlockError::Range));
    assert_eq!(read_runs(&content(&[&[1, 0][..], &many, &[1]].concat())), Err(BlockError::Range));
    assert_eq!(read_runs(&content(&[0, 0, 0, 0])), Err(BlockError::Range));
    assert_eq!(read_runs(&content(&[1, 0, 1, 1, 1, 2, 9])), Err(BlockError::Trailing));
    assert_eq!(read_runs(&content(&[1, 0, 1, 1, 0x0f, 2])), Err(BlockError::Range));
    assert_eq!(read_runs(&content(&[1, 0, 1, 1, 0x41, 2, 0])), Err(BlockError::Range));
    assert_eq!(read_runs(&content(&[1, 0, 1, 1, 1, 1])), Err(BlockError::Range));
    // Two nodes: up one, to "none"; then up two, to a node before the first of all.
    assert_eq!(read_nodes(&content(&[1, 2, 1, 3, 1, 1, 1, 1])), Err(BlockError::Range));
    // Its own parent.
    assert_eq!(read_nodes(&content(&[1, 1, 0, 1, 1])), Err(BlockError::Range));
    assert_eq!(read_nodes(&content(&[1, 0x80, 0x80, 0x40, 1, 1, 1])), Err(BlockError::Range));
    // Says a mebibyte more than allowed, then a few bytes.
    let large = [&[1, 0, 0, 0, 0, 0x81, 0x80, 0x40][..], &[3, 0]].concat();
    assert_eq!(read_runs(&large), Err(BlockError::Large));
    // Unpacks to more than it says.
    let mut bomb = pack(&[0; 100_000], true);
    bomb[5..8].copy_from_slice(&[0x81, 0x80, 0x00]);
    assert!(read_runs(&bomb).is_err());
}
