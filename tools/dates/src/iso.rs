//! Texts of ISO 8601, in the forms that python-dateutil reads.
//!
//! Digits are read and the calendar's own numbers (weeks, days of the year) are converted; whether a month or an hour
//! exists is for whoever makes the date to refuse. Start at [`datetime`].

use crate::calendar::{from_ordinal, is_leap, ordinal, weekday};
use crate::{Error, IsoNumber, place};

/// The offset from UTC that a text gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Zone {
    /// It gives none.
    #[default]
    None,
    /// UTC: `Z`, or an offset of nothing.
    Utc,
    /// Seconds east of UTC.
    Offset(i32),
}

/// A time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Hour; 24 only at midnight.
    pub hour: u8,
    /// Minute, 0 to 99 as written.
    pub minute: u8,
    /// Second, 0 to 99 as written.
    pub second: u8,
    /// Microsecond.
    pub microsecond: u32,
    /// Offset from UTC.
    pub zone: Zone,
}

/// A day: year, month, day, as written.
pub type Day = (i32, u8, u8);

/// Reads a date and, after one separating character, a time of day.
///
/// `separator` is that character; without it, any is accepted. No time is midnight.
///
/// Errors: [`Error::Iso`], [`Error::Digits`], [`Error::Number`], [`Error::Year`], [`Error::OutOfRange`]
/// Cost:   O(n) time, no memory
///
/// ```
/// use naja_dates::iso::{Zone, datetime};
/// let (day, time) = datetime(b"2003-W39-4T10:49Z", None)?;
/// assert_eq!(day, (2003, 9, 25));
/// assert_eq!((time.hour, time.minute, time.zone), (10, 49, Zone::Utc));
/// assert!(datetime(b"2003-09-25T10:4", None).is_err());
/// # Ok::<(), naja_dates::Error>(())
/// ```
#[inline]
pub fn datetime(text: &[u8], separator: Option<u8>) -> Result<(Day, Time), Error> {
    let (day, end) = day(text)?;
    match text.get(end) {
        None => Ok((day, Time::default())),
        Some(found) if separator.is_none_or(|wanted| wanted == *found) => {
            Ok((day, time_from(text, end + 1)?))
        }
        Some(_) => Err(wrong("String contains unknown ISO components", end)),
    }
}

/// Reads a date at the start of a text, and tells where it ends.
///
/// Errors: as [`datetime`]
#[inline]
pub fn day(text: &[u8]) -> Result<(Day, usize), Error> {
    common_day(text).map_or_else(|| uncommon_day(text), Ok)
}

/// Reads a text that is a time of day.
///
/// Errors: as [`datetime`]
pub fn time(text: &[u8]) -> Result<Time, Error> {
    time_from(text, 0)
}

/// Reads a text that is an offset from UTC; with `zero_is_utc`, one of nothing is UTC itself.
///
/// Errors: as [`datetime`]
pub fn zone(text: &[u8], zero_is_utc: bool) -> Result<Zone, Error> {
    zone_from(text, 0, zero_is_utc)
}

/// Shows where a text is wrong; `None` where the error's own sentence says it.
pub fn shown(text: &[u8], error: &Error) -> Option<String> {
    let place = match *error {
        Error::Iso { at, .. } => at..at + 1,
        Error::Digits { expected, at } => at..at + usize::from(expected),
        _ => return None,
    };
    Some(place::shown(&String::from_utf8_lossy(text), place))
}

/// Shows where the part of a text stands that the calendar does not have, by the sentence in which Python refuses it:
/// "month must be in 1..12".
pub fn shown_part(text: &[u8], sentence: &str) -> Option<String> {
    let month = 4 + usize::from(text.get(4) == Some(&b'-'));
    let day = month + 2 + usize::from(text.get(month + 2) == Some(&b'-'));
    let hour = day_end(text)? + 1;
    let minute = hour + 2 + usize::from(text.get(hour + 2) == Some(&b':'));
    let second = minute + 2 + usize::from(text.get(minute + 2) == Some(&b':'));
    let parts = [
        ("year", 0..4),
        ("month", month..month + 2),
        ("day", day..day + 2),
        ("hour", hour..hour + 2),
        ("minute", minute..minute + 2),
        ("second", second..second + 2),
    ];
    let (_, place) = parts.into_iter().find(|(name, _)| sentence.starts_with(name))?;
    Some(place::shown(&String::from_utf8_lossy(text), place))
}

