//! A Python program that is observed by a test: started, waited for, killed at the end.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::interpreters::Interpreter;

/// A running Python program that has said that it is ready.
///
/// The program prints one line of JSON when it is ready, then goes on; it ends when the target is dropped.
pub struct Target {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    folder: tempfile::TempDir,
    ready: serde_json::Value,
}

impl Target {
    /// Runs `program` (source text) under `interpreter` and waits until it is ready.
    ///
    /// # Panics
    /// When it does not start, or ends without having been ready: the test cannot go on.
    pub fn start(interpreter: &Interpreter, program: &str) -> Self {
        Target::start_as(interpreter, "target.py", program)
    }

    /// As [`Target::start`], with a name for the file that holds the program.
    ///
    /// # Panics
    /// As [`Target::start`].
    pub fn start_as(interpreter: &Interpreter, file_name: &str, program: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let file = folder.path().join(file_name);
        std::fs::write(&file, program).expect("the temporary folder can be written");
        let mut command = interpreter.command();
        command.arg(&file);
        Target::spawn(command, folder)
    }

    /// Runs a prepared command, which may need `folder` as long as it lives.
    ///
    /// # Panics
    /// As [`Target::start`].
    pub fn spawn(mut command: Command, folder: tempfile::TempDir) -> Self {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().expect("its standard output was asked for");
        let mut stdout = BufReader::new(stdout);
        let ready = next_line(&mut stdout)
            .unwrap_or_else(|| panic!("{command:?} ended before it was ready: {:?}", child.wait()));
        let ready = serde_json::from_str(&ready)
            .unwrap_or_else(|error| panic!("{command:?} said {ready:?}: {error}"));
        Target { child, stdin, stdout, folder, ready }
    }

    /// Its process number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said when it was ready.
    pub fn ready(&self) -> &serde_json::Value {
        &self.ready
    }

    /// The folder that it lives in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of a file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Sends it one line and gives the line of JSON that it answers with.
    ///
    /// # Panics
    /// When it does not answer.
    pub fn ask(&mut self, line: &str) -> serde_json::Value {
        let stdin = self.stdin.as_mut().expect("its standard input was asked for");
        writeln!(stdin, "{line}").expect("the target reads its standard input");
        self.answer()
    }

    /// The next line of JSON that it says.
    ///
    /// # Panics
    /// When it says nothing more.
    pub fn answer(&mut self) -> serde_json::Value {
        let answer = next_line(&mut self.stdout).expect("the target answers");
        serde_json::from_str(&answer).expect("the target answers in JSON")
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn next_line(from: &mut BufReader<ChildStdout>) -> Option<String> {
    let mut line = String::new();
    match from.read_line(&mut line) {
        Ok(count) if count > 0 => Some(line),
        _ => None,
    }
}
