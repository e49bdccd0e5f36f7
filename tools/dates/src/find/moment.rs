//! A day and a time of day in the Gregorian calendar, without a zone.
//!
//! Every [`Moment`] is a real one: years 1 to 9999, no 30 February, no second 60.

use crate::calendar;

/// A day and a time of day; ordered as time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment {
    /// 1 to 9999.
    pub year: i32,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the last of the month.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub microsecond: u32,
}

impl Moment {
    /// Midnight of a day, or nothing where there is no such day.
    pub fn on(year: i32, month: u8, day: u8) -> Option<Self> {
        ((1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day))
        .then_some(Self { year, month, day, hour: 0, minute: 0, second: 0, microsecond: 0 })
    }

    /// The same day at another time, or nothing where there is no such time.
    pub fn at(self, hour: u8, minute: u8, second: u8, microsecond: u32) -> Option<Self> {
        (hour < 24 && minute < 60 && second < 60 && microsecond < 1_000_000).then_some(Self {
            hour,
            minute,
            second,
            microsecond,
            ..self
        })
    }

    /// The moment so many seconds later, or nothing outside of the years 1 to 9999.
    pub fn plus_seconds(self, seconds: i64) -> Option<Self> {
        let total = self.seconds().checked_add(seconds)?;
        let of_day = total.rem_euclid(86_400);
        let moment = Self::from_ordinal(total.div_euclid(86_400))?;
        let narrow = |part: i64| u8::try_from(part).ok();
        moment.at(narrow(of_day / 3600)?, narrow(of_day / 60 % 60)?, narrow(of_day % 60)?, self.microsecond)
    }

    /// The same day and time so many months later; the day gives way where the month is too short.
    pub fn plus_months(self, months: i64) -> Option<Self> {
        let month = (i64::from(self.year) * 12 + i64::from(self.month) - 1).checked_add(months)?;
        let year = i32::try_from(month.div_euclid(12)).ok().filter(|year| (1..=9999).contains(year))?;
        let month = u8::try_from(month.rem_euclid(12) + 1).ok()?;
        Some(Self { year, month, day: self.day.min(days_of_month(year, month)), ..self })
    }

    /// Monday is 0.
    pub fn weekday(self) -> u8 {
        u8::try_from(calendar::weekday(self.ordinal())).expect("a remainder by seven")
    }

    /// Seconds from another moment to this one, microseconds left aside.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.seconds() - earlier.seconds()
    }

    /// Seconds from the day before 1 January of year 1, microseconds left aside.
    fn seconds(self) -> i64 {
        self.ordinal() * 86_400
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    fn ordinal(self) -> i64 {
        calendar::ordinal(self.year.into(), self.month.into(), self.day.into())
    }

    fn from_ordinal(ordinal: i64) -> Option<Self> {
        let (year, month, day) = calendar::from_ordinal(ordinal)?;
        Self::on(i32::try_from(year).ok()?, u8::try_from(month).ok()?, u8::try_from(day).ok()?)
    }
}

/// The number of days of a month of 1 to 12.
pub(super) fn days_of_month(year: i32, month: u8) -> u8 {
    u8::try_from(calendar::days_in_month(year.into(), month.into())).expect("a month has at most 31 days")
}
