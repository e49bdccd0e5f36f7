//! `naja test`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, IsTerminal, Stdout, Write};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};

use naja_report::text::Style;
use naja_system::{Failure, Interrupts, Result, find_upward};
use rustix::process::Signal;

use crate::affected::sight::Sight;
use crate::event::{Event, Order};
use crate::history::{self, History};
use crate::progress::Progress;
use crate::pytest::{Message, Plan, Pytest};
use crate::view::live::{self, Live, Screen};
use crate::view::machine;
use crate::{command_choose, command_watch};

/// How often a run is looked at when nothing happens in it.
const TICK: Duration = Duration::from_millis(100);

/// How long after the last output of a run more of it is waited for, where pytest stays: what comes later is shown later.
const ON_ITS_WAY: Duration = Duration::from_millis(10);

/// One file may take this many times as long to be collected as a test may to run: it is often the first to import
/// what the others have imported already.
const COLLECTION_TIMES: u32 = 5;

/// What this program ends with where pytest died: pytest's own code for an error inside it.
const DIED: u8 = 3;

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

    /// Run each test in a process of its own, forked for it
    ///
    /// What a test changes in its process (modules, environment, working folder) no other test sees; fixtures of
    /// modules and classes are set up for each test.
    #[arg(long)]
    pub isolate: bool,

    /// What stands on standard output: pytest's own text, or JSON, a line for each test and one for the end
    ///
    /// With JSON, pytest writes to standard error. `--junitxml FILE` is pytest's own, and works.
    #[arg(long, value_enum, default_value_t = OutputFormat::Text)]
    pub format: OutputFormat,

    /// Leave the terminal to pytest; without it, a line for each worker stands below its output
    #[arg(long)]
    pub plain: bool,

    /// Run the tests whose imports reach a changed file; `-v` says why each
    ///
    /// Compares with the last commit; without git, with the last run in which all tests passed. Where nothing tells
    /// which tests a changed file concerns, all run.
    #[arg(long)]
    pub affected: bool,

    /// The same, for what has changed since this commit or branch was left
    #[arg(long, value_name = "REF")]
    pub since: Option<String>,

    /// Stay, and run what a saved file affects; Enter runs all tests, f those that failed, q ends
    #[arg(long, conflicts_with_all = ["affected", "since"])]
    pub watch: bool,

    /// What pytest is given: paths, and its own options
    #[arg(value_name = "PYTEST", trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub pytest: Vec<OsString>,
}

/// What stands on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum OutputFormat {
    /// What pytest prints
    #[default]
    Text,
    /// One object a line
    Json,
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
    let interrupts = Interrupts::hold()
        .map_err(|error| Failure::new("cannot-start", "cannot wait for signals").caused_by(&error))?;
    let folder = std::env::current_dir().unwrap_or_default();
    let project = project_of(&folder);
    let mut history = warn_of(History::open(&project));
    let choice = command_choose::choice(options, &project, history.as_ref())?;
    if choice.as_ref().is_some_and(|choice| choice.chosen.is_empty()) {
        if options.format == OutputFormat::Json {
            say(&machine::end_line(&Progress::default(), 0, 0.0));
        }
        return Ok(0);
    }
    let durations = history.as_ref().and_then(|history| warn_of(history.durations())).unwrap_or_default();
    let own = options.isolate.then(|| "--isolate".into());
    let plan = Plan {
        python: python.to_path_buf(),
        arguments: own.into_iter().chain(options.pytest.iter().cloned()).collect(),
        default_workers: Some("auto".to_owned()),
        is_live: wants_live_view(options),
        leaves_stdout: options.format == OutputFormat::Json,
        timeout: options.timeout,
        durations,
        choice: choice.as_ref().map(|choice| command_choose::order(choice, &project)),
        project: project.clone(),
        watches: options.watch,
    };
    let began = Instant::now();
    let mut run = Run {
        pytest: Pytest::start(&plan)?,
        progress: Progress::default(),
        interrupts,
        view: plan.is_live.then(|| Live::new(io::stdout())),
        durations: plan.durations,
        timeout: options.timeout,
        format: options.format,
        began,
        sight: Sight::new(&project),
        asked: 0,
        kept_back: Vec::new(),
        is_unready: false,
        ended: None,
        waits_with: None,
        keeps: false,
    };
    if options.watch {
        return command_watch::watch(run, options, &project, history, services);
    }
    let code = run.until_it_ends(services)?;
    let code = command_choose::exit_code(code, choice.as_ref());
    let is_github = std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true");
    match options.format {
        OutputFormat::Json => say(&machine::end_line(&run.progress, code, began.elapsed().as_secs_f64())),
        OutputFormat::Text if is_github => say(machine::github_annotations(&run.progress).trim_end()),
        OutputFormat::Text => {}
    }
    if let Some(history) = history.as_mut().filter(|_| run.progress.is_collected) {
        let kept = history::Run { seconds: began.elapsed().as_secs_f64(), exit_code: code };
        warn_of(history.keep(&run.progress, kept));
        warn_of(command_choose::keep(history, options, &run.progress, &mut run.sight, &project, code));
    }
    Ok(code)
}

