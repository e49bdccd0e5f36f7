//! Numbers: whole ones, floats, decimals, and whatever else a subclass counts in.

use std::cmp::Ordering;

use naja_db::validation::number::{decimals, float, is_no_number, rounded, whole};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyString};

use super::check::Asked;
use super::classes::{Classes, classes};
use super::facts::Attributes;
use super::failure::Outcome;

/// What values become.
enum Numeric {
    /// They stay what they are.
    Any,
    Int,
    Float,
    Decimal,
    /// A class of the user's.
    Other(Py<PyAny>),
}

/// A number that this crate can compute with.
#[derive(Debug, Clone, Copy)]
enum Known {
    Whole(i64),
    Float(f64),
}

impl Known {
    fn of(number: &Bound<'_, PyAny>) -> Option<Self> {
        if number.is_exact_instance_of::<PyInt>() {
            return number.extract().ok().map(Self::Whole);
        }
        number.cast_exact::<PyFloat>().ok().map(|number| Self::Float(number.value()))
    }

    /// How two of one kind compare; of two kinds, Python knows.
    fn compare(self, other: Self) -> Option<Option<Ordering>> {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => Some(Some(one.cmp(&other))),
            (Self::Float(one), Self::Float(other)) => Some(one.partial_cmp(&other)),
            // Every whole number up to here is a float too.
            (Self::Float(one), Self::Whole(other)) if other.abs() < 1 << 53 => {
                Some(one.partial_cmp(&(other as f64)))
            }
            (Self::Whole(one), Self::Float(other)) if one.abs() < 1 << 53 => {
                Some((one as f64).partial_cmp(&other))
            }
            _ => None,
        }
    }
}

/// A number of the schema's.
struct Given {
    object: Py<PyAny>,
    known: Option<Known>,
}

impl Given {
    fn read(attributes: &mut Attributes<'_, '_>, name: &str) -> PyResult<Option<Self>> {
        let object = attributes.get(name)?;
        Ok((!object.is_none()).then(|| Self { known: Known::of(&object), object: object.unbind() }))
    }
}

/// A bound that values must not break.
struct Limit {
    given: Given,
    code: &'static str,
    breaks: Breaks,
}

/// Whether a value that compares so with a bound breaks it.
type Breaks = fn(Ordering) -> bool;

/// The attributes that are bounds, in the order in which they are looked at; each is the code of its error.
const LIMITS: [(&str, Breaks); 4] = [
    ("minimum", Ordering::is_lt),
    ("exclusive_minimum", Ordering::is_le),
    ("maximum", Ordering::is_gt),
    ("exclusive_maximum", Ordering::is_ge),
];

/// What a `Number` needs to know.
pub(super) struct NumberRules {
    numeric: Numeric,
    coerce: bool,
    precision: Option<Precision>,
    limits: Vec<Limit>,
    multiple_of: Option<Given>,
}

struct Precision {
    given: Py<PyAny>,
    decimals: Option<usize>,
}

impl NumberRules {
    pub(super) fn read(attributes: &mut Attributes<'_, '_>) -> PyResult<Self> {
        let class = attributes.get_of_class("numeric_type")?;
        let py = class.py();
        let numeric = if class.is_none() {
            Numeric::Any
        } else if class.is(py.get_type::<PyInt>()) {
            Numeric::Int
        } else if class.is(py.get_type::<PyFloat>()) {
            Numeric::Float
        } else if class.is(&classes(py)?.decimal) {
            Numeric::Decimal
        } else {
            Numeric::Other(class.unbind())
        };
        let precision = attributes.get("precision")?;
        let written = precision.cast_exact::<PyString>().ok().and_then(|text| text.to_str().ok());
        let decimals = written.and_then(decimals);
        let mut limits = Vec::new();
        for (code, breaks) in LIMITS {
            limits.extend(Given::read(attributes, code)?.map(|given| Limit { given, code, breaks }));
        }
        Ok(Self {
            numeric,
            coerce: attributes.flag("coerce_types")?,
            precision: (!precision.is_none()).then(|| Precision { given: precision.unbind(), decimals }),
            limits,
            multiple_of: Given::read(attributes, "multiple_of")?,
        })
    }

