//! Reads the tasks of a process over and over, and tells what that costs: `tasks PID [TIMES]`.
#![allow(clippy::print_stdout)] // an example

use std::time::Instant;

use naja_cpython::asyncio::{TaskReader, TaskThread};
use naja_cpython::locate::locate;
use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::StackReader;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().ok_or("which process?")?.parse()?;
    let times: u32 = arguments.next().map_or(Ok(100), |times| times.parse())?;
    let memory = LiveProcess::new(pid);
    let located = locate(pid, &memory)?;
    let mut stacks = StackReader::new((&located).into());
    stacks.sample(&memory, &mut |_| false)?;
    let thread = |thread: &naja_cpython::reader::Thread| TaskThread {
        state: thread.state,
        interpreter: stacks.interpreters()[thread.interpreter].address,
    };
    let threads: Vec<TaskThread> = stacks.threads().iter().map(thread).collect();
    let mut reader = TaskReader::new(&located).ok_or("the tasks of this version are not known")?;
    let first = reader.all(&memory, &threads);
    let frames: usize = first.tasks.iter().map(|task| task.frames.len()).sum();
    println!("CPython {}: {} tasks, {frames} frames", located.version, first.tasks.len());
    let start = Instant::now();
    for _ in 0..times {
        reader.all(&memory, &threads);
    }
    println!("all tasks: {:.1} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    let start = Instant::now();
    for _ in 0..times {
        for one in reader.running(&memory, &threads) {
            reader.chain(&memory, one.task);
        }
    }
    println!("running tasks: {:.1} µs", start.elapsed().as_secs_f64() * 1e6 / f64::from(times));
    Ok(())
}
