//! Why a database did not do what it was asked, whichever engine it is, and why rows were not stored.

use std::fmt;

use naja_sql::postgres::PostgresError;
use naja_sql::sqlite;

use crate::tables::NameError;

/// An engine's error.
#[derive(Debug)]
pub enum DatabaseError {
    /// SQLite's.
    Sqlite(sqlite::Error),
    /// PostgreSQL's, or of the connection to it.
    Postgres(Box<PostgresError>),
}

impl DatabaseError {
    /// Whether the database was opened for reading only.
    pub fn is_read_only(&self) -> bool {
        match self {
            // SQLite's READONLY.
            DatabaseError::Sqlite(error) => error.primary() == 8,
            DatabaseError::Postgres(error) => error.sqlstate() == "25006",
        }
    }

    /// Whether the connection could not be made at all.
    pub fn is_of_opening(&self) -> bool {
        match self {
            // SQLite's CANTOPEN.
            DatabaseError::Sqlite(error) => error.primary() == 14,
            DatabaseError::Postgres(error) => {
                matches!(error.sqlstate().get(..2), Some("08" | "28" | "3D" | "53" | "57"))
            }
        }
    }

    /// What could be done about it, where the engine or its driver says so.
    pub fn hint(&self) -> Option<String> {
        match self {
            DatabaseError::Sqlite(_) => None,
            DatabaseError::Postgres(error) => error.hint(),
        }
    }
}

impl From<sqlite::Error> for DatabaseError {
    fn from(error: sqlite::Error) -> DatabaseError {
        DatabaseError::Sqlite(error)
    }
}

impl From<PostgresError> for DatabaseError {
    fn from(error: PostgresError) -> DatabaseError {
        DatabaseError::Postgres(Box::new(error))
    }
}

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DatabaseError::Sqlite(error) => error.fmt(f),
            DatabaseError::Postgres(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for DatabaseError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DatabaseError::Sqlite(error) => error.source(),
            DatabaseError::Postgres(error) => error.source(),
        }
    }
}

/// Why rows were not stored.
#[derive(Debug)]
pub enum LoadError {
    /// A table or a column cannot be called so.
    Name(NameError),
    /// Rows are to be told apart by a column that neither they nor the table have.
    NoKey(String),
    /// The database refused.
    Database(DatabaseError),
    /// The database refused one of these rows; the first is 1.
    Rows {
        /// The first of the rows that were given together.
        first: u64,
        /// The last.
        last: u64,
        /// Why; a row in it is counted from the first.
        error: DatabaseError,
    },
}

impl From<NameError> for LoadError {
    fn from(error: NameError) -> LoadError {
        LoadError::Name(error)
    }
}

impl From<DatabaseError> for LoadError {
    fn from(error: DatabaseError) -> LoadError {
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
            LoadError::Rows { first, last, error } => write!(f, "in rows {first} to {last}: {error}"),
        }
    }
}

impl std::error::Error for LoadError {}
