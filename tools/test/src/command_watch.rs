//! `naja test --watch`: stays, and runs what a saved file affects.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use naja_system::{Failure, Result};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::affected::changes::Changes;
use crate::affected::project::Texts;
use crate::affected::sight::Sight;
use crate::affected::{Choice, choose, settings};
use crate::command::{Run, Services, TestArguments, warn_of};
use crate::command_choose;
use crate::event::Order;
use crate::history::{self, History};
use crate::progress::{Outcome, Progress};
use crate::pytest::Message;
use crate::view::live::Live;
use crate::watch::files::Files;

/// How often to look whether the user wants an end, while nothing happens.
const TICK: Duration = Duration::from_millis(100);

/// What is to run next.
enum Next {
    All,
    Failed,
    Changed(Vec<String>),
    End,
}

/// Runs all tests, then what changes affect, until the user ends it; the exit code of the last run.
///
/// Errors: `cannot-watch`, and those of a run.
pub(crate) fn watch(
    mut run: Run,
    options: &TestArguments,
    project: &Path,
    mut history: Option<History>,
    services: &Services<'_>,
) -> Result<u8> {
    let cannot = |error: io::Error| {
        Failure::new("cannot-watch", format!("cannot watch `{}`", project.display()))
            .caused_by(&error)
            .hint("the limit of watched folders is in /proc/sys/fs/inotify/max_user_watches")
    };
    let real = std::fs::canonicalize(project).unwrap_or_else(|_| project.to_path_buf());
    let mut files = Files::watch(&real).map_err(cannot)?;
    let mut keys = Keys::new();
    let mut failed: BTreeSet<String> = BTreeSet::new();
    let mut next = Next::All;
    let mut code = 0;
    // What has changed and was not in a run yet, because pytest could not begin one.
    let mut owed: Vec<String> = Vec::new();
    let mut texts = Texts::default();
    let mut empty = Empty::default();
    loop {
        let (changed, mut left_out, mut rest, only) = match next {
            Next::End => break,
            Next::All => (std::mem::take(&mut owed), Vec::new(), Vec::new(), None),
            Next::Failed => {
                let only = Some(failed.iter().cloned().collect());
                (std::mem::take(&mut owed), Vec::new(), Vec::new(), only)
            }
            Next::Changed(mut changed) => {
                changed.append(&mut owed);
                let seen = history.as_ref().and_then(|history| warn_of(history.seen())).unwrap_or_default();
                let since = "the last run".to_owned();
                let changes = Changes { files: changed.clone(), since, ..Changes::default() };
                let choice = choose(&real, &changes, &seen, &mut texts);
                command_choose::tell(&choice, &run.durations, command_choose::is_verbose(&options.pytest));
                if choice.chosen.is_empty() {
                    next = idle(&mut run, &mut files, &mut keys, &failed).map_err(cannot)?;
                    owed = changed;
                    continue;
                }
                let left_out = command_choose::whole(&choice.left_out, &real);
                (changed, left_out, command_choose::whole(&empty.of(&choice), &real), None)
            }
        };
        let whole: Vec<String> =
            changed.iter().map(|name| real.join(name).to_string_lossy().into_owned()).collect();
        if must_restart(&run, &changed, &whole, &real) {
            run.waits_with = None;
            let settings = run.is_unready || changed.iter().any(|name| is_settings(name));
            run.pytest.order(&Order::Restart { changed: whole.clone(), settings });
        }
        begin(&mut run, &real);
        if wait_until_ready(&mut run) {
            if run.is_unready {
                left_out.clear();
            }
            if run.is_unready || !run.keeps {
                rest.clear();
            }
            run.is_unready = false;
            run.waits_with = None;
            left_out.extend(rest.iter().cloned());
            let (left_out, only) = (left_out.clone(), only.clone());
            run.pytest.order(&Order::Run { changed: whole, left_out, only, rest: None });
        } else if run.ended.is_none() {
            return run.until_it_ends(services);
        } else {
            run.is_unready = true;
        }
        code = run.until_it_ends(services)?;
        let mut keep = |run: &mut Run, code: u8| {
            for test in &run.progress.tests {
                if test.outcome.is_bad() {
                    failed.insert(test.id.clone());
                } else if test.is_over {
                    failed.remove(&test.id);
                }
            }
            if let Some(history) = history.as_mut().filter(|_| run.progress.is_collected) {
                let kept = history::Run { seconds: run.began.elapsed().as_secs_f64(), exit_code: code };
                warn_of(history.keep(&run.progress, kept));
                warn_of(command_choose::keep(history, options, &run.progress, &mut run.sight, &real, code));
            }
        };
        keep(&mut run, code);
        if only.is_none() {
            empty.take(&run, &left_out, &real);
        }
        if run.asked > 0 || !is_ready_again(&mut run) {
            break;
        }
        // What the tests have written is theirs; a source that was saved meanwhile is not.
        let mut meanwhile = files.wait(None, Duration::ZERO).map_err(cannot)?;
        meanwhile.retain(|name| name.ends_with(".py"));
        if !rest.is_empty() && !meanwhile.is_empty() {
            owed = changed;
        } else if !rest.is_empty() && !run.is_unready && !run.was_stopped() {
            // The files that gave no test before, by these words for pytest: a change may have given them one.
            begin(&mut run, &real);
            run.waits_with = None;
            let (changed, left_out) = (Vec::new(), Vec::new());
            run.pytest.order(&Order::Run { changed, left_out, only: None, rest: Some(rest) });
            let second = run.until_it_ends(services)?;
            if second != command_choose::NO_TESTS {
                code = if code == command_choose::NO_TESTS { second } else { code.max(second) };
            }
            keep(&mut run, second);
            empty.take(&run, &[], &real);
            if run.asked > 0 || !is_ready_again(&mut run) {
                break;
            }
            meanwhile = files.wait(None, Duration::ZERO).map_err(cannot)?;
            meanwhile.retain(|name| name.ends_with(".py"));
        }
        next = if meanwhile.is_empty() {
            tell_keys(failed.len());
            idle(&mut run, &mut files, &mut keys, &failed).map_err(cannot)?
        } else {
            Next::Changed(meanwhile)
        };
    }
    run.pytest.order(&Order::Quit);
    Ok(code)
}

