//! `naja.databases`: statements that a coroutine awaits.
//!
//! Connections to servers are driven by the event loop itself, see [`wire`]. One of SQLite belongs to a [`worker::Worker`], a native thread that never holds the interpreter. What it has done it
//! leaves in the [`hub::Hub`] of the event loop that asked, which makes objects of it on the loop's own thread and
//! completes the futures, many at one wake. Start at [`worker::Worker::text`].

mod hub;
mod kept;
mod plan;
mod record;
mod values;
mod wire;
mod worker;

use pyo3::prelude::*;
use pyo3::types::PyTuple;

pub(crate) use plan::{Query, RowMaker};

/// The values of an object that is one of naja's records.
pub(crate) fn values_of_record<'py>(object: &Bound<'py, PyAny>) -> Option<Bound<'py, PyTuple>> {
    object.cast::<record::Record>().ok().map(|record| record.get().values.bind(object.py()).clone())
}

/// Adds the classes to `naja._native.db`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<hub::Hub>()?;
    module.add_class::<kept::Kept>()?;
    module.add_class::<plan::Query>()?;
    module.add_class::<record::Record>()?;
    module.add_class::<record::RowMapping>()?;
    module.add_class::<worker::Worker>()?;
    wire::register(module)?;
    module.add_function(wrap_pyfunction!(worker::forked, module)?)?;
    module.add_function(wrap_pyfunction!(worker::end_all, module)?)
}
