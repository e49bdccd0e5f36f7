//! Native stacks: addresses as they are told, and the stacks that they and Python's frames make together.
//!
//! Both come as differences from the last; under numbers, so that a stack that was seen is a look into a table. What an
//! address is, is found out once, in naja's own process. Start at [`NativeProcess::node`].

use std::sync::Arc;

use naja_native::loops::{Loops, find_interpreter};
use naja_native::merge::{Kind, Merged, merge};
use naja_native::modules::{ModuleFile, ModuleFiles};
use naja_native::naming::Namer;
use naja_native::place::Place;
use naja_native::unwind::{End, Unwinder};
use naja_recording::{FunctionId, NodeId};
use rustc_hash::FxHashMap;

use crate::stacks::Stacks;

/// What all processes share.
#[derive(Debug, Default)]
pub(crate) struct NativeShared {
    files: ModuleFiles,
    namer: Namer,
    /// Where the loop lies in files of interpreters, by the file's record, which is kept alive with it.
    loops: FxHashMap<usize, (Arc<ModuleFile>, Arc<Loops>)>,
    /// The functions of an address, by the file's record and its own address: as they are shown above others, and at the
    /// bottom of a stack.
    chains: FxHashMap<(usize, u64), [Arc<[Step]>; 2]>,
}

/// A function and its line; and whether it is one of those of a file that have no names.
#[derive(Clone, Copy, Debug)]
struct Step {
    function: FunctionId,
    line: u32,
    is_unnamed: bool,
}

/// Steps of stacks under numbers: 0 is the empty one.
#[derive(Debug)]
struct Trie<T> {
    steps: Vec<(u32, T)>,
    known: FxHashMap<(u32, T), u32>,
}

impl<T> Default for Trie<T> {
    fn default() -> Trie<T> {
        Trie { steps: Vec::new(), known: FxHashMap::default() }
    }
}

impl<T: Copy + Eq + std::hash::Hash> Trie<T> {
    fn child(&mut self, parent: u32, step: T) -> u32 {
        let next = self.steps.len() as u32 + 1;
        let number = *self.known.entry((parent, step)).or_insert(next);
        if number == next {
            self.steps.push((parent, step));
        }
        number
    }

    /// The steps of a stack, the innermost first.
    fn path(&self, number: u32) -> Vec<T> {
        let mut path = Vec::new();
        let mut at = number;
        while let Some((parent, step)) = (at as usize).checked_sub(1).and_then(|index| self.steps.get(index))
        {
            path.push(*step);
            at = *parent;
        }
        path
    }
}

/// A Python frame: its function and line, none where it is not shown; and whether the loop was entered for it.
type PythonStep = (Option<(FunctionId, u32)>, bool);

/// The native stacks of a process.
#[derive(Debug)]
pub(crate) struct NativeProcess {
    pid: u32,
    /// For what is mapped where.
    unwinder: Option<Unwinder>,
    interpreter: Option<(Arc<ModuleFile>, Arc<Loops>, u64)>,
    python: Trie<PythonStep>,
    native: Trie<u64>,
    merged: FxHashMap<(u32, u32), NodeId>,
}

/// Where a thread stands: the numbers up to each frame and each return address, the outermost first.
#[derive(Debug, Default)]
pub(crate) struct NativePosition {
    python: Vec<u32>,
    native: Vec<u32>,
    /// The stack of both, as long as it is not known to have changed.
    node: Option<NodeId>,
    /// The last frame was one of the interpreter's own records.
    after_record: Vec<bool>,
}

impl NativeProcess {
    /// Of a process that lives.
    pub(crate) fn new(pid: u32, shared: &mut NativeShared) -> NativeProcess {
        let mut process = NativeProcess {
            pid,
            unwinder: Unwinder::new(pid, &mut shared.files).ok(),
            interpreter: None,
            python: Trie::default(),
            native: Trie::default(),
            merged: FxHashMap::default(),
        };
        process.find_interpreter(shared);
        process
    }

    fn find_interpreter(&mut self, shared: &mut NativeShared) {
        let modules = self.unwinder.as_ref().map(|unwinder| unwinder.modules().list()).unwrap_or_default();
        let loops = &mut shared.loops;
        self.interpreter = find_interpreter(modules, &mut |file| {
            let known = loops.entry(Arc::as_ptr(file) as usize);
            known.or_insert_with(|| (file.clone(), Arc::new(Loops::of(file)))).1.clone()
        });
    }

    /// Looks again at what is mapped, where an address lies in nothing that is known.
    fn know(&mut self, addresses: &[u64], shared: &mut NativeShared) {
        let Some(unwinder) = &mut self.unwinder else { return };
        let is_known = |unwinder: &Unwinder, address: &u64| unwinder.modules().find(*address).is_some();
        if !addresses.iter().all(|address| is_known(unwinder, address)) {
            unwinder.expect_unknown();
            if unwinder.refresh_where_due(&mut shared.files) {
                self.find_interpreter(shared);
            }
        }
    }

