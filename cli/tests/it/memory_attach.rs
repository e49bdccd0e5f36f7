//! `naja memory attach` and `detach`: real programs that run already, under every interpreter.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use naja_testkit::image::{Image, range_of};
use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::{Naja, block};
use naja_testkit::not_tested;
use naja_testkit::target::Target;
use serde_json::Value;

use crate::naja;

const AGENT: &str = "libnaja_memory_agent";

/// What every program does at its beginning: it says that it is ready, and has a place for signs of life.
const BEGINNING: &str = "
import ctypes, json, os, sys, threading, time
beats = open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'beats'), 'w')
def beat():
    beats.write('.'); beats.flush()
def keep(size):
    return bytearray(size)
def ready():
    print(json.dumps(os.getpid()), flush=True)
";

/// Sleeps most of the time.
const SLEEPS: &str = "
ready()
while True:
    time.sleep(0.02)
    keep(3_000_001)
    beat()
";

/// Computes without a pause, and hardly asks for memory.
const COMPUTES: &str = "
ready()
while True:
    sum(number % 7 for number in range(30_000))
    keep(3_000_001)
    beat()
";

/// Threads that ask for memory all the time, so that most of them are within `malloc` whenever one looks.
const ALLOCATES: &str = "
def churn():
    while True:
        pieces = [bytearray(600 + number) for number in range(300)]
for _ in range(8):
    threading.Thread(target=churn, daemon=True).start()
ready()
while True:
    keep(3_000_001)
    beat()
";

/// A thread is in C for good, without the interpreter; the first one waits for it.
const IN_C: &str = "
library = ctypes.CDLL(None)
def spin():
    library.usleep.argtypes = [ctypes.c_uint]
    while True:
        library.usleep(100_000_000)
waiting = threading.Thread(target=spin)
waiting.start()
def other():
    while True:
        time.sleep(0.01)
        keep(3_000_001)
        beat()
threading.Thread(target=other).start()
ready()
waiting.join()
";

/// `naja memory` with words, in a folder.
fn memory(naja: &Naja, folder: &Path, words: &[&str]) -> Command {
    let mut command = naja.command();
    command.arg("memory").args(words).current_dir(folder);
    command
}

fn attached(naja: &Naja, folder: &Path, pid: u32, options: &[&str]) -> Output {
    let pid = pid.to_string();
    let words = [&["attach", &pid, "-o", "app.naja"], options].concat();
    memory(naja, folder, &words).output().expect("naja starts")
}

/// Starts `naja memory attach` and waits until it records.
fn attaching(naja: &Naja, folder: &Path, pid: u32, options: &[&str]) -> Child {
    let pid = pid.to_string();
    let words = [&["attach", &pid, "-o", "app.naja"], options].concat();
    let mut child = memory(naja, folder, &words).stderr(Stdio::piped()).spawn().expect("naja starts");
    let mut line = String::new();
    let errors = child.stderr.as_mut().expect("a pipe");
    // A byte at a time, so that the rest stays in the pipe.
    while !line.ends_with('\n') {
        let mut byte = [0];
        std::io::Read::read_exact(errors, &mut byte).unwrap_or_else(|_| panic!("it ended: {line}"));
        line.push(char::from(byte[0]));
    }
    assert!(line.contains("attached to process"), "{line}");
    child
}

fn lines(naja: &Naja, folder: &Path) -> Value {
    let words = ["summary", "-n", "1000", "--all", "--json", "app.naja"];
    let output = memory(naja, folder, &words).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// How many bytes a function's own lines were given.
fn given(lines: &Value, function: &str) -> u64 {
    let lines = lines["lines"].as_array().expect("there are lines").iter();
    let own = |line: &Value| line["own"]["bytes"].as_u64().expect("a number");
    lines.filter(|line| line["function"] == function).map(own).sum()
}

fn wait_until(is_so: impl FnMut() -> bool) {
    wait_until_within(Duration::from_secs(60), is_so);
}

fn wait_until_within(patience: Duration, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < patience, "it never came");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits for a sign of life that comes from now on.
fn lives_on(target: &Target) {
    let beats = || std::fs::metadata(target.file("beats")).expect("it has begun").len();
    let before = beats();
    wait_until(|| beats() > before + 1);
}

fn threads(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").count()
}

fn start(interpreter: &Interpreter, program: &str) -> Target {
    let target = Target::start(interpreter, &format!("{BEGINNING}{program}"));
    lives_on(&target);
    target
}

fn check(program: &str, options: &[&str]) {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let naja = naja();
        let target = start(interpreter, program);
        let (pid, folder) = (target.pid(), target.folder());
        let (before, threads_before) = (Image::of(pid), threads(pid));
        let child = attaching(&naja, folder, pid, options);
        lives_on(&target);
        interrupt(&child);
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{interpreter}: {}", block(&ended, &[]));
        let lines = lines(&naja, folder);
        assert!(given(&lines, "keep") >= 3_000_001, "{interpreter}: {lines}");
        let after = Image::of(pid);
        assert_eq!(before.first_that_differs(&after), None, "{interpreter}");
        assert_eq!(range_of(pid, "naja"), None, "{interpreter}");
        assert_eq!(threads(pid), threads_before, "{interpreter}");
        lives_on(&target);
    }
}

