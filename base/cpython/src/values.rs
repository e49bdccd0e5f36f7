//! Describes Python objects that lie in memory: what they are and what they hold, as plain data.
//!
//! None of the program's own code is run: what an object says of itself (`__repr__`) is not known here. Numbers,
//! texts and containers read as Python writes them; an instance is its class and its attributes; an array is its
//! shape and its type. How deep, how many items, how long a text and how many reads is limited, a circle ends in `…`,
//! and what cannot be read is `<unreadable>`. Start at [`Describer::value`]; the text is [`Value`]'s `Display`.

mod buffer;
mod builtin;
mod class;
mod decimal;
mod instance;
mod libraries;
mod locals;
mod pandas;
mod standard;
mod text;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rustc_hash::FxHashMap;

use self::class::{Class, Kind};
use crate::locate::Located;
use crate::memory::Memory;
use crate::objects::{Objects, ReadError};

pub use self::locals::Local;

/// How much of an object is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Containers inside containers.
    pub depth: u32,
    /// Items of one container, attributes of one instance.
    pub items: usize,
    /// Characters of one text, digits of one number.
    pub characters: usize,
    /// Objects looked at for one value.
    pub objects: u32,
}

impl Limits {
    /// What fits into a line or two.
    pub const SHORT: Limits = Limits { depth: 3, items: 10, characters: 120, objects: 300 };
    /// What somebody wants who asks for more.
    pub const LONG: Limits = Limits { depth: 8, items: 200, characters: 4000, objects: 10_000 };
}

/// What an object is and holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// What Python writes as one word or number: `None`, `True`, `...`, an `int`, a name.
    Word(String),
    /// A `float`.
    Float(f64),
    /// A `complex`: its real and its imaginary part.
    Complex(f64, f64),
    /// A `str`, and how many characters it has if these are not all.
    Text(String, Option<u64>),
    /// A `bytes` or `bytearray`, and how many bytes it has if these are not all.
    Bytes {
        /// Whether it is a `bytearray`.
        mutable: bool,
        /// The first bytes.
        bytes: Vec<u8>,
        /// How many it has, if these are not all.
        of: Option<u64>,
    },
    /// A container of items.
    Items {
        /// Which.
        kind: Sequence,
        /// The first items.
        items: Vec<Value>,
        /// How many are left out.
        more: u64,
    },
    /// A `dict`.
    Dict {
        /// The first entries, in order.
        entries: Vec<(Value, Value)>,
        /// How many are left out.
        more: u64,
    },
    /// A class and what it was made of: `Point(x=1, y=2)`, `ValueError('no')`, `ndarray(shape=(3,), dtype=int64)`.
    Made {
        /// The name of the class.
        class: String,
        /// What it holds; those without a name come first.
        fields: Vec<(Option<String>, Value)>,
        /// How many are left out.
        more: u64,
    },
    /// A member of an enumeration: its name, as `Color.RED`, and its value.
    Member(String, Box<Value>),
    /// Anything else: what it is called, and where it lies.
    Other(String, u64),
    /// The object that this is a part of: a circle; or one deeper than the limit.
    Omitted,
    /// It could not be read: torn, or gone meanwhile.
    Unreadable,
}

/// The containers that Python writes with brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequence {
    /// `[1, 2]`
    List,
    /// `(1, 2)`
    Tuple,
    /// `{1, 2}`
    Set,
    /// `frozenset({1, 2})`
    FrozenSet,
}

/// Describes objects of one process, and remembers its classes.
pub struct Describer<'a> {
    memory: &'a dyn Memory,
    located: &'a Located,
    limits: Limits,
    objects_left: Cell<u32>,
    /// The containers that the object being described lies in.
    inside: RefCell<Vec<u64>>,
    classes: RefCell<FxHashMap<u64, Rc<Class>>>,
}

impl<'a> Describer<'a> {
    /// For the objects of the interpreter that was found in this memory.
    pub fn new(memory: &'a dyn Memory, located: &'a Located, limits: Limits) -> Self {
        Describer {
            memory,
            located,
            limits,
            objects_left: Cell::new(0),
            inside: RefCell::default(),
            classes: RefCell::default(),
        }
    }

    /// Describes the object at `address`, which may carry the low bits of a reference on the interpreter's stack.
    ///
    /// Cost: three to five reads per object, up to the limits.
    pub fn value(&self, address: u64) -> Value {
        self.objects_left.set(self.limits.objects);
        self.inside.borrow_mut().clear();
        self.item(address)
    }

    /// The name of an object's class, as `module.Class`; empty when it cannot be read.
    pub fn class_name(&self, address: u64) -> String {
        self.class_of(address).map_or_else(|_| String::new(), |class| class.full_name())
    }

    /// Describes an object as a part of the one that is being described.
    fn item(&self, address: u64) -> Value {
        if self.objects_left.get() == 0 {
            return Value::Omitted;
        }
        self.objects_left.set(self.objects_left.get() - 1);
        if address == 0 {
            return Value::Unreadable;
        }
        self.class_of(address).and_then(|class| self.describe(address, &class)).unwrap_or(Value::Unreadable)
    }

    fn describe(&self, address: u64, class: &Rc<Class>) -> Result<Value, ReadError> {
        let holds_others = !matches!(class.kind, Kind::Atom(_) | Kind::Other);
        if !holds_others {
            return self.atom(address, class);
        }
        if self.inside.borrow().contains(&address) {
            return Ok(Value::Omitted);
        }
        if self.inside.borrow().len() >= self.limits.depth as usize {
            return Ok(self.deeper(address, class));
        }
        self.inside.borrow_mut().push(address);
        let value = self.composite(address, class);
        self.inside.borrow_mut().pop();
        value
    }

    /// What is said of a container deeper than the limit: an empty one is told as such.
    fn deeper(&self, address: u64, class: &Class) -> Value {
        let is_empty = match class.kind {
            Kind::List | Kind::Tuple => self.word(address, self.located.offsets.object.ob_size) == Ok(0),
            Kind::Dict => self.word(address, self.located.offsets.value.dict_used) == Ok(0),
            _ => false,
        };
        if is_empty {
            self.composite(address, &class.clone().into()).unwrap_or(Value::Omitted)
        } else {
            Value::Omitted
        }
    }

    fn objects(&self) -> Objects<'a> {
        Objects::new(self.memory, self.located)
    }

    fn word(&self, address: u64, offset: u32) -> Result<u64, ReadError> {
        Ok(self.memory.read_u64(address.wrapping_add(u64::from(offset)))?)
    }

    /// Where the fields behind the head of every object begin.
    fn head(&self) -> u32 {
        self.located.offsets.object.ob_type + 8
    }

    /// Consecutive words.
    fn words(&self, address: u64, count: usize) -> Result<Vec<u64>, ReadError> {
        let mut bytes = vec![0; count * 8];
        self.memory.read(address, &mut bytes)?;
        Ok(bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().expect("chunks of eight")))
            .collect())
    }

    /// A C string of a name; cut where it is longer than any.
    fn c_string(&self, address: u64) -> Result<String, ReadError> {
        const NAME_BYTES_MAX: usize = 256;
        let mut bytes = [0; NAME_BYTES_MAX];
        let mut len = NAME_BYTES_MAX;
        // A name can lie at the very end of a mapping.
        while self.memory.read(address, &mut bytes[..len]).is_err() {
            len /= 2;
            if len < 4 {
                return Err(ReadError::Implausible("a name"));
            }
        }
        let end = bytes[..len].iter().position(|byte| *byte == 0).unwrap_or(len);
        Ok(String::from_utf8_lossy(&bytes[..end]).into_owned())
    }
}
