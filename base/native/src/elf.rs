//! What an ELF file says of itself: where it is to be mapped, how to unwind, which functions it has.

use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object::read::elf::{ElfFile64, ProgramHeader};
use object::{
    CompressionFormat, LittleEndian, Object, ObjectSection, ObjectSymbol, ReadCache, ReadRef, SymbolKind,
};

/// Sections beyond this are not read: no tables for unwinding are that large.
const UNWIND_BYTES_MAX: u64 = 256 << 20;

/// Debugging sections beyond this are not read: they would take more memory than the answer is worth.
const DEBUG_BYTES_MAX: u64 = 1 << 30;

/// More functions than this are not listed.
const FUNCTIONS_MAX: usize = 4 << 20;

/// Bytes from the start of a file that tell it from another build: its headers.
pub(crate) const HEAD_BYTES: usize = 1024;

/// A part of a file that the loader maps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) offset: u64,
    pub(crate) size: u64,
    /// Address in the file's own terms.
    pub(crate) address: u64,
}

/// A section and where the file wants it.
pub(crate) type Section = Option<(Range<u64>, Arc<[u8]>)>;

/// What unwinding needs of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) loads: Vec<Load>,
    pub(crate) text: Option<Range<u64>>,
    pub(crate) got: Option<Range<u64>>,
    pub(crate) eh_frame: Section,
    pub(crate) eh_frame_hdr: Section,
    pub(crate) debug_frame: Option<Arc<[u8]>>,
}

/// A function as a symbol table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) address: u64,
    /// 0 where the table does not say.
    pub(crate) size: u64,
    pub(crate) name: String,
    pub(crate) global: bool,
}

/// The first bytes of a file.
pub(crate) fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(HEAD_BYTES as u64).read_to_end(&mut head).ok()?;
    head.starts_with(b"\x7fELF").then_some(head)
}

/// Reads what unwinding needs from a file.
pub(crate) fn layout(path: &Path) -> Option<Layout> {
    let cache = ReadCache::new(File::open(path).ok()?);
    read_layout(&cache)
}

/// Likewise from a copy of the whole file.
pub(crate) fn layout_of_bytes(bytes: &[u8]) -> Option<Layout> {
    let cache = ReadCache::new(Cursor::new(bytes));
    read_layout(&cache)
}

fn read_layout<'data, R: ReadRef<'data>>(data: R) -> Option<Layout> {
    let elf = ElfFile64::<LittleEndian, R>::parse(data).ok()?;
    let endian = LittleEndian;
    let is_load =
        |header: &&object::elf::ProgramHeader64<LittleEndian>| header.p_type(endian) == object::elf::PT_LOAD;
    let loads = elf.elf_program_headers().iter().filter(is_load).map(|header| Load {
        offset: header.p_offset(endian),
        size: header.p_filesz(endian),
        address: header.p_vaddr(endian),
    });
    let range = |name| {
        let section = elf.section_by_name(name)?;
        Some(section.address()..section.address().checked_add(section.size())?)
    };
    let section = |name| -> Section {
        let section = elf.section_by_name(name)?;
        let range = section.address()..section.address().checked_add(section.size())?;
        if section.size() > UNWIND_BYTES_MAX {
            return None;
        }
        Some((range, Arc::from(section.data().ok()?)))
    };
    Some(Layout {
        loads: loads.collect(),
        text: range(".text"),
        got: range(".got"),
        eh_frame: section(".eh_frame"),
        eh_frame_hdr: section(".eh_frame_hdr"),
        debug_frame: contents(&elf, ".debug_frame", UNWIND_BYTES_MAX),
    })
}

/// A section's contents, unpacked where they are compressed.
fn contents<'data, R: ReadRef<'data>>(
    elf: &ElfFile64<'data, LittleEndian, R>,
    name: &str,
    bytes_max: u64,
) -> Option<Arc<[u8]>> {
    let section = elf.section_by_name(name)?;
    let data = section.compressed_data().ok()?;
    if data.data.is_empty() || data.uncompressed_size > bytes_max {
        return None;
    }
    match data.format {
        CompressionFormat::None => Some(Arc::from(data.data)),
        CompressionFormat::Zlib => {
            let mut unpacked = Vec::new();
            let reader = flate2::read::ZlibDecoder::new(data.data);
            reader.take(data.uncompressed_size).read_to_end(&mut unpacked).ok()?;
            Some(unpacked.into())
        }
        _ => None,
    }
}

/// Every function that a file's symbol tables name and `wanted` asks for: of the full table where there is one, of
/// what it exports besides. Where there is no full table, only functions whose size is known.
///
/// Cost: some 20 ns a symbol.
pub(crate) fn functions(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<Function> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let cache = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<LittleEndian, _>::parse(&cache) else { return Vec::new() };
    // Where only some functions are named, one without a size (`_init`, musl's `memset`) would stand for all unnamed
    // ones behind it.
    let is_stripped = elf.symbols().next().is_none();
    let function = |symbol: object::read::elf::ElfSymbol64<'_, '_, LittleEndian, _>| {
        // The kind of an indirect function (several variants, one of which is chosen at the start) is no text.
        let is_code =
            symbol.kind() == SymbolKind::Text || symbol.elf_symbol().st_type() == object::elf::STT_GNU_IFUNC;
        if !is_code || !symbol.is_definition() || (is_stripped && symbol.size() == 0) {
            return None;
        }
        let name = symbol.name().ok().filter(|name| !name.is_empty() && wanted(name))?;
        let (address, size, global) = (symbol.address(), symbol.size(), symbol.is_global());
        Some(Function { address, size, name: name.to_owned(), global })
    };
    elf.symbols().chain(elf.dynamic_symbols()).filter_map(function).take(FUNCTIONS_MAX).collect()
}

/// The debugging sections of a file, by name; empty where it has none.
pub(crate) fn debug_section(path: &Path, names: &[&str]) -> Vec<Option<Arc<[u8]>>> {
    let none = || vec![None; names.len()];
    let Ok(file) = File::open(path) else { return none() };
    let cache = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<LittleEndian, _>::parse(&cache) else { return none() };
    names.iter().map(|name| contents(&elf, name, DEBUG_BYTES_MAX)).collect()
}

/// Where a file's debugging information may lie apart from it, the likeliest first.
pub(crate) fn debug_files(path: &Path) -> Vec<PathBuf> {
    let Ok(file) = File::open(path) else { return Vec::new() };
    let cache = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<LittleEndian, _>::parse(&cache) else { return Vec::new() };
    let mut places = Vec::new();
    if let Ok(Some([first, rest @ ..])) = elf.build_id() {
        let rest: String = rest.iter().map(|byte| format!("{byte:02x}")).collect();
        places.push(PathBuf::from(format!("/usr/lib/debug/.build-id/{first:02x}/{rest}.debug")));
    }
    let link = elf.gnu_debuglink().ok().flatten().and_then(|(name, _)| std::str::from_utf8(name).ok());
    if let (Some(name), Some(folder)) = (link.filter(|name| !name.contains('/')), path.parent()) {
        places.push(folder.join(name));
        places.push(folder.join(".debug").join(name));
        places.push(Path::new("/usr/lib/debug").join(folder.strip_prefix("/").unwrap_or(folder)).join(name));
    }
    places.retain(|place| place != path && place.is_file());
    places
}
