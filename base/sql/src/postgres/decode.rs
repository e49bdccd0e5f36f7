//! Values out of their binary form, into a sink.
//!
//! The bytes may be anything: whatever does not fit is an error with a sentence, never a panic, and no more is told to
//! the sink than the bytes could hold.

use crate::Sink;

use super::types::{Kind, Known, Type};
use crate::calendar::{self, DAY_US, EPOCH_DAYS, EPOCH_US, SECOND_US};

/// Why bytes are no value of their type.
pub(crate) type Unreadable = &'static str;

const LENGTH: Unreadable = "it has not the length that its type has";
const NOT_UTF8: Unreadable = "it is not UTF-8; the database has another encoding, or none (SQL_ASCII)";
const ARRAY: Unreadable = "its array is damaged";

/// More dimensions than any array of PostgreSQL has.
const DIMENSIONS_MAX: usize = 6;

/// Tells `sink` a value of which something is known.
///
/// Errors: what does not fit; of an array, some elements may have been told by then.
/// Cost: O(bytes); allocates for `numeric` alone.
pub(crate) fn decode(known: Known, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    match known {
        Known::Scalar(known) => scalar(known.kind, bytes, sink),
        Known::Array(known) => array(known, bytes, sink),
        Known::Nothing => {
            sink.text(text(bytes)?);
            Ok(())
        }
    }
}

fn scalar(kind: Kind, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    match kind {
        Kind::Bool => sink.boolean(fixed::<1>(bytes)? != [0]),
        Kind::Int2 => sink.integer(i64::from(i16::from_be_bytes(fixed(bytes)?))),
        Kind::Int4 => sink.integer(i64::from(i32::from_be_bytes(fixed(bytes)?))),
        Kind::Int8 => sink.integer(i64::from_be_bytes(fixed(bytes)?)),
        Kind::Oid => sink.integer(i64::from(u32::from_be_bytes(fixed(bytes)?))),
        Kind::Float4 => sink.real(widened(f32::from_be_bytes(fixed(bytes)?))),
        Kind::Float8 => sink.real(f64::from_be_bytes(fixed(bytes)?)),
        Kind::Numeric => numeric(bytes, sink)?,
        Kind::Text => sink.text(text(bytes)?),
        Kind::Bytea => sink.bytes(bytes),
        Kind::Date => date(i32::from_be_bytes(fixed(bytes)?), sink),
        Kind::Time => time(i64::from_be_bytes(fixed(bytes)?), None, sink)?,
        Kind::Timetz => {
            let (time_us, zone) = bytes.split_first_chunk().ok_or(LENGTH)?;
            // The server counts seconds west of Greenwich.
            let west_s = i32::from_be_bytes(fixed(zone)?);
            let offset_s = west_s.checked_neg().ok_or("its time zone does not exist")?;
            time(i64::from_be_bytes(*time_us), Some(offset_s), sink)?;
        }
        Kind::Timestamp => moment(i64::from_be_bytes(fixed(bytes)?), None, sink),
        Kind::Timestamptz => moment(i64::from_be_bytes(fixed(bytes)?), Some(0), sink),
        Kind::Interval => {
            let (microseconds, rest) = bytes.split_first_chunk().ok_or(LENGTH)?;
            let (days, months) = rest.split_first_chunk().ok_or(LENGTH)?;
            let parts = (
                i32::from_be_bytes(fixed(months)?),
                i32::from_be_bytes(*days),
                i64::from_be_bytes(*microseconds),
            );
            match parts {
                // Intervals can be infinite since PostgreSQL 17.
                (i32::MAX, i32::MAX, i64::MAX) => sink.infinite(true),
                (i32::MIN, i32::MIN, i64::MIN) => sink.infinite(false),
                (months, days, microseconds) => sink.interval(months, days, microseconds),
            }
        }
        Kind::Uuid => sink.uuid(fixed(bytes)?),
        Kind::Json => sink.json(text(bytes)?),
        Kind::Jsonb => match bytes.split_first() {
            Some((1, json)) => sink.json(text(json)?),
            _ => return Err("its version of jsonb is not known"),
        },
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

fn fixed<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Unreadable> {
    bytes.try_into().map_err(|_| LENGTH)
}

pub(crate) fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|_| NOT_UTF8)
}

fn date(days: i32, sink: &mut dyn Sink) {
    match days {
        i32::MAX => sink.infinite(true),
        i32::MIN => sink.infinite(false),
        days => {
            let (year, month, day) = calendar::day_of(i64::from(days) + EPOCH_DAYS);
            sink.date(year, month, day);
        }
    }
}

fn time(microseconds: i64, offset_s: Option<i32>, sink: &mut dyn Sink) -> Result<(), Unreadable> {
    if !(0..=DAY_US).contains(&microseconds) {
        return Err("it is no time of day");
    }
    let seconds = microseconds / SECOND_US;
    // At most 24:00:00, as was just checked.
    sink.time(
        (seconds / 3600) as u8,
        (seconds / 60 % 60) as u8,
        (seconds % 60) as u8,
        (microseconds % SECOND_US) as u32,
        offset_s,
    );
    Ok(())
}

