//! What cannot be done with a table.

use std::fmt;

use naja_sql::sqlite;

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

/// Why rows were not stored.
#[derive(Debug)]
pub enum LoadError {
    /// A table or a column cannot be called so.
    Name(NameError),
    /// Rows are to be told apart by a column that neither they nor the table have.
    NoKey(String),
    /// The database refused.
    Database(sqlite::Error),
}

impl From<NameError> for LoadError {
    fn from(error: NameError) -> LoadError {
        LoadError::Name(error)
    }
}

impl From<sqlite::Error> for LoadError {
    fn from(error: sqlite::Error) -> LoadError {
        LoadError::Database(error)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Name(error) => error.fmt(f),
            LoadError::NoKey(name) => {
                write!(f, "there is no column `{name}`, by which rows are to be told apart")
            }
            LoadError::Database(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}
