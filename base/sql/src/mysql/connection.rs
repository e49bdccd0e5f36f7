//! What a blocking connection to MySQL or MariaDB does in its own way: how it is reached and cancelled, many rows, files,
//! cursors.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use crate::connection::{self, Access, Batch, Blocking, SEND_BYTES};
use crate::engine::Engine as _;
use crate::stream::{Place, TlsMode};
use crate::{Column, Outcome, Sink, Source, Transaction};

use super::bulk::Bulk;
use super::error::{MySqlError, ServerError};
use super::options::{Address, Options};
use super::protocol::{CancelKey, Event, Own, Protocol};
use super::statement::Statement;

/// The error of a statement that has to be sent as text.
const NOT_PREPARABLE: u16 = 1295;
/// The error of a server that lets nobody in without encryption.
const ENCRYPTION_REQUIRED: u16 = 3159;

/// A connection to MySQL or MariaDB for one thread at a time.
pub type Connection = connection::Connection<Protocol>;

/// A result that is fetched piece by piece, while other statements run in between.
pub type Cursor = connection::Cursor<Protocol>;

/// Cancels what a connection is running, from any thread and without it.
pub type Canceller = connection::Canceller<Protocol>;

impl Blocking for Protocol {
    type CancelKey = CancelKey;
    type Remarks = ();

    fn access(options: &Options) -> Access<'_> {
        let place = match &options.address {
            Address::Unix { path } => Place::Unix(Cow::Borrowed(path)),
            Address::Tcp { host, port } => Place::Tcp { host, port: *port },
        };
        Access {
            place,
            shown: options.address.to_string(),
            care: options.care(),
            tls: options.tls,
            tls_files: &options.tls_files,
            connect_timeout: options.connect_timeout,
            silence_max: options.silence_max(),
        }
    }

    /// Whoever cancels logs in again.
    fn kept(options: &Options) -> Options {
        options.clone()
    }

    fn may_want_encryption(refusal: &ServerError) -> bool {
        refusal.sqlstate == "28000" || refusal.code == ENCRYPTION_REQUIRED
    }

    fn encrypted(options: &Options) -> Options {
        Options { tls: TlsMode::Require, ..options.clone() }
    }

    fn cancel_key(&self) -> Option<&CancelKey> {
        Protocol::cancel_key(self)
    }

    fn cancel(canceller: &Canceller) -> Result<(), MySqlError> {
        let mut connection = Connection::open(&canceller.options, canceller.tls.clone())?;
        connection.set_answer_timeout(canceller.options.connect_timeout);
        connection.script(&canceller.key.statement())
    }

    /// Which ends no transaction.
    fn cancels_unwanted(&self) -> bool {
        true
    }

    fn put_aside((): &mut (), event: Own) -> Option<Own> {
        Some(event)
    }

    /// Only a load has a file to give.
    fn decline(&mut self, event: &Own) -> Result<(), MySqlError> {
        match event {
            Own::FileWanted => self.file_done(),
        }
    }

    fn is_text_alone(_: &str) -> bool {
        false
    }

    fn is_refused_preparation(refusal: &ServerError) -> bool {
        refusal.code == NOT_PREPARABLE
    }

    /// Each execution tells them.
    fn settled_columns(_: &Statement) -> &[Column] {
        &[]
    }

    fn ask_rows(&mut self, cursor: &Cursor, rows_max: u32) -> Result<(), MySqlError> {
        self.fetch(&cursor.statement, rows_max)
    }

    fn open_cursor(
        connection: &mut Connection,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor, MySqlError> {
        connection.must_be_idle()?;
        let statement = connection.prepare(sql, false)?;
        connection.protocol.keep_passing();
        let opened = connection.start_cursor(&statement, values);
        if matches!(opened, Ok(true)) {
            return Ok(Cursor::new(statement, String::new()));
        }
        if connection.is_usable() {
            connection.protocol.close_statement(statement)?;
        }
        opened?;
        Err(MySqlError::Misuse { what: "the server has no cursor for such a statement" })
    }

    fn close_cursor(connection: &mut Connection, cursor: Cursor) -> Result<(), MySqlError> {
        // It goes with the next request: nothing answers.
        connection.protocol.close_statement(cursor.statement)
    }

    fn execute_many(
        connection: &mut Connection,
        sql: &str,
        source: &mut dyn Source,
    ) -> Result<Outcome, MySqlError> {
        let statement = connection.describe(sql)?;
        let frame = if connection.transaction() == Transaction::None && connection.protocol.stores_at_once() {
            &ALONE
        } else {
            &WITHIN
        };
        connection.script(frame.begin)?;
        let mut many = Many { waits: frame.waits, asked: 0, batch: Batch::default() };
        let mut written = connection.write_many(&statement, source, &mut many);
        if connection.protocol.is_open() {
            let answered = connection.answer_all(&mut many);
            written = written.and(answered);
        }
        if !connection.protocol.is_open() {
            written?;
            return Err(connection.disconnected());
        }
        connection.protocol.sync()?;
        let interrupted = connection.finish();
        if written.is_ok() && interrupted.is_ok() && many.batch.failed.is_none() {
            connection.script(frame.keep)?;
            return Ok(Outcome { affected: Some(many.batch.affected), inserted_id: many.batch.inserted_id });
        }
        let undone = connection.undo(frame);
        interrupted?;
        written?;
        if let Some(error) = many.batch.failed {
            connection.protocol.is_stale(&error, sql);
            return Err(MySqlError::Server(error));
        }
        undone.map(|()| Outcome::default())
    }
}

impl Connection {
    /// Whether it is MariaDB rather than MySQL.
    pub fn is_mariadb(&self) -> bool {
        self.protocol.is_mariadb()
    }

    /// The number that the server has given to this connection: `CONNECTION_ID()`.
    pub fn process(&self) -> Option<u32> {
        self.protocol.cancel_key().map(CancelKey::process)
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
            if many.waits {
                self.answer_all(many)?;
            } else {
                self.send(&mut many.batch)?;
            }
            if many.batch.failed.is_some() {
                break;
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
                self.answer_all(many)?;
            }
            if !written? || many.batch.failed.is_some() {
                return Ok(());
            }
        }
    }

    /// Takes answers until all have come.
    fn answer_all(&mut self, many: &mut Many) -> Result<(), MySqlError> {
        loop {
            self.hear(&mut many.batch)?;
            if many.batch.answers >= many.asked {
                return Ok(());
            }
            self.exchange(false)?;
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
                Event::Own(Own::FileWanted) => read = Some(self.send_file(file)?),
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

/// Executions of one statement so far.
struct Many {
    /// How many were asked for.
    asked: u64,
    waits: bool,
    batch: Batch<Protocol>,
}

/// Whether MariaDB takes many rows for a statement in one packet.
fn is_bulk(statement: &Statement) -> bool {
    let word: String = statement.sql().trim_start().chars().take_while(char::is_ascii_alphabetic).collect();
    let known =
        ["insert", "replace", "update", "delete"].iter().any(|known| word.eq_ignore_ascii_case(known));
    known && statement.parameter_count() > 0 && statement.columns().is_empty()
}
