//! The rules of POSIX's TZ variable, as the last line of a TZif file has them: `CET-1CEST,M3.5.0,M10.5.0/3`.
//!
//! Each year has two changes, written as wall clocks of the time that ends there. They may lie up to a week outside
//! of their year, so near a new year the neighbouring years are asked, too.

use super::error::ZoneError;
use crate::rrule::{Moment, SECONDS_PER_DAY, days_in_month, moment};

/// The moment of 1970-01-01T00:00.
pub(crate) const EPOCH: Moment = 719_163 * SECONDS_PER_DAY;

/// No change lies so far outside of its year: 167:59:59 for its time of day and a day for its offset.
const NEW_YEAR_MARGIN_S: i64 = 10 * SECONDS_PER_DAY;

/// A zone that a TZ string describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosixZone {
    /// Abbreviation and offset in seconds east of UTC of standard time.
    pub standard: (String, i32),
    /// The rule of daylight saving time, if the zone has it.
    pub daylight: Option<PosixRule>,
}

/// When daylight saving time holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PosixRule {
    /// Its abbreviation.
    pub abbreviation: String,
    /// Standard time's offset in seconds east of UTC.
    pub standard_s: i32,
    /// Its own offset in seconds east of UTC.
    pub offset_s: i32,
    /// When it begins: a day and the second of that day on the clock of standard time.
    pub start: (DayRule, i32),
    /// When it ends: a day and the second of that day on its own clock.
    pub end: (DayRule, i32),
}

/// A day of every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayRule {
    /// `Jn`: 1 to 365, February 29 is never counted.
    Julian(u16),
    /// `n`: 0 to 365, February 29 is counted.
    FromZero(u16),
    /// `Mm.w.d`: weekday `day` (0 is Sunday) of week 1 to 5, where 5 is the last.
    Weekday {
        /// 1 to 12.
        month: u8,
        /// 1 to 5.
        week: u8,
        /// 0 to 6.
        day: u8,
    },
}

impl PosixZone {
    /// Reads a TZ string.
    ///
    /// Errors: `Rule`, with the string.
    ///
    /// ```
    /// use naja_dates::zone::PosixZone;
    /// let zone = PosixZone::read("EST5EDT,M3.2.0,M11.1.0").expect("New York's rule");
    /// assert_eq!(zone.standard, ("EST".to_owned(), -5 * 3600));
    /// assert!(PosixZone::read("EST5EDT").is_err(), "the days of change are missing");
    /// ```
    pub fn read(text: &str) -> Result<Self, ZoneError> {
        let mut input = Text(text);
        input.zone().filter(|_| input.0.is_empty()).ok_or_else(|| ZoneError::Rule(text.to_owned()))
    }
}

struct Text<'a>(&'a str);

