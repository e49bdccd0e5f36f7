//! The Gregorian calendar, proleptic, from year 1 to 9999.
//!
//! A day is also its ordinal: day 1 is 1 January of year 1, as in Python's `date.toordinal`.

/// The first and the last year that a date may have.
pub const YEARS: std::ops::RangeInclusive<i64> = 1..=9999;

/// The ordinal of 31 December 9999.
pub const LAST_ORDINAL: i64 = 3_652_059;

/// Days of a year of 365 days before each month, and all of them.
const DAYS_BEFORE_MONTH: [u16; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];

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

/// How many days of a year lie before the first of a month, 1 to 13; 13 gives the year's length.
#[inline]
pub fn days_before_month(year: i64, month: usize) -> i64 {
    i64::from(DAYS_BEFORE_MONTH[month - 1]) + i64::from(month > 2 && is_leap(year))
}

/// The ordinal of 1 January; of any year.
#[inline]
pub fn first_ordinal(year: i64) -> i64 {
    let before = year - 1;
    before * 365 + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400) + 1
}

/// The ordinal of a day; the month is 1 to 12 and the day may lie outside its month.
#[inline]
pub fn ordinal(year: i64, month: i64, day: i64) -> i64 {
    let month = usize::try_from(month).expect("a month is 1 to 12");
    first_ordinal(year) + days_before_month(year, month) + day - 1
}

/// Year, month and day of an ordinal; `None` outside the years 1 to 9999.
#[inline]
pub fn from_ordinal(ordinal: i64) -> Option<(i64, i64, i64)> {
    (1..=LAST_ORDINAL).contains(&ordinal).then(|| date(ordinal))
}

/// Year, month and day of an ordinal; of any year.
///
/// Source: Neri and Schneider, "Euclidean affine functions and their application to calendar algorithms", 2022: years
/// begin in March, so that the leap day is the last, and both divisions become multiplications.
#[inline]
pub(crate) fn date(ordinal: i64) -> (i64, i64, i64) {
    // 306 days lie between 1 March of year 0 and 1 January of year 1.
    let quarters = 4 * (ordinal + 305) + 3;
    let century = quarters.div_euclid(146_097);
    let in_century = quarters.rem_euclid(146_097) | 3;
    let year_of_century = in_century / 1461;
    let day_of_year = in_century % 1461 / 4;
    let scaled = 2141 * day_of_year + 197_913;
    let (month, day) = (scaled >> 16, (scaled & 0xffff) / 2141 + 1);
    let year = 100 * century + year_of_century;
    if day_of_year >= 306 { (year + 1, month - 12, day) } else { (year, month, day) }
}

/// The weekday of an ordinal; 0 is Monday.
pub fn weekday(ordinal: i64) -> i64 {
    (ordinal + 6).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_all_years_comes_back_from_its_ordinal() {
        let mut expected = (1, 1, 1);
        for day in 1..=LAST_ORDINAL {
            assert_eq!(from_ordinal(day), Some(expected), "ordinal {day}");
            let (year, month, day_of_month) = expected;
            assert_eq!(ordinal(year, month, day_of_month), day);
            expected = match (day_of_month == days_in_month(year, month), month) {
                (false, _) => (year, month, day_of_month + 1),
                (true, 12) => (year + 1, 1, 1),
                (true, _) => (year, month + 1, 1),
            };
        }
        assert_eq!(expected, (10_000, 1, 1));
        assert_eq!([0, LAST_ORDINAL + 1].map(from_ordinal), [None, None]);
    }

    #[test]
    fn weekdays_follow_the_calendar() {
        assert_eq!(weekday(ordinal(1997, 9, 2)), 1);
        assert_eq!(weekday(ordinal(2026, 11, 21)), 5);
    }
}
