//! Mends a stack whose innermost calls returned while it was copied.
//!
//! Up to CPython 3.10 a frame that is left forgets its caller and keeps its code and instruction. Copying
//! many separate frames takes tens of microseconds, so that calls of a microsecond have often returned by
//! the time they are copied. A copy made later instead would show what runs later, and code that calls much
//! would lose its samples to code that does not; so the sample stays that of the moment at which its
//! innermost frame was named, and a caller that a frame has forgotten is the one that it had when it was
//! last seen. Only frames whose code is the one remembered are mended, and only onto callers that still
//! reach the root in this copy.

use super::walk::Walked;
use super::{Frame, StackReader};

/// Calls that may have returned while they were copied, beyond which a stack is not mended.
const RETURNED_MAX: usize = 64;

impl StackReader {
    /// Tries to make a whole stack from the copied frame at `innermost` on. `stack` is valid when it returns
    /// `true`.
    pub(super) fn mend(
        &self,
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
            let Some((known, caller)) = self.threads[index].memory.outside.last_caller(address) else {
                return false;
            };
            let Some(copied) = self.copied_frame(index, address) else { return false };
            if copied.frame.code != known.code {
                return false;
            }
            stack.push((address, copied.frame));
            let returned = stack.len();
            if matches!(self.walk(index, caller, stack, visited), Walked::Rooted) {
                return true;
            }
            stack.truncate(returned);
            address = caller;
        }
        false
    }
}
