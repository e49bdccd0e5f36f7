//! What a program asks of a connection, until it is answered.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use super::super::plan::{Plan, Shape};
use super::super::record::{Record, RowMapping};
use super::engine::{Frame, Use, Wrong};
use crate::objects::Columns;

/// What is made of a statement's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// The first value of the first row, or None.
    Value,
    /// The first row, or None.
    One,
    /// All rows.
    All,
    /// All rows as a driver gives them, whose iteration gives values.
    Mappings,
    /// The id of the last new row, or where there is none how many rows were changed or given.
    Number,
    /// What a cursor of PEP 249 knows: names, rows as tuples, how many rows were changed or given, the last new id.
    Raw,
}

/// What is asked.
pub(super) enum Work {
    Run {
        plan: Arc<Plan>,
        row: Py<PyTuple>,
        want: Want,
    },
    /// One statement for each row; `next` is the first that is not sent.
    Many {
        plan: Arc<Plan>,
        rows: Vec<Py<PyTuple>>,
        next: usize,
    },
    /// Statements in text, whose rows nobody wants.
    Script(String),
    /// The first rows of a result.
    Open {
        plan: Arc<Plan>,
        row: Py<PyTuple>,
        cursor: u64,
        rows: u32,
    },
    /// More of them.
    Read {
        plan: Arc<Plan>,
        cursor: u64,
        rows: u32,
    },
    Close {
        cursor: u64,
    },
}

/// A request and what has come of it.
pub(super) struct Request {
    pub(super) number: u64,
    /// None where nobody waits for it, from the beginning or any more.
    pub(super) future: Option<Py<PyAny>>,
    /// Somebody waited for it once.
    pub(super) is_abandoned: bool,
    pub(super) work: Work,
    pub(super) rows: Vec<Py<PyAny>>,
    columns: Option<(Arc<Columns>, Option<Arc<Shape>>)>,
    pub(super) affected: Option<u64>,
    pub(super) last_id: Option<i64>,
    pub(super) is_suspended: bool,
    /// The first thing that went wrong.
    pub(super) wrong: Option<Wrong>,
    /// It was prepared once more, since the table was changed.
    pub(super) was_stale: bool,
    /// What makes its many executions one.
    pub(super) frame: Option<Frame>,
}

impl Request {
    pub(super) fn new(number: u64, future: Option<Py<PyAny>>, work: Work) -> Request {
        Request {
            number,
            future,
            is_abandoned: false,
            work,
            rows: Vec::new(),
            columns: None,
            affected: None,
            last_id: None,
            is_suspended: false,
            wrong: None,
            was_stale: false,
            frame: None,
        }
    }

    /// Statements in text that nobody waits for, and nobody relies on.
    pub(super) fn unwaited(sql: &str) -> Request {
        Request { is_abandoned: true, ..Request::new(0, None, Work::Script(sql.to_owned())) }
    }

    /// The statement that has to be prepared for it.
    pub(super) fn sql(&self) -> Option<&Arc<Plan>> {
        match &self.work {
            Work::Run { plan, .. } | Work::Many { plan, .. } | Work::Open { plan, .. } => Some(plan),
            Work::Script(_) | Work::Read { .. } | Work::Close { .. } => None,
        }
    }

    /// What its statement is prepared for.
    pub(super) fn what_for(&self) -> Use {
        if matches!(self.work, Work::Open { .. }) { Use::Cursor } else { Use::Execution }
    }

    /// As before it was sent.
    pub(super) fn start_again(&mut self) {
        self.rows.clear();
        self.columns = None;
        (self.wrong, self.affected, self.is_suspended) = (None, None, false);
        self.was_stale = true;
        if let Work::Many { next, .. } = &mut self.work {
            *next = 0;
        }
    }

    /// The columns of its rows, as they are when the first of them comes.
    pub(super) fn begin_rows(&mut self, py: Python<'_>, columns: Arc<Columns>) -> PyResult<()> {
        if self.columns.as_ref().is_some_and(|(known, _)| Arc::ptr_eq(known, &columns)) {
            return Ok(());
        }
        let shape = match &self.work {
            Work::Run { plan, want: Want::One | Want::All | Want::Mappings, .. }
            | Work::Open { plan, .. }
            | Work::Read { plan, .. } => Some(plan.shape(py, &columns.plain)?),
            _ => None,
        };
        self.columns = Some((columns, shape));
        Ok(())
    }

