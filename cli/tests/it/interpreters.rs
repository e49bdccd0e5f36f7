//! Which Python runs the program.

use naja_testkit::interpreters::interpreters;
use naja_testkit::naja::block;

use crate::{folder_with, make_executable, naja};

#[test]
fn every_python_of_this_machine_is_found_by_path_and_version() {
    for one in interpreters().iter().filter(|one| !one.free_threaded) {
        let (major, minor, patch) = one.version;
        let path = one.path.to_str().expect("a plain path").to_owned();
        for asked in [path, format!("{major}.{minor}"), format!("python{major}.{minor}")] {
            let mut command = naja().command();
            command.args(["run", "-q", "--python", &asked, "-c", "import sys; print(sys.version_info[:2])"]);
            let shown = block(&command.output().expect("it starts"), &[]);
            assert_eq!(
                shown,
                format!("exit code 0\n--- stdout\n({major}, {minor})\n--- stderr\n"),
                "{asked} {patch}"
            );
        }
    }
}

#[test]
fn the_nearest_choice_wins() {
    let shows = |name: &str| format!("#!/bin/sh\necho {name}\n");
    let names = ["active", "conda", "project/.venv", "outer/.venv"];
    let folder = folder_with(&[]);
    let root = folder.path();
    for name in names {
        let bin = root.join(name).join("bin");
        std::fs::create_dir_all(&bin).expect("it can be written");
        std::fs::write(bin.join("python"), shows(name)).expect("it can be written");
        make_executable(&bin.join("python"));
    }
    std::fs::create_dir_all(root.join("path")).expect("it can be written");
    std::fs::write(root.join("path/python3"), shows("path")).expect("it can be written");
    make_executable(&root.join("path/python3"));
    std::fs::create_dir_all(root.join("project/src")).expect("it can be written");
    std::fs::create_dir_all(root.join("project/.git")).expect("it can be written");
    std::fs::create_dir_all(root.join("outer/repository/.git")).expect("it can be written");

    let check = |within: &str, variables: &[(&str, &str)], options: &[&str], expected: &str| {
        let mut command = naja().command();
        command.env("PATH", root.join("path")).current_dir(root.join(within));
        for (name, value) in variables {
            let value = if *name == "CONDA_DEFAULT_ENV" { (*value).into() } else { root.join(value) };
            command.env(name, value);
        }
        let output =
            command.args(["run", "-q"]).args(options).args(["-c", "pass"]).output().expect("it starts");
        assert_eq!(
            block(&output, &[]),
            format!("exit code 0\n--- stdout\n{expected}\n--- stderr\n"),
            "{within} {variables:?}"
        );
    };
    check("project/src", &[], &[], "project/.venv");
    check("project/src", &[("VIRTUAL_ENV", "active"), ("CONDA_PREFIX", "conda")], &[], "active");
    check("project/src", &[("CONDA_PREFIX", "conda")], &[], "conda");
    check("project", &[("CONDA_PREFIX", "conda"), ("CONDA_DEFAULT_ENV", "base")], &[], "project/.venv");
    check("outer", &[], &[], "outer/.venv");
    // The root of a repository ends the search.
    check("outer/repository", &[], &[], "path");
    check("outer/repository", &[("CONDA_PREFIX", "conda"), ("CONDA_DEFAULT_ENV", "base")], &[], "conda");
    check("project", &[("VIRTUAL_ENV", "active")], &["--python", "../outer/.venv"], "outer/.venv");
    check("project", &[("VIRTUAL_ENV", "active")], &["--python", "python3"], "path");
}

#[test]
fn a_virtual_environment_stays_one() {
    let Some(python) = crate::python() else { return };
    let folder = folder_with(&[]);
    let made =
        python.command().args(["-m", "venv", "--without-pip", ".venv"]).current_dir(folder.path()).status();
    assert!(made.expect("it starts").success());
    let mut command = naja().command();
    command.args(["run", "-q", "-c", "import sys; print(sys.prefix != sys.base_prefix, sys.prefix)"]);
    let output = command.current_dir(folder.path()).output().expect("it starts");
    let root = folder.path().canonicalize().expect("it is there");
    let shown = block(&output, &[(root.to_str().expect("a plain path"), "[FOLDER]")]);
    assert_eq!(shown, "exit code 0\n--- stdout\nTrue [FOLDER]/.venv\n--- stderr\n");
}
