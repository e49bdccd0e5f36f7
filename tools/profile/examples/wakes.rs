//! What waking costs on this machine: sleeps as often as the sampler does, and does nothing else.
//!
//! `cargo run --release -p naja-profile --example wakes -- SECONDS RATE` prints the processor time of a wake in
//! microseconds. `bench/against.py` sets it beside what a sample costs.

#![allow(clippy::print_stdout)] // its one figure

use naja_system::timer;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, rate] = arguments.as_slice() else {
        return Err("SECONDS RATE".into());
    };
    let (seconds, rate): (f64, f64) = (seconds.parse()?, rate.parse()?);
    let wakes = (seconds * rate) as u64;
    let interval_ns = (1e9 / rate) as u64;
    timer::wake_precisely()?;
    let mut alarms = timer::Alarms::new()?;
    let cpu_ns = || timer::process_cpu_ns(std::process::id()).ok_or("no clock of this process");
    let (start_ns, used_ns) = (timer::now_ns(), cpu_ns()?);
    for wake in 1..=wakes {
        alarms.sleep_until(start_ns + wake * interval_ns, start_ns + (wake + 1) * interval_ns);
    }
    println!("{:.3}", (cpu_ns()? - used_ns) as f64 / 1e3 / wakes as f64);
    Ok(())
}
