//! Recurrence rules.

use std::sync::Arc;

use naja_dates::rrule::{
    Frequency, Moment, Parts, Progress, Rule, RuleError, TextError, Walker, WeekdayPart, civil, moment,
    parse_rule, properties,
};

fn at(year: i64, month: u8, day: u8, hour: i64) -> Moment {
    moment(year, month, day, hour * 3600)
}

fn walker(start: Moment, parts: &Parts) -> Walker {
    Walker::new(Rule::new(start, parts).expect("the rule is right").into()).expect("the start is a date")
}

fn take(walker: &mut Walker, count: usize) -> Vec<Moment> {
    let mut found = Vec::new();
    while found.len() < count {
        match walker.advance() {
            Ok(Progress::Found(moment)) => found.push(moment),
            // No rule of these tests that has more dates goes so long without one.
            Ok(Progress::Working | Progress::Ended) | Err(_) => break,
        }
    }
    found
}

/// The first dates of a rule's text, as `1997-09-02T09`.
fn check(start: Moment, text: &str, expected: &[&str]) {
    let rule = parse_rule(text).expect("the text is a rule");
    let found: Vec<String> = take(&mut walker(start, &rule.parts), expected.len())
        .into_iter()
        .map(|moment| {
            let date = civil(moment);
            format!("{:04}-{:02}-{:02}T{:02}", date.year, date.month, date.day, date.hour)
        })
        .collect();
    assert_eq!(found, expected, "{text}");
}

#[test]
fn the_examples_of_rfc_5545_give_the_dates_that_it_names() {
    let start = at(1997, 9, 2, 9);
    check(start, "FREQ=DAILY;INTERVAL=10;COUNT=3", &["1997-09-02T09", "1997-09-12T09", "1997-09-22T09"]);
    check(
        start,
        "FREQ=MONTHLY;COUNT=6;BYDAY=-2MO",
        &[
            "1997-09-22T09",
            "1997-10-20T09",
            "1997-11-17T09",
            "1997-12-22T09",
            "1998-01-19T09",
            "1998-02-16T09",
        ],
    );
    check(start, "FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", &["1998-05-11T09", "1999-05-17T09", "2000-05-15T09"]);
    check(
        start,
        "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
        &["1997-09-04T09", "1997-10-07T09", "1997-11-06T09"],
    );
    check(start, "FREQ=YEARLY;BYDAY=20MO", &["1998-05-18T09", "1999-05-17T09", "2000-05-15T09"]);
    check(start, "FREQ=HOURLY;INTERVAL=3;COUNT=3", &["1997-09-02T09", "1997-09-02T12", "1997-09-02T15"]);
    check(
        at(1997, 8, 5, 9),
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
        &["1997-08-05T09", "1997-08-10T09", "1997-08-19T09", "1997-08-24T09"],
    );
    check(
        at(1997, 8, 5, 9),
        "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
        &["1997-08-05T09", "1997-08-17T09", "1997-08-19T09", "1997-08-31T09"],
    );
}

#[test]
fn days_can_be_counted_from_easter() {
    check(
        at(2024, 1, 1, 0),
        "FREQ=YEARLY;BYEASTER=-2,1",
        &["2024-03-29T00", "2024-04-01T00", "2025-04-18T00"],
    );
}

#[test]
fn a_rule_ends_with_its_count_or_with_the_year_9999() {
    let parts = |count| Parts { frequency: Some(Frequency::Yearly), count, ..Parts::default() };
    assert_eq!(take(&mut walker(at(2000, 1, 1, 0), &parts(Some(2))), 9).len(), 2);
    assert_eq!(take(&mut walker(at(9998, 1, 1, 0), &parts(None)), 9).len(), 2);
    assert_eq!(take(&mut walker(at(2000, 1, 1, 0), &parts(Some(0))), 9), Vec::<Moment>::new());
}

#[test]
fn a_rule_without_dates_comes_up_for_air() {
    let parts = Parts {
        frequency: Some(Frequency::Daily),
        interval: Some(0),
        months: Some(vec![2]),
        ..Parts::default()
    };
    let mut walker = walker(at(2000, 1, 1, 0), &parts);
    for _ in 0..3 {
        assert_eq!(walker.advance(), Ok(Progress::Working));
    }
}

#[test]
fn steps_that_never_meet_an_allowed_time_are_an_error() {
    let hourly = |interval, hours| Parts {
        frequency: Some(Frequency::Hourly),
        interval: Some(interval),
        hours: Some(hours),
        ..Parts::default()
    };
    assert_eq!(Rule::new(at(2000, 1, 1, 0), &hourly(12, vec![5])), Err(RuleError::EmptySet));
    let parts = Parts {
        frequency: Some(Frequency::Minutely),
        interval: Some(60),
        minutes: Some(vec![0]),
        hours: Some(vec![30]),
        ..Parts::default()
    };
    let mut walker = walker(at(2000, 1, 1, 0), &parts);
    assert_eq!(walker.advance(), Err(RuleError::NeverMeets { minutes: false }));
    assert_eq!(walker.advance(), Ok(Progress::Ended), "an error is the end");
}

