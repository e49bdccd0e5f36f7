//! The text of a value: as Python writes it where Python would write all of it.

use std::fmt::{self, Write};

use super::{Sequence, Value};

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Word(text) => f.write_str(text),
            Value::Float(number) => f.write_str(&float(*number)),
            Value::Complex(real, imaginary) => complex(f, *real, *imaginary),
            Value::Text(text, of) => {
                write_text(f, text)?;
                more_of(f, "characters", *of)
            }
            Value::Bytes { mutable, bytes, of } => {
                f.write_str(if *mutable { "bytearray(" } else { "" })?;
                write_bytes(f, bytes)?;
                f.write_str(if *mutable { ")" } else { "" })?;
                more_of(f, "bytes", *of)
            }
            Value::Items { kind, items, more } => write_items(f, *kind, items, *more),
            Value::Dict { entries, more } => {
                f.write_char('{')?;
                let entry =
                    |f: &mut fmt::Formatter<'_>, (key, value): &(Value, Value)| write!(f, "{key}: {value}");
                write_list(f, entries, *more, entry)?;
                f.write_char('}')
            }
            Value::Made { class, fields, more } => {
                write!(f, "{class}(")?;
                let field = |f: &mut fmt::Formatter<'_>, (name, value): &(Option<String>, Value)| match name {
                    Some(name) => write!(f, "{name}={value}"),
                    None => write!(f, "{value}"),
                };
                write_list(f, fields, *more, field)?;
                f.write_char(')')
            }
            Value::Member(name, value) => write!(f, "<{name}: {value}>"),
            Value::Other(name, address) => write!(f, "<{name} at {address:#x}>"),
            Value::Omitted => f.write_str("…"),
            Value::Unreadable => f.write_str("<unreadable>"),
        }
    }
}

fn more_of(f: &mut fmt::Formatter<'_>, what: &str, of: Option<u64>) -> fmt::Result {
    of.map_or(Ok(()), |of| write!(f, "…<{of} {what}>"))
}

fn write_items(f: &mut fmt::Formatter<'_>, kind: Sequence, items: &[Value], more: u64) -> fmt::Result {
    let (open, close) = match (kind, items.is_empty() && more == 0) {
        (Sequence::List, _) => ("[", "]"),
        (Sequence::Tuple, _) if items.len() == 1 && more == 0 => ("(", ",)"),
        (Sequence::Tuple, _) => ("(", ")"),
        (Sequence::Set, true) => ("set(", ")"),
        (Sequence::Set, false) => ("{", "}"),
        (Sequence::FrozenSet, true) => ("frozenset(", ")"),
        (Sequence::FrozenSet, false) => ("frozenset({", "})"),
    };
    f.write_str(open)?;
    write_list(f, items, more, |f, item| write!(f, "{item}"))?;
    f.write_str(close)
}

fn write_list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    more: u64,
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (index, item) in items.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write(f, item)?;
    }
    if more > 0 {
        f.write_str(if items.is_empty() { "" } else { ", " })?;
        write!(f, "…<{more} more>")?;
    }
    Ok(())
}

/// With single quotes, unless there are such in it and no double ones.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    f.write_char(quote)?;
    for character in text.chars() {
        match character {
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\\' => f.write_str("\\\\")?,
            c if c == quote => write!(f, "\\{c}")?,
            ' ' => f.write_char(' ')?,
            c if c.is_control() || c.is_whitespace() || is_invisible(c) => match u32::from(c) {
                code @ 0..=0xff => write!(f, "\\x{code:02x}")?,
                code @ 0x100..=0xffff => write!(f, "\\u{code:04x}")?,
                code => write!(f, "\\U{code:08x}")?,
            },
            c => f.write_char(c)?,
        }
    }
    f.write_char(quote)
}

