//! The classes and tables of the package that this crate makes objects of or asks.

use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

use super::facts::Kind;
use super::field::CheckedField;
use super::string::Format;

/// What is looked up once a process.
pub(super) struct Classes {
    pub(super) validation_error: Py<PyAny>,
    /// `ValidationError.__new__`: an error without messages.
    pub(super) new_error: Py<PyAny>,
    pub(super) message: Py<PyAny>,
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
    /// `UUID.int.__set__` and `UUID.is_safe.__set__` with the value for "unknown", where `UUID` is made so.
    pub(super) uuid_parts: Option<(Py<PyAny>, Py<PyAny>, Py<PyAny>)>,
    pub(super) ipv4: Py<PyAny>,
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
        Ok(Self {
            new_error: validation_error.getattr("__new__")?.unbind(),
            validation_error: validation_error.unbind(),
            message: base.getattr("Message")?.unbind(),
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
            uuid_parts: uuid_parts(&uuid).ok(),
            uuid: uuid.getattr("UUID")?.unbind(),
            ipv4: py.import("ipaddress")?.getattr("IPv4Address")?.unbind(),
            research: py.import("re")?.getattr("compile")?.unbind(),
        })
    }
}

/// How to make a UUID without parsing its text again, where that gives what its class gives.
fn uuid_parts(uuid: &Bound<'_, PyModule>) -> PyResult<(Py<PyAny>, Py<PyAny>, Py<PyAny>)> {
    let class = uuid.getattr("UUID")?;
    let setter = |name: &str| class.getattr(name)?.getattr("__set__");
    let unknown = uuid.getattr("SafeUUID")?.getattr("unknown")?;
    Ok((setter("int")?.unbind(), setter("is_safe")?.unbind(), unknown.unbind()))
}
