//! Tests of the profiler against real interpreters, programs and browsers.

mod page;
