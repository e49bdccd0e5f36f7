//! `naja record`: attached to a running process, or around a program.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::{Naja, block};
use naja_testkit::target::Target;
use rustix::process::{Pid, Signal, kill_process};

use crate::{naja, python};

/// Spends its time in `hot` and `warm`, 3 to 1, until its standard input ends; its other thread sleeps.
const PROGRAM: &str = "
import json, sys, threading, time
def work(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        for _ in range(100): pass
def hot(): work(0.015)
def warm(): work(0.005)
def doze():
    while True: time.sleep(60)
def listen():
    sys.stdin.read()
    done.set()
done = threading.Event()
for function in (doze, listen):
    threading.Thread(target=function, daemon=True, name=function.__name__).start()
print(json.dumps({}), flush=True)
while not done.is_set():
    hot()
    warm()
";

/// Has one child from the start, and one more whenever it is asked.
const FAMILY: &str = "
import json, multiprocessing, os, sys, time
def spin():
    while os.getppid() == parent: sum(range(1000))
parent = os.getpid()
fork = multiprocessing.get_context('fork')
def child():
    one = fork.Process(target=spin, daemon=True)
    one.start()
    return one.pid
print(json.dumps(child()), flush=True)
for line in sys.stdin:
    print(json.dumps(child()), flush=True)
";

fn record(naja: &Naja, target: &Target, arguments: &[&str]) -> Output {
    let mut command = naja.command();
    command.args(["record", "--pid", &target.pid().to_string()]).args(arguments);
    command.current_dir(target.folder()).output().expect("naja starts")
}

/// Rows of a query on a recording, a line each, with commas.
fn sql(naja: &Naja, recording: &Path, query: &str) -> Vec<String> {
    let output = naja.command().args(["sql", "--format", "csv"]).arg(recording).arg(query).output();
    let output = output.expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    String::from_utf8(output.stdout).expect("it is text").lines().skip(1).map(str::to_owned).collect()
}

/// Own samples of the lines of collapsed stacks whose innermost frames hold a text.
fn samples(collapsed: &str, part: &str) -> u64 {
    let lines = collapsed.lines().filter(|line| line.contains(part));
    lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

/// Starts a recording and waits until it samples.
fn begin(naja: &Naja, target: &Target, arguments: &[&str]) -> std::process::Child {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let mut command = naja.command();
    command.args(["record", "--pid", &target.pid().to_string(), "--ready-fd", "0"]).args(arguments);
    // Its standard input is the end that it writes to: the one descriptor that a child can be given without `unsafe`.
    command.current_dir(target.folder()).stdin(writer).stderr(Stdio::piped());
    let child = command.spawn().expect("naja starts");
    drop(command);
    let mut byte = [0];
    std::io::Read::read_exact(&mut { reader }, &mut byte).expect("it says that it samples");
    child
}

fn signal(child: &std::process::Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().cast_signed()).expect("it is no group");
    kill_process(pid, signal).expect("it lives");
}

/// Makes rings of objects and collects them, for good.
const COLLECTS: &str = "
import gc, json
print(json.dumps({}), flush=True)
while True:
    rings = []
    for _ in range(1000):
        ring = []
        ring.append(ring)
        rings.append(ring)
    gc.collect()
";

#[test]
fn a_running_process_is_recorded_as_it_is_on_every_version() {
    let naja = naja();
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let output = record(&naja, &target, &["--duration", "1", "--output", "out.collapsed"]);
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
        let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
        let (hot, warm) = (samples(&text, "hot "), samples(&text, "warm "));
        assert!(hot + warm > 100, "{interpreter}: {text}");
        let share = hot as f64 / (hot + warm) as f64;
        assert!((0.6..0.9).contains(&share), "{interpreter}: {share}\n{text}");
        assert_eq!(samples(&text, "doze "), 0, "threads that wait are left out: {text}");
    }
}

