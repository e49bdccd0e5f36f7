//! SQLite.

use naja_sql::sqlite::{Connection, How, Library};
use naja_sql::{Driver, Outcome, Rows, Source, Table, Value, Values};

use crate::tables::Dialect;
use crate::tables::statement;

use super::definition::{Column, Definition, ForeignKey, Index, Statements};
use super::types::{Stored, of_sqlite};
use super::{Access, Database, Entry, Result, RowCount, TableName};

/// So many rows are stored by one statement: of the sizes measured in `docs/design/databases.md` the fastest.
const ROWS_IN_ONE: usize = 100;

/// An open file.
pub(super) struct Sqlite(Connection);

impl Sqlite {
    pub(super) fn open(library: &'static Library, path: &str, access: Access) -> Result<Sqlite> {
        let how = match access {
            Access::Read => How { read_only: true, create: false, ..How::default() },
            Access::Write => How::default(),
        };
        let mut connection = Connection::open(library, path, how)?;
        match access {
            // A file that is no database is noticed at its first use.
            Access::Read => connection.run("SELECT count(*) FROM sqlite_master", &[])?,
            Access::Write => connection.run_script("PRAGMA synchronous = FULL")?,
        }
        Ok(Sqlite(connection))
    }

    fn read(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Vec<Value<'static>>>> {
        let mut table = Table::default();
        self.0.execute(sql, values, &mut table)?;
        Ok(table.rows)
    }

    /// What a table's columns hold, each.
    fn stored(&mut self, table: &str, columns: &[String]) -> Result<Vec<Stored>> {
        let mut all = Vec::with_capacity(columns.len());
        // A statement has at most 2,000 columns.
        for columns in columns.chunks(300) {
            let asked: Vec<String> = columns
                .iter()
                .map(|column| {
                    let name = Dialect::Sqlite.table(None, column);
                    format!(
                        "max(typeof({name}) = 'integer'), max(typeof({name}) = 'integer' AND {name} NOT IN (0, 1)), \
                         max(typeof({name}) = 'real'), max(typeof({name}) = 'text'), max(typeof({name}) = 'blob')"
                    )
                })
                .collect();
            let sql = format!("SELECT {} FROM {}", asked.join(", "), Dialect::Sqlite.table(None, table));
            let row = self.read(&sql, &[])?.into_iter().next().unwrap_or_default();
            let is = |place: usize| row.get(place) == Some(&Value::Integer(1));
            all.extend((0..columns.len()).map(|column| Stored {
                integers: is(column * 5),
                beyond_boolean: is(column * 5 + 1),
                reals: is(column * 5 + 2),
                texts: is(column * 5 + 3),
                bytes: is(column * 5 + 4),
            }));
        }
        Ok(all)
    }

    fn indexes(&mut self, table: &str, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?) ORDER BY seq DESC";
        for row in self.read(sql, &[Value::from(table)])? {
            let [name, unique, origin, partial] = row.as_slice() else { continue };
            if *origin == Value::from("pk") {
                continue;
            }
            let name = name.text().into_owned();
            let columns = self.read(
                "SELECT name FROM pragma_index_info(?) ORDER BY seqno",
                &[Value::from(name.as_str())],
            )?;
            let is_plain = *partial == Value::Integer(0) && columns.iter().all(|row| row[0] != Value::Null);
            if !is_plain {
                definition.left_out.push(format!("the index `{name}`"));
                continue;
            }
            let columns: Vec<String> = columns.iter().map(|row| row[0].text().into_owned()).collect();
            // The one of a constraint has a name that nobody else may give.
            let name =
                if *origin == Value::from("u") { format!("ux_{table}_{}", columns.join("_")) } else { name };
            definition.indexes.push(Index { name, columns, unique: *unique == Value::Integer(1) });
        }
        Ok(())
    }

    fn foreign_keys(&mut self, table: &str, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT id, \"table\", \"from\", \"to\" FROM pragma_foreign_key_list(?) ORDER BY id, seq";
        let mut last = None;
        for row in self.read(sql, &[Value::from(table)])? {
            let [id, other, from, to] = row.as_slice() else { continue };
            if last.as_ref() != Some(id) {
                last = Some(id.clone());
                let table = other.text().into_owned();
                definition.foreign_keys.push(ForeignKey {
                    columns: Vec::new(),
                    table,
                    referenced: Vec::new(),
                });
            }
            if let Some(key) = definition.foreign_keys.last_mut() {
                key.columns.push(from.text().into_owned());
                if *to != Value::Null {
                    key.referenced.push(to.text().into_owned());
                }
            }
        }
        Ok(())
    }
}

impl Database for Sqlite {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn named(&mut self, text: &str) -> Result<TableName> {
        Ok(TableName::plain(text))
    }

