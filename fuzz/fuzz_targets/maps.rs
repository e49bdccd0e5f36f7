#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| drop(naja_native::maps::parse(input)));
