//! What whoever drives a connection needs of an engine's protocol, which does no I/O: a blocking socket or an event loop.
//!
//! Requests append bytes to [`Engine::outgoing`]; bytes that come are told to [`Engine::receive`], and what they mean is
//! [`Engine::next_event`]. Answers come in the order of the requests. Start at [`Engine::start`].

use std::io;
use std::sync::Arc;

use crate::error::{Error, Refusal};
use crate::outgoing::Outgoing;
use crate::received::Received;
use crate::statement_cache::StatementCache;
use crate::{Column, Sink, Transaction};

/// What has happened, as [`Engine::next_event`] tells it: `S` is a prepared statement, `R` what the server says when it
/// refuses, `O` what only this engine tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<S, R, O> {
    /// The server waits for TLS: send what is to be sent, encrypt the stream, call [`Engine::tls_started`].
    StartTls,
    /// A statement is prepared, and kept for its text if that was asked for.
    Prepared(Arc<S>),
    /// A result begins, whose columns are [`Engine::columns`]. PostgreSQL tells it only of statements in text.
    Columns,
    /// A row is there: [`Engine::row`], until the next call of [`Engine::next_event`].
    Row,
    /// A statement is done, or one result of several that it gives.
    Complete {
        /// Rows that it changed or gave, where its kind counts them.
        affected: Option<u64>,
        /// The number that was given to a row that was inserted, the first of several, of engines that tell it.
        inserted_id: Option<i64>,
        /// How many warnings there are, of engines that count them.
        warnings: u16,
        /// Which execution since the last [`Engine::sync`], the first is 0.
        row: u64,
    },
    /// A cursor is open, or has given as many rows as were asked for and may have more.
    Suspended,
    /// A request has failed.
    Failed(Box<R>),
    /// All up to a [`Engine::sync`] or a query is answered.
    Ready,
    /// What only this engine tells.
    Own(O),
}

/// An event of an engine.
pub type EventOf<E> = Event<<E as Engine>::Statement, <E as Engine>::Refusal, <E as Engine>::Own>;

/// An error of an engine.
pub type ErrorOf<E> = Error<<E as Engine>::Refusal>;

/// An engine's protocol on one connection: nothing here waits, sleeps or looks at a clock.
///
/// After the first error of [`Engine::next_event`] nothing more is answered.
pub trait Engine: Sized + Send {
    /// Where the server is, who asks, and how.
    type Options;
    /// A statement that the server has prepared.
    type Statement;
    /// What the server says when it refuses.
    type Refusal: Refusal;
    /// Events of this engine alone.
    type Own;

    /// Begins a connection.
    ///
    /// `can_encrypt` says that whoever owns the stream is able to do TLS.
    ///
    /// Errors: `Tls` when encryption is required and cannot be had; `Unsendable` for an option or a password with a NUL
    /// character; `Options` for a setting whose name is none.
    fn start(options: &Self::Options, can_encrypt: bool) -> Result<Self, ErrorOf<Self>>;

