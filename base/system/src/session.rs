//! One program under naja's eyes, from its start to its end, with signals and job control as without naja.
//!
//! naja lives in the program's process group as its parent. It survives every signal that the program might,
//! passes on what the program did not get, stops when the program stops, and ends as it ended. The main thread
//! waits here; whatever observes the program runs in threads of its own. Start at [`Session::prepare`].

use std::io;

use crate::process::{Child, Launch};
use crate::signals::{self, Received, Signals};
use crate::witness::Witness;
use crate::{proc_state, timer};

/// Told about the program's life by the thread that waits for it.
///
/// Each call holds up that thread, and with it signals for the program, so what takes time belongs into a
/// thread that `started` begins. Such threads inherit the session's signal mask and so never take its signals.
pub trait Observer {
    /// The program runs since a moment ago.
    fn started(&mut self, child: &Child);

    /// The program was stopped, and naja stops with it right after this call: all threads of it.
    fn stopped(&mut self) {}

    /// The program runs again.
    fn continued(&mut self) {}

    /// The program has ended but is still readable as a zombie; it is gone when this returns.
    fn ended(&mut self);
}

/// An observer that looks away: the program runs as it is.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn started(&mut self, _child: &Child) {}
    fn ended(&mut self) {}
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It ended by itself, with this exit code.
    Exited(u8),
    /// A signal ended it.
    Killed {
        /// The signal's number.
        signal: i32,
        /// Whether the kernel wrote the program's memory to a file.
        core_dumped: bool,
    },
}

/// How a program ended and what it used, by the kernel's own account.
#[derive(Debug, Clone, Copy)]
pub struct Ended {
    /// Exit code or signal.
    pub status: Status,
    /// From its start until its end was noticed.
    pub wall_ns: u64,
    /// CPU time in user mode, of the program and the children that it waited for.
    pub user_ns: u64,
    /// CPU time in the kernel, of the program and the children that it waited for.
    pub system_ns: u64,
    /// The largest resident size that the program (or one of the children that it waited for) had.
    pub max_rss_bytes: u64,
    /// The part of `wall_ns` in which the program was stopped (Ctrl-Z, SIGSTOP).
    pub stopped_ns: u64,
}

/// A process that is ready to start one program and to wait for it.
pub struct Session {
    signals: Signals,
}

impl Session {
    /// Holds back this process's signals, for the rest of its life.
    ///
    /// Call it in the main thread, before any other thread starts. Errors: no descriptor left.
    pub fn prepare() -> io::Result<Session> {
        Ok(Session { signals: Signals::hold()? })
    }

    /// Starts the program and waits until it has ended. Children that it leaves behind are not waited for.
    ///
    /// Errors: what `execve` said; nothing was started then and the observer heard nothing.
    pub fn run(self, launch: &Launch, observer: &mut dyn Observer) -> io::Result<Ended> {
        let child = launch.spawn(self.signals.inherited_mask)?;
        let mut watch = Watch {
            witness: Witness::start(child.pid).ok(),
            signals: self.signals,
            child,
            stopped_since_ns: None,
            stopped_ns: 0,
        };
        // The program has its descriptors; what is left here would keep its pipes open. Failing costs only that.
        let _ = crate::process::release_descriptors();
        crate::process::raise_descriptor_limit();
        observer.started(&watch.child);
        watch.wait_for_end(observer);
        let wall_ns = timer::now_ns() - watch.child.started_ns;
        observer.ended();
        Ok(watch.reap(wall_ns))
    }
}

impl Ended {
    /// Ends this process as the program ended: same exit code, or the same signal without a core dump.
    ///
    /// Where a process cannot end itself by a signal (the first one of a container), the code is 128 + signal,
    /// as shells have it.
    pub fn end_alike(&self) -> ! {
        let code = match self.status {
            Status::Exited(code) => i32::from(code),
            Status::Killed { signal, .. } => {
                signals::end_self(signal);
                128 + signal
            }
        };
        // SAFETY: takes a number; output of this program is not buffered, so that no exit handler is needed.
        unsafe { libc::_exit(code) }
    }
}

/// The state of waiting for one program.
struct Watch {
    signals: Signals,
    witness: Option<Witness>,
    child: Child,
    stopped_since_ns: Option<u64>,
    stopped_ns: u64,
}

/// What `waitid` says about the program.
enum Change {
    Ended,
    Stopped(libc::c_int),
    Continued,
}

impl Watch {
    fn wait_for_end(&mut self, observer: &mut dyn Observer) {
        loop {
            // Signals first: the end of the program makes those that are left pointless.
            while let Some(received) = self.signals.next() {
                self.handle(&received);
            }
            match self.change() {
                Some(Change::Ended) => return self.note_continued(),
                Some(Change::Stopped(signal)) => self.stop_with_program(signal, observer),
                Some(Change::Continued) => self.go_on(observer),
                None => {
                    self.signals.wait(-1);
                }
            }
        }
    }

