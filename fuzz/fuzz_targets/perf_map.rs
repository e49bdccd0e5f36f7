#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let map = naja_native::perf_map::PerfMap::parse(input);
    map.name(0);
    map.name(u64::MAX);
});
