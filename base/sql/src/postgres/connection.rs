//! What a blocking connection to PostgreSQL does in its own way: how it is reached and cancelled, bulk loads, cursors.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crate::connection::{self, Access, Batch, Blocking, SEND_BYTES};
use crate::engine::Engine as _;
use crate::stream::{Place, Stream, TlsMode, Waited, time_left};
use crate::{Column, Outcome, Rows, Sink, Source, Transaction};

use super::copy::{CopyInto, CopyReader, export_sql};
use super::error::{PostgresError, ServerError};
use super::options::{Address, Options};
use super::protocol::{CancelKey, Event, Notification, Own, Protocol};
use super::statement::Statement;

/// Remarks and notifications that are kept until somebody takes them; older ones go.
const REMARKS_MAX: usize = 1_000;

/// A connection to PostgreSQL for one thread at a time.
pub type Connection = connection::Connection<Protocol>;

/// A result that is fetched piece by piece, while other statements run in between.
pub type Cursor = connection::Cursor<Protocol>;

/// Cancels what a connection is running, from any thread and without it.
pub type Canceller = connection::Canceller<Protocol>;

/// What the server has said beside its answers.
#[derive(Default)]
pub struct Remarks {
    notices: VecDeque<ServerError>,
    notifications: VecDeque<Notification>,
}

/// Keeps the last thousand.
fn keep<T>(kept: &mut VecDeque<T>, new: T) {
    if kept.len() >= REMARKS_MAX {
        kept.pop_front();
    }
    kept.push_back(new);
}

impl Blocking for Protocol {
    type CancelKey = CancelKey;
    type Remarks = Remarks;

