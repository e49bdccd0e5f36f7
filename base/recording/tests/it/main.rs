//! What a recording promises, tested through its public interface.

mod samples;
mod write_and_read;
