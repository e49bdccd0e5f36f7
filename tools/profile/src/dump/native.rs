//! Machine code between Python's functions, in the stacks of a dump.

use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::StackReader;
use naja_recording::Function;
use rustc_hash::FxHashMap;

use super::Frame;
use crate::native::{Merged, Namer, NativeProcess, NativeShared, is_unnamed};
use crate::os_thread::Activity;

/// Reads native stacks of a running process. Each thread that runs is paused for a moment, one at a time.
pub(super) struct NativeStacks {
    memory: LiveProcess,
    process: NativeProcess,
    shared: NativeShared,
    namer: Namer,
    /// By thread state: the merged stack, outermost first.
    stacks: FxHashMap<u64, Vec<Merged>>,
}

impl NativeStacks {
    /// `None` where the process's modules cannot be read.
    pub(super) fn new(memory: LiveProcess) -> Option<NativeStacks> {
        let mut shared = NativeShared::default();
        let process = NativeProcess::new(memory.pid(), &mut shared)?;
        Some(NativeStacks { memory, process, shared, namer: Namer::default(), stacks: FxHashMap::default() })
    }

    /// Reads a thread once more, Python's frames and the others together. Where that fails it keeps those that it has.
    pub(super) fn read(&mut self, reader: &mut StackReader, (state, tid): (u64, u32), activity: Activity) {
        let thread = (state, tid);
        if let Some(merged) = self.process.sample(&self.memory, reader, thread, activity, &mut self.shared) {
            self.stacks.insert(state, merged);
        }
    }

    /// Puts machine code between the frames of a thread. `python` has one for each frame that the reader gave, innermost
    /// first, `None` for one that is not shown; the same comes back where there is no native stack.
    pub(super) fn merge(&mut self, state: u64, python: Vec<Option<Frame>>) -> Vec<Frame> {
        let python = python.into_iter();
        let Some(merged) = self.stacks.remove(&state) else { return python.flatten().collect() };
        let mut python = python.rev();
        let mut frames: Vec<Frame> = Vec::with_capacity(merged.len());
        for step in merged {
            match step {
                Merged::Python(_) => frames.extend(python.next().flatten()),
                Merged::Native(address) => {
                    let place = self.process.place(address);
                    let [whole, outermost] = self.namer.chains(&place);
                    let chain = if frames.is_empty() { outermost } else { whole };
                    for (function, line) in chain {
                        // Of what has no name, a file's functions in a row are one.
                        let again = frames.last().is_some_and(|last| last.name == function.name);
                        if !(is_unnamed(&function) && again) {
                            frames.push(native_frame(function, line, place.file_path()));
                        }
                    }
                }
            }
        }
        frames.extend(python.flatten());
        frames.reverse();
        frames
    }
}

fn native_frame(function: Function, line: u32, module: Option<&str>) -> Frame {
    Frame {
        kind: function.kind,
        name: function.name,
        qualified_name: function.qualified_name,
        module: module.map(str::to_owned),
        file: function.file,
        line,
        locals: None,
    }
}
