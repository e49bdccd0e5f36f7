//! Reads strings, dictionaries and instances, as far as names need it.
//!
//! Every length that comes from the target is checked against a limit before anything is allocated for it.
//! Start at [`read_string`] and [`thread_names`].

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;

use crate::locate::Located;
use crate::memory::{Memory, MemoryError, Range};
use crate::offsets::ABSENT;

/// Why an object could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// Its memory could not be read.
    Memory(MemoryError),
    /// It was read, but it is not what it should be: torn, stale, or never was one.
    Implausible(&'static str),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Memory(error) => error.fmt(f),
            ReadError::Implausible(what) => write!(f, "{what} does not look like one"),
        }
    }
}

impl std::error::Error for ReadError {}

impl From<MemoryError> for ReadError {
    fn from(error: MemoryError) -> Self {
        ReadError::Memory(error)
    }
}

/// Longer strings are refused: names and paths never are.
const STRING_CHARACTERS_MAX: u64 = 1 << 16;
/// Dictionaries with more entries are refused: neither modules nor threads are that many.
const DICT_ENTRIES_MAX: u64 = 1 << 16;
/// Keys compared and threads looked at in one call, whatever the target's memory holds.
const STEPS_MAX: u32 = 1 << 18;
/// A longer name counts as more than one step.
const NAME_BYTES_PER_STEP: usize = 64;
/// Entries of a dictionary that are read for one step: reading one is far cheaper than comparing its key.
const ENTRIES_PER_STEP: usize = 16;
/// A string's head and the text of most names, taken in one read.
const STRING_GUESS: usize = 192;
/// `Py_TPFLAGS_INLINE_VALUES`, 3.13 and later.
const FLAG_INLINE_VALUES: u64 = 1 << 2;
/// `Py_TPFLAGS_MANAGED_DICT`, 3.11 and later.
const FLAG_MANAGED_DICT: u64 = 1 << 4;

/// Fields of a structure that has been copied; every access is checked.
pub(crate) struct Copy<'a>(pub(crate) &'a [u8]);

impl Copy<'_> {
    pub(crate) fn u64(&self, offset: u32) -> Result<u64, ReadError> {
        self.array(offset).map(u64::from_le_bytes)
    }

    pub(crate) fn u32(&self, offset: u32) -> Result<u32, ReadError> {
        self.array(offset).map(u32::from_le_bytes)
    }

    pub(crate) fn u8(&self, offset: u32) -> Result<u8, ReadError> {
        self.array::<1>(offset).map(|bytes| bytes[0])
    }

    fn array<const N: usize>(&self, offset: u32) -> Result<[u8; N], ReadError> {
        let start = offset as usize;
        let bytes = start.checked_add(N).and_then(|end| self.0.get(start..end));
        bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(ReadError::Implausible("a structure"))
    }
}

/// The text of a `str` object.
///
/// A lone surrogate (in a file name that is not UTF-8) becomes U+FFFD.
///
/// Errors: `Implausible` if the object is no string that Python could have made, or longer than 65,536.
/// Cost: one read for text of some 150 bytes, two above.
pub fn read_string(memory: &dyn Memory, located: &Located, address: u64) -> Result<String, ReadError> {
    let (text, characters) = read_string_start(memory, located, address, STRING_CHARACTERS_MAX)?;
    if characters > STRING_CHARACTERS_MAX { Err(ReadError::Implausible("a string")) } else { Ok(text) }
}

