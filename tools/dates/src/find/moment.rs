//! A day and a time of day in the Gregorian calendar, without a zone.
//!
//! Every [`Moment`] is a real one: years 1 to 9999, no 30 February, no second 60. Days are counted from
//! 1970-01-01, as everywhere in this module.

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
        let of_day = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let total = (self.days() * 86_400 + of_day).checked_add(seconds)?;
        let of_day = total.rem_euclid(86_400);
        let moment = Self::from_days(total.div_euclid(86_400))?;
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
        u8::try_from((self.days() + 3).rem_euclid(7)).expect("a remainder by seven")
    }

    /// Seconds from another moment to this one, microseconds left aside.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        let count = |moment: Self| {
            moment.days() * 86_400
                + i64::from(moment.hour) * 3600
                + i64::from(moment.minute) * 60
                + i64::from(moment.second)
        };
        count(self) - count(earlier)
    }

    /// Days since 1970-01-01. Source: Howard Hinnant, "chrono-compatible low-level date algorithms".
    fn days(self) -> i64 {
        let (month, day) = (i64::from(self.month), i64::from(self.day));
        let year = i64::from(self.year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    fn from_days(days: i64) -> Option<Self> {
        let days = days + 719_468;
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = (shifted + 2) % 12 + 1;
        let year = year_of_era + days.div_euclid(146_097) * 400 + i64::from(month <= 2);
        Self::on(
            i32::try_from(year).ok()?,
            u8::try_from(month).ok()?,
            u8::try_from(day_of_year - (153 * shifted + 2) / 5 + 1).ok()?,
        )
    }
}

/// The number of days of a month of 1 to 12.
pub(super) fn days_of_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
