//! An entry for tests: reads everything that is ever read from a file.

use std::path::Path;
use std::sync::Arc;

use crate::mapped::Bytes;
use crate::modules::ModuleFile;
use crate::symbols::Symbols;

/// Asks a file for its tables, and for the names of addresses all over it.
pub fn everything(path: &Path) {
    let Ok(bytes) = Bytes::of_file(path) else { return };
    let Some(file) = ModuleFile::new(path.to_string_lossy().into_owned(), path.to_owned(), bytes) else {
        return;
    };
    let file = Arc::new(file);
    file.function_ranges(&|_| true);
    let mut symbols = Symbols::default();
    for load in &file.layout.loads {
        for step in 0..64 {
            symbols.frames(&file, load.address.wrapping_add(load.size / 64 * step));
        }
    }
    crate::unwind::accepts(&file);
}
