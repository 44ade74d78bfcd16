use super::*;
use crate::evidence::gather;
use crate::limits::Limits;
use crate::source::Source;
use crate::synth::windows::{Allocation, Capture, Layout, PlacedStack, Process, ThreadPlan};
use crate::synth::{
    Architecture, Context, DumpBuilder, MEM_PRIVATE, Mapping, Memory, PAGE_GUARD, PAGE_READONLY,
    PAGE_READWRITE, Platform as Os, Region, Stack as Described, Thread, maps_text, stream,
};

fn evidence(dump: &DumpBuilder) -> Evidence {
    let source = Source::from_bytes(dump.build());
    let dump = Dump::read(&source, &Limits::default()).unwrap();
    gather(&dump, &RegionMap::build(&dump))
}

fn check(stack: &Stack, want: &PlacedStack, confidence: Confidence) {
    assert_eq!(stack.confidence, confidence, "{stack:x?}");
    assert_eq!((stack.range.start(), stack.base), (want.allocation_base, want.base));
    assert_eq!(stack.limit, Some(want.limit));
    assert_eq!(stack.committed, Some(want.base - want.limit));
}

fn patch(layout: &mut Layout, address: u64, bytes: &[u8]) {
    let inside = |memory: &&mut Memory| memory.base <= address && address < memory.end();
    let memory = layout.contents.iter_mut().find(inside).unwrap();
    let at = (address - memory.base) as usize;
    memory.bytes[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn a_teb_gives_the_stack_and_without_it_the_descriptor_gives_the_same() {
    for process in [Process::x64(), Process::arm64(), Process::x86()] {
        let layout = process.thread(ThreadPlan::new(77)).lay_out();
        let cases = [
            (Capture::Small, Confidence::Derived),
            (Capture::Full, Confidence::Derived),
            (Capture::MapOnly, Confidence::Recorded),
        ];
        for (capture, confidence) in cases {
            let evidence = evidence(&layout.dump(capture));
            assert_eq!(evidence.stacks.len(), 2);
            for (stack, thread) in evidence.stacks.iter().zip(&layout.threads) {
                check(stack, &thread.stack, confidence);
                assert_eq!(stack.stack_pointer, Some(thread.stack.pointer));
                assert_eq!(stack.used, Some(thread.stack.base - thread.stack.pointer));
                assert!(stack.guard.unwrap() >= 0x2000);
            }
        }
    }
}

#[test]
fn wow64_threads_have_two_stacks_in_the_order_of_the_threads() {
    let layout = Process::wow64().thread(ThreadPlan::new(77)).lay_out();
    for (capture, confidence) in
        [(Capture::Small, Confidence::Derived), (Capture::Full, Confidence::Derived)]
    {
        let evidence = evidence(&layout.dump(capture));
        let want: Vec<_> = layout
            .threads
            .iter()
            .flat_map(|thread| [thread.stack, thread.stack32.unwrap()])
            .collect();
        assert_eq!(evidence.stacks.len(), want.len());
        for (stack, want) in evidence.stacks.iter().zip(&want) {
            check(stack, want, confidence);
        }
    }
    // The 32-bit stack is in the descriptor, the 64-bit one around SP.
    let evidence = evidence(&layout.dump(Capture::MapOnly));
    let found: Vec<_> = evidence
        .stacks
        .iter()
        .map(|stack| (stack.range.start(), stack.width, stack.confidence))
        .collect();
    let thread = &layout.threads[0];
    let want = [
        (thread.stack.allocation_base, PointerWidth::Bits64, Confidence::Heuristic),
        (thread.stack32.unwrap().allocation_base, PointerWidth::Bits32, Confidence::Recorded),
    ];
    assert_eq!(found[..2], want);
}

#[test]
fn a_32_bit_dump_of_a_wow64_process_shows_64_bit_stacks_without_a_thread() {
    let layout = Process::wow64()
        .allocate(
            Allocation::private().reserve(0x3_8000).guard(0x3000).commit(0x5000, PAGE_READWRITE),
        )
        .lay_out();
    let evidence = evidence(&layout.dump32(Capture::Small));
    check(&evidence.stacks[0], &layout.threads[0].stack32.unwrap(), Confidence::Derived);
    let row = evidence
        .stacks
        .iter()
        .position(|stack| stack.range.start() == layout.allocations[0])
        .unwrap();
    assert_eq!(
        (evidence.stacks[row].thread, evidence.stacks[row].width),
        (None, PointerWidth::Bits64)
    );
    let subject = Subject::Stack(row as u32);
    let claim = evidence.claims.iter().find(|claim| claim.subject == subject).unwrap();
    assert_eq!(claim.usage, Use::Named("64-bit stack (WOW64)"));
}

#[test]
fn a_damaged_teb_is_an_issue_and_the_descriptor_takes_over() {
    let damage: [(u64, u64); 4] = [
        (0x08, 0x1000),           // StackBase below everything
        (0x10, 0xdead_0000_0000), // StackLimit above StackBase
        (0x1478, 0x10_0000),      // DeallocationStack in another allocation
        (0x10, 0x123),            // StackLimit inside a page
    ];
    for (offset, value) in damage {
        let mut layout = Process::x64().lay_out();
        let teb = layout.threads[0].teb;
        patch(&mut layout, teb + offset, &value.to_le_bytes());
        let evidence = evidence(&layout.dump(Capture::Small));
        assert_eq!(evidence.stacks.len(), 1, "{offset:#x}");
        check(&evidence.stacks[0], &layout.threads[0].stack, Confidence::Recorded);
        let issues = evidence.issues.into_vec();
        assert!(issues[0].message.contains("not used"), "{issues:?}");
    }
}

#[test]
fn a_fiber_that_runs_is_named() {
    let mut layout = Process::x64().lay_out();
    let teb = layout.threads[0].teb;
    patch(&mut layout, teb + 0x20, &0x5000_u64.to_le_bytes());
    patch(&mut layout, teb + 0x17ee, &4_u16.to_le_bytes());
    let evidence = evidence(&layout.dump(Capture::Small));
    let claim = evidence.claims.iter().find(|claim| claim.subject == Subject::Stack(0)).unwrap();
    assert!(claim.detail.to_string().ends_with("the fiber at 0x5000"), "{}", claim.detail);
}

/// A thread of which only registers are known, in a process of one
/// allocation.
fn one_thread(pointer: u64, regions: Vec<Region>) -> Evidence {
    let mut dump = DumpBuilder::windows_x64()
        .thread(Thread { context: Context::at(0x7ff6_0000_1000, pointer), ..Thread::new(42) });
    dump.regions = Some(regions);
    evidence(&dump)
}

#[test]
fn committed_guard_and_reserved_parts_come_in_any_order() {
    let part = |at: u64, size, protect| Region::commit(at, size, protect).within(0x10_0000);
    let regions = vec![
        Region::reserve(0x10_0000, 0x1000),
        part(0x10_1000, 0x1000, PAGE_READWRITE),
        part(0x10_2000, 0x8000, PAGE_READWRITE | PAGE_GUARD),
        part(0x10_a000, 0x6000, PAGE_READWRITE),
    ];
    let evidence = one_thread(0x10_f000, regions.clone());
    let [stack] = &evidence.stacks[..] else { panic!("{:?}", evidence.stacks) };
    assert_eq!(stack.confidence, Confidence::Heuristic);
    assert_eq!((stack.range.start(), stack.base), (0x10_0000, 0x11_0000));
    assert_eq!(stack.limit, Some(0x10_a000));
    assert_eq!(
        (stack.committed, stack.guard, stack.used),
        (Some(0x7000), Some(0x8000), Some(0x1000))
    );

    // A stack pointer in reserved or free memory invents no stack.
    assert!(one_thread(0x10_0800, regions.clone()).stacks.is_empty());
    assert!(one_thread(0x50_0000, regions).stacks.is_empty());
    // A guard page alone is no stack.
    let guard = Region::commit(0x10_0000, 0x1000, PAGE_READWRITE | PAGE_GUARD);
    assert!(one_thread(0x10_0800, vec![guard]).stacks.is_empty());
}

#[test]
fn stacks_of_no_thread_are_known_by_shape() {
    let stack =
        || Allocation::private().reserve(0xf_0000).guard(0x3000).commit(0xd000, PAGE_READWRITE);
    let layout = Process::x64()
        .allocate(stack())
        .allocate(stack().reserve(0x1000))
        .allocate(Allocation::private().reserve(0x1000).guard(0x1000))
        .lay_out();
    let evidence = evidence(&layout.dump(Capture::MapOnly));
    let unclaimed: Vec<_> = evidence.stacks.iter().filter(|stack| stack.thread.is_none()).collect();
    let [found] = unclaimed[..] else { panic!("{unclaimed:x?}") };
    assert_eq!(found.range.start(), layout.allocations[0]);
    assert_eq!(found.confidence, Confidence::Heuristic);
    assert_eq!((found.guard, found.committed), (Some(0x3000), Some(0xd000)));
}

#[test]
fn a_shadow_stack_follows_the_stack_of_its_thread() {
    let shadows = |at: u64| {
        let read_only =
            |region: Region| Region { allocation_protect: PAGE_READONLY, ..region }.within(at);
        let guard = PAGE_READONLY | PAGE_GUARD;
        let evidence = one_thread(
            0x10_f000,
            vec![
                Region::commit(0x10_0000, 0x1_0000, PAGE_READWRITE),
                read_only(Region::reserve(at, 0xd000)),
                read_only(Region::commit(at + 0xd000, 0x1000, guard)),
                read_only(Region::commit(at + 0xe000, 0x1000, PAGE_READONLY)),
                read_only(Region::reserve(at + 0xf000, 0x1000)),
            ],
        );
        let named = |claim: &&Claim| claim.usage == Use::Named("shadow stack");
        let found = evidence.claims.iter().filter(named);
        found.map(|claim| (claim.range.start(), claim.subject)).collect::<Vec<_>>()
    };
    assert_eq!(shadows(0x11_0000), [(0x11_0000, Subject::Stack(0))]);
    assert!(shadows(0x12_0000).is_empty());
}

#[test]
fn a_thousand_threads_in_one_allocation_of_many_regions_end() {
    let mut regions: Vec<Region> = Vec::new();
    for page in 0..40_000_u64 {
        let protect = if page % 2 == 0 { PAGE_READWRITE } else { PAGE_READONLY };
        let region = Region::commit(0x1000_0000 + page * 0x1000, 0x1000, protect);
        regions.push(Region { memory_type: MEM_PRIVATE, ..region.within(0x1000_0000) });
    }
    let mut dump = DumpBuilder::windows_x64();
    for id in 0..1_000_u32 {
        let stack = Described::Range { base: 0x1000_0000 + u64::from(id) * 0x1000, size: 0x800 };
        dump = dump.thread(Thread { stack, ..Thread::new(id) });
    }
    dump.regions = Some(regions);
    let evidence = evidence(&dump);
    assert_eq!(evidence.stacks.len(), 1_000);
    assert!(evidence.stacks.iter().any(|stack| stack.committed.is_none()));
}

#[test]
fn linux_stacks_are_mappings_with_their_guard() {
    let maps = maps_text(&[
        Mapping::new(0x1000_0000, 0x1000_1000, "---p", ""),
        Mapping::new(0x1000_1000, 0x1004_0000, "rw-p", ""),
        Mapping::new(0x2000_0000, 0x2004_0000, "rw-p", ""),
        Mapping::new(0x3000_0000, 0x3001_0000, "rw-p", "[heap]"),
        Mapping::new(0x7ff0_0000_0000, 0x7ff0_0002_0000, "rw-p", "[stack]"),
    ]);
    let mut dump = DumpBuilder::with_system(Architecture::Amd64, Os::Linux, (0, 0, 0));
    let starts = [0x7ff0_0001_0000, 0x1002_0000, 0x2001_0000, 0x3000_8000];
    for (id, base) in (1..).zip(starts) {
        let stack = Described::Range { base, size: 0x1000 };
        dump = dump.thread(Thread { stack, ..Thread::new(id) });
    }
    dump.raw.push((stream::LINUX_MAPS, maps.into_bytes()));
    let evidence = evidence(&dump);
    let found: Vec<_> = evidence
        .stacks
        .iter()
        .map(|stack| (stack.range.start(), stack.base, stack.guard, stack.confidence))
        .collect();
    let want = [
        (0x7ff0_0000_0000, 0x7ff0_0002_0000, Some(0), Confidence::Recorded),
        (0x1000_1000, 0x1004_0000, Some(0x1000), Confidence::Derived),
        (0x2000_0000, 0x2004_0000, Some(0), Confidence::Heuristic),
        // A stack in the heap is no more than what the writer chose.
        (0x3000_8000, 0x3000_9000, None, Confidence::Recorded),
    ];
    assert_eq!(found, want);
    let guard = evidence.claims.iter().find(|claim| claim.usage == Use::Named("stack guard"));
    assert_eq!(guard.unwrap().range, AddressRange::new(0x1000_0000, 0x1000).unwrap());
}
