//! The system's number of a thread, also where Python does not keep it.
//!
//! Up to 3.10 a thread state has only `pthread_self()`, which is the address of the C library's own structure
//! for the thread. That structure holds the number; where in it depends on the library, so it is found once,
//! with the main thread, whose number is known.

use crate::locate::Located;
use crate::memory::{Memory, MemoryError};
use crate::offsets::ABSENT;

/// Where x86-64 glibc, aarch64 glibc and musl (1.2, then 1.1) have it; tried in this order.
const KNOWN_PLACES: [u32; 4] = [720, 208, 48, 56];
/// How far into the structure another place is looked for.
const SEARCHED_BYTES: usize = 1536;
/// A smaller number stands in many places by chance.
const SEARCHED_TID_MIN: u32 = 256;
/// The main thread is the oldest, so the last of the list.
const THREADS_MAX: usize = 4096;

/// The system's number for the thread of a `PyThreadState`, as its own process sees it: in a container it
/// differs from what is seen outside (`NSpid` in `/proc/PID/task/TID/status` has both).
///
/// `None` when the thread is gone, or when it is not known where the C library keeps it.
/// Cost: one read, two up to 3.10.
pub fn os_thread_id(memory: &dyn Memory, located: &Located, state: u64) -> Option<u32> {
    let thread = &located.offsets.thread;
    let word = |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset))).ok();
    if thread.native_id != ABSENT {
        return u32::try_from(word(state, thread.native_id)?).ok().filter(|id| *id != 0);
    }
    if thread.libc_tid == ABSENT {
        return None;
    }
    let own = word(state, thread.ident).filter(|address| *address != 0)?;
    let mut tid = [0; 4];
    memory.read(own.wrapping_add(u64::from(thread.libc_tid)), &mut tid).ok()?;
    Some(u32::from_le_bytes(tid)).filter(|id| (1..1 << 22).contains(id))
}

/// Where the C library of this process keeps a thread's number; [`ABSENT`] if it cannot be told.
///
/// `main` is the number of the process's main thread, as the process sees it.
pub(crate) fn find_libc_tid(memory: &dyn Memory, located: &Located, main: u32) -> Result<u32, MemoryError> {
    let offsets = &located.offsets;
    let field = |address: u64, offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset)));
    let mut interpreter = field(located.runtime, offsets.runtime.interpreters_head)?;
    let mut seen = 0;
    while interpreter != 0 && seen < THREADS_MAX {
        let mut state = field(interpreter, offsets.interpreter.threads_head)?;
        while state != 0 && seen < THREADS_MAX {
            let own = field(state, offsets.thread.ident)?;
            let found = libc_tid_in(memory, own, main);
            if found != ABSENT {
                return Ok(found);
            }
            state = field(state, offsets.thread.next)?;
            seen += 1;
        }
        interpreter = field(interpreter, offsets.interpreter.next)?;
        seen += 1;
    }
    Ok(ABSENT)
}

fn libc_tid_in(memory: &dyn Memory, own: u64, main: u32) -> u32 {
    let mut bytes = [0; SEARCHED_BYTES];
    // Both libraries begin the structure with its own address.
    if memory.read(own, &mut bytes).is_err() || bytes[..8] != own.to_le_bytes() {
        return ABSENT;
    }
    let is_main = |place: &u32| {
        let place = *place as usize;
        bytes.get(place..place + 4) == Some(&main.to_le_bytes()[..])
    };
    let anywhere = || {
        let mut places = (16..SEARCHED_BYTES as u32).step_by(4).filter(is_main);
        let first = places.next().filter(|_| main >= SEARCHED_TID_MIN);
        first.filter(|_| places.next().is_none())
    };
    KNOWN_PLACES.into_iter().find(is_main).or_else(anywhere).unwrap_or(ABSENT)
}