/// Writes a line of data. A reader that has gone away has seen what it wanted.
fn say(line: &str) {
    if !line.is_empty() {
        let _ = writeln!(io::stdout(), "{line}");
    }
}

/// A result that the tests can do without: its failure is told.
pub(crate) fn warn_of<T>(result: Result<T>) -> Option<T> {
    result.map_err(|failure| warn(&failure)).ok()
}

/// Says what went wrong, where there is still an outcome to give.
#[expect(clippy::print_stderr, reason = "a command may say what went wrong")]
fn tell(failure: &Failure) {
    eprintln!("{failure}");
}

#[expect(clippy::print_stderr, reason = "a command may say what it goes on without")]
fn warn(failure: &Failure) {
    eprintln!("warning: {failure}");
}

/// The folder that holds the project: the nearest one upward with a file that pytest takes for its root, or `.git`.
fn project_of(folder: &Path) -> PathBuf {
    ["pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "setup.py", ".git"]
        .iter()
        .filter_map(|name| find_upward(folder, name))
        .filter_map(|found| found.parent().map(Path::to_path_buf))
        .max_by_key(|folder| folder.components().count())
        .unwrap_or_else(|| folder.to_path_buf())
}

/// Whether this program draws below pytest's output. A debugger, or output that is not captured, has the terminal
/// for itself.
fn wants_live_view(options: &TestArguments) -> bool {
    let has = |words: &[&str]| {
        options.pytest.iter().any(|word| {
            let word = word.to_string_lossy();
            words
                .iter()
                .any(|one| *one == word || word.strip_prefix(one).is_some_and(|rest| rest.starts_with('=')))
        })
    };
    let needs_the_terminal = [
        "-s",
        "--pdb",
        "--trace",
        "--pdbcls",
        "--capture",
        "--collect-only",
        "--co",
        "--help",
        "--version",
        "-n0",
    ];
    !options.plain
        && options.format == OutputFormat::Text
        && io::stdout().is_terminal()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        && !has(&needs_the_terminal)
}

/// A run of pytest that is being watched.
pub(crate) struct Run {
    pub(crate) pytest: Pytest,
    pub(crate) progress: Progress,
    pub(crate) interrupts: Interrupts,
    pub(crate) view: Option<Live<Stdout>>,
    pub(crate) durations: HashMap<String, f64>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) format: OutputFormat,
    pub(crate) began: Instant,
    pub(crate) sight: Sight,
    /// How often the user has asked for an end.
    pub(crate) asked: u32,
    /// Whether pytest could not begin its last run, for an error in a conftest or in the settings.
    pub(crate) is_unready: bool,
    /// How the last run under `--watch` ended.
    pub(crate) ended: Option<u8>,
    /// What a pytest that waits for orders has loaded of the project.
    pub(crate) waits_with: Option<Vec<String>>,
    /// Whether several runs may begin from there.
    pub(crate) keeps: bool,
    /// What pytest has written while a debugger has the terminal.
    pub(crate) kept_back: Vec<u8>,
}

