//! Whatever is wrong, the program runs to its end as under plain Python, and naja says what it could not do.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use naja_testkit::interpreters::all_interpreters;
use rustix::process::{Pid, Signal, geteuid, kill_process};

use crate::{Observed, folder_with, naja, python};

/// Runs a while, says so, and ends with an exit code of its own.
const APP: &str = "
import sys, time
end = time.time() + 0.3
while time.time() < end:
    sum(range(100))
print('to its end')
sys.exit(5)
";

/// Asserts that [`APP`] ran to its end, and that naja said so much on standard error.
fn check_app(output: &Output, expected: &[&str]) {
    let shown = naja_testkit::naja::block(output, &[]);
    assert!(shown.starts_with("exit code 5\n--- stdout\nto its end\n"), "{shown}");
    // Sentences are broken into lines wherever a line is full.
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in expected {
        assert!(words(&shown).contains(&words(text)), "{text:?} is not in {shown}");
    }
}

/// A shell that changes the limits of what it starts.
fn limited(limit: &str) -> [String; 4] {
    ["sh".into(), "-c".into(), format!("{limit}; exec \"$@\""), "sh".into()]
}

#[test]
fn an_interpreter_that_cannot_be_read_is_named_and_the_program_runs() {
    let unsupported = |one: &&_| -> bool { !naja_testkit::interpreters::interpreters().contains(one) };
    let mut seen = 0;
    for python in all_interpreters().iter().filter(unsupported) {
        let folder = folder_with(&[("app.py", APP)]);
        let mut command = naja().command();
        command.arg("run").arg("--python").arg(&python.path).arg("app.py").current_dir(folder.path());
        let output = command.output().expect("it starts");
        let named = match python.implementation.as_str() {
            "cpython" => {
                format!("it runs Python {}.{}; naja reads 3.8 and newer", python.version.0, python.version.1)
            }
            _ => "it runs PyPy, not CPython".to_owned(),
        };
        check_app(&output, &["warning: process ", " ran unobserved: ", &named]);
        seen += 1;
    }
    if seen == 0 {
        naja_testkit::not_tested("programs of Python 2.7, 3.7 and PyPy: there is none");
    }
}

#[test]
fn a_crash_and_a_kill_are_reported_with_all_that_came_before() {
    for (ending, signal) in [("ctypes.string_at(0)", 11), ("os.kill(os.getpid(), 9)", 9)] {
        let program = format!(
            "import ctypes, os, resource, time\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\n\
             def busy():\n end = time.time() + 0.5\n while time.time() < end: sum(range(100))\nbusy()\n{ending}\n"
        );
        let folder = folder_with(&[("app.py", &program)]);
        let Some(observed) = Observed::run(folder.path(), &["app.py"]) else { return };
        assert_eq!(observed.output.status.signal(), Some(signal));
        assert_eq!(observed.report["signal"], signal);
        assert!(observed.text.contains(&format!("killed by signal {signal}")), "{}", observed.text);
        assert!(observed.seconds_in("busy") > 0.1, "{:#}", observed.report["functions"]);
        assert_eq!(ask(&observed.recording, "select value from meta where key = 'complete'"), ["1"]);
    }
}

#[test]
fn leaving_by_os_exit_is_reported() {
    let folder = folder_with(&[("app.py", "import os, time\ntime.sleep(0.3)\nos._exit(9)\n")]);
    let Some(observed) = Observed::run(folder.path(), &["app.py"]) else { return };
    assert_eq!((observed.output.status.code(), &observed.report["exit_code"]), (Some(9), &9.into()));
}

#[test]
fn a_folder_that_cannot_be_written_costs_the_recording_alone() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", APP), ("file", "")]);
    for place in ["missing/run.naja", "file/run.naja", "/proc/run.naja"] {
        let mut command = naja().command();
        command.args(["run", "-o", place, "--python"]).arg(&python.path).arg("app.py");
        let output = command.current_dir(folder.path()).output().expect("it starts");
        check_app(&output, &["warning: nothing is recorded: ", place, "CPython 3.", " stacks read at "]);
    }
}

#[test]
fn a_home_that_cannot_be_written_or_is_none_costs_the_recording_alone() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", APP)]);
    for home in [Some("/proc"), Some("/dev/null"), None] {
        let mut command = naja().command();
        command.env_remove("XDG_CACHE_HOME").env_remove("HOME");
        if let Some(home) = home {
            command.env("HOME", home);
        }
        command.args(["run", "--python"]).arg(&python.path).arg("app.py");
        let output = command.current_dir(folder.path()).output().expect("it starts");
        let nothing = ["warning: nothing is recorded: "];
        // Without the variable the user's entry in the system's list may still name a home.
        check_app(&output, if home.is_some() { &nothing } else { &[] });
    }
}

