//! The folder where recordings go that were given no name, and its limit.
//!
//! Several naja may use it at once. A recording that is being written is never removed. Start at
//! [`Cache::of_user`]. A process that writes a recording calls [`Cache::forget_oldest`] before it begins.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use naja_system::{Failure, cache};

use crate::schema;

/// The cache's size limit unless another is set: 1 GiB.
pub const DEFAULT_LIMIT: u64 = 1 << 30;

const EXTENSION: &str = "naja";
/// A name that was given out and whose recording has not begun is kept for so long.
const RESERVED_FOR: Duration = Duration::from_secs(60);
/// Longer program names are cut, in characters.
const NAME_LEN_MAX: usize = 40;

/// A folder of recordings.
#[derive(Clone, Debug)]
pub struct Cache {
    folder: PathBuf,
}

/// What [`Cache::forget_oldest`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Number of recordings.
    pub recordings: u32,
    /// Their size together.
    pub bytes: u64,
}

impl Cache {
    /// The user's: `$XDG_CACHE_HOME/naja/recordings`, else `~/.cache/naja/recordings`.
    ///
    /// Errors: `no-cache-folder`.
    pub fn of_user() -> Result<Cache, Failure> {
        Ok(Cache { folder: cache::folder("recordings")? })
    }

    /// The one in a folder.
    pub fn at(folder: &Path) -> Cache {
        Cache { folder: folder.to_owned() }
    }

    /// The folder; it need not exist yet.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A name for a new recording, as in `2026-11-21-141503-app-4211.naja`: time (UTC), program, process.
    ///
    /// The name is taken by an empty file, which [`crate::Writer::create`] then uses; so no two naja get the
    /// same. The folder is created where missing, readable by its owner alone.
    ///
    /// Errors: `cache-not-writable`.
    pub fn new_recording_path(&self, program: &str) -> Result<PathBuf, Failure> {
        cache::create_private(&self.folder)?;
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        let stem = stem(seconds, program, std::process::id());
        let mut copy = 1u64;
        loop {
            let name = match copy {
                1 => format!("{stem}.{EXTENSION}"),
                _ => format!("{stem}-{copy}.{EXTENSION}"),
            };
            let path = self.folder.join(name);
            match take(&path) {
                Ok(()) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => copy += 1,
                Err(error) => {
                    return Err(Failure::new(
                        "cache-not-writable",
                        format!("cannot create `{}`", path.display()),
                    )
                    .caused_by(&error)
                    .hint("set XDG_CACHE_HOME to a folder that can be written, or name a file with `-o`"));
                }
            }
        }
    }

    /// Removes the recordings that were changed least recently until all together fit into a limit.
    ///
    /// Those that are being written stay, and count. A folder that does not exist is empty.
    ///
    /// Errors: `cache-not-writable` when the folder cannot be listed or a recording cannot be removed.
    /// Cost:   one look at each file in the folder.
    pub fn forget_oldest(&self, limit_bytes: u64) -> Result<Forgotten, Failure> {
        let failed = |error: &io::Error| {
            Failure::new("cache-not-writable", format!("cannot tidy the folder `{}`", self.folder.display()))
                .caused_by(error)
        };
        let mut recordings = self.list().map_err(|error| failed(&error))?;
        recordings.sort_by(|a, b| (a.modified, &a.path).cmp(&(b.modified, &b.path)));
        let mut total: u64 = recordings.iter().map(|recording| recording.bytes).sum();
        let mut forgotten = Forgotten::default();
        for recording in &recordings {
            // One that was never begun goes even if there is room.
            if total <= limit_bytes && recording.bytes > 0 {
                continue;
            }
            if recording.is_kept() {
                continue;
            }
            remove(&recording.path).map_err(|error| failed(&error))?;
            total -= recording.bytes;
            forgotten.recordings += 1;
            forgotten.bytes += recording.bytes;
        }
        Ok(forgotten)
    }

    fn list(&self) -> io::Result<Vec<Recording>> {
        let entries = match std::fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut recordings = Vec::new();
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_none_or(|found| found != EXTENSION) {
                continue;
            }
            // Another naja may have removed it since the folder was listed.
            let Ok(metadata) = std::fs::symlink_metadata(&path) else {
                continue;
            };
            if metadata.is_file() {
                recordings.push(Recording { path, bytes: metadata.len(), modified: metadata.modified()? });
            }
        }
        Ok(recordings)
    }
}

struct Recording {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl Recording {
    /// It is being written, or about to be. What cannot be found out counts as yes.
    fn is_kept(&self) -> bool {
        // A clock that was set back makes files of the future: their age is unknown, so they are young.
        let age = self.modified.elapsed().unwrap_or_default();
        let reserved = self.bytes == 0 && age < RESERVED_FOR;
        reserved || schema::is_being_written(&self.path).unwrap_or(true)
    }
}

/// Takes a name with an empty file of the owner's.
fn take(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map(|_: File| ())
}

/// Removes a recording with the journal that a kill may have left.
fn remove(path: &Path) -> io::Result<()> {
    for path in [path, &schema::journal_of(path)] {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn stem(unix_s: u64, program: &str, pid: u32) -> String {
    let (year, month, day) = date(unix_s / 86_400);
    let second = unix_s % 86_400;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let program = program_word(program);
    format!("{year:04}-{month:02}-{day:02}-{hour:02}{minute:02}{second:02}-{program}-{pid}")
}

/// A program's name as part of a file's: the last part of a path, without `.py` and without odd characters.
fn program_word(program: &str) -> String {
    let name = program.trim_end_matches('/').rsplit('/').next();
    let name = name.unwrap_or_default();
    let name = name.strip_suffix(".py").unwrap_or(name);
    let word: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .take(NAME_LEN_MAX)
        .collect();
    // A name that begins with a point would be hidden, one with a line would look like an option.
    let word = word.trim_start_matches(['.', '-']);
    match word {
        "" => "program".to_owned(),
        word => word.to_owned(),
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Years are counted from March on, so that the leap day is a year's last.
fn date(day: u64) -> (u64, u64, u64) {
    const DAYS_BEFORE_1970: u64 = 719_468; // from 0000-03-01
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let day = day + DAYS_BEFORE_1970;
    let (era, day) = (day / DAYS_IN_400_YEARS, day % DAYS_IN_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / (DAYS_IN_400_YEARS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let year = era * 400 + year + u64::from(month >= 10);
    (year, (month + 2) % 12 + 1, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unix_s: u64, program: &str, expected: &str) {
        assert_eq!(stem(unix_s, program, 4211), expected);
    }

    #[test]
    fn a_name_has_the_time_the_program_and_the_process() {
        check(1_795_270_503, "srv/app.py", "2026-11-21-141503-app-4211");
        check(0, "-", "1970-01-01-000000-program-4211");
        check(951_782_399, "größe.zip", "2000-02-28-235959-größe.zip-4211");
        check(951_782_400, "../a b/", "2000-02-29-000000-a-b-4211");
        check(4_107_542_400, ".hidden", "2100-03-01-000000-hidden-4211");
        check(1_798_761_599, "x\n'y", "2026-12-31-235959-x--y-4211");
    }
}
