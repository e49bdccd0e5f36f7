//! Code objects: names, file and lines, read once each.
//!
//! A frame's instruction field means something else in nearly every version; [`CodeInfo`] is the only place
//! that knows. Start at [`read_code`].

use crate::locate::Located;
use crate::memory::Memory;
use crate::objects::{Copy, ReadError, read_bytes, read_string};
use crate::offsets::{ABSENT, Version};
use crate::opcodes::{extended_arg, opcode_is_native_call};

/// Larger line tables and larger bytecode are refused; the largest generated modules stay far below.
const TABLE_BYTES_MAX: u64 = 1 << 24;
/// More threads than this have no copies of the instructions of their own.
const COPIES_MAX: u64 = 4096;

/// `YIELD_FROM`, 3.8 to 3.10.
const YIELD_FROM: u8 = 72;

/// What a code object says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeInfo {
    /// `co_name`.
    pub name: String,
    /// `co_qualname`; the plain name before 3.11, which has no other.
    pub qualified_name: String,
    /// `co_filename`, as it was compiled: it can be relative or name no file at all.
    pub file: String,
    /// `co_firstlineno`.
    pub first_line: u32,
    /// Address of the first instruction, 3.11 and later; 0 before.
    pub instructions: u64,
    version: Version,
    lines: Vec<LineStart>,
    /// The instructions as they were when they were read, two bytes a unit.
    bytecode: Box<[u8]>,
    /// Where further copies of the instructions start: free-threaded builds have one per thread.
    copies: Vec<u64>,
}

/// From this unit (two bytes of bytecode) on, up to the next start, it is this line; 0 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LineStart {
    unit: u32,
    line: u32,
}

/// Reads the code object at `address`.
///
/// Errors: `Implausible` where a field is not what it should be.
/// Cost: six to eleven reads; keep the answer.
pub fn read_code(memory: &dyn Memory, located: &Located, address: u64) -> Result<CodeInfo, ReadError> {
    let c = &located.offsets.code;
    let version = located.version;
    let mut bytes = vec![0; c.size as usize];
    memory.read(address, &mut bytes)?;
    let head = Copy(&bytes);
    let name = read_string(memory, located, head.u64(c.name)?)?;
    let qualified_name = match c.qualname {
        ABSENT => name.clone(),
        offset => read_string(memory, located, head.u64(offset)?)?,
    };
    let file = read_string(memory, located, head.u64(c.filename)?)?;
    let first_line = u32::try_from(head.u32(c.first_line)? as i32).unwrap_or(0);
    let table = read_bytes(memory, located, head.u64(c.line_table)?, TABLE_BYTES_MAX)?;
    let lines = decode_lines(version, &table, first_line);
    let (instructions, bytecode) = if version.minor <= 10 {
        (0, read_bytes(memory, located, head.u64(c.instructions)?, TABLE_BYTES_MAX)?)
    } else {
        let units = head.u64(located.offsets.object.ob_size)?;
        if units > TABLE_BYTES_MAX / 2 {
            return Err(ReadError::Implausible("a code object"));
        }
        let start = address.wrapping_add(u64::from(c.instructions));
        let mut bytecode = vec![0; units as usize * 2];
        memory.read(start, &mut bytecode)?;
        (start, bytecode)
    };
    let copies = match c.copies {
        ABSENT => Vec::new(),
        offset => read_copies(memory, head.u64(offset)?)?,
    };
    let bytecode = bytecode.into_boxed_slice();
    Ok(CodeInfo { name, qualified_name, file, first_line, instructions, version, lines, bytecode, copies })
}

/// `_PyCodeArray`: a count, then a pointer for each thread that has run the code; null for the others.
fn read_copies(memory: &dyn Memory, address: u64) -> Result<Vec<u64>, ReadError> {
    if address == 0 {
        return Ok(Vec::new());
    }
    let count = memory.read_u64(address)?;
    if count > COPIES_MAX {
        return Err(ReadError::Implausible("the copies of a code object's instructions"));
    }
    let mut bytes = vec![0; count as usize * 8];
    memory.read(address.wrapping_add(8), &mut bytes)?;
    let copies = bytes.chunks_exact(8).map(|word| Copy(word).u64(0));
    copies.filter(|copy| *copy != Ok(0)).collect()
}

