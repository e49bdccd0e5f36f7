//! Settings in `pyproject.toml`.

use naja_testkit::naja::block;

use crate::{folder_with, make_executable, naja};

fn check(settings: &str, options: &[&str], expected: &str) {
    let folder = folder_with(&[
        ("pyproject.toml", settings),
        ("mine/python", "#!/bin/sh\necho mine\n"),
        ("src/x", ""),
    ]);
    make_executable(&folder.path().join("mine/python"));
    let mut command = naja().command();
    command
        .arg("run")
        .args(options)
        .args(["-q", "-c", "print('found')"])
        .current_dir(folder.path().join("src"));
    let root = folder.path().canonicalize().expect("it is there");
    let shown =
        block(&command.output().expect("it starts"), &[(root.to_str().expect("a plain path"), "[FOLDER]")]);
    assert_eq!(shown, expected, "{settings}");
}

#[test]
fn the_interpreter_can_be_a_setting() {
    check("[tool.naja.run]\npython = 'mine/python'\n", &[], "exit code 0\n--- stdout\nmine\n--- stderr\n");
}

#[test]
fn a_wrong_setting_is_named() {
    check(
        "[tool.naja.run]\nrat = 5\n",
        &[],
        "exit code 2\n--- stdout\n--- stderr\nerror[bad-settings]: cannot use the settings in `[FOLDER]/pyproject.toml`: \
         unknown field `rat`, expected one of `rate`, `python`, `recordings`, `swap`, `memory`\n  \
         hint: the settings of `naja run` stand in the table `[tool.naja.run]`\n",
    );
    check(
        "[tool.naja.run]\nrate = 0\n",
        &[],
        "exit code 2\n--- stdout\n--- stderr\nerror[bad-settings]: the setting `rate = 0` is out of range\n  \
         hint: `rate` in `[tool.naja.run]` is from 1 to 20000 samples per second\n",
    );
}
