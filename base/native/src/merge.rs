//! One stack out of two: the native functions of a thread, and its Python frames in the places of the interpreter's
//! loop.

use crate::unwind::End;

/// What an address is to the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The interpreter's loop.
    Loop,
    /// A part of the loop that is a function of its own (3.14's interpreter of tail calls): it stands for no further
    /// Python frames where the loop has called it.
    LoopPart,
    /// Any other code.
    Other,
}

/// A frame of the merged stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// A Python frame, by its place among those that were given.
    Python(usize),
    /// An address of native code.
    Native(u64),
}

/// How well the two stacks fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Every call of the loop has its Python frames.
    Whole,
    /// The native stack ends early: the outer Python frames stand without what lies between them.
    OuterMissing,
    /// They do not fit: Python frames, then the native functions that the innermost of them has called.
    Mismatch,
}

/// Merges a stack of addresses, innermost first, and its end with Python frames, outermost first; of each it is said
/// whether the loop was entered for it. Appends the result to `merged`, outermost first.
///
/// Cost: O(frames).
pub fn merge(
    native: &[u64],
    end: End,
    kind: &dyn Fn(u64) -> Kind,
    entered: &[bool],
    merged: &mut Vec<Merged>,
) -> Fit {
    let calls = loop_calls(native, kind);
    let groups = group_starts(entered);
    let fit = match (calls.len(), groups.len()) {
        (calls, groups) if calls == groups && end == End::Root => Fit::Whole,
        (calls, groups) if calls <= groups && end != End::Root => Fit::OuterMissing,
        // The innermost loop has just been called and has no frame yet, or has none any more.
        (count, groups) if count == groups + 1 && end == End::Root && calls[0].start <= 1 => Fit::Whole,
        _ => Fit::Mismatch,
    };
    if fit == Fit::Mismatch {
        merged.extend((0..entered.len()).map(Merged::Python));
        let above = calls.first().map_or(0, |innermost| innermost.start);
        merged.extend(native[..above].iter().rev().copied().map(Merged::Native));
        return fit;
    }
    // Whose group is which: both lists are complete at the outer end, unless the native stack ends early.
    let first_group = if fit == Fit::OuterMissing { groups.len() - calls.len() } else { 0 };
    let group = |number: usize| {
        let start = groups.get(number).copied().unwrap_or(entered.len());
        start..groups.get(number + 1).copied().unwrap_or(entered.len())
    };
    merged.extend((0..first_group).flat_map(group).map(Merged::Python));
    let mut outer_end = native.len();
    for (number, call) in calls.iter().rev().enumerate() {
        merged.extend(native[call.end..outer_end].iter().rev().copied().map(Merged::Native));
        merged.extend(group(first_group + number).map(Merged::Python));
        outer_end = call.start;
    }
    merged.extend(native[..outer_end].iter().rev().copied().map(Merged::Native));
    fit
}

/// Where the calls of the loop lie among the addresses, innermost first.
fn loop_calls(native: &[u64], kind: &dyn Fn(u64) -> Kind) -> Vec<std::ops::Range<usize>> {
    let mut calls: Vec<std::ops::Range<usize>> = Vec::new();
    let mut part_before = false;
    for (place, address) in native.iter().enumerate() {
        let kind = kind(*address);
        match calls.last_mut() {
            Some(last) if part_before && kind != Kind::Other => last.end = place + 1,
            _ if kind != Kind::Other => calls.push(place..place + 1),
            _ => {}
        }
        part_before = kind == Kind::LoopPart;
    }
    calls
}

/// Where the groups start that one call of the loop runs, outermost first.
fn group_starts(entered: &[bool]) -> Vec<usize> {
    let starts = entered.iter().enumerate().filter(|(place, entered)| *place == 0 || **entered);
    starts.map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `native` innermost first: `E` is the loop, `T` a part of it; `python` outermost first: a capital letter where
    /// the loop was called for it. Gives the merged stack outermost first, native code in small letters.
    fn check(native: &str, end: End, python: &str, expected: &str, expected_fit: Fit) {
        let addresses: Vec<u64> = native.bytes().map(u64::from).collect();
        let entered: Vec<bool> = python.bytes().map(|letter| letter.is_ascii_uppercase()).collect();
        let kind = |address| match u8::try_from(address) {
            Ok(b'E') => Kind::Loop,
            Ok(b'T') => Kind::LoopPart,
            _ => Kind::Other,
        };
        let mut merged = Vec::new();
        let fit = merge(&addresses, end, &kind, &entered, &mut merged);
        let letter = |one: &Merged| match one {
            Merged::Python(place) => python.as_bytes()[*place].to_ascii_uppercase() as char,
            Merged::Native(address) => *address as u8 as char,
        };
        let text: String = merged.iter().map(letter).collect();
        assert_eq!((text.as_str(), fit), (expected, expected_fit), "{native} {python}");
    }

    #[test]
    fn python_frames_take_the_place_of_the_loop() {
        check("sqEpEm", End::Root, "AB", "mApBqs", Fit::Whole);
        // Inlined calls: one loop, several frames.
        check("sEpEm", End::Root, "AbcDe", "mABCpDEs", Fit::Whole);
        // The outermost frame is that of a loop, whatever it says.
        check("sEm", End::Root, "ab", "mABs", Fit::Whole);
        check("s", End::Root, "", "s", Fit::Whole);
    }

    #[test]
    fn a_loop_that_has_no_frame_yet_is_none() {
        check("EpEm", End::Root, "A", "mAp", Fit::Whole);
        check("sEpEm", End::Root, "A", "mAps", Fit::Whole);
        check("rsEpEm", End::Root, "A", "Asr", Fit::Mismatch);
    }

    #[test]
    fn parts_of_the_loop_are_the_loop() {
        check("sTEpTEm", End::Root, "AB", "mApBs", Fit::Whole);
        check("sTpTm", End::Root, "AB", "mApBs", Fit::Whole);
    }

    #[test]
    fn a_stack_that_ends_early_fits_from_the_inner_end() {
        check("sEpE", End::CopyTooShort, "ABC", "ABpCs", Fit::OuterMissing);
        check("s", End::Lost, "AB", "ABs", Fit::OuterMissing);
        check("sEpEqE", End::Lost, "AB", "ABs", Fit::Mismatch);
    }

    #[test]
    fn what_does_not_fit_keeps_the_innermost_functions_alone() {
        check("xsEpEqEm", End::Root, "AB", "ABsx", Fit::Mismatch);
        check("sm", End::Root, "AB", "AB", Fit::Mismatch);
    }
}
