//! `naja dump --core`: what a crash has left, and files that are no cores.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::block;
use naja_testkit::not_tested;
use naja_testkit::target::Target;
use serde_json::Value;

use crate::{naja, python};

const PROGRAM: &str = "
import json, os, sys, threading, time
def doze(): time.sleep(1000)
def inner(number, text):
    items = [number, text]
    print(json.dumps({}), flush=True)
    sys.stdin.read()
threading.Thread(target=doze, name='dozer', daemon=True).start()
inner(7, 'seven')
";

/// Lets a debugger write a core of a living process; `None`, with a note, where there is none.
fn core_of(target: &Target) -> Option<PathBuf> {
    let prefix = target.file("core");
    let mut command = Command::new("gcore");
    command.arg("-o").arg(&prefix).arg(target.pid().to_string()).stdin(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Some(target.file(&format!("core.{}", target.pid()))),
        Ok(output) => panic!("{}", block(&output, &[])),
        Err(_) => {
            not_tested("core files: gcore (package gdb) is not installed");
            None
        }
    }
}

fn dump(core: &Path, arguments: &[&str]) -> (bool, String) {
    let output = naja().command().arg("dump").arg("--core").arg(core).args(arguments).output();
    let output = output.expect("naja starts");
    match output.status.success() {
        true => (true, String::from_utf8(output.stdout).expect("a dump is UTF-8")),
        false => (false, block(&output, &[])),
    }
}

fn check_dump(text: &str, whose: &str) {
    let dump: Value = serde_json::from_str(text).expect("a dump is JSON");
    let threads = dump["threads"].as_array().expect("there are threads");
    let frame = &threads[0]["frames"][0];
    assert_eq!((&frame["name"], &frame["line"]), (&"inner".into(), &7.into()), "{whose}: {text}");
    let locals = frame["locals"].as_array().expect("there are local variables");
    let shown: Vec<&str> = locals.iter().filter_map(|local| local["repr"].as_str()).collect();
    assert_eq!(shown, ["7", "'seven'", "[7, 'seven']"], "{whose}");
    assert_eq!(threads[1]["thread_name"], "dozer", "{whose}");
}

#[test]
fn a_core_shows_stacks_and_variables_of_every_version() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, PROGRAM);
        let Some(core) = core_of(&target) else { return };
        let (done, text) = dump(&core, &["--json", "-l"]);
        assert!(done, "{interpreter}: {text}");
        check_dump(&text, &interpreter.to_string());
        let (_, text) = dump(&core, &[]);
        assert!(text.starts_with(&format!("Process {}: ", target.pid())), "{text}");
    }
}

#[test]
fn a_crash_names_the_thread_that_got_the_signal() {
    let Some(interpreter) = python() else { return };
    if std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap_or_default().trim() != "core" {
        return not_tested("cores that the kernel writes: its core_pattern sends them elsewhere");
    }
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let program = "import os\ndef crash():\n    os.abort()\ncrash()\n";
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; exec \"$0\" -c \"$1\""]).arg(&interpreter.path).arg(program);
    command.current_dir(folder.path()).stderr(Stdio::null()).status().expect("sh is there");
    let entries = std::fs::read_dir(folder.path()).expect("it is there").flatten();
    let Some(core) = entries.map(|entry| entry.path()).next() else {
        return not_tested("cores that the kernel writes: this system forbids them");
    };
    let (done, text) = dump(&core, &[]);
    assert!(done && text.contains("got signal 6\n    crash (<string>:3)\n"), "{text}");
}

#[test]
fn what_is_no_whole_core_is_refused_by_name() {
    let Some(interpreter) = python() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("it can be written");
        path
    };
    let refused = |path: &Path, name: &str| {
        let (done, text) = dump(path, &[]);
        assert!(!done && text.starts_with("exit code 2"), "{text}");
        assert!(text.contains(&format!("error[{name}]")) && text.contains("hint:"), "{name}: {text}");
    };
    refused(&folder.path().join("none"), "core-file-unreadable");
    refused(folder.path(), "not-a-core-file");
    refused(&file("empty", b""), "not-a-core-file");
    refused(&file("text", &[b'x'; 500]), "not-a-core-file");
    refused(Path::new(env!("CARGO_BIN_EXE_naja")), "not-a-core-file");
    let target = Target::start(interpreter, PROGRAM);
    let Some(core) = core_of(&target) else { return };
    let bytes = std::fs::read(core).expect("it was written");
    let mut other = bytes[..4096].to_vec();
    other[4] = 1;
    refused(&file("narrow", &other), "core-file-of-other-machine");
    refused(&file("headers-cut", &bytes[..100]), "core-file-damaged");
    refused(&file("notes-cut", &bytes[..bytes.len().min(5000)]), "core-file-damaged");
    refused(&file("memory-cut", &bytes[..bytes.len() / 8]), "core-file-damaged");
}
