//! What one sample copies, and where in the copy an address is found.

use super::{Chunk, Outcome, StackReader, Thread};
use crate::memory::{Memory, MemoryError, Range};
use crate::offsets::ABSENT;

/// Outside frames closer to each other than this are copied as one range: a range costs as much as some
/// 6 KiB of memory.
const MERGE_GAP_BYTES: u64 = 2048;

/// Outside places remembered for one thread. Beyond it the least recently used is forgotten.
const OUTSIDE_MAX: usize = 4096;

/// Samples after which an outside place that was not needed is forgotten.
const OUTSIDE_AGE_MAX: u32 = 200;

/// Samples after which a thread's outside places are told again which of them are still needed. Telling them
/// at every sample would cost as much as the walk.
const OUTSIDE_NEWS: u32 = 64;

/// Bytes copied beyond what the last samples needed of the newest chunk: room for a few more calls.
const CHUNK_SLACK_BYTES: u64 = 1024;

/// Bytes of a frame that follow its head and take part in the fingerprint: its first local variables.
pub(super) const LOCALS_BYTES: u64 = 64;

/// Everything copied for one sample beyond this is given up: no stack that works is that deep.
const COPY_BYTES_MAX: usize = 64 << 20;

/// The places outside the data-stack chunks that a thread's walk has needed: heap frames, generators,
/// records on the C stack.
#[derive(Debug, Default)]
pub(super) struct Outside {
    /// (address, samples since it was last needed), sorted by address.
    places: Vec<(u64, u32)>,
    /// Samples until it wants to know again which places are needed.
    news_in: u32,
}

impl Outside {
    /// Whether it is time to [`touch`](Self::touch) every place that the last walk needed.
    pub(super) fn wants_to_know(&mut self) -> bool {
        if self.places.is_empty() {
            return false;
        }
        if self.news_in > 0 && self.places.len() <= OUTSIDE_MAX {
            self.news_in -= 1;
            return false;
        }
        self.news_in = OUTSIDE_NEWS;
        true
    }

    /// Remembers that `address` was needed.
    pub(super) fn touch(&mut self, address: u64) {
        match self.places.binary_search_by_key(&address, |place| place.0) {
            Ok(index) => self.places[index].1 = 0,
            Err(index) => self.places.insert(index, (address, 0)),
        }
    }

    /// Forgets what lies in a range that can no longer be read.
    fn forget(&mut self, range: Range) {
        let end = range.address.saturating_add(range.len as u64);
        self.places.retain(|place| place.0 < range.address || place.0 >= end);
    }

    /// Ages every place by one sample, and forgets the oldest.
    pub(super) fn age(&mut self) {
        if self.places.is_empty() {
            return;
        }
        let limit = if self.places.len() > OUTSIDE_MAX { 2 } else { OUTSIDE_AGE_MAX };
        self.places.retain_mut(|place| {
            place.1 += 1;
            place.1 <= limit
        });
    }

    fn ranges(&self, size: u64, each: &mut dyn FnMut(Range)) {
        merge(self.places.iter().map(|(address, _)| (*address, size)), each);
    }
}

/// Joins (address, length) pairs, sorted by address, into ranges: neighbours become one.
fn merge(places: impl Iterator<Item = (u64, u64)>, each: &mut dyn FnMut(Range)) {
    let mut open: Option<(u64, u64)> = None;
    let range = |(start, stop): (u64, u64)| Range { address: start, len: (stop - start) as usize };
    for (address, len) in places {
        let end = address.saturating_add(len);
        open = match open {
            Some((start, stop)) if address <= stop.saturating_add(MERGE_GAP_BYTES) => {
                Some((start, end.max(stop)))
            }
            Some(whole) => {
                each(range(whole));
                Some((address, end))
            }
            None => Some((address, end)),
        };
    }
    if let Some(whole) = open {
        each(range(whole));
    }
}

/// What a range of the copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Interpreter,
    State(usize),
    Chunk(usize),
    Outside(usize),
}

/// The copy of one sample.
#[derive(Debug, Default)]
pub(super) struct Copied {
    ranges: Vec<Range>,
    roles: Vec<Role>,
    /// Where each range starts in `buffer`.
    starts: Vec<usize>,
    buffer: Vec<u8>,
    /// How many bytes of `buffer` are good.
    good: usize,
    /// For each thread, its first range and the one past its last.
    threads: Vec<(usize, usize)>,
    /// For each thread, the range that holds the address of its innermost frame a second time, as it was
    /// after everything else of it had been copied.
    heads_again: Vec<Option<usize>>,
    wanted: usize,
}

impl Copied {
    fn clear(&mut self) {
        self.ranges.clear();
        self.roles.clear();
        self.starts.clear();
        self.threads.clear();
        self.heads_again.clear();
        self.wanted = 0;
        self.good = 0;
    }

