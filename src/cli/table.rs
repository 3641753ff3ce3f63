//! One look for all tables.

use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};

/// The width where the environment does not say (`COLUMNS`).
const WIDTH: u16 = 140;

/// A line under the header, nothing else.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::new('─', '─', '─', '─'));

/// An empty table with this header.
pub fn table<const N: usize>(header: [&str; N]) -> Table {
    let width = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).unwrap_or(WIDTH);
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_width(width).set_header(header);
    table
}