impl Text<'_> {
    fn zone(&mut self) -> Option<PosixZone> {
        let abbreviation = self.abbreviation()?;
        let standard_s = -self.offset()?;
        let standard = (abbreviation, standard_s);
        if self.0.is_empty() {
            return Some(PosixZone { standard, daylight: None });
        }
        let abbreviation = self.abbreviation()?;
        let offset_s = if self.0.starts_with(',') { standard_s + 3600 } else { -self.offset()? };
        let start = self.change()?;
        let end = self.change()?;
        let daylight = PosixRule { abbreviation, standard_s, offset_s, start, end };
        Some(PosixZone { standard, daylight: Some(daylight) })
    }

    fn skip(&mut self, character: char) -> bool {
        match self.0.strip_prefix(character) {
            Some(rest) => {
                self.0 = rest;
                true
            }
            None => false,
        }
    }

    fn abbreviation(&mut self) -> Option<String> {
        let quoted = self.skip('<');
        let belongs = |character: char| {
            character.is_ascii_alphabetic()
                || quoted && (character.is_ascii_digit() || matches!(character, '+' | '-'))
        };
        let end = self.0.find(|character| !belongs(character)).unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        self.0 = rest;
        (!name.is_empty() && (!quoted || self.skip('>'))).then(|| name.to_owned())
    }

    /// From `min` to `max` digits.
    fn number(&mut self, min: usize, max: usize) -> Option<i32> {
        let digits = self.0.bytes().take(max).take_while(u8::is_ascii_digit).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        (digits >= min).then(|| number.bytes().fold(0, |value, digit| value * 10 + i32::from(digit - b'0')))
    }

    fn negative(&mut self) -> bool {
        self.skip('-') || {
            self.skip('+');
            false
        }
    }

    /// `h[:mm[:ss]]`, in seconds.
    fn clock(&mut self, hour_digits: usize, hour_max: i32) -> Option<i32> {
        let sign = if self.negative() { -1 } else { 1 };
        let hour = self.number(1, hour_digits).filter(|hour| *hour <= hour_max)?;
        let mut seconds = hour * 3600;
        for unit in [60, 1] {
            if self.skip(':') {
                seconds += self.number(2, 2).filter(|value| *value < 60)? * unit;
            } else {
                break;
            }
        }
        Some(sign * seconds)
    }

    fn offset(&mut self) -> Option<i32> {
        self.clock(3, 24)
    }

    /// `,day[/time]`.
    fn change(&mut self) -> Option<(DayRule, i32)> {
        if !self.skip(',') {
            return None;
        }
        let day = if self.skip('M') {
            let month = self.number(1, 2).filter(|month| (1..=12).contains(month))?;
            let week = self.after_dot(1..=5)?;
            let day = self.after_dot(0..=6)?;
            DayRule::Weekday { month: month as u8, week, day }
        } else if self.skip('J') {
            DayRule::Julian(self.number(1, 3).filter(|day| (1..=365).contains(day))? as u16)
        } else {
            DayRule::FromZero(self.number(1, 3).filter(|day| *day <= 365)? as u16)
        };
        let time = if self.skip('/') { self.clock(3, 167)? } else { 2 * 3600 };
        Some((day, time))
    }

    fn after_dot(&mut self, range: std::ops::RangeInclusive<i32>) -> Option<u8> {
        let number = if self.skip('.') { self.number(1, 1)? } else { return None };
        range.contains(&number).then_some(number as u8)
    }
}

impl DayRule {
    /// The day's midnight in a year, in seconds since 1970.
    fn midnight(self, year: i64) -> i64 {
        let new_year = moment(year, 1, 1, 0) - EPOCH;
        match self {
            Self::Julian(day) => {
                let leap = day >= 60 && days_in_month(year, 2) == 29;
                new_year + (i64::from(day) - 1 + i64::from(leap)) * SECONDS_PER_DAY
            }
            Self::FromZero(day) => new_year + i64::from(day) * SECONDS_PER_DAY,
            Self::Weekday { month, week, day } => {
                let first = moment(year, month, 1, 0) / SECONDS_PER_DAY;
                // Day 7 of the proleptic calendar was a Sunday.
                let to_weekday = (i64::from(day) - first).rem_euclid(7);
                let mut day_of_month = to_weekday + (i64::from(week) - 1) * 7;
                if day_of_month >= i64::from(days_in_month(year, month)) {
                    day_of_month -= 7;
                }
                (first + day_of_month) * SECONDS_PER_DAY - EPOCH
            }
        }
    }
}

/// One change of a rule: the instant, and whether daylight saving time begins at it.
#[derive(Clone, Copy, Debug, Default)]
struct Change {
    instant_s: i64,
    begins: bool,
}

/// Where one year's end is the next year's start, daylight saving time goes on: the end sorts first.
fn sort(changes: &mut [Change]) {
    changes.sort_unstable_by_key(|change| (change.instant_s, change.begins));
}

/// The years whose changes are worked out once.
const WORKED_OUT: std::ops::Range<i64> = 1970..2070;

/// A rule's changes in [`WORKED_OUT`], so that most questions need no calendar.
#[derive(Clone, Debug, Default)]
pub struct Years(Vec<Year>);

#[derive(Clone, Debug)]
struct Year {
    /// Seconds since 1970 of the times at which no other year's changes matter.
    alone_s: std::ops::Range<i64>,
    changes: [Change; 2],
}

