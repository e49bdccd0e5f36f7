//! Elements of arrays, read from the buffers that hold them: numpy's, `array.array`, `memoryview`, ctypes.

use super::text::{float16, float32};
use super::{Describer, Sequence, Value};
use crate::objects::ReadError;

/// How one element is stored; always in this machine's order of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Element {
    Bool,
    /// An integer of so many bytes.
    Signed(usize),
    Unsigned(usize),
    Float16,
    Float32,
    Float64,
}

/// A row of elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) start: u64,
    /// From one element to the next, in bytes; may be negative.
    pub(super) stride: i64,
    pub(super) count: u64,
}

/// Longer rows than this are torn.
const COUNT_MAX: u64 = 1 << 48;

impl Element {
    /// By the letter that `array`, `struct`, `memoryview` and ctypes have for it.
    pub(super) fn of_code(code: u8) -> Option<Element> {
        Some(match code {
            b'?' => Element::Bool,
            b'b' => Element::Signed(1),
            b'B' => Element::Unsigned(1),
            b'h' => Element::Signed(2),
            b'H' => Element::Unsigned(2),
            b'i' => Element::Signed(4),
            b'I' => Element::Unsigned(4),
            b'l' | b'q' | b'n' => Element::Signed(8),
            b'L' | b'Q' | b'N' | b'P' => Element::Unsigned(8),
            b'e' => Element::Float16,
            b'f' => Element::Float32,
            b'd' => Element::Float64,
            _ => return None,
        })
    }

    /// By the name that numpy has for it.
    pub(super) fn of_name(name: &str) -> Option<Element> {
        Some(match name {
            "bool" | "bool_" => Element::Bool,
            "int8" => Element::Signed(1),
            "int16" => Element::Signed(2),
            "int32" | "intc" => Element::Signed(4),
            "int64" | "longlong" => Element::Signed(8),
            "uint8" => Element::Unsigned(1),
            "uint16" => Element::Unsigned(2),
            "uint32" | "uintc" => Element::Unsigned(4),
            "uint64" | "ulonglong" => Element::Unsigned(8),
            "float16" => Element::Float16,
            "float32" => Element::Float32,
            "float64" => Element::Float64,
            _ => return None,
        })
    }

    pub(super) fn size(self) -> usize {
        match self {
            Element::Bool => 1,
            Element::Signed(size) | Element::Unsigned(size) => size,
            Element::Float16 => 2,
            Element::Float32 => 4,
            Element::Float64 => 8,
        }
    }

    /// The value of so many bytes as it has.
    pub(super) fn value(self, bytes: &[u8]) -> Value {
        let mut word = [0; 8];
        let size = self.size().min(bytes.len());
        word[..size].copy_from_slice(&bytes[..size]);
        let raw = u64::from_le_bytes(word);
        match self {
            Element::Bool => Value::Word(if raw == 0 { "False" } else { "True" }.to_owned()),
            Element::Signed(size) => {
                let shift = 64 - 8 * size as u32;
                Value::Word((((raw << shift) as i64) >> shift).to_string())
            }
            Element::Unsigned(_) => Value::Word(raw.to_string()),
            Element::Float16 => Value::Word(float16(raw as u16)),
            Element::Float32 => Value::Word(float32(f32::from_bits(raw as u32))),
            Element::Float64 => Value::Float(f64::from_bits(raw)),
        }
    }
}

