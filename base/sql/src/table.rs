//! A whole result at hand, for whoever wants it so.

use std::ops::ControlFlow;

use crate::{Column, Rows, Sink, Value, Values};

/// Makes a type a sink by one of its fields that is one.
macro_rules! forward_sink {
    ($type:ty, $field:ident) => {
        impl Sink for $type {
            fn null(&mut self) {
                self.$field.null();
            }

            fn boolean(&mut self, value: bool) {
                self.$field.boolean(value);
            }

            fn integer(&mut self, value: i64) {
                self.$field.integer(value);
            }

            fn real(&mut self, value: f64) {
                self.$field.real(value);
            }

            fn decimal(&mut self, digits: &str) {
                self.$field.decimal(digits);
            }

            fn text(&mut self, text: &str) {
                self.$field.text(text);
            }

            fn json(&mut self, text: &str) {
                self.$field.json(text);
            }

            fn bytes(&mut self, bytes: &[u8]) {
                self.$field.bytes(bytes);
            }

            fn date(&mut self, year: i32, month: u8, day: u8) {
                self.$field.date(year, month, day);
            }

            fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
                self.$field.time(hour, minute, second, microsecond, offset_s);
            }

            fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
                self.$field.moment(microseconds, offset_s);
            }

            fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
                self.$field.interval(months, days, microseconds);
            }

            fn uuid(&mut self, bytes: [u8; 16]) {
                self.$field.uuid(bytes);
            }

            fn array(&mut self, length: usize) {
                self.$field.array(length);
            }

            fn infinite(&mut self, positive: bool) {
                self.$field.infinite(positive);
            }
        }
    };
}

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

forward_sink!(Table, coming);

/// Hands on the rows one by one, each whole.
pub struct EachRow<'f> {
    on_columns: &'f mut dyn FnMut(&[Column]),
    on_row: &'f mut dyn FnMut(Vec<Value<'static>>) -> ControlFlow<()>,
    coming: Values,
}

impl<'f> EachRow<'f> {
    /// Tells `on_columns` the columns once, where there are any, and `on_row` every row, whose `Break` asks for no more.
    pub fn new(
        on_columns: &'f mut dyn FnMut(&[Column]),
        on_row: &'f mut dyn FnMut(Vec<Value<'static>>) -> ControlFlow<()>,
    ) -> EachRow<'f> {
        EachRow { on_columns, on_row, coming: Values::default() }
    }
}

impl Rows for EachRow<'_> {
    fn columns(&mut self, columns: &[Column]) {
        (self.on_columns)(columns);
    }

    fn row(&mut self) -> ControlFlow<()> {
        (self.on_row)(self.coming.take())
    }
}

forward_sink!(EachRow<'_>, coming);
