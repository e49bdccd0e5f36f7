//! `naja test --affected`: which tests run after a change, in real projects with a real pytest.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use naja_testkit::naja::{Naja, block};

use crate::{folder_with, naja, python_with_pytest};

/// A project in a temporary git repository, whose tests have all run once.
struct Project {
    folder: tempfile::TempDir,
    naja: Naja,
    python: PathBuf,
}

impl Project {
    /// With these files, committed where `has_git`; `None` where no interpreter with pytest is there.
    fn new(files: &[(&str, &str)], has_git: bool) -> Option<Project> {
        let project = Project { folder: folder_with(files), naja: naja(), python: python_with_pytest()? };
        if has_git {
            project.git(&["init", "--quiet"]);
            project.commit();
        }
        Some(project)
    }

    fn git(&self, words: &[&str]) {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"];
        let status = Command::new("git").current_dir(self.folder.path()).args(who).args(words).status();
        assert!(status.expect("git is there").success(), "{words:?}");
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "as it is"]);
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("it can be made");
        std::fs::write(path, text).expect("it can be written");
    }

    fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).expect("it is there");
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = self.naja.command();
        command.current_dir(self.folder.path()).args(["test", "--python"]).arg(&self.python).args(words);
        command.output().expect("it starts")
    }

    /// All tests run, and pass.
    fn run_all(&self) {
        let output = self.run(&["-q"]);
        assert!(output.status.success(), "{}", block(&output, &[]));
    }

    /// The tests that `--affected` runs, by their functions' names, and the line that says why.
    fn affected(&self, words: &[&str]) -> (Vec<String>, String) {
        let output = self.run(&[&["--format", "json", "-q"], words].concat());
        assert!(output.status.success(), "{}", block(&output, &[]));
        let lines = String::from_utf8(output.stdout).expect("JSON is text");
        let mut tests: Vec<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON"))
            .filter(|line| line["event"] == "test")
            .map(|line| {
                line["id"]
                    .as_str()
                    .expect("a test has an id")
                    .rsplit("::")
                    .next()
                    .unwrap_or_default()
                    .to_owned()
            })
            .collect();
        tests.sort();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let line = text.lines().find(|line| line.starts_with("affected: ")).unwrap_or_default().to_owned();
        (tests, line)
    }

    #[track_caller]
    fn check(&self, expected: &[&str], reason: &str) {
        let (tests, line) = self.affected(&["--affected"]);
        assert_eq!(tests, expected, "{line}");
        assert!(line.contains(reason), "{line}");
    }
}

const SHOP: &[(&str, &str)] = &[
    (".gitignore", "__pycache__\n"),
    ("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = ['src']\n"),
    ("src/shop/__init__.py", ""),
    ("src/shop/tax.py", "RATE = 2\n"),
    ("src/shop/cart.py", "def total(prices):\n    from .tax import RATE\n    return RATE * sum(prices)\n"),
    ("src/shop/names.py", "LANGUAGES = ['a']\n"),
    ("tests/test_cart.py", "from shop.cart import total\ndef test_cart():\n    assert total([1])\n"),
    ("tests/test_names.py", "from shop import names\ndef test_names():\n    assert names.LANGUAGES\n"),
    ("tests/deep/conftest.py", "import pytest\n@pytest.fixture\ndef one(): return 1\n"),
    ("tests/deep/data/one.txt", "1"),
    ("tests/deep/test_deep.py", "def test_deep(one):\n    assert one == 1\n"),
];

#[test]
fn tests_run_whose_imports_reach_a_changed_file() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.check(&[], "none of 3 test files: nothing changed since the last commit");
    project.write("src/shop/tax.py", "RATE = 3\n");
    project.check(&["test_cart"], "1 of 3 test files: `src/shop/tax.py` changed");
    project.write("src/shop/names.py", "LANGUAGES = ['b']\n");
    project.check(&["test_cart", "test_names"], "2 of 3 test files");
    project.commit();
    project.check(&[], "nothing changed");
    // A package runs before what is in it.
    project.write("src/shop/__init__.py", "VERSION = 1\n");
    project.check(&["test_cart", "test_names"], "2 of 3 test files");
}

