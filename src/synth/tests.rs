//! What the builder writes, the `minidump` crate reads back.

mod damage;
mod heap;
mod process;
mod streams;

use minidump::Minidump;

use super::DumpBuilder;

/// Builds a dump and hands it to the reader.
fn read(dump: &DumpBuilder) -> Minidump<'static, Vec<u8>> {
    Minidump::read(dump.build()).expect("the header and the directory are readable")
}
