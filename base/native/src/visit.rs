//! Calls functions in another process, in one of its threads that is borrowed for that and given back as it was.
//!
//! A function is called as the kernel calls a signal's handler: what the thread was doing lies on its own stack, in the form
//! that `rt_sigreturn` takes, and to that the function returns. So the thread goes on as before even where naja is killed in the
//! middle; no byte of the process's code is changed. A thread is borrowed only at a [`moment`] when
//! it holds no lock that the dynamic linker or `malloc` might want. All other threads run on meanwhile.
//!
//! All calls of one [`Visit`] must come from one thread of naja: to the kernel the tracer is a thread. Should it end,
//! the kernel lets go of everything. Start at [`Visit::begin`].

use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::maps;
use crate::modules::{ModuleFiles, Modules};
use crate::moment::{Moment, Moments};
use crate::outside;
use crate::stack;
use crate::traced::{Stop, Traced, settle};

/// Between two rounds through all threads.
const ROUND_GAP: Duration = Duration::from_millis(1);
/// How long one call may take.
const CALL_MAX: Duration = Duration::from_secs(20);
/// What a call may need of the thread's stack.
const STACK_BYTES_MIN: u64 = 128 << 10;

/// Why a function was not called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VisitError {
    /// The process has ended.
    Gone,
    /// The system forbids it, or a debugger has the process.
    Forbidden,
    /// The process is stopped, so that nothing of it runs.
    Stopped,
    /// No thread was found in time at a moment when it may be borrowed.
    NoMoment,
    /// The process's C library lacks what is needed: the name of it.
    Lacks(&'static str),
    /// The function did not come to its end: the signal that it raised. The thread goes on where it was.
    Crashed(i32),
    /// The function takes too long. The thread goes on where it was, once it returns.
    Late,
    /// Another error of the system, by number.
    Os(i32),
}

impl std::fmt::Display for VisitError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            VisitError::Gone => write!(f, "the process has ended"),
            VisitError::Forbidden => write!(f, "the system forbids it, or a debugger has the process"),
            VisitError::Stopped => write!(f, "the process is stopped"),
            VisitError::NoMoment => {
                write!(
                    f,
                    "each of its threads was within `malloc` or the dynamic linker whenever it was looked at"
                )
            }
            VisitError::Lacks(what) => write!(f, "its C library has no `{what}`"),
            VisitError::Crashed(signal) => write!(f, "the call ended with signal {signal}"),
            VisitError::Late => write!(f, "the call did not come back in time"),
            VisitError::Os(number) => write!(f, "{}", io::Error::from_raw_os_error(*number)),
        }
    }
}

impl std::error::Error for VisitError {}

/// A thread that is borrowed.
pub struct Visit {
    pid: u32,
    tid: u32,
    thread: Traced,
    modules: Modules,
    /// Where the code lies that gives back what a call has interrupted.
    restorer: u64,
    saved: Saved,
    /// Below this, the thread's stack is free.
    free_below: u64,
    /// A call has begun, so that the thread stands where it returns.
    has_called: bool,
    /// It cannot be given back by naja: it goes on by itself.
    is_lost: bool,
}

/// What a thread was doing.
struct Saved {
    registers: libc::user_regs_struct,
    floating: Vec<u8>,
    mask: u64,
    /// Where its `errno` lies, and what it was.
    errno: Option<(u64, [u8; 4])>,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Visit").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Visit {
    /// Borrows a thread of a process, as soon as there is one that may be.
    ///
    /// Errors: see [`VisitError`]
    /// Cost: some 10 ms for the files that the process has mapped, then some 50 µs for each thread that is looked at
    pub fn begin(pid: u32, files: &mut ModuleFiles, patience: Duration) -> Result<Visit, VisitError> {
        let until = Instant::now() + patience;
        let modules = Modules::read(pid, files).map_err(|error| of_io(&error))?;
        let restorer = find_restorer(&modules).ok_or(VisitError::Lacks("__restore_rt"))?;
        let mut moments = Moments::new(pid, files).map_err(|error| of_io(&error))?;
        let mut refused = None;
        loop {
            if is_stopped(pid) {
                return Err(VisitError::Stopped);
            }
            for tid in threads(pid)? {
                match borrow(pid, tid, &mut moments, files) {
                    Ok(Some(thread)) => {
                        settle();
                        return Visit::of(pid, tid, thread, modules, restorer);
                    }
                    Ok(None) | Err(VisitError::Gone) => {}
                    Err(error) => refused = Some(error),
                }
            }
            settle();
            if let Some(error @ VisitError::Forbidden) = refused {
                return Err(error);
            }
            if Instant::now() >= until {
                return Err(refused.unwrap_or(VisitError::NoMoment));
            }
            std::thread::sleep(ROUND_GAP);
        }
    }

