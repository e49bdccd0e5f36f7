//! The statements that store rows and change them.

use naja_db::tables::Dialect;
use naja_db::tables::filter::{Comparison, Test};
use naja_db::tables::names::column_name;
use naja_db::tables::statement;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::errors;
use super::layout::{Layout, Shape, text_of};
use super::links::{self, Column, Given, NewRows};
use super::selection::Selection;
use super::table::Table;
use super::taking::TakenRow;
use super::values::Taken;

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
    pub(super) fn change(&self, py: Python<'_>, sql: &str, given: &Given<'_>) -> PyResult<i64> {
        self.engine(py).write(py, Some(sql), false, |link| link.run(sql, given))
    }

    pub(super) fn count_rows(
        &self,
        py: Python<'_>,
        layout: &Layout,
        selection: &Selection<'_>,
    ) -> PyResult<i64> {
        let sql = statement::count(self.dialect, &self.quoted, &selection.named(layout));
        let given = self.engine(py).given(&selection.values);
        self.engine(py).read(py, Some(&sql), |link| link.count(&sql, &given))
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
        let engine = self.engine(py);
        let is_mixed = self.dialect != Dialect::Sqlite
            && taken.chunks(columns.len().max(1)).any(|row| {
                row.iter().zip(columns).any(|(value, column)| !value.fits(layout.columns[*column].kind))
            });
        let rows = NewRows {
            schema: self.schema.as_deref(),
            table: &self.name,
            quoted: &self.quoted,
            columns: &names,
            is_plain: layout.is_plain,
            values: &engine.given(taken),
            is_mixed,
        };
        let shown = statement::insert(self.dialect, &self.quoted, &names, 1, None);
        engine.run(py, Some(&shown), |state| {
            let at_once = state.link()?.rows_at_once(names.len());
            state.write(rows.len() > at_once, |link| link.insert_rows(&rows))
        })
    }

    /// The statements of `upsert` for a row. `needs_key` says that the primary key of a new row is asked for.
    pub(super) fn change_or_store<'a, 'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        taken: &'a TakenRow<'py>,
        row: &Bound<'py, PyDict>,
        keys: &[Result<usize, String>],
        needs_key: bool,
    ) -> PyResult<ChangeOrStore<'a, 'py>> {
        let (selection, others) = self.by_keys(layout, &taken.shape, row, keys)?;
        let tests = selection.named(layout);
        let names = self.names(layout, others.iter().map(|place| taken.shape.columns[*place]));
        if let Some(sql) = self.in_one(py, layout, taken, keys, (&names, &tests), needs_key)? {
            return Ok(ChangeOrStore { first: Statement::One(sql), others, tests: selection.values, taken });
        }
        let first = match names.is_empty() {
            true => Statement::Count(statement::count(self.dialect, &self.quoted, &tests)),
            false => Statement::Update(statement::update(self.dialect, &self.quoted, &names, &tests)),
        };
        Ok(ChangeOrStore { first, others, tests: selection.values, taken })
    }

    /// One statement that changes a row or stores it, where it means the same as two.
    fn in_one<'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        taken: &TakenRow<'py>,
        keys: &[Result<usize, String>],
        (others, tests): (&[&str], &[(&str, Test)]),
        needs_key: bool,
    ) -> PyResult<Option<String>> {
        let columns = &taken.shape.columns;
        let Ok(keys) = keys.iter().cloned().collect::<Result<Vec<usize>, String>>() else { return Ok(None) };
        let key_names = self.names(layout, columns.iter().copied().filter(|column| keys.contains(column)));
        match self.dialect {
            Dialect::Postgres if layout.is_plain && !columns.is_empty() => {
                let is_unique = !keys.is_empty()
                    && key_names.len() == keys.len()
                    && self.is_known_as_unique(py, layout, &keys)?;
                let returning = layout.key.map(|key| layout.columns[key].name.as_str());
                let wanted =
                    statement::ChangeOrInsert { others, tests, keys: &key_names, is_unique, returning };
                Ok(Some(statement::change_or_insert(&self.quoted, &wanted)))
            }
            Dialect::Sqlite => {
                let is_compared = |(_, test): &(&str, Test)| *test == Test::Compare(Comparison::Equal);
                let is_given =
                    |index: usize, column: &Column| !column.is_required || columns.contains(&index);
                // A trigger would see a row being stored that is only changed; a row without a value that must be there
                // is refused although it is only changed; and a new row tells its number only where it is the key.
                let means_the_same = !layout.has_triggers
                    && tests.len() == keys.len()
                    && tests.iter().all(is_compared)
                    && layout.columns.iter().enumerate().all(|(index, column)| is_given(index, column))
                    && (!needs_key || layout.key_counts_up && !taken.gives_number(layout));
                if !means_the_same || keys.is_empty() || !self.is_known_as_unique(py, layout, &keys)? {
                    return Ok(None);
                }
                let names = self.names(layout, columns.iter().copied());
                Ok(Some(statement::insert_or_update(self.dialect, &self.quoted, &names, &key_names, 1)))
            }
            _ => Ok(None),
        }
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
            let sql = statement::update(self.dialect, &self.quoted, &names, &selection.named(layout));
            given.extend(selection.values);
            changes.push((sql, given));
        }
        let engine = self.engine(py);
        let prepared: Vec<(&str, Given<'_>)> =
            changes.iter().map(|(sql, taken)| (sql.as_str(), engine.given(taken))).collect();
        let shown = prepared.first().map(|(sql, _)| *sql);
        engine.write(py, shown, true, |link| link.run_each(&prepared))
    }
}

/// The statements of `upsert` for a row, and their values.
pub(super) struct ChangeOrStore<'a, 'py> {
    first: Statement,
    /// The places of the values that are changed.
    others: Vec<usize>,
    tests: Vec<Taken<'py>>,
    taken: &'a TakenRow<'py>,
}

/// What is run first.
enum Statement {
    /// Nothing is changed: the rows that are there are counted.
    Count(String),
    Update(String),
    /// It is the only one.
    One(String),
}

impl ChangeOrStore<'_, '_> {
    /// The same as a connection takes it.
    pub(super) fn prepared(&self, dialect: Dialect) -> links::ChangeOrStore<'_> {
        let values = &self.taken.values;
        let changed = self.others.iter().map(|place| &values[*place]);
        let (first, counts) = match &self.first {
            Statement::Count(sql) => (sql, true),
            Statement::Update(sql) => (sql, false),
            Statement::One(sql) if dialect == Dialect::Sqlite => {
                return links::ChangeOrStore::One { sql, given: Given::of(dialect, values) };
            }
            Statement::One(sql) => {
                let only_stored = (0..values.len())
                    .filter(|place| !self.others.contains(place))
                    .map(|place| &values[place]);
                let given = Given::of(dialect, changed.chain(&self.tests).chain(only_stored));
                return links::ChangeOrStore::One { sql, given };
            }
        };
        links::ChangeOrStore::Two {
            first,
            counts,
            first_given: Given::of(dialect, changed.chain(&self.tests)),
            insert: &self.taken.shape.insert,
            insert_given: Given::of(dialect, values),
        }
    }
}
