//! The page of `naja memory heap`: one self-contained HTML file with a picture of every pool.
//!
//! Figures travel as JSON, pools as two bytes each: which size, and how full. Start at [`html`]; on the other side, at `main.js`.

use naja_cpython::heap::{Layout, Pool};
use naja_report::Page;

use super::HeapReport;

/// In place of a size class.
const FREE: u8 = 255;
const UNTOUCHED: u8 = 254;
const UNREADABLE: u8 = 253;

/// The whole page.
pub fn html(report: &HeapReport) -> String {
    let title = format!("heap of {} · naja", report.process.pid);
    let figures = report.json().to_string();
    Page {
        title: &title,
        styles: &[include_str!("page/style.css")],
        body: include_str!("page/index.html"),
        scripts: &[include_str!("page/main.js")],
        data: &[("figures", figures.as_bytes()), ("pools", &pools(report))],
    }
    .render()
}

/// For each arena its number of pools, then two bytes for each.
fn pools(report: &HeapReport) -> Vec<u8> {
    let layout = |class: u8| {
        let room = report.total.pool_bytes.saturating_sub(48) / Layout::block_bytes(class);
        room.max(1)
    };
    let mut bytes = Vec::new();
    for pools in &report.pools {
        bytes.push(u8::try_from(pools.len()).unwrap_or(u8::MAX));
        for pool in pools {
            let pair = match pool {
                Pool::Untouched => [UNTOUCHED, 0],
                Pool::Free => [FREE, 0],
                Pool::Unreadable => [UNREADABLE, 0],
                Pool::Used { class, blocks } => {
                    [*class, u8::try_from(u64::from(*blocks) * 255 / layout(*class)).unwrap_or(u8::MAX)]
                }
            };
            bytes.extend(pair);
        }
    }
    bytes
}
