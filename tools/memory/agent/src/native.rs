//! Native stacks: what a thread keeps of its own, and how it is told.

use std::sync::atomic::{AtomicBool, Ordering};

use naja_native::own_stack::{OwnChange, OwnNativeStack, OwnReturn, RULES, Rule, own_bounds, own_object};

use crate::ring::{self, Ring};
use crate::wire::{folded, tag};

/// Return addresses of a stack that are seen; the memory is only there once it is used.
const RETURNS_MAX: usize = 1 << 14;
/// New ones that are told in one record.
const RETURNS_A_RECORD: usize = 256;

static IS_WANTED: AtomicBool = AtomicBool::new(false);

/// Says whether native stacks are told; before any is.
pub(crate) fn set_wanted(is_wanted: bool) {
    IS_WANTED.store(is_wanted, Ordering::Relaxed);
}

/// The native stack of a thread.
pub(crate) struct NativeStack {
    stack: OwnNativeStack<'static>,
    /// The memory of what it keeps.
    known: *mut u8,
    fresh: *mut u8,
    rules: *mut u8,
    last: i64,
}

impl NativeStack {
    /// That of the calling thread; none where none is wanted, or the thread's stack is not known.
    pub(crate) fn new() -> Option<NativeStack> {
        if !IS_WANTED.load(Ordering::Relaxed) {
            return None;
        }
        let bounds = own_bounds();
        let own = own_object(NativeStack::new as *const () as usize);
        if bounds.is_empty() || own.is_empty() {
            return None;
        }
        let known = ring::map(RETURNS_MAX * size_of::<OwnReturn>());
        let fresh = ring::map(RETURNS_MAX * size_of::<OwnReturn>());
        let rules = ring::map(RULES * size_of::<Rule>());
        if known.is_null() || fresh.is_null() || rules.is_null() {
            return None;
        }
        // SAFETY: the mappings are new, as long as that, of zeroes, which are a value of each of these types, and live until
        // `release`.
        let stack = unsafe {
            OwnNativeStack::new(
                std::slice::from_raw_parts_mut(known.cast(), RETURNS_MAX),
                std::slice::from_raw_parts_mut(fresh.cast(), RETURNS_MAX),
                std::slice::from_raw_parts_mut(rules.cast(), RULES),
                bounds,
                own,
            )
        };
        Some(NativeStack { stack, known, fresh, rules, last: 0 })
    }

    /// Gives its memory back.
    pub(crate) fn release(self) {
        let NativeStack { known, fresh, rules, .. } = self;
        // SAFETY: these are mappings of `new`, which nobody uses any more.
        unsafe {
            ring::unmap(known, RETURNS_MAX * size_of::<OwnReturn>());
            ring::unmap(fresh, RETURNS_MAX * size_of::<OwnReturn>());
            ring::unmap(rules, RULES * size_of::<Rule>());
        }
    }

    /// How it has changed since the last time.
    pub(crate) fn refresh(&mut self) -> Option<OwnChange> {
        // SAFETY: the bounds are those of the thread that this belongs to, which is the one that asks.
        unsafe { self.stack.refresh() }
    }
}

/// Tells of a change.
pub(crate) fn tell(ring: &mut Ring, native: &mut NativeStack, change: OwnChange) {
    let mut gone = Some(change.gone);
    let mut new = native.stack.returns().get(change.kept..).unwrap_or_default();
    while gone.is_some() || !new.is_empty() {
        if !ring.has_room() {
            return;
        }
        let (now, later) = new.split_at(new.len().min(RETURNS_A_RECORD));
        let mut record = ring.record();
        match gone.take() {
            Some(gone) => {
                record.byte(tag::NATIVE);
                record.number(gone as u64);
            }
            None => record.byte(tag::NATIVE_GOES_ON),
        }
        record.number(now.len() as u64);
        for one in now {
            record.number(folded(one.address as i64 - native.last));
            native.last = one.address as i64;
        }
        record.finish();
        new = later;
    }
}
