//! `naja memory live`: starts a program with the agent in it, or finds what another naja records, and shows it.
//!
//! The view knows nothing of where its figures come from: a [`Source`] gives snapshots. Start at [`live`].

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use naja_memory::command::LiveMemoryArguments;
use naja_memory::live::{LiveView, Scene, Snapshot};
use naja_recording::{Reader, Writer};
use naja_report::screen::{self, Action, Key, Line, View};
use naja_system::terminal::{self, Terminal};
use naja_system::{Background, Failure, Result, Status};

use super::recording::{Recorded, record_and_show, tell};
use super::run::{Prepared, prepare};
use super::screen as print_out;
use crate::ExitCode;
use crate::run::cannot_start;

/// The longest that news stay unnoticed.
const LOOK: Duration = Duration::from_millis(200);
/// Until the first figures have come, they are waited for more closely.
const FIRST_LOOK: Duration = Duration::from_millis(50);
/// How long a recording may take to know a process.
const FOUND_PATIENCE: Duration = Duration::from_secs(1);
/// Reading a recording that another writes takes no more than this part of the time.
const READING_SHARE: u32 = 10;
/// Rows of a table, and of the lists in JSON, where there is no screen.
const ROWS: usize = 20;
const JSON_ROWS: usize = 200;
const COLUMNS: usize = 100;

/// Shows the view until the person quits or, without a screen, until nothing more comes. Does not return where a program was
/// started and has ended by itself: it ends as the program ended.
///
/// Errors: those of starting a program and of recordings; `no-allocations`, `not-recorded`, `no-terminal`
pub(super) fn live(arguments: &LiveMemoryArguments) -> Result<ExitCode> {
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty());
    let wants_screen =
        !arguments.run.json && arguments.count.is_none() && !is_dumb && io::stdout().is_terminal();
    let found = match found(&arguments.run.program)? {
        Some(path) => Some((Snapshot::read(&Reader::open(&path)?)?, path)),
        None => None,
    };
    let prepared = if found.is_none() { Some(prepare(&arguments.run)?) } else { None };
    // Before any thread starts: they inherit which signals are held back.
    let terminal = if wants_screen { Terminal::open().ok() } else { None };
    let source = match (found, prepared) {
        (Some((first, path)), _) => Source::Other(Other::new(path, first)),
        (None, Some(prepared)) => Source::Own(Own::start(prepared, terminal.is_none())?),
        (None, None) => return Err(Failure::new("usage", "give a program, a recording or a process")),
    };
    let delay = Duration::from_secs_f64(arguments.delay);
    let mut shown = Shown { view: LiveView::new(source.has_output()), source, ended: None };
    let signal = match terminal {
        Some(terminal) => screen::show(&mut shown, terminal, delay),
        None => plain(&mut shown, arguments, delay).map(|()| None),
    };
    let Shown { source, .. } = shown;
    let (recorded, status) = match source {
        Source::Own(own) => own.finish(),
        Source::Other(_) => (None, None),
    };
    let has_failed =
        recorded.is_some() && tell(recorded, arguments.run.json, arguments.run.quiet, &arguments.run.fail_if);
    if let Some(signal) = signal? {
        terminal::end_by(signal);
    }
    match status {
        // A program that failed itself says so: what its memory came to is of no importance then.
        Some(ended) if has_failed && ended.status == Status::Exited(0) => Ok(ExitCode::No),
        Some(ended) => ended.end_alike(),
        None => Ok(ExitCode::Done),
    }
}

/// The recording that is meant: a file of that name, or what is recorded of a process. `None` for a program.
fn found(words: &[std::ffi::OsString]) -> Result<Option<PathBuf>> {
    let [word] = words else { return Ok(None) };
    if Path::new(word).extension() == Some(OsStr::new("naja")) {
        return Ok(Some(PathBuf::from(word)));
    }
    let Some(pid) = word.to_str().and_then(|word| word.parse::<u32>().ok()) else { return Ok(None) };
    recording_of(pid).map(Some).ok_or_else(|| {
        Failure::new("not-recorded", format!("nobody records the memory of process {pid} now"))
            .hint("`naja memory live app.py` starts a program and records it; `naja memory heap PID` looks at one that runs")
    })
}

