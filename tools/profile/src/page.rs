//! The page of `naja view`: one self-contained HTML file that shows a recording.
//!
//! Rust sums the samples into rows (`samples`), codes them (`data`) and wraps everything into one file; the
//! scripts beside this file decode the rows and compute all that is shown. The page asks the outside for
//! nothing. Start at [`html`]; on the other side, at `main.js`.

mod data;
mod fold;
mod samples;
mod sources;

use naja_report::Page;

pub use data::{PageInput, encode};
pub use samples::{GC, GIL, Row, Samples};

/// In the order in which they build on each other.
const SCRIPTS: &[&str] = &[
    include_str!("page/format.js"),
    include_str!("page/decode.js"),
    include_str!("page/model.js"),
    include_str!("page/trees.js"),
    include_str!("page/state.js"),
    include_str!("page/colours.js"),
    include_str!("page/summary.js"),
    include_str!("page/timeline.js"),
    include_str!("page/flame.js"),
    include_str!("page/table.js"),
    include_str!("page/source.js"),
    include_str!("page/keys.js"),
    include_str!("page/main.js"),
];

/// The whole page as HTML.
pub fn html(input: PageInput) -> String {
    let title = format!("{} · naja", input.header.command.join(" "));
    let data = encode(input);
    Page {
        title: &title,
        styles: &[include_str!("page/style.css")],
        body: include_str!("page/index.html"),
        scripts: SCRIPTS,
        data: &[("recording", &data)],
    }
    .render()
}
