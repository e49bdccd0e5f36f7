//! MySQL and MariaDB, by their catalogue.

use std::sync::Arc;

use naja_sql::mysql::{Connection, Options, Step};
use naja_sql::{Outcome, Rows, Source, Table, TlsProvider, Value};

use crate::tables::{Dialect, statement};

use super::definition::{Column, Definition, ForeignKey, Index, Statements};
use super::types::of_mysql;
use super::{Access, Database, Entry, Result, RowCount, TableName};

/// Tables of more bytes are not counted: so many are read in a fraction of a second.
const BYTES_COUNTED: i64 = 64 << 20;

/// A connection.
pub(super) struct MySql(Connection);

impl MySql {
    pub(super) fn open(
        options: &Options,
        tls: Option<Arc<dyn TlsProvider>>,
        access: Access,
    ) -> Result<MySql> {
        let mut connection = Connection::open(options, tls)?;
        connection.script(match access {
            Access::Read => "SET SESSION TRANSACTION READ ONLY",
            // Nothing is cut or rounded without an error.
            Access::Write => "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",
        })?;
        Ok(MySql(connection))
    }

    fn read(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Vec<Value<'static>>>> {
        let mut table = Table::default();
        self.0.execute(sql, values, &mut table)?;
        Ok(table.rows)
    }

    /// The rows of a query about one table, whose schema and name are its parameters.
    fn about(&mut self, table: &TableName, sql: &str) -> Result<Vec<Vec<Value<'static>>>> {
        let schema = table.schema.as_deref().map_or(Value::Null, Value::from);
        self.read(sql, &[schema, Value::from(table.name.as_str())])
    }

    /// The statement by which a table or view is made.
    fn made(&mut self, entry: &Entry) -> Result<String> {
        let kind = if entry.kind == "view" { "VIEW" } else { "TABLE" };
        let sql = format!("SHOW CREATE {kind} {}", entry.name.quoted(Dialect::Mysql));
        let rows = self.read(&sql, &[])?;
        Ok(rows.first().and_then(|row| row.get(1)).map_or_else(String::new, |made| made.text().into_owned()))
    }

    fn columns_of(&mut self, table: &TableName, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT column_name, column_type, is_nullable = 'NO', column_default, extra, data_type \
            FROM information_schema.columns WHERE table_schema = coalesce(?, database()) AND table_name = ? \
            ORDER BY ordinal_position";
        for row in self.about(table, sql)? {
            let [name, declared, is_required, default, extra, data_type] = row.as_slice() else { continue };
            let (name, declared) = (name.text().into_owned(), declared.text().into_owned());
            let extra = extra.text().to_ascii_lowercase();
            let is_boolean = declared == "tinyint(1)" && self.is_boolean(table, &name)?;
            let elsewhere = |dialect| of_mysql(&declared, is_boolean, dialect);
            definition.columns.push(Column {
                elsewhere: [elsewhere(Dialect::Sqlite), elsewhere(Dialect::Postgres), declared.clone()],
                is_required: *is_required == Value::Integer(1),
                default: self.default(default, &data_type.text()),
                counts_up: extra.contains("auto_increment"),
                is_generated: extra.contains("generated") && !extra.contains("default_generated"),
                name,
                declared,
            });
        }
        Ok(())
    }

    /// Whether a column holds 0 and 1 alone: there is no other type for true and false.
    fn is_boolean(&mut self, table: &TableName, column: &str) -> Result<bool> {
        let (table, column) = (table.quoted(Dialect::Mysql), Dialect::Mysql.table(None, column));
        let sql = format!("SELECT 1 FROM {table} WHERE {column} NOT IN (0, 1) LIMIT 1");
        Ok(self.read(&sql, &[])?.is_empty())
    }

    /// A default as it stands in SQL: MariaDB tells it so, MySQL without the quotes.
    fn default(&self, told: &Value<'_>, data_type: &str) -> Option<String> {
        let text = if *told == Value::Null { return None } else { told.text() };
        if self.0.is_mariadb() {
            return (text != "NULL").then(|| text.replace("current_timestamp()", "CURRENT_TIMESTAMP"));
        }
        let is_number =
            ["int", "decimal", "double", "float", "bit", "year"].iter().any(|part| data_type.contains(part));
        let is_plain = is_number || text.starts_with("CURRENT_TIMESTAMP");
        Some(if is_plain { text.into_owned() } else { format!("'{}'", text.replace('\'', "''")) })
    }

    fn indexes(&mut self, table: &TableName, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT index_name, non_unique, column_name, sub_part, index_type FROM information_schema.statistics \
            WHERE table_schema = coalesce(?, database()) AND table_name = ? ORDER BY index_name, seq_in_index";
        let mut special = None;
        for row in self.about(table, sql)? {
            let [name, not_unique, column, part, kind] = row.as_slice() else { continue };
            let (name, unique) = (name.text().into_owned(), *not_unique == Value::Integer(0));
            let is_part = *part != Value::Null;
            if *column == Value::Null || !matches!(&*kind.text(), "BTREE" | "HASH") || is_part && unique {
                if special.as_ref() != Some(&name) {
                    definition.left_out.push(format!("the index `{name}`"));
                    definition.indexes.retain(|index| index.name != name);
                }
                special = Some(name);
                continue;
            }
            if special.as_ref() == Some(&name) {
                continue;
            }
            let column = column.text().into_owned();
            if name == "PRIMARY" {
                definition.primary_key.push(column);
                continue;
            }
            match definition.indexes.last_mut().filter(|index| index.name == name) {
                Some(index) => index.columns.push(column),
                None => definition.indexes.push(Index { name, columns: vec![column], unique }),
            }
        }
        Ok(())
    }

    fn foreign_keys(&mut self, table: &TableName, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT constraint_name, column_name, referenced_table_name, referenced_column_name \
            FROM information_schema.key_column_usage WHERE table_schema = coalesce(?, database()) AND table_name = ? \
            AND referenced_table_name IS NOT NULL ORDER BY constraint_name, ordinal_position";
        let mut last = None;
        for row in self.about(table, sql)? {
            let [name, column, other, referenced] = row.as_slice() else { continue };
            if last.as_ref() != Some(name) {
                last = Some(name.clone());
                let table = other.text().into_owned();
                definition.foreign_keys.push(ForeignKey {
                    columns: Vec::new(),
                    table,
                    referenced: Vec::new(),
                });
            }
            if let Some(key) = definition.foreign_keys.last_mut() {
                key.columns.push(column.text().into_owned());
                key.referenced.push(referenced.text().into_owned());
            }
        }
        Ok(())
    }
}

