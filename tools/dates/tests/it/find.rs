//! Dates in texts.

use std::path::Path;

use naja_dates::command::find::{FindArguments, FirstNumber};
use naja_dates::find::{First, Found, Moment, Options, Search, Value, find, hostile, older};

/// Thursday, 19 March 2026, noon.
fn options() -> Options {
    let day = Moment::on(2026, 3, 19).expect("the calendar has this day");
    Options::new(day.at(12, 0, 0, 0).expect("noon is a time"))
}

/// `text = value` of each date, without durations.
fn shown(text: &str, options: &Options) -> Vec<String> {
    let dates = find(text, options);
    dates
        .iter()
        .filter_map(|found| Some(format!("{} = {}", &text[found.start..found.end], value(found)?)))
        .collect()
}

fn value(found: &Found) -> Option<String> {
    let moment = |at: &Moment| {
        let time = match (at.hour, at.minute, at.second) {
            (0, 0, 0) => String::new(),
            (hour, minute, 0) => format!("T{hour:02}:{minute:02}"),
            (hour, minute, second) => format!("T{hour:02}:{minute:02}:{second:02}"),
        };
        format!("{:04}-{:02}-{:02}{time}", at.year, at.month, at.day)
    };
    let offset = |offset: &Option<i32>| offset.map_or(String::new(), |seconds| format!("{:+}", seconds / 60));
    match &found.value {
        Value::Absolute { at, offset: zone } => Some(moment(at) + &offset(zone)),
        Value::Relative { at, offset: zone, .. } => Some(format!("~{}{}", moment(at), offset(zone))),
        Value::Interval { start, end } => Some(format!("{}/{}", moment(start), moment(end))),
        Value::Duration { .. } => None,
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(shown(text, &options()), expected, "in {text:?}");
}

#[test]
fn a_weekday_belongs_to_its_date() {
    check("on Tuesday Jul 22, 2014", &["Tuesday Jul 22, 2014 = 2014-07-22"]);
    check("Fri, 12 Dec 2014 10:55:50 -0300", &["Fri, 12 Dec 2014 10:55:50 -0300 = 2014-12-12T10:55:50-180"]);
}

#[test]
fn a_time_belongs_to_its_date_on_either_side() {
    check("Tuesday July 22, 2014 at 5pm EST", &["Tuesday July 22, 2014 at 5pm EST = 2014-07-22T17:00-300"]);
    check("at 5pm on Tuesday July 22, 2014.", &["5pm on Tuesday July 22, 2014 = 2014-07-22T17:00"]);
    check("8:25 a.m. Dec. 12, 2014", &["8:25 a.m. Dec. 12, 2014 = 2014-12-12T08:25"]);
    check("2015-08-05\n12:00 lunch", &["2015-08-05 = 2015-08-05"]);
}

#[test]
fn stamps_of_programs_are_read_with_their_zone() {
    check("[17/Nov/2002:04:31:08 -0700]", &["17/Nov/2002:04:31:08 -0700 = 2002-11-17T04:31:08-420"]);
    check("Thu Sep 25 10:36:28 2003 x", &["Thu Sep 25 10:36:28 2003 = 2003-09-25T10:36:28"]);
    check("ts=2022-08-14T06:30:00.5+02:00", &["2022-08-14T06:30:00.5+02:00 = 2022-08-14T06:30+120"]);
    check("20230115T083000Z t=1", &["20230115T083000Z = 2023-01-15T08:30+0"]);
    check("Mar  5 10:22:33 host", &["Mar  5 10:22:33 = 2026-03-05T10:22:33"]);
    check("db-2021-03-04.tar.gz", &["2021-03-04 = 2021-03-04"]);
}

#[test]
fn ambiguous_numbers_follow_the_option_and_give_way() {
    check("02/05/2020, 31/08/2012", &["02/05/2020 = 2020-02-05", "31/08/2012 = 2012-08-31"]);
    let day_first = Options { first: First::Day, ..options() };
    assert_eq!(shown("02/05/2020", &day_first), ["02/05/2020 = 2020-05-02"]);
    let year_first = Options { first: First::Year, ..options() };
    assert_eq!(shown("01/02/03", &year_first), ["01/02/03 = 2001-02-03"]);
    let found = find("02/05/2020", &options());
    let other = Value::Absolute { at: Moment::on(2020, 5, 2).unwrap(), offset: None };
    assert_eq!(found[0].alternate, Some(other));
}

#[test]
fn points_put_the_day_first() {
    check("am 1.4.2016 um 14:22", &["1.4.2016 um 14:22 = 2016-04-01T14:22"]);
    check("version 1.4.2016, v1.4.2016, 1.4.2016.3", &[]);
}

#[test]
fn other_languages_have_their_month_names() {
    check("le 1er août 1962", &["1er août 1962 = 1962-08-01"]);
    check("25 de abril de 1974", &["25 de abril de 1974 = 1974-04-25"]);
    check("den 3. Oktober 1990", &["3. Oktober 1990 = 1990-10-03"]);
    check("11 listopada 1918 r.", &["11 listopada 1918 = 1918-11-11"]);
    let english = options().in_languages(["en"]);
    assert!(shown("11 listopada 1918", &english).is_empty());
}

#[test]
fn words_that_are_also_months_need_a_day_or_a_year() {
    check("it may 10 times, march on; Mr. April Jones sat in the sun", &[]);
    check("12 May Street, 124 March Street", &[]);
    check("MAR 12.5 APR 10.2", &[]);
}

#[test]
fn numbers_that_are_no_dates_are_passed_over() {
    check("10.0.0.12:5432 v3.11.7 1-800-555-0199 16:9 2001:db8::1 3/4 inch 98 23/32", &[]);
    check("account 12-05-2015-7, case 12-11-2014-A, 02/30/2015, 2015-02-29", &[]);
}

#[test]
fn relative_dates_count_from_the_reference() {
    check("tomorrow at 5pm", &["tomorrow at 5pm = ~2026-03-20T17:00"]);
    check("3 days ago, in 3 months", &["3 days ago = ~2026-03-16T12:00", "in 3 months = ~2026-06-19T12:00"]);
    check("the day after tomorrow", &["the day after tomorrow = ~2026-03-21T12:00"]);
    check("next Monday", &["next Monday = ~2026-03-23T12:00"]);
}

#[test]
fn days_in_a_row_are_an_interval() {
    check("June 21-23, 2019", &["June 21-23, 2019 = 2019-06-21/2019-06-24"]);
    check("1 Jan 2019-31 Mar 2019", &["1 Jan 2019 = 2019-01-01", "31 Mar 2019 = 2019-03-31"]);
}

#[test]
fn a_strict_search_wants_year_month_and_day_in_the_text() {
    let strict = Options { strict: true, ..options() };
    assert!(shown("June 2018, 19th day of May, tomorrow, in 2008", &strict).is_empty());
    assert_eq!(shown("19th day of May, 2015", &strict), ["19th day of May, 2015 = 2015-05-19"]);
}

#[test]
fn dates_end_with_their_line_where_that_is_asked() {
    let text = "12 May\n2015";
    check(text, &["12 May\n2015 = 2015-05-12"]);
    assert_eq!(shown(text, &Options { multiline: false, ..options() }), ["12 May = 2026-05-12"]);
}

#[test]
fn places_count_bytes_and_characters() {
    let found = &find("é – 2014-07-22", &options())[0];
    assert_eq!((found.start, found.end), (7, 17));
    assert_eq!((found.start_char, found.end_char), (4, 14));
}

#[test]
fn a_text_in_pieces_gives_what_the_whole_gives() {
    let corpus = corpus("development");
    let text: String =
        corpus.iter().cycle().take(4000).map(|record| record["text"].as_str().unwrap()).collect();
    assert!(text.len() > 1 << 17);
    let whole = find(&text, &options());
    for size in [1000, 70_001] {
        let mut pieces = Vec::new();
        let mut search = Search::new(options());
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.ceil_char_boundary(size));
            search.feed(piece, &mut |found, matched| {
                assert_eq!(matched, &text[found.start..found.end]);
                pieces.push(found.clone());
            });
            rest = behind;
        }
        search.finish(&mut |found, _| pieces.push(found.clone()));
        assert!(whole == pieces, "pieces of {size} bytes");
    }
}

