//! Whole dates of one shape, compared eight bytes at a time.
//!
//! A [`Layout`](super::Layout) asks of each piece what it is; most columns hold whole dates whose numbers have a fixed
//! width, and for those everything that does not depend on the values is worked out once. Start at [`Stencil::of`].

use super::format::{Mark, Role};
use super::full_year;
use super::grammar::with_half;
use super::layout::microseconds;
use super::vocabulary::english;
use super::ymd::{Part, Ymd};
use super::{Options, Parsed};
use crate::calendar::days_in_month;

/// A date and time that exist, with the offset that the text names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whole {
    /// 1 to 9999, with its century.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to the month's last.
    pub day: u8,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// 0 to 999,999.
    pub microsecond: u32,
    /// Seconds east of UTC.
    pub offset_s: Option<i64>,
}

/// Eight bytes of a text: which must be the pattern's, and which must be digits.
#[derive(Debug, Clone)]
struct Word {
    start: usize,
    pattern: u64,
    /// All bits of each byte that is as in the pattern.
    equal: u64,
    /// All bits of each byte that is a digit.
    digits: u64,
}

impl Word {
    #[inline]
    fn fits(&self, bytes: u64) -> bool {
        const HIGH: u64 = 0xf0f0_f0f0_f0f0_f0f0;
        const THREES: u64 = 0x3030_3030_3030_3030;
        // Six more than a digit still begins with a three; the other bytes are zero, so that none carries into a digit.
        const SIXES: u64 = 0x0606_0606_0606_0606;
        let digits = bytes & self.digits;
        let raised = digits.wrapping_add(SIXES & self.digits);
        (bytes ^ self.pattern) & self.equal == 0
            && digits & HIGH == THREES & self.digits
            && raised & HIGH & self.digits == THREES & self.digits
    }
}

/// Where a number stands, and how it is written.
#[derive(Debug, Clone, Copy)]
enum Number {
    One(usize),
    Two(usize),
    Four(usize),
    /// The month in letters.
    Letters(usize, usize),
}

impl Number {
    fn of(text: &[u8], piece: &Mark) -> Option<Number> {
        match piece.end - piece.start {
            _ if text[piece.start].is_ascii_alphabetic() => Some(Number::Letters(piece.start, piece.end)),
            1 => Some(Number::One(piece.start)),
            2 => Some(Number::Two(piece.start)),
            4 => Some(Number::Four(piece.start)),
            _ => None,
        }
    }

    /// The value of what the words have found to be digits.
    #[inline(always)]
    fn read(self, text: &[u8]) -> Option<u32> {
        let pair = |tens: u8, ones: u8| u32::from(tens & 15) * 10 + u32::from(ones & 15);
        match self {
            Number::One(at) => text.get(at).map(|digit| u32::from(digit & 15)),
            Number::Two(at) => match text.get(at..at + 2) {
                Some(&[tens, ones]) => Some(pair(tens, ones)),
                _ => None,
            },
            // A small value may be something else than the year, by what stands beside it.
            Number::Four(at) => match text.get(at..at + 4) {
                Some(&[a, b, c, d]) => Some(pair(a, b) * 100 + pair(c, d)).filter(|value| *value > 100),
                _ => None,
            },
            Number::Letters(start, end) => month(text.get(start..end)?),
        }
    }

    /// Adds a number of a size to a date, as the parser does; `None` where it never has that size.
    fn push(self, ymd: &mut Ymd, size: usize) -> Option<()> {
        // One value stands for all of its size: the parser compares with 12 and with 31 only.
        let value = [7, 20, 60][size];
        match (self, size) {
            (Number::One(_), 0) => ymd.push_digits(value, 1, None).ok(),
            (Number::Two(_), _) => ymd.push_digits(value, 2, None).ok(),
            (Number::Four(_), 2) => ymd.push_digits(1990, 4, None).ok(),
            (Number::Letters(..), 0) => ymd.push_month(value).ok(),
            _ => None,
        }
    }
}

/// 0 for what may be a month, 1 for what may be a day, 2 for what can be only a year.
#[inline]
fn size(value: u32) -> usize {
    usize::from(value > 12) + usize::from(value > 31)
}

