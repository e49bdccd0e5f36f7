//! What `naja.dataset.Table` is made of: rows in, rows out, and the table changed to fit them.

use std::sync::{Arc, Mutex};

use naja_db::tables::Dialect;
use naja_db::tables::names::{column_name, table_name};
use naja_db::tables::statement::{self, ChangeOrInsert, NewColumn, PrimaryKey, Selection as Selected};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString, PyTuple};

use super::changes::ChangeOrStore;
use super::engine::Engine;
use super::errors;
use super::layout::{Layout, text_of};
use super::links::{self, Wanted};
use super::result::{ResultIter, step_of};
use super::rows::Columns;
use super::selection::Selection;
use super::taking::{as_dict, as_dicts, sample_of};

/// A table of a database: the part of `naja.dataset.Table` that is not Python.
///
/// The class of the package adds what needs SQLAlchemy; `find` and its like give it what they cannot do themselves.
#[pyclass(subclass, frozen, dict, module = "naja._native.db")]
pub(super) struct Table {
    pub(super) engine: Py<Engine>,
    pub(super) dialect: Dialect,
    pub(super) name: String,
    /// In quotes, with its schema.
    pub(super) quoted: String,
    pub(super) schema: Option<String>,
    pub(super) key: Option<PrimaryKey>,
    pub(super) creates: bool,
    /// Gives the name of a type that the user passes, or of a value that only Python knows.
    pub(super) declare: Py<PyAny>,
    pub(super) layout: Mutex<Option<Arc<Layout>>>,
}

/// What `insert` and its like may be told of columns that are not there.
pub(super) type Types<'a, 'py> = Option<&'a Bound<'py, PyDict>>;

impl Table {
    pub(super) fn engine<'a>(&'a self, py: Python<'a>) -> &'a Engine {
        self.engine.bind(py).get()
    }

    pub(super) fn names<'a>(
        &self,
        layout: &'a Layout,
        columns: impl IntoIterator<Item = usize>,
    ) -> Vec<&'a str> {
        columns.into_iter().map(|column| layout.columns[column].name.as_str()).collect()
    }
}

#[pymethods]
impl Table {
    #[new]
    #[pyo3(signature = (engine, name, schema, key_name, key_declared, key_counts_up, creates, declare))]
    #[expect(clippy::too_many_arguments, reason = "one caller, the package's own class")]
    fn new(
        engine: Py<Engine>,
        name: &str,
        schema: Option<String>,
        key_name: Option<String>,
        key_declared: String,
        key_counts_up: bool,
        creates: bool,
        declare: Py<PyAny>,
    ) -> PyResult<Table> {
        let name = table_name(name).map_err(|error| errors::bad_name(&error))?.to_owned();
        let dialect = engine.get().dialect();
        Ok(Table {
            quoted: dialect.table(schema.as_deref(), &name),
            dialect,
            engine,
            name,
            schema,
            key: key_name.map(|name| PrimaryKey { name, declared: key_declared, counts_up: key_counts_up }),
            creates,
            declare,
            layout: Mutex::new(None),
        })
    }

    /// Its name.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// Whether its columns are known, so that it was there when they were read.
    #[getter]
    fn _is_known(&self) -> bool {
        self.known().is_some()
    }

    /// Forgets its columns: they are read again when they are needed.
    fn _forget(&self) {
        let before = self.known().take();
        drop(before);
    }

    /// Whether the table is in the database.
    #[getter]
    fn exists(&self, py: Python<'_>) -> PyResult<bool> {
        Ok(self.find_layout(py)?.is_some())
    }

    /// The names of all columns.
    #[getter]
    fn columns(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        let layout = self.find_layout(py)?;
        Ok(layout
            .map(|layout| layout.names().iter().map(|name| (*name).to_owned()).collect())
            .unwrap_or_default())
    }

    /// Each column: its name, its type as it was declared, its place in the primary key or 0.
    fn _describe(&self, py: Python<'_>) -> PyResult<Vec<(String, String, i64)>> {
        let layout = self.find_layout(py)?;
        Ok(layout.map_or_else(Vec::new, |layout| {
            layout.columns.iter().map(|one| (one.name.clone(), one.declared.clone(), one.key_place)).collect()
        }))
    }

    /// Makes the table with its primary key, if it is not there.
    fn _create(&self, py: Python<'_>) -> PyResult<()> {
        self.layout_with(py, &[]).map(drop)
    }

