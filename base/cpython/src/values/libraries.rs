//! Dates, and numpy's arrays and numbers; and by which names classes of other libraries are known.
//!
//! Where their fields lie has not changed since Python 3.8 and numpy 1.7, but for numpy's types, which 2.0 has
//! rearranged.

use super::buffer::{Element, Row};
use super::class::{Atom, Class, Kind};
use super::{Describer, Sequence, Value};
use crate::objects::ReadError;

/// numpy allows 64 dimensions.
const DIMENSIONS_MAX: u64 = 64;
/// Units of dates and their differences, in numpy's order; the fourth is no more in use.
const UNITS: [&str; 15] =
    ["Y", "M", "W", "B", "D", "h", "m", "s", "ms", "us", "ns", "ps", "fs", "as", "generic"];

impl Describer<'_> {
    /// Classes made in Python that are known by name and module.
    pub(super) fn library_kind(&self, class: u64, name: &str) -> Option<Kind> {
        let (kind, package) = match name {
            "DataFrame" => (Kind::DataFrame, "pandas"),
            "Series" => (Kind::Series, "pandas"),
            "Index" => (Kind::Index, "pandas"),
            "UUID" => (Kind::Uuid, "uuid"),
            "Fraction" => (Kind::Fraction, "fractions"),
            "PurePath" => (Kind::Path, "pathlib"),
            _ => return None,
        };
        let (_, module) = self.class_names(class).ok()?;
        (module.split('.').next() == Some(package)).then_some(kind)
    }

    pub(super) fn date(&self, address: u64, atom: Atom) -> Result<Value, ReadError> {
        // The head, then the hash.
        let fields = address.wrapping_add(u64::from(self.head()) + 8);
        if atom == Atom::TimeDelta {
            let mut bytes = [0; 12];
            self.memory.read(fields, &mut bytes)?;
            let number = |at: usize| i32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
            let named = [("days", number(0)), ("seconds", number(4)), ("microseconds", number(8))];
            let mut parts: Vec<_> = named
                .into_iter()
                .filter(|(_, number)| *number != 0)
                .map(|(name, number)| (Some(name.to_owned()), Value::Word(number.to_string())))
                .collect();
            if parts.is_empty() {
                parts.push((None, Value::Word("0".to_owned())));
            }
            return Ok(Value::Made { class: "datetime.timedelta".to_owned(), fields: parts, more: 0 });
        }
        // One byte tells of a zone; then year (two bytes, the higher first), month, day and so on; of a time without
        // what is a date's.
        let mut bytes = [0; 11];
        let (from, len) = match atom {
            Atom::Date => (0, 5),
            Atom::Time => (4, 7),
            _ => (0, 11),
        };
        self.memory.read(fields, &mut bytes[from..from + len])?;
        let has_zone = atom != Atom::Date && bytes[from] != 0;
        let [_, high, low, month, day, hour, minute, second, micro @ ..] = bytes;
        let mut numbers = match atom {
            Atom::Time => Vec::new(),
            _ => vec![u32::from(high) << 8 | u32::from(low), u32::from(month), u32::from(day)],
        };
        if atom != Atom::Date {
            numbers.extend([u32::from(hour), u32::from(minute)]);
            let microsecond = micro.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            if second != 0 || microsecond != 0 {
                numbers.push(u32::from(second));
            }
            if microsecond != 0 {
                numbers.push(microsecond);
            }
        }
        let class = match atom {
            Atom::Date => "datetime.date",
            Atom::Time => "datetime.time",
            _ => "datetime.datetime",
        };
        let mut parts: Vec<_> =
            numbers.into_iter().map(|number| (None, Value::Word(number.to_string()))).collect();
        if has_zone {
            // Behind the numbers is a byte for the hour that is there twice, then the zone.
            let place = if atom == Atom::Time { 8 } else { 16 };
            let zone = self.memory.read_u64(fields.wrapping_add(place))?;
            parts.push((Some("tzinfo".to_owned()), self.zone(zone)));
        }
        Ok(Value::Made { class: class.to_owned(), fields: parts, more: 0 })
    }

    pub(super) fn numpy(&self, address: u64, atom: Atom, class: &Class) -> Result<Value, ReadError> {
        match atom {
            Atom::Array => self.array(address, class),
            Atom::ArrayScalar => self.scalar(address, class),
            _ => Ok(Value::Word(format!("dtype('{}')", self.array_type(address)?))),
        }
    }

    fn array(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let array = self.array_head(address)?;
        let dtype = self.array_type(array.element)?;
        let shape = array.shape.iter().map(|size| Value::Word(size.to_string())).collect();
        let mut fields = vec![
            (Some("shape".to_owned()), Value::Items { kind: Sequence::Tuple, items: shape, more: 0 }),
            (Some("dtype".to_owned()), Value::Word(dtype.clone())),
        ];
        if let ([count], [stride], Some(element)) =
            (&array.shape[..], &array.strides[..], Element::of_name(&dtype))
            && !self.is_swapped(array.element)?
        {
            let row = Row { start: array.data, stride: stride.cast_signed(), count: *count };
            // An array over a file that was cut off has a shape and no more.
            fields.extend(self.row(row, element).ok().map(|values| (Some("values".to_owned()), values)));
        }
        Ok(Value::Made { class: class.name.clone(), fields, more: 0 })
    }

    pub(super) fn array_head(&self, address: u64) -> Result<ArrayHead, ReadError> {
        let words = self.words(address.wrapping_add(u64::from(self.head())), 6)?;
        let dimensions = words[1] & 0xffff_ffff;
        if dimensions > DIMENSIONS_MAX {
            return Err(ReadError::Implausible("an array"));
        }
        let sizes = |at: u64| match dimensions {
            0 => Ok(Vec::new()),
            _ => self.words(at, dimensions as usize),
        };
        Ok(ArrayHead {
            data: words[0],
            shape: sizes(words[2])?,
            strides: sizes(words[3])?,
            element: words[5],
        })
    }

    /// What an array calls the type of its elements.
    pub(super) fn array_type(&self, dtype: u64) -> Result<String, ReadError> {
        let head = self.head();
        let scalar = self.word(dtype, head)?;
        let name = self.type_name(scalar)?;
        let name = name.rsplit('.').next().unwrap_or_default();
        let size = self.element_size(dtype)?;
        Ok(match name {
            "bool_" => "bool".to_owned(),
            "object_" => "object".to_owned(),
            "str_" => format!("<U{}", size / 4),
            "bytes_" => format!("|S{size}"),
            "void" => format!("void{}", size * 8),
            "datetime64" | "timedelta64" => match self.unit(dtype) {
                Some(unit) => format!("{name}[{unit}]"),
                None => name.to_owned(),
            },
            name => name.to_owned(),
        })
    }

    /// Size and alignment of numpy 1 lie behind the number of the type; numpy 2 has flags of eight bytes there.
    fn is_numpy_1(&self, dtype: u64) -> Result<bool, ReadError> {
        let word = self.word(dtype, self.head() + 16)?;
        let (size, alignment) = (word & 0xffff_ffff, word >> 32);
        Ok(matches!(alignment, 1 | 2 | 4 | 8 | 16) && size < 1 << 31)
    }

    fn element_size(&self, dtype: u64) -> Result<u64, ReadError> {
        match self.is_numpy_1(dtype)? {
            true => Ok(self.word(dtype, self.head() + 16)? & 0xffff_ffff),
            false => self.word(dtype, self.head() + 24),
        }
    }

    /// Whether its bytes are in the other order than this machine's.
    fn is_swapped(&self, dtype: u64) -> Result<bool, ReadError> {
        let letters = self.word(dtype, self.head() + 8)?.to_le_bytes();
        Ok(letters[2] == b'>')
    }

    /// The unit of dates or of their differences, such as `ns` or `25s`.
    fn unit(&self, dtype: u64) -> Option<String> {
        let place = if self.is_numpy_1(dtype).ok()? { 64 } else { 96 };
        let data = self.word(dtype, self.head() + place).ok()?;
        // Four pointers, then which unit and how many of it.
        let numbers = self.memory.read_u64(data.wrapping_add(32)).ok()?;
        let (unit, count) = (numbers & 0xffff_ffff, numbers >> 32);
        let unit = UNITS.get(unit as usize).filter(|_| data != 0)?;
        match count {
            1 => Some((*unit).to_owned()),
            count => Some(format!("{count}{unit}")),
        }
    }

    fn scalar(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let Some(element) = Element::of_name(&class.name) else {
            return Ok(self.other(address, class));
        };
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..element.size()];
        self.memory.read(address.wrapping_add(u64::from(self.head())), bytes)?;
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, element.value(bytes))], more: 0 })
    }
}

/// What the head of an array says.
pub(super) struct ArrayHead {
    pub(super) data: u64,
    pub(super) shape: Vec<u64>,
    strides: Vec<u64>,
    /// Its dtype.
    pub(super) element: u64,
}
