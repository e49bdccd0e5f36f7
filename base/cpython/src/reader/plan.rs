//! What one sample copies, and where in the copy an address is found.

use super::outside::merge;
use super::{Chunk, Outcome, StackReader, Thread};
use crate::memory::{Memory, MemoryError, Range};
use crate::offsets::ABSENT;

/// Bytes copied beyond what the last samples needed of the newest chunk: room for a few more calls.
const CHUNK_SLACK_BYTES: u64 = 1024;

/// Bytes below the innermost frame in which calls are expected to come and go between two samples.
const MOVING_BYTES: u64 = 2048;

/// The part of a chunk below that is copied on its own only where it is longer than this: an own range costs
/// as much.
const SPLIT_MIN_BYTES: u64 = 2048;

/// Valid samples in a row after which a thread's innermost frame is expected to lead to a stack at once.
pub(super) const STEADY_SAMPLES: u32 = 256;

/// Bytes of a frame that follow its head and take part in the fingerprint: its first local variables.
pub(super) const LOCALS_BYTES: u64 = 64;

/// Everything copied for one sample beyond this is given up: no stack that works is that deep.
const COPY_BYTES_MAX: usize = 64 << 20;

/// What a range of the copy is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Interpreter,
    State(usize),
    CStack(usize),
    Chunk(usize),
    Outside(usize),
}

/// Which ranges of the copy are one thread's.
#[derive(Clone, Copy, Debug, Default)]
struct ThreadRanges {
    /// The record that is expected to name the innermost frame, as it was before all else was copied; `first`
    /// where there is none.
    record: usize,
    first: usize,
    /// Those of [`Role::Outside`], first those where calls come and go, then the others; each sorted by address.
    moving: (usize, usize),
    resting: (usize, usize),
    end: usize,
    /// From `end` to here: where the innermost frame is named, as it was after all else had been copied.
    again_end: usize,
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
    threads: Vec<ThreadRanges>,
    /// The first range of the interpreters' words, which come last.
    interpreters_first: usize,
    wanted: usize,
}

