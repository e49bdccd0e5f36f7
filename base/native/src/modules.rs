//! The ELF files that a process has mapped. A file that several processes map is read once.

use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::elf::{self, Layout};
use crate::mapped::Bytes;
use crate::maps::{self, Mapping};
use crate::moved;
use crate::stack;

/// Files that are kept although no process maps them any more.
const FILES_MAX: usize = 4096;

/// The longest instruction that calls, without prefixes.
const CALL_BYTES_MAX: u64 = 7;

/// A file with fewer bytes of tables than its code divided by this has none to speak of; compilers make one for each
/// ten.
const CODE_BYTES_A_TABLE_BYTE: u64 = 256;

/// The kernel's own code in a process is two pages.
const VDSO_BYTES_MAX: u64 = 64 << 10;

/// A file of machine code: a program, a shared library.
#[derive(Debug)]
pub struct ModuleFile {
    path: String,
    /// Where it was found, for what lies beside it.
    place: PathBuf,
    bytes: Bytes,
    pub(crate) layout: Layout,
    lacks_tables: bool,
}

impl ModuleFile {
    /// `None` where it is no ELF file.
    pub(crate) fn new(path: String, place: PathBuf, bytes: Bytes) -> Option<ModuleFile> {
        let layout = elf::layout(&bytes)?;
        let len = |range: &Range<u64>| range.end.saturating_sub(range.start);
        let tables = layout.eh_frame.as_ref().map_or(0, |(range, _)| len(range));
        let code = layout.text.as_ref().map_or(0, len);
        // Elsewhere a call cannot be told from the bytes before an address.
        let lacks_tables = cfg!(target_arch = "x86_64")
            && path.contains("musl")
            && layout.debug_frame.is_none()
            && tables < code / CODE_BYTES_A_TABLE_BYTE;
        Some(ModuleFile { path, place, bytes, layout, lacks_tables })
    }

    /// Its path as the process sees it; `[vdso]` for the kernel's part.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The last part of its path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }

    /// Where something lies that it exports, in its own terms.
    ///
    /// Cost: looks through the names of all that it exports.
    pub fn exported(&self, name: &str) -> Option<u64> {
        elf::exported(&self.bytes, name)
    }

    /// Its contents; they stay readable when the process has ended and the file is gone.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Files with its debugging information, apart from itself.
    pub(crate) fn debug_files(&self) -> Vec<PathBuf> {
        elf::debug_files(&self.bytes, &self.place)
    }

