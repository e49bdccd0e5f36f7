//! Native stacks of other processes: pauses one thread, unwinds its stack, names its functions; and calls functions there.
//!
//! Addresses here belong to the other process: never dereference one. Everything read from a process or from
//! the files that it maps may be damaged or hostile; reading it ends in a value or an error, never in a panic.
//! Start at [`unwind::Unwinder`]; [`pause`] stops a thread, [`symbols`] names what was found,
//! `visit` calls functions.
#![allow(unsafe_code)] // ptrace, waitid, process_vm_readv, and mapped files; each block gives its reason

mod elf;
#[doc(hidden)]
pub mod hostile;
mod mapped;
pub mod maps;
pub mod modules;
#[cfg(target_arch = "x86_64")]
mod moment;
mod moved;
#[cfg(target_arch = "x86_64")]
mod outside;
pub mod pause;
pub mod perf_map;
pub mod stack;
pub mod symbols;
#[cfg(target_arch = "x86_64")]
mod traced;
pub mod unwind;
#[cfg(target_arch = "x86_64")]
pub mod visit;
