//! What a mapped ELF file says about itself, read from the memory of the process that runs it.
//!
//! The loader needs the program headers and the dynamic symbols, so they are in memory, whatever has become
//! of the file: replaced by an upgrade, deleted, or in another mount namespace. Only what the loader does
//! not need (section headers, local symbols) is read from the file, in [`super::binary`].

use super::maps::Image;
use crate::memory::{Memory, MemoryError, Range};

const HEADER_SIZE: usize = 64;
const PROGRAM_HEADER_SIZE: usize = 56;
const SYMBOL_SIZE: u64 = 24;
const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_NOTE: u32 = 4;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;
const DT_GNU_HASH: u64 = 0x6fff_fef5;
/// More headers or entries than this are no ELF file that a loader has accepted.
const HEADERS_MAX: usize = 128;
const DYNAMIC_BYTES_MAX: u64 = 1 << 14;
/// More imported symbols than this are not looked through.
const IMPORTS_MAX: u64 = 1 << 16;
/// No hash chain is anywhere near this long.
const CHAIN_MAX: u32 = 4096;

/// The dynamic part of a mapped ELF file. All addresses are the process's.
#[derive(Clone, Debug)]
pub(super) struct Dynamic {
    /// What to add to an address in the file.
    pub(super) bias: u64,
    needed: Vec<u64>,
    strings: u64,
    symbols: u64,
    hash: u64,
}

impl Dynamic {
    /// Reads it; `None` where the image is not a 64-bit little-endian ELF file with a dynamic part.
    pub(super) fn read(memory: &dyn Memory, image: &Image<'_>) -> Result<Option<Self>, MemoryError> {
        let Some((first, headers)) = program_headers(memory, image)? else { return Ok(None) };
        let (Some(load), Some(dynamic)) = (of_kind(&headers, PT_LOAD), of_kind(&headers, PT_DYNAMIC)) else {
            return Ok(None);
        };
        // The first segment is mapped where the first mapping is, but for what is before it in its page.
        let bias = first.wrapping_sub(word(load, 16).wrapping_sub(word(load, 8)));
        let (address, size) = (word(dynamic, 16), word(dynamic, 40));
        let mut entries = vec![0; size.min(DYNAMIC_BYTES_MAX) as usize];
        memory.read(bias.wrapping_add(address), &mut entries)?;
        // glibc's loader turns addresses into the process's in place; musl's does not, nor has it been there
        // yet when the process has just started.
        let resolve = |value: u64| match (image.start()..image.end()).contains(&value) {
            true => value,
            false => bias.wrapping_add(value),
        };
        let mut found = Dynamic { bias, needed: Vec::new(), strings: 0, symbols: 0, hash: 0 };
        for entry in entries.chunks_exact(16) {
            match (word(entry, 0), word(entry, 8)) {
                (0, _) => break,
                (DT_NEEDED, value) => found.needed.push(value),
                (DT_STRTAB, value) => found.strings = resolve(value),
                (DT_SYMTAB, value) => found.symbols = resolve(value),
                (DT_GNU_HASH, value) => found.hash = resolve(value),
                _ => {}
            }
        }
        Ok(Some(found))
    }

