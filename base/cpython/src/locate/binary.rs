//! What only the file itself can say: section headers and local symbols.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use object::read::elf::{ElfFile64, FileHeader, SectionHeader};
use object::{LittleEndian, Object, ObjectSection, ReadCache, ReadRef};

use super::FoundBy;
use super::maps::Image;

/// A table of symbols or their names beyond this size is left alone: it would cost more than a scan.
const TABLE_BYTES_MAX: u64 = 32 << 20;

/// Opens the file that a process runs, even if its path leads elsewhere by now.
pub(super) fn open(pid: u32, image: &Image<'_>) -> io::Result<File> {
    let is_same = |file: &File| file.metadata().is_ok_and(|metadata| metadata.ino() == image.file.1);
    if let Ok(file) = File::open(format!("/proc/{pid}/exe"))
        && is_same(&file)
    {
        return Ok(file);
    }
    // Needs a privilege, but survives deletion.
    if let Some(first) = image.mappings.first()
        && let Ok(file) = File::open(format!("/proc/{pid}/map_files/{:x}-{:x}", first.start, first.end))
    {
        return Ok(file);
    }
    let mut path = std::ffi::OsString::from(format!("/proc/{pid}/root"));
    path.push(image.path);
    let file = File::open(path)?;
    if !is_same(&file) {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the file has been replaced"));
    }
    Ok(file)
}

/// Where a file has `_PyRuntime`, as an address in the file, and what says so.
///
/// Reads the tables, not the rest of the file. A file that cannot be parsed has nothing to say.
pub(super) fn runtime(file: File) -> Option<(u64, FoundBy)> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<LittleEndian, _>::parse(&cache).ok()?;
    // The section is there from 3.10 on and costs next to nothing; symbol tables can be large.
    if let Some(section) = elf.section_by_name(".PyRuntime") {
        return Some((section.address(), FoundBy::Section));
    }
    local_symbol(&elf, &cache, b"_PyRuntime\0").map(|address| (address, FoundBy::LocalSymbol))
}

/// Where a file has a section, as an address in the file.
pub(super) fn section(file: File, name: &str) -> Option<u64> {
    let cache = ReadCache::new(file);
    let elf = ElfFile64::<LittleEndian, _>::parse(&cache).ok()?;
    elf.section_by_name(name).map(|section| section.address())
}

/// Where a file has its local symbols, as addresses in the file: one answer for each name.
pub(super) fn symbols(file: File, names: &[&str]) -> Vec<Option<u64>> {
    let cache = ReadCache::new(file);
    let Ok(elf) = ElfFile64::<LittleEndian, _>::parse(&cache) else { return vec![None; names.len()] };
    let find = |name: &&str| local_symbol(&elf, &cache, format!("{name}\0").as_bytes());
    names.iter().map(find).collect()
}

/// Looks through `.symtab` for a name: first its places among the names, then the symbol that uses one.
fn local_symbol<'data, R: ReadRef<'data>>(
    elf: &ElfFile64<'data, LittleEndian, R>,
    data: R,
    name: &[u8],
) -> Option<u64> {
    let header = elf.elf_header();
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, data).ok()?;
    let table = sections.iter().find(|section| section.sh_type(endian) == object::elf::SHT_SYMTAB)?;
    let names = sections.iter().nth(table.sh_link(endian) as usize)?;
    if table.sh_size(endian) > TABLE_BYTES_MAX || names.sh_size(endian) > TABLE_BYTES_MAX {
        return None;
    }
    let names = names.data(endian, data).ok()?;
    let places: Vec<u32> = memchr::memmem::find_iter(names, name).map(|place| place as u32).collect();
    if places.is_empty() {
        return None;
    }
    let symbols = table.data(endian, data).ok()?;
    symbols.chunks_exact(24).find_map(|symbol| {
        let place = u32::from_le_bytes(*symbol.first_chunk()?);
        let defined = symbol[6] != 0 || symbol[7] != 0;
        let address = u64::from_le_bytes(*symbol[8..].first_chunk()?);
        (defined && address != 0 && places.binary_search(&place).is_ok()).then_some(address)
    })
}
