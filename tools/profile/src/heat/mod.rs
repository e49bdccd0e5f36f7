//! Where the time goes, line by line: own and total of each line, and the lines and functions around it.
//!
//! *Own* is time in the line itself; *total* is that and time in what it calls, each sample counted once however
//! often the line stands on its stack. Start at [`Heat::of`].

pub(crate) mod target;
pub(crate) mod text;

use naja_recording::{FunctionId, NodeId, Reader};
use naja_system::Failure;
use rustc_hash::FxHashMap;
use serde::Serialize;

use crate::export::ExportOptions;
use crate::export::content::Content;
use crate::export::stacks::label;
use naja_report::short_path;
use naja_report::sources::{self, Text};

/// The heat of a recording.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Heat {
    /// What was run.
    pub command: Vec<String>,
    /// Seconds of all samples that count, of all threads together.
    pub seconds: f64,
    /// Samples that count.
    pub samples: u64,
    /// Files in which there is any, that with the most own time first.
    pub files: Vec<FileHeat>,
}

/// The heat of a file.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FileHeat {
    /// Its name as the functions have it.
    pub file: String,
    /// Its name without folders that say nothing.
    pub short: String,
    /// Samples in its lines themselves.
    pub own: u64,
    /// Samples in its lines and in what they call.
    pub total: u64,
    /// Its functions, in order of their first lines.
    pub functions: Vec<FunctionHeat>,
    /// Lines with any heat, in order. Line 0 is a line that is not known.
    pub lines: Vec<LineHeat>,
    /// Its text; `None` where there is none.
    #[serde(skip)]
    pub text: Option<String>,
    /// Why there is no text, or where it is from; empty for a text of the recording.
    pub text_note: String,
}

/// The heat of a function.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FunctionHeat {
    /// Its qualified name.
    pub name: String,
    /// Line of its `def`; 0 where that is not known.
    pub first_line: u32,
    /// The last of its lines with any heat.
    pub last_line: u32,
    /// See [`FileHeat::own`].
    pub own: u64,
    /// See [`FileHeat::total`].
    pub total: u64,
}

/// The heat of a line.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LineHeat {
    /// Its number.
    pub line: u32,
    /// The function that it is in; of several on one line, that with the most samples.
    pub function: String,
    /// See [`FileHeat::own`].
    pub own: u64,
    /// See [`FileHeat::total`].
    pub total: u64,
    /// Lines that call its function at this line, the hottest first.
    pub callers: Vec<Neighbour>,
    /// Functions that it calls, the hottest first, with the lines of their `def`.
    pub callees: Vec<Neighbour>,
}

/// A line that calls, or a function that is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Neighbour {
    /// The function's qualified name.
    pub function: String,
    /// The file's short name.
    pub file: String,
    /// The line.
    pub line: u32,
    /// Samples on this path.
    pub samples: u64,
}

impl Heat {
    /// Sums a recording. Of `options`, mode, `idle` and the part are used.
    ///
    /// Errors: those of the recording and of its part.
    /// Cost:   one pass over the samples, O(stack nodes) time and memory beside it.
    pub fn of(reader: &Reader<'_>, options: &ExportOptions) -> Result<Heat, Failure> {
        let content = Content::new(reader, options)?;
        let mut sums = Sums::new(&content);
        let mut samples = 0;
        content.counted(&mut |_, stretch| {
            samples += u64::from(stretch.run.ticks);
            sums.add(stretch.run.node, u64::from(stretch.run.ticks));
            Ok(())
        })?;
        sums.walk(&content);
        let mut files = sums.files();
        files.sort_by(|a, b| (b.own, b.total).cmp(&(a.own, a.total)).then_with(|| a.file.cmp(&b.file)));
        add_texts(&content, reader, &mut files)?;
        Ok(Heat {
            command: content.header().command.clone(),
            seconds: content.seconds(samples),
            samples,
            files,
        })
    }

    /// A part of all samples.
    pub fn share(&self, samples: u64) -> f64 {
        samples as f64 / self.samples.max(1) as f64
    }
}

fn add_texts(content: &Content<'_>, reader: &Reader<'_>, files: &mut [FileHeat]) -> Result<(), Failure> {
    let header = content.header();
    let names: Vec<&str> = files.iter().map(|file| file.file.as_str()).collect();
    let kept = reader.sources()?;
    let recorded: Vec<(&str, &str)> =
        kept.iter().map(|source| (source.file.as_str(), source.text.as_str())).collect();
    let texts = sources::choose(&names, &recorded, &header.working_directory, header.start_unix_ns);
    for (file, text) in files.iter_mut().zip(texts) {
        match text {
            Text::Recorded(text) => file.text = Some(text),
            Text::Disk(text) => {
                file.text = Some(text);
                file.text_note = "read from disk, where it has not changed since".to_owned();
            }
            Text::Missing(reason) => file.text_note = reason.to_owned(),
        }
    }
    Ok(())
}

