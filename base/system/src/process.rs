//! Starts a program so that it finds what it would have found without naja in between.
//!
//! The child shares everything with what started naja: environment (but for what [`Launch::environment`] names),
//! working directory, open descriptors, process group, session, limits, mask and ignored signals. Nothing runs in the child but the few system
//! calls in [`become_program`]. Start at [`Launch::spawn`].

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::inherited;

/// What to start: a file and its argument vector. All else is inherited, byte for byte.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    /// The file to execute; not searched for.
    pub executable: PathBuf,
    /// All arguments, the name of the program itself (`argv[0]`) first.
    pub arguments: Vec<OsString>,
    /// Variables that the program gets beside those that naja inherited, or in place of their values.
    pub environment: Vec<(OsString, OsString)>,
}

/// A started program: a direct child of this process that nobody has waited for yet.
#[derive(Debug)]
pub struct Child {
    /// Its process id, which stays valid until it is waited for.
    pub pid: u32,
    /// When it was started, on the clock of [`crate::timer::now_ns`].
    pub started_ns: u64,
}

/// A set of signals as the kernel keeps it for a thread.
#[derive(Clone, Copy)]
pub(crate) struct SignalMask(pub(crate) libc::sigset_t);

impl Launch {
    /// Starts the program with the given signal mask.
    ///
    /// Errors: what `execve` said (no such file, permission, not an executable).
    /// Cost: about 0.2 ms whatever the size of this process, since the child borrows its memory until it
    /// executes; this thread waits meanwhile.
    pub(crate) fn spawn(&self, mask: SignalMask) -> io::Result<Child> {
        let executable = c_string(self.executable.as_os_str())?;
        let arguments =
            self.arguments.iter().map(|argument| c_string(argument)).collect::<io::Result<Vec<CString>>>()?;
        let argument_pointers = null_terminated(&arguments);

        // A script without `#!` is run by the shell, as `execvp` and every shell do.
        let shell = [c"/bin/sh".to_owned(), executable.clone()];
        let mut shell_pointers = null_terminated(&shell);
        shell_pointers.pop();
        shell_pointers.extend(argument_pointers.iter().skip(1));

        let changed = self
            .environment
            .iter()
            .map(|(name, value)| c_string(&[name.as_os_str(), value].join(OsStr::new("="))))
            .collect::<io::Result<Vec<CString>>>()?;
        let variables = environment_with(&changed);

        let mut plan = Plan {
            executable: executable.as_ptr(),
            arguments: argument_pointers.as_ptr(),
            shell_arguments: shell_pointers.as_ptr(),
            environment: variables.as_ptr(),
            mask: mask.0,
            ignored_signals: inherited::ignored_signals(),
            closed_streams: inherited::closed_streams(),
            error: 0,
        };
        let started_ns = crate::timer::now_ns();
        let pid = clone_and_wait_for_exec(&mut plan)?;
        if plan.error != 0 {
            let mut status = 0;
            // SAFETY: `pid` is our child, which has ended in `become_program`; `status` is writable.
            unsafe { libc::waitpid(pid, &raw mut status, 0) };
            return Err(io::Error::from_raw_os_error(plan.error));
        }
        Ok(Child { pid: u32::try_from(pid).expect("a process id is positive"), started_ns })
    }
}

unsafe extern "C" {
    // The environment as this process received it; `std::env` would drop entries that it cannot parse.
    static environ: *const *const libc::c_char;
}

/// Pointers to this process's variables as they were received, those of the same names left out, and `changed`
/// (`NAME=value`) after them; a null pointer at the end.
fn environment_with(changed: &[CString]) -> Vec<*const libc::c_char> {
    let name_of = |variable: &[u8]| variable.split(|&byte| byte == b'=').next().unwrap_or_default().to_vec();
    let names: Vec<Vec<u8>> = changed.iter().map(|variable| name_of(variable.to_bytes())).collect();
    let mut pointers = Vec::new();
    // SAFETY: naja never changes its environment, so the array and what it points to stay as they are; it ends with a
    // null pointer, and every entry before that is a terminated string.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            let variable = std::ffi::CStr::from_ptr(*next).to_bytes();
            if !names.contains(&name_of(variable)) {
                pointers.push(*next);
            }
            next = next.add(1);
        }
    }
    pointers.extend(changed.iter().map(|variable| variable.as_ptr()));
    pointers.push(std::ptr::null());
    pointers
}

/// What the child needs, laid out before it exists since it must not allocate.
struct Plan {
    executable: *const libc::c_char,
    arguments: *const *const libc::c_char,
    shell_arguments: *const *const libc::c_char,
    environment: *const *const libc::c_char,
    mask: libc::sigset_t,
    ignored_signals: u64,
    closed_streams: u8,
    /// Set by the child when it could not execute the program.
    error: libc::c_int,
}

