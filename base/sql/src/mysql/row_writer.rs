//! A row of values on its way to the server: parameters of one execution, or a row of a packet of many.
//!
//! It is a [`Sink`], so that values go from their owner to where they are sent from at once.

use crate::row_values::{RowError, RowValues};
use crate::sink_calls::calls_as_values;
use crate::{Sink, Value};

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
    layout: Layout<'a>,
    values: RowValues,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut Vec<u8>, wanted: usize, layout: Layout<'a>) -> Self {
        RowWriter { out, layout, values: RowValues::new(wanted) }
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
            self.write(matches!(value, Value::Null), |out| encode::binary(&value, out));
        } else if let Some(array) = self.values.add_to_array(value) {
            self.write(false, |out| encode::binary(&array, out));
        }
    }

    fn write(&mut self, is_null: bool, value: impl FnOnce(&mut Vec<u8>) -> Result<ParameterType, String>) {
        let Some(index) = self.values.next() else { return };
        if matches!(self.layout, Layout::Bulk(_)) {
            self.out.push(u8::from(is_null));
        }
        match value(self.out) {
            Err(what) => self.values.refuse(index, what),
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
    calls_as_values!();

    fn unsigned(&mut self, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.integer(value),
            // No array can be sent, whatever is in it.
            Err(_) if self.values.is_in_array() => self.null(),
            Err(_) => self.write(false, |out| Ok(encode::unsigned(value, out))),
        }
    }
}
