//! MySQL's protocol (version 10, 4.1 and later, with MariaDB's extensions) without any I/O: bytes that have come go in,
//! events come out; requests go in, bytes to be sent come out.
//!
//! Answers come in the order of the requests, so that what is expected is a queue of [`Step`]s. Each request is answered
//! for itself: those after one that fails are done all the same. Nothing here waits, sleeps or looks at a clock; after the
//! first error of [`Engine::next_event`] nothing more is answered. Start at [`Protocol::start`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::{Engine, Wire};
use crate::error::Refusal as _;
use crate::stream::TlsMode;
use crate::{Column, Sink, Transaction};

use super::bulk::Bulk;
use super::decode;
use super::error::{MySqlError, ServerError};
use super::greeting::{self, Capabilities, Greeting};
use super::login::{Login, Policy};
use super::message::{self, Fields, Frame, PACKET_BYTES_MAX};
use super::options::Options;
use super::row_writer::{Layout, RowWriter};
use super::statement::{ResultColumns, Statement};
use super::types;

/// So much of a file goes in one packet.
const FILE_BYTES: usize = 64 * 1024;

/// What has happened, as [`Engine::next_event`] tells it.
pub type Event = crate::engine::Event<Statement, ServerError, Own>;

/// What only MySQL tells.
#[derive(Debug)]
#[non_exhaustive]
pub enum Own {
    /// The server waits for a file: [`Protocol::file_data`], then [`Protocol::file_done`].
    FileWanted,
}

/// What is known of a connection, and what is expected next.
pub struct Protocol {
    wire: Wire<Protocol>,
    bulks_sent: u64,
    /// What is expected, each with the number of its first packet.
    steps: VecDeque<(u8, Step)>,
    /// The number that the next packet has.
    sequence: u8,
    options: Box<Options>,
    can_encrypt: bool,
    login: Login,
    capabilities: Capabilities,
    /// Outside a transaction each statement is stored at once.
    stores_at_once: bool,
    version: String,
    is_mariadb: bool,
    key: Option<CancelKey>,
    /// What the server takes at once.
    message_bytes_max: usize,
    /// The statement that is not kept and lasts until the next one.
    passing: Option<Arc<Statement>>,
    /// The packet of the last [`Event::Row`].
    current: Option<Frame>,
}

/// One answer that is expected.
enum Step {
    Greeting,
    /// The stream is being encrypted; the login goes on with this.
    Handshake(Box<Greeting>),
    Login,
    /// The session's own settings, and what the server allows.
    Settings(Results),
    Prepare(Box<Preparing>),
    Results(Results),
    Sync,
}

struct Preparing {
    sql: Box<str>,
    keep: bool,
    head: Option<PrepareHead>,
    columns: ResultColumns,
}

#[derive(Clone, Copy)]
struct PrepareHead {
    id: u32,
    parameters: u16,
    columns: u16,
    /// Descriptions of parameters, and the packet after them, that are still to come.
    skip: u32,
    /// Descriptions of columns, and the packet after them.
    left: u32,
}

/// The results of an execution or of statements in text.
struct Results {
    what: Asked,
    statement: Option<Arc<Statement>>,
    columns: Arc<ResultColumns>,
    reading: Reading,
    /// Rows of this result so far.
    rows: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Statements in text: rows come in text.
    Text,
    Execution,
    /// Many rows of parameters in one packet.
    Bulk,
    /// An execution whose rows are fetched piece by piece.
    Cursor,
    Fetch,
}

enum Reading {
    /// What kind of a result it is.
    Head,
    Definitions {
        left: u64,
        got: ResultColumns,
    },
    /// The packet between descriptions and rows, of older servers.
    DefinitionsEnd,
    Rows,
    /// The server waits for a file, whose next packet has this number.
    File(u8),
}

/// What one needs to have a running statement cancelled, on a connection of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CancelKey {
    id: u32,
}

impl CancelKey {
    /// The statement that cancels.
    pub fn statement(&self) -> String {
        format!("KILL QUERY {}", self.id)
    }

    /// The number of the connection, as `CONNECTION_ID()` gives it.
    pub fn process(&self) -> u32 {
        self.id
    }
}

impl Engine for Protocol {
    type Options = Options;
    type Statement = Statement;
    type Refusal = ServerError;
    type Own = Own;

