//! What a field's class and attributes come to, read once.

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyType};

use super::array::ArrayRules;
use super::boolean::BooleanRules;
use super::choice::ChoiceRules;
use super::classes::{Classes, classes};
use super::composite::{ConditionRules, ConstRules, ManyRules, NotRules};
use super::field::CheckedField;
use super::number::NumberRules;
use super::object::ObjectRules;
use super::schema::{ReferenceRules, SchemaRules};
use super::string::StringRules;

/// What a field checks, by the class of the package that it is or comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A class of the user's, right below `Field`.
    Own,
    String,
    Number,
    Boolean,
    Choice,
    Object,
    Array,
    Union,
    Any,
    Const,
    NeverMatch,
    OneOf,
    AllOf,
    Not,
    IfThenElse,
    Schema,
    Reference,
}

impl Kind {
    /// The methods of [`CheckedField`] that the classes of the package have as their `validate`.
    pub(super) const METHODS: [(&str, Self); 16] = [
        ("_validate_string", Self::String),
        ("_validate_number", Self::Number),
        ("_validate_boolean", Self::Boolean),
        ("_validate_choice", Self::Choice),
        ("_validate_object", Self::Object),
        ("_validate_array", Self::Array),
        ("_validate_union", Self::Union),
        ("_validate_any", Self::Any),
        ("_validate_const", Self::Const),
        ("_validate_never_match", Self::NeverMatch),
        ("_validate_one_of", Self::OneOf),
        ("_validate_all_of", Self::AllOf),
        ("_validate_not", Self::Not),
        ("_validate_if_then_else", Self::IfThenElse),
        ("_validate_schema", Self::Schema),
        ("_validate_reference", Self::Reference),
    ];
}

/// What each kind of field needs to know beyond what all have.
pub(super) enum Rules {
    /// Nothing, or nothing that could be read.
    None,
    String(StringRules),
    Number(NumberRules),
    Boolean(BooleanRules),
    Choice(ChoiceRules),
    Object(Box<ObjectRules>),
    Array(ArrayRules),
    Many(ManyRules),
    Const(ConstRules),
    Not(NotRules),
    Condition(ConditionRules),
    Schema(SchemaRules),
    Reference(ReferenceRules),
}

/// What stands in for a key that a value lacks.
pub(super) enum Default {
    None,
    Value(Py<PyAny>),
    /// It is called for each value.
    Made(Py<PyAny>),
    /// Methods of the user's say it.
    Asked,
}

/// What a field's class and attributes come to.
#[pyclass(frozen, module = "naja._native.db.validation")]
pub(super) struct Facts {
    pub(super) kind: Kind,
    pub(super) allow_null: bool,
    /// `None` where it has to be asked each time.
    pub(super) read_only: Option<bool>,
    pub(super) default: Default,
    /// Whether `validate` is the user's.
    pub(super) own_validate: bool,
    /// Whether `validate_or_error` is.
    pub(super) own_validate_or_error: bool,
    /// Whether `validation_error` is.
    pub(super) own_error: bool,
    /// Whether `get_error_text` is.
    pub(super) own_text: bool,
    pub(super) rules: Rules,
}

impl Facts {
    /// Whether they say what is needed to check a value by the rules of this kind.
    pub(super) fn can_be(&self, kind: Kind) -> bool {
        let needs_nothing = matches!(kind, Kind::Own | Kind::Any | Kind::NeverMatch);
        self.kind == kind && (needs_nothing || !matches!(self.rules, Rules::None))
    }
}

impl Facts {
    /// Whether another field is named here itself, and not by a list or a dictionary.
    pub(super) fn holds_a_field(&self, py: Python<'_>) -> bool {
        match &self.rules {
            Rules::Array(rules) => rules.holds_a_field(py),
            Rules::Object(rules) => rules.holds_a_field(py),
            Rules::Not(_) | Rules::Condition(_) => true,
            _ => false,
        }
    }
}

