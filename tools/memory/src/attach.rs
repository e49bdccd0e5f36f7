//! Brings the agent into a program that runs already, and takes it out again.
//!
//! All of this happens in threads of the program itself, by calls that naja makes there ([`Visit`]); nothing has to be installed
//! in its environment. Whoever begins must hear at the same time, since the agent asks what to do. Start at [`begin`];
//! [`end`] needs to know nothing of the beginning, so that it also ends what another naja has left.

use std::mem::offset_of;
use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use naja_cpython::memory::{LiveProcess, Memory};
use naja_native::maps;
use naja_native::modules::ModuleFiles;
use naja_native::visit::{Visit, VisitError};
use naja_system::{Failure, Result};

use crate::wire::{Told, reason};

/// The agent's file, and what it is called wherever it lies.
pub const AGENT: &str = "libnaja_memory_agent.so";

/// How long it is waited for a thread that may be borrowed.
const MOMENT_MAX: Duration = Duration::from_secs(10);
/// How long one thread stands still while others are looked at.
const OUTSIDE_MAX: Duration = Duration::from_millis(300);
/// How long it is waited until all have left the agent.
const END_MAX: Duration = Duration::from_secs(30);

/// Where the agent lies in a process; none where it is not there.
pub fn find(pid: u32) -> Option<Range<u64>> {
    let mappings = maps::read(pid).unwrap_or_default();
    let is_agent = |path: &str| {
        let path = path.strip_suffix(" (deleted)").unwrap_or(path);
        path.rsplit('/').next() == Some(AGENT)
    };
    let mut found = mappings.iter().filter(|mapping| is_agent(&mapping.path));
    let first = found.next()?;
    // What it writes to and has no bytes of in the file lies behind.
    let end = found.next_back().map_or(first.end, |last| last.end);
    let behind = mappings.iter().find(|mapping| mapping.start == end && mapping.path.is_empty());
    Some(first.start..behind.map_or(end, |behind| behind.end))
}

/// Loads the agent into a process and has it begin. `agent` is the file and `place` where naja listens, as the process sees
/// them.
///
/// Errors: `already-attached`, `cannot-load-agent`, `agent-refuses`, and those of a visit
/// Cost: some 10 to 50 ms, of which one thread of the process is borrowed some 5 ms
pub fn begin(pid: u32, agent: &Path, place: &Path, files: &mut ModuleFiles) -> Result<()> {
    if find(pid).is_some() {
        return Err(already_attached(pid));
    }
    let mut visit = Visit::begin(pid, files, MOMENT_MAX).map_err(|error| cannot_attach(pid, error))?;
    let result = begin_within(&mut visit, pid, agent, place, files);
    let end = visit.end().map_err(|error| cannot_attach(pid, error));
    result.and(end)
}

fn begin_within(
    visit: &mut Visit,
    pid: u32,
    agent: &Path,
    place: &Path,
    files: &mut ModuleFiles,
) -> Result<()> {
    const RTLD_NOW: u64 = 2;
    /// Wanted by the C library's own way in, before 2.34.
    const RTLD_DLOPEN: u64 = 0x8000_0000;
    let fails = |error| cannot_attach(pid, error);
    let (dlopen, mode) = match (visit.function(&["dlopen"]), visit.function(&["__libc_dlopen_mode"])) {
        (Some(dlopen), _) => (dlopen, RTLD_NOW),
        (None, Some(dlopen)) => (dlopen, RTLD_NOW | RTLD_DLOPEN),
        (None, None) => {
            return Err(Failure::new(
                "cannot-load-agent",
                format!("process {pid} has no `dlopen`: it is linked statically"),
            )
            .hint("`naja record -p` samples it without loading anything"));
        }
    };
    let path = visit.place(&c_text(agent)).map_err(fails)?;
    visit.call(dlopen, &[path, mode]).map_err(fails)?;
    let Some(told) = Agent::find(visit, files).map_err(fails)? else {
        return Err(cannot_load(pid, agent));
    };
    let place = visit.place(&c_text(place)).map_err(fails)?;
    visit.call(told.begin, &[place, 0]).map_err(fails)?;
    let began = told.read(pid, offset_of!(Told, began)) as i64;
    if began == i64::from(reason::NONE) {
        return Ok(());
    }
    // What was loaded goes again.
    let handle = told.read(pid, offset_of!(Told, handle));
    if let (Some(dlclose), 1..) = (visit.function(&["dlclose"]), handle) {
        visit.call(dlclose, &[handle]).map_err(fails)?;
    }
    Err(match i32::try_from(began).unwrap_or(-1) {
        reason::ALREADY => already_attached(pid),
        reason::NO_ANSWER => {
            Failure::new("agent-refuses", format!("the agent in process {pid} does not reach naja")).hint(
                "the socket lies in the program's temporary folder: may the program's user write there?",
            )
        }
        number => Failure::new(
            "agent-refuses",
            format!("the agent cannot begin in process {pid} (reason {number})"),
        ),
    })
}

/// What has come of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The process is as it was.
    Gone,
    /// It has ended, but has to stay loaded, as something still leads to it.
    Stays,
}

