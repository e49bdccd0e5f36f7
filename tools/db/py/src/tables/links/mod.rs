//! What tables need of a connection, whatever its engine: one file for each engine behind one interface.
//!
//! A link is used by one thread at a time, and never while that thread holds the interpreter. An engine that comes
//! gets a file here that implements [`Link`], or [`server::Server`] where it has a server, a line in [`Place`], and one in `python/naja/dataset/_url.py`. Start at
//! [`Link`].

mod mysql;
mod postgres;
mod server;
mod sqlite;

use std::fmt;
use std::time::Duration;

use naja_db::tables::{Dialect, Kind};
use naja_sql::mysql::MySqlError;
use naja_sql::postgres::{Options, PostgresError};
use naja_sql::sqlite::{Definition, Library, StatementId};
use naja_sql::{KeptRows, Transaction};

use super::values::Taken;

/// Where a database is, and how it is opened.
pub(crate) enum Place {
    /// A file, or memory.
    Sqlite { library: &'static Library, name: String, how: naja_sql::sqlite::How },
    /// A server, and the schema that tables are looked for in where the program names none.
    Postgres { options: Box<Options> },
    /// A server, and the database that tables are looked for in where the program names none.
    Mysql { options: Box<naja_sql::mysql::Options> },
}

impl Place {
    /// The SQL that is spoken there.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Place::Sqlite { .. } => Dialect::Sqlite,
            Place::Postgres { .. } => Dialect::Postgres,
            Place::Mysql { .. } => Dialect::Mysql,
        }
    }

    /// Whether the database ends with its connection.
    pub(crate) fn is_in_memory(&self) -> bool {
        match self {
            Place::Sqlite { name, how, .. } => {
                name.is_empty() || name == ":memory:" || (how.as_uri && name.contains("mode=memory"))
            }
            Place::Postgres { .. } | Place::Mysql { .. } => false,
        }
    }

    /// A new connection; `is_interrupted` is asked now and then while a statement runs, and ends it.
    pub(crate) fn open(&self, is_interrupted: fn() -> bool) -> Result<Box<dyn Link>, Fault> {
        Ok(match self {
            Place::Sqlite { library, name, how } => {
                let how = naja_sql::sqlite::How { is_to_end: Some(is_interrupted), ..*how };
                Box::new(sqlite::SqliteLink::open(library, name, how)?)
            }
            Place::Postgres { options } => Box::new(postgres::PostgresLink::open(options, is_interrupted)?),
            Place::Mysql { options } => Box::new(mysql::MySqlLink::open(options, is_interrupted)?),
        })
    }
}

/// How a transaction is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// To write: where an engine has one lock for all, it is waited for here and not in the middle.
    Writing,
    /// When something is written.
    Deferred,
}

/// How many rows of a result are wanted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// So many at a time; 0 for all of them before anything else is done.
    pub(crate) step: usize,
    /// The rest stays in the database even while other statements run, where the engine is able to.
    pub(crate) streamed: bool,
}

impl Wanted {
    /// All rows at once.
    pub(crate) const ALL: Wanted = Wanted { step: 0, streamed: false };
}

/// A statement whose rows are read; it is given back by [`Link::release`].
#[derive(Debug)]
pub(crate) enum Reading {
    Sqlite(StatementId),
    /// By its number in its link.
    Server(u64),
}

/// What came of starting a statement.
#[derive(Debug, Default)]
pub(crate) struct Started {
    /// The names of the columns, none for a statement without rows.
    pub(crate) names: Vec<String>,
    /// Not all rows were read.
    pub(crate) has_more: bool,
    /// How many rows it changed, or gave; -1 where it only reads or counts nothing.
    pub(crate) changes: i64,
    /// The number of the last row that was inserted, of engines that number rows.
    pub(crate) row_id: Option<i64>,
}

/// Of a row that was stored, how its primary key is known.
pub(crate) enum NewRow {
    /// By the number that the engine gave it.
    Id(i64),
    /// By the value that the statement returned, where it returned one.
    Returned(KeptRows),
}

