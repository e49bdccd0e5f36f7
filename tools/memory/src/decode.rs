//! What an agent has written into a ring, record by record.
//!
//! The agent is trusted no more than a file from a stranger: a program may write anything into its own memory. Whatever
//! comes ends in a record or in an error, after which the ring is not read any more.

use naja_cpython::own_code::CopiedMemory;

use crate::wire::{Allocator, RECORD_BYTES_MAX, tag, unfolded};

/// A record.
#[derive(Debug)]
pub(crate) enum Record {
    /// Memory was given.
    Given {
        /// By which function.
        allocator: Allocator,
        /// Where.
        address: u64,
        /// How many bytes.
        size: u64,
        /// When, in ticks.
        time: u64,
    },
    /// Memory was taken back.
    Taken {
        /// By which function.
        allocator: Allocator,
        /// Where.
        address: u64,
        /// How many bytes of a mapping; 0 for a block.
        size: u64,
        /// When, in ticks.
        time: u64,
    },
    /// What the thread said last was taken back was not.
    NotTaken,
    /// The stack has changed.
    Stack {
        /// How many of its last frames are gone.
        gone: usize,
        /// Those that are new, the outermost first.
        new: Vec<NewFrame>,
    },
    /// The native stack has changed.
    Native {
        /// How many of its last return addresses are gone.
        gone: usize,
        /// Those that are new, the outermost first.
        new: Vec<u64>,
    },
    /// A code object.
    Code {
        /// Its number in the thread.
        number: u32,
        /// Where it lies.
        address: u64,
        /// Copies of what it is.
        memory: CopiedMemory,
    },
}

/// A frame that is new on a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NewFrame {
    /// The number of its code; 0 for the interpreter's own records.
    pub(crate) code: u32,
    /// Where it stands: relative to its object (3.11 and later) or in it.
    pub(crate) place: i64,
    /// Whether the interpreter's loop was entered for it, as far as the frame itself tells.
    pub(crate) entered: bool,
}

/// What cannot be a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nonsense;

/// Code objects with more bytes are not believed.
const PIECE_BYTES_MAX: u64 = 1 << 24;
/// Or with more pieces.
const PIECES_MAX: u64 = 16;

/// Reads the records of one thread.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    bytes: Vec<u8>,
    at: usize,
    last_address: i64,
    last_time: u64,
    last_code: i64,
    last_return: i64,
}

/// A place in the bytes; nothing where they end.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = self.bytes.get(self.at).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        Some(number)
    }
}

impl Decoder {
    /// Where bytes that have come are appended.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        // What was read already goes.
        self.bytes.drain(..self.at);
        self.at = 0;
        &mut self.bytes
    }

    /// The next record; nothing until more bytes have come.
    ///
    /// Errors: what comes cannot be a record; nothing more can be read then.
    pub(crate) fn next_record(&mut self) -> Result<Option<Record>, Nonsense> {
        let mut cursor = Cursor { bytes: &self.bytes, at: self.at };
        let Some(tag) = cursor.byte() else { return Ok(None) };
        let allocator = tag >> 3;
        let record = match tag & 7 {
            tag::GIVEN => {
                let allocator = allocator_of(allocator)?;
                let (Some(address), Some(size), Some(time)) =
                    (cursor.number(), cursor.number(), cursor.number())
                else {
                    return Ok(None);
                };
                let at = cursor.at;
                let (address, time) = self.place(address, time);
                self.at = at;
                return Ok(Some(Record::Given { allocator, address, size, time }));
            }
            tag::TAKEN => {
                let allocator = allocator_of(allocator)?;
                let Some(address) = cursor.number() else { return Ok(None) };
                let size = if allocator == Allocator::Munmap { cursor.number() } else { Some(0) };
                let (Some(size), Some(time)) = (size, cursor.number()) else { return Ok(None) };
                let at = cursor.at;
                let (address, time) = self.place(address, time);
                self.at = at;
                return Ok(Some(Record::Taken { allocator, address, size, time }));
            }
            tag::NOT_TAKEN => Record::NotTaken,
            tag::STACK | tag::STACK_GOES_ON => {
                let gone = if tag & 7 == tag::STACK { cursor.number() } else { Some(0) };
                let (Some(gone), Some(count)) = (gone, cursor.number()) else { return Ok(None) };
                if count > RECORD_BYTES_MAX as u64 {
                    return Err(Nonsense);
                }
                let mut new = Vec::with_capacity(count as usize);
                let mut last = self.last_code;
                for _ in 0..count {
                    let (Some(code), Some(place)) = (cursor.number(), cursor.number()) else {
                        return Ok(None);
                    };
                    last = last.wrapping_add(unfolded(code >> 1));
                    let number = u32::try_from(last).map_err(|_| Nonsense)?;
                    new.push(NewFrame { code: number, place: unfolded(place), entered: code & 1 != 0 });
                }
                self.last_code = last;
                Record::Stack { gone: usize::try_from(gone).unwrap_or(usize::MAX), new }
            }
            tag::NATIVE | tag::NATIVE_GOES_ON => {
                let gone = if tag & 7 == tag::NATIVE { cursor.number() } else { Some(0) };
                let (Some(gone), Some(count)) = (gone, cursor.number()) else { return Ok(None) };
                if count > RECORD_BYTES_MAX as u64 {
                    return Err(Nonsense);
                }
                let mut new = Vec::with_capacity(count as usize);
                let mut last = self.last_return;
                for _ in 0..count {
                    let Some(address) = cursor.number() else { return Ok(None) };
                    last = last.wrapping_add(unfolded(address));
                    new.push(last as u64);
                }
                self.last_return = last;
                Record::Native { gone: usize::try_from(gone).unwrap_or(usize::MAX), new }
            }
            // What is left is `CODE`: a tag has three bits, and each stands for something.
            _ => match code(&mut cursor)? {
                Some(record) => record,
                None => return Ok(None),
            },
        };
        self.at = cursor.at;
        Ok(Some(record))
    }

    fn place(&mut self, address: u64, time: u64) -> (u64, u64) {
        self.last_address = self.last_address.wrapping_add(unfolded(address));
        self.last_time = self.last_time.wrapping_add(time);
        ((self.last_address << 3) as u64, self.last_time)
    }
}