/// Characters that change how others are shown, or are none: a terminal must not be steered by them.
fn is_invisible(c: char) -> bool {
    matches!(u32::from(c), 0xad | 0x600..=0x605 | 0x61c | 0x180e | 0x200b..=0x200f | 0x2028..=0x202e
        | 0x2060..=0x206f | 0xfeff | 0xfff0..=0xfffb | 0xe000..=0xf8ff | 0xe0000..=0xe0fff)
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let quote = if bytes.contains(&b'\'') && !bytes.contains(&b'"') { b'"' } else { b'\'' };
    write!(f, "b{}", char::from(quote))?;
    for byte in bytes {
        match byte {
            b'\n' => f.write_str("\\n")?,
            b'\r' => f.write_str("\\r")?,
            b'\t' => f.write_str("\\t")?,
            b'\\' => f.write_str("\\\\")?,
            byte if *byte == quote => write!(f, "\\{}", char::from(*byte))?,
            0x20..=0x7e => f.write_char(char::from(*byte))?,
            byte => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_char(char::from(quote))
}

fn complex(f: &mut fmt::Formatter<'_>, real: f64, imaginary: f64) -> fmt::Result {
    let part = |number: f64| float(number).trim_end_matches(".0").to_owned();
    if real == 0.0 && real.is_sign_positive() {
        return write!(f, "{}j", part(imaginary));
    }
    let sign = if imaginary.is_sign_negative() { "" } else { "+" };
    write!(f, "({}{sign}{}j)", part(real), part(imaginary))
}

/// As Python writes a float: the shortest digits that give the same number back.
pub(super) fn float(number: f64) -> String {
    shortest(number.is_nan(), number.is_infinite(), number.is_sign_negative(), &format!("{:e}", number.abs()))
}

/// The same, of a float of 32 bits.
pub(super) fn float32(number: f32) -> String {
    shortest(number.is_nan(), number.is_infinite(), number.is_sign_negative(), &format!("{:e}", number.abs()))
}

/// The same, of a float of 16 bits: the fewest digits that only this one is nearest to.
pub(super) fn float16(bits: u16) -> String {
    let number = float16_value(bits);
    // Half of the way to its neighbours, of which the one below a power of two is nearer.
    let magnitude = bits & 0x7fff;
    let exponent = i32::from(magnitude >> 10).clamp(1, 0x1e);
    let above = 2f64.powi(exponent - 26);
    let below = if magnitude & 0x3ff == 0 && magnitude > 0x400 { above / 2.0 } else { above };
    let scientific = (0..5)
        .map(|digits| format!("{:.digits$e}", number.abs()))
        .find(|text| {
            let off = text.parse::<f64>().unwrap_or(f64::NAN) - number.abs();
            off < above && off > -below
        })
        .unwrap_or_else(|| format!("{:e}", number.abs()));
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits =
        if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    let scientific = format!("{digits}e{exponent}");
    shortest(number.is_nan(), number.is_infinite(), number.is_sign_negative(), &scientific)
}

/// A float of 16 bits: a sign, five bits of exponent, ten of fraction.
fn float16_value(bits: u16) -> f64 {
    let sign = if bits & 0x8000 != 0 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1024.0 + fraction) * 2f64.powi(exponent - 25),
    }
}

/// From Rust's shortest digits in scientific form to Python's choice of form.
fn shortest(is_nan: bool, is_infinite: bool, is_negative: bool, scientific: &str) -> String {
    if is_nan {
        return "nan".to_owned();
    }
    let sign = if is_negative { "-" } else { "" };
    if is_infinite {
        return format!("{sign}inf");
    }
    let (digits, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
    if !(-4..16).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}{point}{rest}e{exponent_sign}{:02}", exponent.abs());
    }
    if exponent < 0 {
        return format!("{sign}0.{}{digits}", "0".repeat(exponent.unsigned_abs() as usize - 1));
    }
    let whole = exponent as usize + 1;
    if digits.len() <= whole {
        return format!("{sign}{digits}{}.0", "0".repeat(whole - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..whole], &digits[whole..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.5, "1.5"),
            (100.0, "100.0"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e-5, "1.25e-05"),
            (0.0001, "0.0001"),
            (0.1, "0.1"),
            (-1234.5678, "-1234.5678"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "nan"),
            (f64::NEG_INFINITY, "-inf"),
        ];
        for (number, text) in cases {
            assert_eq!(float(number), text);
        }
        assert_eq!(Value::Complex(0.0, 1.0).to_string(), "1j");
        assert_eq!(Value::Complex(1.0, -2.5).to_string(), "(1-2.5j)");
    }

    #[test]
    fn halves_are_written_with_the_digits_that_tell_them_apart() {
        let cases = [
            (0x0000, "0.0"),
            (0x8000, "-0.0"),
            (0x3c00, "1.0"),
            (0x2e66, "0.1"),
            (0x3555, "0.3333"),
            (0x7bff, "65500.0"),
            (0xfc00, "-inf"),
            (0x7e00, "nan"),
            (0x0001, "6e-08"),
            (0x5640, "100.0"),
        ];
        for (bits, text) in cases {
            assert_eq!(float16(bits), text, "{bits:#x}");
        }
    }

    #[test]
    fn what_is_left_out_is_told() {
        let items = vec![Value::Word("1".to_owned()), Value::Omitted];
        let list = Value::Items { kind: Sequence::List, items: items.clone(), more: 3 };
        assert_eq!(list.to_string(), "[1, …, …<3 more>]");
        let tuple = Value::Items { kind: Sequence::Tuple, items: items[..1].to_vec(), more: 0 };
        assert_eq!(tuple.to_string(), "(1,)");
        assert_eq!(Value::Text("a".to_owned(), Some(9)).to_string(), "'a'…<9 characters>");
        assert_eq!(Value::Text("it's \u{1b}[0m".to_owned(), None).to_string(), "\"it's \\x1b[0m\"");
    }
}
