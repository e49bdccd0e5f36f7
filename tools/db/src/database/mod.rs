//! A database of any engine, as `naja db` needs it: what is in it, rows out of it and into it.
//!
//! One file for each engine, behind [`Database`]; values go through in the words of `base/sql`. Start at
//! [`Place::of`] and [`Place::open`].

mod definition;
mod error;
mod load;
mod place;
mod postgres;
mod sqlite;
mod types;

use naja_sql::{NoRows, Outcome, Rows, Source, Value};

use crate::tables::Dialect;

pub use definition::{Column, Definition, ForeignKey, Index, Statements};
pub use error::{DatabaseError, LoadError};
pub use load::Loader;
pub use place::{Place, Unknown, without_password};

/// What is done, or why not.
pub type Result<T> = std::result::Result<T, DatabaseError>;

/// Whether a database is opened to be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Nothing is changed, whatever is asked; a file has to be there.
    Read,
    /// It may be changed; a file is made where there is none.
    Write,
}

/// A table's or a view's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableName {
    /// Its schema, where that is not the one that is meant without a word.
    pub schema: Option<String>,
    /// The name itself.
    pub name: String,
}

impl TableName {
    /// A name in the usual schema.
    pub fn plain(name: impl Into<String>) -> TableName {
        TableName { schema: None, name: name.into() }
    }

    /// In quotes, as it stands in SQL.
    pub fn quoted(&self, dialect: Dialect) -> String {
        dialect.table(self.schema.as_deref(), &self.name)
    }
}

/// As a user writes it: `people`, or `staging.people`.
impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.schema {
            Some(schema) => write!(f, "{schema}.{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// A table or a view of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: TableName,
    /// `table`, `view`, or what else the engine has.
    pub kind: String,
}

impl Entry {
    /// Whether rows are stored in it, so that it can be copied.
    pub fn is_table(&self) -> bool {
        self.kind == "table"
    }
}

/// How many rows a table has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowCount {
    /// So many, counted.
    Exact(i64),
    /// About so many, as the engine believes: counting would take long.
    Estimated(i64),
    /// It cannot be counted, as a view of a table that is gone.
    Unknown,
}

/// An open database.
pub trait Database {
    /// How its SQL is written.
    fn dialect(&self) -> Dialect;

    /// The name that a user means by this text: an engine with schemas takes what is before a point as one, if there is one of that
    /// name.
    fn named(&mut self, text: &str) -> Result<TableName>;

    /// All tables and views, those of the usual schema first, by name.
    fn entries(&mut self) -> Result<Vec<Entry>>;

    /// The columns in order; none where there is no such table.
    fn columns(&mut self, table: &TableName) -> Result<Vec<String>>;

    /// How many rows there are.
    fn count(&mut self, table: &TableName) -> Result<RowCount>;

    /// How a table is made.
    fn definition(&mut self, table: &TableName) -> Result<Definition>;

    /// The statements that a table or view, or all, can be made with again, without their rows.
    fn schema(&mut self, table: Option<&TableName>) -> Result<Vec<String>>;

    /// Runs one statement; its rows go into `rows` as they come.
    fn execute(&mut self, sql: &str, values: &[Value<'_>], rows: &mut dyn Rows) -> Result<Outcome>;

    /// Stores rows into columns of a table, by the fastest way that the engine has; how many.
    fn load(&mut self, table: &TableName, columns: &[&str], source: &mut dyn Source) -> Result<u64>;

    /// Begins a transaction that writes.
    fn begin(&mut self) -> Result<()>;

    /// After rows were loaded into a table with their own keys: has the engine count on from them.
    fn settle(&mut self, table: &TableName, definition: &Definition) -> Result<()> {
        let _ = (table, definition);
        Ok(())
    }

    /// Runs one statement with values whose rows nobody wants; how many rows it changed.
    fn run(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64> {
        Ok(self.execute(sql, values, &mut NoRows)?.affected.unwrap_or(0))
    }

    /// Ends the transaction: what was written stays.
    fn commit(&mut self) -> Result<()> {
        self.run("COMMIT", &[]).map(|_| ())
    }
}
