//! What class an object is of, and so how it is to be read.

use std::rc::Rc;

use super::Describer;
use crate::objects::{ReadError, read_string};

/// `Py_TPFLAGS_HEAPTYPE`: made while the program runs, so that a structure of its own follows the type.
const FLAG_HEAP: u64 = 1 << 9;
/// Classes are derived from others no deeper than this.
const BASES_MAX: usize = 64;
/// Classes in the order in which attributes are looked for, beyond which none is looked at.
const ORDER_MAX: u64 = 64;
/// Entries of a class's dictionary beyond which none is looked at.
const CLASS_ENTRIES_MAX: usize = 512;
/// Names of attributes in `__slots__` and `_fields`.
const NAMES_MAX: usize = 256;

/// A class, as far as its instances are described by it.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) address: u64,
    /// Its name without the module.
    pub(super) name: String,
    /// The module; empty for what is built in.
    pub(super) module: String,
    pub(super) kind: Kind,
    /// It is the built-in class itself, not one derived from it.
    pub(super) exact: bool,
    /// Attributes that lie in the object itself (`__slots__`): name and place.
    pub(super) slots: Vec<(String, u64)>,
}

/// How the instances of a class are laid out: that of the nearest built-in class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Holds no other objects.
    Atom(Atom),
    List,
    Tuple,
    /// The names of a named tuple's fields.
    NamedTuple(Vec<String>),
    Set,
    FrozenSet,
    Dict,
    Exception,
    Enumeration,
    Instance,
    Range,
    Slice,
    Method,
    Deque,
    Partial,
    /// A view of a dictionary, or a proxy of one.
    View,
    Uuid,
    Fraction,
    Path,
    DataFrame,
    Series,
    /// pandas' labels.
    Index,
    /// Of nothing is known where its parts lie.
    Other,
}

/// Values that hold no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Atom {
    None,
    Bool,
    Int,
    Float,
    Complex,
    Text,
    Bytes,
    ByteArray,
    Ellipsis,
    NotImplemented,
    Class,
    Module,
    Function,
    CFunction,
    Generator,
    Date,
    DateTime,
    Time,
    TimeDelta,
    /// `datetime.timezone`.
    Zone,
    ZoneInfo,
    Decimal,
    Pattern,
    WeakReference,
    TypedArray,
    MemoryView,
    CtypesArray,
    CtypesNumber,
    Array,
    ArrayScalar,
    ArrayType,
}

impl Class {
    /// `module.Class`, without the module where that is Python's own.
    pub(super) fn full_name(&self) -> String {
        match self.module.as_str() {
            "" | "builtins" => self.name.clone(),
            module => format!("{module}.{}", self.name),
        }
    }
}

