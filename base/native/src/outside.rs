//! Whether every thread of a process is out of a stretch of code, so that the code may be unmapped.
//!
//! A thread is in it where it runs there, will return there, or has an address of it in a register with which it is about to
//! go there. Threads are looked at one after the other: that is enough once nothing leads into the code any
//! more, so that whoever is outside stays outside. Start at [`wait`].

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::modules::ModuleFiles;
use crate::stack::{Registers, StackCopy};
use crate::traced::{Traced, settle};
use crate::unwind::{End, Unwinder};
use crate::visit::{VisitError, of_io, threads};

const STACK_BYTES: usize = 256 << 10;
/// Where a stack cannot be followed, so much of its end is searched for addresses.
const SEARCHED_BYTES: u64 = 16 << 10;
const ROUND_GAP: Duration = Duration::from_millis(1);

/// Waits until all threads but one are outside of a stretch of code; false where that takes too long.
///
/// Errors: the process is gone, or forbids it
/// Cost: some 50 µs a thread, which stands still meanwhile
pub(crate) fn wait(
    pid: u32,
    but: u32,
    code: &Range<u64>,
    files: &mut ModuleFiles,
    patience: Duration,
) -> Result<bool, VisitError> {
    let until = Instant::now() + patience;
    let mut unwinder = Unwinder::new(pid, files).map_err(|error| of_io(&error))?;
    let mut stack = StackCopy::default();
    let mut known = vec![but];
    loop {
        let mut are_all = true;
        for tid in threads(pid)? {
            if known.contains(&tid) {
                continue;
            }
            match Traced::stop(tid) {
                Ok(Some(mut thread)) => {
                    let is_outside = is_outside(&thread, pid, code, &mut unwinder, &mut stack);
                    thread.let_go();
                    if is_outside? { known.push(tid) } else { are_all = false }
                }
                // It has ended, or has not stopped in time.
                Ok(None) => are_all = false,
                Err(VisitError::Gone) => {}
                Err(error) => return Err(error),
            }
        }
        settle();
        if are_all {
            return Ok(true);
        }
        if Instant::now() >= until {
            return Ok(false);
        }
        std::thread::sleep(ROUND_GAP);
    }
}

fn is_outside(
    thread: &Traced,
    pid: u32,
    code: &Range<u64>,
    unwinder: &mut Unwinder,
    stack: &mut StackCopy,
) -> Result<bool, VisitError> {
    let r = thread.registers()?;
    let held = [
        r.rip, r.rax, r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.r8, r.r9, r.r10, r.r11, r.r12, r.r13,
        r.r14, r.r15,
    ];
    if held.iter().any(|word| code.contains(word)) {
        return Ok(false);
    }
    if stack.fill(pid, r.rsp, STACK_BYTES).is_err() {
        return Ok(false);
    }
    let mut addresses = Vec::new();
    let at = Registers { pc: r.rip, sp: r.rsp, fp: r.rbp, lr: 0 };
    let end = unwinder.unwind(at, stack, &mut addresses);
    if addresses.iter().any(|address| code.contains(address)) {
        return Ok(false);
    }
    if end == End::Root {
        return Ok(true);
    }
    let words = (0..SEARCHED_BYTES / 8).filter_map(|index| stack.word(r.rsp + index * 8));
    Ok(!words.into_iter().any(|word| code.contains(&word)))
}