    fn of(pid: u32, tid: u32, thread: Traced, modules: Modules, restorer: u64) -> Result<Visit, VisitError> {
        let registers = thread.registers()?;
        let errno = errno_place(pid, &modules, registers.fs_base).and_then(|place| {
            let mut bytes = [0; 4];
            (stack::copy(pid, place, &mut bytes).ok()? == 4).then_some((place, bytes))
        });
        let saved = Saved { registers, floating: thread.floating()?, mask: thread.mask()?, errno };
        // The 128 bytes below belong to the function that was interrupted.
        let free_below = registers.rsp - 128;
        Ok(Visit {
            pid,
            tid,
            thread,
            modules,
            restorer,
            saved,
            free_below,
            has_called: false,
            is_lost: false,
        })
    }

    /// What the process had mapped when the visit began.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// Looks again at what is mapped.
    ///
    /// Errors: the process is gone
    pub fn look_again(&mut self, files: &mut ModuleFiles) -> Result<&Modules, VisitError> {
        self.modules = Modules::read(self.pid, files).map_err(|error| of_io(&error))?;
        Ok(&self.modules)
    }

    /// Where the first function of these names lies that a library of the process exports; one that begins within `besides` is
    /// passed over.
    pub fn function(&self, names: &[&str], besides: &Range<u64>) -> Option<u64> {
        names.iter().find_map(|name| {
            self.modules
                .list()
                .iter()
                .filter(|module| !besides.contains(&module.start))
                .find_map(|module| Some(module.file.exported(name)?.wrapping_add(module.bias)))
        })
    }

    /// Puts bytes where the functions that are called can read them, until the visit ends; their address.
    ///
    /// Errors: the process is gone, or its stack has no room
    pub fn place(&mut self, bytes: &[u8]) -> Result<u64, VisitError> {
        let address = (self.free_below - bytes.len() as u64) & !15;
        write(self.pid, address, bytes)?;
        self.free_below = address;
        Ok(address)
    }

    /// Calls a function with up to six numbers, and waits for its end. What it returns is not told.
    ///
    /// Errors: see [`VisitError`]
    pub fn call(&mut self, function: u64, numbers: &[u64]) -> Result<(), VisitError> {
        let frame = frame::build(
            &self.saved.after(),
            &self.saved.floating,
            self.saved.mask,
            self.free_below,
            self.restorer,
        );
        write(self.pid, frame.address, &frame.bytes)?;
        let mut registers = self.saved.registers;
        registers.rip = function;
        registers.rsp = frame.address;
        registers.rbp = 0;
        registers.rax = 0;
        // No system call is to be begun again.
        registers.orig_rax = u64::MAX;
        registers.eflags &= !0x400;
        let places = [
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.rcx,
            &mut registers.r8,
            &mut registers.r9,
        ];
        for (place, number) in places.into_iter().zip(numbers) {
            *place = *number;
        }
        self.thread.set_registers(&registers)?;
        self.has_called = true;
        self.thread.set_mask(u64::MAX)?;
        self.wait_for_return(&frame)
    }

    fn wait_for_return(&mut self, frame: &frame::Frame) -> Result<(), VisitError> {
        let until = Instant::now() + CALL_MAX;
        loop {
            match self.thread.go_on_to_system_call(0, until)? {
                Stop::SystemCall => {
                    let registers = self.thread.registers()?;
                    let is_return = registers.orig_rax == libc::SYS_rt_sigreturn as u64
                        && registers.rsp == frame.address + 8
                        && registers.rax as i64 == -i64::from(libc::ENOSYS);
                    if is_return {
                        return Ok(());
                    }
                }
                Stop::Signal(signal)
                    if [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE].contains(&signal) =>
                {
                    return Err(VisitError::Crashed(signal));
                }
                // The others are blocked, and come once the mask is as it was.
                Stop::Signal(_) | Stop::Event => {}
                Stop::Ended => {
                    self.is_lost = true;
                    return Err(VisitError::Gone);
                }
                Stop::Late => {
                    // It returns to where it was by itself.
                    self.is_lost = true;
                    return Err(VisitError::Late);
                }
            }
        }
    }

    /// Waits until all threads are outside of a stretch of code, to which nothing leads any more; false where that takes too
    /// long, or where the one that is borrowed is about to go there.
    ///
    /// Errors: the process is gone, or forbids it
    pub fn wait_until_outside(
        &self,
        code: &Range<u64>,
        files: &mut ModuleFiles,
        patience: Duration,
    ) -> Result<bool, VisitError> {
        // Nothing on its stack is, or it would not have been borrowed.
        if outside::is_held(&self.saved.registers, code) {
            return Ok(false);
        }
        outside::wait(self.pid, self.tid, code, files, patience)
    }

