//! Reads a recording: complete, cut off by a kill, or still being written.
//!
//! What is read is checked: every number that refers to something refers to something that is there, and
//! parents come before children. So a report needs no checks of its own. Start at [`Reader::open`].

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Row};

use crate::blocks::{self, BlockError};
use crate::error::RecordingError;
use crate::model::*;
use crate::schema;
use crate::writer::SOURCE_LEN_MAX;

/// An open recording.
pub struct Reader<'w> {
    source: Content<'w>,
    path: PathBuf,
    header: Header,
    live: bool,
    complete: bool,
    until_tick: Tick,
    dropped: Dropped,
}

enum Content<'w> {
    Own(Connection),
    Writers(&'w Connection),
}

impl Reader<'static> {
    /// Opens a recording. One that is being written is read as it is at this moment.
    ///
    /// Errors: [`RecordingError::NotFound`], [`RecordingError::NotARecording`], [`RecordingError::Newer`],
    /// [`RecordingError::Damaged`], [`RecordingError::Io`].
    /// Cost:   some file pages; while it is being written, memory as large as the file.
    pub fn open(path: &Path) -> Result<Reader<'static>, RecordingError> {
        let opened = schema::open(path)?;
        Self::with(Content::Own(opened.connection), path, opened.live)
    }

    /// Opens a recording once more.
    pub(crate) fn again(again: &schema::Again) -> Result<Reader<'static>, RecordingError> {
        Self::with(Content::Own(again.open()?), again.path(), false)
    }
}

impl<'w> Reader<'w> {
    /// Reads what a writer has written.
    pub(crate) fn of(connection: &'w Connection, path: &Path) -> Result<Self, RecordingError> {
        Self::with(Content::Writers(connection), path, true)
    }

    fn with(source: Content<'w>, path: &Path, live: bool) -> Result<Self, RecordingError> {
        let mut reader = Reader {
            source,
            path: path.to_owned(),
            header: Header::default(),
            live,
            complete: false,
            until_tick: 0,
            dropped: Dropped::default(),
        };
        reader.header = Header {
            naja_version: reader.meta("naja_version")?,
            command: reader.words(&reader.meta::<String>("command")?)?,
            working_directory: reader.meta("working_directory")?,
            start_unix_ns: reader.meta("start_unix_ns")?,
            interval_ns: reader.meta("interval_ns")?,
            cpu_count: reader.meta("cpu_count")?,
            system: reader.meta("system")?,
        };
        reader.until_tick = reader.meta("until_tick")?;
        reader.complete = reader.meta::<i64>("complete")? == 1;
        reader.dropped = Dropped {
            until_tick: reader.meta("dropped_until_tick")?,
            samples: reader.meta("dropped_samples")?,
        };
        if reader.header.interval_ns == 0 {
            return Err(reader.damaged("its interval is 0"));
        }
        if reader.until_tick > blocks::MAX_TICK {
            return Err(reader.damaged("its length is impossible"));
        }
        Ok(reader)
    }

    /// What was written when it was created.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// It was finished; else its writer lives, or was killed.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// A writer held it when it was opened.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The tick up to which it is complete.
    pub fn until_tick(&self) -> Tick {
        self.until_tick
    }

    /// What the size limit made it forget.
    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    /// Every process, in order of number.
    pub fn processes(&self) -> Result<Vec<Process>, RecordingError> {
        let sql = "SELECT id, pid, parent, command, first_tick, last_tick, interpreter, unobserved, user_ns,
                   system_ns, peak_rss_bytes, ending, ending_code FROM processes ORDER BY id";
        let rows = self.rows(sql, |row| {
            let code: Option<i32> = row.get(12)?;
            let ending: String = row.get(11)?;
            let process = Process {
                id: row.get(0)?,
                pid: row.get(1)?,
                parent: row.get(2)?,
                command: Vec::new(),
                first_tick: row.get(4)?,
                last_tick: row.get(5)?,
                interpreter: row.get(6)?,
                unobserved: row.get(7)?,
                user_ns: row.get(8)?,
                system_ns: row.get(9)?,
                peak_rss_bytes: row.get(10)?,
                ending: match (ending.as_str(), code) {
                    ("exited", Some(code)) => Ending::Exited(code),
                    ("killed", Some(signal)) => Ending::Killed(signal),
                    ("running", _) => Ending::Running,
                    _ => Ending::Gone,
                },
            };
            Ok((process, row.get::<_, String>(3)?))
        })?;
        rows.into_iter()
            .map(|(process, command)| Ok(Process { command: self.words(&command)?, ..process }))
            .collect()
    }