/// What is being written of a process, the newest first.
fn recording_of(pid: u32) -> Option<PathBuf> {
    let until = Instant::now() + FOUND_PATIENCE;
    loop {
        let mut open = recordings_that_are_open();
        let time = |path: &PathBuf| std::fs::metadata(path).and_then(|data| data.modified()).ok();
        open.sort_by_key(|path| std::cmp::Reverse(time(path)));
        let is_any = !open.is_empty();
        let found = open.into_iter().find(|path| {
            let snapshot = Reader::open(path).ok().and_then(|reader| Snapshot::read(&reader).ok());
            snapshot.is_some_and(|snapshot| snapshot.has_process(pid))
        });
        // A program that has just started is written of a moment later.
        if found.is_some() || !is_any || Instant::now() >= until {
            return found;
        }
        std::thread::sleep(FIRST_LOOK);
    }
}

/// The recordings that some process has open.
fn recordings_that_are_open() -> Vec<PathBuf> {
    let mut open: Vec<PathBuf> = Vec::new();
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let is_number = process.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        // Those of others cannot be looked at, and are none of ours.
        let Some(files) = is_number.then(|| std::fs::read_dir(process.path().join("fd")).ok()).flatten()
        else {
            continue;
        };
        let links = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
        open.extend(links.filter(|path| path.extension() == Some(OsStr::new("naja"))));
    }
    open.sort();
    open.dedup();
    open
}

/// Where snapshots come from.
enum Source {
    Own(Own),
    Other(Other),
}

impl Source {
    fn has_output(&self) -> bool {
        matches!(self, Source::Own(_))
    }

    fn next(&mut self) -> Option<Snapshot> {
        match self {
            Source::Own(own) => own.next(),
            Source::Other(other) => other.next(),
        }
    }

    /// What there is to say of the end, once nothing more will come.
    fn ended(&mut self) -> Option<String> {
        match self {
            Source::Own(own) => own.ended(),
            Source::Other(other) => other.ended.clone(),
        }
    }

    fn output(&self) -> Option<Vec<String>> {
        match self {
            Source::Own(own) => Some(own.output()),
            Source::Other(_) => None,
        }
    }
}

/// A program that was started here, and is recorded.
struct Own {
    program: Background,
    over: Arc<AtomicBool>,
    recorder: Option<JoinHandle<Recorded>>,
    snapshots: Receiver<Snapshot>,
    is_all: bool,
    _folder: tempfile::TempDir,
}

impl Own {
    fn start(prepared: Prepared, pass_output_on: bool) -> Result<Own> {
        let Prepared { launch, receiver, open, detail, folder } = prepared;
        // Whoever draws takes what there is; what is newer waits until then.
        let (sender, snapshots) = sync_channel(1);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let program =
            Background::start(&launch, pass_output_on).map_err(|error| cannot_start(&launch, &error))?;
        let recorder = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || {
            let mut taken = Duration::ZERO;
            let mut read = Instant::now();
            let mut show = |writer: &Writer| {
                let is_last = is_over.load(Ordering::Acquire);
                // Reading is not to hold up hearing.
                if !is_last && read.elapsed() < taken * READING_SHARE {
                    return;
                }
                read = Instant::now();
                if let Some(snapshot) = writer.reader().ok().and_then(|reader| Snapshot::read(&reader).ok()) {
                    let _ = if is_last {
                        sender.send(snapshot).is_ok()
                    } else {
                        sender.try_send(snapshot).is_ok()
                    };
                }
                taken = read.elapsed();
                read = Instant::now();
            };
            record_and_show(receiver, open, detail, &is_over, &mut show)
        });
        let recorder = recorder
            .map_err(|error| Failure::new("cannot-record", "no thread can be started").caused_by(&error))?;
        Ok(Own { program, over, recorder: Some(recorder), snapshots, is_all: false, _folder: folder })
    }

    fn next(&mut self) -> Option<Snapshot> {
        if self.program.ended().is_some() {
            self.over.store(true, Ordering::Release);
        }
        let mut newest = None;
        loop {
            match self.snapshots.try_recv() {
                Ok(snapshot) => newest = Some(snapshot),
                Err(TryRecvError::Empty) => return newest,
                Err(TryRecvError::Disconnected) => {
                    self.is_all = true;
                    return newest;
                }
            }
        }
    }

    fn ended(&mut self) -> Option<String> {
        if !self.is_all {
            return None;
        }
        let ended = self.program.ended();
        Some(match ended.map(|ended| ended.status) {
            Some(Status::Exited(code)) => format!("ended: exit code {code}"),
            Some(Status::Killed { signal, .. }) => format!("ended: signal {signal}"),
            None => "the recorder failed".to_owned(),
        })
    }

    fn output(&self) -> Vec<String> {
        let (bytes, forgotten) = self.program.output();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines: Vec<String> = text.lines().map(screen::plain_line).collect();
        if forgotten > 0
            && let Some(first) = lines.first_mut()
        {
            // The first one is cut somewhere.
            "… (what came before is not kept)".clone_into(first);
        }
        lines
    }

    /// Ends the program, if it has not ended by itself, and the recording.
    fn finish(mut self) -> (Option<Recorded>, Option<naja_system::Ended>) {
        let by_itself = self.program.ended();
        self.program.end();
        self.over.store(true, Ordering::Release);
        // The recorder may wait to be rid of its last snapshot.
        let Own { snapshots, recorder, .. } = &mut self;
        while snapshots.recv().is_ok() {}
        let recorded = recorder.take().and_then(|recorder| recorder.join().ok());
        (recorded, by_itself)
    }
}

