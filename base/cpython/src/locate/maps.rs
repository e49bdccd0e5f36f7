//! What is mapped into a process, and which files it comes from.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::LocateError;
use crate::memory::MemoryError;

/// A stretch of the process's address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    pub(crate) executable: bool,
    /// Where in the file it starts.
    pub(crate) offset: u64,
    /// Device and inode, as the process sees them.
    pub(crate) file: (u64, u64),
    /// Empty for memory without a file; in brackets for the heap and the stack.
    pub(crate) path: PathBuf,
}

impl Mapping {
    pub(crate) fn len(&self) -> u64 {
        self.end - self.start
    }

    pub(crate) fn contains(&self, address: u64) -> bool {
        (self.start..self.end).contains(&address)
    }

    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |byte| *byte == b' ');
        let mut field = || std::str::from_utf8(fields.next()?).ok();
        let hex = |text: &str| u64::from_str_radix(text, 16).ok();
        let (start, end) = field()?.split_once('-')?;
        let permissions = field()?.as_bytes();
        let offset = field()?;
        let (major, minor) = field()?.split_once(':')?;
        let inode = field()?.parse().ok()?;
        let (start, end) = (hex(start)?, hex(end)?);
        let has = |place: usize, flag: u8| permissions.get(place) == Some(&flag);
        (start < end).then_some(Mapping {
            start,
            end,
            readable: has(0, b'r'),
            writable: has(1, b'w'),
            executable: has(2, b'x'),
            offset: hex(offset)?,
            file: (hex(major)? << 32 | hex(minor)?, inode),
            path: path(fields.next().unwrap_or_default()),
        })
    }
}

/// The kernel writes a newline in a path as `\012` and leaves everything else as it is.
fn path(field: &[u8]) -> PathBuf {
    let start = field.iter().position(|byte| *byte != b' ').unwrap_or(field.len());
    let field = &field[start..];
    if !field.windows(4).any(|four| four == br"\012") {
        return PathBuf::from(OsStr::from_bytes(field));
    }
    let text = String::from_utf8_lossy(field).replace(r"\012", "\n");
    PathBuf::from(text)
}

/// All mappings of a process, in order of address.
pub(super) fn read(pid: u32) -> Result<Vec<Mapping>, LocateError> {
    let path = PathBuf::from(format!("/proc/{pid}/maps"));
    let text = std::fs::read(&path).map_err(|error| match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => LocateError::Memory(MemoryError::Forbidden),
        Some(libc::ENOENT | libc::ESRCH) => LocateError::Memory(MemoryError::Gone),
        _ => LocateError::Files(path, error),
    })?;
    let mappings: Vec<Mapping> = text.split(|byte| *byte == b'\n').filter_map(Mapping::parse).collect();
    if mappings.is_empty() {
        // A process that has ended but has not been waited for maps nothing.
        return Err(LocateError::Memory(MemoryError::Gone));
    }
    Ok(mappings)
}

/// A file with code in it, as it is mapped.
#[derive(Clone, Debug)]
pub(super) struct Image<'a> {
    pub(super) path: &'a Path,
    pub(super) file: (u64, u64),
    pub(super) mappings: Vec<&'a Mapping>,
    /// Writable memory behind its last mapping: what the file has zeroed (`.bss`).
    pub(super) zeroed: Option<&'a Mapping>,
}

impl Image<'_> {
    pub(super) fn start(&self) -> u64 {
        self.mappings.first().map_or(0, |mapping| mapping.start)
    }

    pub(super) fn end(&self) -> u64 {
        let last = self.zeroed.or(self.mappings.last().copied());
        last.map_or(0, |mapping| mapping.end)
    }

    /// Where it keeps its variables.
    pub(super) fn writable(&self) -> impl Iterator<Item = &Mapping> {
        let own = self.mappings.iter().copied().filter(|mapping| mapping.writable && mapping.readable);
        own.chain(self.zeroed)
    }

    /// The path's last part, without what the kernel adds for a file that is no longer there.
    pub(super) fn name(&self) -> &str {
        let name = self.path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.strip_suffix(" (deleted)").unwrap_or(name)
    }
}

/// The files with code in them, in order of address.
pub(super) fn images(mappings: &[Mapping]) -> Vec<Image<'_>> {
    let mut images: Vec<Image<'_>> = Vec::new();
    for (i, mapping) in mappings.iter().enumerate() {
        if !mapping.path.as_os_str().as_bytes().starts_with(b"/") {
            continue;
        }
        // Mappings of one file lie together, but for what the loader has put between them.
        let known = images.iter_mut().rev().take(4).find(|image| {
            image.file == mapping.file
                && image.path == mapping.path
                && mapping.offset >= image.mappings[0].offset
        });
        let next = mappings.get(i + 1).filter(|next| {
            next.start == mapping.end && next.path.as_os_str().is_empty() && next.writable && next.readable
        });
        match known {
            Some(image) => {
                image.mappings.push(mapping);
                image.zeroed = next.or(image.zeroed);
            }
            None => images.push(Image {
                path: &mapping.path,
                file: mapping.file,
                mappings: vec![mapping],
                zeroed: next,
            }),
        }
    }
    images.retain(|image| image.mappings.iter().any(|mapping| mapping.executable));
    images
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
555500000000-555500001000 r--p 00000000 fe:01 11                         /usr/bin/python 3\n\
555500001000-555500002000 r-xp 00001000 fe:01 11                         /usr/bin/python 3\n\
555500002000-555500003000 rw-p 00002000 fe:01 11                         /usr/bin/python 3\n\
555500003000-555500004000 rw-p 00000000 00:00 0 \n\
555500004000-555500024000 rw-p 00000000 00:00 0                          [heap]\n\
7fff00000000-7fff00001000 r--p 00000000 fe:01 12                         /usr/share/locale-archive\n\
7fff00001000-7fff00002000 r-xp 00000000 fe:01 13                         /tmp/a\\012b (deleted)\n\
this is no mapping\n";

    #[test]
    fn mappings_of_a_file_belong_together_with_their_zeroed_memory() {
        let mappings: Vec<Mapping> = MAPS.split(|byte| *byte == b'\n').filter_map(Mapping::parse).collect();
        assert_eq!(mappings.len(), 7);
        let images = images(&mappings);
        let names: Vec<&str> = images.iter().map(Image::name).collect();
        assert_eq!(names, ["python 3", "a\nb"]);
        assert_eq!((images[0].start(), images[0].end()), (0x5555_0000_0000, 0x5555_0000_4000));
        assert_eq!(images[0].writable().count(), 2);
    }
}