#[test]
fn a_program_that_sleeps_is_recorded_and_left_as_it_was() {
    check(SLEEPS, &[]);
}

#[test]
fn a_program_that_computes_is_recorded_and_left_as_it_was() {
    check(COMPUTES, &["--python-allocators"]);
}

#[test]
fn a_program_that_allocates_in_eight_threads_is_recorded_and_left_as_it_was() {
    check(ALLOCATES, &["--aggregate"]);
}

#[test]
fn a_program_with_a_thread_in_c_is_recorded_and_left_as_it_was() {
    check(IN_C, &["--python-allocators", "--aggregate"]);
}

/// How often; `NAJA_TEST_ROUNDS` says otherwise.
fn rounds() -> usize {
    std::env::var("NAJA_TEST_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

#[test]
fn many_rounds_do_a_busy_program_no_harm() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let target = start(python, ALLOCATES);
    let (pid, folder) = (target.pid(), target.folder());
    let (before, threads_before) = (Image::of(pid), threads(pid));
    for round in 0..rounds() {
        let options: &[&str] = if round % 2 == 0 { &["-q"] } else { &["-q", "--python-allocators"] };
        let output = attached(&naja, folder, pid, &[&["-d", "0.05"], options].concat());
        assert!(output.status.success(), "round {round}: {}", block(&output, &[]));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "round {round}");
        assert_eq!(range_of(pid, "naja"), None, "round {round}");
    }
    assert_eq!(before.first_that_differs(&Image::of(pid)), None);
    assert_eq!(threads(pid), threads_before);
    lives_on(&target);
}

#[test]
fn what_a_naja_that_was_killed_has_left_is_taken_out() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let naja = naja();
        let target = start(interpreter, ALLOCATES);
        let (pid, folder) = (target.pid(), target.folder());
        let before = Image::of(pid);
        let mut child = attaching(&naja, folder, pid, &["--python-allocators"]);
        child.kill().expect("it runs");
        child.wait().expect("it has ended");
        lives_on(&target);
        assert!(range_of(pid, AGENT).is_some(), "{interpreter}");
        let again = attached(&naja, folder, pid, &["-d", "1"]);
        assert_eq!(again.status.code(), Some(2), "{}", block(&again, &[]));
        assert!(String::from_utf8_lossy(&again.stderr).contains("error[already-attached]"));
        let output = memory(&naja, folder, &["detach", &pid.to_string()]).output().expect("naja starts");
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
        assert_eq!(before.first_that_differs(&Image::of(pid)), None, "{interpreter}");
        assert_eq!(range_of(pid, "naja"), None, "{interpreter}");
        lives_on(&target);
    }
}

#[test]
fn a_recording_ends_when_another_naja_detaches() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let target = start(python, SLEEPS);
    let (pid, folder) = (target.pid(), target.folder());
    let child = attaching(&naja, folder, pid, &[]);
    lives_on(&target);
    let output = memory(&naja, folder, &["detach", &pid.to_string()]).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", block(&ended, &[]));
    assert!(given(&lines(&naja, folder), "keep") >= 3_000_001);
    assert_eq!(range_of(pid, "naja"), None);
    lives_on(&target);
}

#[test]
fn a_recording_ends_when_its_program_does() {
    const PROGRAM: &str = "
ready()
beat(); beat(); beat()
sys.stdin.readline()
kept = keep(3_000_001)
";
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let mut target = Target::start(python, &format!("{BEGINNING}{PROGRAM}"));
    let child = attaching(&naja, target.folder(), target.pid(), &[]);
    target.close_input();
    let ended = child.wait_with_output().expect("it ends");
    assert!(ended.status.success(), "{}", block(&ended, &[]));
    assert!(given(&lines(&naja, target.folder()), "keep") >= 3_000_001);
}

/// A process that nobody waits for is made to end.
struct Ends(u32);

impl Drop for Ends {
    fn drop(&mut self) {
        let _ = std::process::Command::new("kill").args(["-9", &self.0.to_string()]).status();
    }
}

