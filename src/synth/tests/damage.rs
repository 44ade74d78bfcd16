use minidump::{
    MinidumpMemoryInfoList, MinidumpMemoryList, MinidumpModuleList, MinidumpThreadNames,
};

use super::read;
use crate::synth::*;

fn three_regions() -> DumpBuilder {
    let region = |index: u64| Region::commit(0x1_0000 * index, 0x1000, PAGE_READWRITE);
    DumpBuilder::windows_x64().regions((1..4).map(region))
}

fn entry(dump: &DumpBuilder, stream_type: u32) -> DirectoryEntry {
    let directory = dump.directory();
    let found = directory.iter().find(|entry| entry.stream_type == stream_type);
    *found.expect("the stream is in the directory")
}

fn stream_bytes(dump: &DumpBuilder, stream_type: u32) -> Vec<u8> {
    let DirectoryEntry { size, rva, .. } = entry(dump, stream_type);
    dump.build()[rva as usize..][..size as usize].to_vec()
}

#[test]
fn claims_change_only_their_field() {
    let whole = stream_bytes(&three_regions(), stream::MEMORY_INFO_LIST);
    let cases = [
        (Damage::Count(1 << 40), 8..16),
        (Damage::HeaderSize(32), 0..4),
        (Damage::EntrySize(56), 4..8),
    ];
    for (damage, field) in cases {
        let dump = three_regions().damage(stream::MEMORY_INFO_LIST, damage);
        let damaged = stream_bytes(&dump, stream::MEMORY_INFO_LIST);
        let differ: Vec<_> = (0..whole.len()).filter(|&i| whole[i] != damaged[i]).collect();
        assert!(!differ.is_empty() && differ.iter().all(|i| field.contains(i)));
    }
}

#[test]
fn wider_entries_and_headers_move_the_data() {
    let dump = three_regions()
        .damage(stream::MEMORY_INFO_LIST, Damage::WideEntries(56))
        .damage(stream::MEMORY_INFO_LIST, Damage::WideHeader(32));
    let bytes = stream_bytes(&dump, stream::MEMORY_INFO_LIST);
    assert_eq!(bytes.len(), 32 + 3 * 56);
    let base = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    assert_eq!((base(32), base(32 + 56)), (0x1_0000, 0x2_0000));
    assert_eq!(bytes[0], 32);
    assert_eq!(bytes[4], 56);
}

#[test]
fn padded_lists_are_readable() {
    let dump = DumpBuilder::windows_x64()
        .memory(0x1_0000, [1, 2])
        .damage(stream::MEMORY_LIST, Damage::WideHeader(8));
    let dump = read(&dump);
    let memory: MinidumpMemoryList<'_> = dump.get_stream().unwrap();
    assert_eq!(memory.memory_at_address(0x1_0000).unwrap().bytes, [1, 2]);
}

#[test]
fn directory_entries_lie() {
    let dump = three_regions().damage(stream::MEMORY_INFO_LIST, Damage::Rva(0x7fff_fff0));
    assert!(read(&dump).get_stream::<MinidumpMemoryInfoList<'_>>().is_err());
    let dump = three_regions().damage(stream::MEMORY_INFO_LIST, Damage::Type(0xbeef_0000));
    assert!(read(&dump).get_stream::<MinidumpMemoryInfoList<'_>>().is_err());
    let dump = three_regions().damage(stream::MEMORY_INFO_LIST, Damage::Size(16 + 48));
    assert!(read(&dump).get_stream::<MinidumpMemoryInfoList<'_>>().is_err());
    assert_eq!(entry(&dump, stream::MEMORY_INFO_LIST).size, 64);
}

#[test]
fn streams_repeat() {
    let dump = three_regions().damage(stream::MEMORY_INFO_LIST, Damage::Duplicate);
    let directory = dump.directory();
    assert_eq!(directory[1], directory[2]);

    let other = memory_info_list(&[Region::reserve(0x9_0000, 0x1000)]);
    let dump = three_regions().raw(stream::MEMORY_INFO_LIST, other);
    let sizes: Vec<_> = dump.directory().iter().map(|entry| entry.size).collect();
    assert_eq!(sizes, [56, 16 + 3 * 48, 16 + 48]);
}

#[test]
fn the_file_ends_where_asked() {
    let whole = three_regions();
    let rva = entry(&whole, stream::MEMORY_INFO_LIST).rva as usize;
    let cut = whole.clone().damage(stream::MEMORY_INFO_LIST, Damage::EndOfFile(16 + 50));
    assert_eq!(cut.build().len(), rva + 66);
    assert_eq!(whole.clone().truncate_at(100).build().len(), 100);
    let longer = whole.clone().append([0; 7]);
    assert_eq!(longer.build().len(), whole.build().len() + 7);
}

#[test]
fn full_memory_ends_the_file() {
    let dump = DumpBuilder::windows_x64().memory64(0x1_0000, [1, 2, 3]).comment_a("before");
    assert!(dump.build().ends_with(&[1, 2, 3]));
}

#[test]
fn bad_names() {
    // The crate gives up the whole list for one bad name.
    let lone = Name::Units(vec![0xd800, 0x41]);
    let dump = DumpBuilder::windows_x64().module(Module::new(lone, 0x1_0000, 0x1000));
    assert!(dump.build().windows(8).any(|bytes| bytes == [4, 0, 0, 0, 0, 0xd8, 0x41, 0]));
    assert!(read(&dump).get_stream::<MinidumpModuleList>().is_err());
    let dump = DumpBuilder::windows_x64()
        .module(Module::new("good", 0x1_0000, 0x1000))
        .module(Module::new(Name::At(0x7fff_ffff), 0x2_0000, 0x1000));
    assert!(read(&dump).get_stream::<MinidumpModuleList>().is_err());
    let dump = DumpBuilder::windows_x64().thread_name(1, Name::At(0x7fff_ffff));
    assert!(read(&dump).get_stream::<MinidumpThreadNames>().is_ok());
}

#[test]
fn high_addresses_are_sign_extended() {
    let dump = DumpBuilder::windows_x86()
        .region(Region::commit(0x9fff_0000, 0x1000, PAGE_READWRITE))
        .region(Region::commit(0x1fff_0000, 0x1000, PAGE_READWRITE))
        .sign_extended();
    let dump = read(&dump);
    let regions: MinidumpMemoryInfoList<'_> = dump.get_stream().unwrap();
    let bases: Vec<_> = regions.iter().map(|region| region.raw.base_address).collect();
    assert_eq!(bases, [0xffff_ffff_9fff_0000, 0x1fff_0000]);
}
