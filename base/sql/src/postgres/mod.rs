//! PostgreSQL: its protocol without I/O, and a blocking connection that drives it.
//!
//! [`Protocol`] takes bytes and gives events, and never waits: an event loop drives it as well as a blocking socket
//! does. Whatever the server sends is distrusted; it ends in a value or an error, never in a panic. Start at
//! [`Connection::open`] and [`Options::from_url`], or at [`Protocol::start`].

mod calendar;
mod connection;
mod copy;
mod decode;
mod encode;
mod error;
pub mod hostile;
mod login;
mod message;
mod options;
mod protocol;
mod row_writer;
mod scram;
mod secret;
mod statement;
mod stream;
mod types;

pub use calendar::{day_of, days_of};
pub use connection::{Canceller, Connection, Cursor, Notification, Step};
pub use copy::{CopyInto, quoted};
pub use error::{PostgresError, ServerError};
pub use options::{Address, ChannelBinding, Keepalive, Options, TlsMode};
pub use protocol::{CancelKey, CopyTarget, Event, Protocol, Row};
pub use row_writer::RowWriter;
pub use secret::Secret;
pub use statement::Statement;
pub use stream::{Encrypted, Socket, TlsProvider};
