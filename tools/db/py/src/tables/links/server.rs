//! A connection to a server, whichever engine it is, as tables need it.
//!
//! Rows of a result come over the connection while they are asked for. Whoever asks for something else meanwhile has
//! the rest of them read into memory first, so that results never disturb each other. What an engine does in its own way
//! is [`Server`].

use std::collections::HashMap;
use std::sync::Arc;

use naja_db::tables::{Dialect, statement};
use naja_sql::{
    Blocking, Connection, Cursor, Error, ErrorOf, KeptRows, NoRows, Outcome, Refusal, Rows, Sink, Source,
    Step, Table, Transaction, Value,
};

use super::{
    Begin, ChangeOrStore, Description, Fault, Fetched, Given, Index, Link, Listed, NewRow, NewRows, Reading,
    Started, Wanted,
};
use crate::tls::PythonTls;

/// So much text ends a batch of rows early, whatever number of rows was asked for.
const ENOUGH_BYTES: usize = 4 << 20;

/// Rows that are read before their size is looked at.
const ROWS_UNTIL_LOOKED_AT: usize = 64;

/// What an engine does in its own way.
pub(super) trait Server: Blocking<Refusal: Said> + Sized {
    const DIALECT: Dialect;
    /// Whether verifying a certificate follows the rules of libpq.
    const TLS_OF_LIBPQ: bool;
    /// Whether a statement that stores a row returns its key; else the engine tells the number that it gave.
    const RETURNS_KEYS: bool;
    /// Whether a result is left on the server while other statements run.
    const LEAVES_RESULTS: bool;
    /// Whether rows that are changed or stored, each by one statement, are sent without waiting in between.
    const CHANGES_MANY: bool;

    /// What is known of the columns of the rows that are coming.
    type Known: Default + Send;

    /// Keeps the rows that `read` reads, as tables have them.
    fn keep<T>(rows: &mut KeptRows, known: &mut Self::Known, read: impl FnOnce(&mut dyn Rows) -> T) -> T;

    /// Whether a statement was refused since its text holds several, which are run as text then.
    fn is_of_several(refusal: &Self::Refusal) -> bool;

    /// See [`Link::define`].
    fn define(link: &mut ServerLink<Self>, sql: &str) -> Result<(), Fault>;

    /// See [`Link::insert_rows`].
    fn insert_rows(connection: &mut Connection<Self>, rows: &NewRows<'_>) -> Result<(), ErrorOf<Self>> {
        insert_each::<Self>(connection, rows)
    }

    /// See [`Link::describe`].
    fn describe(
        link: &mut ServerLink<Self>,
        schema: Option<&str>,
        table: &str,
    ) -> Result<Option<Description>, Fault>;

    /// See [`Link::indexes`].
    fn indexes(link: &mut ServerLink<Self>, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault>;

    /// A statement whose parameter is the schema, NULL for the one that names are looked for in; it gives names.
    fn list(what: Listed) -> String;
}

/// What a server says when it refuses, as Python hears it.
pub(super) trait Said: Refusal {
    /// The error as one of all engines.
    fn fault(error: Error<Self>) -> Fault;

    /// The name of its class, as the drivers of Python divide them.
    fn class(&self) -> &'static str;

    /// What went wrong as a person reads it.
    fn shown(&self) -> String;
}

impl<R: Said> From<Error<R>> for Fault {
    fn from(error: Error<R>) -> Fault {
        R::fault(error)
    }
}

/// Stores rows by one statement for each.
pub(super) fn insert_each<E: Server>(
    connection: &mut Connection<E>,
    rows: &NewRows<'_>,
) -> Result<(), ErrorOf<E>> {
    let sql = statement::insert(E::DIALECT, rows.quoted, rows.columns, 1, None);
    connection.execute_many(&sql, &mut Chunks::of(rows)).map(drop)
}

/// A connection to a server.
pub(super) struct ServerLink<E: Server> {
    pub(super) connection: Connection<E>,
    /// How many readings there were, which numbers them.
    readings: u64,
    prepared: Option<(u64, String)>,
    /// The reading whose rows are coming.
    coming: Option<(u64, E::Known)>,
    /// Readings whose rows are elsewhere.
    elsewhere: HashMap<u64, Rest<E>>,
}

/// Where the rest of a result is that does not come over the connection any more.
enum Rest<E: Server> {
    /// In memory, since somebody else used the connection.
    Kept(KeptRows),
    /// It failed when it was read.
    Failed(ErrorOf<E>),
    /// On the server.
    Cursor(Cursor<E>),
}

impl<E: Server> ServerLink<E> {
    pub(super) fn open(
        options: &E::Options,
        is_interrupted: fn() -> bool,
    ) -> Result<ServerLink<E>, ErrorOf<E>> {
        let tls = Arc::new(PythonTls { is_of_libpq: E::TLS_OF_LIBPQ });
        let mut connection = Connection::open(options, Some(tls))?;
        connection.set_interrupt_check(Some(Box::new(is_interrupted)));
        Ok(ServerLink { connection, readings: 0, prepared: None, coming: None, elsewhere: HashMap::new() })
    }

