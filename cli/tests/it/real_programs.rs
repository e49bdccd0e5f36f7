//! Programs that nobody here wrote, and programs of every kind of work, under `naja run`: what the report says.
//!
//! Assertions are on shares of the samples that were taken, with generous bounds, so that they hold on a machine
//! that has better things to do.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use naja_testkit::naja::block;
use naja_testkit::not_tested;
use serde_json::Value;

use crate::{folder_with, naja, python};

/// What a run under naja left: the program's output and the report.
struct Run {
    output: Output,
    report: Value,
}

impl Run {
    /// Runs the words after `naja run` in a folder; it must succeed.
    fn of(python: &Path, folder: &Path, words: &[&str]) -> Run {
        let place = tempfile::tempdir().expect("a temporary folder");
        let file = place.path().join("report.json");
        let mut command = naja().command();
        command.args(["run", "-q", "--report"]).arg(&file).arg("--python").arg(python).args(words);
        let output = command.current_dir(folder).stdin(Stdio::null()).output().expect("it starts");
        let shown = block(&output, &[]);
        assert!(output.status.success(), "{words:?}: {shown}");
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{words:?}: {error}\n{shown}"));
        Run { output, report: serde_json::from_str(&text).expect("the report is JSON") }
    }

    /// Runs a program given as text, by the newest interpreter. `None` where there is none.
    fn of_program(program: &str) -> Option<Run> {
        let folder = folder_with(&[("program.py", program)]);
        Some(Run::of(&python()?.path, folder.path(), &["program.py"]))
    }

    fn list(&self, name: &str) -> &[Value] {
        self.report[name].as_array().map_or(&[], Vec::as_slice)
    }

    /// The functions in one of the report's lists.
    fn names(&self, list: &str) -> Vec<&str> {
        self.list(list).iter().filter_map(|row| row["function"].as_str()).collect()
    }

    /// Asserts that functions are among those of a list.
    fn has(&self, list: &str, wanted: &[&str]) {
        let names = self.names(list);
        let missing: Vec<&&str> = wanted.iter().filter(|name| !names.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?} not in {list}: {names:?}");
    }

    /// A number of the row of a function in a list; 0 where it is not there.
    fn of_function(&self, list: &str, function: &str, field: &str) -> f64 {
        let row = self.list(list).iter().find(|row| row["function"] == function);
        row.and_then(|row| row[field].as_f64()).unwrap_or(0.0)
    }

    /// The processes that are Python, the program first.
    fn pythons(&self) -> Vec<&Value> {
        let is_python =
            |process: &&Value| process["interpreter"].as_str().is_some_and(|name| !name.is_empty());
        self.list("processes").iter().filter(is_python).collect()
    }

    /// A share of the program as a whole.
    fn share(&self, of: &str) -> f64 {
        self.report["processes"][0]["shares"][of].as_f64().unwrap_or(0.0)
    }

    /// The thread of the program with this name.
    fn thread(&self, name: &str) -> &Value {
        let threads = self.report["processes"][0]["threads"].as_array().expect("threads");
        let found = threads.iter().find(|thread| thread["name"] == name);
        found.unwrap_or_else(|| panic!("no thread {name} in {threads:#?}"))
    }

    /// The names of the advice that was given.
    fn advice(&self) -> Vec<&str> {
        self.list("advice").iter().filter_map(|line| line["name"].as_str()).collect()
    }
}

/// Asserts that a share is at least so much, showing all of them.
fn at_least(least: f64, share: f64, run: &Run) {
    assert!(share >= least, "{share} < {least}: {:#}", run.report["processes"]);
}

