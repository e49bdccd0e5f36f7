//! A zone made ready for questions.

use super::daylight;
use super::error::ZoneError;
use super::posix::{EPOCH, PosixRule, PosixZone, Years};
use super::tzif::TzifData;
use crate::rrule::moment;

/// The years of which is known where their transitions begin.
const INDEXED: std::ops::Range<i64> = 1900..2040;

/// One offset with its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// Seconds east of UTC.
    pub offset_s: i32,
    /// How much of that is daylight saving time.
    pub daylight_s: i32,
    /// `CEST`.
    pub abbreviation: String,
}

/// A time zone. Its answers are indices into [`Zone::infos`].
#[derive(Clone, Debug)]
pub struct Zone {
    infos: Vec<Info>,
    transitions_s: Vec<i64>,
    /// The info after each transition.
    after_each: Vec<u16>,
    /// The wall clocks at which each transition takes effect, for `fold` 0 and 1.
    walls_s: [Vec<i64>; 2],
    /// How many transitions lie before each year of [`INDEXED`], by whatever clock; empty where the transitions or a
    /// list of walls do not ascend, which no file is like that zic has written.
    before_year: Vec<usize>,
    before: u16,
    after: After,
    fixed: bool,
}

#[derive(Clone, Debug)]
enum After {
    Fixed(u16),
    Rule { rule: PosixRule, years: Years, standard: u16, daylight: u16 },
}

impl Zone {
    /// Works out a file's zone.
    ///
    /// Errors: `TypeIndex`, `Rule`, `Empty`.
    pub fn new(data: &TzifData) -> Result<Self, ZoneError> {
        if let Some(&index) = data.type_indices.iter().find(|&&index| usize::from(index) >= data.types.len())
        {
            return Err(ZoneError::TypeIndex { index, types: data.types.len() });
        }
        let mut infos = Infos(Vec::new());
        let daylight = daylight::amounts(data);
        let after_each: Vec<u16> = data
            .type_indices
            .iter()
            .zip(&daylight)
            .map(|(&index, &daylight_s)| infos.of_type(data, index, daylight_s))
            .collect();
        let first_amount = |index: u8| {
            let first = data.type_indices.iter().position(|other| *other == index);
            let hour_of_dst = 3600 * i32::from(data.types[usize::from(index)].is_dst);
            first.map_or(hour_of_dst, |first| daylight[first])
        };
        let before = match data.types.iter().position(|kind| !kind.is_dst) {
            Some(index) => Some(infos.of_type(data, index as u8, 0)),
            None => after_each.first().copied(),
        };
        let rule = str::from_utf8(&data.rule)
            .map_err(|_| ZoneError::Rule(String::from_utf8_lossy(&data.rule).into_owned()))?;
        let after = if !rule.is_empty() {
            infos.after(PosixZone::read(rule)?)
        } else if let Some(&last) = after_each.last() {
            After::Fixed(last)
        } else if data.types.is_empty() {
            return Err(ZoneError::Empty);
        } else {
            After::Fixed(infos.of_type(data, 0, first_amount(0)))
        };
        let before = match (before, &after) {
            (Some(before), _) => before,
            (None, After::Fixed(info) | After::Rule { standard: info, .. }) => *info,
        };
        let fixed = match &after {
            After::Rule { .. } => false,
            After::Fixed(_) if data.types.is_empty() => true,
            After::Fixed(info) => {
                data.types.len() == 1 && infos.0[usize::from(*info)] == infos.0[usize::from(before)]
            }
        };
        let mut zone = Self {
            infos: infos.0,
            transitions_s: data.transitions_s.clone(),
            after_each,
            walls_s: [Vec::new(), Vec::new()],
            before_year: Vec::new(),
            before,
            after,
            fixed,
        };
        zone.set_walls();
        Ok(zone)
    }

    fn set_walls(&mut self) {
        let mut last = self.offset(self.before);
        for (&time, &info) in self.transitions_s.iter().zip(&self.after_each) {
            let next = self.infos[usize::from(info)].offset_s.into();
            // zic writes the beginning of time as the smallest number there is.
            self.walls_s[0].push(time.saturating_add(last.max(next)));
            self.walls_s[1].push(time.saturating_add(last.min(next)));
            last = next;
        }
        if self.transitions_s.is_sorted() && self.walls_s.iter().all(|walls| walls.is_sorted()) {
            let [first, second] = &self.walls_s;
            let before = |year: i64| {
                let new_year_s = moment(year, 1, 1, 0) - EPOCH;
                let before = |times: &Vec<i64>| times.partition_point(|&time| time < new_year_s);
                before(&self.transitions_s).min(before(first)).min(before(second))
            };
            self.before_year = INDEXED.map(before).collect();
        }
    }

    /// How many of the ascending `times` are not after a time of a year.
    #[inline]
    fn passed(&self, times: &[i64], time_s: i64, year: i64) -> usize {
        let known = usize::try_from(year - INDEXED.start).ok().and_then(|index| self.before_year.get(index));
        let Some(&before) = known else { return times.partition_point(|&time| time <= time_s) };
        // A year has few, and to count them is quicker than to search among those of two centuries.
        before + times[before..].iter().take_while(|&&time| time <= time_s).count()
    }

    fn offset(&self, info: u16) -> i64 {
        i64::from(self.infos[usize::from(info)].offset_s)
    }

