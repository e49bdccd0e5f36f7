//! `naja test` with tests that hang, die or want a debugger: real runs, some of them on a terminal.

use naja_testkit::terminal::{CTRL_C, Terminal};

use crate::test_runs::{Tests, lives, wait_until};

const NEIGHBOURS: &str = "
import pytest
@pytest.mark.parametrize('number', range(8))
def test_neighbour(number): pass
";

const HANGING: &str = "
import os, pytest, time
@pytest.mark.parametrize('number', range(2))
def test_hanging(number):
    with open('pids', 'a') as file:
        file.write(f'{os.getpid()}\\n')
    time.sleep(600)
@pytest.mark.parametrize('number', range(3))
def test_later(number): pass
";

#[test]
fn a_test_that_hangs_is_ended_with_its_stack_and_costs_no_other() {
    let hanging = "
import time
def wait(): time.sleep(600)
def test_hanging():
    print('printed before')
    wait()
";
    let Some(tests) = Tests::new(&[("test_a.py", NEIGHBOURS), ("test_b.py", hanging)]) else { return };
    for words in [&["-n2"][..], &["-n2", "--isolate"], &["-n0"]] {
        let run = tests.run(&[&["--timeout", "0.7"], words].concat());
        assert_eq!(run.code, Some(1), "{words:?}: {run:#?}");
        assert_eq!(run.counts(), "1 failed, 8 passed", "{words:?}: {run:#?}");
        assert!(run.stdout.contains("it took longer than 0.7 s"), "{words:?}: {run:#?}");
        assert!(run.stdout.contains("wait (test_b.py:3)"), "{words:?}: {run:#?}");
        assert!(run.stdout.contains("printed before"), "{words:?}: {run:#?}");
    }
}

#[test]
fn the_end_of_a_worker_may_be_seen_before_its_last_message() {
    // With `--isolate` a grandchild holds the writing end of a killed worker's pipe a moment longer.
    let late = "
import selectors, time
class LateSelector(selectors.DefaultSelector):
    def select(self, timeout=None):
        events = super().select(timeout)
        if events:
            time.sleep(0.1)
            events = super().select(0)
        return sorted(events, key=lambda event: 'end' not in str(event[0].data))
selectors.DefaultSelector = LateSelector
";
    let dying = "
import os, signal
def test_dying(): os.kill(os.getppid(), signal.SIGKILL); os._exit(1)
";
    let files = [("conftest.py", late), ("test_a.py", NEIGHBOURS), ("test_b.py", dying)];
    let Some(tests) = Tests::new(&files) else { return };
    let run = tests.run(&["-n2", "--isolate"]);
    assert_eq!(run.code, Some(1), "{run:#?}");
    assert_eq!(run.counts(), "1 failed, 8 passed", "{run:#?}");
}

#[test]
fn fixtures_that_hang_count_as_their_test() {
    for when in ["before", "after"] {
        let before = if when == "before" { "time.sleep(600)" } else { "pass" };
        let after = if when == "after" { "time.sleep(600)" } else { "pass" };
        let text = format!(
            "
import pytest, time
@pytest.fixture(scope='module')
def fixture():
    {before}
    yield
    {after}
def test_it(fixture): pass
"
        );
        let Some(tests) = Tests::new(&[("test_a.py", NEIGHBOURS), ("test_b.py", &text)]) else { return };
        let run = tests.run(&["--timeout", "0.7", "-n2"]);
        assert_eq!(run.code, Some(1), "{when}: {run:#?}");
        assert!(run.stdout.contains("it took longer than 0.7 s"), "{when}: {run:#?}");
        assert!(run.stdout.contains("fixture (test_b.py:"), "{when}: {run:#?}");
        let expected = if when == "before" { "1 failed, 8 passed" } else { "passed" };
        assert!(run.counts().contains(expected) && run.counts().contains("1 "), "{when}: {run:#?}");
    }
}

