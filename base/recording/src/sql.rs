//! Asks a recording in SQL, without ever changing it or holding up its writer.
//!
//! Beside the plain tables there are `samples`, `stacks` and `stack_frames`, unpacked while they are read.
//! An authorizer lets a statement read and call functions, and nothing else. Start at [`Database::query`].

use std::borrow::Cow;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Statement, ffi};

use crate::error::RecordingError;
use crate::schema;
use crate::virtual_tables;

/// The tables that can be asked, each with its columns: what `naja sql` shows when a name is wrong.
pub const TABLES: [(&str, &str); 10] = [
    (
        "samples",
        "tick, time_s, pid, process, thread, os_tid, thread_name, state, gil, gc, stack, function, file, line",
    ),
    ("stacks", "id, parent, function, file, line, depth, function_id"),
    ("stack_frames", "stack, level, node, function, file, line"),
    (
        "processes",
        "id, pid, parent, command, first_tick, last_tick, interpreter, unobserved, user_ns, system_ns, \
         peak_rss_bytes, ending, ending_code",
    ),
    ("threads", "id, process, pid, os_tid, name, interpreter"),
    ("functions", "id, name, qualified_name, file, first_line, kind"),
    ("metrics", "tick, time_s, process, pid, cpu_s, rss_bytes"),
    (
        "allocations",
        "place, process, pid, thread, os_tid, allocator, stack, function, file, line, given_blocks, given_bytes, \
         now_blocks, now_bytes, peak_blocks, peak_bytes, temporary_blocks, temporary_bytes",
    ),
    ("meta", "key, value"),
    ("report", "json"),
];

/// Plain forms of tables whose stored form is compact. A temporary view comes before a table of its name.
const VIEWS: &str = "
CREATE TEMP VIEW threads AS
    SELECT t.id, t.process, p.pid, t.os_tid, t.name, t.interpreter
    FROM main.threads t LEFT JOIN main.processes p ON p.id = t.process;
CREATE TEMP VIEW functions AS
    SELECT f.id, f.name, f.qualified_name, files.name AS file, f.first_line,
           CASE {kind} WHEN 1 THEN 'native' WHEN 2 THEN 'task' ELSE 'python' END AS kind
    FROM main.functions f LEFT JOIN main.files files ON files.id = f.file;
CREATE TEMP VIEW metrics AS
    SELECT m.tick, m.tick * (SELECT value FROM main.meta WHERE key = 'interval_ns') / 1e9 AS time_s,
           m.process, p.pid, m.cpu_ns / 1e9 AS cpu_s, m.rss_bytes
    FROM main.metrics m LEFT JOIN main.processes p ON p.id = m.process;
";

/// The same of allocations, where there are any.
const ALLOCATIONS: &str = "
CREATE TEMP VIEW allocations AS
    SELECT p.id AS place, p.process, o.pid, p.thread, h.os_tid,
           CASE p.allocator WHEN 1 THEN 'malloc' WHEN 3 THEN 'calloc' WHEN 4 THEN 'realloc'
               WHEN 5 THEN 'posix_memalign' WHEN 6 THEN 'aligned_alloc' WHEN 7 THEN 'memalign' WHEN 8 THEN 'valloc'
               WHEN 9 THEN 'pvalloc' WHEN 10 THEN 'mmap' WHEN 12 THEN 'pymalloc_malloc'
               WHEN 13 THEN 'pymalloc_calloc' WHEN 14 THEN 'pymalloc_realloc' ELSE p.allocator END AS allocator,
           p.node AS stack, s.function, s.file, s.line, t.given_blocks, t.given_bytes, t.now_blocks, t.now_bytes,
           CASE WHEN t.peak = g.peaks THEN t.peak_blocks ELSE t.now_blocks END AS peak_blocks,
           CASE WHEN t.peak = g.peaks THEN t.peak_bytes ELSE t.now_bytes END AS peak_bytes,
           t.temporary_blocks, t.temporary_bytes
    FROM main.allocation_places p
    JOIN main.allocation_tallies t ON t.place = p.id
    CROSS JOIN (SELECT (SELECT value FROM main.meta WHERE key = 'allocation_peaks') AS peaks) g
    LEFT JOIN main.processes o ON o.id = p.process
    LEFT JOIN main.threads h ON h.id = p.thread
    LEFT JOIN stacks s ON s.id = p.node;
";

/// Else there is nothing in it.
const NO_ALLOCATIONS: &str = "
CREATE TEMP VIEW allocations AS
    SELECT NULL AS place, NULL AS process, NULL AS pid, NULL AS thread, NULL AS os_tid, NULL AS allocator, NULL AS stack,
           NULL AS function, NULL AS file, NULL AS line, NULL AS given_blocks, NULL AS given_bytes, NULL AS now_blocks,
           NULL AS now_bytes, NULL AS peak_blocks, NULL AS peak_bytes, NULL AS temporary_blocks, NULL AS temporary_bytes
    WHERE 0;
";

