//! Constants of the machine that the program runs on.

/// Size of a memory page in bytes.
pub fn page_bytes() -> u64 {
    // SAFETY: asks for a number; no memory is passed.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

/// Length in nanoseconds of the ticks in which `/proc/PID/stat` counts processor time.
pub fn clock_tick_ns() -> u64 {
    // SAFETY: asks for a number; no memory is passed.
    let per_second = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100);
    1_000_000_000 / per_second.max(1)
}

/// Number of processor cores online.
pub fn cpu_count() -> u32 {
    // SAFETY: asks for a number; no memory is passed.
    u32::try_from(unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }).unwrap_or(1).max(1)
}

/// The kernel's name and release, and the machine's kind, as in `Linux 6.1.0 x86_64`.
pub fn description() -> String {
    let read = |name| std::fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default();
    format!("{} {} {}", read("ostype").trim(), read("osrelease").trim(), std::env::consts::ARCH)
}
