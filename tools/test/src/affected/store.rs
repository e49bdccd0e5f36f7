//! What is kept for choosing, in the project's history: what test files loaded, and the contents when all was well.
//!
//! Start at [`seen`] and [`keep_seen`].

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::seen::{Record, Seen};
use super::sight::Sight;

/// The tables of this file.
pub const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS loaded (file TEXT NOT NULL, module TEXT NOT NULL, PRIMARY KEY (file, module)) STRICT;
    CREATE TABLE IF NOT EXISTS loaded_roots (root TEXT PRIMARY KEY) STRICT;
    CREATE TABLE IF NOT EXISTS loaded_when (file TEXT PRIMARY KEY, state INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS states (
        state INTEGER NOT NULL, file TEXT NOT NULL, hash INTEGER NOT NULL, PRIMARY KEY (state, file)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS green (file TEXT PRIMARY KEY, hash INTEGER NOT NULL) STRICT;
";

/// What earlier runs saw.
pub fn seen(connection: &Connection) -> rusqlite::Result<Seen> {
    let mut seen = Seen::default();
    let mut states: HashMap<i64, HashMap<String, i64>> = HashMap::new();
    let mut statement = connection.prepare("SELECT state, file, hash FROM states")?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (state, file, hash) = row?;
        states.entry(state).or_default().insert(file, hash);
    }
    let states: HashMap<i64, Arc<_>> =
        states.into_iter().map(|(state, files)| (state, Arc::new(files))).collect();
    let mut statement = connection.prepare("SELECT file, module FROM loaded")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (file, module) = row?;
        seen.files.entry(file).or_default().modules.push(module);
    }
    let mut statement = connection.prepare("SELECT file, state FROM loaded_when")?;
    for row in statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))? {
        let (file, state) = row?;
        let record: &mut Record = seen.files.entry(file).or_default();
        record.contents = states.get(&state).cloned().unwrap_or_default();
    }
    let mut statement = connection.prepare("SELECT root FROM loaded_roots")?;
    for root in statement.query_map([], |row| row.get(0))? {
        seen.roots.insert(root?);
    }
    Ok(seen)
}

/// Keeps what a run has seen, whole or not at all.
pub fn keep_seen(connection: &mut Connection, sight: &Sight) -> rusqlite::Result<()> {
    let all = connection.transaction()?;
    let state: i64 = all.query_row("SELECT coalesce(max(state), 0) + 1 FROM states", [], |row| row.get(0))?;
    {
        let mut loaded = all.prepare("INSERT OR IGNORE INTO loaded VALUES (?, ?)")?;
        for (file, modules) in &sight.modules {
            for module in modules {
                loaded.execute(params![file, module])?;
            }
        }
        let mut root = all.prepare("INSERT OR IGNORE INTO loaded_roots VALUES (?)")?;
        for one in &sight.roots {
            root.execute([one])?;
        }
        let mut when = all.prepare("INSERT OR REPLACE INTO loaded_when VALUES (?, ?)")?;
        for file in &sight.whole {
            when.execute(params![file, state])?;
        }
        if !sight.whole.is_empty() {
            let mut content = all.prepare("INSERT INTO states VALUES (?, ?, ?)")?;
            for (file, hash) in &sight.contents {
                content.execute(params![state, file, hash])?;
            }
        }
    }
    all.execute("DELETE FROM states WHERE state NOT IN (SELECT state FROM loaded_when)", [])?;
    all.commit()
}

/// The contents of the project when all its tests last passed; empty where that was never seen.
pub fn green(connection: &Connection) -> rusqlite::Result<HashMap<String, i64>> {
    let mut statement = connection.prepare("SELECT file, hash FROM green")?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Keeps the contents with which all tests passed.
pub fn keep_green(connection: &mut Connection, contents: &HashMap<String, i64>) -> rusqlite::Result<()> {
    let all = connection.transaction()?;
    all.execute("DELETE FROM green", [])?;
    {
        let mut file = all.prepare("INSERT INTO green VALUES (?, ?)")?;
        for (path, hash) in contents {
            file.execute(params![path, hash])?;
        }
    }
    all.commit()
}
