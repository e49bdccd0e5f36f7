//! `--native` and threads that are not plain threads of Python: those of libraries, those in several interpreters, and
//! those that must not notice that they are looked at.

use std::path::{Path, PathBuf};
use std::process::Command;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::block;
use naja_testkit::target::Target;
use serde_json::Value;

use crate::naja;

/// Threads that know nothing of Python, and calls that a signal may interrupt.
const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>
volatile long sum;
__attribute__((noinline)) void pool_work(long n) { for (long i = 0; i < n; i++) sum += i * n; }
__attribute__((noinline)) void pool_wait(void) { for (;;) { pause(); sum++; } }
static void *worker(void *_) { for (;;) { pool_work(1000); sum++; } return _; }
static void *waiter(void *_) { pool_wait(); sum++; return _; }
void pool_start(void) {
    pthread_t thread;
    pthread_create(&thread, 0, worker, 0);
    pthread_setname_np(thread, "pool worker");
    pthread_create(&thread, 0, waiter, 0);
    pthread_setname_np(thread, "pool waiter");
}
/* Works and waits in turn; gives how often a wait was interrupted. */
long interrupted(long rounds) {
    long count = 0;
    int epoll = epoll_create1(0);
    struct epoll_event event;
    for (long i = 0; i < rounds; i++) {
        pool_work(i % 7 * 2000);
        if (epoll_wait(epoll, &event, 1, 1) < 0 && errno == EINTR) count++;
        pool_work(i % 11 * 2000);
        struct timeval some = {0, 300};
        if (select(0, 0, 0, 0, &some) < 0 && errno == EINTR) count++;
        pool_work(i % 13 * 2000);
        struct timespec time = {0, 200000};
        if (nanosleep(&time, 0) < 0 && errno == EINTR) count++;
    }
    close(epoll);
    return count;
}
/* Gives the error with which a wait of ten seconds ends before its time. */
int until_signal(void) {
    int epoll = epoll_create1(0);
    struct epoll_event event;
    int result = epoll_wait(epoll, &event, 1, 10000), error = errno;
    close(epoll);
    return result < 0 ? error : 0;
}
"#;

fn compile(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("pool.c"), folder.join("pool.so"));
    std::fs::write(&source, LIBRARY).expect("the folder is ours");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-g", "-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("the project needs a C compiler").success());
    library
}

/// The interpreters that have `ctypes`.
fn with_ctypes() -> impl Iterator<Item = &'static Interpreter> {
    interpreters().iter().filter(|interpreter| {
        let output = interpreter.command().args(["-c", "import ctypes"]).output().expect("it runs");
        if !output.status.success() {
            naja_testkit::not_tested(&format!("threads of C on {interpreter}: it has no ctypes"));
        }
        output.status.success()
    })
}

