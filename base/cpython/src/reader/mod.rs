//! Reads the stacks of all threads of a process, as of one moment, without stopping it.
//!
//! All that a stack needs (thread states, data-stack chunks, the predicted places of frames that live
//! elsewhere) is copied in one vectored read and walked in the copy. **A sample is valid when that walk
//! reaches the thread's root frame**; whether the stack has moved on meanwhile does not matter.
//! `docs/design/sampling.md` has the experiment that settled this.
//!
//! Start at [`StackReader::sample`]. What is copied is decided in [`plan`], the walk is in [`walk`].

mod mend;
mod outside;
mod plan;
mod walk;

use std::fmt;

use crate::locate::Located;
use crate::memory::{Memory, MemoryError};
use crate::offsets::{ABSENT, Offsets, Version};
use outside::Outside;
use plan::Copied;

/// Copies for one sample before it counts as lost.
pub const TRIES_MAX: u32 = 5;

/// Frames on one stack beyond which a sample is given up: deeper than any program that still works.
const DEPTH_MAX: usize = 100_000;

/// Threads, interpreters and chunks of one thread beyond which a list read from the target is taken for
/// damaged.
const THREADS_MAX: usize = 16_384;
const INTERPRETERS_MAX: usize = 1_024;
const CHUNKS_MAX: usize = 4_096;

/// Reads of single words that learning where the stacks lie may take in one sample, some 1.2 µs each.
/// Threads that are not reached are learnt in the next.
const SINGLE_READS_MAX: u32 = 20_000;

/// Where an interpreter lies in the target, as far as the reader needs it.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The interpreter's version.
    pub version: Version,
    /// Address of `_PyRuntime`.
    pub runtime: u64,
    /// Where the fields lie.
    pub offsets: Offsets,
    /// Whether the build has a GIL.
    pub has_gil: bool,
}

impl Layout {
    /// From 3.11 on frames lie in data-stack chunks; before, each is an object on the heap.
    fn has_chunks(&self) -> bool {
        self.offsets.thread.datastack_chunk != ABSENT
    }
}

/// A frame of a stack. Both numbers are the target's; what they mean is [`crate::code`]'s business.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Address of the code object.
    pub code: u64,
    /// The instruction, as the frame has it: an index up to 3.10, an address from 3.11 on.
    pub instruction: u64,
    /// Whether the interpreter's loop was called for it, as C calls a function. From 3.11 on a loop goes on with what
    /// a Python function calls, so that those frames have none of their own.
    pub entered: bool,
}

/// What came of one thread in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The walk reached the root.
    Valid,
    /// No try gave a stack that reaches the root; `frames` are those of the last valid sample.
    Lost,
    /// The caller said that it need not be read; `frames` are those of the last valid sample.
    Skipped,
}

/// A thread of the target, with its stack as of the last sample.
#[derive(Debug)]
pub struct Thread {
    /// Address of its `PyThreadState`.
    pub state: u64,
    /// Its interpreter, as an index into [`StackReader::interpreters`].
    pub interpreter: usize,
    /// What `threading.get_ident()` says in it.
    pub ident: u64,
    /// The system's number for it, where the thread state has it (3.11 and later); else 0.
    pub native_id: u32,
    /// The stack, outermost frame first.
    pub frames: Vec<Frame>,
    /// Where each of `frames` lay, if [`StackReader::keep_addresses`] was asked for; else empty.
    pub addresses: Vec<u64>,
    /// How many frames, from the outermost on, are the same (code and instruction) as in the sample before.
    pub unchanged: usize,
    /// Changes whenever the innermost frame, its instruction, or its first local variables change: two
    /// equal values a millisecond apart mean that one instruction takes that long.
    pub fingerprint: u64,
    /// What came of it in the last sample.
    pub outcome: Outcome,
    /// Copies that the last sample took.
    pub tries: u32,
    /// Whether the innermost calls of the last sample returned while they were copied, so that who had called
    /// them is known from earlier samples (up to 3.10 only).
    pub mended: bool,
    /// Whether it held the GIL.
    pub holds_gil: bool,
    memory: ThreadMemory,
}

