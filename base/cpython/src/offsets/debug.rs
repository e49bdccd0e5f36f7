//! `_Py_DebugOffsets`: what a 3.13 or newer process says about its own layout.
//!
//! It is the head of `_PyRuntime`: a cookie, then 64-bit words, at places that differ by minor version and
//! not by patch release. [`Layout`] says where; the tables of `v3_13.rs` and later hold one each. Words that
//! a version does not have yet come from that version's table, which the headers gave.

use super::{ABSENT, Offsets, Version, v3_13, v3_13t, v3_14, v3_14t, v3_15, v3_15t};

/// The first eight bytes.
pub(crate) const COOKIE: &[u8; 8] = b"xdebugpy";

/// No known layout is larger, in bytes.
pub(crate) const SIZE_MAX: usize = 1024;

/// Where the words that naja uses are in `_Py_DebugOffsets`; written by `offsets/derive.py`.
///
/// A name is that of the word's group and what it locates.
pub(super) struct Layout {
    pub(super) version: u32,
    pub(super) free_threaded: u32,
    pub(super) runtime_size: u32,
    pub(super) runtime_interpreters_head: u32,
    pub(super) interpreter_size: u32,
    pub(super) interpreter_id: u32,
    pub(super) interpreter_next: u32,
    pub(super) interpreter_threads_head: u32,
    pub(super) interpreter_gc: u32,
    pub(super) interpreter_modules: u32,
    pub(super) interpreter_gil_pointer: u32,
    pub(super) interpreter_gil: u32,
    pub(super) interpreter_gil_locked: u32,
    pub(super) interpreter_gil_holder: u32,
    pub(super) thread_size: u32,
    pub(super) thread_next: u32,
    pub(super) thread_interpreter: u32,
    pub(super) thread_frame: u32,
    pub(super) thread_ident: u32,
    pub(super) thread_native_id: u32,
    pub(super) thread_datastack_chunk: u32,
    pub(super) frame_size: u32,
    pub(super) frame_previous: u32,
    pub(super) frame_code: u32,
    pub(super) frame_instruction: u32,
    pub(super) frame_locals: u32,
    pub(super) frame_owner: u32,
    pub(super) code_size: u32,
    pub(super) code_filename: u32,
    pub(super) code_name: u32,
    pub(super) code_qualname: u32,
    pub(super) code_line_table: u32,
    pub(super) code_first_line: u32,
    pub(super) code_instructions: u32,
    pub(super) code_copies: u32,
    pub(super) object_size: u32,
    pub(super) object_type: u32,
    pub(super) type_size: u32,
    pub(super) type_name: u32,
    pub(super) type_flags: u32,
    pub(super) type_basic_size: u32,
    pub(super) type_dict_offset: u32,
    pub(super) type_cached_keys: u32,
    pub(super) tuple_items: u32,
    pub(super) tuple_size: u32,
    pub(super) dict_keys: u32,
    pub(super) dict_values: u32,
    pub(super) long_tag: u32,
    pub(super) long_digits: u32,
    pub(super) bytes_data: u32,
    pub(super) unicode_state: u32,
    pub(super) unicode_length: u32,
    pub(super) unicode_ascii_size: u32,
    pub(super) unicode_compact_size: u32,
    pub(super) gc_collecting: u32,
    pub(super) code_argument_count: u32,
    pub(super) code_local_names: u32,
    pub(super) code_local_kinds: u32,
    pub(super) list_items: u32,
    pub(super) float_value: u32,
    pub(super) set_used: u32,
    pub(super) set_mask: u32,
    pub(super) set_table: u32,
}

/// The words of one process.
pub(crate) struct DebugOffsets {
    bytes: Vec<u8>,
    version: Version,
    free_threaded: bool,
    layout: &'static Layout,
    table: &'static Offsets,
    /// Whether layout and table are this version's own, not the newest known ones.
    known: bool,
}

impl DebugOffsets {
    /// From the first [`SIZE_MAX`] bytes of `_PyRuntime`; `None` without the cookie.
    pub(crate) fn new(bytes: Vec<u8>) -> Option<Self> {
        if bytes.len() < SIZE_MAX || !bytes.starts_with(COOKIE) {
            return None;
        }
        // These two stand at the same place in every layout.
        let hex = word(&bytes, v3_13::LAYOUT.version)?;
        let free_threaded = word(&bytes, v3_13::LAYOUT.free_threaded)? == 1;
        let version = Version { major: (hex >> 24) as u8, minor: (hex >> 16) as u8, patch: (hex >> 8) as u8 };
        // Pre-releases (their last four bits are not `f0`) had layouts of their own.
        let released = hex & 0xf0 == 0xf0;
        let (layout, table, known) = match (version.major, version.minor, free_threaded) {
            (3, 13, false) => (&v3_13::LAYOUT, &v3_13::TABLE, released),
            (3, 13, true) => (&v3_13::LAYOUT, &v3_13t::TABLE, released),
            (3, 14, false) => (&v3_14::LAYOUT, &v3_14::TABLE, released),
            (3, 14, true) => (&v3_14::LAYOUT, &v3_14t::TABLE, released),
            (3, 15, free_threaded) => {
                (&v3_15::LAYOUT, if free_threaded { &v3_15t::TABLE } else { &v3_15::TABLE }, released)
            }
            (_, _, true) => (&v3_15::LAYOUT, &v3_15t::TABLE, false),
            (_, _, false) => (&v3_15::LAYOUT, &v3_15::TABLE, false),
        };
        Some(DebugOffsets { bytes, version, free_threaded, layout, table, known })
    }

