//! Machine code between Python's functions, in the stacks of a dump.

use naja_cpython::memory::LiveProcess;
use naja_cpython::reader::StackReader;
use naja_recording::Function;
use rustc_hash::FxHashMap;

use super::Frame;
use crate::native::{Merged, Namer, NativeProcess, NativeShared, described, is_unnamed};
use crate::os_thread::Activity;

/// Reads native stacks of a running process. Each thread that runs is paused for a moment, one at a time.
pub(super) struct NativeStacks {
    memory: LiveProcess,
    process: NativeProcess,
    shared: NativeShared,
    namer: Namer,
    /// By thread state: the merged stack, outermost first.
    stacks: FxHashMap<u64, Vec<Merged>>,
    /// Likewise of threads that run no Python, by the system's number.
    foreign: FxHashMap<u32, Vec<Merged>>,
}

impl NativeStacks {
    /// `None` where the process's modules cannot be read.
    pub(super) fn new(memory: LiveProcess) -> Option<NativeStacks> {
        let mut shared = NativeShared::default();
        let process = NativeProcess::new(memory.pid(), &mut shared)?;
        Some(NativeStacks {
            memory,
            process,
            shared,
            namer: Namer::default(),
            stacks: FxHashMap::default(),
            foreign: FxHashMap::default(),
        })
    }

    /// Reads a thread once more, Python's frames and the others together. Where that fails it keeps those that it has.
    /// `states` are its thread states, outermost first; none where it runs no Python.
    pub(super) fn read(
        &mut self,
        reader: &mut StackReader,
        (states, tid): (&[u64], u32),
        activity: Activity,
    ) {
        let thread = (states, tid);
        let Some(merged) = self.process.sample(&self.memory, reader, thread, activity, &mut self.shared)
        else {
            return;
        };
        let Some((last, outer)) = states.split_last() else {
            self.foreign.insert(tid, merged);
            return;
        };
        // What is between two interpreters is what the outer one has called.
        let mut rest = merged.as_slice();
        for state in outer {
            let read = reader.threads().iter().find(|thread| thread.state == *state);
            let mut frames = read.map_or(0, |thread| thread.frames.len());
            let is_inner = |step: &Merged| {
                let is_python = matches!(step, Merged::Python(_));
                let is_over = is_python && frames == 0;
                frames = frames.saturating_sub(usize::from(is_python));
                is_over
            };
            let end = rest.iter().position(is_inner).unwrap_or(rest.len());
            self.stacks.insert(*state, rest[..end].to_vec());
            rest = &rest[end..];
        }
        self.stacks.insert(*last, rest.to_vec());
    }

    /// The frames of a thread that runs no Python, innermost first.
    pub(super) fn foreign(&mut self, tid: u32) -> Option<Vec<Frame>> {
        let merged = self.foreign.remove(&tid)?;
        Some(self.frames(merged, &mut std::iter::empty()))
    }

    /// Puts machine code between the frames of a thread. `python` has one for each frame that the reader gave, innermost
    /// first, `None` for one that is not shown; the same comes back where there is no native stack.
    pub(super) fn merge(&mut self, state: u64, python: Vec<Option<Frame>>) -> Vec<Frame> {
        let python = python.into_iter();
        match self.stacks.remove(&state) {
            Some(merged) => self.frames(merged, &mut python.rev()),
            None => python.flatten().collect(),
        }
    }

    /// `python` outermost first, the result innermost first.
    fn frames(&mut self, merged: Vec<Merged>, python: &mut dyn Iterator<Item = Option<Frame>>) -> Vec<Frame> {
        let mut frames: Vec<Frame> = Vec::with_capacity(merged.len());
        for step in merged {
            match step {
                Merged::Python(_) => frames.extend(python.next().flatten()),
                Merged::Native(address) => {
                    let place = self.process.place(address);
                    let [whole, outermost] = self.namer.chains(&place);
                    let chain = if frames.is_empty() { outermost } else { whole };
                    for (function, line) in chain.iter().map(described) {
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
