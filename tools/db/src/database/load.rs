//! Rows of a file into a table: the table and its columns are made where they are missing.

use naja_sql::{Sink, Source, Table, Value};

use crate::files::{Field, Row};
use crate::tables::Dialect;
use crate::tables::filter::{Comparison, Test};
use crate::tables::names::{column_key, column_name, table_name};
use crate::tables::statement::{self, NewColumn, NewIndex, PrimaryKey};

use super::{Database, LoadError, TableName};

/// Stores rows in one transaction, which the caller begins and ends.
pub struct Loader<'d> {
    database: &'d mut dyn Database,
    dialect: Dialect,
    table: TableName,
    quoted: String,
    keys: Vec<String>,
    /// Names of the columns that are there, as they are written.
    columns: Vec<String>,
    /// How many rows were stored or changed.
    pub count: u64,
}

impl<'d> Loader<'d> {
    /// A loader into a table, which need not be there. With `keys`, a row that has the same values in these columns is
    /// changed in place of being stored.
    ///
    /// Errors: [`LoadError::Name`], [`LoadError::Database`]
    pub fn new(
        database: &'d mut dyn Database,
        table: &TableName,
        keys: &[String],
    ) -> Result<Loader<'d>, LoadError> {
        let dialect = database.dialect();
        let table = TableName { schema: table.schema.clone(), name: table_name(&table.name)?.to_owned() };
        let columns = database.columns(&table)?;
        let quoted = table.quoted(dialect);
        Ok(Loader { database, dialect, table, quoted, keys: keys.to_vec(), columns, count: 0 })
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
            let declared = field.guess().declared(self.dialect).to_owned();
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
            let sql =
                statement::create_table(self.dialect, &self.quoted, (!has_id).then_some(&key), &columns);
            self.database.run(&sql, &[])?;
        } else {
            for (column, _) in &missing {
                self.database.run(&statement::add_column(self.dialect, &self.quoted, column), &[])?;
            }
            if missing.is_empty() {
                return Ok(());
            }
        }
        self.columns = self.database.columns(&self.table)?;
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
        let name = format!("ix_{}_{}", self.table.name, columns.join("_"));
        let sql = statement::create_index(
            self.dialect,
            &NewIndex {
                name: &name,
                schema: self.table.schema.as_deref(),
                table: &self.table.name,
                columns: &columns,
                texts: &[],
                unique: false,
                may_be_there: true,
            },
        );
        self.database.run(&sql, &[])?;
        Ok(())
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
            let (group, after) = rest.split_at(count);
            self.database.load(&self.table, &names, &mut Fields(group.iter())).map_err(|error| {
                let first = self.count + (rows.len() - rest.len()) as u64 + 1;
                LoadError::Rows { first, last: first + count as u64 - 1, error }
            })?;
            rest = after;
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
                let mut found = Table::default();
                let sql = statement::count(self.dialect, &self.quoted, &tests);
                self.database.execute(&sql, &tested, &mut found)?;
                found.rows != [[Value::Integer(0)]]
            } else {
                let names: Vec<&str> =
                    others.iter().map(|index| self.columns[places[*index]].as_str()).collect();
                let sql = statement::update(self.dialect, &self.quoted, &names, &tests);
                let mut given: Vec<Value<'_>> = others.iter().map(|index| row[*index].1.value()).collect();
                given.extend(tested);
                self.database.run(&sql, &given)? > 0
            };
            if !is_there {
                let names: Vec<&str> = places.iter().map(|place| self.columns[*place].as_str()).collect();
                let sql = statement::insert(self.dialect, &self.quoted, &names, 1, None);
                let given: Vec<Value<'_>> = row.iter().map(|(_, field)| field.value()).collect();
                self.database.run(&sql, &given)?;
            }
        }
        Ok(())
    }
}

/// Rows of one shape, on their way.
struct Fields<'r>(std::slice::Iter<'r, Row>);

impl Source for Fields<'_> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let row = self.0.next();
        for (_, field) in row.into_iter().flatten() {
            field.value().write_into(sink);
        }
        row.is_some()
    }
}
