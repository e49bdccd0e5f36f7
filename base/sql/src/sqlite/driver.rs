//! The face that all engines have: values of any kind in, calls of a sink out.
//!
//! SQLite has five kinds of value. What is none of them is stored as the text that its own functions understand
//! (`2020-02-29 12:00:00.000000`), so that it can be compared and sorted.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::calendar::{self, DAY_US, SECOND_US};
use crate::{Column, Driver, Outcome, Source, Transaction, Value, Values};

use super::error::{Error, Result};
use super::rows::{Cell, Rows};
use super::{Connection, StatementId};

/// So many rows are read before they are told.
const ROWS_AT_ONCE: usize = 256;

impl Driver for Connection {
    type Error = Error;

    fn execute(
        &mut self,
        sql: &str,
        parameters: &[Value<'_>],
        rows: &mut dyn crate::Rows,
    ) -> Result<Outcome> {
        let id = self.prepare(sql)?;
        let before = self.total_changes();
        let done = bind(self, &id, parameters).and_then(|()| tell(self, &id, rows));
        let reads = self.is_read_only(&id);
        let columns = self.columns(&id);
        self.release(id);
        let told = done?;
        let affected = match (columns, reads) {
            (0, true) => None,
            (_, true) => Some(told),
            // What `changes` says is of an earlier statement where this one has changed no row.
            (_, false) if self.total_changes() == before => Some(0),
            (_, false) => u64::try_from(self.changes()).ok(),
        };
        Ok(Outcome { affected, inserted_id: None })
    }

    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome> {
        let id = self.prepare(sql)?;
        let begins = !self.is_in_transaction();
        let done = if begins { self.run("BEGIN IMMEDIATE", &[]) } else { Ok(()) };
        let done = done.and_then(|()| run_all(self, &id, source));
        self.release(id);
        let done = match done {
            Ok(affected) if begins => self.run("COMMIT", &[]).map(|()| affected),
            done => done,
        };
        if done.is_err() && begins && self.is_in_transaction() {
            // It fails only where SQLite has rolled back already.
            let _ = self.run("ROLLBACK", &[]);
        }
        Ok(Outcome { affected: Some(done?), inserted_id: None })
    }

    fn script(&mut self, sql: &str) -> Result<()> {
        self.run_script(sql)
    }

    fn transaction(&self) -> Transaction {
        if self.is_in_transaction() { Transaction::Open } else { Transaction::None }
    }

    fn is_usable(&self) -> bool {
        true
    }
}

fn bind(connection: &mut Connection, id: &StatementId, parameters: &[Value<'_>]) -> Result<()> {
    let values: Vec<Stored<'_>> = parameters.iter().map(stored).collect();
    let values: Vec<super::Value<'_>> = values.iter().map(Stored::borrowed).collect();
    connection.start(id, &values)
}

fn tell(connection: &mut Connection, id: &StatementId, rows: &mut dyn crate::Rows) -> Result<u64> {
    let count = connection.columns(id);
    if count > 0 {
        let columns: Vec<Column> = (0..count)
            .map(|column| Column {
                name: connection.column_name(id, column),
                type_name: connection.column_type(id, column).unwrap_or_default(),
            })
            .collect();
        rows.columns(&columns);
    }
    let mut read = Rows::default();
    let mut told = 0;
    loop {
        let has_more = connection.fetch(id, ROWS_AT_ONCE, &mut read)?;
        for index in 0..read.len() {
            for cell in read.row(index) {
                tell_cell(cell, rows);
            }
            told += 1;
            if rows.row().is_break() {
                return Ok(told);
            }
        }
        if !has_more {
            return Ok(told);
        }
    }
}

fn tell_cell(cell: Cell<'_>, rows: &mut dyn crate::Rows) {
    match cell {
        Cell::Null => rows.null(),
        Cell::Integer(value) => rows.integer(value),
        Cell::Real(value) => rows.real(value),
        Cell::Text(text) => rows.text(&String::from_utf8_lossy(text)),
        Cell::Bytes(bytes) => rows.bytes(bytes),
    }
}

fn run_all(connection: &mut Connection, id: &StatementId, source: &mut dyn Source) -> Result<u64> {
    let mut row = Values::default();
    let mut affected = 0;
    while source.next_row(&mut row) {
        let row = row.take();
        let values: Vec<Stored<'_>> = row.iter().map(stored).collect();
        let values: Vec<super::Value<'_>> = values.iter().map(Stored::borrowed).collect();
        connection.run_prepared(id, &values)?;
        affected += u64::try_from(connection.changes()).unwrap_or(0);
    }
    Ok(affected)
}

/// A value as SQLite keeps it.
#[derive(Debug, PartialEq)]
enum Stored<'v> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'v, str>),
    Bytes(&'v [u8]),
}

impl Stored<'_> {
    fn borrowed(&self) -> super::Value<'_> {
        match self {
            Stored::Null => super::Value::Null,
            Stored::Integer(value) => super::Value::Integer(*value),
            Stored::Real(value) => super::Value::Real(*value),
            Stored::Text(text) => super::Value::Text(text),
            Stored::Bytes(bytes) => super::Value::Bytes(bytes),
        }
    }
}

