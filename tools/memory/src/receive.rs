//! Hears the agents of a program and its children, and tells what they say in order.
//!
//! Each thread has a ring. Before the rings are looked at the time is noted: what has happened before it is in them, of
//! any thread, since memory is told of before it can be given to another. So the records up to that moment, sorted by
//! their times, are in an order that can have been. Start at [`Receiver::open`].

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use naja_cpython::locate::{Located, of_version};
use naja_cpython::memory::LiveProcess;
use naja_cpython::own_code::OwnCodeLayout;
use naja_cpython::own_stack::OwnLayout;
use naja_recording::NodeId;
use naja_system::clock;
use naja_system::shared_memory::SharedMemory;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, listen, recvmsg, send, socket_with,
};

use crate::decode::{Decoder, Record};
use crate::stacks::{Stacks, ThreadStack};
use crate::wire::{self, Allocator, HEAD_BYTES, MESSAGE_BYTES, Message, RING_BYTES};

/// How long a look at the rings waits for something to read.
const PATIENCE: Duration = Duration::from_millis(10);
/// Processes that may knock at once.
const BACKLOG: i32 = 64;

/// What the agents are to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Python's own allocators too.
    pub python_allocators: bool,
    /// Children too.
    pub follow: bool,
}

/// Something that has happened to memory.
#[derive(Clone, Copy, Debug)]
pub struct Event {
    /// The process, counted from 1.
    pub process: u32,
    /// The thread, counted from 1 over all processes.
    pub thread: u32,
    /// When, in ticks of [`clock::ticks`].
    pub time: u64,
    /// What.
    pub what: What,
}

/// See [`Event::what`].
#[derive(Clone, Copy, Debug)]
pub enum What {
    /// Memory was given.
    Given {
        /// By which function.
        allocator: Allocator,
        /// Where.
        address: u64,
        /// How many bytes.
        size: u64,
        /// To which stack.
        node: NodeId,
    },
    /// Memory was taken back.
    Taken {
        /// By which function.
        allocator: Allocator,
        /// Where.
        address: u64,
        /// How many bytes of a mapping.
        size: u64,
    },
    /// What the thread said last was taken back was not.
    NotTaken,
}

/// A process that is heard.
#[derive(Clone, Debug)]
pub struct Heard {
    /// Its number in the system.
    pub pid: u32,
    /// Its parent's.
    pub parent: u32,
    /// Its command line.
    pub command: Vec<String>,
    /// Its interpreter, `3.12.1`; none where there is none that naja knows.
    pub interpreter: Option<String>,
}

struct Process {
    heard: Heard,
    located: Option<Located>,
    socket: Option<OwnedFd>,
}

struct Thread {
    /// Index of its process.
    process: usize,
    number: u32,
    memory: SharedMemory,
    read: u64,
    decoder: Decoder,
    stack: ThreadStack,
    /// Decoded, and to be told.
    waiting: VecDeque<Event>,
    last_time: u64,
    is_over: bool,
}

/// Hears agents.
pub struct Receiver {
    place: PathBuf,
    listener: OwnedFd,
    settings: Settings,
    /// Knocked, and have not said who they are.
    knocking: Vec<OwnedFd>,
    processes: Vec<Process>,
    threads: Vec<Thread>,
    /// Of every thread that was seen, its process and its number in the system.
    seen: Vec<(u32, u32)>,
    stacks: Stacks,
}

