//! Which memory says what a code object of this very process is.
//!
//! For an agent that copies it, as it is, for a reader elsewhere: [`CopiedMemory`] stands there for the process, and
//! [`read_code`](crate::code::read_code) reads it. Nothing here allocates but the reader's side. Start at
//! [`OwnCodeLayout::pieces`].

use crate::memory::{Memory, MemoryError, Range};
use crate::offsets::{ABSENT, Offsets};

/// Larger pieces are not copied: the code has no name then.
const PIECE_BYTES_MAX: usize = 1 << 24;

/// Where the fields lie that say it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnCodeLayout {
    size: usize,
    names: [usize; 3],
    line_table: usize,
    instructions: usize,
    /// The instructions are an object of their own (up to 3.10).
    instructions_are_an_object: bool,
    ob_size: usize,
    bytes_data: usize,
    unicode_length: usize,
    unicode_state: usize,
    unicode_kind_shift: usize,
    unicode_ascii_data: usize,
    unicode_compact_data: usize,
}

/// How many numbers an [`OwnCodeLayout`] is.
pub const CODE_LAYOUT_WORDS: usize = 14;

/// How many pieces a code object has.
pub const PIECES: usize = 6;

impl OwnCodeLayout {
    /// Of an interpreter's offsets.
    pub fn of(offsets: &Offsets) -> OwnCodeLayout {
        let (code, object) = (&offsets.code, &offsets.object);
        let instructions_are_an_object = code.qualname == ABSENT;
        // Before 3.11 there is no other name.
        let qualified = if instructions_are_an_object { code.name } else { code.qualname };
        OwnCodeLayout {
            size: code.size as usize,
            names: [code.name as usize, qualified as usize, code.filename as usize],
            line_table: code.line_table as usize,
            instructions: code.instructions as usize,
            instructions_are_an_object,
            ob_size: object.ob_size as usize,
            bytes_data: object.bytes_data as usize,
            unicode_length: object.unicode_length as usize,
            unicode_state: object.unicode_state as usize,
            unicode_kind_shift: object.unicode_kind_shift as usize,
            unicode_ascii_data: object.unicode_ascii_data as usize,
            unicode_compact_data: object.unicode_compact_data as usize,
        }
    }

    /// As numbers, for another process.
    pub fn to_words(self) -> [u64; CODE_LAYOUT_WORDS] {
        let [name, qualified, file] = self.names;
        let is_object = usize::from(self.instructions_are_an_object);
        [
            self.size,
            name,
            qualified,
            file,
            self.line_table,
            self.instructions,
            is_object,
            self.ob_size,
            self.bytes_data,
            self.unicode_length,
            self.unicode_state,
            self.unicode_kind_shift,
            self.unicode_ascii_data,
            self.unicode_compact_data,
        ]
        .map(|word| word as u64)
    }

    /// The other way round.
    pub fn from_words(words: [u64; CODE_LAYOUT_WORDS]) -> OwnCodeLayout {
        let words = words.map(|word| word as usize);
        let [
            size,
            name,
            qualified,
            file,
            line_table,
            instructions,
            is_object,
            ob_size,
            bytes_data,
            rest @ ..,
        ] = words;
        let [unicode_length, unicode_state, unicode_kind_shift, unicode_ascii_data, unicode_compact_data] =
            rest;
        OwnCodeLayout {
            size,
            names: [name, qualified, file],
            line_table,
            instructions,
            instructions_are_an_object: is_object != 0,
            ob_size,
            bytes_data,
            unicode_length,
            unicode_state,
            unicode_kind_shift,
            unicode_ascii_data,
            unicode_compact_data,
        }
    }

    /// What tells one code object from another that was made later at the same address.
    ///
    /// # Safety
    /// `code` is the address of a code object, which is not freed meanwhile.
    pub unsafe fn identity(&self, code: usize) -> [usize; 3] {
        // SAFETY: the caller promises the object; these are fields of it.
        unsafe { [word(code + self.names[0]), word(code + self.names[2]), word(code + self.line_table)] }
    }

    /// The memory that [`read_code`](crate::code::read_code) reads of a code object; pieces may be empty.
    ///
    /// # Safety
    /// As [`OwnCodeLayout::identity`].
    pub unsafe fn pieces(&self, code: usize) -> [Range; PIECES] {
        // SAFETY: the caller promises the object, which holds the others.
        unsafe {
            let [name, qualified, file] = self.names.map(|place| self.string(word(code + place)));
            let table = self.bytes(word(code + self.line_table));
            let (size, instructions) = if self.instructions_are_an_object {
                (self.size, self.bytes(word(code + self.instructions)))
            } else {
                (self.instructions.max(self.size) + word(code + self.ob_size).saturating_mul(2), range(0, 0))
            };
            let qualified = if qualified == name { range(0, 0) } else { qualified };
            [range(code, size), name, qualified, file, table, instructions]
        }
    }

    /// # Safety
    /// `address` is that of a `bytes` object.
    unsafe fn bytes(&self, address: usize) -> Range {
        // SAFETY: the caller promises the object.
        let len = unsafe { word(address + self.ob_size) };
        range(address, len.saturating_add(self.bytes_data))
    }

    /// # Safety
    /// `address` is that of a `str` object.
    unsafe fn string(&self, address: usize) -> Range {
        // SAFETY: the caller promises the object.
        let (state, length) = unsafe {
            (
                ((address + self.unicode_state) as *const u32).read() >> self.unicode_kind_shift,
                word(address + self.unicode_length),
            )
        };
        let (kind, is_compact, is_ascii) = (state as usize & 7, state & 8 != 0, state & 16 != 0);
        // A string that is not compact was made by a way that is long gone; it has no name then.
        let start = if is_ascii { self.unicode_ascii_data } else { self.unicode_compact_data };
        range(address, if is_compact { length.saturating_mul(kind).saturating_add(start) } else { 0 })
    }
}

fn range(address: usize, len: usize) -> Range {
    Range { address: address as u64, len: if len > PIECE_BYTES_MAX { 0 } else { len } }
}

/// # Safety
/// A word lies there that nobody writes meanwhile.
unsafe fn word(address: usize) -> usize {
    // SAFETY: the caller promises it.
    unsafe { (address as *const usize).read() }
}

/// Copies of a process's memory, each with the address that it had there.
#[derive(Clone, Debug, Default)]
pub struct CopiedMemory {
    pieces: Vec<(u64, Vec<u8>)>,
}

impl CopiedMemory {
    /// Adds a piece.
    pub fn add(&mut self, address: u64, bytes: Vec<u8>) {
        self.pieces.push((address, bytes));
    }
}

impl Memory for CopiedMemory {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        for (start, bytes) in &self.pieces {
            let from = usize::try_from(address.wrapping_sub(*start)).ok();
            let end = from.and_then(|from| from.checked_add(buffer.len()));
            if let (Some(from), Some(end)) = (from, end)
                && let Some(found) = bytes.get(from..end)
            {
                buffer.copy_from_slice(found);
                return Ok(());
            }
        }
        Err(MemoryError::Unmapped)
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8]) -> Result<usize, MemoryError> {
        let mut good = 0;
        for range in ranges {
            let end = good + range.len;
            let Some(part) = buffer.get_mut(good..end) else { break };
            if self.read(range.address, part).is_err() {
                break;
            }
            good = end;
        }
        Ok(good)
    }
}
