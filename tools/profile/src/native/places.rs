//! The functions that the sampler has seen as addresses, and what they are in truth.
//!
//! The sampler has no time to look for names: it takes every address for a function of its own, in [`Places`]. What
//! these are is found out by [`super::translate`], in another thread.

use std::sync::{Arc, Mutex, PoisonError};

use naja_native::modules::{Module, ModuleFile};
use naja_native::place::Place;
use naja_recording::{Function, FunctionId, FunctionKind};
use rustc_hash::FxHashMap;

use crate::stacks::{FunctionKey, Stacks};

/// A function that stands for an address.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) function: FunctionId,
    /// What identifies it in the tree of stacks.
    pub(crate) key: FunctionKey,
    pub(crate) place: Place,
}

/// Addresses as functions of a tree of stacks.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// By the file's record (0 for none), process (0 where it is a file) and address.
    known: FxHashMap<(usize, u32, u64), FunctionId>,
    /// New ones, for the thread that finds out what they are.
    new: Arc<Mutex<Vec<Seen>>>,
    generation: u32,
}

impl Places {
    /// The function that stands for an address of a process.
    pub(crate) fn function(
        &mut self,
        stacks: &mut Stacks,
        pid: u32,
        address: u64,
        module: Option<&Module>,
        interpreter: Option<&Arc<ModuleFile>>,
    ) -> FunctionId {
        if self.generation != stacks.generation() {
            self.generation = stacks.generation();
            self.known.clear();
        }
        let key = match module {
            Some(module) => (Arc::as_ptr(&module.file) as usize, 0, address.wrapping_sub(module.bias)),
            None => (0, pid, address),
        };
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let place = Place::of(pid, address, module, interpreter);
        // Two files of one path, of which one has replaced the other, must not be taken for one.
        let name = format!("{:#x}+{:#x}", key.0 | key.1 as usize, key.2);
        let file = module.map(|module| module.file.path().to_owned()).unwrap_or_default();
        let identity = (file.clone(), name.clone(), 0);
        let function = stacks.function_like(Function {
            id: 0,
            name: name.clone(),
            qualified_name: name,
            file,
            first_line: 0,
            kind: FunctionKind::Native,
        });
        self.known.insert(key, function);
        let mut new = self.new.lock().unwrap_or_else(PoisonError::into_inner);
        new.push(Seen { function, key: identity, place });
        function
    }

    /// Where those wait that are new.
    pub(crate) fn new_ones(&self) -> Arc<Mutex<Vec<Seen>>> {
        Arc::clone(&self.new)
    }
}
