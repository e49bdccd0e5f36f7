//! A model as queries see it: its table, its columns, what they refer to, and what was planned for it before.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use naja_db::orm::definition::Table;
use naja_db::orm::query::{Condition, From, Select};
use naja_db::orm::{Column, OnDelete, Places, Reference, change};
use naja_db::tables::Dialect;
use pyo3::exceptions::{PyAttributeError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple, PyType};
use rustc_hash::FxHashMap;

use super::kind::{Kind, type_of};
use super::lookup::Lookup;
use super::plan::Plan;
use super::query::{Query, State};

/// How many plans and lookups of a model are remembered.
const KNOWN_MAX: usize = 1024;

/// So many rows are stored by one statement, as far as its places allow.
const ROWS_A_STATEMENT: usize = 50;
const PLACES_MAX: usize = 900;

/// A model.
#[pyclass(frozen, module = "naja._native.db.orm")]
pub(super) struct Mapper {
    pub(super) model: Arc<Model>,
}

/// What is known of a model.
pub(super) struct Model {
    pub(super) class: Py<PyType>,
    pub(super) name: String,
    pub(super) table: String,
    pub(super) columns: Vec<Field>,
    pub(super) many: Vec<Many>,
    /// The place of the primary key among the columns.
    pub(super) key: Option<usize>,
    pub(super) dialect: Dialect,
    pub(super) places: Places,
    /// Gives the mapper of a class.
    mapper_of: Py<PyAny>,
    /// The class `Model` of the package, of which every model is.
    pub(super) base: Py<PyType>,
    lookups: Mutex<FxHashMap<String, Arc<Lookup>>>,
    plans: Mutex<FxHashMap<Box<[u32]>, Arc<Plan>>>,
    /// A number for each lookup that was ever made.
    count: Mutex<u32>,
}

/// A column.
pub(super) struct Field {
    pub(super) name: Py<PyString>,
    pub(super) plain: String,
    /// The field of Python.
    pub(super) field: Py<PyAny>,
    /// Of a relation: what its target's key makes of values, and the target.
    pub(super) relation: Option<Relation>,
    pub(super) kind: Kind,
    pub(super) is_nullable: bool,
    pub(super) is_searched: bool,
    column: Column,
}

/// Another model, looked up when it is needed, since it may be declared later.
pub(super) struct Relation {
    target: OnceLock<Arc<Model>>,
}

/// A relation to many: rows of a table of links.
pub(super) struct Many {
    pub(super) name: String,
    pub(super) links: String,
    /// The column of the links that names the model's own row.
    pub(super) own: String,
    /// The column of the links that names the other row.
    pub(super) other: String,
    field: Py<PyAny>,
    target: OnceLock<Arc<Model>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Model {
    pub(super) fn column(&self, name: &str) -> Option<usize> {
        if name == "pk" {
            return self.key;
        }
        self.columns.iter().position(|field| field.plain == name)
    }

    /// The primary key.
    ///
    /// Errors: `AttributeError` where there is none
    pub(super) fn key(&self) -> PyResult<&Field> {
        self.key.map(|place| &self.columns[place]).ok_or_else(|| {
            PyAttributeError::new_err(format!(
                "{} has no primary key; one of its fields has to be declared with primary_key=True",
                self.name
            ))
        })
    }

    /// The model that a column refers to.
    pub(super) fn target(&self, py: Python<'_>, place: usize) -> PyResult<Option<Arc<Model>>> {
        let field = &self.columns[place];
        let Some(relation) = &field.relation else { return Ok(None) };
        self.resolve(py, &relation.target, &field.field).map(Some)
    }

    /// The model that a relation to many leads to.
    pub(super) fn target_of_many(&self, py: Python<'_>, place: usize) -> PyResult<Arc<Model>> {
        let many = &self.many[place];
        self.resolve(py, &many.target, &many.field)
    }

    fn resolve(
        &self,
        py: Python<'_>,
        known: &OnceLock<Arc<Model>>,
        field: &Py<PyAny>,
    ) -> PyResult<Arc<Model>> {
        if let Some(model) = known.get() {
            return Ok(model.clone());
        }
        let class = field.bind(py).getattr(intern!(py, "target"))?;
        let mapper = self.mapper_of.bind(py).call1((class,))?;
        let model = mapper.cast::<Mapper>().map_err(PyErr::from)?.get().model.clone();
        Ok(known.get_or_init(|| model).clone())
    }

    /// A lookup by its name, as it was found before.
    pub(super) fn lookup(self: &Arc<Model>, py: Python<'_>, name: &str) -> PyResult<Arc<Lookup>> {
        if let Some(lookup) = lock(&self.lookups).get(name) {
            return Ok(lookup.clone());
        }
        let lookup = Arc::new(Lookup::of(py, self, name, self.number())?);
        let mut lookups = lock(&self.lookups);
        if lookups.len() >= KNOWN_MAX {
            lookups.clear();
        }
        lookups.insert(name.to_owned(), lookup.clone());
        Ok(lookup)
    }

    fn number(&self) -> u32 {
        let mut count = lock(&self.count);
        *count += 1;
        *count
    }

    /// A plan by the shape of what it is for, as it was made before.
    pub(super) fn plan(&self, shape: &[u32], make: impl FnOnce() -> PyResult<Plan>) -> PyResult<Arc<Plan>> {
        if let Some(plan) = lock(&self.plans).get(shape) {
            return Ok(plan.clone());
        }
        let plan = Arc::new(make()?);
        let mut plans = lock(&self.plans);
        if plans.len() >= KNOWN_MAX {
            plans.clear();
        }
        plans.insert(shape.into(), plan.clone());
        Ok(plan)
    }

    /// A value for a column, as the database takes it.
    pub(super) fn put<'py>(&self, place: usize, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.put_as(place, value, None)
    }

