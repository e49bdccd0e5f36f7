//! The agent in this very process: what `Tracker` begins and ends.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use naja_system::loaded_library::LoadedLibrary;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;

/// The agent, once it was loaded: it stays.
static AGENT: Mutex<Option<LoadedLibrary>> = Mutex::new(None);

/// Loads the agent, unless it is here.
#[pyfunction]
fn load(agent: PathBuf) -> PyResult<()> {
    let mut known = AGENT.lock().unwrap_or_else(PoisonError::into_inner);
    if known.is_none() {
        let opened = LoadedLibrary::open(&agent);
        *known = Some(opened.map_err(|failure| PyRuntimeError::new_err(failure.one_line()))?);
    }
    Ok(())
}

/// From now on the agent tells what happens to memory, to the naja that listens at this place. Gives 0, or why it cannot.
#[pyfunction]
fn begin(place: &str) -> PyResult<i32> {
    let place = CString::new(place).map_err(|_| PyValueError::new_err("a path has no NUL"))?;
    let known = AGENT.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = known.as_ref().and_then(|agent| agent.call_with(c"naja_memory_begin", &place, 0));
    begun.ok_or_else(|| PyRuntimeError::new_err("the agent is not here"))
}

/// From now on it tells nothing. Gives 0, or why it cannot end now.
#[pyfunction]
fn end() -> PyResult<i32> {
    let known = AGENT.lock().unwrap_or_else(PoisonError::into_inner);
    let ended = known.as_ref().and_then(|agent| agent.call(c"naja_memory_end"));
    ended.ok_or_else(|| PyRuntimeError::new_err("the agent is not here"))
}

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(load, module)?)?;
    module.add_function(wrap_pyfunction!(begin, module)?)?;
    module.add_function(wrap_pyfunction!(end, module)?)
}
