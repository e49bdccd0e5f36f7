//! MySQL and MariaDB: a connection to a server.
//!
//! Rows of a result come over the connection while they are asked for. Whoever asks for something else meanwhile has
//! the rest of them read into memory first, so that results never disturb each other. What changes a table commits, as
//! the server has it: the transaction of the program goes on behind it as a new one.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use naja_db::tables::{Dialect, Kind, statement};
use naja_sql::mysql::{Connection, MySqlError, Options, Step};
use naja_sql::{KeptRows, NoRows, Outcome, Rows, Sink, Transaction, Value};

use super::postgres::{Chunks, Each, number, only_reads};
use super::{
    Begin, Column, Description, Fault, Fetched, Given, Index, Limit, Link, Listed, NewRow, NewRows, Reading,
    Started, Wanted,
};
use crate::tls::PythonTls;

/// So much text ends a batch of rows early, whatever number of rows was asked for.
const ENOUGH_BYTES: usize = 4 << 20;

/// Rows that are read before their size is looked at.
const ROWS_UNTIL_LOOKED_AT: usize = 64;

const DAY_US: i64 = 86_400_000_000;

/// A connection to a server.
pub(super) struct MySqlLink {
    connection: Connection,
    /// How many readings there were, which numbers them.
    readings: u64,
    prepared: Option<(u64, String)>,
    /// The reading whose rows are coming.
    coming: Option<(u64, Vec<Nature>)>,
    /// The rest of results, read since somebody else used the connection.
    kept: HashMap<u64, Result<KeptRows, MySqlError>>,
}

impl MySqlLink {
    pub(super) fn open(options: &Options, is_interrupted: fn() -> bool) -> Result<MySqlLink, MySqlError> {
        let mut connection = Connection::open(options, Some(Arc::new(PythonTls { is_of_libpq: false })))?;
        connection.set_interrupt_check(Some(Box::new(is_interrupted)));
        Ok(MySqlLink { connection, readings: 0, prepared: None, coming: None, kept: HashMap::new() })
    }

    /// The connection, free for another statement.
    fn free(&mut self) -> &mut Connection {
        if let Some((coming, natures)) = self.coming.take() {
            let mut rest = KeptRows::default();
            let mut rows = TableRows { rows: &mut rest, natures, place: 0 };
            let stepped = self.connection.step(&mut rows, u64::MAX);
            self.kept.insert(coming, stepped.map(|_| rest));
        }
        &mut self.connection
    }

    fn execute(&mut self, sql: &str, given: &Given<'_>, rows: &mut KeptRows) -> Result<Outcome, MySqlError> {
        let mut rows = TableRows { rows, natures: Vec::new(), place: 0 };
        self.free().execute(sql, given.for_server(), &mut rows)
    }

    /// Reads rows that are coming, `step` of them at most; whether that was all.
    fn step(&mut self, step: usize, rows: &mut TableRows<'_>) -> Result<Step, MySqlError> {
        let mut left = if step == 0 { usize::MAX } else { step };
        loop {
            let now = if step == 0 { left } else { left.min(ROWS_UNTIL_LOOKED_AT) };
            let stepped = self.connection.step(rows, now as u64)?;
            left -= now;
            if stepped != Step::More || left == 0 || rows.rows.size_bytes() >= ENOUGH_BYTES {
                return Ok(stepped);
            }
        }
    }

    /// Runs a statement of the catalogue.
    fn look_up(&mut self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Vec<Value<'static>>>, MySqlError> {
        let mut table = naja_sql::Table::default();
        self.free().execute(sql, values, &mut table)?;
        Ok(table.rows)
    }
}

/// What a table makes of a value beyond what the server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Nature {
    /// BOOLEAN, which is a number to the server.
    Truth,
    /// TIME, which is a stretch of time to the server.
    Time,
    Other,
}

/// Keeps rows as tables have them.
struct TableRows<'a> {
    rows: &'a mut KeptRows,
    natures: Vec<Nature>,
    /// Which column comes next.
    place: usize,
}

impl TableRows<'_> {
    fn next(&mut self) -> Nature {
        self.place += 1;
        self.natures.get(self.place - 1).copied().unwrap_or(Nature::Other)
    }
}

