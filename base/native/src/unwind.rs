//! From a thread's registers and a copy of its stack to the addresses that it came through.
//!
//! The tables are those that C++ exceptions and backtraces use (`.eh_frame`), which compilers write for C as well;
//! where code has none, frame pointers are followed. `framehop` interprets them: it keeps the rule of every address
//! that it has seen, so that a step costs some ten nanoseconds, and allocates nothing on the way.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, FrameAddress, MustNotAllocateDuringUnwind, UnwindRegsNative,
    Unwinder as _, UnwinderNative,
};

use crate::mapped::Bytes;
use crate::modules::{Module, ModuleFile, ModuleFiles, Modules};
use crate::stack::{Registers, StackCopy, UNKNOWN};

/// Frames beyond which a stack is given up.
const DEPTH_MAX: usize = 1 << 16;

/// Where code has no tables: how many words of the stack are searched for a return address, how large a frame may be to which
/// a word points, how many such words are tried as frame pointers, and over how many steps an answer is tried.
const CALLER_WORDS_MAX: u64 = 1024;
const FRAME_BYTES_MAX: u64 = 64 << 10;
const FRAME_POINTERS_MAX: usize = 8;
const STEPS_TRIED: usize = 3;

/// The shortest and the longest time between two looks at what is mapped.
const REFRESH_GAP_MIN: Duration = Duration::from_millis(20);
const REFRESH_GAP_MAX: Duration = Duration::from_secs(2);

type Policy = MustNotAllocateDuringUnwind;

/// How a walk ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At the function in which the thread began.
    Root,
    /// The stack goes on behind what was copied.
    CopyTooShort,
    /// Perhaps because a register is needed that was not read; see [`blocked_at`].
    RegisterUnknown,
    /// At code that neither has tables nor keeps frame pointers.
    Lost,
}

/// Unwinds the stacks of one process.
pub struct Unwinder {
    pid: u32,
    modules: Modules,
    inner: UnwinderNative<Bytes, Policy>,
    cache: CacheNative<Policy>,
    /// An address was met that lies in no known module.
    met_unknown: bool,
    refresh_at: Option<Instant>,
    refresh_gap: Duration,
}

