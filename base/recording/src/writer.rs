//! Writes a recording while the program runs: one short transaction for each batch.
//!
//! A batch is first packed in memory ([`Staged`]) and then stored; it leaves memory only when its transaction
//! is complete. So a file that is locked, or a disk that is full, loses nothing: the next call tries again,
//! and [`Writer::go_on_in_memory`] moves to where there is space. Start at [`Writer::write`].

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use naja_system::byte_lock;
use rusqlite::{Connection, OpenFlags, params};

use crate::blocks::{self, NodeBlock, RunBlock};
use crate::error::RecordingError;
use crate::model::*;
use crate::reader::Reader;
use crate::schema;

/// A recording's size limit unless another is set: 256 MiB.
pub const DEFAULT_SIZE_LIMIT: u64 = 256 << 20;

/// A block is rewritten with every batch until its content has this length, then packed for good.
const BLOCK_LEN: usize = 16 << 10;
/// A source text that is longer is not kept.
pub(crate) const SOURCE_LEN_MAX: usize = 16 << 20;
/// The size limit forgets this part of the time that is left, at a time.
const FORGET_PART: u64 = 64;
const BEING_WRITTEN: &str = "another naja is writing it";
/// How long the end of a recording waits for a reader that holds it locked.
const FINISH_PATIENCE: Duration = Duration::from_secs(5);

/// Writes one recording.
pub struct Writer {
    // Order matters: the lock's file is closed last, since closing it ends SQLite's locks too.
    connection: Connection,
    _lock: Option<File>,
    path: PathBuf,
    size_limit: u64,
    staged: Staged,
    open: BTreeMap<ThreadId, OpenBlock>,
    open_nodes: NodeBlock,
    nodes_changed: bool,
    files: HashMap<String, i64>,
    next_file: i64,
    next_function: FunctionId,
    next_row: i64,
    next_stretch: i64,
    generation: u32,
    until_tick: Tick,
    dropped: Dropped,
    batch_count: u64,
}

/// What is packed and not yet stored. Storing it twice is the same as storing it once.
#[derive(Default)]
struct Staged {
    processes: BTreeMap<ProcessId, Process>,
    threads: BTreeMap<ThreadId, (Thread, Tick)>,
    files: Vec<(i64, String)>,
    functions: Vec<(Function, i64)>,
    generations: Vec<(u32, NodeId, FunctionId)>,
    node_blocks: Vec<NodeRow>,
    run_blocks: Vec<RunRow>,
    metrics: Vec<Metric>,
    sources: Vec<Source>,
    allocation_places: Vec<AllocationPlace>,
    resident_parts: Vec<ResidentParts>,
    allocation_tallies: BTreeMap<PlaceId, AllocationTally>,
    allocation_peaks: Option<u64>,
    allocation_stretches: Vec<(i64, AllocationStretch)>,
}

struct NodeRow {
    first: NodeId,
    count: u32,
    data: Vec<u8>,
}

struct RunRow {
    id: i64,
    thread: ThreadId,
    first_tick: Tick,
    end_tick: Tick,
    /// The last run goes on to the recording's `until_tick`.
    goes_on: bool,
    generation: u32,
    data: Vec<u8>,
}

/// The block of a thread that still grows.
struct OpenBlock {
    row: i64,
    block: RunBlock,
    /// The stored row, if any, does not say all.
    changed: bool,
    /// The stored row says that its last run goes on.
    goes_on: bool,
    /// The batch that last had runs for it.
    batch: u64,
}

impl OpenBlock {
    fn to_row(&self, generation: u32, goes_on: bool, small: bool) -> RunRow {
        RunRow {
            id: self.row,
            thread: self.block.thread(),
            first_tick: self.block.first_tick(),
            end_tick: self.block.end_tick(),
            goes_on,
            generation,
            data: self.block.to_bytes(small),
        }
    }
}

impl Writer {
    /// Creates the file, readable by its owner alone, and holds it as "being written" until the end.
    ///
    /// The folder must exist. An older recording of that name is replaced; anything else is not.
    ///
    /// Errors: [`RecordingError::Exists`], [`RecordingError::Io`], [`RecordingError::Full`].
    pub fn create(path: &Path, header: &Header) -> Result<Writer, RecordingError> {
        let file = match remove_older(path)? {
            true => open_empty(path)?,
            false => create_private(path)?,
        };
        // A file system without such locks still takes a recording; nobody can see then that it is live.
        if let Ok(false) = byte_lock::try_lock(&file, schema::WRITER_BYTE) {
            return Err(RecordingError::Exists { path: path.to_owned(), what: BEING_WRITTEN });
        }
        let made = Self::create_in(path, header, file);
        if made.is_err() {
            // Nothing of worth is in it. That it cannot be removed would hide the first error.
            let _ = std::fs::remove_file(path);
            let _ = std::fs::remove_file(schema::journal_of(path));
        }
        made
    }

