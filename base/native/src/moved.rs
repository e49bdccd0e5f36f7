//! The parts of a function that the compiler has moved away, in a file whose symbols do not tell.
//!
//! Compilers put code that they take for rare far from the rest of its function (`f.cold`), and a stripped file has no
//! name for it. Two facts together give it away: a jump leads from the function into code that has an entry of its own
//! in the tables for unwinding, and one leads back from there into the middle of the function. A function that is
//! another one is called or jumped to where it starts.

use std::ops::Range;

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, UnwindSection};

use crate::elf::Layout;

/// Code of one part beyond this is not looked through.
const CODE_BYTES_MAX: u64 = 4 << 20;

/// The parts of the function at `function` that lie elsewhere, sorted. `code` reads the file's code by address.
///
/// Only for x86-64: elsewhere it finds nothing.
///
/// Cost: O(code), some milliseconds for the loop of an interpreter.
pub(crate) fn parts(
    layout: &Layout,
    function: &Range<u64>,
    code: &mut dyn FnMut(&Range<u64>) -> Option<Vec<u8>>,
) -> Vec<Range<u64>> {
    let mut found: Vec<Range<u64>> = Vec::new();
    let Some(bytes) = readable(function).then(|| code(function)).flatten() else { return found };
    let mut outside: Vec<u64> = jumps(&bytes, function.start).filter(|to| !function.contains(to)).collect();
    outside.sort_unstable();
    outside.dedup();
    let mut last: Option<Range<u64>> = None;
    for target in outside {
        if last.as_ref().is_some_and(|range| range.contains(&target)) {
            continue;
        }
        let Some(range) = entry_of(layout, target) else { continue };
        last = Some(range.clone());
        let is_elsewhere = range.end <= function.start || function.end <= range.start;
        if !is_elsewhere || !readable(&range) {
            continue;
        }
        let Some(bytes) = code(&range) else { continue };
        let mut back = jumps(&bytes, range.start);
        if back.any(|to| function.contains(&to) && to != function.start) {
            found.push(range);
        }
    }
    found
}

fn readable(range: &Range<u64>) -> bool {
    range.end.checked_sub(range.start).is_some_and(|len| len <= CODE_BYTES_MAX)
}

/// Where the code lies that has one entry in the tables with `address`.
fn entry_of(layout: &Layout, address: u64) -> Option<Range<u64>> {
    let (header_at, header) = layout.eh_frame_hdr.as_ref()?;
    let (frames_at, frames) = layout.eh_frame.as_ref()?;
    let mut bases = BaseAddresses::default().set_eh_frame_hdr(header_at.start).set_eh_frame(frames_at.start);
    if let Some(text) = &layout.text {
        bases = bases.set_text(text.start);
    }
    if let Some(got) = &layout.got {
        bases = bases.set_got(got.start);
    }
    let header = EhFrameHdr::new(header, LittleEndian).parse(&bases, 8).ok()?;
    let frames = EhFrame::from(EndianSlice::new(frames, LittleEndian));
    let entry = header.table()?.fde_for_address(&frames, &bases, address, EhFrame::cie_from_offset).ok()?;
    let range = entry.initial_address()..entry.initial_address().checked_add(entry.len())?;
    range.contains(&address).then_some(range)
}

/// Where jumps with 32-bit distances lead to, and some bytes that only look like them.
#[cfg(target_arch = "x86_64")]
fn jumps(code: &[u8], start: u64) -> impl Iterator<Item = u64> {
    (0..code.len()).filter_map(move |place| {
        let (len, distance) = match code[place..] {
            [0xE9, a, b, c, d, ..] => (5, [a, b, c, d]),
            [0x0F, 0x80..=0x8F, a, b, c, d, ..] => (6, [a, b, c, d]),
            _ => return None,
        };
        let next = start.wrapping_add(place as u64 + len);
        Some(next.wrapping_add_signed(i64::from(i32::from_le_bytes(distance))))
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn jumps(_: &[u8], _: u64) -> impl Iterator<Item = u64> {
    std::iter::empty()
}
