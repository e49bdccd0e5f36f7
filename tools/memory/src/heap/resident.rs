//! What of a process's memory is resident, by what it is for: the sum is what `top` shows as RES.
//!
//! From `/proc/PID/smaps`, and `/proc/PID/pagemap` for the arenas, which the kernel does not tell apart from other memory. Start
//! at [`read`].

use std::fs::File;
use std::os::unix::fs::FileExt;

use naja_cpython::heap::Heap;
use serde::Serialize;

/// Bytes of a page; the kernel's lists count in these.
const PAGE_BYTES: u64 = 4096;
/// A page is in memory; or swapped out.
const PRESENT: u64 = 1 << 63;
const SWAPPED: u64 = 1 << 62;
/// The C library's further arenas begin at multiples of this.
const MALLOC_ARENA_BYTES: u64 = 64 << 20;

/// Bytes that are resident.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Resident {
    /// All of it: what `top` shows as RES.
    pub total_bytes: u64,
    /// Arenas of small objects; `None` where the kernel does not tell.
    pub arenas_bytes: Option<u64>,
    /// The heap of the C library's malloc.
    pub heap_bytes: u64,
    /// Malloc's arenas for further threads.
    pub thread_heaps_bytes: u64,
    /// How many those are.
    pub thread_heaps: u64,
    /// Stacks.
    pub stack_bytes: u64,
    /// Other memory without a file: malloc's large blocks, stacks of threads, what libraries map. Arenas are in it where the
    /// kernel does not tell them apart.
    pub anonymous_bytes: u64,
    /// Programs, libraries and other files.
    pub file_bytes: u64,
    /// What is swapped out of all of this, which is not resident.
    pub swapped_bytes: u64,
}

/// Asks the kernel. `None` where it does not tell.
///
/// Cost: the kernel walks the page tables: some milliseconds a GiB
pub(super) fn read(pid: u32, heap: &Heap) -> Option<Resident> {
    let mappings = parse(&std::fs::read_to_string(format!("/proc/{pid}/smaps")).ok()?);
    let pages = File::open(format!("/proc/{pid}/pagemap")).ok();
    let mut present = |address: u64, bytes: u64| present_bytes(pages.as_ref()?, address, bytes);
    Some(sum(&mappings, heap, &mut present))
}

/// How much of a stretch is in memory. A page that was read and never written is present and not counted as resident.
fn present_bytes(pages: &File, address: u64, bytes: u64) -> Option<u64> {
    let mut words = vec![0; (bytes / PAGE_BYTES) as usize * 8];
    pages.read_exact_at(&mut words, address / PAGE_BYTES * 8).ok()?;
    let words = words.chunks_exact(8).filter_map(|word| word.try_into().ok()).map(u64::from_le_bytes);
    Some(words.filter(|word| word & PRESENT != 0 && word & SWAPPED == 0).count() as u64 * PAGE_BYTES)
}

/// Sums mappings, and takes what arenas have of them out of what else they are for.
fn sum(mappings: &[Mapping], heap: &Heap, present: &mut dyn FnMut(u64, u64) -> Option<u64>) -> Resident {
    let mut arenas: Vec<(u64, u64)> = heap
        .states
        .iter()
        .flat_map(|state| {
            let bytes = state.layout.arena_bytes;
            state.arenas.iter().map(move |arena| (arena.address, arena.address + bytes))
        })
        .collect();
    arenas.sort_unstable();
    let mut resident = Resident { arenas_bytes: Some(0), ..Resident::default() };
    for mapping in mappings {
        resident.total_bytes += mapping.resident_bytes;
        resident.swapped_bytes += mapping.swapped_bytes;
        resident.thread_heaps += u64::from(mapping.kind == Kind::ThreadHeap);
        let first = arenas.partition_point(|(_, end)| *end <= mapping.start);
        let parts =
            arenas.get(first..).unwrap_or_default().iter().take_while(|(start, _)| *start < mapping.end);
        let mut own = Some(0);
        let mut covered = 0;
        for (start, end) in parts {
            let (start, end) = (*start.max(&mapping.start), *end.min(&mapping.end));
            covered += end - start;
            own = own.zip(present(start, end - start)).map(|(sum, part)| sum + part);
        }
        // Where nothing else is in it, its own figure is the exact one.
        let own = match covered == mapping.end - mapping.start {
            true => Some(mapping.resident_bytes),
            false => own.map(|own| own.min(mapping.resident_bytes)),
        };
        resident.arenas_bytes = resident.arenas_bytes.zip(own).map(|(sum, own)| sum + own);
        *resident.part(mapping.kind) += mapping.resident_bytes - own.unwrap_or(0);
    }
    if resident.arenas_bytes.is_none() {
        // All or nothing: a part would be taken for all.
        return sum(mappings, &Heap { states: Vec::new() }, present).without_arenas();
    }
    resident
}

