//! Writing files so that nothing is lost: all of the new content, or the old one.

use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

/// Replaces a file's content, or creates the file: a temporary file beside it takes its place when it is
/// complete. What is no regular file (a terminal, `/dev/null`, a pipe) is written to as it is.
///
/// A new file is readable by its owner alone, since reports and pages hold arguments, paths and source.
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|data| !data.is_file()) {
        return std::fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|failed| failed.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_content_stays_when_the_new_one_cannot_be_written() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("report.json");
        replace_file(&path, b"one").expect("a new file");
        replace_file(&path, b"two").expect("an old file");
        assert_eq!(std::fs::read(&path).expect("it is there"), b"two");
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 1);
        let missing = folder.path().join("missing/report.json");
        assert_eq!(replace_file(&missing, b"x").expect_err("no folder").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        replace_file(Path::new("/dev/null"), b"x").expect("it takes everything");
        assert!(!std::fs::metadata("/dev/null").expect("it is there").is_file());
    }
}
