//! The threads. Sources: ThreadList (3), ThreadExList (8), ThreadNames (24)
//! and ThreadInfoList (17). Lenient: counts that do not fit, padding of any
//! size, names that cannot be read cost one entry, never the stream.

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
    /// What stream 17 adds.
    pub info: Option<ThreadInfo>,
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

pub(super) fn read(_reader: &mut super::StreamReader<'_, '_>) -> Vec<Thread> {
    Vec::new()
}
