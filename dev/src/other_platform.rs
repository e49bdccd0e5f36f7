//! Whether the program compiles for the processors that it is not tested on.

use crate::checkout::Checkout;
use crate::step::{self, Outcome, say};

/// Linux on 64-bit Arm.
const AARCH64: &str = "aarch64-unknown-linux-gnu";

/// Compiles everything for aarch64 without generating code. `Ok(false)` where the standard library for it is neither
/// installed nor to be had.
///
/// SQLite's C sources are left out: no code is linked, so that no C compiler for it is needed either.
pub(crate) fn check_aarch64(checkout: &Checkout) -> Outcome<bool> {
    if !step::succeeds(checkout.command("rustup").args(["target", "add", AARCH64])) {
        return Ok(false);
    }
    say("compiling for aarch64: cargo check");
    let mut command = checkout.cargo(&["check", "--locked", "--quiet", "--target", AARCH64]);
    command.args(Checkout::TOGETHER);
    for tool in ["CC", "AR", "CXX"] {
        command.env(format!("{tool}_{}", AARCH64.replace('-', "_")), "true");
    }
    step::run(&mut command).map(|()| true)
}
