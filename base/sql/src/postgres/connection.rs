//! A blocking connection: the protocol, driven over a socket.
//!
//! A connection that broke, or was given up in the middle of an answer, is never used again: [`Connection::is_usable`]
//! is false from then on. Start at [`Connection::open`].

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stream::{Place, Socket, Stream, TlsMode, TlsProvider, Waited, time_left};
use crate::{Driver, NoRows, Outcome, Rows, Sink, Source, Transaction, Value};

use super::copy::{CopyInto, CopyReader, export_sql};
use super::error::{PostgresError, ServerError};
use super::options::{Address, Options};
use super::protocol::{CancelKey, Event, Protocol};
use super::statement::Statement;

/// Bytes that are gathered before they are sent, while more are coming.
const SEND_BYTES: usize = 64 * 1024;

/// Remarks and notifications that are kept until somebody takes them; older ones go.
const REMARKS_MAX: usize = 1_000;

/// How often whoever wants to be asked about an end is asked at least: a signal may come just before the waiting begins,
/// and then interrupts nothing.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Says whether to cancel what is running.
type InterruptCheck = Box<dyn FnMut() -> bool + Send>;

/// A connection to PostgreSQL for one thread at a time.
pub struct Connection {
    protocol: Protocol,
    stream: Stream,
    options: Options,
    tls: Option<Arc<dyn TlsProvider>>,
    silence_max: Option<Duration>,
    interrupt: Option<InterruptCheck>,
    interrupted: bool,
    /// Writing has failed with this; what the other end said before is still to be read.
    unwritable: Option<io::Error>,
    active: Option<Active>,
    notices: VecDeque<ServerError>,
    notifications: VecDeque<Notification>,
    portals: u64,
}

/// A statement whose rows are coming.
struct Active {
    statement: Arc<Statement>,
    /// An event that came while starting, and is to be told.
    first: Option<Event>,
    announced: bool,
    outcome: Outcome,
}

/// Whether a statement has more rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// As many as were asked for have come.
    More,
    /// That was all.
    Done(Outcome),
}

/// `NOTIFY` of a channel that is listened to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The process of the server that told it.
    pub process: u32,
    /// The channel.
    pub channel: String,
    /// What was told with it.
    pub payload: String,
}

/// A result that is fetched piece by piece, while other statements run in between.
#[derive(Debug)]
pub struct Cursor {
    portal: String,
    statement: Arc<Statement>,
}

/// Cancels what a connection is running, from any thread and without it.
#[derive(Clone)]
pub struct Canceller {
    options: Options,
    key: CancelKey,
    tls: Option<Arc<dyn TlsProvider>>,
}

impl Canceller {
    /// Asks the server to end the statement that is running; one that has ended by then is not harmed, the next one
    /// may be if it begins at once in another thread.
    ///
    /// Returns when the server has taken note. The statement itself then fails with `57014`.
    ///
    /// Errors: as [`Connection::open`].
    pub fn cancel(&self) -> Result<(), PostgresError> {
        let deadline = self.options.connect_timeout.map(|timeout| Instant::now() + timeout);
        let mut socket = connect(&self.options, deadline)?;
        let lost = |source| PostgresError::Lost { source: Some(source), said: None };
        socket
            .set_timeouts(deadline.map(|deadline| time_left(deadline).unwrap_or(Duration::from_millis(1))))
            .map_err(lost)?;
        if let Some(tls) = &self.tls {
            socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).map_err(lost)?;
            let mut answer = [0];
            socket.read_exact(&mut answer).map_err(lost)?;
            if answer == *b"S" {
                let mut stream = Stream::new(socket).map_err(lost)?;
                encrypt(&mut stream, &**tls, &self.options, deadline).map_err(lost)?;
                return write_and_see_the_end(stream, &self.key.message(), deadline).map_err(lost);
            }
            return Err(PostgresError::Tls { what: "the server does not offer TLS".to_owned() });
        }
        let stream = Stream::new(socket).map_err(lost)?;
        write_and_see_the_end(stream, &self.key.message(), deadline).map_err(lost)
    }
}

