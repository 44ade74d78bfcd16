//! VMMap for crash dumps.

pub mod addr;
pub mod classify;
pub mod dump;
pub mod error;
pub mod evidence;
pub mod issue;
pub mod limits;
pub mod map;
pub mod source;