impl Describer<'_> {
    pub(super) fn class_of(&self, object: u64) -> Result<Rc<Class>, ReadError> {
        let address = self.word(object, self.located.offsets.object.ob_type)?;
        if let Some(class) = self.classes.borrow().get(&address) {
            return Ok(class.clone());
        }
        let class = Rc::new(self.read_class(address)?);
        self.classes.borrow_mut().insert(address, class.clone());
        Ok(class)
    }

    /// Name and module of the class at `address`.
    pub(super) fn class_names(&self, address: u64) -> Result<(String, String), ReadError> {
        let stated = self.type_name(address)?;
        if self.is_heap(address)? {
            let name = self.word(address, self.located.offsets.value.type_qualname)?;
            let name = read_string(self.memory, self.located, name)?;
            let module = self.class_attribute(address, "__module__")?;
            let module = module.and_then(|module| read_string(self.memory, self.located, module).ok());
            let stated = || stated.rsplit_once('.').map_or("", |(module, _)| module).to_owned();
            return Ok((name, module.unwrap_or_else(stated)));
        }
        Ok(match stated.rsplit_once('.') {
            Some((module, name)) => (name.to_owned(), module.to_owned()),
            None => (stated, String::new()),
        })
    }

    fn read_class(&self, address: u64) -> Result<Class, ReadError> {
        let (name, module) = self.class_names(address)?;
        let mut class = Class { address, name, module, kind: Kind::Other, exact: false, slots: Vec::new() };
        let mut base = address;
        for depth in 0..BASES_MAX {
            let stated = self.type_name(base)?;
            let is_heap = self.is_heap(base)?;
            // A class made in Python may be called as a built-in one is, but has no dot in its name.
            let known = if is_heap && !stated.contains('.') { None } else { known(&stated) };
            if let Some(kind) = known {
                class.kind = kind;
                class.exact = depth == 0 && stated != "frozendict";
                break;
            }
            if is_heap && let Some(kind) = self.library_kind(base, &stated) {
                class.kind = kind;
                break;
            }
            base = match self.word(base, self.located.offsets.value.type_base)? {
                0 => break,
                base => base,
            };
        }
        self.refine(&mut class)?;
        Ok(class)
    }

    /// Named tuples, enumerations and ordinary instances are known from what their classes hold.
    fn refine(&self, class: &mut Class) -> Result<(), ReadError> {
        if !self.is_heap(class.address)? {
            return Ok(());
        }
        let meta = self.word(class.address, self.located.offsets.object.ob_type)?;
        if matches!(self.type_name(meta)?.as_str(), "EnumMeta" | "EnumType") {
            class.kind = Kind::Enumeration;
            class.exact = false;
        }
        if class.kind == Kind::Tuple
            && let Some(names) = self.class_attribute(class.address, "_fields")?
            && let Ok(names) = self.names(names)
        {
            class.kind = Kind::NamedTuple(names);
        }
        if matches!(class.kind, Kind::Instance | Kind::Uuid | Kind::Fraction | Kind::Path) {
            class.slots = self.slots(class.address)?;
        }
        Ok(())
    }

    pub(super) fn type_name(&self, class: u64) -> Result<String, ReadError> {
        self.c_string(self.word(class, self.located.offsets.object.type_name)?)
    }

    fn is_heap(&self, class: u64) -> Result<bool, ReadError> {
        Ok(self.word(class, self.located.offsets.object.type_flags)? & FLAG_HEAP != 0)
    }

    /// An attribute of a class made while the program runs, looked for in it and in its bases.
    pub(super) fn class_attribute(&self, class: u64, name: &str) -> Result<Option<u64>, ReadError> {
        let objects = self.objects();
        for base in self.order(class)? {
            let dict = self.word(base, self.located.offsets.value.type_dict)?;
            // From 3.12 on the dictionaries of built-in classes are elsewhere; naja asks them nothing.
            if dict == 0 {
                continue;
            }
            if let Some(value) = objects.dict_start(dict, CLASS_ENTRIES_MAX)?.get(&objects, name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// The classes of its method resolution order that were made while the program runs.
    fn order(&self, class: u64) -> Result<Vec<u64>, ReadError> {
        let offsets = &self.located.offsets;
        let order = self.word(class, offsets.value.type_mro)?;
        if order == 0 {
            return Ok(vec![class]);
        }
        let count = self.word(order, offsets.object.ob_size)?.min(ORDER_MAX) as usize;
        let mut classes = self.words(order.wrapping_add(u64::from(offsets.object.tuple_items)), count)?;
        classes.retain(|class| self.is_heap(*class).unwrap_or(false));
        Ok(classes)
    }

    /// The attributes that `__slots__` has given the class and its bases, those of the oldest base first.
    fn slots(&self, class: u64) -> Result<Vec<(String, u64)>, ReadError> {
        let v = &self.located.offsets.value;
        let mut slots = Vec::new();
        for base in self.order(class)?.into_iter().rev() {
            let dict = self.word(base, v.type_dict)?;
            if dict == 0 {
                continue;
            }
            for (_, descriptor) in self.objects().dict_start(dict, CLASS_ENTRIES_MAX)?.items() {
                let kind = self.word(descriptor, self.located.offsets.object.ob_type)?;
                if slots.len() >= NAMES_MAX || self.type_name(kind)? != "member_descriptor" {
                    continue;
                }
                let name = self.word(descriptor, v.descriptor_name)?;
                let name = read_string(self.memory, self.located, name)?;
                let member = self.word(descriptor, v.descriptor_member)?;
                slots.push((name, self.word(member, v.member_offset)?));
            }
        }
        Ok(slots)
    }

    /// The strings of a tuple.
    pub(super) fn names(&self, tuple: u64) -> Result<Vec<String>, ReadError> {
        let o = &self.located.offsets.object;
        let count = self.word(tuple, o.ob_size)?;
        if count > NAMES_MAX as u64 {
            return Err(ReadError::Implausible("a tuple of names"));
        }
        let items = self.words(tuple.wrapping_add(u64::from(o.tuple_items)), count as usize)?;
        items.into_iter().map(|item| read_string(self.memory, self.located, item)).collect()
    }
}

/// The built-in classes, and those of Python's and other libraries that are made in C, by the name that they state.
fn known(name: &str) -> Option<Kind> {
    Some(match name {
        "object" => Kind::Instance,
        "NoneType" => Kind::Atom(Atom::None),
        "bool" => Kind::Atom(Atom::Bool),
        "int" => Kind::Atom(Atom::Int),
        "float" => Kind::Atom(Atom::Float),
        "complex" => Kind::Atom(Atom::Complex),
        "str" => Kind::Atom(Atom::Text),
        "bytes" => Kind::Atom(Atom::Bytes),
        "bytearray" => Kind::Atom(Atom::ByteArray),
        "ellipsis" => Kind::Atom(Atom::Ellipsis),
        "NotImplementedType" => Kind::Atom(Atom::NotImplemented),
        "type" => Kind::Atom(Atom::Class),
        "module" => Kind::Atom(Atom::Module),
        "function" => Kind::Atom(Atom::Function),
        "builtin_function_or_method" => Kind::Atom(Atom::CFunction),
        "generator" | "coroutine" | "async_generator" => Kind::Atom(Atom::Generator),
        "collections.deque" => Kind::Deque,
        "functools.partial" => Kind::Partial,
        "mappingproxy" | "dict_keys" | "dict_values" | "dict_items" => Kind::View,
        "weakref" | "weakref.ReferenceType" => Kind::Atom(Atom::WeakReference),
        "re.Pattern" => Kind::Atom(Atom::Pattern),
        "decimal.Decimal" => Kind::Atom(Atom::Decimal),
        "array.array" => Kind::Atom(Atom::TypedArray),
        "memoryview" => Kind::Atom(Atom::MemoryView),
        "_ctypes.Array" => Kind::Atom(Atom::CtypesArray),
        "_ctypes._SimpleCData" => Kind::Atom(Atom::CtypesNumber),
        "datetime.time" => Kind::Atom(Atom::Time),
        "datetime.timezone" => Kind::Atom(Atom::Zone),
        "zoneinfo.ZoneInfo" => Kind::Atom(Atom::ZoneInfo),
        "datetime.date" => Kind::Atom(Atom::Date),
        "datetime.datetime" => Kind::Atom(Atom::DateTime),
        "datetime.timedelta" => Kind::Atom(Atom::TimeDelta),
        "numpy.ndarray" => Kind::Atom(Atom::Array),
        "numpy.generic" => Kind::Atom(Atom::ArrayScalar),
        "numpy.dtype" => Kind::Atom(Atom::ArrayType),
        "list" => Kind::List,
        "tuple" => Kind::Tuple,
        "set" => Kind::Set,
        "frozenset" => Kind::FrozenSet,
        "dict" | "frozendict" => Kind::Dict,
        "BaseException" => Kind::Exception,
        "range" => Kind::Range,
        "slice" => Kind::Slice,
        "method" => Kind::Method,
        _ => return None,
    })
}
