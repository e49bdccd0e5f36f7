//! What every thread of a process is doing now: its stack, its state, and if asked for its local variables.
//!
//! A process goes in, plain data comes out: [`ProcessDump`]. All stacks are those of one moment, as in a recording
//! (one copy, see `naja_cpython::reader`), and nothing is stopped for it. Local variables are read after that, one by
//! one, while the program goes on; those of a frame that has ended meanwhile are left out. A frame has a kind, so that
//! machine code and tasks have a place among Python's functions.
//! Start at [`of_process`], or at [`of_core`] for what a crash has left; [`text`] and [`json`] show it.

pub mod json;
mod native;
mod system;
pub mod text;

use naja_cpython::code::{CodeInfo, read_code};
use naja_cpython::core_file::CoreFile;
use naja_cpython::locate::{Located, Locator};
use naja_cpython::memory::Memory;
use naja_cpython::native::os_thread_id;
use naja_cpython::objects::thread_names;
use naja_cpython::opcodes::{opcode_is_call, opcode_is_native_call};
use naja_cpython::reader::{self, Outcome, StackReader};
use naja_cpython::values::{Describer, Limits, Value};
use naja_recording::{FunctionKind, State};
use naja_system::{Failure, Result};
use rustc_hash::FxHashMap;

use self::native::NativeStacks;
use self::system::SystemThread;
use crate::attach::{self, Attached};
use crate::os_thread::Activity;
use crate::process_status;
use crate::task_tree::{self, TaskTree};

/// Samples until every thread's stack is whole. One is enough nearly always; up to 3.10 and in programs that run many
/// generators it can take some.
const SAMPLES_MAX: u32 = 100;
/// After so many samples those threads are taken as they are whose stacks change too fast to be copied whole.
const SAMPLES_FOR_ALL: u32 = 40;
/// Processes of one tree.
const PROCESSES_MAX: usize = 4096;

/// What to read beside the stacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct DumpOptions {
    /// Local variables, up to these limits.
    pub locals: Option<Limits>,
    /// Tasks of asyncio.
    pub tasks: bool,
    /// Functions of C, C++ and Rust. Threads that run are paused for that, one at a time.
    pub native: bool,
}

/// A process as it was at one moment.
#[derive(Clone, Debug)]
pub struct ProcessDump {
    /// Its number.
    pub pid: u32,
    /// The process that started it, where it is shown too.
    pub parent: Option<u32>,
    /// The words of its command line.
    pub command: Vec<String>,
    /// Its interpreter's version, as `3.12.1`.
    pub version: String,
    /// Whether it is a build without a GIL.
    pub free_threaded: bool,
    /// The file that holds the interpreter.
    pub binary: String,
    /// Its working directory, to shorten paths by; empty where it is not known.
    pub folder: String,
    /// Whether it was stopped by a signal or held by a debugger.
    pub stopped: bool,
    /// Its interpreters' numbers; 0 is the main one.
    pub interpreters: Vec<u64>,
    /// Threads that run Python, the main one first, then from the oldest to the newest; after them, where native
    /// functions were asked for, those that run none.
    pub threads: Vec<ThreadDump>,
    /// How many more threads it has, which run no Python and are not shown.
    pub other_threads: usize,
    /// Its tasks of asyncio, if they were asked for and this version's are known.
    pub tasks: Option<TaskTree>,
}

/// A thread as it was at one moment.
#[derive(Clone, Debug)]
pub struct ThreadDump {
    /// What `threading.get_ident()` says in it; 0 where it runs no Python.
    pub ident: u64,
    /// The system's number for it, as seen from here; 0 where it is not known.
    pub os_tid: u32,
    /// What Python calls it, else the system; may be empty.
    pub name: String,
    /// The number of its interpreter.
    pub interpreter: u64,
    /// What it was doing; [`State::Lost`] where the system does not say.
    pub state: State,
    /// It held the GIL.
    pub holds_gil: bool,
    /// The collector was running in it.
    pub collects: bool,
    /// The signal that ended the process in this thread (of a core file).
    pub signal: Option<u32>,
    /// The stack could not be read whole; `frames` may be empty.
    pub torn: bool,
    /// The stack, innermost frame first.
    pub frames: Vec<Frame>,
}

impl ThreadDump {
    /// Whether it was on a processor, or ready for one.
    pub fn is_active(&self) -> bool {
        matches!(self.state, State::Python | State::Native)
    }