    fn push(&mut self, range: Range, role: Role) {
        if range.len == 0 || self.wanted.saturating_add(range.len) > COPY_BYTES_MAX {
            return;
        }
        self.ranges.push(range);
        self.roles.push(role);
        self.starts.push(self.wanted);
        self.wanted += range.len;
    }

    fn push_head_again(&mut self, place: Option<u64>, thread: usize) {
        let range = self.ranges.len();
        if let Some(address) = place {
            self.push(Range { address, len: 8 }, Role::Outside(thread));
        }
        self.heads_again.push((self.ranges.len() > range).then_some(range));
    }

    /// The address of a thread's innermost frame as it was at the end of its part of the copy, read from
    /// `place`.
    pub(super) fn head_again(&self, thread: usize, place: u64) -> Option<u64> {
        let range = (*self.heads_again.get(thread)?)?;
        let start = self.starts[range];
        let is_there = self.ranges[range].address == place && start + 8 <= self.good;
        is_there.then(|| word(&self.buffer[start..start + 8]))
    }

    pub(super) fn fill(&mut self, memory: &dyn Memory) -> Result<(), MemoryError> {
        if self.buffer.len() < self.wanted {
            self.buffer.resize(self.wanted.next_power_of_two(), 0);
        }
        self.good = memory.read_many(&self.ranges, &mut self.buffer[..self.wanted])?;
        Ok(())
    }

    /// The copied bytes at `address`, out of the ranges of one thread.
    pub(super) fn thread_bytes(&self, thread: usize, address: u64, len: u64) -> Option<&[u8]> {
        let &(first, end) = self.threads.get(thread)?;
        self.bytes(first, end, address, len)
    }

    fn bytes(&self, first: usize, end: usize, address: u64, len: u64) -> Option<&[u8]> {
        let ranges = self.ranges.get(first..end)?;
        let (index, inside) = ranges.iter().enumerate().find_map(|(index, range)| {
            let inside = address.wrapping_sub(range.address);
            (inside.checked_add(len)? <= range.len as u64).then_some((first + index, inside))
        })?;
        let start = self.starts[index] + inside as usize;
        let end = start + len as usize;
        if end > self.good { None } else { self.buffer.get(start..end) }
    }

    /// As much as was copied from `address` on, at most `len` bytes.
    pub(super) fn thread_bytes_up_to(&self, thread: usize, address: u64, len: u64) -> &[u8] {
        (1..=len / 8)
            .rev()
            .find_map(|words| self.thread_bytes(thread, address, words * 8))
            .unwrap_or_default()
    }

    /// A word that was copied for the interpreters.
    fn interpreter_word(&self, address: u64) -> Option<u64> {
        let end = self.roles.iter().position(|role| *role != Role::Interpreter).unwrap_or(self.roles.len());
        self.bytes(0, end, address, 8).map(word)
    }

    /// The range at which the copy ended early.
    fn failed(&self) -> Option<(Range, Role)> {
        if self.good >= self.wanted {
            return None;
        }
        let index = self.starts.partition_point(|start| *start <= self.good).checked_sub(1)?;
        Some((self.ranges[index], self.roles[index]))
    }
}

/// A little-endian word of at most 8 bytes.
pub(super) fn word(bytes: &[u8]) -> u64 {
    let mut whole = [0; 8];
    let len = bytes.len().min(8);
    whole[..len].copy_from_slice(&bytes[..len]);
    u64::from_le_bytes(whole)
}

impl StackReader {
    /// Lists the ranges of the next copy. The innermost part of each thread comes right after its state,
    /// since these two are what a running thread changes.
    pub(super) fn plan(&mut self) {
        self.copied.clear();
        self.plan_interpreters();
        for index in 0..self.threads.len() {
            let first = self.copied.ranges.len();
            if self.threads[index].outcome == Outcome::Lost {
                self.plan_thread(index);
            }
            self.copied.threads.push((first, self.copied.ranges.len()));
            let head = match self.threads[index].outcome {
                Outcome::Lost => self.head_place(index),
                _ => None,
            };
            self.copied.push_head_again(head, index);
        }
    }

    /// Where the address of a thread's innermost frame lies, as far as the last copy tells.
    pub(super) fn head_place(&self, index: usize) -> Option<u64> {
        let thread = &self.threads[index];
        match self.layout.offsets.thread.cframe {
            ABSENT => Some(thread.state.wrapping_add(u64::from(self.layout.offsets.thread.frame))),
            _ => Some(thread.memory.record).filter(|place| *place != 0),
        }
    }

