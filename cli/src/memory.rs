//! `naja memory run`: starts a program with the agent in it, and records what the agent tells.
//!
//! The invariant is that of `naja run`: what naja fails at changes neither what the program sees nor how it ends.
//! Start at [`memory`].

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use naja_memory::command::{Action, MemoryArguments, RunMemoryArguments};
use naja_memory::report::Allocations;
use naja_memory::{Detail, Receiver, Recorder, Settings, report_text, wire};
use naja_recording::Writer;
use naja_report::text::Style;
use naja_system::{Child, Failure, Observer, Result, Session, shipped_library};

use crate::run::observer::Open;
use crate::run::settings::RunSettings;
use crate::run::target::{Target, Words};
use crate::run::{cannot_start, interpreter, report, terminal_columns};
use crate::{ExitCode, print};

/// Ticks of a recording of memory alone.
const INTERVAL_NS: u64 = 1_000_000;
/// How often what was heard is written.
const WRITE_EVERY: Duration = Duration::from_millis(250);
/// The agent's file.
const AGENT: &str = "libnaja_memory_agent.so";
/// The variable that names libraries which are loaded before all others.
const PRELOAD: &str = "LD_PRELOAD";

/// Runs `naja memory`. Does not return when a program was started: it ends as the program ended.
///
/// Errors: those of starting a program, of recordings, and of [`naja_memory::command::show`]
pub(crate) fn memory(arguments: &MemoryArguments) -> Result<ExitCode> {
    match &arguments.action {
        Action::Run(arguments) => run(arguments),
        action => {
            let columns =
                terminal_size::terminal_size_of(io::stdout()).map(|(width, _)| usize::from(width.0));
            naja_memory::command::show(action, &mut io::stdout(), Style::of_stdout(columns))
                .map(|()| ExitCode::Done)
        }
    }
}

fn run(arguments: &RunMemoryArguments) -> Result<ExitCode> {
    let settings = RunSettings::read()?;
    let agent = shipped_library(AGENT)?;
    let interpreter = interpreter::find(settings.python().as_deref());
    let mut words = Words { module: None, code: None, rest: arguments.program.clone() };
    let target = Target::resolve(&mut words, interpreter.as_ref().ok(), false)?;
    let program_name = target.name();
    let mut launch = target.launch(interpreter, Vec::new(), words.rest)?;
    let command: Vec<String> =
        launch.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();

    let folder = tempfile::Builder::new().prefix("naja-").tempdir();
    let folder = folder.map_err(|error| cannot_listen(&error))?;
    let place = folder.path().join("agent");
    let wanted = Settings { python_allocators: arguments.python_allocators, follow: !arguments.no_follow };
    let receiver = Receiver::open(place.clone(), wanted).map_err(|error| cannot_listen(&error))?;
    launch.environment = vec![
        (PRELOAD.into(), preloaded(agent, std::env::var_os(PRELOAD).as_deref())),
        (wire::PLACE.into(), place.into_os_string()),
    ];

    let header = report::header(&command, INTERVAL_NS);
    let open =
        report::opener(arguments.output.as_deref(), settings.recordings.as_deref(), &program_name, header);
    let detail = if arguments.aggregate { Detail::Aggregated } else { Detail::Exact };
    let session = Session::prepare().map_err(|error| cannot_start(&launch, &error))?;
    let mut observer = MemoryObserver::new(receiver, open, detail);
    let ended = session.run(&launch, &mut observer).map_err(|error| cannot_start(&launch, &error))?;
    drop(folder);
    tell(observer.recorded, arguments);
    ended.end_alike();
}

/// The agent before what the user has set.
fn preloaded(agent: PathBuf, own: Option<&OsStr>) -> OsString {
    let mut all = agent.into_os_string();
    if let Some(own) = own.filter(|own| !own.is_empty()) {
        all.push(":");
        all.push(own);
    }
    all
}

fn cannot_listen(error: &io::Error) -> Failure {
    Failure::new("cannot-listen", "cannot make a place where the program's agent finds naja")
        .caused_by(error)
        .hint("`TMPDIR` names the folder for it")
}

/// What came of a recording.
struct Recorded {
    writer: Writer,
    warnings: Vec<String>,
    heard: usize,
}

