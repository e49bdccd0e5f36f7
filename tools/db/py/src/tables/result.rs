//! A result that is read row by row.

use std::sync::Arc;

use naja_db::tables::Kind;
use naja_sql::sqlite::{Rows, StatementId};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::engine::{Engine, Session};
use crate::sqlite::objects::{Columns, RowType};
use crate::sqlite::values::Taken;

/// A statement that has more rows, and the connection that it belongs to.
pub(super) struct SharedStatement {
    session: Arc<Session>,
    statement: Option<StatementId>,
}

impl SharedStatement {
    pub(super) fn new(session: Arc<Session>, statement: StatementId) -> SharedStatement {
        SharedStatement { session, statement: Some(statement) }
    }
}

impl Drop for SharedStatement {
    fn drop(&mut self) {
        if let Some(statement) = self.statement.take() {
            self.session.abandon(statement);
        }
    }
}

/// Rows, each as the row type of its database; read from the database in steps.
#[pyclass(module = "naja.dataset.util")]
pub(super) struct ResultIter {
    engine: Option<Py<Engine>>,
    statement: Option<SharedStatement>,
    columns: Arc<Columns>,
    row_type: RowType,
    rows: Rows,
    next: usize,
    step: usize,
}

impl ResultIter {
    /// A result without rows.
    pub(super) fn empty(row_type: RowType) -> ResultIter {
        ResultIter {
            engine: None,
            statement: None,
            columns: Arc::new(Columns { names: Vec::new(), kinds: Vec::new() }),
            row_type,
            rows: Rows::default(),
            next: 0,
            step: 1,
        }
    }

    /// Runs a statement and reads its first rows, `step` at a time; 0 stands for all at once.
    ///
    /// Without `columns`, they are called as the database calls them and hold what they hold.
    pub(super) fn start(
        engine: &Bound<'_, Engine>,
        sql: &str,
        taken: &[Taken<'_>],
        step: usize,
        columns: Option<Arc<Columns>>,
    ) -> PyResult<ResultIter> {
        let py = engine.py();
        let step = if step == 0 { usize::MAX } else { step };
        let mut rows = Rows::default();
        let (statement, names) = engine.get().begin_reading(py, sql, taken, step, &mut rows)?;
        let columns = columns.unwrap_or_else(|| {
            let names: Vec<Py<PyString>> =
                names.iter().map(|name| PyString::intern(py, name).unbind()).collect();
            Arc::new(Columns { kinds: vec![Kind::Any; names.len()], names })
        });
        Ok(ResultIter {
            engine: Some(engine.clone().unbind()),
            statement,
            columns,
            row_type: engine.get().rows_become(py),
            rows,
            next: 0,
            step,
        })
    }

    /// The next row.
    pub(super) fn next_row<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        if self.next >= self.rows.len() && !self.read_on(py)? {
            return Ok(None);
        }
        self.next += 1;
        self.columns.row(py, &self.row_type, self.rows.row(self.next - 1)).map(Some)
    }

    fn read_on(&mut self, py: Python<'_>) -> PyResult<bool> {
        let (Some(shared), Some(engine)) = (self.statement.as_mut(), self.engine.as_ref()) else {
            return Ok(false);
        };
        let Some(statement) = shared.statement.as_ref() else { return Ok(false) };
        let (session, rows, step) = (&shared.session, &mut self.rows, self.step);
        let read = py.detach(|| session.run(|state| state.connection.fetch(statement, step, rows)));
        self.next = 0;
        match read {
            Ok(true) => {}
            Ok(false) => self.statement = None,
            Err(error) => {
                self.statement = None;
                self.rows.clear(0);
                return Err(engine.get().raise(py, &error, None));
            }
        }
        Ok(!self.rows.is_empty())
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
        self.statement = None;
        self.rows.clear(0);
        self.next = 0;
    }
}
