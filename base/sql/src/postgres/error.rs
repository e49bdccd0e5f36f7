//! What PostgreSQL says when it refuses.

use std::fmt;

use crate::error::{Error, Refusal};

/// Why PostgreSQL could not be reached, or did not do what it was asked.
pub type PostgresError = Error<ServerError>;

/// An error, a warning or a notice as the server sent it.
///
/// Fields that the server did not send are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, or for notices `WARNING`, `NOTICE`, `INFO`, `LOG`, `DEBUG`: never translated.
    pub severity: String,
    /// Five characters, by PostgreSQL's table of error codes: `23505` is a unique violation.
    pub sqlstate: String,
    /// One line.
    pub message: String,
    /// More than one line, if need be.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement, in characters, the first is 1.
    pub position: Option<u32>,
    /// Where in the statement that a function of the server ran by itself, and that statement.
    pub internal: Option<(u32, String)>,
    /// What the server was doing, the innermost first: functions, or the line of a bulk load.
    pub context: Option<String>,
    /// The schema of what it is about.
    pub schema: Option<String>,
    /// The table.
    pub table: Option<String>,
    /// The column.
    pub column: Option<String>,
    /// The data type.
    pub data_type: Option<String>,
    /// The constraint.
    pub constraint: Option<String>,
    /// The function of the server that said it.
    pub routine: Option<String>,
    /// Which row of parameters it was about, the first is 0, where several were sent at once.
    pub row: Option<u64>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if !self.sqlstate.is_empty() {
            write!(f, " ({})", self.sqlstate)?;
        }
        if let Some(detail) = &self.detail {
            write!(f, "; {detail}")?;
        }
        if let Some(row) = self.row {
            write!(f, " (row {})", row + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl Refusal for ServerError {
    const PRODUCT: &'static str = "PostgreSQL";
    const SERVER: &'static str = "a PostgreSQL server";
    const LOST: &'static str = "08006";
    const GARBLED: &'static str = "08P01";
    const CANCELLED: &'static str = "57014";

    fn sqlstate(&self) -> &str {
        &self.sqlstate
    }

    fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    fn is_fatal(&self) -> bool {
        self.severity == "FATAL" || self.severity == "PANIC"
    }

    fn set_row(&mut self, row: Option<u64>) {
        self.row = row;
    }
}
