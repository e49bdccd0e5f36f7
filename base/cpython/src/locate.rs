//! Finds the interpreter in a process: which file holds it, which version it is, where `_PyRuntime` lies.
//!
//! In this order: the exported symbol, read from the process's own memory; the section or the local symbol,
//! read from the file; a scan of the program's variables. Whatever led there, the answer is checked on the
//! live process before it is given. Start at [`Locator::locate`].

mod binary;
mod image;
pub(crate) mod maps;
mod scan;
mod validate;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use naja_system::Failure;

use self::image::Dynamic;
use self::maps::{Image, Mapping};
use crate::core_file::CoreFile;
use crate::memory::{Memory, MemoryError, Range};
use crate::native::find_libc_tid;
use crate::offsets::{ABSENT, COOKIE, DEBUG_OFFSETS_SIZE_MAX, DebugOffsets, Offsets, Version, table};
use crate::reader::Layout;

/// An interpreter in a process.
#[derive(Clone, Debug)]
pub struct Located {
    /// Its version.
    pub version: Version,
    /// Address of `_PyRuntime`.
    pub runtime: u64,
    /// Where the fields of its structures lie.
    pub offsets: Offsets,
    /// Whether it is a build without a GIL.
    pub free_threaded: bool,
    /// The file that holds it, as the process's own mount namespace calls it.
    pub binary: PathBuf,
    /// What led to it.
    pub found_by: FoundBy,
}

impl Located {
    /// What a [`crate::reader::StackReader`] needs to know of it.
    pub fn layout(&self) -> Layout {
        Layout {
            version: self.version,
            runtime: self.runtime,
            offsets: self.offsets.clone(),
            has_gil: !self.free_threaded,
        }
    }
}

/// What led to `_PyRuntime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The exported symbol `_PyRuntime`.
    Symbol,
    /// The same symbol, not exported, in a file of 3.8 or 3.9 that has not been stripped.
    LocalSymbol,
    /// The section `.PyRuntime`, 3.10 and later.
    Section,
    /// A scan of the program's variables.
    Scan,
}

