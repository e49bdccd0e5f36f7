//! Which Python runs the program.
//!
//! In this order: `--python`, the setting `python`, the active virtual environment (`VIRTUAL_ENV`, or a conda
//! environment other than the base one), the project's `.venv`, the base conda environment, `python3` and
//! `python` on the search path. Nothing is started to find out. Start at [`find`].

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use naja_system::{Failure, Result, find_upward, is_executable};

/// An interpreter as a shell would start it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// The file to execute.
    pub path: PathBuf,
    /// The name it is called by, `argv[0]`: as a user would have typed it.
    pub name: OsString,
    /// Why this one, as a phrase after "found": `in the active virtual environment`.
    pub reason: &'static str,
}

impl Interpreter {
    fn at(path: PathBuf, reason: &'static str) -> Interpreter {
        Interpreter { name: path.clone().into_os_string(), path, reason }
    }

    /// The folders where the environment of this interpreter keeps its commands, nearest first.
    pub fn command_folders(&self) -> Vec<PathBuf> {
        let own = self.path.parent().map(Path::to_path_buf);
        // `/usr/bin/python3` may be a link to a Python that lives elsewhere, with its commands beside it. That
        // does not hold for a virtual environment, which must not fall back on the commands outside of it.
        let is_virtual =
            own.as_deref().and_then(Path::parent).is_some_and(|it| it.join("pyvenv.cfg").exists());
        let real = (!is_virtual)
            .then(|| std::fs::canonicalize(&self.path).ok()?.parent().map(Path::to_path_buf))
            .flatten();
        let mut folders: Vec<PathBuf> = own.into_iter().chain(real).collect();
        folders.dedup();
        folders
    }
}

/// Finds the interpreter; `asked` is the value of `--python`, or that of the setting.
///
/// Errors: `no-such-interpreter`, with the ones that are there.
pub fn find(asked: Option<&OsStr>) -> Result<Interpreter> {
    if let Some(asked) = asked {
        return find_asked(asked);
    }
    if let Some(folder) = variable("VIRTUAL_ENV") {
        return in_environment(&folder).map(|path| Interpreter::at(path, "in the active virtual environment")).ok_or_else(|| {
            Failure::new(
                "no-such-interpreter",
                format!("the active virtual environment `{}` has no Python", folder.display()),
            )
            .hint("`deactivate` leaves it, `python3 -m venv` makes it anew, and `--python` names another Python")
        });
    }
    let conda = variable("CONDA_PREFIX").and_then(|folder| in_environment(&folder));
    let conda_is_base = std::env::var_os("CONDA_DEFAULT_ENV").is_some_and(|name| name == "base");
    if let (Some(path), false) = (&conda, conda_is_base) {
        return Ok(Interpreter::at(path.clone(), "in the active conda environment"));
    }
    let folder = std::env::current_dir().unwrap_or_default();
    if let Some(path) = find_upward(&folder, ".venv").and_then(|folder| in_environment(&folder)) {
        return Ok(Interpreter::at(path, "in the project's virtual environment"));
    }
    if let Some(path) = conda {
        return Ok(Interpreter::at(path, "in the base conda environment"));
    }
    for name in ["python3", "python"] {
        if let Some(path) = on_search_path(OsStr::new(name)) {
            return Ok(Interpreter { path, name: name.into(), reason: "on the search path" });
        }
    }
    Err(Failure::new("no-such-interpreter", "there is no `python3` and no `python` on the search path")
        .hint(hint_about_others()))
}

/// A file that can be executed, by its name, in the folders of `PATH`.
pub fn on_search_path(name: &OsStr) -> Option<PathBuf> {
    search_path().into_iter().map(|folder| folder.join(name)).find(|path| is_program(path))
}

/// The folders of `PATH`; an empty entry is the working directory, as for a shell.
pub fn search_path() -> Vec<PathBuf> {
    let Some(path) = std::env::var_os("PATH") else { return Vec::new() };
    std::env::split_paths(&path)
        .map(|folder| if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder })
        .collect()
}

