//! Opens a running process by its number: finds its interpreter, or says why there is none to read and what to do.
//!
//! Nothing is changed in the process: it is not stopped, and nothing is written into it. A process may end between
//! any two looks at it, which is an answer of its own. Start at [`open`]; [`open_starting`] waits for a program that
//! was started a moment ago.

use std::time::{Duration, Instant};

use naja_cpython::locate::{LocateError, Located, Locator};
use naja_cpython::memory::{LiveProcess, Memory, MemoryError};
use naja_system::{Failure, Result};

use crate::process_status::{self, CAP_SYS_PTRACE, ProcessStatus, command_line, user_name};

/// Between two attempts to open a process that is starting.
const ATTEMPT_GAP: Duration = Duration::from_millis(1);

/// Children named in a hint.
const CHILDREN_NAMED_MAX: usize = 5;

/// A process whose interpreter was found and can be read.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Its number.
    pub pid: u32,
    /// Its memory.
    pub memory: LiveProcess,
    /// Its interpreter.
    pub located: Located,
    /// The words of its command line.
    pub command: Vec<String>,
    /// It is stopped (Ctrl-Z, a debugger): its stacks can be read, but do not change.
    pub stopped: bool,
}

/// Opens a running process.
///
/// Errors, by name: `no-such-process`, `thread-not-process`, `own-process`, `kernel-thread`, `process-is-a-zombie`,
/// `process-is-32-bit`, `process-ended`, `reading-forbidden`, `not-python`, `not-cpython`, `python-too-old`,
/// `python-unknown`, `python-not-ready`, and those of a process whose memory or files cannot be read.
/// Cost: some 0.3 ms; a few milliseconds for 3.8 to 3.10.
pub fn open(pid: u32) -> Result<Attached> {
    open_with(pid, &mut Locator::default())
}

/// The same, with what `locator` has learnt of other processes' files.
pub fn open_with(pid: u32, locator: &mut Locator) -> Result<Attached> {
    attempt(pid, locator).map_err(|problem| problem.failure(pid))
}

/// Opens a process that was started a moment ago: waits up to `patience` until its interpreter is there. It may be a
/// shell first that then becomes a Python.
///
/// Errors: as [`open`]; those of a program that is not a Python come when the time is over, all others at once.
pub fn open_starting(pid: u32, patience: Duration) -> Result<Attached> {
    let mut locator = Locator::default();
    let until = Instant::now() + patience;
    loop {
        match attempt(pid, &mut locator) {
            Ok(attached) => return Ok(attached),
            Err(problem) if !problem.may_pass() || Instant::now() >= until => {
                return Err(problem.failure(pid));
            }
            Err(_) => std::thread::sleep(ATTEMPT_GAP),
        }
    }
}

fn attempt(pid: u32, locator: &mut Locator) -> std::result::Result<Attached, Problem> {
    let status = check(pid)?;
    let memory = LiveProcess::new(pid);
    let located = locator.locate(pid, &memory).map_err(|error| match ProcessStatus::of(pid) {
        None => Problem::Ended,
        Some(status) if status.is_zombie() => Problem::Ended,
        Some(_) => match error {
            LocateError::Memory(MemoryError::Gone) => Problem::Ended,
            LocateError::Memory(MemoryError::Forbidden) => Problem::Forbidden(Box::new(Refusal::of(pid))),
            error => Problem::Locate(error),
        },
    })?;
    Ok(Attached { pid, memory, located, command: command_line(pid), stopped: status.is_stopped() })
}

/// What the system says before anything is read.
fn check(pid: u32) -> std::result::Result<ProcessStatus, Problem> {
    let Some(status) = ProcessStatus::of(pid) else {
        // `/proc` may hide the processes of others (`hidepid`); the refusal of a read tells that there is one.
        return Err(match LiveProcess::new(pid).read_u64(0) {
            Err(MemoryError::Forbidden) => Problem::Hidden,
            _ => Problem::NoSuchProcess,
        });
    };
    if pid == std::process::id() {
        return Err(Problem::Own);
    }
    if status.process != pid && status.process != 0 {
        return Err(Problem::Thread { of: status.process });
    }
    if status.is_zombie() {
        return Err(Problem::Zombie { parent: status.parent });
    }
    if status.is_kernel_thread() {
        return Err(Problem::KernelThread(status.name));
    }
    if process_status::is_32_bit(pid) {
        return Err(Problem::ThirtyTwoBit);
    }
    Ok(status)
}

/// Why a process cannot be opened.
#[derive(Debug)]
enum Problem {
    NoSuchProcess,
    Hidden,
    Own,
    Thread { of: u32 },
    Zombie { parent: u32 },
    KernelThread(String),
    ThirtyTwoBit,
    Ended,
    Forbidden(Box<Refusal>),
    Locate(LocateError),
}