#[test]
fn the_timeout_can_be_a_setting() {
    let settings = "[tool.naja.test]\ntimeout = 0.7\n";
    let Some(tests) = Tests::new(&[
        ("pyproject.toml", settings),
        ("test_b.py", "import time\ndef test_hanging(): time.sleep(600)\n"),
    ]) else {
        return;
    };
    let run = tests.run(&["-n1"]);
    assert!(run.code == Some(1) && run.stdout.contains("it took longer than 0.7 s"), "{run:#?}");

    std::fs::write(tests.folder.path().join("pyproject.toml"), "[tool.naja.test]\ntimeout = -1\n")
        .expect("it can be written");
    let run = tests.run(&["-n1"]);
    assert!(run.code == Some(2) && run.stderr.contains("error[bad-settings]"), "{run:#?}");
    assert!(run.stderr.contains("hint: `timeout` in `[tool.naja.test]`"), "{run:#?}");
}

#[test]
fn a_file_that_hangs_while_it_is_collected_is_named_with_the_stack() {
    let text = "import time\ndef load(): time.sleep(600)\nload()\ndef test_it(): pass\n";
    let Some(tests) = Tests::new(&[("test_a.py", NEIGHBOURS), ("sub/test_b.py", text)]) else { return };
    let run = tests.run(&["--timeout", "0.5", "-n2"]);
    assert_eq!(run.code, Some(2), "{run:#?}");
    assert!(run.stderr.contains("error[pytest-hangs]"), "{run:#?}");
    assert!(run.stderr.contains("collecting `sub/test_b.py`"), "{run:#?}");
    assert!(
        run.stderr.contains("load (sub/test_b.py:2)") || run.stderr.contains("load (test_b.py:2)"),
        "{run:#?}"
    );
}

#[test]
fn ctrl_c_waits_for_the_tests_that_run_and_a_second_one_does_not() {
    let Some(tests) = Tests::new(&[("test_a.py", HANGING)]) else { return };
    for words in ["-n2 --plain", "-n2", "-n2 --isolate --plain"] {
        let _ = std::fs::remove_file(tests.folder.path().join("pids"));
        let mut terminal = tests.in_shell(words);
        let pids = tests.pids(2);
        terminal.press(CTRL_C);
        terminal.wait_for(if words.contains("plain") {
            "once more kills them"
        } else {
            "Ctrl-C again ends them"
        });
        assert!(pids.iter().all(|&pid| lives(pid)), "{words}: {}", terminal.text());
        terminal.press(CTRL_C);
        // The shell is interrupted as well, and says nothing more.
        wait_until("the tests have ended", || !pids.iter().any(|&pid| lives(pid)));
    }
}

#[test]
fn signals_end_a_run_with_the_code_for_an_interruption() {
    let Some(tests) = Tests::new(&[("test_a.py", HANGING)]) else { return };
    for signal in ["-TERM", "-HUP"] {
        let _ = std::fs::remove_file(tests.folder.path().join("pids"));
        let mut command = tests.command(&["-n2"]);
        let child = command
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("it starts");
        let pids = tests.pids(2);
        send(signal, child.id());
        let run = crate::test_runs::Run::of(child.wait_with_output().expect("it ends"));
        assert_eq!(run.code, Some(2), "{signal}: {run:#?}");
        assert!(
            run.stdout.contains("KeyboardInterrupt") && !run.stdout.contains("failed"),
            "{signal}: {run:#?}"
        );
        assert!(!pids.iter().any(|&pid| lives(pid)), "{signal}");
    }
}

#[test]
fn nothing_stays_behind_when_the_program_is_killed_or_its_terminal_is_closed() {
    let Some(tests) = Tests::new(&[("test_a.py", HANGING)]) else { return };
    for words in [&["-n2"][..], &["-n2", "--isolate"]] {
        let _ = std::fs::remove_file(tests.folder.path().join("pids"));
        let mut child = tests.command(words).stdout(std::process::Stdio::null()).spawn().expect("it starts");
        let pids = tests.pids(2);
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        wait_until("the tests have ended", || !pids.iter().any(|&pid| lives(pid)));
    }
    let _ = std::fs::remove_file(tests.folder.path().join("pids"));
    let mut terminal: Terminal = tests.in_shell("-n2");
    let pids = tests.pids(2);
    terminal.hang_up();
    wait_until("the tests have ended", || !pids.iter().any(|&pid| lives(pid)));
}

