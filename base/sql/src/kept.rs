//! Rows that were read, kept until whoever asked makes objects of them.

use std::ops::{ControlFlow, Range};

use crate::{Column, Rows, Sink};

/// Rows of one result in two blocks of memory, for any engine: what [`Rows`] was told can be told again.
///
/// Cost: 24 bytes a value beside its text; clearing keeps the memory for the next rows.
///
/// ```
/// use naja_sql::{KeptRows, Rows, Sink, Value, Values};
/// let mut rows = KeptRows::default();
/// rows.integer(1);
/// rows.text("one");
/// assert!(rows.row().is_continue());
/// let mut values = Values::default();
/// rows.write_into(0, &mut values);
/// assert_eq!(values.take(), [Value::Integer(1), Value::from("one")]);
/// ```
#[derive(Debug, Default)]
pub struct KeptRows {
    columns: Vec<Column>,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
    /// Behind the last slot of each row.
    ends: Vec<usize>,
}

/// A call of [`Sink`], or where what it was told lies in `KeptRows::bytes`.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Decimal {
        start: usize,
        length: u32,
    },
    Text {
        start: usize,
        length: u32,
    },
    Json {
        start: usize,
        length: u32,
    },
    Bytes {
        start: usize,
        length: u32,
    },
    Date {
        year: i32,
        month: u8,
        day: u8,
    },
    Time {
        hour: u8,
        minute: u8,
        second: u8,
        microsecond: u32,
        offset_s: Option<i32>,
    },
    Moment {
        microseconds: i64,
        offset_s: Option<i32>,
    },
    /// Months, days and microseconds, 16 bytes.
    Interval {
        start: usize,
    },
    Uuid {
        start: usize,
    },
    Array(usize),
    Infinite(bool),
}

impl KeptRows {
    /// Forgets the rows, and the columns with them.
    pub fn clear(&mut self) {
        self.columns.clear();
        self.forget_rows();
    }

    /// Forgets the rows alone, for the next ones of the same result.
    pub fn forget_rows(&mut self) {
        self.slots.clear();
        self.bytes.clear();
        self.ends.clear();
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How much text and bytes they hold, for whoever ends a batch before it grows too large.
    pub fn size_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The columns; none before the first row of a result without columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Tells `sink` the values of a row, in the order of the columns.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn write_into(&self, index: usize, sink: &mut dyn Sink) {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        for slot in &self.slots[start..self.ends[index]] {
            self.tell(*slot, sink);
        }
    }

    /// The first value of a row, where it is a whole number: what `count(*)` gives.
    pub fn first_integer(&self, index: usize) -> Option<i64> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        match self.slots.get(start..*self.ends.get(index)?)?.first()? {
            Slot::Integer(value) => Some(*value),
            _ => None,
        }
    }

    fn tell(&self, slot: Slot, sink: &mut dyn Sink) {
        match slot {
            Slot::Null => sink.null(),
            Slot::Boolean(value) => sink.boolean(value),
            Slot::Integer(value) => sink.integer(value),
            Slot::Real(value) => sink.real(value),
            Slot::Decimal { start, length } => sink.decimal(self.text_at(start, length)),
            Slot::Text { start, length } => sink.text(self.text_at(start, length)),
            Slot::Json { start, length } => sink.json(self.text_at(start, length)),
            Slot::Bytes { start, length } => sink.bytes(&self.bytes[range(start, length)]),
            Slot::Date { year, month, day } => sink.date(year, month, day),
            Slot::Time { hour, minute, second, microsecond, offset_s } => {
                sink.time(hour, minute, second, microsecond, offset_s);
            }
            Slot::Moment { microseconds, offset_s } => sink.moment(microseconds, offset_s),
            Slot::Interval { start } => {
                let at =
                    |offset: usize| *self.bytes[start + offset..].first_chunk().expect("16 bytes were kept");
                let microseconds = self.bytes[start + 8..].first_chunk().expect("16 bytes were kept");
                sink.interval(
                    i32::from_ne_bytes(at(0)),
                    i32::from_ne_bytes(at(4)),
                    i64::from_ne_bytes(*microseconds),
                );
            }
            Slot::Uuid { start } => {
                sink.uuid(*self.bytes[start..].first_chunk().expect("16 bytes were kept"));
            }
            Slot::Array(length) => sink.array(length),
            Slot::Infinite(positive) => sink.infinite(positive),
        }
    }