    fn create_in(path: &Path, header: &Header, file: File) -> Result<Writer, RecordingError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(schema::absolute(path)?, flags)
            .map_err(|error| RecordingError::sqlite("create", path, error))?;
        Self::start(connection, Some(file), path, header)
    }

    /// A recording that is kept in memory, for when no folder can be written.
    pub fn in_memory(header: &Header) -> Result<Writer, RecordingError> {
        let path = Path::new("(memory)");
        let connection =
            Connection::open_in_memory().map_err(|error| RecordingError::sqlite("create", path, error))?;
        Self::start(connection, None, path, header)
    }

    fn start(
        connection: Connection,
        lock: Option<File>,
        path: &Path,
        header: &Header,
    ) -> Result<Writer, RecordingError> {
        set_up(&connection)
            .and_then(|()| write_header(&connection, header))
            .map_err(|error| RecordingError::sqlite("create", path, error))?;
        let mut staged = Staged::default();
        staged.generations.push((0, 1, 1));
        Ok(Writer {
            connection,
            _lock: lock,
            path: path.to_owned(),
            size_limit: DEFAULT_SIZE_LIMIT,
            staged,
            open: BTreeMap::new(),
            open_nodes: NodeBlock::new(1),
            nodes_changed: false,
            files: HashMap::new(),
            next_file: 1,
            next_function: 1,
            next_row: 1,
            next_stretch: 1,
            generation: 0,
            until_tick: 0,
            dropped: Dropped::default(),
            batch_count: 0,
        })
    }

    /// The file; "(memory)" when there is none.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sets how large the file may become, in bytes. Beyond it the oldest samples are forgotten.
    pub fn set_size_limit(&mut self, bytes: u64) {
        self.size_limit = bytes;
    }

    /// What the size limit made it forget so far.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Stores a batch, in one transaction.
    ///
    /// Errors: the batch stays in memory, packed, and goes with the next one. [`RecordingError::Busy`] is not
    /// reported but tried again with the next batch; [`RecordingError::Full`] and [`RecordingError::Io`] mean
    /// that the file keeps what it has, and [`Writer::go_on_in_memory`] is a way on.
    /// [`RecordingError::InvalidBatch`] is a mistake of the caller.
    /// Cost:   see `docs/design/recording.md`; about 100 µs and 0.1 µs a run.
    pub fn write(&mut self, batch: &Batch) -> Result<(), RecordingError> {
        self.stage(batch)?;
        self.connection.busy_timeout(Duration::ZERO).map_err(|error| self.failed(error))?;
        match self.store() {
            Err(RecordingError::Busy { .. }) => Ok(()),
            other => other,
        }
    }

    /// Stores the final report, as JSON text. Called again, it replaces the earlier one.
    pub fn set_report(&mut self, json: &str) -> Result<(), RecordingError> {
        let stored = (|| {
            self.connection.busy_timeout(FINISH_PATIENCE)?;
            let transaction = self.connection.unchecked_transaction()?;
            transaction.execute("DELETE FROM report", [])?;
            transaction.execute("INSERT INTO report (json) VALUES (?1)", [json])?;
            transaction.commit()
        })();
        stored.map_err(|error| self.failed(error))
    }

    /// Moves everything into memory, after the file could not be written; then stores what was left.
    ///
    /// The file stays as it is. Cost: memory as large as the file.
    pub fn go_on_in_memory(&mut self) -> Result<(), RecordingError> {
        let moved = (|| {
            let mut memory = Connection::open_in_memory()?;
            schema::copy_content(&self.connection, &mut memory)?;
            set_pragmas(&memory)?;
            self.connection = memory;
            self._lock = None;
            Ok(())
        })();
        moved.map_err(|error| self.failed(error))?;
        self.path = PathBuf::from("(memory)");
        self.store()
    }

    /// What was written up to now, to be read while the writer lives.
    pub fn reader(&self) -> Result<Reader<'_>, RecordingError> {
        Reader::of(&self.connection, &self.path)
    }

    /// Marks the recording complete and closes it. One file is left.
    pub fn finish(mut self) -> Result<(), RecordingError> {
        self.complete()
    }

    /// Marks the recording complete, without closing it: [`Writer::reader`] and [`Writer::set_report`] follow.
    pub fn complete(&mut self) -> Result<(), RecordingError> {
        self.close_all();
        self.connection.busy_timeout(FINISH_PATIENCE).map_err(|error| self.failed(error))?;
        self.store()?;
        self.connection
            .execute("UPDATE meta SET value = 1 WHERE key = 'complete'", [])
            .map_err(|error| self.failed(error))?;
        Ok(())
    }

    fn failed(&self, error: rusqlite::Error) -> RecordingError {
        RecordingError::sqlite("write", &self.path, error)
    }

    /// Packs a batch into `staged` and the open blocks.
    fn stage(&mut self, batch: &Batch) -> Result<(), RecordingError> {
        self.batch_count += 1;
        if batch.generation != self.generation {
            self.start_generation(batch.generation)?;
        }
        let ends = batch.runs.iter().map(end_of);
        let until = ends.fold(batch.until_tick, Tick::max).max(self.until_tick);
        if until > blocks::MAX_TICK {
            return Err(invalid(format!("tick {until} is too large")));
        }
        for process in &batch.processes {
            self.staged.processes.insert(process.id, process.clone());
        }
        for thread in &batch.threads {
            self.staged.threads.insert(thread.id, (thread.clone(), until));
        }
        for function in &batch.functions {
            self.stage_function(function)?;
        }
        for node in &batch.nodes {
            self.stage_node(node)?;
        }
        for runs in &batch.runs {
            self.stage_runs(runs)?;
        }
        self.until_tick = until;
        self.close_unseen();
        self.staged.metrics.extend_from_slice(&batch.metrics);
        let sources = batch.sources.iter();
        let kept = sources.filter(|source| source.text.len() <= SOURCE_LEN_MAX);
        self.staged.sources.extend(kept.cloned());
        self.stage_allocations(batch);
        Ok(())
    }

    fn stage_allocations(&mut self, batch: &Batch) {
        self.staged.allocation_places.extend_from_slice(&batch.allocation_places);
        self.staged.resident_parts.extend_from_slice(&batch.resident_parts);
        self.staged
            .allocation_tallies
            .extend(batch.allocation_tallies.iter().map(|tally| (tally.place, *tally)));
        self.staged.allocation_peaks = batch.allocation_peaks.or(self.staged.allocation_peaks);
        for stretch in &batch.allocation_stretches {
            self.staged.allocation_stretches.push((self.next_stretch, stretch.clone()));
            self.next_stretch += 1;
        }
    }

    /// From here on only new nodes and functions are used; see [`Batch::generation`].
    fn start_generation(&mut self, generation: u32) -> Result<(), RecordingError> {
        if generation < self.generation {
            return Err(invalid(format!("generation {generation} comes after {}", self.generation)));
        }
        self.close_all();
        self.generation = generation;
        self.files.clear();
        let first = (generation, self.open_nodes.first(), self.next_function);
        self.staged.generations.push(first);
        Ok(())
    }

    fn stage_function(&mut self, function: &Function) -> Result<(), RecordingError> {
        if function.id != self.next_function {
            return Err(invalid(format!(
                "function {} comes where {} is next",
                function.id, self.next_function
            )));
        }
        let next = self.next_function.checked_add(1);
        self.next_function = next.ok_or_else(|| invalid("there are too many functions".to_owned()))?;
        let file = match self.files.get(&function.file) {
            Some(&file) => file,
            None => {
                let file = self.next_file;
                self.next_file += 1;
                self.files.insert(function.file.clone(), file);
                self.staged.files.push((file, function.file.clone()));
                file
            }
        };
        self.staged.functions.push((function.clone(), file));
        Ok(())
    }

    fn stage_node(&mut self, node: &StackNode) -> Result<(), RecordingError> {
        if node.function >= self.next_function || !self.open_nodes.push(node) {
            return Err(invalid(format!("stack node {node:?} is out of order")));
        }
        self.nodes_changed = true;
        if self.open_nodes.content_len() >= BLOCK_LEN {
            self.close_nodes();
        }
        Ok(())
    }

    fn stage_runs(&mut self, runs: &ThreadRuns) -> Result<(), RecordingError> {
        let mut tick = runs.first_tick;
        if let Some(open) = self.open.get(&runs.thread) {
            let end = open.block.end_tick();
            if tick < end {
                return Err(invalid(format!(
                    "thread {} has a run at tick {tick}, before tick {end}",
                    runs.thread
                )));
            }
            if tick > end {
                self.close_runs(runs.thread);
            }
        }
        let next_node = self.open_nodes.first() + self.open_nodes.count();
        for run in &runs.runs {
            if run.ticks == 0 || run.node >= next_node || runs.thread == 0 {
                return Err(invalid(format!("thread {}: {run:?}", runs.thread)));
            }
            let next_row = &mut self.next_row;
            let open = self.open.entry(runs.thread).or_insert_with(|| {
                *next_row += 1;
                OpenBlock {
                    row: *next_row - 1,
                    block: RunBlock::new(runs.thread, tick),
                    changed: true,
                    goes_on: false,
                    batch: 0,
                }
            });
            open.batch = self.batch_count;
            let extended = open.block.push(*run);
            open.changed |= !(extended && open.goes_on);
            tick += Tick::from(run.ticks);
            if open.block.content_len() >= BLOCK_LEN {
                self.close_runs(runs.thread);
            }
        }
        Ok(())
    }

    /// Closes the blocks of threads that this batch does not mention: they are no longer observed.
    fn close_unseen(&mut self) {
        let batch = self.batch_count;
        let unseen = self.open.iter().filter(|(_, open)| open.batch != batch);
        let unseen: Vec<ThreadId> = unseen.map(|(&thread, _)| thread).collect();
        for thread in unseen {
            self.close_runs(thread);
        }
        for open in self.open.values_mut() {
            let goes_on = open.block.end_tick() == self.until_tick;
            open.changed |= !goes_on;
        }
    }

    fn close_runs(&mut self, thread: ThreadId) {
        if let Some(open) = self.open.remove(&thread) {
            let row = open.to_row(self.generation, false, true);
            self.staged.run_blocks.push(row);
        }
    }

    fn close_nodes(&mut self) {
        let (first, count) = (self.open_nodes.first(), self.open_nodes.count());
        if count > 0 {
            self.staged.node_blocks.push(NodeRow { first, count, data: self.open_nodes.to_bytes(true) });
            self.open_nodes = NodeBlock::new(first + count);
        }
        self.nodes_changed = false;
    }

    fn close_all(&mut self) {
        while let Some((&thread, _)) = self.open.first_key_value() {
            self.close_runs(thread);
        }
        self.close_nodes();
    }

    /// Stores what is staged, in one transaction; forgets it when, and only when, that is complete.
    fn store(&mut self) -> Result<(), RecordingError> {
        let dropped = match self.store_staged() {
            Ok(dropped) => dropped,
            Err(error) => {
                if !self.connection.is_autocommit() {
                    // A transaction that fails to be undone here is undone by the next reader.
                    let _ = self.connection.execute_batch("ROLLBACK");
                }
                return Err(self.failed(error));
            }
        };
        self.dropped = dropped;
        self.staged = Staged::default();
        self.nodes_changed = false;
        for open in self.open.values_mut() {
            open.changed = false;
            open.goes_on = open.block.end_tick() == self.until_tick;
        }
        Ok(())
    }

    fn store_staged(&self) -> rusqlite::Result<Dropped> {
        let db = &self.connection;
        db.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        self.store_things(db)?;
        let nodes = (self.nodes_changed && self.open_nodes.count() > 0).then(|| NodeRow {
            first: self.open_nodes.first(),
            count: self.open_nodes.count(),
            data: self.open_nodes.to_bytes(false),
        });
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO node_blocks (first_id, count, data) VALUES (?1, ?2, ?3)",
        )?;
        for row in self.staged.node_blocks.iter().chain(&nodes) {
            insert.execute(params![row.first, row.count, row.data])?;
        }
        for row in &self.staged.run_blocks {
            store_runs(db, row)?;
        }
        for open in self.open.values().filter(|open| open.changed) {
            let goes_on = open.block.end_tick() == self.until_tick;
            store_runs(db, &open.to_row(self.generation, goes_on, false))?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO metrics (tick, process, cpu_ns, rss_bytes) VALUES (?1, ?2, ?3, ?4)",
        )?;
        for metric in &self.staged.metrics {
            insert.execute(params![
                stored(metric.tick),
                metric.process,
                stored(metric.cpu_ns),
                stored(metric.rss_bytes)
            ])?;
        }
        self.store_allocations(db)?;
        set_meta(db, "until_tick", stored(self.until_tick))?;
        let dropped = self.forget_oldest(db)?;
        db.prepare_cached("COMMIT")?.execute([])?;
        Ok(dropped)
    }

    /// Stores processes, threads, functions, sources: what is a plain row.
    fn store_things(&self, db: &Connection) -> rusqlite::Result<()> {
        for process in self.staged.processes.values() {
            store_process(db, process)?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO threads (id, process, os_tid, name, interpreter, seen_tick)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (thread, seen) in self.staged.threads.values() {
            insert.execute(params![
                thread.id,
                thread.process,
                thread.os_tid,
                thread.name,
                thread.interpreter,
                stored(*seen)
            ])?;
        }
        let mut insert = db.prepare_cached("INSERT OR REPLACE INTO files (id, name) VALUES (?1, ?2)")?;
        for (id, name) in &self.staged.files {
            insert.execute(params![id, name])?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO functions (id, name, qualified_name, file, first_line, kind)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (function, file) in &self.staged.functions {
            insert.execute(params![
                function.id,
                function.name,
                function.qualified_name,
                file,
                function.first_line,
                function.kind as u8
            ])?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO generations (id, first_node, first_function) VALUES (?1, ?2, ?3)",
        )?;
        for (generation, first_node, first_function) in &self.staged.generations {
            insert.execute(params![generation, first_node, first_function])?;
        }
        let mut insert = db.prepare_cached("INSERT OR REPLACE INTO sources (file, data) VALUES (?1, ?2)")?;
        for source in &self.staged.sources {
            insert.execute(params![source.file, blocks::pack(source.text.as_bytes(), true)])?;
        }
        Ok(())
    }

    fn store_resident_parts(&self, db: &Connection) -> rusqlite::Result<()> {
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO resident_parts (tick, process, resident_bytes, files_bytes, recorder_bytes, own_bytes,
             own_mapped_bytes, blocks_bytes, mapped_bytes, objects_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for one in &self.staged.resident_parts {
            insert.execute(params![
                one.tick,
                one.process,
                one.resident_bytes,
                one.files_bytes,
                one.recorder_bytes,
                one.own_bytes,
                one.own_mapped_bytes,
                one.blocks_bytes,
                one.mapped_bytes,
                one.objects_bytes,
            ])?;
        }
        Ok(())
    }

    fn store_allocations(&self, db: &Connection) -> rusqlite::Result<()> {
        let Staged { allocation_places, allocation_tallies, allocation_stretches, .. } = &self.staged;
        if allocation_places.is_empty() && allocation_tallies.is_empty() && allocation_stretches.is_empty() {
            return Ok(());
        }
        db.execute_batch(schema::ALLOCATION_TABLES)?;
        self.store_resident_parts(db)?;
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO allocation_places (id, process, thread, node, allocator)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for place in allocation_places {
            insert.execute(params![place.id, place.process, place.thread, place.node, place.allocator])?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO allocation_tallies (place, given_blocks, given_bytes, now_blocks, now_bytes,
             peak_blocks, peak_bytes, peak, temporary_blocks, temporary_bytes)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        )?;
        for tally in allocation_tallies.values() {
            insert.execute(params![
                tally.place,
                stored(tally.given.blocks),
                stored(tally.given.bytes),
                stored(tally.now.blocks),
                stored(tally.now.bytes),
                stored(tally.at_peak.blocks),
                stored(tally.at_peak.bytes),
                stored(tally.peak),
                stored(tally.temporary.blocks),
                stored(tally.temporary.bytes)
            ])?;
        }
        if let Some(peaks) = self.staged.allocation_peaks {
            set_meta(db, "allocation_peaks", stored(peaks))?;
        }
        let mut insert = db.prepare_cached(
            "INSERT OR REPLACE INTO allocation_stretches (id, first_tick, end_tick, events, start_blocks,
             start_bytes, peak_bytes, data) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?;
        for (id, stretch) in allocation_stretches {
            insert.execute(params![
                id,
                stored(stretch.first_tick),
                stored(stretch.end_tick),
                stored(stretch.events),
                stored(stretch.at_start.blocks),
                stored(stretch.at_start.bytes),
                stored(stretch.peak_bytes),
                stretch.data
            ])?;
        }
        let mut has_table = false;
        for (id, stretch) in allocation_stretches.iter().filter(|(_, one)| !one.addresses.is_empty()) {
            if !has_table {
                db.execute_batch(schema::ADDRESS_TABLE)?;
                has_table = true;
            }
            db.prepare_cached("INSERT OR REPLACE INTO allocation_addresses (stretch, data) VALUES (?1, ?2)")?
                .execute(params![id, stretch.addresses])?;
        }
        Ok(())
    }

    /// Once the file has reached its limit, deletes the oldest part of it; its pages are used again.
    fn forget_oldest(&self, db: &Connection) -> rusqlite::Result<Dropped> {
        let pragma = |name: &str| -> rusqlite::Result<i64> {
            db.prepare_cached(name)?.query_row([], |row| row.get(0))
        };
        let pages = pragma("PRAGMA page_count")? - pragma("PRAGMA freelist_count")?;
        let used = pages * pragma("PRAGMA page_size")?;
        let from = self.dropped.until_tick;
        let left = self.until_tick - from;
        if used.cast_unsigned() <= self.size_limit || left < FORGET_PART {
            return Ok(self.dropped);
        }
        let cutoff = from + left / FORGET_PART;

        // Blocks have no holes, so ticks before the cutoff are samples, those of blocks that reach over it
        // included: readers leave out their beginning.
        let samples: i64 = db.query_row(
            "SELECT coalesce(sum(min(iif(goes_on, ?3, end_tick), ?2) - max(first_tick, ?1)), 0)
             FROM run_blocks WHERE first_tick < ?2",
            params![stored(from), stored(cutoff), stored(self.until_tick)],
            |row| row.get(0),
        )?;
        let at = [stored(cutoff)];
        db.execute("DELETE FROM run_blocks WHERE goes_on = 0 AND end_tick <= ?1", at)?;
        db.execute("DELETE FROM metrics WHERE tick < ?1", at)?;
        db.execute(
            "DELETE FROM threads WHERE seen_tick < ?1 AND id NOT IN (SELECT thread FROM run_blocks)",
            at,
        )?;
        db.execute(
            "DELETE FROM processes WHERE last_tick < ?1 AND ending <> 'running' AND parent <> 0
             AND id NOT IN (SELECT process FROM threads) AND id NOT IN (SELECT process FROM metrics)",
            at,
        )?;
        self.forget_generations(db)?;
        let dropped =
            Dropped { until_tick: cutoff, samples: self.dropped.samples + samples.max(0).cast_unsigned() };
        set_meta(db, "dropped_until_tick", stored(dropped.until_tick))?;
        set_meta(db, "dropped_samples", stored(dropped.samples))?;
        Ok(dropped)
    }

    /// Deletes the nodes and functions of generations of which no sample is left.
    fn forget_generations(&self, db: &Connection) -> rusqlite::Result<()> {
        let oldest: u32 =
            db.query_row("SELECT coalesce(min(generation), ?1) FROM run_blocks", [self.generation], |row| {
                row.get(0)
            })?;
        if db.execute("DELETE FROM generations WHERE id < ?1", [oldest])? == 0 {
            return Ok(());
        }
        db.execute("DELETE FROM node_blocks WHERE first_id < (SELECT min(first_node) FROM generations)", [])?;
        db.execute("DELETE FROM functions WHERE id < (SELECT min(first_function) FROM generations)", [])?;
        db.execute("DELETE FROM files WHERE id NOT IN (SELECT file FROM functions)", [])?;
        Ok(())
    }
}

fn store_process(db: &Connection, process: &Process) -> rusqlite::Result<()> {
    let (ending, code) = match process.ending {
        Ending::Running => ("running", None),
        Ending::Gone => ("gone", None),
        Ending::Exited(code) => ("exited", Some(code)),
        Ending::Killed(signal) => ("killed", Some(signal)),
    };
    db.prepare_cached(
        "INSERT OR REPLACE INTO processes (id, pid, parent, command, first_tick, last_tick, interpreter,
         unobserved, user_ns, system_ns, peak_rss_bytes, ending, ending_code)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        process.id,
        process.pid,
        process.parent,
        json(&process.command),
        stored(process.first_tick),
        stored(process.last_tick),
        process.interpreter,
        process.unobserved,
        stored(process.user_ns),
        stored(process.system_ns),
        stored(process.peak_rss_bytes),
        ending,
        code
    ])?;
    Ok(())
}

