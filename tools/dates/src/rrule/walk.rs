//! Goes along a rule, from period to period, and gives the moments that it names in order.
//!
//! A period is a year, month, week, day, hour, minute or second, after the rule's frequency; it is described by the
//! date and time in [`Position`], of which only the parts that the frequency steps through matter. Start at
//! [`Walker::advance`].

use std::sync::Arc;

use super::calendar::{
    LAST_YEAR, Moment, SECONDS_PER_DAY, civil, date, days_before_month, days_in_month, first_ordinal,
    ordinal, weekday,
};
use super::days::YearDays;
use super::error::RuleError;
use super::rule::{Frequency, Rule, gcd};

/// Periods without a result after which [`Walker::advance`] comes up for air.
const PERIODS_PER_BREATH: u32 = 1 << 14;

/// What one call of [`Walker::advance`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The next result.
    Found(Moment),
    /// No result yet in many periods: look whether the user wants to stop, then call again.
    Working,
    /// There is none any more.
    Ended,
}

/// A place on a rule's way.
///
/// ```
/// use naja_dates::rrule::{Frequency, Parts, Progress, Rule, Walker, moment};
/// let parts = Parts { frequency: Some(Frequency::Yearly), ..Parts::default() };
/// let rule = Rule::new(moment(2024, 2, 29, 0), &parts).expect("a leap day each year is a rule");
/// let mut walker = Walker::new(rule.into()).expect("2024 is a year");
/// assert_eq!(walker.advance(), Ok(Progress::Found(moment(2024, 2, 29, 0))));
/// assert_eq!(walker.advance(), Ok(Progress::Found(moment(2028, 2, 29, 0))));
/// ```
pub struct Walker {
    rule: Arc<Rule>,
    position: Position,
    days: YearDays,
    /// The period's days, as distances from 1 January: those from `next_day` to `end_day` are still to be given.
    next_day: usize,
    end_day: usize,
    /// The day whose times are being given.
    day: Option<usize>,
    next_time: usize,
    /// The period's times of day in seconds, ascending.
    times: Vec<i64>,
    /// With BYSETPOS: the period's results, and how many were given.
    chosen: Vec<Moment>,
    next_chosen: usize,
    found: i64,
    ended: bool,
}

#[derive(Clone, Copy, Debug)]
struct Position {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

impl Walker {
    /// Stands before the rule's first result.
    ///
    /// Errors: `EasterOffset` and `Year`, as [`Walker::advance`].
    pub fn new(rule: Arc<Rule>) -> Result<Self, RuleError> {
        let start = civil(rule.start);
        let days = YearDays::new(&rule, start.year)?;
        let mut walker = Self {
            position: Position {
                year: start.year,
                month: i64::from(start.month),
                day: i64::from(start.day),
                hour: i64::from(start.hour),
                minute: i64::from(start.minute),
                second: i64::from(start.second),
            },
            rule,
            days,
            next_day: 0,
            end_day: 0,
            day: None,
            next_time: 0,
            times: Vec::new(),
            chosen: Vec::new(),
            next_chosen: 0,
            found: 0,
            ended: false,
        };
        walker.set_times();
        walker.enter_period();
        Ok(walker)
    }

    /// The rule.
    pub fn rule(&self) -> &Arc<Rule> {
        &self.rule
    }

    /// How many results have been given.
    pub fn found(&self) -> i64 {
        self.found
    }

    /// Goes to the next result.
    ///
    /// Errors: `NeverMeets` where INTERVAL steps over everything that the rule allows; `EasterOffset`; `Year` for a
    /// result after the year 9999. After an error the walk has ended.
    /// Cost:   a bit test for each day of the period, and a new set of days for each year
    pub fn advance(&mut self) -> Result<Progress, RuleError> {
        if self.ended {
            return Ok(Progress::Ended);
        }
        let progress = self.step();
        if !matches!(progress, Ok(Progress::Found(_) | Progress::Working)) {
            self.ended = true;
        }
        progress
    }

    fn step(&mut self) -> Result<Progress, RuleError> {
        if self.rule.count.is_some_and(|count| self.found >= count) {
            return Ok(Progress::Ended);
        }
        for _ in 0..PERIODS_PER_BREATH {
            while let Some(moment) = self.next_in_period() {
                if moment < self.rule.start {
                    continue;
                }
                if moment >= first_ordinal(LAST_YEAR + 1) * SECONDS_PER_DAY {
                    return Err(RuleError::Year(LAST_YEAR + 1));
                }
                self.found += 1;
                return Ok(Progress::Found(moment));
            }
            if !self.next_period()? {
                return Ok(Progress::Ended);
            }
            self.enter_period();
        }
        Ok(Progress::Working)
    }

