//! The helpers that other tests stand on: found data is readable, unpacked dumps are dumps.

mod support;

use std::fs::File;
use std::io::Read;

#[test]
fn shared_dumps_are_found_and_unpack_to_dumps() {
    let Some(scenarios) = support::shared_or_skip("scenarios") else {
        return;
    };
    let dumps = support::dumps_in(&scenarios);
    assert!(!dumps.is_empty(), "no dumps below {}", scenarios.display());

    let packed = dumps
        .iter()
        .filter(|path| path.extension().is_some_and(|ext| ext == "zst"))
        .min_by_key(|path| path.metadata().map_or(u64::MAX, |m| m.len()));
    let Some(packed) = packed else { return };
    let unpacked = support::unpacked_path(packed);
    let mut magic = [0; 4];
    File::open(&unpacked)
        .and_then(|mut file| file.read_exact(&mut magic))
        .expect("the unpacked dump is readable");
    assert_eq!(&magic, b"MDMP", "{}", packed.display());
    assert_eq!(support::unpacked_path(packed), unpacked);
    assert_eq!(support::unpacked_path(&unpacked), unpacked);
    assert!(support::read_dump(packed).starts_with(b"MDMP"));
}
