//! The kernel's own account of which processes were started, became another program, and ended.
//!
//! The kernel tells every listener of its process connector about all processes of the machine; the caller
//! picks those that it follows. What is told is exact, as long as it is read in time: where the kernel had to
//! drop events, [`ProcessEvents::drain`] says so and the caller looks at `/proc` itself. The kernel tells only
//! who lives in the initial namespaces (no container) and, before Linux 6.6, is root; [`ProcessEvents::listen`]
//! fails elsewhere. Linux only; start at [`ProcessEvents::listen`].

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// Something that happened to a process of this machine. Times are those of [`crate::timer::now_ns`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProcessEvent {
    /// A process was made.
    Forked {
        /// The process that made it, or that counts as its parent from the start.
        parent: u32,
        /// The new process.
        child: u32,
        /// When.
        at_ns: u64,
    },
    /// A thread was made.
    ThreadStarted {
        /// The process that it belongs to.
        process: u32,
    },
    /// A process became another program.
    Executed {
        /// The process.
        process: u32,
    },
    /// The first thread of a process has ended, and in nearly all cases the process with it: it has not where
    /// another thread lives on, or becomes another program.
    Ended {
        /// The process.
        process: u32,
        /// How, as `wait` gives it.
        status: i32,
        /// When.
        at_ns: u64,
    },
}

/// A subscription to the kernel's process events.
#[derive(Debug)]
pub struct ProcessEvents {
    socket: OwnedFd,
    buffers: Box<[Buffer; BATCH]>,
}

/// Room for one message; the longest known has 76 bytes.
type Buffer = [u8; 128];

/// Messages that are read by one system call.
const BATCH: usize = 64;

/// System calls by one [`ProcessEvents::drain`]: a machine that makes processes faster than they are read must
/// not hold up the reader.
const BATCHES_MAX: usize = 64;

/// Room for events that wait to be read, in bytes as the kernel counts them (some 800 an event).
const QUEUE_BYTES: libc::c_int = 4 << 20;

// linux/connector.h and linux/cn_proc.h
const CN_IDX_PROC: u32 = 1;
const CN_VAL_PROC: u32 = 1;
const PROC_CN_MCAST_LISTEN: u32 = 1;
const PROC_EVENT_NONE: u32 = 0;
const PROC_EVENT_FORK: u32 = 0x1;
const PROC_EVENT_EXEC: u32 = 0x2;
const PROC_EVENT_EXIT: u32 = 0x8000_0000;

impl ProcessEvents {
    /// Subscribes.
    ///
    /// Errors: the kernel does not offer it, or not to this user, or not in this container.
    /// Cost: three system calls; while anyone listens, every start and end of a process on the machine costs
    /// about a microsecond more.
    pub fn listen() -> io::Result<ProcessEvents> {
        let flags = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: numbers only.
        let socket = unsafe { libc::socket(libc::AF_NETLINK, flags, libc::NETLINK_CONNECTOR) };
        if socket == -1 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just made and has no other owner.
        let socket = unsafe { OwnedFd::from_raw_fd(socket) };
        let mut events = ProcessEvents { socket, buffers: Box::new([[0; 128]; BATCH]) };
        events.ask_for_room();
        events.bind()?;
        events.subscribe()?;
        // The kernel answers inside the call that asks; in a container it does not answer at all.
        let mut answer = None;
        events.receive(&mut |message| {
            if let Some(Message::Answer { error }) = message {
                answer.get_or_insert(error);
            }
        })?;
        match answer {
            Some(0) => Ok(events),
            Some(error) => Err(io::Error::from_raw_os_error(i32::try_from(error).unwrap_or(libc::EPERM))),
            None => Err(io::Error::from(io::ErrorKind::Unsupported)),
        }
    }

