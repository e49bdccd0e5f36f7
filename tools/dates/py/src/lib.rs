//! Dates for Python: what `naja.dateutil` is made of.
//!
//! Everything here converts, calls the core and raises the original's exceptions; no date is worked out in this
//! crate. Each module has a `register` that adds its names to `naja._native.dates`. Start at [`register`].

use pyo3::prelude::*;

mod easter;
mod info;
mod iso;
mod many;
mod naive;
mod number;
mod parse;
mod relativedelta;
mod rrule;
mod text;
mod tz;
mod zones;

/// Adds the submodule `dates` to the extension module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let dates = PyModule::new(module.py(), "dates")?;
    easter::register(&dates)?;
    info::register(&dates)?;
    iso::register(&dates)?;
    many::register(&dates)?;
    parse::register(&dates)?;
    relativedelta::register(&dates)?;
    rrule::register(&dates)?;
    tz::register(&dates)?;
    module.add_submodule(&dates)
}