    /// The class of the values, where there is one.
    fn class<'py>(&self, py: Python<'py>, classes: &Classes) -> Option<Bound<'py, PyAny>> {
        match &self.numeric {
            Numeric::Any => None,
            Numeric::Int => Some(py.get_type::<PyInt>().into_any()),
            Numeric::Float => Some(py.get_type::<PyFloat>().into_any()),
            Numeric::Decimal => Some(classes.decimal.bind(py).clone()),
            Numeric::Other(class) => Some(class.bind(py).clone()),
        }
    }
}

/// What the first half of a check comes to.
enum Read<'py> {
    Number(Bound<'py, PyAny>, Option<Known>),
    /// The value is nothing, and may be.
    Null,
    Error(&'static str),
}

pub(super) fn check<'py>(
    rules: &NumberRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> Outcome<'py> {
    let py = asked.py();
    let (mut number, mut known) = match read(rules, asked, value)? {
        Read::Number(number, known) => (number, known),
        Read::Null => return Ok(py.None().into_bound(py)),
        Read::Error(code) => return Err(asked.failure(code)),
    };
    if let Some(precision) = &rules.precision {
        (number, known) = to_precision(rules, precision, number, known)?;
    }
    for limit in &rules.limits {
        if is_broken(limit, &number, known)? {
            return Err(asked.failure(limit.code));
        }
    }
    if let Some(multiple) = &rules.multiple_of
        && !is_multiple(&number, known, multiple)?
    {
        return Err(asked.failure("multiple_of"));
    }
    Ok(number)
}

fn is_broken(limit: &Limit, number: &Bound<'_, PyAny>, known: Option<Known>) -> PyResult<bool> {
    if let (Some(number), Some(bound)) = (known, limit.given.known)
        && let Some(ordering) = number.compare(bound)
    {
        return Ok(ordering.is_some_and(limit.breaks));
    }
    let bound = limit.given.object.bind(number.py());
    match limit.code {
        "minimum" => number.lt(bound),
        "exclusive_minimum" => number.le(bound),
        "maximum" => number.gt(bound),
        _ => number.ge(bound),
    }
}

fn is_multiple<'py>(number: &Bound<'py, PyAny>, known: Option<Known>, multiple: &Given) -> PyResult<bool> {
    match (known, multiple.known) {
        (Some(Known::Whole(number)), Some(Known::Whole(of))) if of != 0 => {
            return Ok(number.wrapping_rem(of) == 0);
        }
        (Some(Known::Float(number)), Some(Known::Whole(of))) if of != 0 && of.abs() < 1 << 53 => {
            return Ok(number % of as f64 == 0.0);
        }
        (Some(number), Some(Known::Float(of))) if of != 0.0 => {
            let number = match number {
                Known::Whole(number) => number as f64,
                Known::Float(number) => number,
            };
            let times = number * (1.0 / of);
            return Ok(times.is_finite() && times.fract() == 0.0);
        }
        _ => {}
    }
    let of = multiple.object.bind(number.py());
    if of.is_instance_of::<PyInt>() {
        let rest = match number.rem(of) {
            Err(error) if error.is_instance(of.py(), classes(of.py())?.invalid_operation.bind(of.py())) => {
                many_digits(of.py())?.call_method1("remainder", (number, of))?
            }
            done => done?,
        };
        return Ok(!rest.is_truthy()?);
    }
    let decimal = classes(of.py())?.decimal.bind(of.py());
    if number.is_instance(decimal)? || of.is_instance(decimal)? {
        // As they are written: a tenth is a tenth here.
        let written = |value: &Bound<'py, PyAny>| decimal.call1((value.str()?,));
        let rest = many_digits(of.py())?.call_method1("remainder", (written(number)?, written(of)?))?;
        return Ok(!rest.is_truthy()?);
    }
    let times = number.mul(PyInt::new(of.py(), 1).div(of)?)?;
    times.call_method0("is_integer")?.is_truthy()
}