    /// Whether there is a column of this name; letters' case and blanks do not matter.
    #[pyo3(signature = (column))]
    fn has_column(&self, py: Python<'_>, column: &Bound<'_, PyAny>) -> PyResult<bool> {
        if column.is_none() {
            return Ok(false);
        }
        let text = text_of(column)?;
        column_name(text).map_err(|error| errors::bad_name(&error))?;
        match self.find_layout(py)? {
            Some(layout) => Ok(layout.find(text)?.is_some()),
            None => Ok(false),
        }
    }

    /// The name of the column that is meant by a name, or the name itself where there is none.
    fn _get_column_name(&self, py: Python<'_>, name: &Bound<'_, PyAny>) -> PyResult<String> {
        let text = text_of(name)?;
        let own = column_name(text).map_err(|error| errors::bad_name(&error))?;
        let layout = self.find_layout(py)?;
        let found = match &layout {
            Some(layout) => layout.find(text)?.map(|column| layout.columns[column].name.clone()),
            None => None,
        };
        Ok(found.unwrap_or_else(|| own.to_owned()))
    }

    /// Adds a column with a type in the words of the database, and what else stands behind it.
    fn _add_column(&self, py: Python<'_>, name: &str, declared: String) -> PyResult<()> {
        let name = column_name(name).map_err(|error| errors::bad_name(&error))?.to_owned();
        let column = NewColumn { name, declared };
        if self.find_layout(py)?.is_none() {
            let columns = [column];
            return self.layout_with(py, &columns).map(drop);
        }
        self.add_columns(py, &[column]).map(drop)
    }

