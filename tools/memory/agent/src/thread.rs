//! What is known of a thread, and what it tells.

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use naja_cpython::own_stack::{Change, OwnFrame, OwnStack};
use naja_system::clock::ticks;

use crate::native::{self, NativeStack};
use crate::own::{self, Entry};
use crate::program::{self, Interpreter, interpreter};
use crate::ring::{self, Ring};
use crate::sampling::{self, Countdown};
use crate::wire::{Allocator, folded, tag};

/// Frames of a stack that are seen; the memory is only there once it is used.
const FRAMES_MAX: usize = 1 << 16;
/// New frames that are told in one record.
const FRAMES_A_RECORD: usize = 128;
/// Code objects that a thread's table begins with.
const CODES_FIRST: usize = 1 << 10;

/// Whether children are followed.
pub(crate) static FOLLOWS: AtomicBool = AtomicBool::new(false);
/// The key whose destructor ends a thread's record.
static KEY: AtomicU32 = AtomicU32::new(u32::MAX);
/// What threads tell that are over, and that cannot be told otherwise.
static LATE: AtomicPtr<Thread> = AtomicPtr::new(null_mut());
static LATE_IS_BUSY: AtomicBool = AtomicBool::new(false);

/// Every record that was ever made, the last one first.
static ALL: AtomicPtr<Thread> = AtomicPtr::new(null_mut());

/// Stands for the record of a thread that is over.
const OVER: usize = 8;
/// Stands for one that is being made.
const BEGINNING: usize = 16;

fn standing_for(what: usize) -> *mut Thread {
    std::ptr::without_provenance_mut(what)
}

pub(crate) struct Thread {
    /// The one that was made before.
    next: *mut Thread,
    /// Its memory, but for the record itself, was given back.
    is_gone: bool,
    is_busy: bool,
    ring: Ring,
    stack: OwnStack<'static>,
    /// None where native stacks are not asked for.
    native: Option<NativeStack>,
    /// The memory of the stack's frames.
    frames: *mut u8,
    codes: Codes,
    countdown: Countdown,
    last_address: usize,
    last_time: u64,
    last_code: u32,
    /// How often its end has been put off.
    ends: u8,
}

/// To be called in forked children; done once, and undone when the library is unloaded. False where it cannot be.
pub(crate) fn prepare_forks() -> bool {
    extern "C" fn in_child() {
        program::forked();
    }
    // SAFETY: the C library forgets the function when this library is unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) == 0 }
}

/// To be called at the ends of threads; false where it cannot be.
pub(crate) fn prepare_ends() -> bool {
    let mut key = 0;
    // SAFETY: the key is given back by `forget_ends` before the function goes.
    let is_made = unsafe { libc::pthread_key_create(&mut key, Some(ends)) == 0 };
    if is_made {
        KEY.store(key, Ordering::Relaxed);
    }
    is_made
}

/// Ends of threads are not of interest any more.
pub(crate) fn forget_ends() {
    let key = KEY.swap(u32::MAX, Ordering::Relaxed);
    // SAFETY: it is the one that `prepare_ends` has made.
    unsafe { libc::pthread_key_delete(key) };
}

/// Waits until no other thread is within the agent, which is off; false where that takes too long.
pub(crate) fn wait_until_nobody_is_inside() -> bool {
    const LOOKS: u32 = 20_000;
    const PAUSE: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
    for look in 0..LOOKS {
        if own::is_nobody_else_inside() && !LATE_IS_BUSY.load(Ordering::Acquire) {
            return true;
        }
        if look > 10 {
            // SAFETY: a plain system call.
            unsafe { libc::nanosleep(&PAUSE, null_mut()) };
        }
    }
    false
}

/// Closes every ring and gives all memory back. Nobody is within the agent, nor comes there.
pub(crate) fn release_all() {
    own::forget_all();
    release_each(|thread| thread.ring.close());
}

/// A forked child has but the thread that forked, and nothing of what its parent tells.
pub(crate) fn forget() {
    let is_inside = own::is_inside();
    own::forget_all();
    LATE_IS_BUSY.store(false, Ordering::Relaxed);
    if is_inside {
        // A signal's handler has forked in the middle of it.
        ALL.store(null_mut(), Ordering::Relaxed);
        LATE.store(null_mut(), Ordering::Relaxed);
    } else {
        release_each(|_| {});
    }
}

