//! Text for a terminal: amounts with their units, small graphs, aligned columns, colour.
//!
//! Colour never carries meaning alone; where it is off, nothing but the escape sequences is missing.

use std::fmt::Write;
use std::io::IsTerminal;

/// How text is written on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether escape sequences may be written.
    pub colour: bool,
    /// Columns that a line may have.
    pub columns: usize,
}

/// The narrowest and the widest text that is written, in columns.
const COLUMNS: std::ops::RangeInclusive<usize> = 60..=120;

impl Style {
    /// No colour, 100 columns: for a file, a pipe, a test.
    pub const PLAIN: Style = Style { colour: false, columns: 100 };

    /// What standard error can show. Colour needs a terminal, and `NO_COLOR` unset or empty.
    pub fn of_stderr(columns: Option<usize>) -> Style {
        Style::of(std::io::stderr().is_terminal(), columns)
    }

    /// What standard output can show: see [`Style::of_stderr`].
    pub fn of_stdout(columns: Option<usize>) -> Style {
        Style::of(std::io::stdout().is_terminal(), columns)
    }

    fn of(is_terminal: bool, columns: Option<usize>) -> Style {
        let forbidden = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        if !is_terminal {
            return Style::PLAIN;
        }
        Style { colour: !forbidden, columns: columns.unwrap_or(100).clamp(*COLUMNS.start(), *COLUMNS.end()) }
    }

    /// Stands out.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Stands back.
    pub fn faint(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// A heading.
    pub fn heading(self, text: &str) -> String {
        self.paint("1;36", text)
    }

    /// Something to look at.
    pub fn warning(self, text: &str) -> String {
        self.paint("33", text)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// A length of time with three digits that matter: `1.23 s`, `45.6 ms`, `2 min 03 s`, `1 h 02 min`.
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    match ns {
        0 => "0 s".to_owned(),
        1..1_000_000 => format!("{:.0} µs", seconds * 1e6),
        1_000_000..10_000_000 => format!("{:.1} ms", seconds * 1e3),
        10_000_000..1_000_000_000 => format!("{:.0} ms", seconds * 1e3),
        1_000_000_000..100_000_000_000 => format!("{seconds:.2} s"),
        100_000_000_000..3_600_000_000_000 => {
            format!("{} min {:02} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60)
        }
        _ => format!("{} h {:02} min", ns / 3_600_000_000_000, ns / 60_000_000_000 % 60),
    }
}

/// A size as people write it: `512`, `64kB`, `1.5 GiB`. Units of a thousand (kB, MB) and of 1,024 (KiB, MiB), in any case;
/// a letter alone is one of 1,024. Underscores may stand between digits. None for anything else.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let number = number.trim().replace('_', "");
    let unit = unit.to_ascii_lowercase();
    let power = |letters: &str| match letters {
        "k" => Some(1),
        "m" => Some(2),
        "g" => Some(3),
        "t" => Some(4),
        _ => None,
    };
    let factor: u64 = match unit.as_str() {
        "" | "b" => 1,
        unit if unit.len() == 1 => 1024_u64.pow(power(unit)?),
        unit => match (unit.strip_suffix("ib"), unit.strip_suffix('b')) {
            (Some(letter), _) => 1024_u64.pow(power(letter)?),
            (None, Some(letter)) => 1000_u64.pow(power(letter)?),
            _ => return None,
        },
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor);
    }
    let bytes = number.parse::<f64>().ok()? * factor as f64;
    // A part of a byte is none.
    (factor > 1 && bytes.is_finite() && bytes >= 0.0 && bytes < u64::MAX as f64).then_some(bytes as u64)
}

/// An amount of memory: `512 B`, `1.5 KiB`, `212 MiB`.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = count as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    if value < 10.0 { format!("{value:.1} {}", units[unit]) } else { format!("{value:.0} {}", units[unit]) }
}

/// A count with its thousands apart: `12,310`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of 1 as a percentage: `62 %`, `3.1 %`, `0.05 %`, `0 %`.
pub fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value {
        _ if !value.is_finite() || value <= 0.0 => "0 %".to_owned(),
        _ if value < 0.095 => format!("{value:.2} %"),
        _ if value < 9.95 => format!("{value:.1} %"),
        _ => format!("{value:.0} %"),
    }
}

/// A graph one line high, the highest of each stretch; empty without values.
///
/// Shape: values (n,) → at most `columns` characters; the scale starts at 0.
pub fn sparkline(values: &[u64], columns: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let highest = values.iter().copied().max().unwrap_or(0).max(1);
    let columns = columns.min(values.len());
    (0..columns)
        .map(|column| {
            let stretch = &values[column * values.len() / columns..(column + 1) * values.len() / columns];
            let value = stretch.iter().copied().max().unwrap_or(0);
            let step = u128::from(value) * (BARS.len() as u128 - 1) / u128::from(highest);
            BARS[step as usize]
        })
        .collect()
}

/// Shortens a text to so many characters by leaving out its start: the end of a path says most.
pub fn shorten(text: &str, columns: usize) -> String {
    let len = text.chars().count();
    if len <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(len + 1 - columns.max(1)).collect();
    format!("…{kept}")
}

