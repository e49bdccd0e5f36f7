//! Functions of the program's own, which statements call.
//!
//! They are called by the thread that runs the statement, in the middle of it: a function must not use the connection
//! that calls it. Start at [`super::Connection::define`].
#![allow(unsafe_code)] // functions that SQLite calls; each block gives its reason

use std::cmp::Ordering;
use std::ffi::{CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};

use super::connection::bytes_at;
use super::library::{
    BLOB, DETERMINISTIC, Functions, INTEGER, MISUSE, OK, REAL, RawConnection, RawContext, RawValue, TEXT,
    TRANSIENT, UTF8,
};
use super::{Cell, Error, Result};

/// The longest name that SQLite takes, in bytes.
const NAME_MAX: usize = 255;

/// The size of what an aggregate has in the place of a group.
#[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap)] // eight
const POINTER_SIZE: c_int = size_of::<*mut Group>() as c_int;

/// What a function of the program's own is called, and what it does.
#[derive(Clone)]
pub struct Definition {
    /// Its name in statements.
    pub name: String,
    /// How many arguments it has; −1 for any number. A collation has none.
    pub arguments: i32,
    /// It gives the same for the same, so that SQLite may call it once for many rows, and indexes may use it.
    pub is_deterministic: bool,
    /// What it does.
    pub body: Body,
}

impl Definition {
    /// The name as SQLite takes it.
    ///
    /// Errors: 21 for a name or a number of arguments that no function can have
    pub fn check(&self) -> Result<CString> {
        if self.name.len() > NAME_MAX {
            return Err(self.misuse("a function's name has at most 255 bytes"));
        }
        if !(-1..=127).contains(&self.arguments) {
            return Err(self.misuse("a function has at most 127 arguments, or any number (-1)"));
        }
        CString::new(self.name.as_str()).map_err(|_| self.misuse("its name holds a NUL character"))
    }

    fn misuse(&self, message: &str) -> Error {
        Error::new(MISUSE, format!("cannot define `{}`: {message}", self.name))
    }
}

/// What is defined.
#[derive(Clone)]
pub enum Body {
    /// A function of the values of one row.
    Scalar(Arc<dyn Scalar>),
    /// A function of many rows.
    Aggregate(Arc<dyn Aggregate>),
    /// An order of texts.
    Collation(Arc<dyn Collation>),
    /// The function of this name and number of arguments is there no more.
    NoFunction,
    /// The collation of this name is there no more.
    NoCollation,
}

