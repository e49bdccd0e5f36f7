//! What every engine's connection can do, in the same words.
//!
//! A blocking connection is used by one thread at a time. Start at [`Driver`]; rows come into a [`Rows`], rows of
//! parameters come out of a [`Source`].

use std::ops::ControlFlow;

use crate::{Sink, Value};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name or its alias; several may have the same.
    pub name: String,
    /// The engine's name of its type, such as `int8` or `text[]`.
    pub type_name: String,
}

/// Takes the rows of a result: the columns once, then the values of each row and [`Rows::row`] after the last of them.
///
/// After an error the row that was coming is incomplete and has not been ended.
pub trait Rows: Sink {
    /// The columns of the rows that follow. A result without columns has no rows, and this is not called.
    fn columns(&mut self, columns: &[Column]);
    /// A row is complete. `Break` asks for no more: what the engine has already sent is thrown away,
    /// and outside a transaction the statement is cancelled where the engine can.
    fn row(&mut self) -> ControlFlow<()>;
}

/// Gives rows of parameters, one after the other.
pub trait Source {
    /// Puts the values of the next row into `sink`, in order; false, and nothing put, when there are no more rows.
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool;
}

impl Source for std::slice::Iter<'_, Vec<Value<'_>>> {
    fn next_row(&mut self, sink: &mut dyn Sink) -> bool {
        let row = self.next();
        for value in row.into_iter().flatten() {
            value.write_into(sink);
        }
        row.is_some()
    }
}

/// What came of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Rows inserted, updated, deleted or selected; none for statements that count nothing, such as `CREATE TABLE`.
    pub affected: Option<u64>,
    /// The number that the engine gave to a row that was inserted, where it tells it with the answer (MySQL, SQLite);
    /// PostgreSQL tells it as a row of `RETURNING`.
    pub inserted_id: Option<i64>,
}

/// Where a connection is with regard to transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transaction {
    /// In none: each statement is its own.
    None,
    /// In one that goes well.
    Open,
    /// In one that an error has ended: only a rollback is answered.
    Failed,
}

/// A blocking connection to a database.
///
/// Placeholders are the engine's own (`$1` for PostgreSQL, `?` for SQLite and MySQL). Every engine also has inherent
/// methods beyond these: bulk loads, cancelling, time-outs. An error leaves the connection usable unless
/// [`Driver::is_usable`] says otherwise; reconnecting is the caller's decision, since only it knows what was lost.
pub trait Driver {
    /// Why something could not be done.
    type Error: std::error::Error;

    /// Runs one statement; what it gives goes into `rows`.
    ///
    /// Statements are prepared once and kept: the same text again costs no second preparation.
    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn Rows,
    ) -> Result<Outcome, Self::Error>;

    /// Runs one statement once for each row of parameters; `affected` is the sum. Rows that it returns are thrown away.
    ///
    /// Outside a transaction either all of it happens or nothing.
    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome, Self::Error>;

    /// Runs statements separated by semicolons, without parameters and without results.
    fn script(&mut self, sql: &str) -> Result<(), Self::Error>;

    /// Where the connection is with regard to transactions, as the engine said last.
    fn transaction(&self) -> Transaction;

    /// Whether it can be asked anything more.
    fn is_usable(&self) -> bool;
}

/// Rows that nobody wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRows;

impl Rows for NoRows {
    fn columns(&mut self, _: &[Column]) {}

    fn row(&mut self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl Sink for NoRows {
    fn null(&mut self) {}

    fn boolean(&mut self, _: bool) {}

    fn integer(&mut self, _: i64) {}

    fn real(&mut self, _: f64) {}

    fn decimal(&mut self, _: &str) {}

    fn text(&mut self, _: &str) {}

    fn json(&mut self, _: &str) {}

    fn bytes(&mut self, _: &[u8]) {}

    fn date(&mut self, _: i32, _: u8, _: u8) {}

    fn time(&mut self, _: u8, _: u8, _: u8, _: u32, _: Option<i32>) {}

    fn moment(&mut self, _: i64, _: Option<i32>) {}

    fn interval(&mut self, _: i32, _: i32, _: i64) {}

    fn uuid(&mut self, _: [u8; 16]) {}

    fn array(&mut self, _: usize) {}
}
