//! What a recording holds, as plain data.

use serde::{Deserialize, Serialize};

/// A process of the recording: number from 1 on.
pub type ProcessId = u32;
/// A thread of the recording: number from 1 on, unique over all processes.
pub type ThreadId = u32;
/// A function: number from 1 on. One function is one code object's (file, qualified name, first line).
pub type FunctionId = u32;
/// A node of the tree of stacks: number from 1 on. The path from the node to its root is a whole stack.
pub type NodeId = u32;
/// Ticks of [`Header::interval_ns`] since the start of the recording.
pub type Tick = u64;

/// A place of allocations: number from 1 on.
pub type PlaceId = u32;

/// Written once, when the recording is created.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of naja that writes.
    pub naja_version: String,
    /// What was asked for, as the user typed it.
    pub command: Vec<String>,
    /// Folder in which the program was started.
    pub working_directory: String,
    /// Wall clock at the start, nanoseconds since 1970-01-01 UTC.
    pub start_unix_ns: u64,
    /// Length of a tick in nanoseconds; the sampling rate is its inverse.
    pub interval_ns: u64,
    /// Number of processor cores online.
    pub cpu_count: u32,
    /// Kernel name, release and machine.
    pub system: String,
}

/// A process that was seen. Written again (same id) when something about it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its number in this recording.
    pub id: ProcessId,
    /// Its number in the system.
    pub pid: u32,
    /// The process that started it; 0 for the program itself.
    pub parent: ProcessId,
    /// Its command line.
    pub command: Vec<String>,
    /// First and last tick at which it was seen to live.
    pub first_tick: Tick,
    /// See `first_tick`.
    pub last_tick: Tick,
    /// The interpreter, as in `CPython 3.12.1`; empty when it is not one or cannot be read.
    pub interpreter: String,
    /// Why its Python stacks were not read; empty when they were.
    pub unobserved: String,
    /// CPU time in nanoseconds, in user and system mode.
    pub user_ns: u64,
    /// See `user_ns`.
    pub system_ns: u64,
    /// Highest resident memory seen, in bytes.
    pub peak_rss_bytes: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It lives, or its end was not seen.
    #[default]
    Running,
    /// It is gone; its status belongs to a parent that is not naja.
    Gone,
    /// It exited with this code.
    Exited(i32),
    /// It was killed by this signal.
    Killed(i32),
}

/// A thread. Written again (same id) when its name becomes known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Its number in this recording.
    pub id: ThreadId,
    /// The process it belongs to.
    pub process: ProcessId,
    /// Its number in the system.
    pub os_tid: u32,
    /// Python's name for it, else the system's.
    pub name: String,
    /// The sub-interpreter it runs in; 0 is the main one.
    pub interpreter: u32,
}

/// What a function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum FunctionKind {
    /// A code object.
    #[default]
    Python = 0,
    /// A function of machine code. Its file is its source where that is known, else the program or library that
    /// holds it.
    Native = 1,
    /// Not a function but an asyncio task that stands below its coroutines; its name is the task's.
    Task = 2,
}

impl FunctionKind {
    /// The kind of a number as stored; `None` for a number this version does not know.
    pub fn from_number(number: u8) -> Option<FunctionKind> {
        [FunctionKind::Python, FunctionKind::Native, FunctionKind::Task].get(usize::from(number)).copied()
    }

    /// The word that JSON and SQL use.
    pub fn word(self) -> &'static str {
        match self {
            FunctionKind::Python => "python",
            FunctionKind::Native => "native",
            FunctionKind::Task => "task",
        }
    }
}

/// A function of the program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Function {
    /// Its number in this recording.
    pub id: FunctionId,
    /// Its name.
    pub name: String,
    /// Its qualified name (`Class.method`), or its name where the interpreter keeps none (before 3.11).
    pub qualified_name: String,
    /// Its source file as the code object has it.
    pub file: String,
    /// Line of its `def`; 0 when unknown.
    pub first_line: u32,
    /// What it is.
    pub kind: FunctionKind,
}

