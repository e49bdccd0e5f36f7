//! The wheel, installed as users install it: with pip into an empty environment, behind a link as pipx makes it,
//! and with `uv tool`.
//!
//! `make test` builds the wheel and names it in `NAJA_WHEEL`; a bare `cargo test` has none to look at.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use naja_testkit::not_tested;
use tempfile::TempDir;

/// An empty environment in a folder of its own, and the wheel.
struct Place {
    folder: TempDir,
    wheel: PathBuf,
}

impl Place {
    /// Nothing, with a note, where there is no wheel.
    fn new() -> Option<Place> {
        let Some(wheel) = std::env::var_os("NAJA_WHEEL") else {
            not_tested("the wheel: `make test` builds it, a bare `cargo test` does not");
            return None;
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        Some(Place { folder, wheel: wheel.into() })
    }

    /// Makes the environment and installs the wheel into it. The index is not asked.
    fn with_pip(self) -> Place {
        // Without pip inside, so that nothing but the wheel is ever there.
        let made = tool("python").args(["-m", "venv", "--without-pip"]).arg(self.environment()).output();
        succeeded(made.expect("the checkout's environment has a Python"));
        self
    }

    fn pip(&self, arguments: &[&str]) {
        let mut pip = tool("python");
        pip.args(["-m", "pip", "--disable-pip-version-check", "--python"]).arg(self.at("env/bin/python"));
        succeeded(pip.args(arguments).output().expect("the checkout's environment has pip"));
    }

    fn install(&self) {
        let wheel = self.wheel.to_str().expect("the name of a wheel is text");
        self.pip(&["install", "--no-index", "--no-deps", "--no-compile", wheel]);
    }

    fn environment(&self) -> PathBuf {
        self.at("env")
    }

    fn at(&self, path: &str) -> PathBuf {
        fs::canonicalize(self.folder.path()).expect("it was just made").join(path)
    }
}

/// A program of the checkout's own environment.
fn tool(name: &str) -> Command {
    clean(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin").join(name))
}

/// A command that sees no environment but its own.
fn clean(program: &Path) -> Command {
    let mut command = Command::new(program);
    for variable in ["VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"] {
        command.env_remove(variable);
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn succeeded(output: Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

fn answer(program: &Path, arguments: &[&str]) -> String {
    succeeded(clean(program).args(arguments).output().expect("the program can be started"))
}

/// The value of one line of `naja about`.
fn about(program: &Path, part: &str) -> PathBuf {
    let text = answer(program, &["about"]);
    let line = text.lines().find_map(|line| line.strip_prefix(part)).expect("the part is there");
    PathBuf::from(line.trim())
}

/// Every path below a folder, sorted.
fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            found.extend(tree(&path));
        }
        found.push(path);
    }
    found.sort();
    found
}

const VERSION: &str = concat!("naja ", env!("CARGO_PKG_VERSION"), "\n");

#[test]
fn pip_installs_a_native_command_and_a_package_and_removes_both() {
    let Some(place) = Place::new().map(Place::with_pip) else { return };
    let before = tree(&place.environment());
    place.install();

    let naja = place.at("env/bin/naja");
    let bytes = fs::read(&naja).expect("the command is there");
    assert_eq!(&bytes[..4], b"\x7fELF", "the command is the native program");
    assert_eq!(fs::metadata(&naja).expect("it is there").permissions().mode() & 0o111, 0o111);
    assert_eq!(answer(&naja, &["--version"]), VERSION);

    let python = place.at("env/bin/python");
    let path = python.to_str().expect("text");
    assert_eq!(answer(&naja, &["run", "--python", path, "-c", "print(1)"]), "1\n");
    let versions = "import naja, naja._native; print('naja', naja.__version__)";
    assert_eq!(answer(&python, &["-c", versions]), VERSION);
    assert_eq!(answer(&python, &["-m", "naja", "--version"]), VERSION);
    assert!(about(&naja, "package").starts_with(place.environment()));
    assert!(place.at("env/share/man/man1/naja.1").is_file());

    place.pip(&["uninstall", "--yes", "naja"]);
    let left: Vec<_> = tree(&place.environment()).into_iter().filter(|path| path.is_file()).collect();
    let files: Vec<_> = before.into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(left, files);
}

#[test]
fn a_link_to_the_command_leads_to_its_own_package() {
    let Some(place) = Place::new().map(Place::with_pip) else { return };
    place.install();
    // As pipx does: the environment is hidden away, and one link lies on the path.
    let bin = place.at("bin");
    fs::create_dir(&bin).expect("a folder can be made");
    symlink(place.at("env/bin/naja"), bin.join("naja")).expect("a link can be made");
    assert_eq!(answer(&bin.join("naja"), &["--version"]), VERSION);
    let package = about(&bin.join("naja"), "package");
    assert!(package.starts_with(place.environment()), "{}", package.display());
    assert!(package.join("py.typed").is_file());
}

#[test]
fn uv_tool_installs_and_uninstalls_the_command() {
    let Some(place) = Place::new() else { return };
    let uv = |arguments: &[&str]| {
        let mut uv = tool("uv");
        uv.args(["--offline", "--no-cache", "--no-config"]).args(arguments);
        uv.env("UV_TOOL_DIR", place.at("tools")).env("UV_TOOL_BIN_DIR", place.at("bin"));
        uv.env("UV_PYTHON_DOWNLOADS", "never");
        succeeded(uv.output().expect("the checkout's environment has uv"))
    };
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
    uv(&["tool", "install", "--python", python.to_str().expect("text"), place.wheel.to_str().expect("text")]);
    let naja = place.at("bin/naja");
    assert!(naja.is_symlink(), "uv links the command");
    assert_eq!(answer(&naja, &["--version"]), VERSION);
    assert!(about(&naja, "package").starts_with(place.at("tools")));
    uv(&["tool", "uninstall", "naja"]);
    assert!(!naja.exists() && !place.at("tools/naja").exists());
}
