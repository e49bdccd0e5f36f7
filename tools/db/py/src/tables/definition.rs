//! What a table is made of: its columns and indexes, found in the database and changed to fit the rows.

use std::sync::{Arc, MutexGuard, PoisonError};

use naja_db::tables::Dialect;
use naja_db::tables::names::{column_key, column_name};
use naja_db::tables::statement::{self, NewColumn, NewIndex};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors;
use super::layout::{Layout, Shape, text_of};
use super::links::Index;
use super::sessions::lock;
use super::table::{Table, Types};
use crate::sqlite::values;

impl Table {
    pub(super) fn known(&self) -> MutexGuard<'_, Option<Arc<Layout>>> {
        // Held for a moment only, and never while the interpreter is waited for.
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The columns, read from the database if they are not known; none where there is no table.
    pub(super) fn find_layout(&self, py: Python<'_>) -> PyResult<Option<Arc<Layout>>> {
        if let Some(layout) = &*self.known() {
            return Ok(Some(layout.clone()));
        }
        self.read_layout(py)
    }

    /// Reads the columns from the database.
    pub(super) fn read_layout(&self, py: Python<'_>) -> PyResult<Option<Arc<Layout>>> {
        let schema = self.schema.as_deref();
        let description = self.engine(py).read(py, None, |link| link.describe(schema, &self.name))?;
        let layout = description.map(|description| Arc::new(Layout::new(py, self.dialect, description)));
        let before = std::mem::replace(&mut *self.known(), layout.clone());
        drop(before);
        Ok(layout)
    }

    /// The columns of a table that is made if it is missing, with these columns.
    pub(super) fn layout_with(&self, py: Python<'_>, columns: &[NewColumn]) -> PyResult<Arc<Layout>> {
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
        // PostgreSQL alone has tables without columns.
        if self.key.is_none() && others.is_empty() && self.dialect != Dialect::Postgres {
            let message = format!(
                "the table `{}` would have no column at all: {}",
                self.name, "it has no primary key, and its first row has no values"
            );
            return Err(engine.error(py, "OperationalError", &message));
        }
        let sql = statement::create_table(self.dialect, &self.quoted, self.key.as_ref(), &others);
        engine.write(py, Some(&sql), false, |link| link.define(&sql))?;
        self.read_layout(py)?
            .ok_or_else(|| engine.error(py, "DatasetError", &format!("Table does not exist: {}", self.name)))
    }

    /// Adds columns that are not there, which another thread or program may do at the same time.
    pub(super) fn add_columns(&self, py: Python<'_>, columns: &[NewColumn]) -> PyResult<Arc<Layout>> {
        let engine = self.engine(py);
        self.warn_of_threads(py)?;
        let statements: Vec<(&str, String)> = columns
            .iter()
            .map(|column| (column.name.as_str(), statement::add_column(self.dialect, &self.quoted, column)))
            .collect();
        let shared = engine.shared.clone();
        engine.run(py, statements.first().map(|(_, sql)| sql.as_str()), |state| {
            // A server makes whoever changes the same table wait until the other's transaction is over, which a thread
            // that waits for this lock could not end.
            let _one_at_a_time = (self.dialect == Dialect::Sqlite).then(|| lock(&shared.schema));
            state.write(true, |link| {
                // Within the transaction, so that nobody adds one in between.
                let there = link.describe(self.schema.as_deref(), &self.name)?.unwrap_or_default().columns;
                for (name, sql) in &statements {
                    if !there.iter().any(|column| column_key(&column.name) == column_key(name)) {
                        link.define(sql)?;
                    }
                }
                Ok(())
            })
        })?;
        self.read_layout(py)?
            .ok_or_else(|| engine.error(py, "DatasetError", &format!("Table does not exist: {}", self.name)))
    }

    pub(super) fn warn_of_threads(&self, py: Python<'_>) -> PyResult<()> {
        let engine = self.engine(py);
        if engine.warns_of_threads() && engine.shared.is_changed_in_threads(py)? {
            let text = c"Changing the database schema inside a transaction in a multi-threaded environment is likely \
                to lead to race conditions and synchronization issues.";
            PyErr::warn(py, &py.get_type::<pyo3::exceptions::PyRuntimeWarning>(), text, 1)?;
        }
        Ok(())
    }