/// A recording that somebody else writes, or has written.
struct Other {
    path: PathBuf,
    first: Option<Snapshot>,
    /// When it was read last, and how long that took.
    read: Instant,
    taken: Duration,
    ended: Option<String>,
}

impl Other {
    fn new(path: PathBuf, first: Snapshot) -> Other {
        Other { path, first: Some(first), read: Instant::now(), taken: Duration::ZERO, ended: None }
    }

    fn next(&mut self) -> Option<Snapshot> {
        if self.ended.is_some() {
            return None;
        }
        let snapshot = match self.first.take() {
            Some(first) => first,
            None => {
                if self.read.elapsed() < (self.taken * READING_SHARE).max(LOOK) {
                    return None;
                }
                let start = Instant::now();
                // A file that is being replaced or completed is there again the next time.
                let snapshot = Reader::open(&self.path).ok().and_then(|reader| Snapshot::read(&reader).ok());
                self.taken = start.elapsed();
                self.read = Instant::now();
                snapshot?
            }
        };
        if snapshot.is_complete {
            self.ended = Some("the recording is complete".to_owned());
        } else if !snapshot.is_live {
            self.ended = Some("nobody writes the recording any more".to_owned());
        }
        Some(snapshot)
    }
}

struct Shown {
    view: LiveView,
    source: Source,
    ended: Option<String>,
}

impl Shown {
    fn output(&self) -> Option<Vec<String>> {
        if self.view.shows_output() { self.source.output() } else { None }
    }
}

impl View for Shown {
    fn take_news(&mut self) -> bool {
        let had_figures = self.view.has_figures();
        if let Some(snapshot) = self.source.next() {
            self.view.take(snapshot);
        }
        let had_ended = self.ended.is_some();
        self.ended = self.source.ended();
        // The first figures at once, and the end; then at their times.
        had_figures != self.view.has_figures() || had_ended != self.ended.is_some()
    }

    fn press(&mut self, key: Key) -> Action {
        self.view.press(key)
    }

    fn lines(&mut self, height: usize, width: usize) -> Vec<Line> {
        let output = self.output();
        let scene = Scene { ended: self.ended.as_deref(), output: output.as_deref() };
        self.view.frame(&scene, height, width)
    }

    fn patience(&self) -> Duration {
        if self.view.has_figures() { LOOK } else { FIRST_LOOK }
    }
}

/// The view where there is no screen: a table, or a line of JSON, every so often.
fn plain(shown: &mut Shown, arguments: &LiveMemoryArguments, delay: Duration) -> Result<()> {
    let mut next = Instant::now() + delay;
    let mut printed = 0;
    while arguments.count.is_none_or(|count| printed < count) {
        shown.take_news();
        let is_last = shown.ended.is_some();
        if Instant::now() < next && !is_last {
            std::thread::sleep(FIRST_LOOK.min(next.saturating_duration_since(Instant::now())));
            continue;
        }
        // After a pause, from now on: what was missed is not printed in a burst.
        next = Instant::now() + delay;
        let scene = Scene { ended: shown.ended.as_deref(), output: None };
        let text = match arguments.run.json {
            true => format!("{}\n", shown.view.json(&scene, JSON_ROWS)),
            false => format!("{}\n", shown.view.text(&scene, ROWS, COLUMNS)),
        };
        print_out(&text)?;
        printed += 1;
        if is_last {
            break;
        }
    }
    Ok(())
}
