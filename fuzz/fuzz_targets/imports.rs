#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drop(naja_source::imports::imports(&String::from_utf8_lossy(input))));
