//! One pass over the tokens, which decides what each is from what it is, what stands beside it, and what is known
//! already.
//!
//! A branch is tried only when those before it did not fit, so their order is the grammar. Start at [`read`].

use super::format::{Mark, Role};
use super::tokens::{Kind, Token, Tokens};
use super::vocabulary::{Meaning, Vocabulary};
use super::ymd::{Label, Ymd};
use super::{Name, Options, Parsed};
use crate::Error;

/// Reads the tokens that were cut from `text`.
pub(super) fn read(
    text: &str,
    options: Options,
    vocabulary: &dyn Vocabulary,
    tokens: &mut Tokens,
) -> Result<Parsed, Error> {
    let Tokens { list, skipped, clean, marks, depends_on_values, given_up_at } = tokens;
    let text = clean.as_deref().unwrap_or(text);
    let mut reader = Reader {
        text,
        list,
        options,
        vocabulary,
        ymd: Ymd::default(),
        parsed: Parsed::default(),
        skipped,
        marks: marks.as_mut(),
        depends_on_values,
    };
    let read = reader.read_all();
    if let Err((_, token)) = &read {
        let start = token.start as usize;
        *given_up_at = Some(start..start + token.len as usize);
    }
    read.map_err(|(error, _)| error)?;
    reader.finish()
}

struct Reader<'t> {
    text: &'t str,
    list: &'t mut Vec<Token>,
    options: Options,
    vocabulary: &'t dyn Vocabulary,
    ymd: Ymd,
    parsed: Parsed,
    skipped: &'t mut Vec<u32>,
    marks: Option<&'t mut Vec<Mark>>,
    depends_on_values: &'t mut bool,
}

/// A number by its value: the whole part, and whether anything follows the decimal point.
#[derive(Clone, Copy)]
struct Value {
    whole: i64,
    has_fraction: bool,
}

