//! CSV: the type of a column is the one that all of its values have.

use std::io::Read;

use super::FileError;
use super::{Field, Row};

/// What the values of a column look like, from the narrowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    Whole,
    Real,
    Boolean,
    Date,
    Moment,
}

const ALL: [Look; 5] = [Look::Whole, Look::Real, Look::Boolean, Look::Date, Look::Moment];

/// What each column looks like in all of its rows; text where it is nothing else.
pub(super) fn kinds(reader: impl Read) -> Result<Vec<Option<Look>>, FileError> {
    let mut looks: Vec<Vec<Look>> = Vec::new();
    each(reader, &mut |names, record| {
        looks.resize(names.len(), ALL.to_vec());
        for (look, text) in looks.iter_mut().zip(record) {
            if !text.is_empty() {
                look.retain(|look| fits(*look, text));
            }
        }
        Ok::<(), FileError>(())
    })?;
    Ok(looks.into_iter().map(|looks| looks.first().copied()).collect())
}

/// Gives the rows; an empty value is none.
pub(super) fn rows<E: From<FileError>>(
    reader: impl Read,
    looks: &[Option<Look>],
    take: &mut dyn FnMut(Row) -> Result<(), E>,
) -> Result<(), E> {
    each(reader, &mut |names, record| {
        let fields = names.iter().zip(record).zip(looks);
        take(fields.map(|((name, text), look)| (name.to_owned(), field(*look, text))).collect())
    })
}

/// What is done with the names of the columns and the values of a row.
type Each<'t, E> = &'t mut dyn FnMut(&[String], &csv::StringRecord) -> Result<(), E>;

fn each<E: From<FileError>>(reader: impl Read, take: Each<'_, E>) -> Result<(), E> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(reader);
    let mut record = csv::StringRecord::new();
    let mut names: Option<Vec<String>> = None;
    while reader.read_record(&mut record).map_err(|error| E::from(of_csv(error)))? {
        let line = record.position().map_or(0, csv::Position::line);
        let Some(names) = &names else {
            names = Some(record.iter().map(str::to_owned).collect());
            continue;
        };
        if record.len() != names.len() {
            return Err(FileError::Width { line, values: record.len(), columns: names.len() }.into());
        }
        take(names, &record)?;
    }
    Ok(())
}

fn of_csv(error: csv::Error) -> FileError {
    let line = error.position().map_or(0, csv::Position::line);
    match error.into_kind() {
        csv::ErrorKind::Io(error) => FileError::Read(error),
        csv::ErrorKind::Utf8 { pos, .. } => FileError::NoText { line: pos.map_or(line, |pos| pos.line()) },
        _ => FileError::NoText { line },
    }
}

fn field(look: Option<Look>, text: &str) -> Field {
    if text.is_empty() {
        return Field::Null;
    }
    let plain = || Field::Text(text.to_owned());
    match look {
        None => plain(),
        Some(Look::Whole) => text.parse().map_or_else(|_| plain(), Field::Integer),
        Some(Look::Real) => text.parse().map_or_else(|_| plain(), Field::Real),
        Some(Look::Boolean) => Field::Boolean(text.eq_ignore_ascii_case("true")),
        Some(Look::Date) => Field::Date(text.to_owned()),
        Some(Look::Moment) => Field::Moment(moment(text)),
    }
}

/// A moment as it is stored: with a blank, seconds and microseconds.
fn moment(text: &str) -> String {
    let (day, time) = text.split_at(10);
    let time = &time[1..];
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = if whole.len() == 5 { ":00" } else { "" };
    format!("{day} {whole}{seconds}.{fraction:0<6}")
}

fn fits(look: Look, text: &str) -> bool {
    match look {
        Look::Whole => is_whole(text, 18),
        Look::Real => is_real(text),
        Look::Boolean => text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"),
        Look::Date => text.len() == 10 && is_date(text),
        Look::Moment => is_moment(text),
    }
}

/// A whole number of so many digits. One with a zero in front is a code, and stays text.
fn is_whole(text: &str, digits_max: usize) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number =
        (1..=digits_max).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number && (digits == "0" || !digits.starts_with('0'))
}

/// A number; of more digits before its point than 53 bits keep, it stays text.
fn is_real(text: &str) -> bool {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (text, None),
    };
    let is_exponent = |text: &str| {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (number, None),
    };
    let is_fraction = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_small = text.parse::<f64>().is_ok_and(f64::is_finite);
    is_small && is_whole(whole, 15) && fraction.is_none_or(is_fraction) && exponent.is_none_or(is_exponent)
}

/// A day that is in the calendar, at the start of a text.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return false;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = &bytes[range];
        digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')))
    };
    let (Some(year), Some(month), Some(day)) = (number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// `2020-02-29T12:00`, with seconds and a fraction or without.
fn is_moment(text: &str) -> bool {
    if !text.is_ascii() || text.len() < 16 || !is_date(text) || !matches!(text.as_bytes()[10], b'T' | b' ') {
        return false;
    }
    let (whole, fraction) = match text[11..].split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (&text[11..], None),
    };
    let parts: Vec<&str> = whole.split(':').collect();
    let below = |text: &str, limit: u32| {
        text.len() == 2
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && text.parse::<u32>().is_ok_and(|it| it < limit)
    };
    let is_time = match parts.as_slice() {
        [hour, minute] => below(hour, 24) && below(minute, 60) && fraction.is_none(),
        [hour, minute, second] => below(hour, 24) && below(minute, 60) && below(second, 60),
        _ => false,
    };
    is_time
        && fraction.is_none_or(|digits| {
            (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(values: &[&str]) -> Option<Look> {
        let text = format!("a,b\n{}", values.iter().map(|value| format!("{value},x\n")).collect::<String>());
        kinds(text.as_bytes()).expect("it is CSV")[0]
    }

    #[test]
    fn a_column_looks_like_all_of_its_values() {
        assert_eq!(look(&["1", "-2", ""]), Some(Look::Whole));
        assert_eq!(look(&["1", "2.5", "1e-3"]), Some(Look::Real));
        assert_eq!(look(&["true", "FALSE"]), Some(Look::Boolean));
        assert_eq!(look(&["2020-02-29"]), Some(Look::Date));
        assert_eq!(look(&["2020-02-28T10:00", "2020-02-28 10:00:00.5"]), Some(Look::Moment));
        for text in [
            &["1", "x"][..],
            &["007"],
            &["9999999999999999999"],
            &["2021-02-29"],
            &["nan"],
            &["1e999"],
            &["1_000"],
            &["2020-02-28T25:00"],
            &["+1"],
            &["."],
            &["-"],
        ] {
            assert_eq!(look(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_moment_is_stored_in_one_form() {
        assert_eq!(moment("2020-02-28T10:00"), "2020-02-28 10:00:00.000000");
        assert_eq!(moment("2020-02-28 10:00:01.5"), "2020-02-28 10:00:01.500000");
    }

    #[test]
    fn a_row_of_another_width_is_named_with_its_line() {
        let error = kinds("a,b\n1,\"x\ny\"\n3\n".as_bytes()).expect_err("the last row is short");
        assert_eq!(error.to_string(), "line 4: 1 values, and the first line names 2 columns");
        let error = kinds(&b"a\n\xff\n"[..]).expect_err("no text");
        assert_eq!(error.to_string(), "line 2: no text in UTF-8");
    }
}