#[test]
fn new_renamed_and_removed_files_count_as_changed() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.write("tests/test_new.py", "def test_new(): pass\n");
    project.check(&["test_new"], "1 of 4 test files");
    project.commit();
    project.git(&["mv", "tests/test_new.py", "tests/test_other.py"]);
    project.check(&["test_new"], "1 of");
    project.commit();
    project.remove("tests/test_other.py");
    project.check(&[], "`tests/test_other.py` changed");
    project.commit();
    // Whoever imported a module that is gone must say so.
    project.remove("src/shop/tax.py");
    let output = project.run(&["--affected", "-q"]);
    assert_eq!(output.status.code(), Some(1), "{}", block(&output, &[]));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 failed"), "{}", block(&output, &[]));
}

#[test]
fn conftest_settings_and_data_choose_what_may_depend_on_them() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.write("tests/deep/conftest.py", "import pytest\n@pytest.fixture\ndef one(): return 1.0\n");
    project.check(&["test_deep"], "`tests/deep/conftest.py` changed");
    project.git(&["checkout", "--quiet", "."]);
    project.write("tests/deep/data/one.txt", "2");
    project.check(&["test_deep"], "1 of 3 test files");
    project.git(&["checkout", "--quiet", "."]);
    project.write("README.md", "New.");
    project.check(
        &["test_cart", "test_deep", "test_names"],
        "`README.md` changed, and nothing tells which tests use it",
    );
    project.remove("README.md");
    project.write("pyproject.toml", "[tool.pytest.ini_options]\npythonpath = ['src', '.']\n");
    project.check(&["test_cart", "test_deep", "test_names"], "`pyproject.toml` changed");
    project.git(&["checkout", "--quiet", "."]);
    project.write("src/shop/unused.py", "");
    project.check(&["test_cart", "test_deep", "test_names"], "nothing tells which tests use it");
}

#[test]
fn the_reason_of_each_file_is_told_when_asked_for() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.write("src/shop/tax.py", "RATE = 3\n");
    let output = project.run(&["--affected", "-v"]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains(
            "  tests/test_cart.py: uses `src/shop/cart.py`, which uses `src/shop/tax.py`, which changed"
        ),
        "{text}"
    );
}

#[test]
fn a_branch_is_compared_with_where_it_was_left() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.git(&["branch", "base"]);
    project.write("src/shop/names.py", "LANGUAGES = ['b']\n");
    project.commit();
    project.check(&[], "nothing changed");
    let (tests, line) = project.affected(&["--since", "base"]);
    assert_eq!(tests, ["test_names"], "{line}");
    assert!(line.contains("`src/shop/names.py` changed since base"), "{line}");
    let output = project.run(&["--since", "nowhere"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("error[no-such-commit]"),
        "{}",
        block(&output, &[])
    );
}

/// A module that is imported by a computed name: no text tells of it, so that only a run does.
const PLUGINS: &[(&str, &str)] = &[
    (".gitignore", "__pycache__\n"),
    ("pytest.ini", "[pytest]\n"),
    ("load.py", "import importlib\ndef load(name):\n    return importlib.import_module('plug_' + name)\n"),
    ("plug_one.py", "ONE = 1\n"),
    ("plain.py", "\n"),
    ("test_load.py", "from load import load\ndef test_load():\n    assert load('one').ONE\n"),
    ("test_plain.py", "import plain\ndef test_plain(): pass\n"),
];

