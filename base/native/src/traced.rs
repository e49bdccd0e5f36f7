//! A thread of another process that is traced: stopped, looked at, changed, led on.
//!
//! The first word is that of the kernel: a thread that does not stand still has no registers. Start at [`Traced::stop`].

use std::cell::RefCell;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use crate::visit::VisitError;

/// How long a thread may take to stop.
const STOP_MAX: Duration = Duration::from_millis(50);
/// How long it is asked again and again, without sleeping.
const SPIN: Duration = Duration::from_micros(200);
const NAP: Duration = Duration::from_micros(50);

thread_local! {
    /// Threads that were told to stop and had not yet. To the kernel, the tracer is a thread.
    static LATE: RefCell<FxHashSet<libc::pid_t>> = RefCell::default();
}

/// Lets go of those that were late and stop after all. Those that do not stop in time are let go of by the kernel, when the
/// calling thread ends.
pub(crate) fn settle() {
    const SETTLE_MAX: Duration = Duration::from_secs(2);
    let until = Instant::now() + SETTLE_MAX;
    for id in LATE.with_borrow(Clone::clone) {
        let mut thread = Traced { id, is_free: false, signal: 0 };
        match thread.wait(until) {
            Stop::Late => thread.is_free = true,
            stop => {
                LATE.with_borrow_mut(|late| late.remove(&id));
                match stop {
                    Stop::Ended => thread.is_free = true,
                    Stop::Signal(signal) if signal != libc::SIGTRAP => thread.signal = signal,
                    _ => {}
                }
            }
        }
    }
}

/// A thread that stands still, until it is let go of.
pub(crate) struct Traced {
    id: libc::pid_t,
    is_free: bool,
    /// A signal that came while it was led on.
    signal: i32,
}

/// Why a thread has stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// At the beginning or the end of a system call.
    SystemCall,
    /// Before it gets a signal.
    Signal(i32),
    /// It was told to, or its process was stopped.
    Event,
    /// It has ended.
    Ended,
    /// It has not.
    Late,
}

impl Traced {
    /// Stops a thread; none where it has ended, or does not stop in time: then [`settle`] lets it go.
    ///
    /// Errors: see [`VisitError`]
    pub(crate) fn stop(tid: u32) -> Result<Option<Traced>, VisitError> {
        let id = libc::pid_t::try_from(tid).map_err(|_| VisitError::Gone)?;
        if !LATE.with_borrow_mut(|late| late.remove(&id)) {
            match request(libc::PTRACE_SEIZE, id, 0, libc::PTRACE_O_TRACESYSGOOD as usize) {
                Ok(()) => {}
                // A thread that is ending is refused as if it were forbidden.
                Err(libc::EPERM) if is_ending(tid) => return Ok(None),
                Err(number) => return Err(of_number(number)),
            }
        }
        let mut thread = Traced { id, is_free: false, signal: 0 };
        let _ = request(libc::PTRACE_INTERRUPT, id, 0, 0);
        match thread.wait(Instant::now() + STOP_MAX) {
            Stop::Event => Ok(Some(thread)),
            Stop::Signal(signal) => {
                thread.signal = signal;
                Ok(Some(thread))
            }
            Stop::SystemCall => Ok(Some(thread)),
            Stop::Ended => {
                thread.is_free = true;
                Ok(None)
            }
            Stop::Late => {
                thread.be_late();
                Ok(None)
            }
        }
    }

    /// Waits until it has stopped.
    fn wait(&mut self, until: Instant) -> Stop {
        let since = Instant::now();
        loop {
            let mut status = 0;
            // SAFETY: a plain system call into memory of our own.
            let found = unsafe { libc::waitpid(self.id, &mut status, libc::__WALL | libc::WNOHANG) };
            if found == self.id {
                return stop_of(status);
            }
            if found < 0 {
                return Stop::Ended;
            }
            let now = Instant::now();
            if now >= until {
                return Stop::Late;
            }
            if now - since < SPIN { std::hint::spin_loop() } else { std::thread::sleep(NAP) }
        }
    }

    /// Leads it on up to the next system call's beginning or end, or whatever else stops it.
    ///
    /// Errors: it has ended
    pub(crate) fn go_on_to_system_call(&mut self, signal: i32, until: Instant) -> Result<Stop, VisitError> {
        request(libc::PTRACE_SYSCALL, self.id, 0, signal as usize).map_err(of_number)?;
        Ok(self.wait(until))
    }

