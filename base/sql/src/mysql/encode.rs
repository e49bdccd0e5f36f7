//! Values into the binary form of a parameter. The value decides the type; the server converts it to its column's.

use crate::Value;
use crate::calendar::{self, DAY_US, SECOND_US};

use super::message::write_sized;

/// The type of a parameter on the wire: its number, and 0x80 where it has no sign.
pub(crate) type ParameterType = [u8; 2];

pub(crate) const NULL: ParameterType = [6, 0];
/// What a parameter is whose values are all NULL.
pub(crate) const TEXT: ParameterType = [253, 0];

/// The longest TIME: 838:59:59, with all the fractions that it may have.
const TIME_US_MAX: u64 = (838 * 3600 + 59 * 60 + 60) * 1_000_000 - 1;

/// Appends the value; gives its type.
///
/// Errors: a sentence about a value that MySQL cannot hold.
pub(crate) fn binary(value: &Value<'_>, out: &mut Vec<u8>) -> Result<ParameterType, String> {
    Ok(match value {
        Value::Null => NULL,
        Value::Boolean(value) => {
            out.push(u8::from(*value));
            [1, 0]
        }
        Value::Integer(value) => {
            out.extend(value.to_le_bytes());
            [8, 0]
        }
        Value::Real(value) if !value.is_finite() => return Err(format!("MySQL has no number {value}")),
        Value::Real(value) => {
            out.extend(value.to_le_bytes());
            [5, 0]
        }
        Value::Decimal(digits) => {
            if !digits.bytes().any(|byte| byte.is_ascii_digit()) {
                return Err(format!("MySQL has no number `{}`", digits.chars().take(20).collect::<String>()));
            }
            write_sized(out, digits.as_bytes());
            [246, 0]
        }
        Value::Text(text) | Value::Json(text) => {
            write_sized(out, text.as_bytes());
            TEXT
        }
        Value::Uuid(bytes) => {
            write_sized(out, uuid(bytes).as_bytes());
            TEXT
        }
        Value::Bytes(bytes) => {
            write_sized(out, bytes);
            [252, 0]
        }
        Value::Date { year, month, day } => {
            calendar::days_of(*year, *month, *day)
                .ok_or_else(|| format!("there is no day {year}-{month}-{day}"))?;
            out.push(4);
            write_day(out, (*year, *month, *day))?;
            [10, 0]
        }
        Value::Moment { microseconds, .. } => {
            moment(*microseconds, out)?;
            [12, 0]
        }
        Value::Time { hour, minute, second, microsecond, .. } => {
            if *hour > 24 || *minute > 59 || *second > 59 || *microsecond > 999_999 {
                return Err(format!("there is no time {hour}:{minute}:{second}"));
            }
            let seconds = u64::from(*hour) * 3600 + u64::from(*minute) * 60 + u64::from(*second);
            time(false, seconds * SECOND_US.cast_unsigned() + u64::from(*microsecond), out);
            [11, 0]
        }
        Value::Interval { months, days, microseconds } => {
            let time_us = i64::from(*days).checked_mul(DAY_US).and_then(|us| us.checked_add(*microseconds));
            let time_us = time_us.filter(|time_us| *months == 0 && time_us.unsigned_abs() <= TIME_US_MAX);
            let time_us =
                time_us.ok_or("a stretch of time in MySQL is at most 838:59:59, and has no months")?;
            time(time_us < 0, time_us.unsigned_abs(), out);
            [11, 0]
        }
        Value::Array(_) => return Err("MySQL has no arrays".to_owned()),
        Value::Infinite { .. } => return Err("MySQL has no infinite days and moments".to_owned()),
    })
}

/// Appends a number beyond what an `i64` holds.
pub(crate) fn unsigned(value: u64, out: &mut Vec<u8>) -> ParameterType {
    out.extend(value.to_le_bytes());
    [8, 0x80]
}

fn write_day(out: &mut Vec<u8>, (year, month, day): (i32, u8, u8)) -> Result<(), String> {
    let short = u16::try_from(year).ok().filter(|&year| year <= 9999);
    out.extend(short.ok_or_else(|| format!("the year {year} is out of range for MySQL"))?.to_le_bytes());
    out.extend([month, day]);
    Ok(())
}

/// What its clock shows: MySQL has no type with a time zone.
fn moment(microseconds: i64, out: &mut Vec<u8>) -> Result<(), String> {
    let day = calendar::day_of(microseconds.div_euclid(DAY_US));
    let of_day_us = microseconds.rem_euclid(DAY_US).cast_unsigned();
    out.push(if of_day_us.is_multiple_of(SECOND_US.cast_unsigned()) { 7 } else { 11 });
    write_day(out, day)?;
    write_time(out, of_day_us);
    Ok(())
}

fn time(minus: bool, time_us: u64, out: &mut Vec<u8>) {
    let day_us = DAY_US.cast_unsigned();
    out.push(if time_us.is_multiple_of(SECOND_US.cast_unsigned()) { 8 } else { 12 });
    out.push(u8::from(minus));
    // At most 34 days, as was checked.
    out.extend(((time_us / day_us) as u32).to_le_bytes());
    write_time(out, time_us % day_us);
}

/// Hour, minute and second, and microseconds where there are any.
fn write_time(out: &mut Vec<u8>, of_day_us: u64) {
    let (seconds, fraction) = (of_day_us / 1_000_000, of_day_us % 1_000_000);
    // All are below 60, hours below 24.
    out.extend([(seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8]);
    if fraction != 0 {
        out.extend((fraction as u32).to_le_bytes());
    }
}

fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (place, byte) in bytes.iter().enumerate() {
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    text
}