#[test]
fn children_that_are_forked_are_recorded_and_left_too() {
    const PROGRAM: &str = "
def child():
    while os.getppid() == parent:
        time.sleep(0.01)
        in_child(4_000_001)
def in_child(size):
    return bytearray(size)
ready()
import multiprocessing
parent = os.getpid()
while True:
    time.sleep(0.01)
    beat()
    if os.path.exists(beats.name + '.fork'):
        os.unlink(beats.name + '.fork')
        process = multiprocessing.get_context('fork').Process(target=child, daemon=True)
        process.start()
        with open(beats.name + '.child', 'w') as file:
            file.write(str(process.pid))
";
    let Some(python) = crate::python() else { return };
    for (options, is_followed) in [(&["--python-allocators"][..], true), (&["--no-follow"], false)] {
        let naja = naja();
        let target = start(python, PROGRAM);
        let (pid, folder) = (target.pid(), target.folder());
        let child = attaching(&naja, folder, pid, options);
        std::fs::write(target.file("beats.fork"), "").expect("written");
        let number = || std::fs::read_to_string(target.file("beats.child")).ok()?.parse::<u32>().ok();
        wait_until(|| number().is_some());
        let forked = number().expect("it has one");
        // It ends when its test does, however that ends.
        let _child = Ends(forked);
        for _ in 0..20 {
            lives_on(&target);
        }
        interrupt(&child);
        let ended = child.wait_with_output().expect("it ends");
        assert!(ended.status.success(), "{}", block(&ended, &[]));
        assert_eq!(range_of(pid, "naja"), None);
        if is_followed {
            assert_eq!(range_of(forked, "naja"), None);
            assert!(given(&lines(&naja, folder), "in_child") >= 4_000_001);
        } else {
            // The library itself came with the fork.
            assert!(range_of(forked, AGENT).is_some());
            assert_eq!(given(&lines(&naja, folder), "in_child"), 0);
        }
        lives_on(&target);
    }
}

fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("it runs");
}

#[test]
fn a_program_that_sees_other_files_and_numbers_is_recorded() {
    let Some(python) = crate::python() else { return };
    let program = format!(
        "
import os, sys, time
__file__ = sys.argv[1]
{BEGINNING}{SLEEPS}"
    );
    let naja = naja();
    let folder = tempfile::tempdir_in("/var/tmp").expect("a temporary folder");
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c"]);
    command.arg("mount -t tmpfs none /tmp && exec \"$0\" -c \"$1\" \"$2\"");
    command.arg(&python.path).arg(&program).arg(folder.path().join("app.py"));
    let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = started else { return not_tested("there is no unshare") };
    let mut line = String::new();
    let output = child.stdout.as_mut().expect("a pipe");
    let _ = std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut line);
    if line.is_empty() {
        let _ = child.kill();
        let _ = child.wait();
        return not_tested("this user may make no namespaces");
    }
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let pid: u32 = std::fs::read_to_string(children)
        .expect("it runs")
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok())
        .expect("it has a child");
    let output = attached(&naja, folder.path(), pid, &["-d", "0.3"]);
    assert!(output.status.success(), "{}", block(&output, &[]));
    assert!(given(&lines(&naja, folder.path()), "keep") >= 3_000_001);
    assert_eq!(range_of(pid, "naja"), None);
    // Nothing is left among its files.
    let left = std::fs::read_dir(format!("/proc/{pid}/root/tmp")).expect("it runs").count();
    assert_eq!(left, 0);
    let _ = child.kill();
    let _ = child.wait();
}

#[test]
fn what_was_there_before_is_shown_as_a_sum() {
    const PROGRAM: &str = "
before = [keep(100_000) for _ in range(300)]
ready()
while True:
    time.sleep(0.01)
    beat()
";
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let target = start(python, PROGRAM);
    let output = attached(&naja, target.folder(), target.pid(), &["-d", "0.2"]);
    assert!(output.status.success(), "{}", block(&output, &[]));
    let figures = memory(&naja, target.folder(), &["stats", "--json", "app.naja"]).output();
    let figures: Value = serde_json::from_slice(&figures.expect("naja starts").stdout).expect("it is JSON");
    let number = |name: &str| figures[name].as_u64().unwrap_or_else(|| panic!("no {name}: {figures}"));
    // Each is a block of its own; beside them are those of the interpreter.
    let heap = number("earlier_heap_bytes");
    assert!((30_000_000..36_000_000).contains(&heap), "{figures}");
    assert!(number("earlier_anonymous_bytes") > heap, "{figures}");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("before that") && text.contains("in the heap"), "{text}");
}

#[test]
fn what_cannot_be_attached_to_is_named() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refused = |words: &[&str], name: &str| {
        let output = memory(&naja, folder.path(), words).output().expect("naja starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{words:?}: {text}");
        assert!(text.contains(&format!("error[{name}]")) && text.contains("hint: "), "{words:?}: {text}");
    };
    for word in ["attach", "detach"] {
        refused(&[word, "4194304"], "no-such-process");
        let mut sleep = Command::new("sleep").arg("100").spawn().expect("it starts");
        refused(&[word, &sleep.id().to_string()], "not-python");
        sleep.kill().expect("it runs");
        sleep.wait().expect("it has ended");
    }
    let target = start(python, SLEEPS);
    let pid = target.pid().to_string();
    refused(&["detach", &pid], "not-attached");
    let kill = |signal: &str| {
        let killed = Command::new("sh").args(["-c", &format!("kill -{signal} {pid}")]).status();
        assert!(killed.expect("there is a shell").success());
    };
    kill("STOP");
    wait_until(|| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        status.contains("State:\tT")
    });
    refused(&["attach", &pid], "process-is-stopped");
    kill("CONT");
    lives_on(&target);
    // A refusal leaves no recording behind.
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0);
}
