//! Finds the interpreter in a process: which file holds it, which version it is, where `_PyRuntime` lies.
