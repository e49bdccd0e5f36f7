//! The Python interpreters of this machine, wherever they are installed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::not_tested;

/// The minor versions that every figure and table is tested with.
const READ_MINORS: std::ops::RangeInclusive<u8> = 8..=13;

/// A Python that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The executable.
    pub path: PathBuf,
    /// Major, minor, patch.
    pub version: (u8, u8, u8),
    /// Whether it is a build without a GIL.
    pub free_threaded: bool,
    /// `sys.implementation.name`: `cpython`, `pypy`.
    pub implementation: String,
}

impl std::fmt::Display for Interpreter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (major, minor, patch) = self.version;
        let threads = if self.free_threaded { "t" } else { "" };
        write!(f, "{} {major}.{minor}.{patch}{threads} ({})", self.implementation, self.path.display())
    }
}

impl Interpreter {
    /// Its minor version: 12 for 3.12.1.
    pub fn minor(&self) -> u8 {
        self.version.1
    }

    /// A command that runs it without reading or writing anything of the user's.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command
            .arg("-B")
            .env("PYTHONIOENCODING", "utf-8")
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONSTARTUP");
        command
    }

    /// Asks the interpreter at `path` what it is.
    fn ask(path: &Path) -> Option<Self> {
        let question = "import sys\n\
            v = sys.version_info\n\
            free = getattr(sys, '_is_gil_enabled', None) is not None and 't' in getattr(sys, 'abiflags', '')\n\
            name = getattr(getattr(sys, 'implementation', None), 'name', 'cpython')\n\
            print('%d %d %d %d %s' % (v[0], v[1], v[2], free, name))";
        let answer = Command::new(path).args(["-S", "-c", question]).output().ok()?;
        let text = String::from_utf8(answer.stdout).ok()?;
        let mut words = text.split_whitespace();
        let mut number = || words.next()?.parse::<u8>().ok();
        let version = (number()?, number()?, number()?);
        let free_threaded = number()? == 1;
        Some(Interpreter {
            path: path.to_owned(),
            version,
            free_threaded,
            implementation: words.next()?.to_owned(),
        })
    }
}

/// Every CPython from 3.8 on, one per installation, oldest first.
///
/// Looks in `NAJA_TEST_PYTHONS` (paths with `:` between them), pyenv, `PATH` and `/usr/bin`. Versions that are
/// not there are noted as not tested.
pub fn interpreters() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let supported = |one: &Interpreter| one.implementation == "cpython" && one.version >= (3, 8, 0);
        let found: Vec<_> = all_interpreters().iter().filter(|one| supported(one)).cloned().collect();
        let missing = READ_MINORS.filter(|minor| !found.iter().any(|one| one.minor() == *minor));
        missing.for_each(|minor| not_tested(&format!("CPython 3.{minor}: it is not installed here")));
        found
    })
}

/// Every Python found, also those that naja does not read: Python 2, 3.7, PyPy.
pub fn all_interpreters() -> &'static [Interpreter] {
    static FOUND: OnceLock<Vec<Interpreter>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut seen = BTreeSet::new();
        let mut found: Vec<Interpreter> = candidates()
            .into_iter()
            .filter(|path| path.canonicalize().is_ok_and(|real| seen.insert(real)))
            .filter_map(|path| Interpreter::ask(&path))
            .collect();
        found.sort_by(|a, b| (a.version, &a.path).cmp(&(b.version, &b.path)));
        found
    })
}

/// The installed interpreter of one minor version, if there is one: `cpython(12)`.
pub fn cpython(minor: u8) -> Option<&'static Interpreter> {
    interpreters().iter().find(|one| one.minor() == minor && !one.free_threaded)
}

fn candidates() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(extra) = std::env::var_os("NAJA_TEST_PYTHONS") {
        paths.extend(std::env::split_paths(&extra));
    }
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".pyenv")));
    for version in pyenv.iter().flat_map(|root| entries(&root.join("versions"))) {
        paths.extend(pythons_in(&version.join("bin")));
    }
    if let Some(path) = std::env::var_os("PATH") {
        paths.extend(std::env::split_paths(&path).flat_map(|folder| pythons_in(&folder)));
    }
    paths.extend(pythons_in(Path::new("/usr/bin")));
    // pyenv's shims and the links of virtual environments stand for an interpreter that is listed itself.
    paths.retain(|path| !path.components().any(|part| part.as_os_str() == "shims"));
    paths
}

/// `python3.12`, `python3.13t`, `python2.7`, `pypy3`, but not `python3-config`.
fn pythons_in(folder: &Path) -> Vec<PathBuf> {
    let is_python = |name: &str| {
        let rest = name.strip_prefix("python").or_else(|| name.strip_prefix("pypy"));
        rest.is_some_and(|rest| {
            let digits = rest.strip_suffix('t').unwrap_or(rest);
            digits.contains('.') && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
        })
    };
    entries(folder)
        .into_iter()
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_python))
        .collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    paths.sort();
    paths
}
