//! The threads. Sources: ThreadList (3), ThreadExList (8), ThreadNames (24)
//! and ThreadInfoList (17). Lenient: counts that do not fit, padding of any
//! size, names that cannot be read cost one entry, never the stream.

use std::collections::HashMap;

use super::bytes::{u32_at, u64_at};
use super::strings::{self, NameAt};
use super::{StreamBytes, StreamReader, SystemInfo, stream_type};

/// One thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// The system's thread id.
    pub id: u32,
    /// How often it was suspended.
    pub suspend_count: u32,
    /// Priority class and priority.
    pub priority: (u32, u32),
    /// Where the TEB is. Meaningful on Windows only: Crashpad on macOS
    /// stores another pointer here, Breakpad on Linux 0.
    pub teb: u64,
    /// Address and size of the stack memory the writer chose; the contents
    /// may be elsewhere (file offset 0 in full dumps).
    pub stack: (u64, u64),
    /// Where the stack's contents are in the file; 0 when the memory lists
    /// have them.
    pub stack_offset: u64,
    /// Where the registers are: offset and size in the file.
    pub context: Option<(u64, u64)>,
    /// The thread's name.
    pub name: Option<String>,
    /// What stream 17 adds. Most dumps lack it, and there may be many threads.
    pub info: Option<Box<ThreadInfo>>,
}

/// MINIDUMP_THREAD_INFO (64 bytes an entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ThreadInfo {
    /// 1 error, 2 the thread that wrote the dump, 4 exited, 8 no info,
    /// 0x10 no context, 0x20 no TEB.
    pub dump_flags: u32,
    /// Exit status; 0x103 while it runs.
    pub exit_status: u32,
    /// FILETIME of creation.
    pub create_time: u64,
    /// FILETIME of exit; 0 while it runs.
    pub exit_time: u64,
    /// Time in the kernel, in 100 ns.
    pub kernel_time: u64,
    /// Time in user mode, in 100 ns.
    pub user_time: u64,
    /// Where the thread began.
    pub start_address: u64,
    /// Processors it may run on.
    pub affinity: u64,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>, system: &SystemInfo) -> Vec<Thread> {
    let mut threads = match reader.stream(stream_type::THREAD_LIST) {
        Some(stream) => read_list::<48>(reader, stream_type::THREAD_LIST, &stream, system),
        None => match reader.stream(stream_type::THREAD_EX_LIST) {
            Some(stream) => read_list::<64>(reader, stream_type::THREAD_EX_LIST, &stream, system),
            None => Vec::new(),
        },
    };
    read_names(reader, &mut threads);
    read_infos(reader, system, &mut threads);
    threads
}

/// MINIDUMP_THREAD (48 bytes) or MINIDUMP_THREAD_EX (64 bytes, the same and
/// the backing store of Itanium).
fn read_list<'s, const N: usize>(
    reader: &mut StreamReader<'_, 's>,
    kind: u32,
    stream: &StreamBytes<'s>,
    system: &SystemInfo,
) -> Vec<Thread> {
    let Some(list) = super::list_of::<N>(stream, reader, kind) else { return Vec::new() };
    let mut threads = Vec::with_capacity(list.count);
    for (place, record) in list.records {
        let word = |at| u32_at(record, at).unwrap_or(0);
        let long = |at| u64_at(record, at).unwrap_or(0);
        let id = word(0);
        let context = strings::location(record, 0x28);
        let context = context.map(|(size, rva)| (u64::from(rva), u64::from(size)));
        if let Some((offset, size)) = context
            && offset.saturating_add(size) > reader.source.len()
        {
            reader.issue(kind, place, || {
                format!(
                    "the registers of thread {id:#x}, {size} bytes at {offset:#x}, lie past the end of the file"
                )
            });
        }
        threads.push(Thread {
            id,
            suspend_count: word(4),
            priority: (word(8), word(0xc)),
            teb: system.width.mask(long(0x10)),
            stack: (system.width.mask(long(0x18)), word(0x20).into()),
            stack_offset: word(0x24).into(),
            context: context.filter(|(offset, _)| *offset < reader.source.len()),
            name: None,
            info: None,
        });
    }
    threads
}

