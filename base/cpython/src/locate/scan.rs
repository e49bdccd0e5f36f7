//! Finds `_PyRuntime` where nothing names it: a program that holds a stripped interpreter.
//!
//! From 3.13 on the structure begins with a cookie. Before, its `interpreters.head` and the word after it,
//! `interpreters.main`, point to interpreters, and an interpreter's first thread points back to it. What
//! satisfies that all the way round is it: chance does not build such a ring.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;

use memchr::memmem;

use super::maps::{Image, Mapping};
use crate::memory::{Memory, Range};
use crate::offsets::{COOKIE, Offsets, Version};

/// Variables of one image beyond this are not scanned, nor are constants of a file that is named like a Python.
const SCANNED_BYTES_MAX: u64 = 64 << 20;
/// Constants of other programs beyond this are not scanned: most are no Python, and a sampler waits meanwhile.
const OTHER_BYTES_MAX: u64 = 16 << 20;
const PART: usize = 1 << 20;
/// More pairs of pointers, or more texts of versions, than this are no interpreter's: what is left is not looked at.
const PAIRS_MAX: usize = 1 << 20;
const VERSIONS_MAX: usize = 256;
/// A part reaches this far into the next one, so that nothing sought is cut in two.
const OVERLAP: usize = 32;
/// Candidates read in one call.
const BATCH: usize = 512;

/// The address of the cookie in the image's variables.
pub(super) fn by_cookie(memory: &dyn Memory, image: &Image<'_>) -> Option<u64> {
    let mut found = None;
    each_part(&in_memory(memory), SCANNED_BYTES_MAX, image.writable(), &mut |address, bytes| {
        let place = bytes.chunks_exact(8).position(|word| word == COOKIE);
        found = place.map(|index| address + 8 * index as u64);
        found.is_none()
    });
    found
}

/// The address of a `_PyRuntime` with this layout in the image's variables.
pub(super) fn by_pointers(
    memory: &dyn Memory,
    image: &Image<'_>,
    mappings: &[Mapping],
    offsets: &Offsets,
) -> Option<u64> {
    // Neighbouring words that both look like pointers to something writable: head and main.
    let plausible = |word: u64| word.is_multiple_of(8) && is_writable(mappings, word);
    let mut pairs: Vec<(u64, u64, u64)> = Vec::new();
    each_part(&in_memory(memory), SCANNED_BYTES_MAX, image.writable(), &mut |address, bytes| {
        let words: Vec<u64> =
            bytes.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_le_bytes).collect();
        for (i, pair) in words.windows(2).enumerate() {
            if plausible(pair[0]) && plausible(pair[1]) {
                pairs.push((address + 8 * i as u64, pair[0], pair[1]));
            }
        }
        pairs.len() < PAIRS_MAX
    });
    let mut candidates: Vec<u64> = pairs.iter().flat_map(|(_, head, main)| [*head, *main]).collect();
    candidates.sort_unstable();
    candidates.dedup();
    let threads = follow(memory, &candidates, offsets.interpreter.threads_head);
    let states: Vec<u64> = threads.values().copied().filter(|state| plausible(*state)).collect();
    let back = follow(memory, &states, offsets.thread.interpreter);
    let is_interpreter = |address: &u64| {
        threads.get(address).and_then(|state| back.get(state)).is_some_and(|owner| owner == address)
    };
    pairs
        .iter()
        .find(|(_, head, main)| is_interpreter(head) && is_interpreter(main))
        .and_then(|(address, ..)| address.checked_sub(u64::from(offsets.runtime.interpreters_head)))
}

