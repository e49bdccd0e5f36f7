//! The table of all drop-ins, and the pages that show it: written from `original.toml`, `score.json` and
//! `results.json` of the tools, never by hand.
//!
//! The table lies in the Python package, where the hook reads it, and is built into the program.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::checkout::Checkout;
use crate::conformance::original::{self, Original};
use crate::conformance::score::{self, Score};
use crate::step::{self, Outcome, Problem};

/// The table, as the hook and the program read it.
const TABLE: &str = "python/naja/swap/dropins.json";

/// The page with all of it.
const PAGE: &str = "docs/reference/dropins.md";

/// Between these lines of a tool's page stands what was measured. Behind a `;` the first may name words, separated by
/// commas: the page then has the cases that contain one of them.
const BEGIN: &str = "<!-- measured: written by `cargo dev gen`";
const END: &str = "<!-- end of measured -->";

/// A drop-in and what is known of it.
struct DropIn {
    tool: String,
    original: Original,
    score: Option<Score>,
    /// The same tests on servers, by the name of the original and the server's.
    on_servers: Vec<(String, Score)>,
    cases: Vec<Case>,
}

/// A measured case of `results.json`.
struct Case {
    case: String,
    /// What naja was compared with, where that is not the original.
    beside: Option<String>,
    /// The peer's figure ÷ naja's.
    ratio: f64,
    /// naja's figure and the peer's, with their unit.
    figures: [String; 2],
}

/// Every file that is written from the table, with its text.
pub(crate) fn files(checkout: &Checkout) -> Outcome<Vec<(String, String)>> {
    let dropins = all(checkout)?;
    let mut files = vec![(TABLE.to_owned(), table(&dropins)), (PAGE.to_owned(), page(&dropins))];
    for tool in original::tools(checkout)? {
        let own: Vec<&DropIn> = dropins.iter().filter(|one| one.tool == tool).collect();
        for path in pages(checkout, &tool)? {
            let text = step::read(&checkout.at(&path))?;
            if let Some(text) = with_measured(&text, |words| measured(&own, words)) {
                files.push((path, text));
            }
        }
    }
    Ok(files)
}

/// The pages of a tool: its own, and those of its parts.
fn pages(checkout: &Checkout, tool: &str) -> Outcome<Vec<String>> {
    let folder = checkout.at("docs/tools");
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let is_own = |name: &String| {
        let rest = name.strip_prefix(tool).and_then(|rest| rest.strip_suffix(".md"));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(is_own)
        .map(|name| format!("docs/tools/{name}"))
        .collect();
    names.sort();
    Ok(names)
}

/// The drop-ins whose package is there, by import name.
fn all(checkout: &Checkout) -> Outcome<Vec<DropIn>> {
    let mut dropins = Vec::new();
    for tool in original::tools(checkout)? {
        let folder = checkout.at("tools").join(&tool);
        let scores = score::read(&folder)?;
        let results = results(checkout, &tool)?;
        let originals = original::originals(&folder)?.originals;
        let is_only = originals.len() == 1;
        for original in originals {
            if !checkout.at("python/naja").join(&original.import).join("__init__.py").is_file() {
                continue;
            }
            let is_own = |case: &&Value| match case.get("original").and_then(Value::as_str) {
                Some(name) => name == original.name,
                None => is_only,
            };
            let cases = results.iter().filter(is_own).filter_map(read_case).collect();
            let score = scores.scores.get(&original.name).cloned();
            let labels = original.on.iter().map(|on| original.label(Some(on)));
            let on_servers = labels
                .filter_map(|label| Some((label.clone(), scores.scores.get(&label)?.clone())))
                .collect();
            dropins.push(DropIn { tool: tool.clone(), original, score, on_servers, cases });
        }
    }
    dropins.sort_by(|a, b| a.original.import.cmp(&b.original.import));
    Ok(dropins)
}

/// The cases in `bench/results.json` of a tool; none where nothing was measured yet.
fn results(checkout: &Checkout, tool: &str) -> Outcome<Vec<Value>> {
    let path = checkout.at("tools").join(tool).join("bench/results.json");
    if !path.is_file() {
        return Ok(Vec::new());
    }
    let results: Value = serde_json::from_str(&step::read(&path)?)
        .map_err(|error| Problem::new(format!("`{}` cannot be understood: {error}", path.display())))?;
    Ok(results.get("cases").and_then(Value::as_array).cloned().unwrap_or_default())
}

fn read_case(case: &Value) -> Option<Case> {
    let text = |name: &str| case.get(name).and_then(Value::as_str);
    let figure = |name: &str| {
        let value = case.get(name).and_then(Value::as_f64);
        value.map_or_else(String::new, |value| shown(value, text("unit").unwrap_or_default()))
    };
    Some(Case {
        case: text("case")?.to_owned(),
        beside: text("beside").map(str::to_owned),
        ratio: case.get("ratio")?.as_f64()?,
        figures: [figure("naja"), figure("peer")],
    })
}

/// A figure with three digits, seconds in the unit that suits them.
fn shown(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "s" if value < 1e-6 => (value * 1e9, "ns"),
        "s" if value < 1e-3 => (value * 1e6, "µs"),
        "s" if value < 1.0 => (value * 1e3, "ms"),
        _ => (value, unit),
    };
    let decimals =
        if value >= 100.0 { 0 } else { usize::from(value >= 10.0) + 2 * usize::from(value < 10.0) };
    format!("{value:.decimals$} {unit}").trim_end().to_owned()
}