/// Why no interpreter was found.
#[derive(Debug)]
pub enum LocateError {
    /// The process holds no Python.
    NotPython,
    /// It holds one that has not started yet: try again.
    NotReady,
    /// Older than 3.8.
    TooOld(Version),
    /// A version that naja does not know and could not work out.
    Unknown {
        /// What it says it is.
        version: Version,
        /// What did not hold.
        why: &'static str,
    },
    /// A Python that is not CPython.
    OtherImplementation(&'static str),
    /// Its memory could not be read.
    Memory(MemoryError),
    /// Its files could not be read.
    Files(PathBuf, io::Error),
}

impl From<MemoryError> for LocateError {
    fn from(error: MemoryError) -> Self {
        LocateError::Memory(error)
    }
}

impl LocateError {
    /// Each error as a person reads it: name, sentence and hint in one place, where `cargo dev gen` finds them.
    fn failure(&self) -> Failure {
        match self {
            LocateError::NotPython => Failure::new("not-python", "the process runs no Python"),
            LocateError::NotReady => Failure::new("python-not-ready", "its Python has not started yet")
                .hint("it may be just starting: try again in a moment"),
            LocateError::TooOld(Version { major, minor, .. }) => Failure::new(
                "python-too-old",
                format!("it runs Python {major}.{minor}; naja reads 3.8 and newer"),
            ),
            LocateError::Unknown { version, why } => Failure::new(
                "python-unknown",
                format!("it runs Python {version}, whose layout is unknown: {why}"),
            )
            .hint("naja reads released versions that it knows, and newer ones that kept their layout"),
            LocateError::OtherImplementation(name) => {
                Failure::new("not-cpython", format!("it runs {name}, not CPython"))
            }
            LocateError::Memory(MemoryError::Forbidden) => {
                Failure::new("reading-forbidden", "the system forbids reading this process's memory")
                    .hint(forbidden_hint())
            }
            LocateError::Memory(error) => {
                Failure::new("process-unreadable", format!("its memory cannot be read: {error}"))
            }
            LocateError::Files(path, error) => Failure::new(
                "process-files-unreadable",
                format!("its file `{}` cannot be read: {error}", path.display()),
            ),
        }
    }
}

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl std::error::Error for LocateError {}

impl From<LocateError> for Failure {
    fn from(error: LocateError) -> Failure {
        Failure::from(&error)
    }
}

impl From<&LocateError> for Failure {
    fn from(error: &LocateError) -> Failure {
        error.failure().context("cannot read the interpreter")
    }
}

/// Which setting forbids reading another process here, and what works instead.
fn forbidden_hint() -> String {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    let instead = "`naja run PROGRAM` starts the program as its own child, which it may read";
    match scope.trim() {
        "1" => format!("kernel.yama.ptrace_scope is 1: only children can be read; {instead}, or run naja as root"),
        "2" => "kernel.yama.ptrace_scope is 2: only CAP_SYS_PTRACE can read; run naja as root, or in a container \
                started with --cap-add=SYS_PTRACE"
            .to_owned(),
        "3" => "kernel.yama.ptrace_scope is 3: nothing can be read until the machine is started anew with \
                another value"
            .to_owned(),
        _ => format!(
            "the process belongs to another user, has changed its privileges or asked not to be read \
             (PR_SET_DUMPABLE), or this container's seccomp profile \
             or missing CAP_SYS_PTRACE forbids it (--cap-add=SYS_PTRACE allows it); run naja as the same user or \
             as root; {instead}"
        ),
    }
}

/// Finds the interpreter of process `pid`, whose memory is `memory`; see [`Locator::locate`].
pub fn locate(pid: u32, memory: &dyn Memory) -> Result<Located, LocateError> {
    Locator::default().locate(pid, memory)
}

/// The interpreter of a version that is known otherwise (`PY_VERSION_HEX`), also where it has not started yet; `runtime` is
/// the address of `_PyRuntime`, which says from 3.13 on where everything lies. `None` for a version that naja does not
/// know. Nothing is checked on the process.
pub fn of_version(
    memory: &dyn Memory,
    version_hex: u32,
    free_threaded: bool,
    runtime: u64,
) -> Option<Located> {
    let [major, minor, patch, _] = version_hex.to_be_bytes();
    let version = Version { major, minor, patch };
    let offsets = if minor <= 12 {
        table(version)?
    } else {
        let mut bytes = vec![0; DEBUG_OFFSETS_SIZE_MAX];
        memory.read(runtime, &mut bytes).ok()?;
        let debug = DebugOffsets::new(bytes).filter(|debug| debug.known() && debug.version() == version)?;
        debug.offsets().ok()?
    };
    Some(Located {
        version,
        runtime,
        offsets,
        free_threaded,
        binary: PathBuf::new(),
        found_by: FoundBy::Symbol,
    })
}

/// Finds interpreters, and remembers what it has learnt of their files: a further process that runs the same
/// ones costs a fraction.
#[derive(Debug, Default)]
pub struct Locator {
    files: HashMap<FileKey, Facts>,
}

/// Forgetting everything is cheaper than keeping everything.
const FILES_MAX: usize = 4096;

/// A file as it is mapped: device, inode, size of its mappings, path.
type FileKey = (u64, u64, u64, PathBuf);

/// What a file says, in addresses from its first mapping on.
#[derive(Clone, Debug, Default)]
struct Facts {
    runtime: Option<(u64, FoundBy)>,
    /// `Py_Version`, 3.11 and later.
    version_symbol: Option<u64>,
    /// Whether the file's own tables have been read, beyond what is in memory.
    file_read: bool,
    /// Whether it can hold an interpreter without exporting it, once that has been looked at.
    may_hold: Option<bool>,
    /// The versions that its constants can mean, once they have been looked at.
    versions: Option<Vec<Version>>,
}

impl Locator {
    /// Finds the interpreter of process `pid`, whose memory is `memory`.
    ///
    /// Errors: [`LocateError::NotReady`] while the interpreter is starting; ask again.
    /// Cost: the process's list of mappings and some twenty reads, where the symbol is exported, as nearly
    /// everywhere; else the file's symbol table, once per file; else a scan of the program's variables.
    pub fn locate(&mut self, pid: u32, memory: &dyn Memory) -> Result<Located, LocateError> {
        self.locate_in(Place::Process(pid), memory)
    }

    /// Finds the interpreter of the process that a core file is of.
    pub fn locate_in_core(&mut self, core: &CoreFile) -> Result<Located, LocateError> {
        // Files are told apart by numbers that are a core's own.
        self.files.clear();
        let located = self.locate_in(Place::Core(core), core);
        self.files.clear();
        located
    }

