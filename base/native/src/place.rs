//! Where code was seen: in a file, whatever process maps it where, or in memory that a process has made into code.

use std::sync::Arc;

use crate::modules::{Module, ModuleFile};

/// Where code was seen.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a file, at one of the file's own addresses.
    File {
        /// The file.
        file: Arc<ModuleFile>,
        /// The address.
        address: u64,
        /// Whether the file is that of the interpreter.
        is_interpreter: bool,
    },
    /// In memory that belongs to no file: code that the process made itself.
    Made {
        /// The process.
        pid: u32,
        /// The address.
        address: u64,
    },
}

impl Place {
    /// The path of its file, where it has one.
    pub fn file_path(&self) -> Option<&str> {
        match self {
            Place::File { file, .. } => Some(file.path()),
            Place::Made { .. } => None,
        }
    }

    /// Where an address of a process lies.
    pub fn of(
        pid: u32,
        address: u64,
        module: Option<&Module>,
        interpreter: Option<&Arc<ModuleFile>>,
    ) -> Place {
        match module {
            Some(module) => Place::File {
                file: module.file.clone(),
                address: address.wrapping_sub(module.bias),
                is_interpreter: interpreter.is_some_and(|file| Arc::ptr_eq(file, &module.file)),
            },
            None => Place::Made { pid, address },
        }
    }
}
