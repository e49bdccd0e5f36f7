//! The signals that naja receives while a program runs, and which of them the program is given.
//!
//! The invariant: the program gets each signal exactly once. What the terminal sends reaches naja and the
//! program alike, since both are in one process group, and is not passed on; what another process sends to naja
//! alone is. Start at [`Signals::next`] and [`Received::is_for_naja_alone`].

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::process::SignalMask;

/// Signals that stay as they are: they report a fault of this very process, or cannot be held back.
const NEVER_HELD: [libc::c_int; 9] = [
    libc::SIGKILL,
    libc::SIGSTOP,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Holds back the signals of this process and hands them out one by one.
pub(crate) struct Signals {
    descriptor: OwnedFd,
    held: libc::sigset_t,
    /// The mask that this process was started with, which is the program's as well.
    pub(crate) inherited_mask: SignalMask,
}

/// One signal, with where it came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) signal: libc::c_int,
    /// `SI_KERNEL`, `SI_USER`, `SI_QUEUE`, ...
    pub(crate) code: libc::c_int,
    /// The sender, 0 for the kernel.
    pub(crate) sender: u32,
    value: u64,
}

impl Signals {
    /// Holds back every signal in this thread and in those that it starts from now on.
    ///
    /// Call it before the first other thread starts: a thread without this mask would take the signals' default
    /// action, which ends naja.
    pub(crate) fn hold() -> io::Result<Signals> {
        // A process that was started with SIGCHLD ignored would never learn how its child ended.
        set_default_action(libc::SIGCHLD);
        // SAFETY: `sigset_t` is a plain C struct for which all zeroes is a value, and `held` is writable.
        let held = unsafe {
            let mut held: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut held);
            for signal in NEVER_HELD {
                libc::sigdelset(&raw mut held, signal);
            }
            held
        };
        let inherited_mask = SignalMask::block_everything();
        SignalMask(held).apply();
        Self::of(held, inherited_mask)
    }

    /// Holds back these signals, in this thread and in those that it starts from now on.
    pub(crate) fn hold_only(signals: &[libc::c_int]) -> io::Result<Signals> {
        let inherited_mask = SignalMask::block_everything();
        // SAFETY: as above; what was blocked before stays so.
        let (held, mask) = unsafe {
            let mut held: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&raw mut held);
            let mut mask = inherited_mask.0;
            for &signal in signals {
                libc::sigaddset(&raw mut held, signal);
                libc::sigaddset(&raw mut mask, signal);
            }
            (held, mask)
        };
        SignalMask(mask).apply();
        Self::of(held, inherited_mask)
    }

    /// Hands out signals that are held back by now.
    fn of(held: libc::sigset_t, inherited_mask: SignalMask) -> io::Result<Signals> {
        // SAFETY: `held` is an initialised set; -1 asks for a new descriptor.
        let descriptor =
            unsafe { libc::signalfd(-1, &raw const held, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if descriptor == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(Signals {
            // SAFETY: the descriptor was just made and has no other owner.
            descriptor: unsafe { OwnedFd::from_raw_fd(descriptor) },
            held,
            inherited_mask,
        })
    }

    /// Waits for at least one signal, for `timeout_ms` at most (-1: without end). Says whether there is one.
    pub(crate) fn wait(&self, timeout_ms: libc::c_int) -> bool {
        is_readable(self.descriptor.as_raw_fd(), timeout_ms)
    }

    /// The next signal that has arrived, if any; never waits.
    pub(crate) fn next(&self) -> Option<Received> {
        read_signal(self.descriptor.as_raw_fd())
    }

    /// Stops this process as `signal` would have stopped it, so that the shell sees the same; returns when it
    /// has been continued.
    pub(crate) fn stop_self(&self, signal: libc::c_int) {
        if signal == libc::SIGSTOP {
            // SAFETY: `raise` takes a number only.
            unsafe { libc::raise(libc::SIGSTOP) };
            return;
        }
        set_default_action(signal);
        let mut mask = self.held;
        // SAFETY: the set is initialised, and `raise` takes a number only.
        unsafe {
            libc::sigdelset(&raw mut mask, signal);
            libc::raise(signal);
        }
        // The process stops here, as the signal is let through.
        SignalMask(mask).apply();
        SignalMask(self.held).apply();
    }
}

impl Received {
    /// Whether this signal went to naja alone for all that its own fields tell, so that the program lacks it.
    ///
    /// A signal of the kernel's comes from the terminal, which sends it to the whole process group, or is about
    /// naja itself. SIGALRM is the exception: a timer that was set before naja was started (`alarm 5; exec
    /// naja run ...`) was meant for the program, and timers are not inherited.
    pub(crate) fn is_for_naja_alone(&self) -> bool {
        match self.signal {
            libc::SIGCHLD | libc::SIGPIPE | libc::SIGXFSZ => false,
            libc::SIGALRM => true,
            // A terminal that is closed tells the leader of its session alone, and that is naja where a terminal
            // or a container was opened for it.
            libc::SIGHUP => self.code != libc::SI_KERNEL || is_session_leader(),
            _ => self.code != libc::SI_KERNEL,
        }
    }

    /// Gives the signal to the program, with its value where it was queued with one.
    pub(crate) fn pass_on_to(&self, pid: u32) {
        let pid = libc::pid_t::try_from(pid).expect("a process id fits");
        // SAFETY: both calls take numbers only; the process is an unreaped child, so that its id is not reused.
        unsafe {
            if self.code == libc::SI_QUEUE {
                let value =
                    libc::sigval { sival_ptr: std::ptr::with_exposed_provenance_mut(self.value as usize) };
                libc::sigqueue(pid, self.signal, value);
            } else {
                libc::kill(pid, self.signal);
            }
        }
    }
}

/// Ends this process by a signal, as the program ended: same status, but no core dump of naja.
///
/// Returns only where the kernel refuses: the first process of a container cannot end itself by a signal.
pub(crate) fn end_self(signal: libc::c_int) {
    let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    set_default_action(signal);
    // SAFETY: the limit is a valid struct; the other calls take numbers; the sets are initialised before use.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const no_core);
        // A core pattern that pipes into a program does not look at the limit, but at this.
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        let mut only: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut only);
        libc::sigaddset(&raw mut only, signal);
        libc::raise(signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const only, std::ptr::null_mut());
    }
}

