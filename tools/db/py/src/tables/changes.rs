//! The statements that store rows and change them.

use naja_db::tables::filter::Test;
use naja_db::tables::names::column_name;
use naja_db::tables::statement;
use naja_sql::sqlite::{Cell, Connection, Error, Rows, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors;
use super::layout::{Layout, Shape, text_of};
use super::selection::Selection;
use super::table::{DIALECT, Table};
use super::taking::TakenRow;
use crate::sqlite::values::{self, Taken};

/// So many rows are stored by one statement: of the sizes measured in docs/design/databases.md the fastest.
const ROWS_IN_ONE: usize = 100;

impl Table {
    /// The columns that `keys` name, in their order; a name that is no column is kept as such.
    pub(super) fn key_columns(
        &self,
        layout: &Layout,
        keys: &Bound<'_, PyAny>,
    ) -> PyResult<Vec<Result<usize, String>>> {
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
    pub(super) fn by_keys<'py>(
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

    /// Runs a statement that changes rows; how many.
    pub(super) fn change(&self, py: Python<'_>, sql: &str, given: &[Value<'_>]) -> PyResult<i64> {
        self.engine(py).run(py, Some(sql), |state| {
            state.write(false, |connection| {
                connection.run(sql, given)?;
                Ok(connection.changes())
            })
        })
    }

    pub(super) fn count_rows(
        &self,
        py: Python<'_>,
        layout: &Layout,
        selection: &Selection<'_>,
    ) -> PyResult<i64> {
        let sql = statement::count(DIALECT, &self.quoted, &selection.named(layout));
        let given = selection.given();
        self.engine(py).run(py, Some(&sql), |state| count(&mut state.connection, &sql, &given))
    }

    /// Stores rows of a chunk, many by one statement.
    pub(super) fn store(
        &self,
        py: Python<'_>,
        layout: &Layout,
        columns: &[usize],
        taken: &[Taken<'_>],
    ) -> PyResult<()> {
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

    /// The statements of `upsert` for a row.
    pub(super) fn change_or_store<'a, 'py>(
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
    pub(super) fn update_chunk<'py>(
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
}

/// The statements of `upsert` for a row, and their values.
pub(super) struct ChangeOrStore<'a, 'py> {
    /// What is run first, and whether it only counts the rows that are there.
    pub(super) first: (String, bool),
    /// The places of the values that are changed.
    pub(super) others: Vec<usize>,
    pub(super) tests: Vec<Taken<'py>>,
    pub(super) taken: &'a TakenRow<'py>,
}

/// The same as a connection takes it.
pub(super) struct Prepared<'a> {
    pub(super) first: &'a str,
    pub(super) counts: bool,
    pub(super) first_given: Vec<Value<'a>>,
    pub(super) insert: &'a str,
    pub(super) insert_given: Vec<Value<'a>>,
}

impl ChangeOrStore<'_, '_> {
    pub(super) fn prepared(&self) -> Prepared<'_> {
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
    pub(super) fn run(&self, connection: &mut Connection) -> Result<Option<i64>, Error> {
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

pub(super) fn count(connection: &mut Connection, sql: &str, given: &[Value<'_>]) -> Result<i64, Error> {
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
