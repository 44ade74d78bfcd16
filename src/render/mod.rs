//! Reports as text, JSON, CSV and Markdown. Renderers are pure: the same
//! report gives the same bytes, on every machine.

pub mod csv;
pub mod json;
pub mod markdown;
mod number;
mod paint;
mod region_json;
pub mod sanitize;
mod table;
pub mod text;

pub use paint::Paint;
pub use region_json::RegionLines;
pub use table::{Align, Cell, Column, Table};

/// Columns of a text report.
pub const WIDTH: usize = 80;
