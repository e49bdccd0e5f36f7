//! A whole result at hand, for whoever wants it so.

use std::ops::ControlFlow;

use crate::sink_calls::forward_sink;
use crate::{Column, Rows, Value, Values};

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
