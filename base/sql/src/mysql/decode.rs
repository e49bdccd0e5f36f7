//! Values out of their binary form or their text, into a sink.
//!
//! The bytes may be anything: whatever does not fit is an error with a sentence, never a panic. What MySQL stores and no
//! calendar has (`0000-00-00`, `2024-02-00`) is told as text.

use std::fmt::Write as _;

use crate::Sink;
use crate::calendar::{self, DAY_US, SECOND_US};

use super::message::Fields;
use super::types::{Kind, Known};

/// Why bytes are no value of their type.
pub(crate) type Unreadable = &'static str;

const LENGTH: Unreadable = "it has not the length that its type has";
const NOT_UTF8: Unreadable = "it is not UTF-8";
const NUMBER: Unreadable = "it is no number";
const DATE: Unreadable = "it is no date";
const TIME: Unreadable = "it is no time";

/// Takes a value in its binary form out of a row, and tells `sink`.
///
/// Cost: O(bytes), nothing allocated.
pub(crate) fn binary(known: Known, row: &mut Fields<'_>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
    match known.kind {
        Kind::Null => sink.null(),
        Kind::Int1 => {
            let [byte] = fixed(row)?;
            sink.integer(if known.unsigned { i64::from(byte) } else { i64::from(byte.cast_signed()) });
        }
        Kind::Int2 => {
            let bytes = fixed(row)?;
            sink.integer(match known.unsigned {
                true => i64::from(u16::from_le_bytes(bytes)),
                false => i64::from(i16::from_le_bytes(bytes)),
            });
        }
        Kind::Year => sink.integer(i64::from(u16::from_le_bytes(fixed(row)?))),
        Kind::Int4 => {
            let bytes = fixed(row)?;
            sink.integer(match known.unsigned {
                true => i64::from(u32::from_le_bytes(bytes)),
                false => i64::from(i32::from_le_bytes(bytes)),
            });
        }
        Kind::Int8 if known.unsigned => sink.unsigned(u64::from_le_bytes(fixed(row)?)),
        Kind::Int8 => sink.integer(i64::from_le_bytes(fixed(row)?)),
        Kind::Float => sink.real(widened(f32::from_le_bytes(fixed(row)?))),
        Kind::Double => sink.real(f64::from_le_bytes(fixed(row)?)),
        Kind::Date => {
            let (day, _) = moment(sized(row)?)?;
            told_day(day, sink);
        }
        Kind::Moment => {
            let (day, of_day_us) = moment(sized(row)?)?;
            told_moment(day, of_day_us, sink);
        }
        Kind::Time => sink.interval(0, 0, time(sized(row)?)?),
        Kind::Decimal | Kind::Text | Kind::Json | Kind::Uuid | Kind::Bytes => {
            return sized_value(known.kind, sized(row)?, sink);
        }
    }
    Ok(())
}

/// Tells `sink` a value that came as text, as the rows of a text query do.
pub(crate) fn text(known: Known, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    match known.kind {
        Kind::Null => sink.null(),
        Kind::Int8 if known.unsigned => sink.unsigned(parsed(bytes)?),
        Kind::Int1 | Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Year => sink.integer(parsed(bytes)?),
        Kind::Float | Kind::Double => sink.real(parsed(bytes)?),
        Kind::Date => {
            let day = day_in_text(utf8(bytes)?)?;
            told_day(day, sink);
        }
        Kind::Moment => {
            let (day, time) = utf8(bytes)?.split_once(' ').ok_or(DATE)?;
            let of_day_us = time_in_text(time)?;
            if of_day_us >= DAY_US.cast_unsigned() {
                return Err(DATE);
            }
            told_moment(day_in_text(day)?, of_day_us, sink);
        }
        Kind::Time => {
            let text = utf8(bytes)?;
            let (minus, text) = text.strip_prefix('-').map_or((false, text), |text| (true, text));
            let time_us = i64::try_from(time_in_text(text)?).map_err(|_| TIME)?;
            sink.interval(0, 0, if minus { -time_us } else { time_us });
        }
        Kind::Decimal | Kind::Text | Kind::Json | Kind::Uuid | Kind::Bytes => {
            return sized_value(known.kind, bytes, sink);
        }
    }
    Ok(())
}

/// What is the same in both forms.
fn sized_value(kind: Kind, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    match kind {
        Kind::Bytes => sink.bytes(bytes),
        Kind::Decimal => {
            let digits = utf8(bytes)?;
            let fits = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
            if digits.is_empty() || !digits.bytes().all(fits) {
                return Err(NUMBER);
            }
            sink.decimal(digits);
        }
        Kind::Json => sink.json(utf8(bytes)?),
        Kind::Uuid => {
            let text = utf8(bytes)?;
            match uuid(text) {
                Some(bytes) => sink.uuid(bytes),
                None => sink.text(text),
            }
        }
        _ => sink.text(utf8(bytes)?),
    }
    Ok(())
}

/// The number that has the same shortest digits: 0.1 stays 0.1, and is not 0.10000000149011612.
fn widened(value: f32) -> f64 {
    let exact = f64::from(value);
    if exact.fract() == 0.0 || !exact.is_finite() {
        return exact;
    }
    value.to_string().parse().unwrap_or(exact)
}

