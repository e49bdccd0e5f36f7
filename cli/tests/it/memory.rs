//! `naja memory`: real programs under every interpreter, with the agent in them.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::{Naja, block};
use serde_json::Value;

use crate::naja;

/// `naja memory run` of a program's text, with the interpreter and options that are wanted.
pub(crate) fn run(
    naja: &Naja,
    folder: &Path,
    interpreter: &Interpreter,
    options: &[&str],
    program: &str,
) -> Output {
    std::fs::write(folder.join("app.py"), program).expect("the program is written");
    let mut command = naja.command();
    command.args(["memory", "run", "-o", "app.naja"]).args(options).arg(&interpreter.path).arg("app.py");
    let output = command.current_dir(folder).env("PYTHONHASHSEED", "0").output().expect("naja starts");
    assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
    output
}

/// A report in JSON.
pub(crate) fn report(naja: &Naja, folder: &Path, words: &[&str]) -> Value {
    let mut command = naja.command();
    command.arg("memory").args(words).args(["--json", "app.naja"]);
    let output = command.current_dir(folder).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

/// Rows of a query on the recording, a line each, with commas.
pub(crate) fn sql(naja: &Naja, folder: &Path, query: &str) -> Vec<String> {
    let output =
        naja.command().args(["sql", "--format", "csv", "app.naja", query]).current_dir(folder).output();
    let output = output.expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    String::from_utf8(output.stdout).expect("it is text").lines().skip(1).map(str::to_owned).collect()
}

/// Own bytes of a line in the summary.
fn own(report: &Value, function: &str, line: u64) -> u64 {
    let lines = report["lines"].as_array().expect("there are lines");
    let found = lines.iter().filter(|one| one["function"] == function && one["line"] == line);
    found.map(|one| one["own"]["bytes"].as_u64().expect("a number")).sum()
}

/// Holds 30 MB, then 12 MB less, at lines that are known, below 300 calls.
const LEVELS: &str = "\
import sys
kept = []
def keep(size):
    kept.append(bytearray(size))
def soon(size):
    return len(bytearray(size))
def deep(depth, work):
    return deep(depth - 1, work) if depth else work()
def work():
    keep(10_000_000)
    keep(20_000_000)
    for _ in range(100):
        soon(1_000_000)
    del kept[0]
deep(300, work)
print(len(kept))
";

#[test]
fn every_interpreter_shows_its_lines() {
    for interpreter in interpreters() {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = run(&naja, folder.path(), interpreter, &[], LEVELS);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1\n", "{interpreter}");
        let peak = report(&naja, folder.path(), &["summary", "-n", "1000"]);
        let kept = own(&peak, "keep", 4);
        assert!((30_000_000..30_100_000).contains(&kept), "{interpreter}: {kept}");
        let leaks = report(&naja, folder.path(), &["summary", "-n", "1000", "--all"]);
        let soon = own(&leaks, "soon", 6);
        assert!((100_000_000..100_100_000).contains(&soon), "{interpreter}: {soon}");
        let temporary = report(
            &naja,
            folder.path(),
            &["summary", "-n", "1000", "--temporary", "--temporary-within", "8"],
        );
        let soon = own(&temporary, "soon", 6);
        assert!((100_000_000..100_100_000).contains(&soon), "{interpreter}: {soon}");
        assert_eq!(own(&temporary, "keep", 4), 0, "{interpreter}");

        // The tree holds each of the 301 calls.
        let tree = report(&naja, folder.path(), &["tree"]);
        let branches = tree["branches"].as_array().expect("there are branches");
        let keeps = |one: &&Value| one["function"] == "keep" && one["line"] == 4;
        let keep = branches.iter().find(keeps).unwrap_or_else(|| panic!("{interpreter}: it is not there"));
        // Around it are the module, 301 calls that go deeper, and the work.
        assert_eq!(keep["depth"], 303, "{interpreter}");
        let calls = branches
            .iter()
            .filter(|one| one["function"] == "deep" && one["total"]["bytes"].as_u64() > Some(20_000_000));
        assert_eq!(calls.count(), 301, "{interpreter}");
    }
}

/// Objects of kinds that Python makes anew each time, and not of those that it has kept from before. Whatever it is run
/// with, it makes the same ones, and ends before anything is taken apart.
const OBJECTS: &str = "\
import json, os, sys, tracemalloc
class Thing:
    __slots__ = ('number', 'name')
texts, pieces, things = [None] * 500, [None] * 700, [None] * 300
if sys.argv[1:] == ['trace']:
    tracemalloc.start(1)
for index in range(500):
    texts[index] = str(100_000 + index) * 3
for index in range(700):
    pieces[index] = bytes(index)
for index in range(300):
    things[index] = Thing()
    things[index].number = index + 1000
    things[index].name = 'thing ' + texts[index]
if sys.argv[1:] == ['trace']:
    lines = {}
    for trace in tracemalloc.take_snapshot().traces:
        line = trace.traceback[0].lineno
        if trace.traceback[0].filename == __file__ and line in (8, 10, 12, 13, 14):
            count, size = lines.get(line, (0, 0))
            lines[line] = (count + 1, size + trace.size)
    print(json.dumps(lines), flush=True)
os._exit(0)
";

#[test]
fn objects_are_seen_as_tracemalloc_sees_them() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&naja, folder.path(), interpreter, &["--python-allocators"], OBJECTS);
        let traced = interpreter.command().args(["app.py", "trace"]).current_dir(folder.path()).output();
        let lines: Value = serde_json::from_slice(&traced.expect("it starts").stdout).expect("it is JSON");
        let lines = lines.as_object().expect("lines");
        assert_eq!(lines.len(), 5, "{interpreter}: {lines:?}");
        for (line, amount) in lines {
            let query = format!(
                "select sum(now_blocks), sum(now_bytes) from allocations where line = {line} and file like '%app.py'"
            );
            let seen = sql(&naja, folder.path(), &query);
            let expected = format!("{},{}", amount[0], amount[1]);
            assert_eq!(seen, [expected], "{interpreter}: line {line}");
        }
    }
}