fn release_each(before: impl Fn(&mut Thread)) {
    LATE.store(null_mut(), Ordering::Relaxed);
    let mut thread = ALL.swap(null_mut(), Ordering::AcqRel);
    while !thread.is_null() {
        // SAFETY: each record is in the list once, and nobody uses it any more.
        unsafe {
            let next = (*thread).next;
            if !(*thread).is_gone {
                before(&mut *thread);
                (*thread).release();
            }
            ring::unmap(thread.cast(), size_of::<Thread>());
            thread = next;
        }
    }
}

/// The thread ends. Other destructors may still give memory back, so that it ends in the last round.
unsafe extern "C" fn ends(own: *mut c_void) {
    let Some(entry) = own::entry() else { return };
    entry.enter();
    if program::is_on() && entry.thread() == own.cast() {
        ends_inside(entry, own.cast());
    }
    entry.leave();
}

fn ends_inside(entry: &Entry, own: *mut Thread) {
    const ROUNDS: u8 = 3;
    // SAFETY: it is this thread's own record, which nobody else uses, and the agent does not end as long as it is within.
    let thread = unsafe { &mut *own };
    thread.ends += 1;
    if thread.ends < ROUNDS {
        // SAFETY: the key is there. If it cannot be set again, the ring stays open.
        unsafe { libc::pthread_setspecific(KEY.load(Ordering::Relaxed), own.cast()) };
        return;
    }
    entry.set(standing_for(OVER));
    thread.ring.close();
    // Only the record itself, a page, stays until the agent ends.
    if !thread.is_busy {
        // SAFETY: the record is not in use further out, and cannot be found any more.
        unsafe { thread.release() };
    }
}

#[cold]
#[inline(never)]
fn new_thread(number: u64) -> *mut Thread {
    let frames = ring::map(FRAMES_MAX * size_of::<OwnFrame>()).cast::<OwnFrame>();
    let place = ring::map(size_of::<Thread>()).cast::<Thread>();
    let codes = if frames.is_null() || place.is_null() { None } else { Codes::new(CODES_FIRST) };
    let ring = codes.is_some().then(|| Ring::new(number)).flatten();
    let (ring, codes) = match (ring, codes) {
        (Some(ring), Some(codes)) => (ring, codes),
        (_, codes) => {
            program::turn_off();
            // SAFETY: nobody knows of these yet; nothing is mapped at null.
            unsafe {
                ring::unmap(frames.cast(), FRAMES_MAX * size_of::<OwnFrame>());
                ring::unmap(place.cast(), size_of::<Thread>());
                if let Some(mut codes) = codes {
                    codes.release();
                }
            }
            return null_mut();
        }
    };
    let memory = frames.cast();
    // SAFETY: the mapping is new, as long as that, of zeroes, which are frames, and lives as long as the record is used.
    let frames = unsafe { std::slice::from_raw_parts_mut(frames, FRAMES_MAX) };
    let thread = Thread {
        next: null_mut(),
        is_gone: false,
        is_busy: false,
        ring,
        stack: OwnStack::new(frames),
        // Those that are over share a record, and none of their stacks is known.
        native: if number == 0 { None } else { NativeStack::new() },
        frames: memory,
        codes,
        countdown: Countdown::new(place as usize as u64),
        last_address: 0,
        last_time: 0,
        last_code: 0,
        ends: 0,
    };
    // SAFETY: the mapping is new and large enough.
    unsafe { place.write(thread) };
    let mut first = ALL.load(Ordering::Relaxed);
    loop {
        // SAFETY: as above; nobody else knows of it yet.
        unsafe { (*place).next = first };
        match ALL.compare_exchange_weak(first, place, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return place,
            Err(other) => first = other,
        }
    }
}

#[cold]
#[inline(never)]
fn begin(entry: &Entry) -> *mut Thread {
    // Whoever asks for memory meanwhile is this function.
    entry.set(standing_for(BEGINNING));
    // SAFETY: a plain system call.
    let number = unsafe { libc::syscall(libc::SYS_gettid) } as u64;
    let thread = new_thread(number);
    entry.set(thread);
    if !thread.is_null() {
        // SAFETY: the key is there. If it cannot be set, the ring stays open at the thread's end.
        unsafe { libc::pthread_setspecific(KEY.load(Ordering::Relaxed), thread.cast()) };
    }
    thread
}