fn stored<'v>(value: &'v Value<'_>) -> Stored<'v> {
    match value {
        Value::Null => Stored::Null,
        Value::Boolean(value) => Stored::Integer(i64::from(*value)),
        Value::Integer(value) => Stored::Integer(*value),
        Value::Real(value) => Stored::Real(*value),
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => Stored::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Stored::Bytes(bytes),
        Value::Moment { microseconds, offset_s } => {
            Stored::Text(Cow::Owned(moment(*microseconds, *offset_s)))
        }
        Value::Time { hour, minute, second, microsecond, offset_s } => {
            let mut text = format!("{hour:02}:{minute:02}:{second:02}.{microsecond:06}");
            if let Some(offset_s) = offset_s {
                calendar::write_offset(&mut text, *offset_s);
            }
            Stored::Text(Cow::Owned(text))
        }
        other => Stored::Text(other.text()),
    }
}

/// With six digits always, so that moments sort as their texts do.
fn moment(microseconds: i64, offset_s: Option<i32>) -> String {
    let day = calendar::day_of(microseconds.div_euclid(DAY_US));
    let of_day = microseconds.rem_euclid(DAY_US);
    let mut text = String::with_capacity(32);
    calendar::write_day(&mut text, day);
    text.push(' ');
    calendar::write_time(&mut text, (of_day - of_day % SECOND_US).unsigned_abs());
    let _ = write!(text, ".{:06}", of_day % SECOND_US);
    if let Some(offset_s) = offset_s {
        calendar::write_offset(&mut text, offset_s);
    }
    text.push_str(calendar::era(day.0));
    text
}

#[cfg(test)]
mod tests {
    use super::{Stored, stored};
    use crate::Value;

    #[test]
    fn values_that_sqlite_has_no_type_for_are_text_that_its_functions_read() {
        let check = |value: Value<'_>, text: &str| {
            assert_eq!(stored(&value), Stored::Text(text.into()), "{value:?}");
        };
        check(Value::Date { year: 2020, month: 2, day: 29 }, "2020-02-29");
        check(Value::Moment { microseconds: 1_000_000, offset_s: None }, "1970-01-01 00:00:01.000000");
        check(Value::Moment { microseconds: -1, offset_s: Some(3600) }, "1969-12-31 23:59:59.999999+01:00");
        let time = Value::Time { hour: 7, minute: 5, second: 0, microsecond: 20, offset_s: None };
        check(time, "07:05:00.000020");
        check(Value::Decimal("1.50".into()), "1.50");
        check(Value::Array(vec![Value::from("a"), Value::Null]), r#"["a",null]"#);
        assert_eq!(stored(&Value::Boolean(true)), Stored::Integer(1));
    }
}