fn dump(target: &Target) -> Value {
    let pid = target.pid().to_string();
    let output = naja().command().args(["dump", "--native", "--json", &pid]).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn record(target: &Target, options: &[&str]) -> String {
    let mut command = naja().command();
    command.args(["record", "--native", "--duration", "1", "-o", "out.collapsed"]).args(options);
    let output = command.args(["--pid", &target.pid().to_string()]).current_dir(target.folder()).output();
    let output = output.expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    std::fs::read_to_string(target.file("out.collapsed")).expect("it was written")
}

fn frames(thread: &Value) -> Vec<(&str, &str)> {
    let frames = thread["frames"].as_array().expect("a list").iter();
    frames.map(|frame| (word(&frame["name"]), word(&frame["kind"]))).collect()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn threads_without_python_are_shown_with_their_own_functions() {
    let program = "
import ctypes, json, os, time
ctypes.CDLL(os.environ['POOL']).pool_start()
print(json.dumps({}), flush=True)
while True: time.sleep(9)
";
    for interpreter in with_ctypes() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let library = compile(folder.path());
        let file = folder.path().join("target.py");
        std::fs::write(&file, program).expect("the folder is ours");
        let mut command = interpreter.command();
        command.arg(file).env("POOL", library);
        let target = Target::spawn(command, folder);

        // A thread gets its name a moment after it has started.
        let mut seen = Value::Null;
        let is_shown = |dump: &Value, name: &str, function: &str, state: &str| {
            let threads = dump["threads"].as_array().expect("a list");
            threads.iter().any(|thread| {
                thread["thread_name"] == name
                    && thread["state"] == state
                    && frames(thread).contains(&(function, "native"))
            })
        };
        let are_shown = (0..200).any(|_| {
            seen = dump(&target);
            is_shown(&seen, "pool worker", "pool_work", "native")
                && is_shown(&seen, "pool waiter", "pool_wait", "sleep")
        });
        assert!(are_shown, "{interpreter}: {seen:#}");
        assert_eq!(seen["processes"][0]["other_threads"], 0, "{interpreter}");

        let text = record(&target, &["--idle", "--threads"]);
        for (thread, function) in [("pool worker", "pool_work"), ("pool waiter", "pool_wait")] {
            let is_it = |line: &str| line.contains(thread) && line.contains(function);
            assert!(text.lines().any(is_it), "{interpreter}: {function}\n{text}");
        }
        let running = record(&target, &["--threads"]);
        assert!(running.contains("pool_work") && !running.contains("pool_wait"), "{interpreter}: {running}");
    }
}

#[test]
fn a_thread_in_several_interpreters_has_the_functions_between_them() {
    let program = "
import json
try: import _interpreters as interpreters
except ImportError: import _xxsubinterpreters as interpreters
inside = '''
import time
def within():
    while True: time.sleep(0.05)
within()
'''
own = interpreters.create()
def outside(): getattr(interpreters, 'run_string')(own, inside)
print(json.dumps({}), flush=True)
outside()
";
    for interpreter in interpreters() {
        let target = Target::start(interpreter, program);
        let mut seen = Value::Null;
        let is_whole = (0..200).any(|_| {
            seen = dump(&target);
            let threads = seen["threads"].as_array().expect("a list");
            // Innermost first: something native above the innermost function, and above the one that runs it.
            let above = |name: &str| {
                threads.iter().any(|thread| {
                    let frames = frames(thread);
                    frames.first().is_some_and(|(_, kind)| *kind == "native")
                        && frames.contains(&(name, "python"))
                })
            };
            above("within") && above("outside")
        });
        assert!(is_whole, "{interpreter}: {seen:#}");

        let text = record(&target, &["--idle"]);
        let is_merged = |line: &str| {
            let names: Vec<&str> = line.split(';').map(|one| one.split(" (").next().unwrap_or("")).collect();
            let place = |name: &str| names.iter().position(|other| *other == name);
            let (Some(outside), Some(within)) = (place("outside"), place("within")) else { return false };
            // Between the two are the functions of C, beside the module's code inside.
            outside + 2 < within && within + 1 < names.len()
        };
        assert!(text.lines().any(is_merged), "{interpreter}: {text}");
    }
}

#[test]
fn waits_in_c_are_never_interrupted_by_looking_at_them() {
    if cfg!(not(target_arch = "x86_64")) {
        return naja_testkit::not_tested("waits in C that a pause interrupts: on this processor they end");
    }
    let program = "
import ctypes, errno, os, signal, threading
library = ctypes.CDLL(os.environ['POOL'])
library.interrupted.restype = ctypes.c_long
counts = []
def wait(): counts.append(library.interrupted(700))
threads = [threading.Thread(target=wait) for _ in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
# A signal for which there is a handler ends a wait as it does without naja.
signal.signal(signal.SIGALRM, lambda *_: None)
signal.setitimer(signal.ITIMER_REAL, 0.2)
error = library.until_signal()
print(sum(counts), error == errno.EINTR)
";
    for interpreter in with_ctypes() {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let library = compile(folder.path());
        std::fs::write(folder.path().join("target.py"), program).expect("the folder is ours");
        let mut command = naja().command();
        command.args(["record", "--native", "-r", "2000", "-o", "out.collapsed", "--"]);
        command.arg(&interpreter.path).arg("target.py").env("POOL", library);
        let output = command.current_dir(folder.path()).output().expect("naja starts");
        let told = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        assert_eq!(told, "0 True", "{interpreter}: {}", block(&output, &[]));
    }
}
