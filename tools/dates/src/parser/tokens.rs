//! Cuts a text into words, numbers, spaces and symbols.
//!
//! A dot is a decimal point or a mark between parts, and which of the two is known only at the end of the whole run of
//! letters, digits and dots: "4:30:21.447" but "Sep.20.2009". A token is a place in the text, never a copy.
//! Start at [`Tokens::cut`].

use std::ops::Range;

use super::format::Mark;
use super::vocabulary::{Class, Interrupted, Meaning, Vocabulary, english};
use crate::{Error, place};

/// What a token is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Decimal digits with at most one decimal point among them.
    Number,
    /// Digits of which some cannot stand in a number, such as superscripts.
    OddDigits,
    /// Letters, or letters and digits that no rule takes apart.
    Text,
    /// One white character.
    Space,
    /// One other character.
    Symbol,
}

/// One piece of the text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    /// Where it begins, in bytes.
    pub(super) start: u32,
    /// Its length in bytes; a number's is also its length in characters.
    pub(super) len: u32,
    /// How many digits stand before the decimal point of a number, which may be a comma; all, where it has none.
    pub(super) point: u32,
    pub(super) kind: Kind,
    /// The character of a symbol in ASCII, a blank for white space, 0 otherwise.
    pub(super) symbol: u8,
    pub(super) meaning: Meaning,
}

/// The tokens of one text, and the memory for the next text's.
#[derive(Debug, Default)]
pub struct Tokens {
    pub(super) list: Vec<Token>,
    /// The tokens that were passed over, in order.
    pub(super) skipped: Vec<u32>,
    /// The text without its null characters and with every digit in ASCII, where that is another text.
    pub(super) clean: Option<String>,
    /// What each piece of the text turned out to be, where somebody wants to know.
    pub(super) marks: Option<Vec<Mark>>,
    /// Whether another text of the same shape might be read otherwise.
    pub(super) depends_on_values: bool,
    /// The token at which the text was given up, in bytes of the text or of `clean`.
    pub(super) given_up_at: Option<Range<usize>>,
}

/// Longer texts are refused, so that a place fits into 32 bits.
const LONGEST_BYTES: usize = 1 << 30;

impl Tokens {
    /// Shows where the last text was given up, if it was at one of its tokens.
    pub fn shown(&self, text: &str) -> Option<String> {
        let place = self.given_up_at.clone()?;
        Some(place::shown(self.clean.as_deref().unwrap_or(text), place))
    }

    /// Cuts a text and looks every token up.
    pub(super) fn cut(&mut self, text: &str, vocabulary: &dyn Vocabulary) -> Result<(), Error> {
        self.list.clear();
        self.skipped.clear();
        self.depends_on_values = false;
        self.given_up_at = None;
        self.clean = None;
        if text.len() > LONGEST_BYTES {
            return Err(Error::UnknownFormat);
        }
        if !text.bytes().all(|byte| byte != 0 && byte < 128) {
            let clean = cleaned(text, vocabulary);
            let class = |at: usize| class_of(clean[at..].chars().next(), vocabulary);
            cut_into(&mut self.list, &clean, class, |token| vocabulary.meaning(token))?;
            self.clean = Some(clean);
        } else if vocabulary.is_english() {
            cut_into(&mut self.list, text, |at| class_of_byte(text, at), |token| Ok(english(token)))?;
        } else {
            cut_into(&mut self.list, text, |at| class_of_byte(text, at), |token| vocabulary.meaning(token))?;
        }
        Ok(())
    }

    /// The text that the tokens' places are in.
    pub(super) fn text<'t>(&'t self, text: &'t str) -> &'t str {
        self.clean.as_deref().unwrap_or(text)
    }

    /// The pieces of the text that were passed over; neighbours are joined, and a white character is a blank.
    pub fn skipped(&self, text: &str) -> Vec<String> {
        let text = self.text(text);
        let mut pieces: Vec<String> = Vec::new();
        let mut previous = None;
        for &index in &self.skipped {
            let token = &self.list[index as usize];
            let piece = if token.kind == Kind::Space { " " } else { token.text(text) };
            match pieces.last_mut() {
                Some(last) if previous == Some(index.wrapping_sub(1)) => last.push_str(piece),
                _ => pieces.push(piece.to_owned()),
            }
            previous = Some(index);
        }
        pieces
    }

