//! Memory that lies, for fuzz targets and tests: whatever is read, at whatever address, comes from a few
//! bytes of input. Not part of the interface.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use crate::asyncio::{CHAIN_MAX, TASKS_MAX, TaskReader, TaskThread};
use crate::code::{CodeInfo, decode_and_check, read_code};
use crate::core_file::CoreFile;
use crate::heap::{self, Pool};
use crate::locate::Locator;
use crate::locate::{FoundBy, Located, Variables};
use crate::memory::{Memory, MemoryError, Range};
use crate::native::{find_libc_tid, os_thread_id};
use crate::objects::{read_string, thread_names};
use crate::offsets::tables;
#[cfg(test)]
use crate::offsets::{Offsets, Version};
use crate::reader::{Outcome, StackReader, Thread};
use crate::values::{Describer, Limits};

/// More reads than this are taken for an endless loop.
const READS_MAX: u64 = 2_000_000;

/// Every address leads into the input, so pointers form rings and structures overlap; some pages are not
/// there, and what has been read once may read differently the next time.
#[derive(Debug)]
pub struct FuzzMemory<'a> {
    bytes: &'a [u8],
    reads: Cell<u64>,
}

impl<'a> FuzzMemory<'a> {
    /// The first byte of the input decides how the memory behaves, the rest is what it holds.
    pub fn new(input: &'a [u8]) -> Self {
        FuzzMemory { bytes: input, reads: Cell::new(0) }
    }

    fn count(&self) {
        let reads = self.reads.get() + 1;
        self.reads.set(reads);
        assert!(reads < READS_MAX, "an endless loop");
    }

    /// Copies from where the address leads to, round and round.
    fn copy(&self, address: u64, buffer: &mut [u8]) {
        let Some((behaviour, bytes)) = self.bytes.split_first().filter(|(_, bytes)| !bytes.is_empty()) else {
            return buffer.fill(0);
        };
        // With the lowest bit, memory changes every now and then.
        let turn = if behaviour & 1 == 0 { 0 } else { self.reads.get() / 7 };
        let start = (address.wrapping_add(turn) % bytes.len() as u64) as usize;
        let (mut done, len) = (0, buffer.len());
        for part in [&bytes[start..], &bytes[..start]] {
            let count = part.len().min(len - done);
            buffer[done..done + count].copy_from_slice(&part[..count]);
            done += count;
        }
        // One round is there; the others repeat what is there already, twice as much each time.
        while done < len {
            let count = done.min(len - done);
            buffer.copy_within(..count, done);
            done += count;
        }
    }

    fn is_there(&self, range: Range) -> bool {
        let behaviour = self.bytes.first().copied().unwrap_or(0);
        let last = range.address.checked_add(range.len as u64);
        let Some(last) = last else { return false };
        let hole = |address: u64| {
            let page = address >> 12;
            page == 0 || (behaviour & 2 != 0 && page.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61 == 0)
        };
        !hole(range.address) && !hole(last)
    }
}

impl Memory for FuzzMemory<'_> {
    fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), MemoryError> {
        self.count();
        if !self.is_there(Range { address, len: buffer.len() }) {
            return Err(MemoryError::Unmapped);
        }
        self.copy(address, buffer);
        Ok(())
    }

    fn read_many(&self, ranges: &[Range], buffer: &mut [u8]) -> Result<usize, MemoryError> {
        let mut good = 0;
        for range in ranges {
            let part = buffer.get_mut(good..good + range.len).ok_or(MemoryError::Os(libc::EINVAL))?;
            match self.read(range.address, part) {
                Ok(()) => good += range.len,
                Err(_) => break,
            }
        }
        Ok(good)
    }

    fn section(&self, _: &dyn Fn(&str) -> bool, _: &str) -> Option<u64> {
        let behaviour = self.bytes.first().copied().unwrap_or(0);
        (behaviour & 4 != 0).then_some(0x60_0000)
    }
}

