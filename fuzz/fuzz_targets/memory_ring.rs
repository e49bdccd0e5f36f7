//! Any bytes as what an agent has written into its ring: `cargo fuzz run -s none memory_ring`.
//!
//! `tools/memory/tests/it/hostile.rs` does the same with the corpus.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| naja_memory::hostile::ring(bytes));
