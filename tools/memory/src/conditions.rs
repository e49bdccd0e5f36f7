//! What a recording may not come to: `--fail-if 'peak > 1GB'`.
//!
//! A condition that cannot be read, or that asks for what the recording does not know, is an error: it never passes in
//! silence. Start at [`Condition`].

use std::str::FromStr;

use naja_report::text::{bytes, count};
use naja_system::Failure;
use serde::Serialize;

use crate::report::{Allocations, Shown};

/// A figure that a condition may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// The most bytes in use at once.
    Peak,
    /// The blocks of the peak.
    Blocks,
    /// Bytes in use at the end.
    Leaked,
    /// Blocks in use at the end.
    LeakedBlocks,
    /// All bytes that were given.
    Given,
    /// How often memory was given.
    Allocations,
    /// Bytes that were soon taken back.
    Temporary,
    /// The most resident bytes, of all processes together.
    Resident,
}

/// Each figure with its word, whether it is in bytes, and what it is.
const FIGURES: [(Figure, &str, bool, &str); 8] = [
    (Figure::Peak, "peak", true, "memory in use at the peak"),
    (Figure::Blocks, "blocks", false, "blocks in use at the peak"),
    (Figure::Leaked, "leaked", true, "memory in use at the end"),
    (Figure::LeakedBlocks, "leaked-blocks", false, "blocks in use at the end"),
    (Figure::Given, "given", true, "memory given in all"),
    (Figure::Allocations, "allocations", false, "allocations"),
    (Figure::Temporary, "temporary", true, "memory that was soon taken back"),
    (Figure::Resident, "resident", true, "resident memory"),
];

/// Units of bytes, longer names before those that they end with.
const UNITS: [(&str, u64); 13] = [
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("T", 1 << 40),
    ("B", 1),
];

/// A figure, and what it is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    figure: Figure,
    /// `>`, `>=`, `<` or `<=`.
    comparison: &'static str,
    limit: u64,
    /// As the user wrote it.
    text: String,
}

impl FromStr for Condition {
    type Err = String;

    /// `peak > 1GB`, `leaked>=0.5 MiB`, `blocks > 10000`.
    fn from_str(text: &str) -> Result<Condition, String> {
        let at = text.find(['<', '>']).ok_or("it has no `>`, `>=`, `<` or `<=`")?;
        let (word, rest) = text.split_at(at);
        let comparison = [">=", "<=", ">", "<"].into_iter().find(|sign| rest.starts_with(sign));
        let comparison = comparison.expect("it begins with `<` or `>`");
        let word = word.trim().to_ascii_lowercase();
        let (figure, _, is_bytes, _) = *FIGURES.iter().find(|figure| figure.1 == word).ok_or_else(|| {
            let words: Vec<&str> = FIGURES.iter().map(|figure| figure.1).collect();
            format!("`{word}` is none of {}", words.join(", "))
        })?;
        let limit = rest.strip_prefix(comparison).unwrap_or_default().trim();
        Ok(Condition { figure, comparison, limit: amount(limit, is_bytes)?, text: text.trim().to_owned() })
    }
}

/// A number with its unit.
fn amount(text: &str, is_bytes: bool) -> Result<u64, String> {
    let upper = text.to_ascii_uppercase();
    let unit = UNITS.iter().find(|(unit, _)| upper.ends_with(unit));
    let (number, factor) = match unit {
        Some(_) if !is_bytes => return Err(format!("`{text}` is to be a number of blocks, without a unit")),
        Some((unit, factor)) => (text.get(..text.len() - unit.len()).unwrap_or_default().trim_end(), *factor),
        None => (text, 1),
    };
    let wrong = || match is_bytes {
        true => format!("`{text}` is not an amount of memory such as `1GB`, `512 MiB` or `4096`"),
        false => format!("`{text}` is not a number of blocks"),
    };
    let plain = number.replace('_', "");
    if let Ok(whole) = plain.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(wrong);
    }
    match plain.parse::<f64>() {
        Ok(value) if value.is_finite() && value >= 0.0 && unit.is_some_and(|(_, factor)| *factor > 1) => {
            Ok((value * factor as f64) as u64)
        }
        _ => Err(wrong()),
    }
}

