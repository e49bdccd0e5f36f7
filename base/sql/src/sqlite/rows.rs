//! Rows that were read, kept in two blocks of memory: so that a database can be read without whoever asked, and
//! objects be made of the rows afterwards.

/// Rows of one result, as many as were asked for.
///
/// Cost: 16 bytes a value beside its text; clearing keeps the memory for the next rows.
#[derive(Debug, Default)]
pub struct Rows {
    columns: usize,
    slots: Vec<Slot>,
    bytes: Vec<u8>,
}

/// A value, or where it lies in `Rows::bytes`.
#[derive(Debug, Clone, Copy)]
enum Slot {
    Null,
    Integer(i64),
    Real(f64),
    Text { start: usize, length: u32 },
    Bytes { start: usize, length: u32 },
}

/// A value of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// SQL's NULL.
    Null,
    /// A whole number.
    Integer(i64),
    /// A floating-point number.
    Real(f64),
    /// Text as it is stored, which somebody may have stored as other than UTF-8.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
}

/// So much text ends a batch of rows early, whatever number of rows was asked for.
const ENOUGH_BYTES: usize = 4 << 20;

impl Rows {
    /// Forgets the rows and takes those of another result.
    pub fn clear(&mut self, columns: usize) {
        self.columns = columns;
        self.slots.clear();
        self.bytes.clear();
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.slots.len().checked_div(self.columns).unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// How many values a row has.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values of a row in the order of the columns.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, index: usize) -> impl ExactSizeIterator<Item = Cell<'_>> {
        self.slots[index * self.columns..][..self.columns].iter().map(|slot| self.cell(*slot))
    }

    fn cell(&self, slot: Slot) -> Cell<'_> {
        match slot {
            Slot::Null => Cell::Null,
            Slot::Integer(value) => Cell::Integer(value),
            Slot::Real(value) => Cell::Real(value),
            Slot::Text { start, length } => Cell::Text(&self.bytes[start..][..length as usize]),
            Slot::Bytes { start, length } => Cell::Bytes(&self.bytes[start..][..length as usize]),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= ENOUGH_BYTES
    }

    pub(super) fn push(&mut self, cell: Cell<'_>) {
        let slot = match cell {
            Cell::Null => Slot::Null,
            Cell::Integer(value) => Slot::Integer(value),
            Cell::Real(value) => Slot::Real(value),
            Cell::Text(text) => {
                let (start, length) = self.keep(text);
                Slot::Text { start, length }
            }
            Cell::Bytes(bytes) => {
                let (start, length) = self.keep(bytes);
                Slot::Bytes { start, length }
            }
        };
        self.slots.push(slot);
    }

    fn keep(&mut self, bytes: &[u8]) -> (usize, u32) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        (start, u32::try_from(bytes.len()).expect("SQLite's longest value is below 2 GiB"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Cell, Rows};

    #[test]
    fn rows_come_out_as_they_went_in() {
        let mut rows = Rows::default();
        rows.clear(2);
        let all = [
            Cell::Text(b"a"),
            Cell::Integer(1),
            Cell::Null,
            Cell::Bytes(b""),
            Cell::Real(0.5),
            Cell::Text(b"bc"),
        ];
        all.iter().for_each(|cell| rows.push(*cell));
        assert_eq!(rows.len(), 3);
        let read: Vec<Cell<'_>> = (0..3).flat_map(|index| rows.row(index)).collect();
        assert_eq!(read, all);
    }
}
