//! A number as `relativedelta` takes it: whole as long as it can be.

use std::convert::Infallible;

use pyo3::prelude::*;
use pyo3::types::{PyFloat, PyInt};

/// A whole number of 64 bits, or a float.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    pub(crate) const ZERO: Number = Number::Whole(0);

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Whole(value) => value as f64,
            Number::Float(value) => value,
        }
    }

    pub(crate) fn whole(self) -> Option<i64> {
        match self {
            Number::Whole(value) => Some(value),
            Number::Float(_) => None,
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        self.as_f64() == 0.0
    }

    /// Towards zero, as `int` does; `None` where no 64 bits hold it.
    pub(crate) fn truncated(self) -> Option<i64> {
        match self {
            Number::Whole(value) => Some(value),
            Number::Float(value) if value.is_finite() && value.abs() < 9.2e18 => Some(value as i64),
            Number::Float(_) => None,
        }
    }

    pub(crate) fn plus(self, other: Number) -> Number {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => {
                one.checked_add(other).map_or_else(|| Number::Float(one as f64 + other as f64), Number::Whole)
            }
            (one, other) => Number::Float(one.as_f64() + other.as_f64()),
        }
    }

    pub(crate) fn times(self, factor: i64) -> Number {
        match self {
            Number::Whole(value) => value
                .checked_mul(factor)
                .map_or_else(|| Number::Float(value as f64 * factor as f64), Number::Whole),
            Number::Float(value) => Number::Float(value * factor as f64),
        }
    }

    pub(crate) fn negated(self) -> Number {
        self.times(-1)
    }

    pub(crate) fn absolute(self) -> Number {
        if self.as_f64() < 0.0 { self.negated() } else { self }
    }

    /// How many times `unit` is in the number, towards zero, and what is left, with the number's sign.
    pub(crate) fn divided(self, unit: i64) -> (Number, Number) {
        match self {
            Number::Whole(value) => (Number::Whole(value / unit), Number::Whole(value % unit)),
            Number::Float(value) => {
                let (sign, size, unit) = (1_f64.copysign(value), value.abs(), unit as f64);
                let rest = size % unit;
                let times = ((size - rest) / unit).round();
                (Number::Float(times * sign), Number::Float(rest * sign))
            }
        }
    }

    pub(crate) fn equals(self, other: Number) -> bool {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => one == other,
            (one, other) => one.as_f64() == other.as_f64(),
        }
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Number {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Number> {
        if object.is_exact_instance_of::<PyInt>() {
            return object.extract().map(Number::Whole);
        }
        if object.is_instance_of::<PyFloat>() {
            return object.extract().map(Number::Float);
        }
        // Other whole numbers, such as numpy's; then whatever can be a float.
        object.extract::<i64>().map(Number::Whole).or_else(|_| object.extract::<f64>().map(Number::Float))
    }
}

impl<'py> IntoPyObject<'py> for Number {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = Infallible;

    fn into_pyobject(self, py: Python<'py>) -> Result<Bound<'py, PyAny>, Infallible> {
        match self {
            Number::Whole(value) => value.into_pyobject(py).map(Bound::into_any),
            Number::Float(value) => value.into_pyobject(py).map(Bound::into_any),
        }
    }
}