    fn text_at(&self, start: usize, length: u32) -> &str {
        std::str::from_utf8(&self.bytes[range(start, length)]).expect("it was kept as text")
    }

    fn keep(&mut self, bytes: &[u8]) -> (usize, u32) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        (start, u32::try_from(bytes.len()).expect("an engine's longest value is below 4 GiB"))
    }
}

fn range(start: usize, length: u32) -> Range<usize> {
    start..start + length as usize
}

impl Rows for KeptRows {
    fn columns(&mut self, columns: &[Column]) {
        self.columns = columns.to_vec();
    }

    fn row(&mut self) -> ControlFlow<()> {
        self.ends.push(self.slots.len());
        ControlFlow::Continue(())
    }
}

impl Sink for KeptRows {
    fn null(&mut self) {
        self.slots.push(Slot::Null);
    }

    fn boolean(&mut self, value: bool) {
        self.slots.push(Slot::Boolean(value));
    }

    fn integer(&mut self, value: i64) {
        self.slots.push(Slot::Integer(value));
    }

    fn real(&mut self, value: f64) {
        self.slots.push(Slot::Real(value));
    }

    fn decimal(&mut self, digits: &str) {
        let (start, length) = self.keep(digits.as_bytes());
        self.slots.push(Slot::Decimal { start, length });
    }

    fn text(&mut self, text: &str) {
        let (start, length) = self.keep(text.as_bytes());
        self.slots.push(Slot::Text { start, length });
    }

    fn json(&mut self, text: &str) {
        let (start, length) = self.keep(text.as_bytes());
        self.slots.push(Slot::Json { start, length });
    }

    fn bytes(&mut self, bytes: &[u8]) {
        let (start, length) = self.keep(bytes);
        self.slots.push(Slot::Bytes { start, length });
    }

    fn date(&mut self, year: i32, month: u8, day: u8) {
        self.slots.push(Slot::Date { year, month, day });
    }

    fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
        self.slots.push(Slot::Time { hour, minute, second, microsecond, offset_s });
    }

    fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
        self.slots.push(Slot::Moment { microseconds, offset_s });
    }

    fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        let (start, _) = self.keep(&months.to_ne_bytes());
        self.keep(&days.to_ne_bytes());
        self.keep(&microseconds.to_ne_bytes());
        self.slots.push(Slot::Interval { start });
    }

    fn uuid(&mut self, bytes: [u8; 16]) {
        let (start, _) = self.keep(&bytes);
        self.slots.push(Slot::Uuid { start });
    }

    fn array(&mut self, length: usize) {
        self.slots.push(Slot::Array(length));
    }

    fn infinite(&mut self, positive: bool) {
        self.slots.push(Slot::Infinite(positive));
    }
}

#[cfg(test)]
mod tests {
    use super::KeptRows;
    use crate::{Rows as _, Sink as _, Value, Values};

    #[test]
    fn rows_are_told_as_they_came() {
        let all = [
            Value::Null,
            Value::Boolean(true),
            Value::Integer(-1),
            Value::Real(0.5),
            Value::Decimal("1.50".into()),
            Value::from("text"),
            Value::Json("[1]".into()),
            Value::from(&b"\0\xff"[..]),
            Value::Date { year: -4, month: 2, day: 29 },
            Value::Time { hour: 24, minute: 0, second: 0, microsecond: 0, offset_s: Some(-3600) },
            Value::Moment { microseconds: i64::MIN, offset_s: None },
            Value::Interval { months: 1, days: -2, microseconds: i64::MAX },
            Value::Uuid([7; 16]),
            Value::Array(vec![Value::Array(vec![Value::Null, Value::from("a")])]),
            Value::Infinite { positive: false },
        ];
        let mut rows = KeptRows::default();
        for value in &all {
            value.write_into(&mut rows);
            assert!(rows.row().is_continue());
        }
        rows.integer(7);
        assert!(rows.row().is_continue());
        let mut told = Values::default();
        (0..all.len()).for_each(|index| rows.write_into(index, &mut told));
        assert_eq!(told.take(), all);
        assert_eq!((rows.len(), rows.first_integer(all.len())), (all.len() + 1, Some(7)));
        assert_eq!((rows.first_integer(0), rows.first_integer(99)), (None, None));
    }
}
