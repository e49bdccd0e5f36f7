//! Stacks as the formats show them: frames with a name and a place, and a tree of frames.
//!
//! Equal frames are one frame and equal stacks are one stack, whatever numbers the recording gave them. Start at
//! [`Stacks::of`].

use std::hash::Hash;

use naja_recording::{FunctionId, FunctionKind, NodeId, Run, Thread};
use rustc_hash::FxHashMap;

use super::content::{Content, on_one_line};
use naja_report::short_path;

/// Number of a frame in [`Stacks::frames`].
pub(super) type FrameId = u32;
/// Number of a stack; 0 is the empty one.
pub(super) type StackId = u32;

/// Name of the frame that stands for the collector.
pub(super) const COLLECTOR: &str = "<GC>";

/// What a frame stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum FrameKind {
    /// A process or a thread, at the root.
    Root,
    /// A function, or a task.
    Function(FunctionKind),
    /// The collector runs.
    Collector,
    /// There is no Python function on the stack.
    NoPython,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Frame {
    pub(super) name: String,
    /// Shortened unless the options say otherwise; empty where there is none.
    pub(super) file: String,
    /// 0 where there is none.
    pub(super) line: u32,
    pub(super) kind: FrameKind,
}

impl Frame {
    /// `name (file:line)`, as py-spy writes it.
    pub(super) fn label(&self) -> String {
        match (self.file.is_empty(), self.line) {
            (true, _) => self.name.clone(),
            (false, 0) => format!("{} ({})", self.name, self.file),
            (false, line) => format!("{} ({}:{line})", self.name, self.file),
        }
    }
}

/// What a format wants of stacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A process at the root where there are several, a thread where the options ask for it.
    Rooted,
    /// Neither: the format tells processes and threads apart itself.
    Bare,
    /// As [`Shape::Bare`], with one frame for each function, and the collector on top wherever it runs.
    Calls,
}

/// All frames and stacks met so far.
pub(super) struct Stacks<'c> {
    content: &'c Content<'c>,
    shape: Shape,
    pub(super) frames: Vec<Frame>,
    /// Line of the function's `def`, for each frame.
    first_lines: Vec<u32>,
    frame_ids: FxHashMap<Frame, FrameId>,
    /// Frame of a function's line.
    frame_of: FxHashMap<(FunctionId, u32), FrameId>,
    /// Caller and frame of each stack from 1 on.
    stacks: Vec<(StackId, FrameId)>,
    stack_ids: FxHashMap<(StackId, FrameId), StackId>,
    /// Stack of a recording's node above a root.
    stack_of: FxHashMap<(StackId, NodeId), StackId>,
}

