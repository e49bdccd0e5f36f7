//! Prints what naja finds in a process, and what finding it costs: `cargo run --example locate PID`.
#![allow(clippy::print_stdout)]

use std::time::Instant;

use naja_cpython::locate::Locator;
use naja_cpython::memory::LiveProcess;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let pid: u32 = std::env::args().nth(1).ok_or("which process?")?.parse()?;
    let memory = LiveProcess::new(pid);
    let mut locator = Locator::default();
    let mut times = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let found = locator.locate(pid, &memory);
        times.push(start.elapsed());
        if times.len() == 1 {
            match found {
                Ok(found) => println!("{} {:?} {}", found.version, found.found_by, found.binary.display()),
                Err(error) => println!("{error}"),
            }
        }
    }
    let first = times.remove(0);
    times.sort();
    println!("first {first:?}, then {:?} (median of {})", times[times.len() / 2], times.len());
    Ok(())
}
