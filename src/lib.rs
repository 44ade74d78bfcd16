//! VMMap for crash dumps.

pub mod addr;
pub mod dump;
pub mod error;
pub mod issue;
pub mod limits;
pub mod source;
