//! PostgreSQL: what a connection to its servers does in its own way.

use naja_db::tables::{Dialect, Kind};
use naja_sql::postgres::{Connection, PostgresError, Protocol, ServerError};
use naja_sql::{KeptRows, Refusal as _, Rows, Transaction, Value};

use super::server::{Chunks, Said, Server, ServerLink, insert_each, place};
use super::{Column, Description, Fault, Index, Limit, Link as _, Listed, NewRows};

/// So many rows are worth a load by COPY, whose beginning takes two more round trips.
const ROWS_TO_COPY: usize = 20;

/// A connection to a server.
pub(super) type PostgresLink = ServerLink<Protocol>;

impl Server for Protocol {
    const DIALECT: Dialect = Dialect::Postgres;
    const TLS_OF_LIBPQ: bool = true;
    const RETURNS_KEYS: bool = true;
    const LEAVES_RESULTS: bool = true;
    const CHANGES_MANY: bool = true;

    type Known = ();

    fn keep<T>(rows: &mut KeptRows, (): &mut (), read: impl FnOnce(&mut dyn Rows) -> T) -> T {
        read(rows)
    }

    fn is_of_several(refusal: &ServerError) -> bool {
        refusal.sqlstate == "42601" && refusal.routine.as_deref() == Some("exec_parse_message")
    }

    fn define(link: &mut PostgresLink, sql: &str) -> Result<(), Fault> {
        let is_open = link.transaction() == Transaction::Open;
        if is_open {
            link.free().script("SAVEPOINT naja_definition")?;
        }
        let done = link.free().script(sql);
        match done {
            Err(error) if is_there_already(&error, sql) => {
                if is_open {
                    link.free().script("ROLLBACK TO SAVEPOINT naja_definition")?;
                }
            }
            other => other?,
        }
        if is_open {
            link.free().script("RELEASE SAVEPOINT naja_definition")?;
        }
        Ok(())
    }

    fn insert_rows(connection: &mut Connection, rows: &NewRows<'_>) -> Result<(), PostgresError> {
        if !rows.is_plain || rows.len() < ROWS_TO_COPY {
            return insert_each::<Protocol>(connection, rows);
        }
        let source = &mut Chunks::of(rows);
        connection.copy_in(rows.schema, rows.table, rows.columns, rows.is_mixed, source).map(drop)
    }

    fn describe(
        link: &mut PostgresLink,
        schema: Option<&str>,
        table: &str,
    ) -> Result<Option<Description>, Fault> {
        let found = link.look_up(DESCRIBE, &place(schema, table))?;
        let mut description = None;
        for cells in found {
            let [is_plain, has_triggers, name, declared, base, key_place, is_required] = cells.as_slice()
            else {
                continue;
            };
            let description = description.get_or_insert_with(|| Description {
                columns: Vec::new(),
                is_plain: *is_plain == Value::Boolean(true),
                has_triggers: *has_triggers == Value::Boolean(true),
            });
            let (Value::Text(name), Value::Text(declared), Value::Text(base)) = (name, declared, base) else {
                // A table without columns.
                continue;
            };
            description.columns.push(Column {
                name: name.to_string(),
                kind: kind_of(base),
                limit: limit_of(base, declared),
                declared: declared.to_string(),
                key_place: if let Value::Integer(place) = key_place { *place } else { 0 },
                is_required: *is_required == Value::Boolean(true),
                counts_up: false,
            });
        }
        Ok(description)
    }

    fn indexes(link: &mut PostgresLink, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        let found = link.look_up(INDEXES, &place(schema, table))?;
        let mut indexes: Vec<(i64, Index)> = Vec::new();
        for cells in found {
            let [Value::Integer(number), is_unique, Value::Text(column)] = cells.as_slice() else { continue };
            if indexes.last().is_none_or(|(last, _)| last != number) {
                let is_unique = *is_unique == Value::Boolean(true);
                indexes.push((*number, Index { is_unique, columns: Vec::new() }));
            }
            if let Some((_, index)) = indexes.last_mut() {
                index.columns.push(column.to_string());
            }
        }
        Ok(indexes.into_iter().map(|(_, index)| index).collect())
    }

    fn list(what: Listed) -> String {
        let kinds = if what == Listed::Tables { "'r', 'p'" } else { "'v'" };
        format!(
            "SELECT c.relname::text FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ({kinds}) AND c.relpersistence != 't' \
             AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) \
             AND n.nspname != 'pg_catalog' ELSE n.nspname = $1::text END ORDER BY c.relname::text COLLATE \"C\""
        )
    }
}

