//! What can go wrong between a program and MySQL or MariaDB. No variant ever holds a password.

use std::fmt;
use std::io;

use naja_system::Failure;

use crate::url::Wrong;

/// Why MySQL or MariaDB could not be reached, or did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum MySqlError {
    /// The address or an option is wrong.
    Options {
        /// What is wrong; the password, or what may be a part of it, is never repeated.
        what: String,
        /// What would be right.
        hint: Option<String>,
    },
    /// Nobody answers at the address.
    Connect {
        /// Host and port, or the path of the socket.
        address: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The connection was not ready in time.
    ConnectTimedOut {
        /// Host and port, or the path of the socket.
        address: String,
    },
    /// Encryption is asked for and cannot be had.
    Tls {
        /// Why not.
        what: String,
    },
    /// The server and this client cannot agree on who is who. A wrong password is a [`MySqlError::Server`].
    Authentication {
        /// Why not.
        what: String,
        /// What could be done.
        hint: Option<&'static str>,
    },
    /// The server refused.
    Server(Box<ServerError>),
    /// A parameter cannot be sent as what the statement takes.
    Parameter {
        /// Which row of parameters, the first is 0.
        row: u64,
        /// Which parameter of the row, the first is 0.
        index: usize,
        /// Why not.
        what: String,
    },
    /// The number of parameters is not what the statement takes.
    ParameterCount {
        /// Which row of parameters, the first is 0.
        row: u64,
        /// How many there are.
        given: usize,
        /// How many the statement takes.
        wanted: usize,
    },
    /// A statement, a parameter or a message is larger than the server takes.
    Unsendable {
        /// What, and why not.
        what: String,
    },
    /// A value of a result cannot be read.
    Value {
        /// Its column.
        column: String,
        /// Why not.
        what: &'static str,
    },
    /// The server was silent for too long. The connection is closed: nobody knows what it was doing.
    TimedOut {
        /// For how long, in milliseconds.
        silent_ms: u64,
    },
    /// The connection broke off.
    Lost {
        /// The system's reason, where there is one: else the server closed it.
        source: Option<io::Error>,
        /// What the server said last, if it said why.
        said: Option<Box<ServerError>>,
    },
    /// What came is not MySQL's protocol.
    Protocol {
        /// What does not fit.
        what: &'static str,
    },
    /// The caller asked for an end (Ctrl-C, a cancelled task), and the statement was cancelled.
    Interrupted,
    /// The connection was asked for something that it cannot do in its state: our own mistake or the caller's.
    Misuse {
        /// What was asked, and why not.
        what: &'static str,
    },
}

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

impl ServerError {
    /// Whether the server closes the connection after this.
    pub fn is_fatal(&self) -> bool {
        // Too many connections, shutdown, aborted, too large a packet, a packet that is out of order or unreadable,
        // time-outs of the net, killed, idle for too long.
        matches!(
            self.code,
            1040 | 1053 | 1077 | 1129 | 1130 | 1152..=1161 | 1184 | 1189 | 1190 | 1203 | 1927 | 4031
        )
    }
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

impl MySqlError {
    /// An option that is wrong, with what would be right.
    pub(crate) fn option(what: impl Into<String>, hint: impl Into<String>) -> Self {
        MySqlError::Options { what: what.into(), hint: Some(hint.into()) }
    }

    /// The stable name that is shown and stands in JSON.
    pub fn name(&self) -> &'static str {
        self.failure().name()
    }