impl Condition {
    fn words(&self) -> (&'static str, bool, &'static str) {
        let found = FIGURES.iter().find(|figure| figure.0 == self.figure);
        found.map_or(("", true, ""), |(_, word, is_bytes, what)| (word, *is_bytes, what))
    }

    fn value(&self, allocations: &Allocations) -> Option<u64> {
        let sum = |shown| allocations.sum(shown);
        Some(match self.figure {
            Figure::Peak => sum(Shown::Peak).bytes,
            Figure::Blocks => sum(Shown::Peak).blocks,
            Figure::Leaked => sum(Shown::Leaks).bytes,
            Figure::LeakedBlocks => sum(Shown::Leaks).blocks,
            Figure::Given => sum(Shown::Given).bytes,
            Figure::Allocations => sum(Shown::Given).blocks,
            Figure::Temporary => sum(Shown::Temporary).bytes,
            Figure::Resident => return Some(allocations.resident_peak_bytes).filter(|bytes| *bytes > 0),
        })
    }

    /// A sentence where it holds; nothing where it does not.
    ///
    /// Errors: `figure-not-known` where the recording does not have the figure
    fn met(&self, allocations: &Allocations) -> Result<Option<String>, Failure> {
        let (word, is_bytes, what) = self.words();
        let value = self.value(allocations).ok_or_else(|| {
            Failure::new("figure-not-known", format!("the recording does not know `{word}`"))
                .hint("the program was over before naja looked at its resident memory")
        })?;
        let is_so = match self.comparison {
            ">" => value > self.limit,
            ">=" => value >= self.limit,
            "<" => value < self.limit,
            _ => value <= self.limit,
        };
        Ok(is_so.then(|| format!("{what}: {}, which `{}` forbids", shown(value, is_bytes), self.text)))
    }
}

/// A value as people read it; one that is rounded also as it is.
fn shown(value: u64, is_bytes: bool) -> String {
    match is_bytes {
        true if value >= 10_240 && !value.is_multiple_of(1024) => {
            format!("{} ({} bytes)", bytes(value), count(value))
        }
        true => bytes(value),
        false => count(value),
    }
}

/// The sentences of the conditions that hold.
///
/// Errors: `figure-not-known`
pub fn failures(conditions: &[Condition], allocations: &Allocations) -> Result<Vec<String>, Failure> {
    let mut met = Vec::new();
    for condition in conditions {
        met.extend(condition.met(allocations)?);
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let read = text.parse::<Condition>();
        let shown = match read {
            Ok(one) => format!("{:?} {} {}", one.figure, one.comparison, one.limit),
            Err(error) => error,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn conditions_are_read_as_they_are_written() {
        check("peak > 1GB", "Peak > 1000000000");
        check("leaked>=0.5 MiB", "Leaked >= 524288");
        check(" Given < 10_000 ", "Given < 10000");
        check("resident <= 2g", "Resident <= 2147483648");
        check("blocks > 12000", "Blocks > 12000");
        check("allocations>0", "Allocations > 0");
    }

    #[test]
    fn nonsense_is_named() {
        check("peak 1GB", "it has no `>`, `>=`, `<` or `<=`");
        check(
            "pek > 1GB",
            "`pek` is none of peak, blocks, leaked, leaked-blocks, given, allocations, temporary, resident",
        );
        check("peak > much", "`much` is not an amount of memory such as `1GB`, `512 MiB` or `4096`");
        check("peak > -1MB", "`-1MB` is not an amount of memory such as `1GB`, `512 MiB` or `4096`");
        check("peak > ", "`` is not an amount of memory such as `1GB`, `512 MiB` or `4096`");
        check(
            "peak > 99999999TB",
            "`99999999TB` is not an amount of memory such as `1GB`, `512 MiB` or `4096`",
        );
        check("blocks > 3 MB", "`3 MB` is to be a number of blocks, without a unit");
        check("blocks > 1.5", "`1.5` is not a number of blocks");
        check("peak > é", "`é` is not an amount of memory such as `1GB`, `512 MiB` or `4096`");
    }
}
