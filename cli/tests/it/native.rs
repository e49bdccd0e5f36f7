//! `naja record --native` and `naja dump --native`: the functions of C between those of Python.

use std::path::Path;
use std::process::Command;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::block;
use naja_testkit::target::Target;

use crate::naja;

/// A library that works, and calls back.
const LIBRARY: &str = "
volatile unsigned long sum;
__attribute__((noinline)) long zoo_work(long n) {
    for (long i = 0; i < n; i++) sum += i * n;
    return (long)sum;
}
static inline __attribute__((always_inline)) long zoo_inlined(long (*call)(long), long n) {
    return call(n) + 1;
}
__attribute__((noinline)) long zoo_call(long (*call)(long), long n) { return zoo_inlined(call, n) + 1; }
";

/// Python calls C, which calls Python, which calls C; `sorted` does the same within the interpreter. A thread waits.
const PROGRAM: &str = "
import ctypes, json, os, sys, threading
library = ctypes.CDLL(os.environ['ZOO'])
kind = ctypes.CFUNCTYPE(ctypes.c_long, ctypes.c_long)
library.zoo_call.argtypes = [kind, ctypes.c_long]
def leaf(n): return library.zoo_work(n * 100000)
leaf_for_c = kind(leaf)
def top(): return library.zoo_call(leaf_for_c, 50)
def key(number):
    total = 0
    for index in range(40): total += index * number
    return total
def in_order(): return sorted(range(1000), key=key)
def doze(): threading.Event().wait()
threading.Thread(target=doze, daemon=True).start()
print(json.dumps({}), flush=True)
while True:
    top()
    in_order()
";

fn compile(folder: &Path) -> std::path::PathBuf {
    let (source, library) = (folder.join("zoo.c"), folder.join("zoo.so"));
    std::fs::write(&source, LIBRARY).expect("the folder is ours");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-g", "-shared", "-fPIC", "-fomit-frame-pointer", "-o"]).arg(&library).arg(&source);
    assert!(compiler.status().expect("the project needs a C compiler").success());
    library
}

