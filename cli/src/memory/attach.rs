//! `naja memory attach` and `naja memory detach`: a process that runs already, and that nothing here starts or ends.
//!
//! The invariant: when naja is done, the process is as it was. What the kernel asks of a tracer is done in a thread of its own,
//! so that everything is let go of when that thread ends; this one hears meanwhile.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use naja_memory::attach::{self, AGENT, Ended};
use naja_memory::command::{AttachArguments, DetachArguments};
use naja_memory::{Detail, Receiver, Recorder, Settings};
use naja_native::modules::ModuleFiles;
use naja_profile::attach::open;
use naja_system::{Failure, Interrupts, Result, shipped_library};

use super::recording::{INTERVAL_NS, Recording, tell};
use super::run::cannot_listen;
use crate::run::report;
use crate::run::settings::RunSettings;
use crate::{ExitCode, print};

/// Records a process until it ends, the time is over, or Ctrl-C.
///
/// Errors: those of opening a process, of [`attach::begin`], and `cannot-listen`
pub(super) fn attach(arguments: &AttachArguments) -> Result<ExitCode> {
    let settings = RunSettings::read()?;
    let pid = arguments.pid;
    let attached = open(pid)?;
    let mut interrupts = Interrupts::hold()
        .map_err(|error| Failure::new("cannot-attach", "cannot wait for Ctrl-C").caused_by(&error))?;
    let meeting = Meeting::of(pid).map_err(|error| cannot_listen(&error))?;
    let wanted = Settings { python_allocators: arguments.python_allocators, follow: !arguments.no_follow };
    let mut receiver = Receiver::open(meeting.own_place(), wanted).map_err(|error| cannot_listen(&error))?;
    meeting.give(&meeting.own_place()).map_err(|error| cannot_listen(&error))?;

    let detail = if arguments.aggregate { Detail::Aggregated } else { Detail::Exact };
    let mut recorder = Recorder::begin(detail, INTERVAL_NS);
    let began = Instant::now();
    beside(
        |files| meeting.begin(pid, files),
        || {
            receiver.hear(&mut |event| recorder.take(event));
        },
    )?;
    let took = began.elapsed();
    if !arguments.quiet && !arguments.json {
        let ms = took.as_millis();
        print::line(&format!("naja memory  attached to process {pid} in {ms} ms; Ctrl-C ends and writes"));
    }

    let header = report::header(&attached.command, INTERVAL_NS);
    let name = program_name(&attached.command);
    let open = report::opener(arguments.output.as_deref(), settings.recordings.as_deref(), &name, header);
    let mut recording = Recording::begin(receiver, recorder, open);
    let until = arguments.duration.map(|seconds| began + Duration::from_secs_f64(seconds));
    while recording.receiver.is_anybody_there()
        && !interrupts.wait(0)
        && until.is_none_or(|until| Instant::now() < until)
    {
        recording.go_on();
    }
    let processes: Vec<u32> = recording.receiver.processes().map(|heard| heard.pid).collect();
    let ended = beside(|files| Ok(leave(pid, &processes, files)), || recording.go_on())?;
    let mut recorded = recording.end();
    recorded.warnings.extend(ended);
    drop(meeting);
    tell(Some(recorded), arguments.json, arguments.quiet, &[]);
    Ok(ExitCode::Done)
}

/// Ends what `naja memory attach` has begun, whether its naja lives or not.
///
/// Errors: those of opening a process, and of [`attach::end`]
pub(super) fn detach(arguments: &DetachArguments) -> Result<ExitCode> {
    let pid = arguments.pid;
    open(pid)?;
    match beside(|files| attach::end(pid, files), || std::thread::sleep(Duration::from_millis(1)))? {
        Ended::Gone => print::line(&format!("naja memory  detached from process {pid}")),
        Ended::Stays => print::line(&stays(pid)),
    }
    Ok(ExitCode::Done)
}

/// Does something as a tracer, and something else again and again meanwhile.
fn beside<T: Send>(
    work: impl FnOnce(&mut ModuleFiles) -> Result<T> + Send,
    mut meanwhile: impl FnMut(),
) -> Result<T> {
    std::thread::scope(|scope| {
        let tracer = scope.spawn(|| work(&mut ModuleFiles::default()));
        while !tracer.is_finished() {
            meanwhile();
        }
        tracer.join().unwrap_or_else(|_| Err(Failure::new("cannot-attach", "the tracer failed")))
    })
}

