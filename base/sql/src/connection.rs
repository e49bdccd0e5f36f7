//! A blocking connection: an engine's protocol, driven over a socket.
//!
//! A connection that broke, or was given up in the middle of an answer, is never used again: [`Connection::is_usable`]
//! is false from then on. What an engine does in its own way is [`Blocking`]. Start at [`Connection::open`].

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Engine, ErrorOf, Event, EventOf};
use crate::error::{Error, Refusal as _};
use crate::stream::{Care, Place, Socket, Stream, TlsMode, TlsProvider, Waited, time_left};
use crate::{Column, Driver, NoRows, Outcome, Rows, Sink, Source, Transaction, Value, Values};

/// Bytes that are gathered before they are sent, while more are coming.
pub(crate) const SEND_BYTES: usize = 64 * 1024;

/// How often whoever wants to be asked about an end is asked at least: a signal may come just before the waiting begins,
/// and then interrupts nothing.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Says whether to cancel what is running.
type InterruptCheck = Box<dyn FnMut() -> bool + Send>;

/// What an engine does in its own way on a blocking connection.
pub trait Blocking: Engine<Options: Clone + fmt::Display> {
    /// What one needs to cancel a statement of a connection.
    type CancelKey: Clone + fmt::Debug;
    /// What the server has said beside its answers, and nobody has taken yet.
    type Remarks: Default;

    /// Where the server is, and how it is reached.
    fn access(options: &Self::Options) -> Access<'_>;

    /// What a connection keeps of its options.
    fn kept(options: &Self::Options) -> Self::Options;

    /// Whether a login may have been refused because it was not encrypted.
    fn may_want_encryption(refusal: &Self::Refusal) -> bool;

    /// The same options, for a connection that is encrypted or none.
    fn encrypted(options: &Self::Options) -> Self::Options;

    /// What one needs to cancel a statement; none of servers without.
    fn cancel_key(&self) -> Option<&Self::CancelKey>;

    /// Asks the server to end the statement that is running.
    fn cancel(canceller: &Canceller<Self>) -> Result<(), ErrorOf<Self>>;

    /// Whether a statement whose rows nobody wants is cancelled. Else they are read and thrown away.
    fn cancels_unwanted(&self) -> bool;

    /// Keeps what is no part of an answer; gives back what is one.
    fn put_aside(remarks: &mut Self::Remarks, event: Self::Own) -> Option<Self::Own>;

    /// Where the server waits for something that nobody gives, says so.
    fn decline(&mut self, event: &Self::Own) -> Result<(), ErrorOf<Self>>;

    /// Whether a statement without parameters is sent as text, since it cannot be prepared.
    fn is_text_alone(sql: &str) -> bool;

    /// Whether a statement was refused since it cannot be prepared.
    fn is_refused_preparation(refusal: &Self::Refusal) -> bool;

    /// The columns that are known of a statement since it was prepared, where its executions do not tell them.
    fn settled_columns(statement: &Self::Statement) -> &[Column];

    /// Asks for more rows of a cursor.
    fn ask_rows(&mut self, cursor: &Cursor<Self>, rows_max: u32) -> Result<(), ErrorOf<Self>>;

    /// See [`Connection::open_cursor`].
    fn open_cursor(
        connection: &mut Connection<Self>,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor<Self>, ErrorOf<Self>>;

    /// See [`Connection::close_cursor`].
    fn close_cursor(connection: &mut Connection<Self>, cursor: Cursor<Self>) -> Result<(), ErrorOf<Self>>;

    /// See [`Connection::execute_many`].
    fn execute_many(
        connection: &mut Connection<Self>,
        sql: &str,
        source: &mut dyn Source,
    ) -> Result<Outcome, ErrorOf<Self>>;
}

/// Where a server is, and how it is reached.
pub struct Access<'a> {
    pub(crate) place: Place<'a>,
    /// The address as a person reads it.
    pub(crate) shown: String,
    pub(crate) care: Care,
    pub(crate) tls: TlsMode,
    pub(crate) tls_files: &'a [(String, String)],
    pub(crate) connect_timeout: Option<Duration>,
    /// How long to wait for an answer at all.
    pub(crate) silence_max: Option<Duration>,
}