    /// The address of an exported symbol; found by its hash, as the loader does it, in about eight reads.
    pub(super) fn symbol(&self, memory: &dyn Memory, name: &str) -> Option<u64> {
        if self.hash == 0 || self.symbols == 0 || self.strings == 0 {
            return None;
        }
        let mut head = [0; 16];
        memory.read(self.hash, &mut head).ok()?;
        let (buckets, first, bloom) = (quad(&head, 0), quad(&head, 4), quad(&head, 8));
        if buckets == 0 {
            return None;
        }
        let hash =
            name.bytes().fold(5381u32, |hash, byte| hash.wrapping_mul(33).wrapping_add(u32::from(byte)));
        let buckets_at = self.hash.wrapping_add(16 + 8 * u64::from(bloom));
        let chains_at = buckets_at.wrapping_add(4 * u64::from(buckets));
        let read_u32 = |address: u64| {
            let mut bytes = [0; 4];
            memory.read(address, &mut bytes).ok().map(|()| u32::from_le_bytes(bytes))
        };
        let start = read_u32(buckets_at.wrapping_add(4 * u64::from(hash % buckets)))?;
        if start < first {
            return None; // an empty bucket
        }
        for index in start..start.saturating_add(CHAIN_MAX) {
            let chained = read_u32(chains_at.wrapping_add(4 * u64::from(index - first)))?;
            if chained | 1 == hash | 1 {
                let mut symbol = [0; SYMBOL_SIZE as usize];
                memory.read(self.symbols.wrapping_add(SYMBOL_SIZE * u64::from(index)), &mut symbol).ok()?;
                if half(&symbol, 6) != 0 && self.is_string(memory, u64::from(quad(&symbol, 0)), name) {
                    return Some(self.bias.wrapping_add(word(&symbol, 8)));
                }
            }
            if chained & 1 != 0 {
                return None; // the chain's end
            }
        }
        None
    }

    /// Whether a library whose name starts with `prefix` is needed.
    pub(super) fn needs(&self, memory: &dyn Memory, prefix: &str) -> bool {
        let mut name = vec![0; prefix.len()];
        self.needed.iter().take(HEADERS_MAX).any(|offset| {
            memory.read(self.strings.wrapping_add(*offset), &mut name).is_ok() && name == prefix.as_bytes()
        })
    }

    /// Whether it imports all of these symbols; `None` where its imports cannot be told.
    fn imports(&self, memory: &dyn Memory, names: &[&str]) -> Option<bool> {
        // Imported symbols come before the exported ones, of which the hash tells the first. Where nothing is
        // exported the hash is empty and says 1: the names then lie behind the symbols, as linkers put them.
        let mut first_exported = [0; 4];
        memory.read(self.hash.wrapping_add(4), &mut first_exported).ok()?;
        let count = match u64::from(u32::from_le_bytes(first_exported)) {
            0 | 1 => self.strings.checked_sub(self.symbols)? / SYMBOL_SIZE,
            count => count,
        };
        if self.hash == 0 || self.symbols == 0 || self.strings == 0 || count > IMPORTS_MAX {
            return None;
        }
        let mut symbols = vec![0; (count * SYMBOL_SIZE) as usize];
        memory.read(self.symbols, &mut symbols).ok()?;
        let len = names.iter().map(|name| name.len() + 1).max()?;
        let undefined = symbols.chunks_exact(SYMBOL_SIZE as usize).filter(|symbol| half(symbol, 6) == 0);
        let name = |symbol: &[u8]| Range { address: self.strings.wrapping_add(quad(symbol, 0).into()), len };
        let ranges: Vec<Range> = undefined.map(name).collect();
        let mut texts = vec![0; ranges.len() * len];
        if memory.read_many(&ranges, &mut texts).ok()? != texts.len() {
            return None;
        }
        let is_there = |name: &&str| {
            texts.chunks_exact(len).any(|text| text.starts_with(name.as_bytes()) && text[name.len()] == 0)
        };
        Some(names.iter().all(is_there))
    }

    fn is_string(&self, memory: &dyn Memory, offset: u64, expected: &str) -> bool {
        let mut text = vec![0; expected.len() + 1];
        memory.read(self.strings.wrapping_add(offset), &mut text).is_ok()
            && text.split_last() == Some((&0, expected.as_bytes()))
    }
}

