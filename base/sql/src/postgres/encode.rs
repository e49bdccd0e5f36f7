//! Values into the form that a type of the server takes: binary where it is known, else text, which the server reads.
//!
//! [`binary`] says whether there is a binary form of this value for that type; [`text`] always has one. What the type
//! could never hold is an error here already, so that it can name row and column.

use std::fmt::Write as _;

use crate::Value;

use super::types::{Kind, Known, Type};
use crate::calendar::{self, DAY_US, EPOCH_DAYS, EPOCH_US, SECOND_US};

/// Digits before the point of a `numeric`, and digits after it.
const NUMERIC_DIGITS_MAX: (i64, i64) = (131_072, 16_383);

/// Appends the binary form; false, and nothing appended, where only text will do.
///
/// Errors: a sentence about a value that the type cannot hold.
pub(crate) fn binary(known: Known, value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    match known {
        Known::Scalar(known) => scalar(known, value, out),
        Known::Array(known) => match value {
            Value::Array(elements) => array(known, elements, out),
            _ => Ok(false),
        },
        Known::Nothing => Ok(false),
    }
}

fn scalar(known: &Type, value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    match known.kind {
        Kind::Bool => match value {
            Value::Boolean(value) => out.push(u8::from(*value)),
            Value::Integer(value @ (0 | 1)) => out.push(*value as u8),
            _ => return Ok(false),
        },
        Kind::Int2 | Kind::Int4 | Kind::Int8 | Kind::Oid => {
            let Some(number) = whole_number(value) else { return Ok(false) };
            let wrong = |_| format!("{number} is out of range for {}", known.name);
            match known.kind {
                Kind::Int2 => out.extend(i16::try_from(number).map_err(wrong)?.to_be_bytes()),
                Kind::Int4 => out.extend(i32::try_from(number).map_err(wrong)?.to_be_bytes()),
                Kind::Oid => out.extend(u32::try_from(number).map_err(wrong)?.to_be_bytes()),
                _ => out.extend(number.to_be_bytes()),
            }
        }
        Kind::Float4 => match value {
            Value::Real(value) => {
                let narrow = *value as f32;
                if narrow.is_infinite() && value.is_finite() {
                    return Err(format!("{value:?} is out of range for float4"));
                }
                out.extend(narrow.to_be_bytes());
            }
            Value::Integer(value) if value.unsigned_abs() <= 1 << 24 => {
                out.extend((*value as f32).to_be_bytes());
            }
            _ => return Ok(false),
        },
        Kind::Float8 => match value {
            Value::Real(value) => out.extend(value.to_be_bytes()),
            Value::Integer(value) if value.unsigned_abs() <= 1 << 53 => {
                out.extend((*value as f64).to_be_bytes());
            }
            _ => return Ok(false),
        },
        Kind::Numeric => match value {
            Value::Integer(value) => return numeric(&value.to_string(), out),
            Value::Decimal(digits) => return numeric(digits, out),
            Value::Real(value) => return numeric(&format!("{value:?}"), out),
            _ => return Ok(false),
        },
        // The text of these is their binary form.
        Kind::Text | Kind::Json => text(value, out)?,
        Kind::Jsonb => {
            out.push(1);
            text(value, out)?;
        }
        Kind::Bytea => match value {
            Value::Bytes(bytes) => out.extend_from_slice(bytes),
            _ => return Ok(false),
        },
        Kind::Date => return day(value, out),
        Kind::Time | Kind::Timetz => return time(known.kind, value, out),
        Kind::Timestamp | Kind::Timestamptz => return moment(known.kind, value, out),
        Kind::Interval => match value {
            Value::Interval { months, days, microseconds } => {
                out.extend(microseconds.to_be_bytes());
                out.extend(days.to_be_bytes());
                out.extend(months.to_be_bytes());
            }
            _ => return Ok(false),
        },
        Kind::Uuid => match value {
            Value::Uuid(bytes) => out.extend_from_slice(bytes),
            _ => return Ok(false),
        },
    }
    Ok(true)
}

