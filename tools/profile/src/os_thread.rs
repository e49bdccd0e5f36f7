//! What the system says of a thread: on a processor, or blocked, and in which call.
//!
//! Read from files of `/proc` that are kept open. Linux x86-64 and aarch64; this file is the platform's
//! seam for thread states.

use std::fs::File;
use std::os::unix::fs::FileExt;

use naja_cpython::memory::Memory;
use naja_recording::State;

/// What a thread was doing at the moment it was asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// On a processor, or ready for one.
    Running,
    /// Blocked in a system call, with the call's number and first arguments.
    Call {
        /// The call's number.
        number: i64,
        /// Its first two arguments.
        arguments: [u64; 2],
    },
    /// Blocked outside a system call: a page fault, or stopped.
    Elsewhere,
    /// The system does not tell.
    Unknown,
    /// The thread has ended.
    Ended,
}

/// The open files of one thread.
#[derive(Debug)]
pub(crate) struct OsThread {
    schedstat: Option<File>,
    syscall: Option<File>,
    /// As in `schedstat`: nanoseconds run, nanoseconds ready but not run, times put on a processor.
    ran: [u64; 3],
    /// The same when counting began: zero for a thread that came later.
    ran_before: [u64; 3],
    /// `ran` has changed since [`OsThread::has_run`] was last asked.
    changed: bool,
    activity: Activity,
}

impl OsThread {
    /// Opens what the system offers for a thread; `None` when there is no such thread.
    pub(crate) fn open(pid: u32, tid: u32) -> Option<OsThread> {
        let open = |name| File::open(format!("/proc/{pid}/task/{tid}/{name}"));
        let schedstat = open("schedstat");
        if schedstat.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return None;
        }
        let syscall = open("syscall").ok();
        Some(OsThread {
            schedstat: schedstat.ok(),
            syscall,
            ran: [0; 3],
            ran_before: [0; 3],
            changed: true,
            activity: Activity::Unknown,
        })
    }

    /// Of what has no thread of its own: nothing can be read of it.
    pub(crate) fn none() -> OsThread {
        OsThread {
            schedstat: None,
            syscall: None,
            ran: [0; 3],
            changed: false,
            activity: Activity::Unknown,
            ran_before: [0; 3],
        }
    }

    /// Whether the thread may have run since [`OsThread::has_run`] was last asked; `false` only when it certainly has
    /// not.
    ///
    /// Cost: one read of some 0.8 µs.
    pub(crate) fn may_have_run(&mut self) -> bool {
        if matches!(self.activity, Activity::Call { .. }) && !self.changed {
            self.refresh_times();
        }
        self.changed || !matches!(self.activity, Activity::Call { .. })
    }

    /// The same, and from now on what happens later is asked for.
    pub(crate) fn has_run(&mut self) -> bool {
        if matches!(self.activity, Activity::Call { .. }) {
            self.refresh_times();
        }
        std::mem::take(&mut self.changed) || !matches!(self.activity, Activity::Call { .. })
    }

    /// Closes its files: the thread has ended, and what was read stays.
    pub(crate) fn close(&mut self) {
        self.schedstat = None;
        self.syscall = None;
    }

    /// Brings [`ran_and_ready_ns`](Self::ran_and_ready_ns) up to date.
    pub(crate) fn refresh_times(&mut self) {
        let mut text = [0; 96];
        match self.schedstat.as_ref().map(|file| file.read_at(&mut text, 0)) {
            Some(Ok(len)) => {
                let ran = numbers(&text[..len]);
                self.changed |= ran != self.ran;
                self.ran = ran;
            }
            Some(Err(_)) => self.activity = Activity::Ended,
            None => self.changed = true,
        }
    }

    /// Nanoseconds that it has run, and that it was ready to run but had no core, as of when that
    /// was last read, since counting began.
    pub(crate) fn ran_and_ready_ns(&self) -> (u64, u64) {
        let since = |part: usize| self.ran[part].saturating_sub(self.ran_before[part]);
        (since(0), since(1))
    }

    /// Counts [`ran_and_ready_ns`](Self::ran_and_ready_ns) from now on alone.
    pub(crate) fn count_from_now(&mut self) {
        self.refresh_times();
        self.ran_before = self.ran;
    }

    /// Asks the system what the thread is doing. Cost: one read of some 1 µs.
    pub(crate) fn look(&mut self) -> Activity {
        let mut text = [0; 192];
        self.activity = match self.syscall.as_ref().map(|file| file.read_at(&mut text, 0)) {
            Some(Ok(len)) => activity(&text[..len]),
            Some(Err(error)) if error.raw_os_error() == Some(NO_SUCH_PROCESS) => Activity::Ended,
            _ => Activity::Unknown,
        };
        self.activity
    }

    /// What was seen at the last look.
    pub(crate) fn last_seen(&self) -> Activity {
        self.activity
    }
}

/// ESRCH: what reading a file of an ended thread gives.
const NO_SUCH_PROCESS: i32 = 3;

