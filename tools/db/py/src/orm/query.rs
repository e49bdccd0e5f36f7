//! Queries of a model: what was asked for so far, and the plan that comes of it.
//!
//! A [`Query`] is never changed: each call gives a new one. Its plan is made of its shape alone, and kept by the model;
//! its values lie beside it, in the order in which their places stand in the SQL.

use std::sync::Arc;

use naja_db::orm::query::{ColumnAt, Condition, From, Join, Rows, Select, Test, Want};
use naja_db::orm::{Places, change};
use naja_db::tables::Dialect;
use naja_db::tables::filter::{Comparison, escaped};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyInt, PyList, PyString};

use super::lookup::{Lookup, Step, Taken, unknown, walk};
use super::mapper::{Many, Model};
use super::plan::{Maker, Node, Plan};

// What a shape begins with.
const ROWS: u32 = 0;
const COUNT: u32 = 1;
const EXISTS: u32 = 2;
const DELETE: u32 = 3;
const UPDATE: u32 = 4;
pub(super) const INSERT: u32 = 5;

/// The rows of a model that are meant, and their order.
#[pyclass(frozen, module = "naja._native.db.orm")]
pub(super) struct Query {
    pub(super) model: Arc<Model>,
    pub(super) state: State,
}

/// What was asked for.
#[derive(Default)]
pub(super) struct State {
    asked: Vec<Asked>,
    /// Of what was asked, in its order.
    values: Vec<Py<PyAny>>,
    order: Vec<Order>,
    limit: Option<i64>,
    offset: Option<i64>,
}

#[derive(Clone)]
enum Asked {
    /// The rows that a way through relations leads to.
    Related(Vec<usize>),
    Filter {
        is_negated: bool,
        tests: Vec<(Arc<Lookup>, Taken)>,
    },
    /// Text anywhere.
    Search,
    /// SQL that something else has made.
    Written(Vec<String>),
    /// The rows that a relation of another model leads to.
    Linked(Arc<Model>, usize),
}

#[derive(Clone)]
struct Order {
    steps: Vec<usize>,
    column: usize,
    descends: bool,
}

impl State {
    fn again(&self, py: Python<'_>) -> State {
        State {
            asked: self.asked.clone(),
            values: self.values.iter().map(|value| value.clone_ref(py)).collect(),
            order: self.order.clone(),
            limit: self.limit,
            offset: self.offset,
        }
    }

