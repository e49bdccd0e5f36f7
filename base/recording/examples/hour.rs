//! Writes an hour of a made-up program at 1,000 Hz and says what it costs, in bytes and processor time.
//!
//! `cargo run --release -p naja-recording --example hour -- [FILE] [SECONDS] [STACKS]`
//!
//! The busy thread walks at random over a tree of 50,000 stacks, or as many as are asked for, and changes with every sample; three threads
//! wait and now and then wake. The tree grows over the first half of the time, as that of a real program does.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use naja_recording::*;

const FUNCTIONS: u32 = 3_000;
const TICKS: u32 = 250;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().unwrap_or_else(|| "hour.naja".to_owned()));
    let seconds: u32 = arguments.next().map_or(3600, |text| text.parse().unwrap());
    let stacks: u32 = arguments.next().map_or(50_000, |text| text.parse().unwrap());
    let steps = seconds * 4;
    let header = Header { interval_ns: 1_000_000, ..Header::default() };
    let mut writer = Writer::create(&path, &header).unwrap();
    let mut program = Program::new(stacks);
    let (mut busy, mut wall, mut longest) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let (mut runs, mut samples) = (0, 0);
    for step in 0..steps {
        let batch = program.batch(step, steps);
        runs += batch.runs.iter().map(|runs| runs.runs.len()).sum::<usize>();
        samples += batch.runs.len() * TICKS as usize;
        let (cpu_before, before) = (cpu_time(), Instant::now());
        writer.write(&batch).unwrap();
        let spent = before.elapsed();
        wall += spent;
        longest = longest.max(spent);
        busy += cpu_time().saturating_sub(cpu_before);
    }
    writer.finish().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    println!("{seconds} s, {samples} samples, {runs} runs, {stacks} stacks");
    println!("file      {:.1} MB, {:.2} bytes a run", size as f64 / 1e6, size as f64 / runs as f64);
    println!(
        "a write   {:.0} us CPU, {:.0} us wall on average, {:.1} ms at most",
        busy.as_secs_f64() * 1e6 / f64::from(steps),
        wall.as_secs_f64() * 1e6 / f64::from(steps),
        longest.as_secs_f64() * 1e3
    );
    println!("a run     {:.3} us CPU", busy.as_secs_f64() * 1e6 / runs as f64);
    let before = Instant::now();
    let reader = Reader::open(&path).unwrap();
    let mut read = 0;
    reader.runs(&mut |runs| read += runs.runs.len()).unwrap();
    println!(
        "reading   {:.2} s for {read} runs and {} stacks",
        before.elapsed().as_secs_f64(),
        reader.nodes().unwrap().len()
    );
}

/// This thread's processor time; its clock's steps are nanoseconds, unlike `getrusage`'s.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = text.split(' ').next().and_then(|word| word.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or(0))
}

struct Program {
    /// How many there are in the end.
    stacks: u32,
    numbers: u64,
    parents: Vec<u32>,
    children: Vec<Vec<u32>>,
    at: u32,
}

impl Program {
    fn new(stacks: u32) -> Program {
        Program { stacks, numbers: 42, parents: vec![0], children: vec![Vec::new()], at: 1 }
    }

    fn below(&mut self, end: u32) -> u32 {
        self.numbers ^= self.numbers >> 12;
        self.numbers ^= self.numbers << 25;
        self.numbers ^= self.numbers >> 27;
        (self.numbers.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as u32 % end
    }

    fn batch(&mut self, step: u32, steps: u32) -> Batch {
        let first_tick = u64::from(step) * u64::from(TICKS);
        let mut batch = Batch { until_tick: first_tick + u64::from(TICKS), ..Batch::default() };
        if step == 0 {
            batch.threads = (1..=4)
                .map(|id| Thread { id, process: 1, os_tid: id, name: format!("Thread-{id}"), interpreter: 0 })
                .collect();
            batch.functions = (1..=FUNCTIONS)
                .map(|id| Function {
                    id,
                    name: format!("do_something_{id}"),
                    qualified_name: format!("SomeClass{}.do_something_{id}", id % 300),
                    file: format!("/home/user/.venv/lib/python3.12/site-packages/package/m{}.py", id % 200),
                    first_line: id,
                    ..Function::default()
                })
                .collect();
        }
        let wanted = (u64::from(self.stacks) * (u64::from(steps) + 18 * u64::from(step))
            / (10 * u64::from(steps.max(1))))
        .min(u64::from(self.stacks)) as u32;
        while (self.parents.len() as u32) <= wanted {
            batch.nodes.push(self.grow());
        }
        if step.is_multiple_of(4) {
            batch.metrics.push(Metric {
                tick: first_tick,
                process: 1,
                cpu_ns: first_tick * 900_000,
                rss_bytes: 80 << 20,
            });
        }
        let runs = (0..TICKS).map(|_| self.sample()).collect();
        batch.runs.push(ThreadRuns { thread: 1, first_tick, runs });
        for thread in 2..=4 {
            let runs = self.wait(thread);
            batch.runs.push(ThreadRuns { thread, first_tick, runs });
        }
        batch
    }

    /// A new stack, called from one that exists: mostly from a recent one.
    fn grow(&mut self) -> StackNode {
        let count = self.parents.len() as u32;
        let parent = match count {
            1 => 0,
            _ if self.below(3) > 0 => count - 1 - self.below(count.clamp(2, 30) - 1),
            _ => 1 + self.below(count - 1),
        };
        self.parents.push(parent);
        self.children.push(Vec::new());
        self.children[parent as usize].push(count);
        StackNode { id: count, parent, function: 1 + self.below(FUNCTIONS), line: 1 + self.below(900) }
    }

    /// A step or more through the tree, never staying where it is.
    fn sample(&mut self) -> Run {
        let before = self.at;
        while self.at == before {
            for _ in 0..1 + self.below(6) {
                let children = &self.children[self.at as usize];
                let parent = self.parents[self.at as usize];
                self.at = match self.numbers % 2 {
                    0 if !children.is_empty() => {
                        let index = self.numbers / 2 % children.len() as u64;
                        children[index as usize]
                    }
                    _ if parent != 0 => parent,
                    _ => 1 + self.below(self.parents.len() as u32 - 1),
                };
                self.below(2);
            }
        }
        let native = self.below(5) == 0;
        Run {
            ticks: 1,
            node: self.at,
            state: if native { State::Native } else { State::Python },
            gil: !native,
            gc: self.below(100) == 0,
        }
    }

    /// A thread that waits, and wakes every ten seconds or so.
    fn wait(&mut self, thread: u32) -> Vec<Run> {
        let waiting = |ticks| Run { ticks, node: thread, state: State::LockWait, gil: false, gc: false };
        if self.below(40) > 0 {
            return vec![waiting(TICKS)];
        }
        let mut runs = vec![waiting(TICKS - 5)];
        runs.extend((0..5).map(|_| self.sample()));
        runs
    }
}
