//! Prepared statements: what the server knows of one.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Column;

use super::types::{Definition, Known};

/// A statement that the server has prepared.
#[derive(Debug)]
pub struct Statement {
    pub(crate) id: u32,
    pub(crate) sql: Box<str>,
    pub(crate) parameters: usize,
    pub(crate) columns: Arc<ResultColumns>,
    /// The columns as the server described them last: where they are the same again it does not repeat them.
    latest: Mutex<Arc<ResultColumns>>,
}

impl Statement {
    pub(crate) fn new(id: u32, sql: Box<str>, parameters: usize, columns: Arc<ResultColumns>) -> Self {
        Statement { id, sql, parameters, latest: Mutex::new(Arc::clone(&columns)), columns }
    }

    /// The statement's own text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// How many parameters it takes. Of which type they are is decided by what is given.
    pub fn parameter_count(&self) -> usize {
        self.parameters
    }

    /// The columns that it gives; none for one that gives no rows, or of which only its execution tells.
    pub fn columns(&self) -> &[Column] {
        &self.columns.list
    }

    pub(crate) fn latest(&self) -> Arc<ResultColumns> {
        Arc::clone(&self.latest.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set_latest(&self, columns: &Arc<ResultColumns>) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(columns);
    }
}

/// The columns of a result, and how their values are read.
#[derive(Debug, Default)]
pub(crate) struct ResultColumns {
    pub(crate) list: Vec<Column>,
    pub(crate) known: Vec<Known>,
}

impl ResultColumns {
    pub(crate) fn push(&mut self, definition: Definition) {
        self.list.push(Column { name: definition.name, type_name: definition.type_name });
        self.known.push(definition.known);
    }
}
