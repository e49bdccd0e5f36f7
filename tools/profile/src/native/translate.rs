//! Puts names in place of addresses before anything is written, in a thread of its own.
//!
//! One address may be several functions, where the compiler has inlined calls, and none, where it is glue of the
//! interpreter; so nodes of the tree of stacks get other numbers than the sampler gave them. What comes out is final.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use naja_native::naming::Namer;
use naja_native::symbols::NativeFrame;
use naja_recording::{Batch, Function, FunctionId, FunctionKind, NodeId, StackNode};
use naja_system::Failure;
use rustc_hash::{FxHashMap, FxHashSet};

use super::places::Seen;
use crate::sink::{Finished, Sink};
use crate::stacks::FunctionKey;

/// What an address turned out to be: functions and lines, outermost first.
pub(crate) type Chain = Vec<(Function, u32)>;

/// The longest that the end of a recording waits for names.
const NAMES_WAIT_MAX: Duration = Duration::from_secs(60);

enum Message {
    Batch(Box<Batch>, Vec<Seen>),
    Names(Sender<FxHashMap<FunctionKey, Chain>>),
    End,
}

/// Names what it is given and hands it on.
pub(crate) struct NativeSink {
    sender: Sender<Message>,
    thread: JoinHandle<Finished>,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl NativeSink {
    /// Hands on to `inner`, in a new thread. `seen` fills with what the sampler's functions stand for, before they are
    /// given.
    pub(crate) fn start(inner: Box<dyn Sink>, seen: Arc<Mutex<Vec<Seen>>>) -> NativeSink {
        let (sender, receiver) = channel();
        let thread = std::thread::spawn(move || Translator::new(inner).run(&receiver));
        NativeSink { sender, thread, seen }
    }

    /// A way to ask it for the names, once it is in a box.
    pub(crate) fn names(&self) -> Names {
        Names { sender: self.sender.clone() }
    }
}

impl Sink for NativeSink {
    fn give(&mut self, batch: Batch) {
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner));
        // The receiver lives as long as its thread, which ends only when it is told.
        let _ = self.sender.send(Message::Batch(Box::new(batch), seen));
    }

    fn finish(self: Box<Self>) -> Finished {
        let _ = self.sender.send(Message::End);
        self.thread.join().unwrap_or_else(|_| Finished {
            writer: None,
            failures: vec![Failure::new("recording-failed", "the thread that names native functions failed")],
        })
    }
}

/// Asks for names.
#[derive(Debug)]
pub(crate) struct Names {
    sender: Sender<Message>,
}

impl Names {
    /// What everything given until now turned out to be. Waits for that.
    pub(crate) fn get(&self) -> FxHashMap<FunctionKey, Chain> {
        let (answer, names) = channel();
        let _ = self.sender.send(Message::Names(answer));
        names.recv_timeout(NAMES_WAIT_MAX).unwrap_or_default()
    }
}

/// What a function of the sampler's is written as.
enum Written {
    /// A function, at whatever line.
    Function(FunctionId),
    /// What an address is, outermost first; and whether it is left out of a stack that has nothing below it.
    Chain { whole: Vec<(FunctionId, u32)>, outermost: Vec<(FunctionId, u32)> },
}

struct Translator {
    inner: Box<dyn Sink>,
    namer: Namer,
    /// What the sampler's functions and nodes are written as, in this generation.
    functions: FxHashMap<FunctionId, Written>,
    nodes: FxHashMap<NodeId, NodeId>,
    /// What was written, in this generation.
    function_ids: FxHashMap<FunctionKey, FunctionId>,
    node_ids: FxHashMap<(NodeId, FunctionId, u32), NodeId>,
    /// Functions that are called by their file's name, and their nodes.
    unnamed: FxHashSet<FunctionId>,
    unnamed_nodes: FxHashMap<NodeId, FunctionId>,
    generation: u32,
    functions_given: FunctionId,
    nodes_given: NodeId,
    names: FxHashMap<FunctionKey, Chain>,
}

impl Translator {
    fn new(inner: Box<dyn Sink>) -> Translator {
        Translator {
            inner,
            namer: Namer::default(),
            functions: FxHashMap::default(),
            nodes: FxHashMap::default(),
            function_ids: FxHashMap::default(),
            node_ids: FxHashMap::default(),
            unnamed: FxHashSet::default(),
            unnamed_nodes: FxHashMap::default(),
            generation: 0,
            functions_given: 0,
            nodes_given: 0,
            names: FxHashMap::default(),
        }
    }