/// MINIDUMP_THREAD_NAME: thread id and the 64-bit file offset of a string.
fn read_names(reader: &mut StreamReader<'_, '_>, threads: &mut [Thread]) {
    const KIND: u32 = stream_type::THREAD_NAMES;
    let Some(stream) = reader.stream(KIND) else { return };
    let Some(list) = super::list_of::<12>(&stream, reader, KIND) else { return };
    let mut names = Joined::new(list.count);
    for (place, record) in list.records {
        names.push(u32_at(record, 0).unwrap_or(0), (place, u64_at(record, 4).unwrap_or(0)));
    }
    for thread in threads {
        if let Some((place, rva)) = names.find(thread.id)
            && rva != 0
        {
            let name = NameAt { kind: KIND, place, what: "thread name", rva };
            thread.name = strings::utf16(reader, name).filter(|name| !name.is_empty());
        }
    }
}

fn read_infos(reader: &mut StreamReader<'_, '_>, system: &SystemInfo, threads: &mut [Thread]) {
    const KIND: u32 = stream_type::THREAD_INFO_LIST;
    let Some(stream) = reader.stream(KIND) else { return };
    let field = |at| u32_at(stream.bytes, at);
    let (Some(header), Some(stride), Some(promised)) = (field(0), field(4), field(8)) else {
        reader.issue(KIND, stream.offset, || "too short for its header of 12 bytes".into());
        return;
    };
    let records = strings::strided::<64>(reader, KIND, &stream, (header, stride, promised));
    let mut infos = Joined::new(threads.len());
    for (_, record) in records {
        infos.push(u32_at(record, 0).unwrap_or(0), record);
    }
    for thread in threads {
        thread.info = infos.find(thread.id).map(|record| Box::new(decode_info(record, system)));
    }
}

fn decode_info(record: &[u8; 64], system: &SystemInfo) -> ThreadInfo {
    let word = |at| u32_at(record, at).unwrap_or(0);
    let long = |at| u64_at(record, at).unwrap_or(0);
    ThreadInfo {
        dump_flags: word(4),
        exit_status: word(0xc),
        create_time: long(0x10),
        exit_time: long(0x18),
        kernel_time: long(0x20),
        user_time: long(0x28),
        start_address: system.width.mask(long(0x30)),
        affinity: long(0x38),
    }
}

/// Entries found by thread id. Writers list names and times in the order of
/// the threads, so the next entry is tried first; the first miss builds an
/// index, which keeps the whole join linear.
struct Joined<T> {
    entries: Vec<(u32, T)>,
    next: usize,
    index: Option<HashMap<u32, usize>>,
}

impl<T: Copy> Joined<T> {
    fn new(count: usize) -> Joined<T> {
        Joined { entries: Vec::with_capacity(count), next: 0, index: None }
    }

    fn push(&mut self, id: u32, value: T) {
        self.entries.push((id, value));
    }

