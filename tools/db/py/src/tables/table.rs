//! What `naja.dataset.Table` is made of: rows in, rows out, and the table changed to fit them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use naja_db::tables::Dialect;
use naja_db::tables::filter::Test;
use naja_db::tables::names::{column_name, table_name};
use naja_db::tables::statement::{self, NewColumn, NewIndex, PrimaryKey, Selection as Wanted};
use naja_sql::sqlite::{Cell, Connection, Error, Rows, Value};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyMapping, PyString, PyTuple};

use super::engine::Engine;
use super::errors;
use super::layout::{self, Column, Layout, Shape, text_of};
use super::result::ResultIter;
use super::selection::Selection;
use crate::sqlite::values::{self, Refusal, Taken};

const DIALECT: Dialect = Dialect::Sqlite;

/// So many rows are stored by one statement: of the sizes measured in docs/design/databases.md the fastest.
const ROWS_IN_ONE: usize = 100;

/// A table of a database: the part of `naja.dataset.Table` that is not Python.
///
/// The class of the package adds what needs SQLAlchemy; `find` and its like give it what they cannot do themselves.
#[pyclass(subclass, frozen, dict, module = "naja._native.db")]
pub(super) struct Table {
    engine: Py<Engine>,
    name: String,
    /// In quotes, with its schema.
    quoted: String,
    schema: Option<String>,
    key: Option<PrimaryKey>,
    creates: bool,
    /// Gives the name of a type that the user passes, or of a value that only Python knows.
    declare: Py<PyAny>,
    layout: Mutex<Option<Arc<Layout>>>,
}

/// A row whose values were taken out of it.
struct TakenRow<'py> {
    shape: Arc<Shape>,
    values: Vec<Taken<'py>>,
}

/// What `insert` and its like may be told of columns that are not there.
type Types<'a, 'py> = Option<&'a Bound<'py, PyDict>>;

