//! Process id and times. Source: MINIDUMP_MISC_INFO, revisions 1 to 5
//! (stream 15), each a prefix of the next, its flags saying which fields are
//! set; the id of Linux' /proc/PID/status where MiscInfo has none.

use super::bytes::u32_at;
use super::strings::utf16_before_nul;
use super::{LinuxDump, StreamReader, stream_type};

const ID: u32 = 0x1;
const TIMES: u32 = 0x2;
const BUILD_STRING: u32 = 0x100;

/// The process as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessInfo {
    /// Process id.
    pub id: Option<u32>,
    /// When it started, in seconds since 1970 UTC.
    pub create_time: Option<u32>,
    /// Seconds in user mode and in the kernel.
    pub times: Option<(u32, u32)>,
    /// The debugger's or the system's build string.
    pub build: Option<String>,
}

pub(super) fn read(reader: &mut StreamReader<'_, '_>, linux: &LinuxDump) -> ProcessInfo {
    let mut process = read_misc_info(reader);
    process.id = process.id.or(linux.process_id);
    process
}

fn read_misc_info(reader: &mut StreamReader<'_, '_>) -> ProcessInfo {
    const KIND: u32 = stream_type::MISC_INFO;
    let Some(stream) = reader.stream(KIND) else { return ProcessInfo::default() };
    let bytes = stream.bytes;
    let Some(flags) = u32_at(bytes, 4) else {
        reader.issue(KIND, stream.offset, || format!("{} bytes hold no fields", bytes.len()));
        return ProcessInfo::default();
    };
    let word = |flag, at| (flags & flag != 0).then(|| u32_at(bytes, at)).flatten();
    let text = |range: std::ops::Range<usize>| {
        let units = bytes.get(range).filter(|_| flags & BUILD_STRING != 0)?;
        let text = utf16_before_nul(units);
        (!text.is_empty()).then_some(text)
    };
    if flags & (ID | TIMES) != 0 && bytes.len() < 24 {
        reader.issue(KIND, stream.offset, || {
            format!("has {} of 24 bytes; the fields that are there are used", bytes.len())
        });
    }
    ProcessInfo {
        id: word(ID, 8),
        // 0 is no time: writers set the flag without knowing it.
        create_time: word(TIMES, 0xc).filter(|time| *time != 0),
        times: word(TIMES, 0x10).zip(word(TIMES, 0x14)),
        build: text(0xe8..0x2f0).or_else(|| text(0x2f0..0x340)),
    }
}

#[cfg(test)]
mod tests {
    use crate::dump::tests::{Bytes, messages, read, words};

    #[test]
    fn flags_say_which_fields_are_set() {
        let cases = [
            (0, None, None, None),
            (1, Some(7), None, None),
            (2, None, Some(100), Some((2, 3))),
            (3, Some(7), Some(100), Some((2, 3))),
        ];
        for (flags, id, create_time, times) in cases {
            let dump = Bytes::new().stream(15, words([24, flags, 7, 100, 2, 3])).finish();
            read(&dump, |dump| {
                assert_eq!((dump.process.id, dump.process.create_time), (id, create_time));
                assert_eq!((dump.process.times, messages(dump).len()), (times, 0));
            });
        }
    }

    #[test]
    fn short_streams() {
        for (size, id, issues) in [(4, None, 1), (8, None, 1), (12, Some(7), 1), (20, Some(7), 1)] {
            let bytes = words([24, 3, 7, 0, 0, 0]);
            let dump = Bytes::new().stream(15, &bytes[..size]).finish();
            read(&dump, |dump| {
                assert_eq!((dump.process.id, dump.process.times), (id, None));
                assert_eq!(messages(dump).len(), issues);
            });
        }
    }

    #[test]
    fn the_build_of_the_system() {
        let mut bytes = words([832, 0x100]);
        bytes.resize(832, 0);
        bytes[0x2f0..0x2f4].copy_from_slice(b"d\0b\0");
        let read_build = |bytes: &[u8]| {
            read(&Bytes::new().stream(15, bytes).finish(), |dump| dump.process.build.clone())
        };
        assert_eq!(read_build(&bytes).as_deref(), Some("db"));
        bytes[0xe8..0xec].copy_from_slice(b"1\x009\0");
        assert_eq!(read_build(&bytes).as_deref(), Some("19"));
        assert_eq!(read_build(&bytes[..0x200]), None);
    }

    #[test]
    fn linux_knows_the_process_too() {
        let status = "Name:\tcat\nTgid:\t12\nPid:\t13\n";
        let dump = Bytes::new().stream(0x4767_0004, status);
        read(&dump.finish(), |dump| assert_eq!(dump.process.id, Some(12)));
    }
}