/// The first `limit` characters of a `str` object, and how many it has.
///
/// Errors and cost: as [`read_string`], for what is read.
pub(crate) fn read_string_start(
    memory: &dyn Memory,
    located: &Located,
    address: u64,
    limit: u64,
) -> Result<(String, u64), ReadError> {
    let o = &located.offsets.object;
    let head_size = o.unicode_compact_data as usize;
    let mut bytes = vec![0; head_size.max(STRING_GUESS)];
    if memory.read(address, &mut bytes).is_err() {
        // Close to the end of a mapping: the shortest string is an empty ASCII one.
        bytes.truncate(o.unicode_ascii_data as usize + 1);
        memory.read(address, &mut bytes)?;
    }
    let head = StringHead::parse(located, &Copy(&bytes))?;
    let text_size = head.characters.min(limit.min(STRING_CHARACTERS_MAX)) as usize * head.kind;
    let start = match head.data {
        Data::At(offset) => offset as usize,
        Data::Pointer(offset) => {
            let at = Copy(&bytes).u64(offset)?;
            let mut text = vec![0; text_size];
            memory.read(at, &mut text)?;
            return Ok((decode(&text, &head)?, head.characters));
        }
    };
    if let Some(text) = bytes.get(start..start + text_size) {
        return Ok((decode(text, &head)?, head.characters));
    }
    let mut text = vec![0; text_size];
    memory.read(address.wrapping_add(start as u64), &mut text)?;
    Ok((decode(&text, &head)?, head.characters))
}

enum Data {
    At(u32),
    Pointer(u32),
}

struct StringHead {
    characters: u64,
    kind: usize,
    ascii: bool,
    data: Data,
}

impl StringHead {
    fn parse(located: &Located, head: &Copy<'_>) -> Result<Self, ReadError> {
        let o = &located.offsets.object;
        let wrong = ReadError::Implausible("a string");
        let characters = head.u64(o.unicode_length)?;
        let state = head.u32(o.unicode_state)? >> o.unicode_kind_shift;
        let kind = state & 7;
        let compact = state & 8 != 0;
        let ascii = state & 16 != 0;
        if characters > i64::MAX as u64 || !matches!(kind, 1 | 2 | 4) || (ascii && kind != 1) {
            return Err(wrong);
        }
        let data = match (compact, ascii) {
            (true, true) => Data::At(o.unicode_ascii_data),
            (true, false) => Data::At(o.unicode_compact_data),
            (false, _) => Data::Pointer(o.unicode_compact_data),
        };
        Ok(StringHead { characters, kind: kind as usize, ascii, data })
    }
}

fn decode(text: &[u8], head: &StringHead) -> Result<String, ReadError> {
    let wrong = ReadError::Implausible("a string");
    match head.kind {
        1 if head.ascii => match std::str::from_utf8(text) {
            Ok(text) if text.is_ascii() => Ok(text.to_owned()),
            _ => Err(wrong),
        },
        1 => Ok(text.iter().map(|byte| char::from(*byte)).collect()),
        2 => Ok(text
            .chunks_exact(2)
            .map(|pair| u32::from(u16::from_le_bytes([pair[0], pair[1]])))
            .map(|unit| char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()),
        _ => text
            .chunks_exact(4)
            .map(|quad| u32::from_le_bytes([quad[0], quad[1], quad[2], quad[3]]))
            .map(|unit| match unit {
                0xD800..=0xDFFF => Ok(char::REPLACEMENT_CHARACTER),
                unit => char::from_u32(unit).ok_or(wrong),
            })
            .collect(),
    }
}

/// The contents of a `bytes` object of at most `limit` bytes.
pub(crate) fn read_bytes(
    memory: &dyn Memory,
    located: &Located,
    address: u64,
    limit: u64,
) -> Result<Vec<u8>, ReadError> {
    let o = &located.offsets.object;
    let size = memory.read_u64(address.wrapping_add(u64::from(o.ob_size)))?;
    if size > limit {
        return Err(ReadError::Implausible("a bytes object"));
    }
    let mut bytes = vec![0; size as usize];
    memory.read(address.wrapping_add(u64::from(o.bytes_data)), &mut bytes)?;
    Ok(bytes)
}

/// Names of an interpreter's threads by `PyThreadState.thread_id`, from `threading._active`.
///
/// Empty when `threading` was never imported, or when it cannot be read just now.
/// Cost: two reads per entry of `sys.modules` in batches, then about eight per thread.
pub fn thread_names(memory: &dyn Memory, located: &Located, interpreter: u64) -> HashMap<u64, String> {
    read_thread_names(memory, located, interpreter).unwrap_or_default()
}

fn read_thread_names(
    memory: &dyn Memory,
    located: &Located,
    interpreter: u64,
) -> Result<HashMap<u64, String>, ReadError> {
    let reader = Objects::new(memory, located);
    let missing = ReadError::Implausible("`threading`");
    let modules =
        memory.read_u64(interpreter.wrapping_add(u64::from(located.offsets.interpreter.modules)))?;
    let module = reader.dict(modules)?.get(&reader, "threading")?.ok_or(missing)?;
    let globals = memory.read_u64(module.wrapping_add(u64::from(located.offsets.object.module_dict)))?;
    let active = reader.dict(globals)?.get(&reader, "_active")?.ok_or(missing)?;
    let mut names = HashMap::new();
    for (key, thread) in reader.dict(active)?.items() {
        // What has been read by then are names.
        if reader.step(1).is_err() {
            break;
        }
        let (Ok(ident), Ok(Some(name))) = (reader.int(key), reader.attribute(thread, "_name")) else {
            continue;
        };
        if let Ok(name) = read_string(memory, located, name) {
            // Threads of a damaged target may all have the longest name that there can be.
            if reader.step(name.len() / NAME_BYTES_PER_STEP).is_ok() {
                names.insert(ident, name);
            }
        }
    }
    Ok(names)
}

/// Objects of one process.
pub(crate) struct Objects<'a> {
    memory: &'a dyn Memory,
    located: &'a Located,
    steps: Cell<u32>,
}

