//! What a recurrence rule says, checked and put in order.

use super::calendar::{Moment, civil, ordinal, weekday};
use super::error::RuleError;

/// How often a rule's periods come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Frequency {
    /// Each year.
    Yearly,
    /// Each month.
    Monthly,
    /// Each week.
    Weekly,
    /// Each day.
    Daily,
    /// Each hour.
    Hourly,
    /// Each minute.
    Minutely,
    /// Each second.
    Secondly,
}

impl Frequency {
    /// All, in the order of the numbers 0 to 6 that Python programs use.
    pub const ALL: [Self; 7] = [
        Self::Yearly,
        Self::Monthly,
        Self::Weekly,
        Self::Daily,
        Self::Hourly,
        Self::Minutely,
        Self::Secondly,
    ];

    /// The word of iCalendar: `YEARLY`.
    pub fn name(self) -> &'static str {
        ["YEARLY", "MONTHLY", "WEEKLY", "DAILY", "HOURLY", "MINUTELY", "SECONDLY"][self as usize]
    }
}

/// One entry of BYDAY.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeekdayPart {
    /// Monday is 0. Other numbers match no day.
    pub weekday: i64,
    /// The how-manieth of its month or year, from the end where negative.
    pub n: Option<i64>,
}

/// A rule as it was written: any number may be here, and a part that was not given is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// FREQ.
    pub frequency: Option<Frequency>,
    /// INTERVAL.
    pub interval: Option<i64>,
    /// WKST, Monday is 0.
    pub week_start: Option<i64>,
    /// COUNT.
    pub count: Option<i64>,
    /// BYSETPOS.
    pub set_positions: Option<Vec<i64>>,
    /// BYMONTH.
    pub months: Option<Vec<i64>>,
    /// BYMONTHDAY.
    pub month_days: Option<Vec<i64>>,
    /// BYYEARDAY.
    pub year_days: Option<Vec<i64>>,
    /// Days from Easter Sunday.
    pub easter_offsets: Option<Vec<i64>>,
    /// BYWEEKNO.
    pub week_numbers: Option<Vec<i64>>,
    /// BYDAY.
    pub weekdays: Option<Vec<WeekdayPart>>,
    /// BYHOUR.
    pub hours: Option<Vec<i64>>,
    /// BYMINUTE.
    pub minutes: Option<Vec<i64>>,
    /// BYSECOND.
    pub seconds: Option<Vec<i64>>,
}

/// A rule that can be followed: lists are sorted and without repetition, and what DTSTART implies is filled in.
///
/// An empty list allows everything, except where the field is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// How often.
    pub frequency: Frequency,
    /// DTSTART; no result lies before it.
    pub start: Moment,
    /// Every how-manieth period.
    pub interval: i64,
    /// The day that weeks begin on, Monday is 0.
    pub week_start: i64,
    /// At most so many results.
    pub count: Option<i64>,
    /// Which results of each period.
    pub set_positions: Vec<i64>,
    /// Allowed months.
    pub months: Vec<i64>,
    /// Allowed days of the month, from its start.
    pub month_days: Vec<i64>,
    /// Allowed days of the month, from its end: -1 is the last.
    pub month_days_from_end: Vec<i64>,
    /// Allowed days of the year, from its end where negative.
    pub year_days: Vec<i64>,
    /// Allowed distances in days from Easter Sunday.
    pub easter_offsets: Vec<i64>,
    /// Allowed weeks, from the year's end where negative.
    pub week_numbers: Vec<i64>,
    /// Allowed weekdays.
    pub weekdays: Option<Vec<i64>>,
    /// Allowed weekdays with their count in the month or year.
    pub nth_weekdays: Vec<(i64, i64)>,
    /// Allowed hours; `None` where the frequency itself goes through them all.
    pub hours: Option<Vec<i64>>,
    /// Allowed minutes.
    pub minutes: Option<Vec<i64>>,
    /// Allowed seconds.
    pub seconds: Option<Vec<i64>>,
}

