//! The Python files that pytest is given: carried in this program, laid into naja's cache folder.
//!
//! The folder's name holds a hash of the contents, so that two versions of naja never share files, and Python keeps
//! its compiled files beside them. Start at [`lay_out`].

use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use naja_system::{Failure, Result, cache, replace_file};

/// The name of the package in the test process.
pub const PACKAGE: &str = "naja_testing";

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../../python/naja/testing/", $name)))),+]
    };
}

/// Every file of the package, by its name.
pub const FILES: &[(&str, &str)] = files!(
    "__init__.py",
    "choosing.py",
    "collecting.py",
    "controller.py",
    "debugger.py",
    "ending.py",
    "entry.py",
    "evidence.py",
    "fork_safety.py",
    "fresh.py",
    "front_end.py",
    "garbage.py",
    "hosts.py",
    "isolation.py",
    "loaded.py",
    "per_thread.py",
    "plugin.py",
    "rewriting.py",
    "run_pytest.py",
    "scheduling.py",
    "sent_tree.py",
    "served_plugins.py",
    "session_fixtures.py",
    "stop_signals.py",
    "thread_safety.py",
    "threads.py",
    "watch.py",
    "work_queue.py",
    "worker.py",
    "xdist_hooks.py",
);

/// The folder that holds the package's files, made where it is not there yet.
///
/// Errors: `no-cache-folder`, `cache-not-writable`. Cost: one `stat` call a file when it is there.
pub fn lay_out() -> Result<PathBuf> {
    let folder = cache::folder("test")?.join(format!("{:016x}", fingerprint())).join(PACKAGE);
    if FILES.iter().all(|(name, text)| is_laid_out(&folder.join(name), text)) {
        return Ok(folder);
    }
    cache::create_private(&folder)?;
    for (name, text) in FILES {
        let path = folder.join(name);
        replace_file(&path, text.as_bytes()).map_err(|error| {
            Failure::new("cache-not-writable", format!("cannot write `{}`", path.display()))
                .caused_by(&error)
                .hint("set XDG_CACHE_HOME to a folder that can be written")
        })?;
    }
    Ok(folder)
}

fn is_laid_out(path: &Path, text: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|found| found.len() == text.len() as u64)
}

fn fingerprint() -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    FILES.hash(&mut hasher);
    hasher.finish()
}