impl Resident {
    fn part(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::Heap => &mut self.heap_bytes,
            Kind::ThreadHeap => &mut self.thread_heaps_bytes,
            Kind::Stack => &mut self.stack_bytes,
            Kind::Anonymous => &mut self.anonymous_bytes,
            Kind::File => &mut self.file_bytes,
        }
    }

    fn without_arenas(self) -> Resident {
        Resident { arenas_bytes: None, ..self }
    }
}

/// The first and the last address of a mapping's line.
fn ends(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_once(' ')?.0.split_once('-')?;
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some((hex(start)?, hex(end)?))
}

/// What a mapping is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Heap,
    ThreadHeap,
    Stack,
    Anonymous,
    File,
}

fn kind(line: &str, is_first_of_thread_heap: bool) -> Kind {
    match line.split_whitespace().nth(5) {
        Some("[heap]") => Kind::Heap,
        Some(path) if path.starts_with("[stack") => Kind::Stack,
        Some(path) if path.starts_with("[anon") => Kind::Anonymous,
        Some(_) => Kind::File,
        None if is_first_of_thread_heap => Kind::ThreadHeap,
        None => Kind::Anonymous,
    }
}

/// A mapping and what is resident of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mapping {
    start: u64,
    end: u64,
    kind: Kind,
    resident_bytes: u64,
    swapped_bytes: u64,
}

/// The mappings of `/proc/PID/smaps`.
fn parse(smaps: &str) -> Vec<Mapping> {
    let is_head = |line: &&str| {
        line.split_once(' ').is_some_and(|(first, _)| first.contains('-') && !first.ends_with(':'))
    };
    // A further arena of malloc is what is used of it, and behind it, up to its 64 MiB, what may not be touched yet.
    let heads: Vec<&str> = smaps.lines().filter(is_head).collect();
    let is_thread_heap = |index: usize| {
        let (Some(own), Some(next)) = (heads.get(index), heads.get(index + 1)) else { return false };
        let (Some((start, end)), Some((next_start, next_end))) = (ends(own), ends(next)) else {
            return false;
        };
        start.is_multiple_of(MALLOC_ARENA_BYTES)
            && next_start == end
            && next_end - start == MALLOC_ARENA_BYTES
            && next.contains(" ---p ")
    };
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut index = 0;
    for line in smaps.lines() {
        if is_head(&line) {
            let kind = kind(line, is_thread_heap(index));
            index += 1;
            let (start, end) = ends(line).unwrap_or_default();
            mappings.push(Mapping { start, end, kind, resident_bytes: 0, swapped_bytes: 0 });
            continue;
        }
        let (Some((field, value)), Some(mapping)) = (line.split_once(':'), mappings.last_mut()) else {
            continue;
        };
        let bytes = || {
            let kib = value.trim().strip_suffix(" kB").and_then(|number| number.trim().parse::<u64>().ok());
            kib.unwrap_or(0).saturating_mul(1024)
        };
        match field {
            "Rss" => mapping.resident_bytes = bytes(),
            "Swap" => mapping.swapped_bytes = bytes(),
            _ => {}
        }
    }
    mappings
}

#[cfg(test)]
mod tests {
    use naja_cpython::heap::Heap;

    use super::*;

    #[test]
    fn parts_add_up_to_what_is_resident() {
        let smaps = "\
555500000000-555500001000 r--p 00000000 fe:01 11                         /usr/bin/python 3
Rss:                   4 kB
Swap:                  0 kB
555500004000-555500024000 rw-p 00000000 00:00 0                          [heap]
Rss:                 100 kB
Swap:                 12 kB
7f0000000000-7f0000021000 rw-p 00000000 00:00 0 
Rss:                  32 kB
7f0000021000-7f0004000000 ---p 00000000 00:00 0 
Rss:                   0 kB
7f1000000000-7f1000100000 rw-p 00000000 00:00 0 
Rss:                1000 kB
VmFlags: rd wr mr mw me ac sd 
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Rss:                  40 kB
";
        let expected = Resident {
            total_bytes: 1176 << 10,
            arenas_bytes: Some(0),
            heap_bytes: 100 << 10,
            thread_heaps_bytes: 32 << 10,
            thread_heaps: 1,
            stack_bytes: 40 << 10,
            anonymous_bytes: 1000 << 10,
            file_bytes: 4 << 10,
            swapped_bytes: 12 << 10,
        };
        let none = Heap { states: Vec::new() };
        assert_eq!(sum(&parse(smaps), &none, &mut |_, _| None), expected);
    }
}
