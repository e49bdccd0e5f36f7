//! An interpreter that was found in a process: reads its stacks, names their functions, and tells what each
//! thread is doing.

mod tasks;

use naja_cpython::code::{CodeInfo, read_code};
use naja_cpython::locate::Located;
use naja_cpython::memory::{LiveProcess, Memory};
use naja_cpython::native::os_thread_id;
use naja_cpython::objects::thread_names;
use naja_cpython::opcodes::{opcode_is_call, opcode_is_native_call};
use naja_cpython::reader::{self, Frame, Outcome, SampleError, StackReader};
use naja_recording::{FunctionId, NodeId, State, Tick};
use rustc_hash::FxHashMap;

use crate::native::{Merged, NativeProcess};
use crate::os_thread::Activity;
use crate::process_status::{ProcessStatus, inner_number};
use crate::stacks::Stacks;
use crate::target::Shared;
use crate::task_lanes::Tasks;
use crate::thread::{Now, TargetThread};

/// An interpreter that was found in a process, and what is known of its code.
#[derive(Debug)]
pub(crate) struct Python {
    located: Located,
    reader: StackReader,
    codes: FxHashMap<u64, Code>,
    /// Stacks by (caller's node, code object, instruction): what most samples need and no more.
    nodes: FxHashMap<(NodeId, u64, u64), NodeId>,
    /// The generation of stacks that `codes` and `nodes` belong to.
    generation: u32,
    /// System numbers of threads whose state does not have them (up to 3.10), by thread state and Python's number:
    /// the state of a thread that is about to start carries that of the thread which made it.
    native_ids: FxHashMap<(u64, u64), u32>,
    /// Where among the process's threads the one of a thread state was found last; a guess, to be checked.
    places: FxHashMap<u64, usize>,
    /// Whether the process has numbers of its own for its threads, once that is known.
    is_contained: Option<bool>,
    /// When to look for threads' names next, and how long to wait after that.
    names_due: Tick,
    names_gap: Tick,
    opcodes: Opcodes,
    native: Native,
    /// Tasks of asyncio, where they are told apart and the version's are known.
    tasks: Option<tasks::TaskView>,
}

/// The native side of a process.
#[derive(Debug)]
enum Native {
    /// It was not asked for, or not looked at yet.
    Unknown,
    /// It can be read.
    Known(Box<NativeProcess>),
    /// Its modules cannot be read.
    Unreadable,
}

/// What came of one thread that was sampled together with its native functions.
enum WithNative {
    /// The merged stack was taken over.
    Merged,
    /// Its Python frames were read, and nothing else.
    PythonAlone,
    /// Nothing could be read.
    Lost,
}

/// Stands for the instruction in the key of a native node; no Python frame has it.
const NATIVE: u64 = u64::MAX;

/// A code object that was read once.
#[derive(Debug)]
struct Code {
    info: CodeInfo,
    function: FunctionId,
    /// What tells it from another code object that takes its place.
    identity: Identity,
    read_at: Tick,
    check_at: Tick,
}

/// Ticks between two looks at the names of threads.
const NAMES_GAP_MIN: Tick = 50;
const NAMES_GAP_MAX: Tick = 3200;

/// Addresses of a code object's name, file and line table, and its first line.
type Identity = [u64; 4];

impl Python {
    pub(crate) fn new(located: Located, tasks: Tasks) -> Python {
        Python {
            tasks: tasks::TaskView::new(&located, tasks),
            reader: StackReader::new((&located).into()),
            located,
            codes: FxHashMap::default(),
            nodes: FxHashMap::default(),
            generation: 0,
            native_ids: FxHashMap::default(),
            places: FxHashMap::default(),
            is_contained: None,
            names_due: 0,
            names_gap: NAMES_GAP_MIN,
            opcodes: Opcodes::default(),
            native: Native::Unknown,
        }
    }

    /// Threads have come or gone.
    pub(crate) fn forget_threads(&mut self) {
        self.reader.forget_threads();
        self.native_ids.clear();
        self.places.clear();
        self.names_due = 0;
    }

    /// A thread has come: Python may have a name for it.
    pub(crate) fn name_threads_soon(&mut self) {
        self.names_due = 0;
    }

