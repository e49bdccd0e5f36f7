//! pandas' frames, columns and labels: their shape, and the type of each column.
//!
//! A frame is a list of axes and a tuple of blocks, each of which holds the columns of one type in one array. Manager
//! and blocks are made by Cython, so their fields are looked for by what they lead to. What of one cannot be reached is
//! left out.

use super::class::{Atom, Class, Kind};
use super::{Describer, Sequence, Value};
use crate::objects::{ReadError, read_string};

/// Fields of a wrapper that may hold the array: a table of methods, the array, its dtype.
const WRAPPED_WORDS: usize = 3;
/// Words of an object that are looked through for what it holds.
const WORDS_MAX: usize = 16;
/// Blocks of a frame that are looked at.
const BLOCKS_MAX: u64 = 256;

type Fields = Vec<(Option<String>, Value)>;

fn named(name: &str, value: Value) -> (Option<String>, Value) {
    (Some(name.to_owned()), value)
}

fn word(text: impl ToString) -> Value {
    Value::Word(text.to_string())
}

impl Describer<'_> {
    pub(super) fn data_frame(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Fields::new();
        if let Ok(Some([columns, index])) = self.axes(address).map(|axes| <[u64; 2]>::try_from(axes).ok())
            && let (Some(width), Some(height)) = (self.index_length(columns), self.index_length(index))
        {
            let items = vec![word(height), word(width)];
            fields.push(named("shape", Value::Items { kind: Sequence::Tuple, items, more: 0 }));
            let shown = width.min(self.limits.items as u64);
            let types = self.column_types(address, shown).unwrap_or_default();
            let types: Vec<Value> = types.into_iter().map(Value::Word).collect();
            let (list, more) = (Sequence::List, width - shown);
            match (self.index_items(columns), types.len() as u64 == shown) {
                (Some(labels), true) => {
                    let entries = labels.into_iter().zip(types).collect();
                    fields.push(named("columns", Value::Dict { entries, more }));
                }
                (Some(items), false) => {
                    fields.push(named("columns", Value::Items { kind: list, items, more }))
                }
                (None, true) => {
                    fields.push(named("dtypes", Value::Items { kind: list, items: types, more }));
                }
                (None, false) => {}
            }
        }
        self.made_of_fields(address, class, fields)
    }

    pub(super) fn series(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Fields::new();
        if let Ok(Some([index])) = self.axes(address).map(|axes| <[u64; 1]>::try_from(axes).ok())
            && let Some(length) = self.index_length(index)
        {
            fields.push(named("length", word(length)));
        }
        if let Ok(types) = self.column_types(address, 1)
            && let Some(dtype) = types.into_iter().next()
        {
            fields.push(named("dtype", Value::Word(dtype)));
        }
        self.push_name(address, &mut fields);
        self.made_of_fields(address, class, fields)
    }

    /// Labels: how many, of which type, and what they are called.
    pub(super) fn index(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Fields::new();
        if let Ok(Some(range)) = self.attribute(address, "_range")
            && let Value::Made { fields: ends, .. } = self.item(range)
        {
            fields.extend(ends);
        } else if let Some(length) = self.index_length(address) {
            fields.push(named("length", word(length)));
            if let Ok(Some(data)) = self.attribute(address, "_data")
                && let Some(dtype) = self.array_dtype(data)
            {
                fields.push(named("dtype", Value::Word(dtype)));
            }
        } else if let Ok(Some(names)) = self.attribute(address, "_names") {
            // Of several levels.
            fields.push(named("names", self.item(names)));
        }
        self.push_name(address, &mut fields);
        self.made_of_fields(address, class, fields)
    }

    fn push_name(&self, address: u64, fields: &mut Fields) {
        if let Ok(Some(name)) = self.attribute(address, "_name") {
            let name = self.item(name);
            if name != Value::Word("None".to_owned()) {
                fields.push(named("name", name));
            }
        }
    }

    fn made_of_fields(&self, address: u64, class: &Class, fields: Fields) -> Result<Value, ReadError> {
        Ok(match fields.is_empty() {
            true => self.other(address, class),
            false => Value::Made { class: class.name.clone(), fields, more: 0 },
        })
    }

    fn manager(&self, address: u64) -> Result<u64, ReadError> {
        self.attribute(address, "_mgr")?.ok_or(ReadError::Implausible("a frame"))
    }

    /// What an object holds that is of such a class, in its attributes or in its first fields.
    fn held(&self, holder: u64, name: &str, is_it: impl Fn(&Class) -> bool) -> Option<u64> {
        if let Ok(Some(value)) = self.attribute(holder, name) {
            return Some(value);
        }
        let class = self.class_of(holder).ok()?;
        let size = self.word(class.address, self.located.offsets.object.type_basic_size).ok()?;
        let count = (size.saturating_sub(u64::from(self.head())) / 8).min(WORDS_MAX as u64);
        let words = self.words(holder.wrapping_add(u64::from(self.head())), count as usize).ok()?;
        words.into_iter().find(|word| {
            *word > 4096 && word % 8 == 0 && self.class_of(*word).is_ok_and(|class| is_it(&class))
        })
    }

    /// The axes of a frame or series: the one list that its manager holds, as an attribute or in itself.
    fn axes(&self, address: u64) -> Result<Vec<u64>, ReadError> {
        let missing = ReadError::Implausible("a frame");
        let list =
            self.held(self.manager(address)?, "axes", |class| class.kind == Kind::List).ok_or(missing)?;
        let count = self.word(list, self.located.offsets.object.ob_size)?;
        if count > 2 {
            return Err(missing);
        }
        self.words(self.word(list, self.located.offsets.value.list_items)?, count as usize)
    }

    /// The types of the first columns, in their order; fails where one is not known.
    fn column_types(&self, address: u64, shown: u64) -> Result<Vec<String>, ReadError> {
        let missing = ReadError::Implausible("a frame");
        let blocks =
            self.held(self.manager(address)?, "blocks", |class| class.kind == Kind::Tuple).ok_or(missing)?;
        let o = &self.located.offsets.object;
        let count = self.word(blocks, o.ob_size)?;
        if count > BLOCKS_MAX {
            return Err(missing);
        }
        let blocks = self.words(blocks.wrapping_add(u64::from(o.tuple_items)), count as usize)?;
        let mut types: Vec<Option<String>> = vec![None; shown as usize];
        for block in &blocks {
            let places =
                self.held(*block, "_mgr_locs", |class| class.name == "BlockPlacement").ok_or(missing)?;
            let is_array = |class: &Class| {
                class.kind == Kind::Atom(Atom::Array)
                    || class.module.starts_with("pandas.") && class.name.contains("Array")
                    || class.name == "Categorical"
            };
            let dtype = self.held(*block, "values", is_array).and_then(|values| self.array_dtype(values));
            let dtype = dtype.ok_or(missing)?;
            if blocks.len() == 1 {
                return Ok(vec![dtype; shown as usize]);
            }
            for place in self.places(places, shown)? {
                if let Some(slot) = types.get_mut(place as usize) {
                    *slot = Some(dtype.clone());
                }
            }
        }
        types.into_iter().collect::<Option<Vec<String>>>().ok_or(missing)
    }

    /// The columns of a block below `shown`: a slice, or an array of their numbers.
    fn places(&self, placement: u64, shown: u64) -> Result<Vec<u64>, ReadError> {
        let missing = ReadError::Implausible("columns of a block");
        if let Some(slice) = self.held(placement, "_as_slice", |class| class.kind == Kind::Slice) {
            let parts = self.words(slice.wrapping_add(u64::from(self.head())), 3)?;
            let part = |index: usize, absent: i64| match self.class_of(parts[index])?.kind {
                Kind::Atom(Atom::Int) => self.int(parts[index])?.parse::<i64>().map_err(|_| missing),
                _ => Ok(absent),
            };
            let (start, stop, step) = (part(0, 0)?, part(1, i64::MAX)?, part(2, 1)?);
            let inside = |at: &i64| (0..shown as i64).contains(at);
            // Backwards, a slice without an end reaches to the first column.
            let stop = if step < 0 && stop == i64::MAX { -1 } else { stop };
            let (low, high) =
                if step < 0 { (stop.saturating_add(1), start.saturating_add(1)) } else { (start, stop) };
            let step_by = step.unsigned_abs().max(1);
            let taken = (low.max(0)..high.min(shown as i64)).filter(inside);
            return Ok(taken
                .filter(|at| at.abs_diff(start).is_multiple_of(step_by))
                .map(i64::cast_unsigned)
                .collect());
        }
        let array = self.held(placement, "_as_array", |class| class.kind == Kind::Atom(Atom::Array));
        let array = self.array_head(array.ok_or(missing)?)?;
        let count = array.shape.first().copied().unwrap_or(0).min(1 << 16);
        self.words(array.data, count as usize)
    }

    /// What pandas calls the type of an array: `int64`, `category`, `datetime64[ns, UTC]`, `Int64`, `str`.
    fn array_dtype(&self, values: u64) -> Option<String> {
        let class = self.class_of(values).ok()?;
        match class.name.as_str() {
            _ if class.kind == Kind::Atom(Atom::Array) => {
                return self.array_type(self.array_head(values).ok()?.element).ok();
            }
            "BooleanArray" => return Some("boolean".to_owned()),
            "IntegerArray" | "FloatingArray" => {
                // Numbers that may be missing: called as numpy's, with a capital letter, or two of `UInt`.
                let name = self.array_dtype(self.attribute(values, "_data").ok()??)?;
                let mut letters = name.chars();
                return Some(match name.strip_prefix("uint") {
                    Some(bits) => format!("UInt{bits}"),
                    None => letters.next()?.to_uppercase().chain(letters).collect(),
                });
            }
            _ => {}
        }
        let is_type =
            |class: &Class| class.name.ends_with("Dtype") || class.kind == Kind::Atom(Atom::ArrayType);
        if let Some(dtype) = self.held(values, "_dtype", is_type) {
            return self.dtype_name(dtype);
        }
        // An array around an array, as an index has it.
        let array = self.wrapped(values)?;
        self.array_type(self.array_head(array).ok()?.element).ok()
    }

    fn dtype_name(&self, dtype: u64) -> Option<String> {
        let class = self.class_of(dtype).ok()?;
        if class.kind == Kind::Atom(Atom::ArrayType) {
            return self.array_type(dtype).ok();
        }
        let text = |name: &str| {
            let text = self.attribute(dtype, name).ok().flatten()?;
            read_string(self.memory, self.located, text).ok()
        };
        Some(match class.name.as_str() {
            "CategoricalDtype" => "category".to_owned(),
            "DatetimeTZDtype" => {
                let zone =
                    self.attribute(dtype, "_tz").ok().flatten().map(|zone| self.zone(zone).to_string());
                let zone = zone.unwrap_or_default();
                let quoted = zone.split('\'').nth(1).map(str::to_owned);
                let zone = match zone.as_str() {
                    "datetime.timezone.utc" => "UTC".to_owned(),
                    _ => quoted.unwrap_or(zone),
                };
                format!("datetime64[{}, {zone}]", text("_unit")?)
            }
            "StringDtype" => {
                // The texts that pandas 3 makes by itself are missing as NaN, those of `StringDtype()` as `pd.NA`.
                let missing = self.attribute(dtype, "_na_value").ok().flatten();
                let is_nan = missing
                    .is_some_and(|value| self.class_of(value).is_ok_and(|class| class.name == "float"));
                if is_nan { "str".to_owned() } else { "string".to_owned() }
            }
            "PeriodDtype" => "period".to_owned(),
            "IntervalDtype" => "interval".to_owned(),
            name => name.strip_suffix("Dtype").unwrap_or(name).to_owned(),
        })
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
        self.wrapped(self.attribute(index, "_data").ok()??)
    }

    fn wrapped(&self, mut data: u64) -> Option<u64> {
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

    /// The first labels of an index of objects.
    fn index_items(&self, index: u64) -> Option<Vec<Value>> {
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
        Some(items.into_iter().map(label).collect())
    }
}
