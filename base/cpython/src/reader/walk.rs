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

/// Owners from this one on are the interpreter's own entry records, not frames of Python functions.
const OWNER_ENTRY: u8 = 3;

/// How a walk ended.
enum Walked {
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
        let first = self.innermost(index, &mut visited);
        let mut walked = match first {
            // The stack has shrunk while it was copied: what lay above is gone, and may be anything by now.
            Ok(innermost) if self.has_shrunk(index, innermost) => Walked::Broken,
            Ok(innermost) => self.walk(index, innermost, &mut stack, &mut visited),
            Err(walked) => walked,
        };
        // The innermost frame has been left while the rest was copied, as happens with the shortest functions
        // most: the frame that took its place belongs to the same moment as the rest.
        if !matches!(walked, Walked::Rooted)
            && let Some(innermost) = self.innermost_again(index)
            && stack.first().is_none_or(|(address, _)| *address != innermost)
        {
            let mut again = std::mem::take(&mut self.scratch_again);
            again.clear();
            if matches!(self.walk(index, innermost, &mut again, &mut visited), Walked::Rooted) {
                walked = Walked::Rooted;
                std::mem::swap(&mut stack, &mut again);
            }
            self.scratch_again = again;
        }
        let frame_size = u64::from(self.layout.offsets.frame.head_size);
        let thread = &mut self.threads[index];
        let valid = match walked {
            Walked::Rooted => {
                thread.memory.root_confirmations = thread.memory.root_confirmations.saturating_add(1);
                thread.memory.root_candidate = (0, 0);
                true
            }
            Walked::Broken => false,
            Walked::Missing(address) => {
                Self::expect(thread, address, frame_size);
                // A miss is likely to be followed by others down the same stack: find them all now.
                self.chase(memory, index, address);
                false
            }
            Walked::MissingRecord(address) => {
                thread.memory.outside.touch(address);
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
            self.accept(index, &stack, &visited);
        }
        self.scratch = stack;
        self.visited = visited;
        valid
    }

    /// The walk itself; fills `stack` with (address, frame), innermost first, and `visited` with every other
    /// address that it needed.
    fn walk(
        &self,
        index: usize,
        innermost: u64,
        stack: &mut Vec<(u64, Frame)>,
        visited: &mut Vec<u64>,
    ) -> Walked {
        let offsets = &self.layout.offsets;
        let root = self.threads[index].memory.root;
        let mut address = innermost;
        if address == 0 {
            return Walked::Rooted;
        }
        let mut entered_by_interpreter = false;
        for _ in 0..DEPTH_MAX {
            if address == 0 {
                return match stack.last() {
                    _ if entered_by_interpreter => Walked::Rooted,
                    Some(&(outermost, _)) => Walked::OtherRoot(outermost),
                    None => Walked::Broken,
                };
            }
            let Some(bytes) = self.copied.thread_bytes(index, address, u64::from(offsets.frame.head_size))
            else {
                return Walked::Missing(address);
            };
            let field =
                |offset: u32, len: usize| bytes.get(offset as usize..offset as usize + len).map_or(0, word);
            let owner = if offsets.frame.owner == ABSENT { 0 } else { field(offsets.frame.owner, 1) as u8 };
            entered_by_interpreter = owner >= OWNER_ENTRY;
            if entered_by_interpreter {
                visited.push(address);
            } else {
                let instruction = match offsets.thread.datastack_chunk {
                    ABSENT => field(offsets.frame.instruction, 4),
                    _ => field(offsets.frame.instruction, 8),
                };
                // 3.14 keeps a tag in the low bits of the reference to the code object.
                let code = field(offsets.frame.code, 8) & !7;
                stack.push((address, Frame { code, instruction }));
                // Up to 3.10 the root is learnt, and may have been learnt wrongly: nothing calls a true one.
                if address == root && (self.layout.has_chunks() || field(offsets.frame.previous, 8) == 0) {
                    return Walked::Rooted;
                }
            }
            address = field(offsets.frame.previous, 8);
        }
        Walked::Broken
    }

    /// The innermost frame of a thread; 0 when it runs no Python code.
    fn innermost(&mut self, index: usize, visited: &mut Vec<u64>) -> Result<u64, Walked> {
        let offsets = &self.layout.offsets.thread;
        if offsets.cframe == ABSENT {
            return self.state_field(index, offsets.frame).ok_or(Walked::Broken);
        }
        let cframe = self.state_field(index, offsets.cframe).ok_or(Walked::Broken)?;
        let place = cframe.wrapping_add(u64::from(offsets.cframe_frame));
        visited.push(place);
        self.threads[index].memory.record = place;
        self.copied.thread_bytes(index, place, 8).map(word).ok_or(Walked::MissingRecord(place))
    }

    /// Whether the innermost frame at the end of the copy lies below the one at its start, in the same chunk:
    /// then the latter has been left, and from 3.11 on nothing in it says so.
    fn has_shrunk(&self, index: usize, innermost: u64) -> bool {
        let Some(last) = self.innermost_again(index) else { return false };
        let in_chunk = |chunk: &super::Chunk, address: u64| address.wrapping_sub(chunk.address) < chunk.size;
        let chunks = &self.threads[index].memory.chunks;
        last < innermost && chunks.iter().any(|chunk| in_chunk(chunk, innermost) && in_chunk(chunk, last))
    }

    /// The innermost frame as it was at the end of the copy, where it was read from the same place.
    fn innermost_again(&self, index: usize) -> Option<u64> {
        self.copied.head_again(index, self.head_place(index)?).filter(|address| *address != 0)
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
        let thread = &mut self.threads[index];
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
        visited.iter().for_each(|address| Self::expect(thread, *address, frame_size));
        Self::settle(thread, stack.first().map_or(0, |(address, _)| *address), frame_size);
    }
}

fn mix(hash: u64, value: u64) -> u64 {
    (hash ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
}

fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(1, |hash, part| mix(hash, word(part)))
}
