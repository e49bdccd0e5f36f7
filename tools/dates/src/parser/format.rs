//! The format of a text, in the signs of `strptime`.

use super::ymd::Part;
use super::{English, Options, Parsed, Tokens, Vocabulary, parse};
use crate::{Error, place};

/// What a piece of the text turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The n-th number of the date, or its month in letters.
    OfDate(usize),
    Year,
    Month,
    Day,
    Weekday,
    Hour,
    Minute,
    Second,
    Fraction,
    Half,
    ZoneName,
    Offset,
    /// Understood, but no sign says it.
    Unsayable,
}

/// A piece of the text, and what it turned out to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) role: Role,
}

impl Mark {
    /// Says which part of the date a number is, now that it is known.
    pub(super) fn resolve(&mut self, parts: &[Option<Part>; 3]) {
        if let Role::OfDate(index) = self.role {
            self.role = match parts.get(index).copied().flatten() {
                Some(Part::Year) => Role::Year,
                Some(Part::Month) => Role::Month,
                Some(Part::Day) => Role::Day,
                None => Role::Unsayable,
            };
        }
    }
}

/// Why a text has no format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormatError {
    /// The text is no date.
    NotParsed(Error),
    /// The piece of the text for which `strptime` has no sign.
    Unsayable(String),
}

impl From<Error> for FormatError {
    fn from(error: Error) -> FormatError {
        FormatError::NotParsed(error)
    }
}

/// Shows where the part of a date stands that does not exist, by the sentence in which Python refuses it ("month must be
/// in 1..12"); `None` where the text, read in English, does not have the part.
pub fn shown_part(text: &str, options: Options, vocabulary: &English, sentence: &str) -> Option<String> {
    let names = [
        ("year", Role::Year),
        ("month", Role::Month),
        ("bad month", Role::Month),
        ("day", Role::Day),
        ("hour", Role::Hour),
        ("minute", Role::Minute),
        ("second", Role::Second),
    ];
    let (_, role) = names.into_iter().find(|(name, _)| sentence.starts_with(name))?;
    let mut tokens = Tokens { marks: Some(Vec::new()), ..Tokens::default() };
    parse(text, options, vocabulary, &mut tokens).ok()?;
    let mark = tokens.marks.take()?.into_iter().find(|mark| mark.role == role)?;
    Some(place::shown(tokens.clean.as_deref().unwrap_or(text), mark.start..mark.end))
}

/// Reads a text in English, and gives the format by which `strptime` reads it too.
///
/// Errors: [`FormatError`]
///
/// ```
/// use naja_dates::parser::{format_of, English, Options};
///
/// let english = English { year: 2026 };
/// let (_, format) = format_of("Thu, 25 Sep 2003 10:49:41 -0300", Options::default(), &english)?;
/// assert_eq!(format, "%a, %d %b %Y %H:%M:%S %z");
/// assert!(format_of("10.5h", Options::default(), &english).is_err());
/// # Ok::<(), naja_dates::parser::FormatError>(())
/// ```
pub fn format_of(
    text: &str,
    options: Options,
    vocabulary: &English,
) -> Result<(Parsed, String), FormatError> {
    let mut tokens = Tokens { marks: Some(Vec::new()), ..Tokens::default() };
    let mut parsed = parse(text, options, vocabulary, &mut tokens)?;
    let has_half = parsed.half.is_some() || has(&tokens, Role::Half);
    let mut marks = tokens.marks.take().unwrap_or_default();
    marks.sort_by_key(|mark| mark.start);
    let clean = tokens.text(text);
    let mut format = String::with_capacity(clean.len() + 8);
    let mut at = 0;
    for mark in &marks {
        let piece = &clean[mark.start..mark.end];
        literal(&mut format, clean.get(at..mark.start).unwrap_or_default());
        let sign =
            sign(mark.role, piece, has_half).ok_or_else(|| FormatError::Unsayable(piece.to_owned()))?;
        format.push_str(sign);
        at = mark.end;
    }
    literal(&mut format, clean.get(at..).unwrap_or_default());
    parsed.complete(vocabulary as &dyn Vocabulary).map_err(Error::from)?;
    Ok((parsed, format))
}

fn has(tokens: &Tokens, role: Role) -> bool {
    tokens.marks.iter().flatten().any(|mark| mark.role == role)
}

fn literal(format: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '%' => format.push_str("%%"),
            _ => format.push(character),
        }
    }
}

/// The sign of `strptime` that reads a piece.
fn sign(role: Role, piece: &str, has_half: bool) -> Option<&'static str> {
    let in_letters = piece.starts_with(|first: char| first.is_alphabetic());
    Some(match role {
        Role::Year if piece.len() == 4 => "%Y",
        Role::Year if piece.len() == 2 => "%y",
        // "Sept" is a month that no sign reads.
        Role::Month if in_letters && piece.len() == 3 => "%b",
        Role::Month if in_letters && !piece.eq_ignore_ascii_case("sept") => "%B",
        Role::Month if !in_letters && piece.len() <= 2 => "%m",
        Role::Day if piece.len() <= 2 => "%d",
        Role::Weekday if piece.len() == 3 => "%a",
        Role::Weekday => "%A",
        Role::Hour if piece.len() <= 2 => {
            if has_half {
                "%I"
            } else {
                "%H"
            }
        }
        Role::Minute if piece.len() <= 2 => "%M",
        Role::Second if piece.len() <= 2 => "%S",
        Role::Fraction if piece.len() <= 6 => "%f",
        Role::Half if piece.len() == 2 => "%p",
        Role::ZoneName => "%Z",
        Role::Offset if matches!(piece.len(), 5 | 6) => "%z",
        _ => return None,
    })
}