#[test]
fn a_python_without_a_gil_has_a_collector_and_no_time_with_the_gil() {
    let Some(python) = interpreters().iter().rfind(|one| one.free_threaded) else {
        return naja_testkit::not_tested("a free-threaded Python: there is none");
    };
    let naja = naja();
    let target = Target::start(python, COLLECTS);
    let output = record(&naja, &target, &["--duration", "1", "--gc", "--output", "out.collapsed"]);
    assert!(output.status.success(), "{python}: {}", block(&output, &[]));
    let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
    assert!(samples(&text, "<GC>") > 0, "{python}: {text}");
    // Some modules turn the GIL on for a moment when they are imported; here it has none.
    let output = record(&naja, &target, &["--duration", "0.5", "--gil", "--output", "gil.collapsed"]);
    assert!(output.status.success(), "{python}: {}", block(&output, &[]));
    let shown = block(&output, &[]);
    assert!(shown.contains("free-threaded Python has no GIL to hold"), "{python}: {shown}");
}

#[test]
fn modes_and_idle_choose_which_samples_count() {
    let Some(python) = python() else { return };
    let naja = naja();
    let target = Target::start(python, PROGRAM);
    let of = |options: &[&str]| {
        let all = [&["--duration", "0.5", "--output", "out.collapsed"], options].concat();
        let output = record(&naja, &target, &all);
        assert!(output.status.success(), "{}", block(&output, &[]));
        std::fs::read_to_string(target.file("out.collapsed")).expect("it was written")
    };
    let idle = of(&["--idle"]);
    assert!(samples(&idle, "doze ") > 0 && samples(&idle, "hot ") > 0, "{idle}");
    for options in [["--gil"].as_slice(), &["--mode", "cpu"], &["--mode=gil"]] {
        let busy = of(options);
        assert!(samples(&busy, "doze ") == 0 && samples(&busy, "hot ") > 0, "{options:?}: {busy}");
    }
    let threads = of(&["--threads", "--idle"]);
    assert!(threads.lines().any(|line| line.contains("doze") && line.starts_with("thread")), "{threads}");
    let functions = of(&["--function"]);
    assert!(functions.lines().any(|line| line.contains("hot (target.py:7)")), "{functions}");
}

#[test]
fn children_are_recorded_when_that_is_asked_for() {
    let Some(python) = python() else { return };
    let naja = naja();
    let mut target = Target::start(python, FAMILY);
    let older = target.ready().as_u64().expect("it is a number");
    let alone = record(&naja, &target, &["-d", "0.3", "-o", "alone.naja"]);
    assert!(alone.status.success(), "{}", block(&alone, &[]));
    let pids = sql(&naja, &target.file("alone.naja"), "select pid from processes");
    assert_eq!(pids, [target.pid().to_string()]);

    let recording = target.file("all.naja");
    let child = begin(&naja, &target, &["--subprocesses", "-o", "all.naja"]);
    let later = target.ask("another").as_u64().expect("it is a number");
    let query = "select distinct pid from samples where function = 'spin' order by pid";
    let mut wanted = [older.to_string(), later.to_string()];
    wanted.sort();
    let start = Instant::now();
    let mut seen = Vec::new();
    while seen != wanted && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
        seen = sql(&naja, &recording, query);
        seen.sort();
    }
    assert_eq!(seen, wanted);
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", block(&output, &[]));
}

#[test]
fn ctrl_c_and_its_like_end_the_recording_and_keep_it() {
    let Some(python) = python() else { return };
    let naja = naja();
    let mut target = Target::start(python, PROGRAM);
    for wish in [Signal::INT, Signal::TERM, Signal::HUP] {
        let child = begin(&naja, &target, &["-o", "out.json"]);
        signal(&child, wish);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{wish:?}: {}", block(&output, &[]));
        let text = std::fs::read(target.file("out.json")).expect("it was written");
        serde_json::from_slice::<serde_json::Value>(&text).expect("it is whole");
        std::fs::remove_file(target.file("out.json")).expect("it is there");
    }
    assert!(target.is_running(), "the process itself is left alone");
}

