//! Where the parts lie in a text, so that others of the same shape are read without cutting them into tokens.
//!
//! A layout is learnt from a text that was parsed, and is used only for what cannot be otherwise: every other byte is
//! the same, digits stand where digits stood, and which number is the day is decided anew. Where anything else could
//! change the answer, [`Layout::read`] gives none and the text is parsed. Start at [`Layout::learn`].

use super::format::{Mark, Role};
use super::grammar::with_half;
use super::stencil::{Stencil, Whole};
use super::vocabulary::english;
use super::ymd::Ymd;
use super::{English, Options, Parsed, Tokens, full_year, parse};

/// The places of the parts in the texts of one shape.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The text from which the layout was learnt.
    pattern: Vec<u8>,
    /// Pieces in the order of the text; what lies between them is as in the pattern.
    pieces: Vec<Mark>,
    options: Options,
    half: Option<i64>,
    /// What the pattern says; the parts without a piece are the same for every text.
    parsed: Parsed,
    /// For texts that say a whole date.
    stencil: Option<Stencil>,
}

impl Layout {
    /// Learns from a text; `None` where it is no date, or where its shape alone does not decide.
    ///
    /// Cost:   that of parsing the text three times
    ///
    /// ```
    /// use naja_dates::parser::{English, Layout, Options};
    ///
    /// let english = English { year: 2026 };
    /// let layout = Layout::learn("25 Sep 2003 10:49", Options::default(), &english).expect("a date with a shape");
    /// let parsed = layout.read(b"01 Oct 1999 23:07", &english).expect("of the same shape");
    /// assert_eq!((parsed.year, parsed.month, parsed.day, parsed.hour), (Some(1999), Some(10), Some(1), Some(23)));
    /// assert_eq!(layout.read(b"1 Oct 1999 23:07", &english), None);
    /// ```
    pub fn learn(text: &str, options: Options, vocabulary: &English) -> Option<Layout> {
        if !text.is_ascii() || text.contains('\0') || options.fuzzy {
            return None;
        }
        let mut tokens = Tokens { marks: Some(Vec::new()), ..Tokens::default() };
        let mut parsed = parse(text, options, vocabulary, &mut tokens).ok()?;
        parsed.complete(vocabulary).ok()?;
        if tokens.depends_on_values {
            return None;
        }
        let mut pieces = tokens.marks.take()?;
        pieces.sort_by_key(|piece| piece.start);
        // What is said twice may take back what else was said: seconds without a fraction, an hour's half.
        let once = [Role::Weekday, Role::Hour, Role::Minute, Role::Second, Role::Fraction, Role::Half];
        if once.iter().any(|role| pieces.iter().filter(|piece| piece.role == *role).count() > 1) {
            return None;
        }
        let half = pieces
            .iter()
            .find(|piece| piece.role == Role::Half)
            .map(|piece| i64::from(english(&text[piece.start..piece.end]).half));
        // Zones are the same in every text of the shape: what is no piece must be equal.
        pieces.retain(|piece| !matches!(piece.role, Role::Half | Role::ZoneName | Role::Offset));
        let is_known = |piece: &Mark| {
            let length = piece.end - piece.start;
            let in_letters = text.as_bytes()[piece.start].is_ascii_alphabetic();
            match piece.role {
                Role::Unsayable | Role::OfDate(_) => false,
                Role::Weekday => in_letters,
                Role::Month if in_letters => true,
                Role::Year | Role::Month | Role::Day => matches!(length, 1 | 2 | 4),
                Role::Fraction => true,
                _ => length <= 4,
            }
        };
        if !pieces.iter().all(is_known) {
            return None;
        }
        let stencil = Stencil::of(text.as_bytes(), &pieces, options, half, &parsed);
        let layout = Layout { pattern: text.as_bytes().to_vec(), pieces, options, half, parsed, stencil };
        (layout.read(text.as_bytes(), vocabulary) == Some(parsed)).then_some(layout)
    }

