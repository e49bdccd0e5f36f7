//! The memory of a process that has crashed, from an ELF core file.
//!
//! A core holds what the program had written; of files that were mapped read-only it holds the first page at most. The
//! rest of those is read from the files themselves, as long as they are still what was mapped. Everything in the file is
//! taken for hostile. Start at [`CoreFile::open`]; a core is [`Memory`] like a process.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use naja_system::Failure;
use rustc_hash::FxHashMap;

use crate::locate::maps::Mapping;
use crate::locate::{self, Place};
use crate::memory::{Memory, MemoryError, Range};

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const ET_CORE: u64 = 4;
const PT_LOAD: u64 = 1;
const PT_DYNAMIC: u64 = 2;
const PT_NOTE: u64 = 4;
const NT_PRSTATUS: u32 = 1;
const NT_PRPSINFO: u32 = 3;
const NT_AUXV: u32 = 6;
const NT_FILE: u32 = 0x4649_4c45;
const AT_PHDR: u64 = 3;
/// The count of program headers stands elsewhere when it is this.
const PN_XNUM: usize = 0xffff;
/// More segments, or larger notes, are no process's.
const SEGMENTS_MAX: usize = 1 << 20;
const NOTE_BYTES_MAX: u64 = 1 << 26;
/// The part of a file that is compared with what was mapped of it.
const COMPARED_BYTES: usize = 4096;

/// Why a file cannot be read as a core.
#[derive(Debug)]
pub enum CoreFileError {
    /// It could not be read at all.
    Files(PathBuf, io::Error),
    /// It is something else.
    NotACore(PathBuf),
    /// It is one of a 32-bit program, or of another kind of machine.
    OtherMachine(PathBuf),
    /// It begins as a core and makes no sense later.
    Damaged(PathBuf, &'static str),
}

impl CoreFileError {
    fn failure(&self) -> Failure {
        match self {
            CoreFileError::Files(path, error) => {
                Failure::new("core-file-unreadable", format!("`{}` cannot be read", path.display()))
                    .caused_by(error)
                    .hint("`coredumpctl list` shows the cores that systemd keeps; `coredumpctl dump -o FILE PID` gives one")
            }
            CoreFileError::NotACore(path) => {
                Failure::new("not-a-core-file", format!("`{}` is not a core file", path.display()))
                    .hint("a core is what the kernel writes when a program crashes (`ulimit -c unlimited`), or `gcore PID`")
            }
            CoreFileError::OtherMachine(path) => Failure::new(
                "core-file-of-other-machine",
                format!("`{}` is the core of a 32-bit program or of another kind of machine", path.display()),
            )
            .hint("naja reads cores of 64-bit programs of its own kind of machine"),
            CoreFileError::Damaged(path, what) => Failure::new(
                "core-file-damaged",
                format!("the core file `{}` is damaged: {what}", path.display()),
            )
            .hint("it may have been cut off by a limit (`ulimit -c`) or by a full disk"),
        }
    }
}

impl fmt::Display for CoreFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.failure().message())
    }
}

impl std::error::Error for CoreFileError {}

impl From<CoreFileError> for Failure {
    fn from(error: CoreFileError) -> Failure {
        error.failure()
    }
}

/// A thread that the process had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CoreThread {
    /// The system's number for it, as the process itself saw it.
    pub tid: u32,
    /// The signal that it got; 0 for none.
    pub signal: u32,
}

/// An opened core file.
#[derive(Debug)]
pub struct CoreFile {
    path: PathBuf,
    source: Source,
    len: u64,
    segments: Vec<Segment>,
    mappings: Vec<Mapping>,
    threads: Vec<CoreThread>,
    pid: u32,
    command: String,
    program_headers: u64,
    files: RefCell<FxHashMap<PathBuf, Option<File>>>,
}

/// Where the bytes of the core are.
#[derive(Debug)]
enum Source {
    File(File),
    Bytes(Vec<u8>),
}

