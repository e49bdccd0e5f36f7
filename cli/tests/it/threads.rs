//! Every thread is in the report, whoever made it and however short it lived.

use std::collections::BTreeSet;

use crate::{Observed, folder_with};

fn run(program: &str) -> Option<(Observed, tempfile::TempDir)> {
    let folder = folder_with(&[("app.py", program)]);
    let observed = Observed::run(folder.path(), &["app.py"])?;
    assert!(observed.output.status.success(), "{}", observed.text);
    Some((observed, folder))
}

fn names(observed: &Observed) -> BTreeSet<String> {
    let threads = observed.processes()[0]["threads"].as_array().expect("a list");
    threads.iter().map(|thread| thread["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn threads_are_named_also_later_and_stay_when_they_end() {
    let Some((observed, _folder)) = run("
import threading, time
def busy():
    end = time.time() + 0.3
    while time.time() < end: sum(range(100))
early = threading.Thread(target=busy, name='ends early')
early.start()
early.join()
def renamed():
    threading.current_thread().name = 'has a new name'
    busy()
    time.sleep(0.5)
late = threading.Thread(target=renamed, name='first name')
late.start()
late.join()
")
    else {
        return;
    };
    let names = names(&observed);
    for name in ["MainThread", "ends early", "has a new name"] {
        assert!(names.contains(name), "{name} is not in {names:?}");
    }
}

#[test]
fn a_thread_that_is_none_of_python_s_is_shown() {
    // The C library's own timers run in a thread that it makes, named as the process is.
    let Some((observed, _folder)) = run("
import ctypes, time
libc = ctypes.CDLL(None)
start = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)
thread = ctypes.c_ulong()
pause = ctypes.cast(libc.sleep, ctypes.c_void_p)
assert libc.pthread_create(ctypes.byref(thread), None, pause, ctypes.c_void_p(1)) == 0
libc.pthread_setname_np(thread, b'native worker')
time.sleep(0.5)
")
    else {
        return;
    };
    assert!(names(&observed).contains("native worker"), "{:#}", observed.report["processes"]);
}

#[test]
fn three_hundred_threads_are_all_told_apart() {
    let Some((observed, _folder)) = run("
import threading, time
go_on = threading.Event()
threads = [threading.Thread(target=go_on.wait, name=f'worker {number}') for number in range(300)]
for thread in threads: thread.start()
time.sleep(1.5)
go_on.set()
for thread in threads: thread.join()
")
    else {
        return;
    };
    let process = &observed.processes()[0];
    let listed = process["threads"].as_array().expect("a list").len() as u64;
    let unlisted = process["threads_unlisted"].as_u64().expect("a number");
    assert_eq!(listed + unlisted, 301);
    assert!(names(&observed).iter().filter(|name| name.starts_with("worker ")).count() > 100);
}

#[test]
fn threads_that_come_and_go_fast_are_survived() {
    let Some((observed, _folder)) = run("
import threading, time
end = time.time() + 1
count = 0
while time.time() < end:
    thread = threading.Thread(target=lambda: sum(range(2000)))
    thread.start()
    thread.join()
    count += 1
print(count)
")
    else {
        return;
    };
    let process = &observed.processes()[0];
    let listed = process["threads"].as_array().expect("a list").len();
    assert!((1..=400).contains(&listed), "{listed} threads");
    assert!(names(&observed).contains("MainThread"));
}

#[test]
fn a_fork_out_of_a_thread_is_followed() {
    let Some((observed, _folder)) = run("
import os, threading, time, warnings
warnings.simplefilter('ignore')
def in_the_child():
    end = time.time() + 0.3
    while time.time() < end: sum(range(100))
def fork():
    child = os.fork()
    if child == 0:
        in_the_child()
        os._exit(0)
    os.waitpid(child, 0)
threads = [threading.Thread(target=fork) for number in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
")
    else {
        return;
    };
    assert_eq!(observed.processes().len(), 4, "{:#}", observed.report["processes"]);
    assert!(observed.seconds_in("in_the_child") > 0.1, "{:#}", observed.report["functions"]);
}
