//! What can go wrong with a date.

use std::fmt;

use crate::parser::Interrupted;

/// Why a text gives no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// The text follows no format that is understood.
    UnknownFormat,
    /// The text was understood, and says nothing of a date or a time.
    NoDate,
    /// A time has a number of more digits than the original computes with.
    TooManyDigits,
    /// The vocabulary could not answer.
    Interrupted,
    /// A text of ISO 8601 is wrong; the sentence says what is, `at` where, in bytes from its start.
    Iso {
        /// The original's sentence.
        sentence: &'static str,
        /// Where in the text, in bytes from its start.
        at: usize,
    },
    /// A text of ISO 8601 lacks digits: how many were expected, and the bytes that stand there instead.
    Digits {
        /// The number of digits that should stand there.
        expected: u8,
        /// Where in the text, in bytes from its start.
        at: usize,
    },
    /// A number of a text of ISO 8601 is none of its calendar's.
    Number {
        /// What the number should be.
        what: IsoNumber,
        /// The number as written.
        value: i64,
        /// The year in which it is to be.
        year: i64,
    },
    /// The date lies before year 1 or after year 9999.
    OutOfRange,
    /// A part of the date or of the time that the calendar does not have; the sentence is Python's.
    Impossible(&'static str),
    /// A year outside 1 to 9999.
    Year(i64),
}

/// A number that only some calendars have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsoNumber {
    /// A week of the year, 1 to 53.
    Week,
    /// A day of the week, 1 to 7.
    Weekday,
    /// A day of the year, 1 to 365 or 366.
    DayOfYear,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::UnknownFormat => f.write_str("Unknown string format"),
            Error::NoDate => f.write_str("String does not contain a date"),
            Error::TooManyDigits => f.write_str("a number of the time has more than 28 digits"),
            Error::Interrupted => f.write_str("the vocabulary has failed"),
            Error::Iso { sentence, .. } | Error::Impossible(sentence) => f.write_str(sentence),
            Error::Digits { expected, at } => write!(f, "Expected {expected} digits at byte {at}"),
            Error::Number { what: IsoNumber::Week, value, .. } => write!(f, "Invalid week: {value}"),
            Error::Number { what: IsoNumber::Weekday, value, .. } => write!(f, "Invalid weekday: {value}"),
            Error::Number { what: IsoNumber::DayOfYear, value, year } => {
                write!(f, "Invalid ordinal day {value} for year {year}")
            }
            Error::OutOfRange => f.write_str("date value out of range"),
            Error::Year(year) => write!(f, "year {year} is out of range"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Interrupted> for Error {
    fn from(_: Interrupted) -> Error {
        Error::Interrupted
    }
}

/// Why a text is no date, and below that where.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) error: Error,
    /// As [`crate::place::shown`] gives it.
    pub(crate) shown: Option<String>,
}

impl std::error::Error for Shown {}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)?;
        self.shown.iter().flat_map(|shown| shown.lines()).try_for_each(|line| write!(f, "\n  {line}"))
    }
}