/// Test files that gave no test when they were last collected: the words for pytest leave all of theirs out.
#[derive(Default)]
struct Empty(BTreeSet<String>);

impl Empty {
    /// Takes in what a run has collected. `left_out` are whole paths: pytest collects them where it was told their names.
    fn take(&mut self, run: &Run, left_out: &[String], root: &Path) {
        let of_tests: BTreeSet<&str> =
            run.progress.tests.iter().map(|test| test.id.split("::").next().unwrap_or_default()).collect();
        for file in run.sight.modules.keys().filter(|file| !file.is_empty()) {
            if left_out.iter().any(|path| Path::new(path) == root.join(file)) {
                continue;
            }
            // Node ids are counted from pytest's root, which may lie below or above the project's.
            if of_tests.iter().any(|one| Path::new(file).ends_with(one) || Path::new(one).ends_with(file)) {
                self.0.remove(file);
            } else {
                self.0.insert(file.clone());
            }
        }
    }

    /// The chosen files that can be looked at after the others have been run.
    fn of(&self, choice: &Choice) -> Vec<String> {
        let is_last = |file: &&String| self.0.contains(*file) && !choice.changed.contains(file);
        let last: Vec<String> = choice.chosen.keys().filter(is_last).cloned().collect();
        if last.len() == choice.chosen.len() { Vec::new() } else { last }
    }
}

/// Whether pytest has loaded what has changed, or may find something else where it has looked before.
fn must_restart(run: &Run, changed: &[String], whole: &[String], root: &Path) -> bool {
    if run.is_unready {
        return true;
    }
    let Some(loaded) = &run.waits_with else { return false };
    changed.iter().zip(whole).any(|(name, path)| {
        let file = name.rsplit('/').next().unwrap_or(name);
        loaded.contains(path)
            || is_settings(name)
            || file == "conftest.py"
            || file == "__init__.py"
            || !(name.ends_with(".py") && root.join(name).exists())
    })
}

/// Whether a file may hold settings of pytest.
fn is_settings(name: &str) -> bool {
    settings::FILES.contains(&name.rsplit('/').next().unwrap_or(name))
}