/// An environment with packages from the index, made once and kept under `.cache/tests`.
///
/// `None`, with a note, where there is no interpreter from 3.10 on or the index cannot be reached.
fn environment(name: &str, requirements: &[&str]) -> Option<PathBuf> {
    let python = python().filter(|python| python.minor() >= 10);
    let Some(python) = python else {
        not_tested(&format!("{name}: there is no CPython from 3.10 on"));
        return None;
    };
    let (major, minor, patch) = python.version;
    let cache = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache/tests");
    let key = format!("{name}-{major}.{minor}.{patch}-{:016x}", fingerprint(&requirements.join("\n")));
    let folder = cache.join(key);
    fs::create_dir_all(&folder).expect("the checkout can be written");
    // Tests run side by side, each in a process of its own: one makes it, the others wait.
    let lock = File::create(folder.join("lock")).expect("the folder is ours");
    lock.lock().expect("locks work here");
    let executable = folder.join("env/bin/python");
    if folder.join("complete").is_file() {
        return Some(folder);
    }
    #[allow(clippy::print_stderr)] // whoever runs the tests waits for it
    {
        eprintln!("installing {} into .cache/tests, once", requirements.join(", "));
    }
    let made = succeeds(Command::new(&python.path).args(["-m", "venv", "--clear"]).arg(folder.join("env")));
    let pip = |words: &[&str]| {
        let mut pip = Command::new(&executable);
        pip.args(["-m", "pip", "--disable-pip-version-check", "--quiet", "--no-input"]).args(words);
        succeeds(pip.current_dir(&folder))
    };
    let installed = made.and_then(|()| pip(&[&["install"], requirements].concat()));
    // What a package's wheel lacks, such as its tests, is in its source.
    let source = requirements[0];
    let fetched = installed.and_then(|()| match name {
        "flask" => pip(&["download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", source]),
        _ => Ok(()),
    });
    if let Err(why) = fetched {
        not_tested(&format!("{name}: its packages cannot be installed: {why}"));
        return None;
    }
    File::create(folder.join("complete")).expect("the folder is ours");
    Some(folder)
}

fn succeeds(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rfind(|line| line.starts_with("ERROR")).unwrap_or_default();
    if output.status.success() { Ok(()) } else { Err(format!("{}: {last}", output.status)) }
}

fn fingerprint(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

#[test]
fn a_part_of_flask_s_own_tests_passes_as_under_python() {
    let requirements = ["flask==3.1.2", "pytest==8.4.2", "flit_core==3.12.0", "setuptools==80.9.0"];
    let Some(folder) = environment("flask", &requirements) else { return };
    let python = folder.join("env/bin/python");
    let place = tempfile::tempdir().expect("a temporary folder");
    let unpack = "import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])";
    let archive = folder.join("flask-3.1.2.tar.gz");
    succeeds(Command::new(&python).args(["-W", "ignore", "-c", unpack]).arg(archive).arg(place.path()))
        .expect("it is an archive");
    let tests = place.path().join("flask-3.1.2");
    let words = [
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "ignore",
        "tests/test_basic.py",
        "tests/test_blueprints.py",
    ];
    let mut plain = naja().command_of(&[&python]);
    let plain = plain.args(words).current_dir(&tests).stdin(Stdio::null()).output().expect("it starts");
    let run = Run::of(&python, &tests, &words);
    let [plainly, observed] = [&plain, &run.output].map(|output| outcome(&output.stdout));
    assert_eq!(observed, plainly);
    let passed: u32 = observed.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0);
    assert!(passed > 100, "{observed}");
    assert!(!run.names("functions").is_empty());
    let files: Vec<&str> = run.list("functions").iter().filter_map(|row| row["file"].as_str()).collect();
    assert!(files.iter().any(|file| file.contains("site-packages")), "{files:?}");
    assert!(run.report["imports_s"].as_f64() > Some(0.0));
}

/// pytest's last line without the time that it took: `187 passed, 1 skipped`.
fn outcome(stdout: &[u8]) -> String {
    let text = String::from_utf8_lossy(stdout);
    let last = text.lines().rfind(|line| line.contains(" in ")).unwrap_or_default();
    last.split(" in ").next().unwrap_or_default().to_owned()
}

