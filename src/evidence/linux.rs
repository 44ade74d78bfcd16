//! What the names in /proc/PID/maps say: `[heap]`, `[stack]`, `[vdso]`,
//! `[anon:…]`, files, deleted files; and glibc's arenas by shape.

use super::Evidence;
use crate::dump::Dump;
use crate::map::RegionMap;

pub(super) fn gather(_dump: &Dump<'_>, _map: &RegionMap<'_>, _evidence: &mut Evidence) {}
