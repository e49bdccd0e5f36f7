//! What an ELF file says of itself: where it is to be mapped, how to unwind, which functions it has.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use object::read::elf::{ElfFile64, ElfSymbol64, ProgramHeader};
use object::{CompressionFormat, LittleEndian, Object, ObjectSection, ObjectSymbol, SymbolKind};

use crate::mapped::Bytes;

type Elf<'data> = ElfFile64<'data, LittleEndian, &'data [u8]>;

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
pub(crate) type Section = Option<(Range<u64>, Bytes)>;

/// What unwinding needs of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layout {
    pub(crate) loads: Vec<Load>,
    pub(crate) text: Option<Range<u64>>,
    pub(crate) got: Option<Range<u64>>,
    pub(crate) eh_frame: Section,
    pub(crate) eh_frame_hdr: Section,
    pub(crate) debug_frame: Option<Bytes>,
}

/// A function as a symbol table has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) address: u64,
    /// 0 where the table does not say.
    pub(crate) size: u64,
    /// Where its name begins in the table's names.
    pub(crate) name: u32,
    pub(crate) global: bool,
}

/// Functions of one symbol table. Their names stay in the file until they are asked for.
#[derive(Clone, Debug)]
pub(crate) struct FunctionTable {
    pub(crate) functions: Vec<Function>,
    names: Bytes,
}

impl FunctionTable {
    /// The name of one of them; empty where the table is damaged.
    pub(crate) fn name(&self, function: &Function) -> &[u8] {
        let rest = self.names.get(function.name as usize..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0);
        end.map_or(&[], |end| &rest[..end])
    }
}

/// Whether these are the first bytes of an ELF file.
pub(crate) fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Whether the first bytes of a file in memory, `loaded`, are those that it begins with. In its dynamic section the loader
/// notes down addresses, and tools that change a program's loader or search path (patchelf) put that at its beginning.
pub(crate) fn is_unchanged(bytes: &Bytes, head: &[u8], loaded: &[u8]) -> bool {
    if head == loaded {
        return true;
    }
    let Ok(elf) = Elf::parse(&**bytes) else { return false };
    let is_dynamic = |header: &&object::elf::ProgramHeader64<LittleEndian>| {
        header.p_type(LittleEndian) == object::elf::PT_DYNAMIC
    };
    let dynamic = elf.elf_program_headers().iter().find(is_dynamic).map_or(0..0, |header| {
        let start = header.p_offset(LittleEndian);
        start..start.saturating_add(header.p_filesz(LittleEndian))
    });
    let is_same =
        |(place, (one, other)): (usize, (&u8, &u8))| one == other || dynamic.contains(&(place as u64));
    head.len() == loaded.len() && head.iter().zip(loaded).enumerate().all(is_same)
}

/// What unwinding needs of a file.
pub(crate) fn layout(bytes: &Bytes) -> Option<Layout> {
    let elf = Elf::parse(&**bytes).ok()?;
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
        let (offset, len) = section.file_range()?;
        Some((range, bytes.part(offset, len)?))
    };
    Some(Layout {
        loads: loads.collect(),
        text: range(".text"),
        got: range(".got"),
        eh_frame: section(".eh_frame"),
        eh_frame_hdr: section(".eh_frame_hdr"),
        debug_frame: contents(bytes, &elf, ".debug_frame", UNWIND_BYTES_MAX),
    })
}

/// A section's contents, unpacked where they are compressed.
fn contents(bytes: &Bytes, elf: &Elf<'_>, name: &str, bytes_max: u64) -> Option<Bytes> {
    /// No byte of a compressed section can stand for more than that.
    const RATIO_MAX: u64 = 1032;
    let section = elf.section_by_name(name)?;
    let place = section.compressed_file_range().ok()?;
    let size = place.uncompressed_size;
    if size == 0 || size > bytes_max {
        return None;
    }
    let data = bytes.part(place.offset, place.compressed_size)?;
    match place.format {
        CompressionFormat::None => Some(data),
        CompressionFormat::Zlib => {
            let room = size.min(place.compressed_size.saturating_mul(RATIO_MAX));
            let mut unpacked = Vec::with_capacity(usize::try_from(room).ok()?);
            flate2::read::ZlibDecoder::new(&*data).take(size).read_to_end(&mut unpacked).ok()?;
            Some(unpacked.into())
        }
        _ => None,
    }
}

/// The functions of a file's symbol tables: of the full one where there is one, and of what it exports. Where there is no
/// full table, only functions whose size is known.
///
/// Cost: some 10 ns a symbol.
pub(crate) fn functions(bytes: &Bytes) -> Vec<FunctionTable> {
    let Ok(elf) = Elf::parse(&**bytes) else { return Vec::new() };
    // Where only some functions are named, one without a size (`_init`, musl's `memset`) would stand for all unnamed
    // ones behind it.
    let is_stripped = elf.symbols().next().is_none();
    let function = |symbol: ElfSymbol64<'_, '_, LittleEndian, &[u8]>| {
        // The kind of an indirect function (several variants, one of which is chosen at the start) is no text.
        let is_code =
            symbol.kind() == SymbolKind::Text || symbol.elf_symbol().st_type() == object::elf::STT_GNU_IFUNC;
        let name = symbol.elf_symbol().st_name.get(LittleEndian);
        let (address, size, global) = (symbol.address(), symbol.size(), symbol.is_global());
        // `_init` and `_fini` have no size either, and linkers put the stubs of calls to other libraries behind them.
        let section = || elf.section_by_index(symbol.section_index()?).ok()?.name().ok();
        let is_alone = || matches!(section(), Some(".init" | ".fini"));
        let is_sized = size > 0 || !(is_stripped || is_alone());
        let is_named = is_code && is_sized && symbol.is_definition() && name != 0;
        is_named.then_some(Function { address, size, name, global })
    };
    let names = |table: &object::read::elf::SymbolTable<'_, _, &[u8]>| {
        let section = elf.section_by_index(table.string_section()).ok()?;
        let (offset, len) = section.file_range()?;
        bytes.part(offset, len)
    };
    let tables = [
        (names(elf.elf_symbol_table()), elf.symbols()),
        (names(elf.elf_dynamic_symbol_table()), elf.dynamic_symbols()),
    ];
    let table = |(names, symbols): (Option<Bytes>, object::read::elf::ElfSymbolIterator64<'_, '_, _, _>)| {
        let functions = symbols.filter_map(function).take(FUNCTIONS_MAX).collect();
        Some(FunctionTable { functions, names: names? })
    };
    tables.into_iter().filter_map(table).collect()
}

/// Where something lies that a file exports; its own terms.
pub(crate) fn exported(bytes: &Bytes, name: &str) -> Option<u64> {
    let elf = Elf::parse(&**bytes).ok()?;
    let found = elf.dynamic_symbols().find(|symbol| symbol.is_definition() && symbol.name() == Ok(name))?;
    Some(found.address())
}

/// The debugging sections of a file, by name; `None` where it has not got the first of them.
pub(crate) fn debug_sections(bytes: &Bytes, names: &[&str]) -> Option<Vec<Option<Bytes>>> {
    let elf = Elf::parse(&**bytes).ok()?;
    elf.section_by_name(names.first()?)?;
    Some(names.iter().map(|name| contents(bytes, &elf, name, DEBUG_BYTES_MAX)).collect())
}

/// Where a file's debugging information may lie apart from it, the likeliest first.
pub(crate) fn debug_files(bytes: &Bytes, path: &Path) -> Vec<PathBuf> {
    let Ok(elf) = Elf::parse(&**bytes) else { return Vec::new() };
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
