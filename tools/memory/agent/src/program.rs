//! What holds for the whole process: whether allocations are told, and how.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, Ordering};

use naja_cpython::own_code::OwnCodeLayout;
use naja_cpython::own_stack::OwnLayout;

use crate::connection::{self, Answer};
use crate::{attached, python, thread, wire};

static IS_ON: AtomicBool = AtomicBool::new(false);

/// Whether allocations are told.
#[inline(always)]
pub(crate) fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

/// Tells nothing any more: naja is gone, or cannot be reached.
pub(crate) fn turn_off() {
    IS_ON.store(false, Ordering::Relaxed);
}

/// How the interpreter's stacks are walked.
#[derive(Clone, Copy)]
pub(crate) struct Interpreter {
    pub(crate) thread_state: unsafe extern "C" fn() -> usize,
    pub(crate) stack: OwnLayout,
    pub(crate) code: OwnCodeLayout,
}

struct Place(UnsafeCell<Option<Interpreter>>);

// SAFETY: it is written before anything is told, by the thread that begins.
unsafe impl Sync for Place {}

static INTERPRETER: Place = Place(UnsafeCell::new(None));

/// The process's interpreter, if it has one that naja knows.
#[inline(always)]
pub(crate) fn interpreter() -> Option<&'static Interpreter> {
    // SAFETY: nobody writes it any more once allocations are told, and nobody asks before.
    unsafe { (*INTERPRETER.0.get()).as_ref() }
}

/// Runs before the program does.
#[used]
#[unsafe(link_section = ".init_array")]
static START: extern "C" fn() = start;

extern "C" fn start() {
    // A library that is loaded later is told to begin, and not by the environment.
    if connection::is_wanted()
        && attached::is_preloaded()
        && thread::prepare_forks()
        && thread::prepare_ends()
        && begin()
        && !thread::FOLLOWS.load(Ordering::Relaxed)
    {
        connection::hide_from_children();
    }
}

/// Asks naja what to do, and does it; false where nobody answers.
pub(crate) fn begin() -> bool {
    let found = python::find();
    let Some(answer) = connection::open(found.as_ref()) else { return false };
    let Answer { settings, layouts } = answer;
    let interpreter = match (&found, layouts) {
        (Some(found), Some((stack, code))) => {
            Some(Interpreter { thread_state: found.thread_state, stack, code })
        }
        _ => None,
    };
    // SAFETY: nothing is told yet, so that nobody reads it.
    unsafe { *INTERPRETER.0.get() = interpreter };
    if interpreter.is_some() && settings & wire::settings::PYTHON_ALLOCATORS != 0 {
        python::hook_allocators();
    }
    thread::FOLLOWS.store(settings & wire::settings::FOLLOW != 0, Ordering::Relaxed);
    IS_ON.store(true, Ordering::Release);
    true
}

/// A child that was forked: its parent's connection and rings are not its own.
pub(crate) fn forked() {
    let was_on = is_on();
    turn_off();
    thread::forget();
    connection::forget();
    if was_on && thread::FOLLOWS.load(Ordering::Relaxed) {
        let found = python::find();
        if connection::open(found.as_ref()).is_some() {
            IS_ON.store(true, Ordering::Release);
            return;
        }
    }
    attached::leave_child();
}
