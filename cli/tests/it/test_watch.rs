//! `naja test --watch`: what a saved file runs again, on a real terminal, with a real pytest.

use std::path::Path;

use naja_testkit::terminal::{CTRL_C, Terminal};

use crate::test_runs::wait_until;
use crate::{folder_with, naja, python_with_pytest};

const FILES: &[(&str, &str)] = &[
    ("pytest.ini", "[pytest]\n"),
    ("helper.py", "VALUE = 1\n"),
    ("conftest.py", "import pytest, base\n@pytest.fixture\ndef one(): return base.ONE\n"),
    ("base.py", "ONE = 1\n"),
    ("test_helper.py", "import helper\ndef test_helper():\n    assert helper.VALUE == 1\n"),
    ("test_one.py", "def test_one(one):\n    assert one == 1\n"),
];

/// What is shown when a run is over and the next is waited for.
const WAITS: &str = "q ends";

fn start(folder: &Path) -> Option<(naja_testkit::naja::Naja, Terminal)> {
    start_with(folder, &[])
}

fn start_with(folder: &Path, words: &[&str]) -> Option<(naja_testkit::naja::Naja, Terminal)> {
    let naja = naja();
    let mut command = naja.command();
    let python = std::path::absolute(python_with_pytest()?).expect("the working folder is there");
    command
        .current_dir(folder)
        // For plugins of the project that are named by `-p`.
        .env("PYTHONPATH", folder)
        .args(["test", "--watch", "--plain", "-q", "-p", "no:cacheprovider", "--python"])
        .arg(python)
        .args(words);
    let terminal = Terminal::start(&command);
    Some((naja, terminal))
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("it can be written");
}

#[test]
fn a_saved_file_runs_what_it_affects_with_its_new_text() {
    let folder = folder_with(FILES);
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    assert!(terminal.wait_for(WAITS).contains("2 passed"));
    // The same size, perhaps in the same second: Python alone would take its compiled file for the new one.
    write(folder.path(), "helper.py", "VALUE = 2\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 of 2 test files") && shown.contains("1 failed"), "{shown}");
    write(folder.path(), "helper.py", "VALUE = 1\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 passed"), "{shown}");
    // What pytest has loaded before it collects needs a new session.
    write(folder.path(), "base.py", "ONE = 2\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("all 2 test files") && shown.contains("1 failed, 1 passed"), "{shown}");
    write(folder.path(), "test_new.py", "def test_new(): pass\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 of 3 test files") && shown.contains("1 passed"), "{shown}");
    terminal.press("q");
    let (status, _) = terminal.wait();
    assert_eq!(status.code(), Some(0), "as the last run ended");
}

#[test]
fn what_is_saved_while_tests_run_is_not_run_with_its_old_text() {
    let folder = folder_with(FILES);
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    assert!(terminal.wait_for(WAITS).contains("2 passed"));
    // The test says that it runs, and goes on when what the session has loaded has been saved.
    let slow = "import pathlib, time\ndef test_slow():\n    pathlib.Path('runs').mkdir()\n    \
                while not pathlib.Path('saved').exists(): time.sleep(0.01)\n";
    write(folder.path(), "test_slow.py", slow);
    wait_until("the test runs", || folder.path().join("runs").exists());
    write(folder.path(), "base.py", "ONE = 2\n");
    write(folder.path(), "test_slow.py", "def test_slow(): pass\n");
    std::fs::create_dir(folder.path().join("saved")).expect("a folder");
    terminal.wait_for("1 passed");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 failed, 2 passed"), "{shown}");
    terminal.press("q");
    terminal.wait();
}

