//! Functions and stacks under numbers, as a recording has them.

use naja_cpython::code::{CodeInfo, read_code};
use naja_cpython::locate::Located;
use naja_cpython::own_code::CopiedMemory;
use naja_recording::{Function, FunctionId, FunctionKind, NodeId, StackNode};
use rustc_hash::FxHashMap;

use crate::decode::NewFrame;

/// All functions and stacks that were seen, each once.
#[derive(Debug, Default)]
pub struct Stacks {
    functions: Vec<Function>,
    known_functions: FxHashMap<(String, String, u32), FunctionId>,
    nodes: Vec<StackNode>,
    known_nodes: FxHashMap<(NodeId, FunctionId, u32), NodeId>,
}

impl Stacks {
    /// The functions, in the order of their numbers.
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The nodes, in the order of their numbers: a parent comes before its children.
    pub fn nodes(&self) -> &[StackNode] {
        &self.nodes
    }

    /// A function by its number.
    pub fn function(&self, id: FunctionId) -> Option<&Function> {
        self.functions.get((id as usize).checked_sub(1)?)
    }

    /// A node by its number.
    pub fn node(&self, id: NodeId) -> Option<&StackNode> {
        self.nodes.get((id as usize).checked_sub(1)?)
    }

    fn function_of(&mut self, info: &CodeInfo) -> FunctionId {
        self.know(Function {
            id: 0,
            name: info.name.clone(),
            qualified_name: info.qualified_name.clone(),
            file: info.file.clone(),
            first_line: info.first_line,
            kind: FunctionKind::Python,
        })
    }

    /// A function of machine code.
    pub(crate) fn native_function(&mut self, name: &str, file: &str) -> FunctionId {
        self.know(Function {
            id: 0,
            name: name.to_owned(),
            qualified_name: name.to_owned(),
            file: file.to_owned(),
            first_line: 0,
            kind: FunctionKind::Native,
        })
    }

    fn know(&mut self, function: Function) -> FunctionId {
        let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
        let next = self.functions.len() as FunctionId + 1;
        let id = *self.known_functions.entry(key).or_insert(next);
        if id == next {
            self.functions.push(Function { id, ..function });
        }
        id
    }

    pub(crate) fn node_of(&mut self, parent: NodeId, function: FunctionId, line: u32) -> NodeId {
        let next = self.nodes.len() as NodeId + 1;
        let id = *self.known_nodes.entry((parent, function, line)).or_insert(next);
        if id == next {
            self.nodes.push(StackNode { id, parent, function, line });
        }
        id
    }
}

/// A code object that a thread has told of.
#[derive(Debug)]
struct Code {
    address: u64,
    /// None where it is not to be seen: the interpreter's own, or not to be read.
    shown: Option<(FunctionId, CodeInfo)>,
    lines: FxHashMap<i64, u32>,
}

/// The stack of a thread, as it is told.
#[derive(Debug, Default)]
pub(crate) struct ThreadStack {
    codes: FxHashMap<u32, Code>,
    /// For each frame, the outermost first, the node up to it; of a frame that is not shown, its caller's.
    nodes: Vec<NodeId>,
}

impl ThreadStack {
    /// The whole stack.
    pub(crate) fn node(&self) -> NodeId {
        self.nodes.last().copied().unwrap_or(0)
    }

    /// Takes note of a code object.
    pub(crate) fn learn(
        &mut self,
        stacks: &mut Stacks,
        located: &Located,
        number: u32,
        address: u64,
        memory: &CopiedMemory,
    ) {
        let info = read_code(memory, located, address).ok();
        let shown = info.filter(|info| !info.is_the_interpreters_own());
        let shown = shown.map(|info| (stacks.function_of(&info), info));
        self.codes.insert(number, Code { address, shown, lines: FxHashMap::default() });
    }

    /// Takes away frames at the end and adds new ones.
    pub(crate) fn change(&mut self, stacks: &mut Stacks, gone: usize, new: &[NewFrame]) {
        self.nodes.truncate(self.nodes.len().saturating_sub(gone));
        for frame in new {
            let parent = self.node();
            let node = match self.place(frame) {
                Some((function, line)) => stacks.node_of(parent, function, line),
                None => parent,
            };
            self.nodes.push(node);
        }
    }

    /// The function and line of a frame; none where it is not shown.
    pub(crate) fn place(&mut self, frame: &NewFrame) -> Option<(FunctionId, u32)> {
        let Some(Code { address, shown: Some((function, info)), lines }) = self.codes.get_mut(&frame.code)
        else {
            return None;
        };
        let line = lines
            .entry(frame.place)
            .or_insert_with(|| info.line_at(address.wrapping_add_signed(frame.place)));
        Some((*function, *line))
    }
}