impl Describer<'_> {
    /// The first elements of a row, as a list.
    ///
    /// Cost: one read where they lie side by side, else one for each.
    pub(super) fn row(&self, row: Row, element: Element) -> Result<Value, ReadError> {
        if row.count > COUNT_MAX {
            return Err(ReadError::Implausible("an array"));
        }
        let size = element.size();
        let shown = row.count.min(self.limits.items as u64);
        let mut bytes = vec![0; shown as usize * size];
        if row.stride == size as i64 {
            self.memory.read(row.start, &mut bytes)?;
        } else {
            for (index, place) in bytes.chunks_exact_mut(size).enumerate() {
                let offset = row.stride.wrapping_mul(index as i64);
                self.memory.read(row.start.wrapping_add_signed(offset), place)?;
            }
        }
        let items = bytes.chunks_exact(size).map(|bytes| element.value(bytes)).collect();
        Ok(Value::Items { kind: Sequence::List, items, more: row.count - shown })
    }

    /// `array('i', [1, 2])`.
    pub(super) fn typed_array(&self, address: u64) -> Result<Value, ReadError> {
        let at = self.located.offsets.object.ob_size;
        // Count, elements, capacity, and what says of which type they are: its letter comes first.
        let words = self.words(address.wrapping_add(u64::from(at)), 4)?;
        let mut code = [0; 1];
        self.memory.read(words[3], &mut code)?;
        let mut fields = vec![(None, Value::Text(char::from(code[0]).to_string(), None))];
        match Element::of_code(code[0]) {
            Some(element) if words[0] > 0 => {
                let row = Row { start: words[1], stride: element.size() as i64, count: words[0] };
                fields.push((None, self.row(row, element)?));
            }
            Some(_) => {}
            None => fields.push((Some("len".to_owned()), Value::Word(words[0].to_string()))),
        }
        Ok(Value::Made { class: "array".to_owned(), fields, more: 0 })
    }

    /// What a `memoryview` looks at: its bytes, or shape, format and elements.
    pub(super) fn memory_view(&self, address: u64) -> Result<Value, ReadError> {
        // Behind the head of a variable-sized object: the buffer's owner, a hash, flags, a count. Then the view.
        let view = address.wrapping_add(u64::from(self.located.offsets.object.ob_size) + 8 + 32);
        let words = self.words(view, 8)?;
        let [start, _, len, item_size, flags, format, shape, strides] = words[..] else {
            return Err(ReadError::Implausible("a view"));
        };
        let dimensions = flags >> 32;
        if dimensions > 64 || item_size > 1 << 16 {
            return Err(ReadError::Implausible("a view"));
        }
        let format = if format == 0 { "B".to_owned() } else { self.c_string(format)? };
        let made = |fields| Ok(Value::Made { class: "memoryview".to_owned(), fields, more: 0 });
        let sizes = if dimensions == 0 { Vec::new() } else { self.words(shape, dimensions as usize)? };
        let strides = if dimensions == 0 { Vec::new() } else { self.words(strides, dimensions as usize)? };
        if let ([count], [1], "B") = (&sizes[..], &strides[..], format.as_str()) {
            return made(vec![(None, self.bytes_at(start, (*count).min(len), false)?)]);
        }
        let tuple = sizes.iter().map(|size| Value::Word(size.to_string())).collect();
        let mut fields = vec![
            (Some("format".to_owned()), Value::Text(format.clone(), None)),
            (Some("shape".to_owned()), Value::Items { kind: Sequence::Tuple, items: tuple, more: 0 }),
        ];
        let code = format.trim_start_matches(['@', '=', '<']).as_bytes();
        if let ([count], [stride], [code]) = (&sizes[..], &strides[..], code)
            && let Some(element) =
                Element::of_code(*code).filter(|element| element.size() as u64 == item_size)
        {
            let row = Row { start, stride: stride.cast_signed(), count: *count };
            fields.push((Some("values".to_owned()), self.row(row, element)?));
        }
        made(fields)
    }

    /// A number or an array of ctypes; others by their class.
    pub(super) fn ctypes(
        &self,
        address: u64,
        class: &super::class::Class,
        is_array: bool,
    ) -> Result<Value, ReadError> {
        // The data; whether and for whom it is kept; its size in bytes, its length in elements.
        let words = self.words(address.wrapping_add(u64::from(self.head())), 5)?;
        let mut kind =
            self.class_attribute(class.address, "_type_")?.ok_or(ReadError::Implausible("a ctypes class"))?;
        if is_array {
            let inner = self.class_attribute(kind, "_type_")?;
            kind = match inner {
                Some(inner) => inner,
                None => return Ok(self.other(address, class)),
            };
        }
        let code = crate::objects::read_string(self.memory, self.located, kind);
        let code = code.ok().and_then(|code| <[u8; 1]>::try_from(code.into_bytes()).ok());
        let value = match (code, is_array) {
            (Some([b'c']), true) => self.bytes_at(words[0], words[4], false)?,
            (Some([code]), _) => {
                let Some(element) = Element::of_code(code) else { return Ok(self.other(address, class)) };
                let count = if is_array { words[4] } else { 1 };
                let row = Row { start: words[0], stride: element.size() as i64, count };
                match (self.row(row, element)?, is_array) {
                    (Value::Items { mut items, .. }, false) => items.pop().unwrap_or(Value::Unreadable),
                    (list, _) => list,
                }
            }
            _ => return Ok(self.other(address, class)),
        };
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, value)], more: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_with_their_sign_and_size() {
        let text = |element: Element, bytes: &[u8]| element.value(bytes).to_string();
        assert_eq!(text(Element::Signed(1), &[0xff]), "-1");
        assert_eq!(text(Element::Unsigned(2), &[0xff, 0xff]), "65535");
        assert_eq!(text(Element::Signed(8), &[0xfe, 255, 255, 255, 255, 255, 255, 255]), "-2");
        assert_eq!(text(Element::Float16, &[0x00, 0x3e]), "1.5");
        assert_eq!(text(Element::Bool, &[2]), "True");
        // Too short: a torn read is no panic.
        assert_eq!(text(Element::Float64, &[0]), "0.0");
    }
}
