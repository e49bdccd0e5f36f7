//! PostgreSQL, by its catalogs.

use naja_sql::postgres::{Connection, Options, Step};
use naja_sql::{Outcome, Rows, Source, Table, Value};

use crate::tables::Dialect;

use super::definition::{Column, Definition, ForeignKey, Index, Statements};
use super::types::of_postgres;
use super::{Access, Database, Entry, Result, RowCount, TableName};

/// Tables of more pages of 8 KiB are not counted: 64 MiB are read in a fraction of a second.
const PAGES_COUNTED: i64 = 8192;

/// A connection.
pub(super) struct Postgres(Connection);

impl Postgres {
    pub(super) fn open(options: &Options, access: Access) -> Result<Postgres> {
        let mut options = options.clone();
        if access == Access::Read {
            options.settings.push(("default_transaction_read_only".to_owned(), "on".to_owned()));
        }
        let mut connection = Connection::open(&options, None)?;
        // So that a statement ends soon after the program that asked for it; unknown before PostgreSQL 14.
        let watch = "SELECT set_config(name, '2s', false) FROM pg_settings WHERE name = 'client_connection_check_interval'";
        connection.execute(watch, &[], &mut naja_sql::NoRows)?;
        Ok(Postgres(connection))
    }

    fn read(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Vec<Value<'static>>>> {
        let mut table = Table::default();
        self.0.execute(sql, values, &mut table)?;
        Ok(table.rows)
    }

