//! PostgreSQL's protocol 3.0 without any I/O: bytes that have come go in, events come out; requests go in, bytes to be
//! sent come out.
//!
//! Answers come in the order of the requests, so that what is expected is a queue of [`Step`]s: an error belongs to
//! the step at its front, and takes with it all up to the next `Sync`. Nothing here waits, sleeps or looks at a clock;
//! after the first error of [`Engine::next_event`] nothing more is answered. Start at [`Protocol::start`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::engine::{Engine, Wire};
use crate::error::Refusal as _;
use crate::row_values::RowError;
use crate::stream::TlsMode;
use crate::{Column, Sink, Transaction};

use super::decode;
use super::error::{PostgresError, ServerError};
use super::login::Login;
use super::message::{self, Fields, Frame};
use super::options::Options;
use super::row_writer::{Layout, RowWriter};
use super::statement::{ResultColumns, Statement};
use super::types::{Kind, Known};

/// Bytes of a bulk load that go into one message.
const COPY_MESSAGE_BYTES: usize = 64 * 1024;

/// What has happened, as [`Engine::next_event`] tells it.
pub type Event = crate::engine::Event<Statement, ServerError, Own>;

/// What only PostgreSQL tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Own {
    /// The server waits for the rows of a bulk load.
    CopyIn,
    /// The rows of a bulk export begin.
    CopyOut,
    /// A piece of a bulk export: [`Protocol::copy_data`], until the next call of [`Engine::next_event`].
    CopyData,
    /// A bulk export is complete.
    CopyDone,
    /// The server remarks something.
    Notice(Box<ServerError>),
    /// `NOTIFY` of a channel that is listened to.
    Notification(Notification),
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

/// What is known of a connection, and what is expected next.
pub struct Protocol {
    wire: Wire<Protocol>,
    steps: VecDeque<Step>,
    encryption: Encryption,
    start_up: Vec<u8>,
    login: Login,
    logged_in: bool,
    settings: BTreeMap<String, String>,
    key: Option<CancelKey>,
    names_given: u64,
    /// A request has failed whose `Sync` is not sent yet: the server is deaf until then.
    skipping: bool,
    /// The message of the last [`Event::Row`] or [`Event::CopyData`].
    current: Option<Frame>,
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

impl Engine for Protocol {
    type Options = Options;
    type Statement = Statement;
    type Refusal = ServerError;
    type Own = Own;

    fn start(options: &Options, can_encrypt: bool) -> Result<Protocol, PostgresError> {
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
            wire: Wire::new(options.statement_cache),
            steps: VecDeque::from([Step::Start]),
            encryption: Encryption::Decided,
            start_up: start_up_message(options)?,
            login: Login::new(&options.user, options.password.as_ref(), options.channel_binding),
            logged_in: false,
            settings: BTreeMap::new(),
            key: None,
            names_given: 0,
            skipping: false,
            current: None,
        };
        if wants && can_encrypt {
            protocol.wire.output.bytes.extend(8u32.to_be_bytes());
            protocol.wire.output.bytes.extend(80_877_103u32.to_be_bytes());
            protocol.encryption = Encryption::Asked { required };
        } else {
            protocol.introduce();
        }
        Ok(protocol)
    }

    fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), PostgresError> {
        if self.encryption != Encryption::Handshake {
            return Err(PostgresError::Misuse { what: "encryption was not asked for" });
        }
        self.login.encrypted(end_point);
        self.introduce();
        Ok(())
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }

    fn is_idle(&self) -> bool {
        self.steps.is_empty() && !self.wire.unsynced
    }

    fn columns(&self) -> &[Column] {
        self.result_columns().map_or(&[], |columns| &columns.list)
    }

    fn row(&self, sink: &mut dyn Sink) -> Result<(), PostgresError> {
        let (Some(frame), Some(columns)) = (self.current, self.result_columns()) else {
            return Err(PostgresError::Misuse { what: "no row has come" });
        };
        let mut fields = Fields(frame.body(&self.wire.input));
        if usize::from(fields.u16()?) != columns.known.len() {
            return Err(unexpected("a row that has not as many values as columns"));
        }
        for (index, &known) in columns.known.iter().enumerate() {
            match fields.value()? {
                None => sink.null(),
                Some(bytes) => decode::decode(known, bytes, sink).map_err(|what| PostgresError::Value {
                    column: columns.list.get(index).map_or_else(String::new, |column| column.name.clone()),
                    what,
                })?,
            }
        }
        if fields.0.is_empty() { Ok(()) } else { Err(unexpected("a row that goes on")) }
    }

    fn prepare(&mut self, sql: &str, keep: bool) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        // Before anything is written, so that a text that cannot be sent leaves no half batch.
        if sql.len() >= message::MESSAGE_BYTES_MAX - 64 || sql.as_bytes().contains(&0) {
            return Err(PostgresError::Unsendable {
                what: "a statement of more than 1 GiB, or with a NUL character".to_owned(),
            });
        }
        self.close_forgotten()?;
        let keep = keep && self.wire.statements.capacity() > 0;
        let name = if keep { self.new_name() } else { String::new() };
        message::write(&mut self.wire.output.bytes, b'P', |out| {
            message::write_text(out, &name)?;
            message::write_text(out, sql)?;
            out.extend([0, 0]);
            Ok(())
        })?;
        message::write(&mut self.wire.output.bytes, b'D', |out| {
            out.push(b'S');
            message::write_text(out, &name)
        })?;
        let preparing = Preparing { name, sql: sql.into(), keep, parsed: false, parameters: None };
        self.steps.push_back(Step::Prepare(Box::new(preparing)));
        self.sync()
    }

    fn execute(
        &mut self,
        statement: &Arc<Statement>,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        self.wire.must_be_open()?;
        if !self.bind("", statement, values)? {
            return Ok(false);
        }
        self.write_execute("", 0)?;
        self.wire.rows_bound += 1;
        self.wire.unsynced = true;
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

    fn sync(&mut self) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        message::write(&mut self.wire.output.bytes, b'S', |_| Ok(()))?;
        self.steps.push_back(Step::Sync);
        self.wire.unsynced = false;
        self.wire.rows_bound = 0;
        Ok(())
    }

    fn query(&mut self, sql: &str) -> Result<(), PostgresError> {
        self.wire.must_be_synced()?;
        message::write(&mut self.wire.output.bytes, b'Q', |out| message::write_text(out, sql))?;
        self.steps.push_back(Step::Query(Query::default()));
        Ok(())
    }

    fn terminate(&mut self) {
        self.wire.terminate(|out| {
            let _ = message::write(out, b'X', |_| Ok(()));
        });
    }

    fn is_stale(&mut self, error: &ServerError, sql: &str) -> bool {
        // The result has other types since the table was changed; or someone has deallocated the statement.
        let changed = error.sqlstate == "0A000" && error.routine.as_deref() == Some("RevalidateCachedQuery");
        if !changed && error.sqlstate != "26000" {
            return false;
        }
        self.wire.statements.forget(sql);
        self.wire.transaction == Transaction::None
    }

    fn read_event(&mut self) -> Result<Option<Event>, PostgresError> {
        self.current = None;
        match self.encryption {
            Encryption::Decided => {}
            Encryption::Handshake => return Ok(None),
            Encryption::Asked { required } => match self.wire.input.byte() {
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
        while let Some(frame) = Frame::next(&mut self.wire.input)? {
            if let Some(event) = self.understand(frame)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn wire(&self) -> &Wire<Protocol> {
        &self.wire
    }

    fn wire_mut(&mut self) -> &mut Wire<Protocol> {
        &mut self.wire
    }
}

impl Protocol {
    fn introduce(&mut self) {
        self.encryption = Encryption::Decided;
        self.wire.output.bytes.append(&mut self.start_up);
    }

    /// What one needs to cancel a statement; none before the first [`Event::Ready`], or of servers without.
    pub fn cancel_key(&self) -> Option<&CancelKey> {
        self.key.as_ref()
    }

    fn result_columns(&self) -> Option<&ResultColumns> {
        match self.steps.front() {
            Some(Step::Run(run)) => Some(&run.columns),
            Some(Step::Query(query)) => query.columns.as_deref(),
            _ => None,
        }
    }

    /// The bytes of the last [`Event::CopyData`].
    pub fn copy_data(&self) -> &[u8] {
        self.current.map_or(&[], |frame| frame.body(&self.wire.input))
    }

    /// A name for a statement or a portal, which has no other.
    pub(crate) fn new_name(&mut self) -> String {
        self.names_given += 1;
        format!("naja_{}", self.names_given)
    }

    fn close_forgotten(&mut self) -> Result<(), PostgresError> {
        for statement in self.wire.statements.take_forgotten() {
            self.close(b'S', &statement.name)?;
        }
        Ok(())
    }

    fn close(&mut self, what: u8, name: &str) -> Result<(), PostgresError> {
        message::write(&mut self.wire.output.bytes, b'C', |out| {
            out.push(what);
            message::write_text(out, name)
        })?;
        self.steps.push_back(Step::Close);
        self.wire.unsynced = true;
        Ok(())
    }

    fn bind(
        &mut self,
        portal: &str,
        statement: &Statement,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        let row = self.wire.rows_bound;
        let start = self.wire.output.bytes.len();
        let mut there = false;
        let wrong = |error: RowError| error.of_row(row, statement.parameters.len(), |_| None);
        message::write(&mut self.wire.output.bytes, b'B', |out| {
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
            self.wire.output.bytes.truncate(start);
        }
        Ok(there)
    }

    fn write_execute(&mut self, portal: &str, rows_max: u32) -> Result<(), PostgresError> {
        message::write(&mut self.wire.output.bytes, b'E', |out| {
            message::write_text(out, portal)?;
            out.extend(rows_max.to_be_bytes());
            Ok(())
        })
    }

    /// Asks for a portal, from which rows can be fetched piece by piece until the transaction ends.
    ///
    /// Errors: as [`Engine::execute`].
    pub fn open_portal(
        &mut self,
        portal: &str,
        statement: &Statement,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        self.bind(portal, statement, &mut |sink| {
            values(sink);
            true
        })?;
        self.steps.push_back(Step::Bind);
        self.wire.unsynced = true;
        Ok(())
    }

    /// Asks for up to `rows_max` more rows of a portal (0 for all): [`Event::Row`]s, then [`Event::Suspended`] or
    /// [`Event::Complete`].
    pub fn fetch(&mut self, portal: &str, statement: &Statement, rows_max: u32) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        self.write_execute(portal, rows_max)?;
        let columns = Arc::clone(&statement.columns);
        self.steps.push_back(Step::Run(Run { columns, left: 1, binds: false, bound: true }));
        self.wire.unsynced = true;
        Ok(())
    }

    /// Asks for a portal to be closed.
    pub fn close_portal(&mut self, portal: &str) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        self.close(b'P', portal)
    }

    /// Ends a batch so that, outside a transaction, nothing of it stays.
    ///
    /// Inside a transaction this makes it fail.
    pub fn sync_undone(&mut self) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        // There is no such portal, and an error is the only thing that rolls an implicit transaction back.
        self.write_execute("naja_undo", 0)?;
        self.steps.push_back(Step::Undo);
        self.sync()
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

    /// Writes one row of a bulk load, after [`Own::CopyIn`]; false where `values` says that there is none.
    ///
    /// Errors: `Parameter` and `ParameterCount` with row and column; nothing of the row is sent then, and the load can
    /// go on or be ended by [`Protocol::copy_fail`].
    pub fn copy_row(
        &mut self,
        target: &mut CopyTarget,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, PostgresError> {
        self.wire.must_be_open()?;
        self.begin_copy_message(target);
        let start = self.wire.output.bytes.len();
        let layout = if target.binary { Layout::CopyBinary } else { Layout::CopyText };
        if target.binary {
            // A table has at most 1,600 columns.
            self.wire.output.bytes.extend((target.known.len() as u16).to_be_bytes());
        }
        let mut writer = RowWriter::new(&mut self.wire.output.bytes, &target.known, layout);
        if !values(&mut writer) {
            self.wire.output.bytes.truncate(start);
            return Ok(false);
        }
        let ended = writer.end();
        let row = target.rows;
        if let Err(error) = ended {
            self.wire.output.bytes.truncate(start);
            return Err(error.of_row(row, target.known.len(), |index| target.names.get(index).cloned()));
        }
        if !target.binary {
            self.wire.output.bytes.push(b'\n');
        }
        target.rows += 1;
        if self
            .wire
            .output
            .open
            .is_some_and(|place| self.wire.output.bytes.len() - place > COPY_MESSAGE_BYTES)
        {
            self.end_copy_message()?;
        }
        Ok(true)
    }

    fn begin_copy_message(&mut self, target: &CopyTarget) {
        if self.wire.output.open.is_some() {
            return;
        }
        self.wire.output.open = Some(self.wire.output.bytes.len());
        self.wire.output.bytes.extend([b'd', 0, 0, 0, 0]);
        if target.binary && target.rows == 0 {
            self.wire.output.bytes.extend(b"PGCOPY\n\xff\r\n\0");
            self.wire.output.bytes.extend([0; 8]);
        }
    }

    fn end_copy_message(&mut self) -> Result<(), PostgresError> {
        match self.wire.output.open.take() {
            Some(place) => {
                let (_, message) = self.wire.output.bytes.split_at_mut(place + 1);
                message::end_sized(message, 0)
            }
            None => Ok(()),
        }
    }

    /// Ends a bulk load: the rows are taken. Answered by [`Event::Complete`], then [`Event::Ready`].
    pub fn copy_done(&mut self, target: &CopyTarget) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        self.begin_copy_message(target);
        if target.binary {
            self.wire.output.bytes.extend((-1i16).to_be_bytes());
        }
        self.end_copy_message()?;
        message::write(&mut self.wire.output.bytes, b'c', |_| Ok(()))
    }

    /// Ends a bulk load so that nothing of it stays. Answered by [`Event::Failed`], then [`Event::Ready`].
    pub fn copy_fail(&mut self, reason: &str) -> Result<(), PostgresError> {
        self.wire.must_be_open()?;
        // What is in an open message is thrown away at the other end as well.
        self.end_copy_message()?;
        message::write(&mut self.wire.output.bytes, b'f', |out| {
            message::write_text(out, &reason.replace('\0', " "))
        })
    }

    fn agree_to_tls(&mut self) -> Result<Event, PostgresError> {
        // Whatever came with the answer came unencrypted, and perhaps from somebody else.
        if !self.wire.input.unread().is_empty() {
            return Err(PostgresError::Tls { what: "the server sent data before the encryption".to_owned() });
        }
        self.encryption = Encryption::Handshake;
        Ok(Event::StartTls)
    }

    fn understand(&mut self, frame: Frame) -> Result<Option<Event>, PostgresError> {
        let body = frame.body(&self.wire.input);
        match frame.tag {
            b'D' => return self.data_row(frame).map(Some),
            b'd' => {
                self.copying(Copy::Out)?;
                self.current = Some(frame);
                return Ok(Some(Event::Own(Own::CopyData)));
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
                    self.wire.last_words = Some(notice.clone());
                }
                return Ok(Some(Event::Own(Own::Notice(notice))));
            }
            b'A' => {
                let mut fields = Fields(body);
                let (process, channel, payload) = (fields.u32()?, fields.text()?, fields.text()?);
                return Ok(Some(Event::Own(Own::Notification(Notification { process, channel, payload }))));
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
                if !self.wire.is_starting() || self.logged_in {
                    return Err(unexpected("a login after the login"));
                }
                let body = frame.body(&self.wire.input);
                self.logged_in = self.login.answer(body, &mut self.wire.output.bytes)?;
            }
            // The server speaks an older minor version than was asked for: none is older than 3.0.
            b'v' => {}
            b'G' => return self.copy_begins(Copy::In).map(Some),
            b'H' => return self.copy_begins(Copy::Out).map(Some),
            b'c' => {
                self.copying(Copy::Out)?;
                return Ok(Some(Event::Own(Own::CopyDone)));
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
            self.wire.statements.clear();
        }
        let row = self.wire.rows_done;
        self.wire.rows_done += 1;
        Ok(Event::Complete { affected, inserted_id: None, warnings: 0, row })
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
        let mut fields = Fields(frame.body(&self.wire.input));
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
            self.wire.statements.put(&statement.sql, &statement);
        }
        Ok(Event::Prepared(statement))
    }

    fn ready(&mut self, frame: Frame) -> Result<Event, PostgresError> {
        self.wire.transaction = match frame.body(&self.wire.input) {
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
            Some(Step::Start) if self.logged_in => self.wire.opened(),
            Some(Step::Sync | Step::Query(_)) => {}
            _ => return Err(unexpected("the end of a batch that was not sent")),
        }
        self.wire.rows_done = 0;
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
        Ok(Event::Own(if direction == Copy::In { Own::CopyIn } else { Own::CopyOut }))
    }

    fn copying(&self, direction: Copy) -> Result<(), PostgresError> {
        match self.steps.front() {
            Some(Step::Query(query)) if query.copy == direction => Ok(()),
            _ => Err(unexpected("data of a COPY that was not asked for")),
        }
    }

    fn failed(&mut self, mut error: Box<ServerError>) -> Result<Option<Event>, PostgresError> {
        if error.is_fatal() {
            self.wire.last_words = Some(error.clone());
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
                    error.row = Some(self.wire.rows_done);
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

/// Kept out of line: inlined, its texts are loaded for every event.
#[cold]
#[inline(never)]
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
