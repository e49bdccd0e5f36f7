//! Opening a process by its number: every kind of number that is no running, readable Python has its own answer.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use naja_profile::attach;
use naja_testkit::interpreters::{all_interpreters, interpreters};
use naja_testkit::not_tested;
use naja_testkit::target::Target;

/// A child that is killed at the end of the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a command, and waits until it is that program and no copy of the test any more.
fn started(command: &mut Command) -> Killed {
    let child = Killed(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("it starts"));
    let own = std::fs::read_link("/proc/self/exe").expect("Linux has it");
    let is_copy = || std::fs::read_link(format!("/proc/{}/exe", child.0.id())).is_ok_and(|exe| exe == own);
    // Its words come a moment after its program.
    let has_no_words =
        || std::fs::read(format!("/proc/{}/cmdline", child.0.id())).is_ok_and(|words| words.is_empty());
    let start = std::time::Instant::now();
    // One that has ended has no words any more.
    while is_copy() || (has_no_words() && !matches!(state(child.0.id()), 'Z' | 'X' | '?')) {
        assert!(start.elapsed() < std::time::Duration::from_secs(30), "it does not become the program");
        std::thread::yield_now();
    }
    child
}

fn state(pid: u32) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?')
}

/// Asserts how opening a process fails: name, and parts of the whole text.
fn check(pid: u32, name: &str, parts: &[&str]) {
    let failure = attach::open(pid).expect_err(name);
    let text = failure.to_string();
    assert_eq!(failure.name(), name, "{text}");
    assert!(failure.hint_text().is_some(), "a hint: {text}");
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
}

const WAITS: &str = "import sys\nprint('{}', flush=True)\nsys.stdin.read()\n";

#[test]
fn a_running_python_of_every_version_is_opened() {
    for interpreter in interpreters() {
        let target = Target::start(interpreter, WAITS);
        let attached = attach::open(target.pid()).expect("it runs");
        let version = attached.located.version;
        assert_eq!((version.major, version.minor), (interpreter.version.0, interpreter.version.1));
        assert_eq!(attached.located.free_threaded, interpreter.free_threaded);
        assert!(attached.command.last().is_some_and(|word| word.ends_with("target.py")));
        assert!(!attached.stopped);
    }
}

#[test]
fn a_stopped_process_is_opened_and_told_to_be_stopped() {
    let Some(interpreter) = interpreters().last() else { return };
    let target = Target::start(interpreter, WAITS);
    Command::new("kill").args(["-STOP", &target.pid().to_string()]).status().expect("kill is there");
    while state(target.pid()) != 'T' {
        std::thread::yield_now();
    }
    assert!(attach::open(target.pid()).expect("it can be read").stopped);
}

#[test]
fn a_starting_program_is_waited_for_even_behind_a_shell() {
    let Some(interpreter) = interpreters().last() else { return };
    let child = Killed(
        Command::new("sh")
            .arg("-c")
            .arg("read line; exec \"$0\" -c 'import sys; sys.stdin.read()'")
            .arg(&interpreter.path)
            .stdin(Stdio::piped())
            .spawn()
            .expect("sh is there"),
    );
    let mut child = child;
    let mut stdin = child.0.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut stdin, b"go\n").expect("the shell reads");
    let attached = attach::open_starting(child.0.id(), Duration::from_secs(60)).expect("it becomes one");
    assert_eq!(attached.located.version.minor, interpreter.minor());
}

