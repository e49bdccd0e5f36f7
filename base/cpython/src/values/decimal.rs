//! `decimal.Decimal`, as libmpdec keeps it.

use super::{Describer, Value};
use crate::objects::ReadError;

const NEGATIVE: u8 = 1;
const INFINITE: u8 = 2;
const NAN: u8 = 4;
const SIGNALLING_NAN: u8 = 8;
/// Digits in a word.
const WORD_DIGITS: usize = 19;
/// More words than this are not read.
const WORDS_MAX: u64 = 64;

impl Describer<'_> {
    /// `Decimal('1.50')`.
    pub(super) fn decimal(&self, address: u64) -> Result<Value, ReadError> {
        // The hash; then flags, exponent, digits, words in use, words there are, and where they lie, the lowest first.
        let fields = self.words(address.wrapping_add(u64::from(self.head()) + 8), 6)?;
        let [flags, exponent, digits, len, _, data] = fields[..] else {
            return Err(ReadError::Implausible("a decimal"));
        };
        let flags = flags as u8;
        let text = if flags & (INFINITE | NAN | SIGNALLING_NAN) != 0 {
            let word = match flags {
                _ if flags & INFINITE != 0 => "Infinity",
                _ if flags & NAN != 0 => "NaN",
                _ => "sNaN",
            };
            format!("{}{word}", if flags & NEGATIVE != 0 { "-" } else { "" })
        } else if len == 0 || len > WORDS_MAX {
            return match digits {
                0..=0xffff_ffff if len > 0 => Ok(Value::Word(format!("Decimal(<{digits} digits>)"))),
                _ => Err(ReadError::Implausible("a decimal")),
            };
        } else {
            let words = self.words(data, len as usize)?;
            scientific(flags & NEGATIVE != 0, &digits_of(&words), exponent.cast_signed())
        };
        Ok(Value::Made {
            class: "Decimal".to_owned(),
            fields: vec![(None, Value::Text(text, None))],
            more: 0,
        })
    }
}

/// Decimal digits of a number in words of nineteen digits, the lowest first.
fn digits_of(words: &[u64]) -> String {
    let mut text: String = words.iter().rev().map(|word| format!("{word:0WORD_DIGITS$}")).collect();
    let zeros = text.len() - text.trim_start_matches('0').len();
    text.drain(..zeros.min(text.len().saturating_sub(1)));
    text
}

/// Digits and an exponent of ten, as `str(Decimal)` writes them.
fn scientific(negative: bool, digits: &str, exponent: i64) -> String {
    let sign = if negative { "-" } else { "" };
    let count = digits.len() as i64;
    // Where the point is, counted from the first digit.
    let point = count.saturating_add(exponent);
    if exponent <= 0 && point > -6 {
        return match usize::try_from(point) {
            _ if exponent == 0 => format!("{sign}{digits}"),
            Ok(point) if point > 0 => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
            _ => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        };
    }
    let (first, rest) = digits.split_at(1);
    let dot = if rest.is_empty() { "" } else { "." };
    format!("{sign}{first}{dot}{rest}E{:+}", point.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_written_as_python_writes_them() {
        let cases = [
            (false, "150", -2, "1.50"),
            (true, "5", 0, "-5"),
            (false, "0", -3, "0.000"),
            (false, "1", -6, "0.000001"),
            (false, "1", -7, "1E-7"),
            (false, "123", 5, "1.23E+7"),
            (false, "1", 3, "1E+3"),
            (false, "1", i64::MAX, "1E+9223372036854775806"),
        ];
        for (negative, digits, exponent, expected) in cases {
            assert_eq!(scientific(negative, digits, exponent), expected);
        }
        assert_eq!(digits_of(&[5, 1]), "10000000000000000005");
        assert_eq!(digits_of(&[0]), "0");
    }
}
