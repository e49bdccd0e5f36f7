//! PostgreSQL: its protocol without I/O, and a blocking connection that drives it.
//!
//! [`Protocol`] takes bytes and gives events, and never waits: an event loop drives it as well as a blocking socket
//! does. Whatever the server sends is distrusted; it ends in a value or an error, never in a panic. Start at
//! [`Connection::open`] and [`Options::from_url`], or at [`Protocol::start`].

mod connection;
mod copy;
mod decode;
mod encode;
mod error;
pub mod hostile;
mod login;
mod message;
mod options;
mod password_file;
mod protocol;
mod row_writer;
mod scram;
mod statement;
mod types;

pub use crate::connection::Step;
pub use crate::secret::Secret;
pub use crate::stream::{Encrypted, Keepalive, Socket, TlsMode, TlsProvider};
pub use connection::{Canceller, Connection, Cursor};
pub use copy::{CopyInto, quoted};
pub use error::{PostgresError, ServerError};
pub use options::{Address, ChannelBinding, Options};
pub use protocol::{CancelKey, CopyTarget, Event, Notification, Own, Protocol};
pub use row_writer::RowWriter;
pub use statement::Statement;