    /// The shape: all that the SQL depends on. Nothing, where it depends on SQL that something else has made.
    fn shape(&self, wanted: u32, limit: Option<i64>) -> Option<Vec<u32>> {
        let mut shape = vec![
            wanted,
            u32::from(limit.is_some()) + 2 * u32::from(self.offset.is_some()),
            number(self.order.len()),
        ];
        for order in &self.order {
            shape.push(number(order.steps.len()));
            shape.extend(order.steps.iter().map(|step| number(*step)));
            shape.extend([number(order.column), u32::from(order.descends)]);
        }
        for asked in &self.asked {
            match asked {
                Asked::Related(steps) => {
                    shape.extend([0, number(steps.len())]);
                    shape.extend(steps.iter().map(|step| number(*step)));
                }
                Asked::Filter { is_negated, tests } => {
                    shape.extend([1 + u32::from(*is_negated), number(tests.len())]);
                    shape.extend(tests.iter().flat_map(|(lookup, taken)| [lookup.number, taken.as_number()]));
                }
                Asked::Search => shape.push(3),
                Asked::Written(_) => return None,
                Asked::Linked(owner, place) => {
                    // The plan keeps the model, so that its place in memory stays its own.
                    let address = Arc::as_ptr(owner).addr() as u64;
                    shape.extend([4, (address >> 32) as u32, address as u32, number(*place)]);
                }
            }
        }
        Some(shape)
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// A query while it is made of what was asked.
struct Builder {
    from: From,
    /// The model of each table; a table of links has none.
    models: Vec<Option<Arc<Model>>>,
    /// Of each table but the first, the table that it is joined to and the column there.
    parents: Vec<(usize, usize)>,
    is_selected: Vec<bool>,
    is_outer: Vec<bool>,
}

impl Builder {
    fn of(model: &Arc<Model>) -> Builder {
        Builder {
            from: From::table(&model.table),
            models: vec![Some(model.clone())],
            parents: vec![(0, 0)],
            is_selected: vec![true],
            is_outer: vec![false],
        }
    }

    /// Of the links of a relation: the first table has no model.
    fn of_links(many: &Many) -> Builder {
        Builder {
            from: From::table(&many.links),
            models: vec![None],
            parents: vec![(0, 0)],
            is_selected: vec![false],
            is_outer: vec![false],
        }
    }

    /// The place of the table that a way leads to from a place, joined where it is not there yet.
    fn place(
        &mut self,
        py: Python<'_>,
        start: usize,
        steps: impl IntoIterator<Item = usize>,
        is_selected: bool,
    ) -> PyResult<usize> {
        let mut place = start;
        for column in steps {
            let Some(model) = self.models[place].clone() else { return Ok(place) };
            let known =
                (1..self.parents.len()).find(|one| *one > start && self.parents[*one] == (place, column));
            place = match known {
                Some(known) => known,
                None => {
                    let Some(target) = model.target(py, column)? else { return Ok(place) };
                    let key = target.key()?.plain.clone();
                    let field = &model.columns[column];
                    // Rows below one that may be missing may be missing.
                    let is_outer = field.is_nullable || self.is_outer[place];
                    self.join(place, column, &field.plain, &target, &key, is_outer)
                }
            };
            self.is_selected[place] |= is_selected;
        }
        Ok(place)
    }

    fn join(
        &mut self,
        parent: usize,
        column: usize,
        name: &str,
        target: &Arc<Model>,
        key: &str,
        is_outer: bool,
    ) -> usize {
        self.from.joins.push(Join {
            parent,
            column: name.to_owned(),
            table: target.table.clone(),
            key: key.to_owned(),
            is_outer,
        });
        self.models.push(Some(target.clone()));
        self.parents.push((parent, column));
        self.is_selected.push(false);
        self.is_outer.push(is_outer);
        self.models.len() - 1
    }

    /// The conditions of tests, whose ways begin at `start`. Tests that go through the same links stand together and
    /// are about the same linked row.
    fn conditions(
        &mut self,
        py: Python<'_>,
        start: usize,
        tests: &[(&[Step], &Lookup, Taken)],
        is_selected: bool,
    ) -> PyResult<Vec<Condition>> {
        let mut conditions = Vec::with_capacity(tests.len());
        let mut rest = tests;
        while let Some(((steps, lookup, taken), others)) = rest.split_first() {
            let joins = steps.iter().position(|step| matches!(step, Step::Many(_))).unwrap_or(steps.len());
            let place = self.place(py, start, steps[..joins].iter().filter_map(joined), is_selected)?;
            let Some(Step::Many(many)) = steps.get(joins) else {
                let column = lookup.column.map(|column| lookup.model.columns[column].plain.clone());
                conditions.push(Condition::Test(
                    ColumnAt { table: place, name: column.unwrap_or_default() },
                    lookup.test(*taken),
                ));
                rest = others;
                continue;
            };
            let together = rest
                .iter()
                .take_while(|(other, ..)| other.get(..=joins) == steps.get(..=joins))
                .count()
                .max(1);
            let group: Vec<(&[Step], &Lookup, Taken)> = rest[..together]
                .iter()
                .map(|(steps, lookup, taken)| (steps.get(joins + 1..).unwrap_or(&[]), *lookup, *taken))
                .collect();
            let Some(model) = self.models[place].clone() else { break };
            conditions.push(among(py, &model, place, *many, &group)?);
            rest = &rest[together..];
        }
        Ok(conditions)
    }

    /// The columns of the tables that are selected, and what is made of them.
    fn selected(&self, py: Python<'_>) -> PyResult<(Vec<ColumnAt>, Node)> {
        let mut columns = Vec::new();
        let mut firsts = vec![0; self.models.len()];
        for (place, model) in self.models.iter().enumerate() {
            let (Some(model), true) = (model, self.is_selected[place]) else { continue };
            firsts[place] = columns.len();
            columns.extend(
                model.columns.iter().map(|field| ColumnAt { table: place, name: field.plain.clone() }),
            );
        }
        let node = self.node(py, 0, &firsts)?;
        Ok((columns, node))
    }

    fn node(&self, py: Python<'_>, place: usize, firsts: &[usize]) -> PyResult<Node> {
        let Some(model) = &self.models[place] else {
            return Err(PyValueError::new_err("a table of links has no instances"));
        };
        Node::of(py, model, firsts[place], |column| {
            let child = (1..self.parents.len())
                .find(|child| self.is_selected[*child] && self.parents[*child] == (place, column));
            child.map(|child| self.node(py, child, firsts)).transpose()
        })
    }
}

fn joined(step: &Step) -> Option<usize> {
    match step {
        Step::One(column) => Some(*column),
        Step::Many(_) => None,
    }
}

/// Rows that are linked to a row that passes all tests.
fn among(
    py: Python<'_>,
    model: &Arc<Model>,
    place: usize,
    many: usize,
    tests: &[(&[Step], &Lookup, Taken)],
) -> PyResult<Condition> {
    let relation = &model.many[many];
    let target = model.target_of_many(py, many)?;
    let mut inner = Builder::of_links(relation);
    let mut conditions = Vec::with_capacity(tests.len());
    let mut of_target: Option<usize> = None;
    let mut rest = tests;
    while let Some(((steps, lookup, taken), others)) = rest.split_first() {
        if steps.is_empty() && (lookup.column.is_none() || lookup.column == target.key) {
            // The link itself names the key.
            let column = ColumnAt { table: 0, name: relation.other.clone() };
            conditions.push(Condition::Test(column, lookup.test(*taken)));
            rest = others;
            continue;
        }
        let joined = match of_target {
            Some(joined) => joined,
            None => {
                let key = target.key()?.plain.clone();
                let joined = inner.join(0, usize::MAX, &relation.other, &target, &key, false);
                of_target = Some(joined);
                joined
            }
        };
        // Those that go on through the same links are about one row there too.
        let count = match steps.iter().position(|step| matches!(step, Step::Many(_))) {
            Some(end) => {
                rest.iter().take_while(|(other, ..)| other.get(..=end) == steps.get(..=end)).count().max(1)
            }
            None => 1,
        };
        conditions.extend(inner.conditions(py, joined, &rest[..count], false)?);
        rest = &rest[count..];
    }
    let rows = Rows {
        from: inner.from,
        column: ColumnAt { table: 0, name: relation.own.clone() },
        condition: Condition::All(conditions),
    };
    let key = ColumnAt { table: place, name: model.key()?.plain.clone() };
    Ok(Condition::Among(key, Box::new(rows)))
}

/// The tests of a link: its own key, and with others one of their keys.
pub(super) fn link_tests(many: &Many, others: usize) -> Vec<Condition> {
    let at = |name: &str| ColumnAt { table: 0, name: name.to_owned() };
    let mut tests = vec![Condition::Test(at(&many.own), Test::Compare(Comparison::Equal))];
    if others > 0 {
        tests.push(Condition::Test(at(&many.other), Test::In(others)));
    }
    tests
}

/// The query for the pairs of keys of links, by so many own keys.
pub(super) fn pairs(dialect: Dialect, places: Places, many: &Many, keys: usize) -> String {
    let at = |name: &str| ColumnAt { table: 0, name: name.to_owned() };
    let select = Select {
        from: From::table(&many.links),
        condition: Condition::Test(at(&many.own), Test::In(keys)),
        order: vec![(at(&many.own), false), (at(&many.other), false)],
        has_limit: false,
        has_offset: false,
    };
    select.write(dialect, places, Want::Columns(&[at(&many.own), at(&many.other)]))
}

impl Query {
    fn with(&self, py: Python<'_>, change: impl FnOnce(&mut State)) -> Query {
        let mut state = self.state.again(py);
        change(&mut state);
        Query { model: self.model.clone(), state }
    }

    /// The rows that a relation of another model leads to, from the row with this key.
    pub(super) fn linked(
        &self,
        py: Python<'_>,
        owner: &Arc<Model>,
        relation: usize,
        value: Py<PyAny>,
    ) -> Query {
        self.with(py, |state| {
            state.asked.push(Asked::Linked(owner.clone(), relation));
            state.values.push(value);
        })
    }

    fn build(&self, py: Python<'_>, limit: Option<i64>) -> PyResult<(Builder, Select)> {
        let model = &self.model;
        let mut builder = Builder::of(model);
        let mut conditions = Vec::with_capacity(self.state.asked.len());
        for asked in &self.state.asked {
            match asked {
                Asked::Related(steps) => {
                    builder.place(py, 0, steps.iter().copied(), true)?;
                }
                Asked::Filter { is_negated, tests } => {
                    let tests: Vec<(&[Step], &Lookup, Taken)> = tests
                        .iter()
                        .map(|(lookup, taken)| (lookup.steps.as_slice(), &**lookup, *taken))
                        .collect();
                    // What is asked of a related row makes it known.
                    let all = builder.conditions(py, 0, &tests, true)?;
                    if *is_negated {
                        conditions.push(Condition::Not(Box::new(Condition::All(all))));
                    } else {
                        conditions.extend(all);
                    }
                }
                Asked::Search => {
                    let tests = self.searched().map(|name| {
                        let column = ColumnAt { table: 0, name: name.to_owned() };
                        Condition::Test(column, Test::Like { any_case: true, as_text: false })
                    });
                    conditions.push(Condition::Any(tests.collect()));
                }
                Asked::Written(pieces) => conditions.push(Condition::Written(pieces.clone())),
                Asked::Linked(owner, relation) => {
                    let many = &owner.many[*relation];
                    let rows = Rows {
                        from: From::table(&many.links),
                        column: ColumnAt { table: 0, name: many.other.clone() },
                        condition: Condition::All(link_tests(many, 0)),
                    };
                    let key = ColumnAt { table: 0, name: model.key()?.plain.clone() };
                    conditions.push(Condition::Among(key, Box::new(rows)));
                }
            }
        }
        let mut order = Vec::with_capacity(self.state.order.len());
        for one in &self.state.order {
            let place = builder.place(py, 0, one.steps.iter().copied(), false)?;
            let Some(sorted) = &builder.models[place] else { continue };
            let name = sorted.columns[one.column].plain.clone();
            order.push((ColumnAt { table: place, name }, one.descends));
        }
        let select = Select {
            from: std::mem::replace(&mut builder.from, From::table("")),
            condition: Condition::All(conditions),
            order,
            has_limit: limit.is_some(),
            has_offset: self.state.offset.is_some(),
        };
        Ok((builder, select))
    }

    fn searched(&self) -> impl Iterator<Item = &str> {
        self.model.columns.iter().filter(|field| field.is_searched).map(|field| field.plain.as_str())
    }

    fn planned(&self, shape: Option<Vec<u32>>, make: impl FnOnce() -> PyResult<Plan>) -> PyResult<Plan> {
        match shape {
            Some(shape) => Ok(Plan::clone(&*self.model.plan(&shape, make)?)),
            None => make(),
        }
    }

    /// The models whose places in memory are in the shape.
    fn kept(&self) -> Vec<Arc<Model>> {
        self.state
            .asked
            .iter()
            .filter_map(|asked| match asked {
                Asked::Linked(owner, _) => Some(owner.clone()),
                _ => None,
            })
            .collect()
    }

    fn take_values<'py>(&self, list: &Bound<'py, PyList>, limit: Option<i64>) -> PyResult<()> {
        let py = list.py();
        self.state.values.iter().try_for_each(|value| list.append(value.bind(py)))?;
        for number in [limit, self.state.offset].into_iter().flatten() {
            list.append(PyInt::new(py, number))?;
        }
        Ok(())
    }

    /// The primary key's name; nothing where there is none and none is needed.
    fn key_for_change(&self, select: &Select) -> PyResult<&str> {
        let is_simple = select.from.joins.is_empty() && !select.has_limit && !select.has_offset;
        match self.model.key {
            None if is_simple => Ok(""),
            _ => Ok(&self.model.key()?.plain),
        }
    }
}

#[pymethods]
impl Query {
    /// With tests by their names, all of which hold, or with `is_negated` not all.
    fn filter(&self, py: Python<'_>, given: &Bound<'_, PyDict>, is_negated: bool) -> PyResult<Query> {
        let mut tests = Vec::with_capacity(given.len());
        for (name, value) in given {
            let name: &str = name.extract()?;
            tests.push((self.model.lookup(py, name)?, value));
        }
        // Tests that go through the same links have to stand together.
        if tests.iter().any(|(lookup, _)| lookup.joins() < lookup.steps.len()) {
            tests.sort_by(|(one, _), (other, _)| one.steps.cmp(&other.steps));
        }
        let mut state = self.state.again(py);
        let mut taken = Vec::with_capacity(tests.len());
        for (lookup, value) in tests {
            let count = lookup.take(&value, &mut state.values)?;
            taken.push((lookup, count));
        }
        state.asked.push(Asked::Filter { is_negated, tests: taken });
        Ok(Query { model: self.model.clone(), state })
    }