#[test]
fn a_recorder_that_is_killed_leaves_what_it_has_seen() {
    let Some(python) = python() else { return };
    let naja = naja();
    let mut target = Target::start(python, PROGRAM);
    let recording = target.file("out.naja");
    let mut child = begin(&naja, &target, &["-o", "out.naja"]);
    let start = Instant::now();
    while sql(&naja, &recording, "select count(*) from samples where function = 'work'") == ["0"] {
        assert!(start.elapsed() < Duration::from_secs(30), "nothing was recorded");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().expect("it lives");
    child.wait().expect("it ends");
    assert_ne!(sql(&naja, &recording, "select count(*) from samples where function = 'work'"), ["0"]);
    assert!(target.is_running());
}

#[test]
fn the_end_of_the_process_ends_the_recording() {
    let Some(python) = python() else { return };
    let naja = naja();
    let mut target = Target::start(python, PROGRAM);
    let child = begin(&naja, &target, &["-o", "out.collapsed"]);
    target.close_input();
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", block(&output, &[]));
    let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
    assert!(samples(&text, "work ") > 0, "{text}");
}

#[test]
fn times_are_those_of_the_recording_and_not_of_the_process() {
    let Some(python) = python() else { return };
    let naja = naja();
    let program = PROGRAM.replace(
        "print(json",
        "end = time.process_time() + 1.5\nwhile time.process_time() < end: pass\nprint(json",
    );
    let target = Target::start(python, &program);
    let output = record(&naja, &target, &["-d", "0.5", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stderr).expect("it is JSON");
    let thread = &report["processes"][0]["threads"][0];
    for seconds in [&report["user_s"], &report["processes"][0]["cpu_s"], &thread["cpu_s"]] {
        let seconds = seconds.as_f64().expect("it is a number");
        assert!(seconds < 1.4, "{report:#}");
    }
}

fn start(naja: &Naja, python: &Interpreter, folder: &Path, options: &[&str], code: &str) -> Output {
    std::fs::write(folder.join("app.py"), code).expect("it can be written");
    let mut command = naja.command();
    command.arg("record").args(options).arg("--").arg(&python.path).arg("app.py");
    command.current_dir(folder).output().expect("naja starts")
}

#[test]
fn a_program_that_is_started_ends_as_it_would_by_itself() {
    let Some(python) = python() else { return };
    let (naja, folder) = (naja(), tempfile::tempdir().expect("there is room"));
    let code = "print('out')\nimport sys, time\ntime.sleep(0.1)\nsys.exit(7)";
    let output = start(&naja, python, folder.path(), &["-o", "out.naja"], code);
    assert_eq!(output.status.code(), Some(7), "{}", block(&output, &[]));
    assert_eq!(output.stdout, b"out\n");
    assert_ne!(sql(&naja, &folder.path().join("out.naja"), "select count(*) from samples"), ["0"]);

    let output = start(&naja, python, folder.path(), &[], "import os\nos.kill(os.getpid(), 15)");
    assert_eq!(output.status.signal(), Some(15), "{}", block(&output, &[]));
}

#[test]
fn a_program_that_is_started_is_ended_when_the_time_is_over() {
    let Some(python) = python() else { return };
    let (naja, folder) = (naja(), tempfile::tempdir().expect("there is room"));
    for code in [
        "import time\ntime.sleep(1000)",
        // One that does not want to.
        "import signal, time\nsignal.signal(15, signal.SIG_IGN)\ntime.sleep(1000)",
    ] {
        let options = ["-d", "0.5", "--idle", "-o", "out.collapsed"];
        let output = start(&naja, python, folder.path(), &options, code);
        assert_eq!(output.status.code(), Some(0), "{}", block(&output, &[]));
        let text = std::fs::read_to_string(folder.path().join("out.collapsed")).expect("it was written");
        assert!(samples(&text, "app.py") > 0, "{text}");
    }
}

#[test]
fn an_output_that_cannot_be_written_costs_the_output_alone() {
    let Some(python) = python() else { return };
    let naja = naja();
    let target = Target::start(python, PROGRAM);
    let output = record(&naja, &target, &["-d", "60", "-o", "missing/out.html"]);
    let text = block(&output, &[]);
    assert!(text.contains("error[cannot-write]") && text.contains("nothing was recorded"), "{text}");
    assert_eq!(output.status.code(), Some(2));

    std::fs::create_dir(target.file("goes")).expect("it can be made");
    let child = begin(&naja, &target, &["-o", "goes/out.json"]);
    std::fs::remove_dir(target.file("goes")).expect("it is empty");
    signal(&child, Signal::INT);
    let output = child.wait_with_output().expect("it ends");
    let text = block(&output, &[]);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("error[cannot-write]") && text.contains("naja convert "), "{text}");
    let recording = text.split("naja convert ").nth(1).and_then(|rest| rest.split(' ').next());
    let recording = Path::new(recording.expect("the hint names it"));
    assert_ne!(sql(&naja, recording, "select count(*) from samples"), ["0"], "nothing is lost");
}

#[test]
fn options_may_follow_the_number_of_the_process() {
    let Some(python) = python() else { return };
    let (naja, target) = (naja(), Target::start(python, PROGRAM));
    let pid = target.pid().to_string();
    let output = naja
        .command()
        .args(["record", &pid, "-d", "0.3", "--idle", "-o"])
        .arg(target.file("out.collapsed"))
        .output()
        .expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
    assert!(samples(&text, "(") > 0, "{text}");
    // After `--` a number is a program.
    let output = naja.command().args(["record", "--", &pid, "-d", "1"]).output().expect("naja starts");
    assert!(block(&output, &[]).contains("no-such-command"), "{}", block(&output, &[]));
}

#[test]
fn what_is_asked_for_must_make_sense() {
    let naja = naja();
    let check = |arguments: &[&str], error: &str| {
        let output = naja.command().arg("record").args(arguments).output().expect("naja starts");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", block(&output, &[]));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(error), "{arguments:?}: {text}");
    };
    check(&[], "usage");
    check(&["-p", "1", "app.py"], "usage");
    check(&["-p", "1", "--format", "speedscope"], "`--format speedscope` needs an output");
    check(&["-p", "1", "-o", "out.png"], "unknown-format");
    check(&["-p", "1", "-o", "-", "--format", "naja"], "cannot be written to standard output");
    check(&["-d", "-3", "-p", "1"], "not a number of seconds");
    check(&["-o", "-", "--format", "collapsed", "--", "python3", "-c", "1"], "the program's");
    check(&["-p", "4194303"], "no-such-process");
    check(&["4194303"], "no-such-process");
    check(&["4194303", "-d", "1"], "no-such-process");
    check(&["4194303", "app.py"], "usage");
    check(&["-p", "1", "--native", "--nonblocking"], "usage");
    check(&["--", "no-such-program-anywhere"], "no-such");
    let own = std::process::id().to_string();
    check(&["-p", &own], "not-python");
    let mut sleeper = Command::new("sleep").arg("60").spawn().expect("sleep is there");
    check(&["-p", &sleeper.id().to_string()], "not-python");
    sleeper.kill().expect("it lives");
    sleeper.wait().expect("it ends");
}

#[test]
fn a_program_that_runs_in_step_with_the_samples_is_not_mistaken() {
    let Some(python) = python() else { return };
    let naja = naja();
    // Three tenths of each millisecond of the clock that naja samples by.
    let program = "
import json, sys, threading, time
def early(until):
    while time.monotonic_ns() < until: pass
def late(until):
    while time.monotonic_ns() < until: pass
threading.Thread(target=lambda: (sys.stdin.read(), done.set()), daemon=True).start()
done = threading.Event()
print(json.dumps({}), flush=True)
true = {'early': 0, 'late': 0}
while not done.is_set():
    start = time.monotonic_ns()
    beat = start // 1_000_000 * 1_000_000
    early(beat + 300_000)
    middle = time.monotonic_ns()
    late(beat + 1_000_000)
    true['early'] += middle - start
    true['late'] += time.monotonic_ns() - middle
print(json.dumps(true), flush=True)
";
    let mut target = Target::start(python, program);
    let output = record(&naja, &target, &["-d", "3", "-o", "out.collapsed"]);
    assert!(output.status.success(), "{}", block(&output, &[]));
    let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");
    target.close_input();
    let truth = target.answer();
    let time = |name: &str| truth[name].as_f64().expect("it is a number");
    let share = time("early") / (time("early") + time("late"));
    let (early, late) = (samples(&text, "early ") as f64, samples(&text, "late ") as f64);
    // Samples at one moment of each millisecond would show nothing of one of the two.
    assert!((early / (early + late) - share).abs() < 0.06, "{share}: {text}");
}