    /// Reads a text of the same shape that says a whole date; `None` where [`Layout::read`] must be asked, so too for
    /// a date or time that does not exist.
    ///
    /// Cost:   a few comparisons for each eight bytes, no memory
    #[inline]
    pub fn read_whole(&self, text: &[u8], vocabulary: &English) -> Option<Whole> {
        let stencil = self.stencil.as_ref().filter(|_| text.len() == self.pattern.len())?;
        stencil.read(text, vocabulary.year)
    }

    /// Reads a text of the same shape; the year has its century and UTC its offset already.
    ///
    /// Cost:   O(n) time, no memory
    pub fn read(&self, text: &[u8], vocabulary: &English) -> Option<Parsed> {
        if text.len() != self.pattern.len() {
            return None;
        }
        let mut parsed = self.parsed;
        let mut ymd = Ymd::default();
        let mut at = 0;
        for piece in &self.pieces {
            let found = &text[piece.start..piece.end];
            if !is_same(&text[at..piece.start], &self.pattern[at..piece.start]) {
                return None;
            }
            at = piece.end;
            match piece.role {
                Role::Year | Role::Month | Role::Day => {
                    // Digits in the place of a month's letters are another shape, and so are letters for digits.
                    let in_letters = found[0].is_ascii_alphabetic();
                    (in_letters == self.pattern[piece.start].is_ascii_alphabetic()).then_some(())?;
                    push_date_piece(&mut ymd, found)?;
                }
                Role::Weekday => {
                    let weekday = english(std::str::from_utf8(found).ok()?).weekday;
                    parsed.weekday = Some(i64::from(weekday)).filter(|weekday| *weekday >= 0);
                    parsed.weekday?;
                }
                Role::Hour => parsed.hour = Some(self.with_half(number(found)?)?),
                Role::Minute => parsed.minute = Some(number(found)?),
                Role::Second => parsed.second = Some(number(found)?),
                Role::Fraction => parsed.microsecond = Some(microseconds(found)?),
                _ => return None,
            }
        }
        if !is_same(&text[at..], &self.pattern[at..]) {
            return None;
        }
        let (_, (year, month, day)) = ymd.resolve(self.options).ok()?;
        parsed.year = year.map(|year| full_year(year, ymd.century_specified, vocabulary.year));
        parsed.month = month;
        parsed.day = day;
        parsed.century_specified = ymd.century_specified;
        Some(parsed)
    }

    fn with_half(&self, hour: i64) -> Option<i64> {
        match self.half {
            None => Some(hour),
            Some(half) => (0..=12).contains(&hour).then(|| with_half(hour, half)),
        }
    }
}

/// A number of the date, or its month in letters.
fn push_date_piece(ymd: &mut Ymd, piece: &[u8]) -> Option<()> {
    if piece[0].is_ascii_alphabetic() {
        let month = english(std::str::from_utf8(piece).ok()?).month;
        return if month > 0 { ymd.push_month(month.into()).ok() } else { None };
    }
    let value = number(piece)?;
    // Four digits are a year's, unless their value is small: then it depends on what stands beside them.
    if piece.len() == 4 && value <= 100 {
        return None;
    }
    ymd.push_digits(value, piece.len(), None).ok()
}

/// Compares what is mostly one byte: a call to compare memory would cost more.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    one.iter().zip(other).all(|(one, other)| one == other)
}

#[inline]
fn number(digits: &[u8]) -> Option<i64> {
    if let [tens, ones] = digits {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        return (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones));
    }
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

pub(super) fn microseconds(digits: &[u8]) -> Option<i64> {
    let first = &digits[..digits.len().min(6)];
    let unit = 10_i64.pow(6 - u32::try_from(first.len()).ok()?);
    digits.iter().all(u8::is_ascii_digit).then(|| number(first))?.map(|value| value * unit)
}
