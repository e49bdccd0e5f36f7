//! PostgreSQL's protocol 3.0 without any I/O: bytes that have come go in, events come out; requests go in, bytes to be
//! sent come out.
//!
//! Answers come in the order of the requests, so that what is expected is a queue of [`Step`]s: an error belongs to
//! the step at its front, and takes with it all up to the next `Sync`. Nothing here waits, sleeps or looks at a clock;
//! after the first error of [`Protocol::next_event`] nothing more is answered. Start at [`Protocol::start`].

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use crate::statement_cache::StatementCache;
use crate::stream::TlsMode;
use crate::{Sink, Transaction};

use super::decode;
use super::error::{PostgresError, ServerError};
use super::login::Login;
use super::message::{self, Fields, Frame, Input};
use super::options::Options;
use super::row_writer::{Layout, RowError, RowWriter};
use super::statement::{ResultColumns, Statement};
use super::types::{Kind, Known};

/// Bytes of a bulk load that go into one message.
const COPY_MESSAGE_BYTES: usize = 64 * 1024;

/// What has happened, as [`Protocol::next_event`] tells it.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The server agrees to TLS: the stream is to be encrypted now, then [`Protocol::tls_started`] called.
    StartTls,
    /// A statement is prepared, and kept for its text if that was asked for.
    Prepared(Arc<Statement>),
    /// A result of [`Protocol::query`] begins, whose columns are [`Protocol::columns`].
    Columns,
    /// A row is there: [`Protocol::row`], until the next call of [`Protocol::next_event`].
    Row,
    /// An execution is done.
    Complete {
        /// Rows that it changed or gave, where its kind counts them.
        affected: Option<u64>,
        /// Which execution since the last `Sync`, the first is 0.
        row: u64,
    },
    /// A portal has given as many rows as were asked for, and may have more.
    Suspended,
    /// A request has failed; all others up to the next [`Event::Ready`] are dropped.
    Failed(Box<ServerError>),
    /// All up to a `Sync` or a query is answered.
    Ready,
    /// The server waits for the rows of a bulk load.
    CopyIn,
    /// The rows of a bulk export begin.
    CopyOut,
    /// A piece of a bulk export: [`Protocol::copy_data`], until the next call of [`Protocol::next_event`].
    CopyData,
    /// A bulk export is complete.
    CopyDone,
    /// The server remarks something.
    Notice(Box<ServerError>),
    /// `NOTIFY` of a channel that is listened to.
    Notification {
        /// The process of the server that told it.
        process: u32,
        /// The channel.
        channel: String,
        /// What was told with it.
        payload: String,
    },
}

/// What is known of a connection, and what is expected next.
pub struct Protocol {
    input: Input,
    output: Vec<u8>,
    /// How many bytes of `output` are sent.
    sent: usize,
    /// Where in `output` a message of a bulk load begins that may get more rows.
    open_copy: Option<usize>,
    steps: VecDeque<Step>,
    encryption: Encryption,
    start_up: Vec<u8>,
    login: Login,
    logged_in: bool,
    state: State,
    /// What the server said before it closes the connection.
    last_words: Option<Box<ServerError>>,
    transaction: Transaction,
    settings: BTreeMap<String, String>,
    key: Option<CancelKey>,
    statements: StatementCache<Statement>,
    names_given: u64,
    /// Executions sent since the last `Sync`.
    rows_bound: u64,
    /// Executions answered since the last `Sync` was answered.
    rows_done: u64,
    /// Requests since the last `Sync`.
    unsynced: bool,
    /// A request has failed whose `Sync` is not sent yet: the server is deaf until then.
    skipping: bool,
    /// The message of the last [`Event::Row`] or [`Event::CopyData`].
    current: Option<Frame>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Open,
    /// A message was wrong or the stream has ended: where the next message begins is not known, or there is none.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encryption {
    /// None is wanted, or it is decided.
    Decided,
    /// The server was asked and has not answered.
    Asked { required: bool },
    /// The server has agreed; the handshake goes on elsewhere.
    Handshake,
}

/// One answer that is expected.
enum Step {
    Start,
    Prepare(Box<Preparing>),
    Bind,
    Run(Run),
    Close,
    /// An execution that is sent to fail, so that what came before it is undone.
    Undo,
    Sync,
    Query(Query),
}

struct Preparing {
    name: String,
    sql: Box<str>,
    keep: bool,
    parsed: bool,
    parameters: Option<Vec<u32>>,
}

/// Executions of one statement, one after the other.
struct Run {
    columns: Arc<ResultColumns>,
    /// How many are still to be answered.
    left: u64,
    /// Whether each is bound first, or a portal goes on.
    binds: bool,
    /// Whether the one at the front is bound.
    bound: bool,
}