fn numbers(text: &[u8]) -> [u64; 3] {
    let mut found = [0; 3];
    let parts = text.split(|byte| !byte.is_ascii_digit()).filter(|part| !part.is_empty());
    for (slot, part) in found.iter_mut().zip(parts) {
        *slot =
            part.iter().fold(0_u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0')));
    }
    found
}

/// Reads the line of `/proc/…/syscall`: `running`, `-1 SP PC`, or the number, six arguments, SP and PC.
fn activity(text: &[u8]) -> Activity {
    let Ok(text) = std::str::from_utf8(text) else {
        return Activity::Unknown;
    };
    let mut words = text.split_ascii_whitespace();
    let number = match words.next() {
        Some("running") => return Activity::Running,
        Some("-1") => return Activity::Elsewhere,
        Some(word) => word.parse::<i64>(),
        None => return Activity::Ended,
    };
    let Ok(number) = number else {
        return Activity::Unknown;
    };
    let mut argument = || words.next().and_then(|word| u64::from_str_radix(word.get(2..)?, 16).ok());
    let arguments = [argument().unwrap_or(0), argument().unwrap_or(0)];
    Activity::Call { number, arguments }
}

impl Activity {
    /// The state of a blocked thread; `gil` is the place of the GIL that it may wait for, as
    /// (address, size).
    pub(crate) fn waiting_for(self, gil: (u64, u64)) -> State {
        let Activity::Call { number, arguments } = self else {
            return State::IoWait;
        };
        match call(number) {
            // The GIL is a mutex and a condition inside one structure: a futex there is the GIL's.
            Call::Futex if gil.0 != 0 && arguments[0].wrapping_sub(gil.0) < gil.1 => State::GilWait,
            Call::Futex | Call::Semaphore => State::LockWait,
            // `select` and `poll` of nothing are how older interpreters sleep.
            Call::Select if arguments[0] == 0 => State::Sleep,
            Call::Poll if arguments[1] == 0 => State::Sleep,
            Call::Sleep => State::Sleep,
            Call::Wait => State::ChildWait,
            Call::Select | Call::Poll | Call::Other => State::IoWait,
        }
    }

    /// The same, of a process whose memory can be read: only there it is known what musl's threads wait for.
    pub(crate) fn waiting_for_in(self, memory: &dyn Memory, gil: (u64, u64)) -> State {
        match (self.waiting_for(gil), self) {
            (State::LockWait, Activity::Call { arguments: [word, _], .. })
                if waits_in_musl_s_list(memory, word, gil) =>
            {
                State::GilWait
            }
            (state, _) => state,
        }
    }
}

/// Threads that are looked at in a list of those that wait for a condition.
const WAITING_MAX: usize = 64;

/// The most bytes that a GIL's structure may have.
const GIL_BYTES_MAX: u64 = 1024;

/// Whether the word at which a thread waits belongs to a thread that musl has in the list of those that wait for a
/// condition of the GIL. musl keeps a list of records, each on its thread's own stack (`prev`, `next`, `state`,
/// `barrier`), in which the thread waits at `barrier`; the condition points to the first record.
///
/// Cost: nothing with glibc, whose words are aligned otherwise; else two reads and one for each thread in the list.
fn waits_in_musl_s_list(memory: &dyn Memory, word: u64, gil: (u64, u64)) -> bool {
    const BARRIER: u64 = 20;
    let Some(mut record) = word.checked_sub(BARRIER).filter(|record| record % 8 == 0) else { return false };
    if gil.0 == 0 || gil.1 > GIL_BYTES_MAX {
        return false;
    }
    for _ in 0..WAITING_MAX {
        match memory.read_u64(record) {
            Ok(0) => {
                let mut structure = vec![0; gil.1 as usize];
                let is_first =
                    |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).is_ok_and(|word| word == record);
                return memory.read(gil.0, &mut structure).is_ok() && structure.chunks(8).any(is_first);
            }
            Ok(before) => record = before,
            Err(_) => return false,
        }
    }
    false
}

enum Call {
    Futex,
    Semaphore,
    Select,
    Poll,
    Sleep,
    Wait,
    Other,
}

#[cfg(target_arch = "x86_64")]
fn call(number: i64) -> Call {
    match number {
        202 | 449 => Call::Futex,                 // futex, futex_waitv
        65 | 70 | 220 | 243 => Call::Semaphore,   // semop, msgrcv, semtimedop, mq_timedreceive
        23 | 270 => Call::Select,                 // select, pselect6
        7 | 271 => Call::Poll,                    // poll, ppoll
        34 | 35 | 128 | 130 | 230 => Call::Sleep, // pause, nanosleep, rt_sig(timedwait|suspend), clock_nanosleep
        61 | 247 => Call::Wait,                   // wait4, waitid
        _ => Call::Other,
    }
}