    fn locate_in(&mut self, place: Place<'_>, memory: &dyn Memory) -> Result<Located, LocateError> {
        if self.files.len() > FILES_MAX {
            self.files.clear();
        }
        let mappings = place.mappings()?;
        let main = place.program();
        let mut images = maps::images(&mappings);
        // The program itself comes first: where it holds a copy of the library's symbol, the copy counts.
        images.sort_by_key(|image| (image.path != main, !is_python_name(image.name())));
        let likely = images.iter().filter(|image| image.path == main || is_python_name(image.name())).count();

        for image in &images {
            if self.learn_symbols(memory, image)?.runtime.is_some() {
                return self.describe(place, memory, image);
            }
        }
        let likely: Vec<Image<'_>> = images[..likely]
            .iter()
            .filter(|image| is_python_name(image.name()) || self.may_hold_interpreter(memory, image))
            .cloned()
            .collect();
        for image in &likely {
            self.learn_file(place, memory, image);
            if self.facts(image).runtime.is_some() {
                return self.describe(place, memory, image);
            }
        }
        for image in &likely {
            if self.scan(place, memory, image, &mappings) {
                return self.describe(place, memory, image);
            }
        }
        Err(self.explain(place, memory, &likely, &images))
    }

    fn facts(&mut self, image: &Image<'_>) -> &mut Facts {
        self.files.entry(key(image)).or_default()
    }

    /// Looks among the symbols that are in memory.
    fn learn_symbols(&mut self, memory: &dyn Memory, image: &Image<'_>) -> Result<&Facts, LocateError> {
        let is_new = !self.files.contains_key(&key(image));
        let facts = self.facts(image);
        if is_new {
            let dynamic = match Dynamic::read(memory, image) {
                Ok(dynamic) => dynamic,
                // Unmapped meanwhile, or a device: then it has no symbols for us.
                Err(MemoryError::Unmapped | MemoryError::Os(_)) => None,
                Err(error) => return Err(error.into()),
            };
            if let Some(dynamic) = dynamic {
                let symbol =
                    |name| dynamic.symbol(memory, name).map(|address| address.wrapping_sub(image.start()));
                facts.runtime = symbol("_PyRuntime").map(|place| (place, FoundBy::Symbol));
                facts.version_symbol = symbol("Py_Version");
            }
        }
        Ok(facts)
    }

    fn may_hold_interpreter(&mut self, memory: &dyn Memory, image: &Image<'_>) -> bool {
        *self.facts(image).may_hold.get_or_insert_with(|| image::may_hold_interpreter(memory, image))
    }

    /// Looks at the file's section headers and local symbols.
    fn learn_file(&mut self, place: Place<'_>, memory: &dyn Memory, image: &Image<'_>) {
        let facts = self.facts(image);
        if facts.file_read {
            return;
        }
        facts.file_read = true;
        let (Ok(Some(dynamic)), Ok(file)) = (Dynamic::read(memory, image), place.open(image)) else {
            return; // a scan needs neither
        };
        facts.runtime = binary::runtime(file).map(|(address, found_by)| {
            (address.wrapping_add(dynamic.bias).wrapping_sub(image.start()), found_by)
        });
    }

    /// Looks through the variables of an image whose constants are a Python's. Whether it has found it.
    fn scan(
        &mut self,
        place: Place<'_>,
        memory: &dyn Memory,
        image: &Image<'_>,
        mappings: &[Mapping],
    ) -> bool {
        let versions = self.versions(place, memory, image).to_vec();
        if versions.is_empty() {
            return false;
        }
        // A minor version has one table, and a scan for each would find the same.
        let is_first = |version: &Version| {
            let same = |other: &&Version| (other.major, other.minor) == (version.major, version.minor);
            versions.iter().find(same) == Some(version)
        };
        let one_each = versions.iter().copied().filter(is_first);
        let by_pointers = || {
            let tables = one_each.filter_map(|version| Some((version, table(version)?)));
            tables.into_iter().find_map(|(version, offsets)| {
                let address = scan::by_pointers(memory, image, mappings, &offsets)?;
                Some((address, vec![version]))
            })
        };
        let cookie = scan::by_cookie(memory, image).map(|address| (address, versions.clone()));
        let Some((address, versions)) = cookie.or_else(by_pointers) else { return false };
        let facts = self.facts(image);
        facts.versions = Some(versions);
        facts.runtime = Some((address.wrapping_sub(image.start()), FoundBy::Scan));
        true
    }

