//! Rows on their way into a table: dictionaries become values in the order of the columns.

use std::sync::Arc;

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyMapping};

use super::layout::{Layout, Shape};
use super::links::NewRow;
use super::rows::first_value;
use super::table::{Table, Types};
use super::values::{self, Taken};
use crate::sqlite::values::Refusal;

/// A row whose values were taken out of it.
pub(super) struct TakenRow<'py> {
    pub(super) shape: Arc<Shape>,
    pub(super) values: Vec<Taken<'py>>,
}

impl TakenRow<'_> {
    /// Whether the row says its own number.
    pub(super) fn gives_number(&self, layout: &Layout) -> bool {
        layout.key.is_some_and(|key| self.shape.columns.contains(&key))
    }
}

/// A row as a dictionary, whatever mapping it is.
pub(super) fn as_dict<'py>(row: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyDict>> {
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
pub(super) fn as_dicts<'py>(rows: &Bound<'py, PyAny>) -> PyResult<Vec<Bound<'py, PyDict>>> {
    rows.try_iter()?.map(|row| as_dict(&row?)).collect()
}

/// One row with every name that occurs in the rows, and the first value of each.
pub(super) fn sample_of<'py>(py: Python<'py>, rows: &[Bound<'py, PyDict>]) -> PyResult<Bound<'py, PyDict>> {
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

impl Table {
    /// The values of a row in the order of its shape's columns.
    pub(super) fn take<'py>(
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

    pub(super) fn take_one<'py>(
        &self,
        layout: &Layout,
        column: usize,
        value: &Bound<'py, PyAny>,
        number: Option<usize>,
    ) -> PyResult<Taken<'py>> {
        let column = &layout.columns[column];
        let refused = |refusal| self.refused(value.py(), refusal, &column.name, number);
        let taken = values::for_column(self.dialect, value, column).map_err(refused)?;
        if taken.is_of_another_clock(column) {
            let own = self.engine(value.py()).on_own_clock(value).map_err(|error| refused(error.into()))?;
            return values::for_column(self.dialect, &own, column).map_err(refused);
        }
        Ok(taken)
    }

    #[cold]
    pub(super) fn refused(
        &self,
        py: Python<'_>,
        refusal: Refusal,
        column: &str,
        number: Option<usize>,
    ) -> PyErr {
        let row = number.map(|number| format!(", row {number}")).unwrap_or_default();
        let place = format!("table `{}`, column `{column}`{row}", self.name);
        let engine = self.engine(py);
        match refusal {
            Refusal::Type(text) => engine.error(py, "StatementError", &format!("{place}: {text}")),
            Refusal::Unsupported(text) => {
                engine.error(py, "ProgrammingError", &format!("{place}: Error binding the value: {text}"))
            }
            Refusal::Data(text) => engine.error(py, "DataError", &format!("{place}: {text}")),
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
    pub(super) fn new_key<'py>(
        &self,
        py: Python<'py>,
        layout: &Layout,
        shape: &Shape,
        row: &Bound<'py, PyDict>,
        stored: &NewRow,
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
        match stored {
            NewRow::Id(number) if layout.key_counts_up => Ok(number.into_pyobject(py)?.into_any()),
            NewRow::Id(_) => Ok(py.None().into_bound(py)),
            NewRow::Returned(rows) => first_value(py, rows),
        }
    }

    /// A row that does not have the names of the others: each column's value by its name, NULL where it has none.
    pub(super) fn take_padded<'py>(
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

    pub(super) fn fit_and_take<'py>(
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
}
