//! What the fuzzer runs: everything that reads text or bytes of strangers, followed far enough to use what was read.

use std::sync::Arc;

use crate::parser::{
    Class, English, Interrupted, Layout, Meaning, Options, Parsed, Tokens, Vocabulary, Whole, format_of,
    parse, shown_part,
};
use crate::rrule::{Progress, Rule, Walker, moment, parse_rule, properties};
use crate::zone::{PosixZone, TzifData, Years, Zone};
use crate::{find, iso};

/// A fuzz target: its name, which is its folder in the corpus, and what it runs.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: [Entry; 7] = [
    ("dates_parser", dates_parser),
    ("date_layout", date_layout),
    ("iso_text", iso_text),
    ("find_dates", find::hostile),
    ("rule_text", rule_text),
    ("tz_string", tz_string),
    ("tzif", tzif),
];

const ENGLISH: English = English { year: 2026 };

/// Beginnings of the sentences in which Python refuses a part of a date.
const REFUSALS: [&str; 8] = ["year", "month", "bad month", "day", "hour", "minute", "second", "else"];

/// The English words, asked for one by one as a user's are.
struct Asked;

impl Vocabulary for Asked {
    fn meaning(&self, token: &str) -> Result<Meaning, Interrupted> {
        ENGLISH.meaning(token)
    }

    fn zone_offset(&self, name: &str) -> Result<Option<i64>, Interrupted> {
        ENGLISH.zone_offset(name)
    }

    fn full_year(&self, year: i64, century_specified: bool) -> Result<i64, Interrupted> {
        ENGLISH.full_year(year, century_specified)
    }

    fn class(&self, character: char) -> Class {
        // A superscript is a digit to Python.
        if character == '\u{b2}' { Class::Digit(None) } else { ENGLISH.class(character) }
    }
}

/// The parser, plain and fuzzy, with what it says of errors and of formats.
pub fn dates_parser(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut tokens = Tokens::default();
    for fuzzy in [false, true] {
        let options = Options { fuzzy, ..Options::default() };
        let parsed = parse(&text, options, &ENGLISH, &mut tokens);
        let (pieces, skipped): (Vec<_>, _) = (tokens.pieces(&text).collect(), tokens.skipped(&text));
        assert!(
            skipped.iter().map(String::len).sum::<usize>() <= pieces.iter().map(|piece| piece.len()).sum()
        );
        let shown = tokens.shown(&text);
        assert!(shown.is_none_or(|shown| parsed.is_err() && two_lines(&shown)));
        // Memory that was used before, and words that are asked for, change nothing.
        if !text.contains('\u{b2}') {
            assert_eq!(parsed, parse(&text, options, &Asked, &mut Tokens::default()));
        }
        let _ = parse(&text, options, &Asked, &mut tokens);
        if let Ok(mut parsed) = parsed {
            for sentence in REFUSALS {
                let shown = shown_part(&text, options, &ENGLISH, sentence);
                assert!(shown.is_none_or(|shown| two_lines(&shown)));
            }
            parsed.complete(&ENGLISH).expect("English always answers");
            if let Ok((said, _)) = format_of(&text, options, &ENGLISH) {
                assert_eq!(said, parsed);
            }
        } else {
            assert!(format_of(&text, options, &ENGLISH).is_err());
        }
    }
}

fn two_lines(shown: &str) -> bool {
    shown.split('\n').count() == 2 && shown.ends_with('^')
}

/// A layout learnt from the first line, and texts of its shape made with the bytes behind it: what a layout reads is
/// what parsing reads. The first byte chooses the options.
pub fn date_layout(input: &[u8]) {
    let Some((&first, input)) = input.split_first() else { return };
    let options = Options { day_first: first & 1 != 0, year_first: first & 2 != 0, fuzzy: false };
    let (pattern, rest) = input.split_at(input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len()));
    let Ok(pattern) = std::str::from_utf8(pattern) else { return };
    let Some(layout) = Layout::learn(pattern, options, &ENGLISH) else { return };
    let check = |text: &[u8]| {
        let whole = layout.read_whole(text, &ENGLISH);
        let by_layout = layout.read(text, &ENGLISH);
        let Ok(text) = std::str::from_utf8(text) else {
            assert!(whole.is_none() && by_layout.is_none(), "{text:?}");
            return;
        };
        let parsed = parse(text, options, &ENGLISH, &mut Tokens::default()).map(|mut parsed| {
            parsed.complete(&ENGLISH).expect("English always answers");
            parsed
        });
        if let Some(by_layout) = by_layout {
            assert_eq!(parsed, Ok(by_layout), "{text:?} by {pattern:?}, {options:?}");
        }
        if let Some(whole) = whole {
            let parsed = parsed.unwrap_or_else(|error| panic!("{text:?} by {pattern:?}: {error}"));
            assert!(says(&parsed, &whole), "{text:?} by {pattern:?}, {options:?}: {whole:?}, {parsed:?}");
        }
    };
    check(pattern.as_bytes());
    let mut others = rest.get(1..).unwrap_or_default().chunks(pattern.len().max(1));
    others.by_ref().take(8).for_each(|other| {
        check(other);
        // A byte of the other text for each digit and each letter; 0 leaves the pattern's.
        for digits_only in [false, true] {
            let text: Vec<u8> = (pattern.bytes().zip(other.iter().copied().chain(std::iter::repeat(0))))
                .map(|(ours, theirs)| match ours {
                    _ if theirs == 0 => ours,
                    b'0'..=b'9' if digits_only => b'0' + theirs % 10,
                    b'0'..=b'9' => theirs,
                    b'a'..=b'z' | b'A'..=b'Z' if !digits_only => theirs,
                    _ => ours,
                })
                .collect();
            check(&text);
        }
    });
}

