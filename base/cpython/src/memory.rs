//! One trait for memory, whoever it belongs to: another process, our own, later a core file.

use std::fmt;

/// A stretch of the target's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// First address.
    pub address: u64,
    /// Length in bytes.
    pub len: usize,
}

/// Why memory could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryError {
    /// Nothing is mapped there (any more).
    Unmapped,
    /// The system forbids reading this process.
    Forbidden,
    /// The process is gone.
    Gone,
    /// Another error number.
    Os(i32),
}

impl fmt::Display for MemoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MemoryError::Unmapped => write!(f, "nothing is mapped at that address"),
            MemoryError::Forbidden => write!(f, "the system forbids reading this process's memory"),
            MemoryError::Gone => write!(f, "the process is gone"),
            MemoryError::Os(number) => write!(f, "{}", std::io::Error::from_raw_os_error(*number)),
        }
    }
}

impl std::error::Error for MemoryError {}

/// Memory that can be read by address.
pub trait Memory {
    /// Fills `buffer` from `address` on, or fails without a partial answer.
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError>;

    /// Copies all `ranges`, one after the other, into `buffer` in as few system calls as possible, so that
    /// what is copied belongs to one moment as closely as the system allows.
    ///
    /// Returns how many bytes from the start are good: the copy ends at the first range that cannot be read.
    /// `buffer` must be as long as all ranges together.
    fn read_many(&self, ranges: &[Range], buffer: &mut [u8]) -> Result<usize, MemoryError>;

    /// A pointer-sized word.
    fn read_u64(&self, address: u64) -> Result<u64, MemoryError> {
        let mut word = [0; 8];
        self.read(address, &mut word)?;
        Ok(u64::from_le_bytes(word))
    }
}
