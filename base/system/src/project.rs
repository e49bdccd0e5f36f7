//! What belongs to the project that the user works in: its settings and its virtual environment.
//!
//! Both are looked for in the working directory and upward, to the root of the repository. In a parent folder
//! that others can write to (`/tmp`), a stranger could leave a file for us to run, so that only entries of the
//! user's, root's or the working directory's owner count.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The nearest entry of this name in `folder` or above it.
///
/// The search ends at the first folder that holds `.git`, below the user's home folder, and at the root of the
/// file system. Cost: two `stat` calls for each folder.
pub fn find_upward(folder: &Path, name: &str) -> Option<PathBuf> {
    let home = std::env::home_dir();
    let folder_owner = std::fs::metadata(folder).ok()?.uid();
    for parent in folder.ancestors() {
        if parent != folder && Some(parent) == home.as_deref() {
            return None;
        }
        let entry = parent.join(name);
        if let Ok(metadata) = std::fs::metadata(&entry) {
            let is_own = parent == folder
                || metadata.uid() == folder_owner
                || metadata.uid() == 0
                || metadata.uid() == effective_user();
            if is_own {
                return Some(entry);
            }
        }
        if parent.join(".git").exists() {
            return None;
        }
    }
    None
}

fn effective_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}