/// Where the image starts and its program headers; `None` where it is no 64-bit little-endian ELF file.
fn program_headers(memory: &dyn Memory, image: &Image<'_>) -> Result<Option<(u64, Vec<u8>)>, MemoryError> {
    let first = match image.mappings.first() {
        Some(first) if first.offset == 0 && first.readable => *first,
        _ => return Ok(None),
    };
    let mut header = [0; HEADER_SIZE];
    memory.read(first.start, &mut header)?;
    let is_elf = header.starts_with(b"\x7fELF\x02\x01");
    let (headers_at, count) = (word(&header, 32), half(&header, 56));
    if !is_elf || half(&header, 54) != PROGRAM_HEADER_SIZE || count > HEADERS_MAX || headers_at > first.len()
    {
        return Ok(None);
    }
    let mut headers = vec![0; count * PROGRAM_HEADER_SIZE];
    memory.read(first.start + headers_at, &mut headers)?;
    Ok(Some((first.start, headers)))
}

fn of_kind(headers: &[u8], kind: u32) -> Option<&[u8]> {
    headers.chunks_exact(PROGRAM_HEADER_SIZE).find(|header| quad(header, 0) == kind)
}

/// Whether a program can have an interpreter inside that it does not export: what is sure not to have one is not
/// worth a look at its file, which may be a hundred megabytes.
///
/// CPython of every version calls these functions of the C library, under these names however it is compiled. A
/// program that is linked to libraries and does not import them holds no CPython; nor does one that Go's linker
/// has put together without any library. Cost: some ten reads.
pub(super) fn may_hold_interpreter(memory: &dyn Memory, image: &Image<'_>) -> bool {
    const CALLED: [&str; 2] = ["setlocale", "wcscmp"];
    match Dynamic::read(memory, image) {
        Ok(Some(dynamic)) if !dynamic.needed.is_empty() => {
            dynamic.needs(memory, "libpython") || dynamic.imports(memory, &CALLED).unwrap_or(true)
        }
        Ok(None) => !is_made_by_go(memory, image),
        _ => true,
    }
}

/// Whether its first note is the one that Go's linker writes.
fn is_made_by_go(memory: &dyn Memory, image: &Image<'_>) -> bool {
    let Ok(Some((start, headers))) = program_headers(memory, image) else { return false };
    let Some(note) = of_kind(&headers, PT_NOTE) else { return false };
    // The lengths of name and content, the kind, the name. The headers' own page holds the note.
    let mut name = [0; 16];
    memory.read(start.wrapping_add(word(note, 8)), &mut name).is_ok()
        && quad(&name, 0) == 4
        && name.ends_with(b"Go\0\0")
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes)
}

fn quad(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes)
}

fn half(bytes: &[u8], at: usize) -> usize {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u16::from_le_bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locate::maps;
    use crate::memory::LiveProcess;

    /// Whether an interpreter is held possible in each of a process's files, with their names.
    fn verdicts(pid: u32) -> Vec<(String, bool)> {
        let mappings = maps::read(pid).expect("it lives");
        let memory = LiveProcess::new(pid);
        let verdict = |image: &Image<'_>| (image.name().to_owned(), may_hold_interpreter(&memory, image));
        maps::images(&mappings).iter().map(verdict).collect()
    }

    #[test]
    fn no_file_that_holds_an_interpreter_is_passed_over() {
        for interpreter in naja_testkit::interpreters::interpreters() {
            let target = naja_testkit::target::Target::start(
                interpreter,
                "import sys\nprint('{}', flush=True)\nsys.stdin.read()\n",
            );
            let verdicts = verdicts(target.pid());
            let is_named = |name: &str| name.starts_with("python") || name.starts_with("libpython");
            let named: Vec<_> = verdicts.iter().filter(|(name, _)| is_named(name)).collect();
            assert!(!named.is_empty() && named.iter().all(|(_, may)| *may), "{interpreter}: {verdicts:?}");
        }
    }

    #[test]
    fn a_program_without_an_interpreter_is_passed_over() {
        let own = std::env::current_exe().expect("it is told");
        let own = own.file_name().expect("a file has a name").to_string_lossy();
        let verdicts = verdicts(std::process::id());
        assert!(verdicts.iter().any(|(name, may)| *name == own && !may), "{verdicts:?}");
    }
}
