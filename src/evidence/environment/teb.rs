//! The TEBs of the threads. A TEB counts only when its Self pointer and its
//! thread id are those that the thread list gives.

use super::Teb;
use super::layout::{TEB32, TEB64, TEB64_DESKTOP, TebLayout, WOW64_TEB_DISTANCE, pointer_at};
use crate::dump::bytes::{length, u16_at, u32_at};
use crate::dump::{CapturedMemory, Dump, PointerWidth, ReadError, Thread, stream_type};
use crate::issue::Issues;

/// The end of what 32-bit pointers reach: TEBs of WOW64 threads lie below.
const BELOW_4_GIB: u64 = 1 << 32;

/// What the TEBs of all threads say.
#[derive(Debug, Default)]
pub(super) struct Tebs {
    /// In the order of the thread list; the 64-bit one of a thread first.
    pub(super) tebs: Vec<Teb>,
    /// Whether some thread is a 32-bit one on a 64-bit Windows.
    pub(super) wow64: bool,
}

/// Reads the TEB of every thread, and the 32-bit one of WOW64 threads in
/// 64-bit dumps: two small reads each.
pub(super) fn read_all(dump: &Dump<'_>, issues: &mut Issues) -> Tebs {
    let mut out = Tebs { tebs: Vec::with_capacity(dump.threads.len()), wow64: false };
    // As large as the larger TEB; reused, because ten thousand threads are read.
    let mut buffer = vec![0; TEB64.read];
    for (thread, index) in dump.threads.iter().zip(0_u32..) {
        let address = dump.system.width.mask(thread.teb);
        if address == 0 {
            continue;
        }
        let layout = layout_of(dump.system.width);
        let bytes = read(&dump.captured, address, layout, &mut buffer);
        match decode(bytes, address, index, thread, layout) {
            Decoded::NotCaptured => {}
            Decoded::Other => issues.add(Some(stream_type::THREAD_LIST), None, || {
                format!(
                    "thread {:#x}: the memory at {address:#x} is not its TEB; not used",
                    thread.id
                )
            }),
            Decoded::Teb(teb) => {
                out.tebs.push(teb);
                match layout.width {
                    PointerWidth::Bits32 => out.wow64 |= is_wow64_teb32(bytes, address),
                    PointerWidth::Bits64 => {
                        let candidates = teb32_candidates(bytes, address);
                        let teb32 = candidates.into_iter().flatten().find_map(|candidate| {
                            read_teb32(&dump.captured, candidate, index, thread, &mut buffer)
                        });
                        out.wow64 |= teb32.is_some();
                        out.tebs.extend(teb32);
                    }
                }
            }
        }
    }
    out
}

/// The layout of a view.
pub(super) fn layout_of(width: PointerWidth) -> &'static TebLayout {
    match width {
        PointerWidth::Bits32 => &TEB32,
        PointerWidth::Bits64 => &TEB64,
    }
}

/// Win32ClientInfo[4] and [5] of the first 64-bit TEBs: the desktop's
/// information and the desktop heap, once a thread has used windows.
pub(super) fn desktop(memory: &CapturedMemory<'_>, tebs: &[Teb]) -> Option<(u64, u64)> {
    /// Threads without windows have zeros here; those with are early ones.
    const TRIED: usize = 64;
    let tebs = tebs.iter().filter(|teb| teb.width == PointerWidth::Bits64).take(TRIED);
    tebs.filter_map(|teb| memory.array::<16>(teb.address.checked_add(TEB64_DESKTOP)?).ok())
        .filter_map(|bytes| {
            let field = |at| pointer_at(&bytes, at, PointerWidth::Bits64);
            field(0).zip(field(8))
        })
        .find(|(information, heap)| *information != 0 && *heap != 0)
}

/// The fields of a TEB, as far as they are captured.
fn read<'b>(
    memory: &CapturedMemory<'_>,
    address: u64,
    layout: &TebLayout,
    buffer: &'b mut [u8],
) -> &'b [u8] {
    let mut end = captured(memory, Some(address), buffer.get_mut(..layout.head));
    if end == layout.head {
        let tail = buffer.get_mut(layout.tail..layout.read);
        let address = address.checked_add(length(layout.tail));
        match captured(memory, address, tail) {
            0 => {}
            got => end = layout.tail.saturating_add(got),
        }
    }
    buffer.get(..end).unwrap_or(&[])
}

