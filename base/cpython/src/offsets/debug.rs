//! `_Py_DebugOffsets`: what a 3.13 or newer process says about its own layout.
//!
//! The structure is a row of 64-bit words after an eight-byte cookie. Which word means what differs by minor
//! version, so each known one has its list of names here. What the process does not say is filled from the
//! newest derived table.

use super::{ABSENT, Offsets, Version, v3_13, v3_13t};

/// The first eight bytes.
pub(crate) const COOKIE: &[u8; 8] = b"xdebugpy";

/// How many bytes any known layout has at most.
pub(crate) const MAX_SIZE: usize = 8 * 160;

/// Names of the words of 3.13, in order, from the version on.
const LAYOUT_3_13: &[(&str, &[&str])] = &[
    ("", &["version", "free_threaded"]),
    ("runtime", &["size", "finalizing", "interpreters_head"]),
    (
        "interpreter",
        &[
            "size",
            "id",
            "next",
            "threads_head",
            "gc",
            "modules",
            "sysdict",
            "builtins",
            "gil_pointer",
            "gil",
            "gil_enabled",
            "gil_locked",
            "gil_holder",
        ],
    ),
    (
        "thread",
        &["size", "prev", "next", "interpreter", "frame", "ident", "native_id", "datastack_chunk", "status"],
    ),
    ("frame", &["size", "previous", "code", "instruction", "locals", "owner"]),
    (
        "code",
        &[
            "size",
            "filename",
            "name",
            "qualname",
            "line_table",
            "first_line",
            "argcount",
            "localsplusnames",
            "localspluskinds",
            "instructions",
        ],
    ),
    ("object", &["size", "type"]),
    ("type", &["size", "name", "repr", "flags"]),
    ("tuple", &["size", "items", "ob_size"]),
    ("list", &["size", "items", "ob_size"]),
    ("dict", &["size", "keys", "values"]),
    ("float", &["size", "value"]),
    ("long", &["size", "tag", "digits"]),
    ("bytes", &["size", "ob_size", "data"]),
    ("unicode", &["size", "state", "length", "ascii_size"]),
    ("gc", &["size", "collecting"]),
];

/// The words that a process holds, with the layout to read them by.
pub(crate) struct DebugOffsets {
    bytes: Vec<u8>,
    layout: &'static [(&'static str, &'static [&'static str])],
}

impl DebugOffsets {
    /// `bytes` are the first bytes of `_PyRuntime`; `None` without the cookie.
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.get(..8)? != COOKIE {
            return None;
        }
        Some(DebugOffsets { bytes, layout: LAYOUT_3_13 })
    }

    /// The version that the process states.
    pub(crate) fn version(&self) -> Option<Version> {
        let hex = self.word("", "version")?;
        let byte = |shift: u32| (hex >> shift) as u8;
        Some(Version { major: byte(24), minor: byte(16), patch: byte(8) })
    }

    /// Whether it is a build without a GIL.
    pub(crate) fn free_threaded(&self) -> bool {
        self.word("", "free_threaded") == Some(1)
    }

    fn word(&self, group: &str, field: &str) -> Option<u64> {
        let mut at = 8;
        for (name, fields) in self.layout {
            for candidate in *fields {
                if *name == group && *candidate == field {
                    let word = self.bytes.get(at..at + 8)?;
                    return Some(u64::from_le_bytes(word.try_into().expect("eight bytes")));
                }
                at += 8;
            }
        }
        None
    }

    /// All offsets, or the name of the first one that cannot be true.
    pub(crate) fn offsets(&self) -> Result<Offsets, &'static str> {
        let mut table = if self.free_threaded() { v3_13t::TABLE } else { v3_13::TABLE };
        // Structures have grown with every version, but none of them is anywhere near this size.
        let get = |group: &'static str, field: &'static str| match self.word(group, field) {
            Some(word) if word < 1 << 22 => Ok(word as u32),
            _ => Err(field),
        };
        table.runtime.interpreters_head = get("runtime", "interpreters_head")?;

        table.interpreter.next = get("interpreter", "next")?;
        table.interpreter.id = get("interpreter", "id")?;
        table.interpreter.threads_head = get("interpreter", "threads_head")?;
        table.interpreter.gc_collecting = get("interpreter", "gc")? + get("gc", "collecting")?;
        table.interpreter.gil_pointer = get("interpreter", "gil_pointer")?;
        table.interpreter.modules = get("interpreter", "modules")?;

        let gil = get("interpreter", "gil")?;
        let within = |word: u32| word.checked_sub(gil).filter(|offset| *offset < 4096).ok_or("gil");
        table.gil.locked = within(get("interpreter", "gil_locked")?)?;
        table.gil.last_holder = within(get("interpreter", "gil_holder")?)?;

        table.thread.size = get("thread", "size")?;
        table.thread.next = get("thread", "next")?;
        table.thread.interpreter = get("thread", "interpreter")?;
        table.thread.frame = get("thread", "frame")?;
        table.thread.ident = get("thread", "ident")?;
        table.thread.native_id = get("thread", "native_id")?;
        table.thread.datastack_chunk = get("thread", "datastack_chunk")?;
        table.thread.datastack_top = ABSENT; // not among the words

        table.frame.previous = get("frame", "previous")?;
        table.frame.code = get("frame", "code")?;
        table.frame.instruction = get("frame", "instruction")?;
        table.frame.owner = get("frame", "owner")?;
        table.frame.head_size = get("frame", "locals")?;

        table.code.filename = get("code", "filename")?;
        table.code.name = get("code", "name")?;
        table.code.qualname = get("code", "qualname")?;
        table.code.line_table = get("code", "line_table")?;
        table.code.first_line = get("code", "first_line")?;
        table.code.instructions = get("code", "instructions")?;
        table.code.size = table.code.instructions;

        table.object.ob_type = get("object", "type")?;
        table.object.type_name = get("type", "name")?;
        table.object.type_flags = get("type", "flags")?;
        table.object.tuple_items = get("tuple", "items")?;
        table.object.ob_size = get("tuple", "ob_size")?;
        table.object.dict_keys = get("dict", "keys")?;
        table.object.dict_values = get("dict", "values")?;
        table.object.long_tag = get("long", "tag")?;
        table.object.long_digits = get("long", "digits")?;
        table.object.bytes_data = get("bytes", "data")?;
        table.object.unicode_state = get("unicode", "state")?;
        table.object.unicode_length = get("unicode", "length")?;
        table.object.unicode_ascii_data = get("unicode", "ascii_size")?;
        // A compact string that is not ASCII has its UTF-8 length and pointer in between.
        table.object.unicode_compact_data = table.object.unicode_ascii_data + 16;
        Ok(table)
    }
}
