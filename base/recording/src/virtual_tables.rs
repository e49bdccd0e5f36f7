//! The packed parts of a recording as tables that SQL can ask: `samples`, `stacks`, `stack_frames`.
//!
//! Blocks are unpacked one at a time while rows are read. What a query says about the columns that a table
//! calls its keys only narrows what is unpacked; SQLite checks every row again itself.
//! Start at [`register`]; each table is one implementation of [`Rows`].
//!
//! The two `unsafe impl` are promises about layout, not code: SQLite casts pointers to the first field.

#![allow(unsafe_code)]

use std::borrow::Cow;
use std::ffi::{CStr, c_int};
use std::sync::{Arc, OnceLock};

use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::vtab::{
    Context, Filters, IndexConstraintOp, IndexInfo, Module, VTab, VTabConnection, VTabCursor, sqlite3_vtab,
    sqlite3_vtab_cursor,
};

use crate::model::*;
use crate::reader::Reader;
use crate::schema::Again;

/// Makes the tables known to a connection. They read the recording through connections of their own.
pub(crate) fn register(connection: &Connection, again: Again) -> rusqlite::Result<()> {
    let shared = Shared { again, things: Arc::new(OnceLock::new()) };
    register_one::<Samples>(connection, c"samples", &shared)?;
    register_one::<Stacks>(connection, c"stacks", &shared)?;
    register_one::<Frames>(connection, c"stack_frames", &shared)
}

fn register_one<R: Rows>(connection: &Connection, name: &CStr, shared: &Shared) -> rusqlite::Result<()> {
    let module = const { &Module::<Table<R>>::eponymous_only_module() };
    connection.create_module(name, module, Some(shared.clone()))
}

/// What the tables have in common; `things` are read when the first of them is used.
#[derive(Clone)]
pub(crate) struct Shared {
    again: Again,
    things: Arc<OnceLock<Result<Arc<Things>, String>>>,
}

/// What the rows refer to.
struct Things {
    seconds_per_tick: f64,
    pids: Vec<(ProcessId, u32)>,
    threads: Vec<Thread>,
    functions: Vec<Function>,
    nodes: Vec<StackNode>,
    node_range: (i64, i64),
    blocks: Vec<Block>,
}

/// Where the samples of a stretch of time of a thread are.
struct Block {
    row: i64,
    thread: ThreadId,
    first_tick: Tick,
    end_tick: Tick,
}

impl Shared {
    fn reader(&self) -> rusqlite::Result<Reader<'static>> {
        Reader::again(&self.again).map_err(module_error)
    }

    fn things(&self) -> rusqlite::Result<Arc<Things>> {
        let read = || Things::read(&self.again).map_err(|error| error.to_string());
        self.things.get_or_init(|| read().map(Arc::new)).clone().map_err(rusqlite::Error::ModuleError)
    }
}

impl Things {
    fn read(again: &Again) -> Result<Things, crate::RecordingError> {
        let reader = Reader::again(again)?;
        let blocks = reader.rows(
            "SELECT id, thread, first_tick, end_tick, goes_on FROM run_blocks ORDER BY thread, first_tick",
            |row| {
                Ok(Block {
                    row: row.get(0)?,
                    thread: row.get(1)?,
                    first_tick: row.get(2)?,
                    end_tick: if row.get(4)? { reader.until_tick() } else { row.get(3)? },
                })
            },
        )?;
        let processes = reader.processes()?;
        Ok(Things {
            seconds_per_tick: reader.header().interval_ns as f64 / 1e9,
            pids: processes.iter().map(|each| (each.id, each.pid)).collect(),
            threads: reader.threads()?,
            functions: reader.functions()?,
            nodes: reader.nodes()?,
            node_range: reader.node_range()?,
            blocks,
        })
    }

    fn thread(&self, id: ThreadId) -> Option<&Thread> {
        let index = self.threads.binary_search_by_key(&id, |thread| thread.id);
        index.ok().map(|index| &self.threads[index])
    }