#[pymethods]
impl Facts {
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Default::Value(value) | Default::Made(value) = &self.default {
            visit.call(value)?;
        }
        match &self.rules {
            Rules::None | Rules::Boolean(_) | Rules::Number(_) | Rules::String(_) => Ok(()),
            Rules::Choice(rules) => visit.call(&rules.choices),
            Rules::Object(rules) => rules.traverse(&visit),
            Rules::Array(rules) => rules.traverse(&visit),
            Rules::Many(rules) => visit.call(&rules.fields),
            Rules::Const(rules) => visit.call(&rules.value),
            Rules::Not(rules) => visit.call(&rules.negated),
            Rules::Condition(rules) => rules.traverse(&visit),
            Rules::Schema(rules) => rules.traverse(&visit),
            Rules::Reference(rules) => visit.call(&rules.definitions),
        }
    }
}

/// Reads attributes, and remembers whether all of them were the field's own: only those are known to change by being
/// set, and so only then what was read may be kept.
pub(super) struct Attributes<'a, 'py> {
    pub(super) field: &'a Bound<'py, CheckedField>,
    own: Bound<'py, PyDict>,
    is_lasting: bool,
}

impl<'a, 'py> Attributes<'a, 'py> {
    pub(super) fn of(field: &'a Bound<'py, CheckedField>) -> PyResult<Self> {
        let own = field.getattr(pyo3::intern!(field.py(), "__dict__"))?.cast_into::<PyDict>()?;
        Ok(Self { field, own, is_lasting: true })
    }

    pub(super) fn get(&mut self, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let name = PyString::intern(self.field.py(), name);
        if let Some(value) = self.own.get_item(&name)? {
            return Ok(value);
        }
        self.is_lasting = false;
        self.field.getattr(name)
    }

    /// An attribute that is a class's as a rule.
    pub(super) fn get_of_class(&mut self, name: &str) -> PyResult<Bound<'py, PyAny>> {
        self.field.getattr(PyString::intern(self.field.py(), name))
    }

    pub(super) fn flag(&mut self, name: &str) -> PyResult<bool> {
        self.get(name)?.is_truthy()
    }

    /// A bound that is a whole number; one that is too large for this crate is as good as the largest.
    pub(super) fn bound(&mut self, name: &str) -> PyResult<Option<i64>> {
        let value = self.get(name)?;
        if value.is_none() {
            return Ok(None);
        }
        match value.extract::<i64>() {
            Ok(bound) => Ok(Some(bound)),
            Err(_) => Ok(Some(if value.gt(0)? { i64::MAX } else { i64::MIN })),
        }
    }

    fn is_own(&self, class: &Bound<'py, PyType>, name: &str, packages: &Py<PyAny>) -> PyResult<bool> {
        let name = PyString::intern(self.field.py(), name);
        Ok(self.own.contains(&name)? || !class.getattr(&name)?.is(packages))
    }

    fn default(&mut self, class: &Bound<'py, PyType>, classes: &Classes) -> PyResult<Default> {
        let py = self.field.py();
        let name = pyo3::intern!(py, "default");
        if self.is_own(class, "has_default", &classes.has_default)?
            || self.is_own(class, "get_default_value", &classes.get_default_value)?
        {
            return Ok(Default::Asked);
        }
        match self.own.get_item(name)? {
            Some(value) if value.is_callable() => Ok(Default::Made(value.unbind())),
            Some(value) => Ok(Default::Value(value.unbind())),
            None if class.hasattr(name)? => Ok(Default::Asked),
            None => Ok(Default::None),
        }
    }
}