fn fixed<const N: usize>(row: &mut Fields<'_>) -> Result<[u8; N], Unreadable> {
    row.bytes(N).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(LENGTH)
}

fn sized<'a>(row: &mut Fields<'a>) -> Result<&'a [u8], Unreadable> {
    row.sized().map_err(|_| LENGTH)
}

fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

fn parsed<T: std::str::FromStr>(bytes: &[u8]) -> Result<T, Unreadable> {
    utf8(bytes)?.parse().map_err(|_| NUMBER)
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let (mut bytes, mut count) = ([0u8; 16], 0);
    for digit in text.bytes().filter(|&byte| byte != b'-') {
        let value = char::from(digit).to_digit(16)?;
        let byte = bytes.get_mut(count / 2)?;
        // A hexadecimal digit is half a byte.
        *byte = *byte << 4 | value as u8;
        count += 1;
    }
    (count == 32 && text.len() == 36).then_some(bytes)
}

/// Year, month and day, which need not be one of the calendar.
type Day = (u16, u8, u8);

/// A day and the microseconds since its beginning.
fn moment(bytes: &[u8]) -> Result<(Day, u64), Unreadable> {
    let (day, time) = match bytes {
        [] => return Ok(((0, 0, 0), 0)),
        &[low, high, month, day, ref time @ ..] => ((u16::from_le_bytes([low, high]), month, day), time),
        _ => return Err(LENGTH),
    };
    if day.0 > 9999 || day.1 > 12 || day.2 > 31 {
        return Err(DATE);
    }
    let of_day_us = match *time {
        [] => 0,
        [hour, minute, second] => of_day(hour, minute, second, [0; 4])?,
        [hour, minute, second, a, b, c, d] => of_day(hour, minute, second, [a, b, c, d])?,
        _ => return Err(LENGTH),
    };
    Ok((day, of_day_us))
}

fn of_day(hour: u8, minute: u8, second: u8, microsecond: [u8; 4]) -> Result<u64, Unreadable> {
    let microsecond = u32::from_le_bytes(microsecond);
    if hour > 23 || minute > 59 || second > 59 || microsecond > 999_999 {
        return Err(TIME);
    }
    let seconds = u64::from(hour) * 3600 + u64::from(minute) * 60 + u64::from(second);
    Ok(seconds * SECOND_US.cast_unsigned() + u64::from(microsecond))
}

/// A stretch of time in microseconds.
fn time(bytes: &[u8]) -> Result<i64, Unreadable> {
    let (&[minus, a, b, c, d, hour, minute, second], fraction) = match bytes {
        [] => return Ok(0),
        bytes => bytes.split_first_chunk::<8>().ok_or(LENGTH)?,
    };
    let microsecond = match *fraction {
        [] => [0; 4],
        [a, b, c, d] => [a, b, c, d],
        _ => return Err(LENGTH),
    };
    let days = i64::from(u32::from_le_bytes([a, b, c, d]));
    // The longest has 838 hours.
    if days > 34 {
        return Err(TIME);
    }
    let of_day_us = of_day(hour, minute, second, microsecond)?.cast_signed();
    let time_us = days * DAY_US + of_day_us;
    Ok(if minus != 0 { -time_us } else { time_us })
}

fn told_day((year, month, day): Day, sink: &mut dyn Sink) {
    match calendar::days_of(i32::from(year), month, day) {
        Some(_) => sink.date(i32::from(year), month, day),
        None => sink.text(&format!("{year:04}-{month:02}-{day:02}")),
    }
}

fn told_moment((year, month, day): Day, of_day_us: u64, sink: &mut dyn Sink) {
    match calendar::days_of(i32::from(year), month, day) {
        // Years have four digits, times are below a day.
        Some(days) => sink.moment(days * DAY_US + of_day_us.cast_signed(), None),
        None => {
            let mut text = String::new();
            let _ = write!(text, "{year:04}-{month:02}-{day:02} ");
            calendar::write_time(&mut text, of_day_us);
            sink.text(&text);
        }
    }
}

/// `2024-02-29`.
fn day_in_text(text: &str) -> Result<Day, Unreadable> {
    let mut parts = text.splitn(3, '-');
    let mut part = |digits: usize| {
        let part = parts.next().filter(|part| part.len() == digits);
        part.and_then(|part| part.parse::<u16>().ok()).ok_or(DATE)
    };
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    if month > 12 || day > 31 {
        return Err(DATE);
    }
    // Both have two digits.
    Ok((year, month as u8, day as u8))
}

/// `838:59:59.123456`, in microseconds.
fn time_in_text(text: &str) -> Result<u64, Unreadable> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut parts = whole.splitn(3, ':');
    let mut part = |max: u64| {
        let part = parts.next().filter(|part| (2..=4).contains(&part.len()));
        part.and_then(|part| part.parse().ok()).filter(|&value: &u64| value <= max).ok_or(TIME)
    };
    let seconds = part(9_999)? * 3600 + part(59)? * 60 + part(59)?;
    if fraction.len() > 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TIME);
    }
    let microseconds = fraction.bytes().chain([b'0'; 6]).take(6);
    let microseconds = microseconds.fold(0, |value, digit| value * 10 + u64::from(digit - b'0'));
    Ok(seconds * SECOND_US.cast_unsigned() + microseconds)
}