/// An interpreter whose version, address and offsets the first byte of the input chooses; and the rest.
pub fn located(input: &[u8]) -> (Located, &[u8]) {
    let (choice, rest) = input.split_first().unwrap_or((&0, &[]));
    let tables = tables();
    let (version, free_threaded, mut offsets) = tables[usize::from(*choice) % tables.len()].clone();
    if *choice & 0x80 != 0 {
        offsets.thread.libc_tid = 720;
    }
    let binary = PathBuf::from("python");
    let found_by = FoundBy::Scan;
    (Located { version, runtime: 0x10_0000, offsets, free_threaded, binary, found_by }, rest)
}

/// An interpreter of a minor version, with its table's offsets.
#[cfg(test)]
pub(crate) fn located_as(minor: u8, free_threaded: bool) -> Located {
    let is_it = |(version, ft, _): &(Version, bool, Offsets)| version.minor == minor && *ft == free_threaded;
    let (version, free_threaded, offsets) = tables().into_iter().find(is_it).expect("there is a table");
    let (binary, found_by) = (PathBuf::from("python"), FoundBy::Scan);
    Located { version, runtime: 0x10_0000, offsets, free_threaded, binary, found_by }
}

/// Decodes the input as a line table.
pub fn lines(input: &[u8]) {
    let (located, table) = located(input);
    decode_and_check(located.version, table, 1);
}

/// Reads a code object and asks it everything.
pub fn code(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    if let Ok(code) = read_code(&memory, &located, 0x20_0000) {
        let places = [0, 1, 2, 7, u64::MAX, u64::MAX - 1, u64::from(u32::MAX), 1 << 63];
        for raw in places.into_iter().chain(places.map(|place| code.instructions.wrapping_add(place))) {
            ask_code(&code, raw);
        }
    }
}

/// Reads a string.
pub fn strings(input: &[u8]) {
    let (located, bytes) = located(input);
    let _ = read_string(&FuzzMemory::new(bytes), &located, 0x20_0000);
}

/// Reads thread names and numbers.
pub fn names(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    thread_names(&memory, &located, 0x20_0000);
    os_thread_id(&memory, &located, 0x20_0000);
    let _ = find_libc_tid(&memory, &located, 1234);
}

/// Reads tasks a few times, and the chain of each that runs.
///
/// # Panics
/// When there are more than there may be: a fuzzer is to find that.
pub fn tasks(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    let Some(mut reader) = TaskReader::new(&located) else { return };
    let threads = [0x20_0000, 0x20_0040, 0x30_0008].map(|state| TaskThread { state, interpreter: 0x40_0000 });
    for round in 0..3 {
        let tasks = reader.all(&memory, &threads[..=round]);
        assert!(tasks.tasks.len() <= TASKS_MAX && tasks.loops.len() <= threads.len(), "within the limits");
        for running in reader.running(&memory, &threads) {
            assert!(reader.chain(&memory, running.task).len() <= CHAIN_MAX, "within the limits");
        }
        reader.chain(&memory, 0x50_0000 + round as u64);
    }
}

/// Reads the arenas of pymalloc, with and without names of variables.
///
/// # Panics
/// When a pool holds more than it can: a fuzzer is to find that.
pub fn heap(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    let symbols = [0x20_0000, 0x20_0200, 0x20_0208, 0x20_0210, 0x20_0218].map(Some).to_vec();
    let ranges = vec![Range { address: 0x30_0000, len: 5000 }];
    for symbols in [symbols, vec![None; 5]] {
        let Ok(heap) = heap::read(&memory, &located, &Variables { symbols, ranges: ranges.clone() }) else {
            continue;
        };
        for state in heap.states {
            let pools: Vec<u64> =
                state.arenas.iter().flat_map(|arena| arena.used_pools(&state.layout)).take(50).collect();
            let kinds = heap::kinds_of(&memory, &located, &state.layout, &pools);
            assert!(kinds.pools <= pools.len(), "no more than there are");
            for pool in state.arenas.iter().flat_map(|arena| &arena.pools) {
                let Pool::Used { class, blocks } = pool else { continue };
                assert!(u64::from(*blocks) <= state.layout.blocks_per_pool(*class), "no more than there are");
            }
        }
    }
}