    /// The same for a lookup, whose name errors have.
    pub(super) fn put_as<'py>(
        &self,
        place: usize,
        value: &Bound<'py, PyAny>,
        lookup: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        let field = &self.columns[place];
        let named = || format!("{}.{}", self.name, lookup.unwrap_or(&field.plain));
        if let Some(target) = self.target(py, place)? {
            let key = target.key_of(value, &named)?;
            let own = target.key()?;
            return own.kind.put(self.dialect, &key).map_err(|wrong| wrong.raised(&named(), &key));
        }
        // An instance stands for its key wherever a value is asked for.
        let value = if value.is_instance(self.base.bind(py))? {
            value.getattr(intern!(py, "pk"))?
        } else {
            value.clone()
        };
        field.kind.put(self.dialect, &value).map_err(|wrong| wrong.raised(&named(), &value))
    }

    /// The key of an instance of this model; what is none is a key already.
    pub(super) fn key_of<'py>(
        &self,
        value: &Bound<'py, PyAny>,
        named: &dyn Fn() -> String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        if !value.is_instance(self.base.bind(py))? {
            return Ok(value.clone());
        }
        if !value.is_instance(self.class.bind(py))? {
            let given = value.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "{} refers to {}, and not to {given}",
                named(),
                self.name
            )));
        }
        let key = self.key()?;
        let found = value.getattr_opt(&key.name)?;
        found.filter(|key| !key.is_none()).ok_or_else(|| {
            PyValueError::new_err(format!(
                "{}: this {} has no `{}` yet; it has to be stored first",
                named(),
                self.name,
                key.plain
            ))
        })
    }
}

#[pymethods]
impl Mapper {
    /// Of a class, its table, its columns and its relations to many.
    ///
    /// A column is `(name, field, kind, length, scale, detail, enumeration, declared, is_nullable, has_index, is_unique,
    /// is_key, is_searched, on_delete)`; a relation to many is `(name, field, links, own, other)`.
    #[new]
    #[allow(clippy::too_many_arguments)] // a call from Python, by position
    fn new(
        class: Bound<'_, PyType>,
        table: String,
        columns: &Bound<'_, PyList>,
        many: Vec<(String, Py<PyAny>, String, String, String)>,
        dialect: &str,
        is_named: bool,
        documents_are_read: bool,
        mapper_of: Py<PyAny>,
        base: Py<PyType>,
    ) -> PyResult<Mapper> {
        let py = class.py();
        let name = class.name()?.to_string();
        let mut key = None;
        let mut fields = Vec::with_capacity(columns.len());
        for (place, one) in columns.iter().enumerate() {
            let (field, is_key) = Field::of(py, &name, &one, documents_are_read)?;
            if is_key {
                key = Some(place);
            }
            fields.push(field);
        }
        let many = many.into_iter().map(|(name, field, links, own, other)| Many {
            name,
            links,
            own,
            other,
            field,
            target: OnceLock::new(),
        });
        let model = Model {
            name,
            table,
            columns: fields,
            many: many.collect(),
            key,
            dialect: dialect_of(dialect)?,
            places: if is_named { Places::Named } else { Places::OfDialect },
            mapper_of,
            base,
            lookups: Mutex::default(),
            plans: Mutex::default(),
            count: Mutex::new(0),
            class: class.unbind(),
        };
        Ok(Mapper { model: Arc::new(model) })
    }

