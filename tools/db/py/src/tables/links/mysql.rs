//! MySQL and MariaDB: what a connection to their servers does in its own way.
//!
//! What changes a table commits, as the server has it: the transaction of the program goes on behind it as a new one.

use std::ops::ControlFlow;

use naja_db::tables::{Dialect, Kind};
use naja_sql::mysql::{MySqlError, Protocol, ServerError};
use naja_sql::{KeptRows, Rows, Sink, Transaction, Value};

use super::server::{Said, Server, ServerLink, place};
use super::{Column, Description, Fault, Index, Limit, Link as _, Listed};

const DAY_US: i64 = 86_400_000_000;

/// A connection to a server.
pub(super) type MySqlLink = ServerLink<Protocol>;

/// What a table makes of a value beyond what the server says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
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

impl Server for Protocol {
    const DIALECT: Dialect = Dialect::Mysql;
    const TLS_OF_LIBPQ: bool = false;
    const RETURNS_KEYS: bool = false;
    /// The server would keep the whole of it.
    const LEAVES_RESULTS: bool = false;
    const CHANGES_MANY: bool = false;

    type Known = Vec<Nature>;

    fn keep<T>(rows: &mut KeptRows, natures: &mut Vec<Nature>, read: impl FnOnce(&mut dyn Rows) -> T) -> T {
        let mut rows = TableRows { rows, natures: std::mem::take(natures), place: 0 };
        let done = read(&mut rows);
        *natures = rows.natures;
        done
    }

    fn is_of_several(_: &ServerError) -> bool {
        false
    }

    fn define(link: &mut MySqlLink, sql: &str) -> Result<(), Fault> {
        let was_open = link.transaction() == Transaction::Open;
        let done = link.free().script(sql);
        if was_open && link.is_usable() && link.transaction() == Transaction::None {
            link.free().script("BEGIN")?;
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

    fn describe(
        link: &mut MySqlLink,
        schema: Option<&str>,
        table: &str,
    ) -> Result<Option<Description>, Fault> {
        let is_json = if link.connection.is_mariadb() { IS_JSON_OF_MARIADB } else { "0" };
        let sql = format!("{DESCRIBE}, {is_json} FROM {DESCRIBED}");
        let pairs = sql.matches('?').count() / 2;
        let values: Vec<Value<'_>> = (0..pairs).flat_map(|_| place(schema, table)).collect();
        let found = link.look_up(&sql, &values)?;
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

    fn indexes(link: &mut MySqlLink, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        let found = link.look_up(INDEXES, &place(schema, table))?;
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

    fn list(what: Listed) -> String {
        let kind = if what == Listed::Tables { "BASE TABLE" } else { "VIEW" };
        format!(
            "SELECT CAST(table_name AS CHAR) FROM information_schema.tables \
             WHERE table_schema = coalesce(?, database()) AND table_type = '{kind}' ORDER BY binary table_name"
        )
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

impl Said for ServerError {
    fn fault(error: MySqlError) -> Fault {
        Fault::Mysql(error)
    }

    /// By its number.
    fn class(&self) -> &'static str {
        match self.code {
            1048 | 1062 | 1215 | 1216 | 1217 | 1451 | 1452 => "IntegrityError",
            1007 | 1064 | 1102 | 1103 | 1110..=1113 | 1146 | 1149 | 1166 | 1179 => "ProgrammingError",
            1171 | 1230 | 1263..=1265 | 1366 | 1367 | 1406 | 1441 => "DataError",
            1196 | 1235 | 1286 | 1289 => "NotSupportedError",
            0..=999 => "InternalError",
            _ => "OperationalError",
        }
    }

    fn shown(&self) -> String {
        self.to_string()
    }
}