impl std::fmt::Debug for Unwinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unwinder").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl Unwinder {
    /// An unwinder for a process, with what it has mapped now.
    ///
    /// Errors: those of [`Modules::read`].
    pub fn new(pid: u32, files: &mut ModuleFiles) -> io::Result<Unwinder> {
        let mut unwinder = Unwinder {
            pid,
            modules: Modules::default(),
            inner: UnwinderNative::new(),
            cache: CacheNative::new_in(),
            met_unknown: false,
            refresh_at: None,
            refresh_gap: REFRESH_GAP_MIN,
        };
        unwinder.read_modules(files)?;
        Ok(unwinder)
    }

    /// The process's modules, as of the last look.
    pub fn modules(&self) -> &Modules {
        &self.modules
    }

    /// To be told of an address that lies in no known module.
    pub fn expect_unknown(&mut self) {
        self.met_unknown = true;
    }

    /// Looks again at what is mapped if code was met that is not known, but not all the time: code that a program
    /// makes while it runs stays unknown. Returns whether the modules have changed.
    pub fn refresh_where_due(&mut self, files: &mut ModuleFiles) -> bool {
        if !self.met_unknown || self.refresh_at.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        let before: Vec<(u64, u64)> = self.modules.list().iter().map(|m| (m.start, m.end)).collect();
        let is_read = self.read_modules(files).is_ok();
        let after = self.modules.list().iter().map(|m| (m.start, m.end));
        let changed = is_read && !after.eq(before);
        self.refresh_gap =
            if changed { REFRESH_GAP_MIN } else { (self.refresh_gap * 2).min(REFRESH_GAP_MAX) };
        self.refresh_at = Some(Instant::now() + self.refresh_gap);
        self.met_unknown = false;
        changed
    }

    fn read_modules(&mut self, files: &mut ModuleFiles) -> io::Result<()> {
        let modules = Modules::read(self.pid, files)?;
        if modules.list().is_empty() && !self.modules.list().is_empty() {
            // It has ended, and what it had mapped is still to be named.
            return Ok(());
        }
        let is_same = |a: &Module, b: &Module| {
            a.start == b.start && a.end == b.end && a.bias == b.bias && Arc::ptr_eq(&a.file, &b.file)
        };
        for old in self.modules.list() {
            if !modules.find(old.start).is_some_and(|new| is_same(new, old)) {
                self.inner.remove_module(old.start);
            }
        }
        for new in modules.list() {
            if !self.modules.find(new.start).is_some_and(|old| is_same(new, old)) {
                self.inner.add_module(unwind_module(new));
            }
        }
        self.modules = modules;
        Ok(())
    }

    /// Appends to `addresses` the instruction of every function on the stack, innermost first. For all but the
    /// innermost it is the last byte of the call, so that it lies in the line that calls.
    ///
    /// Cost: some 30 ns a frame once the code is known.
    pub fn unwind(&mut self, registers: Registers, stack: &StackCopy, addresses: &mut Vec<u64>) -> End {
        let mut missing = None;
        let mut read = |address: u64| match stack.word(address) {
            Some(word) => Ok(word),
            None => {
                missing.get_or_insert(address);
                Err(())
            }
        };
        let mut regs = native(registers);
        let mut frame = FrameAddress::from_instruction_pointer(registers.pc);
        let end = loop {
            let address = frame.address_for_lookup();
            addresses.push(address);
            if addresses.len() >= DEPTH_MAX {
                break End::Lost;
            }
            let module = self.modules.find(address);
            self.met_unknown |= module.is_none();
            let next = match module {
                Some(module) if module.file.lacks_tables() => {
                    let mut caller = CallerSearch {
                        modules: &self.modules,
                        inner: &self.inner,
                        cache: &mut self.cache,
                        read: &mut read,
                    };
                    let Some(next) = caller.find(&mut regs) else { break End::Lost };
                    Some(next)
                }
                _ => match self.inner.unwind_frame(frame, &mut regs, &mut self.cache, &mut read) {
                    Ok(next) => next,
                    Err(_) => break End::Lost,
                },
            };
            match next.and_then(FrameAddress::from_return_address) {
                Some(next) => frame = next,
                None => break End::Root,
            }
        };
        // A word that could not be read says more than what came of it: a frame pointer that leads nowhere may look
        // like the end of the stack.
        match missing {
            Some(address) if address >= stack.end() && end != End::Root => {
                // Behind the end of the whole stack there is nothing to copy.
                match self.modules.mapping_end(stack.end().wrapping_sub(1)) {
                    Some(stack_end) if address < stack_end => End::CopyTooShort,
                    None => End::CopyTooShort,
                    _ => End::Lost,
                }
            }
            // Any walk that goes wrong may have needed the frame pointer.
            _ if registers.fp == UNKNOWN && end == End::Lost => End::RegisterUnknown,
            _ => end,
        }
    }
}

/// Finds who called code that has no tables and keeps no frame pointers, which is how musl's libc is built: by the words on
/// the stack, of which one is the return address. What is taken for it lies behind a call, and the tables lead from
/// there to more of the kind.
struct CallerSearch<'a, Read> {
    modules: &'a Modules,
    inner: &'a UnwinderNative<Bytes, Policy>,
    cache: &'a mut CacheNative<Policy>,
    read: &'a mut Read,
}

