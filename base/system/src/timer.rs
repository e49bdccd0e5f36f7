//! Waking up on time, and reading processor-time clocks: what a sampler's loop needs.
//!
//! All times are nanoseconds of the monotonic clock. Linux only; this file is the platform's seam.

use std::io;

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

/// Processor time that a process has used, over all its threads, exact to this moment; `None` when it is
/// gone. Cost: some 0.2 µs.
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
    let time = libc::timespec {
        tv_sec: (moment_ns / 1_000_000_000) as libc::time_t,
        tv_nsec: (moment_ns % 1_000_000_000) as libc::c_long,
    };
    // SAFETY: `time` is ours and lives through the call; no remainder is asked for.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &time, std::ptr::null_mut()) };
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
}