    /// The version that the process states.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Whether it is a build without a GIL.
    pub(crate) fn free_threaded(&self) -> bool {
        self.free_threaded
    }

    /// Whether naja has this version's own layout; else the newest is tried and has to be proven.
    pub(crate) fn known(&self) -> bool {
        self.known
    }

    /// All offsets, or what cannot be true of them.
    pub(crate) fn offsets(&self) -> Result<Offsets, &'static str> {
        let layout = self.layout;
        self.check_sizes()?;
        let mut o = self.table.clone();

        o.runtime.interpreters_head = self.get(layout.runtime_interpreters_head)?;
        o.interpreter.next = self.get(layout.interpreter_next)?;
        o.interpreter.id = self.get(layout.interpreter_id)?;
        o.interpreter.threads_head = self.get(layout.interpreter_threads_head)?;
        o.interpreter.gc_collecting = self.get(layout.interpreter_gc)? + self.get(layout.gc_collecting)?;
        o.interpreter.gil_pointer = self.get(layout.interpreter_gil_pointer)?;
        o.interpreter.modules = self.get(layout.interpreter_modules)?;
        o.gil.locked = self.in_gil(layout.interpreter_gil_locked)?;
        o.gil.last_holder = self.in_gil(layout.interpreter_gil_holder)?;

        let table_chunk = o.thread.datastack_chunk;
        o.thread.size = self.get(layout.thread_size)?;
        o.thread.next = self.get(layout.thread_next)?;
        o.thread.interpreter = self.get(layout.thread_interpreter)?;
        o.thread.frame = self.get(layout.thread_frame)?;
        o.thread.ident = self.get(layout.thread_ident)?;
        o.thread.native_id = self.get(layout.thread_native_id)?;
        o.thread.datastack_chunk = self.get(layout.thread_datastack_chunk)?;
        // The process does not say where the top is. In every version it follows the chunk; where the version
        // is not known, whole chunks are copied instead.
        o.thread.datastack_top = if self.known {
            o.thread.datastack_chunk + (o.thread.datastack_top - table_chunk)
        } else {
            ABSENT
        };

        o.frame.previous = self.get(layout.frame_previous)?;
        o.frame.code = self.get(layout.frame_code)?;
        o.frame.instruction = self.get(layout.frame_instruction)?;
        o.frame.owner = self.get(layout.frame_owner)?;
        o.frame.head_size = self.get(layout.frame_locals)?;