impl Source {
    fn read(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Source::File(file) => file.read_exact_at(buffer, offset),
            Source::Bytes(bytes) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX);
                let part = start.checked_add(buffer.len()).and_then(|end| bytes.get(start..end));
                buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }
}

/// A stretch of memory, of which the core holds the first part.
#[derive(Clone, Copy, Debug)]
struct Segment {
    start: u64,
    end: u64,
    offset: u64,
    held: u64,
    flags: u64,
}

impl CoreFile {
    /// Opens a core file and reads what it says of the process; of the memory nothing yet.
    pub fn open(path: &Path) -> Result<CoreFile, CoreFileError> {
        let unreadable = |error| CoreFileError::Files(path.to_owned(), error);
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(CoreFileError::NotACore(path.to_owned()));
        }
        Self::parse(path, Source::File(file), metadata.len())
    }

    /// The same, of bytes: a fuzzer gives them.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Result<CoreFile, CoreFileError> {
        Self::parse(Path::new("core"), Source::Bytes(bytes.to_vec()), bytes.len() as u64)
    }

    fn parse(path: &Path, source: Source, len: u64) -> Result<CoreFile, CoreFileError> {
        let damaged = |what| CoreFileError::Damaged(path.to_owned(), what);
        let mut header = [0; HEADER_SIZE];
        if len < HEADER_SIZE as u64
            || source.read(0, &mut header).is_err()
            || !header.starts_with(b"\x7fELF")
            || number(&header, 16, 2) != ET_CORE
        {
            return Err(CoreFileError::NotACore(path.to_owned()));
        }
        let machine = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
        if header[4] != 2 || header[5] != 1 || number(&header, 18, 2) != machine {
            return Err(CoreFileError::OtherMachine(path.to_owned()));
        }
        let headers_at = number(&header, 32, 8);
        let mut count = number(&header, 56, 2) as usize;
        if count == PN_XNUM {
            // The first section header has it then.
            let mut section = [0; 64];
            let place = number(&header, 40, 8);
            source.read(place, &mut section).map_err(|_| damaged("it ends before its headers"))?;
            count = number(&section, 44, 4) as usize;
        }
        let size = count.saturating_mul(PROGRAM_HEADER_SIZE);
        if count == 0 || count > SEGMENTS_MAX || size as u64 > len {
            return Err(damaged("its count of segments is impossible"));
        }
        let mut headers = vec![0; size];
        source.read(headers_at, &mut headers).map_err(|_| damaged("it ends before its headers"))?;
        let mut core = CoreFile {
            path: path.to_owned(),
            source,
            len,
            segments: Vec::new(),
            mappings: Vec::new(),
            threads: Vec::new(),
            pid: 0,
            command: String::new(),
            program_headers: 0,
            files: RefCell::default(),
        };
        let mut mapped = Vec::new();
        let mut note_bytes = 0;
        for header in headers.chunks_exact(PROGRAM_HEADER_SIZE) {
            let word = |at| number(header, at, 8);
            let (offset, held) = (word(8), word(32));
            match number(header, 0, 4) {
                PT_NOTE => {
                    if held > NOTE_BYTES_MAX {
                        return Err(damaged("its notes are impossibly large"));
                    }
                    // Headers that each claim the whole file would cost its size squared.
                    note_bytes += held;
                    if note_bytes > len {
                        return Err(damaged("it ends before its notes"));
                    }
                    let mut notes = vec![0; held as usize];
                    core.source.read(offset, &mut notes).map_err(|_| damaged("it ends before its notes"))?;
                    core.read_notes(&notes, &mut mapped);
                }
                PT_LOAD => core.segments.extend(word(16).checked_add(word(40)).map(|end| Segment {
                    start: word(16),
                    end,
                    offset,
                    held: held.min(word(40)),
                    flags: number(header, 4, 4),
                })),
                _ => {}
            }
        }
        core.segments.retain(|segment| segment.start < segment.end);
        core.segments.sort_by_key(|segment| segment.start);
        if core.segments.is_empty() || core.threads.is_empty() {
            return Err(damaged("it holds no memory or no thread"));
        }
        core.map(&mapped);
        Ok(core)
    }

    /// The process's number, as it saw itself.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The first 80 bytes of its command line.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Its threads; the one that got the signal comes first.
    pub fn threads(&self) -> &[CoreThread] {
        &self.threads
    }

    /// The file that it was read from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the file ends before the memory that it should hold.
    pub fn is_cut_off(&self) -> bool {
        let end = |segment: &Segment| segment.offset.saturating_add(segment.held);
        self.segments.iter().any(|segment| segment.held > 0 && end(segment) > self.len)
    }

    /// Mapped files that memory was wanted of and that are no longer there, or not what they were.
    pub fn missing_files(&self) -> Vec<PathBuf> {
        let files = self.files.borrow();
        let mut missing: Vec<PathBuf> =
            files.iter().filter(|(_, file)| file.is_none()).map(|(path, _)| path.clone()).collect();
        missing.sort();
        missing
    }

    /// What was mapped, in order of address.
    pub(crate) fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The file of the program itself.
    pub(crate) fn program(&self) -> PathBuf {
        let holds = |mapping: &&Mapping| mapping.contains(self.program_headers);
        self.mappings.iter().find(holds).map(|mapping| mapping.path.clone()).unwrap_or_default()
    }

    /// Opens a mapped file anew, if it is still what was mapped.
    pub(crate) fn open_file(&self, path: &Path) -> io::Result<File> {
        let mut files = self.files.borrow_mut();
        let file = files.entry(path.to_owned()).or_insert_with(|| self.check_file(path));
        file.as_ref().map_or(Err(io::Error::from(io::ErrorKind::NotFound)), File::try_clone)
    }

    /// The first page of a program or library, with its build number, is in the core: the file's must be the same.
    fn check_file(&self, path: &Path) -> Option<File> {
        // Asked before it is opened, and again after: opening a pipe would wait for whoever writes to it.
        let is_file = |metadata: io::Result<Metadata>| metadata.is_ok_and(|one| one.is_file());
        let file = Some(path).filter(|path| is_file(fs::metadata(path)))?;
        let file = File::open(file).ok().filter(|file| is_file(file.metadata()))?;
        let first = self.mappings.iter().find(|mapping| mapping.path == path && mapping.offset == 0)?;
        let mut mapped = [0; COMPARED_BYTES];
        if self.read_held(first.start, &mut mapped).is_none() {
            return Some(file);
        }
        let mut now = [0; COMPARED_BYTES];
        let count = file.read_at(&mut now, 0).ok()?;
        is_unchanged(&now[..count], &mapped[..count]).then_some(file)
    }

    fn read_notes(&mut self, notes: &[u8], mapped: &mut Vec<MappedFile>) {
        let mut rest = notes;
        while rest.len() >= 12 {
            let (name_len, len) = (number(rest, 0, 4) as usize, number(rest, 4, 4) as usize);
            let kind = number(rest, 8, 4) as u32;
            let start = 12 + name_len.next_multiple_of(4);
            let Some(content) = rest.get(start..).and_then(|rest| rest.get(..len)) else { return };
            match kind {
                NT_PRSTATUS if len >= 36 => self.threads.push(CoreThread {
                    tid: number(content, 32, 4) as u32,
                    signal: number(content, 12, 2) as u32,
                }),
                NT_PRPSINFO if len >= 136 => {
                    self.pid = number(content, 24, 4) as u32;
                    let words = &content[56..136];
                    let end = words.iter().position(|byte| *byte == 0).unwrap_or(words.len());
                    self.command = String::from_utf8_lossy(&words[..end]).trim_end().to_owned();
                }
                NT_AUXV => {
                    let entry = content.chunks_exact(16).find(|entry| number(entry, 0, 8) == AT_PHDR);
                    self.program_headers = entry.map_or(0, |entry| number(entry, 8, 8));
                }
                NT_FILE => mapped.extend(mapped_files(content)),
                _ => {}
            }
            let Some(after) = rest.get(start + len.next_multiple_of(4)..) else { return };
            rest = after;
        }
    }

    /// Joins what the segments say of memory with what the notes say of files.
    fn map(&mut self, files: &[MappedFile]) {
        let mut numbers: FxHashMap<&Path, u64> = FxHashMap::default();
        for file in files {
            let next = numbers.len() as u64 + 1;
            numbers.entry(&file.path).or_insert(next);
        }
        let mapping = |start, end, flags: u64, file: Option<&MappedFile>| Mapping {
            start,
            end,
            readable: flags & 4 != 0,
            writable: flags & 2 != 0,
            executable: flags & 1 != 0,
            offset: file.map_or(0, |file| file.offset.wrapping_add(start - file.start)),
            file: (0, file.map_or(0, |file| numbers[file.path.as_path()])),
            path: file.map(|file| file.path.clone()).unwrap_or_default(),
        };
        // Neither segments nor files overlap in a core that a kernel has written, and both can be many.
        let mut sorted: Vec<&MappedFile> = files.iter().collect();
        sorted.sort_by_key(|file| file.start);
        let file_at = |address| {
            let after = sorted.partition_point(|file| file.start <= address);
            sorted[..after].last().copied().filter(|file| address < file.end)
        };
        let mut mappings = Vec::new();
        for segment in &self.segments {
            mappings.push(mapping(segment.start, segment.end, segment.flags, file_at(segment.start)));
        }
        // Some writers of cores leave out what can be read from files.
        for file in files {
            let after = self.segments.partition_point(|segment| segment.start < file.end);
            let is_known = self.segments[..after].last().is_some_and(|segment| file.start < segment.end);
            if !is_known {
                mappings.push(mapping(file.start, file.end, 5, Some(file)));
            }
        }
        mappings.sort_by_key(|mapping| mapping.start);
        self.mappings = mappings;
    }

    fn segment(&self, address: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.start <= address);
        self.segments[..after].last().filter(|segment| address < segment.end)
    }

    /// Reads what the core itself holds from `address` on: all of `buffer`, or nothing.
    fn read_held(&self, address: u64, buffer: &mut [u8]) -> Option<()> {
        let segment = self.segment(address)?;
        let place = address - segment.start;
        let end = place.checked_add(buffer.len() as u64)?;
        if end > segment.held {
            return None;
        }
        self.source.read(segment.offset.checked_add(place)?, buffer).ok()
    }

    /// Reads as much as belongs together from `address` on; how much it was.
    fn read_part(&self, address: u64, buffer: &mut [u8]) -> Result<usize, MemoryError> {
        if let Some(segment) = self.segment(address) {
            let held = segment.held.saturating_sub(address - segment.start);
            let len = held.min(buffer.len() as u64) as usize;
            if len > 0 {
                self.read_held(address, &mut buffer[..len]).ok_or(MemoryError::Unmapped)?;
                return Ok(len);
            }
        }
        let after = self.mappings.partition_point(|mapping| mapping.start <= address);
        let mapping = self.mappings[..after].last().filter(|mapping| mapping.contains(address));
        let mapping = mapping.filter(|one| one.path.is_absolute()).ok_or(MemoryError::Unmapped)?;
        let len = (mapping.end - address).min(buffer.len() as u64) as usize;
        let place = mapping.offset.checked_add(address - mapping.start).ok_or(MemoryError::Unmapped)?;
        let file = self.open_file(&mapping.path).map_err(|_| MemoryError::Unmapped)?;
        let count = file.read_at(&mut buffer[..len], place).map_err(|_| MemoryError::Unmapped)?;
        // The last page of a mapping goes beyond the file's end with zeroes.
        buffer[count..len].fill(0);
        Ok(len)
    }
}