    fn find(&mut self, id: u32) -> Option<T> {
        if let Some((next_id, value)) = self.entries.get(self.next)
            && *next_id == id
        {
            self.next = self.next.saturating_add(1);
            return Some(*value);
        }
        let Joined { entries, index, .. } = self;
        let index = index.get_or_insert_with(|| {
            // Reversed, so that the first of several entries stays.
            entries.iter().enumerate().rev().map(|(at, (id, _))| (*id, at)).collect()
        });
        let at = *index.get(&id)?;
        self.next = at.saturating_add(1);
        self.entries.get(at).map(|(_, value)| *value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dump::tests::{Bytes, longs, messages, read, words};

    fn thread(id: u32, teb: u64, stack: u64) -> Vec<u8> {
        let mut record = words([id, 1, 32, 8]);
        record.extend(longs([teb, stack]));
        record.extend(words([0x1000, 0, 0, 0]));
        record
    }

    fn list(records: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(records.len()).unwrap();
        [words([count]), records.concat()].concat()
    }

    fn ids(dump: &[u8]) -> (Vec<u32>, usize) {
        read(dump, |dump| {
            (dump.threads.iter().map(|thread| thread.id).collect(), messages(dump).len())
        })
    }

    #[test]
    fn padding_and_trailing_bytes_mean_nothing() {
        let records = [thread(1, 0, 0), thread(2, 0, 0)].concat();
        for (head, tail) in [(4, 0), (8, 0), (4, 4), (4, 12), (4, 47)] {
            let mut bytes = words([2]);
            bytes.resize(head, 0);
            bytes.extend(&records);
            // Eight bytes more than the records are padding of the count.
            bytes.resize(head + records.len() + tail, 0);
            if (head, tail) == (4, 4) {
                bytes = words([2, 0]);
                bytes.extend(&records);
            }
            assert_eq!(ids(&Bytes::new().stream(3, bytes).finish()), (vec![1, 2], 0));
        }
    }

    #[test]
    fn a_count_is_a_claim_about_bytes() {
        let bytes = [words([u32::MAX]), thread(1, 0, 0), vec![0; 47]].concat();
        assert_eq!(ids(&Bytes::new().stream(3, bytes).finish()), (vec![1], 1));
        assert_eq!(ids(&Bytes::new().stream(3, [1, 0]).finish()), (vec![], 1));
    }

    #[test]
    fn the_ex_list_is_used_without_the_list() {
        let extended = list(&[[thread(5, 0, 0), vec![0; 16]].concat()]);
        assert_eq!(ids(&Bytes::new().stream(8, &extended).finish()), (vec![5], 0));
        let both = Bytes::new().stream(8, &extended).stream(3, list(&[thread(1, 0, 0)])).finish();
        assert_eq!(ids(&both), (vec![1], 0));
    }

    #[test]
    fn every_field_and_32_bit_addresses() {
        let mut record = thread(7, 0xffff_ffff_ffd0_0000, 0xffff_ffff_8000_0000);
        record[0x24..0x30].copy_from_slice(&words([40, 716, 60]));
        let dump = Bytes::new().system(0, 2).stream(3, list(&[record])).finish();
        read(&dump, |dump| {
            let thread = &dump.threads[0];
            assert_eq!((thread.teb, thread.stack), (0xffd0_0000, (0x8000_0000, 0x1000)));
            assert_eq!((thread.stack_offset, thread.context), (40, Some((60, 716))));
            assert_eq!((thread.suspend_count, thread.priority), (1, (32, 8)));
        });
    }

    #[test]
    fn registers_past_the_end_of_the_file() {
        let mut record = thread(7, 0, 0);
        record[0x28..].copy_from_slice(&words([716, 0x7fff_0000]));
        let dump = Bytes::new().stream(3, list(&[record])).finish();
        read(&dump, |dump| {
            assert_eq!((dump.threads[0].context, messages(dump).len()), (None, 1));
            assert_eq!(dump.registers(&dump.threads[0]), None);
        });
    }

    fn name(id: u32, rva: u64) -> Vec<u8> {
        [words([id]), longs([rva])].concat()
    }

    #[test]
    fn names_are_joined_by_id_in_any_order() {
        let mut bytes = Bytes::new();
        let [one, three] = ["one", "three"].map(|text| u64::from(bytes.name(text)));
        let names =
            [name(9, three), name(3, three), name(2, 1 << 40), name(1, one), name(1, three)];
        let threads = list(&[1, 2, 3, 4].map(|id| thread(id, 0, 0)));
        let dump = bytes.stream(3, threads).stream(24, list(&names)).finish();
        read(&dump, |dump| {
            let names: Vec<_> = dump.threads.iter().map(|thread| thread.name.as_deref()).collect();
            assert_eq!(names, [Some("one"), None, Some("three"), None]);
            assert_eq!(
                messages(dump),
                ["the thread name at 0x10000000000 lies outside the file; left out"]
            );
        });
    }

    #[test]
    fn infos_of_longer_entries() {
        let mut info = words([2, 4, 0, 0x103]);
        info.extend(longs([10, 11, 12, 13, 0xffff_ffff_8000_1000, 3]));
        for stride in [64, 80] {
            info.resize(stride, 0xee);
            let head = words([16, u32::try_from(stride).unwrap(), 1, 0]);
            let stream = [head, info.clone()].concat();
            let threads = list(&[thread(1, 0, 0), thread(2, 0, 0)]);
            let dump = Bytes::new().system(0, 2).stream(3, threads).stream(17, stream).finish();
            read(&dump, |dump| {
                let expected = ThreadInfo {
                    dump_flags: 4,
                    exit_status: 0x103,
                    create_time: 10,
                    exit_time: 11,
                    kernel_time: 12,
                    user_time: 13,
                    start_address: 0x8000_1000,
                    affinity: 3,
                };
                assert_eq!(dump.threads[0].info, None);
                assert_eq!((dump.threads[1].info, messages(dump).len()), (Some(expected), 0));
            });
        }
    }

    #[test]
    fn infos_of_entries_that_are_too_short() {
        for (header, stride) in [(12, 0), (12, 63), (u32::MAX, 64)] {
            let stream = [words([header, stride, u32::MAX]), vec![0; 64]].concat();
            let dump = Bytes::new().stream(3, list(&[thread(0, 0, 0)])).stream(17, stream).finish();
            read(&dump, |dump| {
                assert_eq!((dump.threads[0].info, messages(dump).len()), (None, 1));
            });
        }
    }
}
