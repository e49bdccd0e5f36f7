//! What `naja.typesystem` is made of: fields that check values in Rust, and JSON with places.
//!
//! A field is an object of Python whose attributes anyone may change. What its class and its attributes come to is
//! read once ([`facts`]), kept beside it ([`field`]) and dropped when an attribute is set; lists and dictionaries in
//! its attributes (`items`, `fields`, `choices`) are never copied, since they may change without a word. Code of
//! subclasses is asked wherever there is some. Start at [`check::check`].

use pyo3::prelude::*;

mod array;
mod boolean;
mod check;
mod choice;
mod classes;
mod composite;
mod depth;
mod distinct;
mod document;
mod entries;
mod error;
mod facts;
mod failure;
mod field;
mod number;
mod object;
mod schema;
mod string;
mod token;

/// Adds the submodule `validation` to `naja._native.db`.
pub(crate) fn register(db: &Bound<'_, PyModule>) -> PyResult<()> {
    let module = PyModule::new(db.py(), "validation")?;
    module.add_class::<field::CheckedField>()?;
    module.add_class::<error::ErrorBase>()?;
    module.add_class::<error::ValidationResult>()?;
    module.add_class::<token::Token>()?;
    module.add_class::<token::ScalarToken>()?;
    module.add_class::<token::DictToken>()?;
    module.add_class::<token::ListToken>()?;
    module.add_class::<document::PlacesOfValues>()?;
    module.add_function(wrap_pyfunction!(distinct::make_hashable, &module)?)?;
    module.add_function(wrap_pyfunction!(document::tokenize, &module)?)?;
    module.add_function(wrap_pyfunction!(document::parse, &module)?)?;
    module.add_function(wrap_pyfunction!(document::place, &module)?)?;
    db.add_submodule(&module)
}
