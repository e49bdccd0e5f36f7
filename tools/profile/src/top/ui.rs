//! What the person at the screen has chosen, and what each key changes of it.

use naja_recording::{ProcessId, ThreadId};
use naja_report::screen::Key;

use super::counts::{FunctionIndex, Mode};

/// What the table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Page {
    #[default]
    Functions,
    Lines,
    Threads,
    Processes,
    Tasks,
    Output,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Function(FunctionIndex),
    Line(FunctionIndex, u32),
    Thread(ThreadId),
    Process(ProcessId),
    /// A heading or a text: it cannot be chosen.
    Text,
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    #[default]
    OwnNow,
    TotalNow,
    OwnAll,
    TotalAll,
    Name,
}

impl Sort {
    pub(crate) const ALL: [Sort; 5] =
        [Sort::OwnNow, Sort::TotalNow, Sort::OwnAll, Sort::TotalAll, Sort::Name];
}

/// A function that is looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Detail {
    pub(crate) function: FunctionIndex,
    /// Its file's lines; `None` until it was looked for, empty when it cannot be read.
    pub(crate) source: Option<Vec<String>>,
}

/// What whoever draws must do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Draw what has changed.
    Draw,
    /// Draw everything anew.
    Repaint,
    /// End.
    Quit,
    /// Stop, as a shell's job.
    Stop,
    /// Set the counts to zero.
    Reset,
}

/// Everything that was chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ui {
    pub(crate) page: Page,
    pub(crate) mode: Mode,
    pub(crate) sort: Sort,
    pub(crate) reverse: bool,
    /// Functions are shown whose name or file has this in it, in any case of letters.
    pub(crate) filter: String,
    /// The filter is being typed; this is what it was before.
    pub(crate) typing: Option<String>,
    /// Only this thread, only this process.
    pub(crate) thread: Option<ThreadId>,
    pub(crate) process: Option<ProcessId>,
    /// Functions that are looked into, each from the one before.
    pub(crate) details: Vec<Detail>,
    pub(crate) help: bool,
    pub(crate) full_filenames: bool,
    pub(crate) paused: bool,
    /// The chosen row; `None` for the first one, whatever it is.
    pub(crate) chosen: Option<Item>,
    /// The first row that is shown.
    pub(crate) offset: usize,
    /// All rows as last drawn, and how many there is room for.
    pub(crate) items: Vec<Item>,
    pub(crate) room: usize,
    /// There is a program whose output can be shown.
    pub(crate) has_output: bool,
    /// Of which epoch of counts the numbers of functions are.
    pub(crate) epoch: u32,
}

impl Ui {
    /// Follows a key.
    pub(crate) fn press(&mut self, key: Key) -> Action {
        if key == Key::CtrlC {
            return Action::Quit;
        }
        if key == Key::CtrlZ {
            return Action::Stop;
        }
        if self.typing.is_some() {
            self.press_in_filter(key);
            return Action::Draw;
        }
        if self.help {
            self.help = false;
            // The key that leaves the help is used up by that, but for one that ends.
            return if key == Key::Char('q') { Action::Quit } else { Action::Draw };
        }
        match key {
            Key::Char('q') => return Action::Quit,
            Key::CtrlL => return Action::Repaint,
            Key::Escape => return self.back(),
            Key::Backspace => drop(self.back_from_something()),
            Key::Char('c') => return Action::Reset,
            Key::Char('?' | 'h') => self.help = true,
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('/') => self.typing = Some(self.filter.clone()),
            Key::Char('f') => self.full_filenames = !self.full_filenames,
            Key::Char('m') => self.mode = next_mode(self.mode),
            Key::Char('r') => self.reverse = !self.reverse,
            Key::Char('s') => self.sort_by(next_sort(self.sort)),
            Key::Char(digit @ '1'..='5') => self.sort_by(Sort::ALL[digit as usize - '1' as usize]),
            Key::Char('l') => {
                self.show(if self.page == Page::Functions { Page::Lines } else { Page::Functions });
            }
            Key::Char('t') => self.toggle(Page::Threads),
            Key::Char('p') => self.toggle(Page::Processes),
            Key::Char('a') => self.toggle(Page::Tasks),
            Key::Char('o') if self.has_output => self.toggle(Page::Output),
            Key::Enter => self.enter(),
            Key::Up | Key::Char('k') => self.move_by(-1),
            Key::Down | Key::Char('j') => self.move_by(1),
            Key::PageUp => self.move_by(-self.page_len()),
            Key::PageDown => self.move_by(self.page_len()),
            Key::Home | Key::Char('g') => self.move_by(isize::MIN / 2),
            Key::End | Key::Char('G') => self.move_by(isize::MAX / 2),
            Key::Char(_) | Key::CtrlU | Key::CtrlC | Key::CtrlZ => {}
        }
        Action::Draw
    }