/// Whether a whole date is what the parser says, which may lack the parts that are zero.
fn says(parsed: &Parsed, whole: &Whole) -> bool {
    let &Whole { year, month, day, hour, minute, second, microsecond, offset_s } = whole;
    let date = (Some(i64::from(year)), Some(i64::from(month)), Some(i64::from(day)));
    let time = [hour.into(), minute.into(), second.into(), i64::from(microsecond)];
    let parsed_time = [parsed.hour, parsed.minute, parsed.second, parsed.microsecond];
    (parsed.year, parsed.month, parsed.day) == date
        && parsed_time.map(|part| part.unwrap_or(0)) == time
        && parsed.zone_offset == offset_s
}

/// Texts of ISO 8601, and what is said of the wrong ones.
pub fn iso_text(input: &[u8]) {
    let (&separator, rest) = input.split_first().unwrap_or((&b'T', &[]));
    for text in [input, rest] {
        let show = |error: &crate::Error| {
            let shown = iso::shown(text, error);
            assert!(shown.is_none_or(|shown| two_lines(&shown)));
            assert!(!error.to_string().is_empty());
        };
        let any = iso::datetime(text, None);
        let day = iso::day(text);
        match (&any, &day) {
            (Ok((of_any, _)), Ok((day, end))) => assert!(of_any == day && *end <= text.len()),
            (Ok(_), Err(error)) => panic!("a date without a day: {error}"),
            _ => {}
        }
        for separator in [b'T', separator] {
            match iso::datetime(text, Some(separator)) {
                Ok(read) => assert_eq!(any, Ok(read)),
                Err(error) => show(&error),
            }
        }
        let time = iso::time(text);
        if let (Ok((_, time)), Ok((_, end))) = (&any, &day)
            && *end < text.len()
        {
            assert_eq!(iso::time(&text[end + 1..]), Ok(*time), "a time means the same alone");
        }
        let zones = [false, true].map(|zero_is_utc| iso::zone(text, zero_is_utc));
        assert_eq!(zones[0].is_ok(), zones[1].is_ok());
        let errors = [any.err(), day.err(), time.err(), zones[0].err(), zones[1].err()];
        errors.iter().flatten().for_each(show);
        for sentence in REFUSALS {
            let shown = iso::shown_part(text, sentence);
            assert!(shown.is_none_or(|shown| two_lines(&shown)));
        }
    }
}

/// Dates that are taken from a rule.
const DATES: usize = 20;

/// `rrulestr` without its dates: the text is split, and each rule in it is followed a little and sought in.
pub fn rule_text(input: &[u8]) {
    let text = String::from_utf8_lossy(input).to_uppercase();
    for unfold in [false, true] {
        for line in properties(&text, unfold).unwrap_or_default() {
            if let Ok(rule) = parse_rule(&line.value) {
                follow(moment(1997, 9, 2, 32_400), &rule.parts);
            }
        }
    }
}

fn follow(start: i64, parts: &crate::rrule::Parts) {
    let Ok(rule) = Rule::new(start, parts).map(Arc::new) else { return };
    for seconds in [0, 86_400 * 10_000, i64::MAX] {
        let Ok(mut walker) = Walker::new(Arc::clone(&rule)) else { return };
        if walker.seek(start.saturating_add(seconds)).is_err() {
            continue;
        }
        for _ in 0..DATES {
            match walker.advance() {
                Ok(Progress::Found(_)) => {}
                Ok(Progress::Working | Progress::Ended) | Err(_) => break,
            }
        }
    }
}

/// A POSIX rule, and the changes of some years.
pub fn tz_string(input: &[u8]) {
    let Ok(zone) = PosixZone::read(&String::from_utf8_lossy(input)) else { return };
    let Some(rule) = zone.daylight else { return };
    // What was worked out before says the same.
    let (known, none) = (rule.years(), Years::default());
    for year in [1, 1970, 2024, 2069, 9999] {
        let (start, end) = rule.changes(year);
        for time in [start, end, start.midpoint(end)] {
            let both = |years| {
                let walls = [(false, i64::MIN), (true, start)];
                (
                    rule.holds_at(time, year, years),
                    walls.map(|(fold, since)| rule.holds_at_wall(time, year, fold, since, years)),
                )
            };
            assert_eq!(both(&known), both(&none), "{rule:?} at {time}");
        }
    }
}

/// A TZif file, asked around each of its transitions.
pub fn tzif(input: &[u8]) {
    let Ok((data, _)) = TzifData::read(input) else { return };
    let Ok(zone) = Zone::new(&data) else { return };
    let ends = [-62_135_596_800, 0, 253_402_300_799];
    for &time in data.transitions_s.iter().chain(&ends) {
        // `datetime` knows no other times.
        let time = time.clamp(ends[0], ends[2]);
        let year = crate::rrule::civil(time + 719_163 * 86_400).year;
        let (info, _) = zone.at(time, year);
        let offset = i64::from(zone.infos()[info].offset_s);
        for fold in [false, true] {
            let _ = &zone.infos()[zone.at_wall(time.saturating_add(offset), year, fold)];
        }
    }
}
