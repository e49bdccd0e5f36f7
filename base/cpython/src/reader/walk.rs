//! The walk from a thread's innermost frame to its root, inside one copy.

use super::plan::word;
use super::{DEPTH_MAX, Frame, Outcome, StackReader};
use crate::memory::Memory;
use crate::offsets::ABSENT;

/// Copies in a row that must end at the same unexpected outermost frame before it counts as the root.
///
/// A frame that was left while it was copied looks like an outermost one too; with a single frame on the
/// stack the two cannot be told apart otherwise, so that more agreement is asked for.
const ROOT_AGREEMENTS: u32 = 3;
const ROOT_AGREEMENTS_ALONE: u32 = 5;

/// The more often a root has been confirmed, the more agreement it takes to believe in another one: a
/// generator that was left while it was copied looks like a new root, again and again.
const ROOT_CONFIRMATIONS_PER_AGREEMENT: u32 = 4;
const ROOT_AGREEMENTS_MAX: u32 = 20;

/// Frames followed by single reads, some 1.2 µs each, for one try. A deeper stack is learnt over several.
const CHASE_MAX: usize = 500;

/// Innermost frames of a valid stack whose callers are remembered, for when they return while they are copied.
const CALLERS_LEARNT: usize = 16;

/// Owners that are the interpreter's own entry records, not frames of Python functions.
const OWNERS_ENTRY: std::ops::RangeInclusive<u8> = 3..=4;

/// Which of the two copies of what names the innermost frame.
#[derive(Clone, Copy)]
enum Moment {
    /// Made before everything else of the thread.
    First,
    /// Made after it.
    Again,
}

/// A frame as it was copied.
pub(super) struct CopiedFrame {
    pub(super) frame: Frame,
    /// The address of the frame that called it; 0 when none did.
    pub(super) caller: u64,
    /// It is the interpreter's own record of being entered, not the frame of a Python function.
    pub(super) is_entry: bool,
}

/// How a walk ended.
#[derive(Clone, Copy)]
pub(super) enum Walked {
    /// At the root.
    Rooted,
    /// At a frame that was left while it was copied.
    Broken,
    /// At a frame that the copy does not hold.
    Missing(u64),
    /// At the C-stack record of 3.11 and 3.12 that names the innermost frame: the copy does not hold it.
    MissingRecord(u64),
    /// At an outermost frame that is not the known root: the root itself may be new.
    OtherRoot(u64),
}

impl StackReader {
    /// Walks every thread that has no valid stack yet. Returns whether all have one now.
    pub(super) fn walk_threads(&mut self, memory: &dyn Memory) -> bool {
        let mut all = true;
        for index in 0..self.threads.len() {
            if self.threads[index].outcome == Outcome::Lost {
                self.threads[index].tries += 1;
                all &= self.walk_thread(memory, index);
            }
        }
        all
    }

    fn walk_thread(&mut self, memory: &dyn Memory, index: usize) -> bool {
        if self.layout.has_chunks() && !self.follow_chunks(memory, index) {
            return false;
        }
        let mut stack = std::mem::take(&mut self.scratch);
        let mut visited = std::mem::take(&mut self.visited);
        stack.clear();
        visited.clear();
        let first = self.innermost(index, Moment::First, &mut |place| visited.push(place));
        let mut walked = match first {
            Ok(innermost) => self.walk(index, innermost, &mut stack, &mut visited),
            Err(walked) => walked,
        };
        if !matches!(walked, Walked::Rooted) {
            self.threads[index].memory.steady = 0;
        } else if self.has_shrunk(index, &stack) {
            walked = Walked::Broken;
        }
        let mut mended = false;
        let mut other = std::mem::take(&mut self.scratch_again);
        if matches!(walked, Walked::Broken | Walked::OtherRoot(_))
            && let Ok(innermost) = first
            && self.mend(memory, index, innermost, &mut other, &mut visited)
        {
            walked = Walked::Rooted;
            mended = true;
            std::mem::swap(&mut stack, &mut other);
        }
        // The record that names the innermost frame, or that frame, has been left while the rest was copied:
        // what took its place belongs to the same moment as the rest.
        if !matches!(walked, Walked::Rooted)
            && let Ok(innermost) = self.innermost(index, Moment::Again, &mut |place| visited.push(place))
            && innermost != 0
            && first.ok() != Some(innermost)
        {
            other.clear();
            let walked_again = self.walk(index, innermost, &mut other, &mut visited);
            for walked in [walked, walked_again] {
                if let Walked::Missing(address) = walked {
                    self.learn_missing(memory, index, address);
                }
            }
            if matches!(walked_again, Walked::Rooted) {
                walked = Walked::Rooted;
                std::mem::swap(&mut stack, &mut other);
            }
        }
        self.scratch_again = other;
        let thread = &mut self.threads[index];
        let valid = match walked {
            Walked::Rooted => {
                thread.memory.root_confirmations = thread.memory.root_confirmations.saturating_add(1);
                thread.memory.root_candidate = (0, 0);
                true
            }
            Walked::Broken => false,
            Walked::Missing(address) => {
                self.learn_missing(memory, index, address);
                false
            }
            Walked::MissingRecord(address) => {
                thread.memory.c_stack.touch(address);
                false
            }
            Walked::OtherRoot(address) => {
                let root = thread.memory.root;
                // Something has called what was taken for the root: it never was, or is not any more.
                if !self.layout.has_chunks() && stack.iter().any(|(address, _)| *address == root) {
                    thread.memory.root = 0;
                    thread.memory.root_confirmations = 0;
                }
                self.agree_on_root(index, address, stack.len())
            }
        };
        if valid {
            self.threads[index].mended = mended;
            if self.code_type == 0
                && let Some((_, outermost)) = stack.last()
            {
                let place = outermost.code.wrapping_add(u64::from(self.layout.offsets.object.ob_type));
                self.code_type = memory.read_u64(place).unwrap_or(0);
            }
            self.accept(index, &stack, &visited);
        }
        self.scratch = stack;
        self.visited = visited;
        valid
    }