impl Rule {
    /// Checks the parts and fills in what `start` implies: a yearly rule without any BY part that speaks of days means
    /// the day that it starts on.
    ///
    /// Errors: `SetPosition`, `TimeOfDay`, `EmptySet`.
    pub fn new(start: Moment, parts: &Parts) -> Result<Self, RuleError> {
        let frequency = parts.frequency.unwrap_or(Frequency::Yearly);
        let interval = parts.interval.unwrap_or(1);
        let from = civil(start);
        let mut rule = Self {
            frequency,
            start,
            interval,
            week_start: parts.week_start.unwrap_or(0).rem_euclid(7),
            count: parts.count,
            set_positions: parts.set_positions.clone().unwrap_or_default(),
            months: sorted(parts.months.as_deref()),
            month_days: sorted(parts.month_days.as_deref()),
            month_days_from_end: Vec::new(),
            year_days: sorted(parts.year_days.as_deref()),
            easter_offsets: sorted(parts.easter_offsets.as_deref()),
            week_numbers: sorted(parts.week_numbers.as_deref()),
            weekdays: None,
            nth_weekdays: Vec::new(),
            hours: None,
            minutes: None,
            seconds: None,
        };
        if rule.set_positions.iter().any(|&position| position == 0 || position.unsigned_abs() > 366) {
            return Err(RuleError::SetPosition);
        }
        rule.month_days_from_end = rule.month_days.iter().copied().filter(|&day| day < 0).collect();
        rule.month_days.retain(|&day| day > 0);
        rule.set_weekdays(parts.weekdays.as_deref().unwrap_or_default());
        if parts.days_follow_start() {
            match frequency {
                Frequency::Yearly => {
                    if parts.months.as_deref().unwrap_or_default().is_empty() {
                        rule.months = vec![i64::from(from.month)];
                    }
                    rule.month_days = vec![i64::from(from.day)];
                }
                Frequency::Monthly => rule.month_days = vec![i64::from(from.day)],
                Frequency::Weekly => {
                    rule.weekdays = Some(vec![weekday(ordinal(from.year, from.month, from.day))]);
                }
                _ => {}
            }
        }
        let time_part = |given: &Option<Vec<i64>>, own: Frequency, at_start: u8, base: i64| match given {
            None => Ok((frequency < own).then(|| vec![i64::from(at_start)])),
            Some(values) if frequency == own => {
                reachable(values, i64::from(at_start), interval, base).map(Some)
            }
            Some(values) => Ok(Some(sorted(Some(values)))),
        };
        rule.hours = time_part(&parts.hours, Frequency::Hourly, from.hour, 24)?;
        rule.minutes = time_part(&parts.minutes, Frequency::Minutely, from.minute, 60)?;
        rule.seconds = time_part(&parts.seconds, Frequency::Secondly, from.second, 60)?;
        rule.check_times()?;
        Ok(rule)
    }

    /// What the rule was written as would imply `start`'s day, weekday or month.
    fn set_weekdays(&mut self, given: &[WeekdayPart]) {
        let counted = |part: &WeekdayPart| part.n.filter(|&n| n != 0 && self.frequency <= Frequency::Monthly);
        let plain: Vec<i64> =
            given.iter().filter(|part| counted(part).is_none()).map(|part| part.weekday).collect();
        let mut nth: Vec<(i64, i64)> =
            given.iter().filter_map(|part| Some((part.weekday, counted(part)?))).collect();
        nth.sort_unstable();
        nth.dedup();
        self.weekdays = (!plain.is_empty()).then(|| sorted(Some(&plain)));
        self.nth_weekdays = nth;
    }

    /// Times of day that each period of a rule without sub-daily steps has, and finer parts of those that have such
    /// steps, must be on the clock.
    fn check_times(&self) -> Result<(), RuleError> {
        let check = |values: &Option<Vec<i64>>, own: Frequency, unit, last: u8| {
            let fits = |value: &i64| (0..=i64::from(last)).contains(value);
            match values {
                Some(values) if self.frequency < own && !values.iter().all(fits) => {
                    Err(RuleError::TimeOfDay { unit, last })
                }
                _ => Ok(()),
            }
        };
        check(&self.hours, Frequency::Hourly, "hour", 23)?;
        check(&self.minutes, Frequency::Minutely, "minute", 59)?;
        check(&self.seconds, Frequency::Secondly, "second", 59)
    }
}

impl Parts {
    /// Whether no part speaks of days, so that the rule means the day of DTSTART.
    pub fn days_follow_start(&self) -> bool {
        let absent = |part: &Option<Vec<i64>>| part.as_deref().unwrap_or_default().is_empty();
        absent(&self.week_numbers)
            && absent(&self.year_days)
            && absent(&self.month_days)
            && self.weekdays.is_none()
            && self.easter_offsets.is_none()
    }
}

/// Those values that steps of `interval` from `start` ever meet, modulo `base`.
fn reachable(values: &[i64], start: i64, interval: i64, base: i64) -> Result<Vec<i64>, RuleError> {
    let step = gcd(interval, base);
    let met: Vec<i64> =
        values.iter().copied().filter(|value| value.wrapping_sub(start).rem_euclid(step) == 0).collect();
    if !met.iter().any(|value| (0..base).contains(value)) {
        return Err(RuleError::EmptySet);
    }
    Ok(sorted(Some(&met)))
}

pub(crate) fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    // Both arguments come from clocks and clamped intervals, far below `i64::MAX`.
    a as i64
}

fn sorted(values: Option<&[i64]>) -> Vec<i64> {
    let mut values = values.unwrap_or_default().to_vec();
    values.sort_unstable();
    values.dedup();
    values
}
