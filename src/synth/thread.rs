//! Threads: the lists (3, 8), their details (17), their names (24), and the exception (6).

use super::bytes::Out;
use super::memory::Descriptor;
use super::{Architecture, Context, Memory, Name};

/// One entry of stream 3, MINIDUMP_THREAD (48 bytes), or of stream 8, MINIDUMP_THREAD_EX (64 bytes).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Thread {
    /// ThreadId.
    pub id: u32,
    /// SuspendCount.
    pub suspend_count: u32,
    /// PriorityClass.
    pub priority_class: u32,
    /// Priority.
    pub priority: u32,
    /// Teb: the address of the thread environment block.
    pub teb: u64,
    /// The memory descriptor of the stack.
    pub stack: Stack,
    /// Register state.
    pub context: Context,
    /// BackingStore; stream 8 only.
    pub backing_store: Stack,
}

impl Thread {
    /// A thread without TEB, stack or context.
    pub fn new(id: u32) -> Self {
        Thread { id, priority_class: 0x20, ..Thread::default() }
    }
}

/// The stack descriptor of a thread.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Stack {
    /// Address, size and offset are zero.
    #[default]
    None,
    /// The bytes are in the file. They get an entry in the MemoryList too, at the same file offset,
    /// as every writer does.
    Captured(Memory),
    /// Only address and size, with file offset 0: dumps whose memory is in the Memory64List.
    Range {
        /// StartOfMemoryRange.
        base: u64,
        /// DataSize, bytes.
        size: u32,
    },
    /// Any descriptor, true or not.
    At {
        /// StartOfMemoryRange.
        base: u64,
        /// DataSize, bytes.
        size: u32,
        /// File offset.
        rva: u32,
    },
}

/// One entry of stream 17, MINIDUMP_THREAD_INFO (64 bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ThreadInfo {
    /// ThreadId.
    pub id: u32,
    /// DumpFlags: 1 error, 2 the writing thread, 4 exited, 8 invalid info, 0x10 invalid context,
    /// 0x20 invalid TEB.
    pub dump_flags: u32,
    /// DumpError, an HRESULT.
    pub dump_error: u32,
    /// ExitStatus; 0x103 is STILL_ACTIVE.
    pub exit_status: u32,
    /// CreateTime: 100 ns since 1601.
    pub create_time: u64,
    /// ExitTime: 100 ns since 1601.
    pub exit_time: u64,
    /// KernelTime: 100 ns.
    pub kernel_time: u64,
    /// UserTime: 100 ns.
    pub user_time: u64,
    /// StartAddress.
    pub start_address: u64,
    /// Affinity mask.
    pub affinity: u64,
}

impl ThreadInfo {
    /// A living thread that began at `start_address`.
    pub fn new(id: u32, start_address: u64) -> Self {
        ThreadInfo {
            id,
            exit_status: 0x103,
            create_time: 133_444_736_000_000_000,
            start_address,
            affinity: 0xff,
            ..ThreadInfo::default()
        }
    }
}

/// One entry of stream 24, MINIDUMP_THREAD_NAME (12 bytes).
#[derive(Debug, Clone, PartialEq)]
pub struct ThreadName {
    /// ThreadId.
    pub id: u32,
    /// The name. [`Name::At`] is widened to the stream's 64-bit offset.
    pub name: Name,
}

/// Stream 6, MINIDUMP_EXCEPTION_STREAM.
#[derive(Debug, Clone, PartialEq)]
pub struct Exception {
    /// ThreadId.
    pub thread_id: u32,
    /// ExceptionCode: an NTSTATUS, a signal number on Linux, a Mach exception on macOS.
    pub code: u32,
    /// ExceptionFlags; si_code on Linux.
    pub flags: u32,
    /// ExceptionRecord: address of a nested record in the process.
    pub nested: u64,
    /// ExceptionAddress: the instruction; the accessed address on Linux.
    pub address: u64,
    /// ExceptionInformation; at most 15 are written.
    pub parameters: Vec<u64>,
    /// Register state at the exception.
    pub context: Context,
}

