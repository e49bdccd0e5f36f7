//! Tests of the built `naja`: what it does is held against what plain Python does.

mod bad_input;
mod children;
mod command_line;
mod containers;
mod convert;
mod core_files;
mod databases;
mod dump;
mod dump_async;
mod endings;
mod heat;
mod identity;
mod interpreters;
mod layouts;
mod memory;
mod memory_reports;
mod native;
mod native_threads;
mod project;
mod real_programs;
mod record;
mod record_async;
mod refusals;
mod scenarios;
mod signals;
mod stress;
mod targets;
mod terminals;
mod test_affected;
mod test_bad_input;
mod test_isolation;
mod test_runs;
mod test_watch;
mod testing;
mod threads;
mod top;
mod wheel;

use std::ffi::OsString;
use std::path::Path;
use std::process::Output;

use naja_testkit::interpreters::{Interpreter, interpreters};
use naja_testkit::naja::Naja;

/// The program under test.
fn naja() -> Naja {
    Naja::new(env!("CARGO_BIN_EXE_naja"))
}

/// The interpreter for tests that need any: the newest one; says so and gives nothing where there is none.
fn python() -> Option<&'static Interpreter> {
    let newest = interpreters().iter().rfind(|one| !one.free_threaded);
    if newest.is_none() {
        naja_testkit::not_tested("there is no CPython from 3.8 on");
    }
    newest
}

/// An interpreter that has pytest: that of `NAJA_TEST_PYTEST`, else of the checkout's own `.venv`, which `make build` makes.
fn python_with_pytest() -> Option<std::path::PathBuf> {
    let asked = std::env::var_os("NAJA_TEST_PYTEST").map(std::path::PathBuf::from);
    let python = asked.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python"));
    let has_pytest = std::process::Command::new(&python).args(["-c", "import pytest"]).output();
    if has_pytest.is_ok_and(|output| output.status.success()) {
        return Some(python);
    }
    naja_testkit::not_tested("there is no interpreter with pytest: `make build` makes one in .venv");
    None
}

/// Makes a folder with these files.
fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("it can be written");
        std::fs::write(path, text).expect("it can be written");
    }
    folder
}

/// Makes a file executable.
fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Runs the words in `folder` plainly and under naja, and gives both outcomes.
///
/// `prefix` comes before everything (`sh -c '...; exec "$@"' sh`), `words` after the interpreter.
fn both_ways(folder: &Path, prefix: &[&str], words: &[&str]) -> Option<[Output; 2]> {
    let naja = naja();
    let ways = naja.with_and_without(python()?);
    Some(ways.map(|way| {
        let all: Vec<OsString> =
            prefix.iter().map(OsString::from).chain(way).chain(words.iter().map(OsString::from)).collect();
        let mut command = naja.command_of(&all);
        command.current_dir(folder).stdin(std::process::Stdio::null()).output().expect("it starts")
    }))
}

/// Asserts that a program does the same under naja as under plain Python: ending, output, errors.
fn check_same(folder: &Path, prefix: &[&str], words: &[&str]) -> Option<Output> {
    let [plain, observed] = both_ways(folder, prefix, words)?;
    let [plainly, under_naja] = [&plain, &observed].map(|output| naja_testkit::naja::block(output, &[]));
    let differs = plainly.lines().zip(under_naja.lines()).find(|(left, right)| left != right);
    assert!(
        plainly == under_naja,
        "{prefix:?} {words:?}: plainly, and under naja: {differs:?}\n{under_naja}"
    );
    Some(observed)
}

/// A run that was observed: how it ended, and its report.
struct Observed {
    output: Output,
    report: serde_json::Value,
    /// The text of the report, and what else went to standard error.
    text: String,
    recording: std::path::PathBuf,
    _naja: Naja,
}

impl Observed {
    /// Runs the words after `naja run` in `folder`, with the recording and the report in there too.
    fn run(folder: &Path, words: &[&str]) -> Option<Observed> {
        Observed::run_with(folder, words, |_| {})
    }

    /// The same, with the command changed before it starts.
    fn run_with(
        folder: &Path,
        words: &[&str],
        change: impl FnOnce(&mut std::process::Command),
    ) -> Option<Observed> {
        let naja = naja();
        let recording = folder.join("run.naja");
        let mut command = naja.command();
        command.arg("run").arg("--python").arg(&python()?.path);
        command.arg("-o").arg(&recording).arg("--report").arg(folder.join("report.json"));
        command.args(words).current_dir(folder).stdin(std::process::Stdio::null());
        change(&mut command);
        let output = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let report =
            std::fs::read(folder.join("report.json")).unwrap_or_else(|error| panic!("{error}: {text}"));
        let report = serde_json::from_slice(&report).expect("a report is JSON");
        Some(Observed { output, report, text, recording, _naja: naja })
    }

    /// The processes of the report, the program first.
    fn processes(&self) -> &[serde_json::Value] {
        self.report["processes"].as_array().expect("there are processes")
    }

    /// The process whose command line has this word.
    ///
    /// # Panics
    /// When there is none.
    fn process(&self, word: &str) -> &serde_json::Value {
        let has = |process: &&serde_json::Value| {
            process["command"].as_array().is_some_and(|words| words.iter().any(|one| one == word))
        };
        self.processes()
            .iter()
            .find(has)
            .unwrap_or_else(|| panic!("no process {word}: {:#}", self.report["processes"]))
    }

    /// Seconds of processor time in a function itself; 0 when it is not among the hottest.
    fn seconds_in(&self, function: &str) -> f64 {
        let functions = self.report["functions"].as_array().expect("there are functions");
        let found = functions.iter().find(|one| one["function"] == function);
        found.and_then(|one| one["own_s"].as_f64()).unwrap_or(0.0)
    }
}