/// Has the agent in a process end, and unloads it.
///
/// Errors: `not-attached`, and those of a visit
/// Cost: as [`begin`], and some 50 µs for each thread
pub fn end(pid: u32, files: &mut ModuleFiles) -> Result<Ended> {
    let until = Instant::now() + END_MAX;
    let fails = |error| cannot_detach(pid, error);
    let mut stays = false;
    loop {
        let Some(range) = find(pid) else { return Err(not_attached(pid)) };
        let mut visit = Visit::begin(pid, files, MOMENT_MAX).map_err(fails)?;
        let Some(told) = Agent::find(&mut visit, files).map_err(fails)? else {
            return Err(not_attached(pid));
        };
        if told.read(pid, offset_of!(Told, began)) as i64 == -1 {
            return Err(not_attached(pid));
        }
        visit.call(told.end, &[]).map_err(fails)?;
        let ended = told.read(pid, offset_of!(Told, ended)) as i64;
        stays |= ended == i64::from(reason::REPLACED);
        let is_quiet = ended != i64::from(reason::BUSY) && told.read(pid, offset_of!(Told, loading)) == 0;
        if is_quiet && !stays && visit.wait_until_outside(&range, files, OUTSIDE_MAX).map_err(fails)? {
            let handle = told.read(pid, offset_of!(Told, handle));
            if let (Some(dlclose), 1..) = (visit.function(&["dlclose", "__libc_dlclose"]), handle) {
                visit.call(dlclose, &[handle]).map_err(fails)?;
            }
            visit.end().map_err(fails)?;
            return Ok(if find(pid).is_none() { Ended::Gone } else { Ended::Stays });
        }
        visit.end().map_err(fails)?;
        if stays || Instant::now() >= until {
            return Ok(Ended::Stays);
        }
    }
}

/// Where the agent's functions lie in a process.
struct Agent {
    begin: u64,
    end: u64,
    told: u64,
}

impl Agent {
    fn find(visit: &mut Visit, files: &mut ModuleFiles) -> std::result::Result<Option<Agent>, VisitError> {
        let modules = visit.look_again(files)?;
        let Some(module) = modules.list().iter().find(|module| {
            let name = module.file.name();
            name.strip_suffix(" (deleted)").unwrap_or(name) == AGENT
        }) else {
            return Ok(None);
        };
        let at = |name| Some(module.file.exported(name)?.wrapping_add(module.bias));
        let all = (at("naja_memory_begin"), at("naja_memory_end"), at("naja_memory_told"));
        let (Some(begin), Some(end), Some(told)) = all else { return Ok(None) };
        Ok(Some(Agent { begin, end, told }))
    }

    /// A word of what it tells; 0 where the process is gone.
    fn read(&self, pid: u32, offset: usize) -> u64 {
        LiveProcess::new(pid).read_u64(self.told + offset as u64).unwrap_or(0)
    }
}

fn c_text(path: &Path) -> Vec<u8> {
    let mut bytes = path.as_os_str().as_encoded_bytes().to_vec();
    bytes.push(0);
    bytes
}

fn already_attached(pid: u32) -> Failure {
    Failure::new("already-attached", format!("process {pid} is recorded already"))
        .hint(format!("`naja memory detach {pid}` ends that, also where the naja that began it is gone"))
}

fn not_attached(pid: u32) -> Failure {
    Failure::new("not-attached", format!("no naja is attached to process {pid}"))
        .hint("a program that `naja memory run` has started is recorded until it ends")
}

fn cannot_load(pid: u32, agent: &Path) -> Failure {
    let mappings = maps::read(pid).unwrap_or_default();
    let failure =
        Failure::new("cannot-load-agent", format!("process {pid} cannot load `{}`", agent.display()));
    if mappings.iter().any(|mapping| mapping.path.contains("ld-musl")) {
        return failure.hint("its C library is musl, which naja's agent is not made for");
    }
    failure.hint("its user must be able to read the file, and its C library must not be older than the one naja was built with")
}

fn cannot_attach(pid: u32, error: VisitError) -> Failure {
    of_visit(pid, error, "attach to")
}

fn cannot_detach(pid: u32, error: VisitError) -> Failure {
    of_visit(pid, error, "detach from")
}

fn of_visit(pid: u32, error: VisitError, what: &str) -> Failure {
    match error {
        VisitError::Gone => {
            Failure::new("process-ended", format!("process {pid} ended while naja tried to {what} it"))
                .hint("`naja memory run app.py` records a program from its start")
        }
        VisitError::Forbidden => Failure::new("attaching-forbidden", format!("cannot {what} process {pid}"))
            .caused_by(&error)
            .hint("run naja as root or as the same user, and see that no debugger has the process"),
        VisitError::Stopped => {
            Failure::new("process-is-stopped", format!("cannot {what} process {pid}: it is stopped"))
                .hint(format!("`kill -CONT {pid}` lets it go on"))
        }
        VisitError::NoMoment => Failure::new("no-safe-moment", format!("cannot {what} process {pid}"))
            .caused_by(&error)
            .hint("try again"),
        error => Failure::new("cannot-attach", format!("cannot {what} process {pid}")).caused_by(&error),
    }
}