impl Memory for CoreFile {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        let mut done = 0;
        while done < buffer.len() {
            let from = address.checked_add(done as u64).ok_or(MemoryError::Unmapped)?;
            done += self.read_part(from, &mut buffer[done..])?;
        }
        Ok(())
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8]) -> Result<usize, MemoryError> {
        let mut good = 0;
        for range in ranges {
            let part = buffer.get_mut(good..good + range.len).ok_or(MemoryError::Os(libc::EINVAL))?;
            if self.read(range.address, part).is_err() {
                break;
            }
            good += range.len;
        }
        Ok(good)
    }

    fn section(&self, is_wanted: &dyn Fn(&str) -> bool, section: &str) -> Option<u64> {
        locate::section(Place::Core(self), self, is_wanted, section)
    }
}

/// A file and where a part of it was mapped.
struct MappedFile {
    start: u64,
    end: u64,
    offset: u64,
    path: PathBuf,
}

/// `NT_FILE`: a count, the unit of the offsets, three words for each, then the names.
fn mapped_files(content: &[u8]) -> Vec<MappedFile> {
    let (count, unit) = (number(content, 0, 8), number(content, 8, 8));
    let entries = content.get(16..).unwrap_or_default();
    let size = usize::try_from(count).ok().and_then(|count| count.checked_mul(24));
    let Some((entries, names)) = size.and_then(|size| entries.split_at_checked(size)) else {
        return Vec::new();
    };
    let paths = names.split(|byte| *byte == 0).map(|name| PathBuf::from(OsStr::from_bytes(name)));
    let files = entries.chunks_exact(24).zip(paths).map(|(entry, path)| MappedFile {
        start: number(entry, 0, 8),
        end: number(entry, 8, 8),
        offset: number(entry, 16, 8).wrapping_mul(unit),
        path,
    });
    files.filter(|file| file.start < file.end).collect()
}