    /// Moves forward so that the next results are those of the period in which `target` lies, or of the first after
    /// it that the rule steps on; every result that is skipped lies before `target`. Does nothing for a rule with
    /// COUNT, whose results must be counted, and never goes backward from where a new walker stands.
    ///
    /// Call it on a new walker.
    /// Cost: that of one step, however far
    pub fn seek(&mut self, target: Moment) -> Result<(), RuleError> {
        let rule = Arc::clone(&self.rule);
        if rule.count.is_some() || rule.interval < 1 || target <= rule.start {
            return Ok(());
        }
        let at = &mut self.position;
        let target = target.min(first_ordinal(LAST_YEAR + 1) * SECONDS_PER_DAY - 1);
        let to = civil(target);
        let day = target.div_euclid(SECONDS_PER_DAY);
        match rule.frequency {
            Frequency::Yearly => at.year += (to.year - at.year) / rule.interval * rule.interval,
            Frequency::Monthly => {
                let from = at.year * 12 + at.month - 1;
                let months =
                    from + (to.year * 12 + i64::from(to.month) - 1 - from) / rule.interval * rule.interval;
                (at.year, at.month) = (months / 12, months % 12 + 1);
            }
            Frequency::Weekly => {
                // All weeks but the first begin on the rule's own first weekday.
                let first = at.ordinal();
                let week = first - (weekday(first) - rule.week_start).rem_euclid(7);
                let weeks = (day - week) / 7 / rule.interval;
                if weeks > 0 {
                    at.set_date(week + weeks.saturating_mul(rule.interval * 7));
                }
            }
            Frequency::Daily => {
                at.set_date(at.ordinal() + (day - at.ordinal()) / rule.interval * rule.interval)
            }
            Frequency::Hourly | Frequency::Minutely | Frequency::Secondly => {
                let unit = rule.frequency.unit_s();
                let from = at.ordinal() * SECONDS_PER_DAY + at.second_of_day();
                let steps = (target.div_euclid(unit) - from.div_euclid(unit)) / rule.interval;
                let there = from + steps * rule.interval * unit;
                at.set_date(there.div_euclid(SECONDS_PER_DAY));
                at.set_second_of_day(there.rem_euclid(SECONDS_PER_DAY));
            }
        }
        self.set_year()?;
        self.set_times();
        self.enter_period();
        Ok(())
    }

    /// The last result before `limit`, found by going backward in ever larger leaps where the rule allows
    /// [`Walker::seek`]. Calls `breathe` now and then, and stops when that gives an error.
    ///
    /// Errors: as [`Walker::advance`], and whatever `breathe` gives.
    pub fn last_before<E: From<RuleError>>(
        rule: &Arc<Rule>,
        limit: Moment,
        mut breathe: impl FnMut() -> Result<(), E>,
    ) -> Result<Option<Moment>, E> {
        let mut span = (2 * rule.frequency.period_s()).saturating_mul(rule.interval.max(1));
        loop {
            let from = limit.saturating_sub(span);
            let mut walker = Self::new(Arc::clone(rule))?;
            walker.seek(from)?;
            let mut last = None;
            loop {
                match walker.advance()? {
                    Progress::Found(moment) if moment < limit => last = Some(moment),
                    Progress::Working if walker.period_begin() < limit => breathe()?,
                    _ => break,
                }
            }
            if last.is_some() || from <= rule.start || rule.count.is_some() || rule.interval < 1 {
                return Ok(last);
            }
            breathe()?;
            span = span.saturating_mul(8);
        }
    }

    /// The first day of the period that was last entered, if nothing of it has been given yet.
    fn period_begin(&self) -> Moment {
        (self.days.first + self.next_day as i64) * SECONDS_PER_DAY
    }

