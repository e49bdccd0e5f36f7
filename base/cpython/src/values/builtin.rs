//! Numbers, texts, containers and what else Python itself brings.

use super::class::{Atom, Class, Kind};
use super::{Describer, Sequence, Value};
use crate::objects::{ReadError, read_string, read_string_start};

/// Larger numbers are told by their size.
const DIGITS_MAX: u64 = 512;
/// Entries of a set's table, looked at for its items.
const TABLE_ENTRIES_MAX: u64 = 1 << 16;
/// Longer containers than this are torn.
const COUNT_MAX: u64 = 1 << 40;

impl Describer<'_> {
    pub(super) fn atom(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let Kind::Atom(atom) = class.kind else {
            return Ok(Value::Other(format!("{} object", class.full_name()), address));
        };
        let word = |text: &str| Ok(Value::Word(text.to_owned()));
        let value = match atom {
            Atom::None => return word("None"),
            Atom::Ellipsis => return word("Ellipsis"),
            Atom::NotImplemented => return word("NotImplemented"),
            Atom::Bool => return word(if self.int(address)? == "0" { "False" } else { "True" }),
            Atom::Int => Value::Word(self.int(address)?),
            Atom::Float => Value::Float(self.double(address, self.located.offsets.value.float_value)?),
            Atom::Complex => {
                let place = self.located.offsets.value.complex_value;
                Value::Complex(self.double(address, place)?, self.double(address, place + 8)?)
            }
            Atom::Text => self.text(address)?,
            Atom::Bytes => self.bytes(address)?,
            Atom::ByteArray => self.byte_array(address)?,
            Atom::Class => {
                let (name, module) = self.class_names(address)?;
                let full = if module.is_empty() { name } else { format!("{module}.{name}") };
                return Ok(Value::Word(format!("<class '{}'>", full.trim_start_matches("builtins."))));
            }
            Atom::Module => return self.module(address),
            Atom::Function => return self.function(address, "function"),
            Atom::CFunction => {
                let definition = self.word(address, self.located.offsets.value.c_function_definition)?;
                let name = self.c_string(self.memory.read_u64(definition)?)?;
                return Ok(Value::Word(format!("<built-in function {name}>")));
            }
            Atom::Generator => {
                let name = self.word(address, self.located.offsets.value.generator_qualname)?;
                let name = read_string(self.memory, self.located, name)?;
                return Ok(Value::Other(format!("{} object {name}", class.full_name()), address));
            }
            Atom::Date | Atom::DateTime | Atom::Time | Atom::TimeDelta => return self.date(address, atom),
            Atom::Zone => return self.fixed_zone(address),
            Atom::ZoneInfo => return self.zone_info(address),
            Atom::Decimal => return self.decimal(address),
            Atom::Pattern => return self.pattern(address),
            Atom::WeakReference => return self.weak_reference(address),
            Atom::TypedArray => return self.typed_array(address),
            Atom::MemoryView => return self.memory_view(address),
            Atom::CtypesArray | Atom::CtypesNumber => {
                return self.ctypes(address, class, atom == Atom::CtypesArray);
            }
            Atom::Array | Atom::ArrayScalar | Atom::ArrayType => return self.numpy(address, atom, class),
        };
        Ok(derived(value, class))
    }

    pub(super) fn composite(&self, address: u64, class: &std::rc::Rc<Class>) -> Result<Value, ReadError> {
        let value = match &class.kind {
            Kind::List => self.list(address)?,
            Kind::Tuple => self.tuple(address)?,
            Kind::NamedTuple(names) => return self.named_tuple(address, class, names),
            Kind::Set => self.set(address, Sequence::Set)?,
            Kind::FrozenSet => self.set(address, Sequence::FrozenSet)?,
            Kind::Dict => self.dict(address)?,
            Kind::Exception => return self.exception(address, class),
            Kind::Enumeration => return self.enumeration(address, class),
            Kind::Instance => return self.instance(address, class),
            Kind::Range | Kind::Slice => return self.range(address, class),
            Kind::Method => {
                let function = self.word(address, self.located.offsets.value.method_function)?;
                return match self.function(function, "bound method")? {
                    Value::Other(name, _) => Ok(Value::Other(name, address)),
                    other => Ok(other),
                };
            }
            Kind::Deque => return self.deque(address, class),
            Kind::Partial => return self.partial(address, class),
            Kind::View => return self.view(address, class),
            Kind::Uuid => return self.uuid(address, class),
            Kind::Fraction => return self.fraction(address, class),
            Kind::Path => return self.path(address, class),
            Kind::Index => return self.index(address, class),
            Kind::DataFrame => return self.data_frame(address, class),
            Kind::Series => return self.series(address, class),
            Kind::Atom(_) | Kind::Other => return self.atom(address, class),
        };
        Ok(derived(value, class))
    }

    fn double(&self, address: u64, offset: u32) -> Result<f64, ReadError> {
        Ok(f64::from_bits(self.word(address, offset)?))
    }

    /// The digits of an `int` in decimal, with its sign.
    pub(super) fn int(&self, address: u64) -> Result<String, ReadError> {
        let o = &self.located.offsets.object;
        let tag = self.word(address, o.long_tag)?;
        let (negative, digits) = if self.located.version.minor >= 12 {
            // The lowest two bits are the sign: 0 positive, 1 zero, 2 negative.
            (tag & 3 == 2, if tag & 3 == 1 { 0 } else { tag >> 3 })
        } else {
            let size = tag as i64;
            (size < 0, size.unsigned_abs())
        };
        if digits > DIGITS_MAX {
            if digits > COUNT_MAX {
                return Err(ReadError::Implausible("an int"));
            }
            return Ok(format!("<int of {} bits>", digits * 30));
        }
        let mut bytes = vec![0; digits as usize * 4];
        self.memory.read(address.wrapping_add(u64::from(o.long_digits)), &mut bytes)?;
        let digits: Vec<u32> = bytes
            .chunks_exact(4)
            .map(|digit| u32::from_le_bytes(digit.try_into().expect("chunks of four")) & 0x3FFF_FFFF)
            .collect();
        let text = decimal(digits);
        let sign = if negative { "-" } else { "" };
        match text.len() > self.limits.characters.max(40) {
            true => Ok(format!("{sign}{}…<{} digits>", &text[..self.limits.characters.max(40)], text.len())),
            false => Ok(format!("{sign}{text}")),
        }
    }

    fn text(&self, address: u64) -> Result<Value, ReadError> {
        let limit = self.limits.characters as u64;
        let (text, characters) = read_string_start(self.memory, self.located, address, limit)?;
        Ok(Value::Text(text, (characters > limit).then_some(characters)))
    }

    fn bytes(&self, address: u64) -> Result<Value, ReadError> {
        let o = &self.located.offsets.object;
        let size = self.word(address, o.ob_size)?;
        self.bytes_at(address.wrapping_add(u64::from(o.bytes_data)), size, false)
    }

    fn byte_array(&self, address: u64) -> Result<Value, ReadError> {
        let size = self.word(address, self.located.offsets.object.ob_size)?;
        let start = self.word(address, self.located.offsets.value.bytearray_start)?;
        self.bytes_at(start, size, true)
    }

    pub(super) fn bytes_at(&self, start: u64, size: u64, mutable: bool) -> Result<Value, ReadError> {
        if size > COUNT_MAX {
            return Err(ReadError::Implausible("a bytes object"));
        }
        let mut bytes = vec![0; size.min(self.limits.characters as u64) as usize];
        self.memory.read(start, &mut bytes)?;
        let of = (bytes.len() as u64 != size).then_some(size);
        Ok(Value::Bytes { mutable, bytes, of })
    }

    fn list(&self, address: u64) -> Result<Value, ReadError> {
        let count = self.word(address, self.located.offsets.object.ob_size)?;
        let items = self.word(address, self.located.offsets.value.list_items)?;
        self.items(Sequence::List, items, count)
    }

    fn tuple(&self, address: u64) -> Result<Value, ReadError> {
        let o = &self.located.offsets.object;
        let count = self.word(address, o.ob_size)?;
        self.items(Sequence::Tuple, address.wrapping_add(u64::from(o.tuple_items)), count)
    }

    fn items(&self, kind: Sequence, start: u64, count: u64) -> Result<Value, ReadError> {
        if count > COUNT_MAX {
            return Err(ReadError::Implausible("a container"));
        }
        let shown = count.min(self.limits.items as u64);
        let items = if shown == 0 { Vec::new() } else { self.words(start, shown as usize)? };
        let items = items.into_iter().map(|item| self.item(item)).collect();
        Ok(Value::Items { kind, items, more: count - shown })
    }

    fn named_tuple(&self, address: u64, class: &Class, names: &[String]) -> Result<Value, ReadError> {
        let Value::Items { items, more, .. } = self.tuple(address)? else {
            return Err(ReadError::Implausible("a named tuple"));
        };
        let names = names.iter().cloned().map(Some).chain(std::iter::repeat(None));
        let fields = names.zip(items).collect();
        Ok(Value::Made { class: class.name.clone(), fields, more })
    }

    fn set(&self, address: u64, kind: Sequence) -> Result<Value, ReadError> {
        let v = &self.located.offsets.value;
        let used = self.word(address, v.set_used)?;
        let entries = self.word(address, v.set_mask)?.wrapping_add(1);
        if used > COUNT_MAX || entries > COUNT_MAX {
            return Err(ReadError::Implausible("a set"));
        }
        let table = self.word(address, v.set_table)?;
        let entries = self.words(table, entries.min(TABLE_ENTRIES_MAX) as usize * 2)?;
        // A key that was taken out has the hash -1.
        let keys = entries.chunks_exact(2).filter(|entry| entry[0] != 0 && entry[1] != u64::MAX);
        let wanted = self.limits.items.min(used as usize);
        let items: Vec<Value> = keys.map(|entry| self.item(entry[0])).take(wanted).collect();
        let more = used - items.len() as u64;
        Ok(Value::Items { kind, items, more })
    }

    fn dict(&self, address: u64) -> Result<Value, ReadError> {
        let used = self.word(address, self.located.offsets.value.dict_used)?;
        if used > COUNT_MAX {
            return Err(ReadError::Implausible("a dictionary"));
        }
        // Entries that were deleted stay in the table until it is made anew.
        let slots = self.limits.items.saturating_mul(4).max(64);
        let entries = self.objects().dict_start(address, slots)?.items().take(self.limits.items);
        let entries: Vec<_> = entries.map(|(key, value)| (self.item(key), self.item(value))).collect();
        let more = used.saturating_sub(entries.len() as u64);
        Ok(Value::Dict { entries, more })
    }

    fn range(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let parts = self.words(address.wrapping_add(u64::from(self.head())), 3)?;
        let mut fields: Vec<_> = parts.into_iter().map(|part| (None, self.item(part))).collect();
        if class.kind == Kind::Range && fields[2].1 == Value::Word("1".to_owned()) {
            fields.pop();
        }
        Ok(Value::Made { class: class.name.clone(), fields, more: 0 })
    }

    fn exception(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let args = self.word(address, self.located.offsets.value.exception_args)?;
        let Value::Items { items, more, .. } = self.tuple(args)? else {
            return Err(ReadError::Implausible("an exception"));
        };
        let fields = items.into_iter().map(|item| (None, item)).collect();
        Ok(Value::Made { class: class.name.clone(), fields, more })
    }

    fn module(&self, address: u64) -> Result<Value, ReadError> {
        let dict = self.word(address, self.located.offsets.object.module_dict)?;
        let objects = self.objects();
        let name = objects.dict_start(dict, 64)?.get(&objects, "__name__")?;
        let name = read_string(self.memory, self.located, name.ok_or(ReadError::Implausible("a module"))?)?;
        Ok(Value::Word(format!("<module '{name}'>")))
    }

    fn function(&self, address: u64, kind: &str) -> Result<Value, ReadError> {
        if self.class_of(address)?.kind != Kind::Atom(Atom::Function) {
            return Ok(Value::Other(kind.to_owned(), address));
        }
        let name = self.word(address, self.located.offsets.value.function_qualname)?;
        let name = read_string(self.memory, self.located, name)?;
        Ok(Value::Other(format!("{kind} {name}"), address))
    }
}

