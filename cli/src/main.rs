//! The `naja` program: the one place where tools meet.

use std::process::ExitCode;

fn main() -> ExitCode {
    naja::main(std::env::args_os().collect()).into()
}
