//! PostgreSQL: a connection to a server.
//!
//! Rows of a result come over the connection while they are asked for. Whoever asks for something else meanwhile has
//! the rest of them read into memory first, so that results never disturb each other.

use std::collections::HashMap;
use std::sync::Arc;

use naja_db::tables::Kind;
use naja_sql::postgres::{Connection, Cursor, Options, PostgresError, Step};
use naja_sql::{KeptRows, NoRows, Outcome, Sink, Source, Transaction, Value};

use super::{
    Begin, ChangeOrStore, Column, Description, Fault, Fetched, Given, Index, Limit, Link, Listed, NewRow,
    NewRows, Reading, Started, Wanted,
};
use crate::tls::PythonTls;

/// So much text ends a batch of rows early, whatever number of rows was asked for.
const ENOUGH_BYTES: usize = 4 << 20;

/// Rows that are read before their size is looked at.
const ROWS_UNTIL_LOOKED_AT: usize = 64;

/// So many rows are worth a load by COPY, whose beginning takes two more round trips.
const ROWS_TO_COPY: usize = 20;

/// A connection to a server.
pub(super) struct PostgresLink {
    connection: Connection,
    /// How many readings there were, which numbers them.
    readings: u64,
    prepared: Option<(u64, String)>,
    /// The reading whose rows are coming.
    coming: Option<u64>,
    /// Readings whose rows are elsewhere.
    elsewhere: HashMap<u64, Rest>,
}

/// Where the rest of a result is that does not come over the connection any more.
enum Rest {
    /// In memory, since somebody else used the connection.
    Kept(KeptRows),
    /// It failed when it was read.
    Failed(PostgresError),
    /// On the server.
    Cursor(Cursor),
}

impl PostgresLink {
    pub(super) fn open(
        options: &Options,
        is_interrupted: fn() -> bool,
    ) -> Result<PostgresLink, PostgresError> {
        let mut connection = Connection::open(options, Some(Arc::new(PythonTls { is_of_libpq: true })))?;
        connection.set_interrupt_check(Some(Box::new(is_interrupted)));
        Ok(PostgresLink { connection, readings: 0, prepared: None, coming: None, elsewhere: HashMap::new() })
    }

    /// The connection, free for another statement.
    fn free(&mut self) -> &mut Connection {
        if let Some(coming) = self.coming.take() {
            let mut rest = KeptRows::default();
            let rest = match self.connection.step(&mut rest, u64::MAX) {
                Ok(_) => Rest::Kept(rest),
                Err(error) => Rest::Failed(error),
            };
            self.elsewhere.insert(coming, rest);
        }
        &mut self.connection
    }

    fn execute(
        &mut self,
        sql: &str,
        given: &Given<'_>,
        rows: &mut KeptRows,
    ) -> Result<Outcome, PostgresError> {
        self.free().execute(sql, given.for_server(), rows)
    }

    /// Reads rows that are coming, `step` of them at most; whether that was all.
    fn step(&mut self, step: usize, rows: &mut KeptRows) -> Result<Step, PostgresError> {
        let mut left = if step == 0 { usize::MAX } else { step };
        loop {
            let now = if step == 0 { left } else { left.min(ROWS_UNTIL_LOOKED_AT) };
            let stepped = self.connection.step(rows, now as u64)?;
            left -= now;
            if stepped != Step::More || left == 0 || rows.size_bytes() >= ENOUGH_BYTES {
                return Ok(stepped);
            }
        }
    }

    /// Runs a statement of the catalogue, whose rows are all texts, truth values and whole numbers.
    fn look_up(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Vec<Value<'static>>>, PostgresError> {
        let mut rows = KeptRows::default();
        self.free().execute(sql, values, &mut rows)?;
        let mut values = naja_sql::Values::default();
        Ok((0..rows.len())
            .map(|index| {
                rows.write_into(index, &mut values);
                values.take()
            })
            .collect())
    }

    /// Runs a text that may hold several statements.
    fn run_text(&mut self, sql: &str, rows: &mut KeptRows) -> Result<Outcome, PostgresError> {
        self.connection.run_text(sql, rows)
    }
}

/// Rows of values, for a statement that is run for each, or for a load.
pub(super) struct Chunks<'a> {
    pub(super) values: &'a [Value<'a>],
    pub(super) width: usize,
}

impl Source for Chunks<'_> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        if self.values.is_empty() {
            return false;
        }
        let (row, rest) = self.values.split_at(self.width.min(self.values.len()));
        self.values = rest;
        row.iter().for_each(|value| value.write_into(sink));
        true
    }
}

