#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| naja_sql::postgres::hostile::postgres_url(input));
