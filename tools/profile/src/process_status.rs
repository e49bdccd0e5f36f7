//! What the system says of a process as a whole: who it belongs to, whether it lives, what its children are.
//!
//! Read from `/proc`. Linux only; this file is the platform's seam for that.

use std::os::unix::fs::MetadataExt;

/// `CAP_SYS_PTRACE`, as a bit of a capability set.
pub(crate) const CAP_SYS_PTRACE: u64 = 1 << 19;

/// The fields of `/proc/PID/status` that opening a process needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProcessStatus {
    /// Its name: up to 15 bytes of the program's.
    pub(crate) name: String,
    /// One letter: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, `I`.
    pub(crate) state: char,
    /// The process that the number belongs to; another number when it is that of a thread.
    pub(crate) process: u32,
    /// Who started it.
    pub(crate) parent: u32,
    /// Real, effective and saved user.
    pub(crate) users: [u32; 3],
    /// Capabilities that it may have, and those that it has.
    pub(crate) permitted: u64,
    pub(crate) effective: u64,
    /// Whether it has memory of its own, which a kernel thread and a zombie have not.
    pub(crate) has_memory: bool,
    /// Whether its system calls pass a seccomp filter.
    pub(crate) filtered: bool,
    /// Whether it lives in a process namespace of its own, as in a container, where its numbers are others.
    pub(crate) is_contained: bool,
}

impl ProcessStatus {
    /// Of a process or thread; `None` when there is none of this number, or when it is hidden.
    pub(crate) fn of(pid: u32) -> Option<ProcessStatus> {
        Self::read(&format!("/proc/{pid}/status"))
    }

    /// Of naja itself.
    pub(crate) fn own() -> ProcessStatus {
        Self::read("/proc/self/status").unwrap_or_default()
    }

    fn read(path: &str) -> Option<ProcessStatus> {
        // A name may hold any bytes.
        let text = std::fs::read(path).ok()?;
        Some(Self::parse(&String::from_utf8_lossy(&text)))
    }

    fn parse(text: &str) -> ProcessStatus {
        let mut status = ProcessStatus { state: '?', ..ProcessStatus::default() };
        for line in text.lines() {
            let Some((field, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let hex = || u64::from_str_radix(value, 16).unwrap_or(0);
            let number = || value.parse().unwrap_or(0);
            match field {
                "Name" => value.clone_into(&mut status.name),
                "State" => status.state = value.chars().next().unwrap_or('?'),
                "Tgid" => status.process = number(),
                "PPid" => status.parent = number(),
                "Uid" => {
                    let users = value.split_whitespace().filter_map(|word| word.parse().ok());
                    status.users.iter_mut().zip(users).for_each(|(slot, user)| *slot = user);
                }
                "VmSize" => status.has_memory = true,
                "CapPrm" => status.permitted = hex(),
                "CapEff" => status.effective = hex(),
                "NSpid" => status.is_contained = value.split_whitespace().count() > 1,
                "Seccomp" => status.filtered = value == "2",
                _ => {}
            }
        }
        status
    }

    /// Ended, and only its number is left until its parent asks for it.
    pub(crate) fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }

    /// Stopped by a signal or held by a debugger.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state, 'T' | 't')
    }

    /// A part of the kernel, which has a number like a process.
    pub(crate) fn is_kernel_thread(&self) -> bool {
        !self.has_memory && !self.is_zombie() && (self.parent == 2 || (self.process == 2 && self.parent == 0))
    }
}

/// Whether the process has forbidden others to read it, or the system has because its privileges changed: its
/// folder then belongs to root, whoever it runs as.
pub(crate) fn is_undumpable(pid: u32, users: [u32; 3]) -> bool {
    users[1] != 0 && std::fs::metadata(format!("/proc/{pid}/status")).is_ok_and(|one| one.uid() == 0)
}

/// Whether the program that it runs is made for 32 bits.
pub(crate) fn is_32_bit(pid: u32) -> bool {
    use std::io::Read;
    let mut head = [0; 5];
    let file = std::fs::File::open(format!("/proc/{pid}/exe"));
    file.is_ok_and(|mut file| file.read_exact(&mut head).is_ok()) && head == *b"\x7fELF\x01"
}

/// The processes that a process has started and that live, in order of number.
pub(crate) fn children(pid: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for thread in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        found.extend(text.split_whitespace().filter_map(|word| word.parse::<u32>().ok()));
    }
    found.sort_unstable();
    found
}

/// The words of its command line; its name where it has none.
pub(crate) fn command_line(pid: u32) -> Vec<String> {
    let text = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = text.strip_suffix(&[0]).unwrap_or(&text);
    if text.is_empty() {
        return vec![read_line(&format!("/proc/{pid}/comm"))];
    }
    text.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A file of one line; empty where it cannot be read.
pub(crate) fn read_line(path: &str) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned()
}

/// What a user number is called, as `user app (1000)`.
pub(crate) fn user_name(user: u32) -> String {
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    });
    match named {
        Some(name) => format!("user {name} ({user})"),
        None => format!("user {user}"),
    }
}

/// The number of a thread as its process itself sees it, which differs in a container: the last one of `NSpid`.
pub(crate) fn inner_number(pid: u32, tid: u32) -> Option<u32> {
    let status = std::fs::read(format!("/proc/{pid}/task/{tid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_of_a_status_are_read() {
        let text = "Name:\ta (b): c\nState:\tT (stopped)\nTgid:\t41\nPid:\t42\nPPid:\t7\nUid:\t1\t2\t3\t4\n\
                    VmSize:\t 10 kB\nCapPrm:\t0000000000080000\nCapEff:\t00\nSeccomp:\t2\nodd line\n";
        let status = ProcessStatus::parse(text);
        assert_eq!((status.name.as_str(), status.process, status.parent), ("a (b): c", 41, 7));
        assert_eq!((status.users, status.permitted, status.effective), ([1, 2, 3], CAP_SYS_PTRACE, 0));
        assert!(status.is_stopped() && status.has_memory && status.filtered && !status.is_kernel_thread());
        assert_eq!(ProcessStatus::parse("").state, '?');
    }

    #[test]
    fn this_test_is_a_process_that_lives() {
        let status = ProcessStatus::of(std::process::id()).expect("it lives");
        assert!(status.has_memory && !status.is_zombie() && !status.is_kernel_thread());
        assert_eq!(status.process, std::process::id());
        assert!(!is_32_bit(std::process::id()));
        assert_eq!(ProcessStatus::of(u32::MAX), None);
    }
}
