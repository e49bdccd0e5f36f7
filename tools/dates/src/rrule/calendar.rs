//! Days and seconds of the proleptic Gregorian calendar, as plain numbers.
//!
//! Day 1 is 1 January of year 1, as in Python's `date.toordinal`; a year is 1 to 9999.

/// A wall-clock reading: seconds since 0000-12-31T00:00, so that `moment / 86 400` is Python's day ordinal.
pub type Moment = i64;

/// Seconds in a day; a wall clock has no leap seconds.
pub const SECONDS_PER_DAY: i64 = 86_400;

/// The last year that has dates.
pub const LAST_YEAR: i64 = 9999;

const DAYS_BEFORE_MONTH: [u16; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

/// A moment taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// 1 to 9999.
    pub year: i64,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
}

/// The moment of a date and a time of day in seconds. The date must exist.
#[inline]
pub fn moment(year: i64, month: u8, day: u8, second_of_day: i64) -> Moment {
    ordinal(year, month, day) * SECONDS_PER_DAY + second_of_day
}

/// Takes a moment of the years 1 to 9999 apart.
#[inline]
pub fn civil(moment: Moment) -> Civil {
    let (year, month, day) = date(moment.div_euclid(SECONDS_PER_DAY));
    let second = moment.rem_euclid(SECONDS_PER_DAY);
    Civil {
        year,
        month,
        day,
        hour: (second / 3600) as u8,
        minute: (second / 60 % 60) as u8,
        second: (second % 60) as u8,
    }
}

/// Days of a month. `month` is 1 to 12.
pub fn days_in_month(year: i64, month: u8) -> u8 {
    crate::calendar::days_in_month(year, i64::from(month)) as u8
}

pub(crate) use crate::calendar::{is_leap, weekday};

pub(crate) fn year_length(year: i64) -> usize {
    365 + usize::from(is_leap(year))
}

/// How many days of `year` lie before the first of `month` (1 to 13; 13 gives the year's length).
#[inline]
pub(crate) fn days_before_month(year: i64, month: usize) -> usize {
    usize::from(DAYS_BEFORE_MONTH[month - 1]) + usize::from(month > 2 && is_leap(year))
}

/// Python's `date(year, 1, 1).toordinal()`.
#[inline]
pub(crate) fn first_ordinal(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) + 1
}

#[inline]
pub(crate) fn ordinal(year: i64, month: u8, day: u8) -> i64 {
    first_ordinal(year) + days_before_month(year, usize::from(month)) as i64 + i64::from(day) - 1
}

/// The date of a day ordinal.
///
/// Source: Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022: years
/// begin in March, so that the leap day is the last, and both divisions become multiplications.
#[inline]
pub(crate) fn date(ordinal: i64) -> (i64, u8, u8) {
    // 306 days lie between 1 March of year 0 and 1 January of year 1.
    let quarters = 4 * (ordinal + 305) + 3;
    let century = quarters.div_euclid(146_097);
    let in_century = quarters.rem_euclid(146_097) | 3;
    let year_of_century = in_century / 1461;
    let day_of_year = in_century % 1461 / 4;
    let scaled = 2141 * day_of_year + 197_913;
    let (month, day) = (scaled >> 16, (scaled & 0xffff) / 2141);
    let year = 100 * century + year_of_century;
    if day_of_year >= 306 {
        (year + 1, (month - 12) as u8, day as u8 + 1)
    } else {
        (year, month as u8, day as u8 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_all_years_comes_back_from_its_ordinal() {
        let mut expected = (1, 1, 1);
        for day in 1..=first_ordinal(10_000) - 1 {
            assert_eq!(date(day), expected, "ordinal {day}");
            assert_eq!(ordinal(expected.0, expected.1, expected.2), day);
            let (year, month, day_of_month) = expected;
            expected = match (day_of_month == days_in_month(year, month), month) {
                (false, _) => (year, month, day_of_month + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
    }

    #[test]
    fn weekdays_follow_the_calendar() {
        assert_eq!(weekday(ordinal(1997, 9, 2)), 1);
        assert_eq!(weekday(ordinal(2026, 11, 21)), 5);
    }
}
