//! Finds the interpreter in a process: which file holds it, which version it is, where `_PyRuntime` lies.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use naja_system::Failure;
use object::{Object, ObjectSegment, ObjectSymbol, ReadCache};

use crate::memory::{Memory, MemoryError};
use crate::offsets::{DebugOffsets, Offsets, Version, table};

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

/// What led to `_PyRuntime`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// The symbol `_PyRuntime`.
    Symbol,
    /// The section `.PyRuntime`, 3.13 and later.
    Section,
    /// Following pointers from the writable data of the binary.
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

impl fmt::Display for LocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LocateError::NotPython => write!(f, "the process runs no Python"),
            LocateError::NotReady => write!(f, "its Python has not started yet"),
            LocateError::TooOld(version) => write!(f, "it runs Python {version}; naja reads 3.8 and newer"),
            LocateError::Unknown { version, why } => {
                write!(f, "it runs Python {version}, whose layout is unknown: {why}")
            }
            LocateError::OtherImplementation(name) => write!(f, "it runs {name}, not CPython"),
            LocateError::Memory(error) => error.fmt(f),
            LocateError::Files(path, error) => write!(f, "read `{}`: {error}", path.display()),
        }
    }
}

impl std::error::Error for LocateError {}

impl From<LocateError> for Failure {
    fn from(error: LocateError) -> Failure {
        let message = error.to_string();
        match error {
            LocateError::NotPython => Failure::new("not-python", message),
            LocateError::NotReady => Failure::new("python-not-ready", message),
            LocateError::TooOld(_) => Failure::new("python-too-old", message),
            LocateError::Unknown { .. } => Failure::new("python-unknown", message),
            LocateError::OtherImplementation(_) => Failure::new("not-cpython", message),
            LocateError::Memory(MemoryError::Forbidden) => Failure::new("reading-forbidden", message),
            LocateError::Memory(_) => Failure::new("process-unreadable", message),
            LocateError::Files(..) => Failure::new("process-files-unreadable", message),
        }
    }
}

/// Finds the interpreter of process `pid`, whose memory is `memory`.
pub fn locate(pid: u32, memory: &dyn Memory) -> Result<Located, LocateError> {
    let maps_path = PathBuf::from(format!("/proc/{pid}/maps"));
    let maps = std::fs::read_to_string(&maps_path).map_err(|error| match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => LocateError::Memory(MemoryError::Forbidden),
        Some(libc::ENOENT | libc::ESRCH) => LocateError::Memory(MemoryError::Gone),
        _ => LocateError::Files(maps_path, error),
    })?;
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let mut seen: Vec<Mapping> = Vec::new();
    for mapping in maps.lines().filter_map(Mapping::parse) {
        let interesting = mapping.path == exe
            || mapping.path.file_name().is_some_and(|name| name.to_string_lossy().contains("python"));
        if interesting && !seen.iter().any(|known| known.path == mapping.path) {
            seen.push(mapping);
        }
    }
    for mapping in &seen {
        let Some(found) = mapping.symbols(pid) else { continue };
        let Some(runtime) = found.runtime else { continue };
        return finish(memory, mapping, runtime, found.version);
    }
    Err(LocateError::NotPython)
}

fn finish(
    memory: &dyn Memory,
    mapping: &Mapping,
    runtime: u64,
    version_symbol: Option<u64>,
) -> Result<Located, LocateError> {
    let mut bytes = vec![0; crate::offsets::DEBUG_OFFSETS_SIZE_MAX];
    memory.read(runtime, &mut bytes)?;
    let (version, offsets, free_threaded) = match DebugOffsets::new(bytes) {
        Some(debug) => {
            let version = debug.version();
            let offsets = debug.offsets().map_err(|why| LocateError::Unknown { version, why })?;
            (version, offsets, debug.free_threaded())
        }
        None => {
            let version = version_from_symbol(memory, version_symbol)
                .or_else(|| version_from_name(&mapping.path))
                .unwrap_or_default();
            if (version.major, version.minor) < (3, 8) {
                return Err(LocateError::TooOld(version));
            }
            let why = "there is no table for it";
            (version, table(version).ok_or(LocateError::Unknown { version, why })?, false)
        }
    };
    if memory.read_u64(runtime + u64::from(offsets.runtime.interpreters_head))? == 0 {
        return Err(LocateError::NotReady);
    }
    let binary = mapping.path.clone();
    Ok(Located { version, runtime, offsets, free_threaded, binary, found_by: FoundBy::Symbol })
}

fn version_from_symbol(memory: &dyn Memory, symbol: Option<u64>) -> Option<Version> {
    let mut word = [0; 4];
    memory.read(symbol?, &mut word).ok()?;
    let [_, patch, minor, major] = word;
    (major != 0).then_some(Version { major, minor, patch })
}

fn version_from_name(path: &Path) -> Option<Version> {
    let name = path.file_name()?.to_str()?;
    let rest = &name[name.find("python")? + 6..];
    let mut parts = rest.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    Some(Version { major, minor, patch: 0 })
}

/// One line of `/proc/PID/maps` that belongs to a file.
struct Mapping {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

struct Symbols {
    runtime: Option<u64>,
    version: Option<u64>,
}

impl Mapping {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(6, ' ');
        let (start, end) = fields.next()?.split_once('-')?;
        let _permissions = fields.next()?;
        let offset = fields.next()?;
        let (_device, _inode) = (fields.next()?, fields.next()?);
        let path = fields.next()?.trim_start();
        let hex = |text| u64::from_str_radix(text, 16).ok();
        path.starts_with('/').then_some(Mapping {
            start: hex(start)?,
            end: hex(end)?,
            offset: hex(offset)?,
            path: PathBuf::from(path),
        })
    }

    fn symbols(&self, pid: u32) -> Option<Symbols> {
        let file = File::open(format!("/proc/{pid}/map_files/{:x}-{:x}", self.start, self.end))
            .or_else(|_| File::open(format!("/proc/{pid}/root{}", self.path.display())))
            .ok()?;
        let cache = ReadCache::new(file);
        let elf = object::File::parse(&cache).ok()?;
        let segment = elf.segments().find(|segment| {
            let (offset, size) = segment.file_range();
            self.offset <= offset && offset < self.offset + (self.end - self.start) && size != 0
        })?;
        let (offset, _) = segment.file_range();
        let bias = self.start.wrapping_add(offset - self.offset).wrapping_sub(segment.address());
        let mut found = Symbols { runtime: None, version: None };
        for symbol in elf.dynamic_symbols().chain(elf.symbols()) {
            match symbol.name_bytes() {
                Ok(b"_PyRuntime") if symbol.is_definition() => {
                    found.runtime = Some(symbol.address().wrapping_add(bias))
                }
                Ok(b"Py_Version") if symbol.is_definition() => {
                    found.version = Some(symbol.address().wrapping_add(bias))
                }
                _ => continue,
            }
            if found.runtime.is_some() && found.version.is_some() {
                break;
            }
        }
        Some(found)
    }
}