/// The records of one half of the labelled corpus.
fn corpus(half: &str) -> Vec<serde_json::Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("bench/corpus/{half}.jsonl"));
    let lines = std::fs::read_to_string(path).expect("the corpus is there");
    lines.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

/// A floor under what `bench/datefinder.md` says in full.
#[test]
fn nearly_every_labelled_day_is_found_with_its_span() {
    for half in ["development", "heldout"] {
        let (mut labels, mut hits) = (0, 0);
        for record in corpus(half) {
            let first = if record["first"] == "day" { First::Day } else { First::Month };
            let found = find(record["text"].as_str().unwrap(), &Options { first, ..options() });
            for label in record["dates"].as_array().unwrap().iter().filter(|label| label["required"] == true)
            {
                labels += 1;
                let (start, end) = (label["start"].as_u64().unwrap(), label["end"].as_u64().unwrap());
                let same = |found: &&Found| (found.start_char as u64, found.end_char as u64) == (start, end);
                hits += usize::from(found.iter().any(|one| same(&one)));
            }
        }
        assert!(hits * 100 >= labels * 97, "{half}: {hits} of {labels}");
    }
}

#[test]
fn the_older_engine_finds_what_it_always_found() {
    let shown = |text: &str, strict| -> Vec<String> {
        older::candidates(text, strict).iter().map(|candidate| candidate.cleaned(text)).collect()
    };
    assert_eq!(
        shown("we need it back on Friday 2p.m. central standard time", false),
        ["on Friday 2p.m. central standard time"]
    );
    assert_eq!(shown("31 Oct 2021 - 28 Nov 2021", false), ["31 Oct 2021", "28 Nov 2021"]);
    assert_eq!(shown("June 2018; 19th day of May, 2015", true), ["19th day of May, 2015"]);
    assert_eq!(
        older::sweep("due on Tuesday Jul 22, 2014 eastern standard time", &["EST"]),
        " tuesday jul 22, 2014 eastern "
    );
}

