//! A row of values on its way to the server: parameters of one execution, or a row of a packet of many.
//!
//! It is a [`Sink`], so that values go from their owner into the packet at once. What cannot be sent is remembered and
//! told at the end of the row, since the calls of a sink cannot fail; of such a row nothing is sent.

use crate::{Sink, Value, Values};

use super::encode::{self, ParameterType};

/// How a row lies in its packet.
#[derive(Debug)]
pub(crate) enum Layout<'a> {
    /// `COM_STMT_EXECUTE`: a bit for each NULL and the types lie before the values.
    Execute {
        /// Where the bits lie.
        nulls: usize,
        /// Where the types lie.
        types: usize,
    },
    /// `COM_STMT_BULK_EXECUTE`: a byte before each value says whether it is NULL. The types of the row go here.
    Bulk(&'a mut Vec<Option<ParameterType>>),
}

/// Writes the values of one row.
pub struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    wanted: usize,
    layout: Layout<'a>,
    count: usize,
    arrays: Values,
    wrong: Option<(usize, String)>,
}

/// Why a row cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RowError {
    /// One value, and why.
    Value(usize, String),
    /// How many there were.
    Count(usize),
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, wanted: usize, layout: Layout<'a>) -> Self {
        RowWriter { out, wanted, layout, count: 0, arrays: Values::default(), wrong: None }
    }

    /// Ends the row; what was wrong with it.
    pub(crate) fn end(self) -> Result<(), RowError> {
        if let Some((index, what)) = self.wrong {
            return Err(RowError::Value(index, what));
        }
        if self.arrays.is_open() {
            return Err(RowError::Value(self.count, "its array lacks elements".to_owned()));
        }
        if self.count == self.wanted { Ok(()) } else { Err(RowError::Count(self.count)) }
    }

    fn put(&mut self, value: Value<'_>) {
        if !self.arrays.is_open() {
            return self.write(matches!(value, Value::Null), |out| encode::binary(&value, out));
        }
        self.arrays.put(value.into_owned());
        if !self.arrays.is_open() {
            for array in self.arrays.take() {
                self.write(false, |out| encode::binary(&array, out));
            }
        }
    }

    fn write(&mut self, is_null: bool, value: impl FnOnce(&mut Vec<u8>) -> Result<ParameterType, String>) {
        let index = self.count;
        self.count += 1;
        if index >= self.wanted || self.wrong.is_some() {
            return;
        }
        if matches!(self.layout, Layout::Bulk(_)) {
            self.out.push(u8::from(is_null));
        }
        match value(self.out) {
            Err(what) => self.wrong = Some((index, what)),
            Ok(kind) => match &mut self.layout {
                Layout::Execute { nulls, types } => {
                    self.out[*types + 2 * index..][..2].copy_from_slice(&kind);
                    self.out[*nulls + index / 8] |= u8::from(is_null) << (index % 8);
                }
                Layout::Bulk(types) => types.push((!is_null).then_some(kind)),
            },
        }
    }
}

impl Sink for RowWriter<'_> {
    fn null(&mut self) {
        self.put(Value::Null);
    }

    fn boolean(&mut self, value: bool) {
        self.put(Value::Boolean(value));
    }

    fn integer(&mut self, value: i64) {
        self.put(Value::Integer(value));
    }

    fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.put(Value::Integer(value)),
            Err(_) if self.arrays.is_open() => self.put(Value::Null),
            Err(_) => self.write(false, |out| Ok(encode::unsigned(value, out))),
        }
    }

    fn real(&mut self, value: f64) {
        self.put(Value::Real(value));
    }

    fn decimal(&mut self, digits: &str) {
        self.put(Value::Decimal(digits.into()));
    }

    fn text(&mut self, text: &str) {
        self.put(Value::Text(text.into()));
    }

    fn json(&mut self, text: &str) {
        self.put(Value::Json(text.into()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.put(Value::Bytes(bytes.into()));
    }

    fn date(&mut self, year: i32, month: u8, day: u8) {
        self.put(Value::Date { year, month, day });
    }

    fn time(&mut self, hour: u8, minute: u8, second: u8, microsecond: u32, offset_s: Option<i32>) {
        self.put(Value::Time { hour, minute, second, microsecond, offset_s });
    }

    fn moment(&mut self, microseconds: i64, offset_s: Option<i32>) {
        self.put(Value::Moment { microseconds, offset_s });
    }

    fn interval(&mut self, months: i32, days: i32, microseconds: i64) {
        self.put(Value::Interval { months, days, microseconds });
    }

    fn uuid(&mut self, bytes: [u8; 16]) {
        self.put(Value::Uuid(bytes));
    }

    fn array(&mut self, length: usize) {
        if length == 0 {
            self.put(Value::Array(Vec::new()));
        } else {
            self.arrays.array(length);
        }
    }

    fn infinite(&mut self, positive: bool) {
        self.put(Value::Infinite { positive });
    }
}