impl Exception {
    /// An exception without parameters or context.
    pub fn new(thread_id: u32, code: u32, address: u64) -> Self {
        Exception {
            thread_id,
            code,
            flags: 0,
            nested: 0,
            address,
            parameters: Vec::new(),
            context: Context::None,
        }
    }

    /// STATUS_ACCESS_VIOLATION: the instruction at `address` wrote to `target`.
    pub fn write_fault(thread_id: u32, address: u64, target: u64) -> Self {
        Exception { parameters: vec![1, target], ..Exception::new(thread_id, 0xc000_0005, address) }
    }
}

/// The record of a stream and the descriptors of the stacks it put into the file.
pub(super) struct ThreadList {
    pub(super) bytes: Vec<u8>,
    pub(super) stacks: Vec<Descriptor>,
}

pub(super) fn write_threads(
    threads: &[Thread],
    architecture: Architecture,
    out: &mut Out,
) -> ThreadList {
    write_list(threads, architecture, out, Entry::Thread)
}

pub(super) fn write_threads_ex(
    threads: &[Thread],
    architecture: Architecture,
    out: &mut Out,
) -> ThreadList {
    write_list(threads, architecture, out, Entry::ThreadEx)
}

#[derive(PartialEq)]
enum Entry {
    Thread,
    ThreadEx,
}

fn write_list(
    threads: &[Thread],
    architecture: Architecture,
    out: &mut Out,
    entry: Entry,
) -> ThreadList {
    let mut stacks = Vec::new();
    let mut record = out.record();
    record.u32(threads.len() as u32);
    for thread in threads {
        let stack = describe(&thread.stack, out);
        if let Stack::Captured(_) = thread.stack {
            stacks.push(stack);
        }
        let context = out.put_some(&thread.context.encode(architecture));
        record
            .u32s(&[thread.id, thread.suspend_count])
            .u32s(&[thread.priority_class, thread.priority])
            .u64(thread.teb);
        stack.write(&mut record);
        record.location(context);
        if entry == Entry::ThreadEx {
            describe(&thread.backing_store, out).write(&mut record);
        }
    }
    ThreadList { bytes: record.bytes, stacks }
}

fn describe(stack: &Stack, out: &mut Out) -> Descriptor {
    match *stack {
        Stack::None => Descriptor::default(),
        Stack::Captured(ref memory) => Descriptor::put(memory, out),
        Stack::Range { base, size } => Descriptor { base, size, rva: 0 },
        Stack::At { base, size, rva } => Descriptor { base, size, rva },
    }
}

pub(super) fn write_thread_infos(infos: &[ThreadInfo], out: &mut Out) -> Vec<u8> {
    let mut record = out.record();
    record.u32s(&[12, 64, infos.len() as u32]);
    for info in infos {
        record
            .u32s(&[info.id, info.dump_flags, info.dump_error, info.exit_status])
            .u64s(&[info.create_time, info.exit_time])
            .u64s(&[info.kernel_time, info.user_time])
            .u64s(&[info.start_address, info.affinity]);
    }
    record.bytes
}

pub(super) fn write_thread_names(names: &[ThreadName], out: &mut Out) -> Vec<u8> {
    let mut record = out.record();
    record.u32(names.len() as u32);
    for entry in names {
        let rva = out.name(&entry.name);
        record.u32(entry.id).u64(u64::from(rva));
    }
    record.bytes
}

pub(super) fn write_exception(
    exception: &Exception,
    architecture: Architecture,
    out: &mut Out,
) -> Vec<u8> {
    let context = out.put_some(&exception.context.encode(architecture));
    let mut parameters = exception.parameters.clone();
    parameters.truncate(15);
    let count = parameters.len() as u32;
    parameters.resize(15, 0);
    let mut record = out.record();
    record
        .u32s(&[exception.thread_id, 0, exception.code, exception.flags])
        .u64s(&[exception.nested, exception.address])
        .u32s(&[count, 0])
        .u64s(&parameters)
        .location(context);
    record.bytes
}
