//! What tests share: interpreters on this machine, target programs, terminals, browsers.
//!
//! A development dependency only: nothing that ships may depend on it.

pub mod browser;
pub mod interpreters;
pub mod target;

pub use browser::Browser;