/// Describes objects and the local variables of a frame.
pub fn values(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    let limits = Limits { depth: 4, items: 8, characters: 64, objects: 200 };
    let describer = Describer::new(&memory, &located, limits);
    for address in [0x20_0000, 0x20_0010, 0x20_0007] {
        let _ = describer.value(address).to_string();
        describer.class_name(address);
        let _ = describer.locals(address, 0x20_0040);
    }
}

/// Opens a core file, looks for an interpreter in it and reads what a person would ask of it: stacks with lines, names
/// of threads, tasks, local variables.
pub fn core_file(input: &[u8]) {
    let Ok(core) = CoreFile::of_bytes(input) else { return };
    let _ = (core.is_cut_off(), core.command().len(), core.program());
    // The files that it names are not the fuzzer's to read. Of those below this folder there are none.
    let is_harmless = |path: &Path| !path.is_absolute() || path.starts_with("/nowhere");
    if !core.mappings().iter().all(|mapping| is_harmless(&mapping.path)) {
        return;
    }
    let mut bytes = [0; 100];
    for mapping in core.mappings().iter().take(16) {
        let _ = core.read(mapping.start, &mut bytes);
        let _ = core.read(mapping.end.wrapping_sub(7), &mut bytes);
    }
    core.section(&|name| name.contains("asyncio"), ".AsyncioDebug");
    if let Ok(located) = Locator::default().locate_in_core(&core) {
        ask_everything(&core, &located);
    }
}

/// Asks a process that stands still for all that there is to tell of its threads.
fn ask_everything(memory: &dyn Memory, located: &Located) {
    let mut reader = StackReader::new(located.into());
    reader.keep_addresses();
    // Where the stacks lie is learnt over a few samples.
    for _ in 0..3 {
        let _ = reader.sample(memory, &mut |thread| thread.outcome == Outcome::Valid && thread.tries > 0);
    }
    for interpreter in reader.interpreters().iter().take(4) {
        thread_names(memory, located, interpreter.address);
    }
    let limits = Limits { depth: 4, items: 8, characters: 64, objects: 200 };
    let describer = Describer::new(memory, located, limits);
    for thread in reader.threads().iter().take(4) {
        os_thread_id(memory, located, thread.state);
        assert_eq!(thread.addresses.len(), thread.frames.len(), "a place for each frame");
        for (frame, address) in thread.frames.iter().zip(&thread.addresses).rev().take(16) {
            if let Ok(code) = read_code(memory, located, frame.code) {
                ask_code(&code, frame.instruction);
            }
            let _ = describer.locals(*address, frame.code);
        }
    }
    let Some(mut tasks) = TaskReader::new(located) else { return };
    let thread = |thread: &Thread| TaskThread {
        state: thread.state,
        interpreter: reader.interpreters()[thread.interpreter].address,
    };
    let threads: Vec<TaskThread> = reader.threads().iter().take(4).map(thread).collect();
    assert!(tasks.all(memory, &threads).tasks.len() <= TASKS_MAX, "within the limits");
    for running in tasks.running(memory, &threads) {
        assert!(tasks.chain(memory, running.task).len() <= CHAIN_MAX, "within the limits");
    }
}

fn ask_code(code: &CodeInfo, raw: u64) {
    code.line_at(raw);
    code.is_native_call_at(raw);
    code.is_await_at(raw);
    assert!(code.opcode_address(raw).is_none_or(|address| address == raw));
}

/// Samples a process a few times, as a program would that starts, runs and ends a thread.
///
/// # Panics
/// When a stack is not what a sample promises: a fuzzer is to find that.
pub fn stacks(input: &[u8]) {
    let (located, bytes) = located(input);
    let memory = FuzzMemory::new(bytes);
    let mut reader = StackReader::new((&located).into());
    for round in 0..4 {
        let skipped = bytes.get(round).copied().unwrap_or(0);
        let sampled = reader.sample(&memory, &mut |thread| thread.state & 0xff == u64::from(skipped));
        for thread in reader.threads() {
            assert!(thread.interpreter < reader.interpreters().len() || sampled.is_err(), "an interpreter");
            assert!(thread.unchanged <= thread.frames.len(), "no more than all frames are as they were");
            assert!(thread.outcome != Outcome::Valid || thread.tries > 0, "a stack that was read");
        }
        if round == 2 {
            reader.forget_threads();
        }
    }
}
