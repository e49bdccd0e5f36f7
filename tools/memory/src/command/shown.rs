//! Which memory a report shows: the options that reports share.

use crate::report::Shown;

/// Which memory is shown; without any of these, what was in use at the peak.
#[derive(Clone, Debug, clap::Args)]
pub struct ShownOptions {
    /// What was in use at the end
    #[arg(long, conflicts_with_all = ["temporary", "all"])]
    pub leaks: bool,
    /// What was given and soon taken back
    #[arg(long, conflicts_with = "all")]
    pub temporary: bool,
    /// Temporary is what was taken back before its thread was given so many other blocks
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub temporary_within: u64,
    /// All that was ever given
    #[arg(long)]
    pub all: bool,
}

impl ShownOptions {
    /// Which it is.
    pub fn shown(&self) -> Shown {
        match self {
            ShownOptions { leaks: true, .. } => Shown::Leaks,
            ShownOptions { temporary: true, .. } => Shown::Temporary,
            ShownOptions { all: true, .. } => Shown::Given,
            _ => Shown::Peak,
        }
    }
}
