//! Writes inputs for `heap_walk` into a folder: each base as it is, and every
//! kind of patch on some of its blocks and headers.

use std::path::Path;

use dumpmap_fuzz::heaps::{Patch, bases};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args_os().nth(1).ok_or("usage: heap_seeds FOLDER")?;
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let mut written = 0;
    for (choice, base) in (0_u8..).zip(bases()) {
        let mut write = |patches: &[Patch]| {
            let bytes: Vec<u8> =
                std::iter::once(choice).chain(patches.iter().flat_map(Patch::bytes)).collect();
            written += 1;
            std::fs::write(folder.join(format!("{choice:02}-{written:04}")), bytes)
        };
        write(&[])?;
        let last = base.blocks.len().saturating_sub(1);
        let blocks = [0, 1, 2, last / 2, last].map(|at| base.blocks.get(at).copied());
        let places = blocks.into_iter().flatten().chain([(0, 0x40), (0, 0x100)]);
        for (window, offset) in places {
            for operation in 0..Patch::OPERATIONS {
                let value = match operation {
                    1 => 3,
                    // 4 granules, busy, 8 bytes unused.
                    4 => 0x0800_0004_0001_0004,
                    _ => 0x0123_4567_89ab_cdef,
                };
                write(&[Patch { operation, window, offset, value }])?;
            }
        }
        // Every other page is not captured.
        let windows = u8::try_from(base.windows.len()).unwrap_or(u8::MAX);
        let away = (0..windows).step_by(2).map(|window| Patch {
            operation: 6,
            window,
            offset: 0,
            value: 0,
        });
        write(&away.take(32).collect::<Vec<_>>())?;
    }
    eprintln!("{written} seeds in {}", folder.display());
    Ok(())
}
