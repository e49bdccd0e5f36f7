//! `dateutil.rrule`: the classes `rrulebase`, `rrule`, `rruleset` and the function `rrulestr`.
//!
//! `base.rs` has what all rules share and asks only for `_iter`, so a Python subclass that yields dates of its own
//! works as with the original; `rule.rs` and `set.rs` answer by themselves wherever `_iter` is their own and nothing
//! is cached. No lock is ever held while Python code runs.

use pyo3::prelude::*;

mod base;
mod limit;
mod rule;
mod set;
mod text;
mod values;

pub(crate) use limit::{second_of_day, wall_moment, wall_us};

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<base::RuleBase>()?;
    module.add_class::<rule::RecurrenceRule>()?;
    module.add_class::<set::RuleSet>()?;
    module.add_function(wrap_pyfunction!(text::rrulestr, module)?)
}