#[test]
fn a_pytest_that_was_killed_is_told() {
    let text = "
import os, signal
def test_it():
    os.kill(os.getppid(), signal.SIGKILL)
";
    let Some(tests) = Tests::new(&[("test_a.py", NEIGHBOURS), ("test_b.py", text)]) else { return };
    let run = tests.run(&["-n1"]);
    assert_eq!(run.code, Some(3), "{run:#?}");
    assert!(run.stderr.contains("error[pytest-died]: pytest was killed by signal 9 when "), "{run:#?}");
    assert!(run.stderr.contains("of 9 tests were over"), "{run:#?}");
}

const DEBUGGED: &str = "
import pytest
@pytest.mark.parametrize('number', range(3))
def test_wrong(number):
    secret = 40 + number
    assert secret < 0
";

#[test]
fn a_debugger_in_a_worker_has_the_terminal_until_it_is_left() {
    let Some(tests) = Tests::new(&[("test_a.py", DEBUGGED), ("test_b.py", NEIGHBOURS)]) else { return };
    let mut terminal = tests.in_shell("-n2 --pdb");
    for _ in 0..3 {
        terminal.wait_for("assert secret < 0");
        terminal.wait_for("entering PDB");
        terminal.wait_for("(Pdb) ");
        terminal.press("print('it is', secret)\r");
        terminal.wait_for("it is 4");
        terminal.wait_for("(Pdb) ");
        terminal.press("c\r");
    }
    terminal.wait_for("3 failed, 8 passed");
    terminal.wait_for("left with 1");
    assert!(terminal.is_as_shells_leave_it(), "keys are not shown, or come one by one");
}

#[test]
fn a_debugger_that_is_quit_ends_the_run() {
    let Some(tests) = Tests::new(&[("test_a.py", DEBUGGED), ("test_b.py", NEIGHBOURS)]) else { return };
    let mut terminal = tests.in_shell("-n2 --pdb");
    terminal.wait_for("(Pdb) ");
    terminal.press("q\r");
    terminal.wait_for("Quitting debugger");
    terminal.wait_for("left with 2");
    assert!(terminal.is_as_shells_leave_it(), "keys are not shown, or come one by one");
}

#[test]
fn a_breakpoint_stops_below_the_view_and_no_timeout_ends_it() {
    let text = "
def test_it():
    secret = 41
    breakpoint()
    assert secret == 42
";
    let Some(tests) = Tests::new(&[("test_a.py", text), ("test_b.py", NEIGHBOURS)]) else { return };
    let mut terminal = tests.in_shell("-n2 --timeout 1");
    terminal.wait_for("(Pdb) ");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    terminal.press("secret = 42\r");
    terminal.wait_for("(Pdb) ");
    terminal.press("c\r");
    terminal.wait_for("9 passed");
    terminal.wait_for("left with 0");
}

#[test]
fn trace_stops_at_the_beginning_of_each_test_in_its_worker() {
    let Some(tests) = Tests::new(&[("test_a.py", "def test_it():\n    secret = 41\n    assert secret\n")])
    else {
        return;
    };
    let mut terminal = tests.in_shell("-n1 --trace");
    terminal.wait_for("secret = 41");
    terminal.wait_for("(Pdb) ");
    terminal.press("c\r");
    terminal.wait_for("1 passed");
    terminal.wait_for("left with 0");
}

#[test]
fn a_debugger_without_a_number_of_workers_runs_as_in_pytest() {
    let Some(tests) = Tests::new(&[("test_a.py", DEBUGGED)]) else { return };
    let mut terminal = tests.in_shell("--pdb -x");
    terminal.wait_for("(Pdb) ");
    terminal.press("c\r");
    terminal.wait_for("1 failed");
    terminal.wait_for("left with 1");
}

fn send(signal: &str, process: u32) {
    let sent = std::process::Command::new("kill").arg(signal).arg(process.to_string()).status();
    assert!(sent.expect("there is a `kill`").success(), "{signal} cannot be sent");
}
