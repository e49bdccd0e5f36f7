//! Pauses exactly one thread of another process, for as long as a closure takes.
//!
//! A thread is attached to for the length of one pause and let go of at its end. Staying attached would save two
//! system calls, but every signal that reaches an attached thread stops it until its tracer answers, a thread that
//! ends stays a zombie until then, and no debugger could attach: none of that may happen between two samples.
//! Should naja die, the kernel lets go of the thread and it runs on.
//!
//! All calls of one [`Pauser`] must come from one thread of naja: to the kernel the tracer is a thread, and it refuses
//! others. A thread that sleeps in a system call need not be paused: see [`crate::unwind::blocked_at`]. One that is
//! paused all the same, as it has just gone to sleep, does not notice: the kernel repeats most calls by itself, and
//! of those that it would end with `EINTR` (`epoll_wait`) it is asked to, on x86-64; see `repeat_call`.

use std::io;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use crate::stack::Registers;

/// How long a thread is asked again and again, without sleeping, whether it has stopped: most take less.
const SPIN: Duration = Duration::from_micros(100);

/// How long to sleep between two questions after that.
const NAP: Duration = Duration::from_micros(30);

/// After how many naps to look whether the thread has ended instead.
const NAPS_PER_LOOK: u32 = 8;

/// After this a thread that has not stopped, because it sleeps deep inside the kernel or gets no processor, is given
/// up for this time.
const WAIT_MAX: Duration = Duration::from_millis(10);

/// Why a thread was not paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseError {
    /// There is no such thread any more.
    Gone,
    /// The system forbids it, or another tracer (a debugger) has the thread.
    Forbidden,
    /// It has not stopped in time; it will be let go of as soon as it does.
    Late,
    /// Another error of the system, by number.
    Os(i32),
}

impl std::fmt::Display for PauseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            PauseError::Gone => write!(f, "the thread is gone"),
            PauseError::Forbidden => write!(f, "the thread may not be paused, or a debugger has it"),
            PauseError::Late => write!(f, "the thread did not stop in time"),
            PauseError::Os(number) => write!(f, "{}", io::Error::from_raw_os_error(*number)),
        }
    }
}

impl std::error::Error for PauseError {}

/// How long threads were held: from when naja last saw one not standing still to the order to go on. What a thread
/// waits before that, because it is another's turn on the processor, is no pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PauseFigures {
    /// How many.
    pub count: u64,
    /// All together, nanoseconds.
    pub total_ns: u64,
    /// The longest, nanoseconds.
    pub longest_ns: u64,
    /// Threads that were not paused although that was wanted.
    pub failed: u64,
    /// How many took how long; see [`bucket_of`].
    buckets: [u64; BUCKETS],
}

const BUCKETS: usize = 8 * 40;

/// Eight buckets for each power of two: within 13 %.
fn bucket_of(ns: u64) -> usize {
    let power = 63 - ns.max(8).leading_zeros() as usize;
    let eighth = (ns.max(8) >> (power - 3)) as usize & 7;
    (8 * (power - 3) + eighth).min(BUCKETS - 1)
}

impl Default for PauseFigures {
    fn default() -> Self {
        PauseFigures { count: 0, total_ns: 0, longest_ns: 0, failed: 0, buckets: [0; BUCKETS] }
    }
}

impl PauseFigures {
    fn add(&mut self, ns: u64) {
        self.count += 1;
        self.total_ns += ns;
        self.longest_ns = self.longest_ns.max(ns);
        self.buckets[bucket_of(ns)] += 1;
    }

    /// The length, in nanoseconds, that this share (0 to 1) of all pauses does not exceed, within 13 %.
    pub fn quantile_ns(&self, share: f64) -> u64 {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted.max(1) {
                let (power, eighth) = (bucket / 8, bucket % 8);
                return ((9 + eighth as u64) << power).min(self.longest_ns);
            }
        }
        self.longest_ns
    }
}

/// Pauses threads, one at a time.
#[derive(Debug, Default)]
pub struct Pauser {
    /// Threads that were told to stop and had not done so in time.
    late: FxHashSet<u32>,
    figures: PauseFigures,
}

impl Pauser {
    /// How long its pauses took so far.
    pub fn figures(&self) -> &PauseFigures {
        &self.figures
    }

    /// Stops a thread, calls `body` with its registers, and lets it go on, with the signal that it was about to
    /// receive, if any.
    ///
    /// Errors: see [`PauseError`]; `body` has not been called then.
    /// Cost: some 10 µs beside what `body` does.
    pub fn pause(&mut self, tid: u32, body: &mut dyn FnMut(Registers)) -> Result<(), PauseError> {
        let outcome = self.pause_uncounted(tid, body);
        self.figures.failed += u64::from(outcome.is_err_and(|error| error != PauseError::Gone));
        outcome
    }