    /// The tokens as text, as they are looked up.
    pub fn pieces<'t>(&'t self, text: &'t str) -> impl Iterator<Item = &'t str> {
        let text = self.text(text);
        self.list.iter().map(|token| if token.kind == Kind::Space { " " } else { token.text(text) })
    }
}

impl Token {
    pub(super) fn text<'t>(&self, text: &'t str) -> &'t str {
        &text[self.start as usize..(self.start + self.len) as usize]
    }

    /// The digits of a number before its decimal point, and those after it.
    pub(super) fn digits<'t>(&self, text: &'t str) -> (&'t [u8], &'t [u8]) {
        let digits = self.text(text).as_bytes();
        let (whole, rest) = digits.split_at(self.point as usize);
        (whole, rest.get(1..).unwrap_or_default())
    }

    /// A number without a decimal point.
    pub(super) fn is_whole(&self) -> bool {
        self.kind == Kind::Number && self.point == self.len
    }
}

/// What a byte of a text in ASCII is; `None` after its end.
#[inline]
fn class_of_byte(text: &str, at: usize) -> Option<(Class, usize)> {
    let byte = *text.as_bytes().get(at)?;
    Some((ascii_class(byte), 1))
}

#[inline]
fn ascii_class(byte: u8) -> Class {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' => Class::Digit(Some(byte - b'0')),
        b' ' | 9..=13 | 28..=31 => Class::Space,
        _ => Class::Symbol,
    }
}

fn class_of(character: Option<char>, vocabulary: &dyn Vocabulary) -> Option<(Class, usize)> {
    let character = character?;
    let class = match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => ascii_class(byte),
        _ => vocabulary.class(character),
    };
    Some((class, character.len_utf8()))
}

/// Takes null characters out, as the original does, and writes the digits of every number in ASCII.
fn cleaned(text: &str, vocabulary: &dyn Vocabulary) -> String {
    let class = |character: char| match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() => ascii_class(byte),
        _ => vocabulary.class(character),
    };
    let characters: Vec<(char, Class)> = text
        .chars()
        .filter(|character| *character != '\0')
        .map(|character| (character, class(character)))
        .collect();
    let is_of_number = |(character, class): &(char, Class)| {
        matches!(class, Class::Digit(_)) || matches!(character, '.' | ',')
    };
    let mut clean = String::with_capacity(text.len());
    for run in characters.chunk_by(|one, other| is_of_number(one) == is_of_number(other)) {
        // With a superscript among them the digits are no number, and stay as they are.
        let is_number = run.iter().all(|(_, class)| *class != Class::Digit(None));
        clean.extend(run.iter().map(|(character, class)| match class {
            Class::Digit(Some(digit)) if is_number => char::from(b'0' + digit),
            _ => *character,
        }));
    }
    clean
}

/// A cut through one text.
struct Cut<'t, C, M> {
    list: &'t mut Vec<Token>,
    text: &'t str,
    class: C,
    meaning: M,
}

fn cut_into<C, M>(list: &mut Vec<Token>, text: &str, class: C, meaning: M) -> Result<(), Interrupted>
where
    C: Fn(usize) -> Option<(Class, usize)>,
    M: Fn(&str) -> Result<Meaning, Interrupted>,
{
    let mut cut = Cut { list, text, class, meaning };
    let mut at = 0;
    while let Some((class, width)) = (cut.class)(at) {
        at = match class {
            Class::Letter => cut.word(at)?,
            Class::Digit(_) => cut.number(at)?,
            Class::Space => {
                let token = Token { symbol: b' ', ..token(at, at + width, Kind::Space) };
                cut.push(token, " ")?;
                at + width
            }
            Class::Symbol => {
                let symbol = if width == 1 { text.as_bytes()[at] } else { 0 };
                let token = Token { symbol, ..token(at, at + width, Kind::Symbol) };
                cut.push(token, &text[at..at + width])?;
                at + width
            }
        };
    }
    Ok(())
}

#[inline]
fn token(start: usize, end: usize, kind: Kind) -> Token {
    let place = |at: usize| u32::try_from(at).expect("the text is shorter than `LONGEST_BYTES`");
    let len = place(end - start);
    Token { start: place(start), len, point: len, kind, symbol: 0, meaning: Meaning::NONE }
}

