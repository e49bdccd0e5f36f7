//! What native stacks cost the program, and how well they fit its Python frames.

use naja_native::pause::PauseFigures;
use naja_report::text::{count, percent};
use serde::{Deserialize, Serialize};

/// What native stacks cost, and how well they fit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NativeFigures {
    /// Stacks that were read together with their native functions.
    pub stacks: u64,
    /// Those of threads that were blocked, and so were not paused.
    pub blocked: u64,
    /// Those of which the outer native part is missing.
    pub outer_missing: u64,
    /// Those of which only the innermost native functions could be placed.
    pub mismatched: u64,
    /// Stacks without native functions: the thread could not be paused, or had moved on.
    pub without: u64,
    /// How long threads were paused.
    pub pauses: PauseFigures,
}

/// The same for a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NativeReport {
    /// Stacks that were read together with their native functions.
    pub stacks: u64,
    /// Those of threads that were blocked, and so were not paused.
    pub blocked: u64,
    /// Those of which the outer native part is missing.
    pub outer_missing: u64,
    /// Those of which only the innermost native functions could be placed.
    pub mismatched: u64,
    /// Stacks without native functions: the thread could not be paused, or had moved on.
    pub without: u64,
    /// How often a thread was paused.
    pub pauses: u64,
    /// Seconds that threads were paused, all together.
    pub paused_s: f64,
    /// The pause that half of them did not exceed, microseconds.
    pub pause_median_us: f64,
    /// The pause that 99 of 100 did not exceed, microseconds.
    pub pause_p99_us: f64,
    /// The longest pause, microseconds.
    pub pause_longest_us: f64,
}

impl From<&NativeFigures> for NativeReport {
    fn from(figures: &NativeFigures) -> NativeReport {
        let pauses = &figures.pauses;
        let us = |ns: u64| ns as f64 / 1e3;
        NativeReport {
            stacks: figures.stacks,
            blocked: figures.blocked,
            outer_missing: figures.outer_missing,
            mismatched: figures.mismatched,
            without: figures.without,
            pauses: pauses.count,
            paused_s: pauses.total_ns as f64 / 1e9,
            pause_median_us: us(pauses.quantile_ns(0.5)),
            pause_p99_us: us(pauses.quantile_ns(0.99)),
            pause_longest_us: us(pauses.longest_ns),
        }
    }
}

impl NativeReport {
    /// A sentence for a person, without a full stop.
    pub fn sentence(&self) -> String {
        let mut text = format!("{} stacks with native functions", count(self.stacks));
        let read = (self.stacks + self.without).max(1) as f64;
        for (part, what) in [
            (self.outer_missing, "lack outer native functions"),
            (self.mismatched, "have only the innermost ones"),
            (self.without, "have none"),
        ] {
            if part > 0 {
                text.push_str(&format!(", {} {what}", percent(part as f64 / read)));
            }
        }
        let pauses = count(self.pauses);
        text.push_str(&match self.pauses {
            0 => "; nothing was paused for them".to_owned(),
            1 => format!("; one thread was paused once for them, for {:.0} µs", self.pause_median_us),
            _ => format!(
                "; threads were paused {pauses} times for them, for {:.0} µs (median) and {:.0} µs (99 of 100)",
                self.pause_median_us, self.pause_p99_us
            ),
        });
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_what_is_missing_and_what_it_cost() {
        let report = NativeReport {
            stacks: 1990,
            mismatched: 20,
            without: 10,
            pauses: 1500,
            pause_median_us: 21.2,
            pause_p99_us: 80.0,
            ..NativeReport::default()
        };
        assert_eq!(
            report.sentence(),
            "1,990 stacks with native functions, 1.0 % have only the innermost ones, 0.5 % have none; threads were \
             paused 1,500 times for them, for 21 µs (median) and 80 µs (99 of 100)"
        );
        assert!(NativeReport::default().sentence().ends_with("; nothing was paused for them"));
    }
}
