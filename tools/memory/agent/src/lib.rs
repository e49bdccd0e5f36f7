//! Sees every allocation of the program that it is loaded into, and tells naja beside it.
//!
//! It is loaded before everything else (`LD_PRELOAD`), so that its functions stand for the C library's, or into a program
//! that runs already, where [`attached`] puts them in their place. What it does on
//! an allocation allocates nothing, takes no lock, calls no Python and writes to memory that naja reads; where naja is
//! gone, it does nothing any more. It ends no program and changes no result. Start at [`hooks`].
#![allow(unsafe_code)] // it stands for malloc; each block gives its reason

mod attached;
mod connection;
mod hooks;
mod linked;
mod maps;
mod own;
mod program;
mod python;
mod real;
mod ring;
mod slots;
mod thread;
#[path = "../../src/wire.rs"]
#[allow(dead_code, unreachable_pub)] // the other side's half too
mod wire;
