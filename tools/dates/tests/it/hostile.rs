//! Input that wants to do harm: no panic, no endless loop.

use std::cell::Cell;
use std::path::Path;

use naja_dates::hostile::ENTRIES;
use naja_dates::parser::{Class, English, Interrupted, Meaning, Options, Tokens, Vocabulary, parse};

#[test]
fn the_corpus_of_each_target_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for (name, run) in ENTRIES {
        let mut inputs = 0;
        for file in std::fs::read_dir(corpus.join(name)).expect("each target has a corpus") {
            let file = file.expect("the corpus can be read").path();
            run(&std::fs::read(&file).expect("the corpus can be read"));
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus of {name} is there");
    }
}

#[test]
fn long_runs_of_anything_do_no_harm_to_the_parsers() {
    let targets = ["dates_parser", "date_layout", "iso_text", "rule_text", "tz_string"];
    for (_, run) in ENTRIES.into_iter().filter(|(name, _)| targets.contains(name)) {
        for part in [
            "a",
            "9",
            "1.",
            "1:",
            "Mon ",
            "12:",
            "\u{663}",
            "2003-09-25T10:49:41.5",
            "RRULE:FREQ=DAILY\n",
            "BYDAY=MO;",
        ] {
            // The first byte chooses the options of a layout.
            run(format!("1{}", part.repeat(100_000 / part.len())).as_bytes());
        }
    }
}

/// The English words, and how often they were asked for.
struct Counting {
    english: English,
    questions: Cell<usize>,
}

impl Counting {
    fn count(&self, questions: usize) {
        self.questions.set(self.questions.get() + questions);
    }
}

impl Vocabulary for Counting {
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted> {
        // A word is read through, whatever its length.
        self.count(token.len());
        self.english.meaning(token)
    }

    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted> {
        self.count(name.len());
        self.english.zone_offset(name)
    }

    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted> {
        self.count(1);
        self.english.full_year(year, century_specified)
    }

    fn class(&self, character: char) -> Class {
        self.count(1);
        self.english.class(character)
    }
}

/// Counted, not timed: the letters of all words and the characters that the parser asks its vocabulary about.
#[test]
fn the_parser_asks_no_more_than_in_proportion_to_the_text() {
    let parts = [
        "1",
        "12",
        "1.",
        "1,",
        "1.5",
        ".",
        ",",
        ":",
        "-",
        "/",
        " ",
        "a",
        "é",
        "\u{663}",
        "\0",
        "T",
        "Z",
        "EST",
        "UTC+",
        "10:",
        "1/",
        "Jan of ",
        "May ",
        "May-1-",
        "12h",
        "am",
        "1 May ",
        "+01:00 (EST)",
        "(",
        "x.1",
        "日",
    ];
    let english = English { year: 2026 };
    for (one, other) in parts.iter().flat_map(|one| parts.iter().map(move |other| (one, other))) {
        let part = format!("{one}{other}");
        let asked = |size: usize, fuzzy| {
            let text = part.repeat(size / part.len());
            let counting = Counting { english, questions: Cell::new(0) };
            let options = Options { fuzzy, ..Options::default() };
            let _ = parse(&text, options, &counting, &mut Tokens::default());
            counting.questions.get()
        };
        for fuzzy in [false, true] {
            let (half, whole) = (asked(2000, fuzzy), asked(4000, fuzzy));
            assert!(whole <= 2 * half + 64, "{part:?}: {half} in a half, {whole} in the whole");
            assert!(whole <= 4 * 4000, "{part:?}: {whole}");
        }
    }
}

#[test]
fn a_file_with_any_one_byte_changed_does_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/tzif/new_york_slim");
    let file = std::fs::read(corpus).expect("the corpus is there");
    let (_, run) = ENTRIES.iter().find(|(name, _)| *name == "tzif").expect("files are an entry");
    for at in 0..file.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff, file[at] ^ 1] {
            let mut broken = file.clone();
            broken[at] = byte;
            run(&broken);
        }
    }
}