impl PosixRule {
    /// The wall clocks of a year's changes, each on the clock that ends there, in seconds since 1970.
    pub fn changes(&self, year: i64) -> (i64, i64) {
        let at = |(day, second): (DayRule, i32)| day.midnight(year) + i64::from(second);
        (at(self.start), at(self.end))
    }

    /// A year's changes in the order of time.
    fn sorted(&self, year: i64) -> [Change; 2] {
        let (start, end) = self.changes(year);
        let mut changes = [
            Change { instant_s: start - i64::from(self.standard_s), begins: true },
            Change { instant_s: end - i64::from(self.offset_s), begins: false },
        ];
        sort(&mut changes);
        changes
    }

    /// The years in which most dates lie, worked out.
    pub fn years(&self) -> Years {
        let new_year = |year: i64| moment(year, 1, 1, 0) - EPOCH;
        let year = |year: i64| Year {
            alone_s: new_year(year) + NEW_YEAR_MARGIN_S..new_year(year + 1) - NEW_YEAR_MARGIN_S,
            changes: self.sorted(year),
        };
        Years(WORKED_OUT.map(year).collect())
    }

    /// The changes that decide about a time of a year, in their order.
    #[inline]
    fn near<'a>(&self, time_s: i64, year: i64, years: &'a Years, room: &'a mut [Change; 6]) -> &'a [Change] {
        let known = usize::try_from(year - WORKED_OUT.start).ok().and_then(|index| years.0.get(index));
        match known {
            Some(known) if known.alone_s.contains(&time_s) => &known.changes,
            _ => self.near_new_year(time_s, year, room),
        }
    }

    #[cold]
    fn near_new_year<'a>(&self, time_s: i64, year: i64, room: &'a mut [Change; 6]) -> &'a [Change] {
        let new_year = moment(year, 1, 1, 0) - EPOCH;
        let next = moment(year + 1, 1, 1, 0) - EPOCH;
        let near = time_s - new_year < NEW_YEAR_MARGIN_S || next - time_s < NEW_YEAR_MARGIN_S;
        let years = if near { year - 1..=year + 1 } else { year..=year };
        let mut count = 0;
        for year in years {
            room[count..count + 2].copy_from_slice(&self.sorted(year));
            count += 2;
        }
        sort(&mut room[..count]);
        &room[..count]
    }

    /// Whether daylight saving time holds at a wall clock of a year. `fold` chooses the second of two readings, and
    /// the time after the change for a reading that does not exist. Changes up to the instant `since_s`, where the rule
    /// took over, are past whatever the clock shows. `years` is the rule's own, or empty.
    #[inline]
    pub fn holds_at_wall(&self, wall_s: i64, year: i64, fold: bool, since_s: i64, years: &Years) -> bool {
        let (standard, daylight) = (i64::from(self.standard_s), i64::from(self.offset_s));
        let offset = if fold { standard.min(daylight) } else { standard.max(daylight) };
        let mut room = [Change::default(); 6];
        let changes = self.near(wall_s, year, years, &mut room);
        let passed = |change: &&Change| change.instant_s <= since_s || change.instant_s + offset <= wall_s;
        let last = changes.iter().rev().find(passed);
        last.map_or(!changes[0].begins, |change| change.begins)
    }

    /// Whether daylight saving time holds at an instant, and the last change before, if it lies in the same year or
    /// near it: its instant, and for how long after it the wall clock shows again what it showed before. `year` is
    /// UTC's, `years` the rule's own, or empty.
    #[inline]
    pub fn holds_at(&self, instant_s: i64, year: i64, years: &Years) -> (bool, Option<(i64, i64)>) {
        let mut room = [Change::default(); 6];
        let changes = self.near(instant_s, year, years, &mut room);
        let Some(change) = changes.iter().rev().find(|change| change.instant_s <= instant_s) else {
            return (!changes[0].begins, None);
        };
        let met =
            changes.iter().any(|other| other.instant_s == change.instant_s && other.begins != change.begins);
        let back_s = i64::from(self.offset_s) - i64::from(self.standard_s);
        let again_s = if met {
            0
        } else if change.begins {
            -back_s
        } else {
            back_s
        };
        (change.begins, Some((change.instant_s, again_s)))
    }
}
