//! From a [`Layout`] to a dump: which view of the process, and how much of its memory.

use super::{Layout, Listing, Machine, PlacedStack, PlacedThread, ProcessKind};
use crate::synth::{
    Architecture, Context, DumpBuilder, Memory, MiscInfo, Module, Platform, Region, Stack, Thread,
    ThreadInfo,
};

/// How much memory goes into the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capture {
    /// None: only what the streams say. Stacks are described by address and size.
    MapOnly,
    /// A MemoryList: stacks from the stack pointer up, and everything that structures wrote (PEB, TEBs,
    /// parameters, image headers, heaps, contents of allocations), unaligned and in no special order.
    Small,
    /// A Memory64List of every readable region, and no MemoryList.
    Full,
}

/// Which half of a WOW64 process the dump shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum View {
    Native,
    Wow32,
}

impl Layout {
    /// The dump that a debugger of the process's native width writes: 64-bit for WOW64, with the program
    /// twice in the module list and the stack descriptors on the 32-bit stacks, as dbghelp does.
    pub fn dump(&self, capture: Capture) -> DumpBuilder {
        self.view(View::Native, capture)
    }

    /// The dump that a 32-bit debugger writes of a WOW64 process: x86, only 32-bit modules and TEBs, the
    /// address space cut at 4 GiB or below. The same as [`dump`](Layout::dump) for other processes.
    pub fn dump32(&self, capture: Capture) -> DumpBuilder {
        match self.kind {
            ProcessKind::Wow64 => self.view(View::Wow32, capture),
            _ => self.view(View::Native, capture),
        }
    }

    fn view(&self, view: View, capture: Capture) -> DumpBuilder {
        let architecture = match (self.kind, view) {
            (_, View::Wow32) | (ProcessKind::X86, _) => Architecture::X86,
            (ProcessKind::Arm64, _) => Architecture::Arm64,
            (ProcessKind::X64 | ProcessKind::Wow64, _) => Architecture::Amd64,
        };
        let mut dump = DumpBuilder::with_system(architecture, Platform::Windows, self.version)
            .misc(MiscInfo::new(self.process_id));
        let regions = self.visible_regions(view);
        let stacks: Vec<PlacedStack> = self.threads.iter().map(described_stack).collect();
        match capture {
            Capture::MapOnly => {}
            Capture::Small => dump.memory = Some(self.written(view, &regions, &stacks)),
            Capture::Full => dump.memory64 = Some(self.everything(&regions)),
        }
        dump.header.flags = match capture {
            Capture::MapOnly => 0x1800, // FullMemoryInfo, ThreadInfo
            Capture::Small => 0x1900,   // and ProcessThreadData
            Capture::Full => 0x1802,    // and FullMemory
        };
        dump.modules = Some(self.visible_modules(view));
        dump.regions = Some(regions);
        dump.threads = Some(Vec::new());
        for (thread, stack) in self.threads.iter().zip(stacks) {
            dump = dump
                .thread(self.thread(thread, stack, view, capture))
                .thread_info(ThreadInfo::new(thread.id, thread.start_address));
            if let Some(name) = &thread.name {
                dump = dump.thread_name(thread.id, name.as_str());
            }
        }
        dump
    }

    fn visible_modules(&self, view: View) -> Vec<Module> {
        let listed = || self.images.iter().filter(|image| image.listing == Listing::Listed);
        let mut modules: Vec<Module> = listed()
            .filter(|image| view == View::Native || image.machine == Machine::X86)
            .map(|image| image.module.clone())
            .collect();
        if let (ProcessKind::Wow64, View::Native, Some(program)) =
            (self.kind, view, listed().next())
        {
            modules.insert(1, program.module.clone());
        }
        modules
    }

    fn visible_regions(&self, view: View) -> Vec<Region> {
        match view {
            View::Native => self.regions.clone(),
            View::Wow32 => {
                let below = self.regions.iter().filter(|region| region.base < self.end);
                let cut = |region: &Region| Region {
                    size: region.size.min(self.end - region.base),
                    ..*region
                };
                below.map(cut).collect()
            }
        }
    }

    fn thread(
        &self,
        thread: &PlacedThread,
        stack: PlacedStack,
        view: View,
        capture: Capture,
    ) -> Thread {
        let (teb, context) = match (view, thread.teb32, thread.stack32) {
            (View::Wow32, Some(teb), Some(stack)) => {
                (teb, Context::at(self.instruction32(), stack.pointer))
            }
            _ => (thread.teb, Context::at(thread.instruction, thread.stack.pointer)),
        };
        // Guard pages cannot be read, so a stack pointer in them leaves what is above.
        let start = stack.pointer.max(stack.limit);
        let used = stack.base.saturating_sub(start);
        let stack = match capture {
            Capture::Small => Stack::Captured(self.read(start, used)),
            Capture::MapOnly | Capture::Full => Stack::Range { base: start, size: used as u32 },
        };
        Thread { teb, stack, context, ..Thread::new(thread.id) }
    }

    fn instruction32(&self) -> u64 {
        let system = self.images.iter().rfind(|image| image.machine == Machine::X86);
        system.map_or(0, |image| image.module.base + 0x1234)
    }

    fn everything(&self, regions: &[Region]) -> Vec<Memory> {
        let readable = regions.iter().filter(|region| region.is_readable());
        readable.map(|region| self.read(region.base, region.size)).collect()
    }

    /// What structures wrote, without what the captured stacks already hold. A 32-bit debugger does not
    /// know the 64-bit PEB and TEBs.
    fn written(&self, view: View, regions: &[Region], stacks: &[PlacedStack]) -> Vec<Memory> {
        let is_visible = |memory: &Memory| {
            regions.iter().any(|region| region.base <= memory.base && memory.base < region.end())
        };
        let on_stack = |memory: &Memory| {
            stacks.iter().any(|stack| stack.pointer <= memory.base && memory.base < stack.base)
        };
        let is_hidden = |memory: &Memory| {
            let native = self.threads.iter().map(|thread| thread.teb).chain([self.peb]);
            view == View::Wow32 && native.into_iter().any(|address| address == memory.base)
        };
        self.contents
            .iter()
            .filter(|memory| is_visible(memory) && !on_stack(memory) && !is_hidden(memory))
            .cloned()
            .collect()
    }

    /// The process's memory at an address: zeros where nothing was written, later writes win.
    pub fn read(&self, base: u64, size: u64) -> Memory {
        let mut bytes = vec![0; size as usize];
        for memory in &self.contents {
            let start = memory.base.max(base);
            let end = memory.end().min(base + size);
            if start < end {
                let to = (start - base) as usize..(end - base) as usize;
                let from = (start - memory.base) as usize..(end - memory.base) as usize;
                bytes[to].copy_from_slice(&memory.bytes[from]);
            }
        }
        Memory { base, bytes }
    }
}

/// The stack that the thread list describes: the 32-bit one in a WOW64 process, in either view.
fn described_stack(thread: &PlacedThread) -> PlacedStack {
    thread.stack32.unwrap_or(thread.stack)
}