/// A generator of numbers, so that the rules are the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        // Vigna's splitmix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    fn some(&mut self, chance: u64, low: i64, high: i64) -> Option<Vec<i64>> {
        let wanted = self.below(10) < chance;
        wanted
            .then(|| (0..=self.below(3)).map(|_| low + self.below((high - low + 1) as u64) as i64).collect())
    }

    fn parts(&mut self) -> Parts {
        Parts {
            frequency: Some(Frequency::ALL[self.below(7) as usize]),
            interval: Some([1, 1, 2, 3, 7, 40, 90, 366][self.below(8) as usize]),
            week_start: Some(self.below(7) as i64),
            months: self.some(2, 1, 12),
            month_days: self.some(2, -31, 31),
            year_days: self.some(1, -366, 366),
            easter_offsets: self.some(1, -60, 200),
            week_numbers: self.some(1, -53, 53),
            weekdays: self.some(3, 0, 6).map(|days| {
                let n = [None, Some(1), Some(-1), Some(5)][self.below(4) as usize];
                days.into_iter().map(|weekday| WeekdayPart { weekday, n }).collect()
            }),
            hours: self.some(2, 0, 23),
            minutes: self.some(2, 0, 59),
            seconds: self.some(2, 0, 59),
            set_positions: self.some(1, 1, 4),
            ..Parts::default()
        }
    }
}

#[test]
fn seeking_gives_the_same_dates_as_walking() {
    let mut random = Random(654);
    for round in 0..300 {
        let parts = random.parts();
        let start =
            at(1990 + random.below(20) as i64, 1 + random.below(12) as u8, 1 + random.below(28) as u8, 5);
        let Ok(rule) = Rule::new(start, &parts).map(Arc::new) else { continue };
        let walked = take(&mut Walker::new(Arc::clone(&rule)).expect("the start is a date"), 300);
        let Some(&target) = walked.get(walked.len() * 2 / 3) else { continue };
        let mut seeker = Walker::new(Arc::clone(&rule)).expect("the start is a date");
        seeker.seek(target).expect("the target is a date");
        let found = take(&mut seeker, 300);
        let found: Vec<_> = found.into_iter().filter(|&moment| moment >= target).take(10).collect();
        let expected: Vec<_> =
            walked.iter().copied().filter(|&moment| moment >= target).take(found.len()).collect();
        assert_eq!(found, expected, "round {round}: {parts:?} from {start} to {target}");
        let before = Walker::last_before::<RuleError>(&rule, target, || Ok(())).expect("no error on the way");
        let expected = walked.iter().copied().rfind(|&moment| moment < target);
        assert_eq!(before, expected, "round {round}: {parts:?} from {start} before {target}");
    }
}

#[test]
fn text_that_is_no_rule_says_what_is_wrong_with_it() {
    for (text, expected) in [
        ("FREQ=OFTEN", "invalid 'FREQ': OFTEN"),
        ("FREQ=DAILY;INTERVAL=two", "invalid 'INTERVAL': TWO"),
        ("FREQ=DAILY;BYDAY=", "invalid 'BYDAY': "),
        ("FREQ=DAILY;BYDAY=0MO", "invalid 'BYDAY': 0MO"),
        ("FREQ=DAILY;COLOUR=RED", "unknown parameter 'COLOUR'"),
        ("FREQ=DAILY;COUNT", "'COUNT' is not of the form NAME=VALUE"),
        ("EXRULE:FREQ=DAILY", "unknown parameter name: 'EXRULE'"),
    ] {
        assert_eq!(parse_rule(text).expect_err(text).to_string(), expected);
    }
    assert!(parse_rule("FREQ=DAILY;X-COLOUR=RED").is_ok(), "experimental parts are passed over");
}

#[test]
fn folded_lines_are_one_property() {
    let read = |text, unfold| {
        let lines = properties(text, unfold)?;
        Ok(lines
            .into_iter()
            .map(|line| format!("{} {:?} {}", line.name, line.parameters, line.value))
            .collect::<Vec<_>>())
    };
    assert_eq!(
        read("DTSTART;VALUE=DATE:19970902\nRRULE:FREQ=DA\n ILY", true).as_deref(),
        Ok(&["DTSTART [\"VALUE=DATE\"] 19970902".to_owned(), "RRULE [] FREQ=DAILY".to_owned()][..])
    );
    assert_eq!(read(" \n ", false), Err(TextError::Empty));
}