impl Receiver {
    /// Listens at a place in the file system, which goes with the receiver.
    ///
    /// Errors: the system's
    pub fn open(place: PathBuf, settings: Settings) -> io::Result<Receiver> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        bind(&listener, &SocketAddrUnix::new(&place)?)?;
        listen(&listener, BACKLOG)?;
        Ok(Receiver {
            place,
            listener,
            settings,
            knocking: Vec::new(),
            processes: Vec::new(),
            threads: Vec::new(),
            seen: Vec::new(),
            stacks: Stacks::default(),
        })
    }

    /// The functions and stacks that events speak of.
    pub fn stacks(&self) -> &Stacks {
        &self.stacks
    }

    /// The processes that were heard, in the order of their numbers.
    pub fn processes(&self) -> impl Iterator<Item = &Heard> {
        self.processes.iter().map(|process| &process.heard)
    }

    /// The threads after the first `count`: each with its number, its process, and its number in the system; 0 stands for
    /// those of a process that were over.
    pub fn threads_from(&self, count: usize) -> impl Iterator<Item = (u32, u32, u32)> {
        let new = self.seen.get(count..).unwrap_or_default().iter().enumerate();
        new.map(move |(index, (process, os_tid))| ((count + index) as u32 + 1, *process, *os_tid))
    }

    /// Whether a process can still say something.
    pub fn is_anybody_there(&self) -> bool {
        !self.knocking.is_empty() || self.processes.iter().any(|process| process.socket.is_some())
    }

    /// Waits a little for something to be said, and tells it; whether there was anything.
    pub fn hear(&mut self, tell: &mut dyn FnMut(Event)) -> bool {
        self.set_sleeping(1);
        // What came before the agents knew that naja sleeps.
        let has_more = self.threads.iter().any(|thread| thread.written() != thread.read);
        let said = self.messages(if has_more { Duration::ZERO } else { PATIENCE });
        self.set_sleeping(0);
        self.drain(tell) || said
    }

    /// Tells what is left, of processes that are over or are not heard any more.
    pub fn finish(&mut self, tell: &mut dyn FnMut(Event)) {
        while self.messages(Duration::ZERO) {}
        while self.drain(tell) {}
        // Nothing more will come, so that what is left is told without regard to when.
        self.merge(u64::MAX, tell);
    }

    fn set_sleeping(&self, sleeps: u32) {
        for thread in &self.threads {
            if let Some(place) = thread.memory.half_word(std::mem::offset_of!(wire::Head, sleeps)) {
                place.store(sleeps, Ordering::Relaxed);
            }
        }
    }

    /// Takes messages on the sockets; whether there were any.
    fn messages(&mut self, patience: Duration) -> bool {
        let sockets = self.processes.iter().filter_map(|process| process.socket.as_ref());
        let all = std::iter::once(&self.listener).chain(&self.knocking).chain(sockets);
        let mut polled: Vec<PollFd<'_>> = all.map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        let timeout = Timespec::try_from(patience).ok();
        // A signal ends the wait early.
        let count = poll(&mut polled, timeout.as_ref()).unwrap_or(0);
        if count == 0 {
            return false;
        }
        while let Ok(socket) = accept_with(&self.listener, SocketFlags::CLOEXEC) {
            self.knocking.push(socket);
        }
        let mut still = Vec::new();
        for socket in std::mem::take(&mut self.knocking) {
            match next_message(&socket) {
                Next::Message(bytes, _) => self.greet(socket, &bytes),
                Next::Nothing => still.push(socket),
                Next::Over => {}
            }
        }
        self.knocking = still;
        let mut has_heard = false;
        for index in 0..self.processes.len() {
            has_heard |= self.messages_of(index);
        }
        has_heard
    }

    fn messages_of(&mut self, index: usize) -> bool {
        let mut has_heard = false;
        while let Some(socket) = self.processes.get(index).and_then(|process| process.socket.as_ref()) {
            match next_message(socket) {
                Next::Message(bytes, Some(file)) if wire::number(&bytes, 0) == Message::NewRing as u64 => {
                    has_heard = true;
                    self.new_ring(index, wire::number(&bytes, 1) as u32, File::from(file));
                }
                Next::Message(..) => has_heard = true,
                Next::Nothing => break,
                Next::Over => {
                    if let Some(process) = self.processes.get_mut(index) {
                        process.socket = None;
                    }
                }
            }
        }
        has_heard
    }

    /// Answers an agent that has said who it is; one that cannot be answered is not heard.
    fn greet(&mut self, socket: OwnedFd, hello: &[u8; MESSAGE_BYTES]) {
        let word = |index| wire::number(hello, index);
        if word(0) != Message::Hello as u64 || word(1) != u64::from(wire::VERSION) {
            return;
        }
        // A process in a container has another number there.
        let pid =
            socket_peercred(&socket).map_or(word(2) as u32, |peer| peer.pid.as_raw_nonzero().get() as u32);
        let memory = LiveProcess::new(pid);
        let located = of_version(&memory, word(4) as u32, word(5) != 0, word(6));
        let settings = u64::from(self.settings.python_allocators) * wire::settings::PYTHON_ALLOCATORS
            + u64::from(self.settings.follow) * wire::settings::FOLLOW;
        let mut numbers = vec![u64::from(wire::VERSION), settings, u64::from(located.is_some())];
        if let Some(located) = &located {
            // Later versions keep a piece that is left for its next use.
            let are_unmapped = located.version.minor <= 13 && !located.free_threaded;
            numbers.extend(OwnLayout::of(&located.offsets, are_unmapped).to_words());
            numbers.extend(OwnCodeLayout::of(&located.offsets).to_words());
        }
        let answer = wire::message(Message::Settings, &numbers);
        if send(&socket, &answer, SendFlags::NOSIGNAL).is_ok() {
            let interpreter = located.as_ref().map(|located| located.version.to_string());
            let heard = Heard { pid, parent: word(3) as u32, command: command_of(pid), interpreter };
            self.processes.push(Process { heard, located, socket: Some(socket) });
        }
    }

    fn new_ring(&mut self, process: usize, os_tid: u32, file: File) {
        if let Ok(memory) = SharedMemory::of_file(&file, HEAD_BYTES + RING_BYTES) {
            self.seen.push((process as u32 + 1, os_tid));
            self.threads.push(Thread {
                process,
                number: self.seen.len() as u32,
                memory,
                read: 0,
                decoder: Decoder::default(),
                stack: ThreadStack::default(),
                waiting: VecDeque::new(),
                last_time: 0,
                is_over: false,
            });
        }
    }

    /// Reads the rings, and tells what is known to be all up to now; whether anything was read.
    fn drain(&mut self, tell: &mut dyn FnMut(Event)) -> bool {
        let until = clock::ticks();
        let mut has_read = false;
        let Receiver { processes, threads, stacks, .. } = self;
        for thread in threads.iter_mut() {
            let located = processes.get(thread.process).and_then(|process| process.located.as_ref());
            has_read |= thread.read_ring(located, stacks);
        }
        self.merge(until, tell);
        self.threads.retain(|thread| !(thread.is_over && thread.waiting.is_empty()));
        has_read
    }

    /// Tells what has happened before `until`, in the order of its time.
    fn merge(&mut self, until: u64, tell: &mut dyn FnMut(Event)) {
        loop {
            let mut firsts = self.threads.iter().enumerate().filter_map(|(index, thread)| {
                let time = thread.waiting.front()?.time;
                (time < until).then_some((time, index))
            });
            let Some(mut first) = firsts.next() else { return };
            let mut second = u64::MAX;
            for (time, index) in firsts {
                if time < first.0 {
                    second = first.0;
                    first = (time, index);
                } else {
                    second = second.min(time);
                }
            }
            // As long as no other thread's comes before it.
            let Some(thread) = self.threads.get_mut(first.1) else { return };
            while let Some(event) =
                thread.waiting.pop_front_if(|event| event.time <= second && event.time < until)
            {
                tell(event);
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Nobody needs it any more, and nobody is hurt if it stays.
        let _ = std::fs::remove_file(&self.place);
    }
}

impl Thread {
    fn written(&self) -> u64 {
        let place = self.memory.word(std::mem::offset_of!(wire::Head, written));
        place.map_or(0, |place| place.load(Ordering::Acquire))
    }

    /// Reads what is there and makes events of it; whether there was anything.
    fn read_ring(&mut self, located: Option<&Located>, stacks: &mut Stacks) -> bool {
        let is_over = self.memory.half_word(std::mem::offset_of!(wire::Head, is_over));
        let is_over = is_over.is_some_and(|place| place.load(Ordering::Acquire) != 0);
        let written = self.written();
        let count = written.wrapping_sub(self.read);
        if count == 0 || count > RING_BYTES as u64 {
            self.is_over |= is_over || count > 0;
            return false;
        }
        let (from, count) = (self.read as usize & (RING_BYTES - 1), count as usize);
        let room = self.decoder.room();
        let first = count.min(RING_BYTES - from);
        self.memory.copy(HEAD_BYTES + from, first, room);
        self.memory.copy(HEAD_BYTES, count - first, room);
        self.read = written;
        if let Some(place) = self.memory.word(std::mem::offset_of!(wire::Head, read)) {
            place.store(written, Ordering::Release);
        }
        loop {
            match self.decoder.next_record() {
                Ok(Some(record)) => self.take(record, located, stacks),
                Ok(None) => return true,
                Err(_) => {
                    self.is_over = true;
                    return true;
                }
            }
        }
    }

    fn take(&mut self, record: Record, located: Option<&Located>, stacks: &mut Stacks) {
        let (time, what) = match record {
            Record::Given { allocator, address, size, time } => {
                (time, What::Given { allocator, address, size, node: self.stack.node() })
            }
            Record::Taken { allocator, address, size, time } => {
                (time, What::Taken { allocator, address, size })
            }
            Record::NotTaken => (self.last_time, What::NotTaken),
            Record::Stack { gone, new } => return self.stack.change(stacks, gone, &new),
            Record::Code { number, address, memory } => {
                if let Some(located) = located {
                    self.stack.learn(stacks, located, number, address, &memory);
                }
                return;
            }
        };
        self.last_time = time;
        let process = self.process as u32 + 1;
        self.waiting.push_back(Event { process, thread: self.number, time, what });
    }
}

/// The words with which a process was started.
fn command_of(pid: u32) -> Vec<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = bytes.strip_suffix(&[0]).unwrap_or(&bytes).split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

enum Next {
    Message(Box<[u8; MESSAGE_BYTES]>, Option<OwnedFd>),
    Nothing,
    Over,
}

fn next_message(socket: impl AsFd) -> Next {
    let mut bytes = Box::new([0; MESSAGE_BYTES]);
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let got = recvmsg(socket, &mut [io::IoSliceMut::new(&mut *bytes)], &mut ancillary, flags);
    match got {
        Ok(got) if got.bytes == MESSAGE_BYTES => {
            let file = ancillary.drain().find_map(|message| match message {
                RecvAncillaryMessage::ScmRights(mut files) => files.next(),
                _ => None,
            });
            Next::Message(bytes, file)
        }
        Ok(_) => Next::Over,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Next::Nothing,
        Err(_) => Next::Over,
    }
}
