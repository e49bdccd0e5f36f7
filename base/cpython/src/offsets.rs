//! Where the fields of CPython's structures lie, per minor version.
//!
//! All numbers are bytes from the start of their structure. `ABSENT` says that a version has no such field.
//! The tables in `v3_*.rs` are written by `offsets/derive.py` from the headers, for 64-bit Linux. Up to 3.12
//! they are all there is; from 3.13 on the process says most numbers itself (see [`debug`]) and the tables
//! give the rest.

mod debug;
mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_13t;
mod v3_14;
mod v3_14t;
mod v3_15;
mod v3_15t;
mod v3_8;
mod v3_9;

pub(crate) use debug::{COOKIE, DebugOffsets, SIZE_MAX as DEBUG_OFFSETS_SIZE_MAX};

/// A field that this version does not have.
pub const ABSENT: u32 = u32::MAX;

/// An interpreter's version, as in `3.12.1`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// 3 in `3.12.1`.
    pub major: u8,
    /// 12 in `3.12.1`.
    pub minor: u8,
    /// 1 in `3.12.1`.
    pub patch: u8,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Every offset that reading stacks, names and states needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offsets {
    /// `_PyRuntime`.
    pub runtime: Runtime,
    /// `PyInterpreterState`.
    pub interpreter: Interpreter,
    /// `PyThreadState`.
    pub thread: Thread,
    /// `PyFrameObject` up to 3.10, `_PyInterpreterFrame` from 3.11 on.
    pub frame: Frame,
    /// `_PyStackChunk`, 3.11 and later.
    pub chunk: Chunk,
    /// `struct _gil_runtime_state`.
    pub gil: Gil,
    /// `PyCodeObject`.
    pub code: Code,
    /// Built-in objects.
    pub object: Object,
    /// Local variables of a frame.
    pub local: Local,
    /// Objects whose values are described.
    pub value: Value,
}

/// The table of a version whose offsets do not come from the process itself: 3.8 to 3.12.
pub(crate) fn table(version: Version) -> Option<Offsets> {
    match (version.major, version.minor) {
        (3, 8) => Some(v3_8::TABLE),
        (3, 9) => Some(v3_9::TABLE),
        (3, 10) => Some(v3_10::TABLE),
        (3, 11) => Some(v3_11::TABLE),
        (3, 12) => Some(v3_12::TABLE),
        _ => None,
    }
}

/// Every table there is, with its version and whether it is for a free-threaded build.
pub(crate) fn tables() -> [(Version, bool, Offsets); 11] {
    let entry = |minor, free_threaded, table: &Offsets| {
        (Version { major: 3, minor, patch: 0 }, free_threaded, table.clone())
    };
    [
        entry(8, false, &v3_8::TABLE),
        entry(9, false, &v3_9::TABLE),
        entry(10, false, &v3_10::TABLE),
        entry(11, false, &v3_11::TABLE),
        entry(12, false, &v3_12::TABLE),
        entry(13, false, &v3_13::TABLE),
        entry(13, true, &v3_13t::TABLE),
        entry(14, false, &v3_14::TABLE),
        entry(14, true, &v3_14t::TABLE),
        entry(15, false, &v3_15::TABLE),
        entry(15, true, &v3_15t::TABLE),
    ]
}

/// Fields of `_PyRuntime`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runtime {
    /// `interpreters.head`.
    pub interpreters_head: u32,
    /// `gilstate.tstate_current`: the thread that holds the GIL. 3.8 to 3.11.
    pub gil_holder: u32,
    /// `ceval.gil`, the structure itself. 3.8 to 3.11.
    pub gil: u32,
    /// `gc.collecting`. 3.8 only.
    pub gc_collecting: u32,
}

/// Fields of `PyInterpreterState`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interpreter {
    /// The next interpreter.
    pub next: u32,
    /// Its number; 0 is the main one.
    pub id: u32,
    /// The first thread.
    pub threads_head: u32,
    /// `gc.collecting`. 3.9 and later.
    pub gc_collecting: u32,
    /// A pointer to its GIL structure. 3.12 and later.
    pub gil_pointer: u32,
    /// `sys.modules`.
    pub modules: u32,
}