impl Run {
    /// Watches pytest until it has ended; its exit code.
    pub(crate) fn until_it_ends(&mut self, services: &Services<'_>) -> Result<u8> {
        let failed =
            |error: io::Error| Failure::new("cannot-wait", "cannot wait for pytest").caused_by(&error);
        let mut is_open = true;
        let mut drawn = Instant::now();
        while is_open && self.ended.is_none() {
            match self.pytest.messages.recv_timeout(TICK) {
                Ok(Message::Events(events)) => events.iter().for_each(|event| self.take(event)),
                Ok(Message::Output(bytes)) => self.print(&bytes),
                Ok(Message::End) | Err(RecvTimeoutError::Disconnected) => is_open = false,
                Err(RecvTimeoutError::Timeout) => is_open = self.pytest.ended().map_err(failed)?.is_none(),
            }
            if let Some(limit) = self.timeout.filter(|_| self.progress.has_terminal.is_none()) {
                end_late_tests(&mut self.progress, limit, &mut self.pytest, services);
                self.check_hang(limit * COLLECTION_TIMES, services)?;
            }
            self.heed_interrupts();
            if drawn.elapsed() >= TICK {
                self.draw();
                drawn = Instant::now();
            }
        }
        let status = match self.ended {
            Some(_) => None,
            None => Some(self.pytest.wait().map_err(failed)?),
        };
        // pytest has ended, or a run of a pytest that stays; what it wrote last may still be on its way.
        let patience = match (self.ended, &self.view) {
            (None, _) => TICK,
            (Some(_), Some(_)) => ON_ITS_WAY,
            (Some(_), None) => Duration::ZERO,
        };
        while let Ok(message) = self.pytest.messages.recv_timeout(patience) {
            match message {
                Message::Output(bytes) => self.print(&bytes),
                Message::Events(events) => events.iter().for_each(|event| self.take(event)),
                Message::End => {}
            }
        }
        if let Some(view) = &mut self.view {
            // A terminal that is gone shows nothing any more.
            let _ = view.print(&std::mem::take(&mut self.kept_back));
            let _ = view.finish();
        }
        // Only now is all known of what a pytest that has died was doing.
        Ok(match (status, self.ended) {
            (Some(status), _) => self.exit_code(status),
            (None, code) => code.unwrap_or(DIED),
        })
    }

    /// Passes on every wish to end: the first stops handing out tests, the second ends those that run, and the third
    /// ends pytest itself.
    fn heed_interrupts(&mut self) {
        while let Some(wish) = self.interrupts.next() {
            // Whoever sends SIGTERM or closes the terminal does not wait for tests to end.
            self.asked = if wish.is_ctrl_c { self.asked + 1 } else { (self.asked + 1).max(2) };
            if self.asked > 2 {
                self.pytest.send_signal(Signal::KILL);
            } else if self.progress.is_collected {
                self.pytest.order(&Order::Stop { count: self.asked });
            } else if !wish.is_of_terminal {
                self.pytest.send_signal(if wish.is_ctrl_c { Signal::INT } else { Signal::TERM });
            }
        }
    }

    /// Ends a pytest that has been collecting one file, or setting up fixtures, for longer than `limit`.
    ///
    /// Errors: `pytest-hangs`, with the stacks of all threads.
    fn check_hang(&mut self, limit: Duration, services: &Services<'_>) -> Result<()> {
        let Some((doing, since)) = self.progress.doing.as_ref().filter(|(_, since)| since.elapsed() > limit)
        else {
            return Ok(());
        };
        let after = since.elapsed().as_secs_f64();
        let stacks = (services.stacks)(self.pytest.process());
        self.pytest.send_signal(Signal::KILL);
        // Its end is all that is waited for; how it ended is known.
        let _ = self.pytest.wait();
        Err(Failure::new(
            "pytest-hangs",
            format!(
                "pytest was ended, since it was still {doing} after {after:.0} s\n\n{stacks}"
            ),
        )
        .hint(
            "a file may take five times `--timeout`, as may the session fixtures; the stack shows what does not end",
        ))
    }

    /// What to end with. A pytest that died before its end is told, and is never taken for a success.
    fn exit_code(&self, status: ExitStatus) -> u8 {
        if let Some(code) = self.progress.exit_code {
            return u8::try_from(code).unwrap_or(DIED);
        }
        if self.asked > 0 {
            return 2;
        }
        let how = match std::os::unix::process::ExitStatusExt::signal(&status) {
            Some(signal) => format!("was killed by signal {signal}"),
            None => format!("left with exit code {}", status.code().unwrap_or(-1)),
        };
        let over = self.progress.tests.iter().filter(|test| test.is_over).count();
        let (place, hint) = match &self.progress.doing {
            Some((doing, _)) => (
                format!("while it was {doing}"),
                "what is imported or set up must not end the process: look for `os._exit` and for C code that crashes",
            ),
            None if self.progress.is_collected => (
                format!("when {over} of {} tests were over", self.progress.tests.len()),
                "the kernel does so when memory is short (see `dmesg`), and so does a plugin that calls `os._exit`",
            ),
            None => (
                "before it collected tests".to_owned(),
                "look for `os._exit`, and for C code that crashes, in plugins and in conftest.py",
            ),
        };
        tell(&Failure::new("pytest-died", format!("pytest {how} {place}")).hint(hint));
        DIED
    }