    /// Every offset that the zone ever has.
    #[inline]
    pub fn infos(&self) -> &[Info] {
        &self.infos
    }

    /// The offset of a zone that always has the same.
    pub fn always(&self) -> Option<usize> {
        match &self.after {
            After::Fixed(info) if self.fixed => Some(usize::from(*info)),
            _ => None,
        }
    }

    /// The offset before the first transition.
    pub fn before(&self) -> usize {
        usize::from(self.before)
    }

    /// The offset after each transition.
    pub fn after_each(&self) -> impl Iterator<Item = usize> {
        self.after_each.iter().map(|&info| usize::from(info))
    }

    /// The wall clocks, in seconds since 1970, from which each transition holds, for `fold` 0 and 1.
    pub fn walls_s(&self) -> [&[i64]; 2] {
        [&self.walls_s[0], &self.walls_s[1]]
    }

    /// What holds after the last transition: standard time, and daylight saving time with its rule.
    pub fn after(&self) -> (usize, Option<(usize, &PosixRule)>) {
        match &self.after {
            After::Fixed(info) => (usize::from(*info), None),
            After::Rule { rule, standard, daylight, .. } => {
                (usize::from(*standard), Some((usize::from(*daylight), rule)))
            }
        }
    }

    /// The offset at a wall clock of a year. `fold` chooses the second of two readings.
    ///
    /// Cost: a binary search; a few divisions after the last transition
    #[inline]
    pub fn at_wall(&self, wall_s: i64, year: i64, fold: bool) -> usize {
        let walls = &self.walls_s[usize::from(fold)];
        let passed = self.passed(walls, wall_s, year);
        usize::from(match passed.checked_sub(1) {
            _ if passed == walls.len() => self.after_wall(wall_s, year, fold),
            None => self.before,
            Some(index) => self.after_each[index],
        })
    }

    fn after_wall(&self, wall_s: i64, year: i64, fold: bool) -> u16 {
        match &self.after {
            After::Fixed(info) => *info,
            After::Rule { rule, years, standard, daylight } => {
                let holds = rule.holds_at_wall(wall_s, year, fold, self.last_s(), years);
                if holds { *daylight } else { *standard }
            }
        }
    }

    /// The offset at an instant, and whether the wall clock shows that time for the second time. `year` is UTC's.
    ///
    /// Cost: as [`Zone::at_wall`]
    #[inline]
    pub fn at(&self, instant_s: i64, year: i64) -> (usize, bool) {
        let passed = self.passed(&self.transitions_s, instant_s, year);
        if instant_s > self.last_s() {
            match &self.after {
                After::Rule { rule, years, standard, daylight } => {
                    let (holds, change) = rule.holds_at(instant_s, year, years);
                    let info = if holds { *daylight } else { *standard };
                    let fold = match change {
                        // Where both change at once, the rule is heard, as in zoneinfo.
                        Some((at_s, again_s)) if at_s >= self.last_s() => instant_s - at_s < again_s,
                        _ => self.shows_again(instant_s, passed, info),
                    };
                    return (usize::from(info), fold);
                }
                After::Fixed(info) if passed == 0 => return (usize::from(*info), false),
                After::Fixed(_) => {}
            }
        }
        match passed.checked_sub(1) {
            None => (usize::from(self.before), false),
            Some(index) => {
                let info = self.after_each[index];
                (usize::from(info), self.shows_again(instant_s, passed, info))
            }
        }
    }

    /// Whether at an instant, after so many transitions, the wall clock of `info` shows again what it showed before
    /// the last of them.
    #[inline]
    fn shows_again(&self, instant_s: i64, passed: usize, info: u16) -> bool {
        let Some(index) = passed.checked_sub(1) else { return false };
        let previous = index.checked_sub(1).map_or(self.before, |index| self.after_each[index]);
        instant_s.saturating_sub(self.transitions_s[index]) < self.offset(previous) - self.offset(info)
    }

    /// The last transition, or the beginning of time.
    fn last_s(&self) -> i64 {
        self.transitions_s.last().copied().unwrap_or(i64::MIN)
    }
}

/// Infos without repetition.
struct Infos(Vec<Info>);

impl Infos {
    fn index(&mut self, info: Info) -> u16 {
        let known = self.0.iter().position(|other| *other == info);
        let index = known.unwrap_or_else(|| {
            self.0.push(info);
            self.0.len() - 1
        });
        // At most 256 types, each with the amounts that differ near it.
        u16::try_from(index).unwrap_or(u16::MAX)
    }

    fn of_type(&mut self, data: &TzifData, index: u8, daylight_s: i32) -> u16 {
        let kind = &data.types[usize::from(index)];
        self.index(Info { offset_s: kind.offset_s, daylight_s, abbreviation: kind.abbreviation.clone() })
    }

    fn after(&mut self, zone: PosixZone) -> After {
        let (abbreviation, offset_s) = zone.standard;
        let standard = self.index(Info { offset_s, daylight_s: 0, abbreviation });
        match zone.daylight {
            None => After::Fixed(standard),
            Some(rule) => {
                let daylight = self.index(Info {
                    offset_s: rule.offset_s,
                    daylight_s: rule.offset_s - offset_s,
                    abbreviation: rule.abbreviation.clone(),
                });
                After::Rule { years: rule.years(), rule, standard, daylight }
            }
        }
    }
}