/// Where a thread's frames lie.
#[derive(Debug, Default)]
struct ThreadMemory {
    /// Its data-stack chunks, oldest first.
    chunks: Vec<Chunk>,
    /// Frames on the heap: all up to 3.10, later those of generators.
    outside: Outside,
    /// What the interpreter keeps on the C stack: the records of 3.11 and 3.12 that name the innermost frame,
    /// entry frames from 3.12 on.
    c_stack: Outside,
    /// Where the record lay that named the innermost frame of the last valid stack (3.11 and 3.12); 0 when unknown.
    record: u64,
    /// Valid samples since the innermost frame of a copy led to no stack. Up to 3.10 the thread state is copied a
    /// second time, after the frames, only where that has happened lately; later versions always need it.
    steady: u32,
    /// The outermost frame, where it is known.
    root: u64,
    /// In how many samples the outermost frame was the known one.
    root_confirmations: u32,
    /// The candidate for a new root and in how many copies in a row it was one.
    root_candidate: (u64, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    address: u64,
    size: u64,
    /// Bytes from its start that samples have needed lately.
    used: u64,
    /// Bytes from its start to where the innermost frame lay in the last valid sample.
    innermost: u64,
}

/// An interpreter of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// Address of its `PyInterpreterState`.
    pub address: u64,
    /// Its number; 0 is the main one.
    pub id: u64,
    /// Address of its GIL, to tell who waits for it; 0 when it has none.
    pub gil: u64,
    /// Whether its collector was running in the last sample.
    pub collecting: bool,
    threads_head: u64,
    /// The thread state that held its GIL in the last sample; 0 for none.
    gil_holder: u64,
}

/// Why no thread could be read at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleError {
    /// The memory could not be read.
    Memory(MemoryError),
    /// The lists of interpreters and threads made no sense: the interpreter is starting, ending, or was
    /// replaced by another program.
    Inconsistent,
}

impl fmt::Display for SampleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SampleError::Memory(error) => write!(f, "{error}"),
            SampleError::Inconsistent => write!(f, "the interpreter's lists of threads make no sense"),
        }
    }
}

impl std::error::Error for SampleError {}

impl From<MemoryError> for SampleError {
    fn from(error: MemoryError) -> Self {
        SampleError::Memory(error)
    }
}

/// Reads the stacks of one process again and again, and learns where to look.
#[derive(Debug)]
pub struct StackReader {
    layout: Layout,
    interpreters: Vec<Interpreter>,
    threads: Vec<Thread>,
    copied: Copied,
    /// Address of the type of code objects, as the first valid stack has it; 0 before.
    code_type: u64,
    /// What is left of [`SINGLE_READS_MAX`] in this sample.
    single_reads_left: u32,
    /// Whether threads are given the addresses of their frames.
    keeps_addresses: bool,
    /// The stack being walked, innermost first, kept between samples for its room.
    scratch: Vec<(u64, Frame)>,
    scratch_again: Vec<(u64, Frame)>,
    /// What came of the threads while one is sampled alone, likewise.
    outcomes: Vec<Outcome>,
    /// The addresses that the walk has needed, likewise.
    visited: Vec<u64>,
    /// Address and length of what is copied of the interpreters, likewise.
    words: Vec<(u64, u64)>,
}

impl StackReader {
    /// A reader that has not read anything yet.
    pub fn new(layout: Layout) -> Self {
        StackReader {
            layout,
            interpreters: Vec::new(),
            threads: Vec::new(),
            copied: Copied::default(),
            code_type: 0,
            single_reads_left: 0,
            keeps_addresses: false,
            scratch: Vec::new(),
            scratch_again: Vec::new(),
            outcomes: Vec::new(),
            visited: Vec::new(),
            words: Vec::new(),
        }
    }

    /// From now on samples tell where each frame lay, for whoever reads local variables from it.
    pub fn keep_addresses(&mut self) {
        self.keeps_addresses = true;
    }

    /// The layout it reads by.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The interpreters, as of the last sample.
    pub fn interpreters(&self) -> &[Interpreter] {
        &self.interpreters
    }

    /// The threads, as of the last sample.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// Forgets which threads there are: the next sample looks for them. To be called when the system says
    /// that a thread has ended.
    pub fn forget_threads(&mut self) {
        self.interpreters.clear();
    }