    /// Whether it runs no Python: a thread of a library of C, of numpy's for instance.
    pub fn is_foreign(&self) -> bool {
        self.ident == 0
    }
}

/// A step of a stack.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What kind of step it is.
    pub kind: FunctionKind,
    /// Its name.
    pub name: String,
    /// Its name with its class or enclosing function, where the version has it (3.11 and later).
    pub qualified_name: String,
    /// The library that holds it, where it is machine code.
    pub module: Option<String>,
    /// Its file.
    pub file: String,
    /// The line at which it stands; 0 where there is none.
    pub line: u32,
    /// Its local variables, if they were asked for and could be read.
    pub locals: Option<Vec<LocalVariable>>,
}

/// A local variable.
#[derive(Clone, Debug)]
pub struct LocalVariable {
    /// Its name.
    pub name: String,
    /// The address of its value.
    pub address: u64,
    /// Whether it is an argument.
    pub is_argument: bool,
    /// The name of its value's class.
    pub class: String,
    /// Its value.
    pub value: Value,
}

/// Reads all threads of a running process.
///
/// Errors: `process-ended`, `process-unreadable`, `stacks-unreadable`.
/// Cost: some 0.1 ms and 20 µs a thread; local variables some 10 µs each.
pub fn of_process(attached: &Attached, options: &DumpOptions) -> Result<ProcessDump> {
    let pid = attached.pid;
    let system = system::threads(pid);
    let native = if options.native {
        let stacks = NativeStacks::new(attached.memory).ok_or_else(|| {
            Failure::new(
                "native-stacks-unreadable",
                format!("the native stacks of process {pid} cannot be read"),
            )
            .hint("without `--native` its Python stacks can")
        })?;
        Some(stacks)
    } else {
        None
    };
    let (interpreters, threads, tasks) = read(&attached.memory, &attached.located, &system, options, native)
        .map_err(|error| {
            let is_gone = process_status::ProcessStatus::of(pid).is_none_or(|status| status.is_zombie());
            match is_gone {
                true => Failure::new("process-ended", format!("process {pid} ended while it was being read"))
                    .hint("`naja record -- python app.py` observes a program from its start"),
                false => error.context(&format!("process {pid}")),
            }
        })?;
    let located = &attached.located;
    Ok(ProcessDump {
        pid,
        parent: None,
        command: attached.command.clone(),
        version: located.version.to_string(),
        free_threaded: located.free_threaded,
        binary: located.binary.display().to_string(),
        folder: std::fs::read_link(format!("/proc/{pid}/cwd"))
            .map_or_else(|_| String::new(), |folder| folder.display().to_string()),
        stopped: attached.stopped,
        interpreters,
        other_threads: others(&system, &threads),
        threads,
        tasks,
    })
}

/// Reads a process and all that it has started, in order of descent. Those that run no Python are passed over.
///
/// Gives the dumps, and why a Python among them could not be read.
///
/// Errors: as of the process itself, where none of its descendants is a Python either.
pub fn of_tree(pid: u32, options: &DumpOptions) -> Result<(Vec<ProcessDump>, Vec<Failure>)> {
    let mut locator = Locator::default();
    let (mut dumps, mut failures) = (Vec::new(), Vec::new());
    let mut waiting = vec![(pid, None)];
    let mut seen = 0;
    while let Some((process, parent)) = waiting.pop() {
        seen += 1;
        if seen > PROCESSES_MAX {
            break;
        }
        let children = process_status::children(process);
        let dump =
            attach::open_with(process, &mut locator).and_then(|attached| of_process(&attached, options));
        let mut above = parent;
        match dump {
            Ok(dump) => {
                dumps.push(ProcessDump { parent, ..dump });
                above = Some(process);
            }
            Err(failure) => failures.push((process, failure)),
        }
        waiting.extend(children.into_iter().rev().map(|child| (child, above)));
    }
    if dumps.is_empty()
        && let Some(first) = failures.iter().position(|(process, _)| *process == pid)
    {
        return Err(failures.swap_remove(first).1);
    }
    // What is no Python, or has ended, is not missed.
    let is_missed = |failure: &Failure| {
        !matches!(failure.name(), "not-python" | "no-such-process" | "process-ended" | "process-is-a-zombie")
    };
    Ok((dumps, failures.into_iter().map(|(_, failure)| failure).filter(is_missed).collect()))
}