fn read<'py>(rules: &NumberRules, asked: &Asked<'_, 'py>, value: &Bound<'py, PyAny>) -> PyResult<Read<'py>> {
    let py = asked.py();
    if value.is_none() {
        return Ok(if asked.facts.allow_null { Read::Null } else { Read::Error("null") });
    }
    if let Some(known) = Known::of(value) {
        return of_known(rules, value, known);
    }
    if let Ok(text) = value.cast_exact::<PyString>() {
        if asked.facts.allow_null && rules.coerce && text.is_empty()? {
            return Ok(Read::Null);
        }
        if !rules.coerce {
            return Ok(Read::Error("type"));
        }
        let text = text.to_str().ok();
        if text.is_some_and(is_no_number) {
            return Ok(Read::Error("type"));
        }
        if let Some(known) = text.and_then(|text| of_text(rules, text)) {
            return Ok(match known {
                Known::Whole(number) => Read::Number(number.into_pyobject(py)?.into_any(), Some(known)),
                Known::Float(number) if number.is_finite() => {
                    Read::Number(PyFloat::new(py, number).into_any(), Some(known))
                }
                Known::Float(_) => Read::Error("finite"),
            });
        }
    }
    of_other(rules, asked, value)
}

/// What a number that this crate knows becomes.
fn of_known<'py>(rules: &NumberRules, value: &Bound<'py, PyAny>, known: Known) -> PyResult<Read<'py>> {
    let py = value.py();
    Ok(match (&rules.numeric, known) {
        (Numeric::Int | Numeric::Any, Known::Whole(_)) => Read::Number(value.clone(), Some(known)),
        (Numeric::Float | Numeric::Any, Known::Float(number)) => {
            if number.is_finite() {
                Read::Number(value.clone(), Some(known))
            } else {
                Read::Error("finite")
            }
        }
        (Numeric::Float, Known::Whole(number)) => {
            let number = number as f64;
            Read::Number(PyFloat::new(py, number).into_any(), Some(Known::Float(number)))
        }
        (Numeric::Int, Known::Float(number)) => {
            if !number.is_finite() || number.fract() != 0.0 {
                Read::Error("integer")
            } else if number.abs() < 9e18 {
                let number = number as i64;
                Read::Number(number.into_pyobject(py)?.into_any(), Some(Known::Whole(number)))
            } else {
                Read::Number(py.get_type::<PyInt>().call1((value,))?, None)
            }
        }
        (Numeric::Decimal, Known::Float(number)) if !number.is_finite() => Read::Error("finite"),
        (Numeric::Decimal, _) => Read::Number(classes(py)?.decimal.bind(py).call1((value,))?, None),
        (Numeric::Other(class), _) => converted(&classes(py)?.isfinite, class.bind(py).call1((value,)))?,
    })
}

/// The number in a text, where the short way is exact.
fn of_text(rules: &NumberRules, text: &str) -> Option<Known> {
    match rules.numeric {
        Numeric::Int => whole(text).map(Known::Whole),
        Numeric::Float => float(text).map(Known::Float),
        _ => None,
    }
}

/// The way for everything else, with Python's own steps.
fn of_other<'py>(
    rules: &NumberRules,
    asked: &Asked<'_, 'py>,
    value: &Bound<'py, PyAny>,
) -> PyResult<Read<'py>> {
    let py = asked.py();
    let classes = classes(py)?;
    if asked.facts.allow_null && rules.coerce && value.eq("")? {
        return Ok(Read::Null);
    }
    if value.is_instance_of::<PyBool>() {
        return Ok(Read::Error("type"));
    }
    let is_float = value.is_instance_of::<PyFloat>();
    if is_float && matches!(rules.numeric, Numeric::Int) && !value.call_method0("is_integer")?.is_truthy()? {
        return Ok(Read::Error("integer"));
    }
    if !is_float && !value.is_instance_of::<PyInt>() && !rules.coerce {
        return Ok(Read::Error("type"));
    }
    let mut number = value.clone();
    if value.is_instance_of::<PyString>() {
        number = match classes.decimal.bind(py).call1((value,)) {
            Ok(number) => number,
            Err(error) => return converted(&classes.isfinite, Err(error)),
        };
        // A short text may stand for a number that fills the memory.
        if matches!(rules.numeric, Numeric::Int) && number.call_method0("adjusted")?.gt(400)? {
            return Ok(Read::Error("finite"));
        }
    }
    let is_decimal = number.get_type().is(&classes.decimal);
    if is_decimal && matches!(rules.numeric, Numeric::Decimal | Numeric::Any) {
        return decimal(number);
    }
    let made = match rules.class(py, classes) {
        Some(class) => class.call1((&number,)),
        None => Ok(number),
    };
    converted(&classes.isfinite, made)
}