impl Rows for TableRows<'_> {
    fn columns(&mut self, columns: &[naja_sql::Column]) {
        self.natures = columns
            .iter()
            .map(|column| match column.type_name.as_str() {
                "tinyint(1)" => Nature::Truth,
                "time" => Nature::Time,
                _ => Nature::Other,
            })
            .collect();
        self.rows.columns(columns);
    }

    fn row(&mut self) -> ControlFlow<()> {
        self.place = 0;
        self.rows.row()
    }
}

/// Calls that are handed on as they are.
macro_rules! hand_on {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(fn $name(&mut self, $($argument: $kind),*) {
            self.next();
            self.rows.$name($($argument),*);
        })*
    };
}

impl Sink for TableRows<'_> {
    hand_on! {
        null();
        boolean(value: bool);
        unsigned(value: u64);
        real(value: f64);
        decimal(digits: &str);
        text(text: &str);
        json(text: &str);
        bytes(bytes: &[u8]);
        date(year: i32, month: u8, day: u8);
        time(hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>);
        moment(microseconds: i64, offset_s: Option<i32>);
        uuid(bytes: [u8; 16]);
        array(length: usize);
        infinite(positive: bool);
    }

    fn integer(&mut self, value: i64) {
        match (self.next(), value) {
            (Nature::Truth, 0 | 1) => self.rows.boolean(value == 1),
            _ => self.rows.integer(value),
        }
    }

    fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        if self.next() == Nature::Time && (0..DAY_US).contains(&microseconds) {
            let seconds = microseconds / 1_000_000;
            // Below a day, as was just checked.
            let (hour, minute, second) =
                ((seconds / 3600) as u8, (seconds / 60 % 60) as u8, (seconds % 60) as u8);
            self.rows.time(hour, minute, second, (microseconds % 1_000_000) as u32, None);
        } else {
            self.rows.interval(months, days, microseconds);
        }
    }
}

impl Link for MySqlLink {
    fn transaction(&self) -> Transaction {
        self.connection.transaction()
    }

