//! A row of values on its way to the server: parameters of a statement, or a row of a bulk load.
//!
//! It is a [`Sink`], so that values go from their owner into the message at once. What cannot be sent is remembered
//! and told at the end of the row, since the calls of a sink cannot fail; of such a row nothing is sent.

use crate::{Sink, Value, Values};

use super::encode;
use super::types::Known;

/// How a row lies in its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// Parameters of `Bind`: the formats, two bytes each, lie from this place on.
    Bind {
        /// Where the first of them lies.
        formats: usize,
    },
    /// A row of `COPY … (FORMAT binary)`.
    CopyBinary,
    /// A row of `COPY … (FORMAT text)`.
    CopyText,
}

/// Writes the values of one row.
pub struct RowWriter<'a> {
    out: &'a mut Vec<u8>,
    types: &'a [Known],
    layout: Layout,
    count: usize,
    arrays: Values,
    wrong: Option<(usize, String)>,
    scratch: Vec<u8>,
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
    pub(crate) fn new(out: &'a mut Vec<u8>, types: &'a [Known], layout: Layout) -> Self {
        RowWriter {
            out,
            types,
            layout,
            count: 0,
            arrays: Values::default(),
            wrong: None,
            scratch: Vec::new(),
        }
    }

    /// Ends the row; what was wrong with it.
    pub(crate) fn end(self) -> Result<(), RowError> {
        if let Some((index, what)) = self.wrong {
            return Err(RowError::Value(index, what));
        }
        if self.arrays.is_open() {
            return Err(RowError::Value(self.count, "its array lacks elements".to_owned()));
        }
        if self.count == self.types.len() { Ok(()) } else { Err(RowError::Count(self.count)) }
    }

    fn put(&mut self, value: Value<'_>) {
        if !self.arrays.is_open() {
            return self.write(&value);
        }
        self.arrays.put(value.into_owned());
        if !self.arrays.is_open() {
            for array in self.arrays.take() {
                self.write(&array);
            }
        }
    }

    fn write(&mut self, value: &Value<'_>) {
        let index = self.count;
        self.count += 1;
        let Some(&known) = self.types.get(index) else { return };
        if self.wrong.is_some() {
            return;
        }
        let written = match self.layout {
            Layout::Bind { formats } => self.parameter(known, value, formats + 2 * index),
            Layout::CopyBinary => self.binary_field(known, value),
            Layout::CopyText => self.text_field(value),
        };
        if let Err(what) = written {
            self.wrong = Some((index, what));
        }
    }

    fn parameter(&mut self, known: Known, value: &Value<'_>, format: usize) -> Result<(), String> {
        let Some(start) = self.begin(value) else { return Ok(()) };
        if encode::binary(known, value, self.out)? {
            self.out[format..format + 2].copy_from_slice(&[0, 1]);
        } else {
            encode::text(value, self.out)?;
        }
        self.end_value(start)
    }

    fn binary_field(&mut self, known: Known, value: &Value<'_>) -> Result<(), String> {
        let Some(start) = self.begin(value) else { return Ok(()) };
        if !encode::binary(known, value, self.out)? {
            return Err(format!("{} cannot be loaded as {}", kind_of(value), known.name(0)));
        }
        self.end_value(start)
    }

    /// Room for the length of a value; nothing where it is NULL and all said with that.
    fn begin(&mut self, value: &Value<'_>) -> Option<usize> {
        if *value == Value::Null {
            self.out.extend((-1i32).to_be_bytes());
            return None;
        }
        self.out.extend([0; 4]);
        Some(self.out.len())
    }

    fn end_value(&mut self, start: usize) -> Result<(), String> {
        let length = self.out.len() - start;
        let length =
            i32::try_from(length).map_err(|_| format!("it has {length} bytes, 1 GiB is the limit"))?;
        self.out[start - 4..start].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }

    fn text_field(&mut self, value: &Value<'_>) -> Result<(), String> {
        if self.count > 1 {
            self.out.push(b'\t');
        }
        if *value == Value::Null {
            self.out.extend(b"\\N");
            return Ok(());
        }
        self.scratch.clear();
        encode::text(value, &mut self.scratch)?;
        for &byte in &self.scratch {
            match byte {
                b'\\' => self.out.extend(b"\\\\"),
                b'\t' => self.out.extend(b"\\t"),
                b'\n' => self.out.extend(b"\\n"),
                b'\r' => self.out.extend(b"\\r"),
                byte => self.out.push(byte),
            }
        }
        Ok(())
    }
}

fn kind_of(value: &Value<'_>) -> &'static str {
    match value {
        Value::Null => "NULL",
        Value::Boolean(_) => "a boolean",
        Value::Integer(_) => "an integer",
        Value::Real(_) => "a float",
        Value::Decimal(_) => "a decimal",
        Value::Text(_) => "text",
        Value::Json(_) => "JSON",
        Value::Bytes(_) => "bytes",
        Value::Date { .. } => "a date",
        Value::Time { .. } => "a time",
        Value::Moment { offset_s: None, .. } => "a moment without a zone",
        Value::Moment { .. } => "a moment",
        Value::Interval { .. } => "an interval",
        Value::Uuid(_) => "a UUID",
        Value::Array(_) => "an array",
        Value::Infinite { .. } => "infinity",
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