    /// Takes away return addresses at the end and adds new ones.
    pub(crate) fn change(
        &mut self,
        position: &mut NativePosition,
        gone: usize,
        new: &[u64],
        shared: &mut NativeShared,
    ) {
        // A return address may belong to what follows the call.
        let new: Vec<u64> = new.iter().map(|address| address.wrapping_sub(1)).collect();
        self.know(&new, shared);
        position.node = None;
        position.native.truncate(position.native.len().saturating_sub(gone));
        for address in new {
            let parent = position.native.last().copied().unwrap_or(0);
            position.native.push(self.native.child(parent, address));
        }
    }

    /// The same of Python's frames. A step that is none is one of the interpreter's own records, which tells that the loop was
    /// entered for the next.
    pub(crate) fn change_python(
        &mut self,
        position: &mut NativePosition,
        gone: usize,
        new: &[Option<PythonStep>],
    ) {
        position.node = None;
        position.python.truncate(position.python.len().saturating_sub(gone));
        position.after_record.truncate(position.python.len());
        for step in new {
            let parent = position.python.last().copied().unwrap_or(0);
            let after_record = position.after_record.last().copied().unwrap_or(false);
            let number = match step {
                Some((shown, entered)) => self.python.child(parent, (*shown, *entered || after_record)),
                None => parent,
            };
            position.python.push(number);
            position.after_record.push(step.is_none());
        }
    }

    /// The stack of both.
    ///
    /// Cost: a look into a table for one that was seen; some µs otherwise, and some ms for an address that is new.
    pub(crate) fn node(
        &mut self,
        position: &mut NativePosition,
        stacks: &mut Stacks,
        shared: &mut NativeShared,
    ) -> NodeId {
        if let Some(node) = position.node {
            return node;
        }
        let last = |numbers: &[u32]| numbers.last().copied().unwrap_or(0);
        let key = (last(&position.python), last(&position.native));
        let node = match self.merged.get(&key) {
            Some(node) => *node,
            None => {
                let node = self.merge(key, stacks, shared);
                self.merged.insert(key, node);
                node
            }
        };
        position.node = Some(node);
        node
    }

    fn merge(&mut self, key: (u32, u32), stacks: &mut Stacks, shared: &mut NativeShared) -> NodeId {
        let mut python = self.python.path(key.0);
        python.reverse();
        let native = self.native.path(key.1);
        let entered: Vec<bool> = python.iter().map(|(_, entered)| *entered).collect();
        let kind = |address: u64| match &self.interpreter {
            Some((_, loops, bias)) => loops.kind(address.wrapping_sub(*bias)),
            None => Kind::Other,
        };
        let mut merged = Vec::new();
        merge(&native, End::Root, &kind, &entered, &mut merged);
        let mut node = 0;
        let mut last_unnamed = None;
        for step in merged {
            match step {
                Merged::Python(place) => {
                    if let Some((Some((function, line)), _)) = python.get(place) {
                        node = stacks.node_of(node, *function, *line);
                        last_unnamed = None;
                    }
                }
                Merged::Native(address) => {
                    for step in self.chain(address, node == 0, stacks, shared).iter() {
                        // Of what has no name, a file's functions in a row are one.
                        if step.is_unnamed && last_unnamed == Some(step.function) {
                            continue;
                        }
                        last_unnamed = step.is_unnamed.then_some(step.function);
                        node = stacks.node_of(node, step.function, step.line);
                    }
                }
            }
        }
        node
    }

    fn chain(
        &self,
        address: u64,
        is_outermost: bool,
        stacks: &mut Stacks,
        shared: &mut NativeShared,
    ) -> Arc<[Step]> {
        let module = self.unwinder.as_ref().and_then(|unwinder| unwinder.modules().find(address));
        let key = match module {
            Some(module) => (Arc::as_ptr(&module.file) as usize, address.wrapping_sub(module.bias)),
            None => (self.pid as usize, address),
        };
        let NativeShared { namer, chains, .. } = shared;
        let both = chains.entry(key).or_insert_with(|| {
            let interpreter = self.interpreter.as_ref().map(|(file, _, _)| file);
            let place = Place::of(self.pid, address, module, interpreter);
            namer.chains(&place).map(|chain| {
                let step = |frame: &naja_native::symbols::NativeFrame| Step {
                    function: stacks.native_function(&frame.function, &frame.file),
                    line: frame.line,
                    is_unnamed: frame.function.starts_with('<'),
                };
                chain.iter().map(step).collect()
            })
        });
        let [whole, outermost] = both;
        if is_outermost { outermost.clone() } else { whole.clone() }
    }
}
