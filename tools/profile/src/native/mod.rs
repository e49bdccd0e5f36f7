//! Native functions between Python's: pauses the thread that is sampled, or reads it where it is blocked, and merges
//! what it finds with its Python frames.
//!
//! The thread stands still only while its registers, its stack and its Python frames are copied; it is unwound after it
//! has gone on. A thread that is blocked is not paused at all. Start at [`NativeProcess::sample`].

mod figures;
mod places;
mod translate;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::{Frame, StackReader};
use naja_native::loops::{Loops, find_interpreter};
pub(crate) use naja_native::merge::Merged;
use naja_native::merge::{Fit, Kind, merge};
use naja_native::modules::{ModuleFile, ModuleFiles};
pub(crate) use naja_native::naming::Namer;
use naja_native::pause::Pauser;
pub(crate) use naja_native::place::Place;
use naja_native::stack::{COPY_BYTES_FIRST, COPY_BYTES_MAX, Registers, StackCopy, UNKNOWN};
use naja_native::unwind::{End, Unwinder, blocked_at};
use rustc_hash::FxHashMap;

pub use figures::{NativeFigures, NativeReport};
pub(crate) use places::Places;
pub(crate) use translate::{Names, NativeSink, described, is_unnamed};

use crate::os_thread::Activity;

/// Threads that may have ended and are not forgotten yet.
const THREADS_SLACK: usize = 32;

/// How often a stack is copied again, with more of it, in one sample.
const COPIES_MAX: usize = 3;

/// What all processes share.
#[derive(Debug, Default)]
pub(crate) struct NativeShared {
    pub(crate) places: Places,
    files: ModuleFiles,
    pauser: Pauser,
    stack: StackCopy,
    addresses: Vec<u64>,
    merged: Vec<Merged>,
    /// The Python frames that the last merged stack speaks of, and for which of them the loop was entered.
    python: Vec<Frame>,
    entered: Vec<bool>,
    figures: NativeFigures,
    /// Where the loop lies in files of interpreters, by the file's record, which is kept alive with it.
    loops: FxHashMap<usize, (Arc<ModuleFile>, Arc<Loops>)>,
}

impl NativeShared {
    /// Lets go of threads that did not stop in time; to be called at every tick.
    pub(crate) fn settle(&mut self) {
        if self.pauser.has_late() {
            self.pauser.settle();
        }
    }

    /// Takes a merged stack back, for its room.
    pub(crate) fn take_back(&mut self, merged: Vec<Merged>) {
        self.merged = merged;
    }

    /// A Python frame of the last merged stack.
    pub(crate) fn frame(&self, place: usize) -> Option<Frame> {
        self.python.get(place).copied()
    }

    /// What it cost so far.
    pub(crate) fn figures(&self) -> NativeFigures {
        NativeFigures { pauses: self.pauser.figures().clone(), ..self.figures.clone() }
    }

    /// Where the interpreter's loop lies in a file; nothing where it has none.
    fn loops(&mut self, file: &Arc<ModuleFile>) -> Arc<Loops> {
        let known = self.loops.entry(Arc::as_ptr(file) as usize);
        known.or_insert_with(|| (file.clone(), Arc::new(Loops::of(file)))).1.clone()
    }
}

/// What is known of the native side of one process.
#[derive(Debug)]
pub(crate) struct NativeProcess {
    pid: u32,
    unwinder: Unwinder,
    /// The file that holds the interpreter's loop, where the loop lies in it, and what to subtract from addresses.
    interpreter: Option<(Arc<ModuleFile>, Arc<Loops>, u64)>,
    threads: FxHashMap<u32, NativeThread>,
    threads_kept: usize,
    /// The modules have changed: an address may belong to another function than before.
    pub(crate) modules_changed: bool,
}

#[derive(Debug)]
struct NativeThread {
    syscall: Option<File>,
    copy_bytes: usize,
    /// A frame pointer that was needed while the thread was blocked at this instruction and stack pointer: it stays the
    /// same as long as the thread stays there.
    blocked_with: Registers,
}

impl NativeProcess {
    /// `None` where its modules cannot be read.
    pub(crate) fn new(pid: u32, shared: &mut NativeShared) -> Option<NativeProcess> {
        let unwinder = Unwinder::new(pid, &mut shared.files).ok()?;
        let mut process = NativeProcess {
            pid,
            unwinder,
            interpreter: None,
            threads: FxHashMap::default(),
            threads_kept: 0,
            modules_changed: false,
        };
        process.find_interpreter(shared);
        Some(process)
    }

    fn find_interpreter(&mut self, shared: &mut NativeShared) {
        let modules = self.unwinder.modules().list();
        self.interpreter = find_interpreter(modules, &mut |file| shared.loops(file));
    }

    /// Forgets threads that do not live any more, now and then.
    pub(crate) fn keep_threads(&mut self, lives: &mut dyn FnMut(u32) -> bool) {
        if self.threads.len() > self.threads_kept + THREADS_SLACK {
            self.threads.retain(|tid, _| lives(*tid));
            self.threads_kept = self.threads.len();
        }
    }