    /// The stream is encrypted now. `end_point` is the hash of the server's certificate by RFC 5929
    /// (`tls-server-end-point`), where TLS can tell it.
    ///
    /// Errors: `Misuse` when nobody has asked for it.
    fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), ErrorOf<Self>>;

    /// What every engine keeps.
    #[doc(hidden)]
    fn wire(&self) -> &Wire<Self>;

    /// The same, to be changed.
    #[doc(hidden)]
    fn wire_mut(&mut self) -> &mut Wire<Self>;

    // Bytes.

    /// Takes bytes that have come.
    fn receive(&mut self, bytes: &[u8]) {
        self.wire_mut().input.push(bytes);
    }

    /// Room for bytes to be read into, at least 4 KiB, for whoever reads by itself; then [`Engine::received`].
    fn room(&mut self) -> &mut [u8] {
        self.wire_mut().input.room(4096)
    }

    /// That many bytes were read into [`Engine::room`].
    fn received(&mut self, count: usize) {
        self.wire_mut().input.filled(count);
    }

    /// What is to be sent.
    fn outgoing(&self) -> &[u8] {
        self.wire().output.unsent()
    }

    /// That many bytes of [`Engine::outgoing`] were sent.
    fn sent(&mut self, count: usize) {
        self.wire_mut().output.sent(count);
    }

    /// Takes what is to be sent, for whoever hands it on whole.
    fn take_outgoing(&mut self) -> Vec<u8> {
        let bytes = self.outgoing().to_vec();
        self.sent(bytes.len());
        bytes
    }

    /// The stream has ended: gives the error that says so, with what the server said before.
    fn disconnected(&mut self, source: Option<io::Error>) -> ErrorOf<Self> {
        self.wire_mut().disconnected(source)
    }

    /// Gives the connection up, whatever it is doing: nothing more is answered.
    fn give_up(&mut self) {
        self.wire_mut().state = State::Broken;
    }

    // What is known.

    /// Where the connection is with regard to transactions, as of the last answer.
    fn transaction(&self) -> Transaction {
        self.wire().transaction
    }

    /// A setting that the server reports by itself, such as `server_version`.
    fn setting(&self, name: &str) -> Option<&str>;

    /// Whether requests can be made: it is connected and nothing has gone wrong with the stream.
    fn is_open(&self) -> bool {
        self.wire().is_open()
    }

    /// Whether everything that was asked is answered.
    fn is_idle(&self) -> bool;

    /// The columns of the rows that are coming.
    fn columns(&self) -> &[Column];

    /// Tells `sink` the values of the row of the last [`Event::Row`], one call a column, more for arrays.
    ///
    /// Errors: `Misuse` when that was not the last event; `Value` for one that cannot be read, `Protocol` when they are not
    /// as many as the columns: some values may have been told by then, and the connection stays as it is.
    /// Cost: O(bytes), nothing allocated but for decimal numbers in binary.
    fn row(&self, sink: &mut dyn Sink) -> Result<(), ErrorOf<Self>>;

    // Requests.

    /// The statement that is kept for this text.
    fn statement(&mut self, sql: &str) -> Option<Arc<Self::Statement>> {
        self.wire_mut().statements.get(sql)
    }

    /// Asks for a statement to be prepared; ends with a [`Engine::sync`]. It is kept for its text if `keep` asks for it
    /// and there is room; else it lasts until the next one that is not kept.
    ///
    /// Answered by [`Event::Prepared`] or [`Event::Failed`], then [`Event::Ready`].
    ///
    /// Errors: `Unsendable` for a text that the server does not take.
    fn prepare(&mut self, sql: &str, keep: bool) -> Result<(), ErrorOf<Self>>;

    /// Asks for one execution with the parameters that `values` puts into its argument; where `values` gives false,
    /// there are none any more, nothing is asked, and this gives false as well.
    ///
    /// Many may follow each other, and at last [`Engine::sync`]. One that fails keeps those after it from being done in
    /// PostgreSQL, and does not in MySQL. Answered by [`Event::Row`]s and [`Event::Complete`].
    ///
    /// Errors: `Parameter` and `ParameterCount`, with the row counted since the last `sync`, `Unsendable`; then nothing of
    /// this execution is sent, and what was asked before stands.
    fn execute(
        &mut self,
        statement: &Arc<Self::Statement>,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, ErrorOf<Self>>;

    /// Ends a batch of requests: once all before are answered, [`Event::Ready`] comes. Outside a transaction PostgreSQL
    /// commits all of it or nothing; MySQL, to which each request stands for itself, is sent nothing.
    fn sync(&mut self) -> Result<(), ErrorOf<Self>>;

    /// Asks for statements in text, separated by semicolons.
    ///
    /// Answered by [`Event::Columns`], [`Event::Row`]s and [`Event::Complete`] for each, then [`Event::Ready`]; the first
    /// that fails is the last.
    ///
    /// Errors: `Misuse` inside a batch that [`Engine::sync`] has not ended.
    fn query(&mut self, sql: &str) -> Result<(), ErrorOf<Self>>;

    /// Says goodbye; the stream can be closed when this is sent.
    fn terminate(&mut self);

    /// Whether `refusal` says that a kept statement is out of date, which is then kept no more. True when it can be
    /// prepared and executed again, since no transaction was lost by it.
    fn is_stale(&mut self, refusal: &Self::Refusal, sql: &str) -> bool;

    // Answers.

    /// What has happened next; nothing when more bytes are needed.
    ///
    /// Errors: `Protocol`, `Authentication`, `Tls`, or a refused login: the connection is then over. A statement that
    /// is refused is no error here but [`Event::Failed`].
    fn next_event(&mut self) -> Result<Option<EventOf<Self>>, ErrorOf<Self>> {
        if self.wire().state == State::Broken {
            return Err(Error::Misuse { what: "the connection is closed; make a new one" });
        }
        let event = self.read_event();
        if event.is_err() {
            self.give_up();
        }
        event
    }

    /// The same, of a connection that is not closed.
    #[doc(hidden)]
    fn read_event(&mut self) -> Result<Option<EventOf<Self>>, ErrorOf<Self>>;
}

