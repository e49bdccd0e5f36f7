//! What a recording promises, tested through its public interface.

mod kill;
mod limit;
mod samples;
mod write_and_read;
