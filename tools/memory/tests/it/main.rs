//! What allocations come to, held against the plainest way to count them.

mod captures;
mod tallies;