    fn plan_interpreters(&mut self) {
        let offsets = &self.layout.offsets;
        self.words.clear();
        let mut word = |base: u64, offset: u32| {
            if base != 0 && offset != ABSENT {
                self.words.push((base.wrapping_add(u64::from(offset)), 8));
            }
        };
        word(self.layout.runtime, offsets.runtime.gil_holder);
        word(self.layout.runtime, offsets.runtime.gc_collecting);
        for interpreter in &self.interpreters {
            word(interpreter.address, offsets.interpreter.threads_head);
            word(interpreter.address, offsets.interpreter.gc_collecting);
            if offsets.runtime.gil_holder == ABSENT {
                word(interpreter.gil, offsets.gil.last_holder);
                word(interpreter.gil, offsets.gil.locked);
            }
        }
        self.words.sort_unstable();
        merge(self.words.iter().copied(), &mut |range| self.copied.push(range, Role::Interpreter));
    }

    fn plan_thread(&mut self, index: usize) {
        let (low, high) = self.state_span();
        let frame_size = u64::from(self.layout.offsets.frame.head_size) + LOCALS_BYTES;
        let thread = &self.threads[index];
        let state = Range { address: thread.state.wrapping_add(low), len: (high - low) as usize };
        self.copied.push(state, Role::State(index));
        for chunk in thread.memory.chunks.iter().rev() {
            let len = chunk.used.min(chunk.size) as usize;
            self.copied.push(Range { address: chunk.address, len }, Role::Chunk(index));
        }
        thread.memory.outside.ranges(frame_size, &mut |range| self.copied.push(range, Role::Outside(index)));
    }

    /// The part of a thread state that holds all fields that a sample looks at.
    fn state_span(&self) -> (u64, u64) {
        let thread = &self.layout.offsets.thread;
        let fields = [
            thread.next,
            thread.interpreter,
            thread.frame,
            thread.cframe,
            thread.ident,
            thread.native_id,
            thread.datastack_chunk,
        ];
        let present = || fields.iter().filter(|offset| **offset != ABSENT).map(|offset| u64::from(*offset));
        (present().min().unwrap_or(0), present().max().unwrap_or(0) + 8)
    }

    /// A field of a thread state, out of the copy.
    pub(super) fn state_field(&self, index: usize, offset: u32) -> Option<u64> {
        let address = self.threads[index].state.wrapping_add(u64::from(offset));
        self.copied.thread_bytes(index, address, 8).map(word)
    }

    /// Whether the copy shows the threads that we know, in the order that we know.
    pub(super) fn lists_agree(&mut self) -> bool {
        if let Some((range, role)) = self.copied.failed() {
            match role {
                Role::Outside(index) => self.threads[index].memory.outside.forget(range),
                Role::Chunk(index) => self.threads[index].memory.chunks.clear(),
                Role::State(_) | Role::Interpreter => return false,
            }
        }
        let offsets = &self.layout.offsets;
        let heads_agree = self.interpreters.iter().all(|interpreter| {
            let address = interpreter.address.wrapping_add(u64::from(offsets.interpreter.threads_head));
            self.copied.interpreter_word(address) == Some(interpreter.threads_head)
        });
        heads_agree && (0..self.threads.len()).all(|index| self.neighbours_agree(index))
    }

    fn neighbours_agree(&self, index: usize) -> bool {
        let thread = &self.threads[index];
        if thread.outcome != Outcome::Lost {
            return true;
        }
        let offsets = &self.layout.offsets.thread;
        let next = match self.threads.get(index + 1) {
            Some(next) if next.interpreter == thread.interpreter => next.state,
            _ => 0,
        };
        // A state that lies behind a range that could not be read is not known to disagree.
        let agrees = |offset, expected| self.state_field(index, offset).is_none_or(|found| found == expected);
        agrees(offsets.next, next)
            && agrees(offsets.interpreter, self.interpreters[thread.interpreter].address)
    }

    /// Takes over what the copy says of the GIL, the collector and the threads' numbers.
    pub(super) fn read_states(&mut self) {
        let offsets = self.layout.offsets.clone();
        let runtime_word = |offset: u32| match offset {
            ABSENT => None,
            offset => self.copied.interpreter_word(self.layout.runtime + u64::from(offset)),
        };
        let runtime_holder = runtime_word(offsets.runtime.gil_holder);
        let runtime_collecting = runtime_word(offsets.runtime.gc_collecting);
        let mut holders = Vec::with_capacity(self.interpreters.len());
        for interpreter in &mut self.interpreters {
            let field = |base: u64, offset: u32| match offset {
                ABSENT => None,
                offset => self.copied.interpreter_word(base.wrapping_add(u64::from(offset))),
            };
            let collecting =
                field(interpreter.address, offsets.interpreter.gc_collecting).or(runtime_collecting);
            interpreter.collecting = collecting.is_some_and(|flag| flag as u32 == 1);
            let locked = || field(interpreter.gil, offsets.gil.locked).is_some_and(|flag| flag as u32 == 1);
            let holder = runtime_holder.or_else(|| {
                let holder = field(interpreter.gil, offsets.gil.last_holder)?;
                locked().then_some(holder)
            });
            holders.push(holder.unwrap_or(0));
        }
        for index in 0..self.threads.len() {
            let ident = self.state_field(index, offsets.thread.ident);
            let native_id = match offsets.thread.native_id {
                ABSENT => None,
                offset => self.state_field(index, offset).and_then(|number| u32::try_from(number).ok()),
            };
            let thread = &mut self.threads[index];
            thread.holds_gil = self.layout.has_gil && holders[thread.interpreter] == thread.state;
            thread.ident = ident.unwrap_or(thread.ident);
            thread.native_id = native_id.unwrap_or(thread.native_id);
        }
    }