fn whole_number(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(value) => Some(*value),
        Value::Boolean(value) => Some(i64::from(*value)),
        // Beyond 2^53 not every whole number is a float; those that are go as text, digit by digit.
        Value::Real(value) if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 => {
            Some(*value as i64)
        }
        Value::Decimal(digits) => digits.parse().ok(),
        _ => None,
    }
}

fn day(value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let days = match value {
        Value::Date { year, month, day } => days_of(*year, *month, *day)?,
        Value::Moment { microseconds, .. } => microseconds.div_euclid(DAY_US),
        Value::Infinite { positive } => {
            out.extend(if *positive { i32::MAX } else { i32::MIN }.to_be_bytes());
            return Ok(true);
        }
        _ => return Ok(false),
    };
    let days = i32::try_from(days - EPOCH_DAYS).ok().filter(|days| !matches!(*days, i32::MAX | i32::MIN));
    out.extend(days.ok_or("the day is out of range for date")?.to_be_bytes());
    Ok(true)
}

fn days_of(year: i32, month: u8, day: u8) -> Result<i64, String> {
    calendar::days_of(year, month, day).ok_or_else(|| format!("there is no day {year}-{month}-{day}"))
}

fn time(kind: Kind, value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let Value::Time { hour, minute, second, microsecond, offset_s } = value else { return Ok(false) };
    let seconds = i64::from(*hour) * 3600 + i64::from(*minute) * 60 + i64::from(*second);
    let time_us = seconds * SECOND_US + i64::from(*microsecond);
    if *minute > 59 || *second > 59 || *microsecond > 999_999 || time_us > DAY_US {
        return Err(format!("there is no time {hour}:{minute}:{second}"));
    }
    if kind == Kind::Timetz {
        // Without a zone it is the session's that counts, which the server knows.
        let Some(offset_s) = offset_s else { return Ok(false) };
        out.extend(time_us.to_be_bytes());
        out.extend(offset_s.checked_neg().ok_or("there is no such time zone")?.to_be_bytes());
    } else {
        out.extend(time_us.to_be_bytes());
    }
    Ok(true)
}

fn moment(kind: Kind, value: &Value<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
    let since_1970 = match value {
        Value::Moment { microseconds, offset_s } => match (kind, offset_s) {
            (Kind::Timestamptz, Some(offset_s)) => microseconds
                .checked_sub(i64::from(*offset_s) * SECOND_US)
                .ok_or("the moment is out of range")?,
            // As above: what its clock showed in the session's zone.
            (Kind::Timestamptz, None) => return Ok(false),
            _ => *microseconds,
        },
        Value::Date { year, month, day } if kind == Kind::Timestamp => days_of(*year, *month, *day)? * DAY_US,
        Value::Infinite { positive } => {
            out.extend(if *positive { i64::MAX } else { i64::MIN }.to_be_bytes());
            return Ok(true);
        }
        _ => return Ok(false),
    };
    let since_2000 = since_1970.checked_sub(EPOCH_US).filter(|&moment| moment != i64::MIN);
    out.extend(since_2000.ok_or("the moment is out of range")?.to_be_bytes());
    Ok(true)
}

