//! `naja test` on real projects, with the pytest of the checkout's own environment.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use naja_testkit::naja::Naja;
use naja_testkit::terminal::{CTRL_C, Terminal};
use serde_json::Value;

use crate::{folder_with, naja, python_with_pytest};

/// Tests of every outcome.
const MIXED: &str = "
import os, pytest
def test_passes(): pass
def test_fails(): assert 1 == 2, 'one is not two'
def test_is_skipped(): pytest.skip('not today')
@pytest.mark.xfail
def test_fails_as_said(): assert False
@pytest.fixture
def broken(): raise RuntimeError('no fixture')
def test_errs(broken): pass
def test_dies(): os.kill(os.getpid(), 11)
def test_leaves(): os._exit(7)
@pytest.mark.parametrize('number', range(20))
def test_many(number): pass
";

fn command(naja: &Naja, folder: &Path, words: &[&str]) -> Option<Command> {
    let mut command = naja.command();
    command.arg("test").arg("--python").arg(python_with_pytest()?).args(words);
    command.current_dir(folder).stdin(Stdio::null()).env_remove("GITHUB_ACTIONS");
    Some(command)
}

fn run(folder: &Path, words: &[&str]) -> Option<Output> {
    let naja = naja();
    Some(command(&naja, folder, words)?.output().expect("it starts"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What `--format json` says: the tests by name, and the last line.
fn json(output: &Output) -> (BTreeMap<String, Value>, Value) {
    let lines: Vec<Value> = text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let (end, tests) = lines.split_last().expect("there is a last line");
    let name = |test: &Value| test["id"].as_str().expect("a test has a name").to_owned();
    (tests.iter().map(|test| (name(test), test.clone())).collect(), end.clone())
}

#[test]
fn tests_find_the_garbage_collector_as_python_has_it() {
    let tests = "
import gc, subprocess, sys
def test_it():
    own = subprocess.check_output([sys.executable, '-c', 'import gc; print(gc.get_threshold())'], text=True)
    assert gc.isenabled() and str(gc.get_threshold()) == own.strip()
";
    let own = "import gc\ngc.set_threshold(1234, 5, 6)\n";
    let kept = "import gc\ndef test_it(): assert gc.get_threshold() == (1234, 5, 6)\n";
    for files in [&[("test_it.py", tests)][..], &[("conftest.py", own), ("test_it.py", kept)]] {
        let folder = folder_with(files);
        for workers in ["-n0", "-n2"] {
            let Some(output) = run(folder.path(), &[workers]) else { return };
            assert!(output.status.success(), "{workers}: {}", text(&output.stdout));
        }
    }
}

#[test]
fn a_plugin_may_add_to_reports_on_their_way() {
    let plugin = "
import pytest
@pytest.hookimpl(hookwrapper=True)
def pytest_report_to_serializable(report):
    outcome = yield
    outcome.get_result()['weight'] = 7
def pytest_runtest_logreport(report):
    if report.when == 'call' and hasattr(report, 'node'):
        print('weight', report.weight)
";
    let folder = folder_with(&[("conftest.py", plugin), ("test_it.py", "def test_it(): pass\n")]);
    let Some(output) = run(folder.path(), &["-n1", "-s"]) else { return };
    assert!(text(&output.stdout).contains("weight 7"), "{}", text(&output.stdout));
}

#[test]
fn every_planned_test_has_one_outcome() {
    let folder = folder_with(&[("test_mixed.py", MIXED)]);
    let Some(output) = run(folder.path(), &["--format", "json", "-n", "3"]) else { return };
    let (tests, end) = json(&output);
    let outcome = |name: &str| tests[&format!("test_mixed.py::{name}")]["outcome"].clone();
    let expected = [
        ("test_passes", "passed"),
        ("test_fails", "failed"),
        ("test_is_skipped", "skipped"),
        ("test_fails_as_said", "xfailed"),
        ("test_errs", "error"),
        ("test_dies", "crashed"),
        ("test_leaves", "crashed"),
        ("test_many[19]", "passed"),
    ];
    for (name, expected) in expected {
        assert_eq!(outcome(name), expected, "{name}: {}", text(&output.stderr));
    }
    assert_eq!(tests.len(), 27);
    assert_eq!(end["planned"], 27);
    let counts = end["outcomes"].as_object().expect("there are outcomes");
    assert_eq!(counts.values().filter_map(Value::as_u64).sum::<u64>(), 27);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(end["exit_code"], 1);
}

#[test]
fn outcomes_are_those_of_pytest_alone() {
    let calm = MIXED.replace("os.kill(os.getpid(), 11)", "pass").replace("os._exit(7)", "pass");
    let folder = folder_with(&[("test_calm.py", &calm)]);
    let Some(parallel) =
        run(folder.path(), &["-n4", "-q", "--junitxml=parallel.xml", "-p", "no:cacheprovider"])
    else {
        return;
    };
    let serial = run(folder.path(), &["-n0", "-q", "--junitxml=serial.xml", "-p", "no:cacheprovider"]);
    assert_eq!(parallel.status.code(), serial.expect("it ran before").status.code());
    let cases = |name: &str| {
        let text = std::fs::read_to_string(folder.path().join(name)).expect("pytest writes it");
        let mut cases: Vec<String> = text
            .split("<testcase ")
            .skip(1)
            .map(|case| {
                let name = case.split(" time=").next().unwrap_or_default().to_owned();
                let kinds = ["<failure", "<error", "<skipped"].map(|kind| case.contains(kind));
                format!("{name} {kinds:?}")
            })
            .collect();
        cases.sort();
        cases
    };
    assert_eq!(cases("parallel.xml"), cases("serial.xml"));
}

#[test]
fn a_test_that_hangs_is_ended_with_the_stacks_of_its_threads() {
    let code = "
import threading, time
def wait_for_ever(): time.sleep(600)
def test_before(): pass
def test_hangs():
    threading.Thread(target=wait_for_ever, name='helper', daemon=True).start()
    wait_for_ever()
def test_after(): pass
";
    let folder = folder_with(&[("test_hang.py", code)]);
    let Some(output) = run(folder.path(), &["--timeout", "2", "-n2"]) else { return };
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{shown}");
    for part in
        ["it took longer than 2 s", "\"MainThread\"", "test_hangs", "\"helper\"", "1 failed, 2 passed"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn a_crash_is_told_with_its_signal_and_its_stack() {
    let folder = folder_with(&[("test_mixed.py", MIXED)]);
    let Some(output) = run(folder.path(), &["-n2", "-k", "dies or leaves or passes"]) else { return };
    let shown = text(&output.stdout);
    for part in ["killed by SIGSEGV", "in test_dies", "exit code 7", "2 failed, 1 passed"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn durations_are_kept_and_can_be_asked_in_sql() {
    let folder = folder_with(&[("test_mixed.py", MIXED), ("pytest.ini", "[pytest]\n")]);
    if run(folder.path(), &["-n2", "-q", "-k", "many"]).is_none() {
        return;
    }
    let answer = naja()
        .command()
        .args(["sql", "--json", ".naja_cache/tests.sqlite", "select count(*) tests from durations"])
        .current_dir(folder.path())
        .output()
        .expect("it starts");
    assert!(
        text(&answer.stdout).contains("{\"tests\": 20}"),
        "{} {}",
        text(&answer.stdout),
        text(&answer.stderr)
    );
}

#[test]
fn a_history_that_cannot_be_kept_costs_a_warning() {
    let folder = folder_with(&[
        ("test_a.py", "def test_a(): pass\n"),
        (".naja_cache", "no folder\n"),
        ("pytest.ini", ""),
    ]);
    let Some(output) = run(folder.path(), &["-q"]) else { return };
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("no-test-history"), "{}", text(&output.stderr));
}

#[test]
fn a_full_disk_costs_the_history_of_that_run_alone() {
    let folder = folder_with(&[("test_a.py", "def test_a(): pass\n"), ("pytest.ini", "")]);
    let naja = naja();
    let Some(command) = command(&naja, folder.path(), &["-q", "-p", "no:cacheprovider"]) else { return };
    std::fs::create_dir(folder.path().join(".naja_cache")).expect("a folder");
    let script = r#"
        mount -t tmpfs -o size=256k tmpfs .naja_cache || exit 99
        "$@"; echo "code $?"
        cat /dev/zero > .naja_cache/filler 2>/dev/null
        "$@"; echo "code $?"
        rm .naja_cache/filler
        "$@"; echo "code $?"
        "$0" sql --json .naja_cache/tests.sqlite 'select count(*) kept from runs'
    "#;
    let program = command.get_program().to_owned();
    let mut inside = Command::new("unshare");
    inside.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(&program).arg(&program);
    inside.args(command.get_args()).current_dir(folder.path()).stdin(Stdio::null());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    let output = match inside.output() {
        Ok(output) if text(&output.stdout).contains("code ") => output,
        other => {
            naja_testkit::not_tested(&format!("a full disk for the history of tests: {other:?}"));
            return;
        }
    };
    let (shown, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(shown.matches("code 0").count(), 3, "{shown}{told}");
    assert_eq!(told.matches("no-test-history").count(), 1, "{told}");
    assert!(shown.contains(r#"{"kept": 2}"#), "{shown}");
}

#[test]
fn github_is_told_where_a_test_failed() {
    let folder = folder_with(&[("test_mixed.py", MIXED)]);
    let naja = naja();
    let Some(mut command) = command(&naja, folder.path(), &["-n2", "-q", "-k", "fails"]) else { return };
    let output = command.env("GITHUB_ACTIONS", "true").output().expect("it starts");
    let shown = text(&output.stdout);
    assert!(
        shown.contains("::error file=test_mixed.py,line=4,title=failed test_mixed.py%3A%3Atest_fails::"),
        "{shown}"
    );
}

#[test]
fn an_environment_without_pytest_is_named() {
    let folder = folder_with(&[("test_a.py", "def test_a(): pass\n")]);
    let Some(python) = crate::python() else { return };
    let bare = Command::new(&python.path).args(["-c", "import pytest"]).stderr(Stdio::null()).status();
    if bare.is_ok_and(|status| status.success()) {
        naja_testkit::not_tested("naja test without pytest: every interpreter has it");
        return;
    }
    let output = naja()
        .command()
        .args(["test", "--python"])
        .arg(&python.path)
        .current_dir(folder.path())
        .output()
        .expect("it starts");
    assert_eq!(output.status.code(), Some(4));
    let shown = text(&output.stderr);
    assert!(shown.contains("no-pytest") && shown.contains("pip install pytest"), "{shown}");
}

#[test]
fn a_terminal_shows_what_each_worker_runs_and_ctrl_c_ends_the_run() {
    let code = "
import time
def test_ready(): pass
def test_fails(): assert False, 'as planned'
def test_slow(): time.sleep(600)
";
    let folder = folder_with(&[("test_live.py", code)]);
    let naja = naja();
    let Some(mut command) = command(&naja, folder.path(), &["-n2"]) else { return };
    command.env("TERM", "xterm");
    let mut terminal = Terminal::start(&command);
    terminal.wait_until("the slow test runs alone", |picture| {
        picture.rows.iter().any(|row| row.contains("gw") && row.contains("test_slow"))
            && picture.shows("2/3")
            && picture.shows("FAILED test_live.py::test_fails")
    });
    terminal.press(CTRL_C);
    terminal.wait_for("stopping");
    terminal.press(CTRL_C);
    let (status, shown) = terminal.wait();
    assert_eq!(status.code(), Some(2), "{shown}");
    assert!(shown.contains("as planned"), "{shown}");
}