    /// Where its functions lie that `wanted` asks for, by name; addresses are the file's own. One without a known
    /// size is left out.
    ///
    /// Cost: reads the symbol tables, some 20 ns a symbol.
    pub fn function_ranges(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<(String, Range<u64>)> {
        let mut ranges = Vec::new();
        for table in elf::functions(&self.bytes) {
            for function in table.functions.iter().filter(|function| function.size > 0) {
                let name = std::str::from_utf8(table.name(function)).ok().filter(|name| wanted(name));
                let end = function.address.checked_add(function.size);
                ranges.extend(name.zip(end).map(|(name, end)| (name.to_owned(), function.address..end)));
            }
        }
        ranges
    }

    /// Where parts of the function at `function` lie that the compiler has moved away from it, whether the file names
    /// them or not: by the jumps between them. Addresses are the file's own.
    ///
    /// Cost: reads and looks through the function's code, some milliseconds for a hundred kilobytes.
    pub fn moved_parts(&self, function: &Range<u64>) -> Vec<Range<u64>> {
        let mut code = |range: &Range<u64>| self.code(range).map(|code| code.to_vec());
        moved::parts(&self.layout, function, &mut code)
    }

    /// The file's bytes at some of its own addresses.
    fn code(&self, range: &Range<u64>) -> Option<Bytes> {
        let is_in = |load: &&elf::Load| {
            range.start >= load.address && range.end <= load.address.saturating_add(load.size)
        };
        let load = self.layout.loads.iter().find(is_in)?;
        let offset = load.offset.checked_add(range.start - load.address)?;
        self.bytes.part(offset, range.end.checked_sub(range.start)?)
    }

    /// Whether it is musl's libc, without tables for unwinding but for some bytes of them. Other code without tables keeps
    /// frame pointers, as that of Go does.
    pub(crate) fn lacks_tables(&self) -> bool {
        self.lacks_tables
    }

    /// What must be added to the file's own addresses where it is mapped like this.
    fn bias(&self, mapping: &Mapping) -> Option<u64> {
        const PAGE: u64 = 4096;
        let holds = |load: &&elf::Load| {
            let first = load.offset & !(PAGE - 1);
            (first..load.offset.saturating_add(load.size)).contains(&mapping.offset)
        };
        // A page may belong to two parts of the file: the later one is what is mapped from its start.
        let load = self.layout.loads.iter().rev().find(holds)?;
        let address = load.address.wrapping_add(mapping.offset).wrapping_sub(load.offset);
        Some(mapping.start.wrapping_sub(address))
    }
}

/// All files read so far, for all processes.
#[derive(Debug, Default)]
pub struct ModuleFiles {
    /// By device and inode. `None`: it is no ELF file that can be read.
    known: FxHashMap<(u64, u64), Option<Arc<ModuleFile>>>,
}

impl ModuleFiles {
    fn get(&mut self, pid: u32, mapping: &Mapping, all: &[Mapping]) -> Option<Arc<ModuleFile>> {
        if let Some(known) = self.known.get(&mapping.file) {
            return known.clone();
        }
        if self.known.len() >= FILES_MAX {
            self.known.retain(|_, file| file.as_ref().is_some_and(|file| Arc::strong_count(file) > 1));
        }
        let file = open(pid, mapping, all).map(Arc::new);
        self.known.insert(mapping.file, file.clone());
        file
    }
}

fn open(pid: u32, mapping: &Mapping, all: &[Mapping]) -> Option<ModuleFile> {
    let path = mapping.path.strip_suffix(" (deleted)").unwrap_or(&mapping.path).to_owned();
    let places = vec![
        // Needs a privilege, but survives deletion.
        PathBuf::from(format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end)),
        PathBuf::from(format!("/proc/{pid}/root{path}")),
        PathBuf::from(&path),
    ];
    // What the process has in memory tells whether a file of that name is still the same one.
    let first = all.iter().find(|other| other.file == mapping.file && other.offset == 0);
    let loaded = first.and_then(|first| {
        let mut head = vec![0; elf::HEAD_BYTES.min((first.end - first.start) as usize)];
        let len = stack::copy(pid, first.start, &mut head).ok()?;
        head.truncate(len);
        Some(head)
    });
    let is_same = |bytes: &Bytes| {
        let head = &bytes[..bytes.len().min(elf::HEAD_BYTES)];
        let is_loaded =
            |loaded: &Vec<u8>| elf::is_unchanged(bytes, &head[..head.len().min(loaded.len())], loaded);
        elf::is_elf(head) && loaded.as_ref().is_none_or(is_loaded)
    };
    let open = |place: PathBuf| {
        let bytes = Bytes::of_file(&place).ok().filter(is_same)?;
        Some((place, bytes))
    };
    let (place, bytes) = places.into_iter().find_map(open)?;
    ModuleFile::new(path, place, bytes)
}

fn vdso(pid: u32, mapping: &Mapping) -> Option<ModuleFile> {
    let mut bytes = vec![0; (mapping.end - mapping.start).min(VDSO_BYTES_MAX) as usize];
    let len = stack::copy(pid, mapping.start, &mut bytes).ok()?;
    bytes.truncate(len);
    ModuleFile::new(mapping.path.clone(), PathBuf::new(), bytes.into())
}

/// Code of a file in a process.
#[derive(Clone, Debug)]
pub struct Module {
    /// First address.
    pub start: u64,
    /// The address after the last.
    pub end: u64,
    /// What must be added to the file's own addresses.
    pub bias: u64,
    /// The file.
    pub file: Arc<ModuleFile>,
}

impl Module {
    /// Where these bytes of code lie, in the process.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn find_code(&self, wanted: &[u8]) -> Option<u64> {
        self.file.layout.loads.iter().find_map(|load| {
            let start = load.address.wrapping_add(self.bias);
            let is_code = start < self.end && start.wrapping_add(load.size) > self.start;
            let bytes = self.file.bytes.part(load.offset, load.size).filter(|_| is_code)?;
            let at = bytes.windows(wanted.len()).position(|window| window == wanted)?;
            Some(start.wrapping_add(at as u64))
        })
    }

    /// Whether an address is one to which a call returns: the instruction before it is a call.
    pub(crate) fn is_behind_call(&self, address: u64) -> bool {
        let address = address.wrapping_sub(self.bias);
        let Some(start) = address.checked_sub(CALL_BYTES_MAX) else { return false };
        self.file.code(&(start..address)).is_some_and(|code| ends_in_call(&code))
    }
}

