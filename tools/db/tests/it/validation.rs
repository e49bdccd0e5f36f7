//! What `naja.typesystem` does with text.

use naja_db::validation::format::{self, Answer};
use naja_db::validation::json::{self, Sink, Span, Stop, Unit, Value, Words};
use naja_db::validation::number;
use naja_db::validation::outline::{Outline, Step};
use naja_db::validation::place::place_of;
use naja_db::validation::white::stripped;

const WORDS: Words = Words { names_trailing_comma: false };

/// Writes what it hears, one word each.
#[derive(Default)]
struct Diary(Vec<String>);

impl Diary {
    fn write(&mut self, what: &str, span: Span) -> Result<(), String> {
        self.0.push(format!("{what}@{}-{}", span.start, span.end));
        Ok(())
    }
}

fn told(value: &Value<'_>) -> String {
    match value {
        Value::Escaped(codes) => {
            format!("{:?}", codes.iter().map(|code| char::from_u32(*code).unwrap_or('?')).collect::<String>())
        }
        value => format!("{value:?}"),
    }
}

impl Sink for Diary {
    type Error = String;

    fn scalar(&mut self, value: Value<'_>, span: Span) -> Result<(), String> {
        self.write(&told(&value), span)
    }

    fn key(&mut self, value: Value<'_>, span: Span) -> Result<(), String> {
        self.write(&format!("key {}", told(&value)), span)
    }

    fn open_list(&mut self) -> Result<(), String> {
        self.0.push("[".to_owned());
        Ok(())
    }

    fn open_object(&mut self) -> Result<(), String> {
        self.0.push("{".to_owned());
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), String> {
        self.write("end", span)
    }
}

fn scanned<T: Unit>(content: &[T]) -> String {
    let mut diary = Diary::default();
    match json::scan(content, WORDS, &mut diary) {
        Ok(()) => diary.0.join(" "),
        Err(Stop::Fault(fault)) => format!("{} at {}", fault.text, fault.index),
        Err(Stop::Sink(error)) => error,
    }
}

