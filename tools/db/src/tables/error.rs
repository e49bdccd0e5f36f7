//! What cannot be done with a table.

use std::fmt;

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameError {
    /// No name for a column: it is empty, or holds a `.` or a `-`.
    Column(String),
    /// No name for a table: it is empty.
    Table(String),
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NameError::Column(name) => write!(f, "{name:?} is not a valid column name."),
            NameError::Table(name) => write!(f, "Invalid table name: {name:?}"),
        }
    }
}

impl std::error::Error for NameError {}
