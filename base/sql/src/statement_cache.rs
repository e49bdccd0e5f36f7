//! The prepared statements that a connection keeps, so that the same text is prepared once.

use std::collections::HashMap;
use std::sync::Arc;

/// Statements by their text; the one that was not asked for the longest goes first.
#[derive(Debug)]
pub(crate) struct StatementCache<S> {
    capacity: usize,
    kept: HashMap<Box<str>, (u64, Arc<S>)>,
    /// Counts what is asked for; the smallest is what nobody has asked for the longest.
    clock: u64,
    /// Statements that the server can forget, told to it before the next request.
    forgotten: Vec<Arc<S>>,
}

impl<S> StatementCache<S> {
    pub(crate) fn new(capacity: usize) -> Self {
        StatementCache { capacity, kept: HashMap::new(), clock: 0, forgotten: Vec::new() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(crate) fn get(&mut self, sql: &str) -> Option<Arc<S>> {
        self.clock += 1;
        let (used, statement) = self.kept.get_mut(sql)?;
        *used = self.clock;
        Some(Arc::clone(statement))
    }

    /// Keeps a statement; the one that was not asked for the longest goes when there are too many.
    pub(crate) fn put(&mut self, sql: &str, statement: &Arc<S>) {
        if self.capacity == 0 {
            return;
        }
        self.clock += 1;
        if let Some((_, replaced)) = self.kept.insert(sql.into(), (self.clock, Arc::clone(statement))) {
            self.forgotten.push(replaced);
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
            self.forgotten.push(statement);
        }
    }

    /// The server can forget this one, which is not kept.
    pub(crate) fn let_go(&mut self, statement: Arc<S>) {
        self.forgotten.push(statement);
    }

    /// The server has forgotten all of them by itself.
    pub(crate) fn clear(&mut self) {
        self.kept.clear();
        self.forgotten.clear();
    }

    /// The statements that the server is to be told of.
    pub(crate) fn take_forgotten(&mut self) -> Vec<Arc<S>> {
        std::mem::take(&mut self.forgotten)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(cache: &mut StatementCache<String>, sql: &str) {
        cache.put(sql, &Arc::new(format!("name of {sql}")));
    }

    #[test]
    fn what_was_not_asked_for_the_longest_goes_first() {
        let mut cache = StatementCache::new(2);
        for sql in ["one", "two"] {
            put(&mut cache, sql);
        }
        assert!(cache.get("one").is_some());
        put(&mut cache, "three");
        assert!(cache.get("two").is_none());
        assert!(cache.get("one").is_some() && cache.get("three").is_some());
        assert_eq!(cache.take_forgotten(), [Arc::new("name of two".to_owned())]);
        cache.clear();
        assert!(cache.get("one").is_none());
        assert!(cache.take_forgotten().is_empty());
    }

    #[test]
    fn a_cache_without_room_keeps_nothing() {
        let mut cache = StatementCache::new(0);
        put(&mut cache, "one");
        assert!(cache.get("one").is_none());
        assert!(cache.take_forgotten().is_empty());
    }
}
