//! What lies at a place of code: functions and lines, without those by which the interpreter only passes calls on.

use rustc_hash::FxHashMap;

use crate::glue::{self, Owner};
use crate::perf_map::PerfMap;
use crate::place::Place;
use crate::symbols::{NativeFrame, Symbols};

/// Processes whose maps of made code are kept.
const PERF_MAPS_MAX: usize = 256;

/// Tells what a place is.
#[derive(Debug, Default)]
pub struct Namer {
    symbols: Symbols,
    perf_maps: FxHashMap<u32, PerfMap>,
}

impl Namer {
    /// What is at a place, outermost first, as it is shown above other functions and as it is shown at the bottom of a
    /// stack; without the interpreter's glue. One without a name is called by its file's, in angle brackets.
    ///
    /// Cost: some 10 ms for the first place in a part of a file, then some µs.
    pub fn chains(&mut self, place: &Place) -> [Vec<NativeFrame>; 2] {
        let (frames, path, owner) = self.frames(place);
        [false, true].map(|is_outermost| {
            // The innermost inlined call comes first.
            let frames = frames.iter().rev();
            let kept = frames.filter(|frame| !glue::is_left_out(&frame.function, owner, is_outermost));
            kept.map(|frame| with_name(frame, &path)).collect()
        })
    }

    /// What is at a place, innermost first; the path of its file, and whose that is.
    fn frames(&mut self, place: &Place) -> (Vec<NativeFrame>, String, Owner) {
        match place {
            Place::File { file, address, is_interpreter } => {
                let owner = if *is_interpreter { Owner::Interpreter } else { Owner::of_file(file.path()) };
                (self.symbols.frames(file, *address).to_vec(), file.path().to_owned(), owner)
            }
            Place::Made { pid, address } => {
                if self.perf_maps.len() >= PERF_MAPS_MAX {
                    self.perf_maps.clear();
                }
                let map = self.perf_maps.entry(*pid).or_insert_with(|| PerfMap::read(*pid));
                if map.name(*address).is_none() && !map.is_empty() {
                    // What was made since then.
                    *map = PerfMap::read(*pid);
                }
                let function = map.name(*address).unwrap_or("<code without a file>").to_owned();
                (vec![NativeFrame { function, ..NativeFrame::default() }], String::new(), Owner::Other)
            }
        }
    }
}

/// A function with the name that it is shown by, and its file.
fn with_name(frame: &NativeFrame, path: &str) -> NativeFrame {
    let function = match frame.function.as_str() {
        "" => format!("<{}>", path.rsplit('/').next().unwrap_or_default()),
        name => name.to_owned(),
    };
    let file = if frame.file.is_empty() { path.to_owned() } else { frame.file.clone() };
    NativeFrame { function, file, line: frame.line }
}
