//! Cuts text into numbers, words, white space and single signs.
//!
//! Every byte belongs to exactly one token. A run longer than [`LONGEST_RUN`] is cut into several tokens of kind
//! [`Kind::Long`], which no date contains, so that looking a few tokens ahead has a bounded cost on any text.

use super::names::{self, Meaning};

/// Bytes after which a run of letters, digits or white space is cut.
pub(super) const LONGEST_RUN: usize = 512;

#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// ASCII digits; `value` is right for up to nine of them.
    Number { value: u32, digits: u8 },
    /// Letters that touch each other, with what they mean to a date.
    Word(Option<&'static Meaning>),
    /// White space with its line breaks (0, 1, or 2 for more).
    Space { lines: u8 },
    /// Any other character.
    Sign(char),
    /// A part of something too long to be looked at.
    Long,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Offsets in bytes into the text that was cut.
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Cuts `text` and appends to `tokens`. Without `multiline`, a line break counts as two: no date goes on behind it.
pub(super) fn cut(text: &str, multiline: bool, tokens: &mut Vec<Token>) {
    let bytes = text.as_bytes();
    let mut start = 0;
    while let Some(&first) = bytes.get(start) {
        let (kind, end) = match first {
            b'0'..=b'9' => number(bytes, start),
            b'a'..=b'z' | b'A'..=b'Z' => word(text, start),
            b' ' | b'\t'..=b'\r' => space(text, start, multiline),
            0..=0x7f => (Kind::Sign(first as char), start + 1),
            _ => {
                let letter = character(text, start);
                if in_word(letter) {
                    word(text, start)
                } else if letter.is_whitespace() {
                    space(text, start, multiline)
                } else {
                    (Kind::Sign(letter), start + letter.len_utf8())
                }
            }
        };
        tokens.push(Token { kind, start, end });
        start = end;
    }
}

fn number(bytes: &[u8], start: usize) -> (Kind, usize) {
    let run = bytes[start..].iter().take(LONGEST_RUN).take_while(|byte| byte.is_ascii_digit()).count();
    let end = start + run;
    if run == LONGEST_RUN || run > 20 {
        return (Kind::Long, end);
    }
    let value = bytes[start..end].iter().take(9).fold(0, |value, byte| value * 10 + u32::from(byte - b'0'));
    (Kind::Number { value, digits: u8::try_from(run).expect("at most twenty") }, end)
}

fn word(text: &str, start: usize) -> (Kind, usize) {
    let bytes = text.as_bytes();
    let mut folded = [0; names::LONGEST];
    let mut length = 0;
    let mut known = true;
    let mut end = start;
    while let Some(&byte) = bytes.get(end) {
        if end - start >= LONGEST_RUN {
            return (Kind::Long, end);
        }
        let letter = if byte < 0x80 { byte as char } else { character(text, end) };
        if !in_word(letter) {
            break;
        }
        match names::fold(letter) {
            Some(letter) if length < folded.len() => {
                folded[length] = letter;
                length += 1;
            }
            _ => known = false,
        }
        end += letter.len_utf8();
    }
    let folded = std::str::from_utf8(&folded[..length]).expect("folded letters are ASCII");
    (Kind::Word(if known { names::meaning(folded) } else { None }), end)
}

fn space(text: &str, start: usize, multiline: bool) -> (Kind, usize) {
    let mut lines: u8 = 0;
    let mut end = start;
    for letter in text[start..].chars() {
        if end - start >= LONGEST_RUN {
            return (Kind::Long, end);
        }
        if !letter.is_whitespace() {
            break;
        }
        let more = if multiline { 1 } else { 2 };
        lines = (lines + if letter == '\n' { more } else { 0 }).min(2);
        end += letter.len_utf8();
    }
    (Kind::Space { lines }, end)
}

fn character(text: &str, at: usize) -> char {
    text[at..].chars().next().expect("a token starts inside of the text")
}

/// Letters of scripts that put no space between words stand alone, so that a number may touch them.
fn in_word(letter: char) -> bool {
    match letter {
        'a'..='z' | 'A'..='Z' => true,
        '\0'..='\u{7f}' | '\u{2e80}'.. => false,
        // A combining accent belongs to its letter.
        '\u{300}'..='\u{36f}' => true,
        _ => letter.is_alphabetic(),
    }
}
