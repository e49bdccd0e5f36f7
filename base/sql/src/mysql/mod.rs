//! MySQL and MariaDB: their protocol without I/O, and a blocking connection that drives it.
//!
//! [`Protocol`] takes bytes and gives events, and never waits: an event loop drives it as well as a blocking socket
//! does. Whatever the server sends is distrusted; it ends in a value or an error, never in a panic. Start at
//! [`Connection::open`] and [`Options::from_url`], or at [`Protocol::start`].

mod bulk;
mod connection;
mod decode;
mod encode;
mod error;
mod greeting;
pub mod hostile;
mod login;
mod message;
mod options;
mod password;
mod protocol;
mod row_writer;
mod rsa;
mod statement;
mod types;

pub use crate::connection::Step;
pub use crate::secret::Secret;
pub use crate::stream::{Encrypted, Keepalive, Socket, TlsMode, TlsProvider};
pub use bulk::Bulk;
pub use connection::{Canceller, Connection, Cursor};
pub use error::{MySqlError, ServerError};
pub use options::{Address, Options};
pub use protocol::{CancelKey, Event, Own, Protocol};
pub use row_writer::RowWriter;
pub use statement::Statement;
