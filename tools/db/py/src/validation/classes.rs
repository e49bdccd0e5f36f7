//! The classes and tables of the package that this crate makes objects of or asks.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyTuple, PyType};

use super::facts::Kind;
use super::field::CheckedField;
use super::string::Format;

/// What is looked up once a process.
pub(super) struct Classes {
    pub(super) validation_error: Py<PyAny>,
    /// `ValidationError.__new__`: an error without messages.
    pub(super) new_error: Py<PyAny>,
    pub(super) mapping: Py<PyAny>,
    pub(super) definitions: Py<PyType>,
    /// The table of formats, which users add to.
    pub(super) formats: Py<PyDict>,
    /// The formats of that table that are known here.
    pub(super) known_formats: Vec<(Py<PyAny>, Format)>,
    /// The methods by which the classes of the package validate.
    pub(super) validators: Vec<(Py<PyAny>, Kind)>,
    /// What `Field` itself has for `validate_or_error` and its kin.
    pub(super) validate_or_error: Py<PyAny>,
    pub(super) validation_error_method: Py<PyAny>,
    pub(super) get_error_text: Py<PyAny>,
    pub(super) has_default: Py<PyAny>,
    pub(super) get_default_value: Py<PyAny>,
    pub(super) decimal: Py<PyAny>,
    pub(super) invalid_operation: Py<PyAny>,
    pub(super) isfinite: Py<PyAny>,
    pub(super) object_new: Py<PyAny>,
    pub(super) uuid: Py<PyAny>,
    /// What `object.__new__` is called with, made once.
    pub(super) new_uuid: Py<PyTuple>,
    pub(super) new_ipv4: Py<PyTuple>,
    pub(super) new_message: Py<PyTuple>,
    pub(super) new_validation_error: Py<PyTuple>,
    /// `UUID.int.__set__` and `UUID.is_safe.__set__` with the value for "unknown", where `UUID` is made so.
    pub(super) uuid_parts: Option<(Py<PyAny>, Py<PyAny>, Py<PyAny>)>,
    pub(super) ipv4: Py<PyAny>,
    /// `IPv4Address._ip.__set__`, where an address that is made so equals one that its class makes.
    pub(super) ipv4_part: Option<Py<PyAny>>,
    pub(super) research: Py<PyAny>,
}

static CLASSES: PyOnceLock<Classes> = PyOnceLock::new();

/// The classes; looked up at the first call, when the package has been imported.
pub(super) fn classes(py: Python<'_>) -> PyResult<&'static Classes> {
    CLASSES.get_or_try_init(py, || Classes::find(py))
}

impl Classes {
    fn find(py: Python<'_>) -> PyResult<Self> {
        let base = py.import("naja.typesystem.base")?;
        let fields = py.import("naja.typesystem.fields")?;
        let schemas = py.import("naja.typesystem.schemas")?;
        let object = py.import("builtins")?.getattr("object")?;
        let ipv4 = py.import("ipaddress")?.getattr("IPv4Address")?;
        let (decimal, uuid) = (py.import("decimal")?, py.import("uuid")?);
        let validation_error = base.getattr("ValidationError")?;
        let field = fields.getattr("Field")?;
        let method = |name: &str| field.getattr(name).map(Bound::unbind);
        let formats = fields.getattr("FORMATS")?.cast_into::<PyDict>()?;
        let mut known_formats = Vec::new();
        for (name, format) in Format::NAMES {
            known_formats.push((formats.as_any().get_item(name)?.unbind(), format));
        }
        let native = py.get_type::<CheckedField>();
        let mut validators = Vec::new();
        for (name, kind) in Kind::METHODS {
            validators.push((native.getattr(name)?.unbind(), kind));
        }
        let arguments = |class: &Bound<'_, PyAny>| PyTuple::new(py, [class]).map(Bound::unbind);
        Ok(Self {
            new_uuid: arguments(&uuid.getattr("UUID")?)?,
            new_ipv4: arguments(&ipv4)?,
            new_message: arguments(&base.getattr("Message")?)?,
            new_validation_error: arguments(&validation_error)?,
            new_error: validation_error.getattr("__new__")?.unbind(),
            validation_error: validation_error.unbind(),
            mapping: py.import("collections.abc")?.getattr("Mapping")?.unbind(),
            definitions: schemas.getattr("Definitions")?.cast_into::<PyType>()?.unbind(),
            formats: formats.unbind(),
            known_formats,
            validators,
            validate_or_error: method("validate_or_error")?,
            validation_error_method: method("validation_error")?,
            get_error_text: method("get_error_text")?,
            has_default: method("has_default")?,
            get_default_value: method("get_default_value")?,
            decimal: decimal.getattr("Decimal")?.unbind(),
            invalid_operation: decimal.getattr("InvalidOperation")?.unbind(),
            isfinite: py.import("math")?.getattr("isfinite")?.unbind(),
            object_new: object.getattr("__new__")?.unbind(),
            uuid_parts: uuid_parts(&uuid, &object.getattr("__new__")?).ok(),
            uuid: uuid.getattr("UUID")?.unbind(),
            ipv4_part: ipv4_part(&ipv4, &object.getattr("__new__")?).ok(),
            ipv4: ipv4.unbind(),
            research: py.import("re")?.getattr("compile")?.unbind(),
        })
    }
}

/// How to make a UUID without parsing its text again, where that gives what its class gives.
fn uuid_parts(
    uuid: &Bound<'_, PyModule>,
    new: &Bound<'_, PyAny>,
) -> PyResult<(Py<PyAny>, Py<PyAny>, Py<PyAny>)> {
    let class = uuid.getattr("UUID")?;
    let set_number = class.getattr("int")?.getattr("__set__")?;
    let set_safety = class.getattr("is_safe")?.getattr("__set__")?;
    let unknown = uuid.getattr("SafeUUID")?.getattr("unknown")?;
    let number = 0x93e1_9019_c7a6_45fe_8936_f6f4_d550_f35f_u128;
    let made = new.call1((&class,))?;
    set_number.call1((&made, number))?;
    set_safety.call1((&made, &unknown))?;
    same(made, class.call1(("93e19019-c7a6-45fe-8936-f6f4d550f35f",))?)?;
    Ok((set_number.unbind(), set_safety.unbind(), unknown.unbind()))
}

/// The same for an address of four parts.
fn ipv4_part(class: &Bound<'_, PyAny>, new: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
    let set = class.getattr("_ip")?.getattr("__set__")?;
    let made = new.call1((class,))?;
    set.call1((&made, 0x0a00_0001))?;
    same(made, class.call1(("10.0.0.1",))?)?;
    Ok(set.unbind())
}

/// Errors: where two objects differ in what they are equal to, print or have as attributes.
fn same(one: Bound<'_, PyAny>, other: Bound<'_, PyAny>) -> PyResult<()> {
    let is_same =
        one.eq(&other)? && one.repr()?.as_any().eq(other.repr()?)? && one.hash()? == other.hash()?;
    let state = one.call_method1("__reduce_ex__", (4,))?;
    if is_same && state.eq(other.call_method1("__reduce_ex__", (4,))?)? {
        Ok(())
    } else {
        Err(PyValueError::new_err("made otherwise"))
    }
}
