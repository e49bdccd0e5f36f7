//! Allocations for Python: what `naja.memray` is made of.
//!
//! Everything here converts and calls the core; what a recording holds is worked out in `naja_memory`. Each module has a
//! `register` that adds its names to `naja._native.memory`. Start at [`register`], then `reader.rs`.

use pyo3::prelude::*;

mod blocks;
mod numbers;
mod reader;
mod record;
mod temporal;
mod tracking;

/// Adds the submodule `memory` to the extension module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let memory = PyModule::new(module.py(), "memory")?;
    blocks::register(&memory)?;
    reader::register(&memory)?;
    record::register(&memory)?;
    temporal::register(&memory)?;
    tracking::register(&memory)?;
    module.add_submodule(&memory)
}
