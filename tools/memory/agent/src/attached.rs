//! Begins and ends in a program that already runs: what an agent exports that was loaded later.
//!
//! Whoever loads it calls [`naja_memory_begin`], in a thread that is in the middle of neither `malloc` nor the dynamic
//! linker, and [`naja_memory_end`] when it is enough. After the end nothing of the agent is called any more by the program,
//! and nothing of its memory is left but the library itself, which may then be unloaded as soon as no thread stands in its
//! code; it may also begin again.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::linked::{self, of_own, of_program};
use crate::slots::{self, Pair};
use crate::wire::{Told, reason};
use crate::{connection, program, python, real, sampling, thread};

/// What naja reads of an agent in a program that runs already.
#[unsafe(no_mangle)]
pub(crate) static naja_memory_told: Told = Told::new();

/// Whether it has begun, and not yet ended.
static IS_ATTACHED: AtomicBool = AtomicBool::new(false);
/// Whether what a thread's end and a fork need is prepared.
static IS_PREPARED: AtomicBool = AtomicBool::new(false);

/// Begins to tell of allocations to the naja that listens at a place, which is a path. `flags` is 0. Gives 0, or one of
/// [`reason`].
///
/// # Safety
/// `place` is a text that ends with NUL. The calling thread holds no lock of the C library's.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn naja_memory_begin(place: *const c_char, flags: c_int) -> c_int {
    naja_memory_told.handle.store(linked::own_handle() as u64, Ordering::Relaxed);
    let result = if place.is_null() || flags != 0 {
        reason::BAD_PLACE
    } else {
        // SAFETY: the caller promises the text.
        let place = unsafe { CStr::from_ptr(place) };
        keeping_errno(|| begin(place))
    };
    naja_memory_told.began.store(i64::from(result), Ordering::Release);
    result
}

/// Ends what has begun, and leaves the program as it was. Gives 0, or one of [`reason`]; after [`reason::BUSY`] it may be
/// called again.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn naja_memory_end() -> c_int {
    let result = keeping_errno(end);
    naja_memory_told.ended.store(i64::from(result), Ordering::Release);
    result
}

fn keeping_errno(work: impl FnOnce() -> c_int) -> c_int {
    // SAFETY: the thread's own error number.
    unsafe {
        let place = libc::__errno_location();
        let before = place.read();
        let result = work();
        place.write(before);
        result
    }
}

fn begin(place: &CStr) -> c_int {
    if is_any_preloaded() || IS_ATTACHED.swap(true, Ordering::AcqRel) {
        return reason::ALREADY;
    }
    let result = begin_first(place);
    if result != reason::NONE {
        IS_ATTACHED.store(false, Ordering::Release);
    }
    result
}

fn begin_first(place: &CStr) -> c_int {
    if !connection::set_place(place) {
        return reason::BAD_PLACE;
    }
    real::adopt();
    register_for_barriers();
    if !IS_PREPARED.swap(true, Ordering::AcqRel) && !thread::prepare_forks() {
        return reason::NO_RESOURCES;
    }
    if !thread::prepare_ends() {
        return reason::NO_RESOURCES;
    }
    if !program::begin() {
        thread::forget_ends();
        return reason::NO_ANSWER;
    }
    if !slots::put(pairs()) {
        end();
        return reason::NO_RESOURCES;
    }
    reason::NONE
}

fn end() -> c_int {
    if !IS_ATTACHED.load(Ordering::Acquire) {
        return reason::NOT_BEGUN;
    }
    slots::take_back();
    let are_ours = python::unhook_allocators();
    program::turn_off();
    barrier();
    if !thread::wait_until_nobody_is_inside() {
        return reason::BUSY;
    }
    thread::forget_ends();
    thread::release_all();
    sampling::release();
    connection::forget();
    IS_ATTACHED.store(false, Ordering::Release);
    if are_ours { reason::NONE } else { reason::REPLACED }
}

/// A child that was forked and is not followed is as if nothing had been there, but for the library.
pub(crate) fn leave_child() {
    if IS_ATTACHED.swap(false, Ordering::AcqRel) {
        slots::take_back();
        python::unhook_allocators();
    }
}

/// What the C library's heap has given to the program so far, in bytes; 0 where it does not tell, or where everything was
/// told from the start.
pub(crate) fn heap_bytes() -> u64 {
    if !IS_ATTACHED.load(Ordering::Acquire) {
        return 0;
    }
    // SAFETY: what is found by this name has this signature.
    unsafe {
        let Some(found) = Some(of_program(c"mallinfo2")).filter(|found| *found != 0) else { return 0 };
        let info = std::mem::transmute::<usize, unsafe extern "C" fn() -> libc::mallinfo2>(found)();
        (info.uordblks as u64).saturating_add(info.hblkhd as u64)
    }
}

/// Whether an agent was loaded before everything else: this one, or another.
fn is_any_preloaded() -> bool {
    let name = c"naja_memory_begin";
    let found = of_program(name);
    is_preloaded() || (found != 0 && found != of_own(name))
}

/// Whether this library stands before the C library.
pub(crate) fn is_preloaded() -> bool {
    of_program(c"malloc") == of_own(c"malloc")
}