/// Fields of `PyThreadState`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The next thread.
    pub next: u32,
    /// Its interpreter.
    pub interpreter: u32,
    /// The current frame. 3.8 to 3.10, and 3.13 on.
    pub frame: u32,
    /// A pointer to the `_PyCFrame` on the C stack. 3.11 and 3.12.
    pub cframe: u32,
    /// `_PyCFrame.current_frame`, within the `_PyCFrame`. 3.11 and 3.12.
    pub cframe_frame: u32,
    /// The number that Python calls `threading.get_ident()` (`pthread_self`).
    pub ident: u32,
    /// The system's thread number. 3.11 and later; up to 3.10 it comes from elsewhere.
    pub native_id: u32,
    /// Where the C library keeps the same number, in its structure at `ident`. Up to 3.10, and not in the
    /// tables: it is found on the live process.
    pub libc_tid: u32,
    /// The newest data-stack chunk. 3.11 and later.
    pub datastack_chunk: u32,
    /// `datastack_top`; where it is unknown, whole chunks are copied. 3.11 and later.
    pub datastack_top: u32,
    /// Size of the whole structure.
    pub size: u32,
}

/// Fields of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The caller's frame: `f_back`, or `previous`.
    pub previous: u32,
    /// The code object: `f_code`, or `f_executable` (its low bits may be a tag from 3.14 on).
    pub code: u32,
    /// `f_lasti` (an `int`, up to 3.10), `prev_instr` (3.11, 3.12), `instr_ptr` (3.13 on).
    pub instruction: u32,
    /// Who owns it (one byte). 3.11 and later.
    pub owner: u32,
    /// Bytes from the start of a frame that hold all fields above, and no more than a frame always has.
    pub head_size: u32,
}

/// Fields of `_PyStackChunk`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// The older chunk.
    pub previous: u32,
    /// Size of the whole chunk in bytes, this header included.
    pub size: u32,
    /// First slot of the chunk. The oldest chunk leaves its first slot free.
    pub data: u32,
}

/// Fields of the GIL structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gil {
    /// The last thread that held it.
    pub last_holder: u32,
    /// Whether it is held (an `int`).
    pub locked: u32,
    /// Size of the structure: a futex within it is somebody who waits for the GIL.
    pub size: u32,
}

/// Fields of `PyCodeObject`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// Bytes from the start that hold all fields below except the instructions.
    pub size: u32,
    /// `co_filename`.
    pub filename: u32,
    /// `co_name`.
    pub name: u32,
    /// `co_qualname`. 3.11 and later.
    pub qualname: u32,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// `co_lnotab` up to 3.9, `co_linetable` from 3.10 on.
    pub line_table: u32,
    /// `co_code`, a bytes object up to 3.10; `co_code_adaptive`, the instructions themselves, from 3.11 on.
    pub instructions: u32,
    /// `co_tlbc`: copies of the instructions, one per thread. Free-threaded builds of 3.14 and later.
    pub copies: u32,
}