    /// The columns that a row needs and the table lacks.
    pub(super) fn missing(
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

    pub(super) fn asked_type<'py>(
        &self,
        types: &Bound<'py, PyDict>,
        name: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        for (column, asked) in types.iter() {
            let text = text_of(&column)?;
            if column_name(text).map_err(|error| errors::bad_name(&error))? == name && !asked.is_none() {
                return Ok(Some(asked));
            }
        }
        Ok(None)
    }

    /// The name of the type of a column that is made for a value.
    pub(super) fn declared_for(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<String> {
        match values::guess(value)? {
            Some(guess) => Ok(guess.declared(self.dialect).to_owned()),
            None => self.declare.bind(py).call1((value,))?.extract(),
        }
    }

    pub(super) fn declared(&self, asked: &Bound<'_, PyAny>) -> PyResult<String> {
        self.declare.bind(asked.py()).call1((asked,))?.extract()
    }

    /// Makes the table fit a row, and says what the row looks like in it.
    pub(super) fn fit(
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

    /// Makes an index over the keys, unless it is known that there is one.
    pub(super) fn index_keys(
        &self,
        py: Python<'_>,
        layout: &Layout,
        keys: &[Result<usize, String>],
    ) -> PyResult<()> {
        let columns: Vec<usize> = keys.iter().filter_map(|key| key.as_ref().ok().copied()).collect();
        if columns.len() != keys.len() || columns.is_empty() {
            return Ok(());
        }
        if self.is_indexed(py, layout, &columns)? {
            return Ok(());
        }
        self.make_index(py, layout, &columns, None, false)
    }

    pub(super) fn is_indexed(&self, py: Python<'_>, layout: &Layout, columns: &[usize]) -> PyResult<bool> {
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
            found.iter().any(|index| covers(&index.columns.iter().map(String::as_str).collect::<Vec<_>>()))
                || covers(&key);
        if is_there {
            layout.indexed.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        }
        Ok(is_there)
    }

    /// Whether a unique index, or the primary key, is over exactly these columns.
    pub(super) fn is_unique(&self, py: Python<'_>, layout: &Layout, columns: &[usize]) -> PyResult<bool> {
        let names = self.names(layout, columns.iter().copied());
        let same =
            |index: &[&str]| index.len() == names.len() && names.iter().all(|name| index.contains(name));
        let key: Vec<&str> = layout
            .columns
            .iter()
            .filter(|column| column.key_place > 0)
            .map(|column| column.name.as_str())
            .collect();
        // SQLite's row ids have no index; elsewhere a key's index is among them, and may be looked at late.
        Ok(self.dialect == Dialect::Sqlite && same(&key)
            || self.indexes(py)?.iter().any(|index| {
                index.is_unique && same(&index.columns.iter().map(String::as_str).collect::<Vec<_>>())
            }))
    }

    /// The same, remembered until an index is made through this table or its columns are read again.
    pub(super) fn is_known_as_unique(
        &self,
        py: Python<'_>,
        layout: &Layout,
        columns: &[usize],
    ) -> PyResult<bool> {
        let known = |layout: &Layout| {
            lock(&layout.unique).iter().find(|(known, _)| known == columns).map(|(_, is_unique)| *is_unique)
        };
        if let Some(is_unique) = known(layout) {
            return Ok(is_unique);
        }
        let is_unique = self.is_unique(py, layout, columns)?;
        lock(&layout.unique).push((columns.to_vec(), is_unique));
        Ok(is_unique)
    }

    /// Every index that covers all rows.
    pub(super) fn indexes(&self, py: Python<'_>) -> PyResult<Vec<Index>> {
        self.engine(py).read(py, None, |link| link.indexes(self.schema.as_deref(), &self.name))
    }

    pub(super) fn make_index(
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
        // Of these the server wants to know how much of them counts.
        let is_long = |index: &&usize| {
            let declared = layout.columns[**index].declared.as_str();
            declared.ends_with("text") || declared.ends_with("blob")
        };
        let texts = self.names(layout, columns.iter().filter(is_long).copied());
        let sql = statement::create_index(
            self.dialect,
            &NewIndex {
                name: &name,
                schema: self.schema.as_deref(),
                table: &self.name,
                columns: &names,
                texts: &texts,
                unique,
                // Another program may have made the same one meanwhile.
                may_be_there: is_own_name,
            },
        );
        let engine = self.engine(py);
        engine.write(py, Some(&sql), false, |link| link.define(&sql))?;
        lock(&layout.unique).clear();
        let mut wanted = columns.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        layout.indexed.lock().unwrap_or_else(PoisonError::into_inner).push(wanted);
        Ok(())
    }
}
