//! The files of a project as they were last looked at, and the kernel's word on which to look at again (Linux: inotify).
//!
//! A file has changed when its contents have: an editor that writes the same text again changes nothing. Start at
//! [`Files::watch`].

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

use crate::affected::changes::content_hash;
use crate::affected::project::{is_source_folder, walk};

/// Editors write a file in several steps; this long nothing may happen before the step counts as the last.
const QUIET: Duration = Duration::from_millis(8);
/// Whatever happens without end is looked at after this long.
const LONGEST: Duration = Duration::from_millis(250);

/// The watched files of a project.
pub struct Files {
    root: PathBuf,
    inotify: OwnedFd,
    folders: HashMap<i32, PathBuf>,
    hashes: HashMap<String, i64>,
}

impl Files {
    /// Begins to watch the files below `root`.
    ///
    /// Errors: the system's, where it gives no more watches. Cost: reads every file once.
    pub fn watch(root: &Path) -> io::Result<Files> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let mut files =
            Files { root: root.to_path_buf(), inotify, folders: HashMap::new(), hashes: HashMap::new() };
        files.add_folder(root)?;
        walk(root, &mut |path, _| {
            if let Some(name) = name_below(&files.root, path) {
                files.hashes.insert(name, content_hash(path));
            }
        });
        Ok(files)
    }

    /// Waits until a file has changed or `other` can be read, `limit` at most; the changed files, below the root.
    ///
    /// Errors: the system's.
    pub fn wait(&mut self, other: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<Vec<String>> {
        if !poll_one(self.inotify.as_fd(), other, limit)? {
            return Ok(Vec::new());
        }
        let mut touched = BTreeSet::new();
        let began = Instant::now();
        loop {
            self.read(&mut touched)?;
            if began.elapsed() > LONGEST || !poll_one(self.inotify.as_fd(), None, QUIET)? {
                break;
            }
        }
        let changed = touched.into_iter().filter(|name| {
            let hash = content_hash(&self.root.join(name));
            let before =
                if hash == 0 { self.hashes.remove(name) } else { self.hashes.insert(name.clone(), hash) };
            before.unwrap_or(0) != hash
        });
        Ok(changed.collect())
    }

    /// Reads what has happened; adds the names of files to look at.
    fn read(&mut self, touched: &mut BTreeSet<String>) -> io::Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 1 << 14];
        let mut new_folders = Vec::new();
        let mut is_incomplete = false;
        {
            let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
            loop {
                let event = match reader.next() {
                    Ok(event) => event,
                    Err(rustix::io::Errno::WOULDBLOCK) => break,
                    Err(error) => return Err(error.into()),
                };
                is_incomplete |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                let (Some(folder), Some(name)) = (self.folders.get(&event.wd()), event.file_name()) else {
                    continue;
                };
                let path = folder.join(name.to_string_lossy().as_ref());
                if event.events().contains(ReadFlags::ISDIR) {
                    new_folders.push(path);
                } else if is_kept(&path)
                    && let Some(name) = name_below(&self.root, &path)
                {
                    touched.insert(name);
                }
            }
        }
        if is_incomplete {
            new_folders.push(self.root.clone());
            touched.extend(self.hashes.keys().cloned());
        }
        for folder in new_folders {
            let prefix = name_below(&self.root, &folder).map(|name| name + "/");
            if let Some(prefix) = prefix {
                touched.extend(self.hashes.keys().filter(|name| name.starts_with(&prefix)).cloned());
            }
            if folder.is_dir() && (folder == self.root || is_source_folder(&folder)) {
                self.add_folder(&folder)?;
                walk(&folder, &mut |path, _| {
                    touched.extend(name_below(&self.root, path).filter(|_| is_kept(path)))
                });
            }
        }
        Ok(())
    }

    fn add_folder(&mut self, folder: &Path) -> io::Result<()> {
        let what = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(&self.inotify, folder, what) {
            Ok(watch) => self.folders.insert(watch, folder.to_path_buf()),
            // Gone again.
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_source_folder(&path) {
                self.add_folder(&path)?;
            }
        }
        Ok(())
    }
}

/// Hidden files and what editors keep beside a file are no part of the project.
fn is_kept(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    !(name.starts_with('.') || name.starts_with('#') || name.ends_with('~') || name.ends_with(".pyc"))
}

fn name_below(root: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(root).ok()?.to_str().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// Waits until the first can be read, or the second; whether the first can.
fn poll_one(first: BorrowedFd<'_>, second: Option<BorrowedFd<'_>>, limit: Duration) -> io::Result<bool> {
    let mut waited = vec![PollFd::from_borrowed_fd(first, PollFlags::IN)];
    waited.extend(second.map(|second| PollFd::from_borrowed_fd(second, PollFlags::IN)));
    let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    match poll(&mut waited, Some(&limit)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(waited[0].revents().contains(PollFlags::IN)),
        Err(error) => Err(error.into()),
    }
}