    /// The connection, free for another statement.
    pub(super) fn free(&mut self) -> &mut Connection<E> {
        if let Some((coming, mut known)) = self.coming.take() {
            let mut rest = KeptRows::default();
            let stepped = E::keep(&mut rest, &mut known, |rows| self.connection.step(rows, u64::MAX));
            let rest = match stepped {
                Ok(_) => Rest::Kept(rest),
                Err(error) => Rest::Failed(error),
            };
            self.elsewhere.insert(coming, rest);
        }
        &mut self.connection
    }

    fn execute(&mut self, sql: &str, given: &Given<'_>, rows: &mut KeptRows) -> Result<Outcome, ErrorOf<E>> {
        let connection = self.free();
        E::keep(rows, &mut E::Known::default(), |rows| connection.execute(sql, given.for_server(), rows))
    }

    /// Reads rows that are coming, `step` of them at most; whether that was all.
    fn step(&mut self, step: usize, rows: &mut KeptRows, known: &mut E::Known) -> Result<Step, ErrorOf<E>> {
        let mut left = if step == 0 { usize::MAX } else { step };
        loop {
            let now = if step == 0 { left } else { left.min(ROWS_UNTIL_LOOKED_AT) };
            let stepped = E::keep(rows, known, |rows| self.connection.step(rows, now as u64))?;
            left -= now;
            if stepped != Step::More || left == 0 || rows.size_bytes() >= ENOUGH_BYTES {
                return Ok(stepped);
            }
        }
    }

    /// Fetches rows of a cursor, which is kept for more or closed.
    fn fetch_from(
        &mut self,
        id: u64,
        mut cursor: Cursor<E>,
        step: usize,
        rows: &mut KeptRows,
    ) -> Result<bool, ErrorOf<E>> {
        let step = u32::try_from(step).unwrap_or(0);
        let connection = self.free();
        let has_more =
            E::keep(rows, &mut E::Known::default(), |rows| connection.fetch(&mut cursor, step, rows))?;
        if has_more {
            self.elsewhere.insert(id, Rest::Cursor(cursor));
        } else {
            self.connection.close_cursor(cursor)?;
        }
        Ok(has_more)
    }

    /// Runs a statement of the catalogue.
    pub(super) fn look_up(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
    ) -> Result<Vec<Vec<Value<'static>>>, ErrorOf<E>> {
        let mut table = Table::default();
        self.free().execute(sql, values, &mut table)?;
        Ok(table.rows)
    }
}

/// Rows of values, for a statement that is run for each, or for a load.
pub(super) struct Chunks<'a> {
    values: &'a [Value<'a>],
    width: usize,
}

impl<'a> Chunks<'a> {
    pub(super) fn of(rows: &'a NewRows<'a>) -> Chunks<'a> {
        Chunks { values: rows.values.for_server(), width: rows.columns.len() }
    }
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
struct Each<I>(I);

impl<'a, 'b: 'a, I: Iterator<Item = &'a Given<'b>>> Source for Each<I> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let row = self.0.next();
        row.into_iter().flat_map(Given::for_server).for_each(|value| value.write_into(sink));
        row.is_some()
    }
}