fn allocator_of(number: u8) -> Result<Allocator, Nonsense> {
    Allocator::of_number(number).ok_or(Nonsense)
}

fn code(cursor: &mut Cursor<'_>) -> Result<Option<Record>, Nonsense> {
    let (Some(number), Some(address), Some(count)) = (cursor.number(), cursor.number(), cursor.number())
    else {
        return Ok(None);
    };
    if count > PIECES_MAX {
        return Err(Nonsense);
    }
    let mut memory = CopiedMemory::default();
    for _ in 0..count {
        let (Some(start), Some(len)) = (cursor.number(), cursor.number()) else { return Ok(None) };
        if len > PIECE_BYTES_MAX {
            return Err(Nonsense);
        }
        let end = cursor.at + len as usize;
        let Some(bytes) = cursor.bytes.get(cursor.at..end) else { return Ok(None) };
        memory.add(start, bytes.to_vec());
        cursor.at = end;
    }
    Ok(Some(Record::Code { number: u32::try_from(number).map_err(|_| Nonsense)?, address, memory }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::folded;

    fn number(bytes: &mut Vec<u8>, mut number: u64) {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }

    /// A record of each kind.
    fn records() -> Vec<u8> {
        let mut bytes = vec![tag::CODE];
        for one in [1, 0x7000, 1, 0x7000, 3] {
            number(&mut bytes, one);
        }
        bytes.extend_from_slice(b"abc");
        bytes.push(tag::STACK);
        for one in [0, 2, folded(1) << 1 | 1, folded(12), folded(0) << 1, folded(-2)] {
            number(&mut bytes, one);
        }
        bytes.push(tag::NATIVE);
        for one in [1, 2, folded(0x5000), folded(-0x10)] {
            number(&mut bytes, one);
        }
        bytes.push(tag::NATIVE_GOES_ON);
        for one in [1, folded(0x100)] {
            number(&mut bytes, one);
        }
        bytes.push(tag::GIVEN | (Allocator::Malloc as u8) << 3);
        for one in [folded(0x1000), 100, 5] {
            number(&mut bytes, one);
        }
        bytes.push(tag::TAKEN | (Allocator::Munmap as u8) << 3);
        for one in [folded(-0x800), 4096, 7] {
            number(&mut bytes, one);
        }
        bytes.push(tag::NOT_TAKEN);
        bytes
    }

    fn decode(pieces: &[&[u8]]) -> Result<Vec<String>, Nonsense> {
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for piece in pieces {
            decoder.room().extend_from_slice(piece);
            while let Some(record) = decoder.next_record()? {
                found.push(match record {
                    Record::Given { allocator, address, size, time } => {
                        format!("{} {address:#x} {size} {time}", allocator.word())
                    }
                    Record::Taken { allocator, address, size, time } => {
                        format!("{} {address:#x} {size} {time}", allocator.word())
                    }
                    Record::NotTaken => "not taken".to_owned(),
                    Record::Stack { gone, new } => {
                        let new = new.iter().map(|frame| (frame.code, frame.place, frame.entered));
                        format!("-{gone} {:?}", new.collect::<Vec<_>>())
                    }
                    Record::Native { gone, new } => format!("native -{gone} {new:x?}"),
                    Record::Code { number, address, .. } => format!("code {number} {address:#x}"),
                });
            }
        }
        Ok(found)
    }

    #[test]
    fn records_are_read_wherever_they_are_cut() {
        let bytes = records();
        let expected = [
            "code 1 0x7000",
            "-0 [(1, 12, true), (1, -2, false)]",
            "native -1 [5000, 4ff0]",
            "native -0 [50f0]",
            "malloc 0x8000 100 5",
            "munmap 0x4000 4096 12",
            "not taken",
        ];
        for cut in 0..=bytes.len() {
            let (first, second) = bytes.split_at(cut);
            assert_eq!(decode(&[first, second]).expect("records"), expected, "cut at {cut}");
        }
    }

    #[test]
    fn nonsense_ends_in_an_error_or_in_nothing() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        for round in 0..20_000 {
            let mut bytes = records();
            for _ in 0..1 + round % 5 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let place = (seed >> 33) as usize % bytes.len();
                bytes[place] = (seed >> 24) as u8;
            }
            // It ends, and that is all that is asked.
            let _ = decode(&[&bytes]);
        }
    }
}