impl<C, M> Cut<'_, C, M>
where
    C: Fn(usize) -> Option<(Class, usize)>,
    M: Fn(&str) -> Result<Meaning, Interrupted>,
{
    #[inline]
    fn push(&mut self, token: Token, word: &str) -> Result<(), Interrupted> {
        let meaning = (self.meaning)(word)?;
        self.list.push(Token { meaning, ..token });
        Ok(())
    }

    /// A run of letters, and what dots join to it.
    #[inline]
    fn word(&mut self, start: usize) -> Result<usize, Interrupted> {
        let mut at = start;
        while let Some((Class::Letter, width)) = (self.class)(at) {
            at += width;
        }
        if self.text.as_bytes().get(at) == Some(&b'.') {
            return self.dotted(start, at, true, false);
        }
        self.push(token(start, at, Kind::Text), &self.text[start..at])?;
        Ok(at)
    }

    /// A run of digits, and what a decimal point or dots join to it.
    #[inline]
    fn number(&mut self, start: usize) -> Result<usize, Interrupted> {
        let mut at = start;
        let mut count = 0;
        let mut odd = false;
        while let Some((Class::Digit(digit), width)) = (self.class)(at) {
            at += width;
            count += 1;
            odd |= digit.is_none();
        }
        match self.text.as_bytes().get(at) {
            Some(b'.') => return self.dotted(start, at, false, odd),
            // A comma after one digit is a mark between parts: "4, 2017".
            Some(b',') if count >= 2 => return self.dotted(start, at, false, odd),
            _ => {}
        }
        let kind = if odd { Kind::OddDigits } else { Kind::Number };
        self.push(token(start, at, kind), &self.text[start..at])?;
        Ok(at)
    }

    /// The rest of a run that has a dot, or a comma after digits, at `mark`; then decides whether the marks divide it.
    fn dotted(
        &mut self,
        start: usize,
        mark: usize,
        letters_before: bool,
        odd_before: bool,
    ) -> Result<usize, Interrupted> {
        let text = self.text;
        let mut in_letters = letters_before;
        let mut seen_letters = letters_before;
        let mut odd = odd_before;
        let mut dots = usize::from(text.as_bytes()[mark] == b'.');
        let mut at = mark + 1;
        loop {
            let after_dot = text.as_bytes()[at - 1] == b'.';
            let Some((class, width)) = (self.class)(at) else { break };
            // A single letter that ends the whole text does not count as a letter: so in the original.
            seen_letters |= in_letters;
            match class {
                Class::Symbol if text.as_bytes()[at] == b'.' => dots += 1,
                Class::Letter if in_letters || after_dot => in_letters = true,
                Class::Digit(digit) if !in_letters || after_dot => {
                    in_letters = false;
                    odd |= digit.is_none();
                }
                _ => break,
            }
            at += width;
        }
        let run = &text[start..at];
        if seen_letters || dots > 1 || run.ends_with(['.', ',']) {
            self.divide(start, at)?;
        } else {
            self.undivided(start, mark, at, dots, odd || in_letters)?;
        }
        Ok(at)
    }

    /// A run with one decimal point.
    fn undivided(
        &mut self,
        start: usize,
        mark: usize,
        end: usize,
        dots: usize,
        no_number: bool,
    ) -> Result<(), Interrupted> {
        let text = self.text;
        let commas = usize::from(text.as_bytes()[mark] == b',');
        if no_number || dots + commas > 1 {
            return self.push(token(start, end, Kind::Text), &text[start..end]);
        }
        let point = u32::try_from(mark - start).expect("the text is shorter than `LONGEST_BYTES`");
        self.push(Token { point, ..token(start, end, Kind::Number) }, &text[start..end])
    }

    /// A run whose marks stand between parts: each part and each mark is a token.
    fn divide(&mut self, start: usize, end: usize) -> Result<(), Interrupted> {
        let text = self.text;
        let mut at = start;
        for part in text[start..end].split_inclusive(['.', ',']) {
            let bare = part.trim_end_matches(['.', ',']);
            if let Some((class, _)) = (self.class)(at).filter(|_| !bare.is_empty()) {
                let kind = match class {
                    Class::Digit(_) if bare.bytes().all(|byte| byte.is_ascii_digit()) => Kind::Number,
                    Class::Digit(_) => Kind::OddDigits,
                    _ => Kind::Text,
                };
                self.push(token(at, at + bare.len(), kind), bare)?;
            }
            at += bare.len();
            if part.len() > bare.len() {
                let symbol = text.as_bytes()[at];
                self.push(Token { symbol, ..token(at, at + 1, Kind::Symbol) }, &text[at..=at])?;
                at += 1;
            }
        }
        Ok(())
    }
}
