//! Tests of the built `naja`: what it does is held against what plain Python does.

mod wheel;
