//! Which instructions mean that time goes to C code called from there.

mod v3_10;
mod v3_11;
mod v3_12;
mod v3_13;
mod v3_14;
mod v3_15;
mod v3_8;
mod v3_9;

use crate::offsets::Version;

/// Whether an innermost frame that stands at `opcode` is, as a rule, inside C code that the instruction
/// called: a built-in function, an operator or an iterator of a type written in C.
///
/// An instruction specialised for short work on built-in types or for a Python function is none. Operators
/// that have not been specialised (always, up to 3.10) are, though they may be short: a caller that wants to
/// be sure asks whether the frame stands there for long. False for versions whose instructions are unknown.
pub fn opcode_is_native_call(version: Version, opcode: u8) -> bool {
    instructions(version.minor).is_some_and(|known| known.native[usize::from(opcode)])
}

/// Whether such an instruction calls a function by name: then the time is the called function's, however
/// short the call. The others are operators and iterations, which on simple values take no time to speak of.
pub fn opcode_is_call(version: Version, opcode: u8) -> bool {
    instructions(version.minor).is_some_and(|known| known.calls[usize::from(opcode)])
}

/// The opcode of `EXTENDED_ARG`, at which a frame of 3.10 and older stands in place of the instruction after.
pub(crate) fn extended_arg(minor: u8) -> Option<u8> {
    instructions(minor).map(|known| known.extended_arg)
}

/// What is known of a version's instructions.
struct Instructions {
    extended_arg: u8,
    native: [bool; 256],
    calls: [bool; 256],
}

fn instructions(minor: u8) -> Option<&'static Instructions> {
    macro_rules! version {
        ($module:ident) => {{
            const KNOWN: Instructions = Instructions {
                extended_arg: $module::EXTENDED_ARG,
                native: set($module::NATIVE_CALLS),
                calls: set($module::CALLS),
            };
            Some(&KNOWN)
        }};
    }
    match minor {
        8 => version!(v3_8),
        9 => version!(v3_9),
        10 => version!(v3_10),
        11 => version!(v3_11),
        12 => version!(v3_12),
        13 => version!(v3_13),
        14 => version!(v3_14),
        15 => version!(v3_15),
        _ => None,
    }
}

const fn set(members: &[u8]) -> [bool; 256] {
    let mut flags = [false; 256];
    let mut i = 0;
    while i < members.len() {
        flags[members[i] as usize] = true;
        i += 1;
    }
    flags
}
