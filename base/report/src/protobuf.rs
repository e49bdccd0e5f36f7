//! As much of protocol buffers as the format of pprof needs: numbers, bytes and messages, one after the other.

/// A message in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A number. 0 is what a reader takes an absent number for, and is left out.
    pub(crate) fn number(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(field) << 3);
            self.varint(value);
        }
    }

    /// Bytes or text.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        self.varint(u64::from(field) << 3 | 2);
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// A message within this one.
    pub(crate) fn message(&mut self, field: u32, value: &Message) {
        self.bytes(field, &value.bytes);
    }

    /// Several numbers of one field.
    pub(crate) fn packed(&mut self, field: u32, values: impl Iterator<Item = u64>) {
        let mut packed = Message::default();
        values.for_each(|value| packed.varint(value));
        self.message(field, &packed);
    }

    /// The whole message.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::Message;

    #[test]
    fn fields_have_the_bytes_of_the_encoding_guide() {
        let mut inner = Message::default();
        inner.number(1, 150);
        let mut message = Message::default();
        message.message(3, &inner);
        message.bytes(2, b"testing");
        message.packed(6, [3, 270, 86_942].into_iter());
        message.number(4, 0);
        let expected = [
            &[0x1a, 0x03, 0x08, 0x96, 0x01, 0x12, 0x07][..],
            b"testing",
            &[0x32, 0x06, 0x03, 0x8e, 0x02, 0x9e, 0xa7, 0x05],
        ];
        assert_eq!(message.finish(), expected.concat());
    }
}