/// A node of the tree of stacks: a line of a function, called from its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackNode {
    /// Its number in this recording.
    pub id: NodeId,
    /// The caller's node; 0 at the bottom of a stack.
    pub parent: NodeId,
    /// The function that runs.
    pub function: FunctionId,
    /// The line that runs; 0 when unknown.
    pub line: u32,
}

/// What a thread was doing when it was sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum State {
    /// No sample: the tick was missed, or the stack could not be read.
    #[default]
    Lost = 0,
    /// On a processor, running Python bytecode.
    Python = 1,
    /// On a processor, inside a C function, with or without the GIL.
    Native = 2,
    /// Blocked until another thread gives up the GIL.
    GilWait = 3,
    /// Blocked in a read, write, poll, connect or the disk.
    IoWait = 4,
    /// Blocked on a lock, queue or condition.
    LockWait = 5,
    /// Asleep for a given time.
    Sleep = 6,
    /// Waiting for a child process.
    ChildWait = 7,
    /// Stopped by a signal (Ctrl-Z, a debugger).
    Stopped = 8,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [State; 9] = [
        State::Lost,
        State::Python,
        State::Native,
        State::GilWait,
        State::IoWait,
        State::LockWait,
        State::Sleep,
        State::ChildWait,
        State::Stopped,
    ];

    /// The state of a number as stored; `None` for a number this version does not know.
    pub fn from_number(number: u8) -> Option<State> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The word that reports, JSON and SQL use.
    pub fn word(self) -> &'static str {
        match self {
            State::Lost => "lost",
            State::Python => "python",
            State::Native => "native",
            State::GilWait => "gil-wait",
            State::IoWait => "io-wait",
            State::LockWait => "lock-wait",
            State::Sleep => "sleep",
            State::ChildWait => "child-wait",
            State::Stopped => "stopped",
        }
    }
}

/// A stretch of ticks over which a thread's stack and state stayed the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// Number of ticks, at least 1.
    pub ticks: u32,
    /// The stack; 0 when the thread runs no Python code or the sample was lost.
    pub node: NodeId,
    /// What the thread was doing.
    pub state: State,
    /// The thread held the GIL.
    pub gil: bool,
    /// The collector was running in the thread's interpreter.
    pub gc: bool,
}

/// Consecutive runs of one thread, without a hole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ThreadRuns {
    /// The thread.
    pub thread: ThreadId,
    /// Tick of the first run.
    pub first_tick: Tick,
    /// The runs in order.
    pub runs: Vec<Run>,
}

/// Memory and processor time of a process at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// When.
    pub tick: Tick,
    /// Whose.
    pub process: ProcessId,
    /// Processor time used since its start, user and system, nanoseconds.
    pub cpu_ns: u64,
    /// Resident memory in bytes.
    pub rss_bytes: u64,
}

/// Who has memory: a stack of a thread, and the function that it came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AllocationPlace {
    /// Its number in this recording.
    pub id: PlaceId,
    /// The process.
    pub process: ProcessId,
    /// The thread.
    pub thread: ThreadId,
    /// The stack; 0 outside of Python.
    pub node: NodeId,
    /// The function, by its number: see `docs/reference/recording-format.md`.
    pub allocator: u8,
}

/// Blocks of memory, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// How many blocks.
    pub blocks: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// What a place has come to. Written again when it has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllocationTally {
    /// The place.
    pub place: PlaceId,
    /// What it was given, in all.
    pub given: Amount,
    /// What it has.
    pub now: Amount,
    /// What it had when the recording's processes together had most. While a recording is written: at peak number `peak`.
    pub at_peak: Amount,
    /// Peaks, each higher than the one before, are counted: the number of the one that `at_peak` is of. What has not changed
    /// since an earlier peak than the last has `now` at the last.
    pub peak: u64,
    /// What was given and taken back before its thread was given anything else.
    pub temporary: Amount,
}