    /// Samples one thread: its Python frames through `reader`, and its native functions. `states` are its thread states,
    /// outermost first: none of a thread that runs no Python, several where it is in several interpreters.
    ///
    /// Gives the merged stack, outermost first, to be [given back](NativeShared::take_back); `None` where the thread
    /// could neither be paused nor was blocked, and nothing was read.
    pub(crate) fn sample(
        &mut self,
        memory: &LiveProcess,
        reader: &mut StackReader,
        (states, tid): (&[u64], u32),
        activity: Activity,
        shared: &mut NativeShared,
    ) -> Option<Vec<Merged>> {
        let pid = self.pid;
        let thread = self.threads.entry(tid).or_insert_with(|| NativeThread {
            syscall: File::open(format!("/proc/{pid}/task/{tid}/syscall")).ok(),
            copy_bytes: COPY_BYTES_FIRST,
            blocked_with: Registers::default(),
        });
        let is_blocked = matches!(activity, Activity::Call { .. } | Activity::Elsewhere);
        let mut found = None;
        for _ in 0..COPIES_MAX {
            let NativeShared { stack, pauser, addresses, .. } = &mut *shared;
            let mut registers = None;
            let mut is_read = false;
            let mut copy = |at: Registers, copy_bytes: usize| {
                registers = Some(at).filter(|at| stack.fill(pid, at.sp, copy_bytes).is_ok());
                is_read = states.iter().all(|state| reader.sample_thread(memory, *state));
            };
            let read_blocked = is_blocked && thread.read_while_blocked(&mut copy);
            if !read_blocked && pauser.pause(tid, &mut |at| copy(at, thread.copy_bytes)).is_err() {
                break;
            }
            let Some(registers) = registers.filter(|_| is_read) else { break };
            addresses.clear();
            let mut end = self.unwinder.unwind(registers, stack, addresses);
            if end == End::RegisterUnknown && read_blocked {
                // Once it is known where the thread stands, it need not be paused there again.
                let mut fp = UNKNOWN;
                let _ = pauser.pause(tid, &mut |at| {
                    if (at.pc, at.sp) == (registers.pc, registers.sp) {
                        fp = at.fp;
                    }
                });
                thread.blocked_with = Registers { fp, ..registers };
                if fp != UNKNOWN {
                    addresses.clear();
                    end = self.unwinder.unwind(thread.blocked_with, stack, addresses);
                }
            }
            found = Some((end, read_blocked));
            if end != End::CopyTooShort || thread.copy_bytes >= COPY_BYTES_MAX {
                break;
            }
            thread.copy_bytes = (thread.copy_bytes * 4).min(COPY_BYTES_MAX);
        }
        let Some((end, was_blocked)) = found else {
            shared.figures.without += 1;
            return None;
        };
        shared.figures.stacks += 1;
        shared.figures.blocked += u64::from(was_blocked);
        self.refresh(shared);
        self.merge(reader, states, end, shared);
        Some(std::mem::take(&mut shared.merged))
    }

    fn refresh(&mut self, shared: &mut NativeShared) {
        if self.unwinder.refresh_where_due(&mut shared.files) {
            self.modules_changed = true;
            self.find_interpreter(shared);
        }
    }

    fn merge(&self, reader: &StackReader, states: &[u64], end: End, shared: &mut NativeShared) {
        let kind = |address: u64| match &self.interpreter {
            Some((_, loops, bias)) => loops.kind(address.wrapping_sub(*bias)),
            None => Kind::Other,
        };
        let (python, entered) = (&mut shared.python, &mut shared.entered);
        python.clear();
        for state in states {
            let thread = reader.threads().iter().find(|thread| thread.state == *state);
            let first = python.len();
            python.extend_from_slice(thread.map(|thread| thread.frames.as_slice()).unwrap_or_default());
            // Whatever an interpreter runs first was entered from C.
            if let (Some(frame), 2..) = (python.get_mut(first), states.len()) {
                frame.entered = true;
            }
        }
        entered.clear();
        entered.extend(python.iter().map(|frame| frame.entered));
        shared.merged.clear();
        match merge(&shared.addresses, end, &kind, entered, &mut shared.merged) {
            Fit::Whole => {}
            Fit::OuterMissing => shared.figures.outer_missing += 1,
            Fit::Mismatch => shared.figures.mismatched += 1,
        }
    }

    /// Where an address lies.
    pub(crate) fn place(&self, address: u64) -> Place {
        let module = self.unwinder.modules().find(address);
        Place::of(self.pid, address, module, self.interpreter.as_ref().map(|(file, _, _)| file))
    }

    /// The function that stands for an address.
    pub(crate) fn function(
        &self,
        address: u64,
        places: &mut Places,
        stacks: &mut crate::stacks::Stacks,
    ) -> naja_recording::FunctionId {
        let module = self.unwinder.modules().find(address);
        let interpreter = self.interpreter.as_ref().map(|(file, _, _)| file);
        places.function(stacks, self.pid, address, module, interpreter)
    }
}

impl NativeThread {
    /// Copies a thread that is blocked, without stopping it: it is at the same place before and after. Returns whether
    /// that was so.
    fn read_while_blocked(&mut self, copy: &mut dyn FnMut(Registers, usize)) -> bool {
        let Some(syscall) = &self.syscall else { return false };
        let (mut before, mut after) = ([0; 192], [0; 192]);
        let Ok(before_len) = syscall.read_at(&mut before, 0) else { return false };
        let Some(mut registers) = blocked_at(&before[..before_len]) else { return false };
        if (registers.pc, registers.sp) == (self.blocked_with.pc, self.blocked_with.sp) {
            registers.fp = self.blocked_with.fp;
        }
        copy(registers, self.copy_bytes);
        syscall.read_at(&mut after, 0).is_ok_and(|len| after[..len] == before[..before_len])
    }
}
