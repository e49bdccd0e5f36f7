//! From addresses to functions, files and lines, with the calls that the compiler has inlined.
//!
//! Of a file's tables that is read which the address asked for needs: the list of its compilation units, then the unit
//! that holds the address; its symbols only where no unit does. That may take some 10 ms, which is no work for a thread
//! that has to be on time.

use std::cell::OnceCell;
use std::cmp::Reverse;
use std::sync::Arc;

use addr2line::Context;
use gimli::{EndianSlice, LittleEndian, SectionId};
use rustc_hash::FxHashMap;

use crate::elf::{self, Function, FunctionTable};
use crate::mapped::Bytes;
use crate::modules::ModuleFile;

/// Inlined calls at one address beyond which the rest is left out.
const INLINED_MAX: usize = 256;

/// Addresses whose answer is kept.
const ANSWERS_MAX: usize = 1 << 18;

/// A function that an address belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeFrame {
    /// Its readable name; empty where nothing names it.
    pub function: String,
    /// Its source file; empty where that is not known.
    pub file: String,
    /// The line; 0 where it is not known.
    pub line: u32,
}

/// Names addresses, and remembers the answers.
#[derive(Default)]
pub struct Symbols {
    files: FxHashMap<usize, FileSymbols>,
    answers: FxHashMap<(usize, u64), Arc<[NativeFrame]>>,
}

impl std::fmt::Debug for Symbols {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Symbols").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

impl Symbols {
    /// The functions at one of the file's own addresses, innermost inlined call first; at least one, which has no
    /// name where nothing is known.
    pub fn frames(&mut self, file: &Arc<ModuleFile>, address: u64) -> Arc<[NativeFrame]> {
        let is_inside = |load: &elf::Load| address.wrapping_sub(load.address) < load.size;
        if !file.layout.loads.iter().any(is_inside) {
            return Arc::from([NativeFrame::default()]);
        }
        // The address of the file's record stands for it: `FileSymbols` keeps it alive.
        let key = (Arc::as_ptr(file) as usize, address);
        if let Some(known) = self.answers.get(&key) {
            return known.clone();
        }
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.clear();
        }
        let symbols = self.files.entry(key.0).or_insert_with(|| FileSymbols::read(file));
        let frames: Arc<[NativeFrame]> = symbols.frames(address).into();
        self.answers.insert(key, frames.clone());
        frames
    }
}

struct FileSymbols {
    file: Arc<ModuleFile>,
    /// Files with its debugging information, apart from itself.
    apart: Vec<Bytes>,
    functions: OnceCell<FunctionList>,
    lines: Option<Lines>,
}

impl FileSymbols {
    fn read(file: &Arc<ModuleFile>) -> FileSymbols {
        let apart: Vec<Bytes> =
            file.debug_files().iter().filter_map(|place| Bytes::of_file(place).ok()).collect();
        let lines = std::iter::once(file.bytes()).chain(&apart).find_map(Lines::read);
        FileSymbols { file: file.clone(), apart, functions: OnceCell::new(), lines }
    }

    fn frames(&self, address: u64) -> Vec<NativeFrame> {
        let mut frames =
            self.lines.as_ref().map(|lines| inlined(&lines.context, address)).unwrap_or_default();
        let symbol = || {
            let files = || std::iter::once(self.file.bytes()).chain(&self.apart);
            let functions = self.functions.get_or_init(|| FunctionList::read(files()));
            functions.name(address).map(|name| readable_name(&String::from_utf8_lossy(name)))
        };
        match frames.last_mut() {
            // Information about lines without functions, as some assembler has it.
            Some(outermost) if outermost.function.is_empty() => {
                outermost.function = symbol().unwrap_or_default();
            }
            Some(_) => {}
            None => {
                let function = symbol().unwrap_or_default();
                frames.push(NativeFrame { function, ..NativeFrame::default() });
            }
        }
        frames
    }
}

/// All functions that symbol tables name.
struct FunctionList {
    tables: Vec<FunctionTable>,
    /// Each with its table's place, sorted by address.
    functions: Vec<(Function, usize)>,
}

impl FunctionList {
    fn read<'a>(files: impl Iterator<Item = &'a Bytes>) -> FunctionList {
        let mut tables: Vec<FunctionTable> = files.flat_map(elf::functions).collect();
        let mut functions = Vec::new();
        for (place, table) in tables.iter_mut().enumerate() {
            functions
                .extend(std::mem::take(&mut table.functions).into_iter().map(|function| (function, place)));
        }
        functions
            .sort_unstable_by_key(|(function, _)| (function.address, function.size == 0, !function.global));
        FunctionList { tables, functions }
    }

    fn name_of(&self, (function, place): &(Function, usize)) -> &[u8] {
        self.tables.get(*place).map(|table| table.name(function)).unwrap_or_default()
    }

    /// The function that holds an address.
    fn name(&self, address: u64) -> Option<&[u8]> {
        let after = self.functions.partition_point(|(function, _)| function.address <= address);
        let start = self.functions.get(after.checked_sub(1)?)?.0.address;
        let first = self.functions.partition_point(|(function, _)| function.address < start);
        let same = self.functions.get(first..after)?;
        // Of several names for one place: that with a size, the exported one, the one with the fewest underscores.
        let rank = |one: &&(Function, usize)| {
            let name = self.name_of(one);
            let underscores = name.iter().take_while(|byte| **byte == b'_').count();
            (!name.is_empty(), one.0.size > 0, one.0.global, Reverse(underscores), Reverse(name))
        };
        let best = same.iter().max_by_key(rank)?;
        let holds = best.0.size == 0 || address - start < best.0.size;
        holds.then(|| self.name_of(best)).filter(|name| !name.is_empty())
    }
}

