//! What to run: from the words of the command line to the file to execute and its arguments.
//!
//! A word is what `python WORD` would take it for, where there is such a file or folder; else it is a command,
//! first of the interpreter's environment, then of the search path. Start at [`Target::resolve`].

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use naja_system::{Failure, Launch, Result, is_executable};

use super::interpreter::{self, Interpreter};

/// What the words name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A file, folder or archive of Python code, or `-`: the first argument of the interpreter.
    Script(OsString),
    /// `-m MODULE`.
    Module(OsString),
    /// `-c CODE`.
    Code(OsString),
    /// An executable of its own, which may or may not be Python.
    Command(PathBuf),
}

/// The words that name a program.
#[derive(Debug)]
pub struct Words {
    /// The value of `-m`.
    pub module: Option<OsString>,
    /// The value of `-c`.
    pub code: Option<OsString>,
    /// All the rest: the program, unless it was named by `-m` or `-c`, and its arguments.
    pub rest: Vec<OsString>,
}

impl Target {
    /// What a person would call it, for the name of its recording.
    pub fn name(&self) -> String {
        let file_stem = |path: &Path| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match self {
            Target::Script(path) if path == "-" => "stdin".to_owned(),
            Target::Script(path) => file_stem(Path::new(path)),
            Target::Module(name) => name.to_string_lossy().into_owned(),
            Target::Code(_) => "code".to_owned(),
            Target::Command(path) => file_stem(path),
        }
    }

    /// Finds out what the words name. What remains in `words.rest` are the program's arguments.
    ///
    /// `interpreter` gives the folders of its environment's commands; `python_was_chosen` (by `--python`) means
    /// that a Python script is run by that interpreter and not by the one in its first line.
    ///
    /// Errors: `usage` without a program, `no-such-file`, `no-such-command`, `no-main-module`.
    pub fn resolve(
        words: &mut Words,
        interpreter: Option<&Interpreter>,
        python_was_chosen: bool,
    ) -> Result<Target> {
        if let Some(module) = words.module.take() {
            return Ok(Target::Module(module));
        }
        if let Some(code) = words.code.take() {
            return Ok(Target::Code(code));
        }
        if words.rest.is_empty() {
            return Err(Failure::new("usage", "`naja run` needs a program")
                .hint("for instance `naja run app.py`, `naja run -m pytest`; `naja run -h` shows more"));
        }
        let word = words.rest.remove(0);
        if word == "-" {
            return Ok(Target::Script(word));
        }
        let path = Path::new(&word);
        let command = || find_command(&word, interpreter);
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                if has_main_module(path) {
                    return Ok(Target::Script(word));
                }
                command().map(Target::Command).ok_or_else(|| no_main_module(path))
            }
            Ok(metadata) => {
                if metadata.is_file() && runs_by_itself(path, python_was_chosen) {
                    return Ok(Target::Command(path.to_path_buf()));
                }
                Ok(Target::Script(word))
            }
            Err(error) => match command() {
                Some(path) => Ok(Target::Command(path)),
                None => Err(nothing_found(&word, &error, interpreter)),
            },
        }
    }

    /// The file to execute and its arguments.
    ///
    /// Errors: what kept an interpreter from being found, where the target needs one.
    pub fn launch(
        &self,
        interpreter: Result<Interpreter>,
        interpreter_options: Vec<OsString>,
        arguments: Vec<OsString>,
    ) -> Result<Launch> {
        let own: Vec<OsString> = match self {
            Target::Command(path) => {
                let name = path.clone().into_os_string();
                let arguments = std::iter::once(name).chain(arguments).collect();
                return Ok(Launch { executable: path.clone(), arguments, ..Launch::default() });
            }
            Target::Module(name) => vec!["-m".into(), name.clone()],
            Target::Code(code) => vec!["-c".into(), code.clone()],
            Target::Script(path) if path.as_bytes().starts_with(b"-") && path != "-" => {
                vec!["--".into(), path.clone()]
            }
            Target::Script(path) => vec![path.clone()],
        };
        let interpreter = interpreter?;
        let arguments = std::iter::once(interpreter.name)
            .chain(interpreter_options)
            .chain(own)
            .chain(arguments)
            .collect();
        Ok(Launch { executable: interpreter.path, arguments, ..Launch::default() })
    }
}

/// What can be asked of Python's own files by their names.
const PYTHON_SUFFIXES: [&str; 8] = ["py", "pyw", "pyc", "pyz", "pyzw", "zip", "egg", "whl"];

fn has_python_suffix(path: &Path) -> bool {
    path.extension().and_then(OsStr::to_str).is_some_and(|suffix| PYTHON_SUFFIXES.contains(&suffix))
}

