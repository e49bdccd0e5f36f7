//! One step of a chore: one line that says what is done, then a command.

use std::path::Path;
use std::process::{Command, Stdio};
use std::{fs, io};

/// The result of a chore.
pub(crate) type Outcome<T> = Result<T, Problem>;

/// Why a chore stopped, in words for the terminal.
#[derive(Debug)]
pub(crate) struct Problem {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
    /// The exit code: 1 where the answer is no, 2 where the chore could not run.
    pub(crate) code: u8,
}

impl Problem {
    /// The chore could not do its work.
    pub(crate) fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), hint: None, code: 2 }
    }

    /// The chore did its work, and the answer is no.
    pub(crate) fn answer_is_no(message: impl Into<String>) -> Problem {
        Problem { code: 1, ..Problem::new(message) }
    }

    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Problem {
        self.hint = Some(hint.into());
        self
    }

    /// An error of the file system, with the path that it is about.
    pub(crate) fn path(verb: &str, path: &Path, error: &io::Error) -> Problem {
        Problem::new(format!("cannot {verb} `{}`: {error}", path.display()))
    }
}

/// Says in one line what is being done.
pub(crate) fn say(text: &str) {
    eprintln!("naja: {text}");
}

/// Runs a command, its output shown as it comes.
pub(crate) fn run(command: &mut Command) -> Outcome<()> {
    let status = command.stdin(Stdio::null()).status().map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Problem::answer_is_no(format!("`{}` failed ({status})", words(command))))
}

/// Runs a command and shows its output only where it failed. Gives its standard output.
pub(crate) fn run_quietly(command: &mut Command) -> Outcome<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    eprint!("{text}{}", String::from_utf8_lossy(&output.stderr));
    Err(Problem::answer_is_no(format!("`{}` failed ({})", words(command), output.status)))
}

/// Whether a command can be run and succeeds; its output is not shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether a program of this name can be found on the path.
pub(crate) fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// Reads a text file of the checkout.
pub(crate) fn read(path: &Path) -> Outcome<String> {
    fs::read_to_string(path).map_err(|error| Problem::path("read", path, &error))
}

/// Writes a file and the folders above it.
pub(crate) fn write(path: &Path, text: &str) -> Outcome<()> {
    let written = match path.parent() {
        Some(folder) => fs::create_dir_all(folder).and_then(|()| fs::write(path, text)),
        None => fs::write(path, text),
    };
    written.map_err(|error| Problem::path("write", path, &error))
}

fn cannot_start(command: &Command, error: &io::Error) -> Problem {
    Problem::new(format!("cannot start `{}`: {error}", words(command)))
}

fn words(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect();
    words.join(" ")
}
