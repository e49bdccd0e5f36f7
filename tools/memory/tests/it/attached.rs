//! The agent in a program that runs already: the program itself loads it, as a tool within it would.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use naja_memory::{Event, Receiver, Settings, What, wire::reason};
use naja_testkit::image::{Image, range_of};
use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::target::Target;
use serde_json::json;

/// The agent as it was built beside this test.
fn agent() -> PathBuf {
    let program = std::env::current_exe().expect("this test is a program");
    let built = program.ancestors().map(|folder| folder.join("libnaja_memory_agent.so"));
    let found = built.into_iter().find(|path| path.is_file());
    found.expect("the agent is built: `cargo build --release -p naja-memory-agent`")
}

/// Loads the agent when it is told to, begins and ends, and asks for memory that is known.
const PROGRAM: &str = "\
import _ctypes, ctypes, gc, json, os, sys, threading
kept = []
def keep(size):
    kept.append(bytearray(size))
def churn():
    while not over.is_set():
        pieces = [str(number) * 50 for number in range(200)]
        bytearray(3000)
over = threading.Event()
threads = [threading.Thread(target=churn) for _ in range(3)]
for thread in threads:
    thread.start()
keep(1_000_001)
print(json.dumps({'pid': os.getpid()}), flush=True)
library = None
for line in sys.stdin:
    word, _, rest = line.strip().partition(' ')
    answer = None
    if word == 'load':
        library = ctypes.CDLL(rest)
        answer = library._handle
    elif word == 'begin':
        answer = library.naja_memory_begin(rest.encode(), 0)
    elif word == 'end':
        answer = library.naja_memory_end()
    elif word == 'unload':
        handle, library = library._handle, None
        gc.collect()
        answer = _ctypes.dlclose(handle)
    elif word == 'keep':
        keep(int(rest))
    elif word == 'drop':
        kept.pop(0)
    elif word == 'import':
        __import__(rest)
    elif word == 'fork':
        child = os.fork()
        if not child:
            keep(int(rest))
            os._exit(0)
        answer = os.waitpid(child, 0)[1]
    elif word == 'stop':
        over.set()
        for thread in threads:
            thread.join()
    print(json.dumps(answer), flush=True)
";

/// Hears all that agents tell at a place.
struct Ear {
    over: Arc<AtomicBool>,
    thread: JoinHandle<(Vec<Event>, usize)>,
    place: PathBuf,
    _folder: tempfile::TempDir,
}

impl Ear {
    fn open(settings: Settings) -> Ear {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let place = folder.path().join("agent");
        let mut receiver = Receiver::open(place.clone(), settings).expect("it can listen");
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let mut events = Vec::new();
            while !is_over.load(Ordering::Acquire) {
                receiver.hear(&mut |event| events.push(event));
            }
            receiver.finish(&mut |event| events.push(event));
            (events, receiver.stacks().nodes().len())
        });
        Ear { over, thread, place, _folder: folder }
    }

    /// What was heard, and how many places in stacks.
    fn close(self) -> (Vec<Event>, usize) {
        self.over.store(true, Ordering::Release);
        self.thread.join().expect("it hears")
    }
}

fn blocks_of(events: &[Event], wanted: u64) -> usize {
    let is_it = |event: &&Event| match event.what {
        What::Given { size, node, .. } => (wanted..wanted + 100).contains(&size) && node != 0,
        _ => false,
    };
    events.iter().filter(is_it).count()
}

fn check(interpreter: &Interpreter, settings: Settings) {
    let mut target = Target::start(interpreter, PROGRAM);
    let pid = target.pid();
    // What Python keeps of its own accord is there.
    target.ask("import json");
    let agent = agent();
    let before = Image::of(pid);
    for round in 0..3 {
        let ear = Ear::open(settings);
        let wanted = 5_000_001 + round;
        target.ask(&format!("load {}", agent.display()));
        let range = range_of(pid, "libnaja_memory_agent").expect("it is loaded");
        assert_eq!(target.ask("end"), json!(reason::NOT_BEGUN), "{interpreter}");
        assert_eq!(
            target.ask(&format!("begin {}", ear.place.display())),
            json!(reason::NONE),
            "{interpreter}"
        );
        assert_eq!(target.ask(&format!("begin {}", ear.place.display())), json!(reason::ALREADY));
        assert!(Image::of(pid).leads_to(&range), "{interpreter}");
        target.ask(&format!("keep {wanted}"));
        // What was given before the agent was there is taken while it is.
        target.ask("drop");
        target.ask("import decimal");
        assert_eq!(target.ask("fork 7000001"), json!(0), "{interpreter}");
        assert_eq!(target.ask("end"), json!(reason::NONE), "{interpreter}");
        target.ask(&format!("keep {wanted}"));
        let (events, nodes) = ear.close();
        assert_eq!(blocks_of(&events, wanted), 1, "{interpreter}: round {round}");
        assert_eq!(blocks_of(&events, 7_000_001), usize::from(settings.follow), "{interpreter}");
        assert!(nodes > 3, "{interpreter}");
        // Three threads asked all the time.
        let threads: std::collections::BTreeSet<u32> = events.iter().map(|event| event.thread).collect();
        assert!(threads.len() >= 4, "{interpreter}: {threads:?}");
        let of_python = |event: &&Event| matches!(event.what, What::Given { allocator, .. } if allocator.word().starts_with("pymalloc"));
        assert_eq!(events.iter().any(|event| of_python(&event)), settings.python_allocators, "{interpreter}");
        target.ask("unload");
        let after = Image::of(pid);
        assert!(!after.names.iter().any(|name| name.contains("naja")), "{interpreter}");
        assert!(!after.leads_to(&range), "{interpreter}: a slot leads to the agent");
        assert_eq!(before.first_that_differs(&after), None, "{interpreter}");
        assert!(target.is_running());
    }
    target.ask("stop");
    assert!(target.is_running());
}

#[test]
fn a_program_that_runs_already_is_told_of_and_left_as_it_was() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        check(interpreter, Settings { follow: true, ..Settings::default() });
    }
}

#[test]
fn the_allocators_of_python_are_told_of_and_left_as_they_were() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        check(interpreter, Settings { python_allocators: true, ..Settings::default() });
    }
}

#[test]
fn native_stacks_and_samples_are_told_of_and_nothing_is_left_of_them() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        check(interpreter, Settings { native: true, ..Settings::default() });
        check(interpreter, Settings { sample_bytes: NonZeroU64::new(64), ..Settings::default() });
    }
}