    /// It is not waited for any longer.
    fn be_late(&mut self) {
        self.is_free = true;
        LATE.with_borrow_mut(|late| late.insert(self.id));
    }

    /// Lets it go on.
    pub(crate) fn let_go(&mut self) {
        if !std::mem::replace(&mut self.is_free, true) {
            let _ = request(libc::PTRACE_DETACH, self.id, 0, self.signal as usize);
        }
    }

    pub(crate) fn registers(&self) -> Result<libc::user_regs_struct, VisitError> {
        // SAFETY: all-zero registers are a valid value, which the kernel fills.
        unsafe {
            let mut registers: libc::user_regs_struct = std::mem::zeroed();
            of(libc::ptrace(libc::PTRACE_GETREGS, self.id, 0_usize, &raw mut registers))?;
            Ok(registers)
        }
    }

    pub(crate) fn set_registers(&self, registers: &libc::user_regs_struct) -> Result<(), VisitError> {
        // SAFETY: the kernel reads registers, which these are.
        unsafe { of(libc::ptrace(libc::PTRACE_SETREGS, self.id, 0_usize, &raw const *registers)) }
    }

    /// The floating-point and vector registers, in the processor's own form.
    pub(crate) fn floating(&self) -> Result<Vec<u8>, VisitError> {
        const BYTES_MAX: usize = 64 << 10;
        let mut bytes = vec![0_u8; BYTES_MAX];
        let mut vector = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: the vector describes the bytes, and the kernel writes no more than it says.
        unsafe {
            of(libc::ptrace(libc::PTRACE_GETREGSET, self.id, NT_X86_XSTATE, &raw mut vector))?;
        }
        bytes.truncate(vector.iov_len);
        Ok(bytes)
    }

    pub(crate) fn set_floating(&self, bytes: &[u8]) -> Result<(), VisitError> {
        let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        // SAFETY: the vector describes the bytes, which the kernel reads.
        unsafe { of(libc::ptrace(libc::PTRACE_SETREGSET, self.id, NT_X86_XSTATE, &raw mut vector)) }
    }

    /// Which signals it does not get.
    pub(crate) fn mask(&self) -> Result<u64, VisitError> {
        let mut mask = 0_u64;
        // SAFETY: the kernel writes as many bytes as it is told.
        unsafe {
            of(libc::ptrace(PTRACE_GETSIGMASK, self.id, size_of::<u64>(), &raw mut mask))?;
        }
        Ok(mask)
    }

    pub(crate) fn set_mask(&self, mask: u64) -> Result<(), VisitError> {
        // SAFETY: the kernel reads as many bytes as it is told.
        unsafe { of(libc::ptrace(PTRACE_SETSIGMASK, self.id, size_of::<u64>(), &raw const mask)) }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        self.let_go();
    }
}

const NT_X86_XSTATE: usize = 0x202;
const PTRACE_GETSIGMASK: libc::c_uint = 0x420a;
const PTRACE_SETSIGMASK: libc::c_uint = 0x420b;

/// Whether a thread has ended, or is about to.
pub(crate) fn is_ending(tid: u32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{tid}/stat")) else { return true };
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with(['Z', 'X']))
}

fn stop_of(status: i32) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Ended;
    }
    match (status >> 16, libc::WSTOPSIG(status)) {
        (0, signal) if signal == libc::SIGTRAP | 0x80 => Stop::SystemCall,
        (0, signal) => Stop::Signal(signal),
        _ => Stop::Event,
    }
}

fn request(request: libc::c_uint, id: libc::pid_t, address: usize, data: usize) -> Result<(), i32> {
    // SAFETY: these requests take numbers only.
    match unsafe { libc::ptrace(request, id, address, data) } {
        -1 => Err(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        _ => Ok(()),
    }
}

fn of(result: libc::c_long) -> Result<(), VisitError> {
    match result {
        -1 => Err(of_number(std::io::Error::last_os_error().raw_os_error().unwrap_or(0))),
        _ => Ok(()),
    }
}

fn of_number(number: i32) -> VisitError {
    match number {
        libc::ESRCH => VisitError::Gone,
        libc::EPERM | libc::EACCES => VisitError::Forbidden,
        number => VisitError::Os(number),
    }
}