impl<E: Server<CancelKey: Send, Remarks: Send, Options: Send>> Link for ServerLink<E>
where
    Connection<E>: Send,
    Rest<E>: Send,
{
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
        E::define(self, sql)
    }

    fn insert(&mut self, sql: &str, given: &Given<'_>) -> Result<NewRow, Fault> {
        let mut rows = KeptRows::default();
        let outcome = self.execute(sql, given, &mut rows)?;
        Ok(if E::RETURNS_KEYS {
            NewRow::Returned(rows)
        } else {
            NewRow::Id(outcome.inserted_id.unwrap_or(0))
        })
    }

    fn insert_unless_changed(&mut self, sql: &str, given: &Given<'_>) -> Result<Option<NewRow>, Fault> {
        // Only a new row returns something.
        Ok(Some(self.insert(sql, given)?)
            .filter(|new| !matches!(new, NewRow::Returned(rows) if rows.is_empty())))
    }

    fn change_or_store_each(&mut self, rows: &[ChangeOrStore<'_>]) -> Result<(), Fault> {
        for alike in rows.chunk_by(|one, next| E::CHANGES_MANY && one.shown() == next.shown()) {
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
        Ok(E::insert_rows(self.free(), rows)?)
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
        if E::LEAVES_RESULTS && wanted.streamed && self.transaction() == Transaction::Open {
            let cursor = self.free().open_cursor(&sql, &mut tell)?;
            let has_more = self.fetch_from(*id, cursor, wanted.step, rows)?;
            return Ok(Started { names: names(rows), has_more, changes: -1, row_id: None });
        }
        let mut known = E::Known::default();
        let stepped = match self.free().start(&sql, &mut tell) {
            // What writes is done at once and whole.
            Ok(()) => self.step(if only_reads(&sql) { wanted.step } else { 0 }, rows, &mut known)?,
            Err(Error::Server(refusal)) if values.is_empty() && E::is_of_several(&refusal) => {
                let connection = &mut self.connection;
                Step::Done(E::keep(rows, &mut known, |rows| connection.run_text(&sql, rows))?)
            }
            Err(error) => return Err(error.into()),
        };
        let (changes, row_id) = match stepped {
            Step::Done(outcome) => (number(outcome.affected), outcome.inserted_id),
            Step::More => (-1, None),
        };
        let has_more = stepped == Step::More;
        self.coming = has_more.then_some((*id, known));
        Ok(Started { names: names(rows), has_more, changes, row_id })
    }

    fn fetch(&mut self, reading: &Reading, step: usize, rows: &mut Fetched) -> Result<bool, Fault> {
        let (Reading::Server(id), Fetched::Server(rows)) = (reading, rows) else { return Ok(false) };
        rows.forget_rows();
        // An error, and the end, leave the connection free.
        if let Some((_, mut known)) = self.coming.take_if(|(coming, _)| coming == id) {
            let stepped = self.step(step, rows, &mut known)?;
            self.coming = (stepped == Step::More).then_some((*id, known));
            return Ok(stepped == Step::More);
        }
        match self.elsewhere.remove(id) {
            Some(Rest::Kept(rest)) => {
                *rows = rest;
                Ok(false)
            }
            Some(Rest::Failed(error)) => Err(error.into()),
            Some(Rest::Cursor(cursor)) => Ok(self.fetch_from(*id, cursor, step, rows)?),
            None => Ok(false),
        }
    }

    fn release(&mut self, reading: Reading) {
        let Reading::Server(id) = reading else { return };
        if self.coming.take_if(|(coming, _)| *coming == id).is_some() {
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
        E::describe(self, schema, table)
    }

    fn indexes(&mut self, schema: Option<&str>, table: &str) -> Result<Vec<Index>, Fault> {
        E::indexes(self, schema, table)
    }

    fn list(&mut self, schema: Option<&str>, what: Listed) -> Result<Vec<String>, Fault> {
        let found = self.look_up(&E::list(what), &[schema.map_or(Value::Null, Value::from)])?;
        let name = |cells: Vec<Value<'static>>| match cells.into_iter().next() {
            Some(Value::Text(name)) => Some(name.into_owned()),
            _ => None,
        };
        Ok(found.into_iter().filter_map(name).collect())
    }
}

/// A table's schema, or NULL for the one that names are looked for in, and its name.
pub(super) fn place<'a>(schema: Option<&'a str>, table: &'a str) -> [Value<'a>; 2] {
    [schema.map_or(Value::Null, Value::from), Value::from(table)]
}

fn number(affected: Option<u64>) -> i64 {
    affected.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1)
}

/// Whether a statement only reads, so that nothing is lost when its rows are not all asked for. A function that it
/// calls may write; then what it does is undone with the rest.
fn only_reads(sql: &str) -> bool {
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

/// The name of an error's class, among those of PEP 249.
pub(super) fn class_of<R: Said>(error: &Error<R>) -> &'static str {
    match error {
        Error::Server(refusal) => refusal.class(),
        Error::Lost { .. }
        | Error::TimedOut { .. }
        | Error::Connect { .. }
        | Error::ConnectTimedOut { .. }
        | Error::Tls { .. }
        | Error::Interrupted
        | Error::Options { .. }
        | Error::Authentication { .. } => "OperationalError",
        Error::Misuse { .. } | Error::ParameterCount { .. } => "ProgrammingError",
        Error::Protocol { .. } => "InterfaceError",
        Error::Parameter { .. } | Error::Value { .. } | Error::Unsendable { .. } => "DataError",
        _ => "DatabaseError",
    }
}

/// What went wrong as a person reads it: the server's own words, and the system's where it was not the server.
pub(super) fn shown<R: Said>(error: &Error<R>) -> String {
    if let Error::Server(refusal) = error {
        return refusal.shown();
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