    /// Reads the stacks of all threads that have run, and notes in `threads` what each is doing.
    pub(crate) fn sample(
        &mut self,
        memory: &LiveProcess,
        pid: u32,
        threads: &mut [TargetThread],
        shared: &mut Shared<'_>,
    ) -> Result<(), SampleError> {
        if self.generation != shared.stacks.generation() {
            self.generation = shared.stacks.generation();
            self.nodes.clear();
            self.codes.clear();
            threads.iter_mut().for_each(|thread| thread.frames.clear());
        }
        let with_native = self.prepare_native(pid, threads, shared);
        let (native_ids, places) = (&self.native_ids, &mut self.places);
        self.reader.sample(memory, &mut |read| {
            let tid = native_ids.get(&(read.state, read.ident)).copied().unwrap_or(read.native_id);
            // With native functions each thread is read on its own, later.
            let is_known = |thread: &TargetThread| with_native || (!thread.ran && thread.stack_is_known);
            place(places, threads, read.state, tid).is_some_and(|at| is_known(&threads[at]))
        })?;
        self.learn_native_ids(memory, pid, threads);
        if self.names_due <= shared.tick {
            self.name_threads(memory, threads, shared.tick);
        }
        let mut pythonic = 0;
        let is_alone = self.reader.interpreters().len() < 2;
        for index in 0..self.reader.threads().len() {
            let read = &self.reader.threads()[index];
            let (state, tid) = (read.state, self.tid(read));
            if let Some(at) = place(&mut self.places, threads, state, tid) {
                let thread = &mut threads[at];
                let nested = if is_alone { Vec::new() } else { self.nested(index) };
                match nested.as_slice() {
                    [] | [_] => {}
                    // Done with the first of them in the list.
                    [.., first] if *first != index => continue,
                    all => {
                        pythonic += 1;
                        self.assign_nested(memory, all, with_native, thread, shared);
                        continue;
                    }
                }
                pythonic += 1;
                // One that was read a moment ago, because its number was not known then, is read on its own next time.
                let is_due = (thread.ran || !thread.stack_is_known)
                    && self.reader.threads()[index].outcome == Outcome::Skipped;
                let native =
                    (with_native && is_due).then(|| self.sample_native(memory, &[index], thread, shared));
                self.assign(memory, (index, None), native, thread, shared);
            }
        }
        if pythonic < threads.len() {
            self.note_foreign(memory, with_native, threads, shared);
        }
        Ok(())
    }

    fn tid(&self, read: &reader::Thread) -> u32 {
        self.native_ids.get(&(read.state, read.ident)).copied().unwrap_or(read.native_id)
    }

    /// Up to 3.10 a thread's state does not have its number in the system; it lies in the C library's own record of the
    /// thread. In a container both say what the number is in there.
    fn learn_native_ids(&mut self, memory: &dyn Memory, pid: u32, threads: &[TargetThread]) {
        let is_contained = *self
            .is_contained
            .get_or_insert_with(|| ProcessStatus::of(pid).is_some_and(|status| status.is_contained));
        for read in self.reader.threads() {
            let is_due = read.native_id == 0 || is_contained;
            if is_due && !self.native_ids.contains_key(&(read.state, read.ident)) {
                let inner = match read.native_id {
                    0 => os_thread_id(memory, &self.located, read.state),
                    known => Some(known),
                };
                let found = if is_contained {
                    let mut tids = threads.iter().map(|thread| thread.thread.os_tid);
                    inner.and_then(|inner| tids.find(|tid| inner_number(pid, *tid) == Some(inner)))
                } else {
                    inner
                };
                let only = (threads.len() == 1).then_some(pid);
                if let Some(tid) = found.or(only) {
                    self.native_ids.insert((read.state, read.ident), tid);
                }
            }
        }
    }

    /// Gives threads the names that Python has for them.
    fn name_threads(&mut self, memory: &dyn Memory, threads: &mut [TargetThread], tick: Tick) {
        // A name may be given after its thread starts: look again, less often the longer no thread has come.
        self.names_gap = match self.names_due {
            0 => NAMES_GAP_MIN,
            _ => (self.names_gap * 2).min(NAMES_GAP_MAX),
        };
        self.names_due = tick + self.names_gap;
        for (number, interpreter) in self.reader.interpreters().iter().enumerate() {
            let names = thread_names(memory, &self.located, interpreter.address);
            for read in self.reader.threads().iter().filter(|read| read.interpreter == number) {
                let tid = self.tid(read);
                let Some(thread) = threads.iter_mut().find(|thread| thread.thread.os_tid == tid) else {
                    continue;
                };
                let id = u32::try_from(interpreter.id).unwrap_or(0);
                let name = names.get(&read.ident).unwrap_or(&thread.thread.name);
                if *name != thread.thread.name || thread.thread.interpreter != id {
                    thread.thread.name = name.clone();
                    thread.thread.interpreter = id;
                    thread.changed = true;
                }
            }
        }
    }

