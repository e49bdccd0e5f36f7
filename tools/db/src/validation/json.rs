//! JSON with the place of every value, as Python's `json` reads it and complains about it.
//!
//! A document is a slice of characters, so that places are the indexes of Python's strings. The scanner keeps its
//! own stack: no depth of nesting can overflow the thread's. Start at [`scan`].

use std::borrow::Cow;

/// One character of a document: a byte of ASCII, or any code point of a Python string, halves of surrogate pairs too.
pub trait Unit: Copy {
    /// Its code point.
    fn code(self) -> u32;

    /// Characters as text; `None` where half a surrogate pair is among them.
    fn text(units: &[Self]) -> Option<Cow<'_, str>>;
}

impl Unit for u8 {
    fn code(self) -> u32 {
        u32::from(self)
    }

    fn text(units: &[Self]) -> Option<Cow<'_, str>> {
        std::str::from_utf8(units).ok().map(Cow::Borrowed)
    }
}

impl Unit for u32 {
    fn code(self) -> u32 {
        self
    }

    fn text(units: &[Self]) -> Option<Cow<'_, str>> {
        units.iter().map(|code| char::from_u32(*code)).collect::<Option<String>>().map(Cow::Owned)
    }
}

/// The first and the last character of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The index of the first one.
    pub start: usize,
    /// The index of the last one.
    pub end: usize,
}

/// What a document is made of, given to a [`Sink`] in the order in which it ends.
#[derive(Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of at most 18 digits.
    Whole(i64),
    /// A longer one, as written.
    Long(String),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string that stands in the document as it is: the indexes of its characters.
    Plain(usize, usize),
    /// A string with escapes: its code points.
    Escaped(&'a [u32]),
}

/// What makes something of a document.
pub trait Sink {
    /// What can go wrong there.
    type Error;
    /// A value that is no list and no object.
    fn scalar(&mut self, value: Value<'_>, span: Span) -> Result<(), Self::Error>;
    /// A key of the innermost object; its value comes next.
    fn key(&mut self, value: Value<'_>, span: Span) -> Result<(), Self::Error>;
    /// A list begins; what follows up to its end is in it.
    fn open_list(&mut self) -> Result<(), Self::Error>;
    /// An object begins.
    fn open_object(&mut self) -> Result<(), Self::Error>;
    /// The innermost list or object ends.
    fn close(&mut self, span: Span) -> Result<(), Self::Error>;
}

/// Why a document is none, with the words of Python's `json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub text: &'static str,
    /// Index of the character that shows it.
    pub index: usize,
}

/// How a scan ends early.
#[derive(Debug)]
pub enum Stop<E> {
    /// The document is wrong.
    Fault(Fault),
    /// The sink refused.
    Sink(E),
}

impl<E> From<Fault> for Stop<E> {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

const KEY_EXPECTED: &str = "Expecting property name enclosed in double quotes";
const COMMA_EXPECTED: &str = "Expecting ',' delimiter";
const VALUE_EXPECTED: &str = "Expecting value";

/// What may differ between versions of Python.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    /// From 3.13 on, a comma before `]` has a complaint of its own.
    pub names_trailing_comma: bool,
}

/// Reads a whole document into a sink.
///
/// Cost: O(n) time; memory for the depth of nesting and for one string with escapes.
pub fn scan<T: Unit, S: Sink>(content: &[T], words: Words, sink: &mut S) -> Result<(), Stop<S::Error>> {
    let mut scanner = Scanner { content, at: 0, text: Vec::new() };
    let mut open: Vec<Open> = Vec::new();
    scanner.skip_white();
    loop {
        // Here a value is due.
        let start = scanner.at;
        match scanner.code() {
            Some(OBJECT) => {
                scanner.at += 1;
                scanner.skip_white();
                sink.open_object().map_err(Stop::Sink)?;
                if scanner.code() != Some(OBJECT_END) {
                    open.push(Open { start, is_object: true });
                    scanner.key(sink)?;
                    continue;
                }
                scanner.at += 1;
                sink.close(Span { start, end: scanner.at - 1 }).map_err(Stop::Sink)?;
            }
            Some(LIST) => {
                scanner.at += 1;
                scanner.skip_white();
                sink.open_list().map_err(Stop::Sink)?;
                if scanner.code() != Some(LIST_END) {
                    open.push(Open { start, is_object: false });
                    continue;
                }
                scanner.at += 1;
                sink.close(Span { start, end: scanner.at - 1 }).map_err(Stop::Sink)?;
            }
            _ => scanner.scalar(sink)?,
        }
        // Here a value has ended: so may what it stands in.
        loop {
            scanner.skip_white();
            let Some(innermost) = open.last() else {
                if scanner.at < content.len() {
                    return Err(Fault { text: "Extra data", index: scanner.at }.into());
                }
                return Ok(());
            };
            let (is_object, start) = (innermost.is_object, innermost.start);
            let next = scanner.code();
            if next == Some(if is_object { OBJECT_END } else { LIST_END }) {
                scanner.at += 1;
                open.pop();
                sink.close(Span { start, end: scanner.at - 1 }).map_err(Stop::Sink)?;
                continue;
            }
            if next != Some(COMMA) {
                return Err(Fault { text: COMMA_EXPECTED, index: scanner.at }.into());
            }
            let comma = scanner.at;
            scanner.at += 1;
            scanner.skip_white();
            if is_object {
                scanner.key(sink)?;
            } else if words.names_trailing_comma && scanner.code() == Some(LIST_END) {
                return Err(Fault { text: "Illegal trailing comma before end of array", index: comma }.into());
            }
            break;
        }
    }
}

const QUOTE: u32 = '"' as u32;
const BACKSLASH: u32 = '\\' as u32;
const OBJECT: u32 = '{' as u32;
const OBJECT_END: u32 = '}' as u32;
const LIST: u32 = '[' as u32;
const LIST_END: u32 = ']' as u32;
const COMMA: u32 = ',' as u32;
const COLON: u32 = ':' as u32;

/// A list or an object that has not ended yet.
struct Open {
    start: usize,
    is_object: bool,
}

/// How a string stands in the document.
enum Text {
    Plain(usize, usize),
    Escaped,
}

struct Scanner<'a, T> {
    content: &'a [T],
    at: usize,
    /// The code points of a string with escapes; kept, so that its memory is used again.
    text: Vec<u32>,
}