    /// Gives every event that waits to `sink`, in order. Returns whether all is there: `false` when the kernel
    /// had to drop events, or when there are more than one call takes.
    ///
    /// Cost: some 0.5 µs when there is none.
    pub fn drain(&mut self, sink: &mut dyn FnMut(ProcessEvent)) -> bool {
        let mut complete = true;
        for _ in 0..BATCHES_MAX {
            let received = self.receive(&mut |message| {
                if let Some(Message::Event(event)) = message {
                    sink(event);
                }
            });
            match received {
                Ok(BATCH) => {}
                Ok(_) => return complete,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => complete = false,
                Err(_) => return false,
            }
        }
        false
    }

    fn ask_for_room(&self) {
        // The first needs a privilege, the second is cut to what the machine allows; less room loses events
        // only when very many processes are made at once, and that is noticed.
        let bytes = QUEUE_BYTES;
        for option in [libc::SO_RCVBUF, libc::SO_RCVBUFFORCE] {
            // SAFETY: the value is readable for the length that is given.
            unsafe {
                libc::setsockopt(
                    self.socket.as_raw_fd(),
                    libc::SOL_SOCKET,
                    option,
                    (&raw const bytes).cast(),
                    size_of::<libc::c_int>() as libc::socklen_t,
                );
            }
        }
    }