    /// All rows.
    fn query(&self) -> Query {
        Query { model: self.model.clone(), state: State::default() }
    }

    /// The rows of this model that a relation of another one leads to, from the row with this key.
    fn linked(&self, owner: &Mapper, relation: &str, key: &Bound<'_, PyAny>) -> PyResult<Query> {
        let py = key.py();
        let (place, _) = owner.relation(relation)?;
        let owner_key = owner.model.key.ok_or_else(|| no_key(&owner.model))?;
        let value = owner.model.put(owner_key, key)?.unbind();
        self.model.key()?;
        Ok(self.query().linked(py, &owner.model, place, value))
    }

    /// The statement that stores a row, and its values.
    fn insert<'py>(&self, values: &Bound<'py, PyDict>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let py = values.py();
        let places = self.places_of(values)?;
        let plan = self.insert_plan(py, &places, 1, true)?;
        let list = PyList::empty(py);
        self.take_row(values, &places, &list)?;
        Ok((plan, list))
    }

    /// The statements that store rows, each with the values of all its rows; all rows have the names of the first.
    fn insert_many<'py>(&self, rows: &Bound<'py, PyList>) -> PyResult<Vec<(Plan, Vec<Bound<'py, PyList>>)>> {
        let py = rows.py();
        let Ok(first) = rows.get_item(0) else { return Ok(Vec::new()) };
        let places = self.places_of(first.cast().map_err(PyErr::from)?)?;
        let many = (PLACES_MAX / places.len().max(1)).clamp(1, ROWS_A_STATEMENT);
        // A row without any value is a statement of its own.
        let many = if places.is_empty() { 1 } else { many };
        let (mut full, mut rest) = (Vec::new(), None);
        for start in (0..rows.len()).step_by(many) {
            let end = rows.len().min(start + many);
            let list = PyList::empty(py);
            for row in rows.get_slice(start, end) {
                self.take_row(row.cast().map_err(PyErr::from)?, &places, &list)?;
            }
            if end - start == many {
                full.push(list);
            } else {
                rest = Some((self.insert_plan(py, &places, end - start, false)?, vec![list]));
            }
        }
        let mut all = Vec::new();
        if !full.is_empty() {
            all.push((self.insert_plan(py, &places, many, false)?, full));
        }
        all.extend(rest);
        Ok(all)
    }

    /// The statement that links the row with this key to others, that ends links, or, without others, that ends all.
    #[pyo3(signature = (relation, how, key, others))]
    fn link<'py>(
        &self,
        relation: &str,
        how: &str,
        key: &Bound<'py, PyAny>,
        others: &Bound<'py, PyList>,
    ) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let py = key.py();
        let (place, many) = self.relation(relation)?;
        let target = self.model.target_of_many(py, place)?;
        let named = || format!("{}.{relation}", self.model.name);
        let own = self.model.put(self.model.key.ok_or_else(|| no_key(&self.model))?, key)?;
        let values = PyList::empty(py);
        let mut others_of: Vec<Bound<'_, PyAny>> = Vec::with_capacity(others.len());
        for other in others {
            let key = target.key_of(&other, &named)?;
            if key.is_none() {
                return Err(PyValueError::new_err(format!("{} cannot be linked to None", named())));
            }
            others_of.push(
                target
                    .key()?
                    .kind
                    .put(self.model.dialect, &key)
                    .map_err(|wrong| wrong.raised(&named(), &key))?,
            );
        }
        let (dialect, places) = (self.model.dialect, self.model.places);
        let sql = match how {
            "add" => {
                for other in &others_of {
                    values.append(&own)?;
                    values.append(other)?;
                }
                change::insert_missing(
                    dialect,
                    places,
                    &many.links,
                    [&many.own, &many.other],
                    others_of.len(),
                )
            }
            _ => {
                values.append(&own)?;
                others_of.iter().try_for_each(|other| values.append(other))?;
                let rows = Select {
                    from: From::table(&many.links),
                    condition: Condition::All(super::query::link_tests(many, others_of.len())),
                    order: Vec::new(),
                    has_limit: false,
                    has_offset: false,
                };
                change::delete(places, dialect, &rows, &many.own)
            }
        };
        Ok((Plan::without_rows(py, sql)?, values))
    }

    /// Pairs of own key and other key of the links of rows with these keys.
    fn pairs<'py>(&self, relation: &str, keys: &Bound<'py, PyList>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let py = keys.py();
        let (place, many) = self.relation(relation)?;
        let target = self.model.target_of_many(py, place)?;
        let own = self.model.key.ok_or_else(|| no_key(&self.model))?;
        let values = PyList::empty(py);
        for key in keys {
            values.append(self.model.put(own, &key)?)?;
        }
        let sql = super::query::pairs(self.model.dialect, self.model.places, many, keys.len());
        let kinds = vec![self.model.columns[own].kind.again(py), target.key()?.kind.again(py)];
        Ok((Plan::of_tuples(py, sql, kinds)?, values))
    }

    /// The key of an instance of this model; what is no instance is a key already.
    ///
    /// Errors: `TypeError` for an instance of another model, `ValueError` for one that has no key yet
    fn key_value<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.model.key_of(value, &|| self.model.name.clone())
    }

    fn __repr__(&self) -> String {
        format!("<Mapper of {}>", self.model.name)
    }
}

