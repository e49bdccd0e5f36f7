//! Parts of functions that the compiler has moved away.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use naja_native::modules::{ModuleFile, ModuleFiles};
use naja_native::unwind::Unwinder;

use crate::Running;

/// The file of a running program.
fn file_of(running: &Running) -> Arc<ModuleFile> {
    let unwinder = Unwinder::new(running.pid(), &mut ModuleFiles::default()).unwrap();
    let modules = unwinder.modules().list();
    let is_program = |path: &str| path.ends_with("/full") || path.ends_with("/stripped");
    modules.iter().find(|module| is_program(module.file.path())).unwrap().file.clone()
}

fn ranges(file: &ModuleFile, name: &str) -> Vec<Range<u64>> {
    file.function_ranges(&|function| function == name).into_iter().map(|(_, range)| range).collect()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_part_that_the_compiler_moved_away_is_found_without_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (full, stripped) = (folder.path().join("full"), folder.path().join("stripped"));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/moved.c");
    let options = ["-O2", "-freorder-blocks-and-partition", "-rdynamic", "-o"];
    let compiled = Command::new("cc").args(options).args([&full, &source]).status().unwrap();
    let was_stripped = Command::new("strip").arg(&full).arg("-o").arg(&stripped).status().unwrap();
    assert!(compiled.success() && was_stripped.success());

    let running = Running::ready(&full, &[]);
    let file = file_of(&running);
    let function = ranges(&file, "heated").first().unwrap().clone();
    let mut moved = ranges(&file, "heated.cold");
    moved.dedup();
    if moved.is_empty() {
        return; // a compiler that keeps its functions together
    }
    assert_eq!(file.moved_parts(&function), moved);

    let running = Running::ready(&stripped, &[]);
    let file = file_of(&running);
    assert_eq!(ranges(&file, "heated.cold"), []);
    assert_eq!(file.moved_parts(&ranges(&file, "heated")[0]), moved);
    // What only calls the function is no part of it.
    assert_eq!(file.moved_parts(&ranges(&file, "main")[0]), []);
}
