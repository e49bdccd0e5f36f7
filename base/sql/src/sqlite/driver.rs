//! SQLite behind the words that all engines have.
//!
//! What SQLite has no type for is stored as SQLAlchemy and most others store it: moments, days and times as text of
//! ISO 8601 (with six digits of microseconds always, so that they sort), decimals as their digits, booleans as 0 and 1, arrays
//! as JSON. It comes back as text and numbers, since nothing in the file says what it was.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::calendar::{self, DAY_US, SECOND_US};
use crate::{Column, Driver, Outcome, Rows, Source, Transaction, Value, Values};

use super::{Cell, Connection, Error, Result, StatementId};

/// Rows that are copied at once.
const BATCH_ROWS: usize = 256;

impl Driver for Connection {
    type Error = Error;

    fn execute(&mut self, sql: &str, parameters: &[Value<'_>], rows: &mut dyn Rows) -> Result<Outcome> {
        let bound: Vec<Bound<'_>> = parameters.iter().map(bound).collect();
        let values: Vec<super::Value<'_>> = bound.iter().map(Bound::as_value).collect();
        let id = self.prepare(sql)?;
        let read = self.start(&id, &values).and_then(|()| tell_rows(self, &id, rows));
        let outcome = read.map(|count| self.outcome(sql, &id, count));
        self.release(id);
        outcome
    }

    fn execute_many(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome> {
        let (begin, keep, undo) = if self.is_in_transaction() {
            ("SAVEPOINT naja_many", "RELEASE naja_many", "ROLLBACK TO naja_many; RELEASE naja_many")
        } else {
            ("BEGIN IMMEDIATE", "COMMIT", "ROLLBACK")
        };
        self.run_script(begin)?;
        let done = self.run_for_each(sql, source).and_then(|outcome| self.run_script(keep).map(|()| outcome));
        // Some errors undo the whole transaction by themselves.
        if done.is_err() && self.is_in_transaction() {
            self.run_script(undo)?;
        }
        done
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

impl Connection {
    fn run_for_each(&mut self, sql: &str, source: &mut dyn Source) -> Result<Outcome> {
        let id = self.prepare(sql)?;
        let mut sum = Outcome { affected: Some(0), inserted_id: None };
        let mut given = Values::default();
        let done = loop {
            if !source.next_row(&mut given) {
                break Ok(());
            }
            let row = given.take();
            let bound: Vec<Bound<'_>> = row.iter().map(bound).collect();
            let values: Vec<super::Value<'_>> = bound.iter().map(Bound::as_value).collect();
            if let Err(error) = self.run_prepared(&id, &values) {
                break Err(error);
            }
            let outcome = self.outcome(sql, &id, 0);
            sum.affected = sum.affected.map(|sum| sum + outcome.affected.unwrap_or(0));
            sum.inserted_id = sum.inserted_id.or(outcome.inserted_id);
        };
        self.release(id);
        done.map(|()| sum)
    }

    /// What came of a statement that has run and gave so many rows.
    fn outcome(&self, sql: &str, id: &StatementId, rows: u64) -> Outcome {
        if self.is_read_only(id) {
            return Outcome { affected: (self.columns(id) > 0).then_some(rows), inserted_id: None };
        }
        let word = first_word(sql).to_ascii_lowercase();
        // Of others SQLite still tells what the statement before them has changed.
        let counts = ["insert", "replace", "update", "delete", "with"].contains(&&*word);
        let affected = counts.then(|| u64::try_from(self.changes()).unwrap_or(0));
        let inserts = ["insert", "replace"].contains(&&*word) && affected != Some(0);
        Outcome { affected, inserted_id: inserts.then(|| self.last_insert_rowid()) }
    }
}

/// The first word of a statement, behind comments and blanks.
fn first_word(sql: &str) -> &str {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map(|(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map(|(_, after)| after)
        } else {
            let end = rest.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(rest.len());
            return &rest[..end];
        };
        rest = after.unwrap_or_default().trim_start();
    }
}

/// Tells all rows of a statement that was started, and how many there were.
fn tell_rows(connection: &mut Connection, id: &StatementId, rows: &mut dyn Rows) -> Result<u64> {
    let mut batch = super::Rows::default();
    let mut count = 0;
    let mut is_first = true;
    loop {
        let more = connection.fetch(id, BATCH_ROWS, &mut batch)?;
        if std::mem::take(&mut is_first) {
            let columns = columns_of(connection, id);
            if !columns.is_empty() {
                rows.columns(&columns);
            }
        }
        for index in 0..batch.len() {
            for cell in batch.row(index) {
                match cell {
                    Cell::Null => rows.null(),
                    Cell::Integer(value) => rows.integer(value),
                    Cell::Real(value) => rows.real(value),
                    // Somebody may have stored other bytes as text.
                    Cell::Text(text) => match std::str::from_utf8(text) {
                        Ok(text) => rows.text(text),
                        Err(_) => rows.bytes(text),
                    },
                    Cell::Bytes(bytes) => rows.bytes(bytes),
                }
            }
            count += 1;
            if rows.row().is_break() {
                return Ok(count);
            }
        }
        if !more {
            return Ok(count);
        }
    }
}

/// A value in the form that SQLite takes.
#[derive(Debug, PartialEq)]
enum Bound<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Bytes(&'a [u8]),
}

impl Bound<'_> {
    fn as_value(&self) -> super::Value<'_> {
        match self {
            Bound::Null => super::Value::Null,
            Bound::Integer(value) => super::Value::Integer(*value),
            Bound::Real(value) => super::Value::Real(*value),
            Bound::Text(text) => super::Value::Text(text),
            Bound::Bytes(bytes) => super::Value::Bytes(bytes),
        }
    }
}

fn bound<'a>(value: &'a Value<'_>) -> Bound<'a> {
    match value {
        Value::Null => Bound::Null,
        Value::Boolean(value) => Bound::Integer(i64::from(*value)),
        Value::Integer(value) => Bound::Integer(*value),
        Value::Real(value) => Bound::Real(*value),
        Value::Text(text) | Value::Json(text) | Value::Decimal(text) => Bound::Text(Cow::Borrowed(text)),
        Value::Bytes(bytes) => Bound::Bytes(bytes),
        Value::Moment { microseconds, offset_s } => Bound::Text(Cow::Owned(moment(*microseconds, *offset_s))),
        Value::Time { hour, minute, second, microsecond, offset_s } => {
            let mut text = format!("{hour:02}:{minute:02}:{second:02}.{microsecond:06}");
            if let Some(offset_s) = offset_s {
                calendar::write_offset(&mut text, *offset_s);
            }
            Bound::Text(Cow::Owned(text))
        }
        other => Bound::Text(other.text()),
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

/// The columns of a statement that has begun.
fn columns_of(connection: &Connection, id: &StatementId) -> Vec<Column> {
    let column = |number| Column {
        name: connection.column_name(id, number),
        type_name: connection.column_type(id, number).unwrap_or_default(),
    };
    (0..connection.columns(id)).map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::{Bound, bound};
    use crate::Value;

    #[test]
    fn values_that_sqlite_has_no_type_for_are_text_that_its_functions_read() {
        let check = |value: Value<'_>, text: &str| {
            assert_eq!(bound(&value), Bound::Text(text.into()), "{value:?}");
        };
        check(Value::Date { year: 2020, month: 2, day: 29 }, "2020-02-29");
        check(Value::Moment { microseconds: 1_000_000, offset_s: None }, "1970-01-01 00:00:01.000000");
        check(Value::Moment { microseconds: -1, offset_s: Some(3600) }, "1969-12-31 23:59:59.999999+01:00");
        let time = Value::Time { hour: 7, minute: 5, second: 0, microsecond: 20, offset_s: None };
        check(time, "07:05:00.000020");
        check(Value::Decimal("1.50".into()), "1.50");
        check(Value::Array(vec![Value::from("a"), Value::Null]), r#"["a",null]"#);
        assert_eq!(bound(&Value::Boolean(true)), Bound::Integer(1));
    }
}