    /// Brings the list of a thread's chunks up to date with the newest one that the copy shows. Returns
    /// whether the copy holds all of them.
    pub(super) fn follow_chunks(&mut self, memory: &dyn Memory, index: usize) -> bool {
        let Some(newest) = self.state_field(index, self.layout.offsets.thread.datastack_chunk) else {
            return false;
        };
        let offsets = &self.layout.offsets.chunk;
        let chunks = &mut self.threads[index].memory.chunks;
        if chunks.last().map_or(0, |chunk| chunk.address) == newest {
            return true;
        }
        if let Some(position) = chunks.iter().position(|chunk| chunk.address == newest) {
            chunks.truncate(position + 1);
            return true;
        }
        // New ones: follow them down to one that is known.
        let mut fresh = Vec::new();
        let mut address = newest;
        let mut kept = 0;
        while address != 0 {
            if let Some(position) = chunks.iter().position(|chunk| chunk.address == address) {
                kept = position + 1;
                break;
            }
            let field = |offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset)));
            let (Ok(previous), Ok(size)) = (field(offsets.previous), field(offsets.size)) else {
                return false;
            };
            let sane = (u64::from(offsets.data)..COPY_BYTES_MAX as u64).contains(&size);
            if !sane || fresh.len() >= super::CHUNKS_MAX || self.single_reads_left < 2 {
                return false;
            }
            self.single_reads_left -= 2;
            fresh.push(Chunk { address, size, used: size.min(16 << 10) });
            address = previous;
        }
        chunks.truncate(kept);
        chunks.extend(fresh.into_iter().rev());
        // The outermost frame lies at the start of the oldest chunk, whose first slot stays free.
        let root = chunks.first().map_or(0, |chunk| chunk.address + u64::from(offsets.data) + 8);
        self.threads[index].memory.root = root;
        false
    }

    /// Notes that a walk needed `address`, so that the next copy holds it.
    pub(super) fn expect(thread: &mut Thread, address: u64, frame_size: u64) {
        let chunk = thread
            .memory
            .chunks
            .iter_mut()
            .find(|chunk| (chunk.address..chunk.address.saturating_add(chunk.size)).contains(&address));
        match chunk {
            Some(chunk) => {
                let needed = (address - chunk.address).saturating_add(frame_size + CHUNK_SLACK_BYTES);
                chunk.used = chunk.used.max(needed).min(chunk.size);
            }
            None => thread.memory.outside.touch(address),
        }
    }

    /// Lets the copied part of the newest chunk shrink slowly to what the last walks needed.
    pub(super) fn settle(thread: &mut Thread, innermost: u64, frame_size: u64) {
        let Some(chunk) = thread.memory.chunks.last_mut() else {
            return;
        };
        let needed = innermost.checked_sub(chunk.address).filter(|inside| *inside < chunk.size).unwrap_or(0);
        let needed = (needed + frame_size + CHUNK_SLACK_BYTES).min(chunk.size);
        chunk.used = chunk.used.max(needed);
        chunk.used -= (chunk.used - needed) / 64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(places: &[u64]) -> Vec<(u64, usize)> {
        let mut outside = Outside::default();
        places.iter().for_each(|place| outside.touch(*place));
        let mut found = Vec::new();
        outside.ranges(100, &mut |range| found.push((range.address, range.len)));
        found
    }

    #[test]
    fn neighbours_are_copied_as_one_range() {
        assert_eq!(ranges(&[]), []);
        assert_eq!(ranges(&[5000, 1000, 1050, 90_000]), [(1000, 150), (5000, 100), (90_000, 100)]);
        assert_eq!(ranges(&[1000, 3000, 5000]), [(1000, 4100)]);
        assert_eq!(ranges(&[u64::MAX - 10]), [(u64::MAX - 10, 10)]);
    }

    #[test]
    fn a_place_that_is_not_needed_is_forgotten_in_the_end() {
        let mut outside = Outside::default();
        outside.touch(1000);
        (0..OUTSIDE_AGE_MAX).for_each(|_| outside.age());
        outside.touch(2000);
        outside.age();
        assert_eq!(outside.places, [(2000, 1)]);
    }
}
