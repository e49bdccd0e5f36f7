//! Any bytes as a block of a recording: `cargo fuzz run -s none recording_blocks`.
//!
//! `base/recording/tests/it/blocks.rs` does the same with the corpus and with what comes near it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use naja_recording::allocations::{Slots, read_allocations};
use naja_recording::blocks::{RunBlock, pack, read_nodes, read_runs};

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    // Past the checksum, where the numbers are read.
    read(&pack(bytes, false));
});

fn read(bytes: &[u8]) {
    if let Ok(runs) = read_runs(bytes) {
        let mut block = RunBlock::new(runs.thread, runs.first_tick);
        for run in &runs.runs {
            block.push(*run);
        }
        read_runs(&block.to_bytes(true)).expect("what is written can be read");
    }
    if let Ok(nodes) = read_nodes(bytes) {
        assert!(nodes.iter().all(|node| node.parent < node.id && node.function > 0));
    }
    let _ = read_allocations(bytes, &mut Slots::default(), &mut |_, _| ());
}