    fn pid(&self, process: ProcessId) -> Option<u32> {
        let index = self.pids.binary_search_by_key(&process, |&(id, _)| id);
        index.ok().map(|index| self.pids[index].1)
    }

    /// The node of a number: numbers have no holes.
    fn node(&self, id: NodeId) -> Option<&StackNode> {
        let first = self.nodes.first()?.id;
        self.nodes.get(id.checked_sub(first)? as usize)
    }

    fn function(&self, id: FunctionId) -> Option<&Function> {
        let first = self.functions.first()?.id;
        self.functions.get(id.checked_sub(first)? as usize)
    }

    /// The caller of a node.
    fn parent(&self, node: &StackNode) -> Option<&StackNode> {
        self.node(node.parent)
    }

    fn depth(&self, node: &StackNode) -> i64 {
        std::iter::successors(Some(node), |node| self.parent(node)).count() as i64
    }
}

/// A range of numbers, both ends included, for each key of a table.
type Bounds = Vec<(f64, f64)>;

/// The rows of one table, in the order in which they are read.
trait Rows: Sized + 'static {
    /// The columns.
    const DECLARE: &'static CStr;
    /// Columns whose bounds are used; the first is the one that narrows most.
    const KEYS: &'static [c_int];
    /// About how many rows there are: only their relation matters to the planner.
    const COUNT: f64;

    /// Stands at the first row within the bounds, one for each key.
    fn start(shared: &Shared, bounds: &Bounds) -> rusqlite::Result<Self>;
    fn done(&self) -> bool;
    fn advance(&mut self) -> rusqlite::Result<()>;
    fn column(&self, index: c_int) -> Cell<'_>;
    /// A number of the row's own: SQLite takes two rows with one number, found by two ways, for one row.
    fn row_id(&self) -> i64;
}

/// The value of a column.
enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

impl From<Option<u32>> for Cell<'_> {
    fn from(value: Option<u32>) -> Self {
        value.map_or(Cell::Null, |value| Cell::Integer(value.into()))
    }
}

impl<'a> From<Option<&'a str>> for Cell<'a> {
    fn from(value: Option<&'a str>) -> Self {
        value.map_or(Cell::Null, Cell::Text)
    }
}

/// One row a tick and thread.
struct Samples {
    reader: Reader<'static>,
    things: Arc<Things>,
    /// Indices into `things.blocks` that are still to be read, last first.
    blocks: Vec<usize>,
    ticks: (f64, f64),
    runs: ThreadRuns,
    run: usize,
    /// Ticks of the current run that have been given.
    within: u32,
    done: bool,
}

impl Samples {
    fn tick(&self) -> Tick {
        self.runs.first_tick + Tick::from(self.within)
    }

    /// Goes on to the next block while the current one has no run left.
    fn settle(&mut self) -> rusqlite::Result<()> {
        while self.run >= self.runs.runs.len() {
            let Some(index) = self.blocks.pop() else {
                self.done = true;
                return Ok(());
            };
            let row = self.things.blocks[index].row;
            self.runs = self.unpack(row)?;
            self.run = 0;
            self.within = 0;
            self.skip_to_bounds();
        }
        Ok(())
    }

    fn unpack(&self, row: i64) -> rusqlite::Result<ThreadRuns> {
        let mut statement = self.reader.db().prepare_cached(
            "SELECT thread, first_tick, end_tick, goes_on, data FROM run_blocks WHERE id = ?1",
        )?;
        let mut rows = statement.query([row])?;
        // The list of blocks and the rows are of the same moment: a finished file, or a copy.
        let row = rows.next()?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
        let runs = self.reader.block_runs(row, self.things.node_range);
        runs.map_err(module_error)
    }

    /// Passes over runs before the first tick asked for, and ends after the last.
    fn skip_to_bounds(&mut self) {
        while let Some(run) = self.runs.runs.get(self.run) {
            let end = self.runs.first_tick + Tick::from(run.ticks);
            if end as f64 > self.ticks.0 {
                let missing = self.ticks.0 - self.runs.first_tick as f64;
                // A float that is out of range becomes the nearest number.
                self.within = (missing as u32).min(run.ticks - 1);
                return;
            }
            self.runs.first_tick = end;
            self.run += 1;
        }
    }
}

