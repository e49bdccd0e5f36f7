//! How a table is made, in words that every engine understands as far as there are such.

use crate::tables::Dialect;
use crate::tables::statement::{NewIndex, create_index};

use super::{TableName, types};

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type in the engine's own words.
    pub declared: String,
    /// Its type for SQLite, PostgreSQL and MySQL.
    pub elsewhere: [String; 3],
    /// It may not be NULL.
    pub is_required: bool,
    /// What it is when nothing is said, in the engine's own words.
    pub default: Option<String>,
    /// The engine counts it up.
    pub counts_up: bool,
    /// It is computed from others, and not stored by anyone.
    pub is_generated: bool,
}

/// An index over columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// Its columns, in order.
    pub columns: Vec<String>,
    /// No two rows may have the same values.
    pub unique: bool,
}

/// Columns that are found in another table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    /// The columns.
    pub columns: Vec<String>,
    /// The other table.
    pub table: String,
    /// Its columns; none where its primary key is meant.
    pub referenced: Vec<String>,
}

/// How a table is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definition {
    /// The same in the engine's own words, with all that it has.
    pub own: Statements,
    /// The columns, in order.
    pub columns: Vec<Column>,
    /// The columns of the primary key.
    pub primary_key: Vec<String>,
    /// The indexes over columns, but for the one of the primary key.
    pub indexes: Vec<Index>,
    /// Where it refers to.
    pub foreign_keys: Vec<ForeignKey>,
    /// What has no words in another engine, as one tells a user: "the check `price > 0`".
    pub left_out: Vec<String>,
}

/// Statements that make a table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statements {
    /// Those before its rows.
    pub before: Vec<String>,
    /// Those after the rows of all tables.
    pub after: Vec<String>,
}

impl Definition {
    /// The statements that make the table in a database of another engine, and what of it that one will not have.
    pub fn elsewhere(&self, table: &TableName, to: Dialect) -> (Statements, Vec<String>) {
        let mut left_out = self.left_out.clone();
        let quoted = to.table(None, &table.name);
        let mut parts: Vec<String> =
            self.columns.iter().map(|column| self.column(column, to, &mut left_out)).collect();
        if !self.primary_key.is_empty() {
            parts.push(format!("PRIMARY KEY {}", names(to, &self.primary_key)));
        }
        let mut after = Vec::new();
        for index in &self.indexes {
            let columns: Vec<&str> = index.columns.iter().map(String::as_str).collect();
            let index = NewIndex {
                name: &index.name,
                schema: None,
                table: &table.name,
                columns: &columns,
                texts: &[],
                unique: index.unique,
                may_be_there: false,
            };
            after.push(create_index(to, &index));
        }
        for key in &self.foreign_keys {
            let mut said =
                format!("FOREIGN KEY {} REFERENCES {}", names(to, &key.columns), to.table(None, &key.table));
            if !key.referenced.is_empty() {
                said.push_str(&names(to, &key.referenced));
            }
            // SQLite takes them with the table only, the others want the other table to be there.
            match to {
                Dialect::Sqlite => parts.push(said),
                Dialect::Postgres | Dialect::Mysql => after.push(format!("ALTER TABLE {quoted} ADD {said}")),
            }
        }
        let before = vec![format!("CREATE TABLE {quoted} ({})", parts.join(", "))];
        (Statements { before, after }, left_out)
    }

    fn column(&self, column: &Column, to: Dialect, left_out: &mut Vec<String>) -> String {
        let mut said = String::new();
        to.quote(&mut said, &column.name);
        said.push(' ');
        let declared = &column.elsewhere[place(to)];
        said.push_str(match (to, column.counts_up) {
            (Dialect::Postgres, true) if declared == "INTEGER" => "SERIAL",
            (Dialect::Postgres, true) => "BIGSERIAL",
            // Only by this word SQLite counts it up.
            (Dialect::Sqlite, true) if self.primary_key == [column.name.as_str()] => "INTEGER",
            _ => declared,
        });
        if let Some(text) = &column.default {
            match types::default(text, declared) {
                Some(value) => said.push_str(&format!(" DEFAULT {value}")),
                None => left_out.push(format!("the default `{text}` of `{}`", column.name)),
            }
        }
        if column.is_required {
            said.push_str(" NOT NULL");
        }
        if column.counts_up && to == Dialect::Mysql {
            said.push_str(" AUTO_INCREMENT");
        }
        said
    }
}

/// The place of a dialect in [`Column::elsewhere`].
pub(super) fn place(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Sqlite => 0,
        Dialect::Postgres => 1,
        Dialect::Mysql => 2,
    }
}

/// Names in quotes, in parentheses.
fn names(dialect: Dialect, names: &[String]) -> String {
    let mut sql = String::from("(");
    for (index, name) in names.iter().enumerate() {
        sql.push_str(if index == 0 { "" } else { ", " });
        dialect.quote(&mut sql, name);
    }
    sql.push(')');
    sql
}
