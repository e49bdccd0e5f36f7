//! `naja memory table`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::flamegraph::write_page;
use super::{ShownOptions, as_line, open};
use crate::page::PageStart;
use crate::report::Allocations;
use crate::report_text;

/// Show memory as a table: a row for each line and function that gave memory
#[derive(Debug, clap::Args)]
#[command(after_long_help = "Example: naja memory table --split-threads app.naja")]
pub struct TableArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Write a page that opens on its table, in place of text; `-` is stdout
    #[arg(short, long, value_name = "OUT.html", conflicts_with_all = ["json", "rows"])]
    pub output: Option<PathBuf>,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// A row for each thread
    #[arg(long)]
    pub split_threads: bool,
    /// How many rows; 0 for all
    #[arg(short = 'n', long, value_name = "N", default_value_t = 50)]
    pub rows: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl TableArguments {
    /// The report.
    ///
    /// Errors: those of the recording; `no-allocations`, `only-sums`, `cannot-write`
    pub(super) fn show(&self, style: Style) -> Result<String, Failure> {
        let (shown, temporary_within) = (self.shown.shown(), self.shown.temporary_within);
        if self.output.is_some() {
            let start = PageStart {
                shown,
                temporary_within,
                is_inverted: false,
                by_thread: self.split_threads,
                is_table: true,
            };
            return write_page(&self.file, self.output.as_deref(), start);
        }
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, temporary_within)?;
        let mut rows = allocations.rows(shown, self.split_threads);
        let all = rows.len();
        if self.rows > 0 {
            rows.truncate(self.rows);
        }
        if self.json {
            let sum = allocations.sum(shown);
            return Ok(as_line(&json!({ "shown": shown, "sum": sum, "count": all, "rows": rows })));
        }
        Ok(report_text::rows(&allocations, shown, &rows, all, self.split_threads, style))
    }
}
