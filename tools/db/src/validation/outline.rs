//! Where every value of a document of JSON stands, without the values.
//!
//! The nodes lie in one list and name each other by index, so that the deepest document is dropped in one step.

use super::json::{Sink, Span, Stop, Unit, Value, Words, scan};

/// One step from a value to one that stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To the value of a key, by the code points of the key.
    Key(Vec<u32>),
    /// To an item of a list.
    Item(usize),
}

/// The places of a document's values.
#[derive(Debug, Default)]
pub struct Outline {
    nodes: Vec<Node>,
}

#[derive(Debug)]
struct Node {
    span: Span,
    key: Option<Key>,
    first_child: Option<usize>,
    last_child: Option<usize>,
    next: Option<usize>,
}

#[derive(Debug)]
enum Key {
    /// The indexes of its characters in the document.
    Plain(usize, usize),
    Escaped(Vec<u32>),
}

impl Key {
    fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Plain(start, end) => Some(Self::Plain(*start, *end)),
            Value::Escaped(codes) => Some(Self::Escaped(codes.to_vec())),
            _ => None,
        }
    }

    fn is<T: Unit>(&self, content: &[T], codes: &[u32]) -> bool {
        match self {
            Self::Plain(start, end) => {
                end - start == codes.len()
                    && content[*start..*end].iter().zip(codes).all(|(unit, code)| unit.code() == *code)
            }
            Self::Escaped(own) => own == codes,
        }
    }
}

impl Outline {
    /// The outline of a document; `None` where it is none.
    pub fn of<T: Unit>(content: &[T], words: Words) -> Option<Self> {
        let mut drawing = Drawing::default();
        match scan(content, words, &mut drawing) {
            Ok(()) => Some(drawing.outline),
            Err(Stop::Fault(_) | Stop::Sink(())) => None,
        }
    }

    /// Where the value stands to which the steps lead; they end where the document has no such value.
    ///
    /// Cost: O(children passed); of keys that stand there twice, the last one counts.
    pub fn find<T: Unit>(&self, content: &[T], steps: &[Step]) -> Option<Span> {
        let mut node = self.nodes.first()?;
        for step in steps {
            let mut children = std::iter::successors(node.first_child, |child| self.nodes[*child].next);
            let found = match step {
                Step::Item(place) => children.nth(*place).filter(|child| self.nodes[*child].key.is_none()),
                Step::Key(codes) => children
                    .filter(|child| self.nodes[*child].key.as_ref().is_some_and(|key| key.is(content, codes)))
                    .last(),
            };
            match found {
                Some(child) => node = &self.nodes[child],
                None => break,
            }
        }
        Some(node.span)
    }
}

/// An outline that is being made.
#[derive(Default)]
struct Drawing {
    outline: Outline,
    /// The lists and objects that have not ended.
    open: Vec<usize>,
    key: Option<Key>,
}

impl Drawing {
    fn add(&mut self, span: Span) -> usize {
        let nodes = &mut self.outline.nodes;
        let place = nodes.len();
        nodes.push(Node { span, key: self.key.take(), first_child: None, last_child: None, next: None });
        if let Some(&parent) = self.open.last() {
            match nodes[parent].last_child.replace(place) {
                Some(sibling) => nodes[sibling].next = Some(place),
                None => nodes[parent].first_child = Some(place),
            }
        }
        place
    }

    fn open(&mut self) {
        // Its span is known when it ends.
        let place = self.add(Span { start: 0, end: 0 });
        self.open.push(place);
    }
}

impl Sink for Drawing {
    type Error = ();

    fn scalar(&mut self, _: Value<'_>, span: Span) -> Result<(), ()> {
        self.add(span);
        Ok(())
    }

    fn key(&mut self, value: Value<'_>, _: Span) -> Result<(), ()> {
        self.key = Key::of(&value);
        Ok(())
    }

    fn open_list(&mut self) -> Result<(), ()> {
        self.open();
        Ok(())
    }

    fn open_object(&mut self) -> Result<(), ()> {
        self.open();
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), ()> {
        let place = self.open.pop().ok_or(())?;
        self.outline.nodes[place].span = span;
        Ok(())
    }
}
