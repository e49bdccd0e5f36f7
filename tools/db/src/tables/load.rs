//! Rows of a file into a table: the table and its columns are made where they are missing.

use naja_sql::sqlite::{Cell, Connection, Rows, Value};

use super::filter::{Comparison, Test};
use super::kind::Guess;
use super::names::{column_key, column_name, table_name};
use super::statement::{self, NewColumn, NewIndex, PrimaryKey};
use super::{Dialect, LoadError};

const DIALECT: Dialect = Dialect::Sqlite;

/// So many rows are stored by one statement: of the sizes measured in `docs/design/databases.md` the fastest.
const ROWS_IN_ONE: usize = 100;

/// A value of a row that is to be stored.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text.
    Text(String),
    /// A day, as `2020-02-29`.
    Date(String),
    /// A moment, as `2020-02-29 12:00:00.000000`.
    Moment(String),
    /// A list or an object, as JSON.
    Json(String),
}

impl Field {
    /// The type of a column that is made for it.
    pub fn guess(&self) -> Guess {
        match self {
            Field::Null | Field::Text(_) => Guess::Text,
            Field::Boolean(_) => Guess::Boolean,
            Field::Integer(_) => Guess::BigInteger,
            Field::Real(_) => Guess::Float,
            Field::Date(_) => Guess::Date,
            Field::Moment(_) => Guess::DateTime,
            Field::Json(_) => Guess::Json,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Field::Null => Value::Null,
            Field::Boolean(value) => Value::Integer(i64::from(*value)),
            Field::Integer(value) => Value::Integer(*value),
            Field::Real(value) => Value::Real(*value),
            Field::Text(text) | Field::Date(text) | Field::Moment(text) | Field::Json(text) => {
                Value::Text(text)
            }
        }
    }
}

/// A row: names and values.
pub type Row = Vec<(String, Field)>;

/// Stores rows in one transaction, which the caller begins and ends.
pub struct Loader<'c> {
    connection: &'c mut Connection,
    table: String,
    quoted: String,
    keys: Vec<String>,
    /// Names of the columns that are there, as they are written.
    columns: Vec<String>,
    /// How many rows were stored or changed.
    pub count: u64,
}

