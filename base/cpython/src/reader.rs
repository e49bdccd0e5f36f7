//! Reads the stacks of all threads of a process, as of one moment.
