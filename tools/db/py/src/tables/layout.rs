//! The columns of a table, as they were found in the database.

use std::sync::{Arc, Mutex, PoisonError};

use naja_db::tables::Dialect;
use naja_db::tables::names::{column_key, column_name};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustc_hash::FxHashMap;

use super::errors;
use super::links::{Column, Description};
use super::rows::Columns;

/// How many shapes of rows are remembered.
const SHAPES_MAX: usize = 32;

/// The columns of a table and what follows from them.
pub(super) struct Layout {
    dialect: Dialect,
    pub(super) columns: Vec<Column>,
    /// Nothing but the rows themselves happens when rows are stored.
    pub(super) is_plain: bool,
    /// Something of the program's own runs when rows change.
    pub(super) has_triggers: bool,
    /// The first column of the primary key.
    pub(super) key: Option<usize>,
    /// That column is the row id, which SQLite counts up, or one that MySQL gives a number.
    pub(super) key_counts_up: bool,
    by_name: FxHashMap<String, usize>,
    by_key: FxHashMap<String, usize>,
    /// For rows that are read.
    pub(super) objects: Arc<Columns>,
    shapes: Mutex<Vec<Arc<Shape>>>,
    /// Sets of columns over which there is an index, as far as that was asked.
    pub(super) indexed: Mutex<Vec<Vec<usize>>>,
    /// Sets of columns of which it is known whether no two rows may have the same values in them.
    pub(super) unique: Mutex<Vec<(Vec<usize>, bool)>>,
}

/// Rows that have the same names in the same order.
pub(super) struct Shape {
    names: Vec<Py<PyString>>,
    /// For each name where its value goes: the place in `columns`; none where the table has no such column.
    pub(super) places: Vec<Option<usize>>,
    /// The columns that get values.
    pub(super) columns: Vec<usize>,
    /// Names that are no columns.
    pub(super) unknown: Vec<String>,
    /// The statement that inserts such a row, and gives its key where the engine does not number rows.
    pub(super) insert: String,
}

impl Layout {
    pub(super) fn new(py: Python<'_>, dialect: Dialect, description: Description) -> Layout {
        let Description { columns, is_plain, has_triggers } = description;
        let mut by_name = FxHashMap::default();
        let mut by_key = FxHashMap::default();
        for (index, column) in columns.iter().enumerate() {
            by_name.insert(column.name.clone(), index);
            if let Ok(name) = column_name(&column.name) {
                by_key.insert(column_key(name), index);
            }
        }
        let key = columns.iter().position(|column| column.key_place == 1);
        let is_whole_key = columns.iter().filter(|column| column.key_place > 0).count() == 1;
        let counts_up = |column: &Column| match dialect {
            Dialect::Mysql => column.counts_up,
            Dialect::Sqlite | Dialect::Postgres => column.declared.eq_ignore_ascii_case("INTEGER"),
        };
        let key_counts_up = is_whole_key && key.is_some_and(|key| counts_up(&columns[key]));
        let names = columns.iter().map(|column| PyString::intern(py, &column.name).unbind()).collect();
        let kinds = columns.iter().map(|column| column.kind).collect();
        Layout {
            dialect,
            columns,
            is_plain,
            has_triggers,
            key,
            key_counts_up,
            by_name,
            by_key,
            objects: Arc::new(Columns { names, kinds }),
            shapes: Mutex::new(Vec::new()),
            indexed: Mutex::new(Vec::new()),
            unique: Mutex::new(Vec::new()),
        }
    }

    /// The column that a name means: letters' case and blanks do not matter.
    ///
    /// Errors: `ValueError` for what cannot be the name of a column
    pub(super) fn find(&self, name: &str) -> PyResult<Option<usize>> {
        if let Some(index) = self.by_name.get(name) {
            return Ok(Some(*index));
        }
        let name = column_name(name).map_err(|error| errors::bad_name(&error))?;
        Ok(self.by_key.get(&column_key(name)).copied())
    }

    /// The same for a key of a dictionary, which may be anything.
    pub(super) fn find_object(&self, name: &Bound<'_, PyAny>) -> PyResult<Option<usize>> {
        self.find(text_of(name)?)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.columns.iter().map(|column| column.name.as_str()).collect()
    }

    /// What the row looks like, remembered from the rows before it.
    pub(super) fn shape(&self, row: &Bound<'_, PyDict>, table: &str) -> PyResult<Arc<Shape>> {
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = shapes.iter().position(|shape| shape.is_of(row)) {
            // The last one used comes first: programs store rows of one shape for long.
            if index > 0 {
                shapes.swap(index, 0);
            }
            return Ok(shapes[0].clone());
        }
        drop(shapes);
        let shape = Arc::new(self.new_shape(row, table)?);
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        if shapes.len() >= SHAPES_MAX {
            shapes.pop();
        }
        shapes.insert(0, shape.clone());
        Ok(shape)
    }

    fn new_shape(&self, row: &Bound<'_, PyDict>, table: &str) -> PyResult<Shape> {
        let mut shape = Shape {
            names: Vec::with_capacity(row.len()),
            places: Vec::with_capacity(row.len()),
            columns: Vec::with_capacity(row.len()),
            unknown: Vec::new(),
            insert: String::new(),
        };
        for name in row.keys().iter() {
            let text = text_of(&name)?;
            let place = self.find(text)?.map(|column| {
                shape.columns.iter().position(|known| *known == column).unwrap_or_else(|| {
                    shape.columns.push(column);
                    shape.columns.len() - 1
                })
            });
            if place.is_none() {
                shape.unknown.push(column_name(text).map_err(|error| errors::bad_name(&error))?.to_owned());
            }
            shape.places.push(place);
            shape.names.push(name.cast_into::<PyString>().map_err(PyErr::from)?.unbind());
        }
        let names: Vec<&str> =
            shape.columns.iter().map(|column| self.columns[*column].name.as_str()).collect();
        let key = self.key.map(|key| self.columns[key].name.as_str());
        shape.insert = naja_db::tables::statement::insert(self.dialect, table, &names, 1, key);
        Ok(shape)
    }
}

impl Shape {
    /// Whether a row has these names in this order. Names of rows are mostly the same objects each time.
    pub(super) fn is_of(&self, row: &Bound<'_, PyDict>) -> bool {
        row.len() == self.names.len()
            && row.iter().zip(&self.names).all(|((name, _), known)| {
                name.is(known)
                    || name.cast::<PyString>().is_ok_and(|name| {
                        match (name.to_str(), known.to_str(name.py())) {
                            (Ok(name), Ok(known)) => name == known,
                            _ => false,
                        }
                    })
            })
    }
}

/// The text of a name.
///
/// Errors: `ValueError` where it is none
pub(super) fn text_of<'a>(name: &'a Bound<'_, PyAny>) -> PyResult<&'a str> {
    match name.cast::<PyString>() {
        Ok(text) => text.to_str(),
        Err(_) => Err(PyValueError::new_err(format!("{} is not a valid column name.", name.repr()?))),
    }
}
