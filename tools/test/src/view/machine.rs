//! What other programs read: JSON lines, and annotations that GitHub shows beside the changed lines.

use std::fmt::Write as _;

use serde_json::json;

use crate::progress::{Progress, Test};

/// One line for a test that is over.
pub fn test_line(test: &Test) -> String {
    json!({
        "event": "test",
        "id": test.id,
        "outcome": test.outcome.word(),
        "seconds": test.seconds,
        "worker": test.worker,
        "file": test.file,
        "line": test.line,
        "text": test.text,
    })
    .to_string()
}

/// The line that stands last: how many tests were planned and how each ended.
pub fn end_line(progress: &Progress, exit_code: u8, seconds: f64) -> String {
    let mut counts = serde_json::Map::new();
    for (outcome, count) in progress.counts() {
        counts.insert(outcome.word().to_owned(), count.into());
    }
    json!({
        "event": "end",
        "planned": progress.tests.len(),
        "outcomes": counts,
        "workers": progress.workers.len(),
        "seconds": seconds,
        "exit_code": exit_code,
    })
    .to_string()
}

/// Workflow commands of GitHub for the tests that went wrong, a line each; empty where all is well.
pub fn github_annotations(progress: &Progress) -> String {
    let mut lines = String::new();
    for test in progress.tests.iter().filter(|test| test.outcome.is_bad()) {
        let place = match (&test.file, test.line) {
            (Some(file), Some(line)) => format!("file={},line={line},", property(file)),
            (Some(file), None) => format!("file={},", property(file)),
            _ => String::new(),
        };
        let title = format!("{} {}", test.outcome.word(), test.id);
        let text = test.text.as_deref().unwrap_or("no text");
        writeln!(lines, "::error {place}title={}::{}", property(&title), data(text))
            .expect("memory can be written");
    }
    lines
}

/// The message of a workflow command: GitHub ends it at a line end.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command, which ends at a comma or colon as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::event::Event;

    #[test]
    fn an_annotation_has_its_place_and_no_line_end_of_its_own() {
        let mut progress = Progress::default();
        let now = Instant::now();
        progress.take(
            &Event::Collected { tests: vec!["a.py::t[x,y]".to_owned()], workers: 1, mode: "load".to_owned() },
            now,
        );
        progress.take(
            &Event::Report {
                worker: "gw0".to_owned(),
                test: 0,
                when: "call".to_owned(),
                outcome: "failed".to_owned(),
                seconds: 0.1,
                text: Some("50 %\nE  no".to_owned()),
                file: Some("a.py".to_owned()),
                line: Some(3),
            },
            now,
        );
        assert_eq!(
            github_annotations(&progress),
            "::error file=a.py,line=3,title=failed a.py%3A%3At[x%2Cy]::50 %25%0AE  no\n"
        );
    }
}