/// A folder on a disk of 64 KiB, which goes away with this value.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<TinyDisk> {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "naja-test"])
            .arg(folder.path())
            .stderr(Stdio::null())
            .status();
        if !mounted.is_ok_and(|status| status.success()) {
            naja_testkit::not_tested("a full disk: only root can mount one");
            return None;
        }
        Some(TinyDisk(folder))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{:?} stays mounted", self.0.path());
    }
}

#[test]
fn a_full_disk_costs_the_recording_alone() {
    let Some(python) = python() else { return };
    let Some(disk) = TinyDisk::mount() else { return };
    fs::write(disk.0.path().join("fill"), vec![0; 64 << 10]).expect("there is room for it");
    let folder = folder_with(&[("app.py", APP)]);
    let mut command = naja().command();
    command.args(["run", "--python"]).arg(&python.path).arg("-o").arg(disk.0.path().join("run.naja"));
    let output = command.arg("app.py").current_dir(folder.path()).output().expect("it starts");
    check_app(
        &output,
        &["no space left (free some space, or put the recording elsewhere with `-o`)", "CPython 3."],
    );
}

#[test]
fn a_disk_that_fills_up_ends_the_recording_and_not_the_report() {
    let Some(disk) = TinyDisk::mount() else { return };
    // Every thousandth of a second another stack, so that the recording grows fast.
    let program = "
import sys, time
def leaf():
    end = time.perf_counter() + 0.001
    while time.perf_counter() < end: pass
def turn(depth, path):
    if depth == 0:
        leaf()
    elif path >> depth & 1:
        turn(depth - 1, path)
    else:
        turn(depth - 1, path)
for path in range(2000):
    turn(14, path)
sys.exit(5)
";
    let folder = folder_with(&[("app.py", program)]);
    let on_disk = disk.0.path().join("run.naja");
    let Some(observed) = Observed::run_with(folder.path(), &["app.py"], |command| {
        // The last `-o` would not win: it is an error to give two.
        *command = naja().command();
        command.args(["run", "--python"]).arg(&python().expect("checked before").path);
        command.arg("-o").arg(&on_disk).arg("--report").arg(folder.path().join("report.json"));
        command.arg("app.py").current_dir(folder.path());
    }) else {
        return;
    };
    assert_eq!(observed.output.status.code(), Some(5));
    assert!(observed.text.contains("warning: the recording ends early: "), "{}", observed.text);
    assert!(observed.seconds_in("leaf") > 0.5, "{:#}", observed.report["functions"]);
    // What is on the disk can be read.
    assert_eq!(ask(&on_disk, "select value from meta where key = 'complete'"), ["0"]);
}

#[test]
fn a_disk_that_fills_up_ends_a_recording_of_memory_and_not_its_program() {
    let (Some(python), Some(disk)) = (python(), TinyDisk::mount()) else { return };
    // Each allocation is another size, so that the recording grows fast.
    let program = "
import random, sys
kept = []
for number in range(400_000):
    kept.append(bytes(random.randrange(600, 5000)))
    if len(kept) > 300:
        kept.clear()
sys.exit(5)
";
    let folder = folder_with(&[("app.py", program)]);
    let on_disk = disk.0.path().join("run.naja");
    let mut command = naja().command();
    command.args(["memory", "run", "-o"]).arg(&on_disk).arg(&python.path).arg("app.py");
    let output = command.current_dir(folder.path()).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{text}");
    assert!(text.contains("warning: the recording ends where it could not be written"), "{text}");
    // What was not written is in the report nevertheless; what was, can be read.
    assert!(text.contains("allocations of"), "{text}");
    assert_eq!(ask(&on_disk, "select value from meta where key = 'complete'"), ["0"]);
}

