//! `naja memory heap`, held against what the allocator of the same process says of itself.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::block;
use naja_testkit::target::Target;
use serde_json::Value;

use crate::{naja, python};

/// Fragments the heap: of objects of several sizes, made by turns, one in a hundred stays.
const FRAGMENTED: &str = "
class Thing:
    __slots__ = ('a', 'b', 'c')
made = []
for number in range(400_000):
    made.append((float(number), 'text %d' % number, Thing(), bytes(200)))
kept = made[::100]
del made
";

/// Makes as much, and frees all of it.
const FREED: &str = "
made = [(float(number), 'text %d' % number, bytes(200)) for number in range(400_000)]
del made
";

/// Nothing but what starting needs.
const SMALL: &str = "";

/// Writes the allocator's own figures into a pipe that holds less than they have, and so waits in the midst of it.
const TELL: &str = "
import fcntl, gc, sys
gc.collect()
gc.disable()
fcntl.fcntl(2, 1031, 4096)
sys._debugmallocstats()
";

/// A program that stands still while it tells what its allocator has.
struct Teller {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Teller {
    fn start(mut command: Command, program: &str) -> Teller {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join("app.py");
        std::fs::write(&file, format!("{program}\n{TELL}")).expect("it can be written");
        let child = command.arg(&file).stderr(Stdio::piped()).spawn().expect("it starts");
        let teller = Teller { child, _folder: folder };
        // Its system call is told only while it is blocked in it: to write to the pipe that is full.
        let is_blocked = || {
            let call = std::fs::read_to_string(format!("/proc/{}/syscall", teller.pid()));
            call.is_ok_and(|call| call.starts_with("1 0x2 "))
        };
        wait_until(is_blocked);
        teller
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Lets it tell the rest.
    fn told(mut self) -> Told {
        let mut text = String::new();
        let stderr = self.child.stderr.as_mut().expect("it was asked for");
        stderr.read_to_string(&mut text).expect("it is text");
        Told::parse(&text)
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What an allocator says of itself.
#[derive(Debug, PartialEq)]
struct Told {
    /// For each size: pools, blocks in use, blocks free.
    classes: BTreeMap<u64, [u64; 3]>,
    arenas: u64,
    highest: u64,
    allocated: u64,
    free_pools: u64,
}

impl Told {
    fn parse(text: &str) -> Told {
        let number = |text: &str| text.replace(',', "").parse::<u64>().ok();
        let mut classes = BTreeMap::new();
        for line in text.lines() {
            let cells: Option<Vec<u64>> = line.split_whitespace().map(number).collect();
            if let Some([_, size, pools, used, free]) = cells.as_deref() {
                classes.insert(*size, [*pools, *used, *free]);
            }
        }
        let after = |start: &str| {
            let line = text.lines().find(|line| line.starts_with(start));
            line.and_then(|line| number(line.rsplit('=').next()?.trim()))
                .unwrap_or_else(|| panic!("no `{start}` in {text}"))
        };
        let free = text.lines().find(|line| line.contains(" unused pools * ")).expect("it is told");
        Told {
            classes,
            arenas: after("# arenas allocated current"),
            highest: after("# arenas highwater mark"),
            allocated: after("# arenas allocated total"),
            free_pools: free.split_whitespace().next().and_then(number).expect("a number"),
        }
    }

    fn of(report: &Value) -> Told {
        let total = &report["total"];
        let field =
            |value: &Value, name: &str| value[name].as_u64().unwrap_or_else(|| panic!("no {name}: {value}"));
        let classes = total["classes"].as_array().expect("a list").iter();
        Told {
            classes: classes
                .map(|one| {
                    (
                        field(one, "size_bytes"),
                        ["pools", "blocks", "free_blocks"].map(|name| field(one, name)),
                    )
                })
                .collect(),
            arenas: field(total, "arenas"),
            highest: field(total, "arenas_highest"),
            allocated: field(total, "arenas_allocated"),
            free_pools: field(total, "pools_free") + field(total, "pools_untouched"),
        }
    }
}

/// What naja says is what the allocator says.
fn assert_same(report: &Value, mut told: Told, interpreter: &Interpreter) {
    let mut report = report.clone();
    if report["total"]["found_by"] == "scan" && interpreter.minor() < 12 {
        // These two are variables that nothing tells apart from others.
        assert_eq!(report["total"]["arenas_highest"], Value::Null, "{interpreter}");
        (report["total"]["arenas_highest"], report["total"]["arenas_allocated"]) = (0.into(), 0.into());
        (told.highest, told.allocated) = (0, 0);
    }
    assert_eq!(Told::of(&report), told, "{interpreter}");
}

fn heap(words: &[&str]) -> Value {
    let output =
        naja().command().args(["memory", "heap", "--json"]).args(words).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn with_a_gil() -> impl Iterator<Item = &'static Interpreter> {
    interpreters().iter().filter(|one| one.implementation == "cpython" && !one.free_threaded)
}

fn advised(report: &Value, name: &str) -> bool {
    report["advice"].as_array().expect("a list").iter().any(|one| one["name"] == name)
}

fn wait_until(is_so: impl Fn() -> bool) {
    let start = std::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "it never came");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn arenas_pools_and_blocks_are_those_that_the_allocator_counts() {
    for interpreter in with_a_gil() {
        for program in [FRAGMENTED, FREED, SMALL] {
            let teller = Teller::start(interpreter.command(), program);
            let report = heap(&[&teller.pid().to_string()]);
            let told = teller.told();
            assert_same(&report, told, interpreter);
            let total = &report["total"];
            assert_eq!(total["unreadable"], 0, "{interpreter}");
            assert_eq!(total["arenas_changed"], 0, "{interpreter}");
            // Every byte of the arenas is accounted for.
            let field = |name: &str| total[name].as_u64().expect("a number");
            let parts = ["used_bytes", "free_block_bytes", "free_pool_bytes", "overhead_bytes"];
            let all = field("arenas") * field("arena_bytes");
            assert_eq!(parts.map(field).iter().sum::<u64>(), all, "{interpreter}");
        }
    }
}

#[test]
fn a_fragmented_heap_is_called_one_and_one_that_was_freed_has_been_given_back() {
    for interpreter in with_a_gil() {
        let teller = Teller::start(interpreter.command(), FRAGMENTED);
        let report = heap(&[&teller.pid().to_string()]);
        assert!(advised(&report, "sparse-arenas"), "{interpreter}: {}", report["advice"]);
        let total = &report["total"];
        let bytes = |name: &str| total[name].as_u64().expect("a number");
        // Some 1,6 MB of 200 MB stay, and keep most of the arenas.
        assert!(bytes("could_be_given_back_bytes") > 100 << 20, "{interpreter}: {total}");
        assert!(bytes("used_bytes") < 20 << 20, "{interpreter}: {total}");
        drop(teller);
        let teller = Teller::start(interpreter.command(), FREED);
        let report = heap(&[&teller.pid().to_string()]);
        // Where nothing names the variables, nobody knows how many there were.
        let is_known = report["total"]["arenas_highest"] != Value::Null;
        assert_eq!(advised(&report, "given-back"), is_known, "{interpreter}: {}", report["advice"]);
        assert!(!advised(&report, "sparse-arenas"), "{interpreter}: {}", report["advice"]);
    }
}

#[test]
fn objects_are_told_by_their_types() {
    for interpreter in with_a_gil() {
        let teller = Teller::start(interpreter.command(), FRAGMENTED);
        let report = heap(&[&teller.pid().to_string()]);
        // Of each of these one in a hundred has stayed; a few are the interpreter's own.
        let objects = &report["objects_of_sparse_arenas"];
        let share = |name: &str| {
            let types = objects["types"].as_array().expect("a list");
            let blocks = |one: &Value| one["blocks"].as_u64().expect("a number") as f64;
            let all: f64 = types.iter().map(blocks).sum();
            types.iter().filter(|one| one["name"] == name).map(blocks).sum::<f64>() / all
        };
        for name in ["float", "str", "Thing", "bytes", "tuple"] {
            assert!((0.12..0.32).contains(&share(name)), "{interpreter}: {name} {}: {objects}", share(name));
        }
        let text = report["advice"][0]["text"].as_str().expect("a text");
        assert!(text.contains("Thing"), "{interpreter}: {text}");
    }
}

#[test]
fn what_is_resident_adds_up_to_what_top_shows() {
    for interpreter in with_a_gil() {
        let teller = Teller::start(interpreter.command(), FRAGMENTED);
        let report = heap(&[&teller.pid().to_string()]);
        let status = std::fs::read_to_string(format!("/proc/{}/status", teller.pid())).expect("it lives");
        let shown = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let shown: u64 = shown.trim().trim_end_matches(" kB").parse().expect("a number");
        let resident = &report["resident"];
        let field = |name: &str| resident[name].as_u64().unwrap_or_else(|| panic!("no {name}: {resident}"));
        let all = field("total_bytes");
        // The kernel's own sum is kept by each processor apart, and some pages late.
        assert!(all.abs_diff(shown * 1024) < 1 << 20, "{interpreter}: {all} {shown}");
        let parts = [
            "arenas_bytes",
            "heap_bytes",
            "thread_heaps_bytes",
            "stack_bytes",
            "anonymous_bytes",
            "file_bytes",
        ];
        assert_eq!(parts.map(field).iter().sum::<u64>(), all, "{interpreter}");
        assert!(field("arenas_bytes") > 50 << 20, "{interpreter}: {resident}");
    }
}

#[test]
fn a_file_without_names_tells_the_same() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for interpreter in with_a_gil() {
        let Some(stripped) = stripped(interpreter, folder.path().join(interpreter.minor().to_string()))
        else {
            naja_testkit::not_tested("an interpreter could not be stripped");
            continue;
        };
        let teller = Teller::start(stripped, FRAGMENTED);
        let report = heap(&[&teller.pid().to_string()]);
        let told = teller.told();
        let found_by = &report["total"]["found_by"];
        assert_eq!(*found_by, if interpreter.minor() < 12 { "scan" } else { "table" }, "{interpreter}");
        assert_same(&report, told, interpreter);
    }
}

/// The interpreter with all names stripped from it and from its library.
fn stripped(interpreter: &Interpreter, folder: PathBuf) -> Option<Command> {
    let prefix = interpreter.path.canonicalize().ok()?;
    let prefix = prefix.parent()?.parent()?.to_owned();
    let name = format!("python3.{}", interpreter.minor());
    std::fs::create_dir_all(folder.join("bin")).ok()?;
    std::fs::create_dir_all(folder.join("lib")).ok()?;
    let strip = |from: PathBuf, to: PathBuf| {
        Command::new("strip").arg("-o").arg(to).arg(from).status().is_ok_and(|status| status.success())
    };
    if !strip(prefix.join("bin").join(&name), folder.join("bin").join(&name)) {
        return None;
    }
    for entry in std::fs::read_dir(prefix.join("lib")).ok()?.flatten() {
        let file = entry.file_name();
        if file.to_string_lossy().starts_with("libpython3.")
            && !strip(entry.path(), folder.join("lib").join(&file))
        {
            return None;
        }
    }
    let mut command = Command::new(folder.join("bin").join(&name));
    command.env("LD_LIBRARY_PATH", folder.join("lib")).env("PYTHONHOME", &prefix);
    Some(command)
}

#[test]
fn another_allocator_is_named() {
    for interpreter in with_a_gil() {
        let mut command = interpreter.command();
        command
            .env("PYTHONMALLOC", "malloc")
            .args(["-c", "import time; print('{}', flush=True); time.sleep(1000)"]);
        let target = Target::spawn(command, tempfile::tempdir().expect("a temporary folder"));
        let report = heap(&[&target.pid().to_string()]);
        assert_eq!(report["total"]["arenas"], 0, "{interpreter}: {report}");
        assert!(advised(&report, "no-arenas"), "{interpreter}: {report}");
        assert!(
            report["advice"][0]["text"].as_str().expect("a text").contains("PYTHONMALLOC=malloc"),
            "{report}"
        );
    }
}

#[test]
fn each_interpreter_has_its_own_arenas_from_3_12_on() {
    const PROGRAM: &str = "
import json, sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
try:
    number = interpreters.create('isolated')
except TypeError:
    number = interpreters.create()
interpreters.run_string(number, 'kept = [float(number) for number in range(100_000)]')
print(json.dumps(int(number)), flush=True)
sys.stdin.read()
";
    for interpreter in with_a_gil().filter(|one| one.minor() >= 12) {
        let target = Target::start(interpreter, PROGRAM);
        let report = heap(&[&target.pid().to_string()]);
        let numbers: Vec<&Value> = report["interpreters"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| &one["interpreter"])
            .collect();
        assert_eq!(numbers, [&Value::from(0), target.ready()], "{interpreter}");
        let second = &report["interpreters"][1];
        assert!(second["used_bytes"].as_u64() > Some(2_400_000), "{interpreter}: {second}");
    }
}

/// Allocates and frees, all the time, in several threads.
const BUSY: &str = "
import threading
def work():
    while True:
        made = [(float(number), 'text %d' % number, bytes(200)) for number in range(30_000)]
        kept = made[::50]
        del made
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
print('{}', flush=True)
work()
";

#[test]
fn a_program_that_allocates_meanwhile_does_no_harm() {
    for interpreter in with_a_gil() {
        let target = Target::start(interpreter, BUSY);
        let mut good = 0;
        for _ in 0..15 {
            let output = naja()
                .command()
                .args(["memory", "heap", "--json", &target.pid().to_string()])
                .output()
                .expect("naja starts");
            // Where the vector of arenas is replaced again and again, that is said.
            if output.status.code() == Some(2) {
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(text.contains("error[heap-unsteady]"), "{interpreter}: {text}");
                continue;
            }
            let report: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
            let arenas = report["total"]["arenas"].as_u64().expect("a number");
            let used = report["total"]["used_bytes"].as_u64().expect("a number");
            assert!((1..2000).contains(&arenas) && used > 0, "{interpreter}: {report}");
            good += 1;
        }
        assert!(good > 10, "{interpreter}: {good} of 15");
    }
}

#[test]
fn the_text_has_a_picture_and_the_page_asks_nothing_of_the_network() {
    let Some(python) = python() else { return };
    let teller = Teller::start(python.command(), FRAGMENTED);
    let pid = teller.pid().to_string();
    let output = naja().command().args(["memory", "heap", &pid]).output().expect("naja starts");
    let text = String::from_utf8_lossy(&output.stdout);
    for wanted in ["arenas, in order of address", "blocks by size", "resident memory", "what follows", "····"]
    {
        assert!(text.contains(wanted), "{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = folder.path().join("heap.html");
    let output = naja().command().args(["memory", "heap", "-p", &pid, "-o"]).arg(&page).output();
    let output = output.expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    let html = std::fs::read_to_string(&page).expect("it was written");
    assert!(html.starts_with("<!doctype html>") && html.contains("default-src 'none'"));
    assert!(
        !html.contains("http://")
            || html.matches("http://").count() == html.matches("http://www.w3.org/").count()
    );
    assert!(html.len() < 1_000_000, "{}", html.len());
}

#[test]
fn a_process_that_cannot_be_read_is_refused_by_name() {
    let sleeper = Command::new("sleep").arg("1000").spawn().expect("it starts");
    let mut sleeper = sleeper;
    let own = sleeper.id().to_string();
    for (pid, name) in [(own.as_str(), "not-python"), ("4194305", "no-such-process")] {
        let output = naja().command().args(["memory", "heap", pid]).output().expect("naja starts");
        assert_eq!(output.status.code(), Some(2), "{}", block(&output, &[]));
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(&format!("error[{name}]")), "{text}");
    }
    let _ = sleeper.kill();
    let _ = sleeper.wait();
}
