//! Prepared statements: what the server knows of one.

use std::sync::Arc;

use crate::Column;

use super::types::Known;

/// A statement that the server has prepared.
#[derive(Debug)]
pub struct Statement {
    pub(crate) name: String,
    pub(crate) sql: Box<str>,
    pub(crate) parameter_oids: Vec<u32>,
    pub(crate) parameters: Vec<Known>,
    pub(crate) columns: Arc<ResultColumns>,
}

impl Statement {
    /// The statement's own text.
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// The numbers of the types of its parameters (`pg_type.oid`), as the server has decided them.
    pub fn parameter_types(&self) -> &[u32] {
        &self.parameter_oids
    }

    /// The columns that it gives; none for one that gives no rows.
    pub fn columns(&self) -> &[Column] {
        &self.columns.list
    }

    /// The numbers of the types of its columns.
    pub fn column_types(&self) -> &[u32] {
        &self.columns.oids
    }
}

/// The columns of a result, and how their values are read.
#[derive(Debug, Default)]
pub(crate) struct ResultColumns {
    pub(crate) list: Vec<Column>,
    pub(crate) oids: Vec<u32>,
    /// What each value is in the form in which it comes; nothing is known of those that come in text.
    pub(crate) known: Vec<Known>,
}

impl ResultColumns {
    pub(crate) fn push(&mut self, name: String, oid: u32, known: Known) {
        self.list.push(Column { name, type_name: Known::by_oid(oid).name(oid) });
        self.oids.push(oid);
        self.known.push(known);
    }
}
