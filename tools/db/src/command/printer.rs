//! Values of a database, printed.

use std::io::{self, Write};
use std::ops::ControlFlow;

use naja_report::answer::{self, Answer, Form};
use naja_sql::{EachRow, Rows, Value};

/// Prints the rows of a result, in between of which it can be asked how many there were.
pub(super) struct Printer<'o> {
    answer: Answer<'o>,
    printed: io::Result<()>,
    has_columns: bool,
    count: u64,
}

impl<'o> Printer<'o> {
    pub(super) fn new(form: Form, out: &'o mut dyn Write) -> Printer<'o> {
        Printer { answer: Answer::new(form, out), printed: Ok(()), has_columns: false, count: 0 }
    }

    /// Lets `read` put its rows into a sink that prints them; `seen` hears of each how many there are by then.
    ///
    /// Reading is asked to end when writing has failed.
    pub(super) fn print<T>(&mut self, seen: &mut dyn FnMut(u64), read: impl FnOnce(&mut dyn Rows) -> T) -> T {
        let Printer { answer, printed, has_columns, count } = self;
        // Both are called by the same reader, one after the other.
        let shared = std::cell::RefCell::new((answer, printed));
        let mut on_columns = |columns: &[naja_sql::Column]| {
            let (answer, printed) = &mut *shared.borrow_mut();
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            **printed = answer.columns(&names);
            *has_columns = true;
        };
        let mut on_row = |row: Vec<Value<'static>>| {
            let (answer, printed) = &mut *shared.borrow_mut();
            if printed.is_ok() {
                **printed = print_row(answer, &row);
            }
            *count += 1;
            seen(*count);
            if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        read(&mut EachRow::new(&mut on_columns, &mut on_row))
    }

    /// How many rows there were.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Ends what was printed; with `is_whole` false the end is printed only where rows may wait for it.
    ///
    /// Errors: of the writing
    pub(super) fn finish(self, is_whole: bool) -> io::Result<()> {
        self.printed?;
        if self.has_columns && is_whole { self.answer.finish() } else { Ok(()) }
    }
}

fn print_row(answer: &mut Answer<'_>, row: &[Value<'_>]) -> io::Result<()> {
    let texts: Vec<_> = row.iter().map(Value::text).collect();
    let values: Vec<answer::Value<'_>> = row
        .iter()
        .zip(&texts)
        .map(|(value, text)| match value {
            Value::Null => answer::Value::Null,
            Value::Boolean(value) => answer::Value::Boolean(*value),
            Value::Integer(value) => answer::Value::Integer(*value),
            Value::Real(value) => answer::Value::Real(*value),
            Value::Decimal(digits) => answer::Value::Decimal(digits),
            Value::Bytes(bytes) => answer::Value::Bytes(bytes),
            Value::Json(_) | Value::Array(_) => answer::Value::Json(text),
            _ => answer::Value::Text(text),
        })
        .collect();
    answer.row(&values)
}