/// Where the day ends of a text that begins with one.
fn day_end(text: &[u8]) -> Option<usize> {
    day(text).ok().map(|(_, end)| end)
}

fn wrong(sentence: &'static str, at: usize) -> Error {
    Error::Iso { sentence, at }
}

/// YYYY, YYYY-MM, YYYY-MM-DD or YYYYMMDD.
#[inline]
fn common_day(text: &[u8]) -> Option<(Day, usize)> {
    let year = i32::from(two(text, 0)?) * 100 + i32::from(two(text, 2)?);
    match text.get(4) {
        None => Some(((year, 1, 1), 4)),
        Some(b'-') => {
            let month = two(text, 5)?;
            match text.get(7) {
                None => Some(((year, month, 1), 7)),
                Some(b'-') => Some(((year, month, two(text, 8)?), 10)),
                Some(_) => None,
            }
        }
        Some(_) => Some(((year, two(text, 4)?, two(text, 6)?), 8)),
    }
}

/// YYYY-Www[-D], YYYYWww[D], YYYY-DDD or YYYYDDD.
fn uncommon_day(text: &[u8]) -> Result<(Day, usize), Error> {
    if text.len() < 4 {
        return Err(wrong("ISO string too short", text.len()));
    }
    let year = digits(text, 0, 4)?;
    let has_dash = text.get(4) == Some(&b'-');
    let dash = usize::from(has_dash);
    let mut at = 4 + dash;
    let day = if text.get(at) == Some(&b'W') {
        let week = digits(text, at + 1, 2)?;
        at += 3;
        let mut day_of_week = 1;
        if text.len() > at {
            if (text[at] == b'-') != has_dash {
                return Err(wrong("Inconsistent use of dash separator", at));
            }
            day_of_week = digits(text, at + dash, 1)?;
            at += dash + 1;
        }
        week_day(year, week, day_of_week)?
    } else {
        if text.len() < at + 3 {
            return Err(wrong("Invalid ordinal day", at));
        }
        let value = digits(text, at, 3)?;
        at += 3;
        if !(1..=365 + i64::from(is_leap(year))).contains(&value) {
            return Err(Error::Number { what: IsoNumber::DayOfYear, value, year });
        }
        in_calendar(year)?;
        ordinal(year, 1, value)
    };
    let (year, month, day) = from_ordinal(day).ok_or(Error::OutOfRange)?;
    Ok(((small(year), small(month), small(day)), at))
}

/// The ordinal of a day of an ISO week.
fn week_day(year: i64, week: i64, day: i64) -> Result<i64, Error> {
    if !(1..=53).contains(&week) {
        return Err(Error::Number { what: IsoNumber::Week, value: week, year });
    }
    if !(1..=7).contains(&day) {
        return Err(Error::Number { what: IsoNumber::Weekday, value: day, year });
    }
    in_calendar(year)?;
    // 4 January is always in the first week.
    let fourth = ordinal(year, 1, 4);
    Ok(fourth - weekday(fourth) + (week - 1) * 7 + day - 1)
}

fn in_calendar(year: i64) -> Result<(), Error> {
    if crate::calendar::YEARS.contains(&year) { Ok(()) } else { Err(Error::Year(year)) }
}

