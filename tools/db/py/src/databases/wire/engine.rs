//! What the driving of a connection asks of an engine's protocol, which does no I/O.
//!
//! Requests append bytes to [`Engine::outgoing`]; bytes that come are told to [`Engine::receive`], and what they mean is
//! [`Engine::next`]. Each batch of requests is answered by one [`Happening::Ready`], in the order of the batches.

use std::sync::Arc;

use naja_sql::{Sink, Transaction};
use pyo3::prelude::*;

use crate::objects::Columns;

/// What has happened on the wire.
#[derive(Debug)]
pub(super) enum Happening {
    /// The stream is to be encrypted now.
    StartTls,
    /// The statement that was to be prepared is.
    Prepared,
    /// A row is there: [`Engine::row`], until the next call of [`Engine::next`].
    Row,
    /// An execution is done: how many rows it changed or gave, where its kind counts them, and the id of the last new
    /// row, of engines that tell it.
    Complete { affected: Option<u64>, last_id: Option<i64> },
    /// As many rows were given as were asked for, and there may be more.
    Suspended,
    /// A request has failed; what was asked for up to the next [`Happening::Ready`] is dropped.
    Failed(Wrong),
    /// A batch is answered.
    Ready,
    /// The server remarks something, with its level.
    Notice(String),
}

/// What went wrong, before it is an exception.
#[derive(Debug)]
pub(super) enum Wrong {
    /// The server refused.
    Server {
        /// Its code: five characters of SQLSTATE.
        code: String,
        message: String,
        /// What else it said, by the names that asyncpg has for it.
        fields: Vec<(&'static str, String)>,
    },
    /// A value cannot be sent.
    Value {
        /// Which parameter, the first is 0.
        parameter: usize,
        what: String,
    },
    /// The number of values is not what the statement takes.
    Count { given: usize, wanted: usize },
    /// The connection is over.
    Lost(String),
    /// The caller asked for what cannot be.
    Misuse(String),
    /// Python raised it, such as an object's own method.
    Raised(PyErr),
}

impl From<PyErr> for Wrong {
    fn from(error: PyErr) -> Wrong {
        Wrong::Raised(error)
    }
}

/// The sizes of one request for rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    All,
    /// No more than so many.
    Rows(u32),
}

/// How a statement is cancelled by another connection.
#[derive(Debug)]
pub(super) enum Cancelling {
    /// These bytes, and nothing else, are sent.
    Message(Vec<u8>),
    /// This statement is run.
    Statement(String),
}

/// Statements around many executions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    pub(super) begin: &'static str,
    pub(super) keep: &'static str,
    pub(super) undo: &'static str,
}

/// What a statement is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Executions, again and again.
    Execution,
    /// One result that is read piece by piece.
    Cursor,
}

/// An engine's protocol on one connection.
pub(super) trait Engine: Send + Sync {
    // Bytes.
    fn receive(&mut self, bytes: &[u8]);
    fn outgoing(&self) -> &[u8];
    fn sent(&mut self, count: usize);
    /// The stream is encrypted; `end_point` is the hash of the server's certificate by RFC 5929.
    fn tls_started(&mut self, end_point: Option<Vec<u8>>) -> Result<(), Wrong>;

    // What is known.
    fn is_open(&self) -> bool;
    fn transaction(&self) -> Transaction;
    /// A setting that the server reports, or its version.
    fn setting(&self, name: &str) -> Option<String>;
    /// How another connection has a running statement cancelled.
    fn cancelling(&self) -> Option<Cancelling>;
    /// What makes many executions one, where a batch is not.
    fn frame(&self) -> Option<Frame>;

    // Answers.
    /// What has happened next; nothing when more bytes are needed. After an error the connection is over.
    fn next(&mut self) -> Result<Option<Happening>, Wrong>;
    /// Tells the values of the row that is there.
    fn row(&self, sink: &mut dyn Sink) -> Result<(), Wrong>;
    /// The columns of the rows that are coming.
    fn columns(&mut self, py: Python<'_>) -> PyResult<Arc<Columns>>;
    /// The stream has ended: what is to be said about it.
    fn lost(&mut self, why: Option<String>) -> Wrong;

    // Requests.
    /// Whether a text can be used at once.
    fn is_prepared(&mut self, sql: &str, what_for: Use) -> bool;
    /// Asks for a text to be prepared; a batch of its own.
    fn prepare(&mut self, sql: &str, what_for: Use) -> Result<(), Wrong>;
    /// Asks for one execution of a prepared text. Many may follow each other in a batch, where `limit` is `All`.
    ///
    /// Errors: nothing of this execution is sent then, and what was asked before stands.
    fn execute(&mut self, sql: &str, row: &[Bound<'_, PyAny>], limit: Limit) -> Result<(), Wrong>;
    /// Asks for the first rows of a result that is then read on from; by its number.
    fn open_cursor(
        &mut self,
        cursor: u64,
        sql: &str,
        row: &[Bound<'_, PyAny>],
        rows: u32,
    ) -> Result<(), Wrong>;
    /// Asks for the next rows.
    fn read_cursor(&mut self, cursor: u64, rows: u32) -> Result<(), Wrong>;
    /// Lets go of the result; nothing where it is gone already.
    fn close_cursor(&mut self, cursor: u64) -> Result<(), Wrong>;
    /// Ends a batch.
    fn end_batch(&mut self) -> Result<(), Wrong>;
    /// Ends a batch so that, outside a transaction, nothing of it stays.
    fn undo_batch(&mut self) -> Result<(), Wrong>;
    /// Asks for statements in text without values and rows; a batch of its own.
    fn script(&mut self, sql: &str) -> Result<(), Wrong>;
    /// Whether this failure of a prepared text goes away when it is prepared again, which it then has to be.
    fn is_stale(&mut self, sql: &str, failure: &Wrong) -> bool;
    /// Says goodbye.
    fn terminate(&mut self);
}