    /// With text anywhere in the columns of text.
    fn search(&self, py: Python<'_>, term: &str) -> Query {
        let count = self.searched().count();
        if count == 0 {
            return self.with(py, |_| ());
        }
        let pattern = PyString::new(py, &format!("%{}%", escaped(term))).into_any().unbind();
        self.with(py, |state| {
            state.asked.push(Asked::Search);
            state.values.extend((0..count).map(|_| pattern.clone_ref(py)));
        })
    }

    /// With SQL that something else has made: its pieces, between which values stand.
    fn written(&self, py: Python<'_>, pieces: Vec<String>, values: Vec<Py<PyAny>>) -> PyResult<Query> {
        if pieces.len() != values.len() + 1 {
            return Err(PyValueError::new_err("a value stands between each two pieces"));
        }
        Ok(self.with(py, |state| {
            state.asked.push(Asked::Written(pieces));
            state.values.extend(values);
        }))
    }

    /// With the rows that relations lead to.
    fn related(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Query> {
        let mut all = Vec::with_capacity(names.len());
        for name in &names {
            let parts: Vec<&str> = name.split("__").collect();
            let (steps, _) = walk(py, &self.model, name, &parts, false)?;
            all.push(Asked::Related(steps.iter().filter_map(joined).collect()));
        }
        Ok(self.with(py, |state| state.asked.extend(all)))
    }

    /// Sorted by columns; a name with `-` in front sorts the largest first.
    fn order(&self, py: Python<'_>, names: Vec<String>) -> PyResult<Query> {
        let mut order = Vec::with_capacity(names.len());
        for given in &names {
            let name = given.trim_start_matches('-');
            let mut parts: Vec<&str> = name.split("__").collect();
            let last = parts.pop().unwrap_or("");
            let (steps, end) = walk(py, &self.model, name, &parts, false)?;
            let column = end.column(last).ok_or_else(|| unknown(py, &end, name, last, parts.is_empty()))?;
            let steps = steps.iter().filter_map(joined).collect();
            order.push(Order { steps, column, descends: given.starts_with('-') });
        }
        Ok(self.with(py, |state| state.order = order))
    }

    fn limit(&self, py: Python<'_>, count: Option<i64>) -> Query {
        self.with(py, |state| state.limit = count)
    }

    fn offset(&self, py: Python<'_>, count: Option<i64>) -> Query {
        self.with(py, |state| state.offset = count)
    }

    /// The statement that reads the rows, and its values; of so many rows at most, whatever was asked before.
    #[pyo3(signature = (limit=None))]
    fn select<'py>(&self, py: Python<'py>, limit: Option<i64>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let limit = limit.or(self.state.limit);
        let plan = self.planned(self.state.shape(ROWS, limit), || {
            let (builder, select) = self.build(py, limit)?;
            let (columns, node) = builder.selected(py)?;
            let sql = select.write(self.model.dialect, self.model.places, Want::Columns(&columns));
            Plan::new(py, sql, Some(Maker::Instance(node)), self.kept())
        })?;
        let values = PyList::empty(py);
        self.take_values(&values, limit)?;
        Ok((plan, values))
    }

