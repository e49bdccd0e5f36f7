//! A text, cut into tokens, with the questions that the rules ask of it.
//!
//! A token behind the last one is asked about as if it were a sign that no date contains, so rules look ahead
//! without counting.

use super::Options;
use super::moment::Moment;
use super::names::{Meaning, Role};
use super::token::{Kind, Token};

pub(super) struct Scan<'a> {
    pub(super) text: &'a str,
    pub(super) tokens: &'a [Token],
    pub(super) options: &'a Options,
    pub(super) reference: Moment,
}

impl<'a> Scan<'a> {
    pub(super) fn kind(&self, at: usize) -> Kind {
        #[cfg(test)]
        looks::count();
        self.tokens.get(at).map_or(Kind::Sign('\0'), |token| token.kind)
    }

    pub(super) fn text(&self, at: usize) -> &'a str {
        #[cfg(test)]
        looks::count();
        self.tokens.get(at).map_or("", |token| &self.text[token.start..token.end])
    }

    pub(super) fn number(&self, at: usize) -> Option<(u32, u8)> {
        match self.kind(at) {
            Kind::Number { value, digits } => Some((value, digits)),
            _ => None,
        }
    }

    pub(super) fn sign(&self, at: usize) -> Option<char> {
        match self.kind(at) {
            Kind::Sign(sign) if sign != '\0' => Some(sign),
            _ => None,
        }
    }

    pub(super) fn word(&self, at: usize) -> Option<&'static Meaning> {
        match self.kind(at) {
            Kind::Word(meaning) => meaning,
            _ => None,
        }
    }

    pub(super) fn role(&self, at: usize) -> Option<Role> {
        self.word(at).and_then(|word| word.role)
    }

    /// Whether the token is this one letter, in either case.
    pub(super) fn letter(&self, at: usize, letter: u8) -> bool {
        matches!(self.text(at).as_bytes(), [only] if only.to_ascii_lowercase() == letter)
    }

    pub(super) fn is_space(&self, at: usize) -> bool {
        matches!(self.kind(at), Kind::Space { .. })
    }

    /// Behind white space at `at`, if there is any, with at most one line break.
    pub(super) fn skip_space(&self, at: usize) -> usize {
        at + usize::from(matches!(self.kind(at), Kind::Space { lines: 0 | 1 }))
    }

    /// Behind white space at `at`, if there is any, on the same line.
    pub(super) fn skip_blank(&self, at: usize) -> usize {
        at + usize::from(matches!(self.kind(at), Kind::Space { lines: 0 }))
    }

    /// Whether the token starts with a capital letter.
    pub(super) fn is_capital(&self, at: usize) -> bool {
        self.text(at).chars().next().is_some_and(char::is_uppercase)
    }

    /// The month that token `at` names in one of the languages asked for.
    pub(super) fn month(&self, at: usize) -> Option<&'static Meaning> {
        self.word(at).filter(|word| word.month > 0 && word.month_languages & self.options.languages.0 != 0)
    }

    pub(super) fn weekday(&self, at: usize) -> Option<&'static Meaning> {
        self.word(at)
            .filter(|word| word.weekday > 0 && word.weekday_languages & self.options.languages.0 != 0)
    }
}

/// How often tokens were looked at: a test bounds that, because time differs from run to run.
#[cfg(test)]
pub(super) mod looks {
    use std::cell::Cell;

    thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    pub(in crate::find) fn count() {
        LOOKS.set(LOOKS.get() + 1);
    }

    pub(in crate::find) fn taken() -> usize {
        LOOKS.take()
    }
}
