//! Instances of classes made in Python: dataclasses, enumerations and all others.

use super::class::Class;
use super::{Describer, Value};
use crate::objects::{ReadError, read_string};

impl Describer<'_> {
    /// Class and attributes: those in the object itself first, then those in its dictionary.
    pub(super) fn instance(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let mut fields = Vec::new();
        for (name, place) in &class.slots {
            // What a library keeps for itself, such as pydantic's `__pydantic_fields_set__`.
            if name.starts_with("__") && name.ends_with("__") {
                continue;
            }
            // An attribute without a value yet is none.
            let value = self.memory.read_u64(address.wrapping_add(*place))?;
            if value != 0 {
                fields.push((name.clone(), value));
            }
        }
        fields.extend(self.attributes(address, class)?);
        if fields.is_empty() {
            return Ok(Value::Other(format!("{} object", class.full_name()), address));
        }
        let shown = fields.len().min(self.limits.items);
        let more = (fields.len() - shown) as u64;
        let fields =
            fields.into_iter().take(shown).map(|(name, value)| (Some(name), self.item(value))).collect();
        Ok(Value::Made { class: class.name.clone(), fields, more })
    }

    /// The attributes that an instance has of its own, by name.
    pub(super) fn attributes(&self, address: u64, class: &Class) -> Result<Vec<(String, u64)>, ReadError> {
        const ATTRIBUTES_MAX: usize = 1024;
        let variable_size = self.variable_size(address, class)?;
        let entries = self.objects().own_attributes(address, class.address, variable_size, ATTRIBUTES_MAX)?;
        // Keys that are no strings are not attributes.
        let named = entries
            .items()
            .filter_map(|(key, value)| Some((read_string(self.memory, self.located, key).ok()?, value)));
        Ok(named.collect())
    }

    /// The attribute of that name, as far as the instance itself has it.
    pub(super) fn attribute(&self, address: u64, name: &str) -> Result<Option<u64>, ReadError> {
        let class = self.class_of(address)?;
        Ok(self.attributes(address, &class)?.into_iter().find(|(own, _)| own == name).map(|(_, value)| value))
    }

    /// Bytes that the items of a variable-sized object take.
    fn variable_size(&self, address: u64, class: &Class) -> Result<u64, ReadError> {
        let size = self.word(class.address, self.located.offsets.value.type_item_size)?;
        if size == 0 {
            return Ok(0);
        }
        let count = self.word(address, self.located.offsets.object.ob_size)? as i64;
        Ok(count.unsigned_abs().wrapping_mul(size))
    }

    pub(super) fn enumeration(&self, address: u64, class: &Class) -> Result<Value, ReadError> {
        let attributes = self.attributes(address, class)?;
        let find = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, value)| *value);
        let name = find("_name_").and_then(|name| read_string(self.memory, self.located, name).ok());
        let value = find("_value_").map_or(Value::Unreadable, |value| self.item(value));
        let name = match name {
            Some(name) => format!("{}.{name}", class.name),
            // A combination of flags has no name.
            None => class.name.clone(),
        };
        Ok(Value::Member(name, Box::new(value)))
    }
}
