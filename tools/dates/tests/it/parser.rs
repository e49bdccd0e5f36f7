//! Texts that people write for a date.

use naja_dates::Error;
use naja_dates::command::{DatesArguments, dates};
use naja_dates::hostile::dates_parser;
use naja_dates::parser::{English, Layout, Options, Parsed, Tokens, format_of, parse};

const ENGLISH: English = English { year: 2026 };

fn read(text: &str, options: Options) -> Result<Parsed, Error> {
    let mut parsed = parse(text, options, &ENGLISH, &mut Tokens::default())?;
    parsed.complete(&ENGLISH)?;
    Ok(parsed)
}

/// Year, month, day, hour, minute and second of a text; 0 for a part that it does not have.
#[track_caller]
fn check(text: &str, expected: [i64; 6]) {
    check_with(text, Options::default(), expected);
}

#[track_caller]
fn check_with(text: &str, options: Options, expected: [i64; 6]) {
    let parsed = read(text, options).unwrap_or_else(|error| panic!("{text}: {error}"));
    let Parsed { year, month, day, hour, minute, second, .. } = parsed;
    assert_eq!([year, month, day, hour, minute, second].map(|part| part.unwrap_or(0)), expected, "{text}");
}

#[test]
fn usual_formats_are_understood() {
    check("Thu Sep 25 10:36:28 2003", [2003, 9, 25, 10, 36, 28]);
    check("2003-09-25T10:49:41.5-03:00", [2003, 9, 25, 10, 49, 41]);
    check("20030925T104941", [2003, 9, 25, 10, 49, 41]);
    check("September 25, 2003 at 10:36am", [2003, 9, 25, 10, 36, 0]);
    check("25 of September of 2003", [2003, 9, 25, 0, 0, 0]);
    check("10h36m28.5s", [0, 0, 0, 10, 36, 28]);
    check("03-Sep-99", [1999, 9, 3, 0, 0, 0]);
    check("Sep.25.2003", [2003, 9, 25, 0, 0, 0]);
    check("12 am", [0, 0, 0, 0, 0, 0]);
}

#[test]
fn comma_before_the_year_is_accepted() {
    check("March 5, 1998", [1998, 3, 5, 0, 0, 0]);
}

#[test]
fn options_decide_what_three_numbers_are() {
    check("01/05/09", [2009, 1, 5, 0, 0, 0]);
    check_with("01/05/09", Options { day_first: true, ..Options::default() }, [2009, 5, 1, 0, 0, 0]);
    check_with("01/05/09", Options { year_first: true, ..Options::default() }, [2001, 5, 9, 0, 0, 0]);
}

#[test]
fn fuzzy_passes_over_other_words_and_keeps_them() {
    let options = Options { fuzzy: true, ..Options::default() };
    let mut tokens = Tokens::default();
    let text = "Today is January 1, 2047 at 8:21:00AM";
    let parsed = parse(text, options, &ENGLISH, &mut tokens).expect("it has a date");
    assert_eq!((parsed.year, parsed.hour), (Some(2047), Some(8)));
    assert_eq!(tokens.skipped(text), ["Today is ", " ", " ", "at "]);
}

#[test]
fn sign_after_a_zone_means_its_opposite() {
    assert_eq!(read("10:00 GMT+3", Options::default()).expect("a time").zone_offset, Some(-10_800));
    assert_eq!(read("10:00 +3", Options::default()).expect("a time").zone_offset, Some(10_800));
}

#[test]
fn text_without_a_date_is_refused() {
    for text in ["x", "10:61x", "1 2 3 4", "nan", "2003-09-25 q", "Sep-", "\u{b2}"] {
        assert_eq!(read(text, Options::default()), Err(Error::UnknownFormat), "{text}");
    }
    assert!(read("", Options::default()).expect("nothing was wrong").is_empty());
}

#[test]
fn number_that_does_not_fit_is_the_largest() {
    let parsed = read("99999999999999999999999:10", Options::default()).expect("an hour");
    assert_eq!(parsed.hour, Some(i64::MAX));
}

#[test]
fn digits_of_any_script_are_digits() {
    check("٢٠٠٣-٠٩-٢٥", [2003, 9, 25, 0, 0, 0]);
}

#[test]
fn layout_reads_what_parsing_reads() {
    let texts = ["2003-09-25 10:49:41", "1999-12-01 00:00:00", "2003-13-25 10:49:41", "0050-01-02 10:49:41"];
    let layout = Layout::learn(texts[0], Options::default(), &ENGLISH).expect("its shape decides");
    for text in texts {
        if let Some(by_layout) = layout.read(text.as_bytes(), &ENGLISH) {
            assert_eq!(Ok(by_layout), read(text, Options::default()), "{text}");
        }
    }
    for text in ["000 0", "Au5 5", "123 4"] {
        let layout = Layout::learn("Aug 5", Options::default(), &ENGLISH).expect("a month and a day");
        assert_eq!(layout.read(text.as_bytes(), &ENGLISH), None, "{text}");
    }
    for twice in ["2009-06-15T13:45:30.000M0000-07:00", "12:00 pm pm", "Thu 25 Sep 2003 Thu"] {
        assert!(Layout::learn(twice, Options::default(), &ENGLISH).is_none(), "{twice}");
    }
    assert!(Layout::learn("25 10:49", Options { fuzzy: true, ..Options::default() }, &ENGLISH).is_none());
}