    fn handle(&mut self, received: &Received) {
        if !received.is_for_naja_alone() || self.comes_from_program(received) {
            return;
        }
        if received.signal == libc::SIGCONT {
            if self.witness.as_ref().is_some_and(|witness| witness.is(received.sender)) {
                // It woke naja, which was awake by then; nobody meant the program.
                return;
            }
            if proc_state::is_stopped(self.child.pid) {
                // A stop that naja has not seen yet is newer than the signal: passing that on would undo Ctrl-Z.
                if self.stopped_since_ns.is_some() {
                    received.pass_on_to(self.child.pid);
                }
                return;
            }
        }
        let reached_the_group = match &mut self.witness {
            // A timer of naja's own, or a value queued for one process, concerns no group.
            Some(witness) if received.code == libc::SI_USER => witness.has_seen(received),
            _ => false,
        };
        if !reached_the_group {
            received.pass_on_to(self.child.pid);
        }
    }

    /// Whether the program itself, or a process below it, sent the signal: to its group, which it is part of, or
    /// to its parent on purpose. Neither is meant to come back to it.
    fn comes_from_program(&self, received: &Received) -> bool {
        // The kernel sets no sender for signals of its own.
        let mut pid = received.sender;
        while pid > 1 {
            if pid == self.child.pid {
                return true;
            }
            match proc_state::parent(pid) {
                Some(parent) => pid = parent,
                None => return false,
            }
        }
        false
    }

    /// The next change of the program's state; its end stays to be reaped.
    fn change(&self) -> Option<Change> {
        if let Some((libc::CLD_EXITED | libc::CLD_KILLED | libc::CLD_DUMPED, _)) =
            self.wait_id(libc::WEXITED | libc::WNOWAIT)
        {
            return Some(Change::Ended);
        }
        match self.wait_id(libc::WSTOPPED | libc::WCONTINUED)? {
            (libc::CLD_STOPPED, signal) => Some(Change::Stopped(signal)),
            (libc::CLD_CONTINUED, _) => Some(Change::Continued),
            // CLD_TRAPPED: a debugger's business.
            _ => None,
        }
    }

    fn wait_id(&self, options: libc::c_int) -> Option<(libc::c_int, libc::c_int)> {
        // SAFETY: an all-zero siginfo_t is a valid value, and `waitid` fills it; WNOHANG leaves it zero when
        // there is nothing, and `si_status` belongs to the part that it fills for children.
        unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let result = libc::waitid(libc::P_PID, self.child.pid, &raw mut info, options | libc::WNOHANG);
            (result == 0 && info.si_pid() != 0).then(|| (info.si_code, info.si_status()))
        }
    }

    /// Stops naja as the program was stopped, so that the shell takes the terminal back; returns when continued.
    fn stop_with_program(&mut self, signal: libc::c_int, observer: &mut dyn Observer) {
        self.stopped_since_ns.get_or_insert_with(timer::now_ns);
        observer.stopped();
        if let Some(witness) = &self.witness {
            witness.naja_stops();
        }
        if proc_state::is_stopped(self.child.pid) {
            self.signals.stop_self(signal);
        }
        if let Some(witness) = &self.witness {
            witness.naja_goes_on();
        }
        self.continue_program();
        // The SIGCONT that woke naja is held back by now, and what it asks for is done.
        while let Some(received) = self.signals.next() {
            if received.signal != libc::SIGCONT {
                self.handle(&received);
            }
        }
    }

    /// Continues the program unless it was continued together with naja, as `fg` and `kill -CONT %1` do.
    fn continue_program(&self) {
        // The whole group is continued in one system call, but this process may run before it has returned.
        const GROUP_DELAY_MS: u32 = 20;
        for _ in 0..GROUP_DELAY_MS {
            if !proc_state::is_stopped(self.child.pid) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let pid = libc::pid_t::try_from(self.child.pid).expect("a process id fits");
        // SAFETY: numbers only; the child is not reaped yet, so that its id is not reused.
        unsafe { libc::kill(pid, libc::SIGCONT) };
    }

    fn go_on(&mut self, observer: &mut dyn Observer) {
        self.note_continued();
        observer.continued();
    }

    fn note_continued(&mut self) {
        if let Some(since_ns) = self.stopped_since_ns.take() {
            self.stopped_ns += timer::now_ns() - since_ns;
        }
    }

    fn reap(self, wall_ns: u64) -> Ended {
        let pid = libc::pid_t::try_from(self.child.pid).expect("a process id fits");
        let mut status = 0;
        // SAFETY: an all-zero rusage is a valid value; both are writable, and the child is an unreaped zombie.
        let usage = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            while libc::wait4(pid, &raw mut status, 0, &raw mut usage) == -1
                && *libc::__errno_location() == libc::EINTR
            {}
            usage
        };
        Ended {
            status: if libc::WIFSIGNALED(status) {
                Status::Killed { signal: libc::WTERMSIG(status), core_dumped: libc::WCOREDUMP(status) }
            } else {
                Status::Exited(u8::try_from(libc::WEXITSTATUS(status)).expect("a code has 8 bits"))
            },
            wall_ns,
            user_ns: nanoseconds(usage.ru_utime),
            system_ns: nanoseconds(usage.ru_stime),
            max_rss_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0) * 1024,
            stopped_ns: self.stopped_ns,
        }
    }
}

fn nanoseconds(time: libc::timeval) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_usec).unwrap_or(0) * 1_000
}