fn is_session_leader() -> bool {
    // SAFETY: both take numbers only.
    unsafe { libc::getsid(0) == libc::getpid() }
}

pub(crate) fn set_default_action(signal: libc::c_int) {
    // SAFETY: an all-zero sigaction means the default action; a signal that cannot be set is left as it is.
    unsafe {
        let action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, &raw const action, std::ptr::null_mut());
    }
}

/// Whether something can be read from the descriptor within `timeout_ms` (-1: waits without end).
pub(crate) fn is_readable(descriptor: libc::c_int, timeout_ms: libc::c_int) -> bool {
    let mut poll = libc::pollfd { fd: descriptor, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid, writable pollfd.
    unsafe { libc::poll(&raw mut poll, 1, timeout_ms) > 0 }
}

/// Reads one signal from a signal descriptor that does not block.
pub(crate) fn read_signal(descriptor: libc::c_int) -> Option<Received> {
    // SAFETY: an all-zero signalfd_siginfo is a valid value of this plain C struct.
    let mut info: libc::signalfd_siginfo = unsafe { std::mem::zeroed() };
    let size = size_of::<libc::signalfd_siginfo>();
    // SAFETY: `info` is writable and `size` bytes long.
    let read = unsafe { libc::read(descriptor, (&raw mut info).cast(), size) };
    (usize::try_from(read) == Ok(size)).then(|| Received {
        signal: info.ssi_signo.cast_signed(),
        code: info.ssi_code,
        sender: info.ssi_pid,
        value: info.ssi_ptr,
    })
}
