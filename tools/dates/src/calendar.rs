//! The Gregorian calendar, proleptic, from year 1 to 9999.
//!
//! A day is also its ordinal: day 1 is 1 January of year 1, as in Python's `date.toordinal`.

/// The first and the last year that a date may have.
pub const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

/// The ordinal of 31 December 9999.
pub const LAST_ORDINAL: i64 = 3_652_059;

const DAYS_BEFORE_MONTH: [u16; 13] = [0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];

/// Whether a year has 366 days.
pub fn is_leap(year: i64) -> bool {
    year & 3 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// The number of days of a month, 1 to 12.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The ordinal of a day; the month is 1 to 12 and the day may lie outside its month.
pub fn ordinal(year: i64, month: i64, day: i64) -> i64 {
    let before = year - 1;
    let leap_day = i64::from(month > 2 && is_leap(year));
    let month = usize::try_from(month).expect("a month is 1 to 12");
    before * 365 + before / 4 - before / 100
        + before / 400
        + i64::from(DAYS_BEFORE_MONTH[month])
        + leap_day
        + day
}

/// Year, month and day of an ordinal; `None` outside the years 1 to 9999.
pub fn from_ordinal(ordinal: i64) -> Option<(i64, i64, i64)> {
    if !(1..=LAST_ORDINAL).contains(&ordinal) {
        return None;
    }
    // Counts years from 1 March of year 0, so that the leap day is a year's last.
    let days = ordinal + 305;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    Some((era * 400 + year_of_era + i64::from(month <= 2), month, day))
}

/// The weekday of an ordinal; 0 is Monday.
pub fn weekday(ordinal: i64) -> i64 {
    (ordinal + 6).rem_euclid(7)
}
