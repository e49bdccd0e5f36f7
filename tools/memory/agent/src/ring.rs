//! A thread's ring: memory that naja reads while the thread writes.
//!
//! The records' memory is mapped twice, one after the other, so that a record never has to be cut at its end. Only the
//! thread writes [`Head::written`], only naja [`Head::read`].

use std::ffi::c_int;
use std::sync::atomic::Ordering;

use crate::wire::{HEAD_BYTES, Head, RECORD_BYTES_MAX, RING_BYTES};
use crate::{connection, program};

/// Room that is left: for a record, and what belongs to it.
const MARGIN: u64 = 4 * RECORD_BYTES_MAX as u64;
/// After so many bytes naja is woken if it sleeps.
const WAKE_EVERY: u64 = RING_BYTES as u64 / 4;
/// How often a full ring is looked at again, in nanoseconds.
const LOOK_AGAIN_NS: i64 = 50_000;
/// How many looks later it is asked whether naja lives.
const ASK_AFTER: u32 = 200;

pub(crate) struct Ring {
    data: *mut u8,
    head: *const Head,
    at: u64,
    /// Up to here there is room.
    limit: u64,
    wake_at: u64,
}

/// Maps memory without telling of it.
pub(crate) fn map(size: usize) -> *mut u8 {
    map_at(0, size, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
}

fn map_at(address: usize, size: usize, protection: c_int, flags: c_int, file: c_int, offset: i64) -> *mut u8 {
    // SAFETY: either the system chooses the place, or it is one that `Ring::new` has reserved.
    let found = unsafe { libc::syscall(libc::SYS_mmap, address, size, protection, flags, file, offset) };
    if (-4095..0).contains(&found) { std::ptr::null_mut() } else { found as *mut u8 }
}

/// Gives back what [`map`] has given, without telling of it.
///
/// # Safety
/// Nobody uses it any more.
pub(crate) unsafe fn unmap(place: *mut u8, size: usize) {
    // SAFETY: the caller promises that nobody uses it.
    unsafe { libc::syscall(libc::SYS_munmap, place, size) };
}

impl Ring {
    /// A new ring, which naja has; none where that cannot be.
    pub(crate) fn new(thread: u64) -> Option<Ring> {
        let total = HEAD_BYTES + RING_BYTES;
        // SAFETY: plain system calls; the descriptor is ours.
        unsafe {
            let file = libc::syscall(libc::SYS_memfd_create, c"naja".as_ptr(), libc::MFD_CLOEXEC) as c_int;
            if file < 0 {
                return None;
            }
            let ring = match libc::ftruncate(file, total as i64) {
                0 => Ring::map(file),
                _ => None,
            };
            let is_heard = ring.is_some() && connection::hand_over(file, thread);
            libc::close(file);
            match ring {
                Some(mut ring) if !is_heard => {
                    ring.unmap();
                    None
                }
                ring => ring,
            }
        }
    }

    fn map(file: c_int) -> Option<Ring> {
        let place = map_at(
            0,
            HEAD_BYTES + 2 * RING_BYTES,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        );
        if place.is_null() {
            return None;
        }
        let start = place as usize;
        let flags = libc::MAP_SHARED | libc::MAP_FIXED;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let first = map_at(start, HEAD_BYTES + RING_BYTES, access, flags, file, 0);
        let again =
            map_at(start + HEAD_BYTES + RING_BYTES, RING_BYTES, access, flags, file, HEAD_BYTES as i64);
        if first.is_null() || again.is_null() {
            // SAFETY: it was mapped here.
            unsafe { unmap(place, HEAD_BYTES + 2 * RING_BYTES) };
            return None;
        }
        Some(Ring {
            data: (start + HEAD_BYTES) as *mut u8,
            head: start as *const Head,
            at: 0,
            limit: RING_BYTES as u64 - MARGIN,
            wake_at: WAKE_EVERY,
        })
    }

    fn head(&self) -> &Head {
        // SAFETY: the mapping begins with one, which lives as long as the ring is used.
        unsafe { &*self.head }
    }

    /// Whether there is room for records of [`RECORD_BYTES_MAX`]; waits for it. False where naja is gone.
    #[inline(always)]
    pub(crate) fn has_room(&mut self) -> bool {
        self.at < self.limit || self.wait()
    }

    #[cold]
    fn wait(&mut self) -> bool {
        // SAFETY: the thread's own error number, which the program must not see changed.
        let before = unsafe { *libc::__errno_location() };
        let mut looks = 0;
        let has_room = loop {
            self.limit = self.head().read.load(Ordering::Acquire) + RING_BYTES as u64 - MARGIN;
            if self.at < self.limit {
                break true;
            }
            if !program::is_on() {
                break false;
            }
            if looks == 0 {
                connection::wake();
            }
            looks += 1;
            if looks % ASK_AFTER == 0 && !connection::is_there() {
                program::turn_off();
                break false;
            }
            let pause = libc::timespec { tv_sec: 0, tv_nsec: LOOK_AGAIN_NS };
            // SAFETY: a plain system call; a signal ends it early, which does no harm.
            unsafe { libc::nanosleep(&pause, std::ptr::null_mut()) };
        };
        // SAFETY: as above.
        unsafe { *libc::__errno_location() = before };
        has_room
    }

    /// Where the next record is written: [`RECORD_BYTES_MAX`] bytes, if there was room.
    #[inline(always)]
    pub(crate) fn record(&mut self) -> Record<'_> {
        let offset = (self.at & (RING_BYTES as u64 - 1)) as usize;
        // SAFETY: the offset is within the first of the two mappings.
        let start = unsafe { self.data.add(offset) };
        Record { ring: self, start, at: start }
    }

    /// Writes bytes, as many as there are, piece by piece.
    pub(crate) fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.has_room() {
            let (piece, rest) = bytes.split_at(bytes.len().min(RECORD_BYTES_MAX));
            let mut record = self.record();
            record.bytes(piece);
            record.finish();
            bytes = rest;
        }
    }

    /// The thread is over.
    pub(crate) fn close(&mut self) {
        self.head().is_over.store(1, Ordering::Release);
    }

    /// Gives its memory back; naja has its own view of it.
    ///
    /// # Safety
    /// Nobody uses it any more.
    pub(crate) unsafe fn unmap(&mut self) {
        // SAFETY: the caller promises that nobody uses it.
        unsafe { unmap(self.head.cast_mut().cast(), HEAD_BYTES + 2 * RING_BYTES) };
    }

    #[cold]
    fn wake(&mut self) {
        self.wake_at = self.at + WAKE_EVERY;
        if self.head().sleeps.swap(0, Ordering::Relaxed) != 0 {
            // SAFETY: as in `wait`.
            unsafe {
                let before = *libc::__errno_location();
                connection::wake();
                *libc::__errno_location() = before;
            }
        }
    }
}

/// A record that is being written.
pub(crate) struct Record<'a> {
    ring: &'a mut Ring,
    start: *mut u8,
    at: *mut u8,
}

impl Record<'_> {
    #[inline(always)]
    pub(crate) fn byte(&mut self, byte: u8) {
        // SAFETY: records are shorter than what is mapped behind every place in the ring.
        unsafe {
            self.at.write(byte);
            self.at = self.at.add(1);
        }
    }

    #[inline(always)]
    pub(crate) fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.byte(number as u8 | 0x80);
            number >>= 7;
        }
        self.byte(number as u8);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        // SAFETY: no more than a record's bytes, as above.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len());
            self.at = self.at.add(bytes.len());
        }
    }

    /// Gives it to naja.
    #[inline(always)]
    pub(crate) fn finish(self) {
        let ring = self.ring;
        ring.at += self.at as u64 - self.start as u64;
        ring.head().written.store(ring.at, Ordering::Release);
        if ring.at >= ring.wake_at {
            ring.wake();
        }
    }
}