impl<'a> Objects<'a> {
    pub(crate) fn new(memory: &'a dyn Memory, located: &'a Located) -> Self {
        Objects { memory, located, steps: Cell::new(0) }
    }
}

impl Objects<'_> {
    /// Counts work, so that a damaged target cannot make it endless.
    fn step(&self, count: usize) -> Result<(), ReadError> {
        let steps = self.steps.get().saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        self.steps.set(steps);
        if steps > STEPS_MAX { Err(ReadError::Implausible("a dictionary")) } else { Ok(()) }
    }

    pub(crate) fn word(&self, address: u64, offset: u32) -> Result<u64, ReadError> {
        Ok(self.memory.read_u64(address.wrapping_add(u64::from(offset)))?)
    }

    /// A non-negative `int` of at most 64 bits.
    pub(crate) fn int(&self, address: u64) -> Result<u64, ReadError> {
        let o = &self.located.offsets.object;
        let wrong = ReadError::Implausible("an int");
        let tag = self.word(address, o.long_tag)?;
        let digits = if self.located.version.minor >= 12 {
            if tag & 3 == 2 {
                return Err(wrong);
            }
            tag >> 3
        } else {
            tag
        };
        if digits > 3 {
            return Err(wrong);
        }
        let mut value = 0u128;
        for i in 0..digits as u32 {
            let mut digit = [0; 4];
            self.memory.read(address.wrapping_add(u64::from(o.long_digits + 4 * i)), &mut digit)?;
            value |= u128::from(u32::from_le_bytes(digit) & 0x3FFF_FFFF) << (30 * i);
        }
        u64::try_from(value).map_err(|_| wrong)
    }

    /// The value of an instance's attribute, as far as it lies in the instance's own dictionary or values.
    pub(crate) fn attribute(&self, object: u64, name: &str) -> Result<Option<u64>, ReadError> {
        let o = &self.located.offsets.object;
        let class = self.word(object, o.ob_type)?;
        let flags = self.word(class, o.type_flags)?;
        let managed = self.located.version.minor >= 11 && flags & FLAG_MANAGED_DICT != 0;
        if !managed {
            let offset = self.word(class, o.type_dict_offset)? as i64;
            // A negative offset counts from the end of a variable-sized object: none that we look into is one.
            let offset = u32::try_from(offset).map_err(|_| ReadError::Implausible("an instance"))?;
            let dict = if offset == 0 { 0 } else { self.word(object, offset)? };
            return if dict == 0 { Ok(None) } else { self.dict(dict)?.get(self, name) };
        }
        if let Some(values) = self.values(object, class, flags)? {
            let keys = self.word(class, o.type_cached_keys)?;
            return self.keys(keys, Some(values))?.get(self, name);
        }
        match self.memory.read_u64(object.wrapping_sub(u64::from(o.managed_dict)))? {
            0 => Ok(None),
            dict => self.dict(dict)?.get(self, name),
        }
    }

    /// Where the values of an instance without a dictionary lie, if it has none.
    fn values(&self, object: u64, class: u64, flags: u64) -> Result<Option<u64>, ReadError> {
        let o = &self.located.offsets.object;
        if o.values_valid != ABSENT {
            if flags & FLAG_INLINE_VALUES == 0 {
                return Ok(None);
            }
            let values = object.wrapping_add(self.word(class, o.type_basic_size)?);
            let mut valid = [0];
            self.memory.read(values.wrapping_add(u64::from(o.values_valid)), &mut valid)?;
            return Ok((valid[0] != 0).then(|| values.wrapping_add(u64::from(o.values_data))));
        }
        if o.managed_values != ABSENT {
            let values = self.memory.read_u64(object.wrapping_sub(u64::from(o.managed_values)))?;
            return Ok((values != 0).then_some(values));
        }
        // 3.12: one pointer for both, where an odd one is that of the values, less one.
        let either = self.memory.read_u64(object.wrapping_sub(u64::from(o.managed_dict)))?;
        Ok((either & 1 != 0).then(|| either.wrapping_add(1)))
    }

    pub(crate) fn dict(&self, address: u64) -> Result<Entries, ReadError> {
        let o = &self.located.offsets.object;
        let keys = self.word(address, o.dict_keys)?;
        let values = self.word(address, o.dict_values)?;
        let values = (values != 0).then(|| values.wrapping_add(u64::from(o.values_data)));
        self.keys(keys, values)
    }

    /// The first entries of a dictionary, at most `limit`: fewer where some were deleted.
    pub(crate) fn dict_start(&self, address: u64, limit: usize) -> Result<Entries, ReadError> {
        let o = &self.located.offsets.object;
        let keys = self.word(address, o.dict_keys)?;
        let values = self.word(address, o.dict_values)?;
        let values = (values != 0).then(|| values.wrapping_add(u64::from(o.values_data)));
        self.keys_start(keys, values, limit as u64)
    }

    /// The attributes that an instance has of its own, in its dictionary or its values; at most `limit`.
    ///
    /// `variable_size` is that of the object's items, for the instances of a class derived from `int` or `tuple`.
    pub(crate) fn own_attributes(
        &self,
        object: u64,
        class: u64,
        variable_size: u64,
        limit: usize,
    ) -> Result<Entries, ReadError> {
        let o = &self.located.offsets.object;
        let flags = self.word(class, o.type_flags)?;
        let dict = if self.located.version.minor >= 11 && flags & FLAG_MANAGED_DICT != 0 {
            if let Some(values) = self.values(object, class, flags)? {
                let keys = self.word(class, o.type_cached_keys)?;
                return self.keys_start(keys, Some(values), limit as u64);
            }
            self.memory.read_u64(object.wrapping_sub(u64::from(o.managed_dict)))?
        } else {
            match self.word(class, o.type_dict_offset)? as i64 {
                0 => 0,
                offset @ 1.. => self.memory.read_u64(object.wrapping_add(offset as u64))?,
                // It counts from the end of the object, whose size is rounded up to whole words.
                offset => {
                    let size = self.word(class, o.type_basic_size)?.wrapping_add(variable_size);
                    let end = object.wrapping_add(size.wrapping_add(7) & !7);
                    self.memory.read_u64(end.wrapping_add(offset as u64))?
                }
            }
        };
        if dict == 0 { Ok(Entries { items: Vec::new() }) } else { self.dict_start(dict, limit) }
    }

    /// All entries of a table of keys; with `values`, their values lie there.
    fn keys(&self, address: u64, values: Option<u64>) -> Result<Entries, ReadError> {
        self.keys_start(address, values, u64::MAX)
    }

    /// The first entries of a table of keys; all of them where `limit` is the largest number.
    fn keys_start(&self, address: u64, values: Option<u64>, limit: u64) -> Result<Entries, ReadError> {
        let o = &self.located.offsets.object;
        let wrong = ReadError::Implausible("a dictionary");
        let mut bytes = vec![0; o.keys_indices as usize];
        self.memory.read(address, &mut bytes)?;
        let head = Copy(&bytes);
        let count = head.u64(o.keys_entries)?;
        let (index_bytes, entry_words) = if o.keys_kind == ABSENT {
            let size = head.u64(o.keys_size)?;
            let width = match size {
                0..=0xff => 1,
                0x100..=0xffff => 2,
                0x1_0000..=0xffff_ffff => 4,
                _ => return Err(wrong),
            };
            (size * width, 3)
        } else {
            let log2 = head.u8(o.keys_index_bytes)?;
            if log2 > 32 {
                return Err(wrong);
            }
            // Kind 0 keeps the hash beside key and value; the other two hold strings, which know their own.
            (1 << log2, if head.u8(o.keys_kind)? == 0 { 3 } else { 2 })
        };
        let count = count.min(limit);
        if count > DICT_ENTRIES_MAX {
            return Err(wrong);
        }
        self.step(count as usize / ENTRIES_PER_STEP)?;
        let mut entries = vec![0; count as usize * entry_words * 8];
        let start = address.wrapping_add(u64::from(o.keys_indices)).wrapping_add(index_bytes);
        self.memory.read(start, &mut entries)?;
        let mut items: Vec<(u64, u64)> = entries
            .chunks_exact(entry_words * 8)
            .map(|entry| (word_of(&entry[(entry_words - 2) * 8..]), word_of(&entry[(entry_words - 1) * 8..])))
            .collect();
        if let Some(values) = values {
            let mut words = vec![0; items.len() * 8];
            self.memory.read(values, &mut words)?;
            for (item, word) in items.iter_mut().zip(words.chunks_exact(8)) {
                item.1 = word_of(word);
            }
        }
        items.retain(|(key, value)| *key != 0 && *value != 0);
        Ok(Entries { items })
    }
}