#[cfg(target_arch = "aarch64")]
fn call(number: i64) -> Call {
    match number {
        98 | 449 => Call::Futex,                  // futex, futex_waitv
        183 | 188 | 192 | 193 => Call::Semaphore, // mq_timedreceive, msgrcv, semtimedop, semop
        72 => Call::Select,                       // pselect6
        73 => Call::Poll,                         // ppoll
        101 | 115 | 133 | 137 => Call::Sleep,     // nanosleep, clock_nanosleep, rt_sig(suspend|timedwait)
        95 | 260 => Call::Wait,                   // waitid, wait4
        _ => Call::Other,
    }
}

#[cfg(test)]
mod tests {
    use naja_cpython::memory::{MemoryError, Range};

    use super::*;

    fn check(line: &str, gil: (u64, u64), expected: State) {
        let activity = activity(line.as_bytes());
        assert!(!matches!(activity, Activity::Running | Activity::Unknown), "{activity:?}");
        assert_eq!(activity.waiting_for(gil), expected, "{line}");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_futex_inside_the_gil_is_a_wait_for_the_gil() {
        let line = "202 0x7f0010 0x189 0x0 0x0 0x0 0xffffffff 0x7ffd 0x7f1c\n";
        check(line, (0x7f0000, 0x60), State::GilWait);
        check(line, (0x7e0000, 0x60), State::LockWait);
        check(line, (0, 0), State::LockWait);
    }

    /// Words of memory from one address on.
    struct Words(u64, Vec<u64>);

    impl Memory for Words {
        fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
            let bytes: Vec<u8> = self.1.iter().flat_map(|word| word.to_le_bytes()).collect();
            let start = address.checked_sub(self.0).ok_or(MemoryError::Unmapped)? as usize;
            let part = bytes.get(start..start.saturating_add(buffer.len())).ok_or(MemoryError::Unmapped)?;
            buffer.copy_from_slice(part);
            Ok(())
        }

        fn read_many(&self, _: &[Range], _: &mut [u8]) -> Result<usize, MemoryError> {
            Ok(0)
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_futex_in_musl_s_list_of_the_gil_is_a_wait_for_the_gil() {
        // The GIL has a condition that points to the first record, at 0x1100; the one at 0x1140 comes after it; the
        // one at 0x1180 belongs to another condition.
        let mut words = vec![0; 64];
        words[4] = 0x1100;
        words[(0x1140 - 0x1000) / 8] = 0x1100;
        let memory = Words(0x1000, words);
        let gil = (0x1000, 128);
        let waits = |word| Activity::Call { number: 202, arguments: [word, 0] }.waiting_for_in(&memory, gil);
        assert_eq!(waits(0x1100 + 20), State::GilWait);
        assert_eq!(waits(0x1140 + 20), State::GilWait);
        assert_eq!(waits(0x1180 + 20), State::LockWait);
        assert_eq!(waits(0x1100 + 24), State::LockWait);
        assert_eq!(waits(0x9000 + 20), State::LockWait);
        assert_eq!(waits(0), State::LockWait);
        assert_eq!(waits(0x1010), State::GilWait);
        // A list that is a ring ends.
        let ring = Words(0x1000, vec![0x1000; 64]);
        assert!(!waits_in_musl_s_list(&ring, 0x1000 + 20, gil));
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_select_of_nothing_is_a_sleep() {
        check("23 0x0 0x0 0x0 0x0 0x7ffd 0x0 0x7ffd 0x7f1c\n", (0, 0), State::Sleep);
        check("23 0x5 0x7f 0x0 0x0 0x7ffd 0x0 0x7ffd 0x7f1c\n", (0, 0), State::IoWait);
        check("7 0x7f 0x0 0x64 0x0 0x0 0x0 0x7ffd 0x7f1c\n", (0, 0), State::Sleep);
        check("-1 0x7ffd 0x7f1c\n", (0, 0), State::IoWait);
    }

    #[test]
    fn damaged_lines_are_unknown() {
        assert_eq!(activity(b"running"), Activity::Running);
        assert_eq!(activity(b""), Activity::Ended);
        assert_eq!(activity(b"x y"), Activity::Unknown);
        assert_eq!(activity(b"0 zz"), Activity::Call { number: 0, arguments: [0, 0] });
        assert_eq!(numbers(b"12 99999999999999999999999 3\n")[0], 12);
    }

    #[test]
    fn a_thread_that_sleeps_has_not_run() {
        let (tell, told) = std::sync::mpsc::channel();
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let sleeper = std::thread::spawn(move || {
            let link = std::fs::read_link("/proc/thread-self").expect("Linux has it");
            let tid = link.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
            tell.send(tid.expect("the link ends in the thread's number")).expect("the test listens");
            stopped.recv().expect_err("the test hangs up");
        });
        let tid = told.recv().expect("the thread tells its number");
        let mut thread = OsThread::open(std::process::id(), tid).expect("it lives");
        while !matches!(thread.look(), Activity::Call { .. }) {}
        thread.has_run();
        assert!(!thread.has_run());
        drop(stop);
        sleeper.join().expect("the thread ends");
        assert!(OsThread::open(std::process::id(), tid).is_none());
        assert!(thread.has_run() && thread.look() == Activity::Ended);
    }
}
