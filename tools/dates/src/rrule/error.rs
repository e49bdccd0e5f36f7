//! What can be wrong with a recurrence rule.

use std::fmt;

/// Why a rule cannot be made, or cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// A BYSETPOS outside -366 to 366, or 0.
    SetPosition,
    /// A BYHOUR, BYMINUTE or BYSECOND that no clock shows.
    TimeOfDay {
        /// "hour", "minute" or "second".
        unit: &'static str,
        /// The largest value that a clock shows.
        last: u8,
    },
    /// INTERVAL steps over every value that BYHOUR, BYMINUTE or BYSECOND allows.
    EmptySet,
    /// INTERVAL, BYHOUR and BYMINUTE together never meet.
    NeverMeets {
        /// Whether minutes take part.
        minutes: bool,
    },
    /// The rule leads to a year that has no dates.
    Year(i64),
    /// BYEASTER leads out of the year that it counts from.
    EasterOffset(i64),
}

impl fmt::Display for RuleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetPosition => out.write_str("bysetpos must be between 1 and 366, or between -366 and -1"),
            Self::TimeOfDay { unit, last } => write!(out, "{unit} must be in 0..{last}"),
            Self::EmptySet => {
                out.write_str("invalid rrule: the interval never meets a value of its byxxx set")
            }
            Self::NeverMeets { minutes: false } => {
                out.write_str("invalid combination of interval and byhour: the rule is empty")
            }
            Self::NeverMeets { minutes: true } => {
                out.write_str("invalid combination of interval, byhour and byminute: the rule is empty")
            }
            Self::Year(year) => write!(out, "year {year} is out of range"),
            Self::EasterOffset(days) => write!(out, "byeaster {days} leads out of the year"),
        }
    }
}

impl std::error::Error for RuleError {}

/// Why a rule's text cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextError {
    /// Nothing there.
    Empty,
    /// A line that should be a rule begins with another property's name.
    NotARule(String),
    /// A part without exactly one `=`.
    NotAPart(String),
    /// A part that iCalendar does not know.
    UnknownPart(String),
    /// A value that its part cannot have.
    InvalidValue {
        /// The part.
        name: String,
        /// Its value.
        value: String,
    },
}

impl fmt::Display for TextError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => out.write_str("empty string"),
            Self::NotARule(name) => write!(out, "unknown parameter name: '{name}'"),
            Self::NotAPart(part) => write!(out, "'{part}' is not of the form NAME=VALUE"),
            Self::UnknownPart(name) => write!(out, "unknown parameter '{name}'"),
            Self::InvalidValue { name, value } => write!(out, "invalid '{name}': {value}"),
        }
    }
}

impl std::error::Error for TextError {}
