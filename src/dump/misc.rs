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