    fn bind(&self) -> io::Result<()> {
        // SAFETY: an all-zero address is a valid value of this plain C struct.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
        address.nl_groups = CN_IDX_PROC;
        // SAFETY: the address is readable for the length that is given.
        let result = unsafe {
            libc::bind(
                self.socket.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<libc::sockaddr_nl>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn subscribe(&self) -> io::Result<()> {
        let request = listen_request();
        // SAFETY: `request` is readable for its length.
        let sent = unsafe { libc::send(self.socket.as_raw_fd(), request.as_ptr().cast(), request.len(), 0) };
        if sent == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads one batch of messages; returns their number, 0 when none waits.
    fn receive(&mut self, sink: &mut dyn FnMut(Option<Message>)) -> io::Result<usize> {
        // SAFETY: all-zero headers and addresses are valid values of these plain C structs.
        let (mut headers, mut senders): ([libc::mmsghdr; BATCH], [libc::sockaddr_nl; BATCH]) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
        let mut pieces = self
            .buffers
            .each_mut()
            .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
        for ((header, piece), sender) in headers.iter_mut().zip(&mut pieces).zip(&mut senders) {
            header.msg_hdr.msg_iov = piece;
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_name = std::ptr::from_mut(sender).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
        }
        // SAFETY: each header names one buffer and one address, writable for their lengths through the call.
        let count = unsafe {
            libc::recvmmsg(
                self.socket.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(0) } else { Err(error) };
        };
        for index in 0..count {
            let len = (headers[index].msg_len as usize).min(self.buffers[index].len());
            // Port 0 is the kernel; nobody else has a say here.
            if senders[index].nl_pid == 0 {
                sink(parse(&self.buffers[index][..len]));
            }
        }
        Ok(count)
    }
}

/// A netlink header (16 bytes), the connector's header (20), and the one word that asks to listen.
fn listen_request() -> [u8; 40] {
    const LENGTH: u32 = 40;
    const NLMSG_DONE: u32 = 3;
    let words = [LENGTH, NLMSG_DONE, 0, 0, CN_IDX_PROC, CN_VAL_PROC, 0, 0, 4, PROC_CN_MCAST_LISTEN];
    let mut bytes = [0; 40];
    for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
        // Two of the words are pairs of half words of which the second is zero: right on little-endian machines,
        // which all are that naja reads Python on.
        slot.copy_from_slice(&word.to_ne_bytes());
    }
    bytes
}

/// What one datagram says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    Answer { error: u32 },
    Event(ProcessEvent),
}

/// Reads one datagram; `None` for kinds of events that nobody asks about, and for what makes no sense.
fn parse(bytes: &[u8]) -> Option<Message> {
    /// Behind the two headers: what, processor, time (64 bits), then the words of that kind.
    const EVENT_AT: usize = 36;
    let word = |index: usize| {
        let at = EVENT_AT + 4 * index;
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    let connector = |index: usize| {
        let at = 16 + 4 * index;
        Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
    };
    if (connector(0)?, connector(1)?) != (CN_IDX_PROC, CN_VAL_PROC) {
        return None;
    }
    let at_ns = u64::from_ne_bytes(bytes.get(EVENT_AT + 8..EVENT_AT + 16)?.try_into().ok()?);
    let event = match word(0)? {
        PROC_EVENT_NONE => return Some(Message::Answer { error: word(4)? }),
        PROC_EVENT_FORK => {
            let (parent, thread, process) = (word(5)?, word(6)?, word(7)?);
            if thread == process {
                ProcessEvent::Forked { parent, child: process, at_ns }
            } else {
                ProcessEvent::ThreadStarted { process }
            }
        }
        PROC_EVENT_EXEC => ProcessEvent::Executed { process: word(5)? },
        PROC_EVENT_EXIT if word(4)? == word(5)? => {
            ProcessEvent::Ended { process: word(5)?, status: word(6)?.cast_signed(), at_ns }
        }
        _ => return None,
    };
    Some(Message::Event(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(what: u32, data: &[u32]) -> Vec<u8> {
        let mut words = vec![76, 3, 0, 0, CN_IDX_PROC, CN_VAL_PROC, 0, 0, 40, what, 0, 7, 0];
        words.extend(data);
        words.resize(19, 0);
        words.iter().flat_map(|word: &u32| word.to_ne_bytes()).collect()
    }

    fn event(what: u32, data: &[u32]) -> Option<ProcessEvent> {
        match parse(&message(what, data)) {
            Some(Message::Event(event)) => Some(event),
            _ => None,
        }
    }

    #[test]
    fn messages_say_what_happened_to_whom() {
        let forked = ProcessEvent::Forked { parent: 10, child: 20, at_ns: 7 };
        assert_eq!(event(PROC_EVENT_FORK, &[11, 10, 20, 20]), Some(forked));
        assert_eq!(
            event(PROC_EVENT_FORK, &[1, 1, 21, 20]),
            Some(ProcessEvent::ThreadStarted { process: 20 })
        );
        assert_eq!(event(PROC_EVENT_EXEC, &[21, 20]), Some(ProcessEvent::Executed { process: 20 }));
        let ended = ProcessEvent::Ended { process: 20, status: 256, at_ns: 7 };
        assert_eq!(event(PROC_EVENT_EXIT, &[20, 20, 256, 17]), Some(ended));
        assert_eq!(event(PROC_EVENT_EXIT, &[21, 20, 0, 17]), None, "a thread's end is none of the process");
        assert_eq!(event(0x200, &[20, 20, 0, 0]), None, "a kind that nobody asked for");
        assert_eq!(parse(&message(PROC_EVENT_NONE, &[1])), Some(Message::Answer { error: 1 }));
    }

    #[test]
    fn a_message_cut_short_says_nothing() {
        let whole = message(PROC_EVENT_FORK, &[1, 10, 20, 20]);
        for len in 0..68 {
            assert_eq!(parse(&whole[..len]), None, "{len}");
        }
        let mut foreign = whole;
        foreign[16] = 9;
        assert_eq!(parse(&foreign), None, "another connector's message");
    }

    #[test]
    fn a_child_s_whole_life_is_told() {
        let Ok(mut events) = ProcessEvents::listen() else {
            return; // Not for this user, or not in this container.
        };
        let mut child = std::process::Command::new("sh").args(["-c", "exit 3"]).spawn().expect("sh is there");
        let (pid, own) = (child.id(), std::process::id());
        let mut seen = Vec::new();
        let mut ended = false;
        while !ended {
            events.drain(&mut |event| match event {
                ProcessEvent::Forked { parent, child, .. } if child == pid => seen.push(("forked", parent)),
                ProcessEvent::Executed { process } if process == pid => seen.push(("executed", 0)),
                ProcessEvent::Ended { process, status, .. } if process == pid => {
                    seen.push(("ended", status.cast_unsigned()));
                    ended = true;
                }
                _ => {}
            });
        }
        assert_eq!(seen, [("forked", own), ("executed", 0), ("ended", 3 << 8)]);
        child.wait().expect("it ends");
    }
}