impl<T: Unit> Scanner<'_, T> {
    fn code(&self) -> Option<u32> {
        self.content.get(self.at).map(|unit| unit.code())
    }

    fn code_at(&self, index: usize) -> Option<u32> {
        self.content.get(index).map(|unit| unit.code())
    }

    fn skip_white(&mut self) {
        while matches!(self.code(), Some(0x20 | 0x09 | 0x0a | 0x0d)) {
            self.at += 1;
        }
    }

    /// A key and the colon behind it, up to where its value begins.
    fn key<S: Sink>(&mut self, sink: &mut S) -> Result<(), Stop<S::Error>> {
        let start = self.at;
        if self.code() != Some(QUOTE) {
            return Err(Fault { text: KEY_EXPECTED, index: start }.into());
        }
        let text = self.string()?;
        let span = Span { start, end: self.at - 1 };
        let value = self.value_of(&text);
        sink.key(value, span).map_err(Stop::Sink)?;
        self.skip_white();
        if self.code() != Some(COLON) {
            return Err(Fault { text: "Expecting ':' delimiter", index: self.at }.into());
        }
        self.at += 1;
        self.skip_white();
        Ok(())
    }

    fn value_of(&self, text: &Text) -> Value<'_> {
        match text {
            Text::Plain(start, end) => Value::Plain(*start, *end),
            Text::Escaped => Value::Escaped(&self.text),
        }
    }

    fn scalar<S: Sink>(&mut self, sink: &mut S) -> Result<(), Stop<S::Error>> {
        let start = self.at;
        if self.code() == Some(QUOTE) {
            let text = self.string()?;
            let span = Span { start, end: self.at - 1 };
            return sink.scalar(self.value_of(&text), span).map_err(Stop::Sink);
        }
        let words = [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
        for (word, value) in words {
            if self.has_word(word) {
                self.at += word.len();
                return sink.scalar(value, Span { start, end: self.at - 1 }).map_err(Stop::Sink);
            }
        }
        let value = self.number().ok_or(Fault { text: VALUE_EXPECTED, index: start })?;
        sink.scalar(value, Span { start, end: self.at - 1 }).map_err(Stop::Sink)
    }

    fn has_word(&self, word: &str) -> bool {
        word.bytes().enumerate().all(|(place, byte)| self.code_at(self.at + place) == Some(u32::from(byte)))
    }

    fn digits_from(&self, mut index: usize) -> usize {
        while self.code_at(index).is_some_and(|code| (0x30..0x3a).contains(&code)) {
            index += 1;
        }
        index
    }

    fn number(&mut self) -> Option<Value<'static>> {
        let start = self.at;
        let first = if self.code() == Some('-' as u32) { start + 1 } else { start };
        let whole_end = match self.code_at(first)? {
            0x30 => first + 1,
            0x31..0x3a => self.digits_from(first),
            _ => return None,
        };
        let mut end = whole_end;
        if self.code_at(end) == Some('.' as u32) {
            let fraction_end = self.digits_from(end + 1);
            if fraction_end > end + 1 {
                end = fraction_end;
            }
        }
        if matches!(self.code_at(end), Some(0x65 | 0x45)) {
            let is_signed = matches!(self.code_at(end + 1), Some(0x2b | 0x2d));
            let digits = end + 1 + usize::from(is_signed);
            let exponent_end = self.digits_from(digits);
            if exponent_end > digits {
                end = exponent_end;
            }
        }
        self.at = end;
        // Digits, signs, a point and an `e`: all of ASCII.
        let written =
            || self.content[start..end].iter().map(|unit| unit.code() as u8 as char).collect::<String>();
        if end > whole_end {
            return written().parse().ok().map(Value::Float);
        }
        if end - first > 18 {
            return Some(Value::Long(written()));
        }
        let digits = &self.content[first..end];
        let value = digits.iter().fold(0i64, |sum, digit| sum * 10 + i64::from(digit.code() - 0x30));
        Some(Value::Whole(if first > start { -value } else { value }))
    }

    /// A string, from its first quote to behind its last one.
    fn string(&mut self) -> Result<Text, Fault> {
        let quote = self.at;
        let first = quote + 1;
        let mut index = first;
        loop {
            match self.code_at(index) {
                None => return Err(Fault { text: "Unterminated string starting at", index: quote }),
                Some(QUOTE) => {
                    self.at = index + 1;
                    return Ok(Text::Plain(first, index));
                }
                Some(BACKSLASH) => break,
                Some(0..0x20) => return Err(Fault { text: "Invalid control character at", index }),
                Some(_) => index += 1,
            }
        }
        self.text.clear();
        self.text.extend(self.content[first..index].iter().map(|unit| unit.code()));
        loop {
            match self.code_at(index) {
                None => return Err(Fault { text: "Unterminated string starting at", index: quote }),
                Some(QUOTE) => {
                    self.at = index + 1;
                    return Ok(Text::Escaped);
                }
                Some(BACKSLASH) => index = self.escape(quote, index)?,
                Some(0..0x20) => return Err(Fault { text: "Invalid control character at", index }),
                Some(code) => {
                    self.text.push(code);
                    index += 1;
                }
            }
        }
    }

    /// One escape, whose backslash is at `index`; gives where the text goes on.
    fn escape(&mut self, quote: usize, index: usize) -> Result<usize, Fault> {
        let Some(kind) = self.code_at(index + 1) else {
            return Err(Fault { text: "Unterminated string starting at", index: quote });
        };
        let plain = match kind {
            QUOTE | BACKSLASH | 0x2f => kind,
            0x62 => 0x08,
            0x66 => 0x0c,
            0x6e => 0x0a,
            0x72 => 0x0d,
            0x74 => 0x09,
            0x75 => return self.code_escape(index),
            _ => return Err(Fault { text: "Invalid \\escape", index }),
        };
        self.text.push(plain);
        Ok(index + 2)
    }

    /// `\u0041`, and two of them where they are the halves of a pair.
    fn code_escape(&mut self, index: usize) -> Result<usize, Fault> {
        let invalid = Fault { text: "Invalid \\uXXXX escape", index: index + 1 };
        // A quote has to follow at least.
        let first = self.code_at(index + 6).and_then(|_| self.hexadecimal(index + 2)).ok_or(invalid)?;
        if (0xd800..0xdc00).contains(&first)
            && self.code_at(index + 6) == Some(BACKSLASH)
            && self.code_at(index + 7) == Some(0x75)
            && let Some(second @ 0xdc00..0xe000) = self.hexadecimal(index + 8)
        {
            self.text.push(0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00)));
            return Ok(index + 12);
        }
        self.text.push(first);
        Ok(index + 6)
    }

    fn hexadecimal(&self, index: usize) -> Option<u32> {
        (index..index + 4).try_fold(0, |sum, place| {
            let digit = char::from_u32(self.code_at(place)?)?.to_digit(16)?;
            Some(sum << 4 | digit)
        })
    }
}