    fn start(options: &Options, can_encrypt: bool) -> Result<Protocol, MySqlError> {
        // In the clear a NUL ends a password, and to a server's own hash it may.
        if options.password.as_ref().is_some_and(|password| password.reveal().contains('\0')) {
            return Err(MySqlError::Unsendable { what: "a NUL character in a password".to_owned() });
        }
        if options.address.is_tcp() && options.tls.is_required() && !can_encrypt {
            return Err(MySqlError::Tls {
                what: format!(
                    "`sslmode={}` asks for TLS, which this program does not have",
                    options.tls.name()
                ),
            });
        }
        greeting::check(options)?;
        let policy = Policy {
            private: !options.address.is_tcp(),
            clear_password: options.clear_password,
            public_key: options.server_public_key,
        };
        Ok(Protocol {
            wire: Wire::new(options.statement_cache),
            bulks_sent: 0,
            steps: VecDeque::from([(0, Step::Greeting)]),
            sequence: 0,
            login: Login::new(options.password.as_ref(), policy),
            options: Box::new(Options { password: None, ..options.clone() }),
            can_encrypt,
            capabilities: Capabilities::default(),
            stores_at_once: true,
            version: String::new(),
            is_mariadb: false,
            key: None,
            message_bytes_max: message::MESSAGE_BYTES_MAX,
            passing: None,
            current: None,
        })
    }

    fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), MySqlError> {
        drop(end_point);
        let Some((_, Step::Handshake(greeting))) = self.steps.front_mut() else {
            return Err(MySqlError::Misuse { what: "encryption was not asked for" });
        };
        let greeting = std::mem::take(greeting);
        self.login.policy.private = true;
        self.introduce(&greeting)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        (name == "server_version" && !self.version.is_empty()).then_some(&*self.version)
    }

    fn is_idle(&self) -> bool {
        self.steps.is_empty() && !self.wire.unsynced
    }

    fn columns(&self) -> &[Column] {
        self.results().map_or(&[], |results| &results.columns.list)
    }

    fn row(&self, sink: &mut dyn Sink) -> Result<(), MySqlError> {
        let (Some(frame), Some(results)) = (self.current, self.results()) else {
            return Err(MySqlError::Misuse { what: "no row has come" });
        };
        let (mut fields, columns) = (Fields(frame.body(&self.wire.input)), &results.columns);
        let unreadable = |index: usize, what| MySqlError::Value {
            column: columns.list.get(index).map_or_else(String::new, |column| column.name.clone()),
            what,
        };
        if results.what == Asked::Text {
            for (index, &known) in columns.known.iter().enumerate() {
                match fields.sized_or_null()? {
                    None => sink.null(),
                    Some(bytes) => {
                        decode::text(known, bytes, sink).map_err(|what| unreadable(index, what))?;
                    }
                }
            }
        } else {
            fields.u8()?;
            // The first two bits mean nothing.
            let nulls = fields.bytes((columns.known.len() + 9) / 8)?;
            for (index, &known) in columns.known.iter().enumerate() {
                let bit = index + 2;
                if nulls[bit / 8] >> (bit % 8) & 1 == 1 {
                    sink.null();
                } else {
                    decode::binary(known, &mut fields, sink).map_err(|what| unreadable(index, what))?;
                }
            }
        }
        if fields.0.is_empty() { Ok(()) } else { Err(unexpected("a row that goes on")) }
    }

    fn prepare(&mut self, sql: &str, keep: bool) -> Result<(), MySqlError> {
        self.wire.must_be_open()?;
        self.close_forgotten()?;
        let first = self.command(0x16, sql.as_bytes())?;
        let keep = keep && self.wire.statements.capacity() > 0;
        let preparing = Preparing { sql: sql.into(), keep, head: None, columns: ResultColumns::default() };
        self.push(first, Step::Prepare(Box::new(preparing)));
        self.sync()
    }

    fn execute(
        &mut self,
        statement: &Arc<Statement>,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, MySqlError> {
        self.wire.must_be_open()?;
        match self.write_execution(statement, 0, values)? {
            None => Ok(false),
            Some(first) => {
                self.wire.rows_bound += 1;
                self.expect(first, Asked::Execution, Some(statement));
                Ok(true)
            }
        }
    }

    fn sync(&mut self) -> Result<(), MySqlError> {
        self.wire.must_be_open()?;
        self.push(0, Step::Sync);
        self.wire.unsynced = false;
        self.wire.rows_bound = 0;
        Ok(())
    }

    fn query(&mut self, sql: &str) -> Result<(), MySqlError> {
        self.wire.must_be_synced()?;
        let first = self.command(0x03, sql.as_bytes())?;
        self.expect(first, Asked::Text, None);
        self.sync()
    }

    fn terminate(&mut self) {
        let bytes_max = self.message_bytes_max;
        self.wire.terminate(|out| {
            let _ = write_command(out, bytes_max, 0x01, &[]);
        });
    }

    fn is_stale(&mut self, error: &ServerError, sql: &str) -> bool {
        // The server does not know it (it was reset), or could not prepare it anew by itself after the table was changed.
        if !matches!(error.code, 1243 | 1615) {
            return false;
        }
        self.wire.statements.forget(sql);
        true
    }

    fn read_event(&mut self) -> Result<Option<Event>, MySqlError> {
        self.current = None;
        loop {
            match self.steps.front() {
                Some((_, Step::Sync)) => {
                    self.pop();
                    self.wire.rows_done = 0;
                    return Ok(Some(Event::Ready));
                }
                Some((_, Step::Handshake(_))) => return Ok(None),
                _ => {}
            }
            let Some(frame) = Frame::next(&mut self.wire.input)? else { return Ok(None) };
            self.numbered(frame)?;
            if let Some(event) = self.understand(frame)? {
                return Ok(Some(event));
            }
        }
    }

    fn wire(&self) -> &Wire<Protocol> {
        &self.wire
    }

    fn wire_mut(&mut self) -> &mut Wire<Protocol> {
        &mut self.wire
    }
}

