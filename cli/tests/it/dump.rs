//! `naja dump` on real processes: stacks, states, local variables, trees, and what it says of what it cannot read.

use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::block;
use naja_testkit::not_tested;
use naja_testkit::target::Target;
use rustix::process::geteuid;
use serde_json::Value;

use crate::{naja, python};

/// Threads in every state that a dump tells apart, with local variables.
const PROGRAM: &str = "
import dataclasses, json, os, select, subprocess, sys, threading, time

@dataclasses.dataclass
class Point:
    x: int
    y: int

def spin(number):
    while True: number += 1

def wait_for_lock(lock):
    with lock: pass

def wait_for_input(pipe):
    os.read(pipe, 1)

def wait_for_child(child):
    child.wait()

def doze():
    time.sleep(1000)

class Worker:
    def work(self, argument, *, option):
        point, text, items = Point(1, 2), 'x' * 500, [1, [2, [3, [4, [5]]]]]
        nested = {'a': {'b': (1, 2.5, None)}}
        number = 2 ** 70
        print(json.dumps(child.pid), flush=True)
        sys.stdin.read()

lock = threading.Lock()
lock.acquire()
child = subprocess.Popen(['cat'], stdin=subprocess.PIPE)
pipe = os.pipe()[0]
for name, function, *arguments in [
    ('spinner', spin, 1), ('locked', wait_for_lock, lock), ('reader', wait_for_input, pipe),
    ('parent', wait_for_child, child), ('dozer', doze),
]:
    threading.Thread(target=function, args=arguments, name=name, daemon=True).start()
try:
    Worker().work('first', option=True)
finally:
    child.kill()
";

fn dump(arguments: &[&str]) -> Output {
    naja().command().arg("dump").args(arguments).output().expect("naja starts")
}

fn text(arguments: &[&str]) -> String {
    let output = dump(arguments);
    assert!(output.status.success(), "{}", block(&output, &[]));
    String::from_utf8(output.stdout).expect("a dump is UTF-8")
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&text(&[arguments, &["--json"]].concat())).expect("a dump is JSON")
}

/// The thread of that name; a null value where there is none.
fn thread<'a>(dump: &'a Value, name: &str) -> &'a Value {
    let threads = dump["threads"].as_array().expect("there are threads");
    threads.iter().find(|thread| thread["thread_name"] == name).unwrap_or(&Value::Null)
}

fn names(thread: &Value) -> Vec<&str> {
    let frames = thread["frames"].as_array().map_or(&[][..], Vec::as_slice);
    frames.iter().filter_map(|frame| frame["name"].as_str()).collect()
}

/// Dumps again and again until it is as it will be: threads take a moment to get to where they wait.
fn dump_until(target: &Target, arguments: &[&str], settled: impl Fn(&Value) -> bool) -> Value {
    let pid = target.pid().to_string();
    loop {
        let dump = json(&[&["-p", &pid], arguments].concat());
        if settled(&dump) {
            return dump;
        }
    }
}

/// Whether every thread of `PROGRAM` but the one that works has got to where it waits.
fn all_wait(dump: &Value) -> bool {
    let waits = [
        ("MainThread", "io-wait"),
        ("locked", "lock-wait"),
        ("reader", "io-wait"),
        ("parent", "child-wait"),
        ("dozer", "sleep"),
    ];
    let is_reading = thread(dump, "MainThread")["frames"][0]["line"] == 30;
    is_reading && waits.iter().all(|(name, state)| thread(dump, name)["state"] == *state)
}

#[test]
fn every_thread_is_shown_with_stack_and_state() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let dump = dump_until(&target, &[], all_wait);
        let process = &dump["processes"][0];
        let (major, minor, patch) = interpreter.version;
        assert_eq!(process["version"], format!("{major}.{minor}.{patch}"));
        assert_eq!(
            (&process["pid"], &process["interpreters"]),
            (&target.pid().into(), &serde_json::json!([0]))
        );
        let first = &dump["threads"][0];
        assert_eq!(first["thread_name"], "MainThread", "{interpreter}: the main thread comes first");
        assert_eq!(first["os_thread_id"], target.pid());
        assert_eq!(names(first)[0], "work", "{interpreter}: innermost first");
        assert_eq!(names(first).last(), Some(&"<module>"));
        assert_eq!(first["frames"][0]["line"], 30, "{interpreter}");
        let qualified = if minor >= 11 { "Worker.work" } else { "work" };
        assert_eq!(first["frames"][0]["qualified_name"], qualified);
        assert!(first["frames"][0]["filename"].as_str().is_some_and(|file| file.ends_with("/target.py")));
        assert_eq!((&first["active"], &first["state"]), (&false.into(), &"io-wait".into()));
        for (name, function) in
            [("spinner", "spin"), ("locked", "wait_for_lock"), ("reader", "wait_for_input")]
        {
            let thread = thread(&dump, name);
            assert_eq!(names(thread)[0], function, "{interpreter}: {thread:#}");
            assert_eq!(names(thread).last(), Some(&"_bootstrap"), "{interpreter}");
            assert_eq!(thread["complete"], true);
        }
        let owner = dump_until(&target, &[], |dump| {
            thread(dump, "spinner")["state"] == "python" && thread(dump, "spinner")["active"] == true
        });
        if !interpreter.free_threaded {
            assert_eq!(thread(&owner, "spinner")["owns_gil"], true, "{interpreter}");
        }
    }
}