/// Bytes and wide characters give the same.
fn check_json(text: &str, expected: &str) {
    let wide: Vec<u32> = text.chars().map(u32::from).collect();
    assert_eq!(scanned(&wide), expected, "{text}");
    if text.is_ascii() {
        assert_eq!(scanned(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn json_is_told_with_the_place_of_every_value() {
    check_json(
        r#" {"a": [1, -2.5e1], "b\u0021": null} "#,
        concat!(
            "{ key Plain(3, 4)@2-4 [ Whole(1)@8-8 Float(-25.0)@11-16 end@7-17 ",
            r#"key "b!"@20-28 Null@31-34 end@1-35"#
        ),
    );
    check_json("[]", "[ end@0-1");
    check_json("12345678901234567890", "Long(\"12345678901234567890\")@0-19");
    check_json("\"é\"", "Plain(1, 2)@0-2");
    check_json(r#""\ud83d\ude00\ud800""#, r#""😀?"@0-19"#);
}

#[test]
fn what_is_no_json_is_told_with_the_place_that_shows_it() {
    for (text, expected) in [
        ("", "Expecting value at 0"),
        ("{", "Expecting property name enclosed in double quotes at 1"),
        ("{\"a\"", "Expecting ':' delimiter at 4"),
        ("{\"a\":", "Expecting value at 5"),
        ("{\"a\":1", "Expecting ',' delimiter at 6"),
        ("{\"a\":1,}", "Expecting property name enclosed in double quotes at 7"),
        ("[1,]", "Expecting value at 3"),
        ("[1 2]", "Expecting ',' delimiter at 3"),
        ("1 2", "Extra data at 2"),
        ("NaN", "Expecting value at 0"),
        ("01", "Extra data at 1"),
        ("\"a", "Unterminated string starting at at 0"),
        ("\"\n\"", "Invalid control character at at 1"),
        ("\"\\x\"", "Invalid \\escape at 1"),
        ("\"\\u12\"", "Invalid \\uXXXX escape at 2"),
    ] {
        check_json(text, expected);
    }
    let mut diary = Diary::default();
    let Err(Stop::Fault(fault)) = json::scan(b"[1,]", Words { names_trailing_comma: true }, &mut diary)
    else {
        panic!("a trailing comma is refused");
    };
    assert_eq!((fault.text, fault.index), ("Illegal trailing comma before end of array", 2));
}

#[test]
fn a_million_brackets_are_no_danger() {
    let text = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let outline = Outline::of(text.as_bytes(), WORDS).expect("brackets are JSON");
    let steps = vec![Step::Item(0); 999_999];
    assert_eq!(outline.find(text.as_bytes(), &steps), Some(Span { start: 999_999, end: 1_000_000 }));
}

#[test]
fn an_outline_finds_values_and_stops_where_there_is_none() {
    let text = br#"{"a": [1, {"b": 2}], "a": [3], "\u0062": 4}"#;
    let outline = Outline::of(text, WORDS).expect("it is JSON");
    let key = |name: &str| Step::Key(name.chars().map(u32::from).collect());
    for (steps, expected) in [
        (vec![], &text[..]),
        // The last one of a key counts, as in a dictionary.
        (vec![key("a")], &b"[3]"[..]),
        (vec![key("a"), Step::Item(0)], b"3"),
        (vec![key("b")], b"4"),
        (vec![key("a"), Step::Item(7), key("x")], b"[3]"),
        (vec![Step::Item(0)], text),
    ] {
        let span = outline.find(text, &steps).expect("there is a document");
        assert_eq!(&text[span.start..=span.end], expected, "{steps:?}");
    }
    assert!(Outline::of(b"[", WORDS).is_none());
}

#[test]
fn lines_end_where_python_ends_them() {
    for (text, index, expected) in [
        ("abc", 2, (1, 3)),
        ("a\nbc", 1, (1, 1)),
        ("a\nbc", 3, (2, 2)),
        ("a\r\nbc", 3, (2, 1)),
        ("a\u{2028}b\u{85}c", 4, (3, 1)),
        ("\n\n", 1, (2, 1)),
        ("", 5, (1, 1)),
    ] {
        let wide: Vec<u32> = text.chars().map(u32::from).collect();
        let place = place_of(&wide, index);
        assert_eq!((place.line, place.column), expected, "{text:?} {index}");
    }
}

#[test]
fn white_space_is_what_python_takes_for_it() {
    assert_eq!(stripped(" \u{1c}a b\u{a0}\u{3000}\n"), "a b");
    assert_eq!(stripped("\u{200b}a"), "\u{200b}a");
    assert_eq!(stripped(" "), "");
}

#[test]
fn a_format_answers_only_where_it_is_sure() {
    let answers = |known: &str, text: &str| match known {
        "date" => format!("{:?}", format::date(text)),
        "time" => format!("{:?}", format::time(text)),
        "datetime" => format!("{:?}", format::datetime(text)),
        "email" => format!("{:?}", format::email(text)),
        "url" => format!("{:?}", format::url(text)),
        "ipv4" => format!("{:?}", format::ipv4(text)),
        _ => format!("{:?}", format::uuid(text)),
    };
    for (known, text, expected) in [
        ("date", "2018-9-4", "Read(Day { year: 2018, month: 9, day: 4 })"),
        ("date", "18-9-4", "Not"),
        ("date", "2018-09-14\n", "Unsure"),
        ("time", "9:30:15.5x", "Read(Clock { hour: 9, minute: 30, second: 15, microsecond: 500000 })"),
        ("time", "9:30:", "Read(Clock { hour: 9, minute: 30, second: 0, microsecond: 0 })"),
        ("datetime", "2018-09-14T09:30+01:", "Not"),
        (
            "datetime",
            "2018-09-14 09:30:1-0130",
            concat!(
                "Read((Day { year: 2018, month: 9, day: 14 }, ",
                "Clock { hour: 9, minute: 30, second: 1, microsecond: 0 }, East(-5400)))"
            ),
        ),
        ("email", "a.b@c-d.org.", "Read(())"),
        ("email", "a@b", "Not"),
        ("email", "\"q q\"@x.org", "Unsure"),
        ("url", "https://example.org/?x", "Read(())"),
        ("url", "x", "Unsure"),
        ("url", "http://[::1", "Unsure"),
        ("ipv4", "10.0.0.1", "Read(167772161)"),
        ("ipv4", "10.0.0.01", "Unsure"),
        ("uuid", "93e19019-c7a6-05fe-8936-f6f4d550f35f", "Not"),
        ("uuid", "93e19019-c7a6-45fe-8936-f6f4d550f35f}", "Unsure"),
    ] {
        assert_eq!(answers(known, text), expected, "{known} {text}");
    }
    assert_eq!(
        format::uuid("00000000-0000-1000-8000-00000000000f"),
        Answer::Read(0x1000_8000_0000_0000_000f)
    );
}

#[test]
fn numbers_are_read_and_rounded_where_that_is_exact() {
    assert_eq!((number::whole("+12"), number::whole("1_0"), number::whole("")), (Some(12), None, None));
    assert_eq!(
        (number::float("1.5e3"), number::float("1."), number::float("inf")),
        (Some(1500.0), None, None)
    );
    assert_eq!(
        (number::decimals("0.01"), number::decimals("1"), number::decimals("1e1")),
        (Some(2), Some(0), None)
    );
    // At a tie, and where it is hard to tell from one, `decimal` is asked.
    assert_eq!(
        (number::rounded(2.567, 2), number::rounded(2.5, 0), number::rounded(1.005, 2)),
        (Some(2.57), None, None)
    );
    for (text, expected) in
        [("x1", true), ("2018-09-14", true), ("nan", false), ("1e-5", false), ("٣", false), ("_-1", false)]
    {
        assert_eq!(number::is_no_number(text), expected, "{text}");
    }
}
