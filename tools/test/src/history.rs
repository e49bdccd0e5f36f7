//! How long the project's tests took in earlier runs, and how these ended: `.naja_cache/tests.sqlite` in the project.
//!
//! The file is a plain SQLite database that `naja sql` reads; losing it costs nothing but the order of the next run.
//! Start at [`History::open`].

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use naja_recording::TEST_HISTORY_ID;
use naja_system::{Failure, Result};
use rusqlite::{Connection, params};

use crate::affected::seen::Seen;
use crate::affected::sight::Sight;
use crate::affected::store;
use crate::progress::{Outcome, Progress};

/// The folder of a project in which naja keeps what can be made again.
pub const FOLDER: &str = ".naja_cache";

/// Runs that are kept.
const RUNS_KEPT: i64 = 50;

/// How much the newest duration counts beside what is remembered.
const NEWEST: f64 = 0.5;

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS runs (
        run INTEGER PRIMARY KEY, began_unix_s REAL NOT NULL, seconds REAL NOT NULL, workers INTEGER NOT NULL,
        exit_code INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS results (
        run INTEGER NOT NULL, test TEXT NOT NULL, outcome TEXT NOT NULL, seconds REAL, worker TEXT
    ) STRICT;
    CREATE INDEX IF NOT EXISTS results_by_run ON results (run);
    CREATE TABLE IF NOT EXISTS durations (test TEXT PRIMARY KEY, seconds REAL NOT NULL) STRICT;
";

/// The history of one project.
pub struct History {
    connection: Connection,
    path: PathBuf,
}

/// One run, as it is kept.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// pytest's exit code.
    pub exit_code: u8,
}

impl History {
    /// Opens the history of the project whose root is `folder`; makes it where there is none.
    ///
    /// Errors: `no-test-history` where the folder can't be written or the file is none of ours.
    pub fn open(folder: &Path) -> Result<History> {
        let cache = folder.join(FOLDER);
        let path = cache.join("tests.sqlite");
        let failed = |error: &dyn std::error::Error| {
            Failure::new(
                "no-test-history",
                format!("cannot use the history of tests in `{}`", path.display()),
            )
            .caused_by(error)
            .hint("the tests run without it; it holds nothing but durations and outcomes, and may be removed")
        };
        std::fs::create_dir_all(&cache).map_err(|error| failed(&error))?;
        let ignore = cache.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, "*\n").map_err(|error| failed(&error))?;
        }
        let open = || -> rusqlite::Result<Connection> {
            let connection = Connection::open(&path)?;
            connection.busy_timeout(std::time::Duration::from_secs(5))?;
            connection.execute_batch("PRAGMA trusted_schema = OFF;")?;
            connection.execute_batch(TABLES)?;
            connection.execute_batch(store::TABLES)?;
            connection.pragma_update(None, "application_id", TEST_HISTORY_ID)?;
            Ok(connection)
        };
        let connection = open().map_err(|error| failed(&error))?;
        Ok(History { connection, path })
    }

    /// The expected duration of each known test, in seconds, by node id.
    ///
    /// Errors: `no-test-history`.
    pub fn durations(&self) -> Result<HashMap<String, f64>> {
        let read = || -> rusqlite::Result<HashMap<String, f64>> {
            let mut statement = self.connection.prepare("SELECT test, seconds FROM durations")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|error| self.failed(&error))
    }

    /// Keeps what a run has shown, whole or not at all.
    ///
    /// Errors: `no-test-history`, for example on a full disk.
    pub fn keep(&mut self, progress: &Progress, run: Run) -> Result<()> {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64());
        let write = |connection: &mut Connection| -> rusqlite::Result<()> {
            let all = connection.transaction()?;
            all.execute(
                "INSERT INTO runs (began_unix_s, seconds, workers, exit_code) VALUES (?, ?, ?, ?)",
                params![began - run.seconds, run.seconds, progress.workers.len(), run.exit_code],
            )?;
            let number = all.last_insert_rowid();
            {
                let mut result = all.prepare("INSERT INTO results VALUES (?, ?, ?, ?, ?)")?;
                let mut duration = all.prepare(
                    "INSERT INTO durations VALUES (?1, ?2) ON CONFLICT (test) DO UPDATE
                     SET seconds = seconds + ?3 * (?2 - seconds)",
                )?;
                for test in progress.tests.iter().filter(|test| test.outcome != Outcome::Pending) {
                    result.execute(params![
                        number,
                        test.id,
                        test.outcome.word(),
                        test.seconds,
                        test.worker
                    ])?;
                    if let Some(seconds) = test.seconds {
                        duration.execute(params![test.id, seconds, NEWEST])?;
                    }
                }
            }
            all.execute("DELETE FROM results WHERE run <= ?", [number - RUNS_KEPT])?;
            all.execute("DELETE FROM runs WHERE run <= ?", [number - RUNS_KEPT])?;
            all.commit()
        };
        write(&mut self.connection).map_err(|error| self.failed(&error))
    }

    /// What earlier runs saw of the project's modules.
    ///
    /// Errors: `no-test-history`.
    pub fn seen(&self) -> Result<Seen> {
        store::seen(&self.connection).map_err(|error| self.failed(&error))
    }

    /// Keeps what a run saw of the project's modules.
    ///
    /// Errors: `no-test-history`.
    pub fn keep_seen(&mut self, sight: &Sight) -> Result<()> {
        store::keep_seen(&mut self.connection, sight).map_err(|error| self.failed(&error))
    }

    /// The contents with which all tests last passed, as hashes by path; empty where that was never seen.
    ///
    /// Errors: `no-test-history`.
    pub fn green(&self) -> Result<HashMap<String, i64>> {
        store::green(&self.connection).map_err(|error| self.failed(&error))
    }

    /// Keeps the contents with which all tests passed.
    ///
    /// Errors: `no-test-history`.
    pub fn keep_green(&mut self, contents: &HashMap<String, i64>) -> Result<()> {
        store::keep_green(&mut self.connection, contents).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &rusqlite::Error) -> Failure {
        Failure::new(
            "no-test-history",
            format!("cannot use the history of tests in `{}`", self.path.display()),
        )
        .caused_by(error)
        .hint("the tests run without it; it holds nothing but durations and outcomes, and may be removed")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::event::Event;

    fn run(history: &mut History, seconds: f64) {
        let mut progress = Progress::default();
        let worker = || "gw0".to_owned();
        let events = [
            Event::Collected {
                tests: vec!["a".to_owned(), "b".to_owned()],
                workers: 1,
                mode: "load".to_owned(),
            },
            Event::Worker { worker: worker(), process: 1 },
            Event::Report {
                worker: worker(),
                test: 0,
                when: "call".to_owned(),
                outcome: "passed".to_owned(),
                seconds,
                text: None,
                file: None,
                line: None,
            },
            Event::Done { worker: worker(), test: 0, seconds: Some(seconds) },
        ];
        for event in &events {
            progress.take(event, Instant::now());
        }
        history.keep(&progress, Run { seconds: 1.0, exit_code: 0 }).expect("it is kept");
    }

    #[test]
    fn a_duration_follows_what_was_seen_and_a_test_that_did_not_run_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut history = History::open(folder.path()).expect("it is made");
        run(&mut history, 2.0);
        run(&mut history, 4.0);
        let durations =
            History::open(folder.path()).and_then(|history| history.durations()).expect("it is read");
        assert_eq!(durations, HashMap::from([("a".to_owned(), 3.0)]));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let failure = History::open(file.path()).err().expect("it is refused");
        assert_eq!(failure.name(), "no-test-history");
    }
}