    fn press_in_filter(&mut self, key: Key) {
        match key {
            Key::Enter => self.typing = None,
            Key::Escape => self.filter = self.typing.take().unwrap_or_default(),
            Key::Backspace => drop(self.filter.pop()),
            Key::CtrlU => self.filter.clear(),
            Key::Char(character) => self.filter.push(character),
            _ => {}
        }
        self.offset = 0;
        self.chosen = None;
    }

    /// One step back: out of a function, out of a list, from a choice; at last, the end.
    fn back(&mut self) -> Action {
        if self.back_from_something() { Action::Draw } else { Action::Quit }
    }

    fn back_from_something(&mut self) -> bool {
        if let Some(detail) = self.details.pop() {
            (self.chosen, self.offset) = (Some(Item::Function(detail.function)), 0);
        } else if !matches!(self.page, Page::Functions | Page::Lines) {
            self.show(Page::Functions);
        } else if !self.filter.is_empty() {
            self.filter.clear();
            (self.chosen, self.offset) = (None, 0);
        } else if self.thread.is_some() || self.process.is_some() {
            (self.thread, self.process) = (None, None);
        } else if self.page == Page::Lines {
            self.show(Page::Functions);
        } else {
            return false;
        }
        true
    }

    fn sort_by(&mut self, sort: Sort) {
        // A second time turns the order around.
        self.reverse = self.sort == sort && !self.reverse;
        self.sort = sort;
        (self.chosen, self.offset) = (None, 0);
    }

    fn toggle(&mut self, page: Page) {
        self.show(if self.page == page && self.details.is_empty() { Page::Functions } else { page });
    }

    fn show(&mut self, page: Page) {
        self.page = page;
        self.details.clear();
        (self.chosen, self.offset) = (None, 0);
        // Of a text that grows the end is what is looked for.
        if page == Page::Output {
            self.offset = usize::MAX;
        }
    }

    fn enter(&mut self) {
        let Some(item) = self.chosen_item() else { return };
        match item {
            // A line of the function that is looked into already.
            Item::Line(..) if !self.details.is_empty() => {}
            Item::Function(function) | Item::Line(function, _) => {
                self.details.push(Detail { function, source: None });
                (self.chosen, self.offset) = (None, 0);
            }
            Item::Thread(thread) => {
                self.show(Page::Functions);
                (self.thread, self.process) = (Some(thread), None);
            }
            Item::Process(process) => {
                self.show(Page::Functions);
                (self.thread, self.process) = (None, Some(process));
            }
            Item::Text => {}
        }
    }

    /// The chosen row, as long as it is shown; else the first that can be chosen.
    pub(crate) fn chosen_item(&self) -> Option<Item> {
        let first = || self.items.iter().find(|item| **item != Item::Text).copied();
        self.chosen.filter(|chosen| self.items.contains(chosen)).or_else(first)
    }

    fn page_len(&self) -> isize {
        isize::try_from(self.room.max(2) - 1).unwrap_or(1)
    }

    fn move_by(&mut self, rows: isize) {
        if self.page == Page::Output && self.details.is_empty() {
            let highest = self.items.len().saturating_sub(self.room);
            self.offset = self.offset.min(highest).saturating_add_signed(rows).min(highest);
            return;
        }
        let places: Vec<usize> = (0..self.items.len()).filter(|at| self.items[*at] != Item::Text).collect();
        let chosen = self.chosen_item();
        let Some(at) = places.iter().position(|place| Some(self.items[*place]) == chosen) else {
            return;
        };
        let to = at.saturating_add_signed(rows).min(places.len() - 1);
        self.chosen = Some(self.items[places[to]]);
        // Headings above the first row come into sight with it.
        if to == 0 {
            self.offset = 0;
        }
    }

    /// Scrolls so that the chosen row is shown. Called with the rows that are about to be drawn.
    pub(crate) fn settle(&mut self, items: Vec<Item>, room: usize) {
        (self.items, self.room) = (items, room);
        let highest = self.items.len().saturating_sub(room);
        self.offset = self.offset.min(highest);
        if self.chosen.is_none() || (self.page == Page::Output && self.details.is_empty()) {
            return;
        }
        let chosen = self.chosen_item();
        if let Some(at) = self.items.iter().position(|item| Some(*item) == chosen) {
            let lowest = (at + 1).saturating_sub(room);
            let offset = if at < self.offset { at } else { self.offset.max(lowest) };
            self.offset = offset;
        }
    }

    /// Forgets numbers of functions that have changed their meaning.
    pub(crate) fn follow_epoch(&mut self, epoch: u32) {
        if self.epoch != epoch {
            self.epoch = epoch;
            self.details.clear();
            self.chosen = None;
        }
    }
}

fn next_mode(mode: Mode) -> Mode {
    match mode {
        Mode::Cpu => Mode::Wall,
        Mode::Wall => Mode::Gil,
        Mode::Gil => Mode::Cpu,
    }
}

fn next_sort(sort: Sort) -> Sort {
    let at = Sort::ALL.iter().position(|one| *one == sort).unwrap_or(0);
    Sort::ALL[(at + 1) % Sort::ALL.len()]
}
