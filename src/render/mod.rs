//! Reports as text, JSON, CSV, Markdown, HTML, and in the formats of CI systems. Renderers are pure: the same
//! report gives the same bytes, on every machine.

pub mod csv;
pub mod github;
pub mod html;
pub mod json;
#[cfg(feature = "ci")]
pub mod junit;
pub mod markdown;
mod number;
mod paint;
#[cfg(feature = "parquet")]
pub mod parquet;
mod region_json;
pub mod sanitize;
#[cfg(feature = "ci")]
pub mod sarif;
mod table;
pub mod text;

pub use paint::Paint;
pub use region_json::RegionLines;
pub use table::{Align, Cell, Column, Table};

/// Columns of a text report.
pub const WIDTH: usize = 80;