impl Rows for Samples {
    const DECLARE: &'static CStr = c"CREATE TABLE x(tick INTEGER, time_s REAL, pid INTEGER, process INTEGER,
        thread INTEGER, os_tid INTEGER, thread_name TEXT, state TEXT, gil INTEGER, gc INTEGER,
        stack INTEGER, function TEXT, file TEXT, line INTEGER)";
    /// thread, tick, time_s
    const KEYS: &'static [c_int] = &[4, 0, 1];
    const COUNT: f64 = 1e7;

    fn start(shared: &Shared, bounds: &Bounds) -> rusqlite::Result<Self> {
        let things = shared.things()?;
        let [threads, ticks, seconds] = [bounds[0], bounds[1], bounds[2]];
        let per_second = 1.0 / things.seconds_per_tick;
        // One tick more on each side, for what rounding took.
        let ticks = (ticks.0.max(seconds.0 * per_second - 1.0), ticks.1.min(seconds.1 * per_second + 1.0));
        let wanted = |block: &Block| {
            (threads.0..=threads.1).contains(&f64::from(block.thread))
                && block.end_tick as f64 > ticks.0
                && block.first_tick as f64 <= ticks.1
        };
        let blocks = things.blocks.iter().enumerate();
        let blocks = blocks.filter(|(_, block)| wanted(block));
        let mut rows = Samples {
            reader: shared.reader()?,
            blocks: blocks.map(|(index, _)| index).rev().collect(),
            things,
            ticks,
            runs: ThreadRuns::default(),
            run: 0,
            within: 0,
            done: false,
        };
        rows.settle()?;
        Ok(rows)
    }

    fn done(&self) -> bool {
        self.done
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.within += 1;
        let ticks = self.runs.runs[self.run].ticks;
        if self.within == ticks {
            self.runs.first_tick += Tick::from(ticks);
            self.run += 1;
            self.within = 0;
        }
        if self.tick() as f64 > self.ticks.1 {
            self.run = self.runs.runs.len();
        }
        self.settle()
    }

    fn row_id(&self) -> i64 {
        // Ticks are below 2^39; the threads of a recording are not so many that the rest overflows.
        (i64::from(self.runs.thread) << 39).wrapping_add(self.tick().cast_signed())
    }

    fn column(&self, index: c_int) -> Cell<'_> {
        let run = &self.runs.runs[self.run];
        let thread = || self.things.thread(self.runs.thread);
        let node = || self.things.node(run.node);
        let function = || self.things.function(node()?.function);
        match index {
            0 => Cell::Integer(self.tick().cast_signed()),
            1 => Cell::Real(self.tick() as f64 * self.things.seconds_per_tick),
            2 => thread().and_then(|thread| self.things.pid(thread.process)).into(),
            3 => thread().map(|thread| thread.process).into(),
            4 => Cell::Integer(i64::from(self.runs.thread)),
            5 => thread().map(|thread| thread.os_tid).into(),
            6 => thread().map(|thread| thread.name.as_str()).into(),
            7 => Cell::Text(run.state.word()),
            8 => Cell::Integer(i64::from(run.gil)),
            9 => Cell::Integer(i64::from(run.gc)),
            10 => node().map(|node| node.id).into(),
            11 => function().map(|function| function.qualified_name.as_str()).into(),
            12 => function().map(|function| function.file.as_str()).into(),
            _ => node().map(|node| node.line).into(),
        }
    }
}

/// One row a stack node.
struct Stacks {
    things: Arc<Things>,
    at: usize,
    end: usize,
}

