//! `naja memory summary`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::{ShownOptions, as_line, open};
use crate::report::Allocations;
use crate::report_text;

/// Show the lines with most memory
#[derive(Debug, clap::Args)]
pub struct SummaryArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 25)]
    pub rows: usize,
    /// Sort by what a line itself was given, and not by what it called was given as well
    #[arg(long)]
    pub own: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl SummaryArguments {
    /// The report.
    ///
    /// Errors: those of the recording; `no-allocations`, `only-sums`
    pub(super) fn show(&self, style: Style) -> Result<String, Failure> {
        let shown = self.shown.shown();
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, self.shown.temporary_within)?;
        if !self.json {
            return Ok(report_text::summary(&allocations, shown, self.rows, self.own, style));
        }
        let mut locations = allocations.locations(shown);
        if self.own {
            locations.sort_by_key(|location| std::cmp::Reverse(location.own.bytes));
        }
        locations.truncate(self.rows);
        Ok(as_line(&json!({ "shown": shown, "sum": allocations.sum(shown), "lines": locations })))
    }
}
