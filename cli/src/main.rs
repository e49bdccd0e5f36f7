//! The `naja` program: the one place where tools meet.

fn main() {}