    /// The states of the thread that `index` is one of, outermost first: a thread that runs code in an interpreter
    /// within the interpreter has a state, and a stack, in each.
    fn nested(&self, index: usize) -> Vec<usize> {
        let all = self.reader.threads();
        let tid = self.tid(&all[index]);
        // Interpreters are listed newest first.
        (0..all.len()).rev().filter(|other| self.tid(&all[*other]) == tid).collect()
    }

    /// Puts the stacks of one thread in several interpreters together.
    fn assign_nested(
        &mut self,
        memory: &LiveProcess,
        states: &[usize],
        with_native: bool,
        thread: &mut TargetThread,
        shared: &mut Shared<'_>,
    ) {
        if with_native && self.assign_nested_native(memory, states, thread, shared) {
            return;
        }
        let mut outer = 0;
        for (number, index) in states.iter().enumerate() {
            if with_native && (thread.ran || !thread.stack_is_known) {
                // It was passed over, to be read on its own.
                let state = self.reader.threads()[*index].state;
                self.reader.sample_thread(memory, state);
            }
            if number == 0 || !self.reader.threads()[*index].frames.is_empty() {
                self.assign(memory, (*index, Some(outer)), None, thread, shared);
                outer = thread.path.len();
            }
        }
    }

    /// The same with native functions. Returns whether there are any.
    fn assign_nested_native(
        &mut self,
        memory: &LiveProcess,
        states: &[usize],
        thread: &mut TargetThread,
        shared: &mut Shared<'_>,
    ) -> bool {
        let is_due = thread.ran || !thread.stack_is_known;
        let native = is_due.then(|| self.sample_native(memory, states, thread, shared));
        if is_due && !matches!(native, Some(WithNative::Merged)) {
            return false;
        }
        // The innermost interpreter says what the thread is doing.
        let runs = |index: &&usize| !self.reader.threads()[**index].frames.is_empty();
        let innermost = states.iter().rev().find(runs).or(states.first()).copied();
        if let Some(innermost) = innermost {
            self.assign(memory, (innermost, None), native, thread, shared);
        }
        true
    }

    /// Takes over what the sample showed of one thread, the reader's at `index`. `outer` is for a stack that is one of
    /// several of its thread: how many frames are outside of it.
    fn assign(
        &mut self,
        memory: &LiveProcess,
        (index, outer): (usize, Option<usize>),
        native: Option<WithNative>,
        thread: &mut TargetThread,
        shared: &mut Shared<'_>,
    ) {
        let read = &self.reader.threads()[index];
        let interpreter = &self.reader.interpreters()[read.interpreter];
        let gil = (interpreter.gil, u64::from(self.located.offsets.gil.size));
        let (outcome, holds_gil, fingerprint, tries) =
            (read.outcome, read.holds_gil, read.fingerprint, read.tries);
        shared.counts.mended += u64::from(read.mended);
        // Without a GIL nothing says which thread collects; for most of that time all others are stopped.
        let may_collect =
            holds_gil || (self.located.free_threaded && matches!(thread.os.last_seen(), Activity::Running));
        let gc = interpreter.collecting && may_collect;
        shared.counts.retried += u64::from(tries > 1);
        if outcome == Outcome::Lost || matches!(native, Some(WithNative::Lost)) {
            shared.counts.lost += 1;
            return thread.lose();
        }
        shared.counts.taken += 1;
        let is_read = outcome == Outcome::Valid || outer.is_some();
        if is_read && !matches!(native, Some(WithNative::Merged)) {
            // A path with native functions in it is not one of Python frames alone.
            let is_alike = thread.stack_is_known && matches!(self.native, Native::Unknown);
            let unchanged = match outer {
                None if is_alike => read.unchanged.min(thread.path.len()),
                _ => 0,
            };
            let outer = outer.unwrap_or(0).min(thread.path.len());
            self.follow(memory, index, (outer, unchanged), thread, shared);
        }
        let state = self.state(memory, is_read, (holds_gil, gil), fingerprint, thread);
        thread.fingerprint = fingerprint;
        // A stack whose native functions could not be had is read again, even if the thread does not run.
        thread.stack_is_known = match native {
            Some(native) => matches!(native, WithNative::Merged),
            None => outcome == Outcome::Skipped || !matches!(self.native, Native::Known(_)),
        };
        thread.now = Now { node: thread.path.last().copied().unwrap_or(0), state, gil: holds_gil, gc };
    }