    /// What the server said, where it was the server.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            MySqlError::Server(error) => Some(error),
            MySqlError::Lost { said, .. } => said.as_deref(),
            _ => None,
        }
    }

    /// The server's code, or the standard's that fits what this client has found: five characters.
    pub fn sqlstate(&self) -> &str {
        match self {
            MySqlError::Server(error) => &error.sqlstate,
            MySqlError::Connect { .. } | MySqlError::ConnectTimedOut { .. } => "08001",
            MySqlError::Lost { .. } | MySqlError::TimedOut { .. } | MySqlError::Protocol { .. } => "08S01",
            MySqlError::Authentication { .. } => "28000",
            MySqlError::Parameter { .. } | MySqlError::Value { .. } => "22000",
            MySqlError::ParameterCount { .. } => "07001",
            MySqlError::Unsendable { .. } => "54000",
            MySqlError::Interrupted => "70100",
            MySqlError::Options { .. } | MySqlError::Tls { .. } | MySqlError::Misuse { .. } => "08000",
        }
    }

    /// Each error as a person reads it, without its causes: name, sentence and hint in one place, where
    /// `cargo dev gen` finds them.
    fn failure(&self) -> Failure {
        match self {
            MySqlError::Options { what, hint } => {
                let failure =
                    Failure::new("bad-database-url", format!("cannot use the database's address: {what}"));
                with_hint(failure, hint.as_deref())
            }
            MySqlError::Connect { address, .. } => {
                Failure::new("database-unreachable", format!("cannot connect to MySQL at {address}"))
                    .hint("is the server running, and does it listen there?")
            }
            MySqlError::ConnectTimedOut { address } => {
                Failure::new("database-unreachable", format!("MySQL at {address} does not answer"))
                    .hint("`connect_timeout=SECONDS` in the URL waits longer")
            }
            MySqlError::Tls { what } => {
                Failure::new("database-tls", format!("cannot encrypt the connection to MySQL: {what}"))
                    .hint("`sslmode=prefer` goes on without encryption, where that is acceptable")
            }
            MySqlError::Authentication { what, hint } => {
                with_hint(Failure::new("database-login", format!("cannot log in to MySQL: {what}")), *hint)
            }
            MySqlError::Server(error) => {
                let failure = Failure::new("database-refused", format!("MySQL refused: {error}"));
                with_hint(failure, hint_of(error.code))
            }
            MySqlError::Parameter { row, index, what } => {
                Failure::new("database-value", format!("parameter {} of row {}: {what}", index + 1, row + 1))
            }
            MySqlError::ParameterCount { row, given, wanted } => Failure::new(
                "database-value",
                format!("row {} has {given} values where {wanted} are wanted", row + 1),
            ),
            MySqlError::Unsendable { what } => {
                Failure::new("database-value", format!("MySQL cannot be sent this: {what}"))
            }
            MySqlError::Value { column, what } => {
                Failure::new("database-value", format!("column `{column}` cannot be read: {what}"))
            }
            MySqlError::TimedOut { silent_ms } => Failure::new(
                "database-lost",
                format!("MySQL has been silent for {silent_ms} ms; the connection was given up"),
            ),
            MySqlError::Lost { said: Some(said), .. } => {
                Failure::new("database-lost", format!("the connection to MySQL broke: {said}"))
            }
            MySqlError::Lost { said: None, .. } => {
                Failure::new("database-lost", "the connection to MySQL broke")
                    .hint("the server was stopped or restarted, or something between closed the connection")
            }
            MySqlError::Protocol { what } => {
                Failure::new("database-protocol", format!("the answer is not MySQL's: {what}"))
                    .hint("is it a MySQL or MariaDB server that listens there?")
            }
            MySqlError::Interrupted => Failure::new("database-interrupted", "the statement was cancelled"),
            MySqlError::Misuse { what } => {
                Failure::new("database-misuse", format!("the connection cannot do this: {what}"))
            }
        }
    }
}

/// What may be done about some of the server's errors, whose own text does not say it.
fn hint_of(code: u16) -> Option<&'static str> {
    Some(match code {
        1045 => "is the password right, and may this user come from this host?",
        1049 => "`CREATE DATABASE NAME` makes one",
        1205 | 1213 => "the transaction can be tried again",
        1461 => "`statement_cache=N` in the URL keeps fewer prepared statements on each connection",
        _ => return None,
    })
}

fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl fmt::Display for MySqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl std::error::Error for MySqlError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            MySqlError::Connect { source, .. } | MySqlError::Lost { source: Some(source), .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl From<Wrong> for MySqlError {
    fn from(wrong: Wrong) -> MySqlError {
        MySqlError::option(wrong.what, wrong.hint)
    }
}

impl From<MySqlError> for Failure {
    fn from(error: MySqlError) -> Failure {
        let failure = error.failure();
        match std::error::Error::source(&error) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}