/// Something that has happened to memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocationEvent {
    /// Memory was given.
    Given {
        /// The number that stands for it while it is in use.
        slot: u32,
        /// To whom.
        place: PlaceId,
        /// How many bytes.
        size: u64,
    },
    /// Of memory that was taken this is left; it is not given anew.
    Rest {
        /// The number that stands for it while it is in use.
        slot: u32,
        /// Whose it is.
        place: PlaceId,
        /// How many bytes.
        size: u64,
    },
    /// Memory was taken back.
    Taken {
        /// The number that stood for it.
        slot: u32,
    },
}

/// A stretch of events, packed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllocationStretch {
    /// The tick at which it begins.
    pub first_tick: Tick,
    /// The tick at which it ends.
    pub end_tick: Tick,
    /// How many events it holds.
    pub events: u64,
    /// What is in use at its beginning.
    pub at_start: Amount,
    /// The most bytes that are in use at once within it.
    pub peak_bytes: u64,
    /// The events, as [`crate::allocations`] packs them.
    pub data: Vec<u8>,
    /// Where each block lies, packed; empty where that was not recorded.
    pub addresses: Vec<u8>,
}

/// What a process's resident memory was made of at one moment, beside what was known to be in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidentParts {
    /// When.
    pub tick: Tick,
    /// Whose.
    pub process: ProcessId,
    /// Resident memory in bytes: the three that follow.
    pub resident_bytes: u64,
    /// Of files that are mapped: code, libraries, data.
    pub files_bytes: u64,
    /// Of the recorder's own buffers.
    pub recorder_bytes: u64,
    /// Of its own: not of files.
    pub own_bytes: u64,
    /// How much of its own is mapped, resident or not.
    pub own_mapped_bytes: u64,
    /// In use, given by the C library's allocator.
    pub blocks_bytes: u64,
    /// In use, given by `mmap`.
    pub mapped_bytes: u64,
    /// In use, given by Python's own allocators, where they were recorded; else what they have is within the other two.
    pub objects_bytes: u64,
}

/// The text of a source file, kept so that the recording can be read elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file's name as the functions have it.
    pub file: String,
    /// Its text.
    pub text: String,
}

/// What the size limit made a recording forget: its oldest stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Nothing before this tick is left; 0 when nothing was forgotten.
    pub until_tick: Tick,
    /// How many samples (ticks of threads) were forgotten.
    pub samples: u64,
}

/// What is written in one transaction, some four times a second.
///
/// A thread that lives gives its runs up to `until_tick` in every batch, however idle it is: a thread that
/// is missing counts as not observed, and equal runs that follow each other cost nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Counts up, from 0, each time the caller forgets its functions and stack nodes and gives those that
    /// still occur again, under new numbers (numbers always count up, over all generations). The samples of
    /// a generation use only nodes of that generation. When the size limit has forgotten a generation's
    /// samples, its nodes and functions are forgotten too: so a program that makes new stacks for days is
    /// recorded in bounded space, here and in the caller.
    pub generation: u32,
    /// New or changed processes.
    pub processes: Vec<Process>,
    /// New or changed threads.
    pub threads: Vec<Thread>,
    /// New functions.
    pub functions: Vec<Function>,
    /// New stack nodes; a parent always comes before its children.
    pub nodes: Vec<StackNode>,
    /// Samples.
    pub runs: Vec<ThreadRuns>,
    /// Memory and CPU.
    pub metrics: Vec<Metric>,
    /// What resident memory was made of.
    pub resident_parts: Vec<ResidentParts>,
    /// Source files (at the end). One whose name is known already replaces it.
    pub sources: Vec<Source>,
    /// New places of allocations.
    pub allocation_places: Vec<AllocationPlace>,
    /// What places have come to.
    pub allocation_tallies: Vec<AllocationTally>,
    /// How many peaks there were, where that has changed.
    pub allocation_peaks: Option<u64>,
    /// Stretches of events, in the order of their time.
    pub allocation_stretches: Vec<AllocationStretch>,
    /// Tick up to which this batch is complete: every run ends at or before it.
    pub until_tick: Tick,
}