    /// Whether anybody wants rows of it.
    pub(super) fn wants_rows(&self) -> bool {
        self.future.is_some()
            && self.wrong.is_none()
            && match self.work {
                Work::Run { want, .. } => want != Want::Number,
                Work::Open { .. } | Work::Read { .. } => true,
                _ => false,
            }
    }

    /// Takes a row.
    pub(super) fn take(&mut self, py: Python<'_>, values: Bound<'_, PyTuple>) -> PyResult<()> {
        let (plan, want) = match &self.work {
            Work::Run { plan, want, .. } => (plan, *want),
            Work::Open { plan, .. } | Work::Read { plan, .. } => (plan, Want::All),
            _ => return Ok(()),
        };
        if matches!(want, Want::One | Want::Value) && !self.rows.is_empty() {
            return Ok(());
        }
        let values = match plan.processors() {
            Some(processors) => processed(processors.bind(py), &values, self.columns.as_ref())?,
            None => values,
        };
        if let (Some(maker), Want::One | Want::All) = (&plan.maker, want) {
            self.rows.push(maker.row_of_objects(&values)?.unbind());
            return Ok(());
        }
        let shape = self.columns.as_ref().and_then(|(_, shape)| shape.as_ref());
        self.rows.push(match (want, shape) {
            (Want::Value, _) => values.get_item(0)?.unbind(),
            (Want::One | Want::All, Some(shape)) => {
                Py::new(py, Record { values: values.unbind(), shape: Arc::clone(shape) })?.into_any()
            }
            (Want::Mappings, Some(shape)) => {
                Py::new(py, RowMapping { values: values.unbind(), shape: Arc::clone(shape) })?.into_any()
            }
            _ => values.into_any().unbind(),
        });
        Ok(())
    }

    /// What is awaited.
    pub(super) fn answer<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let rows = std::mem::take(&mut self.rows);
        match &self.work {
            Work::Run { want: Want::Value | Want::One, .. } => {
                Ok(rows.into_iter().next().map_or_else(|| py.None().into_bound(py), |row| row.into_bound(py)))
            }
            Work::Run { want: Want::All | Want::Mappings, .. } => Ok(PyList::new(py, rows)?.into_any()),
            Work::Run { want: Want::Number, .. } => {
                let id = self.last_id.filter(|&id| id != 0);
                Ok(match id {
                    Some(id) => id.into_pyobject(py)?.into_any(),
                    None => self.affected.unwrap_or(0).into_pyobject(py)?.into_any(),
                })
            }
            Work::Run { want: Want::Raw, .. } => {
                let names = self.columns.take().map(|(columns, _)| columns.names.clone_ref(py));
                Ok((names, PyList::new(py, rows)?, self.affected, self.last_id).into_pyobject(py)?.into_any())
            }
            Work::Open { .. } | Work::Read { .. } => {
                Ok((PyList::new(py, rows)?, self.is_suspended).into_pyobject(py)?.into_any())
            }
            Work::Many { .. } => Ok(self.affected.into_pyobject(py)?),
            Work::Script(_) | Work::Close { .. } => Ok(py.None().into_bound(py)),
        }
    }
}

/// The values of a row after what the columns' types make of them.
fn processed<'py>(
    processors: &Bound<'py, PyAny>,
    values: &Bound<'py, PyTuple>,
    columns: Option<&(Arc<Columns>, Option<Arc<Shape>>)>,
) -> PyResult<Bound<'py, PyTuple>> {
    let mut made = Vec::with_capacity(values.len());
    for (place, raw) in values.iter().enumerate() {
        let processor = match (processors.cast::<PyTuple>(), columns) {
            (Ok(by_place), _) => by_place.get_item(place).ok(),
            (Err(_), Some((columns, _))) => match columns.plain.get(place) {
                Some(name) => processors.cast::<pyo3::types::PyDict>()?.get_item(name)?,
                None => None,
            },
            (Err(_), None) => None,
        };
        made.push(match processor {
            Some(processor) if !processor.is_none() => processor.call1((raw,))?,
            _ => raw,
        });
    }
    PyTuple::new(values.py(), made)
}