    /// What a thread is doing whose stack has just been read, or has not changed; `gil` is the place of the GIL.
    fn state(
        &mut self,
        memory: &dyn Memory,
        is_read: bool,
        (holds_gil, gil): (bool, (u64, u64)),
        fingerprint: u64,
        thread: &mut TargetThread,
    ) -> State {
        let running =
            |python: &mut Python, thread: &TargetThread| python.running_state(memory, thread, fingerprint);
        let has_moved = is_read && holds_gil && fingerprint != thread.fingerprint;
        let is_presumed = std::mem::take(&mut thread.presumed_running);
        if is_presumed && has_moved && running(self, thread) == State::Python {
            return State::Python;
        }
        let seen = if is_presumed { thread.os.look() } else { thread.os.last_seen() };
        match seen {
            Activity::Running if !holds_gil && !self.located.free_threaded => State::Native,
            // The system may keep to itself where a thread is; who holds the GIL still says who runs.
            Activity::Unknown if !holds_gil => seen.waiting_for_in(memory, gil),
            Activity::Running | Activity::Unknown => {
                let state = running(self, thread);
                if has_moved && state == State::Python {
                    thread.confirm(seen == Activity::Running);
                }
                state
            }
            Activity::Ended => State::Lost,
            blocked => {
                // At a call it may well be blocked; at other bytecode only a page fault or a stop explains it.
                if has_moved && running(self, thread) == State::Python {
                    thread.confirm(false);
                }
                blocked.waiting_for_in(memory, gil)
            }
        }
    }

    /// Threads that run no Python: the system's word is all there is, and their native functions.
    fn note_foreign(
        &mut self,
        memory: &LiveProcess,
        with_native: bool,
        threads: &mut [TargetThread],
        shared: &mut Shared<'_>,
    ) {
        let known: Vec<u32> = self.reader.threads().iter().map(|read| self.tid(read)).collect();
        for thread in threads.iter_mut().filter(|thread| !known.contains(&thread.thread.os_tid)) {
            if std::mem::take(&mut thread.presumed_running) {
                thread.os.look();
            }
            let state = match thread.os.last_seen() {
                Activity::Running => State::Native,
                Activity::Unknown | Activity::Ended => State::Lost,
                blocked => blocked.waiting_for((0, 0)),
            };
            let is_due = thread.ran || !thread.stack_is_known;
            if with_native && !thread.ended && state != State::Lost {
                let is_read =
                    !is_due || matches!(self.sample_native(memory, &[], thread, shared), WithNative::Merged);
                thread.stack_is_known = is_read;
                if !is_read {
                    thread.path.clear();
                }
            } else {
                thread.path.clear();
                thread.stack_is_known = true;
            }
            thread.now = Now { node: thread.path.last().copied().unwrap_or(0), state, ..Now::default() };
        }
    }

    /// Finds the node of every frame that is new since the last sample. `outer` frames of the thread are outside of
    /// this stack.
    fn follow(
        &mut self,
        memory: &dyn Memory,
        index: usize,
        (outer, unchanged): (usize, usize),
        thread: &mut TargetThread,
        shared: &mut Shared<'_>,
    ) {
        let mut parent = match outer + unchanged {
            0 => 0,
            count => thread.path[count - 1],
        };
        thread.path.truncate(outer + unchanged);
        for position in unchanged..self.reader.threads()[index].frames.len() {
            let frame = self.reader.threads()[index].frames[position];
            parent = self.node(memory, parent, frame, shared);
            thread.path.push(parent);
        }
        thread.frames.clear();
        thread.frames.extend(self.reader.threads()[index].frames.last());
    }

