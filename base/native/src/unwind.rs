//! From a thread's registers and a copy of its stack to the addresses that it came through.
//!
//! The tables are those that C++ exceptions and backtraces use (`.eh_frame`), which compilers write for C as well;
//! where code has none, frame pointers are followed. `framehop` interprets them: it keeps the rule of every address
//! that it has seen, so that a step costs some ten nanoseconds, and allocates nothing on the way.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use framehop::{
    CacheNative, ExplicitModuleSectionInfo, MustNotAllocateDuringUnwind, UnwindRegsNative, Unwinder as _,
    UnwinderNative,
};

use crate::mapped::Bytes;
use crate::modules::{Module, ModuleFile, ModuleFiles, Modules};
use crate::stack::{Registers, StackCopy, UNKNOWN};

/// Frames beyond which a stack is given up.
const DEPTH_MAX: usize = 1 << 16;

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
        let mut frames = self.inner.iter_frames(registers.pc, native(registers), &mut self.cache, &mut read);
        let end = loop {
            match frames.next() {
                Ok(Some(frame)) => {
                    let address = frame.address_for_lookup();
                    if self.modules.find(address).is_none() {
                        self.met_unknown = true;
                    }
                    addresses.push(address);
                    if addresses.len() >= DEPTH_MAX {
                        break End::Lost;
                    }
                }
                Ok(None) | Err(framehop::Error::ReturnAddressIsNull) => break End::Root,
                Err(_) => break End::Lost,
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
