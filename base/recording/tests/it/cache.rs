//! The folder of recordings: names, privacy, the limit.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use naja_recording::cache::{Cache, Forgotten};
use naja_recording::*;

use crate::samples::header;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A finished recording that was last changed so many hours ago.
fn finished(cache: &Cache, hours: u64) -> PathBuf {
    let path = cache.new_recording_path("app.py").unwrap();
    Writer::create(&path, &header()).unwrap().finish().unwrap();
    age(&path, hours);
    path
}

fn age(path: &Path, hours: u64) {
    let time = SystemTime::now() - Duration::from_secs(hours * 3600);
    std::fs::File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn names_never_collide_and_the_folder_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(&folder.path().join("naja/recordings"));
    let names: HashSet<PathBuf> = (0..20).map(|_| cache.new_recording_path("app.py").unwrap()).collect();
    assert_eq!(names.len(), 20);
    assert_eq!(mode(cache.folder()), 0o700);
    for path in &names {
        assert!(path.file_name().unwrap().to_str().unwrap().contains("-app-"));
        assert_eq!(mode(path), 0o600);
    }
    let path = names.iter().next().unwrap();
    let _writer = Writer::create(path, &header()).unwrap();
    let error = Writer::create(path, &header()).err().unwrap();
    assert!(error.to_string().ends_with("another naja is writing it"), "{error}");

    std::fs::set_permissions(cache.folder(), PermissionsExt::from_mode(0o755)).unwrap();
    cache.new_recording_path("app.py").unwrap();
    assert_eq!(mode(cache.folder()), 0o700);
}

#[test]
fn the_oldest_finished_recordings_go_first_and_one_being_written_never() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path());
    assert_eq!(cache.forget_oldest(0).unwrap(), Forgotten::default());

    let live_path = cache.new_recording_path("server").unwrap();
    let live = Writer::create(&live_path, &header()).unwrap();
    age(&live_path, 100);
    let [oldest, older, newest] = [50, 20, 1].map(|hours| finished(&cache, hours));
    std::fs::write(oldest.with_extension("naja-journal"), b"").unwrap();
    let reserved = cache.new_recording_path("soon").unwrap();
    let abandoned = cache.new_recording_path("never").unwrap();
    age(&abandoned, 1);
    let other = folder.path().join("notes.txt");
    std::fs::write(&other, [0; 1_000_000]).unwrap();

    let bytes = std::fs::metadata(&oldest).unwrap().len();
    let forgotten = cache.forget_oldest(3 * bytes).unwrap();
    assert_eq!(forgotten, Forgotten { recordings: 2, bytes });
    let is_left = |path: &PathBuf| path.exists();
    assert!(!is_left(&oldest) && !is_left(&oldest.with_extension("naja-journal")) && !is_left(&abandoned));
    assert!([&live_path, &older, &newest, &reserved, &other].into_iter().all(is_left));

    cache.forget_oldest(0).unwrap();
    assert!(!is_left(&older) && !is_left(&newest));
    assert!([&live_path, &reserved, &other].into_iter().all(is_left));
    live.finish().unwrap();
    cache.forget_oldest(0).unwrap();
    assert!(!is_left(&live_path));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let failure = Cache::at(&file.join("recordings")).new_recording_path("app").unwrap_err();
    assert_eq!(failure.name(), "cache-not-writable");
    assert!(failure.hint_text().is_some());
    let error = Writer::create(&folder.path().join("none/a.naja"), &header()).err().unwrap();
    assert_eq!(error.name(), "recording-io");
}

#[test]
fn only_an_older_recording_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.naja");
    Writer::create(&path, &header()).unwrap().finish().unwrap();
    Writer::create(&path, &header()).unwrap().finish().unwrap();
    let program = folder.path().join("app.py");
    std::fs::write(&program, b"print('precious')").unwrap();
    let link = folder.path().join("link.naja");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    for path in [&program, &link, folder.path(), Path::new("/dev/null")] {
        let error = Writer::create(path, &header()).err().unwrap();
        assert_eq!(error.name(), "recording-exists", "{error}");
    }
    assert_eq!(std::fs::read(&program).unwrap(), b"print('precious')");
}