impl Rows for Stacks {
    const DECLARE: &'static CStr = c"CREATE TABLE x(id INTEGER, parent INTEGER, function TEXT, file TEXT,
        line INTEGER, depth INTEGER, function_id INTEGER)";
    const KEYS: &'static [c_int] = &[0];
    const COUNT: f64 = 5e4;

    fn start(shared: &Shared, bounds: &Bounds) -> rusqlite::Result<Self> {
        let things = shared.things()?;
        let (at, end) = node_indices(&things, bounds[0]);
        Ok(Stacks { things, at, end })
    }

    fn done(&self) -> bool {
        self.at >= self.end
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.at += 1;
        Ok(())
    }

    fn row_id(&self) -> i64 {
        i64::from(self.things.nodes[self.at].id)
    }

    fn column(&self, index: c_int) -> Cell<'_> {
        let node = &self.things.nodes[self.at];
        let function = || self.things.function(node.function);
        match index {
            0 => Cell::Integer(i64::from(node.id)),
            1 => self.things.parent(node).map(|parent| parent.id).into(),
            2 => function().map(|function| function.qualified_name.as_str()).into(),
            3 => function().map(|function| function.file.as_str()).into(),
            4 => Cell::Integer(i64::from(node.line)),
            5 => Cell::Integer(self.things.depth(node)),
            _ => Cell::Integer(i64::from(node.function)),
        }
    }
}

/// One row for each frame of each stack: `level` 0 is the frame that runs, its callers follow.
struct Frames {
    things: Arc<Things>,
    stack: usize,
    end: usize,
    frame: NodeId,
    level: i64,
}

impl Frames {
    fn settle(&mut self) {
        self.level = 0;
        self.frame = match self.things.nodes.get(self.stack) {
            Some(node) if self.stack < self.end => node.id,
            _ => 0,
        };
    }
}

impl Rows for Frames {
    const DECLARE: &'static CStr =
        c"CREATE TABLE x(stack INTEGER, level INTEGER, node INTEGER, function TEXT,
        file TEXT, line INTEGER)";
    const KEYS: &'static [c_int] = &[0];
    const COUNT: f64 = 1e6;

    fn start(shared: &Shared, bounds: &Bounds) -> rusqlite::Result<Self> {
        let things = shared.things()?;
        let (stack, end) = node_indices(&things, bounds[0]);
        let mut rows = Frames { things, stack, end, frame: 0, level: 0 };
        rows.settle();
        Ok(rows)
    }

    fn done(&self) -> bool {
        self.stack >= self.end
    }

    fn advance(&mut self) -> rusqlite::Result<()> {
        self.level += 1;
        self.frame = self.things.node(self.frame).map_or(0, |node| node.parent);
        if self.frame == 0 {
            self.stack += 1;
            self.settle();
        }
        Ok(())
    }

    fn row_id(&self) -> i64 {
        // No stack has as many as 2^31 frames.
        i64::from(self.things.nodes[self.stack].id) << 31 | self.level
    }

    fn column(&self, index: c_int) -> Cell<'_> {
        let node = || self.things.node(self.frame);
        let function = || self.things.function(node()?.function);
        match index {
            0 => Cell::Integer(i64::from(self.things.nodes[self.stack].id)),
            1 => Cell::Integer(self.level),
            2 => Cell::Integer(i64::from(self.frame)),
            3 => function().map(|function| function.qualified_name.as_str()).into(),
            4 => function().map(|function| function.file.as_str()).into(),
            _ => node().map(|node| node.line).into(),
        }
    }
}

/// The part of the list of nodes whose numbers are within bounds.
fn node_indices(things: &Things, (low, high): (f64, f64)) -> (usize, usize) {
    let number = |node: &StackNode| f64::from(node.id);
    (
        things.nodes.partition_point(|node| number(node) < low),
        things.nodes.partition_point(|node| number(node) <= high),
    )
}

/// SQLite's handle of a table; `base` must be first.
#[repr(C)]
struct Table<R> {
    base: sqlite3_vtab,
    shared: Shared,
    rows: std::marker::PhantomData<R>,
}

/// SQLite's handle of a reading position; `base` must be first.
#[repr(C)]
struct Cursor<R> {
    base: sqlite3_vtab_cursor,
    shared: Shared,
    rows: Option<R>,
}

// SAFETY: `Table` is `repr(C)` and begins with `sqlite3_vtab`, which is what the trait asks for.
unsafe impl<'t, R: Rows> VTab<'t> for Table<R> {
    type Aux = Shared;
    type Cursor = Cursor<R>;

