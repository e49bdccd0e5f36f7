//! What may begin a date, and how its parts come together: weekday, day, time, words such as `tomorrow`.
//!
//! [`Scan::date`] is asked for every token of a text, so it first decides by the token's kind alone.

use super::clock::{Clock, Lead};
use super::day::{Day, Form, is_dash};
use super::moment::Moment;
use super::names::{self, Languages, Meaning, Role, Unit};
use super::scan::Scan;
use super::token::Kind;
use super::{Found, Grain, Value, Warning};

impl Scan<'_> {
    /// The date that starts at token `at`, and the token behind it. `after_date`: another one ended just before the
    /// sign in front of it.
    pub(super) fn date(&self, at: usize, after_date: bool) -> Option<(Found, usize)> {
        match self.kind(at) {
            Kind::Number { .. } => self.number_date(at, after_date),
            Kind::Word(Some(word)) => self.word_date(at, word),
            _ => None,
        }
        .filter(|(found, _)| !self.options.strict || is_complete(found))
    }

    fn number_date(&self, at: usize, after_date: bool) -> Option<(Found, usize)> {
        if at > 0 && matches!(self.kind(at - 1), Kind::Word(_) | Kind::Number { .. } | Kind::Long) {
            return None;
        }
        // The end of a range: `2019-01-02-2019-03-04`.
        let after_date = after_date && self.sign(at - 1).is_some_and(is_dash);
        if let Some(clock) = self.clock(at, Lead::Bare)
            && (after_date || self.number_may_start(at, Form::Words))
            && let Some(found) = self.time_then_day(at, clock)
        {
            return Some(found);
        }
        if let Some(day) = self.day(at).filter(|day| after_date || self.number_may_start(at, day.form)) {
            return self.with_time(at, day);
        }
        let (amount, _) = self.number(at)?;
        self.amount_of_time(at, amount)
    }

    /// Whether a date may start with the number at `at`, by what touches it on the left.
    fn number_may_start(&self, at: usize, form: Form) -> bool {
        let Some(sign) = at.checked_sub(1).and_then(|before| self.sign(before)) else { return true };
        let before = at.checked_sub(2).map(|before| self.kind(before));
        let iso = matches!(form, Form::Iso | Form::Packed);
        match (sign, before) {
            ('#' | '$' | '€' | '£' | '§' | '№' | '\\' | '+' | '±', _) => false,
            ('-' | '.', Some(Kind::Word(_))) | ('/', Some(Kind::Word(_)) | None) => iso,
            ('/', Some(Kind::Sign(_))) => iso,
            ('=', _) => iso || !matches!(before, Some(Kind::Sign('='))),
            ('-' | '.' | '/' | ':', Some(Kind::Number { .. } | Kind::Long)) => false,
            (dash, Some(Kind::Number { .. })) if is_dash(dash) => false,
            _ => true,
        }
    }

    fn word_date(&self, at: usize, word: &Meaning) -> Option<(Found, usize)> {
        if !self.word_may_start(at) {
            return None;
        }
        if self.weekday(at).is_some()
            && let Some((day, _)) = self.day_behind_weekday(at)
        {
            return self.with_time(at, day);
        }
        if (word.month > 0 || word.ordinal > 0)
            && let Some(day) = self.day(at)
        {
            return self.with_time(at, day);
        }
        if word.nearby.is_some() && word.nearby_languages & self.options.languages.0 != 0 {
            return self.nearby_day(at, word);
        }
        match word.role {
            Some(Role::Article) if self.text(at).eq_ignore_ascii_case("the") => self.behind_article(at),
            Some(Role::In) => {
                self.in_amount(at).or_else(|| self.month_alone(at)).or_else(|| self.year_alone(at))
            }
            Some(Role::Preposition) => self.month_alone(at).or_else(|| self.year_alone(at)),
            Some(Role::Next) => self.next_weekday(at, 1),
            Some(Role::Last) => self.next_weekday(at, -1),
            _ if word.unit == Some(Unit::Day) => self.day_after_tomorrow(at, at),
            _ => self.amount_of_time(at, self.amount(at)?),
        }
    }

    /// Not inside of a path, an address or a name: `example.may`, `@june`, `mid-april` (which is not a day).
    fn word_may_start(&self, at: usize) -> bool {
        let Some(before) = at.checked_sub(1) else { return true };
        let touches_word = || {
            before.checked_sub(1).is_some_and(|behind| {
                matches!(self.kind(behind), Kind::Word(_) | Kind::Number { .. } | Kind::Long)
            })
        };
        match self.kind(before) {
            Kind::Number { .. } | Kind::Word(_) | Kind::Long => false,
            Kind::Sign('@' | '/' | '\\' | '#' | '$' | '&') => false,
            Kind::Sign('.' | '\'' | '’') => !touches_word(),
            _ => true,
        }
    }

    /// `Tuesday, July 22`: the day, and where it starts.
    fn day_behind_weekday(&self, at: usize) -> Option<(Day, usize)> {
        let mut next = at + 1;
        // `quinta-feira`
        if self.sign(next) == Some('-') && self.text(next + 1).eq_ignore_ascii_case("feira") {
            next += 2;
        }
        next += usize::from(matches!(self.sign(next), Some('.')));
        next += usize::from(self.sign(next) == Some(','));
        next = self.skip_space(next);
        if matches!(self.role(next), Some(Role::Article | Role::Am | Role::On)) && self.is_space(next + 1) {
            next = self.skip_space(next + 1);
        }
        (next > at + 1).then(|| self.day(next)).flatten().map(|day| (day, next))
    }

    /// `5pm on Tuesday, July 22`, `2:21 p.m., December 11, 2014`.
    fn time_then_day(&self, at: usize, clock: Clock) -> Option<(Found, usize)> {
        let mut next = clock.end;
        next += usize::from(self.sign(next) == Some(','));
        if self.kind_is_line(next) || !self.is_space(next) {
            return None;
        }
        next += 1;
        while matches!(self.role(next), Some(Role::On | Role::Of | Role::Am | Role::Article))
            && self.is_space(next + 1)
        {
            next = self.skip_space(next + 1);
        }
        let day = match self.weekday(next).and_then(|_| self.day_behind_weekday(next)) {
            Some((day, _)) => day,
            None => self.day(next)?,
        };
        // Where the day has a time of its own, the first time was another one.
        if day.day.is_none() || day.clock.is_some() || self.clock_after(day.end).is_some() {
            return None;
        }
        self.found(at, day.end, &day, Some(&clock)).map(|found| (found, day.end))
    }

    fn kind_is_line(&self, at: usize) -> bool {
        matches!(self.kind(at), Kind::Space { lines: 1.. })
    }

    /// A day with the time that stands behind it, if one does.
    fn with_time(&self, at: usize, day: Day) -> Option<(Found, usize)> {
        let clock = match day.clock {
            Some(clock) => Some(clock),
            None if day.day.is_some() && day.until.is_none() => self.clock_after(day.end),
            None => None,
        };
        let end = clock.map_or(day.end, |clock| clock.end.max(day.end));
        self.found(at, end, &day, clock.as_ref()).map(|found| (found, end))
    }

    /// The time that belongs to a day that ends before token `end`.
    pub(super) fn clock_after(&self, end: usize) -> Option<Clock> {
        if self.role(end) == Some(Role::T) {
            return self.clock(end + 1, Lead::Iso);
        }
        if matches!(self.sign(end), Some(':' | '_')) {
            return self.clock(end + 1, Lead::Bare).filter(|clock| clock.minute.is_some());
        }
        let mut next = end + usize::from(self.sign(end) == Some(','));
        if !self.is_space(next) {
            return None;
        }
        let same_line = !self.kind_is_line(next);
        next = self.skip_space(next);
        let dash = self.sign(next).is_some_and(is_dash) && self.is_space(next + 1);
        if dash && same_line {
            return self.clock(next + 2, Lead::Bare).filter(|clock| clock.minute.is_some());
        }
        let mut lead = if self.sign(next) == Some('@') { 1 } else { 0 };
        while lead < 3 && self.says_time(next + lead) {
            lead += 1 + usize::from(self.sign(next + lead + 1) == Some('.'));
            if self.is_space(next + lead) && self.says_time(next + lead + 1) {
                lead += 1;
            }
        }
        match lead {
            0 if same_line => {
                let clock = self.clock(next, Lead::Bare)?;
                // `5 May 10-12` and `5 May noon`: too little to go by.
                (self.number(next).is_some()).then_some(clock)
            }
            0 => None,
            _ => self.clock(self.skip_blank(next + lead), Lead::Word),
        }
    }

    fn says_time(&self, at: usize) -> bool {
        matches!(self.role(at), Some(Role::At)) || (self.text(at) == "à" || self.text(at) == "às")
    }

    /// `tomorrow`, `tomorrow at 5pm`.
    fn nearby_day(&self, at: usize, word: &Meaning) -> Option<(Found, usize)> {
        let days = i64::from(word.nearby?);
        let before = self.before_space(at);
        let named = |before: usize| self.is_capital(before) && matches!(self.kind(before), Kind::Word(_));
        // `USA Today`; `por la mañana`; `am Morgen`.
        if self.is_capital(at) && before.is_some_and(named) {
            return None;
        }
        if before.is_some_and(|before| {
            matches!(self.text(before).to_ascii_lowercase().as_str(), "la" | "am" | "guten")
        }) {
            return None;
        }
        self.relative(at, at + 1, days, word.nearby_languages)
    }

    /// `the day after tomorrow`, `the 4th of July`.
    fn behind_article(&self, at: usize) -> Option<(Found, usize)> {
        let next = self.skip_space(at + 1);
        if next == at + 1 {
            return None;
        }
        if self.word(next).is_some_and(|word| word.unit == Some(Unit::Day)) {
            return self.day_after_tomorrow(at, next);
        }
        // In `the July 22 meeting` the article is the meeting's.
        let month_first = self.word(next).is_some_and(|word| word.ordinal == 0);
        let day =
            self.day(next).filter(|day| !month_first && day.form == Form::Words && day.day.is_some())?;
        self.with_time(at, day)
    }

    fn day_after_tomorrow(&self, at: usize, day: usize) -> Option<(Found, usize)> {
        let side = self.skip_space(day + 1);
        let word = self.skip_space(side + 1);
        let days = match (self.role(side)?, self.word(word)?.nearby?) {
            (Role::After, 1) => 2,
            (Role::Before, -1) => -2,
            _ => return None,
        };
        self.relative(at, word + 1, days, names::ENGLISH)
    }

    /// A day counted from the reference, with the time behind it.
    fn relative(&self, at: usize, end: usize, days: i64, languages: Languages) -> Option<(Found, usize)> {
        let moment = self.reference.plus_seconds(days * 86_400)?;
        let clock = self.clock_after(end);
        let (moment, end) = match &clock {
            Some(clock) => (clock.on(moment)?, clock.end),
            None => (moment, end),
        };
        let value = Value::Relative {
            at: moment,
            offset: clock.and_then(|clock| clock.offset),
            delta_seconds: moment.seconds_since(self.reference),
        };
        let grain = clock.map_or(Grain::Day, |clock| clock.grain());
        Some((self.place(at, end, value, grain, languages, 0.92), end))
    }

    /// `next Monday` is the first one behind the day of reference, `last Monday` the last one before it.
    fn next_weekday(&self, at: usize, direction: i64) -> Option<(Found, usize)> {
        let next = self.skip_space(at + 1);
        let weekday = self.weekday(next).filter(|_| next > at + 1)?;
        if weekday.weekday_short && !self.is_capital(next) {
            return None;
        }
        let ahead = (i64::from(weekday.weekday) - 1 - i64::from(self.reference.weekday())).rem_euclid(7);
        let days = match (direction, ahead) {
            (1, 0) => 7,
            (1, ahead) => ahead,
            (_, ahead) => ahead - 7,
        };
        let (mut found, end) = self.relative(at, next + 1, days, names::ENGLISH)?;
        found.confidence = 0.7;
        Some((found, end))
    }

    /// A number written as a word: `three`, `a`.
    fn amount(&self, at: usize) -> Option<u32> {
        let word = self.word(at)?;
        match word.number {
            0 if self.text(at).eq_ignore_ascii_case("a") => Some(1),
            0 => None,
            number => Some(u32::from(number)),
        }
    }

    /// The unit behind an amount that ends before `at`, and the token behind the unit.
    fn unit(&self, at: usize) -> Option<(Unit, usize)> {
        let word = self.skip_space(at);
        let meaning = self.word(word).filter(|_| word > at)?;
        meaning.unit.map(|unit| (unit, word + 1))
    }

    /// `in 3 days`, `in two weeks`; not the length of something: `in 14 hours 56 minutes`.
    fn in_amount(&self, at: usize) -> Option<(Found, usize)> {
        let number = self.skip_space(at + 1);
        let amount = match self.number(number) {
            Some((amount, 1..=5)) => amount,
            Some(_) => return None,
            None if self.text(number).eq_ignore_ascii_case("an") => 1,
            None => self.amount(number)?,
        };
        let (unit, end) = self.unit(number + 1)?;
        let goes_on = self.skip_space(end);
        if self.number(goes_on).is_some() && self.unit(goes_on + 1).is_some() {
            return None;
        }
        self.shifted(at, end, i64::from(amount), unit, 0.85)
    }

    /// `3 days ago`; else, a duration.
    fn amount_of_time(&self, at: usize, amount: u32) -> Option<(Found, usize)> {
        if self.number(at).is_some_and(|(_, digits)| digits > 5) || !self.number_may_start(at, Form::Words) {
            return None;
        }
        let (unit, mut end) = self.unit(at + 1)?;
        let behind = self.skip_space(end);
        if self.role(behind) == Some(Role::Ago) {
            return self.shifted(at, behind + 1, -i64::from(amount), unit, 0.95);
        }
        if self.word(at).is_some() && self.number(at).is_none() && self.amount(at) == Some(1) {
            return None;
        }
        end = end.min(behind);
        let seconds = i64::from(amount) * unit.seconds();
        let value = Value::Duration { amount, unit, seconds };
        Some((self.place(at, end, value, unit.grain(), names::ENGLISH, 0.8), end))
    }

    fn shifted(
        &self,
        at: usize,
        end: usize,
        amount: i64,
        unit: Unit,
        confidence: f64,
    ) -> Option<(Found, usize)> {
        let moment = match unit {
            Unit::Month => self.reference.plus_months(amount),
            Unit::Year => self.reference.plus_months(amount * 12),
            _ => self.reference.plus_seconds(amount * unit.seconds()),
        }?;
        let by_day = matches!(unit, Unit::Day | Unit::Week | Unit::Month | Unit::Year);
        let clock = if by_day { self.clock_after(end) } else { None };
        let (moment, end) = match &clock {
            Some(clock) => (clock.on(moment)?, clock.end),
            None => (moment, end),
        };
        let value = Value::Relative {
            at: moment,
            offset: clock.and_then(|clock| clock.offset),
            delta_seconds: moment.seconds_since(self.reference),
        };
        let grain = clock.map_or(unit.grain(), |clock| clock.grain());
        Some((self.place(at, end, value, grain, names::ENGLISH, confidence), end))
    }

    /// `in May`: the first of that month.
    fn month_alone(&self, at: usize) -> Option<(Found, usize)> {
        let month_at = self.skip_blank(at + 1);
        let month = self.month(month_at).filter(|_| self.options.month_only && month_at > at + 1)?;
        let end = month_at + 1;
        let behind = self.skip_space(end);
        let goes_on = self.number(behind).is_some()
            || (behind > end && matches!(self.kind(behind), Kind::Word(_)) && self.is_capital(behind))
            || matches!(self.sign(end), Some('-' | '/' | '@' | '_' | '\'' | '’'))
            || matches!(self.kind(end), Kind::Number { .. } | Kind::Word(_));
        if month.month_short
            || !self.is_capital(month_at)
            || goes_on
            || month.month_languages & names::ENGLISH == 0
        {
            return None;
        }
        let value = Value::Absolute { at: Moment::on(self.reference.year, month.month, 1)?, offset: None };
        let mut found = self.place(month_at, end, value, Grain::Month, month.month_languages, 0.5);
        found.warnings = vec![Warning::MonthOnly, Warning::InferredYear, Warning::InferredDay];
        Some((found, end))
    }

    /// `in 2008`: that year.
    fn year_alone(&self, at: usize) -> Option<(Found, usize)> {
        let led = ["in", "since", "until", "during"];
        let year_at = self.skip_blank(at + 1);
        let (year, 4) = self.number(year_at).filter(|(year, _)| (1500..2100).contains(year))? else {
            return None;
        };
        let end = year_at + 1;
        let goes_on = matches!(self.kind(end), Kind::Word(_) | Kind::Number { .. } | Kind::Long)
            || matches!(self.sign(end), Some('/' | '-' | '–' | ':' | '%'))
            || (matches!(self.sign(end), Some('.' | ',')) && self.number(end + 1).is_some())
            || self.word(self.skip_space(end)).is_some_and(|word| word.unit.is_some() || word.month > 0);
        if goes_on || !led.iter().any(|word| self.text(at).eq_ignore_ascii_case(word)) {
            return None;
        }
        let value = Value::Absolute { at: Moment::on(i32::try_from(year).ok()?, 1, 1)?, offset: None };
        let mut found = self.place(year_at, end, value, Grain::Year, 0, 0.6);
        found.warnings = vec![Warning::YearOnly];
        Some((found, end))
    }

    /// A day, with the parts that it lacks taken from the reference.
    fn found(&self, at: usize, end: usize, day: &Day, clock: Option<&Clock>) -> Option<Found> {
        let first = Moment::on(self.year_of(day), day.month, day.day.unwrap_or(1))?;
        let value = match (day.until, clock) {
            (Some(until), _) => Value::Interval {
                start: first,
                end: Moment::on(first.year, day.month, until)?.plus_seconds(86_400)?,
            },
            (None, Some(clock)) => Value::Absolute { at: clock.on(first)?, offset: clock.offset },
            (None, None) => Value::Absolute { at: first, offset: None },
        };
        let grain = match (day.day, clock) {
            (None, _) => Grain::Month,
            (Some(_), None) => Grain::Day,
            (Some(_), Some(clock)) => clock.grain(),
        };
        let mut found = self.place(at, end, value, grain, day.languages, day.confidence());
        found.alternate = day.other.and_then(|(year, month, day)| {
            let other = Moment::on(year, month, day)?;
            let at = clock.map_or(Some(other), |clock| clock.on(other))?;
            Some(Value::Absolute { at, offset: clock.and_then(|clock| clock.offset) })
        });
        let inferred = [
            (day.year.is_none(), Warning::InferredYear),
            (day.day.is_none(), Warning::InferredDay),
            (day.other.is_some(), Warning::AmbiguousOrder),
        ];
        found.warnings = inferred.into_iter().filter(|(so, _)| *so).map(|(_, warning)| warning).collect();
        Some(found)
    }

    /// The year of the reference, or for 29 February the next that has one.
    fn year_of(&self, day: &Day) -> i32 {
        let near = self.reference.year;
        let exists = |year: &i32| Moment::on(*year, day.month, day.day.unwrap_or(1)).is_some();
        day.year.unwrap_or_else(|| (near..=near + 8).find(exists).unwrap_or(near))
    }

    fn place(
        &self,
        at: usize,
        end: usize,
        value: Value,
        grain: Grain,
        languages: Languages,
        confidence: f64,
    ) -> Found {
        let asked = languages & self.options.languages.0;
        Found {
            start: self.tokens[at].start,
            end: self.tokens[end - 1].end,
            start_char: 0,
            end_char: 0,
            value,
            alternate: None,
            grain,
            language: names::CODES.iter().find(|(_, bit)| asked & bit != 0).map_or("und", |(code, _)| code),
            confidence,
            warnings: Vec::new(),
        }
    }
}

