//! Made-up programs: deterministic for a seed, shaped like real ones.

use naja_recording::*;

/// A small, fast generator of numbers that look random (xorshift64*).
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Numbers {
        Numbers(seed | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}

pub(crate) fn header() -> Header {
    Header {
        naja_version: "0.1.0".to_owned(),
        command: vec!["naja".to_owned(), "run".to_owned(), "app.py".to_owned()],
        working_directory: "/srv/größe".to_owned(),
        start_unix_ns: 1_795_000_000_000_000_000,
        interval_ns: 1_000_000,
        cpu_count: 2,
        system: "Linux 6.1 x86_64".to_owned(),
    }
}

/// One process, `threads` threads, functions, and a tree of `nodes` stack nodes.
pub(crate) fn program(threads: u32, nodes: u32) -> Batch {
    Batch {
        processes: vec![Process {
            id: 1,
            pid: 4211,
            command: vec!["python".to_owned(), "app.py".to_owned()],
            interpreter: "CPython 3.12.1".to_owned(),
            ..Process::default()
        }],
        threads: (1..=threads).map(thread).collect(),
        functions: (1..=20).map(function).collect(),
        nodes: (1..=nodes)
            .map(|id| StackNode { id, parent: id / 3, function: id % 20 + 1, line: id % 400 })
            .collect(),
        ..Batch::default()
    }
}

pub(crate) fn thread(id: u32) -> Thread {
    Thread { id, process: 1, os_tid: 4210 + id, name: format!("Thread-{id}"), interpreter: 0 }
}

pub(crate) fn function(id: u32) -> Function {
    Function {
        id,
        name: format!("f{id}"),
        qualified_name: format!("Class.f{id}"),
        file: format!("/srv/file{}.py", id % 3),
        first_line: id * 10,
        kind: naja_recording::FunctionKind::from_number((id % 3) as u8).unwrap(),
    }
}

/// Runs of a busy thread over `ticks` ticks, each different from the one before.
pub(crate) fn busy(numbers: &mut Numbers, ticks: u32, nodes: u32) -> Vec<Run> {
    (0..ticks)
        .map(|_| Run {
            ticks: 1,
            node: 1 + numbers.below(u64::from(nodes)) as u32,
            state: State::ALL[1 + numbers.below(3) as usize],
            gil: numbers.below(2) == 0,
            gc: numbers.below(50) == 0,
        })
        .collect()
}

/// One run of a thread that waits.
pub(crate) fn idle(ticks: u32, node: u32) -> Vec<Run> {
    vec![Run { ticks, node, state: State::LockWait, gil: false, gc: false }]
}
