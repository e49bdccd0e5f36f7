//! Values as people write them.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::Value;
use crate::calendar::{self, DAY_US};

impl Value<'_> {
    /// The value as text: days and times by ISO 8601, bytes as hexadecimal digits, arrays as JSON, NULL as nothing.
    ///
    /// ```
    /// use naja_sql::Value;
    /// assert_eq!(Value::Moment { microseconds: 0, offset_s: Some(0) }.text(), "1970-01-01 00:00:00+00:00");
    /// assert_eq!(Value::Array(vec![Value::from(1), Value::from("a")]).text(), r#"[1,"a"]"#);
    /// ```
    pub fn text(&self) -> Cow<'_, str> {
        if let Value::Decimal(text) | Value::Text(text) | Value::Json(text) = self {
            return Cow::Borrowed(text);
        }
        let mut out = String::new();
        self.write_text(&mut out);
        Cow::Owned(out)
    }

    fn write_text(&self, out: &mut String) {
        // Writing into a string does not fail.
        match self {
            Value::Null => {}
            Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Value::Integer(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Real(value) => {
                let _ = write!(out, "{value}");
            }
            Value::Decimal(text) | Value::Text(text) | Value::Json(text) => out.push_str(text),
            Value::Bytes(bytes) => bytes.iter().for_each(|byte| {
                let _ = write!(out, "{byte:02x}");
            }),
            Value::Date { year, month, day } => {
                calendar::write_day(out, (*year, *month, *day));
                out.push_str(calendar::era(*year));
            }
            Value::Time { hour, minute, second, microsecond, offset_s } => {
                let seconds = u64::from(*hour) * 3600 + u64::from(*minute) * 60 + u64::from(*second);
                calendar::write_time(out, seconds * 1_000_000 + u64::from(*microsecond));
                if let Some(offset_s) = offset_s {
                    calendar::write_offset(out, *offset_s);
                }
            }
            Value::Moment { microseconds, offset_s } => {
                let of_day = microseconds.rem_euclid(DAY_US).unsigned_abs();
                calendar::write_moment(out, microseconds.div_euclid(DAY_US), of_day, *offset_s);
            }
            Value::Interval { months, days, microseconds } => {
                write_interval(out, *months, *days, *microseconds)
            }
            Value::Uuid(bytes) => write_uuid(out, bytes),
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    out.push(if index == 0 { '[' } else { ',' });
                    element.write_json(out);
                }
                out.push_str(if elements.is_empty() { "[]" } else { "]" });
            }
            Value::Infinite { positive } => out.push_str(if *positive { "infinity" } else { "-infinity" }),
        }
    }

    /// An element of an array.
    fn write_json(&self, out: &mut String) {
        match self {
            Value::Null => out.push_str("null"),
            Value::Real(value) if !value.is_finite() => out.push_str("null"),
            Value::Boolean(_) | Value::Integer(_) | Value::Real(_) | Value::Json(_) | Value::Array(_) => {
                self.write_text(out);
            }
            other => write_json_string(out, &other.text()),
        }
    }
}

/// As ISO 8601 has it: `P1M2DT3S`.
fn write_interval(out: &mut String, months: i32, days: i32, microseconds: i64) {
    out.push('P');
    if months != 0 {
        let _ = write!(out, "{months}M");
    }
    if days != 0 {
        let _ = write!(out, "{days}D");
    }
    if microseconds != 0 || out.ends_with('P') {
        let sign = if microseconds < 0 { "-" } else { "" };
        let (seconds, fraction) =
            (microseconds.unsigned_abs() / 1_000_000, microseconds.unsigned_abs() % 1_000_000);
        let _ = write!(out, "T{sign}{seconds}");
        if fraction != 0 {
            let _ = write!(out, ".{fraction:06}");
        }
        out.push('S');
    }
}

fn write_uuid(out: &mut String, bytes: &[u8; 16]) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        let _ = write!(out, "{byte:02x}");
    }
}

fn write_json_string(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use crate::Value;

    #[test]
    fn each_kind_of_value_has_its_text() {
        let check = |value: Value<'_>, text: &str| assert_eq!(value.text(), text, "{value:?}");
        check(Value::Null, "");
        check(Value::Boolean(true), "true");
        check(Value::Real(1.5), "1.5");
        check(Value::Bytes((&[0, 255][..]).into()), "00ff");
        check(Value::Date { year: 2020, month: 2, day: 29 }, "2020-02-29");
        let time = Value::Time { hour: 1, minute: 2, second: 3, microsecond: 4, offset_s: Some(-3600) };
        check(time, "01:02:03.000004-01:00");
        check(Value::Interval { months: 1, days: 2, microseconds: -1 }, "P1M2DT-0.000001S");
        check(Value::Interval { months: 0, days: 0, microseconds: 0 }, "PT0S");
        check(Value::Uuid([0x10; 16]), "10101010-1010-1010-1010-101010101010");
        check(Value::Infinite { positive: false }, "-infinity");
        check(Value::Array(Vec::new()), "[]");
        let inner = Value::Array(vec![Value::from("a\"\n\u{1}"), Value::Null, Value::Real(f64::NAN)]);
        check(Value::Array(vec![inner, Value::Json("{}".into())]), r#"[["a\"\n\u0001",null,null],{}]"#);
    }
}