/// A function of the values of one row.
pub trait Scalar: Send + Sync {
    /// What it gives for these.
    ///
    /// Errors: of its own; they end the statement
    fn call(&self, arguments: &[Cell<'_>]) -> std::result::Result<Answer, Refusal>;
}

/// A function of many rows.
pub trait Aggregate: Send + Sync {
    /// Begins with the first row of a group; a group without rows gives NULL.
    ///
    /// Errors: of its own; they end the statement
    fn start(&self) -> std::result::Result<Box<dyn Running>, Refusal>;
}

/// An aggregate on its way through the rows of a group.
pub trait Running: Send {
    /// Takes the values of a row.
    ///
    /// Errors: of its own; they end the statement
    fn step(&mut self, arguments: &[Cell<'_>]) -> std::result::Result<(), Refusal>;

    /// What it gives for all rows.
    ///
    /// Errors: of its own; they end the statement
    fn finish(self: Box<Self>) -> std::result::Result<Answer, Refusal>;
}

/// An order of texts.
pub trait Collation: Send + Sync {
    /// How two texts are sorted, which somebody may have stored as other than UTF-8.
    ///
    /// Errors: of its own; they interrupt the statement (code 9)
    fn compare(&self, one: &[u8], other: &[u8]) -> std::result::Result<Ordering, Refusal>;
}

/// What a function gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// Why a function gives nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It failed; in these words the statement fails.
    Failed(String),
    /// There is no memory left.
    NoMemory,
    /// A value is larger than SQLite takes.
    TooBig,
}

/// A group of an aggregate whose first row was seen; none where it failed.
type Group = Option<Box<dyn Running>>;

/// A collation, and the connection whose statement ends where it fails.
struct Order {
    body: Arc<dyn Collation>,
    connection: NonNull<RawConnection>,
}

/// The copy of SQLite that calls functions: a call says of which function it is, but not by which copy it is made. There is
/// one in a process, and a second one is refused.
static CALLER: OnceLock<&'static Functions> = OnceLock::new();

/// Defines a function or a collation; the result code of SQLite.
///
/// # Safety
/// The connection is open, and of the library with these functions.
pub(super) unsafe fn define(
    functions: &'static Functions,
    connection: NonNull<RawConnection>,
    definition: &Definition,
) -> Result<c_int> {
    if !ptr::fn_addr_eq(CALLER.get_or_init(|| functions).user_data, functions.user_data) {
        return Err(
            definition.misuse("only one copy of SQLite in a process can call functions of the program")
        );
    }
    let name = definition.check()?;
    let function = |kept: *mut c_void, call, step, end, destroy| {
        let flags = UTF8 | if definition.is_deterministic { DETERMINISTIC } else { 0 };
        let count = definition.arguments;
        let (raw, name) = (connection.as_ptr(), name.as_ptr());
        // SAFETY: the connection is open and the name ends with NUL. What is kept lives until `destroy` drops it, which
        // SQLite calls once, also where it refuses the function.
        unsafe { (functions.create_function_v2)(raw, name, count, flags, kept, call, step, end, destroy) }
    };
    let collation = |kept: *mut c_void, compare, destroy| {
        let (raw, name) = (connection.as_ptr(), name.as_ptr());
        // SAFETY: the connection is open and the name ends with NUL. What is kept lives until `destroy` drops it.
        unsafe { (functions.create_collation_v2)(raw, name, UTF8, kept, compare, destroy) }
    };
    Ok(match &definition.body {
        Body::Scalar(body) => {
            function(kept(body.clone()), Some(call), None, None, Some(forget::<Arc<dyn Scalar>>))
        }
        Body::Aggregate(body) => {
            function(kept(body.clone()), None, Some(step), Some(end), Some(forget::<Arc<dyn Aggregate>>))
        }
        Body::NoFunction => function(ptr::null_mut(), None, None, None, None),
        Body::Collation(body) => {
            let order = kept(Order { body: body.clone(), connection });
            let code = collation(order, Some(compare), Some(forget::<Order>));
            if code != OK {
                // SAFETY: a collation that SQLite refuses it does not drop.
                unsafe { forget::<Order>(order) };
            }
            code
        }
        Body::NoCollation => collation(ptr::null_mut(), None, None),
    })
}

/// Something in a place of its own, which `forget` drops.
fn kept<T>(it: T) -> *mut c_void {
    Box::into_raw(Box::new(it)).cast()
}

/// SQLite needs a definition no more.
///
/// # Safety
/// What is given comes from [`kept`], of the same type, and is given once.
unsafe extern "C" fn forget<T>(it: *mut c_void) {
    // SAFETY: the caller's promise.
    let it = unsafe { Box::from_raw(it.cast::<T>()) };
    // What is dropped is the program's own, and no panic may go on into SQLite.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(it)));
}

/// Runs something of the program's own; a panic is an error, since it may not go on into SQLite.
fn guarded<T>(work: impl FnOnce() -> std::result::Result<T, Refusal>) -> std::result::Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(Refusal::Failed("a function of naja failed; see the message above".to_owned()))
    })
}

/// The arguments of a call.
///
/// # Safety
/// SQLite has given `count` values, which stay as they are while the answer is used.
unsafe fn arguments<'a>(functions: &Functions, count: c_int, values: *mut *mut RawValue) -> Vec<Cell<'a>> {
    let count = usize::try_from(count).unwrap_or(0);
    (0..count)
        .map(|index| {
            // SAFETY: the index is in range; the length is asked after the pointer, as SQLite's documentation wants.
            unsafe {
                let value = values.add(index).read();
                match (functions.value_type)(value) {
                    INTEGER => Cell::Integer((functions.value_int64)(value)),
                    REAL => Cell::Real((functions.value_double)(value)),
                    TEXT => {
                        let start = (functions.value_text)(value);
                        Cell::Text(bytes_at(start, (functions.value_bytes)(value)))
                    }
                    BLOB => {
                        let start = (functions.value_blob)(value).cast();
                        Cell::Bytes(bytes_at(start, (functions.value_bytes)(value)))
                    }
                    _ => Cell::Null,
                }
            }
        })
        .collect()
}

/// Tells SQLite what a function gave.
///
/// # Safety
/// The context is that of the call.
unsafe fn answer(
    functions: &Functions,
    context: *mut RawContext,
    answer: std::result::Result<Answer, Refusal>,
) {
    // SAFETY: the context is that of the call; texts and bytes are copied at once, of the length that they have.
    unsafe {
        match answer {
            Ok(Answer::Null) => (functions.result_null)(context),
            Ok(Answer::Integer(value)) => (functions.result_int64)(context, value),
            Ok(Answer::Real(value)) => (functions.result_double)(context, value),
            Ok(Answer::Text(text)) => match c_int::try_from(text.len()) {
                Ok(length) => (functions.result_text)(context, text.as_ptr().cast(), length, TRANSIENT),
                Err(_) => (functions.result_error_toobig)(context),
            },
            Ok(Answer::Bytes(bytes)) => match c_int::try_from(bytes.len()) {
                Ok(length) => (functions.result_blob)(context, bytes.as_ptr().cast(), length, TRANSIENT),
                Err(_) => (functions.result_error_toobig)(context),
            },
            Err(refusal) => refuse(functions, context, &refusal),
        }
    }
}