/// Appends a `numeric` from its digits; false where they are none that this understands.
fn numeric(digits: &str, out: &mut Vec<u8>) -> Result<bool, String> {
    let (minus, rest) = match digits.as_bytes() {
        [b'-', ..] => (true, &digits[1..]),
        [b'+', ..] => (false, &digits[1..]),
        _ => (false, digits),
    };
    let special = match rest {
        "NaN" | "nan" => Some(0xC000u16),
        "Infinity" | "inf" if minus => Some(0xF000),
        "Infinity" | "inf" => Some(0xD000),
        _ => None,
    };
    if let Some(sign) = special {
        out.extend([0, 0, 0, 0]);
        out.extend(sign.to_be_bytes());
        out.extend([0, 0]);
        return Ok(true);
    }
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => match exponent.parse::<i32>() {
            Ok(exponent) => (mantissa, i64::from(exponent)),
            Err(_) => return Ok(false),
        },
        None => (rest, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.len() + fraction.len() == 0
        || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit())
    {
        return Ok(false);
    }
    // Digits without zeros at the front; `point` is how many of them stand before the point, which may lie outside.
    let all = [whole, fraction].concat();
    let significant = all.trim_start_matches('0');
    let point = whole.len() as i64 + exponent - (all.len() - significant.len()) as i64;
    let scale = (fraction.len() as i64 - exponent).max(0);
    if significant.is_empty() {
        numeric_head(out, 0, 0, false, scale.min(NUMERIC_DIGITS_MAX.1));
        return Ok(true);
    }
    if point > NUMERIC_DIGITS_MAX.0 || scale > NUMERIC_DIGITS_MAX.1 {
        return Err("the number has more digits than numeric holds".to_owned());
    }
    // Groups of four digits are counted from the point.
    let weight = (point - 1).div_euclid(4);
    let lead = usize::try_from((weight + 1) * 4 - point).unwrap_or(0);
    let digit = |place: usize| -> u16 {
        let digit = place.checked_sub(lead).and_then(|place| significant.as_bytes().get(place));
        digit.map_or(0, |digit| u16::from(digit - b'0'))
    };
    let mut groups: Vec<u16> = (0..(lead + significant.len()).div_ceil(4))
        .map(|group| (0..4).fold(0, |value, place| value * 10 + digit(group * 4 + place)))
        .collect();
    while groups.last() == Some(&0) {
        groups.pop();
    }
    numeric_head(out, groups.len(), weight, minus, scale);
    out.extend(groups.into_iter().flat_map(u16::to_be_bytes));
    Ok(true)
}

fn numeric_head(out: &mut Vec<u8>, groups: usize, weight: i64, minus: bool, scale: i64) {
    // Each fits: the limits of digits were checked.
    out.extend((groups as u16).to_be_bytes());
    out.extend((weight as i16).to_be_bytes());
    out.extend(if minus { 0x4000u16 } else { 0 }.to_be_bytes());
    out.extend((scale as u16).to_be_bytes());
}

