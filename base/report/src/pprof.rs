//! The format of pprof: `profile.proto`, compressed with gzip.
//!
//! What is counted, samples or bytes, is the caller's matter; here are its stacks, labels and texts. Start at [`Pprof`].

use std::collections::HashMap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::protobuf::Message;

/// Number of the one mapping, which stands for the program.
const PROGRAM: u64 = 1;

/// A frame of a stack.
#[derive(Clone, Copy, Debug)]
pub struct PprofFrame<'f> {
    /// The function's name.
    pub name: &'f str,
    /// Its file; empty where there is none.
    pub file: &'f str,
    /// The line that runs; 0 where it is not known.
    pub line: u32,
    /// The line of its `def`; 0 where it is not known.
    pub first_line: u32,
}

/// A label of a sample, which `pprof -tagfocus` and `-tagroot` select by.
#[derive(Clone, Copy, Debug)]
pub enum Label<'l> {
    /// A key and a text.
    Text(&'static str, &'l str),
    /// A key and a number.
    Number(&'static str, u64),
}

/// What a file says of itself.
#[derive(Clone, Copy, Debug)]
pub struct PprofHead<'h> {
    /// Name of the program.
    pub program: &'h str,
    /// When it started, nanoseconds since 1970.
    pub start_unix_ns: u64,
    /// How long it ran.
    pub duration_ns: u64,
    /// What is between two samples: its name, its unit and how much.
    pub period: (&'h str, &'h str, u64),
    /// A remark.
    pub comment: &'h str,
    /// Which of the values is shown first.
    pub default_value: &'h str,
}

/// A file in the making.
#[derive(Debug)]
pub struct Pprof {
    strings: Strings,
    profile: Message,
    functions: HashMap<(String, String), u64>,
}

impl Pprof {
    /// Begins one; `values` are the names and units of what each sample has.
    pub fn new(values: &[(&str, &str)]) -> Pprof {
        let mut pprof =
            Pprof { strings: Strings::default(), profile: Message::default(), functions: HashMap::new() };
        for (what, unit) in values {
            let value = pprof.value_type(what, unit);
            pprof.profile.message(1, &value);
        }
        pprof
    }

    /// A sample: its frames by their numbers, the innermost first, a value of each type, and labels.
    pub fn sample(&mut self, stack: impl Iterator<Item = u32>, values: &[u64], labels: &[Label<'_>]) {
        let mut sample = Message::default();
        // Location 0 means none.
        sample.packed(1, stack.map(|frame| u64::from(frame) + 1));
        sample.packed(2, values.iter().copied());
        for label in labels {
            let mut message = Message::default();
            match *label {
                Label::Text(key, value) => {
                    message.number(1, self.strings.of(key));
                    message.number(2, self.strings.of(value));
                }
                Label::Number(key, value) => {
                    message.number(1, self.strings.of(key));
                    message.number(3, value);
                }
            }
            sample.message(3, &message);
        }
        self.profile.message(2, &sample);
    }

    /// Says what the frame of a number is.
    pub fn frame(&mut self, number: u32, frame: PprofFrame<'_>) {
        let next = self.functions.len() as u64 + 1;
        let key = (frame.name.to_owned(), frame.file.to_owned());
        let id = *self.functions.entry(key).or_insert(next);
        if id == next {
            let mut function = Message::default();
            function.number(1, next);
            function.number(2, self.strings.of(frame.name));
            // No name of the system (3): pprof would take it for one of C++ and cut `<module>` out of it.
            function.number(4, self.strings.of(frame.file));
            function.number(5, u64::from(frame.first_line));
            self.profile.message(5, &function);
        }
        let mut line = Message::default();
        line.number(1, id);
        line.number(2, u64::from(frame.line));
        let mut location = Message::default();
        location.number(1, u64::from(number) + 1);
        location.number(2, PROGRAM);
        location.message(4, &line);
        self.profile.message(4, &location);
    }

    /// Writes the whole file.
    ///
    /// Errors: those of `out`
    pub fn finish(mut self, head: &PprofHead<'_>, out: &mut dyn Write) -> io::Result<()> {
        // Without it pprof complains that it does not know the program; it also says that nothing is left to look up.
        let mut program = Message::default();
        program.number(1, PROGRAM);
        program.number(5, self.strings.of(head.program));
        for has in [7, 8, 9, 10] {
            program.number(has, 1);
        }
        self.profile.message(3, &program);
        self.profile.number(9, head.start_unix_ns);
        self.profile.number(10, head.duration_ns);
        let (what, unit, period) = head.period;
        let value = self.value_type(what, unit);
        self.profile.message(11, &value);
        self.profile.number(12, period);
        self.profile.number(13, self.strings.of(head.comment));
        self.profile.number(14, self.strings.of(head.default_value));
        for text in &self.strings.texts {
            self.profile.bytes(6, text.as_bytes());
        }
        let mut encoder = GzEncoder::new(out, Compression::default());
        encoder.write_all(&self.profile.finish()).and_then(|()| encoder.finish().map(|_| ()))
    }

    fn value_type(&mut self, what: &str, unit: &str) -> Message {
        let mut message = Message::default();
        message.number(1, self.strings.of(what));
        message.number(2, self.strings.of(unit));
        message
    }
}

/// The table of strings; the first is the empty one.
#[derive(Debug)]
struct Strings {
    texts: Vec<String>,
    numbers: HashMap<String, u64>,
}

impl Default for Strings {
    fn default() -> Strings {
        Strings { texts: vec![String::new()], numbers: HashMap::from_iter([(String::new(), 0)]) }
    }
}

impl Strings {
    fn of(&mut self, text: &str) -> u64 {
        if let Some(&number) = self.numbers.get(text) {
            return number;
        }
        let number = self.texts.len() as u64;
        self.texts.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}