impl Access<'_> {
    /// When a connection that begins now has to be ready.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.connect_timeout.map(|timeout| Instant::now() + timeout)
    }

    fn timed_out<R>(&self) -> Error<R> {
        Error::ConnectTimedOut { address: self.shown.clone() }
    }

    /// Connects, and sets what the options say about silence.
    ///
    /// Errors: `Connect` with the reason of the last address, `ConnectTimedOut`.
    pub(crate) fn connect<R>(&self, deadline: Option<Instant>) -> Result<Socket, Error<R>> {
        Socket::connect(&self.place, self.care, deadline).map_err(|source| match source.kind() {
            io::ErrorKind::TimedOut => self.timed_out(),
            _ => Error::Connect { address: self.shown.clone(), source },
        })
    }

    /// Encrypts the stream; gives the hash of the server's certificate.
    pub(crate) fn encrypt(
        &self,
        stream: &mut Stream,
        tls: &dyn TlsProvider,
        deadline: Option<Instant>,
    ) -> io::Result<Option<Vec<u8>>> {
        let Place::Tcp { host, .. } = self.place else {
            return Err(io::Error::other("a Unix socket is not encrypted"));
        };
        stream.encrypt(tls, host, (self.tls, self.tls_files), deadline)
    }
}

/// A connection to a server for one thread at a time.
pub struct Connection<E: Blocking> {
    pub(crate) protocol: E,
    stream: Stream,
    pub(crate) options: E::Options,
    tls: Option<Arc<dyn TlsProvider>>,
    silence_max: Option<Duration>,
    interrupt: Option<InterruptCheck>,
    interrupted: bool,
    /// Writing has failed with this; what the other end said before is still to be read.
    unwritable: Option<io::Error>,
    active: Option<Active<E>>,
    pub(crate) remarks: E::Remarks,
}

/// A statement whose rows are coming.
struct Active<E: Engine> {
    /// The statement, until its columns are told.
    untold: Option<Arc<E::Statement>>,
    /// An event that came while starting, and is to be told.
    first: Option<EventOf<E>>,
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
pub struct Cursor<E: Engine> {
    pub(crate) statement: Arc<E::Statement>,
    /// Its name, of engines where it has one.
    pub(crate) name: String,
    /// All of its rows have been fetched.
    exhausted: bool,
}

impl<E: Engine> Cursor<E> {
    pub(crate) fn new(statement: Arc<E::Statement>, name: String) -> Cursor<E> {
        Cursor { statement, name, exhausted: false }
    }
}

impl<E: Engine> fmt::Debug for Cursor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursor").field("exhausted", &self.exhausted).finish_non_exhaustive()
    }
}

/// Cancels what a connection is running, from any thread and without it.
pub struct Canceller<E: Blocking> {
    pub(crate) options: E::Options,
    pub(crate) key: E::CancelKey,
    /// Where the connection itself is encrypted.
    pub(crate) tls: Option<Arc<dyn TlsProvider>>,
}

impl<E: Blocking> Canceller<E> {
    /// Asks the server to end the statement that is running; one that has ended by then is not harmed, the next one
    /// may be if it begins at once in another thread.
    ///
    /// It does so on a connection of its own, and returns when the server has taken note. The statement itself then fails
    /// with `57014` (PostgreSQL) or 1317 (`70100`, MySQL).
    ///
    /// Errors: as [`Connection::open`]; of MySQL also `Server` with 1094 where the connection is gone.
    pub fn cancel(&self) -> Result<(), ErrorOf<E>> {
        E::cancel(self)
    }
}

impl<E: Blocking> Clone for Canceller<E> {
    fn clone(&self) -> Self {
        Canceller { options: self.options.clone(), key: self.key.clone(), tls: self.tls.clone() }
    }
}

