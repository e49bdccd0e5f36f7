//! Fewer rows where coarser buckets are not enough: rare stacks are counted where their callers are.
//!
//! Invariant: time, state and every total of a stack that stays are exact; only what a rare stack did below its
//! last frequent caller is given up, and the page says so. Start at [`fold`].

use std::collections::HashMap;

use naja_recording::{NodeId, StackNode};

use super::samples::{Row, merge_equal};

/// Folds stacks rarer than a limit into their callers' until at most `rows_max` rows are left.
///
/// Gives the limit in ticks; 0 when nothing was folded. Nodes come parents first.
/// Cost: O(nodes + rows log rows) for each doubling of the limit.
pub(super) fn fold(rows: &mut Vec<Row>, nodes: &[StackNode], rows_max: usize) -> u64 {
    let mut limit = 0;
    let ticks: u64 = rows.iter().map(|row| u64::from(row.ticks)).sum();
    while rows.len() > rows_max && limit < ticks {
        limit = (limit * 2).max(ticks / 1_000_000).max(2);
        let keeper = keepers(rows, nodes, limit);
        for row in rows.iter_mut() {
            row.node = keeper.get(&row.node).copied().unwrap_or(row.node);
        }
        merge_equal(rows);
    }
    limit
}

/// For each node with fewer than `limit` ticks on and above it, the nearest caller with as many.
fn keepers(rows: &[Row], nodes: &[StackNode], limit: u64) -> HashMap<NodeId, NodeId> {
    let mut total: HashMap<NodeId, u64> = HashMap::with_capacity(nodes.len());
    for row in rows {
        *total.entry(row.node).or_default() += u64::from(row.ticks);
    }
    for node in nodes.iter().rev() {
        let ticks = total.get(&node.id).copied().unwrap_or(0);
        *total.entry(node.parent).or_default() += ticks;
    }
    let mut keeper = HashMap::new();
    for node in nodes {
        // A stack's lowest node stays: below it is nothing to count it at.
        if total.get(&node.id).copied().unwrap_or(0) < limit && node.parent != 0 {
            let parent = keeper.get(&node.parent).copied().unwrap_or(node.parent);
            keeper.insert(node.id, parent);
        }
    }
    keeper
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(node: NodeId, bucket: u32, ticks: u32) -> Row {
        Row { thread: 1, bucket, node, flags: 1, ticks }
    }

    #[test]
    fn rare_stacks_are_counted_at_their_nearest_frequent_caller() {
        let node = |id, parent| StackNode { id, parent, function: id, line: 1 };
        let nodes = [node(1, 0), node(2, 1), node(3, 2), node(4, 1), node(5, 4)];
        let mut rows = vec![row(1, 0, 10), row(2, 0, 1), row(3, 0, 1), row(4, 0, 50), row(5, 0, 1)];
        let limit = fold(&mut rows, &nodes, 2);
        assert_eq!(limit, 4);
        assert_eq!(rows, [row(1, 0, 12), row(4, 0, 51)]);
    }

    #[test]
    fn nothing_is_folded_where_rows_are_few() {
        let mut rows = vec![row(1, 0, 1)];
        assert_eq!(fold(&mut rows, &[], 10), 0);
        assert_eq!(rows, [row(1, 0, 1)]);
    }
}
