//! What the words after `naja run` may name.

use std::process::Output;

use crate::{check_same, folder_with, make_executable, naja, python};

const SHOW: &str = "import sys\nprint(__name__, sys.argv, sys.path[0])\n";

#[test]
fn a_file_a_folder_an_archive_a_module_and_code_run_as_under_python() {
    let folder = folder_with(&[
        ("app.py", SHOW),
        ("no suffix", SHOW),
        ("package/__init__.py", ""),
        ("package/__main__.py", SHOW),
        ("package/part.py", SHOW),
        ("-odd.py", SHOW),
    ]);
    let words: [&[&str]; 12] = [
        &["app.py", "-h", "--", "-q"],
        &["./app.py"],
        &["no suffix"],
        &["package", "one"],
        &["package/"],
        &["-m", "package", "-m", "two"],
        &["-m", "package.part"],
        &["-mpackage.part", "--rate", "3"],
        &["-c", "import sys; print(sys.argv)", "--help"],
        &["-cprint(1)"],
        &["--", "-odd.py"],
        &["-m", "no_such_module"],
    ];
    for words in words {
        check_same(folder.path(), &[], words);
    }
    let Some(python) = python() else { return };
    let zipped = python.command().args(["-m", "zipapp", "package"]).current_dir(folder.path()).status();
    assert!(zipped.expect("it starts").success());
    check_same(folder.path(), &[], &["package.pyz", "--version"]);
}

/// Runs `naja run -q WORDS` in a folder, with a virtual environment's `bin` in it.
fn run(folder: &std::path::Path, words: &[&str]) -> Output {
    let mut command = naja().command();
    command.args(["run", "-q"]).args(words).current_dir(folder).output().expect("it starts")
}

#[test]
fn a_command_is_executed_as_itself() {
    let folder = folder_with(&[
        (".venv/bin/python", "#!/bin/sh\necho not this one\n"),
        (".venv/bin/greet", "#!/bin/sh\necho \"greet $0 $*\"\nexit 4\n"),
        ("script.sh", "#!/bin/sh\necho \"script $*\"\n"),
        ("bare", "echo \"bare $*\"\n"),
    ]);
    for file in [".venv/bin/python", ".venv/bin/greet", "script.sh"] {
        make_executable(&folder.path().join(file));
    }
    let root = folder.path().canonicalize().expect("it is there");
    let root = root.to_str().expect("a plain path");
    let check = |words: &[&str], expected: &str| {
        let shown = naja_testkit::naja::block(&run(folder.path(), words), &[(root, "[FOLDER]")]);
        assert_eq!(shown, expected, "{words:?}");
    };
    check(
        &["greet", "-o", "--help"],
        "exit code 4\n--- stdout\ngreet [FOLDER]/.venv/bin/greet -o --help\n--- stderr\n",
    );
    check(&["./script.sh", "-q"], "exit code 0\n--- stdout\nscript -q\n--- stderr\n");
    check(
        &["echo", "-n", "from the search path"],
        "exit code 0\n--- stdout\nfrom the search path--- stderr\n",
    );
    // A file of the working directory comes before a command of that name, as for Python.
    check(&["bare"], "exit code 0\n--- stdout\nnot this one\n--- stderr\n");
}

#[test]
fn a_script_without_a_first_line_is_run_by_the_shell() {
    let folder = folder_with(&[("bin/plain", "echo \"plain $*\"\n")]);
    make_executable(&folder.path().join("bin/plain"));
    let mut command = naja().command();
    command
        .args(["run", "-q", "plain", "-x"])
        .env("PATH", format!("{}:/usr/bin:/bin", folder.path().join("bin").display()));
    let output = command.current_dir(folder.path()).output().expect("it starts");
    assert_eq!(naja_testkit::naja::block(&output, &[]), "exit code 0\n--- stdout\nplain -x\n--- stderr\n");
}