    /// Every thread, in order of number.
    pub fn threads(&self) -> Result<Vec<Thread>, RecordingError> {
        let sql = "SELECT id, process, os_tid, name, interpreter FROM threads ORDER BY id";
        self.rows(sql, |row| {
            Ok(Thread {
                id: row.get(0)?,
                process: row.get(1)?,
                os_tid: row.get(2)?,
                name: row.get(3)?,
                interpreter: row.get(4)?,
            })
        })
    }

    /// Every function that is left, in order of number; the numbers have no holes.
    pub fn functions(&self) -> Result<Vec<Function>, RecordingError> {
        let (has_kind, _): (bool, i64) = self.one(schema::FUNCTIONS_HAVE_A_KIND)?;
        let kind = if has_kind { "kind" } else { "0" };
        let sql = format!(
            "SELECT functions.id, functions.name, qualified_name, files.name, first_line, {kind}
             FROM functions LEFT JOIN files ON files.id = functions.file ORDER BY functions.id"
        );
        let functions = self.rows(&sql, |row| {
            Ok(Function {
                id: row.get(0)?,
                name: row.get(1)?,
                qualified_name: row.get(2)?,
                file: row.get(3)?,
                first_line: row.get(4)?,
                // A kind that a later minor version added is shown as what it most resembles.
                kind: FunctionKind::from_number(row.get(5)?).unwrap_or_default(),
            })
        })?;
        match functions.windows(2).all(|pair| Some(pair[1].id) == pair[0].id.checked_add(1)) {
            true => Ok(functions),
            false => Err(self.damaged("functions are missing")),
        }
    }