/// A function, whatever numbers it has in the recording.
struct Code {
    file: usize,
    name: String,
    first_line: u32,
    last_line: u32,
    own: u64,
    total: u64,
}

/// A line of a file.
#[derive(Default)]
struct Line {
    file: usize,
    number: u32,
    own: u64,
    total: u64,
    /// Own and total samples by function.
    codes: FxHashMap<usize, u64>,
    callers: FxHashMap<usize, u64>,
    callees: FxHashMap<usize, u64>,
}

/// Numbers of files, functions and lines of a node.
#[derive(Clone, Copy, Default)]
struct Place {
    code: usize,
    line: usize,
}

/// Everything that is summed.
struct Sums {
    first_node: NodeId,
    /// For each node, its samples and, after [`Sums::walk`], those of all nodes above it as well.
    own: Vec<u64>,
    total: Vec<u64>,
    places: Vec<Place>,
    files: Vec<FileHeat>,
    codes: Vec<Code>,
    lines: Vec<Line>,
}

impl Sums {
    fn new(content: &Content<'_>) -> Sums {
        let nodes = content.nodes();
        let mut sums = Sums {
            first_node: nodes.first().map_or(1, |node| node.id),
            own: vec![0; nodes.len()],
            total: Vec::new(),
            places: Vec::with_capacity(nodes.len()),
            files: Vec::new(),
            codes: Vec::new(),
            lines: Vec::new(),
        };
        let code_of = sums.read_functions(content);
        let mut line_of: FxHashMap<(usize, u32), usize> = FxHashMap::default();
        for node in nodes {
            let code = code_of.get(&node.function).copied().unwrap_or_default();
            let file = sums.codes[code].file;
            let line = *line_of.entry((file, node.line)).or_insert_with(|| {
                sums.lines.push(Line { file, number: node.line, ..Line::default() });
                sums.lines.len() - 1
            });
            sums.places.push(Place { code, line });
        }
        sums
    }

    /// Files and functions; gives the place of each function's number in `codes`.
    fn read_functions(&mut self, content: &Content<'_>) -> FxHashMap<FunctionId, usize> {
        let mut file_of: FxHashMap<&str, usize> = FxHashMap::default();
        let mut code_ids: FxHashMap<(usize, &str, u32), usize> = FxHashMap::default();
        let mut code_of = FxHashMap::default();
        for function in &content.functions {
            let file = *file_of.entry(&function.file).or_insert_with(|| {
                let short = short_path(&function.file, &content.header().working_directory).to_owned();
                self.files.push(FileHeat { file: function.file.clone(), short, ..FileHeat::default() });
                self.files.len() - 1
            });
            let (name, first_line) = (label(function), function.first_line);
            let code = *code_ids.entry((file, name, first_line)).or_insert_with(|| {
                let (name, last_line) = (name.to_owned(), first_line);
                self.codes.push(Code { file, name, first_line, last_line, own: 0, total: 0 });
                self.codes.len() - 1
            });
            code_of.insert(function.id, code);
        }
        code_of
    }

    fn add(&mut self, node: NodeId, ticks: u64) {
        // Node 0 is below the first: samples without a Python stack belong to no line.
        let index = node.checked_sub(self.first_node).filter(|_| node != 0);
        if let Some(own) = index.and_then(|index| self.own.get_mut(index as usize)) {
            *own += ticks;
        }
    }

    /// Sums what lies above each node, then each place where it is outermost.
    fn walk(&mut self, content: &Content<'_>) {
        let nodes = content.nodes();
        let parent_of =
            |index: usize| nodes[index].parent.checked_sub(self.first_node).map(|index| index as usize);
        let mut total = self.own.clone();
        // A caller always comes before what it calls.
        for index in (0..nodes.len()).rev() {
            if let Some(parent) = parent_of(index) {
                total[parent] += total[index];
            }
        }
        let mut children: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        let mut open: Vec<(usize, bool)> = Vec::new();
        for index in (0..nodes.len()).filter(|&index| total[index] > 0) {
            match parent_of(index) {
                Some(parent) => children[parent].push(index),
                None => open.push((index, false)),
            }
        }
        self.total = total;
        // How often each stands on the stack of the node that is visited.
        let mut on = On {
            files: vec![0; self.files.len()],
            codes: vec![0; self.codes.len()],
            lines: vec![0; self.lines.len()],
        };
        while let Some((index, visited)) = open.pop() {
            let place = self.places[index];
            if visited {
                on.leave(place, self.codes[place.code].file);
                continue;
            }
            self.visit(index, nodes[index].parent.checked_sub(self.first_node), &children[index], &on);
            on.enter(place, self.codes[place.code].file);
            open.push((index, true));
            open.extend(children[index].iter().map(|&child| (child, false)));
        }
    }

