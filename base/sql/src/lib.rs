//! Databases, spoken to in their own words: SQL text and values go in, columns of rows come out.
//!
//! Nothing here knows Python, a tool, or what a table is for. Values that are read go into a [`Sink`], so that
//! whoever asks makes its own objects of them, once. Start at [`sqlite::Library`], [`postgres::Connection`] and
//! [`mysql::Connection`]; what the engines have in common is [`Driver`].

mod calendar;
mod connection;
mod driver;
mod end_point;
mod engine;
mod error;
mod hostile;
mod kept;
pub mod mysql;
mod outgoing;
pub mod postgres;
mod received;
mod row_values;
mod secret;
mod sink;
mod sink_calls;
pub mod sqlite;
mod statement_cache;
mod stream;
mod table;
mod text;
mod url;
mod value;

pub use calendar::{day_of, days_of};
pub use connection::{Blocking, Canceller, Connection, Cursor, Step};
pub use driver::{Column, Driver, NoRows, Outcome, Rows, Source, Transaction};
pub use end_point::end_point;
pub use engine::{Engine, ErrorOf, Event, EventOf};
pub use error::{Error, Refusal};
pub use kept::KeptRows;
pub use secret::Secret;
pub use sink::Sink;
pub use stream::{Encrypted, Keepalive, Socket, TlsMode, TlsProvider};
pub use table::{EachRow, Table};
pub use value::{Value, Values};