    /// Stores a row, making the table and its columns where they are missing.
    ///
    /// Gives the primary key of the new row, or `True` where the table has none.
    #[pyo3(signature = (row, ensure=None, types=None))]
    fn insert<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let row = as_dict(row)?;
        let engine = self.engine(py);
        let (layout, shape) = self.fit(py, &row, engine.ensures(ensure), types)?;
        let taken = self.take(&layout, &shape, &row, None)?;
        let given = engine.given(&taken);
        let sql = shape.insert.as_str();
        let stored = engine.write(py, Some(sql), false, |link| link.insert(sql, &given))?;
        self.new_key(py, &layout, &shape, &row, &stored)
    }

    /// Stores a row unless there is one with the same values in the columns `keys`.
    ///
    /// Gives what `insert` gives, or `False` where nothing was stored.
    #[pyo3(signature = (row, keys, ensure=None, types=None))]
    fn insert_ignore<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let row = as_dict(row)?;
        let engine = self.engine(py);
        let ensures = engine.ensures(ensure);
        let (layout, shape) = self.fit(py, &row, ensures, types)?;
        let keys = self.key_columns(&layout, keys)?;
        if ensures {
            self.index_keys(py, &layout, &keys)?;
        }
        let (selection, _) = self.by_keys(&layout, &shape, &row, &keys)?;
        let taken = self.take(&layout, &shape, &row, None)?;
        let sql = shape.insert.as_str();
        let asked: String;
        let tests = selection.named(&layout);
        let statements = if self.dialect == Dialect::Postgres && layout.is_plain && !taken.is_empty() {
            let columns = self.names(&layout, shape.columns.iter().copied());
            let returning = layout.key.map(|key| layout.columns[key].name.as_str());
            let wanted =
                ChangeOrInsert { others: &[], tests: &tests, keys: &columns, is_unique: false, returning };
            asked = statement::change_or_insert(&self.quoted, &wanted);
            links::ChangeOrStore::One {
                sql: &asked,
                given: engine.given(selection.values.iter().chain(&taken)),
            }
        } else {
            asked = statement::count(self.dialect, &self.quoted, &tests);
            links::ChangeOrStore::Two {
                first: &asked,
                counts: true,
                first_given: engine.given(&selection.values),
                insert: sql,
                insert_given: engine.given(&taken),
            }
        };
        let takes_two = statements.takes_two();
        match engine.write(py, Some(sql), takes_two, |link| link.change_or_store(&statements))? {
            Some(stored) => self.new_key(py, &layout, &shape, &row, &stored),
            None => Ok(PyBool::new(py, false).to_owned().into_any()),
        }
    }

    /// Stores many rows, `chunk_size` in one transaction; columns that a row lacks become NULL.
    #[pyo3(signature = (rows, chunk_size=1000, ensure=None, types=None))]
    fn insert_many<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        chunk_size: usize,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<()> {
        if chunk_size == 0 {
            return Err(PyValueError::new_err("chunk_size must be at least 1"));
        }
        let rows = as_dicts(rows)?;
        let ensures = self.engine(py).ensures(ensure);
        // One row with every name that occurs and its first value: it says which columns there must be.
        let sample = sample_of(py, &rows)?;
        let (layout, shape) = self.fit(py, &sample, ensures, types)?;
        let width = shape.columns.len();
        if width == 0 {
            for row in &rows {
                self.insert(py, row.as_any(), Some(false), None)?;
            }
            return Ok(());
        }
        for (chunk_number, chunk) in rows.chunks(chunk_size).enumerate() {
            let mut taken = Vec::with_capacity(chunk.len() * width);
            for (index, row) in chunk.iter().enumerate() {
                let number = Some(chunk_number * chunk_size + index + 1);
                if shape.is_of(row) && shape.places.len() == width {
                    for ((_, value), column) in row.iter().zip(&shape.columns) {
                        taken.push(self.take_one(&layout, *column, &value, number)?);
                    }
                } else {
                    self.take_padded(py, &layout, &shape, row, number, &mut taken)?;
                }
            }
            self.store(py, &layout, &shape.columns, &taken)?;
        }
        Ok(())
    }

    /// Changes the rows that have the same values in the columns `keys` to the other values; how many there were.
    #[pyo3(signature = (row, keys, ensure=None, types=None, return_count=false))]
    fn update<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
        return_count: bool,
    ) -> PyResult<i64> {
        // SQLite always says how many rows there were.
        let _ = return_count;
        let row = as_dict(row)?;
        let (layout, shape) = self.fit(py, &row, self.engine(py).ensures(ensure), types)?;
        let keys = self.key_columns(&layout, keys)?;
        let (selection, others) = self.by_keys(&layout, &shape, &row, &keys)?;
        if others.is_empty() {
            return self.count_rows(py, &layout, &selection);
        }
        let taken = self.take(&layout, &shape, &row, None)?;
        let names = self.names(&layout, others.iter().map(|place| shape.columns[*place]));
        let sql = statement::update(self.dialect, &self.quoted, &names, &selection.named(&layout));
        let changed = others.iter().map(|place| &taken[*place]);
        let given = self.engine(py).given(changed.chain(&selection.values));
        self.change(py, &sql, &given)
    }

    /// Changes many rows, each as `update` does, `chunk_size` in one transaction.
    ///
    /// Of the columns that occur in the rows so far, those that a row lacks become NULL, as in the original.
    #[pyo3(signature = (rows, keys, chunk_size=1000, ensure=None, types=None))]
    fn update_many<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        chunk_size: usize,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<()> {
        if chunk_size == 0 {
            return Err(PyValueError::new_err("chunk_size must be at least 1"));
        }
        let rows = as_dicts(rows)?;
        let mut start = 0;
        while start < rows.len() {
            let end = (start + chunk_size).min(rows.len());
            let sample = sample_of(py, &rows[..end])?;
            let (layout, shape) = self.fit(py, &sample, self.engine(py).ensures(ensure), types)?;
            let keys = self.key_columns(&layout, keys)?;
            let (_, others) = self.by_keys(&layout, &shape, &sample, &keys)?;
            self.update_chunk(py, &layout, &shape, &rows[start..end], start, &keys, &others)?;
            start = end;
        }
        Ok(())
    }

    /// Changes the rows that have the same values in the columns `keys`, or stores a new one where there is none.
    ///
    /// Gives `True` where rows were changed, else what `insert` gives.
    #[pyo3(signature = (row, keys, ensure=None, types=None))]
    fn upsert<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let row = as_dict(row)?;
        let engine = self.engine(py);
        let ensures = engine.ensures(ensure);
        let (layout, taken) = self.fit_and_take(py, &row, ensures, types, None)?;
        let keys = self.key_columns(&layout, keys)?;
        if ensures {
            self.index_keys(py, &layout, &keys)?;
        }
        let change = self.change_or_store(py, &layout, &taken, &row, &keys, true)?;
        let statements = change.prepared(self.dialect);
        let stored = engine.write(py, Some(statements.shown()), statements.takes_two(), |link| {
            link.change_or_store(&statements)
        });
        match stored.inspect_err(|_| self._forget())? {
            Some(stored) => self.new_key(py, &layout, &taken.shape, &row, &stored),
            None => Ok(PyBool::new(py, true).to_owned().into_any()),
        }
    }

    /// The same for many rows, `chunk_size` in one transaction.
    #[pyo3(signature = (rows, keys, chunk_size=1000, ensure=None, types=None))]
    fn upsert_many<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, PyAny>,
        keys: &Bound<'py, PyAny>,
        chunk_size: usize,
        ensure: Option<bool>,
        types: Types<'_, 'py>,
    ) -> PyResult<()> {
        if chunk_size == 0 {
            return Err(PyValueError::new_err("chunk_size must be at least 1"));
        }
        let engine = self.engine(py);
        let ensures = engine.ensures(ensure);
        let rows = as_dicts(rows)?;
        for (chunk_number, chunk) in rows.chunks(chunk_size).enumerate() {
            // The table first, since it cannot be changed in the middle of the chunk's statement.
            for row in chunk {
                self.fit(py, row, ensures, types)?;
            }
            let mut taken = Vec::with_capacity(chunk.len());
            for (index, row) in chunk.iter().enumerate() {
                let number = Some(chunk_number * chunk_size + index + 1);
                let (layout, one) = self.fit_and_take(py, row, ensures, None, number)?;
                let columns = self.key_columns(&layout, keys)?;
                if ensures {
                    self.index_keys(py, &layout, &columns)?;
                }
                taken.push((layout, one, columns));
            }
            let changes: Vec<ChangeOrStore<'_, '_>> = taken
                .iter()
                .zip(chunk)
                .map(|((layout, one, columns), row)| {
                    self.change_or_store(py, layout, one, row, columns, false)
                })
                .collect::<PyResult<_>>()?;
            let prepared: Vec<links::ChangeOrStore<'_>> =
                changes.iter().map(|change| change.prepared(self.dialect)).collect();
            let shown = prepared.first().map(links::ChangeOrStore::shown);
            // What was known of the indexes may not be true any more.
            engine
                .write(py, shown, true, |link| link.change_or_store_each(&prepared))
                .inspect_err(|_| self._forget())?;
        }
        Ok(())
    }

    /// The rows that fit the filters, as a result to iterate over.
    #[pyo3(signature = (*clauses, _limit=None, _offset=0, order_by=None, _streamed=false, _step=None, **filters))]
    #[expect(clippy::too_many_arguments, reason = "the original's")]
    fn find<'py>(
        slf: &Bound<'py, Table>,
        clauses: &Bound<'py, PyTuple>,
        _limit: Option<i64>,
        _offset: Option<i64>,
        order_by: Option<&Bound<'py, PyAny>>,
        _streamed: bool,
        _step: Option<&Bound<'py, PyAny>>,
        filters: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let table = slf.get();
        let step = rows_at_a_time(_step)?;
        if !clauses.is_empty() {
            let options = PyDict::new(py);
            options.set_item("limit", _limit)?;
            options.set_item("offset", _offset)?;
            options.set_item("order_by", order_by)?;
            options.set_item("step", step)?;
            let filters = filters.cloned().unwrap_or_else(|| PyDict::new(py));
            return slf.call_method("_find_by_clauses", (clauses, filters), Some(&options));
        }
        let engine = table.engine.bind(py);
        let Some(layout) = table.find_layout(py)? else {
            return Ok(Bound::new(py, ResultIter::empty(engine.get().rows_become(py)))?.into_any());
        };
        let wanted = step_of(step, _streamed);
        let result = table.select(py, &layout, filters, order_by, _limit, _offset, wanted)?;
        Ok(Bound::new(py, result)?.into_any())
    }

    /// The first row that fits the filters, or `None`.
    #[pyo3(signature = (*clauses, order_by=None, _offset=0, _limit=None, _streamed=false, _step=None, **filters))]
    #[expect(clippy::too_many_arguments, reason = "the original's")]
    fn find_one<'py>(
        slf: &Bound<'py, Table>,
        clauses: &Bound<'py, PyTuple>,
        order_by: Option<&Bound<'py, PyAny>>,
        _offset: Option<i64>,
        _limit: Option<&Bound<'py, PyAny>>,
        _streamed: bool,
        _step: Option<&Bound<'py, PyAny>>,
        filters: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = slf.py();
        let table = slf.get();
        if !clauses.is_empty() {
            let found = Table::find(slf, clauses, Some(1), _offset, order_by, false, None, filters)?;
            return found.try_iter()?.next().transpose();
        }
        let Some(layout) = table.find_layout(py)? else { return Ok(None) };
        // A server has sent the row and its end before anything else can be asked.
        let step = if table.dialect == Dialect::Sqlite { 1 } else { 0 };
        table.select(py, &layout, filters, order_by, Some(1), _offset, step_of(step, false))?.next_row(py)
    }

    /// How many rows fit the filters.
    #[pyo3(signature = (*clauses, **filters))]
    fn count<'py>(
        slf: &Bound<'py, Table>,
        clauses: &Bound<'py, PyTuple>,
        filters: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<i64> {
        let py = slf.py();
        let table = slf.get();
        if !clauses.is_empty() {
            let filters = filters.cloned().unwrap_or_else(|| PyDict::new(py));
            return slf.call_method1("_count_by_clauses", (clauses, filters))?.extract();
        }
        let Some(layout) = table.find_layout(py)? else { return Ok(0) };
        let selection = match filters {
            Some(filters) => Selection::of(table.engine(py), &layout, filters)?,
            None => Selection::default(),
        };
        table.count_rows(py, &layout, &selection)
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        let Some(layout) = self.find_layout(py)? else { return Ok(0) };
        let count = self.count_rows(py, &layout, &Selection::default())?;
        usize::try_from(count).map_err(|_| PyValueError::new_err("a count below zero"))
    }

    /// Removes the rows that fit the filters, all of them without any; whether there were some.
    #[pyo3(signature = (*clauses, **filters))]
    fn delete<'py>(
        slf: &Bound<'py, Table>,
        clauses: &Bound<'py, PyTuple>,
        filters: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<bool> {
        let py = slf.py();
        let table = slf.get();
        let Some(layout) = table.find_layout(py)? else { return Ok(false) };
        if !clauses.is_empty() {
            let filters = filters.cloned().unwrap_or_else(|| PyDict::new(py));
            return slf.call_method1("_delete_by_clauses", (clauses, filters))?.extract();
        }
        let selection = match filters {
            Some(filters) => Selection::of(table.engine(py), &layout, filters)?,
            None => Selection::default(),
        };
        let sql = statement::delete(table.dialect, &table.quoted, &selection.named(&layout));
        let changed = table.change(py, &sql, &table.engine(py).given(&selection.values))?;
        Ok(changed > 0)
    }

    /// Each combination of values of these columns once, sorted, among the rows that fit the filters.
    #[pyo3(signature = (*columns, _limit=None, _offset=0, **filters))]
    fn distinct<'py>(
        slf: &Bound<'py, Table>,
        columns: &Bound<'py, PyTuple>,
        _limit: Option<i64>,
        _offset: Option<i64>,
        filters: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let table = slf.get();
        let engine = table.engine.bind(py);
        let nothing = || Ok(Bound::new(py, ResultIter::empty(engine.get().rows_become(py)))?.into_any());
        let Some(layout) = table.find_layout(py)? else { return nothing() };
        if columns.iter().any(|column| !column.is_instance_of::<PyString>()) {
            let filters = filters.cloned().unwrap_or_else(|| PyDict::new(py));
            return slf.call_method1("_distinct_by_clauses", (columns, filters, _limit, _offset));
        }
        let mut wanted = Vec::with_capacity(columns.len());
        for column in columns.iter() {
            let Some(index) = layout.find_object(&column)? else {
                return Err(engine.get().error(py, "DatasetError", &format!("No such column: {column}")));
            };
            wanted.push(index);
        }
        if wanted.is_empty() {
            return nothing();
        }
        let selection = match filters {
            Some(filters) => Selection::of(engine.get(), &layout, filters)?,
            None => Selection::default(),
        };
        let names = table.names(&layout, wanted.iter().copied());
        let order: Vec<(&str, bool)> = names.iter().map(|name| (*name, false)).collect();
        let sql = statement::select(
            table.dialect,
            &table.quoted,
            &Selected {
                columns: &names,
                distinct: true,
                tests: &selection.named(&layout),
                order: &order,
                limit: _limit,
                offset: _offset.unwrap_or(0),
            },
        );
        let objects = Columns {
            names: wanted.iter().map(|index| layout.objects.names[*index].clone_ref(py)).collect(),
            kinds: wanted.iter().map(|index| layout.objects.kinds[*index]).collect(),
        };
        let result = ResultIter::start(
            engine,
            &sql,
            &selection.values,
            step_of(1000, false),
            Some(Arc::new(objects)),
        )?;
        Ok(Bound::new(py, result)?.into_any())
    }

    fn __iter__<'py>(slf: &Bound<'py, Table>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        Table::find(slf, &PyTuple::empty(py), None, None, None, false, None, None)
    }

    /// Whether an index covers the columns.
    fn has_index(&self, py: Python<'_>, columns: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Some(layout) = self.find_layout(py)? else { return Ok(false) };
        let columns: Vec<usize> = match self.key_columns(&layout, columns)?.into_iter().collect() {
            Ok(columns) => columns,
            Err(_) => return Ok(false),
        };
        self.is_indexed(py, &layout, &columns)
    }

    /// Makes an index over the columns, unless one covers them; with `unique`, no two rows may have the same values.
    #[pyo3(signature = (columns, name=None, *, unique=false, **_others))]
    fn create_index(
        &self,
        py: Python<'_>,
        columns: &Bound<'_, PyAny>,
        name: Option<&str>,
        unique: bool,
        _others: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let Some(layout) = self.find_layout(py)? else {
            return Err(self.engine(py).error(py, "DatasetError", "Table has not been created yet."));
        };
        let columns: Vec<usize> = match self.key_columns(&layout, columns)?.into_iter().collect() {
            Ok(columns) => columns,
            Err(_) => return Ok(()),
        };
        let is_there = if unique {
            self.is_unique(py, &layout, &columns)?
        } else {
            self.is_indexed(py, &layout, &columns)?
        };
        if is_there { Ok(()) } else { self.make_index(py, &layout, &columns, name, unique) }
    }

    /// Removes a column with all its values.
    fn _drop_column(&self, py: Python<'_>, name: &str) -> PyResult<()> {
        self.warn_of_threads(py)?;
        let mut sql = format!("ALTER TABLE {} DROP COLUMN ", self.quoted);
        self.dialect.quote(&mut sql, name);
        self.engine(py).write(py, Some(&sql), false, |link| link.define(&sql))?;
        self.read_layout(py).map(drop)
    }

    /// Drops the table with all that is in it.
    fn _drop(&self, py: Python<'_>) -> PyResult<()> {
        if self.find_layout(py)?.is_none() {
            return Ok(());
        }
        self.warn_of_threads(py)?;
        let sql = format!("DROP TABLE IF EXISTS {}", self.quoted);
        self.engine(py).write(py, Some(&sql), false, |link| link.define(&sql))?;
        self._forget();
        Ok(())
    }

    fn __repr__(&self) -> String {
        format!("<Table({})>", self.name)
    }
}