    fn visit(&mut self, index: usize, parent: Option<NodeId>, children: &[usize], on: &On) {
        let place = self.places[index];
        let (own, total) = (self.own[index], self.total[index]);
        let code = &mut self.codes[place.code];
        let line = &mut self.lines[place.line];
        code.own += own;
        code.last_line = code.last_line.max(line.number);
        line.own += own;
        *line.codes.entry(place.code).or_default() += total;
        self.files[code.file].own += own;
        if on.files[code.file] == 0 {
            self.files[code.file].total += total;
        }
        if on.codes[place.code] == 0 {
            code.total += total;
        }
        if on.lines[place.line] > 0 {
            return;
        }
        line.total += total;
        if let Some(parent) = parent {
            *line.callers.entry(self.places[parent as usize].line).or_default() += total;
        }
        for &child in children {
            *line.callees.entry(self.places[child].code).or_default() += self.total[child];
        }
    }

    /// The files with their functions and lines.
    fn files(self) -> Vec<FileHeat> {
        let Sums { mut files, codes, lines, .. } = self;
        let shorts: Vec<String> = files.iter().map(|file| file.short.clone()).collect();
        let code_of: Vec<usize> = lines.iter().map(|line| hottest(&line.codes)).collect();
        let caller = |(&line, &samples): (&usize, &u64)| Neighbour {
            function: codes[code_of[line]].name.clone(),
            file: shorts[lines[line].file].clone(),
            line: lines[line].number,
            samples,
        };
        let callee = |(&code, &samples): (&usize, &u64)| Neighbour {
            function: codes[code].name.clone(),
            file: shorts[codes[code].file].clone(),
            line: codes[code].first_line,
            samples,
        };
        for (line, &code) in lines.iter().zip(&code_of).filter(|(line, _)| line.total > 0) {
            files[line.file].lines.push(LineHeat {
                line: line.number,
                function: codes[code].name.clone(),
                own: line.own,
                total: line.total,
                callers: hottest_first(line.callers.iter().map(caller)),
                callees: hottest_first(line.callees.iter().map(callee)),
            });
        }
        for code in codes.iter().filter(|code| code.total > 0) {
            files[code.file].functions.push(FunctionHeat {
                name: code.name.clone(),
                first_line: code.first_line,
                last_line: code.last_line,
                own: code.own,
                total: code.total,
            });
        }
        for file in &mut files {
            file.lines.sort_by_key(|line| line.line);
            file.functions.sort_by_key(|function| function.first_line);
        }
        files.retain(|file| file.total > 0);
        files
    }
}

/// How often each file, function and line stands on a stack.
struct On {
    files: Vec<u32>,
    codes: Vec<u32>,
    lines: Vec<u32>,
}

impl On {
    fn enter(&mut self, place: Place, file: usize) {
        self.files[file] += 1;
        self.codes[place.code] += 1;
        self.lines[place.line] += 1;
    }

    fn leave(&mut self, place: Place, file: usize) {
        self.files[file] -= 1;
        self.codes[place.code] -= 1;
        self.lines[place.line] -= 1;
    }
}

/// The key with the greatest count; of equal ones the first; 0 where there is none.
fn hottest(counts: &FxHashMap<usize, u64>) -> usize {
    counts.iter().max_by_key(|&(&key, &count)| (count, std::cmp::Reverse(key))).map_or(0, |(key, _)| *key)
}

fn hottest_first(neighbours: impl Iterator<Item = Neighbour>) -> Vec<Neighbour> {
    let mut sorted: Vec<Neighbour> = neighbours.collect();
    sorted.sort_by(|a, b| {
        b.samples
            .cmp(&a.samples)
            .then_with(|| (&a.file, a.line, &a.function).cmp(&(&b.file, b.line, &b.function)))
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equally_hot_functions_the_first_is_named() {
        assert_eq!(hottest(&FxHashMap::from_iter([(3, 5), (1, 5), (2, 4)])), 1);
        assert_eq!(hottest(&FxHashMap::default()), 0);
    }
}
