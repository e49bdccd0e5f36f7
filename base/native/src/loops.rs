//! Where the interpreter's loop lies, the function that runs Python's instructions, in a file of machine code.

use std::sync::Arc;

use crate::merge::Kind;
use crate::modules::{Module, ModuleFile};

/// The ranges of the interpreter's loop, in the file's own addresses.
#[derive(Debug, Default)]
pub struct Loops {
    whole: Vec<std::ops::Range<u64>>,
    parts: Vec<std::ops::Range<u64>>,
}

impl Loops {
    /// Those of a file.
    ///
    /// Cost: reads its symbol tables, and looks through the loop's code.
    pub fn of(file: &ModuleFile) -> Loops {
        const LOOP: &str = "_PyEval_EvalFrameDefault";
        const PART: &str = "_TAIL_CALL_";
        let mut loops = Loops::default();
        let is_wanted = |name: &str| {
            let rest = name.strip_prefix(LOOP);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) || name.starts_with(PART)
        };
        for (name, range) in file.function_ranges(&is_wanted) {
            let list = if name.starts_with(PART) { &mut loops.parts } else { &mut loops.whole };
            if !list.contains(&range) {
                list.push(range);
            }
        }
        // The symbols of a stripped file name the part alone that begins the loop: in some builds (Debian's 3.14 and
        // 3.15) that is one kilobyte, and all instructions are elsewhere.
        let moved: Vec<_> = loops.whole.iter().flat_map(|range| file.moved_parts(range)).collect();
        for range in moved {
            if !loops.whole.contains(&range) {
                loops.whole.push(range);
            }
        }
        loops
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// What lies at one of the file's own addresses.
    pub fn kind(&self, address: u64) -> Kind {
        match address {
            _ if self.whole.iter().any(|range| range.contains(&address)) => Kind::Loop,
            _ if self.parts.iter().any(|range| range.contains(&address)) => Kind::LoopPart,
            _ => Kind::Other,
        }
    }
}

/// Which of a process's modules holds the interpreter's loop: the program itself, or a library whose name mostly says
/// so. `loops` gives the loops of a file, as [`Loops::of`] does.
pub fn find_interpreter(
    modules: &[Module],
    loops: &mut dyn FnMut(&Arc<ModuleFile>) -> Arc<Loops>,
) -> Option<(Arc<ModuleFile>, Arc<Loops>, u64)> {
    let is_likely = |path: &str| path.rsplit('/').next().is_some_and(|name| name.contains("python"));
    let likely = modules.iter().filter(|module| is_likely(module.file.path()));
    let others = modules.iter().filter(|module| !is_likely(module.file.path()));
    likely.chain(others).find_map(|module| {
        let loops = loops(&module.file);
        (!loops.is_empty()).then(|| (module.file.clone(), loops, module.bias))
    })
}
