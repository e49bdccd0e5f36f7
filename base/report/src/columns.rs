//! Numbers for the script of a page: columns of LEB128 numbers, one after the other, and what says where each is.

use serde_json::{Value, json};

/// Columns in the making.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    directory: Vec<Value>,
    bytes: Vec<u8>,
}

impl Columns {
    /// Numbers below 2³¹.
    pub fn write(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.push(name, values, false, false);
    }

    /// Numbers of any size, of which the script has the 53 upper bits.
    pub fn write_wide(&mut self, name: &str, values: impl Iterator<Item = u64>) {
        self.push(name, values, false, true);
    }

    /// As differences, each to the number before it: numbers between −2³¹ and 2³¹.
    pub fn write_deltas(&mut self, name: &str, values: impl Iterator<Item = i64>) {
        self.push(name, deltas(values), true, false);
    }

    /// As differences: numbers of any size.
    pub fn write_wide_deltas(&mut self, name: &str, values: impl Iterator<Item = i64>) {
        self.push(name, deltas(values), true, true);
    }

    fn push(&mut self, name: &str, values: impl Iterator<Item = u64>, is_delta: bool, is_wide: bool) {
        let start = self.bytes.len();
        let mut count = 0_u64;
        for mut value in values {
            count += 1;
            while value >= 128 {
                self.bytes.push((value & 127) as u8 | 128);
                value >>= 7;
            }
            self.bytes.push(value as u8);
        }
        let bytes = self.bytes.len() - start;
        self.directory.push(
            json!({ "name": name, "count": count, "bytes": bytes, "delta": is_delta, "wide": is_wide }),
        );
    }

    /// The directory, and all columns.
    pub fn finish(self) -> (Value, Vec<u8>) {
        (Value::Array(self.directory), self.bytes)
    }
}

/// Differences to the value before, zigzag-coded so that small negative ones stay short.
fn deltas(values: impl Iterator<Item = i64>) -> impl Iterator<Item = u64> {
    values.scan(0_i64, |before, value| {
        let delta = value.wrapping_sub(*before);
        *before = value;
        Some(((delta << 1) ^ (delta >> 63)).cast_unsigned())
    })
}
