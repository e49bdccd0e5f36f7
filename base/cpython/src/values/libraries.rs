//! Values of well-known libraries that are made in C: dates, numpy's arrays and numbers, pandas' frames.
//!
//! Where their fields lie has not changed since numpy 1.7 and Python 3.8. pandas' frames are made in Python on top of
//! them; what of one cannot be reached is left out.

use super::class::{Atom, Class, Kind};
use super::{Describer, Sequence, Value};
use crate::objects::{ReadError, read_string};

/// numpy allows 64 dimensions.
const DIMENSIONS_MAX: u64 = 64;
/// Fields of a wrapper that may hold the array: a table of methods, the array, its dtype.
const WRAPPED_WORDS: usize = 3;
/// Words of an object that are looked through for its axes.
const WORDS_MAX: usize = 16;

impl Describer<'_> {
    /// Classes made in Python that are known by name and module.
    pub(super) fn library_kind(&self, class: u64, name: &str) -> Option<Kind> {
        let kind = match name {
            "DataFrame" => Kind::DataFrame,
            "Series" => Kind::Series,
            _ => return None,
        };
        let (_, module) = self.class_names(class).ok()?;
        (module == "pandas" || module.starts_with("pandas.")).then_some(kind)
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
        // One byte tells of a zone; then year (two bytes, the higher first), month, day and so on.
        let mut bytes = [0; 11];
        let len = if atom == Atom::Date { 5 } else { 11 };
        self.memory.read(fields, &mut bytes[..len])?;
        let [_, high, low, month, day, hour, minute, second, micro @ ..] = bytes;
        let mut numbers = vec![u32::from(high) << 8 | u32::from(low), u32::from(month), u32::from(day)];
        if atom == Atom::DateTime {
            numbers.extend([u32::from(hour), u32::from(minute)]);
            let microsecond = micro.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
            if second != 0 || microsecond != 0 {
                numbers.push(u32::from(second));
            }
            if microsecond != 0 {
                numbers.push(microsecond);
            }
        }
        let class = if atom == Atom::Date { "datetime.date" } else { "datetime.datetime" };
        let parts = numbers.into_iter().map(|number| (None, Value::Word(number.to_string()))).collect();
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
        let shape = array.shape.iter().map(|size| Value::Word(size.to_string())).collect();
        let fields = vec![
            (Some("shape".to_owned()), Value::Items { kind: Sequence::Tuple, items: shape, more: 0 }),
            (Some("dtype".to_owned()), Value::Word(self.array_type(array.element)?)),
        ];
        Ok(Value::Made { class: class.name.clone(), fields, more: 0 })
    }

    fn array_head(&self, address: u64) -> Result<ArrayHead, ReadError> {
        let words = self.words(address.wrapping_add(u64::from(self.head())), 6)?;
        let dimensions = words[1] & 0xffff_ffff;
        if dimensions > DIMENSIONS_MAX {
            return Err(ReadError::Implausible("an array"));
        }
        let shape = if dimensions == 0 { Vec::new() } else { self.words(words[2], dimensions as usize)? };
        Ok(ArrayHead { data: words[0], shape, element: words[5] })
    }

    /// What an array calls the type of its elements.
    fn array_type(&self, dtype: u64) -> Result<String, ReadError> {
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
            name => name.to_owned(),
        })
    }

    /// numpy 1 has the size as an `int` behind the number of the type; numpy 2, after flags of eight bytes, as a word.
    fn element_size(&self, dtype: u64) -> Result<u64, ReadError> {
        let place = u64::from(self.head());
        let words = self.words(dtype.wrapping_add(place + 16), 2)?;
        let (size, alignment) = (words[0] & 0xffff_ffff, words[0] >> 32);
        let is_first = matches!(alignment, 1 | 2 | 4 | 8 | 16) && size < 1 << 31;
        Ok(if is_first { size } else { words[1] })
    }

    fn scalar(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut bytes = [0; 8];
        let size = match class.name.as_str() {
            "bool_" | "bool" | "int8" | "uint8" => 1,
            "int16" | "uint16" | "float16" => 2,
            "int32" | "uint32" | "float32" | "intc" | "uintc" => 4,
            "int64" | "uint64" | "float64" | "longlong" | "ulonglong" => 8,
            _ => return Ok(Value::Other(format!("{} object", class.full_name()), address)),
        };
        self.memory.read(address.wrapping_add(u64::from(self.head())), &mut bytes[..size])?;
        let raw = u64::from_le_bytes(bytes);
        let shift = 64 - 8 * size as u32;
        let signed = ((raw << shift) as i64) >> shift;
        let value = match class.name.as_str() {
            "bool_" | "bool" => Value::Word(if raw == 0 { "False" } else { "True" }.to_owned()),
            "float64" => Value::Float(f64::from_bits(raw)),
            "float32" => Value::Word(super::text::float32(f32::from_bits(raw as u32))),
            "float16" => return Ok(Value::Other(format!("{} object", class.full_name()), address)),
            name if name.starts_with('u') => Value::Word(raw.to_string()),
            _ => Value::Word(signed.to_string()),
        };
        Ok(Value::Made { class: class.name.clone(), fields: vec![(None, value)], more: 0 })
    }

    pub(super) fn data_frame(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Vec::new();
        if let Ok(Some([columns, index])) = self.axes(address).map(|axes| <[u64; 2]>::try_from(axes).ok())
            && let (Some(width), Some(height)) = (self.index_length(columns), self.index_length(index))
        {
            let shape = [height, width].map(|size| Value::Word(size.to_string())).to_vec();
            fields.push((
                Some("shape".to_owned()),
                Value::Items { kind: Sequence::Tuple, items: shape, more: 0 },
            ));
            if let Some(columns) = self.index_items(columns) {
                fields.push((Some("columns".to_owned()), columns));
            }
        }
        self.made_of_fields(address, class, fields)
    }

    pub(super) fn series(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Vec::new();
        if let Ok(Some([index])) = self.axes(address).map(|axes| <[u64; 1]>::try_from(axes).ok())
            && let Some(length) = self.index_length(index)
        {
            fields.push((Some("length".to_owned()), Value::Word(length.to_string())));
        }
        if let Ok(Some(name)) = self.attribute(address, "_name") {
            let name = self.item(name);
            if name != Value::Word("None".to_owned()) {
                fields.push((Some("name".to_owned()), name));
            }
        }
        self.made_of_fields(address, class, fields)
    }

    fn made_of_fields(
        &self,
        address: u64,
        class: &Class,
        fields: Vec<(Option<String>, Value)>,
    ) -> Result<Value, ReadError> {
        Ok(match fields.is_empty() {
            true => Value::Other(format!("{} object", class.full_name()), address),
            false => Value::Made { class: class.name.clone(), fields, more: 0 },
        })
    }

    /// The axes of a frame or series: the one list that its manager holds, as an attribute or in itself.
    fn axes(&self, address: u64) -> Result<Vec<u64>, ReadError> {
        let missing = ReadError::Implausible("a frame");
        let manager = self.attribute(address, "_mgr")?.ok_or(missing)?;
        let list = match self.attribute(manager, "axes") {
            Ok(Some(list)) => list,
            _ => {
                let words = self.words(manager.wrapping_add(u64::from(self.head())), WORDS_MAX)?;
                let is_list = |word: &u64| self.class_of(*word).is_ok_and(|class| class.kind == Kind::List);
                words.into_iter().find(|word| *word != 0 && word % 8 == 0 && is_list(word)).ok_or(missing)?
            }
        };
        let count = self.word(list, self.located.offsets.object.ob_size)?;
        if count > 2 {
            return Err(missing);
        }
        self.words(self.word(list, self.located.offsets.value.list_items)?, count as usize)
    }

    fn index_length(&self, index: u64) -> Option<u64> {
        if let Ok(Some(range)) = self.attribute(index, "_range") {
            // A range keeps its length behind start, stop and step.
            let length = self.word(range, self.head() + 24).ok()?;
            return self.int(length).ok()?.parse().ok();
        }
        let data = self.index_data(index)?;
        Some(self.array_head(data).ok()?.shape.first().copied().unwrap_or(0))
    }

    /// The array behind an index, behind a wrapper or two.
    fn index_data(&self, index: u64) -> Option<u64> {
        let mut data = self.attribute(index, "_data").ok()??;
        for _ in 0..2 {
            if self.class_of(data).ok()?.kind == Kind::Atom(Atom::Array) {
                return Some(data);
            }
            data = match self.attribute(data, "_ndarray") {
                Ok(Some(array)) => array,
                _ => self.wrapped_array(data)?,
            };
        }
        None
    }

    /// The array that an object made in C wraps (pandas 3's arrays of texts), in one of its first fields.
    fn wrapped_array(&self, wrapper: u64) -> Option<u64> {
        let words = self.words(wrapper.wrapping_add(u64::from(self.head())), WRAPPED_WORDS).ok()?;
        let is_array =
            |word: &u64| self.class_of(*word).is_ok_and(|class| class.kind == Kind::Atom(Atom::Array));
        words.into_iter().find(|word| *word != 0 && word % 8 == 0 && is_array(word))
    }

    /// The labels of an index of objects.
    fn index_items(&self, index: u64) -> Option<Value> {
        let data = self.index_data(index)?;
        let array = self.array_head(data).ok()?;
        let count = array.shape.first().copied().unwrap_or(0);
        if self.array_type(array.element).ok()? != "object" {
            return None;
        }
        let shown = count.min(self.limits.items as u64);
        let items = self.words(array.data, shown as usize).ok()?;
        let label = |item: u64| match read_string(self.memory, self.located, item) {
            Ok(text) => Value::Text(text, None),
            Err(_) => self.item(item),
        };
        let items = items.into_iter().map(label).collect();
        Some(Value::Items { kind: Sequence::List, items, more: count - shown })
    }
}

/// What the head of an array says.
struct ArrayHead {
    data: u64,
    shape: Vec<u64>,
    /// Its dtype.
    element: u64,
}