/// Records for as long as the program lives.
struct MemoryObserver {
    start: Option<(Receiver, Open, Detail)>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<Recorded>>,
    recorded: Option<Recorded>,
}

impl MemoryObserver {
    fn new(receiver: Receiver, open: Open, detail: Detail) -> MemoryObserver {
        MemoryObserver {
            start: Some((receiver, open, detail)),
            ended: Arc::default(),
            thread: None,
            recorded: None,
        }
    }
}

impl Observer for MemoryObserver {
    fn started(&mut self, _: &Child) {
        let Some((receiver, open, detail)) = self.start.take() else { return };
        let ended = Arc::clone(&self.ended);
        let thread = std::thread::Builder::new().name("recorder".to_owned());
        self.thread = thread.spawn(move || record(receiver, open, detail, &ended)).ok();
    }

    fn stopped(&mut self) {}

    fn continued(&mut self) {}

    fn ended(&mut self) {
        self.ended.store(true, Ordering::Release);
        self.recorded = self.thread.take().and_then(|thread| thread.join().ok());
    }
}

fn record(mut receiver: Receiver, open: Open, detail: Detail, ended: &AtomicBool) -> Recorded {
    let (mut writer, failure) = open();
    // A recording of memory is asked for as a whole: it has no oldest part that could go.
    writer.set_size_limit(u64::MAX);
    let mut warnings: Vec<String> = failure.iter().map(Failure::one_line).collect();
    let mut recorder = Recorder::begin(detail, INTERVAL_NS);
    let mut written = Instant::now();
    while !ended.load(Ordering::Acquire) {
        receiver.hear(&mut |event| recorder.take(event));
        if written.elapsed() >= WRITE_EVERY {
            let result = recorder.write(&receiver, &mut writer);
            go_on(result, &mut writer, &mut warnings);
            written = Instant::now();
        }
    }
    receiver.finish(&mut |event| recorder.take(event));
    let result = recorder.finish(&receiver, &mut writer);
    go_on(result, &mut writer, &mut warnings);
    Recorded { writer, warnings, heard: receiver.processes().count() }
}

/// Where the file cannot be written any more, the rest is kept in memory.
fn go_on(
    result: std::result::Result<(), naja_recording::RecordingError>,
    writer: &mut Writer,
    warnings: &mut Vec<String>,
) {
    let Err(error) = result else { return };
    warnings
        .push(Failure::from(error).context("the recording ends where it could not be written").one_line());
    if let Err(error) = writer.go_on_in_memory() {
        warnings.push(Failure::from(error).one_line());
    }
}

/// Completes the recording, and says what it holds.
fn tell(recorded: Option<Recorded>, arguments: &RunMemoryArguments) {
    let Some(Recorded { mut writer, mut warnings, heard }) = recorded else {
        return print::line("warning: the recorder failed; the program ran unobserved");
    };
    let path = Some(writer.path().to_owned()).filter(|path| path.is_file());
    if heard == 0 {
        warnings.push(
            "the program never answered: it is linked statically, or dropped its environment, so that its memory was not seen"
                .to_owned(),
        );
    }
    if let Err(error) = writer.complete() {
        warnings.push(Failure::from(error).context("the recording is incomplete").one_line());
    }
    let shown = if heard == 0 { Ok(None) } else { describe(&writer, arguments.json).map(Some) };
    if arguments.quiet {
        return warnings.iter().for_each(|warning| print::line(&format!("warning: {warning}")));
    }
    match shown {
        Ok(text) => {
            let _ = io::stderr().write_all(text.unwrap_or_default().as_bytes());
        }
        Err(failure) => warnings.push(failure.one_line()),
    }
    warnings.iter().for_each(|warning| print::line(&format!("warning: {warning}")));
    if let (Some(path), false) = (path, arguments.json) {
        let path = path.display();
        print::line(&format!("recorded in {path}; `naja memory tree {path}` shows who called"));
    }
}

fn describe(writer: &Writer, as_json: bool) -> Result<String> {
    let reader = writer.reader()?;
    let allocations = Allocations::read(&reader, 1)?;
    if as_json {
        let figures = allocations.statistics(&reader, 10)?;
        return Ok(serde_json::to_string(&figures).expect("figures are plain data") + "\n");
    }
    Ok(report_text::short(&allocations, Style::of_stderr(terminal_columns())))
}
