//! What the tests of `naja test` share: projects, and an interpreter that has pytest.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use naja_testkit::naja::Naja;
use naja_testkit::terminal::Terminal;

use crate::{folder_with, naja, python_with_pytest};

/// A project with tests, and runs of them.
pub(crate) struct Tests {
    pub(crate) folder: tempfile::TempDir,
    naja: Naja,
    python: PathBuf,
}

impl Tests {
    /// A project with these files; nothing where no interpreter has pytest.
    pub(crate) fn new(files: &[(&str, &str)]) -> Option<Tests> {
        let python = python_with_pytest()?;
        let folder = folder_with(files);
        if !folder.path().join("pyproject.toml").exists() {
            std::fs::write(folder.path().join("pytest.ini"), "[pytest]\n").expect("it can be written");
        }
        Some(Tests { folder, naja: naja(), python })
    }

    /// `naja test` with these words.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.naja.command();
        command.arg("test").arg("--python").arg(&self.python).args(words);
        command.current_dir(self.folder.path()).stdin(Stdio::null()).env("TERM", "xterm-256color");
        command
    }

    /// Runs it to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        Run::of(self.command(words).output().expect("it starts"))
    }

    /// Runs it on a terminal, below a shell that tells its exit code.
    pub(crate) fn in_shell(&self, words: &str) -> Terminal {
        let script = format!(
            "{} test --python {} --color=no {words}; echo left with $?; cat",
            self.naja.program().display(),
            self.python.display()
        );
        let mut command = self.naja.command_of(&["sh", "-c", &script]);
        command.current_dir(self.folder.path()).env("TERM", "xterm-256color");
        Terminal::start(&command)
    }

    /// The process ids that tests have written to the file `pids`, a line each, once there are `count` of them.
    ///
    /// # Panics
    /// When they do not come.
    pub(crate) fn pids(&self, count: usize) -> Vec<u32> {
        let mut found = Vec::new();
        wait_until("the tests have begun", || {
            let text = std::fs::read_to_string(self.folder.path().join("pids")).unwrap_or_default();
            found = text.lines().filter_map(|line| line.parse().ok()).collect();
            found.len() >= count
        });
        found
    }
}

/// How a run ended and what it wrote.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Run {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Run { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// What pytest's last line says, without its seconds: `1 failed, 8 passed`.
    pub(crate) fn counts(&self) -> &str {
        let last =
            self.stdout.lines().rfind(|line| line.contains(" in ") && line.ends_with(|c| "s=".contains(c)));
        last.and_then(|line| line.split(" in ").next()).unwrap_or_default().trim_matches(['=', ' '])
    }
}

/// Waits until something is so.
///
/// # Panics
/// When it is not for a long time.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}: this did not happen");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process is there and is more than an entry that nobody has waited for.
pub(crate) fn lives(process: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['Z', 'X']))
}
