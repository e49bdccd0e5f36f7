//! SQL while it is written.

use std::fmt::Write as _;

use crate::tables::Dialect;

/// How the places of values are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Places {
    /// As the dialect has them: `?`, or `$1` and so on.
    OfDialect,
    /// `:p1` and so on, for a layer that takes values by name.
    Named,
}

/// Writes SQL, and counts the places of values.
#[derive(Debug)]
pub struct Writer {
    /// Whose SQL it is.
    pub dialect: Dialect,
    places: Places,
    count: usize,
    sql: String,
}

impl Writer {
    /// An empty text.
    pub fn new(dialect: Dialect, places: Places) -> Writer {
        Writer { dialect, places, count: 0, sql: String::with_capacity(128) }
    }

    /// How places are written.
    pub fn places(&self) -> Places {
        self.places
    }

    /// Words of SQL.
    pub fn word(&mut self, words: &str) {
        self.sql.push_str(words);
    }

    /// A name in quotes.
    pub fn name(&mut self, name: &str) {
        self.dialect.quote(&mut self.sql, name);
    }

    /// A column of a table, or of what the table is called in this query.
    pub fn column(&mut self, table: &str, column: &str) {
        self.name(table);
        self.sql.push('.');
        self.name(column);
    }

    /// Names with commas between them.
    pub fn names<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        for (index, name) in names.into_iter().enumerate() {
            self.word(if index == 0 { "" } else { ", " });
            self.name(name);
        }
    }

    /// The place of the next value.
    pub fn place(&mut self) {
        self.count += 1;
        match self.places {
            Places::OfDialect => self.dialect.place(&mut self.sql, self.count),
            Places::Named => {
                let _ = write!(self.sql, ":p{}", self.count);
            }
        }
    }

    /// How many places there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// The text.
    pub fn finish(self) -> String {
        self.sql
    }
}
