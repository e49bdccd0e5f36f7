//! A second, idle process in naja's process group, which tells what naja alone cannot know.
//!
//! A signal says who sent it, not whether the sender meant one process or the whole group (`kill -TERM -PGID`,
//! `timeout`, a service manager that signals every process of a service). The program would get the latter
//! twice if naja passed it on, and many programs take the second for "at once, without cleaning up". The
//! witness gets what the group gets and reports it; what it did not get was for naja alone.
//!
//! A stopped process cannot notice that its child was continued, so the witness also wakes naja then. It holds
//! no descriptor but its end of one socket, ends with naja, and is never waited for by anyone else.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::signals::{Received, is_readable, read_signal};

/// How long a group's signal may take to reach the witness after it reached naja. A group is signalled in one
/// system call, so this is for senders that go through a list of processes.
const GROUP_DELAY_MS: libc::c_int = 20;
/// A report older than this belongs to a signal that naja never had.
const REPORT_AGE_NS: u64 = 200_000_000;
/// How often a stopped program is looked at, while naja is stopped with it.
const LOOK_INTERVAL_MS: libc::c_int = 20;

const NAJA_STOPS: u8 = b'S';
const NAJA_GOES_ON: u8 = b'G';

/// naja's end of the witness.
pub(crate) struct Witness {
    socket: OwnedFd,
    pid: libc::pid_t,
    reports: Vec<Report>,
}

#[derive(Clone, Copy)]
struct Report {
    signal: u32,
    sender: u32,
    at_ns: u64,
}

const REPORT_BYTES: usize = 16;

impl Witness {
    /// Whether this is the witness's process.
    pub(crate) fn is(&self, pid: u32) -> bool {
        u32::try_from(self.pid) == Ok(pid)
    }

    /// Starts the witness for the program `program`.
    ///
    /// Call it while this process has one thread, with every signal held back. Errors: no process or descriptor
    /// left; naja does without a witness then.
    pub(crate) fn start(program: u32) -> io::Result<Witness> {
        let mut pair = [0; 2];
        // SAFETY: `pair` has room for the two descriptors.
        let result = unsafe {
            libc::socketpair(
                libc::AF_UNIX,
                libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                0,
                pair.as_mut_ptr(),
            )
        };
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: both descriptors were just made and have no other owner.
        let (ours, theirs) = unsafe { (OwnedFd::from_raw_fd(pair[0]), OwnedFd::from_raw_fd(pair[1])) };
        // SAFETY: this process has one thread, so that the child's copy is in order.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => serve(theirs.as_raw_fd(), program),
            pid => Ok(Witness { socket: ours, pid, reports: Vec::new() }),
        }
    }

    /// Whether the whole process group got this signal, and the program with it.
    ///
    /// Cost: waits up to 20 ms for a signal that went to naja alone.
    pub(crate) fn has_seen(&mut self, received: &Received) -> bool {
        let deadline_ns = crate::timer::now_ns() + GROUP_DELAY_MS as u64 * 1_000_000;
        loop {
            self.read_reports();
            let now_ns = crate::timer::now_ns();
            self.reports.retain(|report| now_ns.saturating_sub(report.at_ns) < REPORT_AGE_NS);
            let same = |report: &Report| {
                report.signal == received.signal.cast_unsigned() && report.sender == received.sender
            };
            if let Some(index) = self.reports.iter().position(same) {
                self.reports.remove(index);
                return true;
            }
            if now_ns >= deadline_ns {
                return false;
            }
            let left_ms = (deadline_ns - now_ns).div_ceil(1_000_000);
            is_readable(self.socket.as_raw_fd(), i32::try_from(left_ms).unwrap_or(GROUP_DELAY_MS));
        }
    }

    /// Asks to be continued when the program is, since naja is about to stop.
    pub(crate) fn naja_stops(&self) {
        self.tell(NAJA_STOPS);
    }

    /// Takes that back.
    pub(crate) fn naja_goes_on(&self) {
        self.tell(NAJA_GOES_ON);
    }

    fn tell(&self, message: u8) {
        // A witness that is gone cannot help, and naja works without it. MSG_NOSIGNAL: no SIGPIPE then.
        // SAFETY: one readable byte.
        unsafe { libc::send(self.socket.as_raw_fd(), (&raw const message).cast(), 1, libc::MSG_NOSIGNAL) };
    }

    fn read_reports(&mut self) {
        let mut bytes = [0u8; REPORT_BYTES];
        loop {
            // SAFETY: `bytes` is writable for its length; the socket does not block.
            let read =
                unsafe { libc::read(self.socket.as_raw_fd(), bytes.as_mut_ptr().cast(), REPORT_BYTES) };
            if usize::try_from(read) != Ok(REPORT_BYTES) {
                return;
            }
            self.reports.push(Report::from_bytes(bytes));
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut status = 0;
        // SAFETY: the witness is our child and was not waited for; `status` is writable.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, &raw mut status, 0);
        }
    }
}