/// Threads that no Python knows, each of which counts what it asks for.
const SOAK: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
enum { SLOTS = 256, SHARED = 64 };
static void *shared[SHARED];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
struct own { uint64_t seed, rounds, blocks, bytes, tid; };
static uint64_t next(struct own *own) {
    own->seed ^= own->seed << 13; own->seed ^= own->seed >> 7; own->seed ^= own->seed << 17;
    return own->seed;
}
static void *work(void *given) {
    struct own *own = given;
    void *slots[SLOTS] = {0};
    own->tid = syscall(SYS_gettid);
    for (uint64_t round = 0; round < own->rounds; round++) {
        uint64_t random = next(own), size = 1 + random % 3000;
        void **slot = &slots[(random >> 20) % SLOTS];
        switch ((random >> 40) % 8) {
        case 0: case 1: free(*slot); *slot = malloc(size); break;
        case 2: free(*slot); *slot = calloc(1, size); break;
        case 3: *slot = realloc(*slot, size); break;
        case 4: free(*slot); *slot = aligned_alloc(64, size); break;
        case 5: free(*slot); if (posix_memalign(slot, 256, size)) abort(); break;
        case 6: { /* What one thread was given, another gives back. */
            void *mine = malloc(size);
            pthread_mutex_lock(&lock);
            void **place = &shared[(random >> 30) % SHARED], *other = *place;
            *place = mine;
            pthread_mutex_unlock(&lock);
            free(other);
            break; }
        default: {
            void *mapped = mmap(0, 8192 + size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (munmap(mapped, 4096) || munmap((char *)mapped + 4096, 4096 + size)) abort();
            size += 8192; }
        }
        own->blocks++; own->bytes += size;
    }
    for (int slot = 0; slot < SLOTS; slot++) free(slots[slot]);
    return 0;
}
void soak(int threads, uint64_t rounds) {
    pthread_t ids[128]; struct own owns[128];
    for (int i = 0; i < threads; i++) {
        owns[i] = (struct own){.seed = 88172645463325252u + i * 7919, .rounds = rounds};
        pthread_create(&ids[i], 0, work, &owns[i]);
    }
    for (int i = 0; i < threads; i++) pthread_join(ids[i], 0);
    for (int place = 0; place < SHARED; place++) { free(shared[place]); shared[place] = 0; }
    for (int i = 0; i < threads; i++)
        printf("%llu %llu %llu\n", (unsigned long long)owns[i].tid, (unsigned long long)owns[i].blocks,
            (unsigned long long)owns[i].bytes);
    fflush(stdout);
}
"#;

#[test]
fn of_millions_of_allocations_in_fifty_threads_none_is_lost() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("soak.c"), SOAK).expect("written");
    let compiled = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o", "soak.so", "soak.c", "-lpthread"])
        .current_dir(folder.path())
        .status();
    assert!(compiled.expect("there is a C compiler").success());
    let program = "import ctypes\nctypes.CDLL('./soak.so').soak(50, ctypes.c_uint64(40_000))\n";
    let output = run(&naja, folder.path(), python, &[], program);
    let counted: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>().join(","))
        .collect();
    assert_eq!(counted.len(), 50);
    for line in &counted {
        let tid = line.split(',').next().expect("a thread");
        let query = format!(
            "select os_tid, sum(given_blocks), sum(given_bytes) from allocations where os_tid = {tid} and function is null group by 1"
        );
        assert_eq!(sql(&naja, folder.path(), &query), std::slice::from_ref(line));
    }
    // Everything was given back, by whichever thread.
    let threads: Vec<&str> = counted.iter().filter_map(|line| line.split(',').next()).collect();
    let query = format!("select sum(now_blocks) from allocations where os_tid in ({})", threads.join(","));
    assert_eq!(sql(&naja, folder.path(), &query), ["0"]);
}

