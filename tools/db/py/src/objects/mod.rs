//! Python's objects and the values of [`naja_sql::Sink`], in both directions: for every engine, blocking or not.
//!
//! A row goes from the protocol's buffer into [`Objects`], which makes each object once. Parameters go from [`give`]
//! into the sink that writes the message. Nothing here knows a connection, a table or an event loop.

mod columns;
mod giving;
mod reading;

pub(crate) use columns::Columns;
#[allow(unused_imports)] // `give_json` is for tables that are made for dictionaries
pub(crate) use giving::{Refused, give, give_json, is_of};
pub(crate) use reading::{Documents, Manner, Objects};