/// Runs one program of pyperformance, which starts workers, and gives what naja saw.
fn pyperformance(benchmark: &str, words: &[&str]) -> Option<Run> {
    let folder = environment("pyperformance", &["pyperformance==1.14.0", "pyperf==2.9.0"])?;
    let python = folder.join("env/bin/python");
    let find = "import pyperformance, pathlib; print(pathlib.Path(pyperformance.__file__).parent)";
    let found = Command::new(&python).args(["-c", find]).output().expect("it starts");
    let package = String::from_utf8(found.stdout).expect("text");
    let program = format!("{}/data-files/benchmarks/{benchmark}/run_benchmark.py", package.trim());
    let few = ["--processes=2", "--values=2", "--warmups=1", "--min-time=0.3", "--copy-env"];
    let run = Run::of(&python, &folder, &[&[program.as_str()], &few[..], words].concat());
    let text = String::from_utf8_lossy(&run.output.stdout).into_owned();
    assert!(text.contains("Mean +- std dev"), "{text}");
    Some(run)
}

#[test]
fn the_n_body_benchmark_is_seen_in_its_workers() {
    let Some(run) = pyperformance("bm_nbody", &["--loops=4"]) else { return };
    run.has("functions", &["advance"]);
    at_least(0.4, run.of_function("functions", "advance", "own_share"), &run);
    let workers = run.pythons().iter().filter(|process| process["parent_pid"] != 0).count();
    assert!(workers >= 2, "{:#}", run.report["processes"]);
    let lines: Vec<i64> = run
        .list("lines")
        .iter()
        .filter(|row| row["function"] == "advance")
        .filter_map(|row| row["line"].as_i64())
        .collect();
    assert!(lines.len() >= 5, "its lines are told apart: {lines:?}");
}

#[test]
fn the_json_benchmark_is_seen_in_c_code() {
    let Some(run) = pyperformance("bm_json_dumps", &["--loops=8"]) else { return };
    run.has("functions", &["JSONEncoder.encode", "JSONEncoder.iterencode"]);
    let native = |process: &&Value| process["shares"]["native"].as_f64() > Some(0.3);
    assert!(run.pythons().iter().any(native), "{:#}", run.report["processes"]);
}

#[test]
fn workers_of_multiprocessing_are_named_and_sampled_however_they_start() {
    for method in ["fork", "spawn", "forkserver"] {
        let program = format!(
            "import multiprocessing as mp, time
def spin_one(n):
    end = time.process_time() + n
    while time.process_time() < end:
        sum(range(200))
def spin_two(n):
    spin_one(n)
if __name__ == '__main__':
    mp.set_start_method('{method}')
    workers = [mp.Process(target=target, args=(0.5,), name='worker %d' % i)
               for i, target in enumerate([spin_one, spin_two, spin_one])]
    for worker in workers: worker.start()
    for worker in workers: worker.join()
"
        );
        let Some(run) = Run::of_program(&program) else { return };
        run.has("functions", &["spin_one"]);
        // What is the program's, not its machinery's, is nearly all of the time.
        at_least(0.5, run.of_function("functions", "spin_one", "total_share"), &run);
        let children: Vec<&Value> =
            run.pythons().into_iter().filter(|process| process["parent_pid"] != 0).collect();
        let share = |process: &Value, of: &str| process["shares"][of].as_f64().unwrap_or(0.0);
        let busy = |process: &&&Value| share(process, "python") + share(process, "native") > 0.3;
        assert!(children.iter().filter(busy).count() >= 3, "{method}: {children:#?}");
    }
}