/// What gives no test by these words runs after the rest, and only where that has changed is anything said of it.
#[test]
fn files_that_gave_no_test_are_looked_at_again_after_the_others() {
    let folder = folder_with(FILES);
    let more = "import pytest, base\n@pytest.mark.parametrize('name', base.NAMES)\ndef test_more(name): assert base.ONE\n";
    write(folder.path(), "test_more.py", more);
    write(folder.path(), "base.py", "ONE = 1\nNAMES = ['other']\n");
    let Some((_naja, mut terminal)) = start_with(folder.path(), &["-k", "test_one or wanted"]) else {
        return;
    };
    assert!(terminal.wait_for(WAITS).contains("1 passed"));
    let save = |text: &str| write(folder.path(), "base.py", text);
    save("ONE = 1\nNAMES = ['others']\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 passed") && shown.matches(" in ").count() == 1, "{shown}");
    save("ONE = 1\nNAMES = ['wanted']\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.matches("1 passed").count() == 2, "{shown}");
    // Now both give a test, and run together; what fails in either is the answer.
    save("ONE = 0\nNAMES = ['wanted']\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("2 failed") && shown.contains("f the 2 that failed"), "{shown}");
    save("ONE = 1\nNAMES = []\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 passed"), "{shown}");
    save("ONE = 1\nNAMES = ['wanted'\n");
    terminal.wait_for(WAITS);
    terminal.press("q");
    let (status, _) = terminal.wait();
    assert_eq!(status.code(), Some(4), "as the last run ended");
}

/// Sessions are made ahead of time, and must know what was saved since.
#[test]
fn a_session_that_was_begun_early_is_as_a_new_one() {
    let folder = folder_with(FILES);
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    assert!(terminal.wait_for(WAITS).contains("2 passed"));
    for number in [2, 1, 3, 1] {
        write(folder.path(), "base.py", &format!("ONE = {number}\n"));
        let shown = terminal.wait_for(WAITS);
        let expected = if number == 1 { "2 passed" } else { "1 failed, 1 passed" };
        assert!(shown.contains(expected), "{number}: {shown}");
    }
    write(folder.path(), "pytest.ini", "[pytest]\naddopts = -k helper\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 passed, 1 deselected"), "{shown}");
    write(folder.path(), "pytest.ini", "[pytest]\naddopts = -p plugged\n");
    terminal.wait_for(WAITS);
    write(folder.path(), "plugged.py", "def pytest_collection_modifyitems(items): del items[1:]\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 passed"), "{shown}");
    write(folder.path(), "plugged.py", "def pytest_collection_modifyitems(items): items.reverse()\n");
    let shown = terminal.wait_for(WAITS);
    // One of the files gave no test before, so that it is run after the other.
    assert!(shown.matches("1 passed").count() == 2, "{shown}");
    terminal.press("q");
    assert!(terminal.wait().0.success());
}

#[test]
fn keys_run_all_tests_or_those_that_failed() {
    let folder = folder_with(FILES);
    write(folder.path(), "test_bad.py", "def test_bad(): assert 0\ndef test_good(): pass\n");
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 failed, 3 passed") && shown.contains("f the 1 that failed"), "{shown}");
    terminal.press("f");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 failed, 3 deselected"), "{shown}");
    terminal.press("\n");
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("1 failed, 3 passed"), "{shown}");
    terminal.press(CTRL_C);
    let (status, _) = terminal.wait();
    assert_eq!(status.code(), Some(1), "as the last run ended");
}

#[test]
fn a_broken_conftest_is_waited_for_to_be_mended() {
    let folder = folder_with(FILES);
    let whole = std::fs::read_to_string(folder.path().join("conftest.py")).expect("it is there");
    write(folder.path(), "conftest.py", "import pytest, nothing_of_this_name\n");
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("nothing_of_this_name"), "{shown}");
    write(folder.path(), "conftest.py", &whole);
    let shown = terminal.wait_for(WAITS);
    assert!(shown.contains("2 passed"), "{shown}");
    terminal.press("q");
    assert!(terminal.wait().0.success());
}

/// What `pytest_unconfigure` takes away must be there for the next run.
#[test]
fn a_project_that_ends_what_it_began_begins_anew_for_each_run() {
    let folder = folder_with(FILES);
    let conftest = "import pathlib\ndef pytest_configure(config):\n    pathlib.Path('began').write_text('')\n\
                    def pytest_unconfigure(config):\n    pathlib.Path('began').unlink()\n";
    write(folder.path(), "conftest.py", conftest);
    write(
        folder.path(),
        "test_one.py",
        "import pathlib\ndef test_one():\n    assert pathlib.Path('began').exists()\n",
    );
    let Some((_naja, mut terminal)) = start(folder.path()) else { return };
    for _ in 0..2 {
        let shown = terminal.wait_for(WAITS);
        assert!(shown.contains("2 passed"), "{shown}");
        terminal.press("\n");
    }
    assert!(terminal.wait_for(WAITS).contains("2 passed"));
    terminal.press("q");
    assert!(terminal.wait().0.success());
}