#[test]
fn children_are_in_the_same_recording() {
    const PROGRAM: &str = "\
import multiprocessing, os, subprocess, sys
def child(size):
    kept = bytearray(size)
    return len(kept)
if __name__ == '__main__':
    print('LD_PRELOAD' in os.environ)
    for way, size in (('fork', 5_000_001), ('spawn', 6_000_001), ('forkserver', 7_000_001)):
        with multiprocessing.get_context(way).Pool(1) as pool:
            assert pool.apply(child, (size,)) == size
    subprocess.run([sys.executable, '-c', 'kept = bytearray(8_000_001)'], check=True)
    if not os.fork():
        kept = bytearray(9_000_001)
        os._exit(0)
    os.wait()
";
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let seen = |folder: &Path| {
        let query = "select given_bytes from allocations where given_bytes between 5000000 and 9100000 and function is not null order by 1";
        sql(&naja, folder, query)
            .iter()
            .map(|size| size.parse::<u64>().expect("a number") / 1_000_000)
            .collect::<Vec<_>>()
    };
    run(&naja, folder.path(), python, &[], PROGRAM);
    assert_eq!(seen(folder.path()), [5, 6, 7, 8, 9]);
    let output = run(&naja, folder.path(), python, &["--no-follow"], PROGRAM);
    assert_eq!(seen(folder.path()), [0_u64; 0]);
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("False\n"), "{}", block(&output, &[]));
}

