//! Which source texts go into the page, and what the page says about those that do not.
//!
//! Invariant: a file on disk is shown only when it is not newer than the recording, because heat on lines that
//! have moved would mislead. Start at [`choose`].

use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

/// Together the texts stay below this many bytes, so that the page does.
const TEXT_BYTES_MAX: usize = 6 << 20;
/// A single file above this is generated code that nobody reads line by line.
const FILE_BYTES_MAX: usize = 1 << 20;

/// What the page has of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// The text as the recording kept it.
    Recorded(String),
    /// The text read from disk when the page was made.
    Disk(String),
    /// No text, and why.
    Missing(&'static str),
}

/// The texts of `files`, which come hottest first. `recorded` are pairs of a name and a text.
///
/// Files without a recorded text are read from disk, relative names below `working_directory`.
pub fn choose(
    files: &[&str],
    recorded: &[(&str, &str)],
    working_directory: &str,
    recorded_at_unix_ns: u64,
) -> Vec<Text> {
    let recorded: HashMap<&str, &str> = recorded.iter().copied().collect();
    let mut left = TEXT_BYTES_MAX;
    let mut take = |file: &str| {
        let text = match recorded.get(file) {
            Some(text) => Text::Recorded((*text).to_owned()),
            None => from_disk(file, working_directory, recorded_at_unix_ns),
        };
        let size = match &text {
            Text::Recorded(text) | Text::Disk(text) => text.len(),
            Text::Missing(_) => 0,
        };
        if size > FILE_BYTES_MAX || size > left {
            return Text::Missing("the file is too large to be kept in this page");
        }
        left -= size;
        text
    };
    files.iter().map(|file| take(file)).collect()
}

/// The texts as the page's JSON has them, in the order of `files`; `heat` says how much is counted in each.
pub fn json(
    files: &[String],
    heat: &[u64],
    recorded: &[(&str, &str)],
    working_directory: &str,
    recorded_at_unix_ns: u64,
) -> Vec<Value> {
    let mut hottest: Vec<usize> = (0..files.len()).collect();
    hottest.sort_by_key(|&file| std::cmp::Reverse(heat.get(file).copied().unwrap_or(0)));
    let names: Vec<&str> = hottest.iter().map(|&file| files[file].as_str()).collect();
    let texts = choose(&names, recorded, working_directory, recorded_at_unix_ns);
    let mut by_file = vec![Value::Null; files.len()];
    for (file, text) in hottest.into_iter().zip(texts) {
        by_file[file] = match text {
            Text::Recorded(text) => json!({ "text": text, "from": "recording" }),
            Text::Disk(text) => json!({ "text": text, "from": "disk" }),
            Text::Missing(reason) => json!({ "missing": reason }),
        };
    }
    by_file
}

fn from_disk(file: &str, working_directory: &str, recorded_at_unix_ns: u64) -> Text {
    if file.is_empty() || file.starts_with('<') {
        return Text::Missing("this code did not come from a file");
    }
    let path = Path::new(working_directory).join(file);
    let Ok(metadata) = fs::metadata(&path) else {
        return Text::Missing("the recording kept no source, and the file is not on this machine");
    };
    // Anything but a plain file (a pipe, a device) could block the reader for ever.
    if !metadata.is_file() {
        return Text::Missing("the recording kept no source, and this is not a plain file");
    }
    let changed = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    if changed.is_none_or(|changed| changed > Duration::from_nanos(recorded_at_unix_ns)) {
        return Text::Missing("the file has changed since the recording was made");
    }
    let mut bytes = Vec::new();
    let limit = u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX) + 1;
    match fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
        Ok(_) => Text::Disk(String::from_utf8_lossy(&bytes).into_owned()),
        Err(_) => Text::Missing("the recording kept no source, and the file cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUTURE: u64 = u64::MAX / 2;

    #[test]
    fn a_recorded_text_wins_over_the_disk() {
        let recorded = [("a.py", "x = 1\n")];
        assert_eq!(choose(&["a.py"], &recorded, "/", FUTURE), [Text::Recorded("x = 1\n".into())]);
    }

    #[test]
    fn a_file_is_read_from_disk_unless_it_is_newer_than_the_recording() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.py"), "y = 2\n").unwrap();
        let folder = folder.path().to_str().unwrap();
        assert_eq!(choose(&["a.py"], &[], folder, FUTURE), [Text::Disk("y = 2\n".into())]);
        let [Text::Missing(reason)] = &choose(&["a.py"], &[], folder, 1)[..] else {
            panic!("a newer file must not be shown");
        };
        assert!(reason.contains("changed"));
    }

    #[test]
    fn code_without_a_file_says_so() {
        let texts = choose(&["<string>", "gone.py"], &[], "/nonexistent", FUTURE);
        assert!(matches!(texts[0], Text::Missing("this code did not come from a file")));
        assert!(matches!(texts[1], Text::Missing(reason) if reason.contains("not on this machine")));
    }
}