/// Appends an array of elements of a known type; false where one of them has only a text form.
fn array(element: &Type, elements: &[Value<'_>], out: &mut Vec<u8>) -> Result<bool, String> {
    let start = out.len();
    let mut lengths = Vec::new();
    let mut level = elements;
    loop {
        lengths.push(level.len());
        match level.first() {
            Some(Value::Array(inner)) => level = inner,
            _ => break,
        }
    }
    if lengths.len() > 6 {
        return Err("an array has more than six dimensions".to_owned());
    }
    let empty = lengths.last() == Some(&0);
    let dimensions = if empty { 0 } else { lengths.len() };
    out.extend((dimensions as u32).to_be_bytes());
    let flags = out.len();
    out.extend([0; 4]);
    out.extend(element.oid.to_be_bytes());
    if empty {
        return if lengths.len() == 1 { Ok(true) } else { same_lengths(elements, &lengths).map(|()| true) };
    }
    for &length in &lengths {
        let length = i32::try_from(length).map_err(|_| "an array has too many elements")?;
        out.extend(length.to_be_bytes());
        out.extend(1i32.to_be_bytes());
    }
    same_lengths(elements, &lengths)?;
    let mut nulls = false;
    let written = leaves(element, elements, out, &mut nulls);
    if nulls {
        out[flags + 3] = 1;
    }
    if !matches!(written, Ok(true)) {
        out.truncate(start);
    }
    written
}

fn same_lengths(elements: &[Value<'_>], lengths: &[usize]) -> Result<(), String> {
    let Some((&length, inner)) = lengths.split_first() else { return Ok(()) };
    if elements.len() != length {
        return Err("the rows of a nested array are not equally long".to_owned());
    }
    for element in elements {
        match element {
            Value::Array(elements) if !inner.is_empty() => same_lengths(elements, inner)?,
            Value::Array(_) => return Err("the rows of a nested array are not equally long".to_owned()),
            _ if !inner.is_empty() => return Err("an array holds both values and arrays".to_owned()),
            _ => {}
        }
    }
    Ok(())
}

fn leaves(
    element: &Type,
    elements: &[Value<'_>],
    out: &mut Vec<u8>,
    nulls: &mut bool,
) -> Result<bool, String> {
    for value in elements {
        match value {
            Value::Array(inner) => {
                if !leaves(element, inner, out, nulls)? {
                    return Ok(false);
                }
            }
            Value::Null => {
                *nulls = true;
                out.extend((-1i32).to_be_bytes());
            }
            value => {
                let place = out.len();
                out.extend([0; 4]);
                if !scalar(element, value, out)? {
                    return Ok(false);
                }
                let length = i32::try_from(out.len() - place - 4).map_err(|_| "an element is too long")?;
                out[place..place + 4].copy_from_slice(&length.to_be_bytes());
            }
        }
    }
    Ok(true)
}

/// Appends the text form, as the server reads it for any type that could hold such a value.
///
/// Errors: a NUL character, which PostgreSQL stores nowhere.
pub(crate) fn text(value: &Value<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let mut written = String::new();
    match value {
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => {
            if text.as_bytes().contains(&0) {
                return Err("it holds a NUL character, which PostgreSQL cannot store in text".to_owned());
            }
            out.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        // Only an array's element: a NULL by itself has no form at all.
        Value::Null => written.push_str("NULL"),
        Value::Boolean(value) => written.push_str(if *value { "true" } else { "false" }),
        Value::Integer(value) => written = value.to_string(),
        Value::Real(value) if value.is_infinite() => {
            written.push_str(if *value > 0.0 { "Infinity" } else { "-Infinity" });
        }
        // The shortest digits that give this number again.
        Value::Real(value) => written = format!("{value:?}"),
        Value::Bytes(bytes) => {
            written.push_str("\\x");
            for byte in bytes.iter() {
                let _ = write!(written, "{byte:02x}");
            }
        }
        Value::Date { year, month, day } => {
            days_of(*year, *month, *day)?;
            calendar::write_day(&mut written, (*year, *month, *day));
            written.push_str(calendar::era(*year));
        }
        Value::Time { hour, minute, second, microsecond, offset_s } => {
            let seconds = u64::from(*hour) * 3600 + u64::from(*minute) * 60 + u64::from(*second);
            calendar::write_time(&mut written, seconds * 1_000_000 + u64::from(*microsecond));
            if let Some(offset_s) = offset_s {
                calendar::write_offset(&mut written, *offset_s);
            }
        }
        Value::Moment { microseconds, offset_s } => {
            let of_day = microseconds.rem_euclid(DAY_US).unsigned_abs();
            calendar::write_moment(&mut written, microseconds.div_euclid(DAY_US), of_day, *offset_s);
        }
        Value::Interval { months, days, microseconds } => {
            let _ = write!(written, "{months} mons {days} days ");
            if *microseconds < 0 {
                written.push('-');
            }
            calendar::write_time(&mut written, microseconds.unsigned_abs());
        }
        Value::Uuid(bytes) => {
            for (place, byte) in bytes.iter().enumerate() {
                let hyphen = if matches!(place, 4 | 6 | 8 | 10) { "-" } else { "" };
                let _ = write!(written, "{hyphen}{byte:02x}");
            }
        }
        Value::Array(elements) => return array_text(elements, out),
        Value::Infinite { positive } => written.push_str(if *positive { "infinity" } else { "-infinity" }),
    }
    out.extend_from_slice(written.as_bytes());
    Ok(())
}

fn array_text(elements: &[Value<'_>], out: &mut Vec<u8>) -> Result<(), String> {
    out.push(b'{');
    let mut element_text = Vec::new();
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        if let Value::Array(_) | Value::Null = element {
            text(element, out)?;
            continue;
        }
        element_text.clear();
        text(element, &mut element_text)?;
        out.push(b'"');
        for &byte in &element_text {
            if byte == b'"' || byte == b'\\' {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out.push(b'}');
    Ok(())
}
