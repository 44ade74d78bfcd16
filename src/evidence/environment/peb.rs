//! The PEBs: one a view, found through the TEBs of that view.

use super::layout::{PEB32, PEB64, PebLayout, TARGETS, Target, pointer_at};
use super::{Peb, Teb};
use crate::dump::bytes::{u16_at, u32_at};
use crate::dump::{CapturedMemory, PointerWidth};
use crate::issue::Issues;

/// A PEB and the bytes of it that are captured.
#[derive(Debug)]
pub(super) struct PebBytes {
    pub(super) peb: Peb,
    bytes: Vec<u8>,
}

/// The PEB of each view that has a TEB, the 64-bit one first.
pub(super) fn read_all(
    memory: &CapturedMemory<'_>,
    tebs: &[Teb],
    issues: &mut Issues,
) -> Vec<PebBytes> {
    let views = [PointerWidth::Bits64, PointerWidth::Bits32];
    views.into_iter().filter_map(|width| read_view(memory, tebs, width, issues)).collect()
}

impl PebBytes {
    /// ProcessParameters, when captured and not 0.
    pub(super) fn parameters(&self) -> Option<u64> {
        let layout = layout_of(self.peb.width);
        pointer_at(&self.bytes, layout.parameters, self.peb.width).filter(|address| *address != 0)
    }

    /// The pointers of [`TARGETS`] that this build has, are captured, and are
    /// not 0.
    pub(super) fn targets(&self) -> impl Iterator<Item = (&'static Target, u64)> + '_ {
        let build = self.peb.os_version.map_or(0, |(_, _, build)| build);
        TARGETS.iter().filter(move |target| build >= target.since).filter_map(|target| {
            let offset = match self.peb.width {
                PointerWidth::Bits32 => target.offset.0,
                PointerWidth::Bits64 => target.offset.1,
            };
            let pointer = pointer_at(&self.bytes, offset, self.peb.width)?;
            (pointer != 0).then_some((target, pointer))
        })
    }
}

fn layout_of(width: PointerWidth) -> &'static PebLayout {
    match width {
        PointerWidth::Bits32 => &PEB32,
        PointerWidth::Bits64 => &PEB64,
    }
}

/// All TEBs of a view name one PEB; when they do not, the first whose PEB is
/// captured is believed.
fn read_view(
    memory: &CapturedMemory<'_>,
    tebs: &[Teb],
    width: PointerWidth,
    issues: &mut Issues,
) -> Option<PebBytes> {
    /// How many different addresses are tried.
    const TRIED: usize = 8;
    let mut addresses: Vec<u64> = Vec::new();
    let of_view = tebs.iter().filter(|teb| teb.width == width && teb.peb != 0);
    for teb in of_view {
        if addresses.len() < TRIED && !addresses.contains(&teb.peb) {
            addresses.push(teb.peb);
        }
    }
    let first = *addresses.first()?;
    if addresses.len() > 1 {
        issues.add(None, None, || {
            format!("the {}-bit TEBs name different PEBs, such as {first:#x}", width.bits())
        });
    }
    let mut all = addresses.iter().map(|address| decode(memory, *address, width));
    let captured = all.find(|peb| peb.peb.captured);
    Some(captured.unwrap_or_else(|| PebBytes { peb: bare(first, width), bytes: Vec::new() }))
}

fn decode(memory: &CapturedMemory<'_>, address: u64, width: PointerWidth) -> PebBytes {
    let layout = layout_of(width);
    let bytes = memory.bytes_at(address, layout.read);
    let pointer = |offset| pointer_at(&bytes, offset, width);
    let version = (
        u32_at(&bytes, layout.os_major),
        u32_at(&bytes, layout.os_minor),
        u16_at(&bytes, layout.os_build),
    );
    let os_version = match version {
        (Some(major), Some(minor), Some(build)) => Some((major, minor, u32::from(build))),
        _ => None,
    };
    let peb = Peb {
        captured: os_version.is_some(),
        image_base: pointer(layout.image_base),
        loader_data: pointer(layout.loader_data),
        process_heap: pointer(layout.process_heap),
        heaps: u32_at(&bytes, layout.heap_count).zip(pointer(layout.heaps)),
        global_flag: u32_at(&bytes, layout.global_flag),
        os_version,
        ..bare(address, width)
    };
    PebBytes { peb, bytes }
}

/// A PEB of which only the address is known.
fn bare(address: u64, width: PointerWidth) -> Peb {
    Peb {
        address,
        width,
        captured: false,
        image_base: None,
        loader_data: None,
        process_heap: None,
        heaps: None,
        global_flag: None,
        os_version: None,
    }
}
