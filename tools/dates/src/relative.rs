//! Distances in years, months and smaller parts, and parts to be set: what `relativedelta` is.
//!
//! A distance of months has no fixed length, so the order counts: parts are set, then years and months are added and
//! the day is cut to its month, then the rest is added, then a weekday is looked for. Start at [`Delta::apply`].

use crate::calendar::{YEARS, days_in_month, from_ordinal, is_leap, ordinal, weekday};

const DAY_MICROSECONDS: i128 = 86_400_000_000;

/// A date and a time of day, both valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Year, 1 to 9999.
    pub year: i64,
    /// Month, 1 to 12.
    pub month: i64,
    /// Day of the month.
    pub day: i64,
    /// Hour, 0 to 23.
    pub hour: i64,
    /// Minute.
    pub minute: i64,
    /// Second.
    pub second: i64,
    /// Microsecond.
    pub microsecond: i64,
}

impl Moment {
    fn microsecond_of_day(&self) -> i128 {
        i128::from((self.hour * 60 + self.minute) * 60 + self.second) * 1_000_000
            + i128::from(self.microsecond)
    }

    /// Microseconds since the beginning of year 1.
    fn microseconds(&self) -> i128 {
        i128::from(ordinal(self.year, self.month, self.day)) * DAY_MICROSECONDS + self.microsecond_of_day()
    }
}

/// A distance, and parts to be set.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delta {
    /// Years to add.
    pub years: i64,
    /// Months to add, at most 12 of either sign.
    pub months: i64,
    /// Days to add.
    pub days: i64,
    /// Days to add where the date is after February of a leap year.
    pub leapdays: i64,
    /// Hours to add.
    pub hours: i64,
    /// Minutes to add.
    pub minutes: i64,
    /// Seconds to add.
    pub seconds: i64,
    /// Microseconds to add.
    pub microseconds: i64,
    /// Year to set; 0 sets none.
    pub year: Option<i64>,
    /// Month to set; 0 sets none.
    pub month: Option<i64>,
    /// Day to set; 0 sets none.
    pub day: Option<i64>,
    /// Hour to set.
    pub hour: Option<i64>,
    /// Minute to set.
    pub minute: Option<i64>,
    /// Second to set.
    pub second: Option<i64>,
    /// Microsecond to set.
    pub microsecond: Option<i64>,
    /// Weekday (0 is Monday) to look for, and which one: 1 is the first from that day on, -1 the last up to it.
    pub weekday: Option<(i64, i64)>,
}

impl Delta {
    /// The moment at this distance; `None` where it or a step on the way is no moment.
    ///
    /// Cost:   O(1)
    ///
    /// ```
    /// use naja_dates::relative::{Delta, Moment};
    /// let noon = Moment { year: 2023, month: 1, day: 31, hour: 12, minute: 0, second: 0, microsecond: 0 };
    /// let month = Delta { months: 1, ..Delta::default() };
    /// assert_eq!(month.apply(noon), Some(Moment { month: 2, day: 28, ..noon }));
    /// assert_eq!(Delta { years: 8000, ..Delta::default() }.apply(noon), None);
    /// ```
    #[inline]
    pub fn apply(&self, from: Moment) -> Option<Moment> {
        let set = |part: Option<i64>, from: i64| part.filter(|part| *part != 0).unwrap_or(from);
        let mut year = set(self.year, from.year).checked_add(self.years)?;
        let mut month = set(self.month, from.month);
        if self.months != 0 {
            if !(-12..=12).contains(&self.months) {
                return None;
            }
            month = month.checked_add(self.months)?;
            if month > 12 {
                year += 1;
                month -= 12;
            } else if month < 1 {
                year -= 1;
                month += 12;
            }
        }
        if !YEARS.contains(&year) || !(1..=12).contains(&month) {
            return None;
        }
        let day = set(self.day, from.day).min(days_in_month(year, month));
        let hour = self.hour.unwrap_or(from.hour);
        let minute = self.minute.unwrap_or(from.minute);
        let second = self.second.unwrap_or(from.second);
        let microsecond = self.microsecond.unwrap_or(from.microsecond);
        let is_valid = day >= 1
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..60).contains(&second)
            && (0..1_000_000).contains(&microsecond);
        is_valid.then_some(())?;
        let days = if self.leapdays != 0 && month > 2 && is_leap(year) {
            self.days.checked_add(self.leapdays)?
        } else {
            self.days
        };
        let at = Moment { year, month, day, hour, minute, second, microsecond };
        let mut day = i128::from(ordinal(year, month, day)) + i128::from(days);
        let time = self.time_microseconds();
        let moment = if time == 0 {
            at
        } else {
            let microseconds = at.microsecond_of_day() + time;
            day += microseconds.div_euclid(DAY_MICROSECONDS);
            time_of(microseconds.rem_euclid(DAY_MICROSECONDS))
        };
        let mut day = i64::try_from(day).ok()?;
        if let Some((wanted, count)) = self.weekday {
            from_ordinal(day)?;
            day = day.checked_add(days_to_weekday(weekday(day), wanted, count)?)?;
        }
        let (year, month, day) = from_ordinal(day)?;
        Some(Moment { year, month, day, ..moment })
    }

    fn time_microseconds(&self) -> i128 {
        let seconds =
            i128::from(self.hours) * 3600 + i128::from(self.minutes) * 60 + i128::from(self.seconds);
        seconds * 1_000_000 + i128::from(self.microseconds)
    }

    /// The distance from one moment to another: whole months, and seconds and microseconds for the rest, neither of
    /// them brought into larger parts.
    pub fn between(to: Moment, from: Moment) -> Option<Delta> {
        let mut months = (to.year - from.year) * 12 + to.month - from.month;
        let mut reached = Delta::of_months(months).apply(from)?;
        let step = if to < from { 1 } else { -1 };
        while if to < from { to > reached } else { to < reached } {
            months += step;
            reached = Delta::of_months(months).apply(from)?;
        }
        let rest = to.microseconds() - reached.microseconds();
        Some(Delta {
            seconds: i64::try_from(rest.div_euclid(1_000_000)).ok()?,
            microseconds: i64::try_from(rest.rem_euclid(1_000_000)).ok()?,
            ..Delta::of_months(months)
        })
    }

    /// A number of months, as years and months of the same sign.
    pub fn of_months(months: i64) -> Delta {
        Delta { years: months / 12, months: months % 12, ..Delta::default() }
    }
}

/// The days from a weekday to the `count`-th of another; a count of 0 is one of 1.
fn days_to_weekday(today: i64, wanted: i64, count: i64) -> Option<i64> {
    let count = if count == 0 { 1 } else { count };
    let weeks = count.checked_abs()?.checked_sub(1)?.checked_mul(7)?;
    if count > 0 {
        weeks.checked_add((7 - today + wanted).rem_euclid(7))
    } else {
        Some(-weeks.checked_add((today - wanted).rem_euclid(7))?)
    }
}

/// A time of day; the date is the first.
fn time_of(microseconds: i128) -> Moment {
    let microseconds = i64::try_from(microseconds).expect("less than a day");
    let seconds = microseconds / 1_000_000;
    Moment {
        year: 1,
        month: 1,
        day: 1,
        hour: seconds / 3600,
        minute: seconds / 60 % 60,
        second: seconds % 60,
        microsecond: microseconds % 1_000_000,
    }
}
