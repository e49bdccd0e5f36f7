//! Looked at a thousand times, a busy program of a hundred threads does what it would do unobserved.
//!
//! The program (`stress.py`) checks itself: it counts what it gave and took, its signals, its interrupted calls.

use std::collections::BTreeSet;
use std::process::Command;

use naja_profile::{Control, Finished, Sampler, SamplerOptions, Sink};
use naja_recording::Batch;
use naja_system::timer;
use naja_testkit::target::Target;

use crate::{naja, python};

/// Attaches within the test's own process, where nobody says otherwise: `NAJA_TEST_ATTACHES`.
const ATTACHES: usize = 250;

/// Commands of each kind, which take longer to start than to look.
const COMMANDS: usize = 10;

/// Throws away what it is given.
struct Nowhere;

impl Sink for Nowhere {
    fn give(&mut self, _: Batch) {}

    fn finish(self: Box<Self>) -> Finished {
        Finished::default()
    }
}

/// What must be the same before and after.
#[derive(Debug, PartialEq, Eq)]
struct Traces {
    descriptors: BTreeSet<String>,
    /// Files and their protections. The heap and the stacks grow by themselves.
    mapped_files: BTreeSet<String>,
    threads: usize,
    /// Threads that are stopped or traced, and who traces them.
    held: Vec<String>,
}

impl Traces {
    fn of(pid: u32) -> Traces {
        let entries = |name: &str| {
            let folder = std::fs::read_dir(format!("/proc/{pid}/{name}")).expect("the program lives");
            folder.flatten().map(|entry| entry.path()).collect::<Vec<_>>()
        };
        let link = |path: &std::path::PathBuf| {
            let to = std::fs::read_link(path).unwrap_or_default();
            format!("{} {}", path.file_name().unwrap_or_default().display(), to.display())
        };
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it can be read");
        let mapped = |line: &str| {
            let mut words = line.split_whitespace();
            let (_, protection) = (words.next()?, words.next()?);
            let file = words.nth(3)?;
            file.starts_with('/').then(|| format!("{protection} {file}"))
        };
        let tasks = entries("task");
        let held = tasks.iter().filter_map(|task| {
            let status = std::fs::read_to_string(task.join("status")).ok()?;
            let line = |name: &str| status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let (state, tracer) = (line("State:"), line("TracerPid:"));
            let is_stopped = matches!(state.split_whitespace().nth(1), Some("T" | "t"));
            let is_free = !is_stopped && tracer.ends_with("\t0");
            (!is_free).then(|| format!("{}: {state} {tracer}", task.display()))
        });
        Traces {
            descriptors: entries("fd").iter().map(link).collect(),
            mapped_files: maps.lines().filter_map(mapped).collect(),
            threads: tasks.len(),
            held: held.collect(),
        }
    }
}

/// Samples a process for a few ticks, as `naja record` does, and lets go of it.
fn attach_and_detach(pid: u32) -> u64 {
    let start_ns = timer::now_ns();
    let options = SamplerOptions {
        subprocesses: false,
        until_ns: Some(start_ns + 2_000_000),
        attached: true,
        ..SamplerOptions::of_program(pid, start_ns, 1_000_000)
    };
    let control = Control::default();
    let observation = Sampler::new(options, Box::new(Nowhere)).run(&control);
    observation.counts.taken
}

fn run(command: &mut Command) {
    let output = command.output().expect("naja starts");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_thousand_attachments_leave_a_busy_program_as_it_was() {
    let Some(interpreter) = python() else { return };
    let attaches = std::env::var("NAJA_TEST_ATTACHES").ok().and_then(|text| text.parse().ok());
    let mut target = Target::start(interpreter, include_str!("stress.py"));
    assert_eq!(target.ready()["threads"], 100);
    let before = Traces::of(target.pid());
    assert_eq!(before.held, Vec::<String>::new());

    let taken: u64 = (0..attaches.unwrap_or(ATTACHES)).map(|_| attach_and_detach(target.pid())).sum();
    assert!(taken > 1000, "{taken} stacks: it was hardly looked at");

    let pid = target.pid().to_string();
    let naja = naja();
    let out = target.file("out.naja");
    for number in 0..COMMANDS {
        run(naja.command().args(["record", "-q", "-d", "0.05", "-p", &pid, "-o"]).arg(&out));
        let options: &[&str] = if number % 2 == 0 { &[] } else { &["--locals"] };
        run(naja.command().args(["dump", "-p", &pid]).args(options));
    }
    assert_eq!(target.ask("interrupted"), 0, "calls that somebody interrupted");

    // Here threads are paused, which a call of epoll_wait notices, as with any debugger: Python calls it again.
    for _ in 0..COMMANDS {
        run(naja.command().args(["record", "--native", "-q", "-d", "0.05", "-p", &pid, "-o"]).arg(&out));
    }

    assert_eq!(Traces::of(target.pid()), before);
    let told = target.ask("end");
    let number = |name: &str| told[name].as_u64().unwrap_or_else(|| panic!("{name} in {told}"));
    assert_eq!(told["errors"], serde_json::json!([]), "{told}");
    for (one, other) in [("sent", "handled"), ("given", "taken"), ("written", "read")] {
        assert_eq!(number(one), number(other), "{one} and {other}: {told}");
        assert!(number(one) > 0, "{told}");
    }
}
