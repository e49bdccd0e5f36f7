//! Dates for Python: what `naja.dateutil` is made of.
//!
//! Everything here converts, calls the core and raises the original's exceptions; no date is worked out in this
//! crate. Each module has a `register` that adds its names to `naja._native.dates`. Start at [`register`].

use pyo3::prelude::*;

mod easter;
mod find;
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

/// Functions that a user can name, and the modules where the originals say they live, below `naja`: pickles, and with
/// them `multiprocessing`, find a function by what it says.
const PLACES: [(&str, &str); 6] = [
    ("easter", "naja.dateutil.easter"),
    ("isoparse", "naja.dateutil.parser.isoparser"),
    ("parse", "naja.dateutil.parser._parser"),
    ("parse_many", "naja.dateutil.parser"),
    ("parse_with_format", "naja.dateutil.parser"),
    ("rrulestr", "naja.dateutil.rrule"),
];

/// Adds the submodule `dates` to the extension module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let dates = PyModule::new(module.py(), "dates")?;
    easter::register(&dates)?;
    find::register(&dates)?;
    info::register(&dates)?;
    iso::register(&dates)?;
    many::register(&dates)?;
    parse::register(&dates)?;
    rrule::register(&dates)?;
    tz::register(&dates)?;
    relativedelta::register(&dates)?;
    for (function, place) in PLACES {
        dates.getattr(function)?.setattr("__module__", place)?;
    }
    module.add_submodule(&dates)
}
