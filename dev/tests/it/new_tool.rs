//! `cargo dev new-tool` in a copy of the checkout: what it makes compiles and breaks no rule.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A copy of everything that is in the checkout and was not built there.
fn copy() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    copy_folder(Path::new(ROOT), folder.path());
    folder
}

fn copy_folder(from: &Path, to: &Path) {
    const BUILT: [&str; 6] = ["target", ".git", ".venv", ".cache", "dist", "__pycache__"];
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if BUILT.iter().any(|built| name == *built) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            fs::copy(&path, to.join(name)).expect("a file can be copied");
        }
    }
}

fn dev(checkout: &Path, arguments: &[&str]) -> (bool, String) {
    run(Command::new(env!("CARGO_BIN_EXE_naja-dev"))
        .args(arguments)
        .env("CARGO_MANIFEST_DIR", checkout.join("dev")))
}

fn run(command: &mut Command) -> (bool, String) {
    let output = command.output().expect("it can be started");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn a_new_tool_compiles_and_has_all_the_parts() {
    let copy = copy();
    let (made, told) = dev(copy.path(), &["new-tool", "trial"]);
    assert!(made, "{told}");
    assert!(copy.path().join("tools/trial/src/lib.rs").is_file());
    assert!(copy.path().join("docs/tools/trial.md").is_file());

    // The dependencies that are compiled already are used again; only compiling is tested, since linking costs most.
    let build_folder =
        Path::new(env!("CARGO_BIN_EXE_naja-dev")).ancestors().nth(2).expect("it lies in a build folder");
    let mut check = Command::new("cargo");
    check.args([
        "clippy",
        "--release",
        "--offline",
        "--tests",
        "--package",
        "naja-trial",
        "--",
        "-D",
        "warnings",
    ]);
    let (compiles, told) = run(check.current_dir(copy.path()).env("CARGO_TARGET_DIR", build_folder));
    assert!(compiles, "{told}");
    let (formatted, told) = run(Command::new("cargo")
        .args(["fmt", "--check", "--package", "naja-trial"])
        .current_dir(copy.path()));
    assert!(formatted, "{told}");

    // Of `cargo dev check` only the complaints about the new tool count: the rest is the checkout's own.
    let (_, told) = dev(copy.path(), &["check"]);
    assert!(!told.contains("trial") && !told.contains("errors.md"), "{told}");
}

#[test]
fn a_name_that_is_no_word_makes_nothing() {
    let copy = tempfile::tempdir().expect("a temporary folder");
    fs::create_dir(copy.path().join("dev")).expect("a folder can be made");
    fs::write(copy.path().join("Cargo.lock"), "").expect("a file can be written");
    let (made, told) = dev(copy.path(), &["new-tool", "Two-Words"]);
    assert!(!made && told.contains("`Two-Words` is no name for a tool"), "{told}");
    assert!(!copy.path().join("tools").exists());
}