    fn is_usable(&self) -> bool {
        self.connection.is_usable()
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
        let was_open = self.transaction() == Transaction::Open;
        let done = self.free().script(sql);
        if was_open && self.is_usable() && self.transaction() == Transaction::None {
            self.free().script("BEGIN")?;
        }
        match done {
            // Somebody else has made the same table or column meanwhile, or an index that has its name from us.
            Err(MySqlError::Server(error)) if matches!(error.code, 1050 | 1060) => Ok(()),
            Err(MySqlError::Server(error))
                if error.code == 1061 && (sql.contains(" INDEX `ix_") || sql.contains(" INDEX `ux_")) =>
            {
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn insert(&mut self, sql: &str, given: &Given<'_>) -> Result<NewRow, Fault> {
        let outcome = self.execute(sql, given, &mut KeptRows::default())?;
        Ok(NewRow::Id(outcome.inserted_id.unwrap_or(0)))
    }

    fn insert_unless_changed(&mut self, sql: &str, given: &Given<'_>) -> Result<Option<NewRow>, Fault> {
        self.insert(sql, given).map(Some)
    }

    fn rows_at_once(&self, _: usize) -> usize {
        usize::MAX
    }

    fn insert_rows(&mut self, rows: &NewRows<'_>) -> Result<(), Fault> {
        let sql = statement::insert(Dialect::Mysql, rows.quoted, rows.columns, 1, None);
        let mut source = Chunks { values: rows.values.for_server(), width: rows.columns.len() };
        self.free().execute_many(&sql, &mut source)?;
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
        self.free().start(&sql, &mut |sink| values.iter().for_each(|value| value.write_into(sink)))?;
        // What writes is done at once and whole.
        let step = if only_reads(&sql) { wanted.step } else { 0 };
        let mut read = TableRows { rows, natures: Vec::new(), place: 0 };
        let stepped = self.step(step, &mut read)?;
        let natures = std::mem::take(&mut read.natures);
        let (changes, row_id) = match stepped {
            Step::Done(outcome) => (number(outcome.affected), outcome.inserted_id),
            Step::More => (-1, None),
        };
        let names = KeptRows::columns(rows).iter().map(|column| column.name.clone()).collect();
        let has_more = stepped == Step::More;
        self.coming = has_more.then_some((*id, natures));
        Ok(Started { names, has_more, changes, row_id })
    }

    fn fetch(&mut self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault> {
        let (Reading::Server(id), Fetched::Server(rows)) = (reading, rows) else { return Ok(false) };
        rows.forget_rows();
        if let Some((_, natures)) = self.coming.take_if(|(coming, _)| coming == id) {
            // An error, and the end, leave the connection free.
            let mut read = TableRows { rows, natures, place: 0 };
            let stepped = self.step(step, &mut read)?;
            let natures = std::mem::take(&mut read.natures);
            self.coming = (stepped == Step::More).then_some((*id, natures));
            return Ok(stepped == Step::More);
        }
        if let Some(rest) = self.kept.remove(id) {
            *rows = rest?;
        }
        Ok(false)
    }

    fn release(&mut self, reading: Reading) {
        let Reading::Server(id) = reading else { return };
        if self.coming.take_if(|(coming, _)| *coming == id).is_some() {
            // An error of a result that nobody wants is nobody's.
            let _ = self.connection.abandon();
        }
        self.kept.remove(&id);
    }

    fn describe(&mut self, schema: Option<&str>, table: &str) -> Result<Option<Description>, Fault> {
        let is_json = if self.connection.is_mariadb() { IS_JSON_OF_MARIADB } else { "0" };
        let sql = format!("{DESCRIBE}, {is_json} FROM {DESCRIBED}");
        let pairs = sql.matches('?').count() / 2;
        let values: Vec<Value<'_>> = (0..pairs).flat_map(|_| place(schema, table)).collect();
        let found = self.look_up(&sql, &values)?;
        let mut description = None;
        for cells in found {
            let [
                Value::Text(name),
                Value::Text(declared),
                Value::Text(base),
                is_required,
                counts_up,
                key_place,
                has_triggers,
                length,
                is_json,
            ] = cells.as_slice()
            else {
                continue;
            };
            let holds = |value: &Value<'_>| matches!(value, Value::Integer(1));
            let description = description.get_or_insert_with(|| Description {
                columns: Vec::new(),
                is_plain: !holds(has_triggers),
                has_triggers: holds(has_triggers),
            });
            let kind = if holds(is_json) { Kind::Json } else { kind_of(base, declared) };
            description.columns.push(Column {
                name: name.to_string(),
                kind,
                limit: limit_of(base, declared, length, kind),
                declared: declared.to_string(),
                key_place: if let Value::Integer(place) = key_place { *place } else { 0 },
                is_required: holds(is_required),
                counts_up: holds(counts_up),
            });
        }
        Ok(description)
    }

    fn indexes(&mut self, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        let found = self.look_up(INDEXES, &place(schema, table))?;
        let mut indexes: Vec<(String, Index)> = Vec::new();
        for cells in found {
            let [Value::Text(name), is_unique, Value::Text(column)] = cells.as_slice() else { continue };
            let is_unique = *is_unique == Value::Integer(1);
            if indexes.last().is_none_or(|(last, _)| last != name) {
                indexes.push((name.to_string(), Index { is_unique, columns: Vec::new() }));
            }
            if let Some((_, index)) = indexes.last_mut() {
                // Of the beginnings of texts two rows may have the same.
                index.is_unique &= is_unique;
                index.columns.push(column.to_string());
            }
        }
        Ok(indexes.into_iter().map(|(_, index)| index).collect())
    }

    fn list(&mut self, schema: Option<&str>, what: Listed) -> Result<Vec<String>, Fault> {
        let kind = if what == Listed::Tables { "BASE TABLE" } else { "VIEW" };
        let sql = "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
                   WHERE table_schema = coalesce(?, database()) AND table_type = ? ORDER BY binary table_name";
        let found = self.look_up(sql, &[schema.map_or(Value::Null, Value::from), kind.into()])?;
        Ok(found
            .into_iter()
            .filter_map(|cells| match cells.into_iter().next() {
                Some(Value::Text(name)) => Some(name.into_owned()),
                _ => None,
            })
            .collect())
    }
}

/// Parameters are the schema, or NULL for the one that is used, and the table, once for each part that asks for them: what is
/// told of the columns in another way has the server look into every table that there is.
const DESCRIBE: &str = "\
SELECT c.column_name, CAST(c.column_type AS CHAR), CAST(c.data_type AS CHAR), \
  CAST(c.is_nullable = 'NO' AND c.column_default IS NULL AND c.extra NOT LIKE '%auto_increment%' AS SIGNED), \
  CAST(c.extra LIKE '%auto_increment%' AS SIGNED), \
  CAST(coalesce((SELECT s.seq_in_index FROM information_schema.statistics s WHERE s.table_schema = coalesce(?, database()) \
    AND s.table_name = ? AND s.index_name = 'PRIMARY' AND s.column_name = c.column_name), 0) AS SIGNED), \
  EXISTS (SELECT 1 FROM information_schema.triggers t WHERE t.event_object_schema = coalesce(?, database()) \
    AND t.event_object_table = ?), \
  CAST(c.character_maximum_length AS SIGNED)";

const DESCRIBED: &str = "\
information_schema.columns c WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ? \
ORDER BY c.ordinal_position";

/// JSON is a text there, whose name says no more than that, and a rule.
const IS_JSON_OF_MARIADB: &str = "\
EXISTS (SELECT 1 FROM information_schema.check_constraints k WHERE k.constraint_schema = coalesce(?, database()) \
  AND k.table_name = ? AND k.constraint_name = c.column_name AND k.check_clause LIKE 'json_valid(%')";

const INDEXES: &str = "\
SELECT index_name, CAST(non_unique = 0 AND sub_part IS NULL AS SIGNED), column_name \
FROM information_schema.statistics WHERE table_schema = coalesce(?, database()) AND table_name = ? \
ORDER BY index_name, seq_in_index";

fn place<'a>(schema: Option<&'a str>, table: &'a str) -> [Value<'a>; 2] {
    [schema.map_or(Value::Null, Value::from), Value::from(table)]
}

/// What a column of a type is made of, by the type's name and all that it was declared with.
fn kind_of(base: &str, declared: &str) -> Kind {
    match base {
        "tinyint" if declared == "tinyint(1)" => Kind::Boolean,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "year" => Kind::Integer,
        "float" | "double" => Kind::Float,
        "decimal" => Kind::Decimal(None),
        "date" => Kind::Date,
        "datetime" | "timestamp" => Kind::DateTime,
        "time" => Kind::Time,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Kind::Text,
        "json" => Kind::Json,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Kind::Bytes,
        _ => Kind::Any,
    }
}

fn limit_of(base: &str, declared: &str, length: &Value<'_>, kind: Kind) -> Limit {
    let signed = !declared.contains("unsigned");
    match base {
        "tinyint" if signed && kind == Kind::Integer => Limit::Bits(8),
        "smallint" if signed => Limit::Bits(16),
        "mediumint" if signed => Limit::Bits(24),
        "int" if signed => Limit::Bits(32),
        "bigint" if signed => Limit::Bits(64),
        "char" | "varchar" => match length {
            Value::Integer(length) => usize::try_from(*length).map_or(Limit::None, Limit::Characters),
            _ => Limit::None,
        },
        _ => Limit::None,
    }
}

/// The name of an error's class, by its number, as the drivers of Python divide them.
pub(super) fn class_of(error: &MySqlError) -> &'static str {
    let server = match error {
        MySqlError::Server(server) => server,
        MySqlError::Lost { .. }
        | MySqlError::TimedOut { .. }
        | MySqlError::Connect { .. }
        | MySqlError::ConnectTimedOut { .. }
        | MySqlError::Tls { .. }
        | MySqlError::Interrupted
        | MySqlError::Authentication { .. } => return "OperationalError",
        MySqlError::Misuse { .. } | MySqlError::ParameterCount { .. } => return "ProgrammingError",
        MySqlError::Protocol { .. } => return "InterfaceError",
        MySqlError::Parameter { .. } | MySqlError::Value { .. } | MySqlError::Unsendable { .. } => {
            return "DataError";
        }
        _ => return "DatabaseError",
    };
    match server.code {
        1048 | 1062 | 1215 | 1216 | 1217 | 1451 | 1452 => "IntegrityError",
        1007 | 1064 | 1102 | 1103 | 1110..=1113 | 1146 | 1149 | 1166 | 1179 => "ProgrammingError",
        1171 | 1230 | 1263..=1265 | 1366 | 1367 | 1406 | 1441 => "DataError",
        1196 | 1235 | 1286 | 1289 => "NotSupportedError",
        0..=999 => "InternalError",
        _ => "OperationalError",
    }
}

/// What went wrong as a person reads it: the server's own words, and the system's where it was not the server.
pub(super) fn shown(error: &MySqlError) -> String {
    if let MySqlError::Server(server) = error {
        return server.to_string();
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(why) = cause {
        text.push_str(": ");
        text.push_str(&why.to_string());
        cause = why.source();
    }
    text
}