#[test]
fn what_is_no_python_is_named_with_the_python_that_it_has_started() {
    let sleeping = started(Command::new("sleep").arg("1000"));
    check(sleeping.0.id(), "not-python", &["runs no Python: it is `sleep 1000`", "pgrep"]);
    let Some(interpreter) = interpreters().last() else { return };
    let mut shell = Killed(
        Command::new("sh")
            .arg("-c")
            .arg("\"$0\" -c 'import sys; print(flush=True); sys.stdin.read()'; true")
            .arg(&interpreter.path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh is there"),
    );
    let mut line = String::new();
    BufReader::new(shell.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("it starts");
    check(shell.0.id(), "not-python", &["it is `sh -c", "it has started one: `-p ", "--subprocesses"]);
}

#[test]
fn a_number_that_stands_for_no_process_is_refused_by_name() {
    check(u32::MAX, "no-such-process", &["there is no process 4294967295"]);
    check(std::process::id(), "own-process", &["is naja itself"]);
}

#[test]
fn a_thread_s_number_leads_to_its_process() {
    let Some(interpreter) = interpreters().iter().find(|one| one.minor() >= 8) else { return };
    let program = "import threading, sys\n\
        told = threading.Event()\n\
        def run():\n told.set()\n sys.stdin.read()\n\
        thread = threading.Thread(target=run)\nthread.start()\ntold.wait()\n\
        print(thread.native_id, flush=True)\n";
    let target = Target::start(interpreter, program);
    let tid = target.ready().as_u64().expect("a number") as u32;
    check(
        tid,
        "thread-not-process",
        &[&format!("it is a thread of process {0}: use `-p {0}`", target.pid())],
    );
}

#[test]
fn a_zombie_is_told() {
    let mut child = Command::new("true").spawn().expect("true is there");
    while state(child.id()) != 'Z' {
        std::thread::yield_now();
    }
    check(child.id(), "process-is-a-zombie", &["has ended", &format!("process {}", std::process::id())]);
    child.wait().expect("it has ended");
    check(child.id(), "no-such-process", &[]);
}

#[test]
fn a_kernel_thread_is_told() {
    let is_kthreadd = std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n");
    if !is_kthreadd {
        return not_tested("kernel threads: none is seen from here");
    }
    check(2, "kernel-thread", &["a part of the kernel (`kthreadd`)"]);
}

/// The smallest program for 32 bits: `for (;;) pause();`
fn program_of_32_bits() -> Vec<u8> {
    const BASE: u32 = 0x0804_8000;
    const CODE: [u8; 9] = [0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7];
    let size = 52 + 32 + CODE.len() as u32;
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let mut put = |text: &[u8]| bytes.extend_from_slice(text);
    put(&[2, 0, 3, 0]); // an executable for i386
    for word in [1, BASE + 84, 52, 0, 0] {
        put(&u32::to_le_bytes(word));
    }
    for half in [52u16, 32, 1, 0, 0, 0] {
        put(&half.to_le_bytes());
    }
    for word in [1, 0, BASE, BASE, size, size, 5, 0x1000] {
        put(&u32::to_le_bytes(word));
    }
    put(&CODE);
    bytes
}

#[test]
fn a_32_bit_program_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let path = folder.path().join("small");
    std::fs::write(&path, program_of_32_bits()).expect("it can be written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    // Another test may start a program while the file is open for writing, and hold it for a moment.
    let child = loop {
        match Command::new(&path).spawn() {
            Ok(child) => break Killed(child),
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            Err(error) => return not_tested(&format!("32-bit programs: this system runs none: {error}")),
        }
    };
    check(child.0.id(), "process-is-32-bit", &["32-bit"]);
}

#[test]
fn other_pythons_are_named() {
    let mut seen = 0;
    for python in all_interpreters().iter().filter(|one| !interpreters().contains(one)) {
        let mut child = Killed(
            Command::new(&python.path)
                .args(["-c", "import sys; sys.stdout.write('\\n'); sys.stdout.flush(); sys.stdin.read()"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("it starts"),
        );
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().expect("a pipe")).read_line(&mut line).expect("it starts");
        let failure = attach::open(child.0.id()).expect_err("it is not read");
        let expected = if python.implementation == "cpython" { "python-too-old" } else { "not-cpython" };
        assert_eq!(failure.name(), expected, "{failure}");
        seen += 1;
    }
    if seen == 0 {
        not_tested("Pythons that naja does not read: there is none");
    }
}

#[test]
fn a_process_that_ends_while_it_is_opened_is_an_error_by_name() {
    let Some(interpreter) = interpreters().last() else { return };
    let names = ["process-ended", "no-such-process", "process-is-a-zombie", "python-not-ready", "not-python"];
    for round in 0..30 {
        let mut child =
            Command::new(&interpreter.path).args(["-S", "-c", "pass"]).spawn().expect("it starts");
        loop {
            match attach::open(child.id()) {
                Ok(_) => {}
                Err(failure) => {
                    assert!(names.contains(&failure.name()), "round {round}: {failure}");
                    if matches!(failure.name(), "process-is-a-zombie" | "process-ended" | "no-such-process") {
                        break;
                    }
                }
            }
        }
        child.wait().expect("it has ended");
    }
}
