//! Days counted, days named, and moments as databases read them in text.
//!
//! The calendar is the proleptic Gregorian one; the year before 1 is 0, and is written `0001 BC`.

use std::fmt::Write as _;

/// Days from 1970-01-01 to 2000-01-01, from which PostgreSQL counts.
pub(crate) const EPOCH_DAYS: i64 = 10_957;
/// The same in microseconds.
pub(crate) const EPOCH_US: i64 = EPOCH_DAYS * DAY_US;
/// Microseconds of a day.
pub(crate) const DAY_US: i64 = 86_400 * SECOND_US;
/// Microseconds of a second.
pub(crate) const SECOND_US: i64 = 1_000_000;

/// Days of 400 years, after which the calendar repeats.
const CYCLE_DAYS: i64 = 146_097;

/// Days since 1970-01-01; nothing for a day that does not exist.
pub fn days_of(year: i32, month: u8, day: u8) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u8::from(leap),
        _ => return None,
    };
    if !(1..=last).contains(&day) {
        return None;
    }
    // A year that begins in March has its leap day at the end, where it disturbs no month.
    let (year, month) = (i64::from(year) - i64::from(month < 3), (i64::from(month) + 9) % 12);
    let (cycle, of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let days = of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    Some(cycle * CYCLE_DAYS + days - 719_468)
}

/// Year, month and day of a count of days since 1970-01-01.
///
/// The year is exact for all that PostgreSQL has; outside of what an `i32` holds it is cut off.
pub fn day_of(days: i64) -> (i32, u8, u8) {
    let days = days.saturating_add(719_468);
    let (cycle, of_cycle) = (days.div_euclid(CYCLE_DAYS), days.rem_euclid(CYCLE_DAYS));
    // Leap days that have passed are taken out before dividing by 365.
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = cycle * 400 + year + i64::from(month < 3);
    // Both are below 32 by construction.
    (year.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32, month as u8, day as u8)
}

/// Writes a day, `2024-02-29`; without `BC`, which stands at the end of all.
pub(crate) fn write_day(out: &mut String, (year, month, day): (i32, u8, u8)) {
    let year = if year > 0 { i64::from(year) } else { 1 - i64::from(year) };
    let _ = write!(out, "{year:04}-{month:02}-{day:02}");
}

/// ` BC` after a day of the years before 1.
pub(crate) fn era(year: i32) -> &'static str {
    if year > 0 { "" } else { " BC" }
}

/// Writes a time of day from its microseconds: `12:30:00` or `12:30:00.000001`; hours may pass 24.
pub(crate) fn write_time(out: &mut String, microseconds: u64) {
    let (seconds, fraction) = (microseconds / 1_000_000, microseconds % 1_000_000);
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction != 0 {
        let _ = write!(out, ".{fraction:06}");
    }
}

/// Writes how far a zone is ahead of UTC: `+02:00`, `-00:44:30`.
pub(crate) fn write_offset(out: &mut String, offset_s: i32) {
    let (sign, seconds) = (if offset_s < 0 { '-' } else { '+' }, offset_s.unsigned_abs());
    let _ = write!(out, "{sign}{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if !seconds.is_multiple_of(60) {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
}

/// Writes a moment that is so many days and microseconds after 1970: `2024-02-29 12:30:00+00:00`.
pub(crate) fn write_moment(out: &mut String, days: i64, of_day_us: u64, offset_s: Option<i32>) {
    let day = day_of(days);
    write_day(out, day);
    out.push(' ');
    write_time(out, of_day_us);
    if let Some(offset_s) = offset_s {
        write_offset(out, offset_s);
    }
    out.push_str(era(day.0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_has_the_number_after_the_one_before() {
        let first = days_of(-4713, 11, 24).unwrap();
        let mut last = day_of(first - 1);
        for number in first..days_of(2401, 1, 1).unwrap() {
            let day = day_of(number);
            assert_eq!(days_of(day.0, day.1, day.2), Some(number));
            assert!(day > last, "{day:?} after {last:?}");
            last = day;
        }
        assert_eq!(day_of(0), (1970, 1, 1));
        assert_eq!(days_of(2000, 1, 1), Some(EPOCH_DAYS));
        assert_eq!(days_of(5_874_897, 12, 31).map(day_of), Some((5_874_897, 12, 31)));
        day_of(i64::MAX);
        day_of(i64::MIN);
    }

    #[test]
    fn days_that_do_not_exist_have_no_number() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 0, 1), (2024, 13, 1), (2024, 4, 31), (2024, 1, 0)]
        {
            assert_eq!(days_of(year, month, day), None);
        }
        assert!(days_of(2000, 2, 29).is_some());
        assert!(days_of(i32::MAX, 12, 31).is_some() && days_of(i32::MIN, 1, 1).is_some());
    }

    #[test]
    fn moments_are_written_as_databases_read_them() {
        let check = |days: i64, us: u64, offset: Option<i32>, expected: &str| {
            let mut out = String::new();
            write_moment(&mut out, days, us, offset);
            assert_eq!(out, expected);
        };
        check(0, 0, None, "1970-01-01 00:00:00");
        check(0, 45_296_000_001, Some(7_200), "1970-01-01 12:34:56.000001+02:00");
        check(days_of(0, 1, 1).unwrap(), 0, Some(-2_670), "0001-01-01 00:00:00-00:44:30 BC");
    }
}