fn pairs() -> [Pair; slots::PAIRS] {
    const NAMES: [&CStr; slots::PAIRS] = [
        c"malloc",
        c"free",
        c"calloc",
        c"realloc",
        c"posix_memalign",
        c"aligned_alloc",
        c"memalign",
        c"valloc",
        c"pvalloc",
        c"mmap",
        c"mmap64",
        c"munmap",
        c"dlclose",
        c"dlopen",
    ];
    NAMES.map(|name| {
        let hook = if name == c"dlopen" { loading::dlopen_hook() } else { of_own(name) };
        Pair { name, hook, real: of_program(name) }
    })
}

const MEMBARRIER_PRIVATE_EXPEDITED: c_int = 1 << 3;
const MEMBARRIER_REGISTER_PRIVATE_EXPEDITED: c_int = 1 << 4;
const MEMBARRIER_GLOBAL: c_int = 1;

fn register_for_barriers() {
    // SAFETY: a plain system call.
    unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_REGISTER_PRIVATE_EXPEDITED, 0) };
}

/// Every thread has written what it has done so far, and sees what was written before.
fn barrier() {
    // SAFETY: plain system calls.
    unsafe {
        if libc::syscall(libc::SYS_membarrier, MEMBARRIER_PRIVATE_EXPEDITED, 0) != 0 {
            libc::syscall(libc::SYS_membarrier, MEMBARRIER_GLOBAL, 0);
        }
    }
}

/// Libraries that are loaded while naja listens: their slots are changed too.
mod loading {
    use super::{c_char, c_int, c_void, naja_memory_told, program, slots};
    use std::sync::atomic::Ordering;

    // The real function looks at who calls it: where that library's own list of folders leads, and what it may see.
    #[cfg(target_arch = "x86_64")]
    std::arch::global_asm!(
        ".hidden naja_memory_dlopen",
        ".globl naja_memory_dlopen",
        ".type naja_memory_dlopen,@function",
        "naja_memory_dlopen:",
        ".cfi_startproc",
        "mov rdx, [rsp]",
        "jmp {told}",
        ".cfi_endproc",
        ".size naja_memory_dlopen, .-naja_memory_dlopen",
        told = sym dlopen_told,
    );

    /// What stands for the C library's `dlopen`.
    pub(super) fn dlopen_hook() -> usize {
        naja_memory_dlopen as *const () as usize
    }

    #[cfg(target_arch = "x86_64")]
    unsafe extern "C" {
        fn naja_memory_dlopen(file: *const c_char, mode: c_int) -> *mut c_void;
    }

    #[cfg(not(target_arch = "x86_64"))]
    unsafe extern "C" fn naja_memory_dlopen(file: *const c_char, mode: c_int) -> *mut c_void {
        // SAFETY: the caller keeps to the contract of the function that it called.
        unsafe { dlopen_told(file, mode, 0) }
    }

    /// # Safety
    /// As the C library's `dlopen`; `caller` is where it returns to, or 0.
    unsafe extern "C" fn dlopen_told(file: *const c_char, mode: c_int, caller: usize) -> *mut c_void {
        naja_memory_told.loading.fetch_add(1, Ordering::AcqRel);
        // SAFETY: the caller keeps to the contract of the function that it called.
        let handle = unsafe { call(file, mode, caller) };
        if !handle.is_null() && program::is_on() {
            super::keeping_errno(|| {
                slots::put_again();
                0
            });
        }
        naja_memory_told.loading.fetch_sub(1, Ordering::AcqRel);
        handle
    }

    /// Calls the real function so that it sees the library as its caller that called ours: it returns to an instruction of
    /// that library that returns at once.
    ///
    /// # Safety
    /// As [`dlopen_told`].
    #[cfg(target_arch = "x86_64")]
    unsafe fn call(file: *const c_char, mode: c_int, caller: usize) -> *mut c_void {
        const RETURN: u8 = 0xc3;
        /// A library's code goes on for some time behind a call, if only with what ends the function.
        const SEARCHED: usize = 4096;
        // SAFETY: code is read from where the caller goes on, up to the end of the page after the next return, which the
        // function that called must have.
        let returns = (0..SEARCHED)
            .map(|step| caller.wrapping_add(step))
            .take_while(|place| *place & 0xfff != 0 || *place == caller)
            .find(|place| unsafe { (*place as *const u8).read() } == RETURN);
        let Some(returns) = returns else {
            // SAFETY: as promised.
            return unsafe { libc::dlopen(file, mode) };
        };
        let handle: *mut c_void;
        // SAFETY: the function is called with a stack as it has to be, and comes back by way of the other library's return;
        // everything that a call may change is named.
        unsafe {
            std::arch::asm!(
                "sub rsp, 8",
                "lea rax, [rip + 2f]",
                "push rax",
                "push rcx",
                "jmp rdx",
                "2:",
                "add rsp, 8",
                inlateout("rdi") file => _,
                inlateout("rsi") mode as usize => _,
                inlateout("rdx") libc::dlopen as *const () as usize => _,
                inlateout("rcx") returns => _,
                lateout("rax") handle,
                clobber_abi("C"),
            );
        }
        handle
    }

    #[cfg(not(target_arch = "x86_64"))]
    unsafe fn call(file: *const c_char, mode: c_int, _: usize) -> *mut c_void {
        // SAFETY: as promised.
        unsafe { libc::dlopen(file, mode) }
    }
}