impl Table {
    fn engine<'a>(&'a self, py: Python<'a>) -> &'a Engine {
        self.engine.bind(py).get()
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<Layout>>> {
        // Held for a moment only, and never while the interpreter is waited for.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns, read from the database if they are not known; none where there is no table.
    fn find_layout(&self, py: Python<'_>) -> PyResult<Option<Arc<Layout>>> {
        if let Some(layout) = &*self.known() {
            return Ok(Some(layout.clone()));
        }
        self.read_layout(py)
    }

    /// Reads the columns from the database.
    fn read_layout(&self, py: Python<'_>) -> PyResult<Option<Arc<Layout>>> {
        let columns: Vec<Column> = self
            .engine(py)
            .run(py, None, |state| layout::read(&mut state.connection, self.schema.as_deref(), &self.name))?;
        let layout = (!columns.is_empty()).then(|| Arc::new(Layout::new(py, columns)));
        let before = std::mem::replace(&mut *self.known(), layout.clone());
        drop(before);
        Ok(layout)
    }

    /// The columns of a table that is made if it is missing, with these columns.
    fn layout_with(&self, py: Python<'_>, columns: &[NewColumn]) -> PyResult<Arc<Layout>> {
        if let Some(layout) = self.find_layout(py)? {
            return Ok(layout);
        }
        let engine = self.engine(py);
        if !self.creates {
            let message = format!("Table does not exist: {}", self.name);
            return Err(engine.error(py, "DatasetError", &message));
        }
        self.warn_of_threads(py)?;
        let others: Vec<NewColumn> = columns
            .iter()
            .filter(|column| self.key.as_ref().is_none_or(|key| key.name != column.name))
            .cloned()
            .collect();
        if self.key.is_none() && others.is_empty() {
            let message = format!(
                "the table `{}` would have no column at all: {}",
                self.name, "it has no primary key, and its first row has no values"
            );
            return Err(engine.error(py, "OperationalError", &message));
        }
        let sql = statement::create_table(DIALECT, &self.quoted, self.key.as_ref(), &others);
        engine.run(py, Some(&sql), |state| state.write(false, |connection| connection.run(&sql, &[])))?;
        self.read_layout(py)?
            .ok_or_else(|| engine.error(py, "DatasetError", &format!("Table does not exist: {}", self.name)))
    }

    /// Adds columns that are not there, which another thread or program may do at the same time.
    fn add_columns(&self, py: Python<'_>, columns: &[NewColumn]) -> PyResult<Arc<Layout>> {
        let engine = self.engine(py);
        self.warn_of_threads(py)?;
        let statements: Vec<(&str, String)> = columns
            .iter()
            .map(|column| (column.name.as_str(), statement::add_column(DIALECT, &self.quoted, column)))
            .collect();
        let shared = engine.shared.clone();
        engine.run(py, statements.first().map(|(_, sql)| sql.as_str()), |state| {
            let _one_at_a_time = shared.schema.lock().unwrap_or_else(PoisonError::into_inner);
            state.write(true, |connection| {
                // Within the transaction, so that nobody adds one in between.
                let there = layout::read(connection, self.schema.as_deref(), &self.name)?;
                for (name, sql) in &statements {
                    if !there.iter().any(|column| column.name.eq_ignore_ascii_case(name)) {
                        connection.run(sql, &[])?;
                    }
                }
                Ok(())
            })
        })?;
        self.read_layout(py)?
            .ok_or_else(|| engine.error(py, "DatasetError", &format!("Table does not exist: {}", self.name)))
    }

    fn warn_of_threads(&self, py: Python<'_>) -> PyResult<()> {
        let shared = &self.engine(py).shared;
        if shared.is_changed_in_threads(py)? {
            let text = c"Changing the database schema inside a transaction in a multi-threaded environment is likely \
                to lead to race conditions and synchronization issues.";
            PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyRuntimeWarning>(), text, 1)?;
        }
        Ok(())
    }

    /// The columns that a row needs and the table lacks.
    fn missing(
        &self,
        py: Python<'_>,
        row: &Bound<'_, PyDict>,
        layout: Option<&Layout>,
        types: Types<'_, '_>,
    ) -> PyResult<Vec<NewColumn>> {
        let mut columns: Vec<NewColumn> = Vec::new();
        for (name, value) in row.iter() {
            let text = text_of(&name)?;
            if let Some(layout) = layout
                && layout.find(text)?.is_some()
            {
                continue;
            }
            let name = column_name(text).map_err(|error| errors::bad_name(&error))?;
            let asked = match types {
                Some(types) => self.asked_type(types, name)?,
                None => None,
            };
            let declared = match asked {
                Some(asked) => self.declared(&asked)?,
                None => self.declared_for(py, &value)?,
            };
            let column = NewColumn { name: name.to_owned(), declared };
            match columns.iter_mut().find(|known| known.name == column.name) {
                Some(known) => *known = column,
                None => columns.push(column),
            }
        }
        Ok(columns)
    }

    fn asked_type<'py>(&self, types: &Bound<'py, PyDict>, name: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        for (column, asked) in types.iter() {
            let text = text_of(&column)?;
            if column_name(text).map_err(|error| errors::bad_name(&error))? == name && !asked.is_none() {
                return Ok(Some(asked));
            }
        }
        Ok(None)
    }

