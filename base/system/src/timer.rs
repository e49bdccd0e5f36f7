//! Waking up on time, and reading processor-time clocks: what a sampler's loop needs.
//!
//! All times are nanoseconds of the monotonic clock. Linux only; this file is the platform's seam.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Nanoseconds of the monotonic clock since an unnamed moment.
pub fn now_ns() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds of the wall clock since 1970-01-01 UTC.
pub fn unix_ns() -> u64 {
    read_clock(libc::CLOCK_REALTIME).unwrap_or(0)
}

/// Processor time of the calling thread in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_THREAD_CPUTIME_ID).unwrap_or(0)
}

/// Processor time of this whole process in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    read_clock(libc::CLOCK_PROCESS_CPUTIME_ID).unwrap_or(0)
}

/// Processor time that a process has used, over all its threads; `None` when it is gone. Of threads that are running
/// right now, in another process, it holds what the kernel noted at its last tick, up to 10 ms ago.
///
/// Cost: some 0.2 µs
pub fn process_cpu_ns(pid: u32) -> Option<u64> {
    // The kernel's own encoding of "the processor clock of this process": CPUCLOCK_SCHED (2) in the low
    // bits, the process's complement above. `clock_getcpuclockid` gives the same after one more call.
    let id = (!i32::try_from(pid).ok()?).checked_shl(3)? | 2;
    read_clock(id)
}

fn read_clock(id: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is ours and lives through the call.
    let result = unsafe { libc::clock_gettime(id, &mut time) };
    (result == 0).then_some(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Sleeps until a moment of [`now_ns`]'s clock. Returns at once when it has passed; a signal may end the
/// sleep early.
pub fn sleep_until(moment_ns: u64) {
    let time = timespec(moment_ns);
    // SAFETY: `time` is ours and lives through the call; no remainder is asked for.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, std::ptr::null_mut()) };
}

fn timespec(moment_ns: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (moment_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (moment_ns % 1_000_000_000) as libc::c_long,
    }
}

/// Wakes its thread at one moment after another, at less cost than [`sleep_until`].
///
/// The moment after the next one is always set while the next one is still ahead. A timer that is not the first to ring
/// need not be programmed into the processor, which in a virtual machine leaves the machine for it: there that is a
/// third of what a wake costs.
#[derive(Debug)]
pub struct Alarms {
    /// The two timers and the moments that they are still to ring at.
    timers: [(OwnedFd, Option<u64>); 2],
}

impl Alarms {
    /// Two timers that are not set.
    ///
    /// Errors: the kernel has none to give, or the process has no file descriptors left
    pub fn new() -> io::Result<Alarms> {
        let timer = || {
            // SAFETY: no memory is passed; a descriptor that is given is nobody else's.
            let descriptor = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, libc::TFD_CLOEXEC) };
            if descriptor < 0 {
                return Err(io::Error::last_os_error());
            }
            // SAFETY: the descriptor was made here.
            Ok((unsafe { OwnedFd::from_raw_fd(descriptor) }, None))
        };
        Ok(Alarms { timers: [timer()?, timer()?] })
    }

    /// Sleeps until a moment of [`now_ns`]'s clock, and sets the one that the next call is likely to name. Returns at
    /// once when the moment has passed; a signal may end the sleep early.
    pub fn sleep_until(&mut self, moment_ns: u64, following_ns: u64) {
        let at = self.timers.iter().position(|(_, set)| *set == Some(moment_ns)).unwrap_or_else(|| {
            let at = usize::from(self.timers[0].1 == Some(following_ns));
            self.set(at, moment_ns);
            at
        });
        if self.timers[1 - at].1 != Some(following_ns) {
            self.set(1 - at, following_ns);
        }
        if self.timers[at].1.is_none() {
            return sleep_until(moment_ns);
        }
        let mut expirations = 0_u64;
        // SAFETY: reads the eight bytes that a timer gives into a number of that size, which lives through the call.
        let result = unsafe {
            libc::read(self.timers[at].0.as_raw_fd(), (&raw mut expirations).cast(), size_of::<u64>())
        };
        if result > 0 {
            self.timers[at].1 = None;
        }
    }

    fn set(&mut self, at: usize, moment_ns: u64) {
        let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // All zero would stop the timer instead of letting it ring at once.
        let setting = libc::itimerspec { it_interval: zero, it_value: timespec(moment_ns.max(1)) };
        let (timer, set) = &mut self.timers[at];
        // SAFETY: the setting is ours and lives through the call; the old one is not asked for.
        let result = unsafe {
            libc::timerfd_settime(timer.as_raw_fd(), libc::TFD_TIMER_ABSTIME, &setting, std::ptr::null_mut())
        };
        // To wait for a timer that is not set would be to wait for ever.
        *set = (result == 0).then_some(moment_ns);
    }
}

/// Lets the calling thread's sleeps end on time instead of up to 50 µs late, and lets it run soon after they
/// end even when every core is busy.
///
/// The second is a wish for short turns (Linux 6.12 and later), which needs no privilege and takes nothing
/// from others: who asks for less at a time is put on earlier. Where the kernel knows no such wish, nothing is
/// lost but some samples on a busy machine.
pub fn wake_precisely() -> io::Result<()> {
    ask_for_short_turns();
    // SAFETY: sets a number of the calling thread; no memory is passed.
    let result = unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn ask_for_short_turns() {
    /// `struct sched_attr` in its first form.
    #[repr(C)]
    struct Attributes {
        size: u32,
        policy: u32,
        flags: u64,
        nice: i32,
        priority: u32,
        /// Length of a turn in nanoseconds, for a thread of the normal policy.
        runtime: u64,
        deadline: u64,
        period: u64,
    }
    const TURN_NS: u64 = 100_000;
    // SAFETY: asks for a number of the calling thread; no memory is passed.
    let nice = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    let attributes = Attributes {
        size: size_of::<Attributes>() as u32,
        policy: 0,
        flags: 0,
        nice,
        priority: 0,
        runtime: TURN_NS,
        deadline: 0,
        period: 0,
    };
    // SAFETY: the structure is ours, has the size that it says, and lives through the call; 0 is this thread.
    unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_clock_is_its_own_clock_seen_from_outside() {
        let before = own_cpu_ns();
        let outside = process_cpu_ns(std::process::id()).expect("this process lives");
        assert!(before <= outside && outside <= own_cpu_ns());
        assert_eq!(process_cpu_ns(u32::MAX), None);
    }

    #[test]
    fn a_sleep_ends_no_sooner_than_asked() {
        let until = now_ns() + 2_000_000;
        sleep_until(until);
        assert!(now_ns() >= until);
        sleep_until(1);
    }

    #[test]
    fn alarms_ring_in_turn_and_no_sooner_than_asked() {
        let mut alarms = Alarms::new().expect("there are timers");
        let start = now_ns();
        for moment in 1..=5 {
            alarms.sleep_until(start + moment * 1_000_000, start + (moment + 1) * 1_000_000);
            assert!(now_ns() >= start + moment * 1_000_000);
        }
        // A moment that was not announced, one that has passed, and the beginning of time.
        let until = now_ns() + 2_000_000;
        alarms.sleep_until(until, until + 1_000_000);
        assert!(now_ns() >= until);
        alarms.sleep_until(start, start + 1);
        alarms.sleep_until(start + 1, 0);
        alarms.sleep_until(0, 0);
    }
}