fn word_of(bytes: &[u8]) -> u64 {
    bytes.first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Key and value of every entry of a dictionary, in order of insertion.
pub(crate) struct Entries {
    items: Vec<(u64, u64)>,
}

impl Entries {
    pub(crate) fn items(self) -> impl Iterator<Item = (u64, u64)> {
        self.items.into_iter()
    }

    /// The value of the key that is the ASCII string `name`.
    pub(crate) fn get(&self, objects: &Objects<'_>, name: &str) -> Result<Option<u64>, ReadError> {
        const BATCH: usize = 256;
        let o = &objects.located.offsets.object;
        let size = o.unicode_ascii_data as usize + name.len();
        let mut copies = vec![0; BATCH.min(self.items.len()) * size];
        for batch in self.items.chunks(BATCH) {
            objects.step(batch.len())?;
            let copies = &mut copies[..batch.len() * size];
            let ranges: Vec<Range> =
                batch.iter().map(|(key, _)| Range { address: *key, len: size }).collect();
            let good = match objects.memory.read_many(&ranges, copies) {
                Ok(good) if good == copies.len() => batch.len(),
                _ => {
                    // One key is not readable at this length: take them one by one.
                    for (range, copy) in ranges.iter().zip(copies.chunks_exact_mut(size)) {
                        if objects.memory.read(range.address, copy).is_err() {
                            copy.fill(0);
                        }
                    }
                    batch.len()
                }
            };
            for ((_, value), copy) in batch.iter().zip(copies.chunks_exact(size)).take(good) {
                let Ok(head) = StringHead::parse(objects.located, &Copy(copy)) else { continue };
                let same =
                    head.ascii && head.characters == name.len() as u64 && copy.ends_with(name.as_bytes());
                if same {
                    return Ok(Some(*value));
                }
            }
        }
        Ok(None)
    }
}