fn store_runs(db: &Connection, row: &RunRow) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO run_blocks (id, thread, first_tick, end_tick, goes_on, generation, data)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        row.id,
        row.thread,
        stored(row.first_tick),
        stored(row.end_tick),
        row.goes_on,
        row.generation,
        row.data
    ])?;
    Ok(())
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // First of all: without it, each of the first transactions would wait for the disk.
    set_pragmas(connection)?;
    connection.execute_batch("PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE;")?;
    connection.set_prepared_statement_cache_capacity(40);
    Ok(())
}

/// How the file is written; `docs/design/recording.md` says why so.
fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    // Reading a pragma's answer: `journal_mode` gives a row.
    connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    connection.execute_batch(
        "PRAGMA synchronous = OFF; PRAGMA cache_size = -1024; PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = OFF;",
    )
}

fn write_header(connection: &Connection, header: &Header) -> rusqlite::Result<()> {
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {}; PRAGMA user_version = {};",
        schema::APPLICATION_ID,
        schema::MAJOR * 1000 + schema::MINOR
    ))?;
    transaction.execute_batch(schema::TABLES)?;
    set_meta(&transaction, "naja_version", &header.naja_version)?;
    set_meta(&transaction, "command", json(&header.command))?;
    set_meta(&transaction, "working_directory", &header.working_directory)?;
    set_meta(&transaction, "start_unix_ns", stored(header.start_unix_ns))?;
    set_meta(&transaction, "interval_ns", stored(header.interval_ns))?;
    set_meta(&transaction, "cpu_count", header.cpu_count)?;
    set_meta(&transaction, "system", &header.system)?;
    set_meta(&transaction, "until_tick", 0)?;
    set_meta(&transaction, "complete", 0)?;
    set_meta(&transaction, "dropped_until_tick", 0)?;
    set_meta(&transaction, "dropped_samples", 0)?;
    transaction.commit()
}

