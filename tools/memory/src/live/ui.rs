//! What the person at the screen has chosen, and what each key changes of it.

use naja_recording::ThreadId;
use naja_report::screen::{Action, Key};
use rustc_hash::FxHashSet;

use super::snapshot::{Kind, LineKey};

/// What the table shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Page {
    #[default]
    Lines,
    Tree,
    Threads,
    Output,
}

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Line(LineKey),
    Call(u32),
    Thread(ThreadId),
    Text,
}

/// What rows are ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Own,
    Total,
    OwnBlocks,
    TotalBlocks,
    Name,
}

impl Sort {
    pub(super) const ALL: [Sort; 5] =
        [Sort::Own, Sort::Total, Sort::OwnBlocks, Sort::TotalBlocks, Sort::Name];
}

/// Everything that was chosen.
#[derive(Clone, Debug, Default)]
pub(super) struct Ui {
    pub(super) page: Page,
    pub(super) kind: Kind,
    pub(super) sort: Sort,
    pub(super) reverse: bool,
    /// Rows are shown whose function or file has this in it, in any case of letters.
    pub(super) filter: String,
    /// The filter is being typed; this is what it was before.
    pub(super) typing: Option<String>,
    /// Only this thread.
    pub(super) thread: Option<ThreadId>,
    /// Each thread's rows apart.
    pub(super) apart: bool,
    /// Calls of the tree that are open though they would be folded, or folded though they would be open.
    pub(super) turned: FxHashSet<u32>,
    pub(super) help: bool,
    pub(super) full_filenames: bool,
    pub(super) paused: bool,
    /// The chosen row; `None` for the first one, whatever it is.
    pub(super) chosen: Option<Item>,
    /// The first row that is shown.
    pub(super) offset: usize,
    /// All rows as last drawn, and how many there is room for.
    pub(super) items: Vec<Item>,
    pub(super) room: usize,
    /// There is a program whose output can be shown.
    pub(super) has_output: bool,
}

impl Ui {
    /// Follows a key.
    pub(super) fn press(&mut self, key: Key) -> Action {
        match key {
            Key::CtrlC => return Action::Quit,
            Key::CtrlZ => return Action::Stop,
            Key::CtrlL => return Action::Repaint,
            _ if self.typing.is_some() => self.press_in_filter(key),
            _ if self.help => {
                self.help = false;
                // The key that leaves the help is used up by that, but for one that ends.
                return if key == Key::Char('q') { Action::Quit } else { Action::Draw };
            }
            Key::Char('q') => return Action::Quit,
            Key::Escape => {
                if !self.back() {
                    return Action::Quit;
                }
            }
            Key::Backspace => drop(self.back()),
            Key::Char('?' | 'h') => self.help = true,
            Key::Char(' ') => self.paused = !self.paused,
            Key::Char('/') => self.typing = Some(self.filter.clone()),
            Key::Char('f') => self.full_filenames = !self.full_filenames,
            Key::Char('m') => {
                self.apart = !self.apart;
                self.choose_first();
            }
            Key::Char('v') => {
                self.kind = match self.kind {
                    Kind::Now => Kind::Peak,
                    Kind::Peak => Kind::Given,
                    Kind::Given => Kind::Now,
                };
            }
            Key::Char('r') => self.reverse = !self.reverse,
            Key::Char('s') => {
                let at = Sort::ALL.iter().position(|one| *one == self.sort).unwrap_or(0);
                self.sort_by(Sort::ALL[(at + 1) % Sort::ALL.len()]);
            }
            Key::Char(digit @ '1'..='5') => self.sort_by(Sort::ALL[digit as usize - '1' as usize]),
            Key::Char('t') => self.toggle(Page::Threads),
            Key::Char('e') => self.toggle(Page::Tree),
            Key::Char('o') if self.has_output => self.toggle(Page::Output),
            Key::Enter => self.enter(),
            Key::Up | Key::Char('k') => self.move_by(-1),
            Key::Down | Key::Char('j') => self.move_by(1),
            Key::PageUp => self.move_by(-self.page_len()),
            Key::PageDown => self.move_by(self.page_len()),
            Key::Home | Key::Char('g') => self.move_by(isize::MIN / 2),
            Key::End | Key::Char('G') => self.move_by(isize::MAX / 2),
            Key::Char(_) | Key::CtrlU => {}
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
        self.choose_first();
    }

    /// One step back: out of a list, from a choice; whether there was any.
    fn back(&mut self) -> bool {
        if self.page != Page::Lines {
            self.show(Page::Lines);
        } else if !self.filter.is_empty() {
            self.filter.clear();
            self.choose_first();
        } else if self.thread.take().is_some() {
            self.choose_first();
        } else {
            return false;
        }
        true
    }

    fn choose_first(&mut self) {
        (self.chosen, self.offset) = (None, 0);
    }

    fn sort_by(&mut self, sort: Sort) {
        // A second time turns the order around.
        self.reverse = self.sort == sort && !self.reverse;
        self.sort = sort;
        self.choose_first();
    }

    fn toggle(&mut self, page: Page) {
        self.show(if self.page == page { Page::Lines } else { page });
    }

    fn show(&mut self, page: Page) {
        self.page = page;
        self.choose_first();
        // Of a text that grows the end is what is looked for.
        if page == Page::Output {
            self.offset = usize::MAX;
        }
    }

    fn enter(&mut self) {
        match self.chosen_item() {
            Some(Item::Thread(thread)) => {
                self.show(Page::Lines);
                // The first row is of all threads.
                self.thread = Some(thread).filter(|thread| *thread != 0);
            }
            Some(Item::Call(node)) if !self.turned.remove(&node) => {
                self.chosen = Some(Item::Call(node));
                self.turned.insert(node);
            }
            Some(item @ Item::Call(_)) => self.chosen = Some(item),
            _ => {}
        }
    }

    /// The chosen row, as long as it is shown; else the first that can be chosen.
    pub(super) fn chosen_item(&self) -> Option<Item> {
        let first = || self.items.iter().find(|item| **item != Item::Text).copied();
        self.chosen.filter(|chosen| self.items.contains(chosen)).or_else(first)
    }

    fn page_len(&self) -> isize {
        isize::try_from(self.room.max(2) - 1).unwrap_or(1)
    }

    fn move_by(&mut self, rows: isize) {
        if self.page == Page::Output {
            let highest = self.items.len().saturating_sub(self.room);
            self.offset = self.offset.min(highest).saturating_add_signed(rows).min(highest);
            return;
        }
        let places: Vec<usize> = (0..self.items.len()).filter(|at| self.items[*at] != Item::Text).collect();
        let chosen = self.chosen_item();
        let Some(at) = places.iter().position(|place| Some(self.items[*place]) == chosen) else { return };
        let to = at.saturating_add_signed(rows).min(places.len() - 1);
        self.chosen = Some(self.items[places[to]]);
    }

    /// Scrolls so that the chosen row is shown. Called with the rows that are about to be drawn.
    pub(super) fn settle(&mut self, items: Vec<Item>, room: usize) {
        (self.items, self.room) = (items, room);
        self.offset = self.offset.min(self.items.len().saturating_sub(room));
        if self.chosen.is_none() || self.page == Page::Output {
            return;
        }
        let chosen = self.chosen_item();
        if let Some(at) = self.items.iter().position(|item| Some(*item) == chosen) {
            let lowest = (at + 1).saturating_sub(room);
            self.offset = if at < self.offset { at } else { self.offset.max(lowest) };
        }
    }
}