impl Day {
    /// How often such a text is this day; set by hand from how much of it could be something else.
    fn confidence(&self) -> f64 {
        match (self.form, self.year, self.day) {
            (Form::Iso, ..) => 0.99,
            (Form::Words, Some(_), Some(_)) => 0.98,
            (Form::Numeric, Some(_), _) if self.other.is_some() => 0.8,
            (Form::Numeric, Some(_), _) => 0.93,
            (Form::Packed, ..) => 0.85,
            (Form::Words, Some(_), None) => 0.85,
            (Form::Words, None, _) => 0.8,
            (Form::Numeric, None, _) => 0.6,
        }
    }
}

impl Clock {
    fn on(&self, day: Moment) -> Option<Moment> {
        day.at(self.hour, self.minute.unwrap_or(0), self.second.unwrap_or(0), self.microsecond)
    }

    fn grain(&self) -> Grain {
        match (self.minute, self.second) {
            (_, Some(_)) => Grain::Second,
            (Some(_), None) => Grain::Minute,
            (None, None) => Grain::Hour,
        }
    }
}

impl Unit {
    /// Seconds of one; a month counts 30 days and a year 365.
    fn seconds(self) -> i64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
            Self::Day => 86_400,
            Self::Week => 7 * 86_400,
            Self::Month => 30 * 86_400,
            Self::Year => 365 * 86_400,
        }
    }

    fn grain(self) -> Grain {
        match self {
            Self::Second => Grain::Second,
            Self::Minute => Grain::Minute,
            Self::Hour => Grain::Hour,
            Self::Day => Grain::Day,
            Self::Week => Grain::Week,
            Self::Month => Grain::Month,
            Self::Year => Grain::Year,
        }
    }

    /// `days`, and so on.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Second => "seconds",
            Self::Minute => "minutes",
            Self::Hour => "hours",
            Self::Day => "days",
            Self::Week => "weeks",
            Self::Month => "months",
            Self::Year => "years",
        }
    }
}

/// Whether year, month and day are written in the text.
fn is_complete(found: &Found) -> bool {
    let day = matches!(found.grain, Grain::Day | Grain::Hour | Grain::Minute | Grain::Second);
    let absolute = matches!(found.value, Value::Absolute { .. } | Value::Interval { .. });
    absolute && day && !found.warnings.contains(&Warning::InferredYear)
}
