//! Mends a stack whose innermost calls returned while it was copied.
//!
//! Up to CPython 3.10 a frame that is left forgets its caller and keeps its code and instruction. Copying
//! many separate frames takes tens of microseconds, so that calls of a microsecond have often returned by
//! the time they are copied. A copy made later instead would show what runs later, and code that calls much
//! would lose its samples to code that does not; so the sample stays that of the moment at which its
//! innermost frame was named, and a caller that a frame has forgotten is the one that it had when it was
//! last seen. Only frames whose code is the one remembered are mended, and only onto callers that still
//! reach the root in this copy.

use super::plan::word;
use super::walk::Walked;
use super::{Frame, StackReader};
use crate::memory::Memory;

/// Calls that may have returned while they were copied, beyond which a stack is not mended.
const RETURNED_MAX: usize = 64;

/// Reads, some 1.2 µs each, in which the caller of a frame that was never seen alive is looked for. The
/// shortest functions are seldom alive when they are looked at; those that matter are looked at again soon.
const LOOKS_MAX: u32 = 4;

impl StackReader {
    /// Tries to make a whole stack from the copied frame at `innermost` on. `stack` is valid when it returns
    /// `true`.
    pub(super) fn mend(
        &mut self,
        memory: &dyn Memory,
        index: usize,
        innermost: u64,
        stack: &mut Vec<(u64, Frame)>,
        visited: &mut Vec<u64>,
    ) -> bool {
        if self.layout.has_chunks() {
            return false;
        }
        stack.clear();
        let mut address = innermost;
        for _ in 0..RETURNED_MAX {
            let Some(copied) = self.copied_frame(index, address) else { return false };
            stack.push((address, copied.frame));
            let returned = stack.len();
            match self.threads[index].memory.outside.last_caller(address) {
                Some((known, caller)) if known.code == copied.frame.code => {
                    if matches!(self.walk(index, caller, stack, visited), Walked::Rooted) {
                        return true;
                    }
                    stack.truncate(returned);
                    address = caller;
                }
                _ => return self.mend_by_looking(memory, index, copied.frame, stack, visited),
            }
        }
        false
    }

    /// Looks for the caller of the last frame in `stack`, which was never seen alive, by reading it again: one
    /// that is called all the time is soon met alive. Believes only a caller that reaches the root in the copy.
    fn mend_by_looking(
        &mut self,
        memory: &dyn Memory,
        index: usize,
        frame: Frame,
        stack: &mut Vec<(u64, Frame)>,
        visited: &mut Vec<u64>,
    ) -> bool {
        let Some(&(address, _)) = stack.last() else { return false };
        let returned = stack.len();
        let offsets = &self.layout.offsets.frame;
        let (code, previous) = (offsets.code as usize, offsets.previous as usize);
        let mut head = vec![0; offsets.head_size as usize];
        for _ in 0..LOOKS_MAX.min(self.single_reads_left) {
            self.single_reads_left -= 1;
            if memory.read(address, &mut head).is_err() {
                return false;
            }
            let field = |offset: usize| head.get(offset..offset + 8).map_or(0, word);
            let caller = field(previous);
            if caller == 0 || field(code) != frame.code {
                continue;
            }
            if matches!(self.walk(index, caller, stack, visited), Walked::Rooted) {
                self.threads[index].memory.outside.learn_caller(address, frame, caller);
                return true;
            }
            stack.truncate(returned);
        }
        false
    }
}