#[inline]
fn time_from(text: &[u8], start: usize) -> Result<Time, Error> {
    if text.len() < start + 2 {
        return Err(wrong("ISO time too short", text.len()));
    }
    let mut time = Time::default();
    let mut at = start;
    let mut has_colon = false;
    for part in 0..3 {
        match text.get(at) {
            None => return checked(time, start),
            Some(b'-' | b'+' | b'Z' | b'z') => return with_zone(time, text, start, at),
            Some(b':') if part == 1 => {
                has_colon = true;
                at += 1;
            }
            Some(b':') if part == 2 && has_colon => at += 1,
            Some(_) if part == 2 && has_colon => {
                return Err(wrong("Inconsistent use of colon separator", at));
            }
            Some(_) => {}
        }
        let value = two(text, at).ok_or(Error::Digits { expected: 2, at })?;
        match part {
            0 => time.hour = value,
            1 => time.minute = value,
            _ => time.second = value,
        }
        at += 2;
    }
    if let Some(b'.' | b',') = text.get(at) {
        let count = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count > 0 {
            time.microsecond = microseconds(&text[at + 1..at + 1 + count]);
            at += count + 1;
        }
    }
    match text.get(at) {
        None => checked(time, start),
        Some(b'-' | b'+' | b'Z' | b'z') => with_zone(time, text, start, at),
        Some(_) => Err(wrong("Unused components in ISO string", at)),
    }
}

fn with_zone(time: Time, text: &[u8], start: usize, at: usize) -> Result<Time, Error> {
    checked(Time { zone: zone_from(text, at, true)?, ..time }, start)
}

/// `start` is where the time begins.
fn checked(time: Time, start: usize) -> Result<Time, Error> {
    if time.hour == 24 && (time.minute, time.second, time.microsecond) != (0, 0, 0) {
        return Err(wrong("Hour may only be 24 at 24:00:00.000", start));
    }
    Ok(time)
}

fn zone_from(text: &[u8], start: usize, zero_is_utc: bool) -> Result<Zone, Error> {
    let zone = &text[start..];
    if matches!(zone, b"Z" | b"z") {
        return Ok(Zone::Utc);
    }
    if !matches!(zone.len(), 3 | 5 | 6) {
        return Err(wrong("Time zone offset must be 1, 3, 5 or 6 characters", start));
    }
    let sign = match zone[0] {
        b'-' => -1,
        b'+' => 1,
        _ => return Err(wrong("Time zone offset requires sign", start)),
    };
    let pair = |at: usize| two(text, at).map(i32::from).ok_or(Error::Digits { expected: 2, at });
    let hours = pair(start + 1)?;
    let mut minutes = 0;
    if zone.len() > 3 {
        let at = if zone[3] == b':' { 4 } else { 3 };
        if zone.len() != at + 2 {
            return Err(wrong("Invalid minutes in time zone offset", start + at));
        }
        minutes = pair(start + at)?;
    }
    match (hours, minutes) {
        (0, 0) if zero_is_utc => Ok(Zone::Utc),
        (_, 60..) => Err(wrong("Invalid minutes in time zone offset", text.len() - 2)),
        (24.., _) => Err(wrong("Invalid hours in time zone offset", start + 1)),
        _ => Ok(Zone::Offset(sign * (hours * 60 + minutes) * 60)),
    }
}

/// Two digits.
#[inline]
fn two(text: &[u8], at: usize) -> Option<u8> {
    let &[tens, ones] = text.get(at..)?.first_chunk::<2>()?;
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

fn digits(text: &[u8], at: usize, count: u8) -> Result<i64, Error> {
    let wanted = text.get(at..at + usize::from(count)).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    let digits = wanted.ok_or(Error::Digits { expected: count, at })?;
    Ok(digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

#[inline]
fn microseconds(digits: &[u8]) -> u32 {
    let mut value = 0;
    for at in 0..6 {
        value = value * 10 + digits.get(at).map_or(0, |digit| u32::from(digit - b'0'));
    }
    value
}

fn small<T: TryFrom<i64>>(value: i64) -> T {
    T::try_from(value).ok().expect("a date of the calendar is small")
}