    /// The walk itself; appends (address, frame) to `stack`, innermost first, and to `visited` every other
    /// address that it needed.
    pub(super) fn walk(
        &self,
        index: usize,
        innermost: u64,
        stack: &mut Vec<(u64, Frame)>,
        visited: &mut Vec<u64>,
    ) -> Walked {
        let root = self.threads[index].memory.root;
        let has_chunks = self.layout.has_chunks();
        let mut address = innermost;
        if address == 0 {
            return Walked::Rooted;
        }
        let mut entered_by_interpreter = false;
        let mut near = None;
        let depth_max = self.depth_max(index);
        for _ in 0..depth_max {
            if address == 0 {
                return match stack.last() {
                    _ if entered_by_interpreter => Walked::Rooted,
                    Some(&(outermost, _)) => Walked::OtherRoot(outermost),
                    None => Walked::Broken,
                };
            }
            let Some(copied) = self.copied_frame_near(index, address, &mut near) else {
                return Walked::Missing(address);
            };
            entered_by_interpreter = copied.is_entry;
            if copied.is_entry {
                visited.push(address);
                // The record lies between the frame that it was made for and the frame that called.
                if let Some((_, entered)) = stack.last_mut() {
                    entered.entered = true;
                }
            } else {
                stack.push((address, copied.frame));
                // Up to 3.10 the root is learnt, and may have been learnt wrongly: nothing calls a true one.
                if address == root && (has_chunks || copied.caller == 0) {
                    return Walked::Rooted;
                }
            }
            address = copied.caller;
        }
        Walked::Broken
    }

    /// What was copied of the frame at an address.
    pub(super) fn copied_frame(&self, index: usize, address: u64) -> Option<CopiedFrame> {
        self.copied_frame_near(index, address, &mut None)
    }

    /// The same, looked for first where the frame before it was found: a deep stack lies in one piece.
    fn copied_frame_near(&self, index: usize, address: u64, near: &mut Option<usize>) -> Option<CopiedFrame> {
        let offsets = &self.layout.offsets.frame;
        let bytes = self.copied.thread_bytes_near(index, address, u64::from(offsets.head_size), near)?;
        let field =
            |offset: u32, len: usize| bytes.get(offset as usize..offset as usize + len).map_or(0, word);
        let owner = if offsets.owner == ABSENT { 0 } else { field(offsets.owner, 1) as u8 };
        let instruction_len = if self.layout.has_chunks() { 8 } else { 4 };
        let frame = Frame {
            // 3.14 keeps a tag in the low bits of the reference to the code object.
            code: field(offsets.code, 8) & !7,
            instruction: field(offsets.instruction, instruction_len),
            entered: match self.layout.version.minor {
                ..=10 => true,
                // `is_entry` stands right before the owner.
                11 => field(offsets.owner - 1, 1) != 0,
                // The interpreter's own records tell.
                _ => false,
            },
        };
        Some(CopiedFrame {
            frame,
            caller: field(offsets.previous, 8),
            is_entry: OWNERS_ENTRY.contains(&owner),
        })
    }

    /// No stack has more frames than fit into what was copied: a walk that goes on is going round in circles.
    fn depth_max(&self, index: usize) -> usize {
        let head_size = self.layout.offsets.frame.head_size.max(8) as usize;
        (self.copied.thread_len(index) / head_size + 1).min(DEPTH_MAX)
    }