/// Reads all threads of the process that a core file is of.
///
/// Errors: those of the interpreter that cannot be found; `core-file-damaged` and `core-file-needs-files` where that is
/// because a part of the memory is missing.
pub fn of_core(core: &CoreFile, options: &DumpOptions) -> Result<ProcessDump> {
    let missing = |failure: Failure| {
        let files: Vec<String> =
            core.missing_files().iter().map(|path| format!("`{}`", path.display())).collect();
        let path = core.path().display();
        if core.is_cut_off() {
            return Failure::new("core-file-damaged", format!("the core file `{path}` is cut off"))
                .caused_by(&failure)
                .hint(
                    "a limit (`ulimit -c`) or a full disk has cut it: the memory that is needed is not in it",
                );
        }
        match files.is_empty() {
            true => failure.context(&format!("core file `{path}`")),
            false => Failure::new(
                "core-file-needs-files",
                format!(
                    "the core file `{path}` needs {}, which is not there or has changed",
                    files.join(", ")
                ),
            )
            .caused_by(&failure)
            .hint("a core leaves out what was mapped from files: read it where the program ran"),
        }
    };
    let located = Locator::default().locate_in_core(core).map_err(|error| missing(Failure::from(&error)))?;
    let system = system::threads_of_core(core);
    let (interpreters, threads, tasks) = read(core, &located, &system, options, None).map_err(missing)?;
    Ok(ProcessDump {
        pid: core.pid(),
        parent: None,
        command: core.command().split_whitespace().map(str::to_owned).collect(),
        version: located.version.to_string(),
        free_threaded: located.free_threaded,
        binary: located.binary.display().to_string(),
        folder: String::new(),
        stopped: false,
        interpreters,
        other_threads: others(&system, &threads),
        threads,
        tasks,
    })
}

/// How many of the system's threads are not among those of a dump.
fn others(system: &[SystemThread], threads: &[ThreadDump]) -> usize {
    let is_shown = |one: &&SystemThread| threads.iter().any(|thread| thread.os_tid == one.outer_tid);
    system.len() - system.iter().filter(is_shown).count()
}

/// Interpreters and threads, of whatever has memory.
fn read(
    memory: &dyn Memory,
    located: &Located,
    system: &[SystemThread],
    options: &DumpOptions,
    mut native: Option<NativeStacks>,
) -> Result<(Vec<u64>, Vec<ThreadDump>, Option<TaskTree>)> {
    let mut reader = StackReader::new(located.into());
    reader.keep_addresses();
    sample(memory, &mut reader)?;
    if let Some(native) = &mut native {
        read_native(memory, located, system, &mut reader, native);
    }
    let tasks = options.tasks.then(|| task_tree::read(memory, located, &reader)).flatten();
    let mut dumper = Dumper {
        memory,
        located,
        describer: options.locals.map(|limits| Describer::new(memory, located, limits)),
        codes: FxHashMap::default(),
        native,
    };
    let mut threads = Vec::new();
    for (number, interpreter) in reader.interpreters().iter().enumerate() {
        let names = thread_names(memory, located, interpreter.address);
        // The list has the newest thread first.
        for thread in reader.threads().iter().rev().filter(|thread| thread.interpreter == number) {
            let name = names.get(&thread.ident).map(String::as_str);
            threads.push(dumper.thread(thread, interpreter, name, system));
        }
    }
    // The reader has the newest interpreter first, the system the main thread.
    let main = system.first().map_or(0, |thread| thread.outer_tid);
    threads.sort_by_key(|thread: &ThreadDump| (thread.os_tid != main || main == 0, thread.interpreter));
    if let Some(native) = &mut dumper.native {
        threads.extend(system.iter().filter_map(|one| foreign_thread(one, native.foreign(one.outer_tid)?)));
    }
    let mut interpreters: Vec<u64> = reader.interpreters().iter().map(|one| one.id).collect();
    interpreters.sort_unstable();
    Ok((interpreters, threads, tasks))
}

