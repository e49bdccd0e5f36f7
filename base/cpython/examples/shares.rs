//! Holds sampled shares against the shares that a program measures of itself: see `shares.py` and
//! `docs/design/sampling.md`.
//!
//! `cargo run --release -p naja-cpython --example shares -- PYTHON SECONDS RATE WEIGHT:LENGTH_NS[:KIND]…`

#![allow(clippy::print_stdout)] // an experiment prints its table

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use naja_cpython::code::read_code;
use naja_cpython::locate::locate;
use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::{Outcome, StackReader};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [python, seconds, rate, phases @ ..] = arguments.as_slice() else {
        return Err("PYTHON SECONDS RATE WEIGHT:LENGTH_NS[:KIND]…".into());
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shares.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg(seconds)
        .args(phases)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    let memory = LiveProcess::new(child.id());
    let located = locate(child.id(), &memory)?;
    let mut reader = StackReader::new((&located).into());
    let mut names: HashMap<u64, String> = HashMap::new();
    let mut input = child.stdin.take().ok_or("no input")?;
    input.write_all(b"\n")?;

    let interval = Duration::from_secs_f64(1.0 / rate.parse::<f64>()?);
    let end = Instant::now() + Duration::from_secs_f64(seconds.parse::<f64>()? - 0.05);
    let mut seen = [0_u64; 3];
    let mut tries = [0_u64; 7];
    let mut random = 88_172_645_463_325_252_u64;
    let mut slot = Instant::now();
    while slot < end {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        slot += interval;
        // A slot that was missed is left out: samples taken in a burst would all show the same moment.
        while slot + interval < Instant::now() {
            slot += interval;
        }
        let at = slot + interval.mul_f64(random as f64 / u64::MAX as f64);
        std::thread::sleep(at.saturating_duration_since(Instant::now()));
        if reader.sample(&memory, &mut |_| false).is_err() {
            break;
        }
        let Some(thread) = reader.threads().first() else { continue };
        if thread.outcome != Outcome::Valid {
            tries[6] += 1;
            continue;
        }
        tries[thread.tries as usize] += 1;
        for frame in &thread.frames {
            let name = names.entry(frame.code).or_insert_with(|| {
                read_code(&memory, &located, frame.code).map_or(String::new(), |code| code.name)
            });
            if let Some(phase) = name.strip_prefix("phase_") {
                seen[phase.parse::<usize>()?] += 1;
            }
        }
    }
    line.clear();
    output.read_line(&mut line)?;
    child.wait()?;
    let truth: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    let all: f64 = truth.iter().sum();
    let samples: u64 = seen.iter().sum();
    print!("{} {:36}", located.version, phases.join(" "));
    for (truth, seen) in truth.iter().zip(seen) {
        let (truth, share) = (100.0 * truth / all, 100.0 * seen as f64 / samples as f64);
        print!("  {truth:5.2} {share:5.2} ({:+5.2})", share - truth);
    }
    let total: u64 = tries.iter().sum();
    let percent = |count: u64| 100.0 * count as f64 / total as f64;
    println!("  n {total}  first try {:.2} %  lost {:.3} %", percent(tries[1]), percent(tries[6]));
    Ok(())
}