/// Reads a field. The second value says whether what was read stays true until an attribute is set.
pub(super) fn read(field: &Bound<'_, CheckedField>) -> PyResult<(Facts, bool)> {
    let classes = classes(field.py())?;
    let class = field.get_type();
    let mut attributes = Attributes::of(field)?;
    let validate = pyo3::intern!(field.py(), "validate");
    let has_own = attributes.own.contains(validate)?;
    let found = kind_of(classes, &class.getattr(validate)?);
    let own_validate = has_own || found.is_none();
    let kind = match found {
        Some(kind) => kind,
        None => kind_above(classes, &class)?,
    };
    let default = attributes.default(&class, classes)?;
    let own_validate_or_error = attributes.is_own(&class, "validate_or_error", &classes.validate_or_error)?;
    let own_error = attributes.is_own(&class, "validation_error", &classes.validation_error_method)?;
    let own_text = attributes.is_own(&class, "get_error_text", &classes.get_error_text)?;
    let read_only = match attributes.own.get_item("read_only")? {
        Some(value) => Some(value.is_truthy()?),
        None => None,
    };
    let needed = read_rules(kind, &mut attributes);
    let (allow_null, rules) = match needed {
        Ok(needed) => needed,
        // The user's `validate` may never need what is missing.
        Err(_) if own_validate => (false, Rules::None),
        Err(error) => return Err(error),
    };
    let facts = Facts {
        kind,
        allow_null,
        read_only,
        default,
        own_validate,
        own_validate_or_error,
        own_error,
        own_text,
        rules,
    };
    Ok((facts, attributes.is_lasting))
}

/// Reads a field as if it were of a certain kind: for `String.validate(field, value)` and its like.
pub(super) fn read_as(kind: Kind, field: &Bound<'_, CheckedField>) -> PyResult<Facts> {
    let (facts, _) = read(field)?;
    if facts.can_be(kind) {
        return Ok(facts);
    }
    let (allow_null, rules) = read_rules(kind, &mut Attributes::of(field)?)?;
    Ok(Facts { kind, allow_null, rules, ..facts })
}

fn kind_of(classes: &Classes, method: &Bound<'_, PyAny>) -> Option<Kind> {
    classes.validators.iter().find(|(validator, _)| method.is(validator)).map(|(_, kind)| *kind)
}

/// What a class that has its own `validate` comes from.
fn kind_above(classes: &Classes, class: &Bound<'_, PyType>) -> PyResult<Kind> {
    for above in class.mro() {
        if let Ok(method) = above.getattr("__dict__")?.get_item("validate")
            && let Some(kind) = kind_of(classes, &method)
        {
            return Ok(kind);
        }
    }
    Ok(Kind::Own)
}

fn read_rules(kind: Kind, attributes: &mut Attributes<'_, '_>) -> PyResult<(bool, Rules)> {
    let rules = match kind {
        Kind::Own | Kind::Any | Kind::NeverMatch => return Ok((false, Rules::None)),
        Kind::String => Rules::String(StringRules::read(attributes)?),
        Kind::Number => Rules::Number(NumberRules::read(attributes)?),
        Kind::Boolean => Rules::Boolean(BooleanRules::read(attributes)?),
        Kind::Choice => Rules::Choice(ChoiceRules::read(attributes)?),
        Kind::Object => Rules::Object(Box::new(ObjectRules::read(attributes)?)),
        Kind::Array => Rules::Array(ArrayRules::read(attributes)?),
        Kind::Union => Rules::Many(ManyRules::read(attributes, "any_of")?),
        Kind::OneOf => Rules::Many(ManyRules::read(attributes, "one_of")?),
        Kind::AllOf => Rules::Many(ManyRules::read(attributes, "all_of")?),
        Kind::Const => Rules::Const(ConstRules::read(attributes)?),
        Kind::Not => Rules::Not(NotRules::read(attributes)?),
        Kind::IfThenElse => Rules::Condition(ConditionRules::read(attributes)?),
        Kind::Schema => Rules::Schema(SchemaRules::read(attributes)?),
        Kind::Reference => Rules::Reference(ReferenceRules::read(attributes)?),
    };
    Ok((attributes.flag("allow_null")?, rules))
}