    /// The next moment of the period, whether or not the rule has begun.
    fn next_in_period(&mut self) -> Option<Moment> {
        if !self.rule.set_positions.is_empty() {
            let moment = self.chosen.get(self.next_chosen).copied();
            self.next_chosen += 1;
            return moment;
        }
        loop {
            if let Some(day) = self.day
                && let Some(time) = self.times.get(self.next_time)
            {
                self.next_time += 1;
                return Some((self.days.first + day as i64) * SECONDS_PER_DAY + time);
            }
            if self.times.is_empty() {
                return None;
            }
            let day = self.days.allowed.next(self.next_day, self.end_day)?;
            self.day = Some(day);
            self.next_day = day + 1;
            self.next_time = 0;
        }
    }

    /// Takes up the days of the period at `position`.
    fn enter_period(&mut self) {
        let at = self.position;
        let day = || days_before_month(at.year, at.month as usize) + at.day as usize - 1;
        (self.next_day, self.end_day) = match self.rule.frequency {
            Frequency::Yearly => (0, self.days.length),
            Frequency::Monthly => {
                (self.days.month_start(at.month as usize), self.days.month_start(at.month as usize + 1))
            }
            Frequency::Weekly => {
                let day = day();
                let into_week = (weekday(self.days.first + day as i64) - self.rule.week_start).rem_euclid(7);
                (day, day + 7 - into_week as usize)
            }
            _ => {
                let day = day();
                (day, day + 1)
            }
        };
        self.day = None;
        if !self.rule.set_positions.is_empty() {
            self.choose();
        }
    }

    /// Picks the results that BYSETPOS names out of the period's days and times.
    fn choose(&mut self) {
        self.chosen.clear();
        self.next_chosen = 0;
        let per_day = self.times.len() as i64;
        if per_day == 0 {
            return;
        }
        let mut days = Vec::new();
        let mut from = self.next_day;
        while let Some(day) = self.days.allowed.next(from, self.end_day) {
            days.push(day as i64);
            from = day + 1;
        }
        for &position in &self.rule.set_positions {
            let index = if position > 0 { position - 1 } else { days.len() as i64 * per_day + position };
            let day = usize::try_from(index.div_euclid(per_day)).ok().and_then(|day| days.get(day));
            if let Some(day) = day {
                let time = self.times[index.rem_euclid(per_day) as usize];
                self.chosen.push((self.days.first + day) * SECONDS_PER_DAY + time);
            }
        }
        self.chosen.sort_unstable();
        self.chosen.dedup();
    }

    /// Works out the times of day of the period at `position`.
    fn set_times(&mut self) {
        let (rule, at) = (&self.rule, self.position);
        let allows =
            |values: &Option<Vec<i64>>, value| values.as_ref().is_none_or(|values| values.contains(&value));
        self.times.clear();
        if rule.frequency >= Frequency::Hourly && !allows(&rule.hours, at.hour)
            || rule.frequency >= Frequency::Minutely && !allows(&rule.minutes, at.minute)
            || rule.frequency >= Frequency::Secondly && !allows(&rule.seconds, at.second)
        {
            return;
        }
        match rule.frequency {
            Frequency::Secondly => self.times.push(at.second_of_day()),
            Frequency::Minutely => {
                let begin = at.hour * 3600 + at.minute * 60;
                self.times.extend(rule.seconds.iter().flatten().map(|second| begin + second));
            }
            Frequency::Hourly => {
                for minute in rule.minutes.iter().flatten() {
                    let begin = at.hour * 3600 + minute * 60;
                    self.times.extend(rule.seconds.iter().flatten().map(|second| begin + second));
                }
            }
            _ => {
                for hour in rule.hours.iter().flatten() {
                    for minute in rule.minutes.iter().flatten() {
                        let begin = hour * 3600 + minute * 60;
                        self.times.extend(rule.seconds.iter().flatten().map(|second| begin + second));
                    }
                }
            }
        }
    }

    /// Steps to the next period. False when there is none because the years have ended.
    fn next_period(&mut self) -> Result<bool, RuleError> {
        let interval = self.rule.interval;
        match self.rule.frequency {
            Frequency::Yearly => self.position.year = self.position.year.saturating_add(interval),
            Frequency::Monthly => {
                let months = (self.position.year * 12 + self.position.month - 1).saturating_add(interval);
                self.position.year = months.div_euclid(12);
                self.position.month = months.rem_euclid(12) + 1;
            }
            Frequency::Weekly => {
                let today = self.position.ordinal();
                let into_week = (weekday(today) - self.rule.week_start).rem_euclid(7);
                self.position.add_days(interval.saturating_mul(7) - into_week);
            }
            Frequency::Daily => self.position.add_days(interval),
            Frequency::Hourly | Frequency::Minutely | Frequency::Secondly => {
                self.next_time_of_day()?;
                self.set_times();
            }
        }
        if self.position.year > LAST_YEAR {
            return Ok(false);
        }
        self.set_year()?;
        Ok(true)
    }