/// Rows that are stored by as few statements as the engine takes.
pub(crate) struct NewRows<'a> {
    pub(crate) schema: Option<&'a str>,
    pub(crate) table: &'a str,
    /// The table in quotes, with its schema.
    pub(crate) quoted: &'a str,
    /// The columns, in the order of the values.
    pub(crate) columns: &'a [&'a str],
    /// Nothing but the rows themselves happens when they are stored: no rules and no policies apply to the table.
    pub(crate) is_plain: bool,
    /// Row after row.
    pub(crate) values: &'a Given<'a>,
    /// Some value is not what its column is made of, such as a text for a number.
    pub(crate) is_mixed: bool,
}

impl NewRows<'_> {
    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len() / self.columns.len().max(1)
    }
}

/// The statements of an upsert.
pub(crate) enum ChangeOrStore<'a> {
    /// The first changes a row, or with `counts` counts those that are there; where there is none the second stores one.
    Two { first: &'a str, counts: bool, first_given: Given<'a>, insert: &'a str, insert_given: Given<'a> },
    /// One that does both.
    One { sql: &'a str, given: Given<'a> },
}

impl ChangeOrStore<'_> {
    /// The one that an error shows.
    pub(crate) fn shown(&self) -> &str {
        match self {
            ChangeOrStore::Two { first, .. } => first,
            ChangeOrStore::One { sql, .. } => sql,
        }
    }

    /// Whether there has to be a transaction around it.
    pub(crate) fn takes_two(&self) -> bool {
        matches!(self, ChangeOrStore::Two { .. })
    }
}

/// A column, as the database says.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) declared: String,
    pub(crate) kind: Kind,
    /// Its place in the primary key, from 1; 0 where it is no part of it.
    pub(crate) key_place: i64,
    /// A row without a value for it is refused.
    pub(crate) is_required: bool,
    /// The engine gives it a number, which it tells with the row (MySQL).
    pub(crate) counts_up: bool,
    /// What is refused of values that its type has.
    pub(crate) limit: Limit,
}

/// How large a value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// As large as its type.
    None,
    /// A whole number of so many bits.
    Bits(u32),
    /// So many characters.
    Characters(usize),
}

/// What a table is, as far as its columns do not say it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Description {
    pub(crate) columns: Vec<Column>,
    /// See [`NewRows::is_plain`].
    pub(crate) is_plain: bool,
    /// Something of the program's own runs when rows change.
    pub(crate) has_triggers: bool,
}

/// An index of a table that covers all of its rows.
#[derive(Debug, Clone)]
pub(crate) struct Index {
    pub(crate) is_unique: bool,
    pub(crate) columns: Vec<String>,
}

/// What is listed by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listed {
    Tables,
    Views,
}

/// A connection as tables need it.
///
/// After an error the link may be used again unless [`Link::is_usable`] says otherwise. Statements are in the words of
/// the engine's dialect; values are those that [`Given::of`] made for it.
pub(crate) trait Link: Send {
    /// Where it is with regard to transactions.
    fn transaction(&self) -> Transaction;

    /// Whether it can be asked anything more.
    fn is_usable(&self) -> bool {
        true
    }

    /// The name of the zone whose clock shows moments without a zone, of engines that have one.
    fn time_zone(&self) -> Option<String> {
        None
    }

    /// How many of the functions that the program has defined statements can call.
    fn functions(&self) -> usize {
        0
    }

    /// Lets statements call these functions of the program's, all but those that they can call already.
    fn take_functions(&mut self, _functions: &[Definition]) -> Result<(), Fault> {
        Ok(())
    }

    /// Whether the other end is still there, as far as can be seen without asking it; told before each statement.
    fn look(&mut self) -> bool {
        true
    }

    /// Begins a transaction.
    fn begin(&mut self, how: Begin) -> Result<(), Fault>;

    /// Stores for good what was done; the transaction is over also after an error.
    fn commit(&mut self) -> Result<(), Fault>;

    /// Undoes what was done. Where it cannot be told, the database has done so already.
    fn rollback(&mut self);

    /// Runs statements separated by semicolons, of a new connection.
    fn script(&mut self, text: &str) -> Result<(), Fault>;

