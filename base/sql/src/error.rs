//! What can go wrong between a program and a server, whichever engine it is. No variant ever holds a password.
//!
//! What a server says itself is a [`Refusal`], in the words of its engine; all else is the same for all of them.

use std::fmt;
use std::io;

use naja_system::Failure;

use crate::url::Wrong;

/// What a server says when it refuses, and the words that go with it.
pub trait Refusal: std::error::Error + Clone + 'static {
    /// The name of the product.
    const PRODUCT: &'static str;
    /// What should listen at the address.
    const SERVER: &'static str;
    /// The codes, five characters each, of a connection that broke, of an answer that is no word of the protocol, and
    /// of a statement that was cancelled.
    const LOST: &'static str;
    /// See [`Refusal::LOST`].
    const GARBLED: &'static str;
    /// See [`Refusal::LOST`].
    const CANCELLED: &'static str;

    /// The code: five characters.
    fn sqlstate(&self) -> &str;

    /// What could be done about it, where that is known.
    fn hint(&self) -> Option<&str>;

    /// Whether the server closes the connection after this.
    fn is_fatal(&self) -> bool;

    /// Which row of parameters it was about, the first is 0, where several were sent at once.
    fn set_row(&mut self, row: Option<u64>);
}

/// Why a server could not be reached, or did not do what it was asked; `R` is what it says itself.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error<R> {
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
    /// The server and this client cannot agree on who is who. A wrong password is an [`Error::Server`].
    Authentication {
        /// Why not.
        what: String,
        /// What could be done.
        hint: Option<&'static str>,
    },
    /// The server refused.
    Server(Box<R>),
    /// A parameter cannot be sent as what the statement takes.
    Parameter {
        /// Which row of parameters, the first is 0.
        row: u64,
        /// Which parameter of the row, the first is 0.
        index: usize,
        /// The column that it goes to, of a bulk load that names them.
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
    /// A statement, a parameter or a message is larger than the server takes, or holds a character that it does not.
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
        said: Option<Box<R>>,
    },
    /// What came is not the engine's protocol.
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

impl<R> Error<R> {
    /// An option that is wrong, with what would be right.
    pub(crate) fn option(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Options { what: what.into(), hint: Some(hint.into()) }
    }

    /// The stream broke, as the system says.
    pub(crate) fn broken(source: io::Error) -> Self {
        Error::Lost { source: Some(source), said: None }
    }

    /// What the server said, where it was the server.
    pub fn server(&self) -> Option<&R> {
        match self {
            Error::Server(error) => Some(error),
            Error::Lost { said, .. } => said.as_deref(),
            _ => None,
        }
    }
}

impl<R: Refusal> Error<R> {
    /// The stable name that is shown and stands in JSON.
    pub fn name(&self) -> &'static str {
        self.failure().name()
    }

    /// What could be done about it, where that is known.
    pub fn hint(&self) -> Option<String> {
        self.failure().hint_text().map(str::to_owned)
    }

    /// The server's code, or the one of the engine's own that fits what this client has found: five characters.
    pub fn sqlstate(&self) -> &str {
        match self {
            Error::Server(error) => error.sqlstate(),
            Error::Connect { .. } | Error::ConnectTimedOut { .. } => "08001",
            Error::Lost { .. } | Error::TimedOut { .. } => R::LOST,
            Error::Protocol { .. } => R::GARBLED,
            Error::Authentication { .. } => "28000",
            Error::Parameter { .. } | Error::Value { .. } => "22000",
            Error::ParameterCount { .. } => "07001",
            Error::Unsendable { .. } => "54000",
            Error::Interrupted => R::CANCELLED,
            Error::Options { .. } | Error::Tls { .. } | Error::Misuse { .. } => "08000",
        }
    }

    /// Each error as a person reads it, without its causes: name, sentence and hint in one place, where
    /// `cargo dev gen` finds them.
    fn failure(&self) -> Failure {
        let server = R::PRODUCT;
        match self {
            Error::Options { what, hint } => {
                let failure =
                    Failure::new("bad-database-url", format!("cannot use the database's address: {what}"));
                with_hint(failure, hint.as_deref())
            }
            Error::Connect { address, .. } => {
                Failure::new("database-unreachable", format!("cannot connect to {server} at {address}"))
                    .hint("is the server running, and does it listen there?")
            }
            Error::ConnectTimedOut { address } => {
                Failure::new("database-unreachable", format!("{server} at {address} does not answer"))
                    .hint("`connect_timeout=SECONDS` in the URL waits longer")
            }
            Error::Tls { what } => {
                Failure::new("database-tls", format!("cannot encrypt the connection to {server}: {what}"))
                    .hint("`sslmode=prefer` goes on without encryption, where that is acceptable")
            }
            Error::Authentication { what, hint } => {
                with_hint(Failure::new("database-login", format!("cannot log in to {server}: {what}")), *hint)
            }
            Error::Server(error) => {
                let failure = Failure::new("database-refused", format!("{server} refused: {error}"));
                with_hint(failure, error.hint())
            }
            Error::Parameter { row, index, column, what } => {
                let place = match column {
                    Some(column) => format!("column `{column}`"),
                    None => format!("parameter {}", index + 1),
                };
                Failure::new("database-value", format!("{place} of row {}: {what}", row + 1))
            }
            Error::ParameterCount { row, given, wanted } => Failure::new(
                "database-value",
                format!("row {} has {given} values where {wanted} are wanted", row + 1),
            ),
            Error::Unsendable { what } => {
                Failure::new("database-value", format!("{server} cannot be sent this: {what}"))
            }
            Error::Value { column, what } => {
                Failure::new("database-value", format!("column `{column}` cannot be read: {what}"))
            }
            Error::TimedOut { silent_ms } => Failure::new(
                "database-lost",
                format!("{server} has been silent for {silent_ms} ms; the connection was given up"),
            ),
            Error::Lost { said: Some(said), .. } => {
                Failure::new("database-lost", format!("the connection to {server} broke: {said}"))
            }
            Error::Lost { said: None, .. } => {
                Failure::new("database-lost", format!("the connection to {server} broke"))
                    .hint("the server was stopped or restarted, or something between closed the connection")
            }
            Error::Protocol { what } => {
                Failure::new("database-protocol", format!("the answer is not {server}'s: {what}"))
                    .hint(format!("is it {} that listens there?", R::SERVER))
            }
            Error::Interrupted => Failure::new("database-interrupted", "the statement was cancelled"),
            Error::Misuse { what } => {
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

impl<R: Refusal> fmt::Display for Error<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl<R: Refusal> std::error::Error for Error<R> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Connect { source, .. } | Error::Lost { source: Some(source), .. } => Some(source),
            _ => None,
        }
    }
}

impl<R> From<Wrong> for Error<R> {
    fn from(wrong: Wrong) -> Self {
        Error::option(wrong.what, wrong.hint)
    }
}

impl<R: Refusal> From<Error<R>> for Failure {
    fn from(error: Error<R>) -> Failure {
        let failure = error.failure();
        match std::error::Error::source(&error) {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }
}
