//! What can be wrong with a time-zone file.

use std::fmt;

/// Why bytes are not a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ZoneError {
    /// The file does not begin as a TZif file does.
    Magic,
    /// The file ends in the middle of something.
    Truncated(&'static str),
    /// A transition leads to a local time type that is not there.
    TypeIndex {
        /// The index.
        index: u8,
        /// How many types there are.
        types: usize,
    },
    /// An abbreviation lies outside the table of abbreviations, or is not text.
    Abbreviation(u8),
    /// The line of the POSIX rule does not begin or end as it should.
    Footer,
    /// The POSIX rule cannot be read.
    Rule(String),
    /// The file says nothing about any time.
    Empty,
}

impl fmt::Display for ZoneError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => out.write_str("not a TZif file: it does not begin with 'TZif'"),
            Self::Truncated(what) => write!(out, "invalid TZif file: it ends inside its {what}"),
            Self::TypeIndex { index, types } => {
                write!(out, "invalid TZif file: a transition leads to local time type {index} of {types}")
            }
            Self::Abbreviation(index) => write!(out, "invalid TZif file: no abbreviation at {index}"),
            Self::Footer => out.write_str("invalid TZif file: its TZ string is not a line of its own"),
            Self::Rule(text) => write!(out, "malformed TZ string: {text}"),
            Self::Empty => out.write_str("invalid TZif file: it has no time zone information"),
        }
    }
}

impl std::error::Error for ZoneError {}