/// Several rows of values, each of its own.
pub(super) struct Each<I>(pub(super) I);

impl<'a, 'b: 'a, I: Iterator<Item = &'a Given<'b>>> Source for Each<I> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let row = self.0.next();
        row.into_iter().flat_map(Given::for_server).for_each(|value| value.write_into(sink));
        row.is_some()
    }
}

impl Link for PostgresLink {
    fn transaction(&self) -> Transaction {
        self.connection.transaction()
    }

    fn is_usable(&self) -> bool {
        self.connection.is_usable()
    }

    fn time_zone(&self) -> Option<String> {
        self.connection.setting("TimeZone").map(str::to_owned)
    }

    fn look(&mut self) -> bool {
        self.coming.is_some() || self.connection.look().is_ok()
    }

    fn begin(&mut self, _: Begin) -> Result<(), Fault> {
        Ok(self.free().script("BEGIN")?)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        Ok(self.free().script("COMMIT")?)
    }

    fn rollback(&mut self) {
        // Where it cannot be said, the server has seen the connection end, and undoes it by itself.
        let _ = self.free().script("ROLLBACK");
    }

    fn script(&mut self, text: &str) -> Result<(), Fault> {
        Ok(self.free().script(text)?)
    }

    fn run(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault> {
        let outcome = self.free().execute(sql, given.for_server(), &mut NoRows)?;
        Ok(number(outcome.affected))
    }

    fn run_each(&mut self, statements: &[(&str, Given<'_>)]) -> Result<(), Fault> {
        for alike in statements.chunk_by(|one, next| one.0 == next.0) {
            match alike {
                [(sql, given)] => {
                    self.run(sql, given)?;
                }
                [(sql, _), ..] => {
                    let each = alike.iter().map(|(_, given)| given);
                    self.free().execute_many(sql, &mut Each(each))?;
                }
                [] => {}
            }
        }
        Ok(())
    }

    fn define(&mut self, sql: &str) -> Result<(), Fault> {
        let is_open = self.transaction() == Transaction::Open;
        if is_open {
            self.free().script("SAVEPOINT naja_definition")?;
        }
        let done = self.free().script(sql);
        match done {
            Err(error) if is_there_already(&error, sql) => {
                if is_open {
                    self.free().script("ROLLBACK TO SAVEPOINT naja_definition")?;
                }
            }
            other => other?,
        }
        if is_open {
            self.free().script("RELEASE SAVEPOINT naja_definition")?;
        }
        Ok(())
    }

    fn insert(&mut self, sql: &str, given: &Given<'_>) -> Result<NewRow, Fault> {
        let mut rows = KeptRows::default();
        self.execute(sql, given, &mut rows)?;
        Ok(NewRow::Returned(rows))
    }

    fn insert_unless_changed(&mut self, sql: &str, given: &Given<'_>) -> Result<Option<NewRow>, Fault> {
        let mut rows = KeptRows::default();
        self.execute(sql, given, &mut rows)?;
        Ok((!rows.is_empty()).then_some(NewRow::Returned(rows)))
    }

    fn change_or_store_each(&mut self, rows: &[ChangeOrStore<'_>]) -> Result<(), Fault> {
        for alike in rows.chunk_by(|one, next| one.shown() == next.shown()) {
            match alike {
                [ChangeOrStore::One { sql, .. }, _, ..] => {
                    let given = alike.iter().filter_map(|row| match row {
                        ChangeOrStore::One { given, .. } => Some(given),
                        ChangeOrStore::Two { .. } => None,
                    });
                    self.free().execute_many(sql, &mut Each(given))?;
                }
                others => others.iter().try_for_each(|row| self.change_or_store(row).map(drop))?,
            }
        }
        Ok(())
    }

    fn rows_at_once(&self, _: usize) -> usize {
        usize::MAX
    }

    fn insert_rows(&mut self, rows: &NewRows<'_>) -> Result<(), Fault> {
        let mut source = Chunks { values: rows.values.for_server(), width: rows.columns.len() };
        if rows.is_plain && rows.len() >= ROWS_TO_COPY {
            self.free().copy_in(rows.schema, rows.table, rows.columns, rows.is_mixed, &mut source)?;
        } else {
            let sql = naja_db::tables::statement::insert(
                naja_db::tables::Dialect::Postgres,
                rows.quoted,
                rows.columns,
                1,
                None,
            );
            self.free().execute_many(&sql, &mut source)?;
        }
        Ok(())
    }

    fn count(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault> {
        let mut rows = KeptRows::default();
        self.execute(sql, given, &mut rows)?;
        Ok(rows.first_integer(0).unwrap_or(0))
    }

    fn prepare(&mut self, sql: &str) -> Result<(Reading, bool), Fault> {
        self.readings += 1;
        self.prepared = Some((self.readings, sql.to_owned()));
        Ok((Reading::Server(self.readings), !only_reads(sql)))
    }

    fn start(
        &mut self,
        reading: &Reading,
        given: &Given<'_>,
        wanted: Wanted,
        rows: &mut Fetched,
    ) -> Result<Started, Fault> {
        let (Reading::Server(id), Fetched::Server(rows)) = (reading, rows) else {
            return Ok(Started::default());
        };
        let Some((_, sql)) = self.prepared.take().filter(|(prepared, _)| prepared == id) else {
            return Ok(Started::default());
        };
        let values = given.for_server();
        let mut tell = |sink: &mut dyn Sink| values.iter().for_each(|value| value.write_into(sink));
        let names = |rows: &KeptRows| rows.columns().iter().map(|column| column.name.clone()).collect();
        if wanted.streamed && self.transaction() == Transaction::Open {
            let cursor = self.free().open_cursor(&sql, &mut tell)?;
            let step = u32::try_from(wanted.step).unwrap_or(0);
            let has_more = self.connection.fetch(&cursor, step, rows)?;
            if has_more {
                self.elsewhere.insert(*id, Rest::Cursor(cursor));
            } else {
                self.connection.close_cursor(cursor)?;
            }
            return Ok(Started { names: names(rows), has_more, changes: -1, row_id: None });
        }
        if let Err(error) = self.free().start(&sql, &mut tell) {
            if values.is_empty() && is_of_several_statements(&error) {
                let outcome = self.run_text(&sql, rows)?;
                return Ok(Started {
                    names: names(rows),
                    has_more: false,
                    changes: number(outcome.affected),
                    row_id: None,
                });
            }
            return Err(error.into());
        }
        // What writes is done at once and whole.
        let step = if only_reads(&sql) { wanted.step } else { 0 };
        let stepped = self.step(step, rows)?;
        let changes = match stepped {
            Step::Done(outcome) => number(outcome.affected),
            Step::More => -1,
        };
        if stepped == Step::More {
            self.coming = Some(*id);
        }
        Ok(Started { names: names(rows), has_more: stepped == Step::More, changes, row_id: None })
    }

    fn fetch(&mut self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault> {
        let (Reading::Server(id), Fetched::Server(rows)) = (reading, rows) else { return Ok(false) };
        rows.forget_rows();
        if self.coming == Some(*id) {
            // An error, and the end, leave the connection free.
            self.coming = None;
            let stepped = self.step(step, rows)?;
            self.coming = (stepped == Step::More).then_some(*id);
            return Ok(self.coming.is_some());
        }
        match self.elsewhere.remove(id) {
            Some(Rest::Kept(rest)) => {
                *rows = rest;
                Ok(false)
            }
            Some(Rest::Failed(error)) => Err(error.into()),
            Some(Rest::Cursor(cursor)) => {
                let step = u32::try_from(step).unwrap_or(0);
                let has_more = self.free().fetch(&cursor, step, rows)?;
                if has_more {
                    self.elsewhere.insert(*id, Rest::Cursor(cursor));
                } else {
                    self.connection.close_cursor(cursor)?;
                }
                Ok(has_more)
            }
            None => Ok(false),
        }
    }

    fn release(&mut self, reading: Reading) {
        let Reading::Server(id) = reading else { return };
        if self.coming == Some(id) {
            self.coming = None;
            // An error of a result that nobody wants is told by the state of its transaction.
            let _ = self.connection.abandon();
        }
        if let Some(Rest::Cursor(cursor)) = self.elsewhere.remove(&id)
            && self.transaction() == Transaction::Open
        {
            let _ = self.free().close_cursor(cursor);
        }
    }

    fn describe(&mut self, schema: Option<&str>, table: &str) -> Result<Option<Description>, Fault> {
        let found = self.look_up(DESCRIBE, &place(schema, table))?;
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

    fn indexes(&mut self, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        let found = self.look_up(INDEXES, &place(schema, table))?;
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

    fn list(&mut self, schema: Option<&str>, what: Listed) -> Result<Vec<String>, Fault> {
        let kinds = if what == Listed::Tables { "'r', 'p'" } else { "'v'" };
        let sql = format!(
            "SELECT c.relname::text FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ({kinds}) AND c.relpersistence != 't' \
             AND CASE WHEN $1::text IS NULL THEN pg_catalog.pg_table_is_visible(c.oid) \
             AND n.nspname != 'pg_catalog' ELSE n.nspname = $1::text END ORDER BY c.relname::text COLLATE \"C\""
        );
        let found = self.look_up(&sql, &[schema.map_or(Value::Null, Value::from)])?;
        Ok(found
            .into_iter()
            .filter_map(|cells| match cells.into_iter().next() {
                Some(Value::Text(name)) => Some(name.into_owned()),
                _ => None,
            })
            .collect())
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

fn place<'a>(schema: Option<&'a str>, table: &'a str) -> [Value<'a>; 2] {
    [schema.map_or(Value::Null, Value::from), Value::from(table)]
}

pub(super) fn number(affected: Option<u64>) -> i64 {
    affected.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)
}

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

/// Whether a statement only reads, so that nothing is lost when its rows are not all asked for. A function that it
/// calls may write; then what it does is undone with the rest.
pub(super) fn only_reads(sql: &str) -> bool {
    let mut words = words_of(sql);
    match words.next() {
        Some(word) if ["select", "values", "table"].iter().any(|one| word.eq_ignore_ascii_case(one)) => {
            !words.any(|word| word.eq_ignore_ascii_case("into"))
        }
        Some(word) if word.eq_ignore_ascii_case("with") => {
            let writing = ["insert", "update", "delete", "merge", "into"];
            !words.any(|word| writing.iter().any(|one| word.eq_ignore_ascii_case(one)))
        }
        _ => false,
    }
}

/// The words of a statement behind the comments that it begins with; those in texts and names are among them.
fn words_of(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    loop {
        rest = rest.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '(');
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            break;
        };
    }
    rest.split(|letter: char| !(letter.is_alphanumeric() || letter == '_')).filter(|word| !word.is_empty())
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

/// Several statements in one text cannot be prepared.
fn is_of_several_statements(error: &PostgresError) -> bool {
    error.server().is_some_and(|server| {
        server.sqlstate == "42601" && server.routine.as_deref() == Some("exec_parse_message")
    })
}

/// The name of an error's class, by the first two of its code's characters, as psycopg divides them.
pub(super) fn class_of(error: &PostgresError) -> &'static str {
    let code = error.sqlstate();
    match error {
        PostgresError::Server(server) if server.is_fatal() => return "OperationalError",
        PostgresError::Lost { .. }
        | PostgresError::TimedOut { .. }
        | PostgresError::Connect { .. }
        | PostgresError::ConnectTimedOut { .. }
        | PostgresError::Tls { .. }
        | PostgresError::Authentication { .. } => return "OperationalError",
        PostgresError::Misuse { .. } | PostgresError::ParameterCount { .. } => return "ProgrammingError",
        PostgresError::Protocol { .. } => return "InterfaceError",
        _ => {}
    }
    match code.get(..2).unwrap_or("") {
        "0A" => "NotSupportedError",
        "22" | "54" if error.server().is_none() => "DataError",
        "22" => "DataError",
        "23" => "IntegrityError",
        "24" | "25" | "2B" | "2D" | "XX" => "InternalError",
        "20" | "21" | "26" | "3D" | "3F" | "42" | "44" | "P0" => "ProgrammingError",
        "08" | "27" | "28" | "2F" | "34" | "38" | "39" | "3B" | "40" | "53" | "54" | "55" | "57" | "58"
        | "F0" | "HV" => "OperationalError",
        _ => "DatabaseError",
    }
}

/// What went wrong as a person reads it: the server's own words, and where it happened as far as it says so.
pub(super) fn shown(error: &PostgresError) -> String {
    let PostgresError::Server(server) = error else {
        let mut text = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(why) = cause {
            text.push_str(": ");
            text.push_str(&why.to_string());
            cause = why.source();
        }
        return text;
    };
    let mut text = server.message.clone();
    let mut add = |what: &str, name: &Option<String>| {
        if let Some(name) = name.as_ref().filter(|name| !server.message.contains(name.as_str())) {
            text.push_str(&format!(" ({what} `{name}`)"));
        }
    };
    add("table", &server.table);
    add("column", &server.column);
    if let Some(row) = server.row {
        text.push_str(&format!(" (row {})", row + 1));
    }
    for (what, more) in [("DETAIL", &server.detail), ("HINT", &server.hint)] {
        if let Some(more) = more {
            text.push_str(&format!("\n{what}: {more}"));
        }
    }
    // Of a load, the line and the column.
    if let Some(line) =
        server.context.as_deref().and_then(|context| context.lines().find(|line| line.starts_with("COPY ")))
    {
        text.push_str(&format!("\nCONTEXT: {line}"));
    }
    text
}