/// Whether this is a file that the user may execute.
pub fn is_program(path: &Path) -> bool {
    path.is_file() && is_executable(path)
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn in_environment(folder: &Path) -> Option<PathBuf> {
    // The folder may be given relative to the working directory, but the program is found by its whole path.
    let folder = std::path::absolute(folder).ok()?;
    ["python", "python3"].into_iter().map(|name| folder.join("bin").join(name)).find(|path| is_program(path))
}

fn find_asked(asked: &OsStr) -> Result<Interpreter> {
    const REASON: &str = "as asked for";
    let path = Path::new(asked);
    let text = asked.to_string_lossy();
    if text.contains('/') || path.is_dir() {
        if is_program(path) {
            return Ok(Interpreter { path: path.to_path_buf(), name: asked.to_owned(), reason: REASON });
        }
        return in_environment(path).map(|path| Interpreter::at(path, REASON)).ok_or_else(|| {
            let trouble = match (path.is_dir(), path.exists()) {
                (true, _) => "has no `bin/python`",
                (false, true) => "cannot be executed",
                (false, false) => "does not exist",
            };
            Failure::new("no-such-interpreter", format!("the Python `{text}` {trouble}"))
                .hint(hint_about_others())
        });
    }
    if let Some(version) = Version::parse(&text) {
        if let Some(interpreter) = version.find() {
            return Ok(interpreter);
        }
    } else if let Some(path) = on_search_path(asked) {
        return Ok(Interpreter { path, name: asked.to_owned(), reason: REASON });
    }
    Err(Failure::new("no-such-interpreter", format!("there is no Python `{text}` on this machine"))
        .hint(hint_about_others()))
}

/// A version as asked for: `3`, `3.12` or `3.12.1`, with `t` at its end for a build without the GIL.
struct Version {
    numbers: Vec<u32>,
    suffix: &'static str,
}

impl Version {
    fn parse(text: &str) -> Option<Version> {
        let text = text.strip_prefix("python").unwrap_or(text);
        let (digits, suffix) = match text.strip_suffix('t') {
            Some(digits) => (digits, "t"),
            None => (text, ""),
        };
        let numbers = digits.split('.').map(|part| part.parse().ok()).collect::<Option<Vec<u32>>>()?;
        (1..=3).contains(&numbers.len()).then_some(Version { numbers, suffix })
    }

    /// By its name on the search path, else where Python's installers keep their versions.
    fn find(&self) -> Option<Interpreter> {
        let reason = "by its version";
        if let [_, _] | [_] = self.numbers[..] {
            let digits: Vec<String> = self.numbers.iter().map(u32::to_string).collect();
            let name = format!("python{}{}", digits.join("."), self.suffix);
            // pyenv's shims exist for every version but answer for the chosen ones alone.
            let is_shim = |path: &Path| path.parent().is_some_and(|folder| folder.ends_with("shims"));
            if let Some(path) = on_search_path(OsStr::new(&name)).filter(|path| !is_shim(path)) {
                return Some(Interpreter { path, name: name.into(), reason });
            }
        }
        installed()
            .into_iter()
            .filter(|(version, suffix, _)| version.starts_with(&self.numbers) && *suffix == self.suffix)
            .max_by(|left, right| left.0.cmp(&right.0))
            .map(|(_, _, path)| Interpreter::at(path, reason))
    }
}

/// The Pythons of pyenv and uv, by the version in the name of their folder: (version, `t` or nothing, path).
fn installed() -> Vec<(Vec<u32>, &'static str, PathBuf)> {
    let home = std::env::home_dir().unwrap_or_default();
    let pyenv = variable("PYENV_ROOT").unwrap_or_else(|| home.join(".pyenv")).join("versions");
    let uv = variable("UV_PYTHON_INSTALL_DIR").unwrap_or_else(|| home.join(".local/share/uv/python"));
    let mut found = Vec::new();
    for folder in [pyenv, uv].iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten() {
        let name = folder.file_name();
        let Some(name) = name.to_str() else { continue };
        // `3.12.1`, `3.13.0t` with pyenv; `cpython-3.12.1-linux-x86_64-gnu`, `...-3.13.0+freethreaded-...` with uv.
        let name = name.strip_prefix("cpython-").unwrap_or(name);
        let text = name.split('-').next().unwrap_or_default().replace("+freethreaded", "t");
        if let Some(version) = Version::parse(&text).filter(|version| version.numbers.len() == 3)
            && let Some(path) = in_environment(&folder.path())
        {
            found.push((version.numbers, version.suffix, path));
        }
    }
    found
}

fn hint_about_others() -> String {
    let mut names: Vec<String> = installed()
        .into_iter()
        .map(|(version, suffix, _)| {
            format!("{}.{}{suffix}", version.first().unwrap_or(&0), version.get(1).unwrap_or(&0))
        })
        .chain((8..=20).map(|minor| format!("3.{minor}")).filter(|name| {
            on_search_path(OsStr::new(&format!("python{name}")))
                .is_some_and(|path| !path.parent().is_some_and(|folder| folder.ends_with("shims")))
        }))
        .collect();
    names.sort_by_key(|name| Version::parse(name).map(|version| version.numbers));
    names.dedup();
    if names.is_empty() {
        "install Python, or give the path of one with `--python`".to_owned()
    } else {
        format!("`--python` takes a path or a version; found here: {}", names.join(", "))
    }
}