    fn pause_uncounted(&mut self, tid: u32, body: &mut dyn FnMut(Registers)) -> Result<(), PauseError> {
        let id = libc::pid_t::try_from(tid).map_err(|_| PauseError::Gone)?;
        if !self.late.contains(&tid) {
            request(libc::PTRACE_SEIZE, id, 0).map_err(|error| match error {
                libc::EPERM | libc::EACCES => PauseError::Forbidden,
                libc::ESRCH => PauseError::Gone,
                number => PauseError::Os(number),
            })?;
            self.late.insert(tid);
        }
        let since = Instant::now();
        // A thread that is late was told before; telling it again changes nothing.
        let _ = request(libc::PTRACE_INTERRUPT, id, 0);
        let (registers, held_since) = self.wait_for_stop(id, since)?;
        body(registers);
        self.let_go(id);
        self.figures.add(u64::try_from(held_since.elapsed().as_nanos()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Waits until the thread has stopped. Gives its registers, and when it was last seen not to stand still.
    ///
    /// Its registers are asked for until the kernel gives them, which it does only while the thread stands still.
    /// What `waitid` tells is not relied upon: where the program is naja's own child, the thread that waits for its
    /// end may get the news in place of this one.
    fn wait_for_stop(&mut self, id: libc::pid_t, since: Instant) -> Result<(Registers, Instant), PauseError> {
        let mut held_since = since;
        let mut naps = 0;
        loop {
            let asked = Instant::now();
            match registers(id) {
                Ok(registers) => {
                    repeat_call(id, &registers);
                    return Ok((where_it_stands(&registers), held_since));
                }
                Err(libc::ESRCH) => {}
                Err(number) => {
                    self.let_go(id);
                    return Err(PauseError::Os(number));
                }
            }
            held_since = asked;
            let waited = since.elapsed();
            if waited < SPIN {
                std::hint::spin_loop();
                continue;
            }
            if naps % NAPS_PER_LOOK == 0 && has_ended(id) {
                self.late.remove(&id.unsigned_abs());
                return Err(PauseError::Gone);
            }
            if waited >= WAIT_MAX {
                return Err(PauseError::Late);
            }
            naps += 1;
            std::thread::sleep(NAP);
        }
    }

    /// Detaches from a thread that stands still.
    fn let_go(&mut self, id: libc::pid_t) {
        let signal = signal_to_deliver(id);
        if request(libc::PTRACE_DETACH, id, signal as usize).is_ok() || has_ended(id) {
            self.late.remove(&id.unsigned_abs());
        }
    }

    /// Lets go of threads that were late and have stopped by now. To be called again and again, as long as
    /// [`has_late`](Self::has_late).
    pub fn settle(&mut self) {
        for tid in self.late.clone() {
            let id = libc::pid_t::try_from(tid).unwrap_or(0);
            match registers(id) {
                Ok(registers) => {
                    repeat_call(id, &registers);
                    self.let_go(id);
                }
                Err(_) if has_ended(id) => drop(self.late.remove(&tid)),
                Err(_) => {}
            }
        }
    }

    /// Whether threads were told to stop that had not done so in time.
    pub fn has_late(&self) -> bool {
        !self.late.is_empty()
    }
}

impl Drop for Pauser {
    fn drop(&mut self) {
        // Those that are not let go of here are so by the kernel, when this thread ends.
        for _ in 0..50 {
            self.settle();
            if self.late.is_empty() {
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// The signal that the thread was about to receive when it stopped; 0 when it stopped for naja, or together with
/// its process, which then stays stopped.
fn signal_to_deliver(id: libc::pid_t) -> i32 {
    // SAFETY: an all-zero siginfo_t is a valid value, and the kernel fills it.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        if libc::ptrace(libc::PTRACE_GETSIGINFO, id, 0_usize, &raw mut info) != 0 {
            return 0;
        }
        // The stops of an attached thread say so in the second byte of the code; a real signal's code has none.
        let is_event = info.si_code >> 8 == libc::PTRACE_EVENT_STOP && info.si_code & 0xff == info.si_signo;
        if is_event { 0 } else { info.si_signo }
    }
}

fn request(request: libc::c_uint, id: libc::pid_t, data: usize) -> Result<(), i32> {
    // SAFETY: these requests take numbers only.
    match unsafe { libc::ptrace(request, id, 0_usize, data) } {
        -1 => Err(last_error()),
        _ => Ok(()),
    }
}

fn last_error() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Whether an attached thread has ended. If so it is reaped, unless it is the first of its process and the process is
/// naja's child: then whoever started the process waits for it.
fn has_ended(id: libc::pid_t) -> bool {
    let id_t = id.unsigned_abs();
    let wait = |options| {
        // SAFETY: an all-zero siginfo_t is a valid value, and `waitid` fills it.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let result = libc::waitid(libc::P_PID, id_t, &raw mut info, options | libc::WNOHANG);
            if result != 0 { None } else { Some((info.si_pid(), info.si_code)) }
        }
    };
    let ended = |code| matches!(code, libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED);
    match wait(libc::WEXITED | libc::WNOWAIT | libc::__WALL) {
        // Neither a child nor attached: there is nothing to wait for.
        None => true,
        Some((pid, code)) if pid != 0 && ended(code) => {
            if !is_own_child(id_t) {
                wait(libc::WEXITED | libc::__WALL);
            }
            true
        }
        Some(_) => false,
    }
}

/// Whether this is a process (not one of its later threads) that naja has started.
fn is_own_child(tid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse::<u32>().ok()
    };
    field("Tgid:") == Some(tid) && field("PPid:") == Some(std::process::id())
}

/// The registers of a thread that stands still; ESRCH while it does not.
fn registers(id: libc::pid_t) -> Result<libc::user_regs_struct, i32> {
    const NT_PRSTATUS: usize = 1;
    // SAFETY: all-zero registers are a valid value; the vector describes them, and the kernel writes no more than it
    // says.
    let registers = unsafe {
        let mut registers: libc::user_regs_struct = std::mem::zeroed();
        let mut vector = libc::iovec {
            iov_base: (&raw mut registers).cast(),
            iov_len: size_of::<libc::user_regs_struct>(),
        };
        if libc::ptrace(libc::PTRACE_GETREGSET, id, NT_PRSTATUS, &raw mut vector) != 0 {
            return Err(last_error());
        }
        registers
    };
    Ok(registers)
}

#[cfg(target_arch = "x86_64")]
fn where_it_stands(registers: &libc::user_regs_struct) -> Registers {
    Registers { pc: registers.rip, sp: registers.rsp, fp: registers.rbp, lr: 0 }
}

#[cfg(target_arch = "aarch64")]
fn where_it_stands(registers: &libc::user_regs_struct) -> Registers {
    Registers { pc: registers.pc, sp: registers.sp, fp: registers.regs[29], lr: registers.regs[30] }
}

/// Lets a system call that the pause has ended with `EINTR` begin again, where the kernel would not do so by itself.
///
/// The kernel looks at the result after the stop: with `ERESTARTNOHAND`, which it gives for other calls of its own
/// accord, it repeats the call unless a signal has come for which the program has a handler, and then the call ends
/// with `EINTR` as it must. A call that waits for a time waits for all of it again; it had begun since the thread was
/// last seen running, which is no longer than a sample takes.
#[cfg(target_arch = "x86_64")]
fn repeat_call(id: libc::pid_t, registers: &libc::user_regs_struct) {
    const ERESTARTNOHAND: i64 = 514;
    let is_ended = registers.rax as i64 == -i64::from(libc::EINTR);
    if is_ended && is_ended_by_pause(registers.orig_rax as i64) {
        let place = std::mem::offset_of!(libc::user_regs_struct, rax);
        // SAFETY: the request takes numbers only; it writes one register of a thread that stands still.
        unsafe { libc::ptrace(libc::PTRACE_POKEUSER, id, place, -ERESTARTNOHAND) };
    }
}

/// Whether the kernel ends this system call with `EINTR` when its thread is paused; nothing of it has been done then.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_ended_by_pause(call: i64) -> bool {
    const CALLS: [i64; 14] = [
        libc::SYS_read,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_recvfrom,
        libc::SYS_recvmsg,
        libc::SYS_semop,
        libc::SYS_semtimedop,
        libc::SYS_msgsnd,
        libc::SYS_msgrcv,
        libc::SYS_rt_sigtimedwait,
        libc::SYS_io_getevents,
        libc::SYS_epoll_wait,
        libc::SYS_epoll_pwait,
        libc::SYS_epoll_pwait2,
    ];
    CALLS.contains(&call)
}

/// On aarch64 the kernel has looked at the result before the stop.
#[cfg(target_arch = "aarch64")]
fn repeat_call(_: libc::pid_t, _: &libc::user_regs_struct) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let mut figures = PauseFigures::default();
        (1..=1000).for_each(|us| figures.add(us * 1000));
        let near = |value: u64, expected: u64| value.abs_diff(expected) * 8 <= expected;
        assert!(near(figures.quantile_ns(0.5), 500_000), "{}", figures.quantile_ns(0.5));
        assert!(near(figures.quantile_ns(0.99), 990_000), "{}", figures.quantile_ns(0.99));
        assert_eq!(figures.quantile_ns(1.0), 1_000_000);
        assert_eq!((figures.count, figures.longest_ns), (1000, 1_000_000));
        assert_eq!(PauseFigures::default().quantile_ns(0.5), 0);
    }
}
