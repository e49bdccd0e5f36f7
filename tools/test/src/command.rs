//! `naja test`.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use naja_system::{Failure, Interrupts, Result};

use crate::event::Order;
use crate::progress::Progress;
use crate::pytest::{Message, Plan, Pytest};

/// How often a run is looked at when nothing happens in it.
const TICK: Duration = Duration::from_millis(100);

/// Run the project's own pytest in parallel
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    override_usage = "naja test [OPTIONS] [PATHS AND OPTIONS OF PYTEST]...",
    before_long_help = "    naja test                    all tests, a worker for each core\n    \
        naja test -n 4 tests/api     four workers; paths and options are pytest's own\n    \
        naja test -k login -x        what pytest has works: -k -m --lf --sw --durations …",
    after_help = "All options of pytest are passed on to it, and those of pytest-xdist are understood: -n --dist --tx \
        --maxprocesses --max-worker-restart.\nEnds as pytest ends: 0 all passed, 1 some failed, 2 interrupted, \
        3 internal error, 4 wrong usage, 5 no tests."
)]
pub struct TestArguments {
    /// The interpreter of the project: a path, a version (3.12) or a name (python3.12)
    #[arg(long, value_name = "PYTHON")]
    pub python: Option<OsString>,

    /// End a test that takes longer, show the stacks of its threads, and go on with the others
    ///
    /// Counts the whole test, with the set-up and tear-down of its fixtures.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub timeout: Option<Duration>,

    /// What pytest is given: paths, and its own options
    #[arg(value_name = "PYTEST", trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub pytest: Vec<OsString>,
}

/// What this tool has done by others of the program.
pub struct Services<'s> {
    /// The Python stacks of all threads of a process, as text; why not, where they can't be read.
    pub stacks: &'s dyn Fn(u32) -> String,
}

/// A length of time from the command line.
fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number of seconds"))?;
    Duration::try_from_secs_f64(number)
        .ok()
        .filter(|time| !time.is_zero())
        .ok_or_else(|| format!("`{text}` is not a length of time"))
}

/// Runs the tests with this interpreter; pytest's exit code.
///
/// Errors: those of [`Pytest::start`].
pub fn test(options: &TestArguments, python: &Path, services: &Services<'_>) -> Result<u8> {
    // Held before the first thread starts. Ctrl-C reaches pytest by itself; this program waits for what it does then.
    let mut interrupts = Interrupts::hold()
        .map_err(|error| Failure::new("cannot-start", "cannot wait for signals").caused_by(&error))?;
    let plan = Plan {
        python: python.to_path_buf(),
        arguments: options.pytest.clone(),
        default_workers: Some("auto".to_owned()),
        terminal: None,
    };
    let mut pytest = Pytest::start(&plan)?;
    let mut progress = Progress::default();
    let mut asked = 0;
    let mut is_open = true;
    loop {
        if is_open {
            match pytest.messages.recv_timeout(TICK) {
                Ok(Message::Event(event)) => progress.take(&event, Instant::now()),
                Ok(Message::End) | Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => is_open = false,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        if let Some(limit) = options.timeout {
            end_late_tests(&mut progress, limit, &mut pytest, services);
        }
        if interrupts.wait(0) && asked < 2 {
            asked += 1;
            pytest.order(&Order::Stop { count: asked });
        }
        let ended = if is_open { pytest.ended() } else { pytest.wait().map(Some) };
        let ended =
            ended.map_err(|error| Failure::new("cannot-wait", "cannot wait for pytest").caused_by(&error))?;
        if let Some(status) = ended.filter(|_| !is_open) {
            return Ok(exit_code(status));
        }
    }
}

/// Ends the workers whose test has run for longer than `limit`, after a look at what they do.
fn end_late_tests(progress: &mut Progress, limit: Duration, pytest: &mut Pytest, services: &Services<'_>) {
    for (name, worker) in &mut progress.workers {
        let is_late = worker.running.is_some_and(|(_, since)| since.elapsed() > limit);
        // A worker on another host has no process here, and is ended without stacks.
        if is_late && !std::mem::replace(&mut worker.is_ended, true) {
            let text = if worker.process == 0 { String::new() } else { (services.stacks)(worker.process) };
            let reason = format!("it took longer than {} s", limit.as_secs_f64());
            pytest.order(&Order::Kill { worker: name.clone(), reason, text });
        }
    }
}

/// The exit code of a process as a shell would show it.
fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(3);
    u8::try_from(code).unwrap_or(3)
}
