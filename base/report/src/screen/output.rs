//! What a program has written, as lines that can stand in a table.

use super::grid::clean;

/// A line of output as a terminal would leave it: colours and what was written over are gone, tabs are spaces.
pub fn plain_line(line: &str) -> String {
    let mut text = String::new();
    // A progress bar writes its line again and again: the last state stays.
    let mut rest = line.trim_end_matches('\r').rsplit('\r').next().unwrap_or_default();
    while let Some(at) = rest.find('\u{1b}') {
        text.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let Some(sequence) = after.strip_prefix('[') else {
            rest = after.get(1..).unwrap_or_default();
            continue;
        };
        let end = sequence.find(|character: char| ('\u{40}'..'\u{7f}').contains(&character));
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    text.push_str(rest);
    clean(&text.replace('\t', "    "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_loses_what_controls_a_terminal() {
        assert_eq!(plain_line("\u{1b}[1;31mred\u{1b}[0m\tx"), "red    x");
        assert_eq!(plain_line(" 1 %\r50 %\r99 %\r"), "99 %");
        assert_eq!(plain_line("a\u{1b}"), "a");
        assert_eq!(plain_line("a\u{1b}[12"), "a");
        assert_eq!(plain_line("a\u{1b}é"), "a");
    }
}