/// Whether bytes end in an instruction that calls: a call with a distance, or one through a register or memory.
fn ends_in_call(code: &[u8]) -> bool {
    let from_end = |count: usize| code.len().checked_sub(count).map_or(&[][..], |start| &code[start..]);
    let is_indirect = |len: usize| match from_end(len) {
        // The middle bits of the second byte are 2: `call`. It says how long the instruction is.
        [0xFF, form, rest @ ..] if form >> 3 & 7 == 2 => {
            let has_index = form & 7 == 4 && form >> 6 != 3;
            let distance = match (form >> 6, form & 7) {
                (0, 5) => 4,
                (0, 4) if rest.first().is_some_and(|index| index & 7 == 5) => 4,
                (0, _) | (3, _) => 0,
                (1, _) => 1,
                _ => 4,
            };
            len == 2 + usize::from(has_index) + distance
        }
        _ => false,
    };
    from_end(5).first() == Some(&0xE8) || (2..=CALL_BYTES_MAX as usize).any(is_indirect)
}

/// The mapped code of a process.
#[derive(Clone, Debug, Default)]
pub struct Modules {
    /// Sorted by address.
    list: Vec<Module>,
    /// Bounds of all mappings, sorted.
    bounds: Vec<(u64, u64)>,
}

impl Modules {
    /// Reads what a process has mapped now.
    ///
    /// Errors: those of `/proc/PID/maps`. A file that cannot be read is left out.
    /// Cost: the tables of every file that was not known yet, some 0.1 to 10 ms each.
    pub fn read(pid: u32, files: &mut ModuleFiles) -> io::Result<Modules> {
        let mappings = maps::read(pid)?;
        let mut list: Vec<Module> = Vec::new();
        for mapping in mappings.iter().filter(|mapping| mapping.executable) {
            let file = match mapping.path.as_str() {
                "[vdso]" => vdso(pid, mapping).map(Arc::new),
                path if path.starts_with('/') && mapping.file.1 != 0 => files.get(pid, mapping, &mappings),
                _ => None,
            };
            let Some(file) = file else { continue };
            let Some(bias) = file.bias(mapping) else { continue };
            list.push(Module { start: mapping.start, end: mapping.end, bias, file });
        }
        let bounds = mappings.iter().map(|mapping| (mapping.start, mapping.end)).collect();
        Ok(Modules { list, bounds })
    }

    /// All of them, sorted by address.
    pub fn list(&self) -> &[Module] {
        &self.list
    }

    /// The module that holds an address.
    pub fn find(&self, address: u64) -> Option<&Module> {
        let after = self.list.partition_point(|module| module.start <= address);
        self.list.get(after.checked_sub(1)?).filter(|module| address < module.end)
    }

    /// Where the mapping that holds an address ends: how far a stack can reach.
    pub fn mapping_end(&self, address: u64) -> Option<u64> {
        let after = self.bounds.partition_point(|(start, _)| *start <= address);
        self.bounds.get(after.checked_sub(1)?).map(|(_, end)| *end).filter(|end| address < *end)
    }
}

#[cfg(test)]
mod tests {
    use super::ends_in_call;

    #[test]
    fn calls_are_known_by_their_bytes() {
        for (code, expected) in [
            // call f; call [rip + 1]; call rax; call [rax]; call [rbx + 8]; call [rax + rcx * 8]; call [rsp + 0x180]
            (&[0x90, 0x90, 0xE8, 1, 2, 3, 4][..], true),
            (&[0x90, 0xFF, 0x15, 1, 0, 0, 0], true),
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xD0], true),
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x10], true),
            (&[0x90, 0x90, 0x90, 0x90, 0xFF, 0x53, 8], true),
            (&[0x90, 0x90, 0x90, 0x90, 0xFF, 0x14, 0xC8], true),
            (&[0xFF, 0x94, 0x24, 0x80, 1, 0, 0], true),
            // jmp rax; push [rax]; a call that is one byte longer; nothing.
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0xE0], false),
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x30], false),
            (&[0x90, 0x90, 0x90, 0x90, 0x90, 0xFF, 0x53], false),
            (&[], false),
        ] {
            assert_eq!(ends_in_call(code), expected, "{code:x?}");
        }
    }
}
