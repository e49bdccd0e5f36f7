//! Which record belongs to the calling thread.
//!
//! A table by the thread's own address, which the processor holds in a register. Not the language's thread-local storage: for
//! a library that is loaded later, the dynamic linker asks for that with `malloc`, and on unloading it has to go from
//! every thread. The table also says which threads are within the agent, so that it can end. Only the thread
//! itself makes and changes its entry; all of it is there until the library is unloaded. Start at [`entry`].

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering, compiler_fence};

use crate::thread::Thread;

/// Threads that are told apart at once, a power of two; what others do is told together.
const ENTRIES: usize = 1 << 12;
/// So many entries are looked at for one thread.
const PROBES: usize = 64;

/// What is known of a thread.
pub(crate) struct Entry {
    /// The thread's own address; 0 where the entry is nobody's.
    owner: AtomicUsize,
    thread: AtomicPtr<Thread>,
    /// How often the thread is within the agent: more than once where a signal came.
    inside: AtomicU32,
    /// The thread's number, while something stands for its record.
    number: AtomicU32,
}

static TABLE: [Entry; ENTRIES] = [const {
    Entry {
        owner: AtomicUsize::new(0),
        thread: AtomicPtr::new(null_mut()),
        inside: AtomicU32::new(0),
        number: AtomicU32::new(0),
    }
}; ENTRIES];

/// The calling thread's own address.
#[inline(always)]
fn own_address() -> usize {
    let address: usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the first word of a thread's block is its own address, as its ABI says; it is read.
    unsafe {
        std::arch::asm!("mov {}, fs:0", out(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: it reads a register that every program may read.
    unsafe {
        std::arch::asm!("mrs {}, tpidr_el0", out(reg) address, options(nostack, preserves_flags, nomem));
    }
    address
}

#[inline(always)]
fn first_place(address: usize) -> usize {
    (address >> 6).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & (ENTRIES - 1)
}

/// The calling thread's entry; none where the table has no room for it.
#[inline(always)]
pub(crate) fn entry() -> Option<&'static Entry> {
    let own = own_address();
    let entry = &TABLE[first_place(own)];
    if entry.owner.load(Ordering::Relaxed) == own { Some(entry) } else { search(own) }
}

#[cold]
#[inline(never)]
fn search(own: usize) -> Option<&'static Entry> {
    let places = || (0..PROBES).map(|step| &TABLE[(first_place(own) + step) & (ENTRIES - 1)]);
    for entry in places() {
        match entry.owner.load(Ordering::Relaxed) {
            owner if owner == own => return Some(entry),
            0 => {
                // A signal's handler may have come between, and taken it for this very thread.
                let taken = entry.owner.compare_exchange(0, own, Ordering::AcqRel, Ordering::Acquire);
                if taken.is_ok() || taken == Err(own) {
                    return Some(entry);
                }
            }
            _ => {}
        }
    }
    places().find(|entry| entry.is_left_behind() && entry.take_over(own))
}

impl Entry {
    /// Enters the agent. What is looked at from here on stays until [`Entry::leave`], if the agent is on.
    #[inline(always)]
    pub(crate) fn enter(&self) {
        // Only this thread writes it, and signals' handlers undo what they do.
        self.inside.store(self.inside.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // Whoever ends the agent has every thread do what it has not yet done in order (`membarrier`).
        compiler_fence(Ordering::SeqCst);
    }

    #[inline(always)]
    pub(crate) fn leave(&self) {
        self.inside.store(self.inside.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
    }

    #[inline(always)]
    pub(crate) fn thread(&self) -> *mut Thread {
        self.thread.load(Ordering::Relaxed)
    }

    /// The thread's record, or what stands for one.
    pub(crate) fn set(&self, thread: *mut Thread) {
        self.number.store(own_number(), Ordering::Relaxed);
        self.thread.store(thread, Ordering::Relaxed);
    }

    /// Whether the entry is of an earlier thread, whose memory the calling one now has.
    pub(crate) fn is_of_another(&self) -> bool {
        self.number.load(Ordering::Relaxed) != own_number()
    }

    /// Whether its thread is over, and is none any more.
    fn is_left_behind(&self) -> bool {
        let number = self.number.load(Ordering::Relaxed);
        if self.inside.load(Ordering::Relaxed) != 0 || !Thread::is_over(self.thread()) || number == 0 {
            return false;
        }
        // SAFETY: plain system calls; signal 0 is none.
        unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), number, 0) == -1 }
    }

    fn take_over(&self, own: usize) -> bool {
        let before = self.owner.load(Ordering::Relaxed);
        let taken = self.owner.compare_exchange(before, own, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        if taken {
            self.thread.store(null_mut(), Ordering::Relaxed);
        }
        taken
    }
}

fn own_number() -> u32 {
    // SAFETY: a plain system call.
    unsafe { libc::syscall(libc::SYS_gettid) as u32 }
}

/// Whether no thread but the calling one is within the agent.
pub(crate) fn is_nobody_else_inside() -> bool {
    let own = own_address();
    TABLE
        .iter()
        .all(|entry| entry.inside.load(Ordering::Acquire) == 0 || entry.owner.load(Ordering::Relaxed) == own)
}

/// Whether the calling thread is within the agent.
pub(crate) fn is_inside() -> bool {
    entry().is_some_and(|entry| entry.inside.load(Ordering::Relaxed) != 0)
}

/// Forgets every thread: they are those of a forked child's parent, or the agent has ended.
pub(crate) fn forget_all() {
    let own = own_address();
    for entry in TABLE.iter().filter(|entry| entry.owner.load(Ordering::Relaxed) != 0) {
        entry.thread.store(null_mut(), Ordering::Relaxed);
        // What this thread has entered it will leave.
        if entry.owner.load(Ordering::Relaxed) != own {
            entry.inside.store(0, Ordering::Relaxed);
            entry.owner.store(0, Ordering::Release);
        }
    }
}
