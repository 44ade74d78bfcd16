//! One dump of an archive: how far it has to be unpacked, and how long it is.

use super::unpacking::Unpacking;
use crate::dump::Dump;
use crate::error::Result;
use crate::limits::Limits;
use crate::source::Source;

/// The first look at a dump; a smaller one is unpacked whole.
const FIRST: u64 = 64 << 10;

/// A dump up to this size is unpacked whole.
const SMALL: u64 = 1 << 20;

/// Streams point to records, and these to names: three looks see all of a
/// real dump. One that wants more is unpacked whole.
const LOOKS: usize = 8;

/// What the archive says of the size of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// Stated beside the member, and possible for its packed bytes, all of
    /// which are there.
    Stated(u64),
    /// Stated in a way that leaves some doubt: by the bits in `mask`. Believed
    /// when the dump's own lists end there.
    Hint { size: u64, mask: u64 },
    /// Only unpacking it all can tell.
    Unknown,
}

/// Unpacks all of a dump.
///
/// # Errors
/// A limit is reached, or there is no room.
pub(super) fn whole(member: &mut Unpacking<'_>) -> Result<Source> {
    member.fill(u64::MAX)?;
    let source = member.lend()?;
    let len = source.len();
    Ok(with_damage(source, len, member))
}

/// Unpacks a dump as far as its streams, and what they point to, go.
///
/// The readers of the streams say how far that is: they are called until they
/// ask for nothing more.
///
/// # Errors
/// A limit is reached, there is no room, or it is no dump after all.
pub(super) fn streams(member: &mut Unpacking<'_>, size: Size, limits: &Limits) -> Result<Source> {
    // A dump of unknown size is unpacked to its end in any case.
    let small = match size {
        Size::Stated(size) | Size::Hint { size, .. } => size <= SMALL,
        Size::Unknown => true,
    };
    member.fill(if small { SMALL } else { FIRST })?;
    let mut ends_at = None;
    for _ in 0..LOOKS {
        if member.is_done() {
            break;
        }
        let source = member.lend()?.endless();
        let look = look(&source, limits);
        let (have, wanted) = (source.unpacked(), source.wanted());
        member.restore(source);
        let end = look?;
        if wanted <= have {
            ends_at = Some(end);
            break;
        }
        member.fill(wanted)?;
    }
    let Some(ends_at) = ends_at else { return whole(member) };
    let len = match size {
        // A dump that seems to be cut is worth a second look.
        Size::Stated(size) if ends_at <= size => size,
        Size::Hint { size, mask } if ends_at & mask == size => ends_at,
        Size::Stated(_) | Size::Hint { .. } | Size::Unknown => member.measure()?,
    };
    Ok(with_damage(member.lend()?, len, member))
}

/// Reads all that an analysis of the streams reads. Returns where the last
/// byte lies that the dump's own lists name.
fn look(source: &Source, limits: &Limits) -> Result<u64> {
    let dump = Dump::read(source, limits)?;
    for thread in &dump.threads {
        let _ = dump.registers(thread);
    }
    let streams = dump.directory.streams.iter().map(|stream| {
        let (offset, size) = (u64::from(stream.offset), u64::from(stream.size));
        // Also those that no reader knows.
        let _ = source.slice(offset, size);
        offset.saturating_add(size)
    });
    let memory = dump.captured.ranges().iter();
    let memory = memory.map(|run| run.offset.saturating_add(run.range.size()));
    Ok(streams.chain(memory).max().unwrap_or(0))
}

fn with_damage(source: Source, len: u64, member: &Unpacking<'_>) -> Source {
    let damage = member.damage().map(|what| {
        format!("the archive is damaged: {what}; the first {len} bytes could be unpacked")
    });
    source.unpacked_from(len, damage)
}