impl Problem {
    /// Whether a process that is starting may get over it.
    fn may_pass(&self) -> bool {
        matches!(self, Problem::Locate(LocateError::NotReady | LocateError::NotPython))
    }

    fn failure(self, pid: u32) -> Failure {
        match self {
            Problem::NoSuchProcess => Failure::new("no-such-process", format!("there is no process {pid}"))
                .hint("`pgrep -af python` lists the Python processes of this machine"),
            Problem::Hidden => {
                Failure::new("reading-forbidden", format!("process {pid} is hidden from this user"))
                    .hint(format!("/proc is mounted with hidepid: run it as root: `sudo naja … -p {pid}`"))
            }
            Problem::Own => Failure::new("own-process", format!("process {pid} is naja itself"))
                .hint("give the number of the Python process"),
            Problem::Thread { of } => Failure::new(
                "thread-not-process",
                format!("{pid} is the number of a thread, not of a process"),
            )
            .hint(format!("it is a thread of process {of}: use `-p {of}`")),
            Problem::Zombie { parent } => Failure::new(
                "process-is-a-zombie",
                format!("process {pid} has ended; only its number is left"),
            )
            .hint(format!("its parent, process {parent}, has not asked yet how it ended")),
            Problem::KernelThread(name) => {
                Failure::new("kernel-thread", format!("process {pid} is a part of the kernel (`{name}`)"))
                    .hint("give the number of a Python process")
            }
            Problem::ThirtyTwoBit => {
                Failure::new("process-is-32-bit", format!("process {pid} runs a 32-bit program"))
                    .hint("naja reads 64-bit Pythons alone")
            }
            Problem::Ended => {
                Failure::new("process-ended", format!("process {pid} ended while it was being opened"))
                    .hint("`naja record -- python app.py` observes a program from its start")
            }
            Problem::Forbidden(refusal) => refusal.failure(pid),
            Problem::Locate(LocateError::NotPython) => not_python(pid),
            Problem::Locate(error) => Failure::from(&error).context(&format!("process {pid}")),
        }
    }
}

/// What it is instead, and which of its children is the Python that was meant.
fn not_python(pid: u32) -> Failure {
    let command = shown_command(pid);
    let failure = Failure::new("not-python", format!("process {pid} runs no Python: it is `{command}`"));
    let is_python = |child: &u32| {
        let exe = std::fs::read_link(format!("/proc/{child}/exe")).unwrap_or_default();
        exe.file_name().is_some_and(|name| name.to_string_lossy().starts_with("python"))
    };
    let pythons: Vec<String> = process_status::children(pid)
        .iter()
        .filter(|child| is_python(child))
        .take(CHILDREN_NAMED_MAX)
        .map(|child| format!("`-p {child}` ({})", shown_command(*child)))
        .collect();
    match pythons.is_empty() {
        true => failure.hint("`pgrep -af python` lists the Python processes of this machine"),
        false => failure.hint(format!("it has started one: {}; or add `--subprocesses`", pythons.join(", "))),
    }
}

/// The command line, cut to what a message can hold.
fn shown_command(pid: u32) -> String {
    const SHOWN_MAX: usize = 60;
    let command = command_line(pid).join(" ").replace(|c: char| c.is_control(), " ");
    match command.char_indices().nth(SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command,
    }
}

/// All that the system says about why it forbids reading a process.
#[derive(Clone, Debug, Default)]
struct Refusal {
    own: ProcessStatus,
    target: ProcessStatus,
    /// `kernel.yama.ptrace_scope`, where the kernel has it.
    yama: Option<u32>,
    undumpable: bool,
    /// It lives in another user namespace, as in a container.
    other_namespace: bool,
}

impl Refusal {
    fn of(pid: u32) -> Refusal {
        let target = ProcessStatus::of(pid).unwrap_or_default();
        let namespace = |whose: &str| std::fs::read_link(format!("/proc/{whose}/ns/user")).ok();
        let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").ok();
        Refusal {
            own: ProcessStatus::own(),
            undumpable: process_status::is_undumpable(pid, target.users),
            target,
            yama: scope.and_then(|text| text.trim().parse().ok()),
            other_namespace: matches!((namespace("self"), namespace(&pid.to_string())), (Some(a), Some(b)) if a != b),
        }
    }

    fn failure(&self, pid: u32) -> Failure {
        let (reason, instead) = self.reason(pid);
        Failure::new("reading-forbidden", format!("process {pid} may not be read: {reason}")).hint(instead)
    }

