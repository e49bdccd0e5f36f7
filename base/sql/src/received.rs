//! Bytes that have come from a server and have not been looked at, in one growing buffer.

use std::ops::Range;

/// How much is read at once, and how large the buffer stays.
const READ_BYTES: usize = 64 * 1024;

/// What has come.
#[derive(Debug, Default)]
pub(crate) struct Received {
    /// Everything below `end` has come; what lies above is room for more.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Received {
    /// Takes bytes that have come.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.room(bytes.len());
        room[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Room for at least `least` bytes, to be read into and then reported by [`Received::filled`].
    pub(crate) fn room(&mut self, least: usize) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.bytes.len() > 16 * READ_BYTES {
                self.bytes = Vec::new();
            }
        }
        if self.bytes.len() - self.end < least && self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.bytes.len() - self.end < least {
            let size = (self.end + least).max(self.bytes.len() * 2).max(READ_BYTES);
            self.bytes.resize(size, 0);
        }
        &mut self.bytes[self.end..]
    }

    /// That many bytes were read into the room.
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    /// What has not been looked at.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The same, to be changed in its place.
    pub(crate) fn unread_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.end]
    }

    /// The next `count` bytes are looked at now; gives the place of those from `skipped` on, for [`Received::at`].
    pub(crate) fn take(&mut self, skipped: usize, count: usize) -> Range<usize> {
        let start = self.start;
        self.start = (start + count).min(self.end);
        start + skipped..self.start
    }

    /// The next byte, which is looked at now.
    pub(crate) fn byte(&mut self) -> Option<u8> {
        let byte = *self.unread().first()?;
        self.take(0, 1);
        Some(byte)
    }

    /// What lies at a place that [`Received::take`] gave, as long as nothing was pushed since.
    pub(crate) fn at(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }
}