impl<E: Blocking> fmt::Debug for Canceller<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = E::access(&self.options).shown;
        f.debug_struct("Canceller").field("address", &address).field("key", &self.key).finish()
    }
}

impl<E: Blocking> fmt::Debug for Connection<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("to", &self.options.to_string())
            .field("usable", &self.is_usable())
            .finish_non_exhaustive()
    }
}

impl<E: Blocking> Connection<E> {
    /// Connects and logs in, encrypted by `tls` where there is one and the options ask for it.
    ///
    /// Errors: `Connect`, `ConnectTimedOut`, `Tls`, `Authentication`, and `Server` for what the server refuses: a
    /// wrong password (`28P01`; of MySQL 1045), an unknown database (`3D000`, 1049), too many connections (`53300`, 1040).
    /// Cost: of PostgreSQL one round trip, with SCRAM three and some milliseconds of hashing; of MySQL three, and more where
    /// the server asks for another method of login; with TLS the handshake.
    pub fn open(options: &E::Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Self, ErrorOf<E>> {
        let access = E::access(options);
        let may_encrypt = access.tls == TlsMode::Allow && matches!(access.place, Place::Tcp { .. });
        match Self::open_once(options, tls.clone()) {
            // The server may let nobody in without encryption, or not this user.
            Err(Error::Server(refusal))
                if may_encrypt && tls.is_some() && E::may_want_encryption(&refusal) =>
            {
                Self::open_once(&E::encrypted(options), tls)
            }
            opened => opened,
        }
    }

    fn open_once(options: &E::Options, tls: Option<Arc<dyn TlsProvider>>) -> Result<Self, ErrorOf<E>> {
        let access = E::access(options);
        let deadline = access.deadline();
        let protocol = E::start(options, tls.is_some())?;
        let socket = access.connect(deadline)?;
        let mut connection = Connection {
            protocol,
            stream: Stream::new(socket).map_err(Error::broken)?,
            options: E::kept(options),
            tls,
            silence_max: None,
            interrupt: None,
            interrupted: false,
            unwritable: None,
            active: None,
            remarks: E::Remarks::default(),
        };
        loop {
            connection.silence_max = match deadline.map(time_left) {
                Some(None) => return Err(access.timed_out()),
                Some(left) => left,
                None => None,
            };
            match connection.event() {
                Ok(Event::Ready) => break,
                Ok(Event::StartTls) => connection.start_tls(&access, deadline)?,
                Ok(_) => {}
                Err(Error::TimedOut { .. }) => return Err(access.timed_out()),
                Err(error) => return Err(error),
            }
        }
        connection.silence_max = access.silence_max;
        Ok(connection)
    }

    fn start_tls(&mut self, access: &Access<'_>, deadline: Option<Instant>) -> Result<(), ErrorOf<E>> {
        let Some(tls) = self.tls.clone() else {
            return Err(Error::Misuse { what: "encryption was not asked for" });
        };
        // The server may still wait for the word that TLS begins.
        while self.write_some()? {
            let timeout = deadline.map(|deadline| time_left(deadline).unwrap_or_default());
            self.wait_for(true, timeout)?;
        }
        let end_point = access.encrypt(&mut self.stream, &*tls, deadline);
        let end_point = end_point.map_err(|error| Error::Tls { what: error.to_string() })?;
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

    /// What the server reports by itself: `server_version`, of PostgreSQL also `TimeZone`, `in_hot_standby`, …
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.protocol.setting(name)
    }

    /// Looks, without waiting, whether the server has said anything by itself or has gone; for whoever keeps
    /// connections that nobody uses, and for notifications.
    ///
    /// Errors: `Lost` with the server's reason; the connection is over then. `Misuse` while a statement's rows are coming.
    /// Cost: one system call.
    pub fn look(&mut self) -> Result<(), ErrorOf<E>> {
        self.must_be_idle()?;
        if self.stream.wait(false, Some(Duration::ZERO)).is_ok_and(|waited| waited == Waited::TimedOut) {
            return Ok(());
        }
        while self.read_some()? {
            while let Some(event) = self.protocol.next_event()? {
                self.put_aside(event);
            }
        }
        self.protocol.wire_mut().must_be_open()
    }

    /// What cancels this connection's statements; none if the server does not know how.
    pub fn canceller(&self) -> Option<Canceller<E>> {
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
    /// A text that was prepared before costs one round trip, a new one two. If a table has changed under a prepared
    /// statement, or the server does not know it any more, it is prepared again, as long as no transaction is lost by that;
    /// then `values` is called twice. A statement that MySQL cannot prepare is run as text if it has no parameters.
    ///
    /// Errors: `Server` if the statement is refused before its first row, `Parameter`, `ParameterCount`,
    /// `Unsendable`; `Misuse` while another statement's rows are coming.
    pub fn start(&mut self, sql: &str, values: &mut dyn FnMut(&mut dyn Sink)) -> Result<(), ErrorOf<E>> {
        self.must_be_idle()?;
        loop {
            let kept = self.protocol.statement(sql);
            let was_kept = kept.is_some();
            let prepared = match kept {
                Some(statement) => Ok(statement),
                None => self.prepare(sql, true),
            };
            let untold = match prepared {
                Ok(statement) => {
                    self.protocol.execute(&statement, &mut |sink| {
                        values(sink);
                        true
                    })?;
                    self.protocol.sync()?;
                    Some(statement)
                }
                Err(Error::Server(refusal)) if E::is_refused_preparation(&refusal) => {
                    let mut given = Values::default();
                    values(&mut given);
                    if !given.take().is_empty() {
                        return Err(Error::Server(refusal));
                    }
                    self.protocol.query(sql)?;
                    None
                }
                Err(error) => return Err(error),
            };
            match self.event()? {
                Event::Failed(refusal) => {
                    let refusal = self.refused_alone(refusal)?;
                    if !(self.protocol.is_stale(&refusal, sql) && was_kept) {
                        return Err(Error::Server(refusal));
                    }
                }
                event => {
                    self.active = Some(Active { untold, first: Some(event), outcome: Outcome::default() });
                    return Ok(());
                }
            }
        }
    }

    /// Fetches up to `rows_max` more rows of the statement that was started.
    ///
    /// Rows are read from the server as they are asked for: memory does not grow with their number. A statement that has
    /// several results (`CALL` of MySQL) tells the columns of each.
    ///
    /// Errors: `Server` when the statement fails at one of its rows, `Value` for a value that cannot be read; the
    /// statement is over then. `Misuse` when none was started.
    pub fn step(&mut self, rows: &mut dyn Rows, rows_max: u64) -> Result<Step, ErrorOf<E>> {
        let Some(mut active) = self.active.take() else {
            return Err(Error::Misuse { what: "no statement was started" });
        };
        if let Some(statement) = active.untold.take() {
            let columns = E::settled_columns(&statement);
            if !columns.is_empty() {
                rows.columns(columns);
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
                Event::Columns => rows.columns(self.protocol.columns()),
                Event::Row => {
                    if let Err(error) = self.protocol.row(rows) {
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
                Event::Complete { affected, inserted_id, .. } => {
                    active.outcome = Outcome { affected, inserted_id };
                }
                Event::Own(own) => self.protocol.decline(&own)?,
                Event::Failed(refusal) => return Err(Error::Server(self.refused_alone(refusal)?)),
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
    /// It is cancelled, unless that would end a transaction, as in PostgreSQL: then the rows are read and thrown away.
    pub fn abandon(&mut self) -> Result<(), ErrorOf<E>> {
        if self.active.take().is_none() {
            return Ok(());
        }
        if self.protocol.cancels_unwanted()
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
    ) -> Result<Outcome, ErrorOf<E>> {
        if parameters.is_empty() && E::is_text_alone(sql) {
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

    /// What the server knows of a statement: its parameters and its columns. It is kept.
    pub fn describe(&mut self, sql: &str) -> Result<Arc<E::Statement>, ErrorOf<E>> {
        self.must_be_idle()?;
        match self.protocol.statement(sql) {
            Some(statement) => Ok(statement),
            None => self.prepare(sql, true),
        }
    }

    pub(crate) fn prepare(&mut self, sql: &str, keep: bool) -> Result<Arc<E::Statement>, ErrorOf<E>> {
        self.protocol.prepare(sql, keep)?;
        let mut prepared = None;
        loop {
            match self.event()? {
                Event::Prepared(statement) => prepared = Some(statement),
                Event::Failed(refusal) => return Err(Error::Server(self.refused(refusal)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        self.not_interrupted()?;
        prepared.ok_or(Error::Protocol { what: "a statement that was not described" })
    }

    /// Runs one statement for each row of `source`; `affected` is the sum. Rows that it returns are thrown away.
    ///
    /// Outside a transaction all of it happens or nothing.
    ///
    /// PostgreSQL: all is sent without waiting for answers. Inside a transaction, what came before an error of a parameter
    /// stands, and an error of the server ends the transaction.
    ///
    /// MySQL: all or nothing holds inside a transaction too, which goes on after an error (but for one that undoes all of
    /// it, such as a deadlock), and for tables that know transactions: of others (MyISAM) what was done stays. MariaDB gets
    /// many rows in one packet where the statement allows it; else executions go without waiting for answers, but inside a
    /// transaction one after the other.
    ///
    /// Errors: `Parameter` with its row; `Server` with its row as far as the server tells it.
    /// Cost: bytes on the wire, and two round trips for any number of rows; of MySQL one for each 256 KiB.
    pub fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, ErrorOf<E>> {
        E::execute_many(self, sql, source)
    }

    // Text, cursors.

    /// Runs statements separated by semicolons. Without `BEGIN` in it, all of it is one transaction of PostgreSQL; MySQL
    /// runs each for itself.
    ///
    /// Errors: `Server` for the first that is refused; those after it are not run.
    pub fn script(&mut self, sql: &str) -> Result<(), ErrorOf<E>> {
        self.run_text(sql, &mut NoRows).map(|_| ())
    }

    /// As [`Connection::script`], with the rows of all of them, whose values PostgreSQL gives as text; gives the outcome of
    /// the last statement.
    pub fn run_text(&mut self, sql: &str, rows: &mut dyn Rows) -> Result<Outcome, ErrorOf<E>> {
        self.must_be_idle()?;
        self.protocol.query(sql)?;
        let mut outcome = Outcome::default();
        let mut wanted = true;
        loop {
            match self.event()? {
                Event::Columns => rows.columns(self.protocol.columns()),
                Event::Row if wanted => {
                    if let Err(error) = self.protocol.row(rows) {
                        self.finish()?;
                        return Err(error);
                    }
                    wanted = rows.row().is_continue();
                }
                Event::Own(own) => self.protocol.decline(&own)?,
                Event::Complete { affected, inserted_id, .. } => outcome = Outcome { affected, inserted_id },
                Event::Failed(refusal) => return Err(Error::Server(self.refused(refusal)?)),
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
    /// In PostgreSQL it lives until its transaction ends. In MySQL it lives until it is closed, whatever happens to
    /// transactions, and the server keeps the whole result.
    ///
    /// Errors: `Misuse` outside a transaction of PostgreSQL, and for a statement that gives MySQL no rows; else as
    /// [`Connection::start`].
    pub fn open_cursor(
        &mut self,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor<E>, ErrorOf<E>> {
        E::open_cursor(self, sql, values)
    }

    /// Closes a cursor before its transaction does.
    pub fn close_cursor(&mut self, cursor: Cursor<E>) -> Result<(), ErrorOf<E>> {
        self.must_be_idle()?;
        E::close_cursor(self, cursor)
    }

    /// Fetches up to `rows_max` more rows of a cursor; false when those were all.
    pub fn fetch(
        &mut self,
        cursor: &mut Cursor<E>,
        rows_max: u32,
        rows: &mut dyn Rows,
    ) -> Result<bool, ErrorOf<E>> {
        self.must_be_idle()?;
        if cursor.exhausted {
            return Ok(false);
        }
        self.protocol.ask_rows(cursor, rows_max)?;
        self.protocol.sync()?;
        rows.columns(self.protocol.columns());
        let mut more = false;
        let mut result = Ok(());
        let mut wanted = true;
        loop {
            match self.event()? {
                Event::Row if wanted => {
                    result = self.protocol.row(rows);
                    wanted = result.is_ok() && rows.row().is_continue();
                }
                Event::Suspended => more = true,
                Event::Failed(refusal) => return Err(Error::Server(self.refused_alone(refusal)?)),
                Event::Ready => break,
                _ => {}
            }
        }
        cursor.exhausted = !more;
        self.not_interrupted()?;
        result.map(|()| more)
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

    // Events.

    pub(crate) fn must_be_idle(&mut self) -> Result<(), ErrorOf<E>> {
        self.protocol.wire_mut().must_be_open()?;
        if self.active.is_some() {
            return Err(Error::Misuse {
                what: "another statement's rows are still coming on this connection",
            });
        }
        Ok(())
    }

    /// The next event; waits for it. Remarks are put aside.
    #[inline]
    pub(crate) fn event(&mut self) -> Result<EventOf<E>, ErrorOf<E>> {
        loop {
            match self.protocol.next_event()? {
                Some(event) => {
                    if let Some(event) = self.put_aside(event) {
                        return Ok(event);
                    }
                }
                None => self.exchange(false)?,
            }
        }
    }

    #[inline]
    fn put_aside(&mut self, event: EventOf<E>) -> Option<EventOf<E>> {
        match event {
            Event::Own(own) => E::put_aside(&mut self.remarks, own).map(Event::Own),
            event => Some(event),
        }
    }

    /// Reads up to the end of the batch, and gives the first error in it.
    pub(crate) fn until_ready(&mut self) -> Result<(), ErrorOf<E>> {
        let mut batch = Batch::default();
        self.answered(&mut batch)?;
        match batch.failed {
            Some(refusal) => Err(Error::Server(refusal)),
            None => Ok(()),
        }
    }

    /// Reads up to the end of the batch, whatever comes.
    pub(crate) fn finish(&mut self) -> Result<(), ErrorOf<E>> {
        self.answered(&mut Batch::default())
    }

    /// Reads up to the end of the batch.
    pub(crate) fn answered(&mut self, batch: &mut Batch<E>) -> Result<(), ErrorOf<E>> {
        while !batch.ended {
            match self.event()? {
                Event::Own(own) => self.protocol.decline(&own)?,
                event => batch.note(event),
            }
        }
        self.not_interrupted()
    }

    /// What the server refused, once all is read that belongs to it.
    pub(crate) fn refused(&mut self, refusal: Box<E::Refusal>) -> Result<Box<E::Refusal>, ErrorOf<E>> {
        if refusal.is_fatal() {
            // The server closes the connection: no end of the batch will come.
            self.protocol.give_up();
            self.interrupted = false;
            return Err(Error::Lost { source: None, said: Some(refusal) });
        }
        self.finish()?;
        Ok(refusal)
    }

    /// The same for a statement that has but one row of parameters.
    pub(crate) fn refused_alone(&mut self, refusal: Box<E::Refusal>) -> Result<Box<E::Refusal>, ErrorOf<E>> {
        let mut refusal = self.refused(refusal)?;
        refusal.set_row(None);
        Ok(refusal)
    }

    /// If the caller has asked for an end meanwhile, that is what is told.
    pub(crate) fn not_interrupted(&mut self) -> Result<(), ErrorOf<E>> {
        if std::mem::take(&mut self.interrupted) { Err(Error::Interrupted) } else { Ok(()) }
    }

    // Bytes.

    /// The error of a stream that has ended, with what is known of it.
    pub(crate) fn disconnected(&mut self) -> ErrorOf<E> {
        let source = self.unwritable.take();
        self.protocol.disconnected(source)
    }

    /// Sends what is to be sent and waits until some bytes have come, or with `or_sent` until some have gone.
    pub(crate) fn exchange(&mut self, or_sent: bool) -> Result<(), ErrorOf<E>> {
        if self.unwritable.is_some() {
            // What the server has said before it closed is read first.
            return if self.read_some()? { Ok(()) } else { Err(self.disconnected()) };
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

    /// Takes the answers that are there.
    pub(crate) fn hear(&mut self, batch: &mut Batch<E>) -> Result<(), ErrorOf<E>> {
        while let Some(event) = self.protocol.next_event()? {
            if let Some(event) = self.put_aside(event) {
                batch.note(event);
            }
        }
        Ok(())
    }

    /// Sends at least so much that less than [`SEND_BYTES`] are left, and takes the answers that come meanwhile.
    pub(crate) fn send(&mut self, batch: &mut Batch<E>) -> Result<(), ErrorOf<E>> {
        while self.protocol.outgoing().len() >= SEND_BYTES {
            self.exchange(true)?;
            self.hear(batch)?;
        }
        Ok(())
    }

    /// Writes until all is sent; true when the other end takes no more for now.
    fn write_some(&mut self) -> Result<bool, ErrorOf<E>> {
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
    fn read_some(&mut self) -> Result<bool, ErrorOf<E>> {
        match self.stream.read(self.protocol.room()) {
            Ok(None) => Ok(false),
            Ok(Some(0)) => Err(self.disconnected()),
            Ok(Some(count)) => {
                self.protocol.received(count);
                Ok(true)
            }
            Err(error) => Err(self.protocol.disconnected(Some(error))),
        }
    }

    fn wait(&mut self, to_write: bool, deadline: Option<(Duration, Instant)>) -> Result<(), ErrorOf<E>> {
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
                Err(Error::TimedOut { silent_ms: u64::try_from(silent.as_millis()).unwrap_or(u64::MAX) })
            }
        }
    }

    fn wait_for(&mut self, to_write: bool, timeout: Option<Duration>) -> Result<Waited, ErrorOf<E>> {
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

impl<E: Blocking> Drop for Connection<E> {
    fn drop(&mut self) {
        self.say_goodbye();
    }
}

impl<E: Blocking> Driver for Connection<E> {
    type Error = ErrorOf<E>;

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn Rows,
    ) -> Result<Outcome, ErrorOf<E>> {
        Connection::execute(self, sql, parameters, rows)
    }

    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, ErrorOf<E>> {
        Connection::execute_many(self, sql, source)
    }

    fn script(&mut self, sql: &str) -> Result<(), ErrorOf<E>> {
        Connection::script(self, sql)
    }

    fn transaction(&self) -> Transaction {
        Connection::transaction(self)
    }

    fn is_usable(&self) -> bool {
        Connection::is_usable(self)
    }
}

/// What has come of a batch so far.
pub(crate) struct Batch<E: Engine> {
    pub(crate) affected: u64,
    /// The first.
    pub(crate) inserted_id: Option<i64>,
    /// The first.
    pub(crate) failed: Option<Box<E::Refusal>>,
    /// How many executions are answered.
    pub(crate) answers: u64,
    /// A load that fails ends before all of it is sent.
    ended: bool,
}

impl<E: Engine> Default for Batch<E> {
    fn default() -> Self {
        Batch { affected: 0, inserted_id: None, failed: None, answers: 0, ended: false }
    }
}

impl<E: Engine> Batch<E> {
    fn note(&mut self, event: EventOf<E>) {
        match event {
            Event::Complete { affected, inserted_id, .. } => {
                self.affected += affected.unwrap_or(0);
                self.inserted_id = self.inserted_id.or(inserted_id);
                self.answers += 1;
            }
            Event::Failed(refusal) => {
                self.answers += 1;
                self.failed.get_or_insert(refusal);
            }
            Event::Ready => self.ended = true,
            _ => {}
        }
    }
}