#[test]
fn reading_that_is_forbidden_is_told_with_what_works_instead() {
    if !geteuid().is_root() {
        return naja_testkit::not_tested("reading that is forbidden: only root can give up its privileges");
    }
    let Some(python) = all_interpreters().iter().find(|one| one.path.starts_with("/usr")) else {
        return naja_testkit::not_tested("reading that is forbidden: there is no Python for every user");
    };
    let undumpable = format!("import ctypes\nctypes.CDLL(None).prctl(4, 0, 0, 0, 0)\n{APP}");
    let folder = folder_with(&[("app.py", &undumpable)]);
    // Another user must reach the program, naja, and a place for the recording.
    let program = folder.path().join("naja");
    fs::copy(naja().program(), &program).expect("it can be copied");
    for path in [folder.path(), &program] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("it is ours");
    }
    let naja = naja();
    let mut command = naja.command_of(&["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg(&program).args(["run", "-o", "run.naja", "--python"]).arg(&python.path).arg("app.py");
    let output =
        command.current_dir(folder.path()).env("HOME", "/nonexistent").output().expect("setpriv is there");
    check_app(&output, &["forbids reading this process's memory: ", "CAP_SYS_PTRACE", "run naja as"]);
}

#[test]
fn few_descriptors_and_little_memory_never_harm_the_program() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", APP)]);
    for limit in
        ["ulimit -n 20", "ulimit -n 10", "ulimit -n 6", "ulimit -n 4", "ulimit -v 200000", "ulimit -v 80000"]
    {
        let naja = naja();
        let mut command = naja.command_of(&limited(limit));
        command.arg(naja.program()).args(["run", "--python"]).arg(&python.path).arg("app.py");
        check_app(&command.current_dir(folder.path()).output().expect("it starts"), &["naja  wall "]);
    }
}

#[test]
fn no_process_to_spare_is_an_error_of_its_own_or_none() {
    // One process more than the user has: the program starts, naja's threads and the witness may not.
    if geteuid().is_root() {
        return naja_testkit::not_tested("a limit of processes: it does not hold for root");
    }
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", APP)]);
    let naja = naja();
    let mut command = naja.command_of(&limited("ulimit -u 1"));
    command.arg(naja.program()).args(["run", "--python"]).arg(&python.path).arg("app.py");
    let output = command.current_dir(folder.path()).output().expect("it starts");
    assert_ne!(output.status.code(), Some(101), "naja panicked");
}

#[test]
fn closed_streams_are_no_trouble() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", "import time\ntime.sleep(0.2)\nraise SystemExit(5)\n")]);
    for closed in [">&-", "2>&-", "<&-", ">&- 2>&- <&-"] {
        let naja = naja();
        let mut command = naja.command_of(&["sh", "-c", &format!("exec \"$@\" {closed}"), "sh"]);
        command
            .arg(naja.program())
            .args(["run", "-o", "run.naja", "--python"])
            .arg(&python.path)
            .arg("app.py");
        let output = command.current_dir(folder.path()).output().expect("it starts");
        assert_eq!(output.status.code(), Some(5), "{closed}");
        assert_eq!(
            ask(&folder.path().join("run.naja"), "select value from meta where key = 'complete'"),
            ["1"]
        );
    }
}

#[test]
fn deep_recursion_is_read_and_its_end_is_the_program_s() {
    let program = "
import sys, threading, time
sys.setrecursionlimit(20_000)
def down(depth):
    if depth == 0:
        end = time.time() + 1
        while time.time() < end: pass
        return 0
    return down(depth - 1) + 1
threading.stack_size(512 << 20)
def run():
    global answer
    answer = down(10_000)
thread = threading.Thread(target=run)
thread.start()
thread.join()
print(answer)
def endless(): return endless()
try:
    endless()
except RecursionError:
    print('caught')
";
    let folder = folder_with(&[("app.py", program)]);
    let Some(observed) = Observed::run(folder.path(), &["app.py"]) else { return };
    let shown = naja_testkit::naja::block(&observed.output, &[]);
    assert!(shown.starts_with("exit code 0\n--- stdout\n10000\ncaught\n"), "{shown}");
    // A build without optimisation takes some hundredths of a second for one such stack.
    assert!(observed.seconds_in("down") > 0.0, "{:#}", observed.report["functions"]);
}

#[test]
fn naja_under_naja_observes_and_reports_twice() {
    let Some(python) = python() else { return };
    let folder = folder_with(&[("app.py", APP)]);
    let naja = naja();
    let mut command = naja.command();
    command.args(["run", "-o", "outer.naja"]).arg(naja.program());
    command.args(["run", "-o", "inner.naja", "--python"]).arg(&python.path).arg("app.py");
    let output = command.current_dir(folder.path()).output().expect("it starts");
    check_app(&output, &["outer.naja", "inner.naja"]);
}

