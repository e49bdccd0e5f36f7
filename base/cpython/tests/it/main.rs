//! Reads real interpreters: every CPython that is installed on this machine.

mod finding;