    /// Runs one statement; how many rows it changed.
    fn run(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault>;

    /// Runs statements one after the other, without waiting in between where the engine takes that.
    fn run_each(&mut self, statements: &[(&str, Given<'_>)]) -> Result<(), Fault>;

    /// Runs a statement that changes what tables there are: what is there already is no error.
    fn define(&mut self, sql: &str) -> Result<(), Fault>;

    /// Runs a statement that stores one row.
    fn insert(&mut self, sql: &str, given: &Given<'_>) -> Result<NewRow, Fault>;

    /// How many rows of such a width are stored or none of them, without a transaction around them.
    fn rows_at_once(&self, width: usize) -> usize;

    /// Stores rows.
    fn insert_rows(&mut self, rows: &NewRows<'_>) -> Result<(), Fault>;

    /// Changes a row or stores it; none where one was changed.
    fn change_or_store(&mut self, statements: &ChangeOrStore<'_>) -> Result<Option<NewRow>, Fault> {
        match statements {
            ChangeOrStore::Two { first, counts, first_given, insert, insert_given } => {
                let is_there =
                    if *counts { self.count(first, first_given)? } else { self.run(first, first_given)? } > 0;
                if is_there { Ok(None) } else { self.insert(insert, insert_given).map(Some) }
            }
            ChangeOrStore::One { sql, given } => self.insert_unless_changed(sql, given),
        }
    }

    /// Changes or stores one row after the other.
    fn change_or_store_each(&mut self, rows: &[ChangeOrStore<'_>]) -> Result<(), Fault> {
        rows.iter().try_for_each(|row| self.change_or_store(row).map(drop))
    }

    /// Runs a statement that changes a row or stores it; none where one was changed.
    fn insert_unless_changed(&mut self, sql: &str, given: &Given<'_>) -> Result<Option<NewRow>, Fault>;

    /// The number that a statement gives.
    fn count(&mut self, sql: &str, given: &Given<'_>) -> Result<i64, Fault>;

    /// Gets ready to run a statement, and says whether it writes, as far as the engine tells that.
    fn prepare(&mut self, sql: &str) -> Result<(Reading, bool), Fault>;

    /// Runs it and reads its first rows. What writes is done at once and whole, also where it returns rows.
    fn start(
        &mut self,
        reading: &Reading,
        given: &Given<'_>,
        wanted: Wanted,
        rows: &mut Fetched,
    ) -> Result<Started, Fault>;

    /// Reads the next rows, `step` at most and fewer when there is much text in them; whether there are more.
    fn fetch(&mut self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault>;

    /// Ends the reading.
    fn release(&mut self, reading: Reading);

    /// What a table or a view is; none where there is no such thing.
    fn describe(&mut self, schema: Option<&str>, table: &str) -> Result<Option<Description>, Fault>;

    /// The indexes of a table over all of its rows.
    fn indexes(&mut self, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault>;

    /// The names of all tables or views, sorted.
    fn list(&mut self, schema: Option<&str>, what: Listed) -> Result<Vec<String>, Fault>;
}

/// Values for a statement in the form that the engine's connection takes, without the interpreter.
pub(crate) enum Given<'a> {
    Sqlite(Vec<naja_sql::sqlite::Value<'a>>),
    Server(Vec<naja_sql::Value<'a>>),
}

impl<'a> Given<'a> {
    /// Of values that were taken out of objects for this dialect.
    pub(crate) fn of<'py: 'a>(
        dialect: Dialect,
        taken: impl IntoIterator<Item = &'a Taken<'py>>,
    ) -> Given<'a> {
        let taken = taken.into_iter();
        match dialect {
            Dialect::Sqlite => Given::Sqlite(taken.map(Taken::plain).collect()),
            Dialect::Postgres | Dialect::Mysql => Given::Server(taken.map(Taken::full).collect()),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Given::Sqlite(values) => values.len(),
            Given::Server(values) => values.len(),
        }
    }

    /// As SQLite's connection takes them; none where they were made for a server.
    fn for_sqlite(&self) -> &[naja_sql::sqlite::Value<'a>] {
        match self {
            Given::Sqlite(values) => values,
            Given::Server(_) => &[],
        }
    }

    /// As a server's connection takes them; none where they were made for SQLite.
    fn for_server(&self) -> &[naja_sql::Value<'a>] {
        match self {
            Given::Server(values) => values,
            Given::Sqlite(_) => &[],
        }
    }
}

/// Rows that were read and are not objects yet.
#[derive(Debug)]
pub(crate) enum Fetched {
    Sqlite(naja_sql::sqlite::Rows),
    Server(KeptRows),
}

impl Fetched {
    /// Room for the rows of an engine of this dialect.
    pub(crate) fn new(dialect: Dialect) -> Fetched {
        match dialect {
            Dialect::Sqlite => Fetched::Sqlite(naja_sql::sqlite::Rows::default()),
            Dialect::Postgres | Dialect::Mysql => Fetched::Server(KeptRows::default()),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Fetched::Sqlite(rows) => rows.len(),
            Fetched::Server(rows) => rows.len(),
        }
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        match self {
            Fetched::Sqlite(rows) => rows.clear(0),
            Fetched::Server(rows) => rows.clear(),
        }
    }
}

/// Why something could not be done.
#[derive(Debug)]
pub(crate) enum Fault {
    Sqlite(naja_sql::sqlite::Error),
    Postgres(PostgresError),
    Mysql(MySqlError),
    /// The transaction is over, and what follows must not be taken for a part of it: why.
    Lost(&'static str),
    /// The connection is used by a process that it does not belong to.
    Foreign,
    /// The connection is used by a function that one of its own statements calls.
    Inside,
}

impl Fault {
    /// A transaction that the database has ended by itself.
    pub(crate) const ROLLED_BACK: Fault = Fault::Lost(
        "the transaction was rolled back by the database after an earlier error; call rollback()",
    );

    /// A transaction whose connection is gone.
    pub(crate) const BROKEN: Fault = Fault::Lost(
        "the connection to the database was lost and the transaction with it; call rollback(), then begin again",
    );

    /// The name of its class, among those of PEP 249 and SQLAlchemy.
    pub(crate) fn class(&self) -> &'static str {
        match self {
            Fault::Sqlite(error) => crate::sqlite::errors::class_of(error),
            Fault::Postgres(error) => server::class_of(error),
            Fault::Mysql(error) => server::class_of(error),
            Fault::Lost(_) => "OperationalError",
            Fault::Foreign => "InterfaceError",
            Fault::Inside => "ProgrammingError",
        }
    }

    /// Somebody uses what is to be changed, so that the same may be possible later.
    pub(crate) fn is_locked(&self) -> bool {
        matches!(self, Fault::Sqlite(error) if error.is_locked())
    }

    /// Whether the database has undone or refused it so that another goes on, and it may be done at once if it is tried again.
    pub(crate) fn is_deadlock(&self) -> bool {
        match self {
            // Another has written since what it began with was read: SQLITE_BUSY_SNAPSHOT.
            Fault::Sqlite(error) => error.code == 517,
            Fault::Postgres(error) => error.sqlstate() == "40P01",
            Fault::Mysql(MySqlError::Server(error)) => error.code == 1213,
            _ => false,
        }
    }

    /// The code of a server, five characters.
    pub(crate) fn sqlstate(&self) -> Option<&str> {
        match self {
            Fault::Postgres(error) => Some(error.sqlstate()),
            Fault::Mysql(error) => Some(error.sqlstate()),
            _ => None,
        }
    }

    /// Memory ran out in the process itself.
    pub(crate) fn is_of_memory(&self) -> bool {
        matches!(self, Fault::Sqlite(error) if error.category() == naja_sql::sqlite::Category::Memory)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Sqlite(error) => f.write_str(&error.message),
            Fault::Postgres(error) => f.write_str(&server::shown(error)),
            Fault::Mysql(error) => f.write_str(&server::shown(error)),
            Fault::Lost(why) => f.write_str(why),
            Fault::Foreign => f.write_str(
                "this result belongs to the process that asked for it, and this is a child of that; ask again here",
            ),
            Fault::Inside => f.write_str(
                "a function that a statement calls cannot use the connection of that statement; what it needs to know is \
                 to be among its arguments",
            ),
        }
    }
}

impl From<naja_sql::sqlite::Error> for Fault {
    fn from(error: naja_sql::sqlite::Error) -> Fault {
        Fault::Sqlite(error)
    }
}

/// How long a new connection waits for locks, of engines where the program says so.
pub(crate) fn patience(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}