#[test]
fn long_runs_of_anything_do_no_harm() {
    let parts =
        ["1", "a", " ", "-", "1 ", "1/", "12:00 est", "may ", "1-1-", "\u{300}", "é", "1 May ", "on ", "\n"];
    for part in parts {
        hostile(part.repeat(100_000 / part.len()).as_bytes());
    }
}

#[test]
fn random_texts_do_no_harm() {
    let pieces = [
        "12", "2014", "May", " ", "-", "/", ":", ".", ",", "T", "Z", "+02:00", "5pm", "tomorrow", "in",
        "ago", "days", "é", "\n", "20140722", "'", "of", "the", "Mon", "EST", "\u{a0}", "日", "to", "a.m.",
        "(",
    ];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below as u64).unwrap()
    };
    for _ in 0..3000 {
        let text: String = (0..1 + random(30)).map(|_| pieces[random(pieces.len())]).collect();
        hostile(text.as_bytes());
    }
}

#[test]
fn the_command_writes_a_line_of_json_for_each_date() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("text");
    std::fs::write(&file, b"caf\xe9 on 2014-07-22, tomorrow for 3 hours").unwrap();
    let arguments = FindArguments {
        file,
        strict: false,
        first: FirstNumber::Month,
        reference: Some("2026-03-19T12:00".into()),
        language: Vec::new(),
        durations: false,
    };
    let mut out = Vec::new();
    naja_dates::command::find::find(&arguments, &mut out).unwrap();
    let lines: Vec<serde_json::Value> = out
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["start"], &lines[0]["value"]), (&8.into(), &"2014-07-22T00:00:00".into()));
    assert_eq!(lines[1]["value"], "2026-03-20T12:00:00");
}

#[test]
fn the_command_says_what_it_cannot_read() {
    let arguments = |reference: Option<&str>| FindArguments {
        file: "/nonexistent/text".into(),
        strict: false,
        first: FirstNumber::Month,
        reference: reference.map(str::to_owned),
        language: Vec::new(),
        durations: false,
    };
    let name = |reference| {
        naja_dates::command::find::find(&arguments(reference), &mut Vec::new()).unwrap_err().name()
    };
    assert_eq!(name(None), "dates-input");
    assert_eq!(name(Some("soon")), "dates-reference");
}
