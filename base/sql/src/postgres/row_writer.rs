//! A row of values on its way to the server: parameters of a statement, or a row of a bulk load.
//!
//! It is a [`Sink`], so that values go from their owner to where they are sent from at once.

use crate::row_values::{RowError, RowValues};
use crate::sink_calls::calls_as_values;
use crate::{Sink, Value};

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
    values: RowValues,
    scratch: Vec<u8>,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, types: &'a [Known], layout: Layout) -> Self {
        RowWriter { out, types, layout, values: RowValues::new(types.len()), scratch: Vec::new() }
    }

    /// Ends the row; what was wrong with it.
    pub(crate) fn end(self) -> Result<(), RowError> {
        self.values.end()
    }

    fn begin_array(&mut self, length: usize) {
        self.values.begin_array(length);
    }

    fn take_value(&mut self, value: Value<'_>) {
        if !self.values.is_in_array() {
            self.write(&value);
        } else if let Some(array) = self.values.add_to_array(value) {
            self.write(&array);
        }
    }

    fn write(&mut self, value: &Value<'_>) {
        let Some(index) = self.values.next() else { return };
        let known = self.types[index];
        let written = match self.layout {
            Layout::Bind { formats } => self.parameter(known, value, formats + 2 * index),
            Layout::CopyBinary => self.binary_field(known, value),
            Layout::CopyText => self.text_field(index, value),
        };
        if let Err(what) = written {
            self.values.refuse(index, what);
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

    fn text_field(&mut self, index: usize, value: &Value<'_>) -> Result<(), String> {
        if index > 0 {
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
    calls_as_values!();
}
