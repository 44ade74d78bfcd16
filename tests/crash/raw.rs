//! Stream 6 by hand: a few lines that share nothing with the library.

/// MINIDUMP_EXCEPTION_STREAM, and what the system information says of its numbers.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) architecture: u16,
    pub(crate) platform: u32,
    pub(crate) thread: u32,
    pub(crate) code: u32,
    pub(crate) flags: u32,
    pub(crate) address: u64,
    pub(crate) parameters: Vec<u64>,
}

impl Raw {
    /// The first stream 6 of a dump that has it whole.
    pub(crate) fn of(dump: &[u8]) -> Option<Raw> {
        let exception = stream(dump, 6, 168)?;
        let system = stream(dump, 7, 24);
        let count = word(exception, 0x20).min(15) as usize;
        Some(Raw {
            architecture: system.map_or(0xffff, |system| word(system, 0) as u16),
            platform: system.map_or(0, |system| word(system, 0x14)),
            thread: word(exception, 0),
            code: word(exception, 8),
            flags: word(exception, 12),
            address: long(exception, 0x18),
            parameters: (0..count).map(|at| long(exception, 0x28 + 8 * at)).collect(),
        })
    }

    /// Whether the pointers of the process have 32 bits.
    pub(crate) fn is_32_bit(&self) -> bool {
        matches!(self.architecture, 0 | 5)
    }

    /// An address as the process knew it.
    pub(crate) fn masked(&self, address: u64) -> u64 {
        if self.is_32_bit() { address & 0xffff_ffff } else { address }
    }
}

fn stream(dump: &[u8], kind: u32, least: usize) -> Option<&[u8]> {
    if dump.len() < 32 || &dump[..4] != b"MDMP" {
        return None;
    }
    let (count, directory) = (word(dump, 8) as usize, word(dump, 12) as usize);
    let entries = dump.get(directory..)?.chunks_exact(12).take(count);
    let found = entries.into_iter().find(|entry| word(entry, 0) == kind)?;
    let (size, offset) = (word(found, 4) as usize, word(found, 8) as usize);
    dump.get(offset..offset.checked_add(size.max(least))?)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