    /// The setting that refuses, and what works instead.
    fn reason(&self, pid: u32) -> (String, String) {
        let as_root = format!("run it as root: `sudo naja … -p {pid}`");
        let as_child =
            "start the program under naja, which may read its own children: `naja record -- python app.py`";
        let is_root = self.own.users[1] == 0;
        let has_capability = self.own.effective & CAP_SYS_PTRACE != 0;
        let owner = self.target.users;
        if self.yama == Some(3) {
            let reason = "kernel.yama.ptrace_scope is 3, which lets nobody read another process";
            return (
                reason.to_owned(),
                "it stays so until the machine is started with another value".to_owned(),
            );
        }
        if is_root && !has_capability {
            return (
                "this user is root but has no CAP_SYS_PTRACE, as in a container".to_owned(),
                "start the container with `--cap-add SYS_PTRACE` (Kubernetes: securityContext.capabilities.add), or \
                 read the process from the host"
                    .to_owned(),
            );
        }
        if !has_capability && owner.iter().any(|user| *user != self.own.users[1]) {
            let (owner, own) = (user_name(owner[1]), user_name(self.own.users[1]));
            return (
                format!("it belongs to {owner}, and naja runs as {own}"),
                format!("run naja as the same user, or {as_root}"),
            );
        }
        if self.undumpable && !has_capability {
            return (
                "it asked not to be read (PR_SET_DUMPABLE) or changed its privileges (setuid, file capabilities)"
                    .to_owned(),
                as_root,
            );
        }
        if let Some(scope @ (1 | 2)) = self.yama
            && !has_capability
        {
            let who = match scope {
                1 => "a process's own parents and holders of CAP_SYS_PTRACE",
                _ => "holders of CAP_SYS_PTRACE",
            };
            let mut instead = as_root;
            if scope == 1 {
                instead = format!("{as_child}; or {instead}; or `sudo sysctl kernel.yama.ptrace_scope=0`");
            }
            return (format!("kernel.yama.ptrace_scope is {scope}, which lets only {who} read it"), instead);
        }
        if self.other_namespace {
            return (
                "it lives in another user namespace, in which naja has no CAP_SYS_PTRACE".to_owned(),
                format!("{as_root} on the host, or run naja inside the container"),
            );
        }
        if self.target.permitted & !self.own.permitted != 0 && !has_capability {
            return ("it has capabilities that naja has not".to_owned(), as_root);
        }
        let reason = match self.own.filtered {
            true => "the seccomp profile of this container forbids process_vm_readv",
            false => "a security module of this system (SELinux, AppArmor) forbids it",
        };
        (reason.to_owned(), format!("{as_root}; in a container, add `--cap-add SYS_PTRACE`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One user's process that another process of the same user wants to read.
    fn refusal() -> Refusal {
        let status = ProcessStatus { users: [1000; 3], ..ProcessStatus::default() };
        Refusal { own: status.clone(), target: status, ..Refusal::default() }
    }

    fn check(refusal: &Refusal, reason: &str, instead: &str) {
        let failure = refusal.failure(42);
        let (message, hint) = (failure.message(), failure.hint_text().unwrap_or_default());
        assert_eq!(failure.name(), "reading-forbidden");
        assert!(message.contains(reason) && hint.contains(instead), "{failure}");
    }

    #[test]
    fn a_refusal_names_the_setting_and_what_works_instead() {
        check(&Refusal { yama: Some(1), ..refusal() }, "ptrace_scope is 1", "`naja record -- python app.py`");
        check(&Refusal { yama: Some(2), ..refusal() }, "ptrace_scope is 2", "sudo naja");
        check(&Refusal { yama: Some(3), ..refusal() }, "ptrace_scope is 3", "started with another value");
        check(&Refusal { undumpable: true, yama: Some(1), ..refusal() }, "PR_SET_DUMPABLE", "sudo naja");
        let mut other = refusal();
        other.target.users = [4_000_000_000; 3];
        check(&other, "it belongs to user 4000000000", "as the same user");
        let mut root = refusal();
        root.own.users = [0; 3];
        check(&root, "no CAP_SYS_PTRACE", "--cap-add SYS_PTRACE");
        check(&Refusal { other_namespace: true, ..refusal() }, "another user namespace", "on the host");
        let mut capable = refusal();
        capable.target.permitted = CAP_SYS_PTRACE;
        check(&capable, "capabilities that naja has not", "sudo naja");
        let mut filtered = refusal();
        filtered.own.filtered = true;
        check(&filtered, "seccomp", "--cap-add SYS_PTRACE");
        check(&refusal(), "security module", "sudo naja");
    }

    #[test]
    fn naja_does_not_open_itself_nor_a_number_without_a_process() {
        let name = |pid| open(pid).expect_err("it cannot be opened").name();
        assert_eq!(name(std::process::id()), "own-process");
        assert_eq!(name(u32::MAX), "no-such-process");
        assert_eq!(name(0), "no-such-process");
    }
}