#[test]
fn tasks_of_asyncio_are_seen_and_what_they_await_is_a_wait() {
    let program = "import asyncio, time
async def computes():
    end = time.process_time() + 0.4
    while time.process_time() < end:
        sum(range(20000))
        await asyncio.sleep(0)
async def awaits():
    await asyncio.sleep(1.2)
async def main():
    await asyncio.gather(computes(), awaits())
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    await reader.read()
async def serve(reader, writer):
    await asyncio.sleep(0.5)
    writer.close()
async def start():
    global server
    server = await asyncio.start_server(serve, '127.0.0.1', 0)
    await main()
asyncio.run(start())
";
    let Some(run) = Run::of_program(program) else { return };
    run.has("functions", &["computes"]);
    at_least(0.3, run.of_function("functions", "computes", "total_share"), &run);
    // The event loop waits in the kernel for whatever comes first.
    at_least(0.3, run.share("io_wait") + run.share("sleep"), &run);
    assert!(run.names("waits").iter().any(|name| name.contains("select")), "{:?}", run.names("waits"));
}

/// Work and waiting that are shorter than the kernel's tick, after which alone it brings a process's clock up to date.
#[test]
fn short_bursts_of_work_are_told_from_the_waiting_between_them() {
    let program = "import time
def burst(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end: pass
for working, waiting in (0.003, 0.010), (0.010, 0.003), (0.002, 0.002):
    worked, begin = 0, time.perf_counter()
    while time.perf_counter() < begin + 1.5:
        before = time.perf_counter()
        burst(working)
        worked += time.perf_counter() - before
        time.sleep(waiting)
    print(worked / (time.perf_counter() - begin))
";
    let Some(run) = Run::of_program(program) else { return };
    let printed = String::from_utf8_lossy(&run.output.stdout).into_owned();
    let shares: Vec<f64> = printed.lines().map(|line| line.parse().expect("a share")).collect();
    let worked = shares.iter().sum::<f64>() / shares.len() as f64;
    let (running, sleeping) = (run.share("python") + run.share("native"), run.share("sleep"));
    let seen = running / (running + sleeping);
    assert!((seen - worked).abs() < 0.05, "worked {worked} of the time ({printed}), seen {seen}");
}

#[test]
fn python_that_is_run_by_subprocess_is_followed() {
    let program = "import subprocess, sys
CHILD = '''
import time
def childs_work():
    end = time.process_time() + 0.5
    while time.process_time() < end: sum(range(200))
childs_work()
'''
def wait_for_child():
    subprocess.run([sys.executable, '-c', CHILD], check=True)
    subprocess.run(['sh', '-c', 'sleep 0.3; exit 0'], check=True)
wait_for_child()
";
    let Some(run) = Run::of_program(program) else { return };
    run.has("functions", &["childs_work"]);
    assert_eq!(run.pythons().len(), 2, "{:#}", run.report["processes"]);
    at_least(0.5, run.share("child_wait") + run.share("io_wait"), &run);
    assert!(run.advice().contains(&"bound-by-children"), "{:?}", run.advice());
    let others: Vec<&Value> =
        run.list("processes").iter().filter(|process| process["interpreter"] == "").collect();
    assert!(
        others.iter().any(|process| process["command"][0] == "sh" || process["command"][0] == "sleep"),
        "{others:#?}"
    );
}

#[test]
fn threads_that_compute_side_by_side_wait_for_the_gil() {
    let program = "import threading, time
def spin():
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        for i in range(1000): pass
threads = [threading.Thread(target=spin, name='spinner %d' % i) for i in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
";
    let Some(run) = Run::of_program(program) else { return };
    for name in ["spinner 0", "spinner 1"] {
        let thread = run.thread(name);
        at_least(0.2, thread["shares"]["gil_wait"].as_f64().unwrap_or(0.0), &run);
        at_least(0.2, thread["gil_held"].as_f64().unwrap_or(0.0), &run);
    }
    at_least(0.8, run.thread("MainThread")["shares"]["lock_wait"].as_f64().unwrap_or(0.0), &run);
    assert!(run.advice().contains(&"bound-by-gil"), "{:?}", run.advice());
}

/// Asserts that a program whose main thread does one kind of thing is seen to do it.
fn check_state(program: &str, states: &[&str], advice: &[&str]) {
    let Some(run) = Run::of_program(program) else { return };
    at_least(0.6, states.iter().map(|state| run.share(state)).sum(), &run);
    for name in advice {
        assert!(run.advice().contains(name), "{program}\n{:?}", run.report["advice"]);
    }
}

#[test]
fn reading_a_pipe_or_a_socket_is_a_wait_for_input() {
    let pipe = "import os, threading, time
def feed():
    time.sleep(1)
    os.write(out, b'x')
into, out = os.pipe()
threading.Thread(target=feed).start()
os.read(into, 1)
";
    check_state(pipe, &["io_wait"], &["bound-by-io"]);
    let socket = "import socket, threading, time
def feed():
    time.sleep(1)
    there.send(b'x')
here, there = socket.socketpair()
threading.Thread(target=feed).start()
here.recv(1)
";
    check_state(socket, &["io_wait"], &["bound-by-io"]);
}

#[test]
fn sleeping_and_waiting_for_a_lock_are_told_apart() {
    check_state("import time\ntime.sleep(1)\n", &["sleep"], &["bound-by-sleep"]);
    // The other thread is a C one's: it sleeps without the lock that the main thread waits for.
    let program = "import threading, time
lock = threading.Lock()
lock.acquire()
def release():
    time.sleep(1)
    lock.release()
threading.Thread(target=release).start()
lock.acquire()
";
    let Some(run) = Run::of_program(program) else { return };
    at_least(0.6, run.thread("MainThread")["shares"]["lock_wait"].as_f64().unwrap_or(0.0), &run);
}

#[test]
fn c_functions_that_take_long_are_native_code() {
    let digest = "import hashlib, time
data = b'x' * (1 << 22)
end = time.process_time() + 1
while time.process_time() < end: hashlib.sha256(data).digest()
";
    check_state(digest, &["native"], &[]);
    let compressed = "import os, time, zlib
data = os.urandom(1 << 20) + bytes(1 << 20)
end = time.process_time() + 1
while time.process_time() < end: zlib.compress(data, 9)
";
    check_state(compressed, &["native"], &[]);
    let sorting = "import random, time
data = [random.random() for _ in range(100000)]
end = time.process_time() + 1.5
while time.process_time() < end: sorted(data)
";
    check_state(sorting, &["native"], &[]);
    let encoding = "import json, time
data = {str(i): [i, i / 3, {'name': 'x' * 20}] for i in range(20000)}
end = time.process_time() + 1.5
while time.process_time() < end: json.dumps(data)
";
    check_state(encoding, &["native"], &[]);
}

#[test]
fn bytecode_is_python_and_its_hottest_function_is_named() {
    let program = "import time
def hot():
    total = 0
    for i in range(20000):
        total += i & 3
    return total
def cold():
    for i in range(1000): pass
end = time.process_time() + 1.2
while time.process_time() < end:
    hot()
    cold()
";
    let Some(run) = Run::of_program(program) else { return };
    at_least(0.6, run.share("python"), &run);
    at_least(0.7, run.of_function("functions", "hot", "own_share"), &run);
    assert_eq!(run.names("functions").first(), Some(&"hot"));
    assert!(run.advice().contains(&"bound-by-python"), "{:?}", run.advice());
}

#[test]
fn a_program_that_mostly_imports_is_told_so() {
    // Modules that take their time, as large packages do, with functions of their own that run on import.
    let slow = "def build():\n    return [str(i) for i in range(4000000)]\nbuild()\n";
    let folder = folder_with(&[
        ("program.py", "import first\nprint('done')\n"),
        ("first.py", &format!("import second\n{slow}")),
        ("second.py", slow),
    ]);
    let Some(python) = python() else { return };
    let run = Run::of(&python.path, folder.path(), &["program.py"]);
    let imports = run.report["imports_s"].as_f64().unwrap_or(0.0);
    at_least(0.4, imports / run.report["wall_s"].as_f64().unwrap_or(1.0), &run);
    assert!(run.advice().contains(&"bound-by-imports"), "{:?}", run.report["advice"]);
}