#[test]
fn the_program_goes_on_when_naja_is_killed() {
    const PROGRAM: &str = "\
import os, signal, sys, time
kept = bytearray(3_000_000)
print('ready', flush=True)
sys.stdin.readline()
os.kill(os.getppid(), signal.SIGKILL)
for round in range(200_000):
    bytearray(2000)
open('done', 'w').write('done')
";
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("app.py"), PROGRAM).expect("written");
    let mut command = naja.command();
    command.args(["memory", "run", "-o", "app.naja"]).arg(&python.path).arg("app.py");
    let started = command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.expect("naja starts");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    std::io::BufRead::read_line(&mut output, &mut line).expect("the program speaks");
    assert_eq!(line, "ready\n");
    // What was heard is written four times a second.
    let recorded = || {
        let query = "select count(*) from allocations where given_bytes > 3000000 and function is not null";
        let output = naja
            .command()
            .args(["sql", "--format", "csv", "app.naja", query])
            .current_dir(folder.path())
            .output();
        String::from_utf8_lossy(&output.expect("naja starts").stdout).lines().nth(1) == Some("1")
    };
    wait_until(recorded);
    drop(child.stdin.take());
    let _ = child.wait();
    wait_until(|| folder.path().join("done").is_file());
    // What was written before is there.
    let leaks = report(&naja, folder.path(), &["summary", "--leaks"]);
    assert!(own(&leaks, "<module>", 2) >= 3_000_000, "{leaks}");
}

#[test]
fn a_program_that_is_killed_leaves_its_recording() {
    const PROGRAM: &str = "\
import os, signal
kept = [bytearray(1_000_000) for _ in range(4)]
os.kill(os.getpid(), signal.SIGKILL)
";
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("app.py"), PROGRAM).expect("written");
    let mut command = naja.command();
    command.args(["memory", "run", "-o", "app.naja"]).arg(&python.path).arg("app.py");
    let output = command.current_dir(folder.path()).output().expect("naja starts");
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&output.status),
        Some(9),
        "{}",
        block(&output, &[])
    );
    let leaks = report(&naja, folder.path(), &["summary", "--leaks"]);
    let lines = leaks["lines"].as_array().expect("there are lines");
    assert!(
        lines.iter().any(|line| line["line"] == 2 && line["own"]["bytes"].as_u64() >= Some(4_000_000)),
        "{leaks}"
    );
}

#[test]
fn sums_alone_are_the_same_sums() {
    let Some(python) = crate::python() else { return };
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sums = |options: &[&str]| {
        run(&naja, folder.path(), python, options, LEVELS);
        let figures = report(&naja, folder.path(), &["stats"]);
        (figures["largest"][0].clone(), figures["sizes"].as_array().expect("sizes").len())
    };
    let (exact, sizes) = sums(&[]);
    let (aggregated, no_sizes) = sums(&["--aggregate"]);
    assert_eq!(exact, aggregated);
    assert!(sizes > 5 && no_sizes == 0, "{sizes} {no_sizes}");
    let refused = naja
        .command()
        .args(["memory", "summary", "--temporary", "--temporary-within", "5", "app.naja"])
        .current_dir(folder.path())
        .output()
        .expect("naja starts");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("error[only-sums]"),
        "{}",
        block(&refused, &[])
    );
}

#[test]
fn other_recordings_are_named_as_what_they_are() {
    let naja = naja();
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("capture.bin"), b"memray\0\0\0\x0d").expect("written");
    std::fs::write(folder.path().join("app.py"), "print('hello')").expect("written");
    let recorded =
        naja.command().args(["run", "-q", "-o", "app.naja", "app.py"]).current_dir(folder.path()).output();
    assert!(recorded.expect("naja starts").status.success());
    for (file, name) in [
        ("capture.bin", "memray-capture"),
        ("app.naja", "no-allocations"),
        ("none.naja", "recording-not-found"),
    ] {
        let output = naja.command().args(["memory", "stats", file]).current_dir(folder.path()).output();
        let output = output.expect("naja starts");
        assert_eq!(output.status.code(), Some(2), "{}", block(&output, &[]));
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(&format!("error[{name}]")),
            "{}",
            block(&output, &[])
        );
    }
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "it never came");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