/// A month in English.
#[inline]
fn month(word: &[u8]) -> Option<u32> {
    if let &[first, second, third] = word {
        let key = short_month(&[first, second, third]);
        let (name, month) = SHORT_MONTHS[key];
        // Setting one bit makes letters small, and some other signs into letters.
        let is_it = [first | 0x20, second | 0x20, third | 0x20] == name && (first & second & third) >= 0x40;
        return is_it.then_some(month);
    }
    let month = english(std::str::from_utf8(word).ok()?).month;
    u32::try_from(month).ok().filter(|month| *month > 0)
}

/// A number below 32 that is another for each month of three letters.
#[inline]
const fn short_month(word: &[u8; 3]) -> usize {
    ((word[1] & 0x1f) as usize + (word[2] & 0x1f) as usize) & 0x1f
}

/// The months of three letters at the places that [`short_month`] gives.
const SHORT_MONTHS: [([u8; 3], u32); 32] = {
    let names =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    let mut table = [([0; 3], 0); 32];
    let mut at = 0;
    while at < names.len() {
        let key = short_month(names[at]);
        assert!(table[key].1 == 0, "no two months have one place");
        table[key] = (*names[at], at as u32 + 1);
        at += 1;
    }
    table
};

/// What is known of all texts of one shape that say a whole date.
#[derive(Debug, Clone)]
pub(super) struct Stencil {
    words: Vec<Word>,
    date: [Number; 3],
    /// Which numbers are the year, the month and the day, where that is so whatever their sizes.
    order: Option<[u8; 3]>,
    /// The same by the sizes of all three.
    orders: [Option<[u8; 3]>; 27],
    century_specified: bool,
    time: Option<TimeOfDay>,
    weekday: Option<(usize, usize)>,
    offset_s: Option<i64>,
}

#[derive(Debug, Clone)]
struct TimeOfDay {
    hour: Option<Number>,
    minute: Option<Number>,
    second: Option<Number>,
    fraction: Option<(usize, usize)>,
    half: Option<i64>,
}

impl TimeOfDay {
    /// Hour, minute, second and microsecond.
    #[inline]
    fn read(&self, text: &[u8]) -> Option<(u8, u8, u8, u32)> {
        let or_zero = |number: Option<Number>| match number {
            Some(number) => number.read(text),
            None => Some(0),
        };
        let (mut hour, minute, second) = (or_zero(self.hour)?, or_zero(self.minute)?, or_zero(self.second)?);
        if let Some(half) = self.half {
            hour = (hour <= 12).then(|| with_half(hour.into(), half) as u32)?;
        }
        let microsecond = match self.fraction {
            Some((start, end)) => microseconds(text.get(start..end)?)? as u32,
            None => 0,
        };
        let exists = hour < 24 && minute < 60 && second < 60;
        exists.then_some((hour as u8, minute as u8, second as u8, microsecond))
    }
}

impl Stencil {
    /// From a text, its pieces in their order and what it says; `None` where it does not say a whole date, or names
    /// its zone.
    pub(super) fn of(
        text: &[u8],
        pieces: &[Mark],
        options: Options,
        half: Option<i64>,
        parsed: &Parsed,
    ) -> Option<Stencil> {
        if parsed.zone_name.is_some() {
            return None;
        }
        let range = |role: Role| {
            let piece = pieces.iter().find(|piece| piece.role == role)?;
            Some((piece.start, piece.end))
        };
        let number = |role: Role| match range(role) {
            None => Some(None),
            Some((start, end)) if end - start == 1 => Some(Some(Number::One(start))),
            Some((start, end)) if end - start == 2 => Some(Some(Number::Two(start))),
            Some(_) => None,
        };
        let mut date = pieces
            .iter()
            .filter(|piece| matches!(piece.role, Role::Year | Role::Month | Role::Day))
            .map(|piece| Number::of(text, piece));
        let date = [date.next()??, date.next()??, date.next()??];
        let others = [Role::Hour, Role::Minute, Role::Second, Role::Fraction, Role::Weekday];
        if pieces.len() != date.len() + others.iter().filter(|role| range(**role).is_some()).count() {
            // A part that is said twice.
            return None;
        }
        let orders: [_; 27] = std::array::from_fn(|sizes| order(&date, sizes, options));
        let mut known = orders.iter().flatten();
        let first = known.next().copied();
        let time = TimeOfDay {
            hour: number(Role::Hour)?,
            minute: number(Role::Minute)?,
            second: number(Role::Second)?,
            fraction: range(Role::Fraction),
            half,
        };
        Some(Stencil {
            words: words(text, pieces),
            date,
            // Sizes that a number never has are found out by the calendar.
            order: first.filter(|first| known.all(|other| other == first)),
            orders,
            century_specified: date.iter().any(|number| matches!(number, Number::Four(_))),
            time: (time.hour.is_some() || time.minute.is_some() || time.second.is_some()).then_some(time),
            weekday: range(Role::Weekday),
            offset_s: parsed.zone_offset,
        })
    }

