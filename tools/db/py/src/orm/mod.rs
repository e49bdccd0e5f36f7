//! `naja.orm`: models over tables.
//!
//! A [`mapper::Mapper`] is what is known of a class of models; a [`query::Query`] collects what is asked of its rows.
//! The SQL of a shape is made once, by the core, into a [`plan::Plan`], which also makes instances of rows, straight
//! from SQLite's cells where the connection is naja's. Nothing here runs a statement: the package awaits them.

mod kind;
mod lookup;
mod mapper;
mod plan;
mod query;

use pyo3::prelude::*;

/// Adds the submodule `orm` to `naja._native.db`.
pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let orm = PyModule::new(module.py(), "orm")?;
    orm.add_class::<mapper::Mapper>()?;
    orm.add_class::<plan::Plan>()?;
    orm.add_class::<query::Query>()?;
    orm.add_function(wrap_pyfunction!(mapper::definitions, &orm)?)?;
    orm.add_function(wrap_pyfunction!(mapper::names_of_tables, &orm)?)?;
    orm.add_function(wrap_pyfunction!(mapper::nearest, &orm)?)?;
    module.add_submodule(&orm)
}