fn moment(since_2000: i64, offset_s: Option<i32>, sink: &mut dyn Sink) {
    match since_2000 {
        i64::MAX => sink.infinite(true),
        i64::MIN => sink.infinite(false),
        _ => match since_2000.checked_add(EPOCH_US) {
            Some(since_1970) => sink.moment(since_1970, offset_s),
            // The last 30 of the 294,276 years that PostgreSQL counts.
            None => {
                let days = since_2000.div_euclid(DAY_US) + EPOCH_DAYS;
                let mut text = String::new();
                calendar::write_moment(
                    &mut text,
                    days,
                    since_2000.rem_euclid(DAY_US).unsigned_abs(),
                    offset_s,
                );
                sink.text(&text);
            }
        },
    }
}

fn numeric(bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    const DAMAGED: Unreadable = "its number is damaged";
    let (&[c0, c1, w0, w1, s0, s1, p0, p1], digits) = bytes.split_first_chunk().ok_or(DAMAGED)?;
    let count = usize::from(u16::from_be_bytes([c0, c1]));
    let weight = i32::from(i16::from_be_bytes([w0, w1]));
    let sign = u16::from_be_bytes([s0, s1]);
    let scale = usize::from(u16::from_be_bytes([p0, p1]));
    if digits.len() != count * 2 || scale > 16_383 {
        return Err(DAMAGED);
    }
    let minus = match sign {
        0 => false,
        0x4000 => true,
        0xC000 => return told(sink, "NaN"),
        0xD000 => return told(sink, "Infinity"),
        0xF000 => return told(sink, "-Infinity"),
        _ => return Err(DAMAGED),
    };
    // Four decimal digits each; those beyond either end are zero.
    let group = |index: i32| -> u16 {
        let bytes = usize::try_from(index).ok().and_then(|index| digits.get(index * 2..index * 2 + 2));
        bytes.map_or(0, |bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    };
    if (0..count as i32).any(|index| group(index) > 9_999) {
        return Err(DAMAGED);
    }
    let mut out = String::with_capacity(8 + 4 * weight.max(0) as usize + scale);
    if minus {
        out.push('-');
    }
    let whole_from = out.len();
    for index in 0..=weight {
        let mut place = 1_000;
        for _ in 0..4 {
            let digit = group(index) / place % 10;
            if digit != 0 || out.len() > whole_from {
                out.push(char::from(b'0' + digit as u8));
            }
            place /= 10;
        }
    }
    if out.len() == whole_from {
        out.push('0');
    }
    if scale > 0 {
        out.push('.');
        let end = out.len() + scale;
        let mut index = weight + 1;
        // A weight below -1 means groups of zeros between the point and the first digit.
        let mut zeros = (-1 - weight).max(0);
        if zeros > 0 {
            index = 0;
        }
        while out.len() < end {
            let value = if zeros > 0 { 0 } else { group(index) };
            if zeros > 0 {
                zeros -= 1;
            } else {
                index += 1;
            }
            let mut place = 1_000;
            for _ in 0..4.min(end - out.len()) {
                out.push(char::from(b'0' + (value / place % 10) as u8));
                place /= 10;
            }
        }
    }
    // There is no zero below zero.
    let zero = out.bytes().all(|byte| matches!(byte, b'-' | b'0' | b'.'));
    sink.decimal(if zero { out.trim_start_matches('-') } else { &out });
    Ok(())
}

fn told(sink: &mut dyn Sink, digits: &str) -> Result<(), Unreadable> {
    sink.decimal(digits);
    Ok(())
}

/// Reads an array: its dimensions, then its elements, the last dimension fastest.
fn array(element: &Type, bytes: &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    let mut rest = bytes;
    let dimensions = usize::try_from(next_i32(&mut rest)?).map_err(|_| ARRAY)?;
    let _has_nulls = next_i32(&mut rest)?;
    if next_i32(&mut rest)?.cast_unsigned() != element.oid {
        return Err("its array has elements of another type");
    }
    if dimensions == 0 {
        sink.array(0);
        return if rest.is_empty() { Ok(()) } else { Err(ARRAY) };
    }
    if dimensions > DIMENSIONS_MAX {
        return Err(ARRAY);
    }
    let mut lengths = [0; DIMENSIONS_MAX];
    let mut total = 1usize;
    for length in &mut lengths[..dimensions] {
        *length = usize::try_from(next_i32(&mut rest)?).ok().filter(|&length| length > 0).ok_or(ARRAY)?;
        total = total.checked_mul(*length).ok_or(ARRAY)?;
        let _first_index = next_i32(&mut rest)?;
    }
    // Each element has at least its own length before it: an array cannot promise more than its bytes can hold.
    if total > rest.len() / 4 {
        return Err(ARRAY);
    }
    elements(&lengths[..dimensions], element.kind, &mut rest, sink)?;
    if rest.is_empty() { Ok(()) } else { Err(ARRAY) }
}

fn elements(lengths: &[usize], kind: Kind, rest: &mut &[u8], sink: &mut dyn Sink) -> Result<(), Unreadable> {
    let Some((&length, inner)) = lengths.split_first() else {
        let length = next_i32(rest)?;
        if length == -1 {
            sink.null();
            return Ok(());
        }
        let length = usize::try_from(length).map_err(|_| ARRAY)?;
        let (bytes, after) = rest.split_at_checked(length).ok_or(ARRAY)?;
        *rest = after;
        return scalar(kind, bytes, sink);
    };
    sink.array(length);
    for _ in 0..length {
        elements(inner, kind, rest, sink)?;
    }
    Ok(())
}

fn next_i32(rest: &mut &[u8]) -> Result<i32, Unreadable> {
    let (bytes, after) = rest.split_first_chunk().ok_or(ARRAY)?;
    *rest = after;
    Ok(i32::from_be_bytes(*bytes))
}
