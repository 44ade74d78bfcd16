//! Bytes as an archive, the dumps in it to a sink: no panic, and no more of
//! anything than is allowed.
#![no_main]

use std::ops::ControlFlow;

use dumpmap::analyze;
use dumpmap::archive::{for_each_dump_of, open_dump_in};
use dumpmap::limits::{Depth, Limits};
use dumpmap::source::Source;
use libfuzzer_sys::fuzz_target;

const UNPACKED: u64 = 4 << 20;
const MEMBERS: u64 = 32;

fuzz_target!(|bytes: &[u8]| {
    for depth in [Depth::Streams, Depth::Headers] {
        let limits = Limits {
            depth,
            unpacked: UNPACKED,
            unpacked_ratio: 10,
            members: MEMBERS,
            ..Limits::default()
        };
        let (mut dumps, mut failed) = (0, 0);
        let found = for_each_dump_of(&Source::from_bytes(bytes), "fuzz".as_ref(), &limits, &mut |name, dump| {
            match dump {
                Ok(source) => {
                    assert!(source.unpacked() <= UNPACKED, "{name}");
                    assert!(source.is_whole() || depth == Depth::Streams, "{name}");
                    dumps += 1;
                    let _ = analyze(&source, &limits);
                }
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    failed += 1;
                }
            }
            ControlFlow::Continue(())
        });
        if let Ok(found) = found {
            assert_eq!((found.dumps, found.failed), (dumps, failed));
            assert!(dumps <= MEMBERS);
        }
        let _ = open_dump_in(Source::from_bytes(bytes), "fuzz".as_ref(), &limits);
    }
});