impl Protocol {
    fn introduce(&mut self, greeting: &Greeting) -> Result<(), MySqlError> {
        let (method, answer) = self.login.greeted(&greeting.method, &greeting.nonce)?;
        let (capabilities, options) = (self.capabilities, &self.options);
        self.sequence =
            message::write(&mut self.wire.output.bytes, self.sequence, message::MESSAGE_BYTES_MAX, |out| {
                greeting::respond(out, capabilities, options, (method, &answer))
            })?;
        self.steps = VecDeque::from([(self.sequence, Step::Login)]);
        Ok(())
    }

    /// Whether, outside a transaction, each statement is stored at once (`autocommit`).
    pub fn stores_at_once(&self) -> bool {
        self.stores_at_once
    }

    /// Whether it is MariaDB rather than MySQL.
    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// What one needs to cancel a statement; none before the first [`Event::Ready`].
    pub fn cancel_key(&self) -> Option<&CancelKey> {
        self.key.as_ref()
    }

    fn results(&self) -> Option<&Results> {
        match self.steps.front() {
            Some((_, Step::Results(results))) => Some(results),
            _ => None,
        }
    }

    fn close_forgotten(&mut self) -> Result<(), MySqlError> {
        for statement in self.wire.statements.take_forgotten() {
            // Nothing answers this.
            self.command(0x19, &statement.id.to_le_bytes())?;
        }
        Ok(())
    }

    /// Writes a request; gives the number of the first packet that answers.
    fn command(&mut self, code: u8, body: &[u8]) -> Result<u8, MySqlError> {
        write_command(&mut self.wire.output.bytes, self.message_bytes_max, code, body)
    }

    fn push(&mut self, first: u8, step: Step) {
        if self.steps.is_empty() {
            self.sequence = first;
        }
        self.steps.push_back((first, step));
    }

    fn pop(&mut self) -> Option<Step> {
        let (_, step) = self.steps.pop_front()?;
        if let Some((first, _)) = self.steps.front() {
            self.sequence = *first;
        }
        Some(step)
    }

    fn expect(&mut self, first: u8, what: Asked, statement: Option<&Arc<Statement>>) {
        let columns = statement.map(|statement| statement.latest()).unwrap_or_default();
        let reading = if what == Asked::Fetch { Reading::Rows } else { Reading::Head };
        let results = Results { what, statement: statement.map(Arc::clone), columns, reading, rows: 0 };
        self.push(first, Step::Results(results));
        self.wire.unsynced = true;
    }