impl<'c> Loader<'c> {
    /// A loader into a table, which need not be there. With `keys`, a row that has the same values in these columns is
    /// changed in place of being stored.
    ///
    /// Errors: [`LoadError::Name`], [`LoadError::Database`]
    pub fn new(
        connection: &'c mut Connection,
        table: &str,
        keys: &[String],
    ) -> Result<Loader<'c>, LoadError> {
        let table = table_name(table)?.to_owned();
        let columns = columns_of(connection, &table)?;
        Ok(Loader {
            quoted: DIALECT.table(None, &table),
            table,
            keys: keys.to_vec(),
            columns,
            connection,
            count: 0,
        })
    }

    /// Stores rows, which may have different names; columns that a row lacks stay empty.
    ///
    /// Errors: [`LoadError::Name`], [`LoadError::NoKey`], [`LoadError::Database`]
    pub fn store(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        self.make_columns(rows)?;
        if self.keys.is_empty() {
            self.insert(rows)?
        } else {
            self.change_or_insert(rows)?
        }
        self.count += rows.len() as u64;
        Ok(())
    }

    /// Adds the columns that these rows need.
    fn make_columns(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        let mut missing: Vec<(NewColumn, bool)> = Vec::new();
        for (name, field) in rows.iter().flatten() {
            if self.find(name).is_some() {
                continue;
            }
            let name = column_name(name)?;
            let declared = field.guess().declared(DIALECT).to_owned();
            let column = NewColumn { name: name.to_owned(), declared };
            match missing.iter_mut().find(|(known, _)| column_key(&known.name) == column_key(name)) {
                // A row without a value says nothing of the type.
                Some((known, is_known)) if !*is_known && *field != Field::Null => {
                    *known = column;
                    *is_known = true;
                }
                Some(_) => {}
                None => missing.push((column, *field != Field::Null)),
            }
        }
        if self.columns.is_empty() && !rows.is_empty() {
            let has_id = missing.iter().any(|(column, _)| column_key(&column.name) == "ID");
            let key = PrimaryKey { name: "id".to_owned(), declared: "INTEGER".to_owned(), counts_up: true };
            let columns: Vec<NewColumn> = missing.drain(..).map(|(column, _)| column).collect();
            // A file with its own `id` keeps it as it is.
            let sql = statement::create_table(DIALECT, &self.quoted, (!has_id).then_some(&key), &columns);
            self.connection.run(&sql, &[])?;
        } else {
            for (column, _) in &missing {
                self.connection.run(&statement::add_column(DIALECT, &self.quoted, column), &[])?;
            }
            if missing.is_empty() {
                return Ok(());
            }
        }
        self.columns = columns_of(self.connection, &self.table)?;
        if !self.keys.is_empty() {
            self.index_keys()?;
        }
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.columns.iter().position(|known| known == name);
        exact.or_else(|| {
            let key = column_key(name);
            self.columns.iter().position(|known| column_key(known) == key)
        })
    }

    /// The columns that tell rows apart.
    fn key_columns(&self) -> Result<Vec<usize>, LoadError> {
        self.keys.iter().map(|key| self.find(key).ok_or_else(|| LoadError::NoKey(key.clone()))).collect()
    }

    fn index_keys(&mut self) -> Result<(), LoadError> {
        let keys = self.key_columns()?;
        let columns: Vec<&str> = keys.iter().map(|key| self.columns[*key].as_str()).collect();
        let name = format!("ix_{}_{}", self.table, columns.join("_"));
        let sql = statement::create_index(
            DIALECT,
            &NewIndex {
                name: &name,
                schema: None,
                table: &self.table,
                columns: &columns,
                texts: &[],
                unique: false,
                may_be_there: true,
            },
        );
        Ok(self.connection.run(&sql, &[])?)
    }

    /// The place of each of a row's values among the columns.
    fn places(&self, row: &Row) -> Vec<usize> {
        row.iter().filter_map(|(name, _)| self.find(name)).collect()
    }

    fn insert(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        let mut rest = rows;
        while let Some(first) = rest.first() {
            // Rows of the same shape together, many by one statement.
            let same = |row: &Row| {
                row.len() == first.len() && row.iter().zip(first).all(|(one, other)| one.0 == other.0)
            };
            let count = rest.iter().take_while(|row| same(row)).count();
            let places = self.places(first);
            let names: Vec<&str> = places.iter().map(|place| self.columns[*place].as_str()).collect();
            let width = names.len().max(1);
            let at_once = ROWS_IN_ONE.min(self.connection.parameters_max() / width).max(1);
            for chunk in rest[..count].chunks(at_once) {
                let sql = statement::insert(DIALECT, &self.quoted, &names, chunk.len(), None);
                let values: Vec<Value<'_>> = chunk.iter().flatten().map(|(_, field)| field.value()).collect();
                self.connection.run(&sql, &values)?;
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    fn change_or_insert(&mut self, rows: &[Row]) -> Result<(), LoadError> {
        let keys = self.key_columns()?;
        for row in rows {
            let places = self.places(row);
            let value =
                |column: usize| places.iter().position(|place| *place == column).map(|index| &row[index].1);
            let mut tests: Vec<(&str, Test)> = Vec::new();
            let mut tested = Vec::new();
            for key in &keys {
                let name = self.columns[*key].as_str();
                match value(*key) {
                    None | Some(Field::Null) => tests.push((name, Test::Null { negated: false })),
                    Some(field) => {
                        tests.push((name, Test::Compare(Comparison::Equal)));
                        tested.push(field.value());
                    }
                }
            }
            let others: Vec<usize> = (0..row.len()).filter(|index| !keys.contains(&places[*index])).collect();
            let is_there = if others.is_empty() {
                let mut found = Rows::default();
                self.connection.read(
                    &statement::count(DIALECT, &self.quoted, &tests),
                    &tested,
                    1,
                    &mut found,
                )?;
                found.row(0).next() != Some(Cell::Integer(0))
            } else {
                let names: Vec<&str> =
                    others.iter().map(|index| self.columns[places[*index]].as_str()).collect();
                let sql = statement::update(DIALECT, &self.quoted, &names, &tests);
                let mut given: Vec<Value<'_>> = others.iter().map(|index| row[*index].1.value()).collect();
                given.extend(tested);
                self.connection.run(&sql, &given)?;
                self.connection.changes() > 0
            };
            if !is_there {
                let names: Vec<&str> = places.iter().map(|place| self.columns[*place].as_str()).collect();
                let sql = statement::insert(DIALECT, &self.quoted, &names, 1, None);
                let given: Vec<Value<'_>> = row.iter().map(|(_, field)| field.value()).collect();
                self.connection.run(&sql, &given)?;
            }
        }
        Ok(())
    }
}

/// The names of a table's columns; none where there is no table.
fn columns_of(connection: &mut Connection, table: &str) -> Result<Vec<String>, LoadError> {
    let mut rows = Rows::default();
    let sql = "SELECT name FROM pragma_table_info(?)";
    connection.read(sql, &[Value::Text(table)], usize::MAX, &mut rows)?;
    let text = |cell: Option<Cell<'_>>| match cell {
        Some(Cell::Text(text)) => String::from_utf8_lossy(text).into_owned(),
        _ => String::new(),
    };
    Ok((0..rows.len()).map(|index| text(rows.row(index).next())).collect())
}