/// Layout of built-in objects, as far as names are read from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `ob_type`.
    pub ob_type: u32,
    /// `tp_name`, a C string.
    pub type_name: u32,
    /// `tp_flags`.
    pub type_flags: u32,
    /// `tp_dictoffset`.
    pub type_dict_offset: u32,
    /// `tp_basicsize`.
    pub type_basic_size: u32,
    /// `ht_cached_keys`.
    pub type_cached_keys: u32,
    /// `ob_size` of variable-sized objects.
    pub ob_size: u32,
    /// First byte of a `bytes` object.
    pub bytes_data: u32,
    /// `PyASCIIObject.length`.
    pub unicode_length: u32,
    /// `PyASCIIObject.state`.
    pub unicode_state: u32,
    /// By how many bits `state.kind` is shifted within the state.
    pub unicode_kind_shift: u32,
    /// Size of `PyASCIIObject`: where the text of an ASCII string starts.
    pub unicode_ascii_data: u32,
    /// Size of `PyCompactUnicodeObject`: where the text of another compact string starts.
    pub unicode_compact_data: u32,
    /// `lv_tag` of an `int`, from 3.12 on; `ob_size` before.
    pub long_tag: u32,
    /// The digits of an `int`, 30 bits in four bytes each.
    pub long_digits: u32,
    /// `ma_keys`.
    pub dict_keys: u32,
    /// `ma_values`.
    pub dict_values: u32,
    /// `dk_size` (a word), up to 3.10; `dk_log2_size` (a byte) from 3.11 on.
    pub keys_size: u32,
    /// `dk_log2_index_bytes`. 3.11 and later.
    pub keys_index_bytes: u32,
    /// `dk_kind`. 3.11 and later.
    pub keys_kind: u32,
    /// `dk_nentries`.
    pub keys_entries: u32,
    /// `dk_indices`; the entries follow it.
    pub keys_indices: u32,
    /// How many bytes *before* an object its managed dictionary's pointer lies. 3.11 and later.
    pub managed_dict: u32,
    /// How many bytes *before* an object the pointer to its values lies. 3.11 only.
    pub managed_values: u32,
    /// `PyDictValues.valid`: whether inline values hold. 3.13 and later.
    pub values_valid: u32,
    /// The first value in `PyDictValues`.
    pub values_data: u32,
    /// `md_dict` of a module.
    pub module_dict: u32,
    /// First item of a tuple.
    pub tuple_items: u32,
}

/// Where a frame has its local variables, and its code object their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// The first slot, in the frame.
    pub slots: u32,
    /// `co_argcount` (an `int`), as the next two.
    pub argument_count: u32,
    /// `co_kwonlyargcount`.
    pub keyword_only_count: u32,
    /// `co_flags`.
    pub flags: u32,
    /// `co_localsplusnames`, a tuple; `co_varnames` up to 3.10.
    pub names: u32,
    /// `co_localspluskinds`, a bytes object. 3.11 and later.
    pub kinds: u32,
    /// `co_cellvars`. Up to 3.10.
    pub cell_names: u32,
    /// `co_freevars`. Up to 3.10.
    pub free_names: u32,
    /// `ob_ref` of a cell.
    pub cell_value: u32,
}

/// Layout of objects, as far as their values are described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// `tp_base`.
    pub type_base: u32,
    /// `tp_mro`.
    pub type_mro: u32,
    /// `tp_dict`.
    pub type_dict: u32,
    /// `tp_itemsize`.
    pub type_item_size: u32,
    /// `ht_qualname` of a class made in Python.
    pub type_qualname: u32,
    /// `ob_item` of a list: a pointer to its items.
    pub list_items: u32,
    /// `ob_fval`.
    pub float_value: u32,
    /// `cval`: two doubles.
    pub complex_value: u32,
    /// `ob_start` of a bytearray: a pointer to its first byte.
    pub bytearray_start: u32,
    /// `used` of a set.
    pub set_used: u32,
    /// `mask` of a set: one less than the entries of its table.
    pub set_mask: u32,
    /// `table` of a set: a pointer to pairs of key and hash.
    pub set_table: u32,
    /// `ma_used`.
    pub dict_used: u32,
    /// `func_qualname`.
    pub function_qualname: u32,
    /// `im_func`.
    pub method_function: u32,
    /// `m_ml`, whose first field is the name.
    pub c_function_definition: u32,
    /// `d_name` of a member descriptor.
    pub descriptor_name: u32,
    /// `d_member` of a member descriptor.
    pub descriptor_member: u32,
    /// `offset` of a `PyMemberDef`.
    pub member_offset: u32,
    /// `args` of an exception.
    pub exception_args: u32,
    /// `gi_qualname` of a generator, coroutine or asynchronous generator.
    pub generator_qualname: u32,
}
