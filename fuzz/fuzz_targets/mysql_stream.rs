#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| naja_sql::mysql::hostile::mysql_stream(input));
