//! What this process was started with, noted before Rust's runtime changes it.
//!
//! Rust ignores SIGPIPE and opens `/dev/null` in place of closed standard streams before `main` begins. A
//! program that naja starts must find neither, so both are noted by a function that the loader calls first.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};

/// Bit `n - 1` is set when signal `n` was ignored at the start.
static IGNORED_SIGNALS: AtomicU64 = AtomicU64::new(0);
/// Bit `n` is set when file descriptor `n` (0, 1 or 2) was closed at the start.
static CLOSED_STREAMS: AtomicU8 = AtomicU8::new(0);
static NOTED: AtomicBool = AtomicBool::new(false);

// The loader calls the functions of this section before `main`, and thus before Rust's runtime.
#[used]
#[allow(unsafe_code)]
// SAFETY: the section holds pointers to C functions that are called once, before `main`; `note` touches
// atomics and makes system calls, nothing that needs an initialised runtime.
#[unsafe(link_section = ".init_array")]
static NOTE_FIRST: extern "C" fn() = note;

extern "C" fn note() {
    let mut ignored = 0u64;
    for signal in 1..=64 {
        if is_ignored(signal) {
            ignored |= 1 << (signal - 1);
        }
    }
    let mut closed = 0u8;
    for descriptor in 0..=2 {
        // SAFETY: F_GETFD reads one flag and takes no pointer.
        if unsafe { libc::fcntl(descriptor, libc::F_GETFD) } == -1 {
            closed |= 1 << descriptor;
        }
    }
    IGNORED_SIGNALS.store(ignored, Relaxed);
    CLOSED_STREAMS.store(closed, Relaxed);
    NOTED.store(true, Relaxed);
}

fn is_ignored(signal: libc::c_int) -> bool {
    // SAFETY: an all-zero sigaction is a valid value of this plain C struct.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: a null new action only asks; `action` is writable for the length of the call.
    let result = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    result == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// The signals that were ignored when this process started: bit `n - 1` for signal `n`.
pub(crate) fn ignored_signals() -> u64 {
    assert!(NOTED.load(Relaxed), "the loader has called `note`");
    IGNORED_SIGNALS.load(Relaxed)
}

/// The standard streams that were closed when this process started: bit `n` for descriptor `n`.
pub(crate) fn closed_streams() -> u8 {
    assert!(NOTED.load(Relaxed), "the loader has called `note`");
    CLOSED_STREAMS.load(Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_noted_before_rust_ignores_sigpipe() {
        assert!(is_ignored(libc::SIGPIPE), "Rust's runtime ignores SIGPIPE in this process");
        assert_eq!(ignored_signals() >> (libc::SIGPIPE - 1) & 1, 0);
    }
}
