//! What allocations come to, held against the plainest way to count them; and the agent in programs that run already.

mod attached;
mod captures;
mod hostile;
mod tallies;
