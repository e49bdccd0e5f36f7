//! The `naja` program: the one place where tools meet.

use std::process::ExitCode;

fn main() -> ExitCode {
    naja_system::machine::share_one_heap();
    naja::main(std::env::args_os().collect()).into()
}