/// Statements as text.
#[derive(Default)]
struct Query {
    columns: Option<Arc<ResultColumns>>,
    copy: Copy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Copy {
    #[default]
    None,
    In,
    Out,
}

/// What one needs to have a running statement cancelled, on a connection of its own.
#[derive(Clone, PartialEq, Eq)]
pub struct CancelKey {
    process: u32,
    secret: Vec<u8>,
}

impl CancelKey {
    /// The one message of that connection.
    pub fn message(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // The secret has at most 256 bytes.
        out.extend((12 + self.secret.len() as u32).to_be_bytes());
        out.extend(80_877_102u32.to_be_bytes());
        out.extend(self.process.to_be_bytes());
        out.extend_from_slice(&self.secret);
        out
    }

    /// The number of the server's process for this connection, as in `pg_stat_activity.pid`.
    pub fn process(&self) -> u32 {
        self.process
    }
}

impl std::fmt::Debug for CancelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CancelKey").field("process", &self.process).finish_non_exhaustive()
    }
}

/// A row in the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    body: &'a [u8],
    columns: &'a ResultColumns,
}

impl Row<'_> {
    /// Tells `sink` the values, one call a column (more for arrays).
    ///
    /// Errors: `Value` for one that cannot be read, `Protocol` when they are not as many as the columns; some values
    /// may have been told by then. The connection stays as it is.
    /// Cost: O(bytes), nothing allocated but for `numeric`.
    pub fn write_into(&self, sink: &mut dyn Sink) -> Result<(), PostgresError> {
        let mut fields = Fields(self.body);
        if usize::from(fields.u16()?) != self.columns.known.len() {
            return Err(PostgresError::Protocol { what: "a row that has not as many values as columns" });
        }
        for (index, &known) in self.columns.known.iter().enumerate() {
            match fields.value()? {
                None => sink.null(),
                Some(bytes) => decode::decode(known, bytes, sink).map_err(|what| PostgresError::Value {
                    column: self
                        .columns
                        .list
                        .get(index)
                        .map_or_else(String::new, |column| column.name.clone()),
                    what,
                })?,
            }
        }
        if fields.0.is_empty() { Ok(()) } else { Err(PostgresError::Protocol { what: "a row that goes on" }) }
    }
}

/// The columns that a bulk load fills, and the form of its rows.
#[derive(Debug)]
pub struct CopyTarget {
    names: Vec<String>,
    known: Vec<Known>,
    binary: bool,
    rows: u64,
}

impl CopyTarget {
    /// Whether rows go in binary.
    pub fn is_binary(&self) -> bool {
        self.binary
    }
}

impl Protocol {
    /// Begins a connection: the first bytes to be sent are there at once.
    ///
    /// `can_encrypt` says that whoever owns the stream is able to do TLS.
    ///
    /// Errors: `Tls` when encryption is required and cannot be had; `Unsendable` for an option or a password with a NUL
    /// character.
    pub fn start(options: &Options, can_encrypt: bool) -> Result<Protocol, PostgresError> {
        // To a hash a NUL at the end is no character at all.
        if options.password.as_ref().is_some_and(|password| password.reveal().contains('\0')) {
            return Err(PostgresError::Unsendable { what: "a NUL character in a password".to_owned() });
        }
        let wants = options.address.is_tcp() && !matches!(options.tls, TlsMode::Disable | TlsMode::Allow);
        let required = options.address.is_tcp() && options.tls.is_required();
        if required && !can_encrypt {
            return Err(PostgresError::Tls {
                what: format!(
                    "`sslmode={}` asks for TLS, which this program does not have",
                    options.tls.name()
                ),
            });
        }
        let mut protocol = Protocol {
            input: Input::default(),
            output: Vec::new(),
            sent: 0,
            open_copy: None,
            steps: VecDeque::from([Step::Start]),
            encryption: Encryption::Decided,
            start_up: start_up_message(options)?,
            login: Login::new(&options.user, options.password.as_ref(), options.channel_binding),
            logged_in: false,
            state: State::Starting,
            last_words: None,
            transaction: Transaction::None,
            settings: BTreeMap::new(),
            key: None,
            statements: StatementCache::new(options.statement_cache),
            names_given: 0,
            rows_bound: 0,
            rows_done: 0,
            unsynced: false,
            skipping: false,
            current: None,
        };
        if wants && can_encrypt {
            protocol.output.extend(8u32.to_be_bytes());
            protocol.output.extend(80_877_103u32.to_be_bytes());
            protocol.encryption = Encryption::Asked { required };
        } else {
            protocol.introduce();
        }
        Ok(protocol)
    }

    fn introduce(&mut self) {
        self.encryption = Encryption::Decided;
        self.output.append(&mut self.start_up);
    }