/// Which of three numbers is what depends on the values: every pair of sizes, in every order and with both options.
#[test]
fn whole_dates_are_read_as_parsing_reads_them() {
    let option = |day_first, year_first| Options { day_first, year_first, fuzzy: false };
    let numbers = ["00", "01", "07", "12", "13", "28", "29", "31", "32", "60", "99"];
    let mut by_stencil = 0;
    for options in [option(false, false), option(true, false), option(false, true), option(true, true)] {
        let mut check = |pattern: &str, make: &dyn Fn(&str, &str, &str) -> String| {
            let Some(layout) = Layout::learn(pattern, options, &ENGLISH) else { return };
            for one in numbers {
                for two in numbers {
                    for three in numbers {
                        let text = make(one, two, three);
                        let Some(whole) = layout.read_whole(text.as_bytes(), &ENGLISH) else { continue };
                        by_stencil += 1;
                        let parsed = read(&text, options).expect("what has a whole date is one");
                        let date =
                            (Some(whole.year.into()), Some(whole.month.into()), Some(whole.day.into()));
                        assert_eq!(date, (parsed.year, parsed.month, parsed.day), "{text} {options:?}");
                        let time = (whole.hour.into(), whole.minute.into(), whole.second.into());
                        let part = |part: Option<i64>| part.unwrap_or(0);
                        assert_eq!(
                            time,
                            (part(parsed.hour), part(parsed.minute), part(parsed.second)),
                            "{text}"
                        );
                        assert_eq!(i64::from(whole.microsecond), part(parsed.microsecond), "{text}");
                        assert_eq!(whole.offset_s, parsed.zone_offset, "{text}");
                    }
                }
            }
        };
        for pattern in ["01-02-03", "13-02-03", "60-02-03", "01-13-20", "01-02-60"] {
            check(pattern, &|one, two, three| format!("{one}-{two}-{three}"));
        }
        for pattern in ["1999-01-02", "1999-13-02", "1999-01-13"] {
            check(pattern, &|one, two, three| format!("{one}{two}-{three}-05"));
            check(pattern, &|one, two, three| format!("19{one}-{two}-{three}"));
        }
        check("25/09/2003 14:05", &|one, two, three| format!("{one}/09/2003 {two}:{three}"));
        check("09/05/2003 10:36 pm", &|one, two, three| format!("09/{one}/2003 {two}:{three} pm"));
        check("20030925T104941", &|one, two, three| format!("200309{one}T10{two}{three}"));
        check("2003-09-25T10:49:41.250-03:00", &|one, two, three| {
            format!("2003-09-{one}T10:{two}:41.{three}0-03:00")
        });
        for month in ["Sep", "sep", "SEP", "May", "Mai", "Xyz", "S*p"] {
            check("25 Sep 2003", &|one, two, three| format!("{one} {month} {two}{three}"));
            check("Thu Sep 25 10:36:28 2003", &|one, two, three| {
                format!("Thu {month} {one} 10:{two}:{three} 2003")
            });
        }
    }
    assert!(by_stencil > 10_000, "{by_stencil}");
}

#[test]
fn format_has_a_sign_for_each_part() {
    for (text, format) in [
        ("Thu, 25 Sep 2003 10:49:41 -0300", "%a, %d %b %Y %H:%M:%S %z"),
        ("09/25/2003 10:36 am", "%m/%d/%Y %I:%M %p"),
        ("20030925T104941", "%Y%m%dT%H%M%S"),
    ] {
        assert_eq!(format_of(text, Options::default(), &ENGLISH).expect("it has one").1, format);
    }
}

#[test]
fn random_heaps_of_words_are_survived() {
    let words = [
        "12",
        "2003",
        "1.2.3",
        "10:",
        ":",
        "-",
        "+",
        "/",
        " ",
        "Sep",
        "of",
        "am",
        "h",
        "m",
        "s",
        "T",
        "Z",
        "UTC",
        "(",
        ")",
        "\0",
        "\u{b2}",
        "\u{663}",
        "12.5",
        "1,",
        "123456.78",
        "20030925104941",
        "Jan.",
        "st",
        "é",
        "nan",
    ];
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for _ in 0..20_000 {
        let mut text = String::new();
        for _ in 0..state % 9 + 1 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            text.push_str(words[(state >> 33) as usize % words.len()]);
        }
        dates_parser(text.as_bytes());
    }
}

#[test]
fn command_writes_dates_in_iso_8601() {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        dates: DatesArguments,
    }
    let run = |words: &[&str]| {
        let line = <Line as clap::Parser>::parse_from([&["dates"], words].concat());
        let mut out = Vec::new();
        let answer = dates(&line.dates, &mut out).map_err(|failure| failure.name());
        (String::from_utf8(out).expect("text"), answer)
    };
    assert_eq!(
        run(&["March 12 2010", "5 Jan 2003 10:00 -0300"]),
        ("2010-03-12T00:00:00\n2003-01-05T10:00:00-03:00\n".to_owned(), Ok(()))
    );
    assert_eq!(run(&["x"]).1, Err("not-a-date"));
    assert_eq!(
        run(&["--json", "x", "2003-09-25 10:00Z"]).0,
        "{\"text\":\"x\",\"error\":\"Unknown string format\"}\n{\"text\":\"2003-09-25 10:00Z\",\"date\":\"2003-09-25T10:00:00Z\"}\n"
    );
}