/// A value of a class derived from a built-in one names the class: `Counter({'a': 1})`.
fn derived(value: Value, class: &Class) -> Value {
    match class.exact {
        true => value,
        false => Value::Made { class: class.name.clone(), fields: vec![(None, value)], more: 0 },
    }
}

/// Decimal digits of a number given in digits of 30 bits, the lowest first.
fn decimal(mut digits: Vec<u32>) -> String {
    const GROUP: u64 = 1_000_000_000;
    let mut groups = Vec::new();
    while digits.last() == Some(&0) {
        digits.pop();
    }
    while !digits.is_empty() {
        let mut rest = 0u64;
        for digit in digits.iter_mut().rev() {
            let value = rest << 30 | u64::from(*digit);
            *digit = (value / GROUP) as u32;
            rest = value % GROUP;
        }
        groups.push(rest);
        while digits.last() == Some(&0) {
            digits.pop();
        }
    }
    let mut text = groups.pop().unwrap_or(0).to_string();
    groups.iter().rev().for_each(|group| text.push_str(&format!("{group:09}")));
    text
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn digits_of_thirty_bits_become_decimal_ones() {
        assert_eq!(decimal(vec![]), "0");
        assert_eq!(decimal(vec![0, 0]), "0");
        assert_eq!(decimal(vec![7]), "7");
        assert_eq!(decimal(vec![0, 1]), (1u64 << 30).to_string());
        assert_eq!(decimal(vec![0x3fff_ffff; 4]), ((1u128 << 120) - 1).to_string());
        assert_eq!(decimal(vec![1_000_000_000 & 0x3fff_ffff, 0]), "1000000000");
    }
}