    /// Every stack node that is left, in order of number: the numbers have no holes, each parent comes before
    /// its children, each function is in [`Reader::functions`].
    ///
    /// The first number is 1 unless the size limit has made the recording forget nodes.
    pub fn nodes(&self) -> Result<Vec<StackNode>, RecordingError> {
        let (first_function, last_function): (u32, u32) =
            self.one("SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM functions")?;
        let mut statement = self
            .db()
            .prepare("SELECT data FROM node_blocks ORDER BY first_id")
            .map_err(|error| self.failed(error))?;
        let mut rows = statement.query([]).map_err(|error| self.failed(error))?;
        let mut nodes: Vec<StackNode> = Vec::new();
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            let data = row.get_ref(0).map_err(|error| self.failed(error))?;
            let data = data.as_blob().map_err(|_| self.damaged("a block is no blob"))?;
            let block = blocks::read_nodes(data).map_err(|error| self.damaged(error))?;
            let next = nodes.last().map(|node| node.id + 1);
            if next.is_some_and(|next| block.first().is_some_and(|node| node.id != next)) {
                return Err(self.damaged("stack nodes are missing"));
            }
            nodes.extend_from_slice(&block);
        }
        let first = nodes.first().map_or(1, |node| node.id);
        for node in &nodes {
            if node.parent != 0 && node.parent < first {
                return Err(self.damaged("a stack node's caller is missing"));
            }
            if node.function < first_function || node.function > last_function {
                return Err(self.damaged("a stack node's function is missing"));
            }
        }
        Ok(nodes)
    }

    /// Gives every sample, in order of thread, then time; a thread may come several times in a row.
    ///
    /// Ticks that the size limit has forgotten are left out; each node is 0 or in [`Reader::nodes`].
    /// Cost: one block in memory at a time.
    pub fn runs(&self, each: &mut dyn FnMut(ThreadRuns)) -> Result<(), RecordingError> {
        let nodes = self.node_range()?;
        let mut statement = self
            .db()
            .prepare(
                "SELECT thread, first_tick, end_tick, goes_on, data FROM run_blocks
                 ORDER BY thread, first_tick",
            )
            .map_err(|error| self.failed(error))?;
        let mut rows = statement.query([]).map_err(|error| self.failed(error))?;
        let mut before: (ThreadId, Tick) = (0, 0);
        while let Some(row) = rows.next().map_err(|error| self.failed(error))? {
            let runs = self.block_runs(row, nodes)?;
            if before.0 == runs.thread && runs.first_tick < before.1 {
                return Err(self.damaged("two blocks of a thread overlap"));
            }
            let ticks: Tick = runs.runs.iter().map(|run| Tick::from(run.ticks)).sum();
            before = (runs.thread, runs.first_tick + ticks);
            if !runs.runs.is_empty() {
                each(runs);
            }
        }
        Ok(())
    }

    /// Every metric, in order of time, then process.
    pub fn metrics(&self) -> Result<Vec<Metric>, RecordingError> {
        let sql = "SELECT tick, process, cpu_ns, rss_bytes FROM metrics ORDER BY tick, process";
        self.rows(sql, |row| {
            Ok(Metric {
                tick: row.get(0)?,
                process: row.get(1)?,
                cpu_ns: row.get(2)?,
                rss_bytes: row.get(3)?,
            })
        })
    }

    /// Whether allocations were recorded.
    pub fn has_allocations(&self) -> Result<bool, RecordingError> {
        if !self.one::<bool, i64>(schema::HAS_ALLOCATIONS)?.0 {
            return Ok(false);
        }
        Ok(self.one::<bool, i64>("SELECT count(*) > 0, 0 FROM allocation_places")?.0)
    }

    /// Every place of allocations, in order of number, without holes; each node is 0 or in [`Reader::nodes`].
    pub fn allocation_places(&self) -> Result<Vec<AllocationPlace>, RecordingError> {
        if !self.has_allocations()? {
            return Ok(Vec::new());
        }
        let nodes = self.node_range()?;
        let sql = "SELECT id, process, thread, node, allocator FROM allocation_places ORDER BY id";
        let places = self.rows(sql, |row| {
            Ok(AllocationPlace {
                id: row.get(0)?,
                process: row.get(1)?,
                thread: row.get(2)?,
                node: row.get(3)?,
                allocator: row.get(4)?,
            })
        })?;
        for (index, place) in places.iter().enumerate() {
            if place.id as usize != index + 1 {
                return Err(self.damaged("places of allocations are missing"));
            }
            if place.node != 0 && !(nodes.0..=nodes.1).contains(&i64::from(place.node)) {
                return Err(self.damaged("the stack of an allocation is missing"));
            }
        }
        Ok(places)
    }

    /// What places have come to, in order of number; each is in [`Reader::allocation_places`].
    pub fn allocation_tallies(&self) -> Result<Vec<AllocationTally>, RecordingError> {
        if !self.has_allocations()? {
            return Ok(Vec::new());
        }
        let (_, last): (i64, i64) = self.one("SELECT 0, coalesce(max(id), 0) FROM allocation_places")?;
        let peaks: u64 = self.meta("allocation_peaks").unwrap_or(0);
        let sql =
            "SELECT place, given_blocks, given_bytes, now_blocks, now_bytes, peak_blocks, peak_bytes, peak,
                   temporary_blocks, temporary_bytes FROM allocation_tallies ORDER BY place";
        let tallies = self.rows(sql, |row| {
            let amount = |first| -> rusqlite::Result<Amount> {
                Ok(Amount { blocks: row.get(first)?, bytes: row.get(first + 1)? })
            };
            let (now, peak): (Amount, u64) = (amount(3)?, row.get(7)?);
            Ok(AllocationTally {
                place: row.get(0)?,
                given: amount(1)?,
                now,
                at_peak: if peak == peaks { amount(5)? } else { now },
                peak: peaks,
                temporary: amount(8)?,
            })
        })?;
        match tallies.iter().all(|tally| tally.place != 0 && i64::from(tally.place) <= last) {
            true => Ok(tallies),
            false => Err(self.damaged("a place of allocations is missing")),
        }
    }

    /// What resident memory was made of, where somebody looked, in the order of time.
    pub fn resident_parts(&self) -> Result<Vec<ResidentParts>, RecordingError> {
        if !self.one::<bool, i64>(schema::HAS_RESIDENT_PARTS)?.0 {
            return Ok(Vec::new());
        }
        let sql =
            "SELECT tick, process, resident_bytes, files_bytes, recorder_bytes, own_bytes, own_mapped_bytes,
                   blocks_bytes, mapped_bytes, objects_bytes FROM resident_parts ORDER BY tick, process";
        self.rows(sql, |row| {
            Ok(ResidentParts {
                tick: row.get(0)?,
                process: row.get(1)?,
                resident_bytes: row.get(2)?,
                files_bytes: row.get(3)?,
                recorder_bytes: row.get(4)?,
                own_bytes: row.get(5)?,
                own_mapped_bytes: row.get(6)?,
                blocks_bytes: row.get(7)?,
                mapped_bytes: row.get(8)?,
                objects_bytes: row.get(9)?,
            })
        })
    }

    /// Gives every stretch of events, in the order of time.
    ///
    /// Cost: one stretch in memory at a time.
    pub fn allocation_stretches(
        &self,
        each: &mut dyn FnMut(AllocationStretch) -> Result<(), BlockError>,
    ) -> Result<(), RecordingError> {
        let mut last = 0;
        while let Some((id, stretch)) = self.next_allocation_stretch(last)? {
            each(stretch).map_err(|error| self.damaged(error))?;
            last = id;
        }
        Ok(())
    }

    /// The stretch behind the one with this number, with its own; 0 stands before the first.
    pub fn next_allocation_stretch(
        &self,
        after: i64,
    ) -> Result<Option<(i64, AllocationStretch)>, RecordingError> {
        if after == 0 && !self.has_allocations()? {
            return Ok(None);
        }
        let addresses = match self.one::<bool, i64>(schema::HAS_ADDRESSES)?.0 {
            true => "(SELECT allocation_addresses.data FROM allocation_addresses WHERE stretch = id)",
            false => "NULL",
        };
        let sql = format!(
            "SELECT id, first_tick, end_tick, events, start_blocks, start_bytes, peak_bytes, data, {addresses}
             FROM allocation_stretches WHERE id > ?1 ORDER BY id LIMIT 1"
        );
        let read = || -> rusqlite::Result<Option<(i64, AllocationStretch)>> {
            let mut statement = self.db().prepare_cached(&sql)?;
            let found = statement.query_row([after], |row| {
                let stretch = AllocationStretch {
                    first_tick: row.get(1)?,
                    end_tick: row.get(2)?,
                    events: row.get(3)?,
                    at_start: Amount { blocks: row.get(4)?, bytes: row.get(5)? },
                    peak_bytes: row.get(6)?,
                    data: row.get(7)?,
                    addresses: row.get::<_, Option<Vec<u8>>>(8)?.unwrap_or_default(),
                };
                Ok((row.get(0)?, stretch))
            });
            found.map(Some).or_else(|error| match error {
                rusqlite::Error::QueryReturnedNoRows => Ok(None),
                other => Err(other),
            })
        };
        read().map_err(|error| self.failed(error))
    }

    /// Every source text, in order of file name.
    pub fn sources(&self) -> Result<Vec<Source>, RecordingError> {
        let sql = "SELECT file, data FROM sources ORDER BY file";
        let rows = self.rows(sql, |row| Ok((row.get::<_, String>(0)?, row.get::<_, Vec<u8>>(1)?)))?;
        rows.into_iter()
            .map(|(file, data)| {
                let text = blocks::unpack(&data, SOURCE_LEN_MAX).map_err(|error| self.damaged(error))?;
                let text = String::from_utf8(text).map_err(|_| self.damaged("a source is no text"))?;
                Ok(Source { file, text })
            })
            .collect()
    }

    /// The final report as JSON text, if one was stored.
    pub fn report(&self) -> Result<Option<String>, RecordingError> {
        let rows = self.rows("SELECT json FROM report", |row| row.get(0))?;
        Ok(rows.into_iter().next())
    }

    /// First and last number of the stack nodes.
    pub(crate) fn node_range(&self) -> Result<(i64, i64), RecordingError> {
        self.one("SELECT coalesce(min(first_id), 1), coalesce(max(first_id + count - 1), 0) FROM node_blocks")
    }

    /// The runs of a row `(thread, first_tick, end_tick, goes_on, data)`, checked, with what is implied added
    /// and what is forgotten taken away.
    pub(crate) fn block_runs(&self, row: &Row<'_>, nodes: (i64, i64)) -> Result<ThreadRuns, RecordingError> {
        let number = |index| row.get::<_, u64>(index).map_err(|error| self.failed(error));
        let data = row.get_ref(4).map_err(|error| self.failed(error))?;
        let data = data.as_blob().map_err(|_| self.damaged("a block is no blob"))?;
        let mut runs = blocks::read_runs(data).map_err(|error| self.damaged(error))?;
        let ticks: Tick = runs.runs.iter().map(|run| Tick::from(run.ticks)).sum();
        let end = runs.first_tick + ticks;
        if (number(0)?, number(1)?, number(2)?) != (u64::from(runs.thread), runs.first_tick, end)
            || end > self.until_tick
        {
            return Err(self.damaged("a block is not what its row says"));
        }
        let known = |run: &Run| run.node == 0 || (nodes.0..=nodes.1).contains(&i64::from(run.node));
        if !runs.runs.iter().all(known) {
            return Err(self.damaged("a sample's stack is missing"));
        }
        if number(3)? == 1 {
            extend(&mut runs.runs, self.until_tick - end);
        }
        cut(&mut runs, self.dropped.until_tick);
        Ok(runs)
    }

    pub(crate) fn db(&self) -> &Connection {
        match &self.source {
            Content::Own(connection) => connection,
            Content::Writers(connection) => connection,
        }
    }

    pub(crate) fn failed(&self, error: rusqlite::Error) -> RecordingError {
        match error {
            // A value that is not of the type that the schema promises.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => self.damaged(error),
            other => RecordingError::sqlite("read", &self.path, other),
        }
    }

    /// That it is damaged, and how.
    pub fn damaged(&self, what: impl std::fmt::Display) -> RecordingError {
        RecordingError::Damaged { path: self.path.clone(), what: what.to_string() }
    }

    fn meta<T: rusqlite::types::FromSql>(&self, key: &str) -> Result<T, RecordingError> {
        let found = self.db().query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0));
        found.map_err(|error| match error {
            rusqlite::Error::QueryReturnedNoRows => self.damaged(format!("`{key}` is missing")),
            other => self.failed(other),
        })
    }

    fn words(&self, json: &str) -> Result<Vec<String>, RecordingError> {
        serde_json::from_str(json).map_err(|_| self.damaged("a command line is not a list"))
    }

    fn one<A, B>(&self, sql: &str) -> Result<(A, B), RecordingError>
    where
        A: rusqlite::types::FromSql,
        B: rusqlite::types::FromSql,
    {
        self.db().query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).map_err(|error| self.failed(error))
    }

    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        each: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, RecordingError> {
        let read = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.db().prepare(sql)?;
            statement.query_map([], each)?.collect()
        };
        read().map_err(|error| self.failed(error))
    }
}

/// Makes the last run longer, by as many more runs as its counter needs.
fn extend(runs: &mut Vec<Run>, ticks: Tick) {
    let Some(&last) = runs.last() else { return };
    let mut left = ticks;
    while left > 0 {
        let part = u32::try_from(left).unwrap_or(u32::MAX);
        left -= Tick::from(part);
        match runs.last_mut() {
            Some(run) if run.ticks.checked_add(part).is_some() => run.ticks += part,
            _ => runs.push(Run { ticks: part, ..last }),
        }
    }
}

/// Takes away what lies before a tick.
fn cut(runs: &mut ThreadRuns, from: Tick) {
    let mut gone = 0;
    while runs.first_tick < from && gone < runs.runs.len() {
        let run = &mut runs.runs[gone];
        let part = (from - runs.first_tick).min(Tick::from(run.ticks));
        runs.first_tick += part;
        // `part` is at most `run.ticks`, which is a `u32`.
        run.ticks -= part as u32;
        if run.ticks == 0 {
            gone += 1;
        }
    }
    runs.runs.drain(..gone);
}
