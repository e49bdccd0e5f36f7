//! Values of Python's standard library that are containers of others, or whose fields say less than what they stand
//! for: `deque`, `partial`, views of dictionaries, `UUID`, paths, fractions, patterns, weak references.
//!
//! Where the fields of those that are made in C lie has not changed since Python 3.8.

use super::class::{Atom, Class, Kind};
use super::{Describer, Sequence, Value};
use crate::objects::{ReadError, read_string};

/// Items in a block of a `deque`; before them is a pointer to the block on the left, behind them to that on the right.
const BLOCK_ITEMS: u64 = 64;
/// Parts of a path that are put together.
const PARTS_MAX: u64 = 64;

type Fields = Vec<(Option<String>, Value)>;

impl Describer<'_> {
    /// What it is called, and where it lies.
    pub(super) fn other(&self, address: u64, class: &Class) -> Value {
        Value::Other(format!("{} object", class.full_name()), address)
    }

    /// A pointer among the fields behind the head.
    fn field(&self, address: u64, index: u32) -> Result<u64, ReadError> {
        self.word(address, self.head() + 8 * index)
    }

    /// A text, bytes or `None`. What should be one of these and is not is not looked into, so that nothing here goes
    /// round in a ring.
    fn plain(&self, address: u64) -> Value {
        let described = self.class_of(address).and_then(|class| match class.kind {
            Kind::Atom(Atom::Text | Atom::Bytes | Atom::None) => self.atom(address, &class),
            _ => Ok(self.other(address, &class)),
        });
        described.unwrap_or(Value::Unreadable)
    }

    /// An attribute that lies in the object itself.
    fn slot(&self, address: u64, class: &Class, name: &str) -> Option<u64> {
        let (_, place) = class.slots.iter().find(|(own, _)| own == name)?;
        self.memory.read_u64(address.wrapping_add(*place)).ok().filter(|value| *value != 0)
    }

    pub(super) fn deque(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let from = self.located.offsets.object.ob_size;
        // Count; the first and the last block; where the first item is and the last; a state; how many there may be.
        let words = self.words(address.wrapping_add(u64::from(from)), 7)?;
        let [count, mut block, _, mut index, _, _, most] = words[..] else {
            return Err(ReadError::Implausible("a deque"));
        };
        if count > 1 << 40 || index >= BLOCK_ITEMS {
            return Err(ReadError::Implausible("a deque"));
        }
        let shown = count.min(self.limits.items as u64);
        let mut items = Vec::new();
        while (items.len() as u64) < shown {
            let len = (shown - items.len() as u64).min(BLOCK_ITEMS - index);
            items.extend(self.words(block.wrapping_add(8 + 8 * index), len as usize)?);
            if (items.len() as u64) < shown {
                block = self.memory.read_u64(block.wrapping_add(8 + 8 * BLOCK_ITEMS))?;
                index = 0;
            }
        }
        let items = items.into_iter().map(|item| self.item(item)).collect();
        let mut fields = vec![(None, Value::Items { kind: Sequence::List, items, more: count - shown })];
        if most.cast_signed() >= 0 {
            fields.push((Some("maxlen".to_owned()), Value::Word(most.to_string())));
        }
        Ok(Value::Made { class: class.name.clone(), fields, more: 0 })
    }

    /// `functools.partial(<function f>, 1, key=2)`.
    pub(super) fn partial(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields: Fields = vec![(None, self.item(self.field(address, 0)?))];
        let mut left_out = 0;
        if let Value::Items { items, more, .. } = self.item(self.field(address, 1)?) {
            fields.extend(items.into_iter().map(|item| (None, item)));
            left_out += more;
        }
        if let Value::Dict { entries, more } = self.item(self.field(address, 2)?) {
            let named = entries.into_iter().map(|(key, value)| match key {
                Value::Text(key, None) => (Some(key), value),
                _ => (None, value),
            });
            fields.extend(named);
            left_out += more;
        }
        Ok(Value::Made { class: class.full_name(), fields, more: left_out })
    }

    /// A view of a dictionary: what it is called says which part.
    pub(super) fn view(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let of = self.item(self.field(address, 0)?);
        let value = match (of, class.name.as_str()) {
            (Value::Dict { entries, more }, "dict_keys") => Value::Items {
                kind: Sequence::List,
                items: entries.into_iter().map(|(key, _)| key).collect(),
                more,
            },
            (Value::Dict { entries, more }, "dict_values") => Value::Items {
                kind: Sequence::List,
                items: entries.into_iter().map(|(_, value)| value).collect(),
                more,
            },
            (Value::Dict { entries, more }, "dict_items") => {
                let pair =
                    |(key, value)| Value::Items { kind: Sequence::Tuple, items: vec![key, value], more: 0 };
                Value::Items { kind: Sequence::List, items: entries.into_iter().map(pair).collect(), more }
            }
            (other, _) => other,
        };
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, value)], more: 0 })
    }

    pub(super) fn weak_reference(&self, address: u64) -> Result<Value, ReadError> {
        let to = self.class_of(self.field(address, 0)?)?;
        Ok(match to.kind {
            Kind::Atom(Atom::None) => Value::Other("weakref, dead".to_owned(), address),
            _ => Value::Other(format!("weakref to '{}'", to.full_name()), address),
        })
    }

    /// `re.compile('a+')`.
    pub(super) fn pattern(&self, address: u64) -> Result<Value, ReadError> {
        // Behind the head of a variable-sized object: groups, two tables of their names, the text.
        let text = self.word(address, self.located.offsets.object.ob_size + 8 + 24)?;
        Ok(Value::Made { class: "re.compile".to_owned(), fields: vec![(None, self.plain(text))], more: 0 })
    }

    pub(super) fn uuid(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let missing = ReadError::Implausible("a UUID");
        let number = match self.slot(address, class, "int") {
            Some(number) => number,
            None => self.attribute(address, "int")?.ok_or(missing)?,
        };
        let number: u128 = self.int(number)?.parse().map_err(|_| missing)?;
        let hex = format!("{number:032x}");
        let text = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, Value::Text(text, None))], more: 0 })
    }

    pub(super) fn fraction(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let part = |name| {
            self.slot(address, class, name)
                .map(|part| (None, self.item(part)))
                .ok_or(ReadError::Implausible("a fraction"))
        };
        let fields = vec![part("_numerator")?, part("_denominator")?];
        Ok(Value::Made { class: class.name.clone(), fields, more: 0 })
    }

    /// `PosixPath('/srv/app.py')`, from what it was made of where nobody has asked for its text yet.
    pub(super) fn path(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let slot = |name| self.slot(address, class, name);
        let read = |text| read_string(self.memory, self.located, text);
        let text = if let Some(text) = slot("_str") {
            read(text)?
        } else if let Some(parts) = slot("_raw_paths") {
            // From 3.12 on: as they were given.
            joined(self.path_parts(parts)?)
        } else if let Some(parts) = slot("_parts") {
            // Up to 3.11 the first part of an absolute path is its root.
            joined(self.path_parts(parts)?)
        } else {
            return self.instance(address, class);
        };
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, Value::Text(text, None))], more: 0 })
    }

    fn path_parts(&self, list: u64) -> Result<Vec<String>, ReadError> {
        let count = self.word(list, self.located.offsets.object.ob_size)?;
        if count > PARTS_MAX {
            return Err(ReadError::Implausible("a path"));
        }
        let items = if count == 0 {
            Vec::new()
        } else {
            self.words(self.word(list, self.located.offsets.value.list_items)?, count as usize)?
        };
        items.into_iter().map(|item| read_string(self.memory, self.located, item)).collect()
    }

    /// The zone of a `datetime` or `time`: what is known of it in few words.
    pub(super) fn zone(&self, address: u64) -> Value {
        let described = self.class_of(address).and_then(|class| match class.kind {
            Kind::Atom(Atom::Zone | Atom::ZoneInfo) => self.atom(address, &class),
            _ => Ok(self.other(address, &class)),
        });
        described.unwrap_or(Value::Unreadable)
    }

    /// `datetime.timezone.utc`, `datetime.timezone(datetime.timedelta(seconds=3600))`.
    pub(super) fn fixed_zone(&self, address: u64) -> Result<Value, ReadError> {
        let offset = self.date(self.field(address, 0)?, Atom::TimeDelta)?;
        let name = self.field(address, 1)?;
        let zero = Value::Made {
            class: "datetime.timedelta".to_owned(),
            fields: vec![(None, Value::Word("0".to_owned()))],
            more: 0,
        };
        if offset == zero && name == 0 {
            return Ok(Value::Word("datetime.timezone.utc".to_owned()));
        }
        let mut fields = vec![(None, offset)];
        if name != 0 {
            fields.push((None, self.plain(name)));
        }
        Ok(Value::Made { class: "datetime.timezone".to_owned(), fields, more: 0 })
    }

    /// `zoneinfo.ZoneInfo(key='Europe/Berlin')`.
    pub(super) fn zone_info(&self, address: u64) -> Result<Value, ReadError> {
        let fields = vec![(Some("key".to_owned()), self.plain(self.field(address, 0)?))];
        Ok(Value::Made { class: "zoneinfo.ZoneInfo".to_owned(), fields, more: 0 })
    }
}

