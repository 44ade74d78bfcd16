//! What one archive may cost, whatever it claims of itself.

use std::cell::Cell;

use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::size::{count, human};

/// Up to this many bytes an archive may unpack to, however small it is.
const ALWAYS: u64 = 1 << 30;

/// Counts the bytes that all members of an archive unpack to, inner archives
/// included.
#[derive(Debug)]
pub(super) struct Meter {
    packed: u64,
    most: u64,
    unpacked: Cell<u64>,
    /// Bytes that one member may unpack to.
    pub(super) member: u64,
    members: Cell<u64>,
    most_members: u64,
}

impl Meter {
    pub(super) fn new(packed: u64, limits: &Limits) -> Meter {
        Meter {
            packed,
            most: packed.saturating_mul(limits.unpacked_ratio).max(ALWAYS.min(limits.unpacked)),
            unpacked: Cell::new(0),
            member: limits.unpacked,
            members: Cell::new(0),
            most_members: limits.members,
        }
    }

    /// Counts bytes that were unpacked.
    ///
    /// # Errors
    /// The archive unpacks to far more than its size explains.
    pub(super) fn spend(&self, bytes: u64) -> Result<()> {
        let unpacked = self.unpacked.get().saturating_add(bytes);
        self.unpacked.set(unpacked);
        if unpacked <= self.most {
            return Ok(());
        }
        Err(Error::archive(
            format!(
                "the archive has {} and unpacks to more than {}, as none with dumps does",
                human(self.packed),
                human(self.most)
            ),
            "if you trust it, allow that with --max-unpacked, or unpack it and give the dump",
        ))
    }

    /// Whether one member may have this size.
    ///
    /// # Errors
    /// It may not.
    pub(super) fn allow(&self, size: u64) -> Result<()> {
        if size <= self.member {
            return Ok(());
        }
        Err(Error::archive(
            format!("unpacks to more than {}", human(self.member)),
            "allow more with --max-unpacked, or unpack it and give the dump",
        ))
    }

    /// Counts a member.
    ///
    /// # Errors
    /// There are too many.
    pub(super) fn member(&self) -> Result<()> {
        self.members.set(self.members.get().saturating_add(1));
        if self.members.get() <= self.most_members {
            return Ok(());
        }
        Err(Error::archive(
            format!("only the first {} are looked at", count(self.most_members, "member")),
            "unpack it and give the folder",
        ))
    }
}
