//! `naja memory tree`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::{ShownOptions, as_line, open};
use crate::report::Allocations;
use crate::report_text;

/// Show the callers of what was given memory, as a tree
#[derive(Debug, clap::Args)]
pub struct TreeArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// Which memory is shown.
    #[command(flatten)]
    pub shown: ShownOptions,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl TreeArguments {
    /// The report.
    ///
    /// Errors: those of the recording; `no-allocations`, `only-sums`
    pub(super) fn show(&self, style: Style) -> Result<String, Failure> {
        let shown = self.shown.shown();
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, self.shown.temporary_within)?;
        if !self.json {
            return Ok(report_text::tree(&allocations, shown, style));
        }
        let (sum, branches) = (allocations.sum(shown), allocations.tree(shown));
        Ok(as_line(&json!({ "shown": shown, "sum": sum, "branches": branches })))
    }
}
