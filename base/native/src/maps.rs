//! What is mapped into a process: the lines of `/proc/PID/maps`.

use std::io;

/// A stretch of a process's address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// Whether code in it can run.
    pub executable: bool,
    /// Where in the file it starts, in bytes.
    pub offset: u64,
    /// Device and inode of the file; inode 0 for memory without a file.
    pub file: (u64, u64),
    /// The file's path as the process sees it; a name in brackets for the stack and the like; else empty.
    pub path: String,
}

/// Mappings beyond this are not looked at: the kernel's own limit is 65,530 unless it was raised.
const MAPPINGS_MAX: usize = 1 << 18;

/// Reads the mappings of a process, sorted by address.
///
/// Errors: those of the file, when the process is gone or may not be looked at.
/// Cost: some 1 µs a mapping, spent in the kernel.
pub fn read(pid: u32) -> io::Result<Vec<Mapping>> {
    Ok(parse(&std::fs::read(format!("/proc/{pid}/maps"))?))
}

/// Takes the text of such a file apart; lines that are none are left out.
pub fn parse(text: &[u8]) -> Vec<Mapping> {
    text.split(|byte| *byte == b'\n').filter_map(mapping).take(MAPPINGS_MAX).collect()
}

fn mapping(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let mut field = || std::str::from_utf8(fields.next()?).ok();
    let hex = |text: &str| u64::from_str_radix(text, 16).ok();
    let (start, end) = field()?.split_once('-')?;
    let executable = field()?.as_bytes().get(2) == Some(&b'x');
    let offset = hex(field()?)?;
    let (major, minor) = field()?.split_once(':')?;
    let device = hex(major)?.checked_shl(32)? | hex(minor)?;
    let inode = field()?.parse().ok()?;
    let path = String::from_utf8_lossy(fields.next().unwrap_or_default());
    // The kernel writes a newline in a path as `\012` and leaves everything else as it is.
    let path = path.trim_start_matches(' ').replace(r"\012", "\n");
    let (start, end) = (hex(start)?, hex(end)?);
    (start < end).then_some(Mapping { start, end, executable, offset, file: (device, inode), path })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_mappings_and_other_lines_nothing() {
        let text = b"7f0000001000-7f0000003000 r-xp 00001000 fe:01 12    /lib/a b.so\n\
            7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0       [stack]\n\
            7f0000003000-7f0000003000 r--p 00000000 00:00 0\nnonsense\n\n";
        let mappings = parse(text);
        assert_eq!(mappings.len(), 2);
        assert_eq!((mappings[0].path.as_str(), mappings[0].executable), ("/lib/a b.so", true));
        assert_eq!((mappings[0].offset, mappings[0].file), (0x1000, (0xfe_0000_0001, 12)));
        assert_eq!((mappings[1].path.as_str(), mappings[1].file.1), ("[stack]", 0));
    }
}