    /// Gives the number of the first packet that answers; nothing where there are no values any more.
    fn write_execution(
        &mut self,
        statement: &Statement,
        flags: u8,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<Option<u8>, MySqlError> {
        let (row, wanted) = (self.wire.rows_bound, statement.parameters);
        let out = &mut self.wire.output.bytes;
        let start = message::begin(out);
        out.push(0x17);
        out.extend(statement.id.to_le_bytes());
        // Once.
        out.extend([flags, 1, 0, 0, 0]);
        let nulls = out.len();
        if wanted > 0 {
            out.resize(nulls + wanted.div_ceil(8), 0);
            out.push(1);
        }
        let types = out.len();
        out.resize(types + 2 * wanted, 0);
        let mut writer = RowWriter::new(out, wanted, Layout::Execute { nulls, types });
        if !values(&mut writer) {
            self.wire.output.bytes.truncate(start);
            return Ok(None);
        }
        let written = writer.end().map_err(|error| error.of_row(row, wanted, |_| None));
        let ended = written
            .and_then(|()| message::end(&mut self.wire.output.bytes, start, 0, self.message_bytes_max));
        if ended.is_err() {
            self.wire.output.bytes.truncate(start);
        }
        ended.map(Some)
    }

    /// Asks for an execution whose rows are fetched piece by piece. Answered by [`Event::Suspended`] once it is open; by
    /// [`Event::Complete`], perhaps after rows, where the server has no cursor for such a statement.
    ///
    /// Errors: as [`Engine::execute`].
    pub fn open_cursor(
        &mut self,
        statement: &Arc<Statement>,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<(), MySqlError> {
        self.wire.must_be_open()?;
        let read_only = 1;
        let first = self.write_execution(statement, read_only, &mut |sink| {
            values(sink);
            true
        })?;
        if let Some(first) = first {
            self.wire.rows_bound += 1;
            self.expect(first, Asked::Cursor, Some(statement));
        }
        Ok(())
    }

    /// Asks for up to `rows_max` more rows of a cursor: [`Event::Row`]s, then [`Event::Suspended`] or [`Event::Complete`].
    pub fn fetch(&mut self, statement: &Arc<Statement>, rows_max: u32) -> Result<(), MySqlError> {
        self.wire.must_be_open()?;
        let body = [statement.id.to_le_bytes(), rows_max.max(1).to_le_bytes()].concat();
        let first = self.command(0x1c, &body)?;
        self.expect(first, Asked::Fetch, Some(statement));
        Ok(())
    }

    /// Lets the server forget a statement that is not kept, and with it its cursor. Nothing answers.
    pub fn close_statement(&mut self, statement: Arc<Statement>) -> Result<(), MySqlError> {
        self.wire.must_be_open()?;
        if self.passing.as_ref().is_some_and(|passing| Arc::ptr_eq(passing, &statement)) {
            self.passing = None;
        }
        self.wire.statements.let_go(statement);
        self.close_forgotten()
    }

    /// Whoever prepared it closes it, by [`Protocol::close_statement`]: the next one that is not kept leaves it alone.
    pub fn keep_passing(&mut self) {
        self.passing = None;
    }

    /// Whether many rows of parameters can go in one packet: MariaDB's, since 10.2.
    pub fn can_bulk(&self) -> bool {
        self.capabilities.has(greeting::BULK)
    }

    /// How many packets of many rows were sent since the last call.
    pub(crate) fn take_bulks_sent(&mut self) -> u64 {
        std::mem::take(&mut self.bulks_sent)
    }

    /// Writes one row of many; false where `values` says that there is none. What is written is sent when there is enough
    /// of it, or by [`Protocol::bulk_done`]; each packet is answered by [`Event::Complete`] or [`Event::Failed`].
    ///
    /// Errors: `Parameter` and `ParameterCount` with the row, `Unsendable`; nothing of the row is sent then.
    pub fn bulk_row(
        &mut self,
        bulk: &mut Bulk,
        values: &mut dyn FnMut(&mut dyn Sink) -> bool,
    ) -> Result<bool, MySqlError> {
        self.wire.must_be_open()?;
        self.begin_bulk(bulk);
        let start = self.wire.output.bytes.len();
        let wanted = bulk.statement.parameters;
        let mut types = std::mem::take(&mut bulk.row_types);
        types.clear();
        let mut writer = RowWriter::new(&mut self.wire.output.bytes, wanted, Layout::Bulk(&mut types));
        if !values(&mut writer) {
            self.wire.output.bytes.truncate(start);
            return Ok(false);
        }
        let written = writer.end().map_err(|error| error.of_row(bulk.rows, wanted, |_| None));
        bulk.row_types = types;
        if let Err(error) = written {
            self.wire.output.bytes.truncate(start);
            return Err(error);
        }
        let length = self.wire.output.open.map_or(0, |place| self.wire.output.bytes.len() - place);
        if bulk.rows_in_packet > 0 && (!bulk.fits() || length >= self.message_bytes_max) {
            let row = self.wire.output.bytes.split_off(start);
            self.bulk_done(bulk)?;
            self.begin_bulk(bulk);
            self.wire.output.bytes.extend(row);
        }
        bulk.take_row();
        let length = self.wire.output.open.map_or(0, |place| self.wire.output.bytes.len() - place);
        if length > super::bulk::PACKET_BYTES {
            self.bulk_done(bulk)?;
        }
        Ok(true)
    }

    fn begin_bulk(&mut self, bulk: &mut Bulk) {
        if self.wire.output.open.is_none() {
            self.wire.output.open = Some(message::begin(&mut self.wire.output.bytes));
            bulk.begin(&mut self.wire.output.bytes);
        }
    }

    /// Sends the rows that are written and not sent yet.
    pub fn bulk_done(&mut self, bulk: &mut Bulk) -> Result<(), MySqlError> {
        let Some(place) = self.wire.output.open.take() else { return Ok(()) };
        if bulk.rows_in_packet == 0 {
            self.wire.output.bytes.truncate(place);
            return Ok(());
        }
        bulk.write_types(&mut self.wire.output.bytes[place..]);
        match message::end(&mut self.wire.output.bytes, place, 0, self.message_bytes_max) {
            Ok(first) => {
                let statement = Arc::clone(&bulk.statement);
                self.expect(first, Asked::Bulk, Some(&statement));
                self.bulks_sent += 1;
                Ok(())
            }
            Err(error) => {
                self.wire.output.bytes.truncate(place);
                Err(error)
            }
        }
    }

    /// Sends a piece of the file that the server waits for, after [`Own::FileWanted`].
    ///
    /// Errors: `Misuse` when it waits for none.
    pub fn file_data(&mut self, bytes: &[u8]) -> Result<(), MySqlError> {
        for piece in bytes.chunks(FILE_BYTES) {
            self.write_file(piece)?;
        }
        Ok(())
    }

    /// That was all of the file. Answered by [`Event::Complete`] or [`Event::Failed`].
    ///
    /// Errors: `Misuse` when the server waits for none.
    pub fn file_done(&mut self) -> Result<(), MySqlError> {
        let next = self.write_file(&[])?;
        self.sequence = next;
        if let Some((_, Step::Results(results))) = self.steps.front_mut() {
            results.reading = Reading::Head;
        }
        Ok(())
    }

    fn write_file(&mut self, piece: &[u8]) -> Result<u8, MySqlError> {
        self.wire.must_be_open()?;
        let Some((_, Step::Results(Results { reading: Reading::File(next), .. }))) = self.steps.front_mut()
        else {
            return Err(MySqlError::Misuse { what: "the server waits for no file" });
        };
        *next = message::write(&mut self.wire.output.bytes, *next, message::MESSAGE_BYTES_MAX, |out| {
            out.extend_from_slice(piece);
            Ok(())
        })?;
        Ok(*next)
    }

    /// Whether a packet is the next one that was expected.
    fn numbered(&mut self, frame: Frame) -> Result<(), MySqlError> {
        if frame.sequence == self.sequence && !self.steps.is_empty() {
            self.sequence = frame.next;
            return Ok(());
        }
        // Nothing was asked, or not heard: the server ends the connection by itself.
        let mut fields = Fields(frame.body(&self.wire.input));
        if fields.u8()? == 0xff {
            let said = Box::new(message::server_error(fields)?);
            return Err(MySqlError::Lost { source: None, said: Some(said) });
        }
        Err(unexpected("a packet out of order"))
    }

    fn understand(&mut self, frame: Frame) -> Result<Option<Event>, MySqlError> {
        match self.steps.front() {
            Some((_, Step::Greeting)) => self.greeting(frame),
            Some((_, Step::Login)) => self.login(frame).map(|()| None),
            Some((_, Step::Prepare(_))) => self.preparing(frame),
            Some((_, Step::Settings(_) | Step::Results(_))) => self.result(frame),
            Some((_, Step::Handshake(_) | Step::Sync)) | None => Err(unexpected("an answer to no request")),
        }
    }

    fn greeting(&mut self, frame: Frame) -> Result<Option<Event>, MySqlError> {
        let mut fields = Fields(frame.body(&self.wire.input));
        if fields.0.first() == Some(&0xff) {
            fields.u8()?;
            return Err(MySqlError::Server(Box::new(message::server_error(fields)?)));
        }
        let greeting = Greeting::read(fields)?;
        self.version.clone_from(&greeting.version);
        self.is_mariadb = greeting.is_mariadb;
        self.key = Some(CancelKey { id: greeting.connection });
        let wants_tls = self.options.address.is_tcp()
            && !matches!(self.options.tls, TlsMode::Disable | TlsMode::Allow)
            && self.can_encrypt;
        let offers_tls = greeting.capabilities.has(greeting::TLS);
        if self.options.address.is_tcp() && self.options.tls.is_required() && !offers_tls {
            return Err(MySqlError::Tls { what: "the server does not offer TLS".to_owned() });
        }
        let encrypts = wants_tls && offers_tls;
        self.capabilities = greeting::wanted(&self.options, encrypts).both(greeting.capabilities);
        if !encrypts {
            return self.introduce(&greeting).map(|()| None);
        }
        // Whatever came with the greeting came unencrypted, and perhaps from somebody else.
        if !self.wire.input.unread().is_empty() {
            return Err(MySqlError::Tls { what: "the server sent data before the encryption".to_owned() });
        }
        let capabilities = self.capabilities;
        self.sequence =
            message::write(&mut self.wire.output.bytes, self.sequence, message::MESSAGE_BYTES_MAX, |out| {
                greeting::ask_for_tls(out, capabilities);
                Ok(())
            })?;
        self.steps = VecDeque::from([(self.sequence, Step::Handshake(Box::new(greeting)))]);
        Ok(Some(Event::StartTls))
    }

    fn login(&mut self, frame: Frame) -> Result<(), MySqlError> {
        let mut fields = Fields(frame.body(&self.wire.input));
        let answer = match fields.u8()? {
            0x00 => return self.logged_in(),
            0xff => return Err(MySqlError::Server(Box::new(message::server_error(fields)?))),
            0xfe => Some(self.login.switched(fields)?),
            0x01 => self.login.more(fields.0)?,
            _ => return Err(unexpected("an unknown answer to a login")),
        };
        if let Some(answer) = answer {
            self.sequence = message::write(
                &mut self.wire.output.bytes,
                self.sequence,
                message::MESSAGE_BYTES_MAX,
                |out| {
                    out.extend_from_slice(&answer);
                    Ok(())
                },
            )?;
        }
        Ok(())
    }

    fn logged_in(&mut self) -> Result<(), MySqlError> {
        let sql = greeting::settings(&self.options, self.is_mariadb);
        let first = self.command(0x03, sql.as_bytes())?;
        let results = Results {
            what: Asked::Text,
            statement: None,
            columns: Arc::default(),
            reading: Reading::Head,
            rows: 0,
        };
        self.pop();
        self.push(first, Step::Settings(results));
        Ok(())
    }

    fn preparing(&mut self, frame: Frame) -> Result<Option<Event>, MySqlError> {
        let (extended, ends) = (self.is_extended(), u32::from(!self.capabilities.has(greeting::NO_EOF)));
        let Some((_, Step::Prepare(preparing))) = self.steps.front_mut() else {
            return Err(unexpected("the description of a statement that was not prepared"));
        };
        let body = frame.body(&self.wire.input);
        let mut fields = Fields(body);
        match &mut preparing.head {
            None => {
                match fields.u8()? {
                    0x00 => {}
                    0xff => return self.failed(frame).map(Some),
                    _ => return Err(unexpected("an unknown answer to a statement")),
                }
                let (id, columns, parameters) = (fields.u32()?, fields.u16()?, fields.u16()?);
                let counted = |count: u16| if count == 0 { 0 } else { u32::from(count) + ends };
                let (skip, left) = (counted(parameters), counted(columns));
                preparing.head = Some(PrepareHead { id, parameters, skip, left, columns });
            }
            Some(head) if head.skip > 0 => head.skip -= 1,
            Some(head) => {
                head.left = head.left.saturating_sub(1);
                if preparing.columns.list.len() < usize::from(head.columns) {
                    preparing.columns.push(types::definition(body, extended)?);
                }
            }
        }
        if preparing.head.is_some_and(|head| head.skip == 0 && head.left == 0) {
            return self.prepared().map(Some);
        }
        Ok(None)
    }

    fn is_extended(&self) -> bool {
        self.capabilities.has(greeting::EXTENDED_METADATA)
    }

    fn prepared(&mut self) -> Result<Event, MySqlError> {
        let Some(Step::Prepare(preparing)) = self.pop() else {
            return Err(unexpected("the description of a statement that was not prepared"));
        };
        let Preparing { sql, keep, head: Some(head), columns } = *preparing else {
            return Err(unexpected("an incomplete description of a statement"));
        };
        let parameters = usize::from(head.parameters);
        let statement = Arc::new(Statement::new(head.id, sql, parameters, Arc::new(columns)));
        if keep {
            self.wire.statements.put(&statement.sql, &statement);
        } else if let Some(last) = self.passing.replace(Arc::clone(&statement)) {
            self.wire.statements.let_go(last);
        }
        Ok(Event::Prepared(statement))
    }

    /// A packet of a result.
    fn result(&mut self, frame: Frame) -> Result<Option<Event>, MySqlError> {
        let (extended, capabilities) = (self.is_extended(), self.capabilities);
        let body = frame.body(&self.wire.input);
        let Some((_, Step::Settings(results) | Step::Results(results))) = self.steps.front_mut() else {
            return Err(unexpected("an answer to no request"));
        };
        let mut fields = Fields(body);
        let kind = *body.first().ok_or_else(|| unexpected("an empty packet"))?;
        match &mut results.reading {
            Reading::Head => match kind {
                0x00 => {
                    fields.u8()?;
                    let done = Done::read(fields)?;
                    return self.complete(done).map(Some);
                }
                0xff => return self.failed(frame).map(Some),
                0xfb if results.what == Asked::Text && capabilities.has(greeting::LOCAL_FILES) => {
                    results.reading = Reading::File(frame.next);
                    return Ok(Some(Event::Own(Own::FileWanted)));
                }
                0xfb => return Err(unexpected("a wish for a file that was not offered")),
                _ => {
                    let count = fields.number()?;
                    if !(1..=0xffff).contains(&count) {
                        return Err(unexpected("a result with an impossible number of columns"));
                    }
                    if !capabilities.has(greeting::CACHED_METADATA) || fields.u8()? != 0 {
                        results.reading = Reading::Definitions { left: count, got: ResultColumns::default() };
                    } else if let Some(statement) = &results.statement
                        && statement.latest().list.len() as u64 == count
                    {
                        results.columns = statement.latest();
                        results.reading = Reading::Rows;
                        return Ok(self.told(Event::Columns));
                    } else {
                        return Err(unexpected("a result without a description of its columns"));
                    }
                }
            },
            Reading::Definitions { left, got } => {
                got.push(types::definition(body, extended)?);
                *left -= 1;
                if *left > 0 {
                    return Ok(None);
                }
                results.columns = Arc::new(std::mem::take(got));
                if let Some(statement) = &results.statement {
                    statement.set_latest(&results.columns);
                }
                if !capabilities.has(greeting::NO_EOF) {
                    results.reading = Reading::DefinitionsEnd;
                    return Ok(None);
                }
                results.reading = Reading::Rows;
                return Ok(self.told(Event::Columns));
            }
            Reading::DefinitionsEnd => {
                let done = Done::read_end(body)?;
                results.reading = Reading::Rows;
                if results.what == Asked::Cursor && done.status & CURSOR_EXISTS != 0 {
                    return self.complete(done).map(Some);
                }
                return Ok(self.told(Event::Columns));
            }
            Reading::Rows => {
                if kind == 0xff {
                    return self.failed(frame).map(Some);
                }
                // A row of text may begin with this, but is then longer than a packet.
                if kind == 0xfe && body.len() < PACKET_BYTES_MAX {
                    let done = if capabilities.has(greeting::NO_EOF) {
                        fields.u8()?;
                        Done::read(fields)?
                    } else {
                        Done::read_end(body)?
                    };
                    let affected = results.rows;
                    return self.complete(Done { affected, ..done }).map(Some);
                }
                if results.what != Asked::Text && kind != 0 {
                    return Err(unexpected("a row that is none"));
                }
                results.rows += 1;
                return self.row_came(frame);
            }
            Reading::File(_) => return Err(unexpected("an answer before the end of a file")),
        }
        Ok(None)
    }

    /// What is told of a result that somebody has asked for.
    fn told(&self, event: Event) -> Option<Event> {
        self.results().is_some().then_some(event)
    }

    fn row_came(&mut self, frame: Frame) -> Result<Option<Event>, MySqlError> {
        if self.results().is_some() {
            self.current = Some(frame);
            return Ok(Some(Event::Row));
        }
        // `max_allowed_packet`, of the session's settings.
        let mut fields = Fields(frame.body(&self.wire.input));
        let value = fields.sized_or_null()?.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
        if let Some(bytes) = value.filter(|&bytes: &usize| bytes >= 1024) {
            self.message_bytes_max = bytes.min(message::MESSAGE_BYTES_MAX);
        }
        Ok(None)
    }

    /// A result is done, perhaps not the last of its request.
    fn complete(&mut self, done: Done) -> Result<Event, MySqlError> {
        let in_transaction = done.status & IN_TRANSACTION != 0;
        self.wire.transaction = if in_transaction { Transaction::Open } else { Transaction::None };
        self.stores_at_once = done.status & AUTOCOMMIT != 0;
        let more = done.status & MORE_RESULTS != 0;
        let row = self.wire.rows_done;
        let Some((_, Step::Settings(results) | Step::Results(results))) = self.steps.front_mut() else {
            return Err(unexpected("an answer to no request"));
        };
        let suspended = match results.what {
            Asked::Cursor => done.status & CURSOR_EXISTS != 0,
            Asked::Fetch => done.status & LAST_ROW_SENT == 0,
            _ => false,
        };
        if results.what == Asked::Text || !more {
            self.wire.rows_done += 1;
        }
        (results.reading, results.rows) = (Reading::Head, 0);
        if !more && let Some(Step::Settings(_)) = self.pop() {
            self.wire.opened();
            self.wire.rows_done = 0;
            return Ok(Event::Ready);
        }
        if suspended {
            return Ok(Event::Suspended);
        }
        Ok(Event::Complete {
            affected: Some(done.affected),
            inserted_id: i64::try_from(done.inserted_id).ok().filter(|&id| id != 0),
            warnings: done.warnings,
            row,
        })
    }

    fn failed(&mut self, frame: Frame) -> Result<Event, MySqlError> {
        let mut fields = Fields(frame.body(&self.wire.input));
        fields.u8()?;
        let mut error = Box::new(message::server_error(fields)?);
        if error.is_fatal() {
            self.wire.last_words = Some(error.clone());
        }
        match self.pop() {
            Some(Step::Settings(_)) => return Err(MySqlError::Server(error)),
            Some(Step::Results(results)) => {
                if results.what == Asked::Execution && !error.is_fatal() {
                    error.row = Some(self.wire.rows_done);
                }
                self.wire.rows_done += 1;
            }
            _ => {}
        }
        Ok(Event::Failed(error))
    }
}

/// Bits of the server's state.
const IN_TRANSACTION: u16 = 1;
const AUTOCOMMIT: u16 = 2;
const MORE_RESULTS: u16 = 8;
const CURSOR_EXISTS: u16 = 0x40;
const LAST_ROW_SENT: u16 = 0x80;

/// What is told at the end of a result.
struct Done {
    affected: u64,
    inserted_id: u64,
    status: u16,
    warnings: u16,
}

impl Done {
    fn read(mut fields: Fields<'_>) -> Result<Done, MySqlError> {
        Ok(Done {
            affected: fields.number()?,
            inserted_id: fields.number()?,
            status: fields.u16()?,
            warnings: fields.u16()?,
        })
    }

    /// The end of descriptions or rows, of older servers.
    fn read_end(body: &[u8]) -> Result<Done, MySqlError> {
        let mut fields = Fields(body);
        if fields.u8()? != 0xfe || body.len() > 8 {
            return Err(unexpected("no end where one has to be"));
        }
        let warnings = fields.u16()?;
        Ok(Done { affected: 0, inserted_id: 0, status: fields.u16()?, warnings })
    }
}

fn write_command(out: &mut Vec<u8>, bytes_max: usize, code: u8, body: &[u8]) -> Result<u8, MySqlError> {
    message::write(out, 0, bytes_max, |out| {
        out.push(code);
        out.extend_from_slice(body);
        Ok(())
    })
}

/// Kept out of line: inlined, its texts are loaded for every event.
#[cold]
#[inline(never)]
fn unexpected(what: &'static str) -> MySqlError {
    MySqlError::Protocol { what }
}