impl<Read: FnMut(u64) -> Result<u64, ()>> CallerSearch<'_, Read> {
    /// The return address into code with tables; `regs` are then those of that code.
    ///
    /// Cost: a look at each word of the code's own part of the stack, some ten for most calls.
    fn find(&mut self, regs: &mut UnwindRegsNative) -> Option<u64> {
        // Where the code has put its caller's frame pointer, it lies among the words before the return address.
        let mut pointers = vec![frame_pointer(regs)];
        for place in 0..CALLER_WORDS_MAX {
            let at = regs.sp().checked_add(place * 8)?;
            let word = (self.read)(at).ok()?;
            let module = self.modules.find(word.wrapping_sub(1));
            if module.is_some_and(|module| !module.file.lacks_tables() && module.is_behind_call(word)) {
                let sp = at.wrapping_add(8);
                let mut candidates = pointers.iter().rev().map(|fp| registers_at(word, sp, *fp));
                if let Some(found) = candidates.find(|candidate| self.leads_on(*candidate, word)) {
                    *regs = found;
                    return Some(word);
                }
            }
            if word > at && word - at < FRAME_BYTES_MAX && pointers.len() < FRAME_POINTERS_MAX {
                pointers.push(word);
            }
        }
        None
    }

    /// Whether the tables lead on from a return address, some steps far.
    fn leads_on(&mut self, mut regs: UnwindRegsNative, mut address: u64) -> bool {
        for _ in 0..STEPS_TRIED {
            let Some(frame) = FrameAddress::from_return_address(address) else { return false };
            let mut read = |address: u64| (self.read)(address);
            match self.inner.unwind_frame(frame, &mut regs, self.cache, &mut read) {
                Ok(None) => return true,
                Ok(Some(next)) => address = next,
                Err(_) => return false,
            }
            let Some(module) = self.modules.find(address.wrapping_sub(1)) else { return false };
            if !module.is_behind_call(address) {
                return false;
            }
            if module.file.lacks_tables() {
                return true;
            }
        }
        true
    }
}

#[cfg(target_arch = "x86_64")]
fn frame_pointer(regs: &UnwindRegsNative) -> u64 {
    regs.bp()
}

#[cfg(target_arch = "aarch64")]
fn frame_pointer(regs: &UnwindRegsNative) -> u64 {
    regs.fp()
}

fn registers_at(pc: u64, sp: u64, fp: u64) -> UnwindRegsNative {
    native(Registers { pc, sp, fp, lr: UNKNOWN })
}

#[cfg(target_arch = "x86_64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.pc, registers.sp, registers.fp)
}

#[cfg(target_arch = "aarch64")]
fn native(registers: Registers) -> UnwindRegsNative {
    UnwindRegsNative::new(registers.lr, registers.sp, registers.fp)
}

fn unwind_module(module: &Module) -> framehop::Module<Bytes> {
    let layout = &module.file.layout;
    let (eh_frame_svma, eh_frame) = layout.eh_frame.clone().unzip();
    let (eh_frame_hdr_svma, eh_frame_hdr) = layout.eh_frame_hdr.clone().unzip();
    let info = ExplicitModuleSectionInfo {
        base_svma: 0,
        text_svma: layout.text.clone(),
        got_svma: layout.got.clone(),
        eh_frame_svma,
        eh_frame,
        eh_frame_hdr_svma,
        eh_frame_hdr,
        debug_frame: layout.debug_frame.clone(),
        ..ExplicitModuleSectionInfo::default()
    };
    framehop::Module::new(module.file.path().to_owned(), module.start..module.end, module.bias, info)
}

/// Walks from addresses all over a file, as if it were mapped at its own addresses.
pub(crate) fn accepts(file: &Arc<ModuleFile>) {
    let end = file.layout.loads.iter().map(|load| load.address.saturating_add(load.size)).max().unwrap_or(0);
    let mut inner = UnwinderNative::<_, Policy>::new();
    let mut cache = CacheNative::<Policy>::new_in();
    inner.add_module(unwind_module(&Module { start: 0, end, bias: 0, file: file.clone() }));
    for step in 0..256 {
        let registers = Registers { pc: end / 256 * step, sp: 1 << 20, fp: 1 << 20, lr: 0 };
        let mut read = |address: u64| if address < 2 << 20 { Ok(address) } else { Err(()) };
        let mut frames = inner.iter_frames(registers.pc, native(registers), &mut cache, &mut read);
        for _ in 0..64 {
            if !matches!(frames.next(), Ok(Some(_))) {
                break;
            }
        }
    }
}

/// Where a thread stands that is blocked, out of its line in `/proc/PID/task/TID/syscall`; `None` when it runs. Its
/// stack is still as long as it is blocked, so that nothing has to be paused. The line has no frame pointer: the few
/// stacks that cannot be walked without end in [`End::RegisterUnknown`], and need one pause.
pub fn blocked_at(line: &[u8]) -> Option<Registers> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace().rev();
    let mut hex = || u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok();
    let (pc, sp) = (hex()?, hex()?);
    (pc != 0 && sp != 0).then_some(Registers { pc, sp, fp: UNKNOWN, lr: UNKNOWN })
}
