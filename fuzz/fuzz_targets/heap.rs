#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| naja_cpython::hostile::heap(input));
