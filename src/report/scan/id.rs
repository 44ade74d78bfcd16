//! What a dump is known by, whatever its file is called.

use sha2::{Digest, Sha256};

use crate::dump::Dump;

const HEADER: u64 = 32;
const ENTRY: u64 = 12;

/// SHA-256 in hex of the header, the directory, and every stream in the order
/// of the directory, each as far as the file has it. Streams that overlap, as
/// only forged ones do, count until they have as many bytes as the file.
pub(super) fn of(dump: &Dump<'_>) -> String {
    let mut hash = Sha256::new();
    let directory = dump.header.directory;
    let entries = (dump.directory.streams.len() + dump.directory.unused) as u64;
    let streams = dump.directory.streams.iter().map(|of| (of.offset.into(), of.size.into()));
    let head = [(0, HEADER), (directory, entries * ENTRY)];
    let mut left = dump.source.len();
    for (offset, size) in head.into_iter().chain(streams) {
        let size = size.min(left);
        left -= size;
        add(dump, (offset, size), &mut hash);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn add(dump: &Dump<'_>, (offset, size): (u64, u64), hash: &mut Sha256) {
    let mut window = [0; 16 << 10];
    let end = dump.source.len().min(offset.saturating_add(size));
    let mut at = offset;
    while at < end {
        let wanted = window.len().min((end - at) as usize);
        // What cannot be read is a failure of the source, and of the row.
        let Ok(got @ 1..) = dump.source.read_at(at, &mut window[..wanted]) else { return };
        hash.update(&window[..got]);
        at += got as u64;
    }
}