/// Reads every thread once more, with its native functions.
fn read_native(
    memory: &dyn Memory,
    located: &Located,
    system: &[SystemThread],
    reader: &mut StackReader,
    native: &mut NativeStacks,
) {
    // By thread; a thread may have a state in several interpreters, which are listed newest first.
    let mut states: Vec<(usize, Vec<u64>)> = Vec::new();
    for thread in reader.threads().iter().rev() {
        let tid = match thread.native_id {
            0 => os_thread_id(memory, located, thread.state).unwrap_or(0),
            tid => tid,
        };
        let only = (system.len() == 1).then_some(0);
        let place = system.iter().position(|one| tid != 0 && one.inner_tid == tid).or(only);
        let Some(place) = place else { continue };
        match states.iter_mut().find(|(other, _)| *other == place) {
            Some((_, states)) => states.push(thread.state),
            None => states.push((place, vec![thread.state])),
        }
    }
    for (place, thread) in system.iter().enumerate() {
        let states = states.iter().find(|(other, _)| *other == place);
        let states = states.map(|(_, states)| states.as_slice()).unwrap_or_default();
        native.read(reader, (states, thread.outer_tid), thread.activity);
    }
}

/// A thread that runs no Python, with its native functions.
fn foreign_thread(system: &SystemThread, frames: Vec<Frame>) -> Option<ThreadDump> {
    let state = match system.activity {
        _ if system.stopped => State::Stopped,
        Activity::Running => State::Native,
        Activity::Unknown => State::Lost,
        Activity::Ended => return None,
        blocked => blocked.waiting_for((0, 0)),
    };
    Some(ThreadDump {
        ident: 0,
        os_tid: system.outer_tid,
        name: system.name.clone(),
        interpreter: 0,
        state,
        holds_gil: false,
        collects: false,
        signal: system.signal,
        torn: false,
        frames,
    })
}

/// Samples until every stack is whole, all in one and the same sample. A stack that changes too fast for that stays
/// the one that was last seen whole.
fn sample(memory: &dyn Memory, reader: &mut StackReader) -> Result<()> {
    let mut error = None;
    for round in 0..SAMPLES_MAX {
        match reader.sample(memory, &mut |_| false) {
            Ok(()) => {
                error = None;
                if reader.threads().iter().all(|thread| thread.outcome == Outcome::Valid) {
                    return Ok(());
                }
                if round >= SAMPLES_FOR_ALL && reader.threads().iter().all(|thread| thread.fingerprint != 0) {
                    return Ok(());
                }
            }
            Err(problem) => error = Some(problem),
        }
    }
    match error {
        None => Ok(()),
        Some(error) => Err(Failure::new("stacks-unreadable", "its stacks cannot be read")
            .caused_by(&error)
            .hint("the interpreter may be starting or ending: try again")),
    }
}

/// What all threads of a process share while they are read.
struct Dumper<'a> {
    memory: &'a dyn Memory,
    located: &'a Located,
    describer: Option<Describer<'a>>,
    codes: FxHashMap<u64, Option<CodeInfo>>,
    native: Option<NativeStacks>,
}

