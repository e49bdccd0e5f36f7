//! `naja test` with projects, environments and disks that are not as they should be.

use std::process::Command;

use crate::test_runs::Tests;
use crate::{folder_with, make_executable, naja};

const FINE: &str = "def test_it(): pass\n";

#[test]
fn a_process_that_ends_while_it_collects_is_no_success() {
    for (file, text, doing) in [
        ("test_a.py", "import os\nos._exit(0)\n", "while it was collecting `test_a.py`"),
        ("test_a.py", "import ctypes\nctypes.string_at(0)\n", "while it was collecting `test_a.py`"),
        ("conftest.py", "import os\nos._exit(0)\n", "before it collected tests"),
    ] {
        let Some(tests) = Tests::new(&[("test_b.py", FINE), (file, text)]) else { return };
        for words in [&["-n2"][..], &["-n0"]] {
            let run = tests.run(words);
            assert_eq!(run.code, Some(3), "{text}: {run:#?}");
            assert!(run.stderr.contains("error[pytest-died]: pytest "), "{text}: {run:#?}");
            assert!(run.stderr.contains(doing) && run.stderr.contains("  hint: "), "{text}: {run:#?}");
        }
    }
}

#[test]
fn a_process_that_ends_while_it_runs_tests_without_workers_is_no_success() {
    let Some(tests) = Tests::new(&[("test_a.py", "import os\ndef test_it(): os._exit(0)\n")]) else { return };
    let run = tests.run(&["-n0"]);
    assert!(run.code == Some(3) && run.stderr.contains("error[pytest-died]"), "{run:#?}");
}

#[test]
fn errors_of_collection_and_usage_end_as_in_pytest() {
    for (files, words, code) in [
        (&[("test_a.py", "def test_it(:\n")][..], &[][..], 2),
        (&[("test_a.py", "import no_such_module_at_all\n")], &[], 2),
        (&[("conftest.py", "raise RuntimeError\n"), ("test_a.py", FINE)], &[], 4),
        (&[("test_a.py", FINE)], &["--no-such-option"], 4),
        (&[("test_a.py", FINE)], &["no_such_file.py"], 4),
        (&[("test_a.py", FINE)], &["-k", "nothing"], 5),
        (&[("test_a.py", "import sys\nsys.exit(7)\n")], &[], 3),
    ] {
        let Some(tests) = Tests::new(files) else { return };
        let run = tests.run(words);
        assert_eq!(run.code, Some(code), "{files:?} {words:?}: {run:#?}");
        assert!(!run.stderr.contains("pytest-died"), "{files:?} {words:?}: {run:#?}");
    }
}

#[test]
fn tests_run_with_one_warning_where_the_history_cannot_be_kept() {
    let Some(tests) = Tests::new(&[("test_a.py", FINE), (".naja_cache", "a file, no folder")]) else {
        return;
    };
    let run = tests.run(&["-n1"]);
    assert_eq!((run.code, run.counts()), (Some(0), "1 passed"), "{run:#?}");
    assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run:#?}");
    assert!(run.stderr.contains("no-test-history") && run.stderr.contains("hint: "), "{run:#?}");
}

#[test]
fn tests_run_with_one_warning_where_the_disk_is_full() {
    let Some(tests) = Tests::new(&[("test_a.py", FINE), (".naja_cache/tests.sqlite", "")]) else { return };
    let cache = tests.folder.path().join(".naja_cache");
    let mounted = |words: &[&str]| {
        Command::new("mount").args(words).arg(&cache).output().is_ok_and(|done| done.status.success())
    };
    // A disk of one page: the database does not fit.
    if !mounted(&["-t", "tmpfs", "-o", "size=4k", "none"]) {
        naja_testkit::not_tested("`naja test` on a full disk: a file system cannot be mounted here");
        return;
    }
    let run = tests.run(&["-n1"]);
    let unmounted = Command::new("umount").arg(&cache).status();
    assert!(unmounted.expect("there is `umount`").success());
    assert_eq!((run.code, run.counts()), (Some(0), "1 passed"), "{run:#?}");
    assert_eq!(run.stderr.matches("warning: ").count(), 1, "{run:#?}");
}