fn has_main_module(folder: &Path) -> bool {
    ["__main__.py", "__main__.pyc"].iter().any(|name| folder.join(name).is_file())
}

/// Whether an existing file is a program of its own rather than Python code for the interpreter: a native
/// program, or a script whose first line names another interpreter (or some Python, where none was chosen).
fn runs_by_itself(path: &Path, python_was_chosen: bool) -> bool {
    if has_python_suffix(path) || !is_executable(path) {
        return false;
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(256).read_to_end(&mut start));
    let first_line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    match (read, first_line) {
        // An executable that cannot be read can still be executed.
        (Err(_), _) => true,
        (Ok(_), line) if line.starts_with(b"#!") => {
            !(python_was_chosen && line.windows(6).any(|word| word == b"python"))
        }
        (Ok(_), line) => line.starts_with(b"\x7fELF"),
    }
}

/// A command by its bare name: of the interpreter's environment, else of the search path.
fn find_command(name: &OsStr, interpreter: Option<&Interpreter>) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') || name.is_empty() {
        return None;
    }
    interpreter
        .map(Interpreter::command_folders)
        .unwrap_or_default()
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| interpreter::is_program(path))
        .or_else(|| interpreter::on_search_path(name))
}

fn no_main_module(folder: &Path) -> Failure {
    let failure = Failure::new(
        "no-main-module",
        format!("cannot run the folder `{}`: it has no `__main__.py`", folder.display()),
    );
    if !folder.join("__init__.py").is_file() {
        return failure.hint("name the file to run");
    }
    let module =
        folder.components().filter_map(|part| part.as_os_str().to_str()).collect::<Vec<_>>().join(".");
    failure
        .hint(format!("it is a package without a program; `naja run -m {module}.MODULE` runs a module of it"))
}

fn nothing_found(word: &OsStr, error: &std::io::Error, interpreter: Option<&Interpreter>) -> Failure {
    let path = Path::new(word);
    let is_path = word.as_bytes().contains(&b'/') || has_python_suffix(path);
    let text = word.to_string_lossy();
    if error.kind() != std::io::ErrorKind::NotFound {
        return Failure::new("no-such-file", format!("cannot run `{text}`")).caused_by(error);
    }
    let (failure, names) = if is_path {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let failure = if folder.is_dir() {
            Failure::new("no-such-file", format!("cannot run `{text}`: no such file"))
        } else {
            let folder = folder.display();
            Failure::new("no-such-file", format!("cannot run `{text}`: there is no folder `{folder}`"))
        };
        (failure, names_in(folder))
    } else {
        let failure =
            Failure::new("no-such-command", format!("cannot run `{text}`: no such file, folder or command"));
        let folders = interpreter.map(Interpreter::command_folders).unwrap_or_default();
        let mut names = names_in(Path::new("."));
        names.retain(|name| has_python_suffix(Path::new(name)) || has_main_module(Path::new(name)));
        names.extend(folders.iter().chain(&interpreter::search_path()).flat_map(|folder| names_in(folder)));
        (failure, names)
    };
    let last = path.file_name().unwrap_or(word).to_string_lossy();
    if let Some(similar) = most_similar(&last, &names) {
        let shown = match path.parent() {
            Some(folder) if is_path => folder.join(similar).display().to_string(),
            _ => similar.to_owned(),
        };
        return failure.hint(format!("there is `{shown}`"));
    }
    match std::env::current_dir() {
        Ok(folder) if is_path && path.is_relative() => {
            failure.hint(format!("the working directory is `{}`", folder.display()))
        }
        _ if !is_path => failure.hint(format!("`naja run -m {text}` runs a module of that name")),
        _ => failure,
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The name that was most likely meant: the nearest one, unless it is far off.
fn most_similar<'a>(word: &str, names: &'a [String]) -> Option<&'a str> {
    let longest_distance = (word.chars().count() / 3).clamp(1, 3);
    let stem = |name: &str| name.strip_suffix(".py").unwrap_or(name).to_lowercase();
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&stem(word), &stem(name)), name))
        .filter(|(distance, name)| *distance <= longest_distance && name.as_str() != word)
        .min()
        .map(|(_, name)| name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_meant_is_found() {
        let names = ["app.py", "setup.py", "README.md", "ape.py"].map(String::from);
        assert_eq!(most_similar("ap.py", &names), Some("ape.py"));
        assert_eq!(most_similar("appp.py", &names), Some("app.py"));
        assert_eq!(most_similar("app", &names), Some("app.py"));
        assert_eq!(most_similar("setpu.py", &names), Some("setup.py"));
        assert_eq!(most_similar("unrelated.py", &names), None);
    }
}
