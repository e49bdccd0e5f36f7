//! Moments of the wall clock as plain numbers, over [`crate::calendar`], whose parts it narrows to the sizes that rules
//! keep them in.

use crate::calendar;

pub(crate) use crate::calendar::{first_ordinal, is_leap, weekday};

/// A wall-clock reading: seconds since 0000-12-31T00:00, so that `moment / 86 400` is Python's day ordinal.
pub type Moment = i64;

/// Seconds in a day; a wall clock has no leap seconds.
pub const SECONDS_PER_DAY: i64 = 86_400;

/// The last year that has dates.
pub const LAST_YEAR: i64 = 9999;

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
    calendar::days_in_month(year, i64::from(month)) as u8
}

pub(crate) fn year_length(year: i64) -> usize {
    365 + usize::from(is_leap(year))
}

/// How many days of `year` lie before the first of `month` (1 to 13; 13 gives the year's length).
#[inline]
pub(crate) fn days_before_month(year: i64, month: usize) -> usize {
    calendar::days_before_month(year, month) as usize
}

#[inline]
pub(crate) fn ordinal(year: i64, month: u8, day: u8) -> i64 {
    calendar::ordinal(year, i64::from(month), i64::from(day))
}

/// The date of a day ordinal, of any year.
#[inline]
pub(crate) fn date(ordinal: i64) -> (i64, u8, u8) {
    let (year, month, day) = calendar::date(ordinal);
    (year, month as u8, day as u8)
}
