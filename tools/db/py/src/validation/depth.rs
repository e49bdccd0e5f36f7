//! How deep fields stand in each other, so that no schema and no value overflows the thread's stack.

use std::cell::Cell;

use pyo3::exceptions::PyRecursionError;
use pyo3::prelude::*;

/// Up to here nothing is asked.
const ALWAYS: usize = 300;
/// Beyond this the stack of a thread of one megabyte might not last, whatever `sys.setrecursionlimit` was told: a level
/// takes some 600 bytes.
const NEVER: usize = 1_500;

thread_local! {
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// One level more, until it is dropped.
pub(super) struct Level(());

impl Level {
    /// Errors: `RecursionError` beyond Python's own limit.
    pub(super) fn enter(py: Python<'_>) -> PyResult<Self> {
        let depth = DEPTH.with(|depth| depth.replace(depth.get() + 1) + 1);
        let level = Self(());
        if depth > ALWAYS {
            let limit: usize = py.import("sys")?.call_method0("getrecursionlimit")?.extract()?;
            // Where Python code does the same, a level takes more than one of its frames.
            if depth > (limit / 10 * 7).min(NEVER) {
                return Err(PyRecursionError::new_err(
                    "maximum recursion depth exceeded: fields and values are nested too deeply",
                ));
            }
        }
        Ok(level)
    }
}

impl Drop for Level {
    fn drop(&mut self) {
        DEPTH.with(|depth| depth.set(depth.get() - 1));
    }
}