/// A decimal stays one; it must not be beyond every float.
fn decimal(number: Bound<'_, PyAny>) -> PyResult<Read<'_>> {
    let py = number.py();
    if !number.call_method0(pyo3::intern!(py, "is_finite"))?.is_truthy()? {
        return Ok(Read::Error("finite"));
    }
    let size: i64 = number.call_method0(pyo3::intern!(py, "adjusted"))?.extract()?;
    if size < 308 {
        return Ok(Read::Number(number, None));
    }
    converted(&classes(py)?.isfinite, Ok(number))
}

/// What a conversion has come to: an error by its code, or a number that must be finite.
fn converted<'py>(isfinite: &Py<PyAny>, made: PyResult<Bound<'py, PyAny>>) -> PyResult<Read<'py>> {
    let number = match made {
        Ok(number) => number,
        Err(error) => return Python::attach(|py| code_of(py, error)).map(Read::Error),
    };
    let py = number.py();
    match isfinite.bind(py).call1((&number,)) {
        Ok(is_finite) if is_finite.is_truthy()? => {
            let known = Known::of(&number);
            Ok(Read::Number(number, known))
        }
        Ok(_) => Ok(Read::Error("finite")),
        // A number beyond every float, and a signalling NaN.
        Err(error)
            if error.is_instance_of::<PyOverflowError>(py) || error.is_instance_of::<PyValueError>(py) =>
        {
            Ok(Read::Error("finite"))
        }
        Err(error) => code_of(py, error).map(Read::Error),
    }
}

fn code_of(py: Python<'_>, error: PyErr) -> PyResult<&'static str> {
    if error.is_instance_of::<PyOverflowError>(py) {
        return Ok("finite");
    }
    let is_type = error.is_instance_of::<PyTypeError>(py)
        || error.is_instance_of::<PyValueError>(py)
        || error.is_instance(py, classes(py)?.invalid_operation.bind(py));
    if is_type { Ok("type") } else { Err(error) }
}

/// The number with as many decimals as its precision has, halves away from zero.
fn to_precision<'py>(
    rules: &NumberRules,
    precision: &Precision,
    number: Bound<'py, PyAny>,
    known: Option<Known>,
) -> PyResult<(Bound<'py, PyAny>, Option<Known>)> {
    let py = number.py();
    if let (Some(Known::Float(value)), Some(decimals)) = (known, precision.decimals)
        && let Some(value) = rounded(value, decimals)
    {
        return Ok((PyFloat::new(py, value).into_any(), Some(Known::Float(value))));
    }
    if let (Some(Known::Whole(_)), Some(_)) = (known, precision.decimals) {
        return Ok((number, known));
    }
    let classes = classes(py)?;
    let class = rules.class(py, classes).unwrap_or_else(|| number.get_type().into_any());
    let decimal = classes.decimal.bind(py);
    let (step, exact) = (decimal.call1((&precision.given,))?, decimal.call1((&number,))?);
    let named = PyDict::new(py);
    named.set_item("rounding", "ROUND_HALF_UP")?;
    let quantized = match exact.call_method("quantize", (&step,), Some(&named)) {
        Err(error) if error.is_instance(py, classes.invalid_operation.bind(py)) => {
            named.set_item("context", many_digits(py)?)?;
            exact.call_method("quantize", (&step,), Some(&named))?
        }
        done => done?,
    };
    let number = class.call1((quantized,))?;
    let known = Known::of(&number);
    Ok((number, known))
}

/// A context of `decimal` with more digits than it keeps by itself: enough for every float, and for its decimals.
fn many_digits(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import("decimal")?.getattr("Context")?.call1((2_000,))
}
