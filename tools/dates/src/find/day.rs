//! Days as people write them: `2014-07-22`, `7/22/2014`, `22. Juli 2014`, `July 22nd`, `third of May 2013`.
//!
//! Each rule looks at tokens from one place on and says what day is written there, or that none is. None looks
//! further than some twenty tokens ahead, which is what makes the whole search linear. Start at [`Scan::day`].

use super::First;
use super::clock::{Clock, Lead};
use super::moment::{Moment, days_of_month};
use super::names::{ENGLISH, Languages, Meaning, Role};
use super::scan::Scan;
use super::token::Kind;

/// How a day is written, which decides how sure one can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `2014-07-22`.
    Iso,
    /// `7/22/2014`.
    Numeric,
    /// `20140722`.
    Packed,
    /// With a month's name.
    Words,
}

/// A day, or a month, that is written at some place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Day {
    pub(super) year: Option<i32>,
    pub(super) month: u8,
    /// Absent for `May 2014`.
    pub(super) day: Option<u8>,
    /// The last day of `21-23 June`.
    pub(super) until: Option<u8>,
    /// The other reading of `02/05/2020`.
    pub(super) other: Option<(i32, u8, u8)>,
    pub(super) form: Form,
    pub(super) languages: Languages,
    /// A time inside of the day: `Sep 25 10:36:28 2003`.
    pub(super) clock: Option<Clock>,
    /// The token behind it.
    pub(super) end: usize,
}

impl Day {
    fn words(month: &Meaning, end: usize) -> Self {
        Self {
            year: None,
            month: month.month,
            day: None,
            until: None,
            other: None,
            form: Form::Words,
            languages: month.month_languages,
            clock: None,
            end,
        }
    }

    /// Whether there is such a day; 29 February without a year may be.
    fn exists(&self) -> bool {
        let last = days_of_month(self.year.unwrap_or(2024), self.month);
        self.year.is_none_or(|year| (1..=9999).contains(&year))
            && self.day.is_none_or(|day| (1..=last).contains(&day))
            && self.until.is_none_or(|until| until <= last && Some(until) > self.day)
    }
}