/// A value of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'r> {
    /// No value.
    Null,
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Real(f64),
    /// Text; bytes that are no text are replaced.
    Text(Cow<'r, str>),
    /// Bytes.
    Blob(&'r [u8]),
}

/// Takes an answer as it comes. An error that it returns ends the query.
pub trait Rows {
    /// The names of the columns: once, first.
    fn columns(&mut self, names: &[&str]) -> io::Result<()>;
    /// One row: as many values as there are columns.
    fn row(&mut self, values: &[Value<'_>]) -> io::Result<()>;
}

/// A recording that can be asked in SQL.
pub struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens a recording, or a history of tests. One that is being written is asked as it is at this moment.
    ///
    /// Errors: as [`crate::Reader::open`].
    pub fn open(path: &Path) -> Result<Database, RecordingError> {
        if schema::looks_like_test_history(path) {
            let mut connection = schema::open_file(path)?;
            let set_up = connection.authorizer(Some(authorize));
            set_up.map_err(|error| RecordingError::sqlite("read", path, error))?;
            return Ok(Database { connection, path: path.to_owned() });
        }
        let opened = schema::open(path)?;
        let mut connection = opened.connection;
        let set_up = (|| {
            virtual_tables::register(&connection, opened.again)?;
            let has_kind = connection.query_row(schema::FUNCTIONS_HAVE_A_KIND, [], |row| row.get(0))?;
            connection.execute_batch(&VIEWS.replace("{kind}", if has_kind { "f.kind" } else { "0" }))?;
            let has_allocations = connection.query_row(schema::HAS_ALLOCATIONS, [], |row| row.get(0))?;
            connection.execute_batch(if has_allocations { ALLOCATIONS } else { NO_ALLOCATIONS })?;
            connection.authorizer(Some(authorize))
        })();
        set_up.map_err(|error| RecordingError::sqlite("read", path, error))?;
        Ok(Database { connection, path: path.to_owned() })
    }

    /// Runs one statement that reads, and gives its rows as they are found.
    ///
    /// Errors: [`RecordingError::Query`] with SQLite's words, [`RecordingError::QueryWrites`],
    ///         [`RecordingError::Output`] when `rows` failed.
    /// Cost:   memory for one row, besides what SQLite needs to sort or group.
    pub fn query(&self, sql: &str, rows: &mut dyn Rows) -> Result<(), RecordingError> {
        let mut statement = self.prepare(sql)?;
        let names: Vec<String> = statement.column_names().map(|name| name.to_owned()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        rows.columns(&names).map_err(RecordingError::Output)?;
        let mut found = statement.query([]).map_err(|error| self.failed(error))?;
        while let Some(row) = found.next().map_err(|error| self.failed(error))? {
            let mut values = Vec::with_capacity(names.len());
            for index in 0..names.len() {
                let value = row.get_ref(index).map_err(|error| self.failed(error))?;
                values.push(match value {
                    ValueRef::Null => Value::Null,
                    ValueRef::Integer(value) => Value::Integer(value),
                    ValueRef::Real(value) => Value::Real(value),
                    ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes)),
                    ValueRef::Blob(bytes) => Value::Blob(bytes),
                });
            }
            rows.row(&values).map_err(RecordingError::Output)?;
        }
        Ok(())
    }

    fn prepare<'d>(&'d self, sql: &str) -> Result<Statement<'d>, RecordingError> {
        let query = |message: &str, hint: &str| RecordingError::Query {
            message: message.to_owned(),
            hint: Some(hint.to_owned()),
        };
        let mut statements = Batch::new(&self.connection, sql);
        let first = statements.next().map_err(|error| self.failed(error))?;
        let Some(statement) = first else {
            return Err(query("there is no statement", "ask for example `select * from meta`"));
        };
        // One that cannot be prepared is a second statement too.
        if !matches!(statements.next(), Ok(None)) {
            return Err(query("there is more than one statement", "ask one at a time"));
        }
        if !statement.readonly() {
            return Err(RecordingError::QueryWrites);
        }
        Ok(statement)
    }

    fn failed(&self, error: rusqlite::Error) -> RecordingError {
        use rusqlite::Error::{ModuleError, SqlInputError, SqliteFailure};
        let code = error.sqlite_error().map(|error| error.extended_code & 0xff);
        let message = match error {
            SqlInputError { msg, .. } => msg,
            SqliteFailure(_, Some(message)) | ModuleError(message) => message,
            other => return RecordingError::sqlite("read", &self.path, other),
        };
        match code {
            Some(ffi::SQLITE_AUTH) => RecordingError::QueryWrites,
            Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_IOERR) => {
                RecordingError::Damaged { path: self.path.clone(), what: message }
            }
            _ => RecordingError::Query { hint: hint(&message), message },
        }
    }
}

/// Only what reads is allowed.
fn authorize(context: AuthContext<'_>) -> Authorization {
    match context.action {
        AuthAction::Select
        | AuthAction::Read { .. }
        | AuthAction::Function { .. }
        | AuthAction::Recursive => Authorization::Allow,
        AuthAction::Pragma { pragma_name, .. }
            if ["table_info", "table_xinfo", "table_list"].contains(&pragma_name) =>
        {
            Authorization::Allow
        }
        _ => Authorization::Deny,
    }
}

/// What there is, when a name is wrong.
fn hint(message: &str) -> Option<String> {
    let wrong_name = message.starts_with("no such table") || message.starts_with("no such column");
    wrong_name.then(|| {
        let tables = TABLES.map(|(name, columns)| format!("\n    {name} ({columns})"));
        format!("the tables and their columns are:{}", tables.concat())
    })
}
