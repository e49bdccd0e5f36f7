//! Time zones.

use naja_dates::zone::{PosixZone, TimeType, TzifData, Zone, ZoneError};

const HOUR: i32 = 3600;

/// A file of version 2 or later with these transitions (instant, type) and this rule.
fn file(version: u8, transitions: &[(i64, u8)], types: &[(i32, bool, &str)], rule: &str) -> Vec<u8> {
    let mut names = Vec::new();
    let starts: Vec<u8> = types
        .iter()
        .map(|(_, _, name)| {
            let start = names.len() as u8;
            names.extend_from_slice(name.as_bytes());
            names.push(0);
            start
        })
        .collect();
    let mut bytes = Vec::new();
    let mut block = |wide: bool| {
        bytes.extend_from_slice(b"TZif");
        bytes.push(version);
        bytes.extend_from_slice(&[0; 15 + 12]);
        for count in [transitions.len(), types.len(), names.len()] {
            bytes.extend_from_slice(&(count as u32).to_be_bytes());
        }
        for (time, _) in transitions {
            if wide { bytes.extend(time.to_be_bytes()) } else { bytes.extend((*time as i32).to_be_bytes()) }
        }
        bytes.extend(transitions.iter().map(|(_, index)| index));
        for ((offset, is_dst, _), start) in types.iter().zip(&starts) {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([u8::from(*is_dst), *start]);
        }
        bytes.extend_from_slice(&names);
    };
    block(false);
    if version >= b'2' {
        block(true);
        bytes.extend(format!("\n{rule}\n").bytes());
    }
    bytes
}

fn zone(bytes: &[u8]) -> Zone {
    Zone::new(&TzifData::read(bytes).expect("a file").0).expect("a zone")
}

/// New York's rule, after one transition to standard time in 1883.
fn new_york() -> Zone {
    let types = [(-17_762, false, "LMT"), (-5 * HOUR, false, "EST")];
    zone(&file(b'2', &[(-2_717_650_800, 1)], &types, "EST5EDT,M3.2.0,M11.1.0"))
}

fn name_at(zone: &Zone, instant: i64, year: i64) -> (&str, bool) {
    let (index, fold) = zone.at(instant, year);
    (&zone.infos()[index].abbreviation, fold)
}

#[test]
fn an_instant_has_one_offset() {
    let zone = new_york();
    assert_eq!(name_at(&zone, -2_717_650_801, 1883), ("LMT", false));
    assert_eq!(name_at(&zone, -2_717_650_800, 1883), ("EST", true), "the clock was put back by 3:58");
    // 2024-03-10T07:00Z is the start of daylight saving time, 2024-11-03T06:00Z its end.
    assert_eq!(name_at(&zone, 1_710_053_999, 2024), ("EST", false));
    assert_eq!(name_at(&zone, 1_710_054_000, 2024), ("EDT", false));
    assert_eq!(name_at(&zone, 1_730_613_599, 2024), ("EDT", false));
    assert_eq!(name_at(&zone, 1_730_613_600, 2024), ("EST", true));
    assert_eq!(name_at(&zone, 1_730_617_200, 2024), ("EST", false));
}

#[test]
fn a_wall_clock_in_a_gap_or_a_fold_has_two() {
    let zone = new_york();
    let both = |wall| [false, true].map(|fold| &*zone.infos()[zone.at_wall(wall, 2024, fold)].abbreviation);
    // 2024-03-10T02:30 is never shown, 2024-11-03T01:30 twice.
    assert_eq!(both(1_710_037_800), ["EST", "EDT"]);
    assert_eq!(both(1_730_597_400), ["EDT", "EST"]);
    assert_eq!(both(1_720_000_000), ["EDT", "EDT"]);
}

#[test]
fn the_amount_of_daylight_saving_time_follows_from_the_standard_time_around_it() {
    let types = [(0, false, "WET"), (HOUR, true, "WEST"), (2 * HOUR, true, "WEMT")];
    let transitions = [(0, 1), (1_000_000, 2), (2_000_000, 1), (3_000_000, 0)];
    let zone = zone(&file(b'1', &transitions, &types, ""));
    let amounts: Vec<i32> = zone.after_each().map(|index| zone.infos()[index].daylight_s).collect();
    assert_eq!(amounts, [HOUR, 2 * HOUR, HOUR, 0]);
}

#[test]
fn a_zone_without_transitions_has_its_rule_or_its_first_type() {
    let utc = zone(&file(b'2', &[], &[(0, false, "UTC")], "UTC0"));
    assert_eq!(utc.always().map(|index| utc.infos()[index].offset_s), Some(0));
    let nameless = TzifData { types: vec![], ..TzifData::default() };
    assert_eq!(Zone::new(&nameless).err(), Some(ZoneError::Empty));
    assert_eq!(new_york().always(), None);
}

#[test]
fn what_follows_the_file_is_left_alone() {
    let mut bytes = file(b'3', &[(0, 0)], &[(0, false, "GMT")], "GMT0");
    let length = bytes.len();
    bytes.extend_from_slice(b"more");
    assert_eq!(TzifData::read(&bytes).map(|(_, used)| used), Ok(length));
}

#[test]
fn a_file_that_ends_too_soon_is_an_error_wherever_it_ends() {
    let bytes =
        file(b'2', &[(0, 1), (9, 0)], &[(0, false, "STD"), (HOUR, true, "DST")], "STD0DST,M3.2.0,M11.1.0");
    for end in 0..bytes.len() {
        assert!(TzifData::read(&bytes[..end]).is_err(), "cut at {end}");
    }
    assert!(TzifData::read(&bytes).is_ok());
}

#[test]
fn broken_files_say_what_is_broken() {
    let types = [(0, false, "STD")];
    assert_eq!(TzifData::read(b"PNG"), Err(ZoneError::Magic));
    let wrong = ZoneError::TypeIndex { index: 3, types: 1 };
    assert_eq!(TzifData::read(&file(b'1', &[(0, 3)], &types, "")), Err(wrong));
    let mut huge = file(b'1', &[], &types, "");
    huge[32..36].copy_from_slice(&u32::MAX.to_be_bytes());
    assert_eq!(TzifData::read(&huge), Err(ZoneError::Truncated("transition times")));
    let rule = TzifData::read(&file(b'2', &[], &types, "EST5EDT")).expect("the rule is not looked into").0;
    assert_eq!(Zone::new(&rule).err(), Some(ZoneError::Rule("EST5EDT".to_owned())));
    let no_name = TzifData {
        types: vec![TimeType { offset_s: 0, is_dst: false, abbreviation: String::new() }],
        ..rule
    };
    assert!(Zone::new(&no_name).is_err());
}

#[test]
fn posix_rules_are_read_whole_or_not_at_all() {
    for good in [
        "EST5",
        "<+0330>-3:30",
        "AAA24:59:59BBB5,J60/2,J300/2",
        "AAA4BBB,0/2,365/-167:59:59",
        "A1B,M1.5.6,J1",
    ] {
        assert!(PosixZone::read(good).is_ok(), "{good}");
    }
    for bad in
        ["", "EST", "EST5EDT", "EST25", "<>5", "AAA4BBB,J0,J1", "AAA4BBB,366,1", "AAA4BBB,M3.2.0,M11.1.0 "]
    {
        assert_eq!(PosixZone::read(bad), Err(ZoneError::Rule(bad.to_owned())));
    }
}
