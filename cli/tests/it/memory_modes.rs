//! `naja memory run --native` and `--sample` on real programs under every interpreter.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::block;
use naja_testkit::not_tested;
use serde_json::Value;

use crate::memory::{report, run, sql};
use crate::naja;

/// Makes one text for each number, at a line of its own below a function of C.
const SORTED: &str = "\
import threading
def key(number):
    return 'x' * 2000 + str(number)
def sort():
    kept.append(sorted(range(3000), key=key))
kept = []
sort()
thread = threading.Thread(target=sort)
thread.start()
thread.join()
";

/// The functions around the first branch of this name, the outermost first.
fn around(tree: &Value, function: &str) -> Vec<String> {
    let branches = tree["branches"].as_array().expect("there are branches");
    let mut open: Vec<String> = Vec::new();
    for branch in branches {
        let depth = branch["depth"].as_u64().expect("a number") as usize;
        let name = branch["function"].as_str().expect("a name");
        open.truncate(depth);
        if name == function && open.iter().any(|outer| outer == "sort") {
            return open;
        }
        open.push(name.to_owned());
    }
    panic!("`{function}` is not there: {tree}");
}

#[test]
fn functions_of_machine_code_stand_between_those_of_python() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let options = ["--native", "--python-allocators"];
        run(&naja, folder.path(), interpreter, &options, SORTED);
        // Both stacks are seen whole, so that each Python function stands where machine code has called it.
        let tree = report(&naja, folder.path(), &["tree", "--all"]);
        let outer = around(&tree, "key");
        let python = sql(
            &naja,
            folder.path(),
            "select count(*) from functions where kind = 'native' and name like 'list_sort%'",
        );
        if python == ["0"] {
            not_tested(&format!("functions inside {interpreter}: it is stripped"));
            continue;
        }
        let at = |name: &str| outer.iter().position(|one| one.starts_with(name));
        let (sort, sorted) = (at("sort"), at("builtin_sorted").or_else(|| at("list_sort")));
        assert!(sort.is_some() && sorted > sort, "{interpreter}: {outer:?}");
        // Neither the agent's own functions nor the interpreter's glue are shown.
        let names = sql(&naja, folder.path(), "select distinct name from functions where kind = 'native'");
        let glue = |name: &&String| {
            name.contains("naja") || name.starts_with("_PyEval_EvalFrame") || name.contains("Vectorcall")
        };
        assert_eq!(names.iter().find(glue), None, "{interpreter}");
        // The sums are those of a recording without them.
        let with = report(&naja, folder.path(), &["stats"])["given"]["bytes"].as_f64();
        run(&naja, folder.path(), interpreter, &["--python-allocators"], SORTED);
        let without = report(&naja, folder.path(), &["stats"])["given"]["bytes"].as_f64();
        let ratio = with.expect("a number") / without.expect("a number");
        assert!((0.99..1.01).contains(&ratio), "{interpreter}: {ratio}");
    }
}

/// Gives 60 MB in small blocks and keeps 20 of them, in two threads.
const BLOCKS: &str = "\
import threading
kept = []
def keep():
    for _ in range(10_000):
        kept.append(bytearray(1000))
def soon():
    for _ in range(20_000):
        bytearray(1000)
threads = [threading.Thread(target=work) for work in (keep, soon, keep, soon)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
import os
os._exit(0)
";

#[test]
fn samples_stand_for_all() {
    for interpreter in interpreters() {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        run(&naja, folder.path(), interpreter, &["--sample=8KiB"], BLOCKS);
        // Some 2,500 and 5,000 samples: the estimates scatter by 2 and 1.4 hundredths, and are held to five times that.
        let bytes = |what: &str, function: &str| -> f64 {
            let query = format!(
                "select total({what}) from allocations where function = '{function}' and allocator = 'malloc'"
            );
            sql(&naja, folder.path(), &query).first().and_then(|sum| sum.parse().ok()).expect("a number")
        };
        let kept = bytes("now_bytes", "keep") / 20_020_000.0;
        assert!((0.9..1.1).contains(&kept), "{interpreter}: {kept}");
        let soon = bytes("given_bytes", "soon") / 40_040_000.0;
        assert!((0.93..1.07).contains(&soon), "{interpreter}: {soon}");
        assert_eq!(bytes("now_bytes", "soon"), 0.0, "{interpreter}: what is taken back is seen to be");
        let events = sql(&naja, folder.path(), "select sum(events) from allocation_stretches");
        let events: u64 = events.first().and_then(|count| count.parse().ok()).expect("a number");
        assert!(events < 20_000, "{interpreter}: {events} of 120,000");
    }
}

#[test]
fn a_sample_of_nothing_is_no_size() {
    let output =
        naja().command().args(["memory", "run", "--sample=0", "app.py"]).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("--sample") && text.contains("512KiB"), "{text}");
}

