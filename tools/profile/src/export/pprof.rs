//! The format of pprof: `profile.proto`, compressed with gzip.
//!
//! A sample is a stack of a thread in a state, with its count, its time and its time on a processor; thread, process
//! and state are labels, which `pprof -tagfocus` and `-tagroot` select by.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use naja_recording::{State, ThreadId};
use naja_system::Failure;
use rustc_hash::FxHashMap;

use super::cannot_write;
use super::content::Content;
use super::stacks::{Shape, StackId, Stacks};
use super::time_line::is_running;
use naja_report::protobuf::Message;

/// Number of the one mapping, which stands for the program.
const PROGRAM: u64 = 1;

/// Writes the file.
pub(super) fn write(content: &Content<'_>, out: &mut dyn Write) -> Result<(), Failure> {
    let mut stacks = Stacks::new(content, Shape::Bare);
    // Ordered, so that the same recording gives the same file.
    let mut ticks: BTreeMap<(ThreadId, StackId, State), u64> = BTreeMap::new();
    content.counted(&mut |thread, stretch| {
        let stack = stacks.of(thread, &stretch.run);
        *ticks.entry((thread.id, stack, stretch.run.state)).or_default() += u64::from(stretch.run.ticks);
        Ok(())
    })?;
    let bytes = profile(content, &stacks, &ticks);
    let mut encoder = GzEncoder::new(out, Compression::default());
    encoder.write_all(&bytes).and_then(|()| encoder.finish().map(|_| ())).map_err(cannot_write)
}

fn profile(
    content: &Content<'_>,
    stacks: &Stacks<'_>,
    ticks: &BTreeMap<(ThreadId, StackId, State), u64>,
) -> Vec<u8> {
    let header = content.header();
    let mut strings = Strings::default();
    let mut profile = Message::default();
    for (what, unit) in [("samples", "count"), ("wall", "nanoseconds"), ("cpu", "nanoseconds")] {
        profile.message(1, &value_type(&mut strings, what, unit));
    }
    for (&(thread, stack, state), &count) in ticks {
        let wall = count.saturating_mul(header.interval_ns);
        let run = naja_recording::Run { state, ..Default::default() };
        let mut sample = Message::default();
        // The innermost frame comes first; location 0 means none.
        sample.packed(1, stacks.path(stack).iter().rev().map(|&frame| u64::from(frame) + 1));
        sample.packed(2, [count, wall, if is_running(&run) { wall } else { 0 }].into_iter());
        if let Some(thread) = content.thread(thread) {
            sample.message(3, &text_label(&mut strings, "thread", &thread.name));
            sample.message(3, &number_label(&mut strings, "thread_id", thread.os_tid));
            let pid = content.process(thread.process).map_or(0, |process| process.pid);
            sample.message(3, &number_label(&mut strings, "process", pid));
        }
        sample.message(3, &text_label(&mut strings, "state", state.word()));
        profile.message(2, &sample);
    }
    // Without it pprof complains that it does not know the program; it also says that nothing is left to look up.
    let mut program = Message::default();
    program.number(1, PROGRAM);
    program.number(5, strings.of(header.command.first().map_or("", String::as_str)));
    for has in [7, 8, 9, 10] {
        program.number(has, 1);
    }
    profile.message(3, &program);
    locations(stacks, &mut strings, &mut profile);
    // The program starts at the recording's start; what was cut away shortens the time that is shown.
    profile.number(9, header.start_unix_ns.saturating_add(content.from.saturating_mul(header.interval_ns)));
    profile.number(10, content.until.saturating_sub(content.from).saturating_mul(header.interval_ns));
    profile.message(11, &value_type(&mut strings, "wall", "nanoseconds"));
    profile.number(12, header.interval_ns);
    profile.number(13, strings.of(&header.command.join(" ")));
    profile.number(14, strings.of("wall"));
    for text in &strings.texts {
        profile.bytes(6, text.as_bytes());
    }
    profile.finish()
}

/// A location for each frame, a function for each name and file.
fn locations(stacks: &Stacks<'_>, strings: &mut Strings, profile: &mut Message) {
    let mut functions: FxHashMap<(&str, &str), u64> = FxHashMap::default();
    for (index, frame) in (0_u32..).zip(&stacks.frames) {
        let next = functions.len() as u64 + 1;
        let id = *functions.entry((&frame.name, &frame.file)).or_insert_with(|| {
            let mut function = Message::default();
            function.number(1, next);
            function.number(2, strings.of(&frame.name));
            // No name of the system (3): pprof would take it for one of C++ and cut `<module>` out of it.
            function.number(4, strings.of(&frame.file));
            function.number(5, u64::from(stacks.first_line(index)));
            profile.message(5, &function);
            next
        });
        let mut line = Message::default();
        line.number(1, id);
        line.number(2, u64::from(frame.line));
        let mut location = Message::default();
        location.number(1, u64::from(index) + 1);
        location.number(2, PROGRAM);
        location.message(4, &line);
        profile.message(4, &location);
    }
}

fn value_type(strings: &mut Strings, what: &str, unit: &str) -> Message {
    let mut message = Message::default();
    message.number(1, strings.of(what));
    message.number(2, strings.of(unit));
    message
}

fn text_label(strings: &mut Strings, key: &str, value: &str) -> Message {
    let mut message = Message::default();
    message.number(1, strings.of(key));
    message.number(2, strings.of(value));
    message
}

fn number_label(strings: &mut Strings, key: &str, value: u32) -> Message {
    let mut message = Message::default();
    message.number(1, strings.of(key));
    message.number(3, u64::from(value));
    message
}

/// The table of strings; the first is the empty one.
struct Strings {
    texts: Vec<String>,
    numbers: FxHashMap<String, u64>,
}

impl Default for Strings {
    fn default() -> Strings {
        Strings { texts: vec![String::new()], numbers: FxHashMap::from_iter([(String::new(), 0)]) }
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
