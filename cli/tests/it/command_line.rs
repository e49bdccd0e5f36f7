//! What naja itself says: help, errors, their codes.

use std::path::Path;

use naja_testkit::naja::block;

use crate::{folder_with, make_executable, naja};

/// Runs `naja WORDS` in a folder without any Python on the search path, except what the folder has in `bin`.
fn check(folder: &Path, words: &[&str], expected: &str) {
    let root = folder.canonicalize().expect("it is there");
    let mut command = naja().command();
    command.env("PATH", root.join("bin")).env("HOME", "/nonexistent").env_remove("PYENV_ROOT");
    let output = command.args(words).current_dir(folder).output().expect("it starts");
    let shown = block(&output, &[(root.to_str().expect("a plain path"), "[FOLDER]")]);
    assert_eq!(shown, expected, "naja {words:?}");
}

fn project() -> tempfile::TempDir {
    let folder = folder_with(&[
        ("app.py", "raise SystemExit(1)\n"),
        ("notes.txt", ""),
        ("package/__init__.py", ""),
        ("data/table.csv", ""),
        ("bin/python3", "#!/bin/sh\nexit 0\n"),
        ("bin/pytest", "#!/bin/sh\nexit 0\n"),
        ("bin/broken", "#!/no/such/interpreter\n"),
    ]);
    for name in ["python3", "pytest", "broken"] {
        make_executable(&folder.path().join("bin").join(name));
    }
    folder
}

#[test]
fn what_is_not_there_is_named_with_what_is() {
    let folder = project();
    let check = |words: &[&str], text: &str| {
        check(folder.path(), words, &format!("exit code 2\n--- stdout\n--- stderr\n{text}\n"));
    };
    check(
        &["run", "aap.py"],
        "error[no-such-file]: cannot run `aap.py`: no such file\n  hint: there is `app.py`",
    );
    check(
        &["run", "package/missing_one.py"],
        "error[no-such-file]: cannot run `package/missing_one.py`: no such file\n  hint: the working directory is `[FOLDER]`",
    );
    check(
        &["run", "pacage/x.py"],
        "error[no-such-file]: cannot run `pacage/x.py`: there is no folder `pacage`\n  hint: the working directory is `[FOLDER]`",
    );
    check(
        &["run", "pytets", "-x"],
        "error[no-such-command]: cannot run `pytets`: no such file, folder or command\n  hint: there is `pytest`",
    );
    check(
        &["run", "zzz"],
        "error[no-such-command]: cannot run `zzz`: no such file, folder or command\n  hint: `naja run -m zzz` runs a module of that name",
    );
    check(
        &["run", "data"],
        "error[no-main-module]: cannot run the folder `data`: it has no `__main__.py`\n  hint: name the file to run",
    );
    check(
        &["run", "package"],
        "error[no-main-module]: cannot run the folder `package`: it has no `__main__.py`\n  hint: it is a package without a program; `naja run -m package.MODULE` runs a module of it",
    );
    check(
        &["run", "--python", "3.99", "app.py"],
        "error[no-such-interpreter]: there is no Python `3.99` on this machine\n  hint: install Python, or give the path of one with `--python`",
    );
    check(
        &["run", "--python", "bin/missing", "app.py"],
        "error[no-such-interpreter]: the Python `bin/missing` does not exist\n  hint: install Python, or give the path of one with `--python`",
    );
    check(
        &["run", "broken"],
        "error[cannot-start]: cannot start `[FOLDER]/bin/broken`\n  caused by: No such file or directory (os error 2)\n  hint: the interpreter that its first line (`#!`) names may be gone",
    );
    check(
        &["run"],
        "error[usage]: `naja run` needs a program\n  hint: for instance `naja run app.py`, `naja run -m pytest`; `naja run -h` shows more",
    );
}

#[test]
fn a_machine_without_python_is_told_so() {
    let folder = folder_with(&[("app.py", "")]);
    check(
        folder.path(),
        &["run", "app.py"],
        "exit code 2\n--- stdout\n--- stderr\nerror[no-such-interpreter]: there is no `python3` and no `python` on the search path\n  \
         hint: install Python, or give the path of one with `--python`\n",
    );
}

#[test]
fn errors_are_json_where_json_was_asked_for() {
    let folder = project();
    check(
        folder.path(),
        &["run", "--json", "aap.py"],
        "exit code 2\n--- stdout\n--- stderr\n{\"error\":{\"causes\":[],\"hint\":\"there is `app.py`\",\
         \"message\":\"cannot run `aap.py`: no such file\",\"name\":\"no-such-file\"}}\n",
    );
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let folder = project();
    let mut command = naja().command();
    let output =
        command.args(["run", "--rat", "5", "app.py"]).current_dir(folder.path()).output().expect("it starts");
    let shown = block(&output, &[]);
    assert!(
        shown.starts_with("exit code 2\n--- stdout\n--- stderr\nerror[usage]: unexpected argument '--rat'"),
        "{shown}"
    );
    assert!(shown.contains("--rate"), "{shown}");
}

#[test]
fn short_help_fits_one_screen_and_long_help_begins_with_an_example() {
    for words in [&["-h"][..], &["run", "-h"]] {
        let output = naja().command().args(words).output().expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.lines().count() <= 24, "{text}");
    }
    let output = naja().command().args(["run", "--help"]).output().expect("it starts");
    let text = String::from_utf8(output.stdout).expect("text");
    assert!(text.lines().next().is_some_and(|line| line.starts_with("    naja run app.py")), "{text}");
}

#[test]
fn manual_pages_and_completions_come_from_the_tree() {
    for (words, expected) in [
        (&["man"][..], ".TH naja 1"),
        (&["man", "run"], "\\-\\-rate"),
        (&["completions", "bash"], "--rate"),
        (&["completions", "zsh"], "--rate"),
        (&["--version"], "naja 0."),
    ] {
        let output = naja().command().args(words).output().expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        assert!(output.status.success() && text.contains(expected), "{words:?}: {text}");
    }
}