    fn versions(&mut self, place: Place<'_>, memory: &dyn Memory, image: &Image<'_>) -> &[Version] {
        self.facts(image).versions.get_or_insert_with(|| {
            let file = place.open(image).ok();
            scan::versions(memory, image, file.as_ref(), is_python_name(image.name()))
        })
    }

    /// From the address to an answer that holds on the live process.
    fn describe(
        &mut self,
        place: Place<'_>,
        memory: &dyn Memory,
        image: &Image<'_>,
    ) -> Result<Located, LocateError> {
        let facts = self.facts(image).clone();
        let (at, found_by) = facts.runtime.ok_or(LocateError::NotPython)?;
        let runtime = image.start().wrapping_add(at);
        let mut bytes = vec![0; DEBUG_OFFSETS_SIZE_MAX];
        memory.read(runtime, &mut bytes)?;
        let binary = image.path.to_owned();
        if bytes.starts_with(COOKIE) {
            let debug = DebugOffsets::new(bytes).ok_or(LocateError::NotReady)?;
            let (version, free_threaded) = (debug.version(), debug.free_threaded());
            if (version.major, version.minor) < (3, 13) {
                return Err(LocateError::Unknown { version, why: "it has offsets that came with 3.13" });
            }
            let offsets = debug.offsets().map_err(|why| LocateError::Unknown { version, why })?;
            let located = Located { version, runtime, offsets, free_threaded, binary, found_by };
            match debug.known() {
                true => validate::check(memory, &located)?,
                false => validate::prove(memory, &located)?,
            }
            return Ok(located);
        }
        let version_symbol = facts.version_symbol.map(|at| image.start().wrapping_add(at));
        let version = version_from_symbol(memory, version_symbol)
            .or_else(|| self.version_from_constants(place, memory, image))
            .or_else(|| version_from_name(image.name()))
            .ok_or(LocateError::NotReady)?;
        if (version.major, version.minor) < (3, 8) {
            return Err(LocateError::TooOld(version));
        }
        if (version.major, version.minor) >= (3, 13) {
            // The cookie is there from the start; without it this is the library's copy before the loader
            // has filled it.
            return Err(LocateError::NotReady);
        }
        let offsets =
            table(version).ok_or(LocateError::Unknown { version, why: "naja has no table for it" })?;
        let mut located = Located { version, runtime, offsets, free_threaded: false, binary, found_by };
        validate::check(memory, &located)?;
        if located.offsets.thread.native_id == ABSENT {
            located.offsets.thread.libc_tid = find_libc_tid(memory, &located, place.own_number())?;
        }
        Ok(located)
    }

    /// The text of the version, where the file's name does not contradict it.
    fn version_from_constants(
        &mut self,
        place: Place<'_>,
        memory: &dyn Memory,
        image: &Image<'_>,
    ) -> Option<Version> {
        let named = version_from_name(image.name());
        let fits = |version: &Version| match named {
            Some(named) => (named.major, named.minor) == (version.major, version.minor),
            // Programs hold version numbers of other things too; from 3.11 on there is a symbol.
            None => (3, 7) <= (version.major, version.minor) && version.minor <= 12,
        };
        self.versions(place, memory, image).iter().copied().find(fits)
    }