impl<'c> Stacks<'c> {
    /// No stack yet.
    pub(super) fn new(content: &'c Content<'c>, shape: Shape) -> Stacks<'c> {
        Stacks {
            content,
            shape,
            frames: Vec::new(),
            first_lines: Vec::new(),
            frame_ids: FxHashMap::default(),
            frame_of: FxHashMap::default(),
            stacks: vec![(0, 0)],
            stack_ids: FxHashMap::default(),
            stack_of: FxHashMap::default(),
        }
    }

    /// The stack of a sample.
    ///
    /// Cost: O(1) for a stack that was met before, else O(its depth).
    pub(super) fn of(&mut self, thread: &Thread, run: &Run) -> StackId {
        let root = self.root(thread);
        let mut stack = match run.node {
            0 => {
                let name = "(no Python on the stack)".to_owned();
                let kind = FrameKind::NoPython;
                let frame = self.frame(Frame { name, file: String::new(), line: 0, kind });
                self.push(root, frame)
            }
            node => self.above(root, node),
        };
        if run.gc && (self.content.options.stacks.gc || self.shape == Shape::Calls) {
            let name = COLLECTOR.to_owned();
            let frame = self.frame(Frame { name, file: String::new(), line: 0, kind: FrameKind::Collector });
            stack = self.push(stack, frame);
        }
        stack
    }

    /// Line of the `def` of a frame's function; 0 where it has none.
    pub(super) fn first_line(&self, frame: FrameId) -> u32 {
        self.first_lines.get(frame as usize).copied().unwrap_or(0)
    }

    /// How many stacks there are, the empty one among them.
    pub(super) fn count(&self) -> usize {
        self.stacks.len()
    }

    /// The caller's stack and the frame on top of it; `None` for the empty stack.
    pub(super) fn top(&self, stack: StackId) -> Option<(StackId, &Frame, FrameId)> {
        let &(caller, frame) = self.stacks.get(stack as usize).filter(|_| stack != 0)?;
        Some((caller, &self.frames[frame as usize], frame))
    }

    /// The frames of a stack, the outermost first.
    pub(super) fn path(&self, stack: StackId) -> Vec<FrameId> {
        let mut frames = Vec::new();
        let mut at = stack;
        while let Some((caller, _, frame)) = self.top(at) {
            frames.push(frame);
            at = caller;
        }
        frames.reverse();
        frames
    }

    fn root(&mut self, thread: &Thread) -> StackId {
        let mut stack = 0;
        if self.shape != Shape::Rooted {
            return stack;
        }
        if self.content.processes.len() > 1 {
            let name = self.content.process_name(thread.process);
            let frame = self.frame(Frame { name, file: String::new(), line: 0, kind: FrameKind::Root });
            stack = self.push(stack, frame);
        }
        if self.content.options.stacks.threads {
            let name = format!("thread {} \"{}\"", thread.os_tid, on_one_line(&thread.name));
            let frame = self.frame(Frame { name, file: String::new(), line: 0, kind: FrameKind::Root });
            stack = self.push(stack, frame);
        }
        stack
    }

    fn above(&mut self, root: StackId, node: NodeId) -> StackId {
        let mut new = Vec::new();
        let mut at = node;
        // A caller's number is always the smaller one, so this ends.
        let mut stack = loop {
            if let Some(&known) = self.stack_of.get(&(root, at)) {
                break known;
            }
            let Some(found) = self.content.node(at) else { break root };
            new.push(*found);
            at = found.parent;
        };
        for node in new.into_iter().rev() {
            let frame = self.frame_of_line(node.function, node.line);
            stack = self.push(stack, frame);
            self.stack_of.insert((root, node.id), stack);
        }
        stack
    }

    fn frame_of_line(&mut self, id: FunctionId, line: u32) -> FrameId {
        let options = &self.content.options.stacks;
        let function = self.content.function(id);
        let line = match function {
            _ if options.nolineno => 0,
            Some(function) if options.function || self.shape == Shape::Calls => function.first_line,
            _ => line,
        };
        if let Some(&known) = self.frame_of.get(&(id, line)) {
            return known;
        }
        let frame = match function {
            None => Frame {
                name: "(unknown function)".to_owned(),
                file: String::new(),
                line: 0,
                kind: FrameKind::Function(FunctionKind::Python),
            },
            Some(function) => Frame {
                name: on_one_line(label(function)),
                file: on_one_line(match options.full_filenames {
                    true => &function.file,
                    false => short_path(&function.file, &self.content.header().working_directory),
                }),
                line,
                kind: FrameKind::Function(function.kind),
            },
        };
        let first_line = function.map_or(0, |function| function.first_line);
        let frame = self.frame(frame);
        self.first_lines[frame as usize] = first_line;
        self.frame_of.insert((id, line), frame);
        frame
    }

    fn frame(&mut self, frame: Frame) -> FrameId {
        let next = self.frames.len() as FrameId;
        *self.frame_ids.entry(frame).or_insert_with_key(|frame| {
            self.frames.push(frame.clone());
            self.first_lines.push(0);
            next
        })
    }

    fn push(&mut self, caller: StackId, frame: FrameId) -> StackId {
        let next = self.stacks.len() as StackId;
        *self.stack_ids.entry((caller, frame)).or_insert_with(|| {
            self.stacks.push((caller, frame));
            next
        })
    }
}

/// The name of a function: its qualified one where the interpreter keeps it.
pub(crate) fn label(function: &naja_recording::Function) -> &str {
    if function.qualified_name.is_empty() { &function.name } else { &function.qualified_name }
}
