//! The columns of a result: their names as objects, made once a statement, and what their types mean to Python.

use std::sync::Arc;

use naja_sql::Column;
use pyo3::prelude::*;
use pyo3::types::{PyString, PyTuple};

/// The columns of a result.
#[derive(Debug)]
pub(crate) struct Columns {
    /// The names, interned.
    pub(crate) names: Py<PyTuple>,
    /// The names as they are compared.
    pub(crate) plain: Arc<[String]>,
    pub(super) natures: Box<[Nature]>,
}

/// What has to be known of a column beyond its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Days: infinity is the last or the first of Python's.
    Day,
    /// Moments without a zone.
    Moment,
    /// Moments of a zone.
    ZonedMoment,
    /// Floats of 32 bits.
    Single,
    /// Nothing: the value says all.
    Other,
}

impl Nature {
    fn of(type_name: &str) -> Nature {
        match type_name {
            "date" | "date[]" => Nature::Day,
            "timestamp" | "timestamp[]" => Nature::Moment,
            "timestamptz" | "timestamptz[]" => Nature::ZonedMoment,
            "float4" | "float4[]" => Nature::Single,
            _ => Nature::Other,
        }
    }
}

impl Columns {
    /// Of what a statement says that it gives.
    ///
    /// Cost: an interned string a column; to be kept with the statement.
    pub(crate) fn new(py: Python<'_>, columns: &[Column]) -> PyResult<Columns> {
        let names = columns.iter().map(|column| PyString::intern(py, &column.name));
        let natures = columns.iter().map(|column| Nature::of(&column.type_name)).collect();
        let plain = columns.iter().map(|column| column.name.clone()).collect();
        Ok(Columns { names: PyTuple::new(py, names)?.unbind(), plain, natures })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.natures.len()
    }

    /// The name of a column for a message.
    pub(super) fn name(&self, py: Python<'_>, place: usize) -> String {
        self.names.bind(py).get_item(place).map_or_else(|_| (place + 1).to_string(), |name| name.to_string())
    }
}
