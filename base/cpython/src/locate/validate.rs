//! Whether offsets hold on the live process.

use super::LocateError;
use crate::code::read_code;
use crate::locate::Located;
use crate::memory::{Memory, MemoryError};

/// Lists longer than this are followed no further: one entry that holds is enough.
const FOLLOWED_MAX: usize = 64;
/// Code objects that are read to prove a layout, all looks together: one that holds is enough, and the lines of a wrong
/// one can be megabytes.
const CODES_MAX: u32 = 256;
/// How often a contradiction is looked at again before it counts: the process goes on meanwhile.
const LOOKS: usize = 4;
/// Stack references carry a tag in their lowest bits from 3.14 on.
const TAG_BITS: u64 = 7;

enum Look {
    Holds,
    /// No thread, or no frame, to judge by.
    Nothing,
    Contradiction(&'static str),
}

/// Cheap, for layouts that are known: an interpreter's thread has to point back to it. Some four reads.
pub(super) fn check(memory: &dyn Memory, located: &Located) -> Result<(), LocateError> {
    judge(located, || threads(memory, located, &mut |_| Look::Holds))
}

/// Thorough, for a version that naja does not know: a thread of the interpreter has to stand in a frame
/// whose code object has a name and a file that can be read.
pub(super) fn prove(memory: &dyn Memory, located: &Located) -> Result<(), LocateError> {
    let mut codes_left = CODES_MAX;
    judge(located, || threads(memory, located, &mut |state| frames(memory, located, state, &mut codes_left)))
}

fn judge(located: &Located, mut look: impl FnMut() -> Result<Look, MemoryError>) -> Result<(), LocateError> {
    let mut why = "";
    for _ in 0..LOOKS {
        match look() {
            Ok(Look::Holds) => return Ok(()),
            Ok(Look::Nothing) => return Err(LocateError::NotReady),
            Ok(Look::Contradiction(what)) => why = what,
            Err(MemoryError::Unmapped) => why = "its lists lead to memory that is not there",
            Err(error) => return Err(error.into()),
        }
    }
    Err(LocateError::Unknown { version: located.version, why })
}

/// Looks at the threads of all interpreters until one holds.
fn threads(
    memory: &dyn Memory,
    located: &Located,
    each: &mut dyn FnMut(u64) -> Look,
) -> Result<Look, MemoryError> {
    let offsets = &located.offsets;
    let field = |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset)));
    let mut verdict = Look::Nothing;
    let mut interpreter = field(located.runtime, offsets.runtime.interpreters_head)?;
    for _ in 0..FOLLOWED_MAX {
        if interpreter == 0 {
            break;
        }
        let mut state = field(interpreter, offsets.interpreter.threads_head)?;
        for _ in 0..FOLLOWED_MAX {
            if state == 0 {
                break;
            }
            if field(state, offsets.thread.interpreter)? != interpreter {
                return Ok(Look::Contradiction("its threads do not belong to its interpreters"));
            }
            match each(state) {
                Look::Holds => return Ok(Look::Holds),
                Look::Nothing => {}
                contradiction => verdict = contradiction,
            }
            state = field(state, offsets.thread.next)?;
        }
        interpreter = field(interpreter, offsets.interpreter.next)?;
    }
    Ok(verdict)
}

/// Looks for one frame of the thread whose code object is one.
fn frames(memory: &dyn Memory, located: &Located, state: u64, codes_left: &mut u32) -> Look {
    let offsets = &located.offsets;
    let field = |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset)));
    let Ok(mut frame) = field(state, offsets.thread.frame) else {
        return Look::Contradiction("its threads have no frame where one is expected");
    };
    let mut seen = false;
    for _ in 0..FOLLOWED_MAX {
        if frame == 0 {
            break;
        }
        seen = true;
        let (Ok(code), Ok(previous)) =
            (field(frame, offsets.frame.code), field(frame, offsets.frame.previous))
        else {
            break;
        };
        if *codes_left == 0 {
            break;
        }
        *codes_left -= 1;
        if is_code(memory, located, code & !TAG_BITS) {
            return Look::Holds;
        }
        frame = previous;
    }
    if seen {
        Look::Contradiction("its frames hold no code objects where they are expected")
    } else {
        Look::Nothing
    }
}

fn is_code(memory: &dyn Memory, located: &Located, address: u64) -> bool {
    let o = &located.offsets.object;
    let field = |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset))).ok();
    let name = field(address, o.ob_type).and_then(|class| field(class, o.type_name));
    let mut text = [0; 5];
    let is_code = name.is_some_and(|name| memory.read(name, &mut text).is_ok() && &text == b"code\0");
    is_code
        && read_code(memory, located, address)
            .is_ok_and(|code| !code.name.is_empty() && !code.file.is_empty())
}
