//! SQL that is ready, and what is made of its rows.

use std::sync::Arc;

use naja_sql::sqlite::Cell;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};

use super::kind::Kind;
use super::mapper::Model;
use crate::databases::{Query as Statement, RowMaker, values_of_record};

/// A statement of a model, made once for all that differ in nothing but their values.
#[pyclass(frozen, module = "naja._native.db.orm")]
#[derive(Clone)]
pub(super) struct Plan(Arc<Inner>);

struct Inner {
    sql: Py<PyString>,
    /// For a connection that takes SQL with values in order.
    statement: Py<Statement>,
    maker: Option<Arc<Maker>>,
    /// Models whose places in memory are part of the shape by which the plan is found.
    _kept: Vec<Arc<Model>>,
}

/// What is made of a row.
pub(super) enum Maker {
    Instance(Node),
    /// A tuple of values.
    Tuple(Vec<Kind>),
    /// The first value.
    First,
}

/// An instance of a model in a row.
pub(super) struct Node {
    class: Py<PyType>,
    /// Its class makes and fills instances as the package does, so that nobody has to be asked.
    is_plain: bool,
    slots: Vec<(Py<PyString>, Slot)>,
    /// The cell of its key.
    key: Option<usize>,
    model: Arc<Model>,
}

enum Slot {
    /// The value of a cell, for a column.
    Value(usize, usize),
    /// The key in a cell, of an instance of that model of which nothing else is known.
    Sparse(usize, Arc<Model>, bool),
    /// An instance in the same row.
    Joined(Node),
}

/// Cells, wherever they come from.
trait Row {
    fn value<'py>(&self, py: Python<'py>, cell: usize, kind: &Kind) -> PyResult<Bound<'py, PyAny>>;
    fn is_null(&self, cell: usize) -> bool;
}

impl Row for Vec<Cell<'_>> {
    fn value<'py>(&self, py: Python<'py>, cell: usize, kind: &Kind) -> PyResult<Bound<'py, PyAny>> {
        kind.of_cell(py, self[cell])
    }

    fn is_null(&self, cell: usize) -> bool {
        matches!(self[cell], Cell::Null)
    }
}

impl Row for Vec<Bound<'_, PyAny>> {
    fn value<'py>(&self, py: Python<'py>, cell: usize, kind: &Kind) -> PyResult<Bound<'py, PyAny>> {
        kind.of_object(&self[cell].clone().unbind().into_bound(py))
    }

    fn is_null(&self, cell: usize) -> bool {
        self[cell].is_none()
    }
}

impl Maker {
    fn make<'py>(&self, py: Python<'py>, row: &dyn Row) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Maker::Instance(node) => node.make(py, row),
            Maker::Tuple(kinds) => {
                let values = kinds.iter().enumerate().map(|(cell, kind)| row.value(py, cell, kind));
                Ok(PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any())
            }
            Maker::First => row.value(py, 0, &Kind::Integer),
        }
    }
}

impl RowMaker for Maker {
    fn row<'py>(
        &self,
        py: Python<'py>,
        cells: &mut dyn Iterator<Item = Cell<'_>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let cells: Vec<Cell<'_>> = cells.collect();
        self.make(py, &cells)
    }

    fn row_of_objects<'py>(&self, values: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyAny>> {
        self.make(values.py(), &values.iter().collect::<Vec<_>>())
    }
}

impl Node {
    /// Of a model whose columns lie in cells from `first` on; `joined` gives the node for a column, where the row it
    /// refers to is there too.
    pub(super) fn of(
        py: Python<'_>,
        model: &Arc<Model>,
        first: usize,
        mut joined: impl FnMut(usize) -> PyResult<Option<Node>>,
    ) -> PyResult<Node> {
        let mut slots = Vec::with_capacity(model.columns.len());
        for (column, field) in model.columns.iter().enumerate() {
            let slot = match (joined(column)?, model.target(py, column)?) {
                (Some(node), _) => Slot::Joined(node),
                (None, Some(target)) => {
                    target.key()?;
                    let is_plain = is_plain(py, &target)?;
                    Slot::Sparse(first + column, target, is_plain)
                }
                (None, None) => Slot::Value(first + column, column),
            };
            slots.push((field.name.clone_ref(py), slot));
        }
        Ok(Node {
            class: model.class.clone_ref(py),
            is_plain: is_plain(py, model)?,
            slots,
            key: model.key.map(|key| first + key),
            model: model.clone(),
        })
    }