        o.code.filename = self.get(layout.code_filename)?;
        o.code.name = self.get(layout.code_name)?;
        o.code.qualname = self.get(layout.code_qualname)?;
        o.code.line_table = self.get(layout.code_line_table)?;
        o.code.first_line = self.get(layout.code_first_line)?;
        o.code.instructions = self.get(layout.code_instructions)?;
        o.code.size = o.code.instructions;
        if layout.code_copies != ABSENT && self.free_threaded {
            o.code.copies = self.get(layout.code_copies)?;
        }
        self.objects(&mut o)?;
        self.values(&mut o)?;
        Ok(o)
    }

    fn objects(&self, offsets: &mut Offsets) -> Result<(), &'static str> {
        let layout = self.layout;
        let o = &mut offsets.object;
        o.ob_type = self.get(layout.object_type)?;
        o.ob_size = self.get(layout.tuple_size)?;
        o.type_name = self.get(layout.type_name)?;
        o.type_flags = self.get(layout.type_flags)?;
        self.set(&mut o.type_basic_size, layout.type_basic_size)?;
        self.set(&mut o.type_dict_offset, layout.type_dict_offset)?;
        self.set(&mut o.type_cached_keys, layout.type_cached_keys)?;
        o.tuple_items = self.get(layout.tuple_items)?;
        o.dict_keys = self.get(layout.dict_keys)?;
        o.dict_values = self.get(layout.dict_values)?;
        o.long_tag = self.get(layout.long_tag)?;
        o.long_digits = self.get(layout.long_digits)?;
        o.bytes_data = self.get(layout.bytes_data)?;
        o.unicode_state = self.get(layout.unicode_state)?;
        o.unicode_length = self.get(layout.unicode_length)?;
        o.unicode_ascii_data = self.get(layout.unicode_ascii_size)?;
        // A compact string that is not ASCII has the length of its UTF-8 form and a pointer to it in between.
        o.unicode_compact_data = o.unicode_ascii_data + 16;
        self.set(&mut o.unicode_compact_data, layout.unicode_compact_size)
    }

    /// What the process says of values and local variables; the rest is the table's.
    fn values(&self, offsets: &mut Offsets) -> Result<(), &'static str> {
        let layout = self.layout;
        offsets.local.slots = self.get(layout.frame_locals)?;
        offsets.local.argument_count = self.get(layout.code_argument_count)?;
        offsets.local.names = self.get(layout.code_local_names)?;
        offsets.local.kinds = self.get(layout.code_local_kinds)?;
        let value = &mut offsets.value;
        value.list_items = self.get(layout.list_items)?;
        value.float_value = self.get(layout.float_value)?;
        self.set(&mut value.set_used, layout.set_used)?;
        self.set(&mut value.set_mask, layout.set_mask)?;
        self.set(&mut value.set_table, layout.set_table)
    }

    /// Whether the stated sizes are those of the structures meant: a wrong layout fails here first.
    fn check_sizes(&self) -> Result<(), &'static str> {
        let layout = self.layout;
        let head = if self.free_threaded { 32 } else { 16 };
        let plausible = self.get(layout.object_size)? == head
            && self.get(layout.object_type)? == head - 8
            && self.get(layout.tuple_size)? == head
            && self.get(layout.unicode_length)? == head
            && (head + 16..=head + 48).contains(&self.get(layout.unicode_ascii_size)?)
            && (layout.unicode_compact_size == ABSENT
                || (head + 32..=head + 64).contains(&self.get(layout.unicode_compact_size)?))
            && (head + 200..4096).contains(&self.get(layout.type_size)?)
            && (128..1024).contains(&self.get(layout.code_size)?)
            && (48..512).contains(&self.get(layout.frame_size)?)
            && (128..65_536).contains(&self.get(layout.thread_size)?)
            && self.get(layout.interpreter_size)? >= 4096
            && self.get(layout.runtime_size)? >= 4096;
        if !plausible {
            return Err("the sizes that it states are not those of the structures");
        }
        let within = |size: u32, fields: &[u32]| -> Result<bool, &'static str> {
            let size = self.get(size)?;
            fields.iter().try_fold(true, |all, field| Ok(all && self.get(*field)? < size))
        };
        let holds = within(
            layout.thread_size,
            &[
                layout.thread_next,
                layout.thread_interpreter,
                layout.thread_frame,
                layout.thread_ident,
                layout.thread_native_id,
                layout.thread_datastack_chunk,
            ],
        )? && within(
            layout.frame_size,
            &[
                layout.frame_previous,
                layout.frame_code,
                layout.frame_instruction,
                layout.frame_owner,
                layout.frame_locals,
            ],
        )? && within(
            layout.code_size,
            &[
                layout.code_filename,
                layout.code_name,
                layout.code_qualname,
                layout.code_line_table,
                layout.code_first_line,
                layout.code_instructions,
            ],
        )? && within(
            layout.interpreter_size,
            &[
                layout.interpreter_next,
                layout.interpreter_id,
                layout.interpreter_threads_head,
                layout.interpreter_gil_pointer,
                layout.interpreter_modules,
                layout.interpreter_gc,
            ],
        )?;
        if holds { Ok(()) } else { Err("a field that it states lies outside of its structure") }
    }

    /// The word at `place`; none is anywhere near the limit.
    fn get(&self, place: u32) -> Result<u32, &'static str> {
        match word(&self.bytes, place) {
            Some(word) if word < 1 << 24 => Ok(word as u32),
            _ => Err("an offset that it states is impossible"),
        }
    }

    /// Overwrites what the table says, where the layout has the word.
    fn set(&self, field: &mut u32, place: u32) -> Result<(), &'static str> {
        if place != ABSENT {
            *field = self.get(place)?;
        }
        Ok(())
    }

    /// The GIL's fields are stated from the start of the interpreter; naja wants them from the GIL's own.
    fn in_gil(&self, place: u32) -> Result<u32, &'static str> {
        let gil = self.get(self.layout.interpreter_gil)?;
        let offset = self.get(place)?.checked_sub(gil);
        offset.filter(|offset| *offset < 4096).ok_or("the GIL's fields lie outside of the GIL")
    }
}

fn word(bytes: &[u8], place: u32) -> Option<u64> {
    let start = place as usize;
    let word = bytes.get(start..start.checked_add(8)?)?;
    word.try_into().ok().map(u64::from_le_bytes)
}