/// How many bytes of `target` are captured at `address`; it holds them then.
fn captured(memory: &CapturedMemory<'_>, address: Option<u64>, target: Option<&mut [u8]>) -> usize {
    let (Some(address), Some(target)) = (address, target) else { return 0 };
    match memory.read(address, target) {
        Ok(()) => target.len(),
        Err(ReadError::CutShort { got }) => got,
        Err(_) => 0,
    }
}

enum Decoded {
    /// Too few bytes for the checks.
    NotCaptured,
    /// The checks fail.
    Other,
    Teb(Teb),
}

fn decode(bytes: &[u8], address: u64, index: u32, thread: &Thread, layout: &TebLayout) -> Decoded {
    let pointer = |offset| pointer_at(bytes, offset, layout.width);
    let (Some(self_pointer), Some(id), Some(peb)) =
        (pointer(layout.self_pointer), u32_at(bytes, layout.thread_id), pointer(layout.peb))
    else {
        return Decoded::NotCaptured;
    };
    if self_pointer != address || id != thread.id {
        return Decoded::Other;
    }
    Decoded::Teb(Teb {
        thread: index,
        address,
        width: layout.width,
        stack_base: pointer(layout.stack_base).unwrap_or(0),
        stack_limit: pointer(layout.stack_limit).unwrap_or(0),
        deallocation_stack: pointer(layout.deallocation_stack),
        fiber: fiber(bytes, layout),
        peb,
    })
}

/// The fiber that runs on the thread: the TEB's stack is its stack then.
fn fiber(bytes: &[u8], layout: &TebLayout) -> Option<u64> {
    const HAS_FIBER_DATA: u16 = 4;
    let flags = u16_at(bytes, layout.flags)?;
    let data = pointer_at(bytes, layout.fiber_data, layout.width)?;
    (flags & HAS_FIBER_DATA != 0 && data != 0).then_some(data)
}

/// Where the TEB32 of a TEB64 may be. Any of these can be something else
/// (Wine keeps other values in ExceptionList): the TEB32's own checks decide.
fn teb32_candidates(bytes: &[u8], address: u64) -> [Option<u64>; 3] {
    if address >= BELOW_4_GIB {
        return [None; 3];
    }
    let exception_list = pointer_at(bytes, TEB64.exception_list, PointerWidth::Bits64);
    let offset = u32_at(bytes, TEB64.wow_offset).map(u64::from);
    let by_offset = offset.filter(|offset| *offset < 0x1_0000 && *offset != 0);
    let below = |candidate: &u64| *candidate != 0 && *candidate < BELOW_4_GIB;
    let first = exception_list.filter(below);
    let second = by_offset.and_then(|offset| address.checked_add(offset)).filter(below);
    let third = address.checked_add(WOW64_TEB_DISTANCE).filter(below);
    [first, second.filter(|_| second != first), third.filter(|_| third != first && third != second)]
}

fn read_teb32(
    memory: &CapturedMemory<'_>,
    address: u64,
    index: u32,
    thread: &Thread,
    buffer: &mut [u8],
) -> Option<Teb> {
    let bytes = read(memory, address, &TEB32, buffer);
    match decode(bytes, address, index, thread, &TEB32) {
        Decoded::Teb(teb) => Some(teb),
        _ => None,
    }
}

/// Whether a TEB32 names its TEB64: by WowTebOffset on 10 and later, before
/// that by the address of the TEB64 in the place of GdiBatchCount.
fn is_wow64_teb32(bytes: &[u8], address: u64) -> bool {
    let teb64 = address.wrapping_sub(WOW64_TEB_DISTANCE);
    let minus = 0_u32.wrapping_sub(0x2000);
    u32_at(bytes, TEB32.wow_offset) == Some(minus)
        || u32_at(bytes, TEB32.gdi_batch_count).map(u64::from) == Some(teb64)
}