fn set_meta(db: &Connection, key: &'static str, value: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])?;
    Ok(())
}

/// Removes an older recording of that name; true if an empty file is there instead, to be used.
/// Anything else there is an error.
fn remove_older(path: &Path) -> Result<bool, RecordingError> {
    let exists = |what| RecordingError::Exists { path: path.to_owned(), what };
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => {
            return Err(RecordingError::Io { doing: "create", path: path.to_owned(), source });
        }
        Ok(metadata) if !metadata.is_file() => return Err(exists("it is not a regular file")),
        Ok(metadata) if metadata.len() == 0 => return Ok(true),
        Ok(_) if !schema::looks_like_recording(path) => {
            return Err(exists("it is not a recording"));
        }
        Ok(_) => {}
    }
    if schema::is_being_written(path)? {
        return Err(exists(BEING_WRITTEN));
    }
    let removed =
        std::fs::remove_file(path).and_then(|()| match std::fs::remove_file(schema::journal_of(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
    removed.map(|()| false).map_err(|source| RecordingError::Io {
        doing: "replace",
        path: path.to_owned(),
        source,
    })
}

/// Opens an empty file, such as one that keeps a name, and makes it private.
fn open_empty(path: &Path) -> Result<File, RecordingError> {
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).open(path).and_then(|file| {
        file.set_permissions(Permissions::from_mode(0o600))?;
        Ok(file)
    });
    opened.map_err(|source| RecordingError::Io { doing: "write", path: path.to_owned(), source })
}

fn create_private(path: &Path) -> Result<File, RecordingError> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(|source| {
        match source.kind() {
            io::ErrorKind::AlreadyExists => {
                RecordingError::Exists { path: path.to_owned(), what: "it appeared a moment ago" }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                RecordingError::Full { path: path.to_owned() }
            }
            _ => RecordingError::Io { doing: "create", path: path.to_owned(), source },
        }
    })
}

fn end_of(runs: &ThreadRuns) -> Tick {
    runs.runs.iter().fold(runs.first_tick, |end, run| end.saturating_add(Tick::from(run.ticks)))
}

fn invalid(what: String) -> RecordingError {
    RecordingError::InvalidBatch { what }
}

/// SQLite's integers end at 2^63; what is larger is stored as the largest.
fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn json(words: &[String]) -> String {
    serde_json::to_string(words).expect("a list of strings is always JSON")
}
