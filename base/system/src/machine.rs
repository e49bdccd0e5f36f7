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

/// Memory that this process and its children may use, in bytes: the machine's, or what its control group
/// (a container) is limited to; 0 when unknown.
pub fn memory_limit_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let total =
        total.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024;
    let group = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    // A group's own limit and those of the groups that it lies in hold together.
    let limits = std::path::Path::new(group.trim_start_matches('/')).ancestors().filter_map(|folder| {
        let file = std::path::Path::new("/sys/fs/cgroup").join(folder).join("memory.max");
        std::fs::read_to_string(file).ok()?.trim().parse::<u64>().ok()
    });
    limits.chain([total]).filter(|limit| *limit > 0).min().unwrap_or(0)
}

/// Lets all threads of this process share one heap.
///
/// The C library would else reserve 64 MiB of addresses for each thread, which under a limit on them
/// (`ulimit -v`) leaves nothing for the rest. To be called before a second thread allocates.
pub fn share_one_heap() {
    #[cfg(target_env = "gnu")]
    // SAFETY: sets a number of the allocator; no memory is passed.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}