    /// The node of a Python frame that the stack of `parent` has called.
    fn node(&mut self, memory: &dyn Memory, parent: NodeId, frame: Frame, shared: &mut Shared<'_>) -> NodeId {
        if self.is_due(frame.code, shared.tick) {
            self.check_code(memory, frame.code, shared);
        }
        let key = (parent, frame.code, frame.instruction);
        if let Some(node) = self.nodes.get(&key) {
            return *node;
        }
        let node = self.new_node(parent, frame, shared.stacks);
        self.nodes.insert(key, node);
        node
    }

    /// Looks at the native side of the process where it is asked for. Returns whether it can be read.
    fn prepare_native(&mut self, pid: u32, threads: &[TargetThread], shared: &mut Shared<'_>) -> bool {
        let Some(native) = shared.native.as_deref_mut() else { return false };
        if matches!(self.native, Native::Unknown) {
            self.native = match NativeProcess::new(pid, native) {
                Some(process) => Native::Known(Box::new(process)),
                None => Native::Unreadable,
            };
        }
        let Native::Known(process) = &mut self.native else { return false };
        if std::mem::take(&mut process.modules_changed) {
            self.nodes.retain(|key, _| key.2 != NATIVE);
        }
        process.keep_threads(&mut |tid| threads.iter().any(|thread| thread.thread.os_tid == tid));
        true
    }

    /// Samples one thread together with its native functions. `indexes` are the reader's threads that it is, outermost
    /// first: none where it runs no Python.
    fn sample_native(
        &mut self,
        memory: &LiveProcess,
        indexes: &[usize],
        thread: &mut TargetThread,
        shared: &mut Shared<'_>,
    ) -> WithNative {
        let only;
        let several: Vec<u64>;
        let states: &[u64] = match indexes {
            [index] => {
                only = [self.reader.threads()[*index].state];
                &only[..]
            }
            indexes => {
                several = indexes.iter().map(|index| self.reader.threads()[*index].state).collect();
                &several
            }
        };
        let (Native::Known(process), Some(native)) = (&mut self.native, shared.native.as_deref_mut()) else {
            return WithNative::Lost;
        };
        let activity = thread.os.last_seen();
        let read = (states, thread.thread.os_tid);
        let Some(merged) = process.sample(memory, &mut self.reader, read, activity, native) else {
            let is_read = states.iter().all(|state| self.reader.sample_thread(memory, *state));
            return if is_read { WithNative::PythonAlone } else { WithNative::Lost };
        };
        thread.path.clear();
        thread.frames.clear();
        let mut parent = 0;
        for one in &merged {
            parent = match *one {
                Merged::Python(place) => {
                    match shared.native.as_deref().and_then(|native| native.frame(place)) {
                        Some(frame) => self.node(memory, parent, frame, shared),
                        None => parent,
                    }
                }
                Merged::Native(address) => self.native_node(parent, address, shared),
            };
            thread.path.push(parent);
        }
        let mut innermost =
            indexes.iter().rev().filter_map(|index| self.reader.threads()[*index].frames.last());
        thread.frames.extend(innermost.next());
        if let Some(native) = shared.native.as_deref_mut() {
            native.take_back(merged);
        }
        WithNative::Merged
    }

    /// The node of a native function that the stack of `parent` has called.
    fn native_node(&mut self, parent: NodeId, address: u64, shared: &mut Shared<'_>) -> NodeId {
        let key = (parent, address, NATIVE);
        if let Some(node) = self.nodes.get(&key) {
            return *node;
        }
        let (Native::Known(process), Some(native)) = (&self.native, shared.native.as_deref_mut()) else {
            return parent;
        };
        let function = process.function(address, &mut native.places, shared.stacks);
        let node = shared.stacks.node(parent, function, 0);
        self.nodes.insert(key, node);
        node
    }

    fn new_node(&self, parent: NodeId, frame: Frame, stacks: &mut Stacks) -> NodeId {
        match self.codes.get(&frame.code) {
            Some(code) if code.info.is_the_interpreters_own() => parent,
            Some(code) => stacks.node(parent, code.function, code.info.line_at(frame.instruction)),
            None => {
                let function = stacks.function("<unreadable>", "<unreadable>", "", 0);
                stacks.node(parent, function, 0)
            }
        }
    }

