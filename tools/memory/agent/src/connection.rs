//! The connection to naja: one socket for the process, over which each thread's ring is handed.

use std::ffi::{CStr, c_int};
use std::mem::{size_of, zeroed};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};

use naja_cpython::own_code::{CODE_LAYOUT_WORDS, OwnCodeLayout};
use naja_cpython::own_stack::{LAYOUT_WORDS, OwnLayout};

use crate::attached;
use crate::python::Found;
use crate::wire::{self, MESSAGE_BYTES, Message};

/// Above what programs use and close by number.
const DESCRIPTOR_MIN: c_int = 700;

static SOCKET: AtomicI32 = AtomicI32::new(-1);
/// Which socket it is: a program may close every descriptor that it did not open, and open another by this number.
static IDENTITY: AtomicU64 = AtomicU64::new(0);

/// What naja wants.
pub(crate) struct Answer {
    pub(crate) settings: u64,
    pub(crate) layouts: Option<(OwnLayout, OwnCodeLayout)>,
}

/// Where naja listens, for an agent that was told so.
static PLACE: [AtomicU8; PLACE_BYTES] = [const { AtomicU8::new(0) }; PLACE_BYTES];
const PLACE_BYTES: usize = 108;

/// Sets where naja listens; false where that is too long.
pub(crate) fn set_place(place: &CStr) -> bool {
    let bytes = place.to_bytes_with_nul();
    if bytes.len() > PLACE_BYTES {
        return false;
    }
    for (to, from) in PLACE.iter().zip(bytes) {
        to.store(*from, Ordering::Relaxed);
    }
    true
}

fn variable() -> Option<&'static CStr> {
    if PLACE[0].load(Ordering::Relaxed) != 0 {
        // SAFETY: it ends with NUL, and is written before the agent begins only.
        return Some(unsafe { CStr::from_ptr(PLACE.as_ptr().cast()) });
    }
    let mut name = [0_u8; 32];
    name.get_mut(..wire::PLACE.len())?.copy_from_slice(wire::PLACE.as_bytes());
    // SAFETY: the name ends with NUL. What it gives belongs to the environment, which nobody changes before `main`.
    let place = unsafe { libc::getenv(name.as_ptr().cast()) };
    // SAFETY: it is null or a text that ends with NUL.
    (!place.is_null()).then(|| unsafe { CStr::from_ptr(place) })
}

/// Whether somebody listens.
pub(crate) fn is_wanted() -> bool {
    variable().is_some()
}

/// Children of the program get a program's own environment.
pub(crate) fn hide_from_children() {
    // SAFETY: before `main` no other thread reads the environment; the names end with NUL.
    unsafe {
        let mut name = [0_u8; 32];
        name[..wire::PLACE.len()].copy_from_slice(wire::PLACE.as_bytes());
        libc::unsetenv(name.as_ptr().cast());
        libc::unsetenv(c"LD_PRELOAD".as_ptr());
    }
}

/// Connects, says what this is, and hears what to do; none where nobody answers.
pub(crate) fn open(found: Option<&Found>) -> Option<Answer> {
    let place = variable()?.to_bytes();
    // SAFETY: plain system calls on memory of our own.
    unsafe {
        let mut address: libc::sockaddr_un = zeroed();
        address.sun_family = libc::AF_UNIX as u16;
        if place.len() >= address.sun_path.len() {
            return None;
        }
        for (to, from) in address.sun_path.iter_mut().zip(place) {
            *to = *from as _;
        }
        let first = libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC, 0);
        if first < 0 {
            return None;
        }
        let moved = libc::fcntl(first, libc::F_DUPFD_CLOEXEC, DESCRIPTOR_MIN);
        let socket = if moved < 0 { first } else { moved };
        if moved >= 0 {
            libc::close(first);
        }
        let len = size_of::<libc::sockaddr_un>() as u32;
        let connected = libc::connect(socket, (&raw const address).cast(), len) == 0;
        let answer = if connected { greet(socket, found) } else { None };
        if answer.is_some() {
            IDENTITY.store(identity(socket), Ordering::Relaxed);
            SOCKET.store(socket, Ordering::Release);
        } else {
            libc::close(socket);
        }
        answer
    }
}

