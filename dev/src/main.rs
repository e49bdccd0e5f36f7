//! `cargo dev`: the project's own chores.

fn main() {}