impl Database for MySql {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    fn named(&mut self, text: &str) -> Result<TableName> {
        if let Some((schema, name)) = text.split_once('.') {
            let is_there = "SELECT 1 FROM information_schema.schemata WHERE schema_name = ?";
            if !self.read(is_there, &[Value::from(schema)])?.is_empty() {
                return Ok(TableName { schema: Some(schema.to_owned()), name: name.to_owned() });
            }
        }
        Ok(TableName::plain(text))
    }

    fn entries(&mut self) -> Result<Vec<Entry>> {
        let sql = "SELECT nullif(table_schema, database()), table_name, \
            CASE table_type WHEN 'BASE TABLE' THEN 'table' ELSE lower(table_type) END FROM information_schema.tables \
            WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') \
            AND (database() IS NULL OR table_schema = database()) ORDER BY table_schema, table_name";
        let rows = self.read(sql, &[])?;
        Ok(rows
            .iter()
            .map(|row| Entry {
                name: TableName {
                    schema: (row[0] != Value::Null).then(|| row[0].text().into_owned()),
                    name: row[1].text().into_owned(),
                },
                kind: row[2].text().into_owned(),
            })
            .collect())
    }

    fn columns(&mut self, table: &TableName) -> Result<Vec<String>> {
        let sql = "SELECT column_name FROM information_schema.columns \
            WHERE table_schema = coalesce(?, database()) AND table_name = ? ORDER BY ordinal_position";
        Ok(self.about(table, sql)?.iter().map(|row| row[0].text().into_owned()).collect())
    }

    fn count(&mut self, table: &TableName) -> Result<RowCount> {
        let believed = "SELECT CAST(data_length AS SIGNED), CAST(table_rows AS SIGNED) FROM information_schema.tables \
            WHERE table_schema = coalesce(?, database()) AND table_name = ?";
        if let [row] = self.about(table, believed)?.as_slice()
            && let [Value::Integer(bytes), Value::Integer(rows)] = row.as_slice()
            && *bytes > BYTES_COUNTED
        {
            return Ok(RowCount::Estimated(*rows));
        }
        let sql = format!("SELECT count(*) FROM {}", table.quoted(Dialect::Mysql));
        Ok(match self.read(&sql, &[]).as_deref() {
            Ok([row]) => match row.as_slice() {
                [Value::Integer(count)] => RowCount::Exact(*count),
                _ => RowCount::Unknown,
            },
            _ => RowCount::Unknown,
        })
    }

    fn definition(&mut self, table: &TableName) -> Result<Definition> {
        let made = self.made(&Entry { name: table.clone(), kind: "table".to_owned() })?;
        // It holds its indexes, and foreign keys to tables that may be made after it.
        let own = Statements { before: vec![made], after: Vec::new() };
        let mut definition = Definition { own, ..Definition::default() };
        self.columns_of(table, &mut definition)?;
        self.indexes(table, &mut definition)?;
        self.foreign_keys(table, &mut definition)?;
        Ok(definition)
    }

    fn schema(&mut self, table: Option<&TableName>) -> Result<Vec<String>> {
        let mut all = Vec::new();
        for entry in self.entries()? {
            if table.is_none_or(|table| *table == entry.name) {
                all.push(self.made(&entry)?);
            }
        }
        Ok(all)
    }

    fn execute(&mut self, sql: &str, values: &[Value<'_>], rows: &mut dyn Rows) -> Result<Outcome> {
        self.0.start(sql, &mut |sink| values.iter().for_each(|value| value.write_into(sink)))?;
        loop {
            if let Step::Done(outcome) = self.0.step(rows, u64::MAX)? {
                return Ok(outcome);
            }
        }
    }

    fn load(&mut self, table: &TableName, columns: &[&str], source: &mut dyn Source) -> Result<u64> {
        let sql = statement::insert(Dialect::Mysql, &table.quoted(Dialect::Mysql), columns, 1, None);
        Ok(self.0.execute_many(&sql, source)?.affected.unwrap_or(0))
    }

    fn suspend_foreign_keys(&mut self) -> Result<()> {
        self.run("SET foreign_key_checks = 0", &[]).map(|_| ())
    }

    /// A definition ends the transaction that is open; without `autocommit` the next statement begins another.
    fn begin(&mut self) -> Result<()> {
        self.run("SET autocommit = 0", &[]).map(|_| ())
    }
}
