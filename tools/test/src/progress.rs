//! What is known of a run from its events: which tests are planned, running and over, with what outcome.
//!
//! Every planned test ends in one outcome or is not run; [`Progress::counts`] adds up to the plan. Start at
//! [`Progress::take`].

use std::collections::BTreeMap;
use std::time::Instant;

use crate::event::Event;

/// How a test ended. A later phase can only make it worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// Not begun, or begun and not over.
    Pending,
    /// It passed.
    Passed,
    /// It was skipped.
    Skipped,
    /// It failed, as its mark said it would.
    ExpectedFailure,
    /// Its own code failed.
    Failed,
    /// A fixture of it failed, before or after it.
    Errored,
    /// Its worker died, or was ended for it.
    Crashed,
}

impl Outcome {
    /// Its name in files and in tables.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Pending => "not run",
            Outcome::Passed => "passed",
            Outcome::Skipped => "skipped",
            Outcome::ExpectedFailure => "xfailed",
            Outcome::Failed => "failed",
            Outcome::Errored => "error",
            Outcome::Crashed => "crashed",
        }
    }

    /// Whether the run is not green because of it.
    pub fn is_bad(self) -> bool {
        matches!(self, Outcome::Failed | Outcome::Errored | Outcome::Crashed)
    }
}

/// One test of the run.
#[derive(Debug, Clone)]
pub struct Test {
    /// Its node id.
    pub id: String,
    /// How it ended so far.
    pub outcome: Outcome,
    /// How long it took, in seconds, once it is over.
    pub seconds: Option<f64>,
    /// What pytest shows of its failure.
    pub text: Option<String>,
    /// The worker that ran it.
    pub worker: Option<String>,
    /// Its file, below the project's root.
    pub file: Option<String>,
    /// The line at which it begins, counted from 1.
    pub line: Option<u32>,
    /// Whether it is over.
    pub is_over: bool,
    /// Whether its failure has been shown.
    pub is_told: bool,
}

/// One worker of the run.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its process id; 0 where it runs on another host.
    pub process: u32,
    /// The tests that it runs, and since when, in the order of their beginning: one, or one for each of its threads.
    pub running: Vec<(usize, Instant)>,
    /// How many tests it has ended.
    pub ended: usize,
    /// Whether its process is there.
    pub is_alive: bool,
    /// Whether this program has ended it, or is about to.
    pub is_ended: bool,
    /// Whether a person has looked into its test with a debugger, so that the time it takes says nothing.
    pub is_debugged: bool,
}

/// The state of a run.
#[derive(Debug, Default)]
pub struct Progress {
    /// All planned tests, in the order of collection; empty until collection is over.
    pub tests: Vec<Test>,
    /// The workers by name, those that have ended too.
    pub workers: BTreeMap<String, Worker>,
    /// Whether collection is over, and the tests are known.
    pub is_collected: bool,
    /// What pytest does itself, such as "collecting `tests/test_a.py`", and since when.
    pub doing: Option<(String, Instant)>,
    /// The worker that has the terminal for a debugger.
    pub has_terminal: Option<String>,
    /// The exit code that pytest has told at its end.
    pub exit_code: Option<i32>,
}

impl Progress {
    /// Brings the state up to date with an event that came in at `now`.
    pub fn take(&mut self, event: &Event, now: Instant) {
        match event {
            Event::Collecting { file } => {
                self.doing = file.as_ref().map(|file| (format!("collecting `{file}`"), now));
            }
            Event::SettingUp { is_over } => {
                self.doing = (!is_over).then(|| ("setting up the session fixtures".to_owned(), now));
            }
            Event::Collected { tests, .. } => {
                self.is_collected = true;
                self.doing = None;
                self.tests = tests.iter().map(|id| Test::planned(id)).collect();
            }
            Event::Worker { worker, process } => {
                let new = Worker {
                    process: *process,
                    running: Vec::new(),
                    ended: 0,
                    is_alive: true,
                    is_ended: false,
                    is_debugged: false,
                };
                self.workers.insert(worker.clone(), new);
            }
            Event::Start { worker, test } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.running.push((*test, now));
                    worker.is_debugged = false;
                }
                if let Some(test) = self.tests.get_mut(*test) {
                    test.worker = Some(worker.clone());
                }
            }
            Event::Report { test, when, outcome, text, file, line, .. } => {
                if let Some(test) = self.tests.get_mut(*test) {
                    test.file.clone_from(file);
                    test.line = *line;
                    test.outcome = test.outcome.max(outcome_of(when, outcome));
                    if test.text.is_none() {
                        test.text.clone_from(text);
                    }
                }
            }
            Event::Done { worker, test, seconds } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.running.retain(|(running, _)| running != test);
                    worker.ended += 1;
                }
                if let Some(test) = self.tests.get_mut(*test) {
                    test.seconds = *seconds;
                    test.is_over = true;
                }
            }
            Event::WorkerEnd { worker: name, .. } => {
                if let Some(worker) = self.workers.get_mut(name) {
                    worker.is_alive = false;
                    worker.running.clear();
                }
                self.has_terminal.take_if(|holder| holder == name);
            }
            Event::Cleanup { worker, test, is_over } => {
                if let Some(worker) = self.workers.get_mut(worker) {
                    worker.running.retain(|(running, _)| running != test);
                    worker.running.extend((!is_over).then_some((*test, now)));
                }
            }
            Event::Terminal { worker: name, is_taken } => {
                if let Some(worker) = self.workers.get_mut(name) {
                    worker.is_debugged = true;
                }
                self.has_terminal = is_taken.then(|| name.clone());
                if !is_taken {
                    // Nothing was heard of the others meanwhile: how long their tests took is not known.
                    for (_, since) in self.workers.values_mut().flat_map(|worker| &mut worker.running) {
                        *since = now;
                    }
                }
            }
            Event::End { code } => self.exit_code = Some(*code),
            Event::Loaded { .. }
            | Event::Roots { .. }
            | Event::Waiting { .. }
            | Event::RunEnd { .. }
            | Event::Unknown => {}
        }
    }

    /// How many tests have each outcome.
    pub fn counts(&self) -> BTreeMap<Outcome, usize> {
        let mut counts = BTreeMap::new();
        for test in &self.tests {
            *counts.entry(test.outcome).or_default() += 1;
        }
        counts
    }
}

impl Test {
    fn planned(id: &str) -> Test {
        Test {
            id: id.to_owned(),
            outcome: Outcome::Pending,
            seconds: None,
            text: None,
            worker: None,
            file: None,
            line: None,
            is_over: false,
            is_told: false,
        }
    }
}

fn outcome_of(when: &str, outcome: &str) -> Outcome {
    match (outcome, when) {
        ("failed", "call") => Outcome::Failed,
        ("failed", "setup" | "teardown") => Outcome::Errored,
        ("failed", _) => Outcome::Crashed,
        ("xfailed", _) => Outcome::ExpectedFailure,
        ("skipped", _) => Outcome::Skipped,
        ("passed", "call") => Outcome::Passed,
        _ => Outcome::Pending,
    }
}
