//! Rows as the objects that the program asks for.

use naja_db::tables::Kind;
use naja_sql::KeptRows;
use naja_sql::sqlite::Cell;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::links::Fetched;
use crate::objects::{self, Documents, Manner, Objects};
use crate::sqlite::objects::object;

/// Documents are what is in them, and a float of 32 bits is the number that was written.
const MANNER: Manner = Manner { documents: Documents::Parsed, singles_are_exact: false };

/// What a row becomes.
#[derive(Debug)]
pub(super) enum RowType {
    /// `collections.OrderedDict`, which is the original's default.
    Ordered,
    /// `dict`
    Dict,
    /// Whatever takes pairs of name and value.
    Other(Py<PyAny>),
}

impl RowType {
    /// The kind of row that a program asks for.
    pub(super) fn of(factory: &Bound<'_, PyAny>) -> PyResult<RowType> {
        let py = factory.py();
        Ok(if factory.is(ordered_dict(py)?) {
            RowType::Ordered
        } else if factory.is(py.get_type::<PyDict>()) {
            RowType::Dict
        } else {
            RowType::Other(factory.clone().unbind())
        })
    }

    /// The same again, for a result.
    pub(super) fn again(&self, py: Python<'_>) -> RowType {
        match self {
            RowType::Ordered => RowType::Ordered,
            RowType::Dict => RowType::Dict,
            RowType::Other(factory) => RowType::Other(factory.clone_ref(py)),
        }
    }

    /// The object that makes rows.
    pub(super) fn factory<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(match self {
            RowType::Ordered => ordered_dict(py)?.clone(),
            RowType::Dict => py.get_type::<PyDict>().into_any(),
            RowType::Other(factory) => factory.bind(py).clone(),
        })
    }

    /// A row of these names and values.
    fn row<'py>(
        &self,
        py: Python<'py>,
        names: &[Py<PyString>],
        values: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            RowType::Ordered => {
                let row = ordered_dict(py)?.call0()?;
                for (name, value) in names.iter().zip(values) {
                    row.set_item(name, value?)?;
                }
                Ok(row)
            }
            RowType::Dict => {
                let row = PyDict::new(py);
                for (name, value) in names.iter().zip(values) {
                    row.set_item(name, value?)?;
                }
                Ok(row.into_any())
            }
            RowType::Other(factory) => {
                let pairs: Vec<(&Py<PyString>, Bound<'py, PyAny>)> = names
                    .iter()
                    .zip(values)
                    .map(|(name, value)| Ok((name, value?)))
                    .collect::<PyResult<_>>()?;
                factory.bind(py).call1((PyList::new(py, pairs)?,))
            }
        }
    }
}

fn ordered_dict(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static CLASS: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let class = CLASS
        .get_or_try_init(py, || PyResult::Ok(py.import("collections")?.getattr("OrderedDict")?.unbind()))?;
    Ok(class.bind(py))
}

/// The columns of a result: their names as objects, and what is made of their values.
#[derive(Debug)]
pub(super) struct Columns {
    pub(super) names: Vec<Py<PyString>>,
    /// For SQLite, which does not say what a value means: what the table's columns are made of.
    pub(super) kinds: Vec<Kind>,
}

impl Columns {
    /// By their names alone: values become what they are.
    pub(super) fn named<'a>(py: Python<'_>, names: impl Iterator<Item = &'a str>) -> Columns {
        let names: Vec<Py<PyString>> = names.map(|name| PyString::intern(py, name).unbind()).collect();
        Columns { kinds: vec![Kind::Any; names.len()], names }
    }

    /// A row as the object that the program asks for. `server` is what a server says of its columns.
    pub(super) fn row<'py>(
        &self,
        py: Python<'py>,
        row_type: &RowType,
        rows: &Fetched,
        server: Option<&objects::Columns>,
        index: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match (rows, server) {
            (Fetched::Sqlite(rows), _) => row_type.row(py, &self.names, self.objects(py, rows.row(index))),
            (Fetched::Server(rows), Some(server)) => {
                let mut made = Objects::new(py, server, MANNER);
                rows.write_into(index, &mut made);
                row_type.row(py, &self.names, made.values()?.map(Ok))
            }
            (Fetched::Server(_), None) => row_type.row(py, &[], std::iter::empty()),
        }
    }

    /// All rows, each as a tuple.
    pub(super) fn tuples<'py>(&self, py: Python<'py>, rows: &Fetched) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        match rows {
            Fetched::Sqlite(rows) => {
                for index in 0..rows.len() {
                    let row: Vec<Bound<'py, PyAny>> =
                        self.objects(py, rows.row(index)).collect::<PyResult<_>>()?;
                    list.append(PyTuple::new(py, row)?)?;
                }
            }
            Fetched::Server(rows) => {
                let columns = objects::Columns::new(py, rows.columns())?;
                let mut made = Objects::new(py, &columns, MANNER);
                for index in 0..rows.len() {
                    rows.write_into(index, &mut made);
                    list.append(made.tuple()?)?;
                }
            }
        }
        Ok(list)
    }

    fn objects<'py, 'a>(
        &self,
        py: Python<'py>,
        cells: impl Iterator<Item = Cell<'a>>,
    ) -> impl Iterator<Item = PyResult<Bound<'py, PyAny>>> {
        self.kinds.iter().zip(cells).map(move |(kind, cell)| object(py, cell, *kind))
    }
}

/// The first value of the first row, `None` where there is none.
pub(super) fn first_value<'py>(py: Python<'py>, rows: &KeptRows) -> PyResult<Bound<'py, PyAny>> {
    if rows.is_empty() {
        return Ok(py.None().into_bound(py));
    }
    let columns = objects::Columns::new(py, rows.columns())?;
    let mut made = Objects::new(py, &columns, MANNER);
    rows.write_into(0, &mut made);
    let first = made.values()?.next();
    Ok(first.unwrap_or_else(|| py.None().into_bound(py)))
}