/// Whether the first bytes of a program or library in memory are those of its file. In its dynamic section the loader
/// notes down addresses; tools that change a program's loader or search path (patchelf) put that section on the first
/// page.
fn is_unchanged(file: &[u8], mapped: &[u8]) -> bool {
    let (at, count) = (number(file, 32, 8), number(file, 56, 2));
    let headers = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let mut headers = headers.chunks_exact(PROGRAM_HEADER_SIZE).take(count as usize);
    let dynamic = headers.find(|header| number(header, 0, 4) == PT_DYNAMIC).map_or(0..0, |header| {
        let start = number(header, 8, 8);
        start..start.saturating_add(number(header, 32, 8))
    });
    let is_same =
        |(place, (one, other)): (usize, (&u8, &u8))| one == other || dynamic.contains(&(place as u64));
    file.len() == mapped.len() && file.iter().zip(mapped).enumerate().all(is_same)
}

/// A little-endian number of that many bytes; 0 where there are none.
fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    let part = bytes.get(at..).and_then(|rest| rest.get(..len)).unwrap_or_default();
    part.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_loader_writes_into_the_dynamic_section_is_no_change() {
        // One program header: a dynamic section of 32 bytes at 128.
        let mut file = vec![7; 256];
        file[32..40].copy_from_slice(&64_u64.to_le_bytes());
        file[56..58].copy_from_slice(&1_u16.to_le_bytes());
        file[64..68].copy_from_slice(&2_u32.to_le_bytes());
        file[72..80].copy_from_slice(&128_u64.to_le_bytes());
        file[96..104].copy_from_slice(&32_u64.to_le_bytes());
        let changed_at = |place: usize| {
            let mut mapped = file.clone();
            mapped[place] ^= 1;
            is_unchanged(&file, &mapped)
        };
        assert!(is_unchanged(&file, &file));
        assert_eq!([127, 128, 159, 160].map(changed_at), [false, true, true, false]);
        assert!(!changed_at(32) && !changed_at(72), "the headers are read from the file alone");
    }
}
