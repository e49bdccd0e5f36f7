//! Bytes that are nearly right.

/// The same numbers each time.
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Random {
        Random(0x2545_F491_4F6C_DD1D)
    }
}

impl Random {
    pub(crate) fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) as usize
    }
}

/// One to four bytes changed, a length made negative or huge, a piece cut out or doubled.
pub(crate) fn damaged(whole: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    if bytes.is_empty() {
        return bytes;
    }
    for _ in 0..1 + random.next() % 4 {
        let place = random.next() % bytes.len();
        match random.next() % 6 {
            0 => bytes[place] = random.next() as u8,
            1 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][random.next() % 5],
            2 => bytes[place] = bytes[place].wrapping_add(1),
            3 => bytes.truncate(place + 1),
            4 => {
                let end = (place + random.next() % 8).min(bytes.len());
                let piece = bytes[place..end].to_vec();
                bytes.splice(place..place, piece);
            }
            _ => {
                let end = (place + 4).min(bytes.len());
                let length =
                    [[0xff; 4], [0x7f, 0xff, 0xff, 0xff], [0x80, 0, 0, 0], [0, 0, 0, 0]][random.next() % 4];
                bytes.splice(place..end, length);
            }
        }
    }
    bytes
}
