//! Many rows of parameters in one packet, MariaDB's `COM_STMT_BULK_EXECUTE`.
//!
//! The types stand once at the head of the packet: a row whose types are others begins a new one.

use std::sync::Arc;

use super::encode::{self, ParameterType};
use super::statement::Statement;

/// Bytes of rows that go into one packet, more or less.
pub(crate) const PACKET_BYTES: usize = 256 * 1024;

/// Behind the head of the packet: what it is, the statement, and that types follow.
const TYPES: usize = 4 + 7;

/// Rows on their way.
#[derive(Debug)]
pub struct Bulk {
    pub(crate) statement: Arc<Statement>,
    /// What is known of the types of the packet that is being written, and of the row.
    types: Vec<Option<ParameterType>>,
    pub(crate) row_types: Vec<Option<ParameterType>>,
    pub(crate) rows_in_packet: u64,
    /// Rows of all packets.
    pub(crate) rows: u64,
}

impl Bulk {
    /// Rows for a statement.
    pub fn new(statement: Arc<Statement>) -> Self {
        Bulk { statement, types: Vec::new(), row_types: Vec::new(), rows_in_packet: 0, rows: 0 }
    }

    /// Begins a packet.
    pub(crate) fn begin(&mut self, out: &mut Vec<u8>) {
        out.push(0xfa);
        out.extend(self.statement.id.to_le_bytes());
        out.extend(128u16.to_le_bytes());
        out.resize(out.len() + 2 * self.statement.parameters, 0);
        self.types.clear();
        self.types.resize(self.statement.parameters, None);
        self.rows_in_packet = 0;
    }

    /// Whether the row has the types of the packet.
    pub(crate) fn fits(&self) -> bool {
        self.types
            .iter()
            .zip(&self.row_types)
            .all(|(packet, row)| packet.is_none() || row.is_none() || packet == row)
    }

    /// The row belongs to the packet.
    pub(crate) fn take_row(&mut self) {
        for (packet, row) in self.types.iter_mut().zip(&self.row_types) {
            *packet = packet.or(*row);
        }
        self.rows_in_packet += 1;
        self.rows += 1;
    }

    /// Writes the types into their place.
    pub(crate) fn write_types(&self, packet: &mut [u8]) {
        for (index, kind) in self.types.iter().enumerate() {
            packet[TYPES + 2 * index..][..2].copy_from_slice(&kind.unwrap_or(encode::TEXT));
        }
    }
}
