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

/// Between these lines of a tool's page stands what was measured.
const BEGIN: &str = "<!-- measured: written by `cargo dev gen` -->";
const END: &str = "<!-- end of measured -->";

/// A drop-in and what is known of it.
struct DropIn {
    tool: String,
    original: Original,
    score: Option<Score>,
    cases: Vec<Case>,
}

/// A measured case of `results.json`.
struct Case {
    case: String,
    ratio: f64,
    /// The rest of the line, for the page: naja's figure, the peer's, their unit.
    figures: [String; 3],
}

/// Every file that is written from the table, with its text.
pub(crate) fn files(checkout: &Checkout) -> Outcome<Vec<(String, String)>> {
    let dropins = all(checkout)?;
    let mut files = vec![(TABLE.to_owned(), table(&dropins)), (PAGE.to_owned(), page(&dropins))];
    for tool in original::tools(checkout)? {
        let path = format!("docs/tools/{tool}.md");
        let Ok(text) = step::read(&checkout.at(&path)) else { continue };
        let own: Vec<&DropIn> = dropins.iter().filter(|one| one.tool == tool).collect();
        if let Some(text) = with_measured(&text, &measured(&own)) {
            files.push((path, text));
        }
    }
    Ok(files)
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
            dropins.push(DropIn { tool: tool.clone(), original, score, cases });
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
    let text = |name: &str| match case.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    Some(Case {
        case: case.get("case")?.as_str()?.to_owned(),
        ratio: case.get("ratio")?.as_f64()?,
        figures: [text("naja"), text("peer"), text("unit")],
    })
}

fn table(dropins: &[DropIn]) -> String {
    let entries: Vec<Value> = dropins
        .iter()
        .map(|one| {
            let cases: Vec<Value> =
                one.cases.iter().map(|case| json!({ "case": case.case, "ratio": case.ratio })).collect();
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
        page.push_str(&measured(&[one]));
    }
    page
}

/// The score and the ratios of some drop-ins, as lines of Markdown.
fn measured(dropins: &[&DropIn]) -> String {
    let mut text = String::new();
    for one in dropins {
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
        if one.cases.is_empty() {
            writeln!(text, "\nNothing was measured yet.\n").expect("a string takes all text");
            continue;
        }
        text.push_str("\n| case | naja | original | unit | ratio |\n| --- | ---: | ---: | --- | ---: |\n");
        for case in &one.cases {
            let [naja, peer, unit] = &case.figures;
            writeln!(text, "| {} | {naja} | {peer} | {unit} | {:.1} |", case.case, case.ratio)
                .expect("a string takes all text");
        }
        text.push('\n');
    }
    format!("{}\n", text.trim_end())
}

/// The page with its measured part replaced; nothing where it has no such part.
fn with_measured(page: &str, measured: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{measured}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, read_case, with_measured};

    #[test]
    fn only_the_measured_part_of_a_page_is_written() {
        let page = format!("# T\n\n{BEGIN}\nold\n{END}\n\nmore\n");
        let expected = format!("# T\n\n{BEGIN}\n\nnew\n\n{END}\n\nmore\n");
        assert_eq!(with_measured(&page, "new\n"), Some(expected.clone()));
        assert_eq!(with_measured(&expected, "new\n"), Some(expected));
        assert_eq!(with_measured("# T\n", "new\n"), None);
    }

    #[test]
    fn a_case_needs_its_name_and_its_ratio() {
        let case = read_case(&serde_json::json!({ "case": "c", "ratio": 2, "naja": 1.5, "unit": "us" }));
        let case = case.expect("it has both");
        assert_eq!((case.ratio, case.figures), (2.0, ["1.5".into(), String::new(), "us".into()]));
        assert!(read_case(&serde_json::json!({ "case": "c" })).is_none());
    }
}
