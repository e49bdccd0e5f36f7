//! The last try: words that the date parser does not understand are swept out of a candidate.

use super::tokens::{is_delimiter, starts_with};
use super::zones::REGIONS;

/// Words that are swept out, in that order.
pub const REPLACEMENTS: [&str; 10] =
    ["standard", "daylight", "savings", "time", "date", "by", "due", "on", "to", "day"];

/// Zones of one candidate that are swept out at most: each is a pass over the text.
const MOST_ZONES: usize = 64;

/// The text in small letters, with a space for each word of [`REPLACEMENTS`] and each of `zones` that stands alone.
pub fn sweep(text: &str, zones: &[&str]) -> String {
    let mut seen: Vec<&str> = Vec::new();
    let mut swept = text.to_lowercase();
    for word in REPLACEMENTS {
        if swept.contains(word) {
            swept = without(&swept, word);
        }
    }
    for zone in zones {
        if seen.len() < MOST_ZONES && !seen.contains(zone) && !REPLACEMENTS.contains(zone) {
            seen.push(zone);
            swept = without(&swept, zone);
        }
    }
    swept
}

/// The abbreviation that stands for the zones of a candidate: of several the last by the alphabet.
pub fn zone_name<'a>(zones: &[&'a str]) -> Option<&'a str> {
    let last = zones.iter().max()?;
    Some(REGIONS.iter().find(|(region, _)| region == last).map_or(last, |(_, abbreviation)| abbreviation))
}

/// Puts a space for each `word` with delimiters, or the text's start or end, on both sides. What is between two such
/// words serves only the first.
fn without(text: &str, word: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let run = text[at..].len() - text[at..].trim_start_matches(is_delimiter).len();
        let word_at = at + run;
        let stands = run > 0 || at == 0;
        match starts_with(text, word_at, word).filter(|_| stands).and_then(|end| delimited_end(text, end)) {
            Some(end) => {
                kept.push(' ');
                at = end;
            }
            None => {
                // Behind the run, to the next delimiter: nothing in between stands alone.
                let inner = text[word_at..].find(is_delimiter).map_or(text.len(), |length| word_at + length);
                kept.push_str(&text[at..inner]);
                at = inner;
            }
        }
    }
    kept
}

/// Behind the delimiters at `at`, or `at` itself at the end of the text.
fn delimited_end(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.is_empty() || rest == "\n" {
        return Some(at);
    }
    let run = rest.len() - rest.trim_start_matches(is_delimiter).len();
    (run > 0).then_some(at + run)
}