/// Parts of a path put together as `pathlib` does it: an absolute part begins anew, `.` and empty names are left out.
fn joined(parts: Vec<String>) -> String {
    let from = parts.iter().rposition(|part| part.starts_with('/')).unwrap_or(0);
    let text = parts[from..].join("/");
    let root = match text.strip_prefix("//") {
        Some(rest) if !rest.starts_with('/') && parts[from].len() > 1 && parts[from].starts_with("//") => {
            "//"
        }
        _ if text.starts_with('/') => "/",
        _ => "",
    };
    let names: Vec<&str> = text.split('/').filter(|name| !name.is_empty() && *name != ".").collect();
    match (root, names.is_empty()) {
        ("", true) => ".".to_owned(),
        _ => format!("{root}{}", names.join("/")),
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn a_path_s_parts_are_put_together_as_pathlib_does_it() {
        let join = |parts: &[&str]| joined(parts.iter().map(|part| (*part).to_owned()).collect());
        assert_eq!(join(&[]), ".");
        assert_eq!(join(&["/", "a", "b"]), "/a/b");
        assert_eq!(join(&["a//b/", "./c"]), "a/b/c");
        assert_eq!(join(&["a", "/etc", "x"]), "/etc/x");
        assert_eq!(join(&["//host/x"]), "//host/x");
    }
}