    pub(crate) fn take(&mut self, event: &Event) {
        self.progress.take(event, Instant::now());
        self.sight.take(event);
        match event {
            Event::RunEnd { code } => self.ended = Some(*code),
            Event::Waiting { files, keeps } => {
                self.waits_with = Some(files.clone());
                self.keeps = *keeps;
            }
            _ => {}
        }
        if let (OutputFormat::Json, Event::Done { test, .. }) = (self.format, event)
            && let Some(test) = self.progress.tests.get(*test)
        {
            say(&machine::test_line(test));
        }
        let (Event::Report { test, worker, .. }, Some(view)) = (event, &mut self.view) else { return };
        let Some(test) = self.progress.tests.get_mut(*test) else { return };
        if test.outcome.is_bad() && !std::mem::replace(&mut test.is_told, true) {
            let lines = live::failure_lines(&test.id, test.outcome, worker, test.text.as_deref(), screen());
            let _ = view.print((lines.join("\n") + "\n").as_bytes());
        }
    }

    pub(crate) fn print(&mut self, bytes: &[u8]) {
        if self.progress.has_terminal.is_some() {
            self.kept_back.extend_from_slice(bytes);
        } else if let Some(view) = &mut self.view {
            let _ = view.print(&std::mem::take(&mut self.kept_back));
            let _ = view.print(bytes);
        }
    }

    fn draw(&mut self) {
        let left = self.time_left();
        let Some(view) = &mut self.view else { return };
        if self.progress.has_terminal.is_some() {
            // A debugger has the terminal for itself.
            let _ = view.draw(&[]);
            return;
        }
        self.pytest.follow_size();
        let _ = view.print(&std::mem::take(&mut self.kept_back));
        let mut lines = live::lines(&self.progress, screen(), self.began.elapsed(), left, Instant::now());
        if self.asked == 1 && self.progress.is_collected {
            lines.push("stopping: the tests that run are waited for; Ctrl-C again ends them".to_owned());
        }
        let _ = view.draw(&lines);
    }

    /// How long the rest should take, by earlier runs; `None` where too little is known.
    fn time_left(&self) -> Option<Duration> {
        let workers = self.progress.workers.values().filter(|worker| worker.is_alive).count();
        let rest: Vec<_> = self.progress.tests.iter().filter(|test| !test.is_over).collect();
        let known: Vec<f64> = rest.iter().filter_map(|test| self.durations.get(&test.id).copied()).collect();
        if workers == 0 || known.is_empty() || known.len() * 2 < rest.len() {
            return None;
        }
        // Of those never seen before, the mean of the others is the best guess.
        let sum = known.iter().sum::<f64>() / known.len() as f64 * rest.len() as f64;
        Duration::try_from_secs_f64(sum / workers as f64).ok()
    }
}

/// The terminal as it is now.
fn screen() -> Screen {
    let size = terminal_size::terminal_size_of(io::stdout());
    let (columns, rows) =
        size.map_or((80, 24), |(width, height)| (usize::from(width.0), usize::from(height.0)));
    Screen { rows, columns, style: Style::of_stdout(Some(columns)) }
}

/// Ends the workers whose test has run for longer than `limit`, after a look at what they do.
fn end_late_tests(progress: &mut Progress, limit: Duration, pytest: &mut Pytest, services: &Services<'_>) {
    for (name, worker) in &mut progress.workers {
        let late = worker.running.iter().find(|(_, since)| since.elapsed() > limit);
        let Some(&(test, _)) = late.filter(|_| !worker.is_debugged) else { continue };
        // A worker on another host has no process here, and is ended without stacks.
        if !std::mem::replace(&mut worker.is_ended, true) {
            let text = if worker.process == 0 { String::new() } else { (services.stacks)(worker.process) };
            let reason = format!("it took longer than {} s", limit.as_secs_f64());
            pytest.order(&Order::Kill { worker: name.clone(), reason, text, test });
        }
    }
}