impl Copied {
    fn clear(&mut self) {
        self.ranges.clear();
        self.roles.clear();
        self.starts.clear();
        self.threads.clear();
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

    pub(super) fn fill(&mut self, memory: &dyn Memory) -> Result<(), MemoryError> {
        if self.buffer.len() < self.wanted {
            self.buffer.resize(self.wanted.next_power_of_two(), 0);
        }
        self.good = memory.read_many(&self.ranges, &mut self.buffer[..self.wanted])?;
        Ok(())
    }

    /// The copied bytes at `address`, out of the ranges of one thread.
    pub(super) fn thread_bytes(&self, thread: usize, address: u64, len: u64) -> Option<&[u8]> {
        self.part(self.holder(thread, address, len)?, address, len)
    }

    /// The same, looked for first in the range `near`, which becomes the one that holds them.
    pub(super) fn thread_bytes_near(
        &self,
        thread: usize,
        address: u64,
        len: u64,
        near: &mut Option<usize>,
    ) -> Option<&[u8]> {
        if let Some(found) = near.and_then(|near| self.part(near, address, len)) {
            return Some(found);
        }
        *near = self.holder(thread, address, len);
        self.part((*near)?, address, len)
    }

    /// The range of one thread that holds the bytes at `address`.
    fn holder(&self, thread: usize, address: u64, len: u64) -> Option<usize> {
        let ranges = self.threads.get(thread)?;
        self.holder_sorted(ranges.moving, address, len)
            .or_else(|| self.holder_among(ranges.first, ranges.moving.0, address, len))
            .or_else(|| self.holder_sorted(ranges.resting, address, len))
            .or_else(|| self.holder_among(ranges.resting.1, ranges.end, address, len))
    }

    /// The word at `address` as it was before everything else of the thread was copied; `None` for what is not
    /// copied then.
    pub(super) fn record_before(&self, thread: usize, address: u64) -> Option<u64> {
        let ranges = self.threads.get(thread)?;
        self.bytes(ranges.record, ranges.first, address, 8).map(word)
    }

    /// The copied bytes at `address`, as they were after everything else of the thread had been copied; `None` for what
    /// is not copied then.
    pub(super) fn thread_bytes_again(&self, thread: usize, address: u64, len: u64) -> Option<&[u8]> {
        let ranges = self.threads.get(thread)?;
        self.bytes(ranges.end, ranges.again_end, address, len)
    }

    /// How many bytes were copied of one thread.
    pub(super) fn thread_len(&self, thread: usize) -> usize {
        let Some(ranges) = self.threads.get(thread) else { return 0 };
        self.ranges.get(ranges.first..ranges.end).unwrap_or_default().iter().map(|range| range.len).sum()
    }

    /// Likewise in ranges that are sorted by address.
    fn holder_sorted(&self, (first, end): (usize, usize), address: u64, len: u64) -> Option<usize> {
        let ranges = self.ranges.get(first..end)?;
        let holder = first + ranges.partition_point(|range| range.address <= address).checked_sub(1)?;
        self.part(holder, address, len).map(|_| holder)
    }

    fn holder_among(&self, first: usize, end: usize, address: u64, len: u64) -> Option<usize> {
        (first..end.min(self.ranges.len())).find(|holder| self.part(*holder, address, len).is_some())
    }

    fn bytes(&self, first: usize, end: usize, address: u64, len: u64) -> Option<&[u8]> {
        self.part(self.holder_among(first, end, address, len)?, address, len)
    }

    /// The copied bytes at `address`, if this range holds them and was copied.
    fn part(&self, holder: usize, address: u64, len: u64) -> Option<&[u8]> {
        let range = self.ranges.get(holder)?;
        let inside = address.wrapping_sub(range.address);
        if inside.checked_add(len)? > range.len as u64 {
            return None;
        }
        let start = self.starts[holder] + inside as usize;
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
        self.bytes(self.interpreters_first, self.ranges.len(), address, 8).map(word)
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

impl Chunk {
    /// The part around the innermost frame, and the part below it; they overlap by one frame. The first is to
    /// be copied right after the thread's state: what is named there as innermost frame may be another
    /// function's a few microseconds later.
    fn halves(&self, frame_size: u64) -> (Range, Range) {
        let used = self.used.min(self.size);
        let split = self.innermost.saturating_sub(MOVING_BYTES);
        let range = |start: u64, end: u64| Range {
            address: self.address.wrapping_add(start),
            len: end.saturating_sub(start) as usize,
        };
        if split < SPLIT_MIN_BYTES || split + frame_size > used {
            return (range(0, used), range(0, 0));
        }
        (range(split, used), range(0, split + frame_size))
    }
}

impl StackReader {
    /// Lists the ranges of the next copy: what names the innermost frame, then that frame and those around it,
    /// since these are what a running thread changes, then all that rests.
    ///
    /// Nothing is read before that name: a core that is asked for what it has just written stands still for a
    /// moment, and what it did there would be seen more often than it is done.
    pub(super) fn plan(&mut self) {
        self.copied.clear();
        for index in 0..self.threads.len() {
            let ranges = match self.threads[index].outcome {
                Outcome::Lost => self.plan_thread(index),
                _ => ThreadRanges::default(),
            };
            self.copied.threads.push(ranges);
        }
        self.copied.interpreters_first = self.copied.ranges.len();
        self.plan_interpreters();
    }

    fn plan_interpreters(&mut self) {
        let offsets = &self.layout.offsets;
        self.words.clear();
        let mut word = |base: u64, offset: u32| {
            if base != 0 && offset != ABSENT {
                self.words.push((base.wrapping_add(u64::from(offset)), 8));
            }
        };
        word(self.layout.runtime, offsets.runtime.interpreters_head);
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

    fn plan_thread(&mut self, index: usize) -> ThreadRanges {
        let (low, high) = self.state_span();
        let offsets = &self.layout.offsets;
        let frame_size = u64::from(offsets.frame.head_size) + LOCALS_BYTES;
        let thread = &self.threads[index];
        let copied = &mut self.copied;
        let push_c_stack = |copied: &mut Copied| {
            let c_stack = &thread.memory.c_stack;
            c_stack.c_stack_ranges(frame_size, &mut |range| copied.push(range, Role::CStack(index)));
        };
        let has_records = offsets.thread.cframe != ABSENT;
        let record = copied.ranges.len();
        if has_records && thread.memory.record != 0 {
            copied.push(Range { address: thread.memory.record, len: 8 }, Role::CStack(index));
        }
        let first = copied.ranges.len();
        let state = Range { address: thread.state.wrapping_add(low), len: (high - low) as usize };
        copied.push(state, Role::State(index));
        let chunk_range =
            |chunk: &Chunk| Range { address: chunk.address, len: chunk.used.min(chunk.size) as usize };
        let mut chunks = thread.memory.chunks.iter().rev();
        if let Some(newest) = chunks.next() {
            let (moving, resting) = newest.halves(frame_size);
            copied.push(moving, Role::Chunk(index));
            copied.push(resting, Role::Chunk(index));
        }
        push_c_stack(copied);
        let outside = &thread.memory.outside;
        let moving_first = copied.ranges.len();
        outside.moving_ranges(frame_size, &mut |range| copied.push(range, Role::Outside(index)));
        let resting_first = copied.ranges.len();
        outside.resting_ranges(frame_size, &mut |range| copied.push(range, Role::Outside(index)));
        let (moving, resting) = ((moving_first, resting_first), (resting_first, copied.ranges.len()));
        chunks.for_each(|chunk| copied.push(chunk_range(chunk), Role::Chunk(index)));
        let end = copied.ranges.len();
        if thread.memory.steady < STEADY_SAMPLES || self.layout.has_chunks() {
            let head = if has_records { offsets.thread.cframe } else { offsets.thread.frame };
            let address = thread.state.wrapping_add(u64::from(head));
            copied.push(Range { address, len: 8 }, Role::State(index));
            if has_records {
                push_c_stack(copied);
            }
        }
        ThreadRanges { record, first, moving, resting, end, again_end: copied.ranges.len() }
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
                Role::CStack(index) => self.threads[index].memory.c_stack.forget(range),
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
        // A new interpreter comes first in the list.
        let newest = self.layout.runtime.wrapping_add(u64::from(offsets.runtime.interpreters_head));
        let is_newest = self.interpreters.first().map(|interpreter| interpreter.address);
        heads_agree
            && self.copied.interpreter_word(newest) == is_newest
            && (0..self.threads.len()).all(|index| self.neighbours_agree(index))
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
        let offsets = &self.layout.offsets;
        let runtime_word = |offset: u32| match offset {
            ABSENT => None,
            offset => self.copied.interpreter_word(self.layout.runtime.wrapping_add(u64::from(offset))),
        };
        let runtime_holder = runtime_word(offsets.runtime.gil_holder);
        let runtime_collecting = runtime_word(offsets.runtime.gc_collecting);
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
            interpreter.gil_holder = holder.unwrap_or(0);
        }
        for index in 0..self.threads.len() {
            let ident = self.state_field(index, offsets.thread.ident);
            let native_id = match offsets.thread.native_id {
                ABSENT => None,
                offset => self.state_field(index, offset).and_then(|number| u32::try_from(number).ok()),
            };
            let thread = &mut self.threads[index];
            let gil_holder = self.interpreters[thread.interpreter].gil_holder;
            thread.holds_gil = self.layout.has_gil && gil_holder == thread.state;
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
            fresh.push(Chunk { address, size, used: size.min(16 << 10), innermost: 0 });
            address = previous;
        }
        chunks.truncate(kept);
        chunks.extend(fresh.into_iter().rev());
        // The outermost frame lies at the start of the oldest chunk, whose first slot stays free.
        let root = chunks.first().map_or(0, |chunk| chunk.address.wrapping_add(u64::from(offsets.data) + 8));
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
        chunk.innermost = needed;
        let needed = (needed + frame_size + CHUNK_SLACK_BYTES).min(chunk.size);
        chunk.used = chunk.used.max(needed);
        chunk.used -= (chunk.used - needed) / 64;
    }
}