    fn connect(
        _: &mut VTabConnection,
        shared: Option<&Shared>,
        _module: &[u8],
        _database: &[u8],
        _table: &[u8],
        _arguments: &[&[u8]],
    ) -> rusqlite::Result<(Cow<'static, CStr>, Self)> {
        let table = Table {
            base: sqlite3_vtab::default(),
            shared: shared.expect("`register` gives it").clone(),
            rows: std::marker::PhantomData,
        };
        Ok((Cow::Borrowed(R::DECLARE), table))
    }

    fn best_index(&self, info: &mut IndexInfo) -> rusqlite::Result<bool> {
        // Two letters for each argument that `filter` will get: which key, and which side.
        let mut plan = String::new();
        let mut cost = R::COUNT;
        for (constraint, mut usage) in info.constraints_and_usages() {
            let key = R::KEYS.iter().position(|&column| column == constraint.column());
            let (Some(key), true) = (key, constraint.is_usable()) else {
                continue;
            };
            let (side, part) = match constraint.operator() {
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ if key == 0 => ('=', 1e-4),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_EQ => ('=', 1e-3),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GE
                | IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_GT => ('>', 0.3),
                IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LE
                | IndexConstraintOp::SQLITE_INDEX_CONSTRAINT_LT => ('<', 0.3),
                _ => continue,
            };
            cost *= part;
            plan.push(char::from(b'a' + key as u8));
            plan.push(side);
            usage.set_argv_index((plan.len() / 2) as c_int);
        }
        info.set_idx_str(&plan);
        info.set_estimated_cost(cost.max(1.0));
        info.set_estimated_rows(cost.max(1.0) as i64);
        Ok(true)
    }

    fn open(&'t mut self) -> rusqlite::Result<Cursor<R>> {
        Ok(Cursor { base: sqlite3_vtab_cursor::default(), shared: self.shared.clone(), rows: None })
    }
}

// SAFETY: `Cursor` is `repr(C)` and begins with `sqlite3_vtab_cursor`, which is what the trait asks for.
unsafe impl<R: Rows> VTabCursor for Cursor<R> {
    fn filter(&mut self, _: c_int, plan: Option<&str>, arguments: &Filters<'_>) -> rusqlite::Result<()> {
        let mut bounds: Bounds = vec![(f64::NEG_INFINITY, f64::INFINITY); R::KEYS.len()];
        let plan = plan.unwrap_or_default().as_bytes().chunks_exact(2);
        for (step, argument) in plan.zip(arguments.iter()) {
            let value = match argument {
                ValueRef::Integer(value) => value as f64,
                ValueRef::Real(value) => value,
                // Compared by SQLite's own rules, row by row.
                _ => continue,
            };
            let bound = &mut bounds[usize::from(step[0] - b'a')];
            if step[1] != b'<' {
                bound.0 = bound.0.max(value);
            }
            if step[1] != b'>' {
                bound.1 = bound.1.min(value);
            }
        }
        self.rows = Some(R::start(&self.shared, &bounds)?);
        Ok(())
    }

    fn next(&mut self) -> rusqlite::Result<()> {
        match &mut self.rows {
            Some(rows) => rows.advance(),
            None => Ok(()),
        }
    }

    fn eof(&self) -> bool {
        self.rows.as_ref().is_none_or(Rows::done)
    }

    fn column(&self, context: &mut Context, index: c_int) -> rusqlite::Result<()> {
        let cell = self.rows.as_ref().map_or(Cell::Null, |rows| rows.column(index));
        context.set_result(ToSqlOutput::Borrowed(match cell {
            Cell::Null => ValueRef::Null,
            Cell::Integer(value) => ValueRef::Integer(value),
            Cell::Real(value) => ValueRef::Real(value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
        }))
    }

    fn rowid(&self) -> rusqlite::Result<i64> {
        Ok(self.rows.as_ref().map_or(0, Rows::row_id))
    }
}

fn module_error(error: crate::RecordingError) -> rusqlite::Error {
    rusqlite::Error::ModuleError(error.to_string())
}