#[test]
fn local_variables_are_shown_with_their_values() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let pid = target.pid().to_string();
        let dump = json(&["--pid", &pid, "--locals"]);
        let work = &dump["threads"][0]["frames"][0];
        let locals = work["locals"].as_array().expect("there are local variables");
        let shown: Vec<(&str, bool, &str)> = locals
            .iter()
            .map(|local| {
                let text = |field: &str| local[field].as_str().expect("a text");
                (text("name"), local["arg"] == true, text("repr"))
            })
            .collect();
        assert_eq!(shown[0].0, "self");
        assert!(shown[0].2.starts_with("<__main__.Worker object at 0x"), "{interpreter}: {shown:?}");
        let long = format!("'{}'…<500 characters>", "x".repeat(120));
        let expected = [
            ("argument", true, "'first'"),
            ("option", true, "True"),
            ("point", false, "Point(x=1, y=2)"),
            ("text", false, &long),
            ("items", false, "[1, [2, [3, …]]]"),
            ("nested", false, "{'a': {'b': (1, 2.5, None)}}"),
            ("number", false, "1180591620717411303424"),
        ];
        assert_eq!(shown[1..], expected, "{interpreter}");
        assert_eq!(locals[3]["type"], "__main__.Point");
        let more = text(&["-p", &pid, "-ll"]);
        assert!(more.contains(&format!("text: '{}'\n", "x".repeat(500))), "{interpreter}: {more}");
        assert!(more.contains("items: [1, [2, [3, [4, [5]]]]]\n"), "{interpreter}: {more}");
        let without = json(&["-p", &pid]);
        assert!(without["threads"][0]["frames"][0]["locals"].is_null());
    }
}

#[test]
fn the_text_says_in_words_what_each_thread_does() {
    let Some(interpreter) = python() else { return };
    let target = Target::start(interpreter, PROGRAM);
    dump_until(&target, &[], all_wait);
    let pid = target.pid().to_string();
    let short = text(&[&pid, "-l"]);
    let path = target.file("target.py");
    for part in [
        &format!("Process {pid}: {} -B {}\nCPython ", interpreter.path.display(), path.display()),
        &format!("\nThread {pid} (idle): \"MainThread\" waiting for I/O\n    Worker.work ("),
        ":30)\n        Arguments:\n            self: <__main__.Worker object at 0x",
        "            argument: 'first'\n            option: True\n        Locals:\n            point: Point(x=1, y=2)\n",
        "(idle): \"locked\" waiting for a lock\n    wait_for_lock (",
        "(idle): \"dozer\" sleeping\n    doze (",
        "\n    Thread.run (threading.py:",
    ] {
        assert!(short.contains(part), "{part:?} is not in {short}");
    }
    let full = text(&["-p", &pid, "--full-filenames"]);
    assert!(!full.contains("(threading.py:") && full.contains("/threading.py:"), "{full}");
}

