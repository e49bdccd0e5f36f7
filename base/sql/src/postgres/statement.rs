//! Prepared statements: what the server knows of one, and those that a connection keeps.

use std::collections::HashMap;
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

/// The statements that a connection keeps, so that the same text is prepared once.
#[derive(Debug)]
pub(crate) struct StatementCache {
    capacity: usize,
    kept: HashMap<Box<str>, (u64, Arc<Statement>)>,
    /// Counts what is asked for; the smallest is what nobody has asked for the longest.
    clock: u64,
    /// Names that the server can forget, told to it before the next request.
    forgotten: Vec<String>,
}

impl StatementCache {
    pub(crate) fn new(capacity: usize) -> Self {
        StatementCache { capacity, kept: HashMap::new(), clock: 0, forgotten: Vec::new() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn get(&mut self, sql: &str) -> Option<Arc<Statement>> {
        self.clock += 1;
        let (used, statement) = self.kept.get_mut(sql)?;
        *used = self.clock;
        Some(Arc::clone(statement))
    }

    /// Keeps a statement; the one that was not asked for the longest goes when there are too many.
    pub(crate) fn put(&mut self, statement: &Arc<Statement>) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        let replaced = self.kept.insert(statement.sql.clone(), (self.clock, Arc::clone(statement)));
        if let Some((_, replaced)) = replaced {
            self.forgotten.push(replaced.name.clone());
        }
        if self.kept.len() > self.capacity {
            let oldest = self.kept.iter().min_by_key(|(_, (used, _))| *used).map(|(sql, _)| sql.clone());
            if let Some(oldest) = oldest {
                self.forget(&oldest);
            }
        }
    }

    /// Lets go of a statement, here and at the server.
    pub(crate) fn forget(&mut self, sql: &str) {
        if let Some((_, statement)) = self.kept.remove(sql) {
            self.forgotten.push(statement.name.clone());
        }
    }

    /// The server has forgotten all of them by itself.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.forgotten.clear();
    }

    /// The names that the server is to be told of.
    pub(crate) fn take_forgotten(&mut self) -> Vec<String> {
        std::mem::take(&mut self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(sql: &str) -> Arc<Statement> {
        Arc::new(Statement {
            name: format!("name of {sql}"),
            sql: sql.into(),
            parameter_oids: Vec::new(),
            parameters: Vec::new(),
            columns: Arc::default(),
        })
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut cache = StatementCache::new(2);
        for sql in ["one", "two"] {
            cache.put(&statement(sql));
        }
        assert!(cache.get("one").is_some());
        cache.put(&statement("three"));
        assert!(cache.get("two").is_none());
        assert!(cache.get("one").is_some() && cache.get("three").is_some());
        assert_eq!(cache.take_forgotten(), ["name of two"]);
        cache.clear();
        assert!(cache.get("one").is_none());
        assert!(cache.take_forgotten().is_empty());
    }

    #[test]
    fn a_cache_without_room_keeps_nothing() {
        let mut cache = StatementCache::new(0);
        cache.put(&statement("one"));
        assert!(cache.get("one").is_none());
        assert!(cache.take_forgotten().is_empty());
    }
}
