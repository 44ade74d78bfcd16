use super::*;
use crate::evidence::{Claim, Confidence, RegionKind, Use, gather};
use crate::limits::Limits;
use crate::source::Source;
use crate::synth::DumpBuilder;
use crate::synth::windows::{Allocation, Capture, Layout, Process, ThreadPlan};
use crate::synth::{PAGE_READONLY, PAGE_READWRITE};

fn evidence(dump: &DumpBuilder, depth: Depth) -> Evidence {
    let source = Source::from_bytes(dump.build());
    let limits = Limits { depth, ..Limits::default() };
    let dump = Dump::read(&source, &limits).unwrap();
    gather(&dump, &RegionMap::build(&dump))
}

fn named<'e>(evidence: &'e Evidence, name: &'static str) -> Vec<&'e Claim> {
    evidence.claims.iter().filter(|claim| claim.usage == Use::Named(name)).collect()
}

/// Writes into what the process has at an address.
fn patch(layout: &mut Layout, address: u64, bytes: &[u8]) {
    let inside =
        |memory: &&mut crate::synth::Memory| memory.base <= address && address < memory.end();
    let memory = layout.contents.iter_mut().find(inside).unwrap();
    let at = (address - memory.base) as usize;
    memory.bytes[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn both_views_of_a_wow64_process_are_read() {
    let layout = Process::wow64().thread(ThreadPlan::new(77)).lay_out();
    let found = evidence(&layout.dump(Capture::Small), Depth::Headers).environment;
    assert!(found.wow64);
    let tebs: Vec<_> = found.tebs.iter().map(|teb| (teb.thread, teb.address)).collect();
    let want: Vec<_> = (0..)
        .zip(&layout.threads)
        .flat_map(|(index, thread)| [(index, thread.teb), (index, thread.teb32.unwrap())])
        .collect();
    assert_eq!(tebs, want);
    let pebs: Vec<_> =
        found.pebs.iter().map(|peb| (peb.address, peb.width, peb.captured)).collect();
    let (peb, peb32) = (layout.peb, layout.peb32.unwrap());
    assert_eq!(pebs, [(peb, PointerWidth::Bits64, true), (peb32, PointerWidth::Bits32, true)]);
    assert_eq!(found.pebs[0].os_version, Some((10, 0, 19045)));

    let narrow = evidence(&layout.dump32(Capture::Small), Depth::Headers).environment;
    assert!(narrow.wow64);
    assert_eq!(narrow.tebs.len(), 2);
    assert!(narrow.tebs.iter().all(|teb| teb.width == PointerWidth::Bits32));
}

#[test]
fn parameters_are_read_and_the_environment_block_is_only_located() {
    for process in [Process::x64(), Process::x86()] {
        let layout = process.lay_out();
        let evidence = evidence(&layout.dump(Capture::Small), Depth::Headers);
        let parameters = &evidence.environment.parameters;
        assert_eq!(parameters.image_path.as_deref(), Some(r"C:\App\app.exe"));
        assert_eq!(parameters.command_line.as_deref(), Some(r#""C:\App\app.exe" --verbose"#));
        let block = parameters.environment.unwrap();
        let text: usize = [r"PATH=C:\Windows", r"TEMP=C:\Temp"].map(|s| s.len() + 1).iter().sum();
        assert_eq!(block.size(), 2 * (text as u64 + 1));
        // Heap is what both are: the remarks do not decide.
        for name in ["process parameters", "environment block"] {
            let [claim] = named(&evidence, name)[..] else { panic!("{name}") };
            assert_eq!(claim.kind, None);
        }
        assert_eq!(named(&evidence, "process parameters")[0].range.start(), layout.parameters);
    }
}

#[test]
fn a_teb_of_another_thread_is_not_used() {
    let mut layout = Process::x64().thread(ThreadPlan::new(77)).lay_out();
    let teb = layout.threads[1].teb;
    patch(&mut layout, teb + 0x48, &78_u32.to_le_bytes());
    let evidence = evidence(&layout.dump(Capture::Small), Depth::Headers);
    assert_eq!(evidence.environment.tebs.len(), 1);
    let issues = evidence.issues.into_vec();
    assert!(issues[0].message.contains("is not its TEB"), "{issues:?}");
}

#[test]
fn the_thread_list_places_tebs_when_their_memory_is_not_read() {
    let layout = Process::x64().thread(ThreadPlan::new(77)).lay_out();
    let evidence = evidence(&layout.dump(Capture::MapOnly), Depth::Headers);
    let tebs = named(&evidence, "TEB");
    let starts: Vec<_> = tebs.iter().map(|claim| claim.range.start()).collect();
    assert_eq!(starts, [layout.threads[0].teb, layout.threads[1].teb]);
    assert!(tebs.iter().all(|claim| claim.confidence == Confidence::Recorded));
    let [block] = named(&evidence, "PEB and TEB block")[..] else { panic!() };
    assert_eq!(block.range.size(), 0x20_0000);
    assert!(evidence.environment.pebs.is_empty());
}

/// A process whose PEB has `pointer` at `offset`, beside an allocation there.
fn with_target(allocation: Allocation, offset: u64, pointer: u64) -> Evidence {
    let mut layout = Process::x64().allocate(allocation).lay_out();
    let peb = layout.peb;
    patch(&mut layout, peb + offset, &pointer.to_le_bytes());
    evidence(&layout.dump(Capture::Small), Depth::Headers)
}

#[test]
fn pointers_of_the_peb_name_only_what_they_may_point_to() {
    const AT: u64 = 0x7000_0000;
    let view = || Allocation::mapped().at(AT).commit(0x3000, PAGE_READONLY);
    let private = || Allocation::private().at(AT).commit(0x2000, PAGE_READWRITE);

    let gdi = with_target(view(), 0xf8, AT + 0x1000);
    let [claim] = named(&gdi, "GDI handle table")[..] else { panic!() };
    assert_eq!(claim.range, AddressRange::new(AT, 0x3000).unwrap());
    assert_eq!(claim.kind, Some(RegionKind::Shareable));
    assert!(named(&with_target(private(), 0xf8, AT), "GDI handle table").is_empty());

    let shim = with_target(private(), 0x2d8, AT);
    let [claim] = named(&shim, "shim data")[..] else { panic!() };
    assert_eq!(claim.range.size(), 0x2000);
    // Inside an allocation it can be a heap block.
    assert!(named(&with_target(private(), 0x2d8, AT + 0x1000), "shim data").is_empty());
    assert!(named(&with_target(view(), 0x2d8, AT), "shim data").is_empty());
    assert!(named(&with_target(view(), 0xf8, 0x6fff_0000), "GDI handle table").is_empty());

    // csrss' address: whatever is there has nothing to do with it.
    let csr = with_target(view(), 0x380, AT);
    assert!(csr.claims.iter().all(|claim| !claim.range.contains(AT)));
}

#[test]
fn regions_of_the_system_are_known_without_memory() {
    let layout = Process::x64()
        .allocate(Allocation::mapped().commit(0x18_1000, PAGE_READONLY))
        .allocate(
            Allocation { protect: 1, ..Allocation::mapped() }
                .at(0x7df5_0000_0000)
                .reserve(0x200_0000_0000),
        )
        .allocate(Allocation::private().reserve(0x200_0000).commit(0x1000, PAGE_READWRITE))
        .lay_out();
    let evidence = evidence(&layout.dump(Capture::MapOnly), Depth::Streams);
    let [bitmap] = named(&evidence, "CFG bitmap")[..] else { panic!() };
    assert_eq!(bitmap.range, AddressRange::new(0x7df5_0000_0000, 0x200_0000_0000).unwrap());
    assert_eq!(bitmap.confidence, Confidence::Heuristic);
    assert_eq!(named(&evidence, "GDI handle table").len(), 1);
    assert_eq!(named(&evidence, "system reservation (fixed size, unidentified)").len(), 1);
    let [shared] = named(&evidence, "KUSER_SHARED_DATA")[..] else { panic!() };
    assert_eq!((shared.range.start(), shared.confidence), (0x7ffe_0000, Confidence::Derived));
}

#[test]
fn activation_contexts_are_known_by_their_magic() {
    let view = || Allocation::mapped().commit(0x1000, PAGE_READONLY);
    let layout = Process::x86().allocate(view().bytes(0, *b"Actx")).allocate(view()).lay_out();
    let evidence = evidence(&layout.dump(Capture::Small), Depth::Headers);
    let [claim] = named(&evidence, "activation context data")[..] else { panic!() };
    assert_eq!(claim.range.start(), layout.allocations[0]);
}