fn clone_and_wait_for_exec(plan: &mut Plan) -> io::Result<libc::pid_t> {
    const STACK_BYTES: usize = 64 * 1024;
    let mut stack = vec![0u128; STACK_BYTES / size_of::<u128>()];
    let stack_top = stack.as_mut_ptr_range().end;

    // No handler of ours may run in the child while it borrows our memory: everything is blocked before it
    // exists, and it takes the program's own mask as its last step.
    let before = SignalMask::block_everything();
    // SAFETY: the stack is ours, 16-byte aligned and large enough for a few system calls; CLONE_VFORK keeps
    // this thread, and with it `stack` and `plan`, in place until the child has executed or ended.
    let pid = unsafe {
        libc::clone(
            become_program,
            stack_top.cast(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
            std::ptr::from_mut(plan).cast(),
        )
    };
    let error = io::Error::last_os_error();
    before.apply();
    if pid == -1 { Err(error) } else { Ok(pid) }
}

/// The child's only code: gives back what naja and Rust's runtime changed, then becomes the program.
extern "C" fn become_program(plan: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent passes a `Plan` and waits until this function has executed or ended.
    let plan = unsafe { &mut *plan.cast::<Plan>() };
    for signal in 1..=64 {
        // SAFETY: an all-zero sigaction is a valid value of this plain C struct.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction =
            if plan.ignored_signals >> (signal - 1) & 1 == 1 { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: signal dispositions are per process, and this is the child's own table; for the few signals
        // that cannot be set (SIGKILL, SIGSTOP, the C library's own) the call fails without effect.
        unsafe { libc::sigaction(signal, &raw const action, std::ptr::null_mut()) };
    }
    for stream in 0..=2 {
        if plan.closed_streams >> stream & 1 == 1 {
            // SAFETY: the descriptor table is the child's own; Rust's runtime opened this one on `/dev/null`.
            unsafe { libc::close(stream) };
        }
    }
    // SAFETY: every pointer of the plan is a terminated array or string that the waiting parent owns.
    unsafe {
        libc::sigprocmask(libc::SIG_SETMASK, &raw const plan.mask, std::ptr::null_mut());
        libc::execve(plan.executable, plan.arguments, plan.environment);
        let error = *libc::__errno_location();
        if error == libc::ENOEXEC {
            libc::execve(c"/bin/sh".as_ptr(), plan.shell_arguments, plan.environment);
        }
        // Told last: the parent takes it for a failure, and it would be none had the shell started.
        plan.error = error;
        libc::_exit(127)
    }
}

impl SignalMask {
    /// Blocks every signal in this thread and gives the mask that was in force.
    pub(crate) fn block_everything() -> SignalMask {
        // SAFETY: `sigset_t` is a plain C struct for which all zeroes is a value; both sets are writable.
        unsafe {
            let mut all: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            SignalMask(before)
        }
    }

    /// Makes this the mask of the calling thread.
    pub(crate) fn apply(&self) {
        // SAFETY: the set was filled by the kernel or by the C library's own functions.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut());
        }
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "an argument holds a zero byte, which no program can be given",
        )
    })
}

fn null_terminated(strings: &[CString]) -> Vec<*const libc::c_char> {
    let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
    pointers.push(std::ptr::null());
    pointers
}

/// Lets go of the streams and descriptors that belong to the program, once it has them.
///
/// A reader at the other end of a pipe sees the end of file when the program closes it, not when naja ends.
/// Standard error stays, since the report goes there. Every descriptor of naja's own closes on `exec`, which
/// is how the two are told apart.
///
/// Call it before anything of naja writes to standard output: from here on that leads to `/dev/null`.
pub fn release_descriptors() -> io::Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    for stream in 0..=1 {
        // SAFETY: both are open descriptors (Rust's runtime sees to 0 and 1), and no Rust object owns the target
        // in a way that a change of the file behind it would break.
        if unsafe { libc::dup2(null.as_raw_fd(), stream) } == -1 {
            return Err(io::Error::last_os_error());
        }
    }
    for descriptor in inherited_descriptors()? {
        // SAFETY: it does not close on exec, so that it is none of ours; nothing in this process refers to it.
        unsafe { libc::close(descriptor) };
    }
    Ok(())
}

/// The descriptors above 2 that stay open over `exec`: those that the program inherits.
fn inherited_descriptors() -> io::Result<Vec<RawFd>> {
    let mut descriptors = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(descriptor) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // SAFETY: F_GETFD reads one flag and takes no pointer.
        let flags = unsafe { libc::fcntl(descriptor, libc::F_GETFD) };
        if descriptor > 2 && flags != -1 && flags & libc::FD_CLOEXEC == 0 {
            descriptors.push(descriptor);
        }
    }
    Ok(descriptors)
}

/// Takes an inherited descriptor for naja itself, as `--report fd:N` asks.
///
/// The program does not inherit it then, so that its reader sees the end when naja ends; the standard streams
/// (0, 1, 2) stay the program's as well.
///
/// Errors: `EBADF` when nothing is open there.
pub fn take_descriptor(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes a number and gives a new descriptor or an error.
    let copy = unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) };
    if copy == -1 {
        return Err(io::Error::last_os_error());
    }
    if number > 2 {
        // SAFETY: F_SETFD sets one flag; the descriptor was open one call ago.
        unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    // SAFETY: `copy` was just made and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Allows this process as many open files as the machine lets it have: a program with thousands of threads is
/// observed through thousands of files. The program was started before and keeps its own limit.
pub(crate) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is readable and writable through both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 && limit.rlim_cur < limit.rlim_max {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Asks a process to end (SIGTERM). One that has ended already is left alone.
///
/// For a process that this one started and has not waited for, so that its number is not another's by now.
pub fn ask_to_end(pid: u32) {
    send(pid, libc::SIGTERM);
}

/// Ends a process that does not end when asked (SIGKILL); see [`ask_to_end`].
pub fn make_end(pid: u32) {
    send(pid, libc::SIGKILL);
}

fn send(pid: u32, signal: libc::c_int) {
    if let Ok(pid) = libc::pid_t::try_from(pid) {
        // SAFETY: numbers only.
        unsafe { libc::kill(pid, signal) };
    }
}

/// Whether the file can be executed by this user.
pub fn is_executable(path: &Path) -> bool {
    let Ok(path) = c_string(path.as_os_str()) else {
        return false;
    };
    // SAFETY: `path` is a terminated string for the length of the call.
    unsafe { libc::faccessat(libc::AT_FDCWD, path.as_ptr(), libc::X_OK, libc::AT_EACCESS) == 0 }
}
