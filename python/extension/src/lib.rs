//! The extension module `naja._native`: registers the drop-ins' bindings, nothing else.

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    #[cfg(feature = "dates")]
    naja_dates_py::register(module)?;
    #[cfg(feature = "db")]
    naja_db_py::register(module)?;
    #[cfg(feature = "memory")]
    naja_memory_py::register(module)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))
}