    /// The innermost frame of a thread; 0 when it runs no Python code.
    fn innermost(&self, index: usize, moment: Moment, visit: &mut dyn FnMut(u64)) -> Result<u64, Walked> {
        let offsets = &self.layout.offsets.thread;
        let read = |address: u64| match moment {
            Moment::First => self.copied.thread_bytes(index, address, 8).map(word),
            Moment::Again => self.copied.thread_bytes_again(index, address, 8).map(word),
        };
        let field = |offset: u32| self.threads[index].state.wrapping_add(u64::from(offset));
        if offsets.cframe == ABSENT {
            return read(field(offsets.frame)).ok_or(Walked::Broken);
        }
        let record = read(field(offsets.cframe)).ok_or(Walked::Broken)?;
        let place = record.wrapping_add(u64::from(offsets.cframe_frame));
        visit(place);
        let before = match moment {
            Moment::First => self.copied.record_before(index, place),
            Moment::Again => None,
        };
        before.or_else(|| read(place)).ok_or(Walked::MissingRecord(place))
    }

    /// Whether the innermost frame and its caller were both left while the rest was copied, so that other calls may have
    /// taken the place of frames between them and the root: from 3.11 on nothing in a frame says so. That the innermost
    /// frame alone was left is no harm: what it was is known, and its caller stands.
    fn has_shrunk(&self, index: usize, stack: &[(u64, Frame)]) -> bool {
        if !self.layout.has_chunks() {
            return false;
        }
        let [(innermost, _), (caller, _), ..] = stack else { return false };
        let Ok(last) = self.innermost(index, Moment::Again, &mut |_| ()) else { return false };
        let in_chunk = |chunk: &super::Chunk, address: u64| address.wrapping_sub(chunk.address) < chunk.size;
        let chunks = &self.threads[index].memory.chunks;
        last < *innermost
            && last != *caller
            && chunks.iter().any(|chunk| in_chunk(chunk, *innermost) && in_chunk(chunk, last))
    }

    /// Has the next copy hold a frame that this one lacks, if it is one.
    fn learn_missing(&mut self, memory: &dyn Memory, index: usize, address: u64) {
        if self.is_entry(memory, address) {
            self.threads[index].memory.c_stack.touch(address);
        } else if self.is_frame(memory, address) {
            let frame_size = u64::from(self.layout.offsets.frame.head_size);
            Self::expect(&mut self.threads[index], address, frame_size);
        } else {
            return;
        }
        // A miss is likely to be followed by others down the same stack: find them all now.
        self.chase(memory, index, address);
    }

    /// Whether one of the interpreter's own entry records lies at an address, as far as one byte can tell.
    fn is_entry(&mut self, memory: &dyn Memory, address: u64) -> bool {
        let owner = self.layout.offsets.frame.owner;
        if owner == ABSENT || self.single_reads_left == 0 {
            return false;
        }
        self.single_reads_left -= 1;
        let mut byte = [0];
        memory.read(address.wrapping_add(u64::from(owner)), &mut byte).is_ok()
            && OWNERS_ENTRY.contains(&byte[0])
    }

    /// Whether a frame with a code object lies at an address; `true` as long as no code object is known that
    /// others could be compared with.
    fn is_frame(&mut self, memory: &dyn Memory, address: u64) -> bool {
        if self.code_type == 0 {
            return true;
        }
        if self.single_reads_left < 2 {
            return false;
        }
        self.single_reads_left -= 2;
        let offsets = &self.layout.offsets;
        let code = memory.read_u64(address.wrapping_add(u64::from(offsets.frame.code)));
        code.is_ok_and(|code| {
            memory.read_u64((code & !7).wrapping_add(u64::from(offsets.object.ob_type))) == Ok(self.code_type)
        })
    }

    /// Follows the stack by single reads from a missing frame on, to learn all that the next copy needs.
    /// What is read here is never reported: it belongs to many moments, and may lead round in circles.
    fn chase(&mut self, memory: &dyn Memory, index: usize, missing: u64) {
        let frame = &self.layout.offsets.frame;
        let frame_size = u64::from(frame.head_size);
        let previous_offset = u64::from(frame.previous);
        let mut address = missing;
        for _ in 0..CHASE_MAX {
            // The rest of a chunk is copied as a whole: nothing in it needs to be followed.
            if self.widen_chunk(index, address) {
                return;
            }
            if self.single_reads_left == 0 {
                return;
            }
            self.single_reads_left -= 1;
            match memory.read_u64(address.wrapping_add(previous_offset)) {
                Ok(previous) if previous != 0 => address = previous,
                _ => return,
            }
            if self.copied.thread_bytes(index, address, frame_size).is_some() {
                return;
            }
            Self::expect(&mut self.threads[index], address, frame_size);
        }
    }

