//! The page of `naja view`: one self-contained HTML file that shows a recording.
//!
//! Rust sums the samples into rows (`samples`), codes them (`data`) and wraps everything into one file; the
//! scripts beside this file, and those of [`naja_report::flame`], decode the rows and compute all that is shown. The page
//! asks the outside for nothing. Start at [`html`]; on the other side, at `main.js`.

mod data;
mod fold;
mod samples;

use naja_recording::{Reader, RecordingError};
use naja_report::flame::FlamePage;
use serde_json::Value;

pub use data::{PageInput, PageStart, encode};
pub use samples::{GC, GIL, Row, Samples};

/// The page's own scripts, in the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("page/states.js"),
    include_str!("page/model.js"),
    include_str!("page/state.js"),
    include_str!("page/summary.js"),
    include_str!("page/timeline.js"),
    include_str!("page/keys.js"),
    include_str!("page/main.js"),
];

/// All that the page needs of a recording.
pub fn input(reader: &Reader<'_>) -> Result<PageInput, RecordingError> {
    let dropped = reader.dropped();
    let mut samples = Samples::new(dropped.until_tick, reader.until_tick());
    reader.runs(&mut |runs| samples.add(&runs))?;
    input_of(reader, samples)
}

/// The same, with these samples of the recording.
pub(crate) fn input_of(reader: &Reader<'_>, samples: Samples) -> Result<PageInput, RecordingError> {
    // A report that is not JSON comes from a newer naja, or none: the page shows the rest without it.
    let report = reader.report()?.and_then(|text| serde_json::from_str(&text).ok());
    Ok(PageInput {
        header: reader.header().clone(),
        complete: reader.is_complete(),
        dropped: reader.dropped(),
        until_tick: reader.until_tick(),
        processes: reader.processes()?,
        threads: reader.threads()?,
        functions: reader.functions()?,
        nodes: reader.nodes()?,
        metrics: reader.metrics()?,
        sources: reader.sources()?,
        report: report.unwrap_or(Value::Null),
        samples,
        start: PageStart::default(),
    })
}

/// The whole page as HTML.
pub fn html(input: PageInput) -> String {
    let title = format!("{} · naja", input.header.command.join(" "));
    let data = encode(input);
    FlamePage {
        title: &title,
        style: "",
        filters: include_str!("page/filters.html"),
        scripts: SCRIPTS,
        data: &data,
    }
    .render()
}