/// Waits after a run until pytest waits again; whether there is still one. What the session has loaded, it tells when it
/// waits: before that nobody knows whether a change is in it. One that begins anew may write what the project writes then.
fn is_ready_again(run: &mut Run) -> bool {
    if !run.is_unready {
        run.ended = None;
        if !wait_until_ready(run) {
            run.is_unready = run.ended.is_some();
            return run.is_unready;
        }
    }
    true
}

/// Forgets the run before.
fn begin(run: &mut Run, root: &Path) {
    run.progress = Progress::default();
    run.sight = Sight::new(root);
    run.began = Instant::now();
    run.ended = None;
    if run.view.is_some() {
        run.view = Some(Live::new(io::stdout()));
    }
}

/// Waits until pytest waits for orders; whether it does.
fn wait_until_ready(run: &mut Run) -> bool {
    while run.waits_with.is_none() && run.ended.is_none() {
        match run.pytest.messages.recv() {
            Ok(Message::Events(events)) => events.iter().for_each(|event| run.take(event)),
            Ok(Message::Output(bytes)) => run.print(&bytes),
            Ok(Message::End) | Err(_) => return false,
        }
    }
    run.waits_with.is_some()
}

impl Run {
    /// Whether the run has ended before all of its tests were over.
    fn was_stopped(&self) -> bool {
        self.progress.tests.iter().any(|test| test.outcome == Outcome::Pending)
    }
}

/// Waits for something to do.
fn idle(run: &mut Run, files: &mut Files, keys: &mut Keys, failed: &BTreeSet<String>) -> io::Result<Next> {
    loop {
        // pytest waits by now, or tells so soon.
        while let Ok(message) = run.pytest.messages.try_recv() {
            match message {
                Message::Events(events) => events.iter().for_each(|event| run.take(event)),
                Message::Output(bytes) => run.print(&bytes),
                Message::End => return Ok(Next::End),
            }
        }
        if run.interrupts.wait(0) {
            return Ok(Next::End);
        }
        let stdin = io::stdin();
        let changed = files.wait(keys.is_open.then(|| stdin.as_fd()), TICK)?;
        if !changed.is_empty() {
            return Ok(Next::Changed(changed));
        }
        match keys.pressed()? {
            Some(b'\n' | b'\r') => return Ok(Next::All),
            Some(b'f') if !failed.is_empty() => return Ok(Next::Failed),
            Some(b'q') => return Ok(Next::End),
            _ => {}
        }
    }
}

#[expect(clippy::print_stderr, reason = "a command says what it waits for")]
fn tell_keys(failed: usize) {
    let again = if failed == 0 { String::new() } else { format!(", f the {failed} that failed") };
    eprintln!("watching: Enter runs all{again}, q ends");
}

/// Keys as they are pressed, without Enter and without being shown; the terminal is as before when this is gone.
struct Keys {
    before: Option<Termios>,
    is_open: bool,
}

impl Keys {
    fn new() -> Keys {
        let stdin = io::stdin();
        let before = stdin.is_terminal().then(|| tcgetattr(&stdin).ok()).flatten();
        if let Some(before) = &before {
            let mut modes = before.clone();
            modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            // A terminal that refuses takes keys line by line.
            let _ = tcsetattr(&stdin, OptionalActions::Now, &modes);
        }
        Keys { before, is_open: true }
    }

    /// A key that was pressed, if there was one.
    fn pressed(&mut self) -> io::Result<Option<u8>> {
        let stdin = io::stdin();
        let mut waited = [rustix::event::PollFd::new(&stdin, rustix::event::PollFlags::IN)];
        let none = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        if !self.is_open || rustix::event::poll(&mut waited, Some(&none)).unwrap_or(0) == 0 {
            return Ok(None);
        }
        let mut key = [0];
        // Unbuffered, so that what is waited for above is all that there is.
        let file = std::fs::File::from(stdin.as_fd().try_clone_to_owned()?);
        if (&file).read(&mut key).unwrap_or(0) == 0 {
            self.is_open = false;
            return Ok(None);
        }
        Ok(Some(key[0]))
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
