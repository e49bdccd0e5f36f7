//! What can go wrong with a date.

use std::fmt;

/// Why a text is no date.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A day, month or time of day that the calendar does not have.
    OutOfRange(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::OutOfRange(what) => write!(f, "{what} is out of range"),
        }
    }
}

impl std::error::Error for Error {}