#[test]
fn a_stopped_process_is_shown_and_stays_stopped() {
    let Some(interpreter) = python() else { return };
    let target = Target::start(interpreter, PROGRAM);
    let pid = target.pid().to_string();
    Command::new("kill").args(["-STOP", &pid]).status().expect("kill is there");
    let dump = dump_until(&target, &[], |dump| dump["processes"][0]["stopped"] == true);
    assert_eq!(names(&dump["threads"][0])[0], "work");
    assert!(text(&["-p", &pid]).contains("Stopped: nothing in it moves"));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it lives");
    assert!(stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')), "{stat}");
}

#[test]
fn a_whole_tree_is_shown_with_what_started_what() {
    let Some(interpreter) = python() else { return };
    let program = "
import json, os, subprocess, sys
CHILD = 'import sys, os\\ndef child():\\n print(flush=True)\\n sys.stdin.read()\\nchild()\\n'
shell = subprocess.Popen(['sh', '-c', '\"$0\" -c \"$1\"; true', sys.executable, CHILD],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
shell.stdout.readline()
print(json.dumps(shell.pid), flush=True)
sys.stdin.read()
";
    let target = Target::start(interpreter, program);
    let pid = target.pid().to_string();
    let tree = json(&["-p", &pid, "-s"]);
    let processes = tree["processes"].as_array().expect("there are processes");
    assert_eq!(processes.len(), 2, "{tree:#}");
    assert_eq!((&processes[0]["parent"], &processes[1]["parent"]), (&Value::Null, &target.pid().into()));
    assert_eq!(names(&tree["threads"][1]), ["child", "<module>"]);
    assert_eq!(tree["threads"][1]["process_info"]["pid"], processes[1]["pid"]);
    // From a shell on, its Pythons.
    let shell = target.ready().as_u64().expect("a number").to_string();
    assert_eq!(json(&["-p", &shell, "--subprocesses"])["processes"][0]["pid"], processes[1]["pid"]);
    let alone = dump(&["-p", &shell]);
    assert!(block(&alone, &[]).contains("or add `--subprocesses`"), "{}", block(&alone, &[]));
    assert_eq!(alone.status.code(), Some(2));
}

#[test]
fn what_cannot_be_read_is_refused_by_name_in_text_and_json() {
    let output = dump(&["-p", "4194304000"]);
    let shown = block(&output, &[]);
    assert!(
        shown.contains("exit code 2") && shown.contains("error[no-such-process]: there is no process"),
        "{shown}"
    );
    let output = dump(&["--json", "-p", "4194304000"]);
    let error: Value = serde_json::from_slice(&output.stderr).expect("an error is JSON");
    assert_eq!(error["error"]["name"], "no-such-process");
    assert!(output.stdout.is_empty());
    for words in [&["dump"][..], &["dump", "-p", "x"], &["dump", "-p", "1", "--core", "core"]] {
        let output = naja().command().args(words).output().expect("naja starts");
        assert!(block(&output, &[]).contains("error[usage]"), "{words:?}: {}", block(&output, &[]));
    }
}

#[test]
fn a_refusal_of_the_system_names_what_refuses() {
    let Some(interpreter) = python() else { return };
    if !geteuid().is_root() {
        return not_tested("another user's process: only root can start one");
    }
    const NOBODY: u32 = 65534;
    let program = |dumpable: u8| {
        format!(
            "import ctypes, os, sys\nos.setgroups([])\nos.setgid({NOBODY})\nos.setuid({NOBODY})\n\
             ctypes.CDLL(None).prctl(4, {dumpable}, 0, 0, 0)\nprint('{{}}', flush=True)\nsys.stdin.read()\n"
        )
    };
    // A user who may not enter the folder of the build can still run the program itself.
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let binary = folder.path().join("naja");
    std::fs::copy(env!("CARGO_BIN_EXE_naja"), &binary).expect("it can be copied");
    for path in [folder.path(), &binary] {
        crate::make_executable(path);
    }
    let as_nobody = |pid: u32| {
        let mut command = Command::new(&binary);
        command.args(["dump", "-p", &pid.to_string()]).uid(NOBODY).gid(NOBODY).current_dir("/");
        block(&command.output().expect("it starts"), &[])
    };
    let own = Target::start(interpreter, &program(0));
    let shown = as_nobody(own.pid());
    assert!(shown.contains("error[reading-forbidden]") && shown.contains("PR_SET_DUMPABLE"), "{shown}");
    assert!(shown.contains("sudo naja"), "{shown}");
    let roots = Target::start(interpreter, "import sys\nprint('{}', flush=True)\nsys.stdin.read()\n");
    let shown = as_nobody(roots.pid());
    assert!(shown.contains("it belongs to user root (0), and naja runs as user nobody (65534)"), "{shown}");
}

#[test]
fn a_process_that_ends_meanwhile_is_shown_or_told_to_have_ended() {
    let Some(interpreter) = python() else { return };
    // While the interpreter begins and ends, it is there and cannot be read.
    let for_a_moment = ["python-not-ready", "not-python", "stacks-unreadable"];
    let at_the_end = ["process-ended", "no-such-process", "process-is-a-zombie"];
    for _ in 0..20 {
        let mut child =
            Command::new(&interpreter.path).args(["-S", "-c", "pass"]).spawn().expect("it starts");
        let pid = child.id().to_string();
        loop {
            let output = dump(&["-p", &pid]);
            let shown = block(&output, &[]);
            if output.status.success() {
                continue;
            }
            let is_named =
                |names: &[&str]| names.iter().any(|name| shown.contains(&format!("error[{name}]")));
            assert_eq!(output.status.code(), Some(2), "{shown}");
            if is_named(&at_the_end) {
                break;
            }
            assert!(is_named(&for_a_moment), "{shown}");
        }
        child.wait().expect("it has ended");
    }
}