    /// Why nothing was found.
    fn explain(
        &mut self,
        place: Place<'_>,
        memory: &dyn Memory,
        likely: &[Image<'_>],
        images: &[Image<'_>],
    ) -> LocateError {
        for (part, implementation) in [("pypy", "PyPy"), ("graalpy", "GraalPy"), ("libpythonvm", "GraalPy")] {
            if images.iter().any(|image| image.name().contains(part)) {
                return LocateError::OtherImplementation(implementation);
            }
        }
        for image in likely {
            match version_from_name(image.name()) {
                Some(version) if (version.major, version.minor) < (3, 7) => {
                    return LocateError::TooOld(version);
                }
                _ => {}
            }
            let needs = |dynamic: &Dynamic| dynamic.needs(memory, "libpython");
            let waits_for_library = Dynamic::read(memory, image).ok().flatten().as_ref().is_some_and(needs);
            if waits_for_library || !self.versions(place, memory, image).is_empty() {
                return LocateError::NotReady;
            }
        }
        LocateError::NotPython
    }
}

/// Where a section of a mapped file lies; see [`Memory::section`].
pub(crate) fn section(
    place: Place<'_>,
    memory: &dyn Memory,
    is_wanted: &dyn Fn(&str) -> bool,
    section: &str,
) -> Option<u64> {
    let mappings = place.mappings().ok()?;
    let images = maps::images(&mappings);
    images.iter().filter(|image| is_wanted(image.name())).find_map(|image| {
        let bias = Dynamic::read(memory, image).ok()??.bias;
        let address = binary::section(place.open(image).ok()?, section)?;
        Some(address.wrapping_add(bias))
    })
}

/// Variables of the file that holds an interpreter, which it does not export.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables {
    /// Addresses of the symbols that were asked for.
    pub(crate) symbols: Vec<Option<u64>>,
    /// Where it keeps its variables.
    pub(crate) ranges: Vec<Range>,
}

/// Where the file of an interpreter has its variables, and those of them that bear these names and whose names have not been
/// stripped from the file.
///
/// Cost: the list of what is mapped, and the file's table of symbols.
pub(crate) fn variables(
    place: Place<'_>,
    memory: &dyn Memory,
    located: &Located,
    names: &[&str],
) -> Result<Variables, LocateError> {
    let mappings = place.mappings()?;
    let images = maps::images(&mappings);
    let nothing = Variables { symbols: vec![None; names.len()], ranges: Vec::new() };
    let is_it = |image: &&Image<'_>| {
        image.path == located.binary && (image.start()..image.end()).contains(&located.runtime)
    };
    let Some(image) = images.iter().find(is_it) else { return Ok(nothing) };
    let range = |mapping: &Mapping| Range {
        address: mapping.start,
        len: usize::try_from(mapping.len()).unwrap_or(usize::MAX),
    };
    let symbols = match (Dynamic::read(memory, image), place.open(image)) {
        (Ok(Some(dynamic)), Ok(file)) => binary::symbols(file, names)
            .into_iter()
            .map(|address| Some(address?.wrapping_add(dynamic.bias)))
            .collect(),
        _ => nothing.symbols,
    };
    Ok(Variables { symbols, ranges: image.writable().map(range).collect() })
}

/// What an interpreter is looked for in.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    Process(u32),
    Core(&'a CoreFile),
}

impl Place<'_> {
    fn mappings(self) -> Result<Vec<Mapping>, LocateError> {
        match self {
            Place::Process(pid) => maps::read(pid),
            Place::Core(core) => Ok(core.mappings().to_vec()),
        }
    }

    fn program(self) -> PathBuf {
        match self {
            Place::Process(pid) => std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default(),
            Place::Core(core) => core.program(),
        }
    }

    fn open(self, image: &Image<'_>) -> io::Result<File> {
        match self {
            Place::Process(pid) => binary::open(pid, image),
            Place::Core(core) => core.open_file(image.path),
        }
    }

    fn own_number(self) -> u32 {
        match self {
            Place::Process(pid) => own_number(pid),
            Place::Core(core) => core.pid(),
        }
    }
}

/// The number that the process itself has for its main thread, which differs in a container.
fn own_number(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    line.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(pid)
}

fn key(image: &Image<'_>) -> FileKey {
    let (device, inode) = image.file;
    // A core can claim mappings that no memory would hold together.
    let size = image.mappings.iter().fold(0, |sum: u64, mapping| sum.wrapping_add(mapping.len()));
    (device, inode, size, image.path.to_owned())
}

/// `python3.12`, `libpython3.so`, but no extension module such as `_json.cpython-312.so`.
fn is_python_name(name: &str) -> bool {
    name.strip_prefix("lib").unwrap_or(name).starts_with("python")
}

fn version_from_symbol(memory: &dyn Memory, symbol: Option<u64>) -> Option<Version> {
    let mut word = [0; 4];
    memory.read(symbol?, &mut word).ok()?;
    let [_, patch, minor, major] = word;
    (major != 0).then_some(Version { major, minor, patch })
}

/// 3.9 from `libpython3.9.so.1.0` or `python3.9`; the patch release is 0.
fn version_from_name(name: &str) -> Option<Version> {
    let rest = name.strip_prefix("lib").unwrap_or(name).strip_prefix("python")?;
    let mut parts = rest.split(|c: char| !c.is_ascii_digit());
    let mut number = || parts.next()?.parse().ok();
    Some(Version { major: number()?, minor: number()?, patch: 0 })
}