impl Scan<'_> {
    /// The day or month that is written from token `at` on.
    pub(super) fn day(&self, at: usize) -> Option<Day> {
        let day = match self.kind(at) {
            Kind::Number { value, digits: 4 } => self.year_first(at, value),
            Kind::Number { digits: 8, .. } => self.packed(at),
            Kind::Number { value: 1..=31, digits: 1 | 2 } => {
                self.numeric(at).or_else(|| self.day_before_month(at))
            }
            Kind::Number { digits: 1 | 2, .. } => self.numeric(at),
            Kind::Word(Some(word)) if word.ordinal > 0 => self.ordinal_of_month(at, word.ordinal),
            Kind::Word(Some(_)) => self.month_first(at),
            _ => None,
        }?;
        day.exists().then_some(day)
    }

    /// `2014-07-22`, `2014/7/22`, `2014.07.22`, `2014 Jul 22`, `2014-Jul-22`.
    fn year_first(&self, at: usize, year: u32) -> Option<Day> {
        if self.is_space(at + 1) || (self.sign(at + 1) == Some('-') && self.month(at + 2).is_some()) {
            return self.year_before_month(at, year);
        }
        let separator = self.sign(at + 1).filter(|sign| is_dash(*sign) || matches!(sign, '/' | '.'))?;
        if self.sign(at + 3) != Some(separator) {
            return None;
        }
        let (month, month_digits) = self.number(at + 2).filter(|(_, digits)| *digits <= 2)?;
        let (day, day_digits) = self.number(at + 4).filter(|(_, digits)| *digits <= 2)?;
        // `2019.3.2` is a version.
        if separator == '.' && (month_digits, day_digits) != (2, 2) {
            return None;
        }
        let end = at + 5;
        if !self.ends_well(end, true) {
            return None;
        }
        Some(Day {
            year: i32::try_from(year).ok(),
            month: u8::try_from(month).ok().filter(|month| (1..=12).contains(month))?,
            day: Some(u8::try_from(day).ok()?),
            until: None,
            other: None,
            form: if separator == '.' { Form::Numeric } else { Form::Iso },
            languages: 0,
            clock: None,
            end,
        })
    }

    fn year_before_month(&self, at: usize, year: u32) -> Option<Day> {
        let month = self.month(at + 2)?;
        if self.kind_lines(at + 1) > 0 {
            return None;
        }
        let (day, end) = self.day_of_month(self.separator(at + 1, at + 3)?)?;
        if !self.is_year(year) || self.sign(end) == Some(':') || !self.ends_well(end, false) {
            return None;
        }
        let year = i32::try_from(year).ok();
        Some(Day { year, day: Some(day), ..Day::words(month, end) })
    }

    /// Behind the separator at `at`, where it is the same as the one at `like`.
    fn separator(&self, like: usize, at: usize) -> Option<usize> {
        let same = match self.sign(like) {
            Some(sign) => self.sign(at) == Some(sign),
            None => self.is_space(at) && self.kind_lines(at) == 0,
        };
        same.then_some(at + 1)
    }

    /// `20140722`, where it is asked for or a time follows.
    fn packed(&self, at: usize) -> Option<Day> {
        let (packed, _) = self.number(at)?;
        let timed = self.role(at + 1) == Some(Role::T) && self.clock(at + 2, Lead::Iso).is_some();
        let asked = self.options.compact && self.ends_well(at + 1, true);
        if !timed && !asked {
            return None;
        }
        let year = packed / 10_000;
        Some(Day {
            year: Some(i32::try_from(year).ok().filter(|_| self.is_year(year))?),
            month: u8::try_from(packed / 100 % 100).ok().filter(|month| (1..=12).contains(month))?,
            day: u8::try_from(packed % 100).ok(),
            until: None,
            other: None,
            form: Form::Packed,
            languages: 0,
            clock: None,
            end: at + 1,
        })
    }

    /// `7/22/2014`, `22.7.2014`, `22. 7. 2014`, `7-22-2014`, `7/22/14`.
    fn numeric(&self, at: usize) -> Option<Day> {
        let separator = self.sign(at + 1).filter(|sign| is_dash(*sign) || matches!(sign, '/' | '.'))?;
        let spaced = usize::from(separator == '.' && self.is_space(at + 2) && self.kind_lines(at + 2) == 0);
        let (second_at, third_at) = (at + 2 + spaced, at + 4 + 2 * spaced);
        if self.sign(second_at + 1) != Some(separator) || (spaced == 1 && !self.is_space(third_at - 1)) {
            return self.without_year(at, separator);
        }
        let (first, first_digits) = self.number(at)?;
        let (second, second_digits) = self.number(second_at).filter(|(_, digits)| *digits <= 2)?;
        let (third, third_digits) = self.number(third_at)?;
        let end = third_at + 1;
        let (short, long) = (third_digits == 2, third_digits == 4 && self.is_year(third));
        let both_two = (first_digits, second_digits) == (2, 2);
        let sure = match separator {
            '/' => short || long,
            // `12.05.14` is a day where days come first, elsewhere a version.
            '.' => long || (short && both_two && spaced == 0 && self.options.first == First::Day),
            // `12-05-14` is a part number more often than a day.
            _ => long || (short && self.clock_after(end).is_some()),
        };
        if !sure || !self.ends_well(end, false) || (separator == '.' && spaced == 0 && self.counted(at)) {
            return None;
        }
        self.read_numeric(separator, [first, second, third], short, end)
    }

    fn read_numeric(&self, separator: char, parts: [u32; 3], short: bool, end: usize) -> Option<Day> {
        let [first, second, third] = parts;
        let year = |value| self.full_year(value, short);
        let narrow = |value| u8::try_from(value).unwrap_or(u8::MAX);
        let month_first = (year(third), narrow(first), narrow(second));
        let day_first = (year(third), narrow(second), narrow(first));
        let year_first = (year(first), narrow(second), narrow(third));
        let order = match (separator, self.options.first) {
            (_, First::Year) if short => [year_first, month_first, day_first],
            ('.', _) | (_, First::Day) => [day_first, month_first, day_first],
            _ => [month_first, day_first, month_first],
        };
        let mut readings =
            order.into_iter().filter(|(year, month, day)| Moment::on(*year, *month, *day).is_some());
        let (year, month, day) = readings.next()?;
        let other = readings.find(|reading| *reading != (year, month, day) && separator != '.');
        Some(Day {
            year: Some(year),
            month,
            day: Some(day),
            until: None,
            other,
            form: Form::Numeric,
            languages: 0,
            clock: None,
            end,
        })
    }

    /// `3/14` behind a weekday or a word such as `on`; elsewhere it is a fraction.
    fn without_year(&self, at: usize, separator: char) -> Option<Day> {
        let before = self.before_space(at)?;
        let expected = self.weekday(before).is_some()
            || matches!(self.role(before), Some(Role::On | Role::Preposition) if self.text(before) != "to")
            || self.is_week_of(before);
        let (first, second) = (self.number(at)?.0, self.number(at + 2).filter(|(_, digits)| *digits <= 2)?.0);
        let end = at + 3;
        let counted = self.is_space(end) && self.word(end + 1).is_some_and(|word| word.unit.is_some());
        if separator != '/' || !expected || counted || !self.ends_well(end, false) {
            return None;
        }
        let (month, day) = match self.options.first {
            First::Day => (second, first),
            _ => (first, second),
        };
        let (month, day) = if month > 12 { (day, month) } else { (month, day) };
        Some(Day {
            year: None,
            month: u8::try_from(month).ok().filter(|month| (1..=12).contains(month))?,
            day: Some(u8::try_from(day).ok()?),
            until: None,
            other: None,
            form: Form::Numeric,
            languages: 0,
            clock: None,
            end,
        })
    }

    /// `22 July 2014`, `22nd of July`, `22-Jul-2014`, `22/Jul/2014`, `22Jul2014`, `25 de abril de 1974`,
    /// `21-23 June 2019`.
    fn day_before_month(&self, at: usize) -> Option<Day> {
        let day = u8::try_from(self.number(at)?.0).ok()?;
        let mut next = at + 1;
        let mut until = None;
        if self.sign(next).is_some_and(is_dash)
            && let Some((last @ 1..=31, 1 | 2)) = self.number(next + 1)
        {
            until = u8::try_from(last).ok();
            next += 2;
        }
        let suffix =
            self.role(next) == Some(Role::OrdinalSuffix) || matches!(self.sign(next), Some('º' | 'ª'));
        let point = self.sign(next) == Some('.') && self.is_space(next + 1);
        next += usize::from(suffix || point);
        let joint = self.sign(next).filter(|sign| matches!(sign, '-' | '/'));
        let (month_at, of) = match joint {
            Some(_) => (next + 1, false),
            None => self.before_month(next),
        };
        let month = self.month(month_at)?;
        let touching = month_at == next;
        let mut found = Day { day: Some(day), until, ..Day::words(month, month_at + 1) };
        if joint.is_some() || touching {
            let (year, end) = self.joined_year(found.end, joint)?;
            found.year = Some(year);
            found.end = end;
            return self.ends_well(end, true).then_some(found);
        }
        found.end += usize::from(month.month_short && self.sign(found.end) == Some('.'));
        self.year_behind(&mut found);
        let wrapped = (next..month_at).any(|at| self.kind_lines(at) > 0);
        let sure = if found.year.is_some() {
            true
        } else {
            self.sure_without_year(month, month_at, suffix || of || point)
        };
        let better_read_month_first =
            found.year.is_none() && self.day_of_month(self.skip_space(found.end)).is_some();
        if !sure
            || better_read_month_first
            || (wrapped && found.year.is_none())
            || !self.ends_well(found.end, true)
        {
            return None;
        }
        Some(found)
    }

    /// Behind white space and `of`, `de`, `day of`: where the month is, and whether there was such a word.
    fn before_month(&self, at: usize) -> (usize, bool) {
        let mut next = self.skip_space(at);
        if self.text(next).eq_ignore_ascii_case("day") {
            next = self.skip_space(next + 1);
        }
        if self.role(next) == Some(Role::Of) && self.is_space(next + 1) {
            return (self.skip_space(next + 1), true);
        }
        (next, false)
    }

    /// The year of `22-Jul-2014` and `22Jul2014`, which must be there.
    fn joined_year(&self, at: usize, joint: Option<char>) -> Option<(i32, usize)> {
        let year_at = match joint {
            Some(_) if self.sign(at) == joint => at + 1,
            Some(_) => return None,
            None => at,
        };
        let (year, digits) = self.number(year_at)?;
        match digits {
            4 if self.is_year(year) => Some((i32::try_from(year).ok()?, year_at + 1)),
            2 if joint == Some('-') => Some((self.full_year(year, true), year_at + 1)),
            _ => None,
        }
    }

    /// `July 22, 2014`, `Jul. 22nd`, `July 2014`, `June 21-23, 2019`, `Jul-22-2014`, `May the fourth`.
    fn month_first(&self, at: usize) -> Option<Day> {
        let month = self.month(at)?;
        let mut next = at + 1;
        if self.sign(next) == Some('-')
            && let Some((day, end)) = self.day_of_month(next + 1)
        {
            let (year, end) = self.joined_year(end, Some('-'))?;
            let found = Day { year: Some(year), day: Some(day), ..Day::words(month, end) };
            return self.ends_well(end, false).then_some(found);
        }
        let point = month.month_short && self.sign(next) == Some('.');
        next += usize::from(point);
        if !self.is_space(next) && !point {
            return None;
        }
        let wrapped = self.kind_lines(next) > 0;
        next = self.skip_space(next);
        if self.role(next) == Some(Role::Article) && self.is_space(next + 1) {
            next = self.skip_space(next + 1);
        }
        match self.day_of_month(next) {
            Some((day, end)) => self.month_then_day(at, month, day, end, wrapped),
            None => self.month_then_year(at, month, next, wrapped),
        }
    }

    fn month_then_day(&self, at: usize, month: &Meaning, day: u8, end: usize, wrapped: bool) -> Option<Day> {
        // Other languages put the day first.
        if month.month_languages & ENGLISH == 0 {
            return None;
        }
        let mut found = Day { day: Some(day), ..Day::words(month, end) };
        let suffix = matches!(self.kind(end - 1), Kind::Word(_));
        if self.sign(end).is_some_and(is_dash)
            && let Some((until, behind)) = self.day_of_month(end + 1)
            && self.sign(behind) != Some(':')
        {
            found.until = Some(until);
            found.end = behind;
        }
        self.year_behind(&mut found);
        if found.year.is_none() {
            self.clock_then_year(&mut found);
        }
        let number_goes_on = !suffix && matches!(self.sign(found.end), Some(':' | '%' | '/' | '°'));
        let sure = found.year.is_some() || found.clock.is_some() || self.sure_without_year(month, at, suffix);
        let ends = if found.year.is_some() {
            self.ends_well(found.end, true)
        } else {
            self.ends_well(found.end, false)
        };
        (sure && ends && !number_goes_on && !(wrapped && found.year.is_none())).then_some(found)
    }

    /// `Sep 25 10:36:28 2003`, `Jan  1 00:00:00 GMT 2021`; also `Mar  5 10:22:33` without a year.
    fn clock_then_year(&self, found: &mut Day) {
        if self.kind_lines(found.end) > 0 || !self.is_space(found.end) {
            return;
        }
        let Some(clock) = self.clock(found.end + 1, Lead::Bare) else { return };
        let mut year_at = self.skip_blank(clock.end);
        if matches!(self.kind(year_at), Kind::Word(_))
            && self.text(year_at).bytes().all(|byte| byte.is_ascii_uppercase())
        {
            year_at = self.skip_blank(year_at + 1);
        }
        if let Some((year, 4)) = self.number(year_at)
            && self.is_year(year)
            && self.is_space(year_at - 1)
            && self.ends_well(year_at + 1, false)
            && clock.second.is_some()
        {
            let mut clock = clock;
            found.year = i32::try_from(year).ok();
            clock.end = year_at + 1;
            // `… 2021 GMT`, `… 2008 -0700`.
            if clock.offset.is_none() {
                self.zone(&mut clock, Lead::Bare);
            }
            found.end = clock.end;
            found.clock = Some(clock);
        } else if clock.certain && clock.minute.is_some() {
            found.end = clock.end;
            found.clock = Some(clock);
        }
    }

    /// `July 2014`, `abril de 2009`, `May '14`.
    fn month_then_year(&self, at: usize, month: &Meaning, next: usize, wrapped: bool) -> Option<Day> {
        let mut next = next;
        if self.sign(at + 1) == Some(',') || wrapped {
            return None;
        }
        if self.role(next) == Some(Role::Of) && self.is_space(next + 1) {
            next = self.skip_blank(next + 1);
        }
        let (year, digits) = self.number(next)?;
        let end = next + 1;
        let lower = !self.is_capital(at) && ambiguous(month) && self.text(at).len() < 6;
        let led = matches!(
            self.before_space(at).and_then(|before| self.role(before)),
            Some(Role::In | Role::Preposition | Role::Of | Role::Before | Role::After)
        );
        let year = (digits == 4 && self.is_year(year)).then(|| i32::try_from(year).ok()).flatten()?;
        if (lower && !led && month.month_languages & ENGLISH != 0) || !self.ends_well(end, true) {
            return None;
        }
        // `1.5 May 2014.5`: amounts in columns.
        Some(Day { year: Some(year), ..Day::words(month, end) })
    }

    /// `third of May 2013`, `the first day of June`.
    fn ordinal_of_month(&self, at: usize, day: u8) -> Option<Day> {
        let (month_at, of) = self.before_month(at + 1);
        let month = self.month(month_at).filter(|_| of)?;
        let mut found = Day { day: Some(day), ..Day::words(month, month_at + 1) };
        self.year_behind(&mut found);
        let sure = found.year.is_some() || self.is_capital(month_at);
        (sure && self.ends_well(found.end, true)).then_some(found)
    }

    /// A day of a month, with its suffix: `22`, `22nd`, `fourth`.
    fn day_of_month(&self, at: usize) -> Option<(u8, usize)> {
        if let Some(ordinal) = self.word(at).map(|word| word.ordinal).filter(|ordinal| *ordinal > 0) {
            return Some((ordinal, at + 1));
        }
        let (day, _) = self.number(at).filter(|(day, digits)| *digits <= 2 && (1..=31).contains(day))?;
        let suffix = self.role(at + 1) == Some(Role::OrdinalSuffix);
        if !suffix && matches!(self.kind(at + 1), Kind::Word(_)) {
            return None;
        }
        Some((u8::try_from(day).ok()?, at + 1 + usize::from(suffix)))
    }

    /// Takes the year that follows: `, 2014`, ` de 2014`, ` '14`, ` 14 10:55`.
    fn year_behind(&self, found: &mut Day) {
        let mut next = found.end;
        next += usize::from(self.sign(next) == Some(','));
        let comma = next > found.end;
        let lines = self.kind_lines(next);
        if !self.is_space(next) && !comma || lines > 1 {
            return;
        }
        next = self.skip_space(next);
        if matches!(self.role(next), Some(Role::Of)) && self.is_space(next + 1) {
            next = self.skip_space(next + 1);
        }
        if matches!(self.sign(next), Some('\'' | '’'))
            && let Some((year, 2)) = self.number(next + 1)
            && self.ends_well(next + 2, true)
        {
            found.year = Some(self.full_year(year, true));
            found.end = next + 2;
            return;
        }
        let Some((year, digits)) = self.number(next) else { return };
        let timed =
            |end| lines == 0 && !comma && self.clock_after(end).is_some_and(|clock| clock.minute.is_some());
        let known = match digits {
            4 => self.is_year(year) && self.year_ends(next + 1),
            2 => found.day.is_some() && self.is_space(next + 1) && timed(next + 1),
            _ => false,
        };
        if known {
            found.year = Some(self.full_year(year, digits == 2));
            found.end = next + 1;
        }
    }

    /// Whether a year may end here: `2014.5`, `2014,5` and `2014:30` are other numbers.
    fn year_ends(&self, end: usize) -> bool {
        let number_goes_on =
            matches!(self.sign(end), Some('.' | ',' | ':' | '/')) && self.number(end + 1).is_some();
        let apache = self.sign(end) == Some(':') && self.sign(end + 2) == Some(':');
        (!number_goes_on || apache) && !matches!(self.kind(end), Kind::Word(_))
    }

    /// Whether a date may end before token `end`: not inside of a longer number, word or path.
    ///
    /// Before `-` and a number of four digits, or a word, a range may follow (`2019-01-02-2019-03-04`) where
    /// `ranges` says so; elsewhere it is the next part of an article number.
    fn ends_well(&self, end: usize, ranges: bool) -> bool {
        let timed = matches!(self.role(end), Some(Role::T)) && self.number(end + 1).is_some();
        if matches!(self.kind(end), Kind::Word(_) | Kind::Number { .. } | Kind::Long) && !timed {
            return false;
        }
        let next = self.number(end + 1);
        match self.sign(end) {
            Some('.' | ',') => next.is_none_or(|(_, digits)| self.sign(end) == Some(',') && digits != 3),
            Some('/') => next.is_none(),
            Some(sign) if is_dash(sign) => match self.kind(end + 1) {
                Kind::Number { digits, .. } => {
                    ranges && (digits == 4 || sign != '-' || digits <= 2 && self.month_near(end + 2))
                }
                Kind::Word(_) => ranges,
                _ => true,
            },
            _ => true,
        }
    }

    /// Whether a month's name follows a day: `…-31 Mar 2019`.
    fn month_near(&self, at: usize) -> bool {
        self.month(self.skip_blank(at)).is_some()
    }

    /// Whether a day without a year is one: `12 May Street` and `it may 10 times` are not.
    fn sure_without_year(&self, month: &Meaning, at: usize, suffix: bool) -> bool {
        let capital = self.is_capital(at);
        let weekday_before = self.before_space(at).is_some_and(|before| self.weekday(before).is_some());
        let lower_is_a_word = ambiguous(month) || (month.month_short && !weekday_before);
        let mut behind = at + 1;
        // Behind the day, where the month comes first.
        if self.is_space(behind) && self.number(behind + 1).is_some_and(|(_, digits)| digits <= 2) {
            behind += 2;
        }
        let name = self.skip_blank(behind);
        let street = name > behind
            && (self.word(name).is_some_and(|word| word.street)
                || self.word(name + 2).is_some_and(|word| word.street)
                    && self.is_capital(name)
                    && self.is_capital(name + 2));
        let known_short = month.month_languages & ENGLISH != 0 && self.number_before(at);
        !street && (capital || suffix || !lower_is_a_word || (known_short && !ambiguous(month)))
    }

    /// `28 nov`: a number and white space stand before the month.
    fn number_before(&self, at: usize) -> bool {
        self.before_space(at).is_some_and(|before| self.number(before).is_some())
    }

    /// The token before the white space before `at`.
    pub(super) fn before_space(&self, at: usize) -> Option<usize> {
        let space = at.checked_sub(1).filter(|space| self.is_space(*space) && self.kind_lines(*space) < 2)?;
        space.checked_sub(1)
    }

    /// `week of 2/14`.
    fn is_week_of(&self, of: usize) -> bool {
        self.role(of) == Some(Role::Of)
            && self.before_space(of).is_some_and(|week| self.text(week).eq_ignore_ascii_case("week"))
    }

    /// Whether a word such as `version` stands before the number.
    fn counted(&self, at: usize) -> bool {
        let before = self.before_space(at).map(|before| match self.sign(before) {
            Some('.') => before.saturating_sub(1),
            _ => before,
        });
        before.is_some_and(|before| self.word(before).is_some_and(|word| word.numberer))
    }

    /// Line breaks at `at`, if that is white space.
    fn kind_lines(&self, at: usize) -> u8 {
        match self.kind(at) {
            Kind::Space { lines } => lines,
            _ => 0,
        }
    }

    fn is_year(&self, year: u32) -> bool {
        (1000..3000).contains(&year)
    }

    /// A year of two digits is of the century that the pivot says.
    fn full_year(&self, year: u32, short: bool) -> i32 {
        let year = i32::try_from(year).unwrap_or(i32::MAX);
        match short {
            true if year <= i32::from(self.options.pivot) => 2000 + year,
            true => 1900 + year,
            false => year,
        }
    }
}

/// Names of months that are everyday words, of which only a capital letter makes a month.
fn ambiguous(month: &Meaning) -> bool {
    month.month == 5 && month.month_languages & ENGLISH != 0 || month.month_short && month.month == 3
}

pub(super) fn is_dash(sign: char) -> bool {
    matches!(sign, '-' | '‐' | '‑' | '–' | '—')
}
