//! The text in whatever a caller gives: a string, bytes, or something to read from.

use std::borrow::Cow;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyByteArray, PyBytes, PyString};

/// A text to be parsed.
pub(crate) enum Text<'py> {
    /// A string, of which the text may be borrowed.
    Given(Bound<'py, PyString>),
    /// What was read or decoded.
    Read(Bound<'py, PyString>),
}

impl<'py> Text<'py> {
    /// Takes a string, bytes in UTF-8, or an object with `read`.
    pub(crate) fn from_object(object: &Bound<'py, PyAny>) -> PyResult<Text<'py>> {
        if let Ok(string) = object.cast::<PyString>() {
            return Ok(Text::Given(string.clone()));
        }
        if object.is_instance_of::<PyBytes>() || object.is_instance_of::<PyByteArray>() {
            let string = object.call_method0(intern!(object.py(), "decode"))?;
            return Ok(Text::Read(string.cast_into::<PyString>()?));
        }
        let Some(read) = object.getattr_opt(intern!(object.py(), "read"))?.filter(|read| !read.is_none())
        else {
            let class = object.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "Parser must be a string or character stream, not {class}"
            )));
        };
        Ok(Text::Read(read.call0()?.cast_into::<PyString>()?))
    }

    /// The text; half a surrogate pair, which is no character, becomes U+FFFD.
    pub(crate) fn as_str(&self) -> Cow<'_, str> {
        let (Text::Given(string) | Text::Read(string)) = self;
        string.to_str().map_or_else(|_| string.to_string_lossy(), Cow::Borrowed)
    }
}