impl Table {
    #[expect(clippy::too_many_arguments, reason = "what `find` takes")]
    fn select<'py>(
        &self,
        py: Python<'py>,
        layout: &Arc<Layout>,
        filters: Option<&Bound<'py, PyDict>>,
        order_by: Option<&Bound<'py, PyAny>>,
        limit: Option<i64>,
        offset: Option<i64>,
        wanted: Wanted,
    ) -> PyResult<ResultIter> {
        let engine = self.engine.bind(py);
        let selection = match filters {
            Some(filters) => Selection::of(engine.get(), layout, filters)?,
            None => Selection::default(),
        };
        let order = order_of(layout, order_by)?;
        let order: Vec<(&str, bool)> = order
            .iter()
            .map(|(column, descends)| (layout.columns[*column].name.as_str(), *descends))
            .collect();
        let sql = statement::select(
            self.dialect,
            &self.quoted,
            &Selected {
                columns: &layout.names(),
                distinct: false,
                tests: &selection.named(layout),
                order: &order,
                limit,
                offset: offset.unwrap_or(0),
            },
        );
        ResultIter::start(engine, &sql, &selection.values, wanted, Some(layout.objects.clone()))
    }
}

/// The columns by which rows are sorted, and whether the largest comes first; what is no column is left out.
fn order_of(layout: &Layout, order_by: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<(usize, bool)>> {
    let Some(order_by) = order_by.filter(|order_by| !order_by.is_none()) else { return Ok(Vec::new()) };
    let names: Vec<Bound<'_, PyAny>> = if order_by.is_instance_of::<PyString>() {
        vec![order_by.clone()]
    } else {
        order_by.try_iter()?.collect::<PyResult<_>>()?
    };
    let mut order = Vec::with_capacity(names.len());
    for name in names.iter().filter(|name| !name.is_none()) {
        let text = text_of(name)?;
        if let Some(column) = layout.find(text.trim_start_matches('-'))? {
            order.push((column, text.starts_with('-')));
        }
    }
    Ok(order)
}

/// How many rows are read at a time: 1,000 unless something else is said; 0, `False` and `None` mean all.
fn rows_at_a_time(step: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    match step {
        None => Ok(1000),
        Some(step) if step.is_none() || !step.is_truthy()? => Ok(0),
        Some(step) => step.extract(),
    }
}