    /// Samples all threads but those that `skip` names, because the caller knows that they have not run
    /// since the last sample.
    ///
    /// Cost: one system call of some 3 µs for a thread with a shallow stack; more only where the target has
    /// changed in a way that was not foreseen.
    ///
    /// Errors: when no list of threads can be had; a thread whose stack is lost is told by its outcome.
    pub fn sample(
        &mut self,
        memory: &dyn Memory,
        skip: &mut dyn FnMut(&Thread) -> bool,
    ) -> Result<(), SampleError> {
        self.single_reads_left = SINGLE_READS_MAX;
        if self.interpreters.is_empty() {
            self.refresh(memory)?;
        }
        for thread in &mut self.threads {
            thread.outcome = if skip(thread) { Outcome::Skipped } else { Outcome::Lost };
            thread.tries = 0;
            thread.mended = false;
        }
        for _ in 0..TRIES_MAX {
            self.plan();
            self.copied.fill(memory)?;
            if !self.lists_agree() {
                self.refresh(memory)?;
                continue;
            }
            self.read_states();
            if self.walk_threads(memory) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Samples one thread again, that with this state, at a moment which the caller has chosen: while it stands still.
    /// What is known of the others stays. Returns whether a valid stack was read; where not, what was known of the
    /// thread stays as well.
    ///
    /// Cost: one system call of some 3 µs.
    pub fn sample_thread(&mut self, memory: &dyn Memory, state: u64) -> bool {
        let Some(index) = self.threads.iter().position(|thread| thread.state == state) else { return false };
        self.single_reads_left = SINGLE_READS_MAX;
        let mut outcomes = std::mem::take(&mut self.outcomes);
        outcomes.clear();
        outcomes.extend(self.threads.iter().map(|thread| thread.outcome));
        self.threads.iter_mut().for_each(|thread| thread.outcome = Outcome::Skipped);
        self.threads[index].outcome = Outcome::Lost;
        let mut is_valid = false;
        for _ in 0..TRIES_MAX {
            self.plan();
            if self.copied.fill(memory).is_err() || !self.lists_agree() {
                break;
            }
            self.read_states();
            is_valid = self.walk_threads(memory);
            if is_valid {
                outcomes[index] = Outcome::Valid;
                break;
            }
        }
        self.threads.iter_mut().zip(&outcomes).for_each(|(thread, outcome)| thread.outcome = *outcome);
        self.outcomes = outcomes;
        is_valid
    }

    /// Reads the lists of interpreters and threads anew; threads that stay keep what is known of them. Where
    /// that fails, nothing is known any more.
    fn refresh(&mut self, memory: &dyn Memory) -> Result<(), SampleError> {
        let outcome = self.read_lists(memory);
        if outcome.is_err() {
            self.interpreters.clear();
            self.threads.clear();
        }
        outcome
    }

    fn read_lists(&mut self, memory: &dyn Memory) -> Result<(), SampleError> {
        let mut known = std::mem::take(&mut self.threads);
        self.interpreters.clear();
        let offsets = &self.layout.offsets;
        let mut address = memory
            .read_u64(self.layout.runtime.wrapping_add(u64::from(offsets.runtime.interpreters_head)))?;
        while address != 0 {
            if self.interpreters.len() == INTERPRETERS_MAX {
                return Err(SampleError::Inconsistent);
            }
            let field = |offset: u32| memory.read_u64(address.wrapping_add(u64::from(offset)));
            let gil = match (self.layout.has_gil, offsets.interpreter.gil_pointer) {
                (false, _) => 0,
                (true, ABSENT) => self.layout.runtime.wrapping_add(u64::from(offsets.runtime.gil)),
                (true, offset) => field(offset)?,
            };
            let threads_head = field(offsets.interpreter.threads_head)?;
            let id = field(offsets.interpreter.id)?;
            let next = field(offsets.interpreter.next)?;
            self.interpreters.push(Interpreter {
                address,
                id,
                gil,
                collecting: false,
                threads_head,
                gil_holder: 0,
            });
            address = next;
        }
        if self.interpreters.is_empty() {
            return Err(SampleError::Inconsistent);
        }
        for index in 0..self.interpreters.len() {
            let mut state = self.interpreters[index].threads_head;
            while state != 0 {
                if self.threads.len() == THREADS_MAX {
                    return Err(SampleError::Inconsistent);
                }
                let thread = self.read_thread(memory, state, index, &mut known)?;
                self.threads.push(thread);
                state = memory.read_u64(state.wrapping_add(u64::from(self.layout.offsets.thread.next)))?;
            }
        }
        Ok(())
    }

    fn read_thread(
        &self,
        memory: &dyn Memory,
        state: u64,
        interpreter: usize,
        known: &mut Vec<Thread>,
    ) -> Result<Thread, SampleError> {
        let offsets = &self.layout.offsets.thread;
        let field = |offset: u32| memory.read_u64(state.wrapping_add(u64::from(offset)));
        if field(offsets.interpreter)? != self.interpreters[interpreter].address {
            return Err(SampleError::Inconsistent);
        }
        let ident = field(offsets.ident)?;
        let native_id = match offsets.native_id {
            ABSENT => 0,
            offset => u32::try_from(field(offset)?).map_err(|_| SampleError::Inconsistent)?,
        };
        let same =
            |thread: &Thread| thread.state == state && thread.ident == ident && thread.native_id == native_id;
        if let Some(position) = known.iter().position(same) {
            let mut thread = known.swap_remove(position);
            thread.interpreter = interpreter;
            return Ok(thread);
        }
        Ok(Thread {
            state,
            interpreter,
            ident,
            native_id,
            frames: Vec::new(),
            addresses: Vec::new(),
            unchanged: 0,
            fingerprint: 0,
            outcome: Outcome::Lost,
            tries: 0,
            mended: false,
            holds_gil: false,
            memory: ThreadMemory::default(),
        })
    }
}

impl From<&Located> for Layout {
    fn from(located: &Located) -> Layout {
        Layout {
            version: located.version,
            runtime: located.runtime,
            offsets: located.offsets.clone(),
            has_gil: !located.free_threaded,
        }
    }
}