impl CodeInfo {
    /// The line at which a frame of this code stands; 0 where the code has none there.
    ///
    /// `raw` is the frame's instruction field exactly as it is stored.
    pub fn line_at(&self, raw: u64) -> u32 {
        match self.unit(raw) {
            Unit::At(unit) => match self.lines.partition_point(|start| start.unit <= unit) {
                0 => 0,
                after => self.lines[after - 1].line,
            },
            Unit::Before => self.first_line,
            Unit::Outside => 0,
        }
    }

    /// Whether this is a step that the interpreter puts on the stack for itself and never shows: from 3.12 on
    /// between a class and its `__init__`, and between C code and a Python function.
    pub fn is_the_interpreters_own(&self) -> bool {
        let (name, file) = (self.name.as_str(), self.file.as_str());
        file == "<shim>" || (name, file) == ("__init__", "__init__") || name == "<interpreter trampoline>"
    }

    /// Whether the innermost frame, standing at `raw`, is as a rule inside C code that it called.
    ///
    /// From 3.11 on instructions are rewritten while they run, and this goes by what they were when the code
    /// was read; for today's, read the byte at [`CodeInfo::opcode_address`] and ask [`opcode_is_native_call`].
    pub fn is_native_call_at(&self, raw: u64) -> bool {
        self.opcode_at(raw).is_some_and(|opcode| opcode_is_native_call(self.version, opcode))
    }

    /// The opcode at which the frame stands, as it was when the code was read.
    pub fn opcode_at(&self, raw: u64) -> Option<u8> {
        let Unit::At(unit) = self.unit(raw) else { return None };
        let opcodes = self.bytecode.chunks_exact(2).map(|unit| unit[0]).skip(unit as usize);
        // Up to 3.10 a frame stands at the prefixes of the instruction that it executes.
        let prefix = extended_arg(self.version.minor);
        opcodes.take(4).find(|opcode| Some(*opcode) != prefix)
    }

    /// Whether a suspended generator or coroutine that stands at `raw` waits for another (`await`, `yield from`), so that
    /// the top of its stack is what it waits for. Up to 3.12; later the generator's own state says so.
    pub fn is_await_at(&self, raw: u64) -> bool {
        let Unit::At(unit) = self.unit(raw) else { return false };
        let Some(next) = self.bytecode.chunks_exact(2).nth(unit as usize + 1) else { return false };
        match self.version.minor {
            // The generator stands before the instruction that it goes on with.
            ..=10 => next[0] == YIELD_FROM,
            // It goes on with a RESUME, whose argument says after what: 2 `yield from`, 3 `await`.
            _ => next[1] & 3 >= 2,
        }
    }

    /// Where the opcode (one byte) of the instruction lies in the target; `None` up to 3.10, whose
    /// instructions never change, and for a frame that does not stand at an instruction.
    pub fn opcode_address(&self, raw: u64) -> Option<u64> {
        match self.unit(raw) {
            Unit::At(_) if self.version.minor >= 11 => Some(raw),
            _ => None,
        }
    }

    /// Whether `raw` is a place in this code. If not, the code object has to be read again: a free-threaded
    /// build makes a copy of the instructions for each thread when the thread first runs them.
    pub fn contains(&self, raw: u64) -> bool {
        self.unit(raw) != Unit::Outside
    }

    fn unit(&self, raw: u64) -> Unit {
        let units = self.bytecode.len() as u64 / 2;
        let before = |index: i32| if index < 0 { Unit::Before } else { within(index as u64, units) };
        match self.version.minor {
            ..=9 => before((raw as u32 as i32).div_euclid(2)),
            10 => before(raw as u32 as i32),
            _ => {
                // Before the first instruction, 3.11 and 3.12 stand one unit in front of it.
                if raw == self.instructions.wrapping_sub(2) {
                    return Unit::Before;
                }
                let starts = std::iter::once(&self.instructions).chain(&self.copies);
                let found = starts.map(|start| raw.wrapping_sub(*start)).find(|bytes| *bytes < units * 2);
                found.map_or(Unit::Outside, |bytes| within(bytes / 2, units))
            }
        }
    }
}

/// A place in the bytecode, in units of two bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    At(u32),
    /// The frame has not begun.
    Before,
    Outside,
}

fn within(unit: u64, units: u64) -> Unit {
    if unit < units { Unit::At(unit as u32) } else { Unit::Outside }
}

fn decode_lines(version: Version, table: &[u8], first_line: u32) -> Vec<LineStart> {
    match version.minor {
        ..=9 => decode_lnotab(table, first_line),
        10 => decode_line_table(table, first_line),
        _ => decode_locations(table, first_line),
    }
}