    /// Reads a text of the same length; `now` is the year around which years of two digits lie.
    #[inline]
    pub(super) fn read(&self, text: &[u8], now: i64) -> Option<Whole> {
        for word in &self.words {
            let bytes = match text.get(word.start..word.start + 8) {
                Some(bytes) => u64::from_le_bytes(bytes.try_into().ok()?),
                None => short_word(text),
            };
            if !word.fits(bytes) {
                return None;
            }
        }
        let [first, second, third] = self.date;
        let values = [first.read(text)?, second.read(text)?, third.read(text)?];
        let order = match self.order {
            Some(order) => order,
            None => self.orders[(size(values[0]) * 3 + size(values[1])) * 3 + size(values[2])]?,
        };
        let [year, month, day] = order.map(|index| values[usize::from(index)]);
        let year = if self.century_specified { year.into() } else { full_year(year.into(), false, now) };
        if let Some((start, end)) = self.weekday {
            // The date says which weekday it is; but a word that is none is no date.
            (english(std::str::from_utf8(text.get(start..end)?).ok()?).weekday >= 0).then_some(())?;
        }
        let (hour, minute, second, microsecond) = match &self.time {
            Some(time) => time.read(text)?,
            None => (0, 0, 0, 0),
        };
        let is_date = (1..=9999).contains(&year)
            && (1..=12).contains(&month)
            && day >= 1
            && (day <= 28 || i64::from(day) <= days_in_month(year, month.into()));
        is_date.then_some(Whole {
            year: year as u16,
            month: month as u8,
            day: day as u8,
            hour,
            minute,
            second,
            microsecond,
            offset_s: self.offset_s,
        })
    }
}

/// A text of fewer than eight bytes.
#[cold]
fn short_word(text: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let length = text.len().min(8);
    bytes[..length].copy_from_slice(&text[..length]);
    u64::from_le_bytes(bytes)
}

/// The words of a text; the last two overlap where its length is no multiple of eight.
fn words(text: &[u8], pieces: &[Mark]) -> Vec<Word> {
    let (mut equal, mut digits) = (vec![0xff_u8; text.len().max(8)], vec![0_u8; text.len().max(8)]);
    for piece in pieces {
        equal[piece.start..piece.end].fill(0);
        if text[piece.start].is_ascii_digit() {
            digits[piece.start..piece.end].fill(0xff);
        }
    }
    let last = text.len().saturating_sub(8);
    let starts = (0..last).step_by(8).chain([last]);
    starts
        .map(|start| {
            let word = |bytes: &[u8]| short_word(&bytes[start..bytes.len().min(start + 8)]);
            Word { start, pattern: word(text), equal: word(&equal), digits: word(&digits) }
        })
        .collect()
}

/// Which numbers are the year, the month and the day, where the numbers have these sizes.
fn order(date: &[Number; 3], sizes: usize, options: Options) -> Option<[u8; 3]> {
    let mut ymd = Ymd::default();
    for (number, size) in date.iter().zip([sizes / 9, sizes / 3 % 3, sizes % 3]) {
        number.push(&mut ymd, size)?;
    }
    let (parts, _) = ymd.resolve(options).ok()?;
    let index = |wanted: Part| {
        let index = parts.iter().position(|part| *part == Some(wanted))?;
        u8::try_from(index).ok()
    };
    Some([index(Part::Year)?, index(Part::Month)?, index(Part::Day)?])
}
