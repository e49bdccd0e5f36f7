//! Running the built `naja`, and showing what came of it as one block.

use std::ffi::OsStr;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};

use crate::interpreters::Interpreter;

/// The built program, with a cache folder of its own that goes away with this value.
pub struct Naja {
    program: PathBuf,
    cache: tempfile::TempDir,
}

impl Naja {
    /// `program` is the path of the executable: `env!("CARGO_BIN_EXE_naja")` in the tests of `cli`.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    pub fn new(program: impl AsRef<Path>) -> Self {
        let cache = tempfile::tempdir().expect("a temporary folder can be made");
        Naja { program: program.as_ref().to_owned(), cache }
    }

    /// The path of the executable.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command that runs it with nothing of the user's own: no active environment, an empty cache.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        clean(&mut command, self.cache.path());
        command
    }

    /// The two ways to run a program that a test compares: by the interpreter, and by `naja run -q` with it.
    ///
    /// Each is a list of words to which the program and its arguments are added.
    pub fn with_and_without(&self, interpreter: &Interpreter) -> [Vec<std::ffi::OsString>; 2] {
        let python = interpreter.path.as_os_str().to_owned();
        let naja = [
            self.program.as_os_str(),
            OsStr::new("run"),
            OsStr::new("-q"),
            OsStr::new("--python"),
            interpreter.path.as_os_str(),
        ];
        [vec![python], naja.map(OsStr::to_owned).to_vec()]
    }

    /// A command made of words such as those of [`Naja::with_and_without`], with the same clean environment.
    ///
    /// # Panics
    /// When there are no words.
    pub fn command_of(&self, words: &[impl AsRef<OsStr>]) -> Command {
        let (first, rest) = words.split_first().expect("a command has a name");
        let mut command = Command::new(first);
        command.args(rest);
        clean(&mut command, self.cache.path());
        command
    }
}

fn clean(command: &mut Command, cache: &Path) {
    command
        .env("XDG_CACHE_HOME", cache)
        .env("NO_COLOR", "1")
        .env("COLUMNS", "100")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("VIRTUAL_ENV")
        .env_remove("CONDA_PREFIX")
        .env_remove("CONDA_DEFAULT_ENV");
}

/// How a program ended, for people: `exit code 2`, `signal 11`, `signal 6 (core dumped)`.
pub fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) if status.core_dumped() => format!("signal {signal} (core dumped)"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => format!("{status:?}"),
    }
}

/// The whole exchange with a program as one block of text: how it ended, what it wrote.
///
/// `names` replaces what differs from run to run: `[(path, "[FOLDER]")]`.
pub fn block(output: &Output, names: &[(&str, &str)]) -> String {
    let text = |bytes: &[u8]| {
        let mut text = String::from_utf8_lossy(bytes).into_owned();
        for (what, name) in names {
            text = text.replace(what, name);
        }
        text
    };
    format!(
        "{}\n--- stdout\n{}--- stderr\n{}",
        ending(output.status),
        text(&output.stdout),
        text(&output.stderr)
    )
}