/// What every engine's protocol keeps of its connection.
pub struct Wire<E: Engine> {
    pub(crate) input: Received,
    pub(crate) output: Outgoing,
    state: State,
    /// What the server said before it closes the connection.
    pub(crate) last_words: Option<Box<E::Refusal>>,
    pub(crate) transaction: Transaction,
    pub(crate) statements: StatementCache<E::Statement>,
    /// Executions sent since the last `sync`.
    pub(crate) rows_bound: u64,
    /// Executions answered since the last `sync` was answered.
    pub(crate) rows_done: u64,
    /// Requests since the last `sync`.
    pub(crate) unsynced: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Open,
    /// A message was wrong or the stream has ended: where the next begins is not known, or there is none.
    Broken,
}

impl<E: Engine> Wire<E> {
    /// Of a connection that begins and will keep so many statements.
    pub(crate) fn new(statement_cache: usize) -> Wire<E> {
        Wire {
            input: Received::default(),
            output: Outgoing::default(),
            state: State::Starting,
            last_words: None,
            transaction: Transaction::None,
            statements: StatementCache::new(statement_cache),
            rows_bound: 0,
            rows_done: 0,
            unsynced: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.state == State::Open && self.last_words.is_none()
    }

    /// Whether the login goes on.
    pub(crate) fn is_starting(&self) -> bool {
        self.state == State::Starting
    }

    /// The login is done.
    pub(crate) fn opened(&mut self) {
        self.state = State::Open;
    }

    /// Closes it, by a last request where one can be made.
    pub(crate) fn terminate(&mut self, goodbye: impl FnOnce(&mut Vec<u8>)) {
        if self.state == State::Open && self.output.open.is_none() {
            goodbye(&mut self.output.bytes);
        }
        self.state = State::Broken;
    }

    fn disconnected(&mut self, source: Option<io::Error>) -> ErrorOf<E> {
        self.state = State::Broken;
        Error::Lost { source, said: self.last_words.take() }
    }

    /// Errors: `Lost` with what the server has said, once; from then on `Misuse`.
    pub(crate) fn must_be_open(&mut self) -> Result<(), ErrorOf<E>> {
        if self.is_open() {
            return Ok(());
        }
        if self.state == State::Open {
            return Err(self.disconnected(None));
        }
        Err(Error::Misuse { what: "the connection is not open; make a new one" })
    }

    /// The same, where no batch of requests may be open.
    pub(crate) fn must_be_synced(&mut self) -> Result<(), ErrorOf<E>> {
        self.must_be_open()?;
        if self.unsynced {
            return Err(Error::Misuse { what: "a query inside a batch of requests" });
        }
        Ok(())
    }
}