    fn entries(&mut self) -> Result<Vec<Entry>> {
        let sql = "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' \
            ESCAPE '~' ORDER BY name";
        let rows = self.read(sql, &[])?;
        Ok(rows
            .iter()
            .map(|row| Entry { name: TableName::plain(row[0].text()), kind: row[1].text().into_owned() })
            .collect())
    }

    fn columns(&mut self, table: &TableName) -> Result<Vec<String>> {
        let rows = self.read("SELECT name FROM pragma_table_info(?)", &[Value::from(table.name.as_str())])?;
        Ok(rows.iter().map(|row| row[0].text().into_owned()).collect())
    }

    fn count(&mut self, table: &TableName) -> Result<RowCount> {
        let sql = format!("SELECT count(*) FROM {}", table.quoted(Dialect::Sqlite));
        // A view may be of a table that is gone; that is no reason to show nothing.
        Ok(match self.read(&sql, &[]).as_deref() {
            Ok([row]) if matches!(row[..], [Value::Integer(_)]) => match row[0] {
                Value::Integer(count) => RowCount::Exact(count),
                _ => RowCount::Unknown,
            },
            _ => RowCount::Unknown,
        })
    }

    fn definition(&mut self, table: &TableName) -> Result<Definition> {
        let name = table.name.as_str();
        let made = "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?";
        let indexed =
            "SELECT sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL";
        let texts =
            |rows: Vec<Vec<Value<'static>>>| rows.iter().map(|row| row[0].text().into_owned()).collect();
        let own = Statements {
            before: texts(self.read(made, &[Value::from(name)])?),
            after: texts(self.read(indexed, &[Value::from(name)])?),
        };
        let mut definition = Definition { own, ..Definition::default() };
        let sql =
            "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid";
        let rows = self.read(sql, &[Value::from(name)])?;
        let names: Vec<String> = rows.iter().map(|row| row[0].text().into_owned()).collect();
        let stored = self.stored(name, &names)?;
        let mut keys = Vec::new();
        for ((row, name), stored) in rows.iter().zip(names).zip(stored) {
            let [_, declared, is_required, default, key, hidden] = row.as_slice() else { continue };
            let declared = declared.text().into_owned();
            if let Value::Integer(place @ 1..) = key {
                keys.push((*place, name.clone()));
            }
            let guess = of_sqlite(&declared, stored);
            definition.columns.push(Column {
                name,
                elsewhere: [
                    declared.clone(),
                    guess.declared(Dialect::Postgres).to_owned(),
                    guess.declared(Dialect::Mysql).to_owned(),
                ],
                declared,
                is_required: *is_required == Value::Integer(1),
                default: (*default != Value::Null).then(|| default.text().into_owned()),
                counts_up: false,
                is_generated: *hidden != Value::Integer(0),
            });
        }
        keys.sort();
        definition.primary_key = keys.into_iter().map(|(_, name)| name).collect();
        if let [key] = definition.primary_key.as_slice() {
            for column in definition.columns.iter_mut().filter(|column| column.name == *key) {
                column.counts_up = column.declared.eq_ignore_ascii_case("INTEGER");
            }
        }
        self.indexes(name, &mut definition)?;
        self.foreign_keys(name, &mut definition)?;
        Ok(definition)
    }

    fn schema(&mut self, table: Option<&TableName>) -> Result<Vec<String>> {
        let sql = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND (?1 IS NULL OR tbl_name = ?1) \
            ORDER BY tbl_name, type = 'index', name";
        let table = table.map_or(Value::Null, |table| Value::from(table.name.as_str()));
        Ok(self.read(sql, &[table])?.iter().map(|row| row[0].text().into_owned()).collect())
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>], rows: &mut dyn Rows) -> Result<Outcome> {
        Ok(Driver::execute(&mut self.0, sql, values, rows)?)
    }

    fn load(&mut self, table: &TableName, columns: &[&str], source: &mut dyn Source) -> Result<u64> {
        let quoted = table.quoted(Dialect::Sqlite);
        // A row without values is a statement of its own.
        let fitting = if columns.is_empty() { 1 } else { self.0.parameters_max() / columns.len() };
        let at_once = fitting.clamp(1, ROWS_IN_ONE);
        let mut values = Values::default();
        let mut stored = 0;
        loop {
            let count = (0..at_once).take_while(|_| source.next_row(&mut values)).count();
            if count > 0 {
                let sql = statement::insert(Dialect::Sqlite, &quoted, columns, count, None);
                self.run(&sql, &values.take())?;
                stored += count as u64;
            }
            if count < at_once {
                return Ok(stored);
            }
        }
    }

    fn begin(&mut self) -> Result<()> {
        self.run("BEGIN IMMEDIATE", &[]).map(|_| ())
    }
}