    fn access(options: &Options) -> Access<'_> {
        let place = match &options.address {
            Address::Unix { folder, port } => {
                Place::Unix(Cow::Owned(folder.join(format!(".s.PGSQL.{port}"))))
            }
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

    /// Whoever cancels does not log in.
    fn kept(options: &Options) -> Options {
        Options { password: None, ..options.clone() }
    }

    fn may_want_encryption(refusal: &ServerError) -> bool {
        refusal.sqlstate == "28000"
    }

    fn encrypted(options: &Options) -> Options {
        Options { tls: TlsMode::Require, ..options.clone() }
    }

    fn cancel_key(&self) -> Option<&CancelKey> {
        Protocol::cancel_key(self)
    }

    fn cancel(canceller: &Canceller) -> Result<(), PostgresError> {
        let access = Protocol::access(&canceller.options);
        let deadline = access.deadline();
        let mut socket = access.connect(deadline)?;
        socket
            .set_timeouts(deadline.map(|deadline| time_left(deadline).unwrap_or(Duration::from_millis(1))))
            .map_err(PostgresError::broken)?;
        let message = canceller.key.message();
        let Some(tls) = &canceller.tls else {
            let stream = Stream::new(socket).map_err(PostgresError::broken)?;
            return write_and_see_the_end(stream, &message, deadline).map_err(PostgresError::broken);
        };
        socket.write_all(&[0, 0, 0, 8, 4, 210, 22, 47]).map_err(PostgresError::broken)?;
        let mut answer = [0];
        socket.read_exact(&mut answer).map_err(PostgresError::broken)?;
        if answer != *b"S" {
            return Err(PostgresError::Tls { what: "the server does not offer TLS".to_owned() });
        }
        let mut stream = Stream::new(socket).map_err(PostgresError::broken)?;
        access.encrypt(&mut stream, &**tls, deadline).map_err(PostgresError::broken)?;
        write_and_see_the_end(stream, &message, deadline).map_err(PostgresError::broken)
    }

    /// Inside a transaction that would end it.
    fn cancels_unwanted(&self) -> bool {
        self.transaction() == Transaction::None
    }

    fn put_aside(remarks: &mut Remarks, event: Own) -> Option<Own> {
        match event {
            Own::Notice(notice) => keep(&mut remarks.notices, *notice),
            Own::Notification(notification) => keep(&mut remarks.notifications, notification),
            event => return Some(event),
        }
        None
    }

    fn decline(&mut self, event: &Own) -> Result<(), PostgresError> {
        match event {
            Own::CopyIn => self.copy_fail("rows of COPY come from a bulk load alone"),
            _ => Ok(()),
        }
    }

    fn is_text_alone(sql: &str) -> bool {
        is_copy(sql)
    }

    fn is_refused_preparation(_: &ServerError) -> bool {
        false
    }

    fn settled_columns(statement: &Statement) -> &[Column] {
        statement.columns()
    }

    fn ask_rows(&mut self, cursor: &Cursor, rows_max: u32) -> Result<(), PostgresError> {
        self.fetch(&cursor.name, &cursor.statement, rows_max)
    }

    fn open_cursor(
        connection: &mut Connection,
        sql: &str,
        values: &mut dyn FnMut(&mut dyn Sink),
    ) -> Result<Cursor, PostgresError> {
        let statement = connection.describe(sql)?;
        if connection.transaction() != Transaction::Open {
            return Err(PostgresError::Misuse { what: "a cursor lives in a transaction, and there is none" });
        }
        let portal = connection.protocol.new_name();
        connection.protocol.open_portal(&portal, &statement, values)?;
        connection.protocol.sync()?;
        connection.until_ready()?;
        Ok(Cursor::new(statement, portal))
    }

    fn close_cursor(connection: &mut Connection, cursor: Cursor) -> Result<(), PostgresError> {
        connection.protocol.close_portal(&cursor.name)?;
        connection.protocol.sync()?;
        connection.until_ready()
    }

    fn execute_many(
        connection: &mut Connection,
        sql: &str,
        source: &mut dyn Source,
    ) -> Result<Outcome, PostgresError> {
        let statement = connection.describe(sql)?;
        let mut batch = Batch::default();
        let written = loop {
            match connection.protocol.execute(&statement, &mut |sink| source.next_row(sink)) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            if connection.protocol.outgoing().len() >= SEND_BYTES {
                connection.send(&mut batch)?;
                if batch.failed.is_some() {
                    break Ok(());
                }
            }
        };
        if written.is_err() && !connection.protocol.is_open() {
            return written.map(|()| Outcome::default());
        }
        if written.is_err() && connection.protocol.transaction() == Transaction::None {
            connection.protocol.sync_undone()?;
        } else {
            connection.protocol.sync()?;
        }
        connection.answered(&mut batch)?;
        if let Some(error) = batch.failed {
            connection.protocol.is_stale(&error, sql);
            return Err(PostgresError::Server(error));
        }
        written?;
        Ok(Outcome { affected: Some(batch.affected), ..Outcome::default() })
    }
}

impl Connection {
    /// The number of the server's process for this connection.
    pub fn process(&self) -> Option<u32> {
        self.protocol.cancel_key().map(CancelKey::process)
    }

    /// Takes the remarks of the server since the last call: notices and warnings, the last thousand.
    pub fn take_notices(&mut self) -> Vec<ServerError> {
        self.remarks.notices.drain(..).collect()
    }

    /// Takes the notifications that have come with answers since the last call, the last thousand.
    pub fn take_notifications(&mut self) -> Vec<Notification> {
        self.remarks.notifications.drain(..).collect()
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
                Event::Own(Own::CopyIn) => break,
                Event::Failed(refusal) => return Err(PostgresError::Server(self.refused(refusal)?)),
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
                Event::Own(Own::CopyData) if matches!(result, Ok(ControlFlow::Continue(()))) => {
                    result = reader.push(self.protocol.copy_data(), rows);
                }
                Event::Complete { affected, .. } => count = affected.unwrap_or(0),
                Event::Failed(refusal) => return Err(PostgresError::Server(self.refused(refusal)?)),
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
