//! The local variables of a frame: arguments, variables, cells and what comes from enclosing functions.

use super::{Describer, Value};
use crate::objects::{ReadError, read_bytes, read_string};
use crate::offsets::ABSENT;

/// More local variables than this are no function's.
const LOCALS_MAX: u64 = 4096;
const CO_VARARGS: u32 = 4;
const CO_VARKEYWORDS: u32 = 8;
/// Kinds of variables from 3.11 on: a comprehension's own (3.12), in a cell, of an enclosing function.
const HIDDEN: u8 = 0x10;
const CELL: u8 = 0x40;
const FREE: u8 = 0x80;

/// A local variable that has a value.
#[derive(Clone, Debug, PartialEq)]
pub struct Local {
    /// Its name.
    pub name: String,
    /// The address of its value.
    pub address: u64,
    /// Whether it is an argument.
    pub is_argument: bool,
    /// Its value.
    pub value: Value,
}

/// Where a variable is kept.
struct Slot {
    name: String,
    index: usize,
    is_argument: bool,
    /// Whether a cell may stand between.
    in_cell: bool,
}

impl Describer<'_> {
    /// The local variables of the frame at `frame`, which runs the code object at `code`, arguments first; those that
    /// have no value (yet) are left out.
    ///
    /// Errors: the frame has ended meanwhile, or was none.
    pub fn locals(&self, frame: u64, code: u64) -> Result<Vec<Local>, ReadError> {
        let slots = self.local_slots(code)?;
        let count = slots.iter().map(|slot| slot.index + 1).max().unwrap_or(0);
        let words = self.words(frame.wrapping_add(u64::from(self.located.offsets.local.slots)), count)?;
        // A frame that was left while it was read may hold another function's variables.
        if self.word(frame, self.located.offsets.frame.code)? & !7 != code {
            return Err(ReadError::Implausible("a frame"));
        }
        let mut locals: Vec<Local> = Vec::with_capacity(slots.len());
        for slot in slots {
            let mut address = self.untagged(words[slot.index]);
            if address != 0 && slot.in_cell && self.is_cell(address) {
                address = self.word(address, self.located.offsets.local.cell_value).unwrap_or(0);
            }
            if address == 0 || locals.iter().any(|other| other.name == slot.name) {
                continue;
            }
            let value = self.value(address);
            locals.push(Local { name: slot.name, address, is_argument: slot.is_argument, value });
        }
        Ok(locals)
    }

    /// References on the interpreter's stack carry bits of their own: from 3.14 on, and in free-threaded builds.
    fn untagged(&self, word: u64) -> u64 {
        let has_tags = self.located.version.minor >= 14 || self.located.free_threaded;
        if has_tags { word & !3 } else { word }
    }

    fn is_cell(&self, address: u64) -> bool {
        let class = self.word(address, self.located.offsets.object.ob_type);
        class.and_then(|class| self.type_name(class)).is_ok_and(|name| name == "cell")
    }

    fn local_slots(&self, code: u64) -> Result<Vec<Slot>, ReadError> {
        let l = &self.located.offsets.local;
        let number = |offset: u32| -> Result<u32, ReadError> {
            let mut bytes = [0; 4];
            self.memory.read(code.wrapping_add(u64::from(offset)), &mut bytes)?;
            Ok(u32::from_le_bytes(bytes))
        };
        let flags = number(l.flags)?;
        let arguments = u64::from(number(l.argument_count)?)
            + u64::from(number(l.keyword_only_count)?)
            + u64::from(flags & CO_VARARGS != 0)
            + u64::from(flags & CO_VARKEYWORDS != 0);
        let names = self.local_names(code, l.names)?;
        let slot = |index: usize, name: String, in_cell: bool| Slot {
            is_argument: (index as u64) < arguments,
            name,
            index,
            in_cell,
        };
        if l.kinds != ABSENT {
            let kinds = read_bytes(self.memory, self.located, self.word(code, l.kinds)?, LOCALS_MAX)?;
            let slots = names.into_iter().zip(kinds).enumerate().filter(|(_, (_, kind))| kind & HIDDEN == 0);
            return Ok(slots
                .map(|(index, (name, kind))| slot(index, name, kind & (CELL | FREE) != 0))
                .collect());
        }
        // Up to 3.10 an argument that is also a cell lies in the cell alone, but belongs where arguments are.
        let count = names.len();
        let cells = self.local_names(code, l.cell_names)?;
        let free = self.local_names(code, l.free_names)?;
        let mut slots: Vec<Slot> = Vec::new();
        for (index, name) in names.into_iter().enumerate() {
            if let Some(place) = cells.iter().position(|cell| *cell == name) {
                let in_cell = Slot { index: count + place, ..slot(index, name.clone(), true) };
                slots.push(in_cell);
            }
            slots.push(slot(index, name, false));
        }
        for (index, name) in cells.into_iter().chain(free).enumerate() {
            slots.push(slot(count + index, name, true));
        }
        Ok(slots)
    }

    fn local_names(&self, code: u64, offset: u32) -> Result<Vec<String>, ReadError> {
        let tuple = self.word(code, offset)?;
        let o = &self.located.offsets.object;
        let count = self.word(tuple, o.ob_size)?;
        if count > LOCALS_MAX {
            return Err(ReadError::Implausible("names of local variables"));
        }
        let items = self.words(tuple.wrapping_add(u64::from(o.tuple_items)), count as usize)?;
        items.into_iter().map(|item| read_string(self.memory, self.located, item)).collect()
    }
}