    /// The name of the type of a column that is made for a value.
    fn declared_for(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<String> {
        match values::guess(value)? {
            Some(guess) => Ok(guess.declared(DIALECT).to_owned()),
            None => self.declare.bind(py).call1((value,))?.extract(),
        }
    }

    fn declared(&self, asked: &Bound<'_, PyAny>) -> PyResult<String> {
        self.declare.bind(asked.py()).call1((asked,))?.extract()
    }

    /// Makes the table fit a row, and says what the row looks like in it.
    fn fit(
        &self,
        py: Python<'_>,
        row: &Bound<'_, PyDict>,
        ensures: bool,
        types: Types<'_, '_>,
    ) -> PyResult<(Arc<Layout>, Arc<Shape>)> {
        let layout = match self.find_layout(py)? {
            Some(layout) => layout,
            None => {
                let columns = if ensures { self.missing(py, row, None, types)? } else { Vec::new() };
                self.layout_with(py, &columns)?
            }
        };
        let shape = layout.shape(row, &self.quoted)?;
        if shape.unknown.is_empty() || !ensures {
            return Ok((layout, shape));
        }
        // Perhaps another thread or program has added it.
        let layout = self.read_layout(py)?.unwrap_or(layout);
        let columns = self.missing(py, row, Some(&layout), types)?;
        let layout = if columns.is_empty() { layout } else { self.add_columns(py, &columns)? };
        let shape = layout.shape(row, &self.quoted)?;
        Ok((layout, shape))
    }

    /// The values of a row in the order of its shape's columns.
    fn take<'py>(
        &self,
        layout: &Layout,
        shape: &Shape,
        row: &Bound<'py, PyDict>,
        number: Option<usize>,
    ) -> PyResult<Vec<Taken<'py>>> {
        let mut taken = Vec::with_capacity(shape.columns.len());
        for ((_, value), place) in row.iter().zip(&shape.places) {
            let Some(place) = *place else { continue };
            let column = shape.columns[place];
            let value = self.take_one(layout, column, &value, number)?;
            // Two names of one column: the last one counts.
            if place < taken.len() { taken[place] = value } else { taken.push(value) }
        }
        Ok(taken)
    }

    fn take_one<'py>(
        &self,
        layout: &Layout,
        column: usize,
        value: &Bound<'py, PyAny>,
        number: Option<usize>,
    ) -> PyResult<Taken<'py>> {
        let column = &layout.columns[column];
        values::for_column(value, column.kind)
            .map_err(|refusal| self.refused(value.py(), refusal, &column.name, number))
    }

    #[cold]
    fn refused(&self, py: Python<'_>, refusal: Refusal, column: &str, number: Option<usize>) -> PyErr {
        let row = number.map(|number| format!(", row {number}")).unwrap_or_default();
        let place = format!("table `{}`, column `{column}`{row}", self.name);
        let engine = self.engine(py);
        match refusal {
            Refusal::Type(text) => engine.error(py, "StatementError", &format!("{place}: {text}")),
            Refusal::Unsupported(text) => {
                engine.error(py, "ProgrammingError", &format!("{place}: Error binding the value: {text}"))
            }
            Refusal::Overflow(text) => PyOverflowError::new_err(format!("{place}: {text}")),
            Refusal::Value(text) => {
                let message = format!("{place}: {text}");
                engine.error(py, "StatementError", &message)
            }
            Refusal::Raised(error) => {
                let _ = error.value(py).call_method1("add_note", (place,));
                error
            }
        }
    }

    /// What `insert` gives for a row that was stored.
    fn new_key<'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        shape: &Shape,
        row: &Bound<'py, PyDict>,
        row_id: i64,
    ) -> PyResult<Bound<'py, PyAny>> {
        let Some(key) = layout.key else { return Ok(PyBool::new(py, true).to_owned().into_any()) };
        if let Some(place) = shape.columns.iter().position(|column| *column == key) {
            let given = row.values().iter().zip(&shape.places).filter(|(_, of)| **of == Some(place)).last();
            if let Some((given, _)) = given
                && !given.is_none()
            {
                return Ok(given);
            }
        }
        if layout.key_counts_up {
            Ok(row_id.into_pyobject(py)?.into_any())
        } else {
            Ok(py.None().into_bound(py))
        }
    }

    /// The columns that `keys` name, in their order; a name that is no column is kept as such.
    fn key_columns(&self, layout: &Layout, keys: &Bound<'_, PyAny>) -> PyResult<Vec<Result<usize, String>>> {
        let one = |name: &Bound<'_, PyAny>| -> PyResult<Result<usize, String>> {
            let text = text_of(name)?;
            let name = column_name(text).map_err(|error| errors::bad_name(&error))?;
            Ok(layout.find(text)?.ok_or_else(|| name.to_owned()))
        };
        if keys.is_none() {
            return Ok(Vec::new());
        }
        if keys.is_instance_of::<PyString>() {
            return Ok(vec![one(keys)?]);
        }
        keys.try_iter()?.map(|name| one(&name?)).collect()
    }

    /// Divides a row into tests of its keys and the other columns, each with the place of its value in the row.
    fn by_keys<'py>(
        &self,
        layout: &Layout,
        shape: &Shape,
        row: &Bound<'py, PyDict>,
        keys: &[Result<usize, String>],
    ) -> PyResult<(Selection<'py>, Vec<usize>)> {
        let engine = self.engine(row.py());
        let mut selection = Selection::default();
        let mut seen = Vec::new();
        for key in keys {
            let Ok(column) = key else {
                selection.tests.push((0, Test::Never));
                continue;
            };
            if seen.contains(column) {
                continue;
            }
            seen.push(*column);
            let place = shape.columns.iter().position(|known| known == column);
            let value = place.and_then(|place| {
                row.values().iter().zip(&shape.places).filter(|(_, of)| **of == Some(place)).last()
            });
            match value {
                Some((value, _)) => selection.add(engine, layout, *column, &value)?,
                None => selection.tests.push((*column, Test::Null { negated: false })),
            }
        }
        let others =
            (0..shape.columns.len()).filter(|place| !keys.contains(&Ok(shape.columns[*place]))).collect();
        Ok((selection, others))
    }

    fn names<'a>(&self, layout: &'a Layout, columns: impl IntoIterator<Item = usize>) -> Vec<&'a str> {
        columns.into_iter().map(|column| layout.columns[column].name.as_str()).collect()
    }

    /// Makes an index over the keys, unless it is known that there is one.
    fn index_keys(&self, py: Python<'_>, layout: &Layout, keys: &[Result<usize, String>]) -> PyResult<()> {
        let columns: Vec<usize> = keys.iter().filter_map(|key| key.as_ref().ok().copied()).collect();
        if columns.len() != keys.len() || columns.is_empty() {
            return Ok(());
        }
        if self.is_indexed(py, layout, &columns)? {
            return Ok(());
        }
        self.make_index(py, layout, &columns, None, false)
    }

    fn is_indexed(&self, py: Python<'_>, layout: &Layout, columns: &[usize]) -> PyResult<bool> {
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let known =
            |layout: &Layout| layout.indexed.lock().unwrap_or_else(PoisonError::into_inner).contains(&wanted);
        if known(layout) {
            return Ok(true);
        }
        let found = self.indexes(py)?;
        let key: Vec<&str> = layout
            .columns
            .iter()
            .filter(|column| column.key_place > 0)
            .map(|column| column.name.as_str())
            .collect();
        let names = self.names(layout, wanted.iter().copied());
        let covers = |index: &[&str]| names.iter().all(|name| index.contains(name));
        let is_there =
            found.iter().any(|(_, _, index)| covers(&index.iter().map(String::as_str).collect::<Vec<_>>()))
                || covers(&key);
        if is_there {
            layout.indexed.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        }
        Ok(is_there)
    }

    /// Every index: its name, whether it is unique, its columns.
    fn indexes(&self, py: Python<'_>) -> PyResult<Vec<(String, bool, Vec<String>)>> {
        self.engine(py).run(py, None, |state| {
            let pragma = |what: &str, name: &str| {
                let mut sql = String::from("PRAGMA ");
                if let Some(schema) = &self.schema {
                    DIALECT.quote(&mut sql, schema);
                    sql.push('.');
                }
                sql.push_str(what);
                sql.push('(');
                DIALECT.quote(&mut sql, name);
                sql.push(')');
                sql
            };
            let text = |cell: Option<Cell<'_>>| match cell {
                Some(Cell::Text(text)) => String::from_utf8_lossy(text).into_owned(),
                _ => String::new(),
            };
            let mut rows = Rows::default();
            // seq, name, unique, origin, partial
            state.connection.read(&pragma("index_list", &self.name), &[], usize::MAX, &mut rows)?;
            let mut indexes: Vec<(String, bool, Vec<String>)> = (0..rows.len())
                .filter(|index| rows.row(*index).nth(4) != Some(Cell::Integer(1)))
                .map(|index| {
                    (
                        text(rows.row(index).nth(1)),
                        rows.row(index).nth(2) == Some(Cell::Integer(1)),
                        Vec::new(),
                    )
                })
                .collect();
            for (name, _, columns) in &mut indexes {
                // seqno, cid, name
                state.connection.read(&pragma("index_info", name), &[], usize::MAX, &mut rows)?;
                columns.extend((0..rows.len()).map(|index| text(rows.row(index).nth(2))));
            }
            Ok(indexes)
        })
    }

    fn make_index(
        &self,
        py: Python<'_>,
        layout: &Layout,
        columns: &[usize],
        name: Option<&str>,
        unique: bool,
    ) -> PyResult<()> {
        self.warn_of_threads(py)?;
        let names = self.names(layout, columns.iter().copied());
        let is_own_name = name.is_none();
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let text = PyString::new(py, &names.join("||")).encode_utf8()?;
                let digest: String = py
                    .import(intern!(py, "hashlib"))?
                    .call_method1(intern!(py, "sha1"), (text,))?
                    .call_method0(intern!(py, "hexdigest"))?
                    .extract()?;
                format!("{}_{}_{}", if unique { "ux" } else { "ix" }, self.name, &digest[..16])
            }
        };
        let sql = statement::create_index(
            DIALECT,
            &NewIndex {
                name: &name,
                schema: self.schema.as_deref(),
                table: &self.name,
                columns: &names,
                texts: &[],
                unique,
                // Another program may have made the same one meanwhile.
                may_be_there: is_own_name,
            },
        );
        let engine = self.engine(py);
        engine.run(py, Some(&sql), |state| state.write(false, |connection| connection.run(&sql, &[])))?;
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        layout.indexed.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        Ok(())
    }

    /// Runs a statement that changes rows; how many.
    fn change(&self, py: Python<'_>, sql: &str, given: &[Value<'_>]) -> PyResult<i64> {
        self.engine(py).run(py, Some(sql), |state| {
            state.write(false, |connection| {
                connection.run(sql, given)?;
                Ok(connection.changes())
            })
        })
    }

    fn count_rows(&self, py: Python<'_>, layout: &Layout, selection: &Selection<'_>) -> PyResult<i64> {
        let sql = statement::count(DIALECT, &self.quoted, &selection.named(layout));
        let given = selection.given();
        self.engine(py).run(py, Some(&sql), |state| count(&mut state.connection, &sql, &given))
    }

    /// Stores rows of a chunk, many by one statement.
    fn store(&self, py: Python<'_>, layout: &Layout, columns: &[usize], taken: &[Taken<'_>]) -> PyResult<()> {
        let names = self.names(layout, columns.iter().copied());
        let width = names.len().max(1);
        let rows = taken.len() / width;
        let given = values::values(taken);
        let quoted = &self.quoted;
        let sql_of = |rows: usize| statement::insert(DIALECT, quoted, &names, rows, None);
        let shown = sql_of(1);
        self.engine(py).run(py, Some(&shown), |state| {
            let at_once = ROWS_IN_ONE.min(state.connection.parameters_max() / width).max(1);
            state.write(rows > at_once, |connection| {
                let (many, rest) = given.split_at(rows / at_once * at_once * width);
                if !many.is_empty() {
                    let statement = connection.prepare(&sql_of(at_once))?;
                    let stored = many
                        .chunks(at_once * width)
                        .try_for_each(|values| connection.run_prepared(&statement, values));
                    connection.release(statement);
                    stored?;
                }
                if rest.is_empty() { Ok(()) } else { connection.run(&sql_of(rest.len() / width), rest) }
            })
        })
    }
}