/// `$1` is the schema, or NULL for those that names are looked for in; `$2` the table.
const DESCRIBE: &str = "\
SELECT c.relkind IN ('r', 'p') AND NOT c.relhasrules AND NOT c.relrowsecurity, \
  EXISTS (SELECT 1 FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal), \
  a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), \
  coalesce(b.typname, t.typname)::text, \
  coalesce((SELECT k.place FROM pg_catalog.pg_index i, \
    unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
    WHERE i.indrelid = c.oid AND i.indisprimary AND k.attnum = a.attnum), 0), \
  a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' \
FROM pg_catalog.pg_class c \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype \
WHERE c.relname = $2::text AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
  AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1::text END \
ORDER BY a.attnum";

const INDEXES: &str = "\
SELECT i.indexrelid::int8, i.indisunique AND i.indimmediate, a.attname::text \
FROM pg_catalog.pg_index i \
JOIN pg_catalog.pg_class c ON c.oid = i.indrelid \
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, place) \
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum \
WHERE c.relname = $2::text AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL \
  AND k.place <= i.indnkeyatts \
  AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) ELSE n.nspname = $1::text END \
ORDER BY 1, k.place";

/// What a column of a type is made of, by the type's own name.
fn kind_of(base: &str) -> Kind {
    match base {
        "bool" => Kind::Boolean,
        "int2" | "int4" | "int8" => Kind::Integer,
        "float4" | "float8" => Kind::Float,
        "numeric" => Kind::Decimal(None),
        "date" => Kind::Date,
        "timestamp" | "timestamptz" => Kind::DateTime,
        "time" => Kind::Time,
        "text" | "varchar" | "bpchar" | "name" => Kind::Text,
        "json" | "jsonb" => Kind::Json,
        "bytea" => Kind::Bytes,
        _ => Kind::Any,
    }
}

fn limit_of(base: &str, declared: &str) -> Limit {
    match base {
        "int2" => Limit::Bits(16),
        "int4" => Limit::Bits(32),
        "int8" => Limit::Bits(64),
        "varchar" | "bpchar" => {
            let length = declared.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
            length.and_then(|(length, _)| length.parse().ok()).map_or(Limit::None, Limit::Characters)
        }
        _ => Limit::None,
    }
}

/// Somebody else has made the same table, index or column at the same time.
fn is_there_already(error: &PostgresError, sql: &str) -> bool {
    let Some(server) = error.server() else { return false };
    match server.sqlstate.as_str() {
        // Two may find that there is none and then meet in the catalogue.
        "23505" => server.schema.as_deref() == Some("pg_catalog"),
        "42P07" | "42701" | "42710" => sql.contains(" IF NOT EXISTS "),
        _ => false,
    }
}

impl Said for ServerError {
    fn fault(error: PostgresError) -> Fault {
        Fault::Postgres(error)
    }

    /// By the first two of its code's characters, as psycopg divides them.
    fn class(&self) -> &'static str {
        if self.is_fatal() {
            return "OperationalError";
        }
        match self.sqlstate.get(..2).unwrap_or("") {
            "0A" => "NotSupportedError",
            "22" => "DataError",
            "23" => "IntegrityError",
            "24" | "25" | "2B" | "2D" | "XX" => "InternalError",
            "20" | "21" | "26" | "3D" | "3F" | "42" | "44" | "P0" => "ProgrammingError",
            "08" | "27" | "28" | "2F" | "34" | "38" | "39" | "3B" | "40" | "53" | "54" | "55" | "57"
            | "58" | "F0" | "HV" => "OperationalError",
            _ => "DatabaseError",
        }
    }

    /// Its own words, and where it happened as far as it says so.
    fn shown(&self) -> String {
        let mut text = self.message.clone();
        let mut add = |what: &str, name: &Option<String>| {
            if let Some(name) = name.as_ref().filter(|name| !self.message.contains(name.as_str())) {
                text.push_str(&format!(" ({what} `{name}`)"));
            }
        };
        add("table", &self.table);
        add("column", &self.column);
        if let Some(row) = self.row {
            text.push_str(&format!(" (row {})", row + 1));
        }
        for (what, more) in [("DETAIL", &self.detail), ("HINT", &self.hint)] {
            if let Some(more) = more {
                text.push_str(&format!("\n{what}: {more}"));
            }
        }
        // Of a load, the line and the column.
        if let Some(line) =
            self.context.as_deref().and_then(|context| context.lines().find(|line| line.starts_with("COPY ")))
        {
            text.push_str(&format!("\nCONTEXT: {line}"));
        }
        text
    }
}