/// Tells SQLite that a function failed.
///
/// # Safety
/// The context is that of the call.
unsafe fn refuse(functions: &Functions, context: *mut RawContext, refusal: &Refusal) {
    // SAFETY: the caller's promise; SQLite copies the text, of the length that is given.
    unsafe {
        match refusal {
            Refusal::Failed(message) => {
                let length = c_int::try_from(message.len()).unwrap_or(0);
                (functions.result_error)(context, message.as_ptr().cast::<c_char>(), length);
            }
            Refusal::NoMemory => (functions.result_error_nomem)(context),
            Refusal::TooBig => (functions.result_error_toobig)(context),
        }
    }
}

/// What was kept for the function that is called.
///
/// # Safety
/// The context is that of a call of a function that was defined with a `T`.
unsafe fn defined<'a, T>(functions: &Functions, context: *mut RawContext) -> &'a T {
    // SAFETY: the caller's promise; SQLite keeps a definition while it calls the function.
    unsafe { &*(functions.user_data)(context).cast::<T>() }
}

/// SQLite calls a function.
unsafe extern "C" fn call(context: *mut RawContext, count: c_int, values: *mut *mut RawValue) {
    let Some(functions) = CALLER.get() else { return };
    // SAFETY: SQLite gives the context of the call, and its values, which stay as long as it lasts.
    unsafe {
        let body: &Arc<dyn Scalar> = defined(functions, context);
        let given = arguments(functions, count, values);
        answer(functions, context, guarded(|| body.call(&given)));
    }
}

/// SQLite gives an aggregate a row.
unsafe extern "C" fn step(context: *mut RawContext, count: c_int, values: *mut *mut RawValue) {
    let Some(functions) = CALLER.get() else { return };
    // SAFETY: as in `call`. SQLite gives each group a place of its own, which is zero at first: then it is a null pointer,
    // and later the box that was put there.
    let done = unsafe {
        let place = (functions.aggregate_context)(context, POINTER_SIZE).cast::<*mut Group>();
        if place.is_null() {
            Err(Refusal::NoMemory)
        } else {
            if (*place).is_null() {
                *place = Box::into_raw(Box::new(None));
                let body: &Arc<dyn Aggregate> = defined(functions, context);
                match guarded(|| body.start()) {
                    Ok(running) => **place = Some(running),
                    Err(refusal) => return refuse(functions, context, &refusal),
                }
            }
            let given = arguments(functions, count, values);
            match &mut **place {
                Some(running) => guarded(|| running.step(&given)),
                // It has failed, which SQLite knows.
                None => return,
            }
        }
    };
    if let Err(refusal) = done {
        // SAFETY: as above.
        unsafe { refuse(functions, context, &refusal) };
    }
}

/// A group of an aggregate has no more rows, or its statement ends.
unsafe extern "C" fn end(context: *mut RawContext) {
    let Some(functions) = CALLER.get() else { return };
    // SAFETY: as in `step`. With a size of 0 there is no place where no row was seen. What is in the place is taken out, so
    // that it is dropped once.
    unsafe {
        let place = (functions.aggregate_context)(context, 0).cast::<*mut Group>();
        if place.is_null() || (*place).is_null() {
            return (functions.result_null)(context);
        }
        let group = *Box::from_raw(ptr::replace(place, ptr::null_mut()));
        if let Some(running) = group {
            answer(functions, context, guarded(|| running.finish()));
        }
    }
}

/// SQLite asks which of two texts comes first.
unsafe extern "C" fn compare(
    order: *mut c_void,
    one_length: c_int,
    one: *const c_void,
    other_length: c_int,
    other: *const c_void,
) -> c_int {
    // SAFETY: SQLite gives what was kept for the collation, and texts of these lengths.
    let (order, one, other) = unsafe {
        (&*order.cast::<Order>(), bytes_at(one.cast(), one_length), bytes_at(other.cast(), other_length))
    };
    match guarded(|| order.body.compare(one, other)) {
        Ok(Ordering::Less) => -1,
        Ok(Ordering::Equal) => 0,
        Ok(Ordering::Greater) => 1,
        Err(_) => {
            if let Some(functions) = CALLER.get() {
                // An order cannot fail. What would be sorted wrongly is not sorted at all.
                // SAFETY: the connection is open, since one of its statements runs.
                unsafe { (functions.interrupt)(order.connection.as_ptr()) };
            }
            0
        }
    }
}