/// The word at `offset` behind each address, for those that can be read.
fn follow(memory: &dyn Memory, addresses: &[u64], offset: u32) -> HashMap<u64, u64> {
    let mut words = HashMap::new();
    let mut buffer = vec![0; BATCH * 8];
    let mut rest = addresses;
    while !rest.is_empty() {
        let batch = &rest[..rest.len().min(BATCH)];
        let range = |address: &u64| Range { address: address.wrapping_add(u64::from(offset)), len: 8 };
        let ranges: Vec<Range> = batch.iter().map(range).collect();
        let Ok(good) = memory.read_many(&ranges, &mut buffer[..batch.len() * 8]) else { return words };
        let good = good / 8;
        for (address, word) in batch.iter().zip(buffer.chunks_exact(8)).take(good) {
            words.insert(*address, u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        // The one that could not be read is left out.
        rest = &rest[(good + usize::from(good < batch.len())).min(rest.len())..];
    }
    words
}

fn is_writable(mappings: &[Mapping], address: u64) -> bool {
    let after = mappings.partition_point(|mapping| mapping.start <= address);
    after > 0 && mappings[after - 1].contains(address) && mappings[after - 1].writable
}

/// The versions that the image's constants can mean: texts such as `3.11.2`, in order of address.
///
/// Empty unless the constants are those of a Python at all. They are read from the file where it can be
/// opened: reading them from memory would load them into the process, which may never have touched them.
pub(super) fn versions(
    memory: &dyn Memory,
    image: &Image<'_>,
    file: Option<&File>,
    named: bool,
) -> Vec<Version> {
    let in_memory = in_memory(memory);
    let in_file = |mapping: &Mapping, address: u64, bytes: &mut [u8]| {
        let place = mapping.offset.checked_add(address - mapping.start);
        file.zip(place).is_some_and(|(file, place)| file.read_exact_at(bytes, place).is_ok())
    };
    let read = |mapping: &Mapping, address: u64, bytes: &mut [u8]| {
        in_file(mapping, address, bytes) || in_memory(mapping, address, bytes)
    };
    let constant = |mapping: &&Mapping| mapping.readable && !mapping.writable;
    let apart = image.mappings.iter().any(|mapping| constant(mapping) && !mapping.executable);
    // Most linkers keep constants apart from code; where they do not, both have to be looked through.
    let constants = || {
        image.mappings.iter().copied().filter(|mapping| constant(mapping) && !(apart && mapping.executable))
    };
    let budget = if named { SCANNED_BYTES_MAX } else { OTHER_BYTES_MAX };
    let mut is_python = false;
    each_part(&read, budget, constants(), &mut |_, bytes| {
        is_python = memmem::find(bytes, b"Fatal Python error: ").is_some();
        !is_python
    });
    let mut found: Vec<Version> = Vec::new();
    if !is_python {
        return found;
    }
    each_part(&read, budget, constants(), &mut |_, bytes| {
        for place in memmem::find_iter(bytes, b"3.") {
            let before = place.checked_sub(1).map_or(0, |i| bytes[i]);
            if before.is_ascii_digit() || before == b'.' {
                continue;
            }
            if let Some(version) = version_text(&bytes[place..])
                && !found.contains(&version)
            {
                found.push(version);
            }
            if found.len() >= VERSIONS_MAX {
                return false;
            }
        }
        true
    });
    found
}

/// `3.11.2`, ended by a zero, `+` or the letters of a pre-release.
fn version_text(bytes: &[u8]) -> Option<Version> {
    let text = bytes.get(..bytes.len().min(12))?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.')?;
    if !matches!(text[end], 0 | b'+' | b'a' | b'b' | b'r') {
        return None;
    }
    let mut parts = std::str::from_utf8(&text[..end]).ok()?.split('.');
    let mut number = || parts.next()?.parse::<u8>().ok();
    let version = Version { major: number()?, minor: number()?, patch: number()? };
    (parts.next().is_none()).then_some(version)
}

/// Fills the bytes with what lies at an address of a mapping; whether it could.
type Read<'a> = dyn Fn(&Mapping, u64, &mut [u8]) -> bool + 'a;

fn in_memory(memory: &dyn Memory) -> impl Fn(&Mapping, u64, &mut [u8]) -> bool {
    |_, address, bytes| memory.read(address, bytes).is_ok()
}

/// Calls `visit` with parts of the mappings' memory until it returns false. Parts start on whole words.
fn each_part<'a>(
    read: &Read<'_>,
    mut budget: u64,
    mappings: impl Iterator<Item = &'a Mapping>,
    visit: &mut dyn FnMut(u64, &[u8]) -> bool,
) {
    let mut buffer = vec![0; PART + OVERLAP];
    for mapping in mappings {
        let mut address = mapping.start;
        while address < mapping.end && budget > 0 {
            let size = (mapping.end - address).min(buffer.len() as u64) as usize;
            budget = budget.saturating_sub(size as u64);
            if read(mapping, address, &mut buffer[..size]) && !visit(address, &buffer[..size]) {
                return;
            }
            let Some(next) = address.checked_add(PART as u64) else { break };
            address = next;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_three_numbers_and_an_end() {
        let version = |text: &[u8]| version_text(text).map(|version| version.to_string());
        assert_eq!(version(b"3.11.2\0").as_deref(), Some("3.11.2"));
        assert_eq!(version(b"3.12.0rc1\0").as_deref(), Some("3.12.0"));
        assert_eq!(version(b"3.9.18+\0").as_deref(), Some("3.9.18"));
        for no in [&b"3.11\0"[..], b"3.11.2.1\0", b"3.11.2 x", b"3.1111.2\0", b"3.11.2", b"3..2\0"] {
            assert_eq!(version(no), None, "{no:?}");
        }
    }
}