    /// Copies the whole of the chunk that holds an address from now on; `false` when none does.
    fn widen_chunk(&mut self, index: usize, address: u64) -> bool {
        let chunks = &mut self.threads[index].memory.chunks;
        match chunks.iter_mut().find(|chunk| address.wrapping_sub(chunk.address) < chunk.size) {
            Some(chunk) => {
                chunk.used = chunk.size;
                true
            }
            None => false,
        }
    }

    /// Whether an outermost frame other than the expected one may be taken for the root.
    ///
    /// Up to 3.10 a new root is learnt here. From 3.11 on the root is known, and another one is right only
    /// for a stack whose outermost frame lies outside the chunks: a generator that C code resumes.
    fn agree_on_root(&mut self, index: usize, outermost: u64, depth: usize) -> bool {
        let has_chunks = self.layout.has_chunks();
        let memory = &mut self.threads[index].memory;
        let in_chunk = |chunk: &super::Chunk| outermost.wrapping_sub(chunk.address) < chunk.size;
        if memory.chunks.iter().any(in_chunk) {
            return false;
        }
        // Copies a few microseconds apart can all show one and the same call; samples hardly can.
        let is_new_sample = memory.root_confirmations == 0 || self.threads[index].tries == 1;
        let memory = &mut self.threads[index].memory;
        let (candidate, agreements) = memory.root_candidate;
        let agreements = match candidate == outermost {
            true if is_new_sample => agreements.saturating_add(1),
            true => agreements,
            false => 1,
        };
        memory.root_candidate = (outermost, agreements);
        let least = if depth > 1 { ROOT_AGREEMENTS } else { ROOT_AGREEMENTS_ALONE };
        let needed = memory.root_confirmations / ROOT_CONFIRMATIONS_PER_AGREEMENT;
        if agreements < needed.clamp(least, ROOT_AGREEMENTS_MAX) {
            return false;
        }
        memory.root_confirmations = 0;
        if !has_chunks {
            memory.root = outermost;
        }
        true
    }

    /// Takes over a valid stack: (address, frame), innermost first.
    fn accept(&mut self, index: usize, stack: &[(u64, Frame)], visited: &[u64]) {
        let frame_size = u64::from(self.layout.offsets.frame.head_size);
        let locals = match stack.first() {
            Some(&(address, _)) => {
                let end = address.wrapping_add(frame_size);
                fingerprint(self.copied.thread_bytes_up_to(index, end, super::plan::LOCALS_BYTES))
            }
            None => 0,
        };
        let learns_callers = !self.layout.has_chunks();
        let has_records = self.layout.offsets.thread.cframe != ABSENT;
        let keeps_addresses = self.keeps_addresses;
        let thread = &mut self.threads[index];
        if keeps_addresses {
            thread.addresses.clear();
            thread.addresses.extend(stack.iter().rev().map(|(address, _)| *address));
        }
        if thread.memory.outside.wants_to_know() {
            // Frames in chunks are no news; what `expect` would do for them, `settle` does.
            let in_chunk = |address: u64| {
                let inside = |chunk: &super::Chunk| address.wrapping_sub(chunk.address) < chunk.size;
                thread.memory.chunks.iter().any(inside)
            };
            let outside: Vec<u64> =
                stack.iter().map(|(address, _)| *address).filter(|address| !in_chunk(*address)).collect();
            outside.iter().for_each(|address| thread.memory.outside.touch(*address));
        }
        if learns_callers && !thread.mended {
            for pair in stack.windows(2).take(CALLERS_LEARNT) {
                thread.memory.outside.learn_caller(pair[0].0, pair[0].1, pair[1].0);
            }
        }
        let same = |((_, new), old): &(&(u64, Frame), &Frame)| new == *old;
        thread.unchanged = stack.iter().rev().zip(&thread.frames).take_while(same).count();
        thread.frames.truncate(thread.unchanged);
        thread.frames.extend(stack.iter().rev().skip(thread.unchanged).map(|(_, frame)| *frame));
        thread.fingerprint = match stack.first() {
            Some((address, frame)) => mix(mix(locals, *address), frame.instruction),
            None => 0,
        };
        thread.outcome = Outcome::Valid;
        thread.memory.outside.age();
        thread.memory.c_stack.age();
        thread.memory.steady = thread.memory.steady.saturating_add(1);
        if has_records {
            thread.memory.record = visited.first().copied().unwrap_or(0);
        }
        visited.iter().for_each(|address| thread.memory.c_stack.touch(*address));
        Self::settle(thread, stack.first().map_or(0, |(address, _)| *address), frame_size);
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(1, |hash, part| mix(hash, word(part)))
}