#[test]
fn an_environment_without_pytest_is_told_what_to_do() {
    let Some(python) = crate::python() else { return };
    let folder = folder_with(&[("test_a.py", FINE)]);
    let mut command = naja().command();
    // `-I` and `-S` leave out whatever the machine has installed.
    let alone = folder.path().join("python");
    std::fs::write(&alone, format!("#!/bin/sh\nexec {} -I -S \"$@\"\n", python.path.display()))
        .expect("it can be written");
    make_executable(&alone);
    let output = command
        .arg("test")
        .arg("--python")
        .arg(&alone)
        .current_dir(folder.path())
        .output()
        .expect("it starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains("error[no-pytest]: ") && stderr.contains("-m pip install pytest"), "{stderr}");
    assert!(!stderr.contains("pytest-died"), "{stderr}");
}

#[test]
fn a_python_that_is_too_old_is_named() {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let versions = std::path::Path::new(&home).join(".pyenv/versions");
    let old = ["2.7", "3.6", "3.7"].map(|version| {
        std::fs::read_dir(&versions)
            .into_iter()
            .flatten()
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with(&format!("{version}.")))
            .map(|entry| entry.path().join("bin/python"))
    });
    let folder = folder_with(&[("test_a.py", FINE)]);
    for (python, version) in old.iter().zip(["2.7", "3.6", "3.7"]) {
        let Some(python) = python.as_ref().filter(|python| python.exists()) else {
            naja_testkit::not_tested(&format!("`naja test` refuses Python {version}: not installed"));
            continue;
        };
        let output = naja()
            .command()
            .arg("test")
            .arg("--python")
            .arg(python)
            .current_dir(folder.path())
            .output()
            .expect("it starts");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{version}: {stderr}");
        assert!(
            stderr.contains(&format!("is Python {version}, and `naja test` needs 3.8 or newer")),
            "{stderr}"
        );
        assert!(!stderr.contains("pytest-died"), "{stderr}");
    }
}

#[test]
fn a_run_fails_that_lost_tests() {
    let conftest = "def pytest_runtest_protocol(item):\n    return True if 'lost' in item.name else None\n";
    let Some(tests) = Tests::new(&[
        ("conftest.py", conftest),
        ("test_a.py", "def test_lost(): pass\ndef test_told(): pass\n"),
    ]) else {
        return;
    };
    let run = tests.run(&["-n2"]);
    assert_eq!((run.code, run.counts()), (Some(3), "1 passed"), "{run:#?}");
    assert!(run.stdout.contains("test_a.py::test_lost"), "{run:#?}");
    assert!(run.stdout.contains("1 of the planned tests ended without a report"), "{run:#?}");
}

#[test]
fn the_line_of_the_end_adds_up_to_the_plan() {
    let text = "
import os, pytest
def test_passes(): pass
def test_fails(): assert 0
def test_dies(): os._exit(1)
@pytest.mark.skip
def test_skipped(): pass
@pytest.mark.xfail
def test_expected(): assert 0
@pytest.fixture
def broken(): raise RuntimeError
def test_errs(broken): pass
";
    let Some(tests) = Tests::new(&[("test_a.py", text)]) else { return };
    let run = tests.run(&["-n2", "--format", "json"]);
    let lines: Vec<serde_json::Value> =
        run.stdout.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    let (end, each) = lines.split_last().expect("there is an end");
    assert_eq!(each.len(), 6, "{run:#?}");
    let expected = serde_json::json!({
        "crashed": 1, "error": 1, "failed": 1, "passed": 1, "skipped": 1, "xfailed": 1
    });
    assert_eq!((&end["planned"], &end["outcomes"]), (&6.into(), &expected), "{run:#?}");
}