impl Mapper {
    fn relation(&self, name: &str) -> PyResult<(usize, &Many)> {
        let found = self.model.many.iter().position(|many| many.name == name);
        found
            .map(|place| (place, &self.model.many[place]))
            .ok_or_else(|| PyRuntimeError::new_err(format!("{} has no relation `{name}`", self.model.name)))
    }

    /// Which columns a row has, in the order in which they are declared.
    fn places_of(&self, values: &Bound<'_, PyDict>) -> PyResult<Vec<usize>> {
        let mut places = Vec::with_capacity(values.len());
        for (place, field) in self.model.columns.iter().enumerate() {
            if values.contains(&field.name)? {
                places.push(place);
            }
        }
        Ok(places)
    }

    fn take_row(
        &self,
        row: &Bound<'_, PyDict>,
        places: &[usize],
        values: &Bound<'_, PyList>,
    ) -> PyResult<()> {
        for place in places {
            let field = &self.model.columns[*place];
            let value = row.get_item(&field.name)?.ok_or_else(|| {
                PyValueError::new_err(format!(
                    "{}.{}: a row has no value for it",
                    self.model.name, field.plain
                ))
            })?;
            values.append(self.model.put(*place, &value)?)?;
        }
        Ok(())
    }

    fn insert_plan(&self, py: Python<'_>, places: &[usize], rows: usize, returns: bool) -> PyResult<Plan> {
        let model = &self.model;
        let mut shape =
            vec![super::query::INSERT, u32::try_from(rows).unwrap_or(u32::MAX), u32::from(returns)];
        shape.extend(places.iter().map(|place| u32::try_from(*place).unwrap_or(u32::MAX)));
        let plan = model.plan(&shape, || {
            let names: Vec<&str> = places.iter().map(|place| model.columns[*place].plain.as_str()).collect();
            let key = if returns { model.key.map(|key| model.columns[key].plain.as_str()) } else { None };
            let sql = change::insert(model.dialect, model.places, &model.table, &names, rows, key);
            // PostgreSQL gives the key of the row.
            let maker =
                (key.is_some() && model.dialect == Dialect::Postgres).then_some(super::plan::Maker::First);
            Plan::new(py, sql, maker, Vec::new())
        })?;
        Ok(Plan::clone(&plan))
    }

    /// The table, for its definition.
    pub(super) fn table(&self, py: Python<'_>) -> PyResult<Table> {
        let mut columns = Vec::with_capacity(self.model.columns.len());
        for (place, field) in self.model.columns.iter().enumerate() {
            let mut column = field.column.clone();
            if let Some(target) = self.model.target(py, place)? {
                let key = target.key()?;
                // A key that counts up is counted in its own table alone.
                column.kind = key.column.kind.clone();
                let on_delete = column.references.and_then(|reference| reference.on_delete);
                column.references =
                    Some(Reference { table: target.table.clone(), column: key.plain.clone(), on_delete });
            }
            columns.push(column);
        }
        let primary_key = self.model.key.into_iter().collect();
        Ok(Table { name: self.model.table.clone(), columns, primary_key })
    }