fn table(dropins: &[DropIn]) -> String {
    let entries: Vec<Value> = dropins
        .iter()
        .map(|one| {
            // Beside something else a ratio says nothing of what the swap gains.
            let cases: Vec<Value> = one
                .cases
                .iter()
                .filter(|case| case.beside.is_none())
                .map(|case| json!({ "case": case.case, "ratio": case.ratio }))
                .collect();
            json!({
                "import": one.original.import,
                "module": format!("naja.{}", one.original.import),
                "tool": one.tool,
                "original": one.original.name,
                "version": one.original.version,
                "safe-names": one.original.safe_names,
                "score": one.score,
                "cases": cases,
            })
        })
        .collect();
    let text = serde_json::to_string_pretty(&json!({ "dropins": entries })).expect("it is plain data");
    format!("{text}\n")
}

fn page(dropins: &[DropIn]) -> String {
    let mut page = String::from(
        "# Drop-ins\n\nWhat `naja run --swap` can replace, and `import naja.…` gives without it. The tests are the \
         original's own; the total is what the original passes itself on the same machine. A ratio of 8 means an \
         eighth of the original's time. Generated by `cargo dev gen` from `score.json` and `results.json` of the \
         tools; do not edit.\n",
    );
    if dropins.is_empty() {
        page.push_str("\nThere are none yet.\n");
    }
    for one in dropins {
        let Original { name, version, import, .. } = &one.original;
        write!(
            page,
            "\n## {import}\n\n`naja.{import}` replaces {name} {version}; see [{}](../tools/{}.md).\n\n",
            one.tool, one.tool
        )
        .expect("a string takes all text");
        page.push_str(&measured(&[one], &[]));
    }
    page
}

/// The score and the ratios of some drop-ins, as lines of Markdown; with `words`, the cases that contain one of them.
fn measured(dropins: &[&DropIn], words: &[&str]) -> String {
    let mut text = String::new();
    for one in dropins {
        let is_wanted = |case: &&Case| words.is_empty() || words.iter().any(|word| case.case.contains(word));
        let cases: Vec<&Case> = one.cases.iter().filter(is_wanted).collect();
        if cases.is_empty() && !words.is_empty() {
            continue;
        }
        let Original { name, version, .. } = &one.original;
        match &one.score {
            None => writeln!(text, "{name} {version}: its own tests were not run as a whole yet."),
            Some(score) => writeln!(
                text,
                "{name} {}: {} of {} pass, {} excepted with reasons ({}).",
                score.version, score.passed, score.total, score.excepted, score.python
            ),
        }
        .expect("a string takes all text");
        for (label, score) in &one.on_servers {
            writeln!(
                text,
                "{label}: {} of {} pass, {} excepted with reasons.",
                score.passed, score.total, score.excepted
            )
            .expect("a string takes all text");
        }
        if cases.is_empty() {
            writeln!(text, "\nNothing was measured yet.\n").expect("a string takes all text");
            continue;
        }
        text.push_str("\n| case | naja | beside | ratio |\n| --- | ---: | ---: | ---: |\n");
        for case in cases {
            let [naja, peer] = &case.figures;
            let beside = case.beside.as_ref().map_or_else(String::new, |beside| format!(" ({beside})"));
            writeln!(
                text,
                "| {} | {naja} | {peer}{beside} | {} |",
                case.case.replace('|', "\\|"),
                shown(case.ratio, "")
            )
            .expect("a string takes all text");
        }
        text.push('\n');
    }
    format!("{}\n", text.trim_end())
}

/// The page with its measured part replaced; nothing where it has no such part.
fn with_measured(page: &str, measured: impl Fn(&[&str]) -> String) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (words, rest) = rest.split_once("-->")?;
    let (_, after) = rest.split_once(END)?;
    let named = words.trim().trim_start_matches(';');
    let measured =
        measured(&named.split(',').map(str::trim).filter(|word| !word.is_empty()).collect::<Vec<_>>());
    Some(format!("{before}{BEGIN}{words}-->\n\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, read_case, shown, with_measured};

    #[test]
    fn only_the_measured_part_of_a_page_is_written() {
        let page = format!("# T\n\n{BEGIN} -->\nold\n{END}\n\nmore\n");
        let expected = format!("# T\n\n{BEGIN} -->\n\n[]\n\n{END}\n\nmore\n");
        let words = |words: &[&str]| format!("{words:?}\n");
        assert_eq!(with_measured(&page, words), Some(expected.clone()));
        assert_eq!(with_measured(&expected, words), Some(expected));
        assert_eq!(with_measured("# T\n", words), None);
        let some = with_measured(&format!("{BEGIN}; rrule, New York -->\n{END}"), words);
        assert_eq!(some, Some(format!("{BEGIN}; rrule, New York -->\n\n[\"rrule\", \"New York\"]\n\n{END}")));
    }

    #[test]
    fn a_case_needs_its_name_and_its_ratio() {
        let case = read_case(&serde_json::json!({ "case": "c", "ratio": 2, "naja": 1.5e-7, "unit": "s" }));
        let case = case.expect("it has both");
        assert_eq!((case.ratio, case.figures), (2.0, ["150 ns".into(), String::new()]));
        assert!(read_case(&serde_json::json!({ "case": "c" })).is_none());
    }

    #[test]
    fn figures_have_three_digits() {
        let figures = [0.0053, 1.25e-5, 12.34].map(|value| shown(value, "s"));
        assert_eq!(figures, ["5.30 ms", "12.5 µs", "12.3 s"]);
        assert_eq!([shown(457.74, "MiB"), shown(3273.4, "")], ["458 MiB", "3273"]);
    }
}