impl Reader<'_> {
    /// Reads until a token that has no place in a date: the error has that one.
    fn read_all(&mut self) -> Result<(), (Error, Token)> {
        let mut at = 0;
        while let Some(token) = self.list.get(at).copied() {
            let last = match token.kind {
                Kind::Number => self.number(at, token),
                Kind::Text if is_no_number(token.text(self.text)) => Err(Error::UnknownFormat),
                _ => self.word(at, token),
            };
            at = last.map_err(|error| (error, token))? + 1;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Parsed, Error> {
        let (parts, (year, month, day)) = self.ymd.resolve(self.options)?;
        if let Some(marks) = &mut self.marks {
            for mark in marks.iter_mut() {
                mark.resolve(&parts);
            }
        }
        Ok(Parsed { year, month, day, century_specified: self.ymd.century_specified, ..self.parsed })
    }

    /// A token that is no number; gives the place of the last token that belongs to it.
    fn word(&mut self, at: usize, token: Token) -> Result<usize, Error> {
        let meaning = token.meaning;
        if meaning.weekday >= 0 {
            self.parsed.weekday = Some(i64::from(meaning.weekday));
            self.mark(token, Role::Weekday);
            return Ok(at);
        }
        if meaning.month >= 0 {
            return self.month(at, token);
        }
        if meaning.half >= 0 {
            if self.half_fits()? {
                self.half(token);
            } else {
                self.skip(at);
            }
            return Ok(at);
        }
        if self.parsed.zone_offset.is_none() && self.could_be_zone(&token) {
            return self.zone_name(at, token);
        }
        if self.parsed.hour.is_some() && matches!(token.symbol, b'+' | b'-') {
            return self.zone_offset(at, token.symbol);
        }
        if !(meaning.jump || self.options.fuzzy) {
            return Err(Error::UnknownFormat);
        }
        self.skip(at);
        Ok(at)
    }

    /// A month in letters, with the numbers that a mark joins to it.
    fn month(&mut self, at: usize, token: Token) -> Result<usize, Error> {
        self.mark_ymd(token);
        self.ymd.push_month(i64::from(token.meaning.month))?;
        match self.symbol(at + 1) {
            Some(mark @ (b'-' | b'/')) => {
                // Jan-01[-99]
                self.push_written(at + 2)?;
                if self.symbol(at + 3) != Some(mark) {
                    return Ok(at + 2);
                }
                self.push_written(at + 4)?;
                Ok(at + 4)
            }
            Some(b' ') if self.symbol(at + 3) == Some(b' ') && self.is_pertain(at + 2) => {
                let Some(year) = self.list.get(at + 4).copied() else { return Ok(at) };
                *self.depends_on_values = true;
                // "Jan of 01": a year, whatever its digits.
                if year.is_whole() {
                    let value = self.vocabulary.full_year(whole(year.digits(self.text).0), false)?;
                    self.mark_ymd(year);
                    let digits = value.checked_ilog10().map_or(1, |digits| digits as usize + 1);
                    self.ymd.push_digits(value, digits, Some(Label::Year))?;
                } else if year.kind == Kind::OddDigits {
                    return Err(Error::UnknownFormat);
                }
                Ok(at + 4)
            }
            _ => Ok(at),
        }
    }

    /// Whether "am" or "pm" can be meant: with `fuzzy`, "a" is also an English word.
    fn half_fits(&self) -> Result<bool, Error> {
        let fuzzy = self.options.fuzzy;
        match self.parsed.hour {
            Some(hour) if (0..=12).contains(&hour) => Ok(!(fuzzy && self.parsed.half.is_some())),
            _ if fuzzy => Ok(false),
            _ => Err(Error::UnknownFormat),
        }
    }

    fn half(&mut self, token: Token) {
        let half = i64::from(token.meaning.half);
        self.parsed.hour = self.parsed.hour.map(|hour| with_half(hour, half));
        self.parsed.half = Some(half);
        self.mark(token, Role::Half);
    }

    /// Whether a token looks like a zone's name, and one may follow.
    fn could_be_zone(&self, token: &Token) -> bool {
        if self.parsed.hour.is_none() || self.parsed.zone_name.is_some() {
            return false;
        }
        let name = token.text(self.text);
        (token.meaning.utc_as_written && name.chars().count() <= 5)
            || (name.len() <= 5 && name.bytes().all(|byte| byte.is_ascii_uppercase()))
    }

    /// "BRST", "BRST+3" or "GMT+3".
    fn zone_name(&mut self, at: usize, token: Token) -> Result<usize, Error> {
        let name = token.text(self.text);
        self.mark(token, Role::ZoneName);
        self.parsed.zone_name = Name::new(name);
        self.parsed.zone_offset = self.vocabulary.zone_offset(name)?;
        if let Some(sign @ (b'+' | b'-')) = self.symbol(at + 1) {
            // "My time plus 3 is GMT", so the sign means its opposite.
            self.list[at + 1].symbol = if sign == b'+' { b'-' } else { b'+' };
            self.parsed.zone_offset = None;
            if token.meaning.utc {
                // "GMT+3" is a zone that is not GMT.
                self.parsed.zone_name = None;
            }
        }
        Ok(at)
    }

    /// "+0300", "+03:00" or "+3", and after it perhaps a name in parentheses.
    fn zone_offset(&mut self, at: usize, sign: u8) -> Result<usize, Error> {
        let digits = self.list.get(at + 1).copied().ok_or(Error::UnknownFormat)?;
        let text = self.piece(&digits);
        let mut end = at + 1;
        let (hours, minutes) = if text.chars().count() == 4 {
            let (hours, minutes) = text.as_bytes().split_at_checked(2).ok_or(Error::UnknownFormat)?;
            (integer(hours)?, integer(minutes)?)
        } else if self.symbol(at + 2) == Some(b':') {
            end = at + 3;
            (self.integer_at(at + 1)?, self.integer_at(at + 3)?)
        } else if text.chars().count() <= 2 {
            (integer(text.as_bytes())?, 0)
        } else {
            return Err(Error::UnknownFormat);
        };
        let seconds = hours.saturating_mul(3600).saturating_add(minutes.saturating_mul(60));
        self.parsed.zone_offset = Some(if sign == b'+' { seconds } else { -seconds });
        self.mark_from(at, end, Role::Offset);
        Ok(self.zone_in_parentheses(end).unwrap_or(end))
    }

    /// "-0300 (BRST)": gives the place of the closing parenthesis.
    fn zone_in_parentheses(&mut self, at: usize) -> Option<usize> {
        let between = self.list.get(at + 1)?.meaning.jump;
        let name = self.list.get(at + 3).copied()?;
        let enclosed = self.symbol(at + 2) == Some(b'(') && self.symbol(at + 4) == Some(b')');
        let text = self.piece(&name);
        if !(between && enclosed && text.chars().count() >= 3 && self.could_be_zone(&name)) {
            return None;
        }
        self.parsed.zone_name = Name::new(text);
        self.mark(name, Role::ZoneName);
        Some(at + 4)
    }

    /// A number; gives the place of the last token that belongs to it.
    fn number(&mut self, at: usize, token: Token) -> Result<usize, Error> {
        let next = self.list.get(at + 1).copied();
        let (length, point) = (token.len, token.point);
        let next_symbol = next.map_or(0, |next| next.symbol);
        let next_meaning = next.map_or(Meaning::NONE, |next| next.meaning);
        if self.ymd.len() == 3
            && matches!(length, 2 | 4)
            && self.parsed.hour.is_none()
            && next_symbol != b':'
            && next_meaning.unit < 0
        {
            // 19990101T23[59]
            self.parsed.hour = Some(self.integer_in(token, 0, 2)?);
            self.mark_in(token, 0, 2, Role::Hour);
            if length == 4 {
                self.parsed.minute = Some(self.integer_in(token, 2, 4)?);
                self.mark_in(token, 2, 4, Role::Minute);
            }
            return Ok(at);
        }
        if length == 6 || (length > 6 && point == 6) {
            return self.six_digits(token).map(|()| at);
        }
        if matches!(length, 8 | 12 | 14) {
            return self.eight_digits(token).map(|()| at);
        }
        if let Some((unit, end)) = self.unit(at) {
            self.with_unit(token, unit)?;
            return Ok(end);
        }
        if next_symbol == b':' && self.list.len() > at + 2 {
            return self.clock(at, token);
        }
        if matches!(next_symbol, b'-' | b'/' | b'.') {
            return self.joined_date(at, next_symbol);
        }
        let value = self.value(token);
        if next.is_none() || next_meaning.jump {
            let after = self.list.get(at + 2).map_or(Meaning::NONE, |after| after.meaning);
            if after.half >= 0 {
                // 12 am
                self.parsed.hour = Some(with_half(value.whole, i64::from(after.half)));
                self.mark(token, Role::Hour);
                self.mark_from(at + 2, at + 2, Role::Half);
                return Ok(at + 2);
            }
            self.push_value(token, value)?;
            return Ok(at + 1);
        }
        if next_meaning.half >= 0 && value.whole < 24 {
            // 12am
            self.parsed.hour = Some(with_half(value.whole, i64::from(next_meaning.half)));
            self.mark(token, Role::Hour);
            self.mark_from(at + 1, at + 1, Role::Half);
            return Ok(at + 1);
        }
        *self.depends_on_values = true;
        if self.ymd.could_be_day(value.whole, value.has_fraction).ok_or(Error::UnknownFormat)? {
            self.push_value(token, value)?;
        } else if !self.options.fuzzy {
            return Err(Error::UnknownFormat);
        }
        Ok(at)
    }

    /// YYMMDD, or HHMMSS and perhaps a fraction of the second.
    fn six_digits(&mut self, token: Token) -> Result<(), Error> {
        if self.ymd.len() == 0 && token.is_whole() {
            for start in [0, 2, 4] {
                let value = self.integer_in(token, start, start + 2)?;
                self.mark_ymd_in(token, start, start + 2);
                self.ymd.push_digits(value, 2, None)?;
            }
            return Ok(());
        }
        self.parsed.hour = Some(self.integer_in(token, 0, 2)?);
        self.parsed.minute = Some(self.integer_in(token, 2, 4)?);
        self.mark_in(token, 0, 2, Role::Hour);
        self.mark_in(token, 2, 4, Role::Minute);
        let digits = token.text(self.text).as_bytes();
        let point = token.point as usize;
        if point < 4 {
            return Err(Error::UnknownFormat);
        }
        self.parsed.second = Some(integer(&digits[4..point])?);
        self.mark_in(token, 4, point, Role::Second);
        self.parsed.microsecond = Some(microseconds(token.digits(self.text).1));
        if !token.is_whole() {
            self.mark_in(token, point + 1, digits.len(), Role::Fraction);
        }
        Ok(())
    }

    /// YYYYMMDD, and perhaps hhmm or hhmmss.
    fn eight_digits(&mut self, token: Token) -> Result<(), Error> {
        for (start, end, label) in [(0, 4, Some(Label::Year)), (4, 6, None), (6, 8, None)] {
            let value = self.integer_in(token, start, end)?;
            self.mark_ymd_in(token, start, end);
            self.ymd.push_digits(value, end - start, label)?;
        }
        if token.len > 8 {
            self.parsed.hour = Some(self.integer_in(token, 8, 10)?);
            self.parsed.minute = Some(self.integer_in(token, 10, 12)?);
            self.mark_in(token, 8, 10, Role::Hour);
            self.mark_in(token, 10, 12, Role::Minute);
        }
        if token.len > 12 {
            self.parsed.second = Some(self.integer_in(token, 12, 14)?);
            self.mark_in(token, 12, 14, Role::Second);
        }
        Ok(())
    }

    /// Which unit a number has from the words beside it, and the last token that belongs to it.
    fn unit(&self, at: usize) -> Option<(i64, usize)> {
        let unit_at = |at: usize| {
            self.list.get(at).map(|token| i64::from(token.meaning.unit)).filter(|unit| *unit >= 0)
        };
        if let Some(unit) = unit_at(at + 1) {
            return Some((unit, at + 1));
        }
        if let Some(unit) = unit_at(at + 2).filter(|_| self.symbol(at + 1) == Some(b' ')) {
            return Some((unit, at + 2));
        }
        // "12h04": the minutes have no word of their own, so they have the unit after the hours'.
        if let Some(unit) = at.checked_sub(1).and_then(unit_at) {
            return Some((unit + 1, at));
        }
        let is_last = at + 1 == self.list.len();
        let before = at.checked_sub(2).filter(|_| is_last && self.symbol(at - 1) == Some(b' '))?;
        unit_at(before).map(|unit| (unit + 1, at))
    }

    /// "12h", "36m", "28.5s".
    fn with_unit(&mut self, token: Token, unit: i64) -> Result<(), Error> {
        let (digits, fraction) = token.digits(self.text);
        let value = whole(digits);
        match unit {
            0 => {
                self.parsed.hour = Some(value);
                divisible(digits)?;
                if has_fraction(fraction) {
                    self.parsed.minute = Some(sixtieths(fraction));
                }
                self.mark_whole(token, Role::Hour);
            }
            1 => {
                self.minute_and_second(token)?;
                self.mark_whole(token, Role::Minute);
            }
            2 => {
                self.parsed.second = Some(value);
                self.parsed.microsecond = Some(microseconds(fraction));
                self.mark_seconds(token);
            }
            _ => {}
        }
        Ok(())
    }

    /// HH:MM[:SS[.ss]]
    fn clock(&mut self, at: usize, token: Token) -> Result<usize, Error> {
        self.parsed.hour = Some(self.value(token).whole);
        self.mark_whole(token, Role::Hour);
        let minutes = self.number_at(at + 2)?;
        self.minute_and_second(minutes)?;
        self.mark_whole(minutes, Role::Minute);
        if self.symbol(at + 3) != Some(b':') || self.list.len() <= at + 4 {
            return Ok(at + 2);
        }
        let seconds = self.number_at(at + 4)?;
        let (digits, fraction) = seconds.digits(self.text);
        self.parsed.second = Some(whole(digits));
        self.parsed.microsecond = Some(microseconds(fraction));
        self.mark_seconds(seconds);
        Ok(at + 4)
    }

    /// Minutes, whose fraction is seconds.
    fn minute_and_second(&mut self, token: Token) -> Result<(), Error> {
        let (digits, fraction) = token.digits(self.text);
        divisible(digits)?;
        self.parsed.minute = Some(whole(digits));
        self.parsed.second = has_fraction(fraction).then(|| sixtieths(fraction));
        Ok(())
    }

    /// Numbers, or a number and a month, that one mark joins: 01-02, 01/Jan/99.
    fn joined_date(&mut self, at: usize, mark: u8) -> Result<usize, Error> {
        self.push_written(at)?;
        let Some(second) = self.list.get(at + 2).copied().filter(|second| !second.meaning.jump) else {
            return Ok(at + 1);
        };
        if second.is_whole() {
            self.push_written(at + 2)?;
        } else if second.meaning.month >= 0 && second.kind != Kind::OddDigits {
            self.mark_ymd(second);
            self.ymd.push_month(i64::from(second.meaning.month))?;
        } else {
            return Err(Error::UnknownFormat);
        }
        if self.symbol(at + 3) != Some(mark) {
            return Ok(at + 2);
        }
        let third = self.list.get(at + 4).copied().ok_or(Error::UnknownFormat)?;
        if third.meaning.month >= 0 {
            self.mark_ymd(third);
            self.ymd.push_month(i64::from(third.meaning.month))?;
        } else {
            self.push_written(at + 4)?;
        }
        Ok(at + 4)
    }

    /// Adds the token to the date as it is written; only digits can be.
    fn push_written(&mut self, at: usize) -> Result<(), Error> {
        let token = self.list.get(at).copied().filter(Token::is_whole).ok_or(Error::UnknownFormat)?;
        self.mark_ymd(token);
        self.ymd.push_digits(whole(token.text(self.text).as_bytes()), token.len as usize, None)
    }

    fn push_value(&mut self, token: Token, value: Value) -> Result<(), Error> {
        self.mark_ymd(token);
        let exceeds_100 = value.whole > 100 || (value.whole == 100 && value.has_fraction);
        self.ymd.push_value(value.whole, exceeds_100)
    }

    fn skip(&mut self, at: usize) {
        self.skipped.push(u32::try_from(at).expect("there are fewer tokens than bytes"));
    }

    fn symbol(&self, at: usize) -> Option<u8> {
        self.list.get(at).map(|token| token.symbol)
    }

    fn is_pertain(&self, at: usize) -> bool {
        self.list.get(at).is_some_and(|token| token.meaning.pertain)
    }

    fn piece(&self, token: &Token) -> &str {
        token.text(self.text)
    }

    fn value(&self, token: Token) -> Value {
        let (digits, fraction) = token.digits(self.text);
        Value { whole: whole(digits), has_fraction: has_fraction(fraction) }
    }

    fn number_at(&self, at: usize) -> Result<Token, Error> {
        self.list.get(at).copied().filter(|token| token.kind == Kind::Number).ok_or(Error::UnknownFormat)
    }

    /// The digits of a token as a number, as `int` reads them: no decimal point.
    fn integer_at(&self, at: usize) -> Result<i64, Error> {
        self.number_at(at).and_then(|token| integer(token.text(self.text).as_bytes()))
    }

    fn integer_in(&self, token: Token, start: usize, end: usize) -> Result<i64, Error> {
        integer(&token.text(self.text).as_bytes()[start..end])
    }

    fn mark(&mut self, token: Token, role: Role) {
        self.mark_in(token, 0, token.len as usize, role);
    }

    /// The digits before a decimal point; what follows it has no sign of its own in a format.
    fn mark_whole(&mut self, token: Token, role: Role) {
        if token.is_whole() {
            self.mark(token, role);
        } else {
            self.mark(token, Role::Unsayable);
        }
    }

    fn mark_seconds(&mut self, token: Token) {
        let point = token.point as usize;
        self.mark_in(token, 0, point, Role::Second);
        if !token.is_whole() {
            self.mark_in(token, point + 1, token.len as usize, Role::Fraction);
        }
    }

    fn mark_ymd(&mut self, token: Token) {
        self.mark_ymd_in(token, 0, token.len as usize);
    }

    fn mark_ymd_in(&mut self, token: Token, start: usize, end: usize) {
        let index = self.ymd.len();
        self.mark_in(token, start, end, Role::OfDate(index));
    }

    fn mark_from(&mut self, first: usize, last: usize, role: Role) {
        if let (Some(marks), Some(first), Some(last)) =
            (&mut self.marks, self.list.get(first), self.list.get(last))
        {
            marks.push(Mark { start: first.start as usize, end: (last.start + last.len) as usize, role });
        }
    }

    #[inline]
    fn mark_in(&mut self, token: Token, start: usize, end: usize, role: Role) {
        if let Some(marks) = &mut self.marks {
            let place = token.start as usize;
            marks.push(Mark { start: place + start, end: place + end, role });
        }
    }
}

/// How many digits the original computes with.
const PRECISION: usize = 28;

/// Whether Python reads a word as a number that is none: such a text is refused, even with `fuzzy`.
fn is_no_number(word: &str) -> bool {
    let words: &[&str] = match word.len() {
        3 => &["nan", "inf"],
        8 => &["infinity"],
        _ => return false,
    };
    words.iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// The hour of 24 that an hour of 12 in a half of the day is.
pub(super) fn with_half(hour: i64, half: i64) -> i64 {
    match (hour, half) {
        (..12, 1) => hour + 12,
        (12, 0) => 0,
        _ => hour,
    }
}

/// Digits as a number; `i64::MAX` where they do not fit.
fn whole(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value: i64, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// Digits, and nothing else, as a number.
fn integer(digits: &[u8]) -> Result<i64, Error> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Error::UnknownFormat);
    }
    Ok(whole(digits))
}

/// Whether the original can split a number before its decimal point: it computes with twenty-eight digits.
fn divisible(digits: &[u8]) -> Result<(), Error> {
    if digits.len() - digits.iter().take_while(|digit| **digit == b'0').count() > PRECISION {
        return Err(Error::TooManyDigits);
    }
    Ok(())
}

fn has_fraction(digits: &[u8]) -> bool {
    digits.iter().any(|digit| *digit != b'0')
}

/// The digits after a decimal point in sixtieths, rounded down.
fn sixtieths(digits: &[u8]) -> i64 {
    let digits = &digits[..digits.len().min(PRECISION)];
    let (value, unit) = digits
        .iter()
        .fold((0_u128, 1_u128), |(value, unit), digit| (value * 10 + u128::from(digit - b'0'), unit * 10));
    i64::try_from(value * 60 / unit).expect("less than 60")
}

/// The digits after a decimal point in millionths, rounded down.
fn microseconds(digits: &[u8]) -> i64 {
    (0..6).fold(0, |value, at| value * 10 + digits.get(at).map_or(0, |digit| i64::from(digit - b'0')))
}