    /// Whether a code object must be read, or looked at again: a code object may be freed and another take
    /// its place, as happens with every module that is imported. The longer one has stayed, the rarer it is
    /// looked at.
    fn is_due(&self, code: u64, tick: Tick) -> bool {
        self.codes.get(&code).is_none_or(|code| code.check_at <= tick)
    }

    fn check_code(&mut self, memory: &dyn Memory, address: u64, shared: &mut Shared<'_>) {
        let tick = shared.tick;
        let identity = self.identity(memory, address);
        if let Some(code) = self.codes.get_mut(&address)
            && Some(code.identity) == identity
        {
            code.check_at = tick + 1 + (tick - code.read_at) / 4;
            return;
        }
        if self.codes.remove(&address).is_some() {
            self.nodes.retain(|key, _| key.1 != address);
            self.opcodes.forget();
        }
        if let (Some(identity), Ok(info)) = (identity, read_code(memory, &self.located, address)) {
            let function =
                shared.stacks.function(&info.name, &info.qualified_name, &info.file, info.first_line);
            self.codes.insert(address, Code { info, function, identity, read_at: tick, check_at: tick + 1 });
        }
    }

    fn identity(&self, memory: &dyn Memory, address: u64) -> Option<Identity> {
        let offsets = &self.located.offsets.code;
        let mut head = [0; 512];
        let head = head.get_mut(..offsets.size as usize)?;
        memory.read(address, head).ok()?;
        let word = |offset: u32| {
            let bytes = head.get(offset as usize..offset as usize + 8)?;
            Some(u64::from_le_bytes(bytes.try_into().ok()?))
        };
        let first_line = word(offsets.first_line)? & 0xffff_ffff;
        Some([word(offsets.name)?, word(offsets.filename)?, word(offsets.line_table)?, first_line])
    }

    /// Bytecode or a C function: of a thread that is on a processor and holds the GIL.
    ///
    /// The innermost frame stands at a call while the called C function runs. At an operator that may work
    /// in C for long (the sum of two arrays) it counts as native only when nothing has moved since the last
    /// sample, since operators on numbers take no time to speak of.
    fn running_state(&mut self, memory: &dyn Memory, thread: &TargetThread, fingerprint: u64) -> State {
        let Some(frame) = thread.frames.last() else {
            return State::Native;
        };
        let Some(code) = self.codes.get(&frame.code) else {
            return State::Python;
        };
        let opcode = match code.info.opcode_address(frame.instruction) {
            Some(address) => Some(self.opcodes.at(memory, address)),
            None => code.info.opcode_at(frame.instruction),
        };
        let version = self.located.version;
        match opcode {
            Some(opcode) if opcode_is_call(version, opcode) => State::Native,
            Some(opcode) if opcode_is_native_call(version, opcode) && fingerprint == thread.fingerprint => {
                State::Native
            }
            _ => State::Python,
        }
    }
}

/// Where among `threads` the living one with this number is, which the interpreter knows by `state`: looked for where it
/// was last, so that many threads do not cost the square of their number.
fn place(
    places: &mut FxHashMap<u64, usize>,
    threads: &[TargetThread],
    state: u64,
    tid: u32,
) -> Option<usize> {
    let is_it = |thread: &TargetThread| thread.thread.os_tid == tid && !thread.ended;
    if let Some(&at) = places.get(&state)
        && threads.get(at).is_some_and(is_it)
    {
        return Some(at);
    }
    let at = threads.iter().position(is_it)?;
    places.insert(state, at);
    Some(at)
}

/// The opcodes of instructions at which frames have stood.
///
/// From 3.11 on the interpreter rewrites instructions after some runs, and seldom again: an instruction is
/// read anew when it has been asked about once, twice, four times and so on.
#[derive(Debug, Default)]
struct Opcodes {
    /// By address: the opcode, and how often it was asked about.
    seen: FxHashMap<u64, (u8, u32)>,
}

impl Opcodes {
    fn at(&mut self, memory: &dyn Memory, address: u64) -> u8 {
        let (opcode, asked) = self.seen.entry(address).or_default();
        *asked = asked.saturating_add(1);
        if asked.is_power_of_two() {
            let mut byte = [0];
            if memory.read(address, &mut byte).is_ok() {
                *opcode = byte[0];
            }
        }
        *opcode
    }

    fn forget(&mut self) {
        self.seen.clear();
    }
}
