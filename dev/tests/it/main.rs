//! Tests of `cargo dev` on a copy of this checkout.

mod new_tool;
