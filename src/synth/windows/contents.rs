//! What the structures in memory say, once everything has an address: PEBs, parameters, loader lists, TEBs.

use super::layout::Tebs;
use super::space::{Room, Space};
use super::structures::{LoaderEntry, Parameters, StartupBlock, startup_block};
use super::{
    Allocation, Listing, Machine, Peb, PlacedImage, PlacedThread, Process, Teb, peb_bytes,
    teb_bytes,
};
use crate::synth::PAGE_READWRITE;
use crate::synth::heap::EncodedHeap;

const PAGE: u64 = 0x1000;

/// One set of PEB, parameters and loader list; WOW64 has two.
pub(super) struct Half {
    pub(super) peb: u64,
    pub(super) pointer_size: usize,
    pub(super) machines: &'static [Machine],
}

/// Writes a PEB and what it points to; returns the address of the parameters.
pub(super) fn write_half(
    process: &Process,
    half: Half,
    images: &[PlacedImage],
    heaps: &[EncodedHeap],
    space: &mut Space,
    room: Room,
) -> u64 {
    let program = process.images.first();
    let parameters = Parameters {
        image_path: program.map_or("", |image| &image.path),
        command_line: &process.command_line,
        environment: &process.environment,
    };
    let entries: Vec<LoaderEntry<'_>> = images
        .iter()
        .zip(&process.images)
        .enumerate()
        // The program is in both lists of a WOW64 process.
        .filter(|(index, (image, _))| *index == 0 || half.machines.contains(&image.machine))
        .filter(|(_, (image, _))| image.listing == Listing::Listed)
        .map(|(_, (image, plan))| LoaderEntry {
            base: image.module.base,
            size: image.module.size,
            timestamp: image.module.timestamp,
            path: &plan.path,
        })
        .collect();
    let block =
        |base| startup_block(base, &parameters, process.loader, &entries, half.pointer_size);

    // The pointers inside depend on the address, the size does not.
    let size = (block(0).bytes.len() as u64).next_multiple_of(PAGE);
    let base = space.place(&Allocation::private().commit(size, PAGE_READWRITE), room);
    let StartupBlock { bytes, loader } = block(base);
    space.write(base, bytes);

    let peb = Peb {
        address: half.peb,
        image_base: images.first().map_or(0, |image| image.module.base),
        loader,
        parameters: base,
        heaps: heaps.iter().map(|heap| heap.address).collect(),
        processors: 8,
        global_flag: 0,
        version: process.version,
    };
    space.write(half.peb, peb_bytes(&peb, half.pointer_size));
    base
}

/// Writes every thread's TEB, and its 32-bit one in a WOW64 process.
pub(super) fn write_tebs(
    process: &Process,
    threads: &[PlacedThread],
    tebs: &Tebs,
    space: &mut Space,
) {
    for thread in threads {
        let common = Teb {
            address: thread.teb,
            stack_base: thread.stack.base,
            stack_limit: thread.stack.limit,
            deallocation_stack: thread.stack.allocation_base,
            process_id: process.id,
            thread_id: thread.id,
            peb: tebs.peb,
            ..Teb::default()
        };
        let (Some(teb32), Some(stack32), Some(peb32)) = (thread.teb32, thread.stack32, tebs.peb32)
        else {
            space.write(thread.teb, teb_bytes(&common, process.kind.pointer_size()));
            continue;
        };
        let native = Teb { exception_list: teb32, wow_teb_offset: 0x2000, ..common };
        let wow = Teb {
            address: teb32,
            exception_list: 0xffff_ffff,
            stack_base: stack32.base,
            stack_limit: stack32.limit,
            deallocation_stack: stack32.allocation_base,
            peb: peb32,
            wow_teb_offset: -0x2000,
            gdi_batch_count: thread.teb as u32,
            ..common
        };
        space.write(thread.teb, teb_bytes(&native, 8));
        space.write(teb32, teb_bytes(&wow, 4));
    }
}