/// Decodes a line table as a code object's would be; gives how many stretches it has.
///
/// # Panics
/// When they are not in order: a fuzzer is to find that.
pub(crate) fn decode_and_check(version: Version, table: &[u8], first_line: u32) -> usize {
    let lines = decode_lines(version, table, first_line);
    assert!(lines.is_sorted_by(|a, b| a.unit < b.unit), "starts in order: {lines:?}");
    assert!(lines.len() <= table.len() + 2, "no more starts than entries");
    lines.len()
}

/// Collects line starts: neighbours with one line become one.
#[derive(Default)]
struct Lines {
    starts: Vec<LineStart>,
    unit: u32,
}

impl Lines {
    /// The next `units` are of `line`; 0 is none.
    fn push(&mut self, units: u32, line: i64) {
        if units == 0 {
            return;
        }
        let line = u32::try_from(line).unwrap_or(0);
        if self.starts.last().is_none_or(|last| last.line != line) {
            self.starts.push(LineStart { unit: self.unit, line });
        }
        self.unit = self.unit.saturating_add(units);
    }

    fn finish(mut self) -> Vec<LineStart> {
        self.push(1, 0); // nothing lies behind the end
        self.starts.shrink_to_fit();
        self.starts
    }
}

/// `co_lnotab`, up to 3.9: pairs of (bytes to go on, lines to add then).
fn decode_lnotab(table: &[u8], first_line: u32) -> Vec<LineStart> {
    let mut starts = vec![LineStart { unit: 0, line: first_line }];
    let (mut byte, mut line) = (0u32, i64::from(first_line));
    for pair in table.chunks_exact(2) {
        byte = byte.saturating_add(u32::from(pair[0]));
        line += i64::from(pair[1] as i8);
        let start = LineStart { unit: byte.div_ceil(2), line: u32::try_from(line).unwrap_or(0) };
        // A step of more than 255 bytes or 127 lines takes several pairs.
        match starts.last_mut() {
            Some(last) if last.unit == start.unit => *last = start,
            _ => starts.push(start),
        }
    }
    starts.dedup_by(|next, last| next.line == last.line);
    starts
}

/// `co_linetable` of 3.10: pairs of (bytes, lines to add before them), where -128 is no line.
fn decode_line_table(table: &[u8], first_line: u32) -> Vec<LineStart> {
    let mut lines = Lines::default();
    let mut line = i64::from(first_line);
    for pair in table.chunks_exact(2) {
        let delta = pair[1] as i8;
        if delta == i8::MIN {
            lines.push(u32::from(pair[0]) / 2, 0);
        } else {
            line += i64::from(delta);
            lines.push(u32::from(pair[0]) / 2, line);
        }
    }
    lines.finish()
}

/// The location table of 3.11 and later.
fn decode_locations(table: &[u8], first_line: u32) -> Vec<LineStart> {
    let mut lines = Lines::default();
    let mut line = i64::from(first_line);
    let mut rest = table;
    while let Some((head, after)) = rest.split_first() {
        rest = after;
        let units = u32::from(head & 7) + 1;
        match head >> 3 & 15 {
            15 => {
                lines.push(units, 0);
                continue;
            }
            14 => {
                line = line.saturating_add(signed_varint(&mut rest));
                for _ in 0..3 {
                    varint(&mut rest);
                }
            }
            13 => line = line.saturating_add(signed_varint(&mut rest)),
            code @ 10..=12 => {
                line = line.saturating_add(i64::from(code - 10));
                rest = rest.get(2..).unwrap_or(&[]);
            }
            _ => rest = rest.get(1..).unwrap_or(&[]),
        }
        lines.push(units, line);
    }
    lines.finish()
}

/// Six bits a byte, the lowest first; the seventh bit says that more follow.
fn varint(rest: &mut &[u8]) -> u64 {
    let (mut value, mut shift) = (0u64, 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        if shift < 60 {
            value |= u64::from(byte & 63) << shift;
        }
        shift += 6;
        if byte & 64 == 0 {
            break;
        }
    }
    value
}

/// The lowest bit is the sign.
fn signed_varint(rest: &mut &[u8]) -> i64 {
    let value = varint(rest);
    let magnitude = (value >> 1) as i64;
    if value & 1 == 0 { magnitude } else { -magnitude }
}