/// The program under an interpreter; `None` where that has no `ctypes`.
fn start(interpreter: &Interpreter) -> Option<Target> {
    let has_ctypes = interpreter.command().args(["-c", "import ctypes"]).output().expect("it runs");
    if !has_ctypes.status.success() {
        naja_testkit::not_tested(&format!("native functions on {interpreter}: it has no ctypes"));
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let library = compile(folder.path());
    let file = folder.path().join("target.py");
    std::fs::write(&file, PROGRAM).expect("the folder is ours");
    let mut command = interpreter.command();
    command.arg(file).env("ZOO", library);
    Some(Target::spawn(command, folder))
}

/// Whether one line of collapsed stacks has all these functions, in this order from the outermost on.
fn has_stack(text: &str, functions: &[&str]) -> bool {
    text.lines().any(|line| {
        let mut rest = line.split(';').map(|frame| frame.split(" (").next().unwrap_or_default());
        functions.iter().all(|function| rest.any(|frame| frame == *function))
    })
}

#[test]
fn functions_of_c_stand_between_those_of_python_on_every_version() {
    let naja = naja();
    for interpreter in interpreters() {
        let Some(target) = start(interpreter) else { continue };
        let mut command = naja.command();
        command.args([
            "record",
            "--native",
            "--idle",
            "--json",
            "--duration",
            "2",
            "-o",
            "out.collapsed",
            "--pid",
        ]);
        let output = command.arg(target.pid().to_string()).current_dir(target.folder()).output();
        let output = output.expect("naja starts");
        assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
        let text = std::fs::read_to_string(target.file("out.collapsed")).expect("it was written");

        let through_c = ["top", "zoo_call", "zoo_inlined", "leaf", "zoo_work"];
        assert!(has_stack(&text, &through_c), "{interpreter}: {text}");
        assert!(has_stack(&text, &["in_order", "key"]), "{interpreter}: {text}");
        // A stripped interpreter has names for what it exports alone.
        if text.contains("builtin_sorted") {
            let inside = ["in_order", "builtin_sorted", "list_sort_impl", "key"];
            assert!(has_stack(&text, &inside), "{interpreter}: {text}");
        } else {
            naja_testkit::not_tested(&format!("functions inside {interpreter}: it is stripped"));
        }
        let glue = ["_PyEval_EvalFrameDefault", "_PyFunction_Vectorcall", "Py_BytesMain", "_start"];
        for function in glue {
            assert!(!has_stack(&text, &[function]), "{interpreter}: {function}\n{text}");
        }
        // The thread that waits is shown in C, and was not paused for it.
        let ends_in_c = |line: &str| !line.rsplit(';').next().is_some_and(|frame| frame.contains(".py:"));
        let mut waits = text.lines().filter(|line| line.contains("doze (target.py"));
        assert!(waits.any(ends_in_c), "{interpreter}: {text}");

        let report = String::from_utf8_lossy(&output.stderr).lines().last().map(str::to_owned);
        let report: serde_json::Value = serde_json::from_str(&report.expect("a report")).expect("it is JSON");
        let native = &report["native"];
        let figure = |name: &str| native[name].as_u64().expect("it is a number");
        assert!(figure("stacks") > 0 && figure("pauses") > 0 && figure("blocked") > 0, "{native}");
        assert!(figure("mismatched") * 20 <= figure("stacks"), "{interpreter}: {native}");
    }
}

#[test]
fn what_is_recorded_says_which_functions_are_native() {
    let Some(interpreter) = crate::python() else { return };
    let Some(target) = start(interpreter) else { return };
    let naja = naja();
    let mut command = naja.command();
    command
        .args(["record", "-n", "--duration", "1", "-o", "out.naja", "--pid"])
        .arg(target.pid().to_string());
    let output = command.current_dir(target.folder()).output().expect("naja starts");
    assert!(output.status.success(), "{}", block(&output, &[]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("stacks with native functions") && told.contains("threads were paused"), "{told}");
    let query = "select distinct kind, file from functions where name = 'zoo_work'";
    let mut command = naja.command();
    command.args(["sql", "--format", "csv"]).arg(target.file("out.naja")).arg(query);
    let output = command.output().expect("naja starts");
    let rows = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = rows.lines().nth(1).unwrap_or_default();
    assert!(row.contains("native") && row.contains("zoo.c"), "{}", block(&output, &[]));
}

#[test]
fn a_program_started_with_native_ends_as_it_ends() {
    let Some(interpreter) = crate::python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let script =
        "import sys, time\nend = time.time() + 0.7\nwhile time.time() < end: sum(range(99))\nsys.exit(7)";
    let mut command = naja().command();
    command.args(["record", "--native", "-o", "out.json", "--"]).arg(&interpreter.path).args(["-c", script]);
    let output = command.current_dir(folder.path()).output().expect("naja starts");
    assert_eq!(output.status.code(), Some(7), "{}", block(&output, &[]));
    assert!(folder.path().join("out.json").is_file());
}

#[test]
fn a_dump_shows_them_too_and_leaves_the_process_alone() {
    let naja = naja();
    for interpreter in interpreters() {
        let Some(mut target) = start(interpreter) else { continue };
        let pid = target.pid().to_string();
        let mut seen = String::new();
        let wanted = ["zoo_work", "leaf", "zoo_inlined", "zoo_call", "top"];
        let is_seen = (0..200).any(|_| {
            let output =
                naja.command().args(["dump", "--native", "--json", &pid]).output().expect("naja starts");
            assert!(output.status.success(), "{interpreter}: {}", block(&output, &[]));
            let dump: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
            seen = format!("{dump:#}");
            let threads = dump["threads"].as_array().expect("a list");
            threads.iter().any(|thread| {
                let mut frames = thread["frames"].as_array().expect("a list").iter();
                wanted.iter().all(|name| {
                    frames.any(|frame| {
                        frame["name"] == *name && (frame["kind"] == "native") == name.starts_with("zoo")
                    })
                })
            })
        });
        assert!(is_seen, "{interpreter}: {seen}");
        assert!(target.is_running(), "{interpreter}");
    }
}