    /// The rows of a query about one table, which is its first parameter.
    fn about(&mut self, table: &TableName, sql: &str) -> Result<Vec<Vec<Value<'static>>>> {
        let quoted = table.quoted(Dialect::Postgres);
        self.read(sql, &[Value::from(quoted.as_str())])
    }

    fn columns_of(&mut self, table: &TableName, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull, \
            pg_get_expr(d.adbin, d.adrelid), a.attidentity <> '' OR pg_get_serial_sequence($1, a.attname::text) IS NOT NULL, \
            a.attgenerated <> '' \
            FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
            WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum";
        for row in self.about(table, sql)? {
            let [name, declared, is_required, default, counts_up, is_generated] = row.as_slice() else {
                continue;
            };
            let declared = declared.text().into_owned();
            let counts_up = *counts_up == Value::Boolean(true);
            let is_generated = *is_generated == Value::Boolean(true);
            let elsewhere = |dialect| of_postgres(&declared, dialect);
            definition.columns.push(Column {
                name: name.text().into_owned(),
                elsewhere: [elsewhere(Dialect::Sqlite), declared.clone(), elsewhere(Dialect::Mysql)],
                is_required: *is_required == Value::Boolean(true),
                default: (*default != Value::Null && !counts_up && !is_generated)
                    .then(|| default.text().into_owned()),
                counts_up,
                is_generated,
                declared,
            });
            if is_generated
                && let (Some(column), Value::Text(expression)) = (definition.columns.last_mut(), default)
            {
                column.declared.push_str(&format!(" GENERATED ALWAYS AS ({expression}) STORED"));
            }
        }
        Ok(())
    }

    fn indexes(&mut self, table: &TableName, definition: &mut Definition) -> Result<()> {
        let sql = "SELECT c.relname::text, i.indisunique, i.indisprimary, \
            i.indpred IS NULL AND i.indexprs IS NULL, pg_get_indexdef(i.indexrelid), \
            EXISTS (SELECT FROM pg_constraint o WHERE o.conindid = i.indexrelid AND o.contype IN ('p', 'u', 'x')), \
            (SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest(i.indkey) WITH ORDINALITY AS k(number, place) \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.place <= i.indnkeyatts) \
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
            WHERE i.indrelid = to_regclass($1) ORDER BY c.relname";
        for row in self.about(table, sql)? {
            let [name, unique, is_primary, is_plain, made, is_constraint, columns] = row.as_slice() else {
                continue;
            };
            let is = |value: &Value<'_>| *value == Value::Boolean(true);
            let name = name.text().into_owned();
            if !is(is_constraint) {
                definition.own.after.push(made.text().into_owned());
            }
            match columns {
                _ if !is(is_plain) => definition.left_out.push(format!("the index `{name}`")),
                Value::Array(columns) if is(is_primary) => definition.primary_key = texts(columns),
                Value::Array(columns) => {
                    definition.indexes.push(Index { name, columns: texts(columns), unique: is(unique) });
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn constraints(&mut self, table: &TableName, definition: &mut Definition) -> Result<Vec<String>> {
        let names = "SELECT array_agg(a.attname::text ORDER BY k.place) FROM unnest";
        let sql = format!(
            "SELECT o.conname::text, o.contype::text, pg_get_constraintdef(o.oid), r.relname::text, \
             ({names}(o.conkey) WITH ORDINALITY AS k(number, place) \
              JOIN pg_attribute a ON a.attrelid = o.conrelid AND a.attnum = k.number), \
             ({names}(o.confkey) WITH ORDINALITY AS k(number, place) \
              JOIN pg_attribute a ON a.attrelid = o.confrelid AND a.attnum = k.number) \
             FROM pg_constraint o LEFT JOIN pg_class r ON r.oid = o.confrelid \
             WHERE o.conrelid = to_regclass($1) AND o.contype IN ('p', 'u', 'c', 'x', 'f') \
             ORDER BY o.contype <> 'p', o.conname"
        );
        let mut own = Vec::new();
        for row in self.about(table, &sql)? {
            let [name, kind, made, other, columns, referenced] = row.as_slice() else { continue };
            let (made, mut quoted) = (made.text(), String::new());
            Dialect::Postgres.quote(&mut quoted, &name.text());
            let said = format!("CONSTRAINT {quoted} {made}");
            match (&*kind.text(), columns, referenced) {
                ("f", Value::Array(columns), Value::Array(referenced)) => {
                    definition
                        .own
                        .after
                        .push(format!("ALTER TABLE {} ADD {said}", table.quoted(Dialect::Postgres)));
                    definition.foreign_keys.push(ForeignKey {
                        columns: texts(columns),
                        table: other.text().into_owned(),
                        referenced: texts(referenced),
                    });
                    continue;
                }
                ("c" | "x", ..) => {
                    definition.left_out.push(format!("the constraint `{}`: {made}", name.text()))
                }
                _ => {}
            }
            own.push(said);
        }
        Ok(own)
    }
}

fn texts(values: &[Value<'_>]) -> Vec<String> {
    values.iter().map(|value| value.text().into_owned()).collect()
}

/// A column of `CREATE TABLE`.
fn column_sql(column: &Column) -> String {
    let mut said = String::new();
    Dialect::Postgres.quote(&mut said, &column.name);
    said.push(' ');
    said.push_str(match (column.counts_up, column.declared.as_str()) {
        (true, "smallint") => "smallserial",
        (true, "integer") => "serial",
        (true, "bigint") => "bigserial",
        _ => &column.declared,
    });
    if let Some(default) = &column.default {
        said.push_str(&format!(" DEFAULT {default}"));
    }
    if column.is_required {
        said.push_str(" NOT NULL");
    }
    said
}

impl Database for Postgres {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    fn named(&mut self, text: &str) -> Result<TableName> {
        if let Some((schema, name)) = text.split_once('.') {
            let is_there = "SELECT 1 FROM pg_namespace WHERE nspname = $1";
            if !self.read(is_there, &[Value::from(schema)])?.is_empty() {
                return Ok(TableName { schema: Some(schema.to_owned()), name: name.to_owned() });
            }
        }
        Ok(TableName::plain(text))
    }

    fn entries(&mut self) -> Result<Vec<Entry>> {
        let sql = "SELECT CASE WHEN n.nspname = current_schema() THEN NULL ELSE n.nspname::text END, c.relname::text, \
            CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' \
            ELSE 'table' END \
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
            WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition \
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
            ORDER BY n.nspname <> current_schema(), n.nspname, c.relname";
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
        let sql = "SELECT attname::text FROM pg_attribute WHERE attrelid = to_regclass($1) AND attnum > 0 \
            AND NOT attisdropped ORDER BY attnum";
        Ok(self.about(table, sql)?.iter().map(|row| row[0].text().into_owned()).collect())
    }

    fn count(&mut self, table: &TableName) -> Result<RowCount> {
        let believed = "SELECT relpages::int8, reltuples::int8 FROM pg_class WHERE oid = to_regclass($1)";
        if let [row] = self.about(table, believed)?.as_slice()
            && let [Value::Integer(pages), Value::Integer(rows @ 1..)] = row.as_slice()
            && *pages > PAGES_COUNTED
        {
            return Ok(RowCount::Estimated(*rows));
        }
        let sql = format!("SELECT count(*) FROM {}", table.quoted(Dialect::Postgres));
        Ok(match self.read(&sql, &[]).as_deref() {
            Ok([row]) => match row.as_slice() {
                [Value::Integer(count)] => RowCount::Exact(*count),
                _ => RowCount::Unknown,
            },
            _ => RowCount::Unknown,
        })
    }

    fn definition(&mut self, table: &TableName) -> Result<Definition> {
        let mut definition = Definition::default();
        self.columns_of(table, &mut definition)?;
        let constraints = self.constraints(table, &mut definition)?;
        self.indexes(table, &mut definition)?;
        let mut parts: Vec<String> = definition.columns.iter().map(column_sql).collect();
        parts.extend(constraints);
        let made =
            format!("CREATE TABLE {} (\n  {}\n)", table.quoted(Dialect::Postgres), parts.join(",\n  "));
        if let Some(schema) = &table.schema {
            let schema = Dialect::Postgres.table(None, schema);
            definition.own.before.push(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
        }
        definition.own.before.push(made);
        Ok(definition)
    }

    fn schema(&mut self, table: Option<&TableName>) -> Result<Vec<String>> {
        let mut all = Statements::default();
        for entry in self.entries()? {
            if table.is_some_and(|table| *table != entry.name) {
                continue;
            }
            if entry.kind.ends_with("view") {
                let sql = "SELECT pg_get_viewdef(to_regclass($1), true)";
                let made = self
                    .about(&entry.name, sql)?
                    .iter()
                    .map(|row| row[0].text().into_owned())
                    .collect::<String>();
                let (kind, name) = (entry.kind.to_uppercase(), entry.name.quoted(Dialect::Postgres));
                all.after.push(format!("CREATE {kind} {name} AS\n{}", made.trim_end_matches(';')));
                continue;
            }
            let own = self.definition(&entry.name)?.own;
            all.before.extend(own.before);
            all.after.extend(own.after);
        }
        all.before.dedup();
        all.before.append(&mut all.after);
        Ok(all.before)
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
        if columns.is_empty() {
            let sql = format!("INSERT INTO {} DEFAULT VALUES", table.quoted(Dialect::Postgres));
            return Ok(self.0.execute_many(&sql, source)?.affected.unwrap_or(0));
        }
        // As text the server reads every value as it would a literal's, whatever the column's type is.
        Ok(self.0.copy_in(table.schema.as_deref(), &table.name, columns, true, source)?)
    }

    fn begin(&mut self) -> Result<()> {
        self.run("BEGIN", &[]).map(|_| ())
    }

    fn settle(&mut self, table: &TableName, definition: &Definition) -> Result<()> {
        let quoted = table.quoted(Dialect::Postgres);
        for column in definition.columns.iter().filter(|column| column.counts_up) {
            let mut name = String::new();
            Dialect::Postgres.quote(&mut name, &column.name);
            let sql = format!(
                "SELECT setval(pg_get_serial_sequence($1, $2), coalesce(max({name}), 1), max({name}) IS NOT NULL) FROM {quoted}"
            );
            self.run(&sql, &[Value::from(quoted.as_str()), Value::from(column.name.as_str())])?;
        }
        Ok(())
    }
}
