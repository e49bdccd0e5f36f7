//! What pytest tells this program and what it is told: JSON, one object a line. `front_end.py` is the other end.

use serde::{Deserialize, Serialize};

/// Something that happened in pytest. `test` is an index into the list that [`Event::Collected`] brought.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// pytest begins to collect this file, which may import it; `None` once collection is over.
    Collecting {
        /// Its path below the project's root.
        file: Option<String>,
    },
    /// Fixtures of the session are set up, before there are workers.
    SettingUp {
        /// Whether it is over.
        is_over: bool,
    },
    /// Collection is over, and these tests are to be run.
    Collected {
        /// Node ids, in the order of collection.
        tests: Vec<String>,
        /// How many workers there will be.
        workers: usize,
        /// The distribution mode, by its name on the command line.
        mode: String,
    },
    /// A worker has been started.
    Worker {
        /// Its name: `gw0` and so on.
        worker: String,
        /// Its process id; 0 where it runs on another host.
        process: u32,
    },
    /// A worker begins a test.
    Start {
        /// The worker's name.
        worker: String,
        /// The test.
        test: usize,
    },
    /// A phase of a test has an outcome.
    Report {
        /// The worker's name.
        worker: String,
        /// The test.
        test: usize,
        /// `setup`, `call`, `teardown`, or `???` where the worker died.
        when: String,
        /// `passed`, `failed`, `skipped` or `xfailed`.
        outcome: String,
        /// How long the phase took, in seconds.
        seconds: f64,
        /// What pytest shows of a failure.
        text: Option<String>,
        /// The file of the test, below the project's root.
        #[serde(default)]
        file: Option<String>,
        /// The line at which the test begins, counted from 1.
        #[serde(default)]
        line: Option<u32>,
    },
    /// A test is over; `seconds` is missing where the worker died.
    Done {
        /// The worker's name.
        worker: String,
        /// The test.
        test: usize,
        /// How long the whole test took, in seconds.
        seconds: Option<f64>,
    },
    /// A worker's process has ended.
    WorkerEnd {
        /// The worker's name.
        worker: String,
        /// Its process id.
        process: u32,
        /// Whether it died before its time.
        crashed: bool,
    },
    /// A worker tears down what its last test had left set up, since another test follows than was foreseen.
    Cleanup {
        /// The worker's name.
        worker: String,
        /// The test that fixtures had been set up for.
        test: usize,
        /// Whether it is over.
        is_over: bool,
    },
    /// A worker has taken the terminal for a debugger, or has given it back.
    Terminal {
        /// The worker's name.
        worker: String,
        /// Whether it has it.
        is_taken: bool,
    },
    /// pytest ends by itself, with this exit code: nothing but its process's end follows.
    End {
        /// Its exit code.
        code: i32,
    },
    /// Files of the project were loaded for a test file; `""` stands for what came before the first.
    Loaded {
        /// The test file, its whole path.
        file: String,
        /// What was loaded, whole paths.
        modules: Vec<String>,
    },
    /// The folders of the project from which modules were imported.
    Roots {
        /// Whole paths.
        folders: Vec<String>,
    },
    /// Under `--watch`, pytest waits where collection would begin.
    Waiting {
        /// What it has loaded of the project: whole paths. When one of them changes, it must begin anew.
        files: Vec<String>,
        /// Whether several runs may begin from where it waits.
        #[serde(default)]
        keeps: bool,
    },
    /// Under `--watch`, a run has ended.
    RunEnd {
        /// pytest's exit code for it.
        code: u8,
    },
    /// An event of a newer or older package: nothing to do.
    #[serde(other)]
    Unknown,
}

/// Something that pytest is to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum Order {
    /// Hand out no more tests, as after `count` times Ctrl-C.
    Stop {
        /// How often the user has asked.
        count: u32,
    },
    /// Under `--watch`, collect and run.
    Run {
        /// Files that have changed since the last run: whole paths.
        changed: Vec<String>,
        /// Files that are not to be collected: whole, real paths.
        left_out: Vec<String>,
        /// The tests to run, by node id; without it all that are collected.
        only: Option<Vec<String>>,
        /// The only files to collect: whole, real paths. Nothing is shown where they have no tests. Without it, all.
        rest: Option<Vec<String>>,
    },
    /// Under `--watch`, configure pytest anew: a file has changed that it has loaded.
    Restart {
        /// Files that have changed: whole paths.
        changed: Vec<String>,
        /// Whether the settings may have changed.
        settings: bool,
    },
    /// Under `--watch`, end.
    Quit,
    /// End a worker; its test is reported as failed for this reason.
    Kill {
        /// The worker's name.
        worker: String,
        /// A phrase: `it took longer than 5 s`.
        reason: String,
        /// What is shown below the reason: stacks.
        text: String,
        /// The test that it is ended for; others that it runs in threads are run again.
        test: usize,
    },
}
