//! A blocking connection: the protocol, driven over a socket.
//!
//! A connection that broke, or was given up in the middle of an answer, is never used again: [`Connection::is_usable`]
//! is false from then on. Start at [`Connection::open`].

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::stream::{Place, Socket, Stream, TlsMode, TlsProvider, Waited, time_left};
use crate::{Driver, NoRows, Outcome, Rows, Sink, Source, Transaction, Value, Values};

use super::bulk::Bulk;
use super::error::{MySqlError, ServerError};
use super::options::{Address, Options};
use super::protocol::{CancelKey, Event, Protocol};
use super::statement::Statement;

/// Bytes that are gathered before they are sent, while more are coming.
const SEND_BYTES: usize = 64 * 1024;

/// How often whoever wants to be asked about an end is asked at least: a signal may come just before the waiting begins,
/// and then interrupts nothing.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// The error of a statement that has to be sent as text.
const NOT_PREPARABLE: u16 = 1295;

/// Says whether to cancel what is running.
type InterruptCheck = Box<dyn FnMut() -> bool + Send>;

/// A connection to MySQL or MariaDB for one thread at a time.
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
}

/// A statement whose rows are coming.
struct Active {
    /// An event that came while starting, and is to be told.
    first: Option<Event>,
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

/// A result that is fetched piece by piece, while other statements run in between.
#[derive(Debug)]
pub struct Cursor {
    statement: Arc<Statement>,
    /// All of its rows have been fetched: the server has closed it.
    exhausted: bool,
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
    /// It logs in on a connection of its own, and returns when the server has taken note. The statement itself then fails
    /// with 1317 (`70100`).
    ///
    /// Errors: as [`Connection::open`]; `Server` with 1094 where the connection is gone.
    pub fn cancel(&self) -> Result<(), MySqlError> {
        let mut connection = Connection::open(&self.options, self.tls.clone())?;
        connection.set_answer_timeout(self.options.connect_timeout);
        connection.script(&self.key.statement())
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

/// Connects, and sets what the options say about silence.
///
/// Errors: `Connect` with the reason of the last address, `ConnectTimedOut`.
fn connect(options: &Options, deadline: Option<Instant>) -> Result<Socket, MySqlError> {
    let place = match &options.address {
        Address::Unix { path } => Place::Unix(path),
        Address::Tcp { host, port } => Place::Tcp { host, port: *port },
    };
    Socket::connect(place, options.care(), deadline).map_err(|source| {
        let address = options.address.to_string();
        match source.kind() {
            io::ErrorKind::TimedOut => MySqlError::ConnectTimedOut { address },
            _ => MySqlError::Connect { address, source },
        }
    })
}

impl Connection {
    /// Connects and logs in, encrypted by `tls` where there is one and the options ask for it.
    ///
    /// Errors: `Connect`, `ConnectTimedOut`, `Tls`, `Authentication`, and `Server` for what the server refuses: a
    /// wrong password (1045), an unknown database (1049), too many connections (1040).
    /// Cost: three round trips, more where the server asks for another method of login; with TLS the handshake.
    pub fn open(options: &Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Connection, MySqlError> {
        match Connection::open_once(options, tls.clone()) {
            // The server may let nobody in without encryption, or not this user.
            Err(MySqlError::Server(refusal))
                if options.tls == TlsMode::Allow
                    && options.address.is_tcp()
                    && tls.is_some()
                    && (refusal.sqlstate == "28000" || refusal.code == 3159) =>
            {
                Connection::open_once(&Options { tls: TlsMode::Require, ..options.clone() }, tls)
            }
            opened => opened,
        }
    }

    fn open_once(options: &Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Connection, MySqlError> {
        let deadline = options.connect_timeout.map(|timeout| Instant::now() + timeout);
        let protocol = Protocol::start(options, tls.is_some())?;
        let socket = connect(options, deadline)?;
        let lost = |source| MySqlError::Lost { source: Some(source), said: None };
        let mut connection = Connection {
            protocol,
            stream: Stream::new(socket).map_err(lost)?,
            options: options.clone(),
            tls,
            silence_max: None,
            interrupt: None,
            interrupted: false,
            unwritable: None,
            active: None,
        };
        let timed_out = || MySqlError::ConnectTimedOut { address: options.address.to_string() };
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
                Err(MySqlError::TimedOut { .. }) => return Err(timed_out()),
                Err(error) => return Err(error),
            }
        }
        connection.silence_max = options.silence_max();
        Ok(connection)
    }

    fn start_tls(&mut self, deadline: Option<Instant>) -> Result<(), MySqlError> {
        let (Some(tls), Address::Tcp { host, .. }) = (self.tls.clone(), &self.options.address) else {
            return Err(MySqlError::Misuse { what: "encryption was not asked for" });
        };
        let host = host.clone();
        // The server waits for the word that TLS begins.
        while self.write_some()? {
            let timeout = deadline.map(|deadline| time_left(deadline).unwrap_or_default());
            self.wait_for(true, timeout)?;
        }
        let how = (self.options.tls, &*self.options.tls_files);
        let end_point = self.stream.encrypt(&*tls, &host, how, deadline);
        let end_point = end_point.map_err(|error| MySqlError::Tls { what: error.to_string() })?;
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

    /// What the server said of itself: `server_version` alone.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.protocol.setting(name)
    }

    /// Whether it is MariaDB rather than MySQL.
    pub fn is_mariadb(&self) -> bool {
        self.protocol.is_mariadb()
    }

    /// The number that the server has given to this connection: `CONNECTION_ID()`.
    pub fn process(&self) -> Option<u32> {
        self.protocol.cancel_key().map(CancelKey::process)
    }

    /// Looks, without waiting, whether the server has said anything by itself or has gone; for whoever keeps
    /// connections that nobody uses.
    ///
    /// Errors: `Lost` with the server's reason; the connection is over then. `Misuse` while a statement's rows are coming.
    /// Cost: one system call.
    pub fn look(&mut self) -> Result<(), MySqlError> {
        self.must_be_idle()?;
        if self.stream.wait(false, Some(Duration::ZERO)).is_ok_and(|waited| waited == Waited::TimedOut) {
            return Ok(());
        }
        while self.read_some()? {
            while self.protocol.next_event()?.is_some() {}
        }
        self.protocol.must_be_open()
    }

    /// What cancels this connection's statements.
    pub fn canceller(&self) -> Option<Canceller> {
        Some(Canceller {
            options: self.options.clone(),
            key: *self.protocol.cancel_key()?,
            tls: self.tls.clone(),
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
    /// A text that was prepared before costs one round trip, a new one two. If the server does not know a prepared
    /// statement any more, it is prepared again; then `values` is called twice. A statement that cannot be prepared is
    /// run as text if it has no parameters.
    ///
    /// Errors: `Server` if the statement is refused before its first row, `Parameter`, `ParameterCount`,
    /// `Unsendable`; `Misuse` while another statement's rows are coming.
    pub fn start(&mut self, sql: &str, values: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), MySqlError> {
        self.must_be_idle()?;
        loop {
            let kept = self.protocol.statement(sql);
            let was_kept = kept.is_some();
            let prepared = match kept {
                Some(statement) => Ok(statement),
                None => self.prepare(sql, true),
            };
            match prepared {
                Ok(statement) => {
                    self.protocol.execute(&statement, &mut |sink| {
                        values(sink);
                        true
                    })?;
                    self.protocol.sync()?;
                }
                Err(MySqlError::Server(error)) if error.code == NOT_PREPARABLE => {
                    let mut given = Values::default();
                    values(&mut given);
                    if !given.take().is_empty() {
                        return Err(MySqlError::Server(error));
                    }
                    self.protocol.query(sql)?;
                }
                Err(error) => return Err(error),
            }
            match self.event()? {
                Event::Failed(error) => {
                    let error = self.refused_alone(error)?;
                    if !(self.protocol.is_stale(&error, sql) && was_kept) {
                        return Err(MySqlError::Server(error));
                    }
                }
                event => {
                    self.active = Some(Active { first: Some(event), outcome: Outcome::default() });
                    return Ok(());
                }
            }
        }
    }

    /// Fetches up to `rows_max` more rows of the statement that was started.
    ///
    /// Rows are read from the server as they are asked for: memory does not grow with their number. A statement that has
    /// several results (`CALL`) tells the columns of each.
    ///
    /// Errors: `Server` when the statement fails at one of its rows, `Value` for a value that cannot be read; the
    /// statement is over then. `Misuse` when none was started.
    pub fn step(&mut self, rows: &mut dyn Rows, rows_max: u64) -> Result<Step, MySqlError> {
        let Some(mut active) = self.active.take() else {
            return Err(MySqlError::Misuse { what: "no statement was started" });
        };
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
                Event::Columns => rows.columns(self.protocol.columns()),
                Event::Row => {
                    if let Err(error) = self.protocol.row().and_then(|row| row.write_into(rows)) {
                        self.finish()?;
                        return Err(error);
                    }
                    count += 1;
                    if rows.row().is_break() {
                        self.finish()?;
                        return Ok(Step::Done(active.outcome));
                    }
                }
                Event::Complete { affected, inserted_id, .. } => {
                    active.outcome = Outcome { affected, inserted_id };
                }
                // Only a load has a file to give.
                Event::FileWanted => self.protocol.file_done()?,
                Event::Failed(error) => return Err(MySqlError::Server(self.refused_alone(error)?)),
                Event::Ready => {
                    self.not_interrupted()?;
                    return Ok(Step::Done(active.outcome));
                }
                _ => {}
            }
        }
    }

    /// Ends the statement that was started, without its remaining rows: it is cancelled, which ends no transaction, and
    /// what has come by then is thrown away.
    pub fn abandon(&mut self) -> Result<(), MySqlError> {
        if self.active.take().is_none() {
            return Ok(());
        }
        if let Some(canceller) = self.canceller() {
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
    ) -> Result<Outcome, MySqlError> {
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

    /// What the server knows of a statement: how many parameters it takes, and its columns. It is kept.
    pub fn describe(&mut self, sql: &str) -> Result<Arc<Statement>, MySqlError> {
        self.must_be_idle()?;
        match self.protocol.statement(sql) {
            Some(statement) => Ok(statement),
            None => self.prepare(sql, true),
        }
    }

    fn prepare(&mut self, sql: &str, keep: bool) -> Result<Arc<Statement>, MySqlError> {
        self.protocol.prepare(sql, keep)?;
        let mut prepared = None;
        loop {
            match self.event()? {
                Event::Prepared(statement) => prepared = Some(statement),
                Event::Failed(error) => return Err(MySqlError::Server(self.refused(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        prepared.ok_or(MySqlError::Protocol { what: "a statement that was not described" })
    }

    // Many rows.

    /// Runs one statement for each row of `source`; `affected` is the sum.
    ///
    /// All of it happens or nothing, inside a transaction too, which goes on after an error (but for one that undoes all
    /// of it, such as a deadlock). That holds for tables that know transactions: of others (MyISAM) what was done stays.
    /// Rows that the statement returns are thrown away. MariaDB gets many rows in one packet where the statement allows
    /// it; else executions go without waiting for answers, but inside a transaction one after the other.
    ///
    /// Errors: `Parameter` with its row; `Server` with its row as far as the server tells it.
    /// Cost: bytes on the wire, and a round trip for each 256 KiB.
    pub fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, MySqlError> {
        let statement = self.describe(sql)?;
        let frame = if self.transaction() == Transaction::None && self.protocol.stores_at_once() {
            &ALONE
        } else {
            &WITHIN
        };
        self.script(frame.begin)?;
        let mut many = Many { waits: frame.waits, ..Many::default() };
        let mut written = self.write_many(&statement, source, &mut many);
        if self.protocol.is_open() {
            let answered = self.answered_many(&mut many, 0);
            written = written.and(answered);
        }
        if !self.protocol.is_open() {
            written?;
            return Err(self.protocol.disconnected(self.unwritable.take()));
        }
        self.protocol.sync()?;
        let interrupted = self.finish();
        if written.is_ok() && interrupted.is_ok() && many.failed.is_none() {
            self.script(frame.keep)?;
            return Ok(Outcome { affected: Some(many.affected), inserted_id: many.inserted_id });
        }
        let undone = self.undo(frame);
        interrupted?;
        written?;
        if let Some(error) = many.failed {
            self.protocol.is_stale(&error, sql);
            return Err(MySqlError::Server(error));
        }
        undone.map(|()| Outcome::default())
    }

    /// Undoes what was done since `frame` began; where the server has undone all by itself there is no place to go back to.
    fn undo(&mut self, frame: &Frame) -> Result<(), MySqlError> {
        const NO_SUCH_SAVEPOINT: u16 = 1305;
        match self.script(frame.undo) {
            Err(MySqlError::Server(error)) if error.code == NO_SUCH_SAVEPOINT => Ok(()),
            undone => undone,
        }
    }

    fn write_many(
        &mut self,
        statement: &Arc<Statement>,
        source: &mut dyn Source,
        many: &mut Many,
    ) -> Result<(), MySqlError> {
        if self.protocol.can_bulk() && is_bulk(statement) {
            return self.write_bulk(statement, source, many);
        }
        while self.protocol.execute(statement, &mut |sink| source.next_row(sink))? {
            many.asked += 1;
            if many.waits || self.protocol.outgoing().len() >= SEND_BYTES {
                self.answered_many(many, if many.waits { 0 } else { SEND_BYTES })?;
                if many.failed.is_some() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn write_bulk(
        &mut self,
        statement: &Arc<Statement>,
        source: &mut dyn Source,
        many: &mut Many,
    ) -> Result<(), MySqlError> {
        let mut bulk = Bulk::new(Arc::clone(statement));
        loop {
            let written = self.protocol.bulk_row(&mut bulk, &mut |sink| source.next_row(sink));
            if !matches!(written, Ok(true)) {
                // What is written is answered before the error is told.
                self.protocol.bulk_done(&mut bulk)?;
            }
            let sent = self.protocol.take_bulks_sent();
            if sent > 0 {
                many.asked += sent;
                // The rows of one packet end at the first that fails; those of the next would not.
                self.answered_many(many, 0)?;
            }
            if !written? || many.failed.is_some() {
                return Ok(());
            }
        }
    }

    /// Takes answers until all have come or, if `left_bytes` is not 0, less than that is left to be sent.
    fn answered_many(&mut self, many: &mut Many, left_bytes: usize) -> Result<(), MySqlError> {
        loop {
            while let Some(event) = self.protocol.next_event()? {
                many.note(event);
            }
            let sent = left_bytes > 0 && self.protocol.outgoing().len() < left_bytes;
            if many.asked == 0 || sent {
                return Ok(());
            }
            self.exchange(left_bytes > 0)?;
        }
    }

    /// Runs `LOAD DATA LOCAL INFILE …` with what `file` gives; gives how many rows were loaded. Which file the statement
    /// names is of no importance: the server gets these bytes and no others.
    ///
    /// Errors: `Misuse` when the options did not allow it ([`Options::local_infile`]), or `sql` is no such statement;
    /// `Server`; `Unsendable` when `file` cannot be read, where what the server has got by then is loaded all the same.
    pub fn load(&mut self, sql: &str, file: &mut dyn io::Read) -> Result<u64, MySqlError> {
        self.must_be_idle()?;
        if !self.options.local_infile {
            return Err(MySqlError::Misuse { what: "loading a file was not allowed when it was opened" });
        }
        self.protocol.query(sql)?;
        let (mut loaded, mut read) = (0, None);
        loop {
            match self.event()? {
                Event::FileWanted => read = Some(self.send_file(file)?),
                Event::Complete { affected, .. } => loaded = affected.unwrap_or(0),
                Event::Failed(error) => return Err(MySqlError::Server(self.refused(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        match read {
            Some(Ok(())) => Ok(loaded),
            Some(Err(error)) => {
                Err(MySqlError::Unsendable { what: format!("the file cannot be read: {error}") })
            }
            None => Err(MySqlError::Misuse { what: "the statement loads no file" }),
        }
    }

    fn send_file(&mut self, file: &mut dyn io::Read) -> Result<io::Result<()>, MySqlError> {
        let mut bytes = vec![0; SEND_BYTES];
        let read = loop {
            match file.read(&mut bytes) {
                Ok(0) => break Ok(()),
                Ok(count) => self.protocol.file_data(&bytes[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
            while self.protocol.outgoing().len() >= SEND_BYTES {
                self.exchange(true)?;
            }
        };
        self.protocol.file_done()?;
        Ok(read)
    }

    // Text, cursors.

    /// Runs statements separated by semicolons, each for itself.
    ///
    /// Errors: `Server` for the first that is refused; those before it are done, those after it are not.
    pub fn script(&mut self, sql: &str) -> Result<(), MySqlError> {
        self.run_text(sql, &mut NoRows).map(|_| ())
    }

    /// As [`Connection::script`], with the rows of all of them; gives the outcome of the last statement.
    pub fn run_text(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Outcome, MySqlError> {
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
                // Only a load has a file to give.
                Event::FileWanted => self.protocol.file_done()?,
                Event::Complete { affected, inserted_id, .. } => outcome = Outcome { affected, inserted_id },
                Event::Failed(error) => return Err(MySqlError::Server(self.refused(error)?)),
                Event::Ready => {
                    self.not_interrupted()?;
                    return Ok(outcome);
                }
                _ => {}
            }
        }
    }

    /// Opens a result that is fetched piece by piece while other statements run in between. It lives until it is closed,
    /// whatever happens to transactions.
    ///
    /// Errors: `Misuse` for a statement that gives no rows; else as [`Connection::start`].
    /// Cost: the server keeps the whole result.
    pub fn open_cursor(
        &mut self,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor, MySqlError> {
        self.must_be_idle()?;
        let statement = self.prepare(sql, false)?;
        self.protocol.keep_passing();
        let opened = self.start_cursor(&statement, values);
        if matches!(opened, Ok(true)) {
            return Ok(Cursor { statement, exhausted: false });
        }
        if self.is_usable() {
            self.protocol.close_statement(statement)?;
        }
        opened?;
        Err(MySqlError::Misuse { what: "the server has no cursor for such a statement" })
    }

    /// Whether the server has one for the statement.
    fn start_cursor(
        &mut self,
        statement: &Arc<Statement>,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<bool, MySqlError> {
        self.protocol.open_cursor(statement, values)?;
        self.protocol.sync()?;
        let mut opened = false;
        loop {
            match self.event()? {
                Event::Suspended => opened = true,
                Event::Failed(error) => return Err(MySqlError::Server(self.refused_alone(error)?)),
                Event::Ready => return self.not_interrupted().map(|()| opened),
                _ => {}
            }
        }
    }

    /// Fetches up to `rows_max` more rows of a cursor; false when those were all.
    pub fn fetch(
        &mut self,
        cursor: &mut Cursor,
        rows_max: u32,
        rows: &mut dyn Rows,
    ) -> Result<bool, MySqlError> {
        self.must_be_idle()?;
        if cursor.exhausted {
            return Ok(false);
        }
        self.protocol.fetch(&cursor.statement, rows_max)?;
        self.protocol.sync()?;
        rows.columns(self.protocol.columns());
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
                Event::Failed(error) => return Err(MySqlError::Server(self.refused_alone(error)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        cursor.exhausted = !more;
        self.not_interrupted()?;
        result.map(|()| more)
    }

    /// Closes a cursor.
    pub fn close_cursor(&mut self, cursor: Cursor) -> Result<(), MySqlError> {
        self.must_be_idle()?;
        // It goes with the next request: nothing answers.
        self.protocol.close_statement(cursor.statement)
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

    fn must_be_idle(&mut self) -> Result<(), MySqlError> {
        self.protocol.must_be_open()?;
        if self.active.is_some() {
            return Err(MySqlError::Misuse {
                what: "another statement's rows are still coming on this connection",
            });
        }
        Ok(())
    }

    /// The next event; waits for it.
    fn event(&mut self) -> Result<Event, MySqlError> {
        loop {
            match self.protocol.next_event()? {
                Some(event) => return Ok(event),
                None => self.exchange(false)?,
            }
        }
    }

    /// Reads up to the end of the batch, whatever comes.
    fn finish(&mut self) -> Result<(), MySqlError> {
        loop {
            match self.event()? {
                Event::FileWanted => self.protocol.file_done()?,
                Event::Ready => return self.not_interrupted(),
                _ => {}
            }
        }
    }

    /// The error of a statement, once all is read that belongs to it.
    fn refused(&mut self, error: Box<ServerError>) -> Result<Box<ServerError>, MySqlError> {
        if error.is_fatal() {
            // The server closes the connection: no end of the batch will come.
            self.protocol.give_up();
            self.interrupted = false;
            return Err(MySqlError::Lost { source: None, said: Some(error) });
        }
        self.finish()?;
        Ok(error)
    }

    /// The same for a statement that has but one row of parameters.
    fn refused_alone(&mut self, error: Box<ServerError>) -> Result<Box<ServerError>, MySqlError> {
        let mut error = self.refused(error)?;
        error.row = None;
        Ok(error)
    }

    /// If the caller has asked for an end meanwhile, that is what is told.
    fn not_interrupted(&mut self) -> Result<(), MySqlError> {
        if std::mem::take(&mut self.interrupted) { Err(MySqlError::Interrupted) } else { Ok(()) }
    }

    /// Sends what is to be sent and waits until some bytes have come, or with `or_sent` until some have gone.
    fn exchange(&mut self, or_sent: bool) -> Result<(), MySqlError> {
        if let Some(error) = self.unwritable.take() {
            return Err(self.protocol.disconnected(Some(error)));
        }
        let deadline = self.silence_max.map(|silence| (silence, Instant::now() + silence));
        let before = self.protocol.outgoing().len();
        loop {
            let to_write = self.write_some()?;
            if or_sent && self.protocol.outgoing().len() < before {
                // An error is to be heard soon, also by a socket that takes all that is written.
                self.wait_for(false, Some(Duration::ZERO))?;
                return self.read_some().map(|_| ());
            }
            if self.read_some()? {
                return Ok(());
            }
            self.wait(to_write, deadline)?;
        }
    }

    /// Writes until all is sent; true when the other end takes no more for now.
    fn write_some(&mut self) -> Result<bool, MySqlError> {
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
    fn read_some(&mut self) -> Result<bool, MySqlError> {
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

    fn wait(&mut self, to_write: bool, deadline: Option<(Duration, Instant)>) -> Result<(), MySqlError> {
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
                Err(MySqlError::TimedOut { silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX) })
            }
        }
    }

    fn wait_for(&mut self, to_write: bool, timeout: Option<Duration>) -> Result<Waited, MySqlError> {
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

/// How many executions of one statement are made as one.
struct Frame {
    begin: &'static str,
    keep: &'static str,
    undo: &'static str,
    /// Each execution is waited for.
    waits: bool,
}

/// Outside a transaction. A deadlock undoes all by itself, and what is executed after it would be stored for itself: so
/// that the session stores nothing by itself meanwhile.
const ALONE: Frame = Frame {
    begin: "SET autocommit=0",
    keep: "COMMIT; SET autocommit=1",
    undo: "ROLLBACK; SET autocommit=1",
    waits: false,
};

/// Inside a transaction, where nothing may be executed after an error.
const WITHIN: Frame = Frame {
    begin: "SAVEPOINT naja_many",
    keep: "RELEASE SAVEPOINT naja_many",
    undo: "ROLLBACK TO SAVEPOINT naja_many",
    waits: true,
};

/// What has come of many executions so far.
#[derive(Default)]
struct Many {
    affected: u64,
    inserted_id: Option<i64>,
    failed: Option<Box<ServerError>>,
    /// How many answers are still to come.
    asked: u64,
    waits: bool,
}

impl Many {
    fn note(&mut self, event: Event) {
        match event {
            Event::Complete { affected, inserted_id, .. } => {
                self.affected += affected.unwrap_or(0);
                self.inserted_id = self.inserted_id.or(inserted_id);
                self.asked = self.asked.saturating_sub(1);
            }
            Event::Failed(error) => {
                self.asked = self.asked.saturating_sub(1);
                if self.failed.is_none() {
                    self.failed = Some(error);
                }
            }
            _ => {}
        }
    }
}

/// Whether MariaDB takes many rows for a statement in one packet.
fn is_bulk(statement: &Statement) -> bool {
    let word: String = statement.sql().trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let known =
        ["insert", "replace", "update", "delete"].iter().any(|known| word.eq_ignore_ascii_case(known));
    known && statement.parameter_count() > 0 && statement.columns().is_empty()
}

impl Driver for Connection {
    type Error = MySqlError;

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn Rows,
    ) -> Result<Outcome, MySqlError> {
        Connection::execute(self, sql, parameters, rows)
    }

    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, MySqlError> {
        Connection::execute_many(self, sql, source)
    }

    fn script(&mut self, sql: &str) -> Result<(), MySqlError> {
        Connection::script(self, sql)
    }

    fn transaction(&self) -> Transaction {
        Connection::transaction(self)
    }

    fn is_usable(&self) -> bool {
        Connection::is_usable(self)
    }
}