fn count(connection: &mut Connection, sql: &str, given: &[Value<'_>]) -> Result<i64, Error> {
    let mut rows = Rows::default();
    connection.read(sql, given, 1, &mut rows)?;
    Ok(match rows.is_empty() {
        true => 0,
        false => match rows.row(0).next() {
            Some(Cell::Integer(count)) => count,
            _ => 0,
        },
    })
}

/// A row as a dictionary, whatever mapping it is.
fn as_dict<'py>(row: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
    if let Ok(row) = row.cast::<PyDict>() {
        return Ok(row.clone());
    }
    let Ok(mapping) = row.cast::<PyMapping>() else {
        let given = row.get_type().name()?;
        return Err(PyTypeError::new_err(format!("a row is a dictionary, and this is of type {given}")));
    };
    let copy = PyDict::new(row.py());
    copy.update(mapping)?;
    Ok(copy)
}

/// The rows of a call, each a dictionary.
fn as_dicts<'py>(rows: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyDict>>> {
    rows.try_iter()?.map(|row| as_dict(&row?)).collect()
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
        Ok(Table {
            quoted: DIALECT.table(schema.as_deref(), &name),
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
        let given = values::values(&taken);
        let sql = shape.insert.as_str();
        let row_id = engine.run(py, Some(sql), |state| {
            state.write(false, |connection| {
                connection.run(sql, &given)?;
                Ok(connection.last_insert_rowid())
            })
        })?;
        self.new_key(py, &layout, &shape, &row, row_id)
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
        let asked = statement::count(DIALECT, &self.quoted, &selection.named(&layout));
        let taken = self.take(&layout, &shape, &row, None)?;
        let (given, tested) = (values::values(&taken), selection.given());
        let sql = shape.insert.as_str();
        let row_id = engine.run(py, Some(sql), |state| {
            state.write(true, |connection| {
                if count(connection, &asked, &tested)? > 0 {
                    return Ok(None);
                }
                connection.run(sql, &given)?;
                Ok(Some(connection.last_insert_rowid()))
            })
        })?;
        match row_id {
            Some(row_id) => self.new_key(py, &layout, &shape, &row, row_id),
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
        let sql = statement::update(DIALECT, &self.quoted, &names, &selection.named(&layout));
        let mut given: Vec<Value<'_>> = others.iter().map(|place| taken[*place].value()).collect();
        given.extend(selection.given());
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
        let change = self.change_or_store(&layout, &taken, &row, &keys)?;
        let prepared = change.prepared();
        let row_id = engine.run(py, Some(prepared.first), |state| {
            state.write(true, |connection| prepared.run(connection))
        })?;
        match row_id {
            Some(row_id) => self.new_key(py, &layout, &taken.shape, &row, row_id),
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
                .map(|((layout, one, columns), row)| self.change_or_store(layout, one, row, columns))
                .collect::<PyResult<_>>()?;
            let prepared: Vec<Prepared<'_>> = changes.iter().map(ChangeOrStore::prepared).collect();
            let shown = changes.first().map(|change| change.first.0.as_str());
            engine.run(py, shown, |state| {
                state.write(true, |connection| {
                    prepared.iter().try_for_each(|one| one.run(connection).map(drop))
                })
            })?;
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
        let step = step_of(_step)?;
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
        let result = table.select(py, &layout, filters, order_by, _limit, _offset, step)?;
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
        table.select(py, &layout, filters, order_by, Some(1), _offset, 1)?.next_row(py)
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
        let sql = statement::delete(DIALECT, &table.quoted, &selection.named(&layout));
        let changed = table.change(py, &sql, &selection.given())?;
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
            DIALECT,
            &table.quoted,
            &Wanted {
                columns: &names,
                distinct: true,
                tests: &selection.named(&layout),
                order: &order,
                limit: _limit,
                offset: _offset.unwrap_or(0),
            },
        );
        let objects = crate::sqlite::objects::Columns {
            names: wanted.iter().map(|index| layout.objects.names[*index].clone_ref(py)).collect(),
            kinds: wanted.iter().map(|index| layout.objects.kinds[*index]).collect(),
        };
        let result = ResultIter::start(engine, &sql, &selection.values, 1000, Some(Arc::new(objects)))?;
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
        DIALECT.quote(&mut sql, name);
        self.engine(py)
            .run(py, Some(&sql), |state| state.write(false, |connection| connection.run(&sql, &[])))?;
        self.read_layout(py).map(drop)
    }

    /// Drops the table with all that is in it.
    fn _drop(&self, py: Python<'_>) -> PyResult<()> {
        if self.find_layout(py)?.is_none() {
            return Ok(());
        }
        self.warn_of_threads(py)?;
        let sql = format!("DROP TABLE IF EXISTS {}", self.quoted);
        self.engine(py)
            .run(py, Some(&sql), |state| state.write(false, |connection| connection.run(&sql, &[])))?;
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
        step: usize,
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
            DIALECT,
            &self.quoted,
            &Wanted {
                columns: &layout.names(),
                distinct: false,
                tests: &selection.named(layout),
                order: &order,
                limit,
                offset: offset.unwrap_or(0),
            },
        );
        ResultIter::start(engine, &sql, &selection.values, step, Some(layout.objects.clone()))
    }

    /// A row that does not have the names of the others: each column's value by its name, NULL where it has none.
    fn take_padded<'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        shape: &Shape,
        row: &Bound<'py, PyDict>,
        number: Option<usize>,
        taken: &mut Vec<Taken<'py>>,
    ) -> PyResult<()> {
        let mut given: Vec<Option<Taken<'py>>> = (0..shape.columns.len()).map(|_| None).collect();
        for (name, value) in row.iter() {
            if let Some(column) = layout.find_object(&name)?
                && let Some(place) = shape.columns.iter().position(|known| *known == column)
            {
                given[place] = Some(self.take_one(layout, column, &value, number)?);
            }
        }
        for (value, column) in given.into_iter().zip(&shape.columns) {
            taken.push(match value {
                Some(value) => value,
                None => self.take_one(layout, *column, py.None().bind(py), number)?,
            });
        }
        Ok(())
    }

    fn fit_and_take<'py>(
        &self,
        py: Python<'py>,
        row: &Bound<'py, PyDict>,
        ensures: bool,
        types: Types<'_, 'py>,
        number: Option<usize>,
    ) -> PyResult<(Arc<Layout>, TakenRow<'py>)> {
        let (layout, shape) = self.fit(py, row, ensures, types)?;
        let values = self.take(&layout, &shape, row, number)?;
        Ok((layout, TakenRow { shape, values }))
    }

    /// The statements of `upsert` for a row.
    fn change_or_store<'a, 'py>(
        &self,
        layout: &Layout,
        taken: &'a TakenRow<'py>,
        row: &Bound<'py, PyDict>,
        keys: &[Result<usize, String>],
    ) -> PyResult<ChangeOrStore<'a, 'py>> {
        let (selection, others) = self.by_keys(layout, &taken.shape, row, keys)?;
        let tests = selection.named(layout);
        let (sql, counts) = if others.is_empty() {
            (statement::count(DIALECT, &self.quoted, &tests), true)
        } else {
            let names = self.names(layout, others.iter().map(|place| taken.shape.columns[*place]));
            (statement::update(DIALECT, &self.quoted, &names, &tests), false)
        };
        Ok(ChangeOrStore { first: (sql, counts), others, tests: selection.values, taken })
    }

    #[expect(clippy::too_many_arguments, reason = "the parts of one chunk")]
    fn update_chunk<'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        shape: &Shape,
        rows: &[Bound<'py, PyDict>],
        first: usize,
        keys: &[Result<usize, String>],
        others: &[usize],
    ) -> PyResult<()> {
        let mut changes: Vec<(String, Vec<Taken<'py>>)> = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let own = layout.shape(row, &self.quoted)?;
            let (selection, _) = self.by_keys(layout, &own, row, keys)?;
            let mut all = Vec::with_capacity(shape.columns.len());
            self.take_padded(py, layout, shape, row, Some(first + index + 1), &mut all)?;
            let mut all: Vec<Option<Taken<'py>>> = all.into_iter().map(Some).collect();
            let mut given: Vec<Taken<'py>> = others.iter().filter_map(|place| all[*place].take()).collect();
            let names = self.names(layout, others.iter().map(|place| shape.columns[*place]));
            if names.is_empty() {
                continue;
            }
            let sql = statement::update(DIALECT, &self.quoted, &names, &selection.named(layout));
            given.extend(selection.values);
            changes.push((sql, given));
        }
        let prepared: Vec<(&str, Vec<Value<'_>>)> =
            changes.iter().map(|(sql, taken)| (sql.as_str(), values::values(taken))).collect();
        let shown = prepared.first().map(|(sql, _)| *sql);
        self.engine(py).run(py, shown, |state| {
            state.write(true, |connection| {
                prepared.iter().try_for_each(|(sql, given)| connection.run(sql, given))
            })
        })
    }

    /// Whether a unique index, or the primary key, is over exactly these columns.
    fn is_unique(&self, py: Python<'_>, layout: &Layout, columns: &[usize]) -> PyResult<bool> {
        let names = self.names(layout, columns.iter().copied());
        let same =
            |index: &[&str]| index.len() == names.len() && names.iter().all(|name| index.contains(name));
        let key: Vec<&str> = layout
            .columns
            .iter()
            .filter(|column| column.key_place > 0)
            .map(|column| column.name.as_str())
            .collect();
        Ok(same(&key)
            || self.indexes(py)?.iter().any(|(_, unique, index)| {
                *unique && same(&index.iter().map(String::as_str).collect::<Vec<_>>())
            }))
    }
}