    /// The stream is encrypted now. `end_point` is the hash of the server's certificate by RFC 5929
    /// (`tls-server-end-point`), where TLS can tell it.
    ///
    /// Errors: `Misuse` when nobody has asked for it.
    pub fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), PostgresError> {
        if self.encryption != Encryption::Handshake {
            return Err(PostgresError::Misuse { what: "encryption was not asked for" });
        }
        self.login.encrypted(end_point);
        self.introduce();
        Ok(())
    }

    // Bytes.

    /// Takes bytes that have come.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.push(bytes);
    }

    /// Room for bytes to be read into, at least 4 KiB, for whoever reads by itself; then [`Protocol::received`].
    pub fn room(&mut self) -> &mut [u8] {
        self.input.room(4096)
    }

    /// That many bytes were read into [`Protocol::room`].
    pub fn received(&mut self, count: usize) {
        self.input.filled(count);
    }

    /// What is to be sent.
    pub fn outgoing(&self) -> &[u8] {
        self.output.get(self.sent..self.open_copy.unwrap_or(self.output.len())).unwrap_or_default()
    }

    /// That many bytes of [`Protocol::outgoing`] were sent.
    pub fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.output.len());
        if self.sent == self.output.len() {
            self.output.clear();
            // What one large value has needed is not kept for all that follow.
            self.output.shrink_to(16 * COPY_MESSAGE_BYTES);
            self.sent = 0;
        } else if self.sent >= COPY_MESSAGE_BYTES && self.sent * 2 > self.output.len() {
            self.output.drain(..self.sent);
            self.open_copy = self.open_copy.map(|place| place - self.sent);
            self.sent = 0;
        }
    }

    /// Takes what is to be sent, for whoever hands it on whole.
    pub fn take_outgoing(&mut self) -> Vec<u8> {
        let bytes = self.outgoing().to_vec();
        self.sent(bytes.len());
        bytes
    }

    /// The stream has ended: gives the error that says so, with what the server said before.
    pub fn disconnected(&mut self, source: Option<io::Error>) -> PostgresError {
        self.state = State::Broken;
        PostgresError::Lost { source, said: self.last_words.take() }
    }

    /// Gives the connection up, whatever it is doing: nothing more is answered.
    pub fn give_up(&mut self) {
        self.state = State::Broken;
    }

    // What is known.

    /// Where the connection is with regard to transactions, as of the last [`Event::Ready`].
    pub fn transaction(&self) -> Transaction {
        self.transaction
    }

    /// A setting that the server reports by itself, such as `server_version` or `TimeZone`.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    /// What one needs to cancel a statement; none before the first [`Event::Ready`], or of servers without.
    pub fn cancel_key(&self) -> Option<&CancelKey> {
        self.key.as_ref()
    }

    /// Whether requests can be made: it is connected and nothing has gone wrong with the stream.
    pub fn is_open(&self) -> bool {
        self.state == State::Open && self.last_words.is_none()
    }

    /// Whether everything that was asked is answered.
    pub fn is_idle(&self) -> bool {
        self.steps.is_empty() && !self.unsynced
    }

    /// The columns of the rows that are coming.
    pub fn columns(&self) -> &[crate::Column] {
        self.result_columns().map_or(&[], |columns| &columns.list)
    }

    fn result_columns(&self) -> Option<&ResultColumns> {
        match self.steps.front() {
            Some(Step::Run(run)) => Some(&run.columns),
            Some(Step::Query(query)) => query.columns.as_deref(),
            _ => None,
        }
    }

    /// The row of the last [`Event::Row`].
    ///
    /// Errors: `Misuse` when that was not the last event.
    pub fn row(&self) -> Result<Row<'_>, PostgresError> {
        match (self.current, self.result_columns()) {
            (Some(frame), Some(columns)) => Ok(Row { body: self.input.body(frame), columns }),
            _ => Err(PostgresError::Misuse { what: "no row has come" }),
        }
    }

    /// The bytes of the last [`Event::CopyData`].
    pub fn copy_data(&self) -> &[u8] {
        self.current.map_or(&[], |frame| self.input.body(frame))
    }

    // Requests.

    /// Errors: `Lost` with what the server has said, once; from then on `Misuse`.
    pub(crate) fn must_be_open(&mut self) -> Result<(), PostgresError> {
        if self.is_open() {
            return Ok(());
        }
        if self.state == State::Open {
            return Err(self.disconnected(None));
        }
        Err(PostgresError::Misuse { what: "the connection is not open; make a new one" })
    }

    /// The statement that is kept for this text.
    pub fn statement(&mut self, sql: &str) -> Option<Arc<Statement>> {
        self.statements.get(sql)
    }

    /// Asks for a statement to be prepared, its parameters typed by the server; ends with a `Sync`. It is kept for its
    /// text if `keep` asks for it and there is room; else it lasts until the next one that is not kept.
    ///
    /// Answered by [`Event::Prepared`] or [`Event::Failed`], then [`Event::Ready`].
    ///
    /// Errors: `Unsendable` for a text with NUL or of more than 1 GiB.
    pub fn prepare(&mut self, sql: &str, keep: bool) -> Result<(), PostgresError> {
        self.must_be_open()?;
        // Before anything is written, so that a text that cannot be sent leaves no half batch.
        if sql.len() >= message::MESSAGE_BYTES_MAX - 64 || sql.as_bytes().contains(&0) {
            return Err(PostgresError::Unsendable {
                what: "a statement of more than 1 GiB, or with a NUL character".to_owned(),
            });
        }
        self.close_forgotten()?;
        let keep = keep && self.statements.capacity() > 0;
        let name = if keep {
            self.names_given += 1;
            format!("naja_{}", self.names_given)
        } else {
            String::new()
        };
        message::write(&mut self.output, b'P', |out| {
            message::write_text(out, &name)?;
            message::write_text(out, sql)?;
            out.extend([0, 0]);
            Ok(())
        })?;
        message::write(&mut self.output, b'D', |out| {
            out.push(b'S');
            message::write_text(out, &name)
        })?;
        let preparing = Preparing { name, sql: sql.into(), keep, parsed: false, parameters: None };
        self.steps.push_back(Step::Prepare(Box::new(preparing)));
        self.sync()
    }

    fn close_forgotten(&mut self) -> Result<(), PostgresError> {
        for statement in self.statements.take_forgotten() {
            self.close(b'S', &statement.name)?;
        }
        Ok(())
    }

    fn close(&mut self, what: u8, name: &str) -> Result<(), PostgresError> {
        message::write(&mut self.output, b'C', |out| {
            out.push(what);
            message::write_text(out, name)
        })?;
        self.steps.push_back(Step::Close);
        self.unsynced = true;
        Ok(())
    }

    /// Asks for one execution with the parameters that `values` puts into its argument; where `values` gives false,
    /// there are none any more, nothing is asked, and this gives false as well.
    ///
    /// Many may follow each other, and at last [`Protocol::sync`]. Answered by [`Event::Row`]s and [`Event::Complete`].
    ///
    /// Errors: `Parameter` and `ParameterCount`, with the row counted since the last `Sync`; then nothing of this
    /// execution is sent, and what was asked before stands.
    pub fn execute(
        &mut self,
        statement: &Arc<Statement>,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        self.must_be_open()?;
        if !self.bind("", statement, values)? {
            return Ok(false);
        }
        self.write_execute("", 0)?;
        self.rows_bound += 1;
        self.unsynced = true;
        match self.steps.back_mut() {
            Some(Step::Run(run)) if run.binds && Arc::ptr_eq(&run.columns, &statement.columns) => {
                run.left += 1
            }
            _ => self.steps.push_back(Step::Run(Run {
                columns: Arc::clone(&statement.columns),
                left: 1,
                binds: true,
                bound: false,
            })),
        }
        Ok(true)
    }

    fn bind(
        &mut self,
        portal: &str,
        statement: &Statement,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        let row = self.rows_bound;
        let start = self.output.len();
        let mut there = false;
        let wrong = |error| match error {
            RowError::Value(index, what) => PostgresError::Parameter { row, index, column: None, what },
            RowError::Count(given) => {
                PostgresError::ParameterCount { row, given, wanted: statement.parameters.len() }
            }
        };
        message::write(&mut self.output, b'B', |out| {
            message::write_text(out, portal)?;
            message::write_text(out, &statement.name)?;
            // The server itself has counted them in two bytes.
            let count = (statement.parameters.len() as u16).to_be_bytes();
            out.extend(count);
            let formats = out.len();
            out.resize(formats + 2 * statement.parameters.len(), 0);
            out.extend(count);
            let mut writer = RowWriter::new(out, &statement.parameters, Layout::Bind { formats });
            there = values(&mut writer);
            if there {
                writer.end().map_err(wrong)?;
            }
            write_result_formats(out, &statement.columns.known);
            Ok(())
        })?;
        if !there {
            self.output.truncate(start);
        }
        Ok(there)
    }

    fn write_execute(&mut self, portal: &str, rows_max: u32) -> Result<(), PostgresError> {
        message::write(&mut self.output, b'E', |out| {
            message::write_text(out, portal)?;
            out.extend(rows_max.to_be_bytes());
            Ok(())
        })
    }

    /// Asks for a portal, from which rows can be fetched piece by piece until the transaction ends.
    ///
    /// Errors: as [`Protocol::execute`].
    pub fn open_portal(
        &mut self,
        portal: &str,
        statement: &Statement,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<(), PostgresError> {
        self.must_be_open()?;
        self.bind(portal, statement, &mut |sink| {
            values(sink);
            true
        })?;
        self.steps.push_back(Step::Bind);
        self.unsynced = true;
        Ok(())
    }

    /// Asks for up to `rows_max` more rows of a portal (0 for all): [`Event::Row`]s, then [`Event::Suspended`] or
    /// [`Event::Complete`].
    pub fn fetch(&mut self, portal: &str, statement: &Statement, rows_max: u32) -> Result<(), PostgresError> {
        self.must_be_open()?;
        self.write_execute(portal, rows_max)?;
        let columns = Arc::clone(&statement.columns);
        self.steps.push_back(Step::Run(Run { columns, left: 1, binds: false, bound: true }));
        self.unsynced = true;
        Ok(())
    }

    /// Asks for a portal to be closed.
    pub fn close_portal(&mut self, portal: &str) -> Result<(), PostgresError> {
        self.must_be_open()?;
        self.close(b'P', portal)
    }

    /// Ends a batch of requests: outside a transaction all of it is committed, or nothing.
    pub fn sync(&mut self) -> Result<(), PostgresError> {
        self.must_be_open()?;
        message::write(&mut self.output, b'S', |_| Ok(()))?;
        self.steps.push_back(Step::Sync);
        self.unsynced = false;
        self.rows_bound = 0;
        Ok(())
    }

    /// Ends a batch so that, outside a transaction, nothing of it stays.
    ///
    /// Inside a transaction this makes it fail.
    pub fn sync_undone(&mut self) -> Result<(), PostgresError> {
        self.must_be_open()?;
        // There is no such portal, and an error is the only thing that rolls an implicit transaction back.
        self.write_execute("naja_undo", 0)?;
        self.steps.push_back(Step::Undo);
        self.sync()
    }

    /// Asks for statements in text, separated by semicolons; rows come in text.
    ///
    /// Answered by [`Event::Columns`], [`Event::Row`]s and [`Event::Complete`] for each, then [`Event::Ready`].
    ///
    /// Errors: `Misuse` inside a batch that [`Protocol::sync`] has not ended.
    pub fn query(&mut self, sql: &str) -> Result<(), PostgresError> {
        self.must_be_open()?;
        if self.unsynced {
            return Err(PostgresError::Misuse { what: "a query inside a batch of requests" });
        }
        message::write(&mut self.output, b'Q', |out| message::write_text(out, sql))?;
        self.steps.push_back(Step::Query(Query::default()));
        Ok(())
    }

    /// The target of a bulk load into the columns that `statement` selects.
    ///
    /// Rows go in binary, unless `as_text` asks for text, the binary form of a type is not known, or a column has a time
    /// zone and the session is not on UTC: the server alone knows what a moment without a zone means there.
    pub fn copy_target(&self, statement: &Statement, as_text: bool) -> CopyTarget {
        let columns = &statement.columns;
        let zoned = |known: &Known| matches!(known.kind(), Some(Kind::Timestamptz | Kind::Timetz));
        let utc = matches!(self.setting("TimeZone"), Some("UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" | "Zulu"));
        let unclear = !utc && columns.known.iter().any(zoned);
        CopyTarget {
            names: columns.list.iter().map(|column| column.name.clone()).collect(),
            known: columns.known.clone(),
            binary: !as_text && !unclear && !columns.known.contains(&Known::Nothing),
            rows: 0,
        }
    }

    /// Writes one row of a bulk load, after [`Event::CopyIn`]; false where `values` says that there is none.
    ///
    /// Errors: `Parameter` and `ParameterCount` with row and column; nothing of the row is sent then, and the load can
    /// go on or be ended by [`Protocol::copy_fail`].
    pub fn copy_row(
        &mut self,
        target: &mut CopyTarget,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        self.must_be_open()?;
        self.begin_copy_message(target);
        let start = self.output.len();
        let layout = if target.binary { Layout::CopyBinary } else { Layout::CopyText };
        if target.binary {
            // A table has at most 1,600 columns.
            self.output.extend((target.known.len() as u16).to_be_bytes());
        }
        let mut writer = RowWriter::new(&mut self.output, &target.known, layout);
        if !values(&mut writer) {
            self.output.truncate(start);
            return Ok(false);
        }
        let ended = writer.end();
        let row = target.rows;
        if let Err(error) = ended {
            self.output.truncate(start);
            return Err(match error {
                RowError::Value(index, what) => {
                    PostgresError::Parameter { row, index, column: target.names.get(index).cloned(), what }
                }
                RowError::Count(given) => {
                    PostgresError::ParameterCount { row, given, wanted: target.known.len() }
                }
            });
        }
        if !target.binary {
            self.output.push(b'\n');
        }
        target.rows += 1;
        if self.open_copy.is_some_and(|place| self.output.len() - place > COPY_MESSAGE_BYTES) {
            self.end_copy_message()?;
        }
        Ok(true)
    }

    fn begin_copy_message(&mut self, target: &CopyTarget) {
        if self.open_copy.is_some() {
            return;
        }
        self.open_copy = Some(self.output.len());
        self.output.extend([b'd', 0, 0, 0, 0]);
        if target.binary && target.rows == 0 {
            self.output.extend(b"PGCOPY\n\xff\r\n\0");
            self.output.extend([0; 8]);
        }
    }

    fn end_copy_message(&mut self) -> Result<(), PostgresError> {
        match self.open_copy.take() {
            Some(place) => {
                let (_, message) = self.output.split_at_mut(place + 1);
                message::end_sized(message, 0)
            }
            None => Ok(()),
        }
    }

    /// Ends a bulk load: the rows are taken. Answered by [`Event::Complete`], then [`Event::Ready`].
    pub fn copy_done(&mut self, target: &CopyTarget) -> Result<(), PostgresError> {
        self.must_be_open()?;
        self.begin_copy_message(target);
        if target.binary {
            self.output.extend((-1i16).to_be_bytes());
        }
        self.end_copy_message()?;
        message::write(&mut self.output, b'c', |_| Ok(()))
    }

    /// Ends a bulk load so that nothing of it stays. Answered by [`Event::Failed`], then [`Event::Ready`].
    pub fn copy_fail(&mut self, reason: &str) -> Result<(), PostgresError> {
        self.must_be_open()?;
        // What is in an open message is thrown away at the other end as well.
        self.end_copy_message()?;
        message::write(&mut self.output, b'f', |out| message::write_text(out, &reason.replace('\0', " ")))
    }

    /// Says goodbye; the stream can be closed when this is sent.
    pub fn terminate(&mut self) {
        if self.state == State::Open && self.open_copy.is_none() {
            let _ = message::write(&mut self.output, b'X', |_| Ok(()));
        }
        self.state = State::Broken;
    }

    /// Whether `error` says that a kept statement is out of date, which is then kept no more. True when it can be
    /// prepared and executed again, since no transaction was lost by it.
    pub fn is_stale(&mut self, error: &ServerError, sql: &str) -> bool {
        // The result has other types since the table was changed; or someone has deallocated the statement.
        let changed = error.sqlstate == "0A000" && error.routine.as_deref() == Some("RevalidateCachedQuery");
        if !changed && error.sqlstate != "26000" {
            return false;
        }
        self.statements.forget(sql);
        self.transaction == Transaction::None
    }

    // Answers.

    /// What has happened next; nothing when more bytes are needed.
    ///
    /// Errors: `Protocol`, `Authentication`, `Tls`, or a refused login: the connection is then over. A statement that
    /// is refused is no error here but [`Event::Failed`].
    pub fn next_event(&mut self) -> Result<Option<Event>, PostgresError> {
        if self.state == State::Broken {
            return Err(PostgresError::Misuse { what: "the connection is closed; make a new one" });
        }
        let event = self.read_event();
        if event.is_err() {
            self.state = State::Broken;
        }
        event
    }

    fn read_event(&mut self) -> Result<Option<Event>, PostgresError> {
        self.current = None;
        match self.encryption {
            Encryption::Decided => {}
            Encryption::Handshake => return Ok(None),
            Encryption::Asked { required } => match self.input.byte() {
                None => return Ok(None),
                Some(b'S') => return self.agree_to_tls().map(Some),
                Some(b'N') if required => {
                    return Err(PostgresError::Tls { what: "the server does not offer TLS".to_owned() });
                }
                Some(b'N') => self.introduce(),
                Some(_) => {
                    return Err(PostgresError::Protocol { what: "an unknown answer to the wish for TLS" });
                }
            },
        }
        while let Some(frame) = self.input.frame()? {
            if let Some(event) = self.understand(frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn agree_to_tls(&mut self) -> Result<Event, PostgresError> {
        // Whatever came with the answer came unencrypted, and perhaps from somebody else.
        if self.input.len() > 0 {
            return Err(PostgresError::Tls { what: "the server sent data before the encryption".to_owned() });
        }
        self.encryption = Encryption::Handshake;
        Ok(Event::StartTls)
    }

    fn understand(&mut self, frame: Frame) -> Result<Option<Event>, PostgresError> {
        let body = self.input.body(frame);
        match frame.tag {
            b'D' => return self.data_row(frame).map(Some),
            b'd' => {
                self.copying(Copy::Out)?;
                self.current = Some(frame);
                return Ok(Some(Event::CopyData));
            }
            b'C' => {
                let tag = Fields(body).text()?;
                return self.complete(&tag).map(Some);
            }
            b'I' => return self.complete("").map(Some),
            b's' => return self.suspended().map(Some),
            b'2' => self.bound()?,
            b'1' => self.preparing()?.parsed = true,
            b'3' => match self.steps.pop_front() {
                Some(Step::Close) => {}
                _ => return Err(unexpected("an answer to a request that was not made")),
            },
            b't' => {
                let mut fields = Fields(body);
                let count = fields.u16()?;
                let oids = (0..count).map(|_| fields.u32()).collect::<Result<_, _>>()?;
                self.preparing()?.parameters = Some(oids);
            }
            b'T' => return self.row_description(frame),
            b'n' => return self.prepared(ResultColumns::default()).map(Some),
            b'Z' => return self.ready(frame).map(Some),
            b'E' => {
                let error = Box::new(message::server_error(body)?);
                return self.failed(error);
            }
            b'N' => {
                let notice = Box::new(message::server_error(body)?);
                // The server goes down, in whatever words: the connection ends after this.
                if notice.sqlstate.starts_with("57P0") {
                    self.last_words = Some(notice.clone());
                }
                return Ok(Some(Event::Notice(notice)));
            }
            b'A' => {
                let mut fields = Fields(body);
                let (process, channel, payload) = (fields.u32()?, fields.text()?, fields.text()?);
                return Ok(Some(Event::Notification { process, channel, payload }));
            }
            b'S' => {
                let mut fields = Fields(body);
                let (name, value) = (fields.text()?, fields.text()?);
                // Servers report some twenty.
                if self.settings.len() < 1_000 {
                    self.settings.insert(name, value);
                }
            }
            b'K' => {
                let mut fields = Fields(body);
                let process = fields.u32()?;
                self.key =
                    Some(CancelKey { process, secret: fields.0.get(..256).unwrap_or(fields.0).to_vec() });
            }
            b'R' => {
                if self.state != State::Starting || self.logged_in {
                    return Err(unexpected("a login after the login"));
                }
                let body = self.input.body(frame);
                self.logged_in = self.login.answer(body, &mut self.output)?;
            }
            // The server speaks an older minor version than was asked for: none is older than 3.0.
            b'v' => {}
            b'G' => return self.copy_begins(Copy::In).map(Some),
            b'H' => return self.copy_begins(Copy::Out).map(Some),
            b'c' => {
                self.copying(Copy::Out)?;
                return Ok(Some(Event::CopyDone));
            }
            _ => return Err(unexpected("a message of an unknown kind")),
        }
        Ok(None)
    }

    fn data_row(&mut self, frame: Frame) -> Result<Event, PostgresError> {
        match self.steps.front() {
            Some(Step::Run(run)) if run.bound => {}
            Some(Step::Query(query)) if query.columns.is_some() => {}
            _ => return Err(unexpected("a row that was not asked for")),
        }
        self.current = Some(frame);
        Ok(Event::Row)
    }

    fn complete(&mut self, tag: &str) -> Result<Event, PostgresError> {
        let affected = tag.rsplit(' ').next().and_then(|count| count.parse().ok());
        match self.steps.front_mut() {
            Some(Step::Run(run)) if run.bound => {
                run.left = run.left.saturating_sub(1);
                run.bound = !run.binds;
                if run.left == 0 {
                    self.steps.pop_front();
                }
            }
            Some(Step::Query(query)) => *query = Query::default(),
            _ => return Err(unexpected("the end of a statement that was not sent")),
        }
        if tag == "DISCARD ALL" || tag == "DEALLOCATE ALL" {
            self.statements.clear();
        }
        let row = self.rows_done;
        self.rows_done += 1;
        Ok(Event::Complete { affected, row })
    }

    fn suspended(&mut self) -> Result<Event, PostgresError> {
        match self.steps.pop_front() {
            Some(Step::Run(run)) if !run.binds => Ok(Event::Suspended),
            _ => Err(unexpected("a pause that was not asked for")),
        }
    }

    fn bound(&mut self) -> Result<(), PostgresError> {
        match self.steps.front_mut() {
            Some(Step::Run(run)) if run.binds && !run.bound => {
                run.bound = true;
                Ok(())
            }
            Some(Step::Bind) => {
                self.steps.pop_front();
                Ok(())
            }
            _ => Err(unexpected("an answer to a request that was not made")),
        }
    }

    fn preparing(&mut self) -> Result<&mut Preparing, PostgresError> {
        match self.steps.front_mut() {
            Some(Step::Prepare(preparing)) => Ok(preparing),
            _ => Err(unexpected("the description of a statement that was not prepared")),
        }
    }

    fn row_description(&mut self, frame: Frame) -> Result<Option<Event>, PostgresError> {
        let as_text = matches!(self.steps.front(), Some(Step::Query(_)));
        let mut fields = Fields(self.input.body(frame));
        let count = fields.u16()?;
        let mut columns = ResultColumns::default();
        for _ in 0..count {
            let name = fields.text()?;
            // The table's number and the column's within it.
            fields.bytes(6)?;
            let oid = fields.u32()?;
            // Length, modifier, and the format, which only the request for rows decides.
            fields.bytes(8)?;
            columns.push(name, oid, if as_text { Known::Nothing } else { Known::by_oid(oid) });
        }
        if let Some(Step::Query(query)) = self.steps.front_mut() {
            query.columns = Some(Arc::new(columns));
            return Ok(Some(Event::Columns));
        }
        self.prepared(columns).map(Some)
    }

    fn prepared(&mut self, columns: ResultColumns) -> Result<Event, PostgresError> {
        let Some(Step::Prepare(preparing)) = self.steps.pop_front() else {
            return Err(unexpected("the description of a statement that was not prepared"));
        };
        let Preparing { name, sql, keep, parsed: true, parameters: Some(parameter_oids) } = *preparing else {
            return Err(unexpected("an incomplete description of a statement"));
        };
        let parameters = parameter_oids.iter().map(|&oid| Known::by_oid(oid)).collect();
        let statement =
            Arc::new(Statement { name, sql, parameter_oids, parameters, columns: Arc::new(columns) });
        if keep {
            self.statements.put(&statement.sql, &statement);
        }
        Ok(Event::Prepared(statement))
    }

    fn ready(&mut self, frame: Frame) -> Result<Event, PostgresError> {
        self.transaction = match self.input.body(frame) {
            b"I" => Transaction::None,
            b"T" => Transaction::Open,
            b"E" => Transaction::Failed,
            _ => return Err(unexpected("an unknown state of a transaction")),
        };
        if self.skipping {
            self.skip_to_sync();
            self.skipping = false;
        }
        match self.steps.pop_front() {
            Some(Step::Start) if self.logged_in => self.state = State::Open,
            Some(Step::Sync | Step::Query(_)) => {}
            _ => return Err(unexpected("the end of a batch that was not sent")),
        }
        self.rows_done = 0;
        Ok(Event::Ready)
    }

    fn copy_begins(&mut self, direction: Copy) -> Result<Event, PostgresError> {
        match self.steps.front_mut() {
            Some(Step::Query(query)) if query.copy == Copy::None => query.copy = direction,
            // Requests that were sent after it are lost in the data that the server now waits for.
            Some(Step::Run(_)) => {
                return Err(PostgresError::Misuse {
                    what: "COPY that moves rows is no statement to be prepared",
                });
            }
            _ => return Err(unexpected("a COPY that was not asked for")),
        }
        Ok(if direction == Copy::In { Event::CopyIn } else { Event::CopyOut })
    }

    fn copying(&self, direction: Copy) -> Result<(), PostgresError> {
        match self.steps.front() {
            Some(Step::Query(query)) if query.copy == direction => Ok(()),
            _ => Err(unexpected("data of a COPY that was not asked for")),
        }
    }

    fn failed(&mut self, mut error: Box<ServerError>) -> Result<Option<Event>, PostgresError> {
        if error.is_fatal() {
            self.last_words = Some(error.clone());
        }
        match self.steps.front_mut() {
            Some(Step::Start) => return Err(PostgresError::Server(error)),
            Some(Step::Query(query)) => {
                if query.copy == Copy::In {
                    error.row = loaded_row(&error);
                }
                *query = Query::default();
            }
            Some(Step::Undo) => {
                self.steps.pop_front();
                return Ok(None);
            }
            Some(Step::Run(run)) => {
                if run.binds && !error.is_fatal() {
                    error.row = Some(self.rows_done);
                }
                self.skip_to_sync();
            }
            Some(_) => self.skip_to_sync(),
            // Nothing was asked: the server ends the connection by itself.
            None => return Err(PostgresError::Lost { source: None, said: Some(error) }),
        }
        Ok(Some(Event::Failed(error)))
    }

    /// The server answers nothing up to the next `Sync`.
    fn skip_to_sync(&mut self) {
        while self.steps.front().is_some_and(|step| !matches!(step, Step::Sync)) {
            self.steps.pop_front();
        }
        self.skipping = self.steps.is_empty();
    }
}

/// The row of a bulk load that an error is about, from what the server says it was doing: `COPY t, line 3, column a`.
fn loaded_row(error: &ServerError) -> Option<u64> {
    let rest = error.context.as_ref()?.strip_prefix("COPY ")?;
    let line = rest.split_once(", line ")?.1;
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    line[..digits].parse::<u64>().ok()?.checked_sub(1)
}

fn unexpected(what: &'static str) -> PostgresError {
    PostgresError::Protocol { what }
}

/// Asks for each column in binary where its type is known.
fn write_result_formats(out: &mut Vec<u8>, known: &[Known]) {
    let text = known.iter().filter(|known| **known == Known::Nothing).count();
    if text == known.len() {
        out.extend([0, 0]);
    } else if text == 0 {
        out.extend([0, 1, 0, 1]);
    } else {
        // The server itself has counted them in two bytes.
        out.extend((known.len() as u16).to_be_bytes());
        out.extend(known.iter().flat_map(|&known| [0, u8::from(known != Known::Nothing)]));
    }
}

fn start_up_message(options: &Options) -> Result<Vec<u8>, PostgresError> {
    let mut out = Vec::new();
    message::write_sized(&mut out, |out| {
        out.extend(0x0003_0000u32.to_be_bytes());
        for (name, value) in options.start_up_settings() {
            message::write_text(out, &name)?;
            message::write_text(out, &value)?;
        }
        out.push(0);
        Ok(())
    })?;
    Ok(out)
}
