//! Which days of one year a rule allows, as one bit per day.
//!
//! A year's set reaches seven days into the next, because a week belongs to the year that it begins in: those days
//! are judged by this year's rules. Start at [`YearDays::new`].

use super::calendar::{days_before_month, first_ordinal, is_leap, weekday, year_length};
use super::error::RuleError;
use super::rule::{Frequency, Rule};
use crate::easter;

const WORDS: usize = 6;

/// Days of the next year that belong to a year's last week.
pub(crate) const TAIL: usize = 7;

/// A set of days of a year, by their distance from 1 January.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct DaySet([u64; WORDS]);

impl DaySet {
    const EMPTY: Self = Self([0; WORDS]);
    const FULL: Self = Self([u64::MAX; WORDS]);

    fn insert(&mut self, day: usize) {
        self.0[day / 64] |= 1 << (day % 64);
    }

    fn insert_range(&mut self, days: std::ops::Range<usize>) {
        days.for_each(|day| self.insert(day));
    }

    fn keep(&mut self, other: &Self) {
        for (word, other) in self.0.iter_mut().zip(other.0) {
            *word &= other;
        }
    }

    pub(crate) fn contains(&self, day: usize) -> bool {
        self.0[day / 64] >> (day % 64) & 1 == 1
    }

    /// The first day of the set that is not before `from` and before `end`.
    pub(crate) fn next(&self, from: usize, end: usize) -> Option<usize> {
        if from >= end {
            return None;
        }
        let mut word = from / 64;
        let mut bits = self.0[word] & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            if word * 64 >= end {
                return None;
            }
            bits = self.0[word];
        }
        let day = word * 64 + bits.trailing_zeros() as usize;
        (day < end).then_some(day)
    }
}

/// The allowed days of one year.
pub(crate) struct YearDays {
    pub(crate) year: i64,
    /// The ordinal of 1 January.
    pub(crate) first: i64,
    /// 365 or 366.
    pub(crate) length: usize,
    pub(crate) allowed: DaySet,
}

impl YearDays {
    /// The days of `year` (1 to 9999) that every BY part which speaks of days allows.
    ///
    /// Errors: `EasterOffset` if BYEASTER leads out of the year; `Year` if it needs the year before year 1.
    pub(crate) fn new(rule: &Rule, year: i64) -> Result<Self, RuleError> {
        let first = first_ordinal(year);
        let mut days = Self { year, first, length: year_length(year), allowed: DaySet::FULL };
        if !rule.months.is_empty() {
            days.keep_months(rule);
        }
        if !rule.week_numbers.is_empty() {
            days.keep_week_numbers(rule)?;
        }
        if let Some(weekdays) = &rule.weekdays {
            days.keep_weekdays(weekdays);
        }
        if !rule.nth_weekdays.is_empty() {
            days.keep_nth_weekdays(rule);
        }
        if !rule.easter_offsets.is_empty() {
            days.keep_easter(rule)?;
        }
        if !rule.month_days.is_empty() || !rule.month_days_from_end.is_empty() {
            days.keep_month_days(rule);
        }
        if !rule.year_days.is_empty() {
            days.keep_year_days(rule);
        }
        Ok(days)
    }

    /// The first day of a month (1 to 13) as a distance from 1 January.
    pub(crate) fn month_start(&self, month: usize) -> usize {
        days_before_month(self.year, month)
    }

    fn weekday(&self, day: usize) -> i64 {
        weekday(self.first + day as i64)
    }

    fn keep_months(&mut self, rule: &Rule) {
        let mut set = DaySet::EMPTY;
        for month in rule.months.iter().filter_map(|&month| month_number(month)) {
            set.insert_range(self.month_start(month)..self.month_start(month + 1));
        }
        if rule.months.contains(&1) {
            set.insert_range(self.length..self.length + TAIL);
        }
        self.allowed.keep(&set);
    }

    fn keep_weekdays(&mut self, weekdays: &[i64]) {
        let mut set = DaySet::EMPTY;
        for wanted in weekdays.iter().filter(|&&wanted| (0..7).contains(&wanted)) {
            let ahead = (wanted - self.weekday(0)).rem_euclid(7) as usize;
            (ahead..self.length + TAIL).step_by(7).for_each(|day| set.insert(day));
        }
        self.allowed.keep(&set);
    }

    fn keep_month_days(&mut self, rule: &Rule) {
        let mut set = DaySet::EMPTY;
        for month in 1..=12 {
            let (start, end) = (self.month_start(month), self.month_start(month + 1));
            let length = (end - start) as i64;
            let from_start = rule.month_days.iter().map(|&day| day - 1);
            let from_end = rule.month_days_from_end.iter().map(|&day| length + day);
            from_start
                .chain(from_end)
                .filter(|day| (0..length).contains(day))
                .for_each(|day| set.insert(start + day as usize));
        }
        // The tail is the first week of a January.
        let from_start = rule.month_days.iter().map(|&day| day - 1);
        let from_end = rule.month_days_from_end.iter().map(|&day| 31 + day);
        from_start
            .chain(from_end)
            .filter(|day| (0..TAIL as i64).contains(day))
            .for_each(|day| set.insert(self.length + day as usize));
        self.allowed.keep(&set);
    }

    fn keep_year_days(&mut self, rule: &Rule) {
        let mut set = DaySet::EMPTY;
        let (length, next_length) = (self.length as i64, year_length(self.year + 1) as i64);
        for &wanted in &rule.year_days {
            let (here, next) =
                if wanted > 0 { (wanted - 1, wanted - 1) } else { (length + wanted, next_length + wanted) };
            // Day 0 does not exist, but its distance is one before the first and so falls out here, too.
            if wanted != 0 && (0..length).contains(&here) {
                set.insert(here as usize);
            }
            if wanted != 0 && (0..TAIL as i64).contains(&next) {
                set.insert(self.length + next as usize);
            }
        }
        self.allowed.keep(&set);
    }