/// The debugging information of one file.
struct Lines {
    /// Reads in `_sections`; declared before them, so that it is dropped first.
    context: Context<EndianSlice<'static, LittleEndian>>,
    _sections: Vec<Option<Bytes>>,
}

impl Lines {
    fn read(file: &Bytes) -> Option<Lines> {
        const NAMES: [SectionId; 11] = [
            SectionId::DebugInfo,
            SectionId::DebugAbbrev,
            SectionId::DebugAddr,
            SectionId::DebugAranges,
            SectionId::DebugLine,
            SectionId::DebugLineStr,
            SectionId::DebugRanges,
            SectionId::DebugRngLists,
            SectionId::DebugStr,
            SectionId::DebugStrOffsets,
            SectionId::DebugTypes,
        ];
        let sections = elf::debug_sections(file, &NAMES.map(|section| section.name()))?;
        sections.first()?.as_ref()?;
        let load = |id: SectionId| -> Result<EndianSlice<'static, LittleEndian>, gimli::Error> {
            let place = NAMES.iter().position(|name| *name == id);
            let bytes = place.and_then(|place| sections.get(place)?.as_ref());
            // SAFETY: the context goes into a value that has the sections too and drops them after it; nothing that
            // borrows from it leaves this file.
            Ok(EndianSlice::new(
                bytes.map(|bytes| unsafe { bytes.unbound() }).unwrap_or_default(),
                LittleEndian,
            ))
        };
        let context = Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()?;
        Some(Lines { context, _sections: sections })
    }
}

fn inlined(lines: &Context<EndianSlice<'static, LittleEndian>>, address: u64) -> Vec<NativeFrame> {
    let mut found = Vec::new();
    // Parts that lie in further files (split information) are not followed.
    let Ok(mut frames) = lines.find_frames(address).skip_all_loads() else { return found };
    while let Ok(Some(frame)) = frames.next() {
        if found.len() >= INLINED_MAX {
            break;
        }
        let name = frame.function.as_ref().and_then(|function| Some(function.raw_name().ok()?.into_owned()));
        let location = frame.location.as_ref();
        found.push(NativeFrame {
            function: name.map(|name| readable_name(&name)).unwrap_or_default(),
            file: location.and_then(|location| location.file).unwrap_or_default().to_owned(),
            line: location.and_then(|location| location.line).unwrap_or(0),
        });
    }
    found
}

/// The name of a function as its author wrote it, from what the linker knows it by: Rust's and C++'s names are
/// decoded, and what compilers append to a part or a variant of a function is left out.
pub fn readable_name(symbol: &str) -> String {
    if let Ok(name) = rustc_demangle::try_demangle(symbol) {
        return format!("{name:#}");
    }
    let plain = without_suffixes(symbol);
    if plain.starts_with("_Z") {
        let options = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
        let name =
            cpp_demangle::Symbol::new(plain).ok().and_then(|name| name.demangle_with_options(&options).ok());
        if let Some(name) = name {
            return name;
        }
    }
    plain.to_owned()
}

fn without_suffixes(symbol: &str) -> &str {
    const SUFFIXES: [&str; 7] = ["cold", "part", "constprop", "isra", "lto_priv", "llvm", "localalias"];
    let is_suffix = |text: &str| {
        let word = text.split('.').next().unwrap_or_default();
        SUFFIXES.contains(&word)
    };
    let end = symbol.match_indices('.').find(|(at, _)| is_suffix(&symbol[at + 1..]));
    match end {
        Some((at, _)) if at > 0 => &symbol[..at],
        // The version of an exported name.
        _ => symbol.split_once('@').map_or(symbol, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_readable() {
        for (symbol, expected) in [
            ("list_sort_impl.constprop.0", "list_sort_impl"),
            ("_PyEval_EvalFrameDefault.cold", "_PyEval_EvalFrameDefault"),
            ("memcpy@@GLIBC_2.14", "memcpy"),
            ("_ZN3foo3barEi", "foo::bar"),
            ("_ZN3foo3barIiEEvT_.isra.0.cold", "foo::bar<int>"),
            ("_ZN4core3fmt5Write9write_fmt17h0123456789abcdefE", "core::fmt::Write::write_fmt"),
            ("_Znonsense", "_Znonsense"),
            ("", ""),
        ] {
            assert_eq!(readable_name(symbol), expected, "{symbol}");
        }
    }
}