/// The statements of `upsert` for a row, and their values.
struct ChangeOrStore<'a, 'py> {
    /// What is run first, and whether it only counts the rows that are there.
    first: (String, bool),
    /// The places of the values that are changed.
    others: Vec<usize>,
    tests: Vec<Taken<'py>>,
    taken: &'a TakenRow<'py>,
}

/// The same as a connection takes it.
struct Prepared<'a> {
    first: &'a str,
    counts: bool,
    first_given: Vec<Value<'a>>,
    insert: &'a str,
    insert_given: Vec<Value<'a>>,
}

impl ChangeOrStore<'_, '_> {
    fn prepared(&self) -> Prepared<'_> {
        let mut first_given: Vec<Value<'_>> =
            self.others.iter().map(|place| self.taken.values[*place].value()).collect();
        first_given.extend(self.tests.iter().map(Taken::value));
        Prepared {
            first: &self.first.0,
            counts: self.first.1,
            first_given,
            insert: &self.taken.shape.insert,
            insert_given: values::values(&self.taken.values),
        }
    }
}

impl Prepared<'_> {
    /// The row id of the row that was stored; none where there was one.
    fn run(&self, connection: &mut Connection) -> Result<Option<i64>, Error> {
        let is_there = if self.counts {
            count(connection, self.first, &self.first_given)? > 0
        } else {
            connection.run(self.first, &self.first_given)?;
            connection.changes() > 0
        };
        if is_there {
            return Ok(None);
        }
        connection.run(self.insert, &self.insert_given)?;
        Ok(Some(connection.last_insert_rowid()))
    }
}

/// One row with every name that occurs in the rows, and the first value of each.
fn sample_of<'py>(py: Python<'py>, rows: &[Bound<'py, PyDict>]) -> PyResult<Bound<'py, PyDict>> {
    let Some(first) = rows.first() else { return Ok(PyDict::new(py)) };
    let sample = first.copy()?;
    let names: Vec<Bound<'py, PyAny>> = first.keys().iter().collect();
    for row in &rows[1..] {
        // Mostly the same names in the same order.
        if row.len() == names.len() && row.iter().zip(&names).all(|((name, _), known)| name.is(known)) {
            continue;
        }
        for (name, value) in row.iter() {
            if !sample.contains(&name)? {
                sample.set_item(name, value)?;
            }
        }
    }
    Ok(sample)
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
fn step_of(step: Option<&Bound<'_, PyAny>>) -> PyResult<usize> {
    match step {
        None => Ok(1000),
        Some(step) if step.is_none() || !step.is_truthy()? => Ok(0),
        Some(step) => step.extract(),
    }
}