    fn run(mut self, messages: &Receiver<Message>) -> Finished {
        for message in messages {
            match message {
                Message::Batch(batch, seen) => {
                    let batch = self.translate(*batch, seen);
                    self.inner.give(batch);
                }
                Message::Names(answer) => {
                    let _ = answer.send(std::mem::take(&mut self.names));
                }
                Message::End => break,
            }
        }
        self.inner.finish()
    }

    fn translate(&mut self, mut batch: Batch, seen: Vec<Seen>) -> Batch {
        if batch.generation != self.generation {
            self.generation = batch.generation;
            self.functions.clear();
            self.nodes.clear();
            self.function_ids.clear();
            self.node_ids.clear();
            self.unnamed.clear();
            self.unnamed_nodes.clear();
        }
        let seen: FxHashMap<FunctionId, Seen> = seen.into_iter().map(|seen| (seen.function, seen)).collect();
        let mut functions = Vec::new();
        for function in std::mem::take(&mut batch.functions) {
            let id = function.id;
            let written = match seen.get(&id) {
                Some(seen) => self.chain(seen, &mut functions),
                None => Written::Function(self.function(function, &mut functions)),
            };
            self.functions.insert(id, written);
        }
        batch.functions = functions;
        let mut nodes = Vec::new();
        for node in std::mem::take(&mut batch.nodes) {
            let written = self.node(node, &mut nodes);
            self.nodes.insert(node.id, written);
        }
        batch.nodes = nodes;
        for run in batch.runs.iter_mut().flat_map(|runs| &mut runs.runs) {
            run.node = self.nodes.get(&run.node).copied().unwrap_or(0);
        }
        batch
    }

    /// The number of a function as it is written.
    fn function(&mut self, function: Function, new: &mut Vec<Function>) -> FunctionId {
        let key = (function.file.clone(), function.qualified_name.clone(), function.first_line);
        *self.function_ids.entry(key).or_insert_with(|| {
            self.functions_given += 1;
            new.push(Function { id: self.functions_given, ..function });
            self.functions_given
        })
    }

    fn chain(&mut self, seen: &Seen, new: &mut Vec<Function>) -> Written {
        let chains = self.namer.chains(&seen.place);
        let [whole, outermost] = chains.map(|chain| chain.iter().map(described).collect::<Chain>());
        let mut written = |chain: &Chain| {
            let number = |(function, line): &(Function, u32)| {
                let id = self.function(function.clone(), new);
                if is_unnamed(function) {
                    self.unnamed.insert(id);
                }
                (id, *line)
            };
            chain.iter().map(number).collect::<Vec<_>>()
        };
        let written = Written::Chain { whole: written(&whole), outermost: written(&outermost) };
        self.names.insert(seen.key.clone(), if outermost.is_empty() { outermost } else { whole });
        written
    }

    fn node(&mut self, node: StackNode, new: &mut Vec<StackNode>) -> NodeId {
        let mut parent = self.nodes.get(&node.parent).copied().unwrap_or(0);
        let only;
        let chain = match self.functions.get(&node.function) {
            Some(Written::Function(function)) => {
                only = [(*function, node.line)];
                &only[..]
            }
            Some(Written::Chain { outermost, .. }) if parent == 0 => outermost,
            Some(Written::Chain { whole, .. }) => whole,
            None => &[],
        };
        for &(function, line) in chain {
            // Of what has no name, a file's functions in a row are one.
            if self.unnamed.contains(&function) && self.unnamed_nodes.get(&parent) == Some(&function) {
                continue;
            }
            let nodes_given = &mut self.nodes_given;
            parent = *self.node_ids.entry((parent, function, line)).or_insert_with(|| {
                *nodes_given += 1;
                new.push(StackNode { id: *nodes_given, parent, function, line });
                *nodes_given
            });
            if self.unnamed.contains(&function) {
                self.unnamed_nodes.insert(parent, function);
            }
        }
        parent
    }
}

/// Whether a function is called by its file's name.
pub(crate) fn is_unnamed(function: &Function) -> bool {
    function.kind == FunctionKind::Native && function.name.starts_with('<')
}

/// A function as it is written.
pub(crate) fn described(frame: &NativeFrame) -> (Function, u32) {
    let function = Function {
        id: 0,
        name: frame.function.clone(),
        qualified_name: frame.function.clone(),
        file: frame.file.clone(),
        first_line: 0,
        kind: FunctionKind::Native,
    };
    (function, frame.line)
}
