//! `naja memory run`: starts a program with the agent in it, and records what the agent tells.
//!
//! The invariant is that of `naja run`: what naja fails at changes neither what the program sees nor how it ends.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use naja_memory::attach::AGENT;
use naja_memory::command::RunMemoryArguments;
use naja_memory::{Detail, Receiver, Settings, wire};
use naja_system::{Child, Failure, Launch, Observer, Result, Session, Status, shipped_library};
use tempfile::TempDir;

use super::recording::{INTERVAL_NS, Recorded, record, tell};
use crate::ExitCode;
use crate::run::observer::Open;
use crate::run::settings::RunSettings;
use crate::run::target::{Target, Words};
use crate::run::{cannot_start, interpreter, report};

/// The variable that names libraries which are loaded before all others.
const PRELOAD: &str = "LD_PRELOAD";

/// Starts a program with the agent in it. Does not return when it was started, unless a condition of `--fail-if` holds: it
/// ends as the program ended.
///
/// Errors: those of starting a program, and `cannot-listen`
pub(super) fn run(arguments: &RunMemoryArguments) -> Result<ExitCode> {
    let Prepared { launch, receiver, open, detail, folder } = prepare(arguments)?;
    let session = Session::prepare().map_err(|error| cannot_start(&launch, &error))?;
    let mut observer = MemoryObserver::new(receiver, open, detail);
    let ended = session.run(&launch, &mut observer).map_err(|error| cannot_start(&launch, &error))?;
    drop(folder);
    let has_failed = tell(observer.recorded, arguments.json, arguments.quiet, &arguments.fail_if);
    // A program that failed itself says so: what its memory came to is of no importance then.
    if has_failed && ended.status == Status::Exited(0) {
        return Ok(ExitCode::No);
    }
    ended.end_alike();
}

/// All that is needed to start a program with the agent in it.
pub(super) struct Prepared {
    pub(super) launch: Launch,
    pub(super) receiver: Receiver,
    pub(super) open: Open,
    pub(super) detail: Detail,
    /// Where the agent finds naja, as long as it lives.
    pub(super) folder: tempfile::TempDir,
}

/// Finds the program, and makes a place where its agent finds naja.
///
/// Errors: those of finding a program, and `cannot-listen`
pub(super) fn prepare(arguments: &RunMemoryArguments) -> Result<Prepared> {
    let settings = RunSettings::read()?;
    let interpreter = interpreter::find(settings.python().as_deref());
    let mut words = Words { module: None, code: None, rest: arguments.program.clone() };
    let target = Target::resolve(&mut words, interpreter.as_ref().ok(), false)?;
    let program_name = target.name();
    let mut launch = target.launch(interpreter, Vec::new(), words.rest)?;
    let command: Vec<String> =
        launch.arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();

    let (folder, receiver) = listen(Settings {
        python_allocators: arguments.python_allocators,
        follow: !arguments.no_follow,
        native: arguments.native,
        sample_bytes: arguments.sample,
    })?;
    launch.environment = environment(&receiver)?;

    let header = report::header(&command, INTERVAL_NS);
    let open =
        report::opener(arguments.output.as_deref(), settings.recordings.as_deref(), &program_name, header);
    let detail = if arguments.aggregate { Detail::Aggregated } else { Detail::Exact };
    Ok(Prepared { launch, receiver, open, detail, folder })
}

/// A receiver, and the folder in which its agents find it.
///
/// Errors: `cannot-listen`
pub(super) fn listen(settings: Settings) -> Result<(TempDir, Receiver)> {
    let folder = tempfile::Builder::new().prefix("naja-").tempdir();
    let folder = folder.map_err(|error| cannot_listen(&error))?;
    let receiver =
        Receiver::open(folder.path().join("agent"), settings).map_err(|error| cannot_listen(&error))?;
    Ok((folder, receiver))
}

/// The variables by which a program has the agent in it.
///
/// Errors: `library-not-found`
pub(super) fn environment(receiver: &Receiver) -> Result<Vec<(OsString, OsString)>> {
    let agent = shipped_library(AGENT)?;
    Ok(vec![
        (PRELOAD.into(), preloaded(agent, std::env::var_os(PRELOAD).as_deref())),
        (wire::PLACE.into(), receiver.place().as_os_str().to_owned()),
    ])
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

pub(super) fn cannot_listen(error: &io::Error) -> Failure {
    Failure::new("cannot-listen", "cannot make a place where the program's agent finds naja")
        .caused_by(error)
        .hint("`TMPDIR` names the folder for it")
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
