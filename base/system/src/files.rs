//! Writing files so that nothing is lost: all of the new content, or the old one.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Replaces a file's content, or creates the file: see [`Replacement`].
pub fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = Replacement::begin(path)?;
    file.write_all(content)?;
    file.finish()
}

/// New content of a file: a temporary file beside it takes its place when it is complete. Dropped before
/// [`Replacement::finish`], it leaves the old file as it was.
///
/// What is no regular file (a terminal, `/dev/null`, a pipe) is written to as it is. A new file is readable by its
/// owner alone, since reports and pages hold arguments, paths and source.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Beside(NamedTempFile),
    InPlace(File),
}

impl Replacement {
    /// Begins new content for the file at `path`.
    pub fn begin(path: &Path) -> io::Result<Replacement> {
        let content = if std::fs::metadata(path).is_ok_and(|data| !data.is_file()) {
            Content::InPlace(std::fs::OpenOptions::new().write(true).open(path)?)
        } else {
            Content::Beside(NamedTempFile::new_in(match path.parent() {
                Some(folder) if !folder.as_os_str().is_empty() => folder,
                _ => Path::new("."),
            })?)
        };
        Ok(Replacement { path: path.to_owned(), content })
    }

    /// Puts what was written in the file's place.
    pub fn finish(self) -> io::Result<()> {
        match self.content {
            Content::InPlace(mut file) => file.flush(),
            Content::Beside(file) => {
                file.as_file().sync_all()?;
                file.persist(&self.path).map_err(|failed| failed.error)?;
                Ok(())
            }
        }
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.content {
            Content::Beside(file) => file.write(bytes),
            Content::InPlace(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.content {
            Content::Beside(file) => file.flush(),
            Content::InPlace(file) => file.flush(),
        }
    }
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
    fn an_unfinished_replacement_leaves_the_file_and_its_folder_as_they_were() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("report.json");
        replace_file(&path, b"one").expect("a new file");
        let mut file = Replacement::begin(&path).expect("there is room");
        file.write_all(b"half").expect("there is room");
        drop(file);
        assert_eq!(std::fs::read(&path).expect("it is there"), b"one");
        assert_eq!(std::fs::read_dir(&folder).expect("it is there").count(), 1);
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        replace_file(Path::new("/dev/null"), b"x").expect("it takes everything");
        assert!(!std::fs::metadata("/dev/null").expect("it is there").is_file());
    }
}