/// Shortens a text to so many characters by leaving out its end: the start of a name says most.
pub fn shorten_end(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    let kept: String = text.chars().take(columns.max(1) - 1).collect();
    format!("{}…", kept.trim_end())
}

/// Shortens a path to so many characters by leaving out whole folders from its middle. The file's name and what
/// follows it always stay, even where they are longer.
pub fn shorten_path(path: &str, columns: usize) -> String {
    let parts: Vec<&str> = path.split('/').collect();
    let fits = |text: &String| text.chars().count() <= columns;
    if fits(&path.to_owned()) || parts.len() < 2 {
        return path.to_owned();
    }
    let (first, rest) = (parts[0], &parts[1..]);
    let with_first = (1..rest.len()).map(|left_out| format!("{first}/…/{}", rest[left_out..].join("/")));
    let without_first = (0..rest.len()).map(|left_out| format!("…/{}", rest[left_out..].join("/")));
    let name = rest[rest.len() - 1].to_owned();
    // The first folder is the package's, or empty where the path is absolute.
    let candidates = with_first.filter(|_| !first.is_empty()).chain(without_first);
    candidates.into_iter().find(fits).unwrap_or(name)
}

/// Rows of cells, each column as wide as its widest cell: the first column to the left, the rest to the
/// right.
#[derive(Debug, Default)]
pub struct Columns {
    rows: Vec<Vec<String>>,
}

impl Columns {
    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.to_vec());
    }

    /// Adds a row of as many cells as there are.
    pub fn cells(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// The rows as lines, each begun with `indent`. Cells hold no escape sequences.
    pub fn lines(&self, indent: &str) -> Vec<String> {
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let line = |row: &Vec<String>| {
            let mut text = indent.to_owned();
            for (column, cell) in row.iter().enumerate() {
                let result = match column {
                    0 => write!(text, "{cell:<width$}", width = widths[0]),
                    _ => write!(text, "  {cell:>width$}", width = widths[column]),
                };
                result.expect("writing to a string does not fail");
            }
            text.truncate(text.trim_end().len());
            text
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_read_as_people_write_them() {
        let durations = [0, 1_500, 2_340_000, 45_600_000, 1_234_000_000, 123_000_000_000, 3_720_000_000_000];
        let texts = durations.map(duration);
        assert_eq!(texts, ["0 s", "2 µs", "2.3 ms", "46 ms", "1.23 s", "2 min 03 s", "1 h 02 min"]);
        assert_eq!(
            ["512", "64kB", "1.5 GiB", "2m", "0"].map(parse_bytes),
            [512, 64_000, 1_610_612_736, 2 << 20, 0].map(Some)
        );
        assert_eq!(["", "KiB", "-1", "1 XB", "1e400", "nan", "1 MiBs"].map(parse_bytes), [None; 7]);
        assert_eq!([512, 1536, 222_298_112].map(bytes), ["512 B", "1.5 KiB", "212 MiB"]);
        assert_eq!([7, 999, 1000, 1_234_567].map(count), ["7", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.0, 0.0005, 0.031, 0.62, f64::NAN].map(percent),
            ["0 %", "0.05 %", "3.1 %", "62 %", "0 %"]
        );
    }

    #[test]
    fn a_graph_keeps_the_peak_of_every_stretch() {
        assert_eq!(sparkline(&[0, 7, 3, 0], 4), "▁█▄▁");
        assert_eq!(sparkline(&[0, 7, 3, 0], 2), "█▄");
        assert_eq!(sparkline(&[5], 10), "█");
        assert_eq!(sparkline(&[], 10), "");
        assert_eq!(sparkline(&[0, 0], 10), "▁▁");
    }

    #[test]
    fn the_end_of_a_path_stays() {
        assert_eq!(shorten("dateutil/parser/_parser.py", 12), "…/_parser.py");
        assert_eq!(shorten("a.py", 12), "a.py");
    }

    #[test]
    fn a_path_loses_whole_folders_and_keeps_its_package_and_file() {
        let path = "sqlalchemy/engine/deep/default.py:1191";
        let shortened = [40, 34, 30, 20, 16, 3].map(|columns| shorten_path(path, columns));
        assert_eq!(
            shortened,
            [
                path,
                "sqlalchemy/…/deep/default.py:1191",
                "sqlalchemy/…/default.py:1191",
                "…/default.py:1191",
                "default.py:1191",
                "default.py:1191",
            ]
        );
        assert_eq!(shorten_path("/srv/app/main.py:1", 12), "…/main.py:1");
        assert_eq!(shorten_end("ForkPoolWorker", 6), "ForkP…");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut columns = Columns::default();
        columns.row(["a".to_owned(), "1 %".to_owned(), "x".to_owned()]);
        columns.row(["abc".to_owned(), "10 %".to_owned(), String::new()]);
        assert_eq!(columns.lines("  "), ["  a     1 %  x", "  abc  10 %"]);
    }
}
