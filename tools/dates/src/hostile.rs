//! What the fuzzer runs: everything that reads text or bytes of strangers, followed far enough to use what was read.

use std::sync::Arc;

use crate::rrule::{Progress, Rule, Walker, moment, parse_rule, properties};
use crate::zone::{PosixZone, TzifData, Years, Zone};

/// A fuzz target: its name, which is its folder in the corpus, and what it runs.
pub type Entry = (&'static str, fn(&[u8]));

/// All of them.
pub const ENTRIES: [Entry; 3] = [("rule_text", rule_text), ("tz_string", tz_string), ("tzif", tzif)];

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