    fn make<'py>(&self, py: Python<'py>, row: &dyn Row) -> PyResult<Bound<'py, PyAny>> {
        let class = self.class.bind(py);
        if !self.is_plain {
            let words = PyDict::new(py);
            for (name, slot) in &self.slots {
                let value = match slot {
                    // The class makes an instance of the key by itself.
                    Slot::Sparse(cell, target, _) => row.value(py, *cell, &target.key()?.kind)?,
                    other => self.value(py, row, other)?,
                };
                words.set_item(name, value)?;
            }
            return class.call((), Some(&words));
        }
        let (instance, values) = new_instance(py, class)?;
        for (name, slot) in &self.slots {
            values.set_item(name, self.value(py, row, slot)?)?;
        }
        Ok(instance)
    }

    fn value<'py>(&self, py: Python<'py>, row: &dyn Row, slot: &Slot) -> PyResult<Bound<'py, PyAny>> {
        match slot {
            Slot::Value(cell, column) => row.value(py, *cell, &self.model.columns[*column].kind),
            Slot::Sparse(cell, target, is_plain) => {
                let key = row.value(py, *cell, &target.key()?.kind)?;
                sparse(py, target, *is_plain, key)
            }
            // A row that has no partner: the partner is one without a key.
            Slot::Joined(node) if node.key.is_some_and(|key| row.is_null(key)) => {
                sparse(py, &node.model, node.is_plain, py.None().into_bound(py))
            }
            Slot::Joined(node) => node.make(py, row),
        }
    }
}

/// An instance of which only the key is known.
fn sparse<'py>(
    py: Python<'py>,
    model: &Model,
    is_plain: bool,
    key: Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    let (class, name) = (model.class.bind(py), &model.key()?.name);
    if is_plain {
        let (instance, values) = new_instance(py, class)?;
        values.set_item(name, key)?;
        return Ok(instance);
    }
    let words = PyDict::new(py);
    words.set_item(name, key)?;
    class.call((), Some(&words))
}

fn new_instance<'py>(
    py: Python<'py>,
    class: &Bound<'py, PyType>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyDict>)> {
    let instance = plain_new(py)?.call1((class,))?;
    let values = instance.getattr(intern!(py, "__dict__"))?.cast_into::<PyDict>().map_err(PyErr::from)?;
    Ok((instance, values))
}

/// `object.__new__`
fn plain_new(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static NEW: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let made = || PyResult::Ok(py.import("builtins")?.getattr("object")?.getattr("__new__")?.unbind());
    Ok(NEW.get_or_try_init(py, made)?.bind(py))
}

/// Whether nothing of the program's own is called when an instance is made, so that its dictionary can be filled.
fn is_plain(py: Python<'_>, model: &Model) -> PyResult<bool> {
    let (class, base) = (model.class.bind(py), model.base.bind(py));
    for name in ["__init__", "__setattr__"] {
        if !class.getattr(name)?.is(&base.getattr(name)?) {
            return Ok(false);
        }
    }
    if !class.getattr("__new__")?.is(plain_new(py)?) {
        return Ok(false);
    }
    // A property, say, by the name of a field.
    for field in &model.columns {
        if class.getattr_opt(&field.name)?.is_some() {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Plan {
    pub(super) fn new(
        py: Python<'_>,
        sql: String,
        maker: Option<Maker>,
        kept: Vec<Arc<Model>>,
    ) -> PyResult<Plan> {
        let maker = maker.map(Arc::new);
        let text = PyString::new(py, &sql).unbind();
        let statement = Statement::of(sql, maker.clone().map(|maker| maker as Arc<dyn RowMaker>));
        Ok(Plan(Arc::new(Inner { sql: text, statement: Py::new(py, statement)?, maker, _kept: kept })))
    }

    pub(super) fn without_rows(py: Python<'_>, sql: String) -> PyResult<Plan> {
        Plan::new(py, sql, None, Vec::new())
    }

    pub(super) fn of_tuples(py: Python<'_>, sql: String, kinds: Vec<Kind>) -> PyResult<Plan> {
        Plan::new(py, sql, Some(Maker::Tuple(kinds)), Vec::new())
    }
}

#[pymethods]
impl Plan {
    /// The SQL.
    #[getter]
    fn sql<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        self.0.sql.bind(py).clone()
    }

    /// The statement for a connection of naja's own.
    #[getter]
    fn statement<'py>(&self, py: Python<'py>) -> Bound<'py, Statement> {
        self.0.statement.bind(py).clone()
    }

    /// The values by the names of their places.
    fn named<'py>(&self, values: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyDict>> {
        let named = PyDict::new(values.py());
        for (index, value) in values.iter().enumerate() {
            named.set_item(format!("p{}", index + 1), value)?;
        }
        Ok(named)
    }

    /// What is made of records of any driver.
    fn rows<'py>(&self, records: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyList>> {
        let py = records.py();
        let list = PyList::empty(py);
        let Some(maker) = &self.0.maker else { return Ok(list) };
        for record in records.try_iter()? {
            let record = record?;
            let values: Vec<Bound<'py, PyAny>> = match values_of_record(&record) {
                Some(values) => values.iter().collect(),
                None => {
                    let mapping = record.getattr(intern!(py, "_mapping"))?;
                    mapping.call_method0(intern!(py, "values"))?.try_iter()?.collect::<PyResult<_>>()?
                }
            };
            list.append(maker.make(py, &values)?)?;
        }
        Ok(list)
    }
}