    /// The table of links of a relation to many.
    pub(super) fn links(&self, py: Python<'_>, relation: &str) -> PyResult<Table> {
        let (place, many) = self.relation(relation)?;
        let target = self.model.target_of_many(py, place)?;
        let side = |name: &str, model: &Model, has_index: bool| -> PyResult<Column> {
            let key = model.key()?;
            Ok(Column {
                name: name.to_owned(),
                kind: key.column.kind.clone(),
                is_nullable: false,
                has_index,
                is_unique: false,
                references: Some(Reference {
                    table: model.table.clone(),
                    column: key.plain.clone(),
                    on_delete: Some(OnDelete::Cascade),
                }),
            })
        };
        let columns = vec![side(&many.own, &self.model, false)?, side(&many.other, &target, true)?];
        Ok(Table { name: many.links.clone(), columns, primary_key: vec![0, 1] })
    }
}

fn no_key(model: &Model) -> PyErr {
    model.key().err().unwrap_or_else(|| PyAttributeError::new_err("pk"))
}

type Described<'py> = (
    String,
    Py<PyAny>,
    String,
    u32,
    u32,
    Option<Bound<'py, PyAny>>,
    Option<(String, Vec<String>)>,
    Option<String>,
    (bool, bool, bool, bool, bool),
    Option<String>,
);

impl Field {
    fn of(
        py: Python<'_>,
        model: &str,
        described: &Bound<'_, PyAny>,
        documents_are_read: bool,
    ) -> PyResult<(Field, bool)> {
        let described: &Bound<'_, PyTuple> = described.cast().map_err(PyErr::from)?;
        let (name, field, kind, length, scale, detail, enumeration, declared, marks, on_delete): Described<
            '_,
        > = described.extract()?;
        let (is_nullable, has_index, is_unique, is_key, is_searched) = marks;
        let on_delete = match on_delete {
            None => None,
            Some(words) => Some(OnDelete::of(&words).ok_or_else(|| {
                PyValueError::new_err(format!(
                    "{model}.{name}: on_delete is one of CASCADE, RESTRICT, SET NULL, SET DEFAULT and NO ACTION, and not \
                     {words:?}"
                ))
            })?),
        };
        let is_relation = kind == "relation";
        // The type of a relation is that of the key that it names, and comes later.
        let known = if is_relation { "integer" } else { kind.as_str() };
        let column = Column {
            name: name.clone(),
            kind: type_of(known, length, scale, enumeration, declared)?,
            is_nullable,
            has_index,
            is_unique,
            references: on_delete.map(|on_delete| Reference {
                table: String::new(),
                column: String::new(),
                on_delete: Some(on_delete),
            }),
        };
        let made = Field {
            name: PyString::intern(py, &name).unbind(),
            plain: name,
            field,
            relation: is_relation.then(|| Relation { target: OnceLock::new() }),
            kind: Kind::of(known, scale, detail.as_ref(), documents_are_read)?,
            is_nullable,
            is_searched,
            column,
        };
        Ok((made, is_key))
    }
}

fn dialect_of(name: &str) -> PyResult<Dialect> {
    match name {
        "sqlite" => Ok(Dialect::Sqlite),
        "postgresql" | "postgres" => Ok(Dialect::Postgres),
        "mysql" | "mariadb" => Ok(Dialect::Mysql),
        _ => Err(PyValueError::new_err(format!("naja.orm knows no databases of the kind {name:?}"))),
    }
}

/// The statements that make the tables of models and of links that are not among the `existing` ones, or take away
/// those that are.
#[pyfunction]
pub(super) fn definitions(
    py: Python<'_>,
    dialect: &str,
    mappers: Vec<Py<Mapper>>,
    links: Vec<(Py<Mapper>, String)>,
    existing: Vec<String>,
    drops: bool,
) -> PyResult<Vec<String>> {
    let dialect = dialect_of(dialect)?;
    let mut tables = Vec::with_capacity(mappers.len() + links.len());
    for mapper in &mappers {
        tables.push(mapper.get().table(py)?);
    }
    for (mapper, relation) in &links {
        tables.push(mapper.get().links(py, relation)?);
    }
    let is_there = |name: &str| existing.iter().any(|one| one == name);
    Ok(if drops {
        naja_db::orm::definition::drop(dialect, &tables, &is_there)
    } else {
        naja_db::orm::definition::create(dialect, &tables, &is_there)
    })
}

/// The query for the names of the tables that are there.
#[pyfunction]
pub(super) fn names_of_tables(dialect: &str) -> PyResult<&'static str> {
    Ok(naja_db::orm::definition::names_of_tables(dialect_of(dialect)?))
}

/// The name, of those that are known, that was probably meant; `None` where none is near.
#[pyfunction]
pub(super) fn nearest(name: &str, known: Vec<String>) -> Option<String> {
    naja_db::orm::near::nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}