    /// Weekdays counted in a month ("the last Friday") or, in a yearly rule without BYMONTH, in the year.
    fn keep_nth_weekdays(&mut self, rule: &Rule) {
        let whole_year = rule.frequency == Frequency::Yearly && rule.months.is_empty();
        let every_month: Vec<i64> = (1..=12).collect();
        let months = if rule.frequency == Frequency::Yearly { &rule.months } else { &every_month };
        let mut set = DaySet::EMPTY;
        if whole_year {
            self.insert_nth_weekdays(rule, 0, self.length, &mut set);
        } else {
            for month in months.iter().filter_map(|&month| month_number(month)) {
                self.insert_nth_weekdays(
                    rule,
                    self.month_start(month),
                    self.month_start(month + 1),
                    &mut set,
                );
            }
        }
        self.allowed.keep(&set);
    }

    fn insert_nth_weekdays(&self, rule: &Rule, start: usize, end: usize, set: &mut DaySet) {
        for &(wanted, n) in &rule.nth_weekdays {
            // No range has so many weeks, and the sums below must not overflow.
            if !(0..7).contains(&wanted) || n.unsigned_abs() > 54 {
                continue;
            }
            let day = if n < 0 {
                let last = end as i64 - 1;
                last - (self.weekday(end - 1) - wanted).rem_euclid(7) + (n + 1) * 7
            } else {
                start as i64 + (wanted - self.weekday(start)).rem_euclid(7) + (n - 1) * 7
            };
            if (start as i64..end as i64).contains(&day) {
                set.insert(day as usize);
            }
        }
    }

    fn keep_easter(&mut self, rule: &Rule) -> Result<(), RuleError> {
        let mut set = DaySet::EMPTY;
        let (month, day) = easter::sunday(self.year as i32, easter::Method::Western);
        let sunday = (self.month_start(usize::from(month)) + usize::from(day) - 1) as i64;
        let size = (self.length + TAIL) as i64;
        for &offset in &rule.easter_offsets {
            let day = sunday.saturating_add(offset);
            // An offset that leads before 1 January counts from the set's other end. The original does so by
            // accident, but programs may have come to rest on it.
            match day {
                0.. if day < size => set.insert(day as usize),
                ..0 if day >= -size => set.insert((size + day) as usize),
                _ => return Err(RuleError::EasterOffset(offset)),
            }
        }
        self.allowed.keep(&set);
        Ok(())
    }

    /// Weeks as in ISO 8601, but beginning on the rule's own first weekday: week 1 is the first with four days of
    /// the year.
    fn keep_week_numbers(&mut self, rule: &Rule) -> Result<(), RuleError> {
        let mut set = DaySet::EMPTY;
        let week_start = rule.week_start;
        let first_start = (week_start - self.weekday(0)).rem_euclid(7) as usize;
        let weeks = Weeks::of(self.year, week_start);
        // The day that week 1 begins on; before 1 January it is the same week, seen from its first day in the year.
        let start_of = |week: i64| -> usize {
            let ahead = (week as usize - 1) * 7;
            match (weeks.starts_before_year, week) {
                (false, _) => first_start + ahead,
                (true, 1) => 0,
                (true, _) => first_start + ahead - 7,
            }
        };
        for &wanted in &rule.week_numbers {
            let week = if wanted < 0 { wanted.saturating_add(weeks.count + 1) } else { wanted };
            if (1..=weeks.count).contains(&week) {
                self.insert_week(start_of(week), week_start, &mut set);
            }
        }
        if rule.week_numbers.contains(&1) {
            // The next year's week 1 may begin before this year ends.
            let start = start_of(weeks.count + 1);
            if start < self.length {
                self.insert_week(start, week_start, &mut set);
            }
        }
        if !weeks.starts_before_year && first_start > 0 {
            // The days before week 1 are the last week of the year before.
            let last_week = if rule.week_numbers.contains(&-1) {
                -1
            } else if self.year == 1 {
                return Err(RuleError::Year(0));
            } else {
                Weeks::of(self.year - 1, week_start).count
            };
            if rule.week_numbers.contains(&last_week) {
                set.insert_range(0..first_start);
            }
        }
        self.allowed.keep(&set);
        Ok(())
    }

    /// Inserts the days from `start` to the end of its week.
    fn insert_week(&self, start: usize, week_start: i64, set: &mut DaySet) {
        let length = 7 - (self.weekday(start) - week_start).rem_euclid(7) as usize;
        set.insert_range(start..start + length);
    }
}

struct Weeks {
    count: i64,
    starts_before_year: bool,
}

impl Weeks {
    fn of(year: i64, week_start: i64) -> Self {
        let first_weekday = weekday(first_ordinal(year));
        let to_week_start = (week_start - first_weekday).rem_euclid(7);
        let starts_before_year = to_week_start >= 4;
        let length = 365 + i64::from(is_leap(year));
        let counted = if starts_before_year {
            length + (first_weekday - week_start).rem_euclid(7)
        } else {
            length - to_week_start
        };
        // Four days more than whole weeks are a week of their own.
        Self { count: counted / 7 + counted % 7 / 4, starts_before_year }
    }
}

fn month_number(month: i64) -> Option<usize> {
    (1..=12).contains(&month).then_some(month as usize)
}