    /// The statement that counts the rows.
    fn count<'py>(&self, py: Python<'py>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        self.summed(py, COUNT, Want::Count)
    }

    /// The statement that says whether there is a row.
    fn exists<'py>(&self, py: Python<'py>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        self.summed(py, EXISTS, Want::Exists)
    }

    /// The statement that removes the rows.
    fn delete<'py>(&self, py: Python<'py>) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let limit = self.state.limit;
        let plan = self.planned(self.state.shape(DELETE, limit), || {
            let (_, select) = self.build(py, limit)?;
            let key = self.key_for_change(&select)?;
            let sql = change::delete(self.model.places, self.model.dialect, &select, key);
            Plan::new(py, sql, None, self.kept())
        })?;
        let values = PyList::empty(py);
        self.take_values(&values, limit)?;
        Ok((plan, values))
    }

    /// The statement that changes columns of the rows.
    fn update<'py>(
        &self,
        py: Python<'py>,
        given: &Bound<'py, PyDict>,
    ) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let limit = self.state.limit;
        let values = PyList::empty(py);
        let mut places = Vec::with_capacity(given.len());
        for (place, field) in self.model.columns.iter().enumerate() {
            if let Some(value) = given.get_item(&field.name)? {
                values.append(self.model.put(place, &value)?)?;
                places.push(place);
            }
        }
        let shape = self.state.shape(UPDATE, limit).map(|mut shape| {
            shape.push(u32::MAX);
            shape.extend(places.iter().map(|place| number(*place)));
            shape
        });
        let plan = self.planned(shape, || {
            let (_, select) = self.build(py, limit)?;
            let key = self.key_for_change(&select)?;
            let names: Vec<&str> =
                places.iter().map(|place| self.model.columns[*place].plain.as_str()).collect();
            let sql = change::update(self.model.places, self.model.dialect, &select, key, &names);
            Plan::new(py, sql, None, self.kept())
        })?;
        self.take_values(&values, limit)?;
        Ok((plan, values))
    }

    fn __repr__(&self) -> String {
        format!("<Query of {}>", self.model.name)
    }
}

impl Query {
    fn summed<'py>(
        &self,
        py: Python<'py>,
        wanted: u32,
        want: Want<'_>,
    ) -> PyResult<(Plan, Bound<'py, PyList>)> {
        let limit = self.state.limit;
        let plan = self.planned(self.state.shape(wanted, limit), || {
            let (_, select) = self.build(py, limit)?;
            let sql = select.write(self.model.dialect, self.model.places, want);
            Plan::new(py, sql, Some(Maker::First), self.kept())
        })?;
        let values = PyList::empty(py);
        self.take_values(&values, limit)?;
        Ok((plan, values))
    }
}