    fn set_year(&mut self) -> Result<(), RuleError> {
        let year = self.position.year;
        if year != self.days.year {
            if !(1..=LAST_YEAR).contains(&year) {
                return Err(RuleError::Year(year));
            }
            self.days = YearDays::new(&self.rule, year)?;
        }
        Ok(())
    }

    /// Steps by INTERVAL hours, minutes or seconds until one is reached that BYHOUR, BYMINUTE and BYSECOND allow.
    ///
    /// Errors: `NeverMeets` when all times of day that the steps can reach were tried.
    fn next_time_of_day(&mut self) -> Result<(), RuleError> {
        let rule = Arc::clone(&self.rule);
        let unit = rule.frequency.unit_s();
        let at = &mut self.position;
        let units_per_day = SECONDS_PER_DAY / unit;
        let mut now = at.second_of_day().div_euclid(unit);
        let rest = at.second_of_day().rem_euclid(unit);
        let today = days_before_month(at.year, at.month as usize) + at.day as usize - 1;
        if !self.days.allowed.contains(today) && rule.interval > 0 {
            // Nothing of this day: go to its last step at once.
            now += (units_per_day - 1 - now) / rule.interval * rule.interval;
        }
        let mut days = 0_i64;
        let (whole_days, step) =
            (rule.interval.div_euclid(units_per_day), rule.interval.rem_euclid(units_per_day));
        let allows =
            |values: &Option<Vec<i64>>, value| values.as_ref().is_none_or(|values| values.contains(&value));
        for _ in 0..units_per_day / gcd(rule.interval, units_per_day) {
            now += step;
            days = days.saturating_add(whole_days);
            if now >= units_per_day {
                now -= units_per_day;
                days = days.saturating_add(1);
            }
            let second = now * unit;
            if allows(&rule.hours, second / 3600)
                && (rule.frequency < Frequency::Minutely || allows(&rule.minutes, second / 60 % 60))
                && (rule.frequency < Frequency::Secondly || allows(&rule.seconds, second % 60))
            {
                at.set_second_of_day(second + rest);
                at.add_days(days);
                return Ok(());
            }
        }
        Err(RuleError::NeverMeets { minutes: rule.frequency == Frequency::Secondly })
    }
}

impl Position {
    fn ordinal(&self) -> i64 {
        ordinal(self.year, self.month as u8, self.day as u8)
    }

    fn second_of_day(&self) -> i64 {
        self.hour * 3600 + self.minute * 60 + self.second
    }

    fn set_second_of_day(&mut self, second: i64) {
        (self.hour, self.minute, self.second) = (second / 3600, second / 60 % 60, second % 60);
    }

    fn set_date(&mut self, ordinal: i64) {
        // Any day after the last year is as good as another: the walk ends there.
        let (year, month, day) = date(ordinal.clamp(-400 * 366, first_ordinal(LAST_YEAR + 2)));
        (self.year, self.month, self.day) = (year, i64::from(month), i64::from(day));
    }

    fn add_days(&mut self, days: i64) {
        if days == 0 {
            return;
        }
        let day = self.day.saturating_add(days);
        if (1..=28).contains(&day) || day > 0 && day <= i64::from(days_in_month(self.year, self.month as u8))
        {
            self.day = day;
        } else {
            self.set_date(self.ordinal().saturating_add(days));
        }
    }
}

impl Frequency {
    /// Seconds of the unit that a sub-daily frequency steps by.
    fn unit_s(self) -> i64 {
        match self {
            Self::Hourly => 3600,
            Self::Minutely => 60,
            _ => 1,
        }
    }

    /// Seconds of the longest period.
    fn period_s(self) -> i64 {
        match self {
            Self::Yearly => 366 * SECONDS_PER_DAY,
            Self::Monthly => 31 * SECONDS_PER_DAY,
            Self::Weekly => 7 * SECONDS_PER_DAY,
            Self::Daily => SECONDS_PER_DAY,
            _ => self.unit_s(),
        }
    }
}