/// Connects, and sets what the options say about silence.
///
/// Errors: `Connect` with the reason of the last address, `ConnectTimedOut`.
fn connect(options: &Options, deadline: Option<Instant>) -> Result<Socket, PostgresError> {
    let path;
    let place = match &options.address {
        Address::Unix { folder, port } => {
            path = folder.join(format!(".s.PGSQL.{port}"));
            Place::Unix(&path)
        }
        Address::Tcp { host, port } => Place::Tcp { host, port: *port },
    };
    Socket::connect(place, options.care(), deadline).map_err(|source| {
        let address = options.address.to_string();
        match source.kind() {
            io::ErrorKind::TimedOut => PostgresError::ConnectTimedOut { address },
            _ => PostgresError::Connect { address, source },
        }
    })
}

fn encrypt(
    stream: &mut Stream,
    tls: &dyn TlsProvider,
    options: &Options,
    deadline: Option<Instant>,
) -> io::Result<Option<Vec<u8>>> {
    let Address::Tcp { host, .. } = &options.address else {
        return Err(io::Error::other("a Unix socket is not encrypted"));
    };
    stream.encrypt(tls, host, (options.tls, &options.tls_files), deadline)
}

fn write_and_see_the_end(mut stream: Stream, message: &[u8], deadline: Option<Instant>) -> io::Result<()> {
    let mut rest = message;
    let mut answer = [0; 64];
    loop {
        if let Some(count) = (!rest.is_empty()).then(|| stream.write(rest)).transpose()?.flatten() {
            rest = rest.get(count..).unwrap_or_default();
        }
        // The server answers nothing and closes; a reset says the same.
        match stream.read(&mut answer) {
            Ok(Some(0)) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(error),
        }
        let timeout = deadline.map(|deadline| time_left(deadline).unwrap_or_default());
        if stream.wait(!rest.is_empty(), timeout)? == Waited::TimedOut {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}

impl std::fmt::Debug for Canceller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canceller").field("address", &self.options.address).field("key", &self.key).finish()
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection")
            .field("to", &self.options.to_string())
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Connects and logs in, encrypted by `tls` where there is one and the options ask for it.
    ///
    /// Errors: `Connect`, `ConnectTimedOut`, `Tls`, `Authentication`, and `Server` for what the server refuses: a
    /// wrong password (`28P01`), an unknown database (`3D000`), too many connections (`53300`).
    /// Cost: one round trip, with SCRAM three and some milliseconds of hashing; with TLS the handshake.
    pub fn open(options: &Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Connection, PostgresError> {
        match Connection::open_once(options, tls.clone()) {
            // The server may let nobody in without encryption, or not this user.
            Err(PostgresError::Server(refusal))
                if options.tls == TlsMode::Allow
                    && options.address.is_tcp()
                    && tls.is_some()
                    && refusal.sqlstate == "28000" =>
            {
                Connection::open_once(&Options { tls: TlsMode::Require, ..options.clone() }, tls)
            }
            opened => opened,
        }
    }

    fn open_once(options: &Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Connection, PostgresError> {
        let deadline = options.connect_timeout.map(|timeout| Instant::now() + timeout);
        let protocol = Protocol::start(options, tls.is_some())?;
        let socket = connect(options, deadline)?;
        let lost = |source| PostgresError::Lost { source: Some(source), said: None };
        let mut connection = Connection {
            protocol,
            stream: Stream::new(socket).map_err(lost)?,
            options: Options { password: None, ..options.clone() },
            tls,
            silence_max: None,
            interrupt: None,
            interrupted: false,
            unwritable: None,
            active: None,
            notices: VecDeque::new(),
            notifications: VecDeque::new(),
            portals: 0,
        };
        let timed_out = || PostgresError::ConnectTimedOut { address: options.address.to_string() };
        loop {
            connection.silence_max = match deadline.map(time_left) {
                Some(None) => return Err(timed_out()),
                Some(left) => left,
                None => None,
            };
            match connection.event() {
                Ok(Event::Ready) => break,
                Ok(Event::StartTls) => connection.start_tls(deadline)?,
                Ok(_) => {}
                Err(PostgresError::TimedOut { .. }) => return Err(timed_out()),
                Err(error) => return Err(error),
            }
        }
        connection.silence_max = options.silence_max();
        Ok(connection)
    }

    fn start_tls(&mut self, deadline: Option<Instant>) -> Result<(), PostgresError> {
        let Some(tls) = self.tls.clone() else {
            return Err(PostgresError::Misuse { what: "encryption was not asked for" });
        };
        let end_point = encrypt(&mut self.stream, &*tls, &self.options, deadline);
        let end_point = end_point.map_err(|error| PostgresError::Tls { what: error.to_string() })?;
        self.protocol.tls_started(end_point)
    }

    // What is known.

    /// Whether it can be asked anything more.
    pub fn is_usable(&self) -> bool {
        self.protocol.is_open()
    }

    /// Where it is with regard to transactions, as the server said last.
    pub fn transaction(&self) -> Transaction {
        self.protocol.transaction()
    }

    /// A setting that the server reports by itself: `server_version`, `TimeZone`, `in_hot_standby`, …
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.protocol.setting(name)
    }

    /// The number of the server's process for this connection.
    pub fn process(&self) -> Option<u32> {
        self.protocol.cancel_key().map(CancelKey::process)
    }

    /// Looks, without waiting, whether the server has said anything by itself or has gone; for whoever keeps
    /// connections that nobody uses, and for notifications.
    ///
    /// Errors: `Lost` with the server's reason; the connection is over then. `Misuse` while a statement's rows are coming.
    /// Cost: one system call.
    pub fn look(&mut self) -> Result<(), PostgresError> {
        self.must_be_idle()?;
        if self.stream.wait(false, Some(Duration::ZERO)).is_ok_and(|waited| waited == Waited::TimedOut) {
            return Ok(());
        }
        while self.read_some()? {
            while let Some(event) = self.protocol.next_event()? {
                self.put_aside(event);
            }
        }
        self.protocol.must_be_open()
    }

    /// Takes the remarks of the server since the last call: notices and warnings, the last thousand.
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        self.notices.drain(..).collect()
    }

    /// Takes the notifications that have come with answers since the last call, the last thousand.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.notifications.drain(..).collect()
    }

    /// What cancels this connection's statements; none if the server does not know how.
    pub fn canceller(&self) -> Option<Canceller> {
        Some(Canceller {
            options: self.options.clone(),
            key: self.protocol.cancel_key()?.clone(),
            tls: self.tls.clone().filter(|_| self.stream.is_encrypted()),
        })
    }

    /// Calls `check` whenever a signal has interrupted the waiting, and four times a second; true cancels the statement,
    /// whose method then gives `Interrupted`, even if the statement was done by then. The connection stays usable.
    pub fn set_interrupt_check(&mut self, check: Option<Box<dyn FnMut() -> bool + Send>>) {
        self.interrupt = check;
    }

    /// How long the server may be silent from now on, instead of what the options said.
    pub fn set_answer_timeout(&mut self, timeout: Option<Duration>) {
        self.silence_max = timeout;
    }

    // One statement.

    /// Starts a statement: its rows are then fetched by [`Connection::step`].
    ///
    /// A text that was prepared before costs one round trip, a new one two. If the table has changed under a prepared
    /// statement, or someone has deallocated it, it is prepared again, as long as no transaction is lost by that; then
    /// `values` is called twice.
    ///
    /// Errors: `Server` if the statement is refused before its first row, `Parameter`, `ParameterCount`,
    /// `Unsendable`; `Misuse` while another statement's rows are coming.
    pub fn start(&mut self, sql: &str, values: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), PostgresError> {
        self.must_be_idle()?;
        loop {
            let kept = self.protocol.statement(sql);
            let was_kept = kept.is_some();
            let statement = match kept {
                Some(statement) => statement,
                None => self.prepare(sql, true)?,
            };
            self.protocol.execute(&statement, &mut |sink| {
                values(sink);
                true
            })?;
            self.protocol.sync()?;
            match self.event()? {
                Event::Failed(error) => {
                    let error = self.refused_alone(error)?;
                    if !(self.protocol.is_stale(&error, sql) && was_kept) {
                        return Err(PostgresError::Server(error));
                    }
                }
                event => {
                    self.active = Some(Active {
                        statement,
                        first: Some(event),
                        announced: false,
                        outcome: Outcome::default(),
                    });
                    return Ok(());
                }
            }
        }
    }

    /// Fetches up to `rows_max` more rows of the statement that was started.
    ///
    /// Rows are read from the server as they are asked for: memory does not grow with their number.
    ///
    /// Errors: `Server` when the statement fails at one of its rows, `Value` for a value that cannot be read; the
    /// statement is over then. `Misuse` when none was started.
    pub fn step(&mut self, rows: &mut dyn Rows, rows_max: u64) -> Result<Step, PostgresError> {
        let Some(mut active) = self.active.take() else {
            return Err(PostgresError::Misuse { what: "no statement was started" });
        };
        if !active.announced {
            active.announced = true;
            if !active.statement.columns().is_empty() {
                rows.columns(active.statement.columns());
            }
        }
        let mut count = 0;
        loop {
            let event = match active.first.take() {
                Some(event) => event,
                None if count == rows_max => {
                    self.active = Some(active);
                    return Ok(Step::More);
                }
                None => self.event()?,
            };
            match event {
                Event::Row => {
                    if let Err(error) = self.protocol.row().and_then(|row| row.write_into(rows)) {
                        self.finish()?;
                        return Err(error);
                    }
                    count += 1;
                    if rows.row().is_break() {
                        let outcome = active.outcome;
                        self.active = Some(active);
                        self.abandon()?;
                        return Ok(Step::Done(outcome));
                    }
                }
                Event::Complete { affected, .. } => active.outcome.affected = affected,
                Event::Failed(error) => return Err(PostgresError::Server(self.refused_alone(error)?)),
                Event::Ready => {
                    self.not_interrupted()?;
                    return Ok(Step::Done(active.outcome));
                }
                _ => {}
            }
        }
    }

    /// Ends the statement that was started, without its remaining rows.
    ///
    /// Outside a transaction it is cancelled, inside one the rows are read and thrown away, since cancelling would end
    /// the transaction.
    pub fn abandon(&mut self) -> Result<(), PostgresError> {
        if self.active.take().is_none() {
            return Ok(());
        }
        if self.protocol.transaction() == Transaction::None
            && let Some(canceller) = self.canceller()
        {
            // If that cannot be done the rows come, which takes longer.
            let _ = canceller.cancel();
        }
        self.finish()
    }

    /// Runs one statement with its parameters; see [`Connection::start`].
    pub fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn Rows,
    ) -> Result<Outcome, PostgresError> {
        if parameters.is_empty() && is_copy(sql) {
            return self.run_text(sql, rows);
        }
        self.start(sql, &mut |sink| {
            for value in parameters {
                value.write_into(sink);
            }
        })?;
        loop {
            if let Step::Done(outcome) = self.step(rows, u64::MAX)? {
                return Ok(outcome);
            }
        }
    }

    /// What the server knows of a statement: the types of its parameters and its columns. It is kept.
    pub fn describe(&mut self, sql: &str) -> Result<Arc<Statement>, PostgresError> {
        self.must_be_idle()?;
        match self.protocol.statement(sql) {
            Some(statement) => Ok(statement),
            None => self.prepare(sql, true),
        }
    }

    fn prepare(&mut self, sql: &str, keep: bool) -> Result<Arc<Statement>, PostgresError> {
        self.protocol.prepare(sql, keep)?;
        let mut prepared = None;
        loop {
            match self.event()? {
                Event::Prepared(statement) => prepared = Some(statement),
                Event::Failed(error) => return Err(PostgresError::Server(self.refused(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        prepared.ok_or(PostgresError::Protocol { what: "a statement that was not described" })
    }

    // Many rows.

    /// Runs one statement for each row of `source`, sent without waiting for answers; `affected` is the sum.
    ///
    /// Outside a transaction all of it happens or nothing. Inside one, what came before an error of a parameter stands,
    /// and an error of the server ends the transaction. Rows that the statement returns are thrown away.
    ///
    /// Errors: `Server` and `Parameter` with the row that they are about.
    /// Cost: bytes on the wire; two round trips for any number of rows.
    pub fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, PostgresError> {
        let statement = self.describe(sql)?;
        let mut batch = Batch::default();
        let written = loop {
            match self.protocol.execute(&statement, &mut |sink| source.next_row(sink)) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.protocol.outgoing().len() >= SEND_BYTES {
                self.send(&mut batch)?;
                if batch.failed.is_some() {
                    break Ok(());
                }
            }
        };
        if written.is_err() && !self.protocol.is_open() {
            return written.map(|()| Outcome::default());
        }
        if written.is_err() && self.protocol.transaction() == Transaction::None {
            self.protocol.sync_undone()?;
        } else {
            self.protocol.sync()?;
        }
        self.answered(&mut batch)?;
        if let Some(error) = batch.failed {
            self.protocol.is_stale(&error, sql);
            return Err(PostgresError::Server(error));
        }
        written?;
        Ok(Outcome { affected: Some(batch.affected), ..Outcome::default() })
    }

    /// Loads the rows of `source` into columns of a table by `COPY`, all of them or none; gives their number.
    ///
    /// `table` is quoted as it stands, in `schema` if that is said. Rows go in binary, in the types of the columns. As
    /// text, where the server reads every value as it would a literal's, go those for a column whose type is not known
    /// here, for one with a time zone in a session that is not on UTC, and all if `as_text` asks for it.
    ///
    /// Errors: `Server` with row, `Parameter` with row and column.
    /// Cost: bytes on the wire; three round trips for any number of rows.
    pub fn copy_in(
        &mut self,
        schema: Option<&str>,
        table: &str,
        columns: &[&str],
        as_text: bool,
        source: &mut dyn Source,
    ) -> Result<u64, PostgresError> {
        self.must_be_idle()?;
        let into = CopyInto::new(schema, table, columns);
        // Not kept: the table may be another one by the next time.
        let statement = self.prepare(&into.describe_sql(), false)?;
        let mut target = self.protocol.copy_target(&statement, as_text);
        self.protocol.query(&into.copy_sql(&target))?;
        loop {
            match self.event()? {
                Event::CopyIn => break,
                Event::Failed(error) => return Err(PostgresError::Server(self.refused(error)?)),
                _ => {}
            }
        }
        let mut batch = Batch::default();
        let written = loop {
            match self.protocol.copy_row(&mut target, &mut |sink| source.next_row(sink)) {
                Ok(true) => {}
                Ok(false) => break self.protocol.copy_done(&target),
                Err(error) if self.protocol.is_open() => {
                    self.protocol.copy_fail(&error.to_string())?;
                    break Err(error);
                }
                Err(error) => return Err(error),
            }
            if self.protocol.outgoing().len() >= SEND_BYTES {
                self.send(&mut batch)?;
                if batch.failed.is_some() {
                    // The server reads the rest of the message and throws it away.
                    self.protocol.copy_fail("the load has failed")?;
                    break Ok(());
                }
            }
        };
        self.answered(&mut batch)?;
        written?;
        match batch.failed {
            Some(error) => Err(PostgresError::Server(error)),
            None => Ok(batch.affected),
        }
    }

    /// Exports what a query selects by `COPY`, in binary; gives the number of rows.
    ///
    /// Columns whose types are not known here come in text. The query takes no parameters.
    ///
    /// Errors: `Server`, `Value` for a value that cannot be read.
    /// Cost: bytes on the wire, less for the server than a `SELECT`.
    pub fn copy_out(&mut self, query: &str, rows: &mut dyn Rows) -> Result<u64, PostgresError> {
        let query = query.trim_end_matches(|end: char| end == ';' || end.is_whitespace());
        self.must_be_idle()?;
        let statement = self.prepare(query, false)?;
        if statement.columns().is_empty() {
            return Err(PostgresError::Misuse { what: "export a query that has no columns" });
        }
        self.protocol.query(&export_sql(query, &statement))?;
        rows.columns(statement.columns());
        let mut reader = CopyReader::new(&statement.columns);
        let mut result = Ok(ControlFlow::Continue(()));
        let mut count = 0;
        loop {
            match self.event()? {
                Event::CopyData if matches!(result, Ok(ControlFlow::Continue(()))) => {
                    result = reader.push(self.protocol.copy_data(), rows);
                }
                Event::Complete { affected, .. } => count = affected.unwrap_or(0),
                Event::Failed(error) => return Err(PostgresError::Server(self.refused(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        match result? {
            ControlFlow::Continue(()) if !reader.is_complete() => {
                Err(PostgresError::Protocol { what: "a bulk export without an end" })
            }
            _ => Ok(count),
        }
    }

    // Text, cursors.

    /// Runs statements separated by semicolons. Without `BEGIN` in it, all of it is one transaction.
    ///
    /// Errors: `Server` for the first that is refused; those after it are not run.
    pub fn script(&mut self, sql: &str) -> Result<(), PostgresError> {
        self.run_text(sql, &mut NoRows).map(|_| ())
    }

    /// As [`Connection::script`], with the rows, whose values are all text; gives the outcome of the last statement.
    pub fn run_text(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Outcome, PostgresError> {
        self.must_be_idle()?;
        self.protocol.query(sql)?;
        let mut outcome = Outcome::default();
        let mut wanted = true;
        loop {
            match self.event()? {
                Event::Columns => rows.columns(self.protocol.columns()),
                Event::Row if wanted => {
                    if let Err(error) = self.protocol.row().and_then(|row| row.write_into(rows)) {
                        self.finish()?;
                        return Err(error);
                    }
                    wanted = rows.row().is_continue();
                }
                Event::CopyIn => self.protocol.copy_fail("rows of COPY come from a bulk load alone")?,
                Event::Complete { affected, .. } => outcome = Outcome { affected, ..Outcome::default() },
                Event::Failed(error) => return Err(PostgresError::Server(self.refused(error)?)),
                Event::Ready => {
                    self.not_interrupted()?;
                    return Ok(outcome);
                }
                _ => {}
            }
        }
    }

    /// Opens a result that is fetched piece by piece while other statements run in between.
    ///
    /// Errors: `Misuse` outside a transaction, at whose end a cursor ends as well; else as [`Connection::start`].
    pub fn open_cursor(
        &mut self,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor, PostgresError> {
        let statement = self.describe(sql)?;
        if self.transaction() != Transaction::Open {
            return Err(PostgresError::Misuse { what: "a cursor lives in a transaction, and there is none" });
        }
        self.portals += 1;
        let portal = format!("naja_{}", self.portals);
        self.protocol.open_portal(&portal, &statement, values)?;
        self.protocol.sync()?;
        self.until_ready()?;
        Ok(Cursor { portal, statement })
    }

    /// Fetches up to `rows_max` more rows of a cursor; false when those were all.
    pub fn fetch(
        &mut self,
        cursor: &Cursor,
        rows_max: u32,
        rows: &mut dyn Rows,
    ) -> Result<bool, PostgresError> {
        self.must_be_idle()?;
        self.protocol.fetch(&cursor.portal, &cursor.statement, rows_max)?;
        self.protocol.sync()?;
        rows.columns(cursor.statement.columns());
        let mut more = false;
        let mut result = Ok(());
        let mut wanted = true;
        loop {
            match self.event()? {
                Event::Row if wanted => {
                    result = self.protocol.row().and_then(|row| row.write_into(rows));
                    wanted = result.is_ok() && rows.row().is_continue();
                }
                Event::Suspended => more = true,
                Event::Failed(error) => return Err(PostgresError::Server(self.refused(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        result.map(|()| more)
    }

    /// Closes a cursor before its transaction does.
    pub fn close_cursor(&mut self, cursor: Cursor) -> Result<(), PostgresError> {
        self.must_be_idle()?;
        self.protocol.close_portal(&cursor.portal)?;
        self.protocol.sync()?;
        self.until_ready()
    }

    /// Says goodbye and closes.
    pub fn close(mut self) {
        self.say_goodbye();
    }

    fn say_goodbye(&mut self) {
        if self.protocol.is_open() && self.protocol.is_idle() {
            self.protocol.terminate();
            // The server notices the end of the stream as well.
            let _ = self.stream.write(self.protocol.outgoing());
        }
    }

    // Events and bytes.

    fn must_be_idle(&mut self) -> Result<(), PostgresError> {
        self.protocol.must_be_open()?;
        if self.active.is_some() {
            return Err(PostgresError::Misuse {
                what: "another statement's rows are still coming on this connection",
            });
        }
        Ok(())
    }

    /// The next event; waits for it. Remarks and notifications are put aside.
    fn event(&mut self) -> Result<Event, PostgresError> {
        loop {
            match self.protocol.next_event()? {
                Some(event) => {
                    if let Some(event) = self.put_aside(event) {
                        return Ok(event);
                    }
                }
                None => self.exchange()?,
            }
        }
    }

    fn put_aside(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Notice(notice) => {
                if self.notices.len() >= REMARKS_MAX {
                    self.notices.pop_front();
                }
                self.notices.push_back(*notice);
            }
            Event::Notification { process, channel, payload } => {
                if self.notifications.len() >= REMARKS_MAX {
                    self.notifications.pop_front();
                }
                self.notifications.push_back(Notification { process, channel, payload });
            }
            event => return Some(event),
        }
        None
    }

    /// Reads up to the end of the batch, and gives the first error in it.
    fn until_ready(&mut self) -> Result<(), PostgresError> {
        let mut batch = Batch::default();
        self.answered(&mut batch)?;
        match batch.failed {
            Some(error) => Err(PostgresError::Server(error)),
            None => Ok(()),
        }
    }

    /// Reads up to the end of the batch, whatever comes.
    fn finish(&mut self) -> Result<(), PostgresError> {
        self.answered(&mut Batch::default())
    }

    fn answered(&mut self, batch: &mut Batch) -> Result<(), PostgresError> {
        while !batch.ended {
            let event = self.event()?;
            batch.note(event);
        }
        self.not_interrupted()
    }

    /// The error that ended a batch, once the batch is read to its end.
    fn refused(&mut self, error: Box<ServerError>) -> Result<Box<ServerError>, PostgresError> {
        if error.is_fatal() {
            // The server closes the connection: no end of the batch will come.
            self.protocol.give_up();
            self.interrupted = false;
            return Err(PostgresError::Lost { source: None, said: Some(error) });
        }
        let mut batch = Batch { failed: Some(error), ..Batch::default() };
        self.answered(&mut batch)?;
        batch.failed.ok_or(PostgresError::Protocol { what: "an error that is none" })
    }

    /// The same for a statement that has but one row of parameters.
    fn refused_alone(&mut self, error: Box<ServerError>) -> Result<Box<ServerError>, PostgresError> {
        let mut error = self.refused(error)?;
        error.row = None;
        Ok(error)
    }

    /// If the caller has asked for an end meanwhile, that is what is told.
    fn not_interrupted(&mut self) -> Result<(), PostgresError> {
        if std::mem::take(&mut self.interrupted) { Err(PostgresError::Interrupted) } else { Ok(()) }
    }

    /// Sends what is to be sent and waits until some bytes have come.
    fn exchange(&mut self) -> Result<(), PostgresError> {
        if let Some(error) = self.unwritable.take() {
            return Err(self.protocol.disconnected(Some(error)));
        }
        let deadline = self.silence_max.map(|silence| (silence, Instant::now() + silence));
        loop {
            let to_write = self.write_some()?;
            if self.read_some()? {
                return Ok(());
            }
            self.wait(to_write, deadline)?;
        }
    }

    /// Sends at least so much that less than [`SEND_BYTES`] are left, and takes the answers that come meanwhile.
    fn send(&mut self, batch: &mut Batch) -> Result<(), PostgresError> {
        let deadline = self.silence_max.map(|silence| (silence, Instant::now() + silence));
        while self.protocol.outgoing().len() >= SEND_BYTES && self.unwritable.is_none() {
            let to_write = self.write_some()?;
            // An error is to be heard soon, also by a socket that takes all that is written.
            self.wait_for(false, Some(Duration::ZERO))?;
            while self.read_some()? {
                while let Some(event) = self.protocol.next_event()? {
                    if let Some(event) = self.put_aside(event) {
                        batch.note(event);
                    }
                }
            }
            if to_write && batch.failed.is_none() {
                self.wait(to_write, deadline)?;
            }
        }
        match self.unwritable.take() {
            // What the server has said before it closed was just read.
            Some(error) => Err(self.protocol.disconnected(Some(error))),
            None => Ok(()),
        }
    }

    /// Writes until all is sent; true when the other end takes no more for now.
    fn write_some(&mut self) -> Result<bool, PostgresError> {
        while !self.protocol.outgoing().is_empty() && self.unwritable.is_none() {
            match self.stream.write(self.protocol.outgoing()) {
                Ok(Some(count)) => self.protocol.sent(count),
                Ok(None) => return Ok(true),
                // What the server said before it closed may still be there to be read.
                Err(error) => self.unwritable = Some(error),
            }
        }
        Ok(false)
    }

    /// Reads what is there; whether that was anything.
    fn read_some(&mut self) -> Result<bool, PostgresError> {
        match self.stream.read(self.protocol.room()) {
            Ok(None) => Ok(false),
            Ok(Some(0)) => {
                let source = self.unwritable.take();
                Err(self.protocol.disconnected(source))
            }
            Ok(Some(count)) => {
                self.protocol.received(count);
                Ok(true)
            }
            Err(error) => Err(self.protocol.disconnected(Some(error))),
        }
    }

    fn wait(&mut self, to_write: bool, deadline: Option<(Duration, Instant)>) -> Result<(), PostgresError> {
        let left = deadline.map(|(_, deadline)| time_left(deadline).unwrap_or_default());
        let until_asked = self.interrupt.as_ref().filter(|_| !self.interrupted).map(|_| ASK_EVERY);
        match self.wait_for(to_write, left.into_iter().chain(until_asked).min())? {
            Waited::Ready => Ok(()),
            Waited::Interrupted => {
                self.ask_for_an_end();
                Ok(())
            }
            Waited::TimedOut if deadline.is_none_or(|(_, deadline)| time_left(deadline).is_some()) => {
                self.ask_for_an_end();
                Ok(())
            }
            Waited::TimedOut => {
                self.protocol.give_up();
                let silent = deadline.map_or(Duration::ZERO, |(silence, _)| silence);
                Err(PostgresError::TimedOut {
                    silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX),
                })
            }
        }
    }

    fn wait_for(&mut self, to_write: bool, timeout: Option<Duration>) -> Result<Waited, PostgresError> {
        self.stream.wait(to_write, timeout).map_err(|error| self.protocol.disconnected(Some(error)))
    }

    fn ask_for_an_end(&mut self) {
        let wanted = !self.interrupted && self.interrupt.as_mut().is_some_and(|check| check());
        if wanted {
            self.interrupted = true;
            if let Some(canceller) = self.canceller() {
                // If that cannot be done the statement goes on, and its end is waited for.
                let _ = canceller.cancel();
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}

/// What has come of a batch so far.
#[derive(Default)]
struct Batch {
    affected: u64,
    failed: Option<Box<ServerError>>,
    /// A load that fails ends before all of it is sent.
    ended: bool,
}

impl Batch {
    fn note(&mut self, event: Event) {
        match event {
            Event::Complete { affected, .. } => self.affected += affected.unwrap_or(0),
            Event::Failed(error) if self.failed.is_none() => self.failed = Some(error),
            Event::Ready => self.ended = true,
            _ => {}
        }
    }
}

impl Driver for Connection {
    type Error = PostgresError;

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn Rows,
    ) -> Result<Outcome, PostgresError> {
        Connection::execute(self, sql, parameters, rows)
    }

    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, PostgresError> {
        Connection::execute_many(self, sql, source)
    }

    fn script(&mut self, sql: &str) -> Result<(), PostgresError> {
        Connection::script(self, sql)
    }

    fn transaction(&self) -> Transaction {
        Connection::transaction(self)
    }

    fn is_usable(&self) -> bool {
        Connection::is_usable(self)
    }
}

/// Whether a statement is `COPY`, which cannot be prepared.
fn is_copy(sql: &str) -> bool {
    let mut rest = sql;
    loop {
        rest = rest.trim_start();
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else {
            return rest.get(..4).is_some_and(|word| word.eq_ignore_ascii_case("copy"));
        };
    }
}