    /// Gives the thread back, as it was.
    ///
    /// Errors: the process is gone
    pub fn end(mut self) -> Result<(), VisitError> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), VisitError> {
        if std::mem::replace(&mut self.is_lost, true) {
            return Ok(());
        }
        if self.has_called {
            if let Some((place, bytes)) = self.saved.errno {
                write(self.pid, place, &bytes)?;
            }
            self.thread.set_floating(&self.saved.floating)?;
            self.thread.set_registers(&self.saved.after())?;
            self.thread.set_mask(self.saved.mask)?;
        }
        self.thread.let_go();
        Ok(())
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        // Whoever wants to know calls `end`.
        let _ = self.give_back();
    }
}

impl Saved {
    /// The registers with which the thread goes on: a system call that was interrupted is begun again, as the kernel would.
    fn after(&self) -> libc::user_regs_struct {
        const ERESTARTSYS: i64 = 512;
        const ERESTARTNOINTR: i64 = 513;
        const ERESTARTNOHAND: i64 = 514;
        const ERESTART_RESTARTBLOCK: i64 = 516;
        let mut registers = self.registers;
        let call = registers.orig_rax as i64;
        registers.orig_rax = u64::MAX;
        if call < 0 {
            return registers;
        }
        let again = match -(registers.rax as i64) {
            ERESTARTSYS | ERESTARTNOINTR | ERESTARTNOHAND => call,
            // The kernel has kept how long it is still to wait.
            ERESTART_RESTARTBLOCK => libc::SYS_restart_syscall,
            4 if crate::pause::is_ended_by_pause(call) => call,
            _ => return registers,
        };
        registers.rax = again as u64;
        registers.rip -= 2;
        registers
    }
}

/// Stops a thread and, if it may be borrowed, keeps it. One that is within a function which it will come out of is not led
/// on by steps: a step that is not over when the thread is let go of ends its process with SIGTRAP. It is looked at again.
fn borrow(
    pid: u32,
    tid: u32,
    moments: &mut Moments,
    files: &mut ModuleFiles,
) -> Result<Option<Traced>, VisitError> {
    let Some(mut thread) = Traced::stop(tid)? else { return Ok(None) };
    let registers = thread.registers()?;
    if moments.of(&registers, files) == Moment::Free && has_room(pid, registers.rsp) {
        return Ok(Some(thread));
    }
    thread.let_go();
    Ok(None)
}

/// Whether a thread's stack has room for calls.
fn has_room(pid: u32, sp: u64) -> bool {
    let mappings = maps::read(pid).unwrap_or_default();
    mappings.iter().any(|mapping| {
        (mapping.start..mapping.end).contains(&sp)
            && (mapping.path == "[stack]" || sp - mapping.start >= STACK_BYTES_MIN)
    })
}

/// The process's threads, the first one first.
pub(crate) fn threads(pid: u32) -> Result<Vec<u32>, VisitError> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| of_io(&error))?;
    let mut threads: Vec<u32> =
        entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    threads.sort_by_key(|tid| (*tid != pid, *tid));
    // Where only the first is left and has ended, the process has: nobody has asked how yet.
    let is_over = threads.is_empty() || threads == [pid] && crate::traced::is_ending(pid);
    if is_over { Err(VisitError::Gone) } else { Ok(threads) }
}

fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

/// The code to which handlers of signals return, in the C library: `mov $15, %rax; syscall`.
fn find_restorer(modules: &Modules) -> Option<u64> {
    const CODE: [u8; 9] = [0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05];
    let libraries = modules.list().iter().filter(|module| {
        let name = module.file.name();
        name.starts_with("libc.") || name.starts_with("libc-") || name.starts_with("ld-musl")
    });
    libraries.filter_map(|module| module.find_code(&CODE)).next()
}

/// Where a thread's `errno` lies, out of the code that says so.
fn errno_place(pid: u32, modules: &Modules, thread: u64) -> Option<u64> {
    // mov slot(%rip), %rax; add %fs:0, %rax; ret
    const LOAD: [u8; 3] = [0x48, 0x8b, 0x05];
    const ADD: [u8; 10] = [0x64, 0x48, 0x03, 0x04, 0x25, 0, 0, 0, 0, 0xc3];
    const MARK: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
    let mut place = modules
        .list()
        .iter()
        .find_map(|module| Some(module.file.exported("__errno_location")?.wrapping_add(module.bias)))?;
    let mut code = [0; 32];
    stack::copy(pid, place, &mut code).ok()?;
    let mut code = &code[..];
    if let Some(rest) = code.strip_prefix(&MARK) {
        (code, place) = (rest, place + 4);
    }
    let rest = code.strip_prefix(&LOAD)?;
    let (distance, rest) = rest.split_first_chunk::<4>()?;
    rest.strip_prefix(&ADD)?;
    let slot = (place + 7).wrapping_add_signed(i64::from(i32::from_le_bytes(*distance)));
    let mut offset = [0; 8];
    stack::copy(pid, slot, &mut offset).ok()?;
    Some(thread.wrapping_add(u64::from_le_bytes(offset)))
}

