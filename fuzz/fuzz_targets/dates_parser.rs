//! Any text given to the parser of dates: it must end, and never panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use naja_dates::parser::{English, Layout, Options, Tokens, format_of, parse};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let english = English { year: 2026 };
    let mut tokens = Tokens::default();
    for fuzzy in [false, true] {
        let options = Options { fuzzy, ..Options::default() };
        if parse(&text, options, &english, &mut tokens).is_ok() {
            tokens.skipped(&text);
        }
    }
    let _ = format_of(&text, Options::default(), &english);
    if let Some(layout) = Layout::learn(&text, Options::default(), &english) {
        assert!(layout.read(text.as_bytes(), &english).is_some());
    }
    let _ = naja_dates::iso::datetime(data, None);
});
