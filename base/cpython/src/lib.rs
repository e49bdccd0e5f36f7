//! Reads the structures of a running CPython from memory, without stopping it.
//!
//! Addresses here belong to the other process: never dereference one. Everything read may be torn or
//! stale; a reader checks what it uses, ends on every input and never panics.
//! Start at [`locate`], then [`reader`].
#![allow(unsafe_code)] // process_vm_readv and reads of our own memory; each block gives its reason

pub mod asyncio;
pub mod code;
pub mod core_file;
pub mod heap;
#[doc(hidden)]
pub mod hostile;
pub mod locate;
pub mod memory;
pub mod native;
pub mod objects;
pub mod offsets;
pub mod opcodes;
pub mod own_code;
pub mod own_stack;
pub mod reader;
pub mod values;