fn write(pid: u32, address: u64, bytes: &[u8]) -> Result<(), VisitError> {
    match stack::write(pid, address, bytes) {
        Ok(()) => Ok(()),
        Err(error) => Err(of_io(&error)),
    }
}

pub(crate) fn of_io(error: &io::Error) -> VisitError {
    match error.raw_os_error() {
        Some(libc::ESRCH | libc::ENOENT) => VisitError::Gone,
        Some(libc::EPERM | libc::EACCES) => VisitError::Forbidden,
        Some(number) => VisitError::Os(number),
        None if error.kind() == io::ErrorKind::NotFound => VisitError::Gone,
        None => VisitError::Os(0),
    }
}

/// What the kernel puts on a thread's stack when it calls a signal's handler.
mod frame {
    /// Where the next return leads: the frame's first word.
    pub(super) struct Frame {
        pub(super) address: u64,
        pub(super) bytes: Vec<u8>,
    }

    const UC_FP_XSTATE: u64 = 1;
    const UC_SIGCONTEXT_SS: u64 = 2;
    const UC_STRICT_RESTORE_SS: u64 = 4;
    const FP_XSTATE_MAGIC1: u32 = 0x4650_5853;
    const FP_XSTATE_MAGIC2: u32 = 0x4650_5845;
    /// Room for the context, and for what the kernel says of the signal.
    const CONTEXT_BYTES: u64 = 8 + 304 + 128;
    /// Where in the registers' area stands which of them there are, and where the kernel says how long it is.
    const FEATURES: usize = 464;
    const LEGACY_BYTES: usize = 576;

    /// A frame below an address.
    pub(super) fn build(
        registers: &libc::user_regs_struct,
        floating: &[u8],
        mask: u64,
        below: u64,
        restorer: u64,
    ) -> Frame {
        let floating = framed_floating(floating);
        let floating_at = (below - floating.len() as u64) & !63;
        // At a function's first instruction, the stack is 8 bytes off a multiple of 16.
        let address = ((floating_at - CONTEXT_BYTES) & !15) - 8;
        let mut words = vec![restorer];
        let r = registers;
        words.push(UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS);
        // No link; and of the stack for signals, a state that there is not, so that it stays what it is.
        words.extend([0, 0, 0x7fff, 0]);
        words.extend([r.r8, r.r9, r.r10, r.r11, r.r12, r.r13, r.r14, r.r15]);
        words.extend([r.rdi, r.rsi, r.rbp, r.rbx, r.rdx, r.rax, r.rcx, r.rsp, r.rip, r.eflags]);
        words.push(r.cs & 0xffff | (r.ss & 0xffff) << 48);
        words.extend([0, 0, mask, 0, floating_at]);
        words.extend([0; 8]);
        words.push(mask);
        let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        bytes.resize((floating_at - address) as usize, 0);
        bytes.extend_from_slice(&floating);
        Frame { address, bytes }
    }

    /// The registers' area as the kernel takes it from a stack.
    fn framed_floating(floating: &[u8]) -> Vec<u8> {
        let mut bytes = floating.to_vec();
        bytes.resize(bytes.len().max(LEGACY_BYTES), 0);
        let word = |bytes: &[u8], at: usize| {
            bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_le_bytes)
        };
        // Those that a program has to ask for, and has not, have no room on its stack.
        const ASKED_FOR: u64 = 1 << 17 | 1 << 18;
        let in_use = word(&bytes, 512);
        let features = word(&bytes, FEATURES) & (!ASKED_FOR | in_use);
        bytes.truncate(len_of(features).min(bytes.len()));
        let len = bytes.len() as u32;
        let mut said = Vec::with_capacity(48);
        said.extend(FP_XSTATE_MAGIC1.to_le_bytes());
        said.extend((len + 4).to_le_bytes());
        said.extend(features.to_le_bytes());
        said.extend(len.to_le_bytes());
        said.resize(48, 0);
        bytes[FEATURES..FEATURES + 48].copy_from_slice(&said);
        bytes.extend(FP_XSTATE_MAGIC2.to_le_bytes());
        bytes
    }

    /// How long the area is with these features, as the processor says.
    fn len_of(features: u64) -> usize {
        let mut len = LEGACY_BYTES;
        for feature in (2..63).filter(|feature| features >> feature & 1 == 1) {
            let found = std::arch::x86_64::__cpuid_count(0xd, feature);
            len = len.max(found.ebx as usize + found.eax as usize);
        }
        len
    }
}