/// The use of a thread's record, until it is dropped.
struct Use {
    thread: *mut Thread,
    /// None where the record is shared.
    entry: Option<&'static Entry>,
}

impl Use {
    fn is_late(&self) -> bool {
        self.entry.is_none()
    }
}

impl Drop for Use {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the record is there as long as the thread is within the agent, and is this use's alone.
        unsafe { (*self.thread).is_busy = false };
        match self.entry {
            Some(entry) => entry.leave(),
            None => LATE_IS_BUSY.store(false, Ordering::Release),
        }
    }
}

/// The thread's record, unless it is in use further out, by what has asked for this memory.
#[inline(always)]
fn enter() -> Option<Use> {
    let Some(entry) = own::entry() else { return enter_late() };
    entry.enter();
    let thread = if program::is_on() { record_of(entry) } else { null_mut() };
    if thread.is_null() {
        entry.leave();
        return if Thread::is_over(entry.thread()) { enter_late() } else { None };
    }
    // SAFETY: a record is there as long as the thread is within the agent, and is used by this thread alone.
    unsafe {
        if (*thread).is_busy {
            entry.leave();
            return None;
        }
        (*thread).is_busy = true;
    }
    Some(Use { thread, entry: Some(entry) })
}

/// The record of a thread that is within the agent, which is on; null where there is none.
#[inline(always)]
fn record_of(entry: &Entry) -> *mut Thread {
    let thread = entry.thread();
    match thread as usize {
        OVER if entry.is_of_another() => begin(entry),
        OVER | BEGINNING => null_mut(),
        0 => begin(entry),
        _ => thread,
    }
}

/// The record of those that have none any more.
#[cold]
#[inline(never)]
fn enter_late() -> Option<Use> {
    while LATE_IS_BUSY.swap(true, Ordering::SeqCst) {
        std::hint::spin_loop();
    }
    // Whoever ends the agent looks whether it is busy once it is off.
    if !program::is_on() {
        LATE_IS_BUSY.store(false, Ordering::Release);
        return None;
    }
    let mut thread = LATE.load(Ordering::Relaxed);
    if thread.is_null() {
        thread = new_thread(0);
        LATE.store(thread, Ordering::Relaxed);
    }
    if thread.is_null() {
        LATE_IS_BUSY.store(false, Ordering::Release);
        return None;
    }
    Some(Use { thread, entry: None })
}

/// Tells that memory was given.
#[inline(always)]
pub(crate) fn given(allocator: Allocator, address: usize, size: usize) {
    if address == 0 {
        return;
    }
    let Some(entered) = enter() else { return };
    // SAFETY: the use is this function's alone.
    let thread = unsafe { &mut *entered.thread };
    if sampling::is_on() && !(thread.countdown.is_due(size) && sampling::keep(allocator, address)) {
        return;
    }
    if !thread.ring.has_room() {
        return;
    }
    if let (Some(interpreter), false) = (interpreter(), entered.is_late()) {
        thread.look(interpreter);
    }
    if thread.native.is_some() {
        thread.look_at_native();
    }
    thread.tell(tag::GIVEN | (allocator as u8) << 3, address, Some(size));
}

/// Tells that memory is taken back, if it is known that it was given; `size` matters for mappings. Whether it was told.
#[inline(always)]
pub(crate) fn taken(allocator: Allocator, address: usize, size: usize) -> bool {
    if sampling::is_on() && !sampling::drop(allocator, address) {
        return false;
    }
    let Some(entered) = enter() else { return false };
    // SAFETY: the use is this function's alone.
    let thread = unsafe { &mut *entered.thread };
    if !thread.ring.has_room() {
        return false;
    }
    thread.tell(
        tag::TAKEN | (allocator as u8) << 3,
        address,
        (allocator == Allocator::Munmap).then_some(size),
    );
    true
}

