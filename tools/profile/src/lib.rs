//! Samples running Python programs, without stopping them; their report and their page.
//!
//! Start at [`Sampler`]: it observes one program and all its children. What it counts ends in an
//! [`Observation`], what it sees in a recording.

pub mod advice;
pub mod attach;
mod births;
pub mod command;
pub mod dump;
pub mod export;
pub mod heat;
mod native;
mod observation;
mod occupation;
mod orphans;
mod os_thread;
pub mod page;
mod process_status;
mod python;
mod recorder;
pub mod report;
mod report_text;
mod sampler;
mod sink;
mod stacks;
mod target;
mod task_lanes;
pub mod task_tree;
mod thread;
mod top;

pub use command::{convert, query, view};
pub use native::{NativeFigures, NativeReport};
pub use observation::{Hot, Observation, ObservedProcess, ObservedThread};
pub use recorder::Recorder;
pub use report_text::text as report_text;
pub use sampler::{Control, Sampler, SamplerOptions};
pub use sink::{Finished, Sink};
pub use target::SampleCounts;
pub use task_lanes::Tasks;