/// # Safety
/// The socket is open and connected.
unsafe fn greet(socket: c_int, found: Option<&Found>) -> Option<Answer> {
    // SAFETY: plain system calls on memory of our own; the caller promises the socket.
    unsafe {
        let (version, is_free_threaded, runtime) = match found {
            Some(found) => (found.version, found.is_free_threaded, found.runtime),
            None => (0, false, 0),
        };
        let hello = wire::message(
            Message::Hello,
            &[
                u64::from(wire::VERSION),
                libc::getpid() as u64,
                libc::getppid() as u64,
                u64::from(version),
                u64::from(is_free_threaded),
                runtime as u64,
                attached::heap_bytes(),
            ],
        );
        if libc::send(socket, hello.as_ptr().cast(), hello.len(), libc::MSG_NOSIGNAL) < 0 {
            return None;
        }
        let mut answer = [0_u8; MESSAGE_BYTES];
        let got = loop {
            let got = libc::recv(socket, answer.as_mut_ptr().cast(), answer.len(), 0);
            if got >= 0 || *libc::__errno_location() != libc::EINTR {
                break got;
            }
        };
        if got != MESSAGE_BYTES as isize
            || wire::number(&answer, 0) != Message::Settings as u64
            || wire::number(&answer, 1) != u64::from(wire::VERSION)
        {
            return None;
        }
        let has_layout = wire::number(&answer, 3) != 0;
        let word = |index: usize| wire::number(&answer, 4 + index);
        let stack: [u64; LAYOUT_WORDS] = std::array::from_fn(word);
        let code: [u64; CODE_LAYOUT_WORDS] = std::array::from_fn(|index| word(LAYOUT_WORDS + index));
        Some(Answer {
            settings: wire::number(&answer, 2),
            layouts: has_layout.then(|| (OwnLayout::from_words(stack), OwnCodeLayout::from_words(code))),
        })
    }
}

/// Which file a descriptor is; 0 for none.
fn identity(descriptor: c_int) -> u64 {
    // SAFETY: a plain system call into memory of our own.
    unsafe {
        let mut status: libc::stat = zeroed();
        if libc::fstat(descriptor, &mut status) == 0 { status.st_ino ^ status.st_dev << 40 } else { 0 }
    }
}

/// The socket, if it is still ours.
fn socket() -> Option<c_int> {
    let socket = SOCKET.load(Ordering::Acquire);
    (socket >= 0 && identity(socket) == IDENTITY.load(Ordering::Relaxed)).then_some(socket)
}

/// The child of a fork has the descriptor too, and does not need it.
pub(crate) fn forget() {
    if let Some(socket) = socket() {
        // SAFETY: it is ours.
        unsafe { libc::close(socket) };
    }
    SOCKET.store(-1, Ordering::Release);
}

/// Hands over a thread's ring; false where naja is gone.
pub(crate) fn hand_over(descriptor: c_int, thread: u64) -> bool {
    let Some(socket) = socket() else { return false };
    let mut bytes = wire::message(Message::NewRing, &[thread]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: `control` is large and aligned enough for one descriptor, as the macros count it, and lives through the
    // call; so does what `part` describes.
    unsafe {
        let mut control = [0_u64; 8];
        let mut header: libc::msghdr = zeroed();
        header.msg_iov = &mut part;
        header.msg_iovlen = 1;
        header.msg_control = control.as_mut_ptr().cast();
        header.msg_controllen = libc::CMSG_SPACE(size_of::<c_int>() as u32) as _;
        let first = libc::CMSG_FIRSTHDR(&header);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(size_of::<c_int>() as u32) as _;
        libc::CMSG_DATA(first).cast::<c_int>().write_unaligned(descriptor);
        libc::sendmsg(socket, &header, libc::MSG_NOSIGNAL) >= 0
    }
}

/// Wakes naja, which sleeps while there is much to read.
pub(crate) fn wake() {
    if let Some(socket) = socket() {
        let bytes = wire::message(Message::Wake, &[]);
        // SAFETY: a plain system call on memory of our own. If the socket is full, naja is awake.
        unsafe {
            libc::send(socket, bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
        };
    }
}

/// Whether naja is still there.
pub(crate) fn is_there() -> bool {
    let Some(socket) = socket() else { return false };
    let mut poll = libc::pollfd { fd: socket, events: 0, revents: 0 };
    // SAFETY: a plain system call on memory of our own; it waits for nothing.
    let count = unsafe { libc::poll(&mut poll, 1, 0) };
    count == 0 || poll.revents & (libc::POLLHUP | libc::POLLERR) == 0
}