/// Works in a child that holds 5 MB, and holds 30 MB itself.
const BOTH: &str = "\
import multiprocessing, time
def busy(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        sum(range(1000))
def child():
    kept = [bytearray(5_000_000)]
    busy(0.4)
    del kept
def work():
    kept = bytearray(30_000_000)
    busy(0.4)
    return len(kept)
if __name__ == '__main__':
    process = multiprocessing.get_context('spawn').Process(target=child)
    process.start()
    work()
    process.join()
";

#[test]
fn one_recording_holds_samples_and_allocations_on_one_clock() {
    for interpreter in interpreters() {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("app.py"), BOTH).expect("the program is written");
        let mut command = naja.command();
        command.args(["run", "--memory", "-o", "app.naja", "--json", "--python"]);
        let output = command.arg(&interpreter.path).arg("app.py").current_dir(folder.path()).output();
        let output = output.expect("naja starts");
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
        let told: Value = serde_json::from_slice(&output.stderr).expect("it is JSON");
        assert!(told["memory"]["peak"]["bytes"].as_u64() > Some(30_000_000), "{interpreter}: {told}");

        let one = |query: &str| sql(&naja, folder.path(), query).join(";");
        // A process, a thread and a function that both have seen is one.
        let processes = one("select id, pid, parent, interpreter, first_tick, last_tick from processes");
        assert_eq!(
            one("select count(*) - count(distinct pid) from processes"),
            "0",
            "{interpreter}: {processes}"
        );
        // The sampler itself tells the thread of a fork from the same one after an `exec`; memory has one for both.
        let threads =
            "select count(distinct t.id) - count(distinct t.os_tid), min(t.name != '') from threads t
            where t.os_tid != 0 and t.id in (select thread from allocations where given_bytes > 4000000)";
        assert_eq!(one(threads), "0,1", "{interpreter}");
        let functions = "select count(*) - count(distinct qualified_name || file || first_line), count(distinct qualified_name)
            from functions where qualified_name in ('work', 'child', 'busy')";
        assert_eq!(one(functions), "0,3", "{interpreter}");
        // Both are there, and speak of the same stacks.
        let held = "select function, given_bytes from allocations where function in ('work', 'child') and given_bytes > 4000000
            order by given_bytes desc";
        let held = one(held);
        assert!(held.starts_with("work,30000") && held.contains(";child,5000"), "{interpreter}: {held}");
        let process_of = |function: &str| {
            one(&format!(
                "select distinct process from allocations where function = '{function}' and given_bytes > 4000000"
            ))
        };
        assert_ne!(process_of("work"), process_of("child"), "{interpreter}");
        // One clock: what was given begins with the program, and ends no later than what was sampled.
        let times = "select min(first_tick) < 500 and max(end_tick) <= (select value from meta where key = 'until_tick') + 500
            from allocation_stretches";
        assert_eq!(one(times), "1", "{interpreter}");
        assert!(one("select count(*) from samples").parse::<u64>().expect("a number") > 100, "{interpreter}");
    }
}

#[test]
fn a_program_that_replaces_another_is_the_same_process_with_memory_of_its_own() {
    for interpreter in interpreters() {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = "\
import os, sys
kept = bytearray(20_000_000)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, 'app.py', 'again'])
os._exit(0)
";
        run(&naja, folder.path(), interpreter, &[], program);
        let one = |query: &str| sql(&naja, folder.path(), query).join(";");
        assert_eq!(one("select count(*) from processes"), "1", "{interpreter}");
        let held = "select sum(given_bytes) / 1000000, sum(now_bytes) / 1000000, max(peak_bytes) / 1000000 from allocations
            where given_bytes >= 20000000";
        assert_eq!(one(held), "40,20,20", "{interpreter}");
    }
}

/// Gives and takes back without end, in a thread of its own; says when it does.
const BUSY: &str = "\
import threading, time
kept = []
def keep():
    while True:
        kept.append(bytearray(20_000))
        if len(kept) > 100:
            kept.clear()
        sum(range(1000))
        time.sleep(0.0005)
threading.Thread(target=keep, daemon=True).start()
print('ready', flush=True)
while True:
    time.sleep(0.01)
";

/// A program that is made to end with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_process_that_runs_already_is_sampled_and_its_allocations_recorded_and_then_left() {
    for interpreter in interpreters().iter().filter(|one| !one.free_threaded) {
        let naja = naja();
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("app.py"), BUSY).expect("the program is written");
        let mut command = interpreter.command();
        let child = command.arg("app.py").current_dir(folder.path()).stdout(Stdio::piped()).spawn();
        let mut running = Running(child.expect("it starts"));
        let mut line = String::new();
        let stdout = running.0.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says so");
        let pid = running.0.id().to_string();
        let mut command = naja.command();
        command.args(["record", "--memory", "-p", &pid, "-d", "1", "-o", "app.naja"]);
        let output = command.current_dir(folder.path()).output().expect("naja starts");
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));

        let one = |query: &str| sql(&naja, folder.path(), query).join(";");
        let given = one("select total(given_bytes) > 1000000 from allocations where function = 'keep'");
        assert_eq!(given, "1", "{interpreter}");
        assert!(one("select count(*) from samples").parse::<u64>().expect("a number") > 100, "{interpreter}");
        assert_eq!(one("select count(*) from processes"), "1", "{interpreter}");
        let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
        assert!(!maps.contains("naja_memory_agent"), "{interpreter}");
        assert!(running.0.try_wait().expect("it can be asked").is_none(), "{interpreter}: it lives on");
    }
}