#[test]
fn a_module_that_only_a_run_shows_is_remembered() {
    let Some(project) = Project::new(PLUGINS, true) else { return };
    project.write("plain.py", "A = 1\n");
    // Never seen: `load.py` may import anything.
    let (tests, _) = project.affected(&["--affected"]);
    assert_eq!(tests, ["test_load", "test_plain"]);
    project.run_all();
    project.check(&["test_plain"], "1 of 2 test files");
    project.write("plain.py", "\n");
    project.write("plug_one.py", "ONE = 2\n");
    project.check(&["test_load"], "1 of 2 test files");
    // What computes the name is not what it was when it was seen.
    project.git(&["checkout", "--quiet", "."]);
    project.write(
        "load.py",
        "import importlib\ndef load(name):\n    return importlib.import_module('plug_on' + 'e')\n",
    );
    project.commit();
    project.write("plain.py", "A = 2\n");
    let (tests, _) = project.affected(&["--affected"]);
    assert_eq!(tests, ["test_load", "test_plain"]);
}

#[test]
fn without_git_the_last_green_run_is_what_is_compared_with() {
    let Some(project) = Project::new(SHOP, false) else { return };
    let (tests, line) = project.affected(&["--affected"]);
    assert_eq!(tests, ["test_cart", "test_deep", "test_names"], "{line}");
    assert!(line.contains("no run is known in which all tests passed"), "{line}");
    project.run_all();
    project.check(&[], "nothing changed since all tests last passed");
    project.write("src/shop/tax.py", "RATE = 3\n");
    project.check(&["test_cart"], "`src/shop/tax.py` changed since all tests last passed");
    let output = project.run(&["--since", "main"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[no-git]"), "{}", block(&output, &[]));
}

#[test]
fn a_python_file_that_git_ignores_is_compared_with_what_was_loaded() {
    let mut files = SHOP.to_vec();
    files[0] = (".gitignore", "__pycache__\nmade.py\n");
    files.push(("src/shop/made.py", "MADE = 1\n"));
    files.push(("tests/test_made.py", "from shop.made import MADE\ndef test_made(): assert MADE\n"));
    let Some(project) = Project::new(&files, true) else { return };
    project.run_all();
    project.check(&[], "nothing changed");
    project.write("src/shop/made.py", "MADE = 2\n");
    project.check(&["test_made"], "`src/shop/made.py` changed");
}

#[test]
fn a_program_that_a_test_starts_counts_as_imported() {
    let files = [
        ("pytest.ini", "[pytest]\n"),
        (
            "pyproject.toml",
            "[project]\nname = 'app'\nversion = '1'\n[project.scripts]\nrun-app = 'app.main:run'\n",
        ),
        ("app/__init__.py", ""),
        ("app/main.py", "from . import core\n"),
        ("app/core.py", "print('core')\n"),
        ("tool.py", "import helper\n"),
        ("helper.py", "print('helper')\n"),
        (
            "test_module.py",
            "import subprocess, sys\ndef test_module():\n    subprocess.check_call([sys.executable, '-m', 'app.main'])\n",
        ),
        (
            "test_file.py",
            "import subprocess, sys\ndef test_file():\n    subprocess.check_call([sys.executable, 'tool.py'])\n",
        ),
        ("test_command.py", "def test_command():\n    assert 'run-app --help'\n"),
        ("test_none.py", "def test_none(): pass\n"),
    ];
    let Some(project) = Project::new(&files, true) else { return };
    project.write("app/core.py", "print('core!')\n");
    project.check(&["test_command", "test_module"], "2 of 4 test files");
    project.git(&["checkout", "--quiet", "."]);
    project.write("helper.py", "print('helper!')\n");
    project.check(&["test_file"], "1 of 4 test files");
}

#[test]
fn a_left_out_file_that_the_command_line_names_does_not_run() {
    let Some(project) = Project::new(SHOP, true) else { return };
    project.write("src/shop/tax.py", "RATE = 3\n");
    let (tests, line) = project.affected(&["--affected", "tests/test_cart.py", "tests/test_names.py"]);
    assert_eq!(tests, ["test_cart"], "{line}");
    let (tests, _) = project.affected(&["--affected", "tests/test_names.py"]);
    assert!(tests.is_empty());
    assert!(Path::new(project.folder.path()).join(".naja_cache").exists());
}