/// Tells that the last memory was not taken back after all, which [`taken`] has told.
#[cold]
pub(crate) fn not_taken(allocator: Allocator, address: usize) {
    if sampling::is_on() {
        sampling::keep(allocator, address);
    }
    let Some(entered) = enter() else { return };
    // SAFETY: the use is this function's alone.
    let thread = unsafe { &mut *entered.thread };
    if thread.ring.has_room() {
        let mut record = thread.ring.record();
        record.byte(tag::NOT_TAKEN);
        record.finish();
    }
}

/// To be told before memory goes back to the system.
#[inline(always)]
pub(crate) fn unmapped(address: usize) {
    let Some(entry) = own::entry() else { return };
    entry.enter();
    let own = entry.thread();
    if program::is_on() && (own as usize) > BEGINNING {
        // SAFETY: this thread's own record; what it is busy with further out reads the stack before or after.
        unsafe { (*own).stack.unmapped(address) };
    }
    entry.leave();
}

/// Does something of which nothing is told.
#[inline(always)]
pub(crate) fn quietly<R>(work: impl FnOnce() -> R) -> R {
    // A thread that is over has nothing to be quiet with: what is asked for within is told too.
    let is_over = || own::entry().is_none_or(|entry| Thread::is_over(entry.thread()));
    let _entered = if program::is_on() && !is_over() { enter() } else { None };
    work()
}

impl Thread {
    /// Whether this stands for the record of a thread that is over.
    pub(crate) fn is_over(thread: *mut Thread) -> bool {
        thread as usize == OVER
    }

    /// Gives its memory back, but for the record itself.
    ///
    /// # Safety
    /// Nobody uses it any more.
    unsafe fn release(&mut self) {
        self.is_gone = true;
        // SAFETY: the caller promises that nobody uses these; each is a mapping of its own.
        unsafe {
            self.ring.unmap();
            ring::unmap(self.frames, FRAMES_MAX * size_of::<OwnFrame>());
            if let Some(native) = self.native.take() {
                native.release();
            }
            self.codes.release();
        }
    }

    #[inline(always)]
    fn tell(&mut self, tag: u8, address: usize, size: Option<usize>) {
        let time = ticks();
        let mut record = self.ring.record();
        record.byte(tag);
        record.number(folded((address as i64 >> 3).wrapping_sub(self.last_address as i64 >> 3)));
        if let Some(size) = size {
            record.number(size as u64);
        }
        record.number(time.wrapping_sub(self.last_time));
        record.finish();
        (self.last_address, self.last_time) = (address, time);
    }

