//! `naja memory stats`.

use std::path::PathBuf;

use naja_report::text::Style;
use naja_system::Failure;
use serde_json::json;

use super::{as_line, open};
use crate::report::Allocations;
use crate::report_text;

/// Show the figures of a recording: sums, functions, sizes
#[derive(Debug, clap::Args)]
pub struct StatsArguments {
    /// The recording
    #[arg(value_name = "FILE.naja")]
    pub file: PathBuf,
    /// How many lines of each kind
    #[arg(short = 'n', long, value_name = "N", default_value_t = 5)]
    pub top: usize,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl StatsArguments {
    /// The report.
    ///
    /// Errors: those of the recording; `no-allocations`
    pub(super) fn show(&self, style: Style) -> Result<String, Failure> {
        let reader = open(&self.file)?;
        let allocations = Allocations::read(&reader, 1)?;
        let figures = allocations.statistics(&reader, self.top)?;
        Ok(if self.json { as_line(&json!(figures)) } else { report_text::statistics(&figures, style) })
    }
}