impl Report {
    fn to_bytes(self) -> [u8; REPORT_BYTES] {
        let mut bytes = [0; REPORT_BYTES];
        bytes[..4].copy_from_slice(&self.signal.to_ne_bytes());
        bytes[4..8].copy_from_slice(&self.sender.to_ne_bytes());
        bytes[8..].copy_from_slice(&self.at_ns.to_ne_bytes());
        bytes
    }

    fn from_bytes(bytes: [u8; REPORT_BYTES]) -> Report {
        let word =
            |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().expect("four bytes were taken"));
        Report {
            signal: word(0),
            sender: word(4),
            at_ns: u64::from_ne_bytes(bytes[8..].try_into().expect("eight bytes are left")),
        }
    }
}

/// The witness's whole life.
fn serve(socket: libc::c_int, program: u32) -> ! {
    // SAFETY: numbers only. SIGKILL when naja ends, however it ends; if it ended before this line, the socket
    // is closed at the other end and the loop below ends at once.
    let naja = unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        libc::getppid()
    };
    disguise_from_name_searches();
    // The descriptors are copies of naja's and of what the program inherits; a pipe would stay open by them.
    // SAFETY: numbers only; nothing in this process uses the descriptors that are closed.
    let socket = unsafe {
        libc::dup2(socket, 0);
        libc::close_range(1, libc::c_uint::MAX, 0);
        0
    };
    // SAFETY: the set is initialised by `sigfillset`; naja held the same signals back before the fork.
    let signals = unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::signalfd(-1, &raw const all, libc::SFD_NONBLOCK)
    };
    let mut naja_is_stopped = false;
    loop {
        let mut polls = [socket, signals].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
        let timeout_ms = if naja_is_stopped { LOOK_INTERVAL_MS } else { -1 };
        // SAFETY: two valid, writable pollfds.
        unsafe { libc::poll(polls.as_mut_ptr(), 2, timeout_ms) };
        while let Some(received) = read_signal(signals) {
            report(socket, &received);
        }
        if polls[0].revents != 0 {
            let mut message = 0u8;
            // SAFETY: one writable byte; the socket does not block.
            match unsafe { libc::read(socket, (&raw mut message).cast(), 1) } {
                1 => naja_is_stopped = message == NAJA_STOPS,
                // SAFETY: ends this process without running naja's exit handlers.
                0 => unsafe { libc::_exit(0) },
                _ => {}
            }
        }
        if naja_is_stopped && !crate::proc_state::is_stopped(program) && is_stopped_id(naja) {
            // SAFETY: numbers only; naja is our parent and we end with it, so that its id is not reused.
            unsafe { libc::kill(naja, libc::SIGCONT) };
            naja_is_stopped = false;
        }
    }
}

fn is_stopped_id(pid: libc::pid_t) -> bool {
    u32::try_from(pid).is_ok_and(crate::proc_state::is_stopped)
}

fn report(socket: libc::c_int, received: &Received) {
    let bytes = Report {
        signal: received.signal.cast_unsigned(),
        sender: received.sender,
        at_ns: crate::timer::now_ns(),
    }
    .to_bytes();
    // SAFETY: `bytes` is readable for its length; a full socket loses the report, and naja passes the signal on.
    unsafe { libc::send(socket, bytes.as_ptr().cast(), REPORT_BYTES, libc::MSG_NOSIGNAL) };
}

/// Gives this process a name and arguments of its own.
///
/// `pkill naja` and `pkill -f 'naja run'` mean naja; if they found the witness too, it would report a signal
/// to the whole group, and the program would never get it.
fn disguise_from_name_searches() {
    const NAME: &std::ffi::CStr = c"signal-witness";
    // SAFETY: the name is a terminated string of less than 16 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, NAME.as_ptr(), 0, 0, 0) };
    let Some((start, end)) = crate::proc_state::own_argument_area() else {
        return;
    };
    for (index, address) in (start..end).enumerate() {
        let byte = NAME.to_bytes().get(index).copied().unwrap_or(0);
        // SAFETY: the kernel says that the argument strings of this process lie here; they are writable memory
        // of the stack, and nothing in this process reads them again.
        unsafe { std::ptr::with_exposed_provenance_mut::<u8>(address).write_volatile(byte) };
    }
}
