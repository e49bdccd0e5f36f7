//! What can go wrong between a program and PostgreSQL. No variant ever holds a password.

use std::fmt;
use std::io;

use naja_system::Failure;

use crate::url::Wrong;

/// Why PostgreSQL could not be reached, or did not do what it was asked.
#[derive(Debug)]
#[non_exhaustive]
pub enum PostgresError {
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
    /// The server and this client cannot agree on who is who. A wrong password is a [`PostgresError::Server`].
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
        /// The column that it goes to, of a bulk load.
        column: Option<String>,
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
    /// A statement, a parameter or a message is larger than PostgreSQL takes, or holds a NUL character.
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
    /// What came is not PostgreSQL's protocol.
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

impl ServerError {
    /// Whether the server closes the connection after this.
    pub fn is_fatal(&self) -> bool {
        self.severity == "FATAL" || self.severity == "PANIC"
    }
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

impl PostgresError {
    /// An option that is wrong, with what would be right.
    pub(crate) fn option(what: impl Into<String>, hint: impl Into<String>) -> Self {
        PostgresError::Options { what: what.into(), hint: Some(hint.into()) }
    }

    /// The stable name that is shown and stands in JSON.
    pub fn name(&self) -> &'static str {
        self.failure().name()
    }

    /// What could be done about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        self.failure().hint_text().map(str::to_owned)
    }

    /// What the server said, where it was the server.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            PostgresError::Server(error) => Some(error),
            PostgresError::Lost { said, .. } => said.as_deref(),
            _ => None,
        }
    }

    /// The server's code, or the one of PostgreSQL's table that fits what this client has found: five characters.
    pub fn sqlstate(&self) -> &str {
        match self {
            PostgresError::Server(error) => &error.sqlstate,
            PostgresError::Connect { .. } | PostgresError::ConnectTimedOut { .. } => "08001",
            PostgresError::Lost { .. } | PostgresError::TimedOut { .. } => "08006",
            PostgresError::Protocol { .. } => "08P01",
            PostgresError::Authentication { .. } => "28000",
            PostgresError::Parameter { .. } | PostgresError::Value { .. } => "22000",
            PostgresError::ParameterCount { .. } => "07001",
            PostgresError::Unsendable { .. } => "54000",
            PostgresError::Interrupted => "57014",
            PostgresError::Options { .. } | PostgresError::Tls { .. } | PostgresError::Misuse { .. } => {
                "08000"
            }
        }
    }

    /// Each error as a person reads it, without its causes: name, sentence and hint in one place, where
    /// `cargo dev gen` finds them.
    fn failure(&self) -> Failure {
        match self {
            PostgresError::Options { what, hint } => {
                let failure =
                    Failure::new("bad-database-url", format!("cannot use the database's address: {what}"));
                with_hint(failure, hint.as_deref())
            }
            PostgresError::Connect { address, .. } => {
                Failure::new("database-unreachable", format!("cannot connect to PostgreSQL at {address}"))
                    .hint("is the server running, and does it listen there?")
            }
            PostgresError::ConnectTimedOut { address } => {
                Failure::new("database-unreachable", format!("PostgreSQL at {address} does not answer"))
                    .hint("`connect_timeout=SECONDS` in the URL waits longer")
            }
            PostgresError::Tls { what } => {
                Failure::new("database-tls", format!("cannot encrypt the connection to PostgreSQL: {what}"))
                    .hint("`sslmode=prefer` goes on without encryption, where that is acceptable")
            }
            PostgresError::Authentication { what, hint } => with_hint(
                Failure::new("database-login", format!("cannot log in to PostgreSQL: {what}")),
                *hint,
            ),
            PostgresError::Server(error) => {
                let failure = Failure::new("database-refused", format!("PostgreSQL refused: {error}"));
                with_hint(failure, error.hint.as_deref())
            }
            PostgresError::Parameter { row, index, column, what } => {
                let place = match column {
                    Some(column) => format!("column `{column}`"),
                    None => format!("parameter {}", index + 1),
                };
                Failure::new("database-value", format!("{place} of row {}: {what}", row + 1))
            }
            PostgresError::ParameterCount { row, given, wanted } => Failure::new(
                "database-value",
                format!("row {} has {given} values where {wanted} are wanted", row + 1),
            ),
            PostgresError::Unsendable { what } => {
                Failure::new("database-value", format!("PostgreSQL cannot be sent this: {what}"))
            }
            PostgresError::Value { column, what } => {
                Failure::new("database-value", format!("column `{column}` cannot be read: {what}"))
            }
            PostgresError::TimedOut { silent_ms } => Failure::new(
                "database-lost",
                format!("PostgreSQL has been silent for {silent_ms} ms; the connection was given up"),
            ),
            PostgresError::Lost { said: Some(said), .. } => {
                Failure::new("database-lost", format!("the connection to PostgreSQL broke: {said}"))
            }
            PostgresError::Lost { said: None, .. } => {
                Failure::new("database-lost", "the connection to PostgreSQL broke")
                    .hint("the server was stopped or restarted, or something between closed the connection")
            }
            PostgresError::Protocol { what } => {
                Failure::new("database-protocol", format!("the answer is not PostgreSQL's: {what}"))
                    .hint("is it a PostgreSQL server that listens there?")
            }
            PostgresError::Interrupted => Failure::new("database-interrupted", "the statement was cancelled"),
            PostgresError::Misuse { what } => {
                Failure::new("database-misuse", format!("the connection cannot do this: {what}"))
            }
        }
    }
}

fn with_hint(failure: Failure, hint: Option<&str>) -> Failure {
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl fmt::Display for PostgresError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl std::error::Error for PostgresError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PostgresError::Connect { source, .. } | PostgresError::Lost { source: Some(source), .. } => {
                Some(source)
            }
            _ => None,
        }
    }
}

impl From<Wrong> for PostgresError {
    fn from(wrong: Wrong) -> PostgresError {
        PostgresError::option(wrong.what, wrong.hint)
    }
}

impl From<PostgresError> for Failure {
    fn from(error: PostgresError) -> Failure {
        let failure = error.failure();
        match std::error::Error::source(&error) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}
