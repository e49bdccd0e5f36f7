//! A result that is read row by row.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::engine::Engine;
use super::links::{Fault, Fetched, Reading, Wanted};
use super::rows::{Columns, RowType};
use super::sessions::Session;
use super::values::Taken;
use crate::objects;

/// A statement that has more rows, and the connection that it belongs to.
pub(super) struct SharedReading {
    session: Arc<Session>,
    reading: Option<Reading>,
}

impl SharedReading {
    pub(super) fn new(session: Arc<Session>, reading: Reading) -> SharedReading {
        SharedReading { session, reading: Some(reading) }
    }
}

impl Drop for SharedReading {
    fn drop(&mut self) {
        if let Some(reading) = self.reading.take() {
            self.session.abandon(reading);
        }
    }
}

/// What is asked for by a number of rows, of which 0 stands for all: as many as memory takes at a time.
pub(super) fn step_of(step: usize, streamed: bool) -> Wanted {
    Wanted { step: if step == 0 { usize::MAX } else { step }, streamed }
}

/// Rows, each as the row type of its database; read from the database in steps.
#[pyclass(module = "naja.dataset.util")]
pub(super) struct ResultIter {
    engine: Option<Py<Engine>>,
    reading: Option<SharedReading>,
    columns: Arc<Columns>,
    /// What a server says of the columns.
    server: Option<objects::Columns>,
    row_type: RowType,
    rows: Fetched,
    next: usize,
    step: usize,
}

impl ResultIter {
    /// A result without rows.
    pub(super) fn empty(row_type: RowType) -> ResultIter {
        ResultIter {
            engine: None,
            reading: None,
            columns: Arc::new(Columns { names: Vec::new(), kinds: Vec::new() }),
            server: None,
            row_type,
            rows: Fetched::Server(naja_sql::KeptRows::default()),
            next: 0,
            step: 1,
        }
    }

    /// Runs a statement and reads its first rows.
    ///
    /// Without `columns`, they are called as the database calls them and hold what they hold.
    pub(super) fn start(
        engine: &Bound<'_, Engine>,
        sql: &str,
        taken: &[Taken<'_>],
        wanted: Wanted,
        columns: Option<Arc<Columns>>,
    ) -> PyResult<ResultIter> {
        let py = engine.py();
        let mut rows = Fetched::new(engine.get().dialect());
        let (reading, started) = engine.get().begin_reading(py, sql, taken, wanted, &mut rows)?;
        let columns =
            columns.unwrap_or_else(|| Arc::new(Columns::named(py, started.names.iter().map(String::as_str))));
        let server = match &rows {
            Fetched::Server(rows) => Some(objects::Columns::new(py, rows.columns())?),
            Fetched::Sqlite(_) => None,
        };
        Ok(ResultIter {
            engine: Some(engine.clone().unbind()),
            reading,
            columns,
            server,
            row_type: engine.get().rows_become(py),
            rows,
            next: 0,
            step: wanted.step,
        })
    }

    /// The next row.
    pub(super) fn next_row<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.next >= self.rows.len() && !self.read_on(py)? {
            return Ok(None);
        }
        self.next += 1;
        self.columns.row(py, &self.row_type, &self.rows, self.server.as_ref(), self.next - 1).map(Some)
    }

    fn read_on(&mut self, py: Python<'_>) -> PyResult<bool> {
        let (Some(shared), Some(engine)) = (self.reading.as_mut(), self.engine.as_ref()) else {
            return Ok(false);
        };
        let Some(reading) = shared.reading.as_ref() else { return Ok(false) };
        let (session, rows, step) = (&shared.session, &mut self.rows, self.step);
        if session.is_inside() {
            return Err(engine.get().raise(py, &Fault::Inside, None));
        }
        let read = py.detach(|| session.fetch(reading, step, rows));
        self.next = 0;
        match read {
            Ok(true) => {}
            Ok(false) => self.reading = None,
            Err(error) => {
                self.reading = None;
                self.rows.clear();
                return Err(engine.get().raise(py, &error, None));
            }
        }
        Ok(self.rows.len() > 0)
    }
}

#[pymethods]
impl ResultIter {
    /// The names of the columns.
    #[getter]
    fn keys(&self, py: Python<'_>) -> Vec<Py<PyString>> {
        self.columns.names.iter().map(|name| name.clone_ref(py)).collect()
    }

    #[getter]
    fn row_type<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.row_type.factory(py)
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.next_row(py)
    }

    /// The next row; `StopIteration` at the end.
    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.next_row(py)?.ok_or_else(|| pyo3::exceptions::PyStopIteration::new_err(()))
    }

    /// Ends the reading; the rows that are left are not read.
    fn close(&mut self) {
        self.reading = None;
        self.rows.clear();
        self.next = 0;
    }
}
