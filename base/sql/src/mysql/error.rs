//! What MySQL says when it refuses.

use std::fmt;

use crate::error::{Error, Refusal};

/// Why MySQL or MariaDB could not be reached, or did not do what it was asked.
pub type MySqlError = Error<ServerError>;

/// An error as the server sent it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServerError {
    /// The server's own number: 1062 is a duplicate key.
    pub code: u16,
    /// Five characters, by the standard's classes: `23000` is a violated constraint.
    pub sqlstate: String,
    /// One line.
    pub message: String,
    /// Which row of parameters it was about, the first is 0, where several were sent at once and the server told it.
    pub row: Option<u64>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.message, self.code)?;
        if !self.sqlstate.is_empty() {
            write!(f, ", {}", self.sqlstate)?;
        }
        f.write_str(")")?;
        if let Some(row) = self.row {
            write!(f, " (row {})", row + 1)?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

impl Refusal for ServerError {
    const PRODUCT: &'static str = "MySQL";
    const SERVER: &'static str = "a MySQL or MariaDB server";
    const LOST: &'static str = "08S01";
    const GARBLED: &'static str = "08S01";
    const CANCELLED: &'static str = "70100";

    fn sqlstate(&self) -> &str {
        &self.sqlstate
    }

    /// Of some whose own text does not say it.
    fn hint(&self) -> Option<&str> {
        Some(match self.code {
            1045 => "is the password right, and may this user come from this host?",
            1049 => "`CREATE DATABASE NAME` makes one",
            1205 | 1213 => "the transaction can be tried again",
            1461 => "`statement_cache=N` in the URL keeps fewer prepared statements on each connection",
            _ => return None,
        })
    }

    fn is_fatal(&self) -> bool {
        // Too many connections, shutdown, aborted, too large a packet, a packet that is out of order or unreadable,
        // time-outs of the net, killed, idle for too long.
        matches!(
            self.code,
            1040 | 1053 | 1077 | 1129 | 1130 | 1152..=1161 | 1184 | 1189 | 1190 | 1203 | 1927 | 4031
        )
    }

    fn set_row(&mut self, row: Option<u64>) {
        self.row = row;
    }
}