impl Dumper<'_> {
    fn thread(
        &mut self,
        thread: &reader::Thread,
        interpreter: &reader::Interpreter,
        name: Option<&str>,
        system: &[SystemThread],
    ) -> ThreadDump {
        let tid = match thread.native_id {
            0 => os_thread_id(self.memory, self.located, thread.state).unwrap_or(0),
            tid => tid,
        };
        let only = (system.len() == 1).then(|| &system[0]);
        let system = system.iter().find(|one| tid != 0 && one.inner_tid == tid).or(only);
        let frames = self.frames(thread);
        // Without a GIL nothing says which thread collects; for most of that time all others are stopped.
        let is_running = system.is_some_and(|one| matches!(one.activity, Activity::Running));
        let may_collect = thread.holds_gil || (self.located.free_threaded && is_running);
        ThreadDump {
            ident: thread.ident,
            os_tid: system.map_or(tid, |one| one.outer_tid),
            name: name.or(system.map(|one| one.name.as_str())).unwrap_or_default().to_owned(),
            interpreter: interpreter.id,
            state: self.state(thread, interpreter, system),
            holds_gil: thread.holds_gil,
            collects: interpreter.collecting && may_collect,
            signal: system.and_then(|one| one.signal),
            torn: thread.outcome != Outcome::Valid,
            frames,
        }
    }

    fn state(
        &mut self,
        thread: &reader::Thread,
        interpreter: &reader::Interpreter,
        system: Option<&SystemThread>,
    ) -> State {
        let Some(system) = system else { return State::Lost };
        if system.stopped {
            return State::Stopped;
        }
        let gil = (interpreter.gil, u64::from(self.located.offsets.gil.size));
        match system.activity {
            Activity::Running if !thread.holds_gil && !self.located.free_threaded => {
                self.state_without_gil(thread)
            }
            Activity::Running => self.running_state(thread),
            // The system may keep to itself where a thread is; who holds the GIL still says who runs.
            Activity::Unknown if thread.holds_gil => self.running_state(thread),
            Activity::Unknown | Activity::Ended => State::Lost,
            blocked => blocked.waiting_for_in(self.memory, gil),
        }
    }

    /// Where no C code is called that can do without the GIL, the thread has just lost it, or is about to get it.
    fn state_without_gil(&mut self, thread: &reader::Thread) -> State {
        let version = self.located.version;
        match self.opcode(thread) {
            Some(opcode) if !opcode_is_native_call(version, opcode) => State::GilWait,
            _ => State::Native,
        }
    }

    /// Bytecode, or a function of C that the innermost frame has called.
    fn running_state(&mut self, thread: &reader::Thread) -> State {
        let version = self.located.version;
        match self.opcode(thread) {
            Some(opcode) if opcode_is_call(version, opcode) => State::Native,
            None if thread.frames.is_empty() => State::Native,
            _ => State::Python,
        }
    }

    /// The instruction at which the innermost frame stands.
    fn opcode(&mut self, thread: &reader::Thread) -> Option<u8> {
        let frame = thread.frames.last()?;
        let memory = self.memory;
        let code = self.code(frame.code, frame.instruction)?;
        let Some(address) = code.opcode_address(frame.instruction) else {
            return code.opcode_at(frame.instruction);
        };
        // From 3.11 on instructions are rewritten while they run.
        let mut byte = [0];
        memory.read(address, &mut byte).ok().map(|()| byte[0])
    }

    /// Innermost first, without the steps that the interpreter makes for itself.
    fn frames(&mut self, thread: &reader::Thread) -> Vec<Frame> {
        let python = self.python_frames(thread);
        match &mut self.native {
            Some(native) => native.merge(thread.state, python),
            None => python.into_iter().flatten().collect(),
        }
    }

    /// One for each frame of the thread, innermost first; `None` for the interpreter's own.
    fn python_frames(&mut self, thread: &reader::Thread) -> Vec<Option<Frame>> {
        let mut frames = Vec::with_capacity(thread.frames.len());
        for (index, frame) in thread.frames.iter().enumerate().rev() {
            let Some(code) = self.code(frame.code, frame.instruction) else {
                frames.push(Some(Frame {
                    kind: FunctionKind::Python,
                    name: "<unreadable>".to_owned(),
                    qualified_name: "<unreadable>".to_owned(),
                    module: None,
                    file: String::new(),
                    line: 0,
                    locals: None,
                }));
                continue;
            };
            if code.is_the_interpreters_own() {
                frames.push(None);
                continue;
            }
            let mut shown = Frame {
                kind: FunctionKind::Python,
                name: code.name.clone(),
                qualified_name: code.qualified_name.clone(),
                module: None,
                file: code.file.clone(),
                line: code.line_at(frame.instruction),
                locals: None,
            };
            if let Some(address) = thread.addresses.get(index) {
                shown.locals = self.locals(*address, frame.code);
            }
            frames.push(Some(shown));
        }
        frames
    }

    fn locals(&self, frame: u64, code: u64) -> Option<Vec<LocalVariable>> {
        let describer = self.describer.as_ref()?;
        let locals = describer.locals(frame, code).ok()?;
        let shown = locals.into_iter().map(|local| LocalVariable {
            class: describer.class_name(local.address),
            name: local.name,
            address: local.address,
            is_argument: local.is_argument,
            value: local.value,
        });
        Some(shown.collect())
    }

    /// A code object, read once; once more where a free-threaded build has made copies of it since.
    fn code(&mut self, address: u64, instruction: u64) -> Option<&CodeInfo> {
        let code =
            self.codes.entry(address).or_insert_with(|| read_code(self.memory, self.located, address).ok());
        if code.as_ref().is_some_and(|code| !code.contains(instruction)) {
            *code = read_code(self.memory, self.located, address).ok();
        }
        code.as_ref()
    }
}
