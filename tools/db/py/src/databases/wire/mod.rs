//! Connections to servers, driven by the event loop on its own thread.
//!
//! A [`link::Link`] is what asyncio calls a protocol: bytes come in, requests wait in a queue, answers complete futures.
//! It knows no engine: what is said on the wire is an [`engine::Engine`]'s, one file for each. Start at
//! [`link::Link::text`].

mod engine;
mod link;
mod mysql;
mod postgres;
mod request;
mod strict;
pub(super) mod traces;

use pyo3::prelude::*;

/// Adds the classes to `naja._native.db`.
pub(super) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<link::Link>()?;
    module.add_class::<mysql::MySqlOptions>()?;
    module.add_class::<postgres::PostgresOptions>()
}
