//! A whole result at hand, for whoever wants it so.

use std::ops::ControlFlow;

use crate::{Column, Rows, Sink, Value, Values};

/// Keeps all the rows that it is told.
///
/// ```
/// use naja_sql::{Rows, Sink, Table, Value};
/// let mut table = Table::default();
/// table.integer(1);
/// table.text("one");
/// let _ = table.row();
/// assert_eq!(table.rows, [[Value::from(1), Value::from("one")]]);
/// ```
#[derive(Debug, Default)]
pub struct Table {
    /// The columns, once they are known.
    pub columns: Vec<Column>,
    /// The rows that are complete.
    pub rows: Vec<Vec<Value<'static>>>,
    coming: Values,
}

impl Rows for Table {
    fn columns(&mut self, columns: &[Column]) {
        self.columns = columns.to_vec();
    }

    fn row(&mut self) -> ControlFlow<()> {
        self.rows.push(self.coming.take());
        ControlFlow::Continue(())
    }
}

impl Sink for Table {
    fn null(&mut self) {
        self.coming.null();
    }

    fn boolean(&mut self, value: bool) {
        self.coming.boolean(value);
    }

    fn integer(&mut self, value: i64) {
        self.coming.integer(value);
    }

    fn real(&mut self, value: f64) {
        self.coming.real(value);
    }

    fn decimal(&mut self, digits: &str) {
        self.coming.decimal(digits);
    }

    fn text(&mut self, text: &str) {
        self.coming.text(text);
    }

    fn json(&mut self, text: &str) {
        self.coming.json(text);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.coming.bytes(bytes);
    }

    fn date(&mut self, year: i32, month: u8, day: u8) {
        self.coming.date(year, month, day);
    }

    fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
        self.coming.time(hour, minute, second, microsecond, offset_s);
    }

    fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
        self.coming.moment(microseconds, offset_s);
    }

    fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        self.coming.interval(months, days, microseconds);
    }

    fn uuid(&mut self, bytes: [u8; 16]) {
        self.coming.uuid(bytes);
    }

    fn array(&mut self, length: usize) {
        self.coming.array(length);
    }

    fn infinite(&mut self, positive: bool) {
        self.coming.infinite(positive);
    }
}
