//! Code objects: names, file and lines, read once each.
//!
//! A frame's instruction field means something else in nearly every version; [`CodeInfo`] is the only place
//! that knows. Start at [`read_code`].

use crate::locate::Located;
use crate::memory::Memory;
use crate::objects::{Copy, ReadError, read_bytes, read_string};
use crate::offsets::ABSENT;

/// Larger line tables are refused; the largest generated modules stay far below.
const LINE_TABLE_BYTES_MAX: u64 = 1 << 24;

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
    minor: u8,
    lines: Vec<LineStart>,
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
/// Cost: five to nine reads; keep the answer.
pub fn read_code(memory: &dyn Memory, located: &Located, address: u64) -> Result<CodeInfo, ReadError> {
    let c = &located.offsets.code;
    let minor = located.version.minor;
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
    let table = read_bytes(memory, located, head.u64(c.line_table)?, LINE_TABLE_BYTES_MAX)?;
    let lines = match minor {
        ..=9 => decode_lnotab(&table, first_line),
        10 => decode_line_table(&table, first_line),
        _ => decode_locations(&table, first_line),
    };
    let instructions = if minor >= 11 { address.wrapping_add(u64::from(c.instructions)) } else { 0 };
    Ok(CodeInfo { name, qualified_name, file, first_line, instructions, minor, lines })
}

impl CodeInfo {
    /// The line at which a frame of this code stands; 0 where the code has none there.
    ///
    /// `raw` is the frame's instruction field exactly as it is stored.
    pub fn line_at(&self, raw: u64) -> u32 {
        match self.unit(raw) {
            None => self.first_line,
            Some(unit) => match self.lines.partition_point(|start| u64::from(start.unit) <= unit) {
                0 => 0,
                after => self.lines[after - 1].line,
            },
        }
    }

    /// The index of the instruction's unit; `None` before the first instruction.
    fn unit(&self, raw: u64) -> Option<u64> {
        match self.minor {
            ..=9 => u64::try_from(raw as u32 as i32).ok().map(|byte| byte / 2),
            10 => u64::try_from(raw as u32 as i32).ok(),
            _ => raw.checked_sub(self.instructions).map(|bytes| bytes / 2),
        }
    }
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