    /// Tells how the stack has changed, if it has.
    #[inline(always)]
    fn look(&mut self, interpreter: &Interpreter) {
        // SAFETY: it is the public function of that name, which may be called by any thread at any time.
        let state = unsafe { (interpreter.thread_state)() };
        let change = if state != 0 {
            // SAFETY: the state is the calling thread's, and the layout its interpreter's.
            unsafe { self.stack.refresh(&interpreter.stack, state) }
        } else {
            let gone = self.stack.frames().len();
            self.stack.clear();
            (gone > 0).then_some(Change { kept: 0, gone })
        };
        if let Some(change) = change {
            self.tell_stack(interpreter, change);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell_stack(&mut self, interpreter: &Interpreter, change: Change) {
        let depth = self.stack.frames().len();
        for index in change.kept..depth {
            let code = self.stack.frames().get(index).map_or(0, |frame| frame.code);
            if code != 0 {
                // SAFETY: a frame holds its code object.
                unsafe { self.codes.know(&mut self.ring, interpreter, code) };
            }
        }
        let mut first = change.kept;
        let mut gone = Some(change.gone);
        loop {
            if !self.ring.has_room() {
                return;
            }
            let new = self.stack.frames().get(first..).unwrap_or_default();
            let new = new.get(..FRAMES_A_RECORD).unwrap_or(new);
            let mut record = self.ring.record();
            match gone.take() {
                Some(gone) => {
                    record.byte(tag::STACK);
                    record.number(gone as u64);
                }
                None => record.byte(tag::STACK_GOES_ON),
            }
            record.number(new.len() as u64);
            for frame in new {
                let number = self.codes.number(frame.code);
                let difference = folded(i64::from(number) - i64::from(self.last_code));
                record.number(difference << 1 | u64::from(frame.entered));
                self.last_code = number;
                // From 3.11 on it points into the code object.
                record.number(folded(frame.instruction.wrapping_sub(frame.code) as i64));
            }
            record.finish();
            first += FRAMES_A_RECORD;
            if first >= depth {
                return;
            }
        }
    }
}

impl Thread {
    /// Tells how the native stack has changed, if it has.
    #[cold]
    #[inline(never)]
    fn look_at_native(&mut self) {
        let Some(native) = &mut self.native else { return };
        if let Some(change) = native.refresh() {
            native::tell(&mut self.ring, native, change);
        }
    }
}

/// The code objects that a thread has told of, by their addresses.
struct Codes {
    slots: &'static mut [Code],
    count: u32,
}

#[derive(Clone, Copy)]
struct Code {
    address: usize,
    identity: [usize; 3],
    number: u32,
}

impl Codes {
    fn new(slots: usize) -> Option<Codes> {
        let place = ring::map(slots * size_of::<Code>()).cast::<Code>();
        if place.is_null() {
            return None;
        }
        // SAFETY: the mapping is new, as long as that, of zeroes, which are empty slots, and lives as long as it is used.
        let slots = unsafe { std::slice::from_raw_parts_mut(place, slots) };
        Some(Codes { slots, count: 0 })
    }

    /// Its slot, or the empty one where it belongs.
    fn place(&self, address: usize) -> usize {
        let mask = self.slots.len() - 1;
        let mut place = (address >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20 & mask;
        while self.slots.get(place).is_some_and(|slot| slot.address != 0 && slot.address != address) {
            place = (place + 1) & mask;
        }
        place
    }

    fn number(&self, address: usize) -> u32 {
        self.slots.get(self.place(address)).map_or(0, |slot| if slot.address == 0 { 0 } else { slot.number })
    }

    /// Tells of a code object, unless it is known.
    ///
    /// # Safety
    /// It is one, and is not freed meanwhile.
    unsafe fn know(&mut self, ring: &mut Ring, interpreter: &Interpreter, address: usize) {
        // SAFETY: the caller promises the object.
        let identity = unsafe { interpreter.code.identity(address) };
        let place = self.place(address);
        let Some(slot) = self.slots.get_mut(place) else { return };
        if slot.address == address && slot.identity == identity {
            return;
        }
        let is_new = slot.address == 0;
        self.count += 1;
        *slot = Code { address, identity, number: self.count };
        let number = self.count;
        if is_new && self.count as usize * 2 > self.slots.len() {
            self.grow();
        }
        // SAFETY: the caller promises the object.
        unsafe { tell_code(ring, interpreter, address, number) };
    }

    fn grow(&mut self) {
        let Some(mut larger) = Codes::new(self.slots.len() * 2) else {
            program::turn_off();
            return;
        };
        for slot in self.slots.iter().filter(|slot| slot.address != 0) {
            let place = larger.place(slot.address);
            if let Some(to) = larger.slots.get_mut(place) {
                *to = *slot;
            }
        }
        larger.count = self.count;
        // SAFETY: nobody uses the old table any more.
        unsafe { self.release() };
        *self = larger;
    }

    /// # Safety
    /// Nobody uses it any more.
    unsafe fn release(&mut self) {
        // SAFETY: it is a mapping of our own, of that size, and the caller promises that nobody uses it.
        unsafe { ring::unmap(self.slots.as_mut_ptr().cast(), size_of_val(self.slots)) };
    }
}

/// # Safety
/// `address` is that of a code object, which is not freed meanwhile.
unsafe fn tell_code(ring: &mut Ring, interpreter: &Interpreter, address: usize, number: u32) {
    // SAFETY: the caller promises the object.
    let pieces = unsafe { interpreter.code.pieces(address) };
    if !ring.has_room() {
        return;
    }
    let mut record = ring.record();
    record.byte(tag::CODE);
    record.number(u64::from(number));
    record.number(address as u64);
    record.number(pieces.len() as u64);
    record.finish();
    for piece in pieces {
        if !ring.has_room() {
            return;
        }
        let mut record = ring.record();
        record.number(piece.address);
        record.number(piece.len as u64);
        record.finish();
        // SAFETY: the pieces are the object's own, and those of the objects that it holds.
        ring.write(unsafe { std::slice::from_raw_parts(piece.address as *const u8, piece.len) });
    }
}