#[test]
fn a_killed_naja_leaves_the_program_alone_and_a_recording_up_to_then() {
    let Some(python) = python() else { return };
    let program = "
import sys, time
print('started', flush=True)
sys.stdin.readline()
open('ended', 'w').write('to its end')
";
    let folder = folder_with(&[("app.py", program)]);
    let naja = naja();
    let mut command = naja.command();
    command.args(["run", "-o", "run.naja", "--python"]).arg(&python.path).arg("app.py");
    let child = command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a pipe can be read");
    // Some batches must have been written before there is anything to lose.
    let recording = folder.path().join("run.naja");
    let until = || -> u64 {
        if !recording.exists() {
            return 0;
        }
        let shown = ask(&recording, "select value from meta where key = 'until_tick'");
        shown.first().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    while until() < 500 {}
    let killed_unix_ns = naja_system::timer::unix_ns();
    kill_process(Pid::from_child(&child), Signal::KILL).expect("naja lives");
    child.wait().expect("naja ends");
    let start = ask(&recording, "select value from meta where key = 'start_unix_ns'");
    let start: u64 = start[0].parse().expect("a number");
    let lived_ms = (killed_unix_ns - start) / 1_000_000;
    // 250 ms is what is promised where naja gets a core; on a machine without one the batch itself comes late.
    let lost_ms = lived_ms.saturating_sub(until());
    assert!(lost_ms <= 1000, "{lost_ms} ms are missing");
    if lost_ms > 250 {
        naja_testkit::not_tested(&format!("what a kill loses: {lost_ms} ms on a machine that is too busy"));
    }
    assert_eq!(ask(&recording, "select value from meta where key = 'complete'"), ["0"]);
    assert!(ask(&recording, "select count(*) from samples")[0].parse::<u64>().expect("a number") > 100);
    // The program waits for this and goes on.
    drop(child.stdin.take());
    while fs::read_to_string(folder.path().join("ended")).unwrap_or_default() != "to its end" {}
}

#[test]
fn an_interrupt_from_the_terminal_reaches_the_program_once_and_is_reported() {
    use std::os::unix::process::CommandExt;
    let Some(python) = python() else { return };
    let program = "
import time
try:
    print('started', flush=True)
    time.sleep(600)
except KeyboardInterrupt:
    print('once', flush=True)
time.sleep(0.2)
raise SystemExit(7)
";
    let folder = folder_with(&[("app.py", program)]);
    let naja = naja();
    let mut command = naja.command();
    command
        .args(["run", "--report", "report.json", "-o", "run.naja", "--python"])
        .arg(&python.path)
        .arg("app.py");
    command.current_dir(folder.path()).process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    assert_eq!(lines.next().and_then(Result::ok).as_deref(), Some("started"));
    rustix::process::kill_process_group(Pid::from_child(&child), Signal::INT).expect("it lives");
    let output = child.wait_with_output().expect("it ends");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(7), "{text}");
    assert_eq!(lines.map_while(Result::ok).collect::<Vec<String>>(), ["once"]);
    assert!(text.contains("exit code 7") && !text.contains("Traceback"), "{text}");
}

#[test]
fn a_file_that_is_no_recording_is_refused_by_name() {
    let folder = folder_with(&[("text.naja", "this is text"), ("empty.naja", "")]);
    let Some(python) = python() else { return };
    let mut command = naja().command();
    command
        .args(["run", "-q", "-o", "run.naja", "--python"])
        .arg(&python.path)
        .args(["-c", "import time; time.sleep(0.3)"]);
    assert!(command.current_dir(folder.path()).status().expect("it starts").success());
    let whole = fs::read(folder.path().join("run.naja")).expect("a recording");
    fs::write(folder.path().join("cut.naja"), &whole[..whole.len() / 2]).expect("it can be written");
    let mut damaged = whole;
    damaged[4096..].iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(folder.path().join("damaged.naja"), &damaged).expect("it can be written");
    for (file, expected) in [
        ("text.naja", "error[not-a-recording]: "),
        ("empty.naja", "error[not-a-recording]: "),
        ("missing.naja", "error[recording-not-found]: "),
        ("cut.naja", "error[recording-damaged]: "),
        ("damaged.naja", "error[recording-damaged]: "),
    ] {
        for words in [&["sql", file, "select * from processes"][..], &["view", file, "--html", "page.html"]] {
            let mut command = naja().command();
            let output = command.args(words).current_dir(folder.path()).output().expect("it starts");
            let shown = naja_testkit::naja::block(&output, &[]);
            assert!(shown.starts_with("exit code 2\n"), "{words:?}: {shown}");
            assert!(shown.contains(expected) && shown.contains("\n  hint: "), "{words:?}: {shown}");
        }
    }
}

/// The first column of what `naja sql` answers.
fn ask(recording: &Path, question: &str) -> Vec<String> {
    let mut command = naja().command();
    let output =
        command.args(["sql", "--format", "json"]).arg(recording).arg(question).output().expect("it starts");
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let first = |row: &serde_json::Value| match row.as_object().and_then(|row| row.values().next()) {
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    rows.iter().map(first).collect()
}