/// Takes the agent out of a process and of those that it has forked; warnings.
fn leave(pid: u32, processes: &[u32], files: &mut ModuleFiles) -> Vec<String> {
    let mut warnings = Vec::new();
    let others = processes.iter().copied().filter(|other| *other != pid);
    for process in std::iter::once(pid).chain(others) {
        if attach::find(process).is_none() {
            continue;
        }
        match attach::end(process, files) {
            Ok(Ended::Gone) => {}
            Ok(Ended::Stays) => warnings.push(stays(process)),
            // It has ended meanwhile, or somebody else has detached.
            Err(failure) if matches!(failure.name(), "process-ended" | "not-attached") => {}
            Err(failure) => warnings.push(failure.one_line()),
        }
    }
    warnings
}

fn stays(pid: u32) -> String {
    format!(
        "the agent is silent but stays loaded in process {pid}: something of the program still leads to it, such as \
         allocators that were put before Python's meanwhile"
    )
}

/// Where the process's agent finds naja.
struct Meeting {
    /// The folder as naja sees it.
    folder: tempfile::TempDir,
    /// The same as the process sees it.
    seen: PathBuf,
    owner: (u32, u32),
    is_elsewhere: bool,
}

impl Meeting {
    /// A folder that the process sees too.
    fn of(pid: u32) -> io::Result<Meeting> {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let is_elsewhere = is_elsewhere(pid);
        let status = fs::metadata(format!("/proc/{pid}"))?;
        let builder = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix("naja-").permissions(fs::Permissions::from_mode(0o700));
            builder
        };
        let folder = match is_elsewhere {
            false => builder().tempdir()?,
            true => {
                let folders = ["tmp", "var/tmp", "dev/shm"];
                let mut made = folders.iter().map(|folder| builder().tempdir_in(root.join(folder)));
                let first = made.next().unwrap_or_else(|| Err(io::ErrorKind::NotFound.into()));
                first.or_else(|error| made.find_map(io::Result::ok).ok_or(error))?
            }
        };
        let seen = match folder.path().strip_prefix(&root) {
            Ok(inside) if is_elsewhere => Path::new("/").join(inside),
            _ => folder.path().to_owned(),
        };
        let meeting = Meeting { folder, seen, owner: (status.uid(), status.gid()), is_elsewhere };
        meeting.give(meeting.folder.path())?;
        Ok(meeting)
    }

    fn own_place(&self) -> PathBuf {
        self.folder.path().join("agent")
    }

    /// Gives something to the process's user, where that is another.
    fn give(&self, path: &Path) -> io::Result<()> {
        let (user, group) = self.owner;
        if fs::metadata(path)?.uid() == user {
            return Ok(());
        }
        std::os::unix::fs::lchown(path, Some(user), Some(group))
    }

    /// Has the process load the agent: naja's own file where the process can read it, else a copy.
    fn begin(&self, pid: u32, files: &mut ModuleFiles) -> Result<()> {
        let shipped = shipped_library(AGENT)?;
        let place = self.seen.join("agent");
        if !self.is_elsewhere {
            match attach::begin(pid, &shipped, &place, files) {
                Err(failure) if failure.name() == "cannot-load-agent" => {}
                result => return result,
            }
        }
        let copy = self.folder.path().join(AGENT);
        fs::copy(&shipped, &copy)
            .and_then(|_| fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)))
            .and_then(|()| self.give(&copy))
            .map_err(|error| cannot_listen(&error))?;
        attach::begin(pid, &self.seen.join(AGENT), &place, files)
    }
}

/// Whether a process sees other files than naja, as in a container.
fn is_elsewhere(pid: u32) -> bool {
    let link = |path: String| fs::read_link(path).ok();
    link(format!("/proc/{pid}/ns/mnt")) != link("/proc/self/ns/mnt".to_owned())
        || link(format!("/proc/{pid}/root")) != link("/proc/self/root".to_owned())
}

/// What a person would call the program, for the name of its recording.
fn program_name(command: &[String]) -> String {
    let script = command.iter().skip(1).find(|word| !word.starts_with('-'));
    let word = script.or(command.first()).map_or("process", String::as_str);
    Path::new(word).file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
